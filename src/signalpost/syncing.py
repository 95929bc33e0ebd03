"""The loops that keep audiences on the platforms as they should be.

Each audience at each destination has a `Keeper`. It takes the next people of whom the platform has not taken all, asks for what
is different, reads the answer and settles them; nothing is compared that did not move, so an audience at rest costs no request.
It goes by what is and what should be, not by what happened: after any fault, and after a kill, the people who were not settled
are simply taken again. Start with `Syncing.run`, stop with `Syncing.stop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import socket
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import structlog
from aiolimiter import AsyncLimiter

from signalpost import audiences, delivery
from signalpost.audiences import Asked, Change
from signalpost.config import Workspace
from signalpost.delivery import Breaker
from signalpost.destinations import CATALOG
from signalpost.destinations.audiences import Account, Answer, AudiencePart, Batch, Files, Held, Made, Use
from signalpost.destinations.contract import Outcome, Request, Response, request_settings
from signalpost.errors import StoreError, TransportError
from signalpost.options import Audience
from signalpost.processing import now_ms
from signalpost.store import audiences as store
from signalpost.store.audiences import Applied, Settling, Standing
from signalpost.store.database import Connection, Database
from signalpost.transport import Transport, talk

log = structlog.get_logger("signalpost")

Found = TypeVar("Found")

LINGER_MS = 1_000
"""How long a change waits for company, unless it is urgent: a request with many people costs the platform and us as much."""

FILE_LINGER_MS = 900_000
"""The same where changes go by files: a platform takes its time for each."""

FILE_PEOPLE = 20_000
"""People of a page that goes by file, and the number that does not wait for more."""

PEOPLE = 4_000
"""People of a page at least; a page is several requests, sent side by side."""

URGENT_PEOPLE = 1_000
"""People of a page that begins with urgent ones: it is to be on its way at once."""

TRIAL = 10
"""People of a page while a platform does not answer as it should."""

TOGETHER = 4
"""Requests of one audience in flight at once, about different identifiers."""

LOOK_MS = 900_000
"""How often a platform is asked for an audience's size and status."""

SOON_MS = 60_000
"""The same while ads cannot use it yet and people have come since the last look."""

USERS_MS = 3_600_000
"""How often a platform is asked which ad groups use an audience: it may be many pages."""

AGAIN_MS = 86_400_000
"""After how long what a platform refused is asked again."""

HOLD_MS = 90_000
"""How long an audience stays in our hand; longer than a page and its requests may take."""

QUIET = 5.0
"""Seconds between looks at an audience that nothing is sent for."""

EVERY = 1.0
"""Seconds after which the database is looked at though nobody said that something changed."""


def obstacle(workspace: Workspace, destination: str) -> str:
    """Why no audience can be kept at this destination at all, for a marketer; '' when they can."""
    chosen = workspace.destinations[destination]
    if chosen.paused:
        return f"`{destination}` is paused in the workspace file, so nothing is sent there."
    if workspace.environment == "test" and chosen.endpoint is None:
        return (
            "A test workspace keeps no audience on the real platform, which has no test mode for audiences: people of a test "
            "would see or miss real ads. Give the destination an `endpoint` (an emulator) to try it out."
        )
    return _part(workspace, destination).needs(request_settings(chosen))


def _part(workspace: Workspace, destination: str) -> AudiencePart:
    part = CATALOG[workspace.destinations[destination].type].audience
    assert part is not None  # noqa: S101  (the check of the file lets audiences go nowhere else)
    return part


async def _wait(called: asyncio.Event, seconds: float) -> None:
    """Wait until called, so long at most; `asyncio.wait_for` of Python 3.11 may lose a cancellation that comes with the call."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await called.wait()
    called.clear()


def _is_dead(keeper: str) -> bool:
    """Whether a keeper (`host:process:...`) was on this machine and is no more: a process of our own number came before us."""
    host, _, rest = keeper.partition(":")
    process = rest.partition(":")[0]
    if host != socket.gethostname() or not process.isdecimal():
        return False
    if int(process) == os.getpid():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


class Line:
    """The way to one destination's audiences: as whom, how fast, and how many connections."""

    def __init__(self, workspace: Workspace, destination: str, *, timeout: float) -> None:
        chosen = workspace.destinations[destination]
        self.name = destination
        self.obstacle = obstacle(workspace, destination)
        self.account = Account(request_settings(chosen), (chosen.endpoint or CATALOG[chosen.type].default_base).rstrip("/"))
        self.part = _part(workspace, destination)
        self.transport = Transport(connections=2 * TOGETHER, timeout=timeout)
        self.pace = AsyncLimiter(max(1.0, self.part.requests_per_second), 1.0)

    async def ask(self, request: Request) -> Response | Answer:
        """One request; an `Answer` where there was no response."""
        try:
            return await self._send(request)
        except TransportError as error:
            return _unanswered(error)

    async def talk(self, steps: Generator[Request, Response, Found]) -> Found | Answer:
        """Several requests that hang together; an `Answer` where one of them had no response."""
        try:
            return await talk(steps, self._send)
        except TransportError as error:
            return _unanswered(error)

    async def _send(self, request: Request) -> Response:
        async with self.pace:
            return await self.transport.send(request)


def _unanswered(error: TransportError) -> Answer:
    return Answer(kind="retry", code="no_answer", sentence=str(error), reached=error.reached)


class Page:
    """Some people being settled: who of them is left, as answers come in."""

    def __init__(self, people: Sequence[Asked], change: Change) -> None:
        self.left, self.change = people, change
        self.answered: set[str] = set()
        self.looked = False
        """Whether a refusal made us look whether the audience itself is well."""
        self.over = False
        """Whether nothing more of it is to be sent."""

    def done(self, batch: Batch) -> list[Asked]:
        """Those of whom nothing is open any more after the answer to this batch."""
        self.answered.update(batch.keys)
        done = audiences.settled(self.left, self.change, self.answered)
        gone = {each.person for each in done}
        self.left = [each for each in self.left if each.person not in gone]
        return done


class Keeper:
    """Keeps one audience at one destination as it should be."""

    def __init__(self, database: Database, line: Line, slot: int, audience: Audience, *, workspace: str, me: str) -> None:
        """`workspace`: its name; `me`: this process, as the database knows it."""
        self.database, self.line, self.part = database, line, line.part
        self.slot, self.audience, self.workspace, self.me = slot, audience, workspace, me
        self.breaker: Breaker = delivery.CLOSED
        self.stopping = False
        self._wake = asyncio.Event()
        self._lingering = False
        self._held_until = 0
        self._sure = False
        """Whether all that was asked to be made at the platform is known: no answer to it was lost."""
        self._began = now_ms()
        self._looked_at = 0
        self._look_now = False
        self._users_at = 0
        self._again_at = self._began + AGAIN_MS // 4
        self._applied = False
        """Whether the ad groups of the file were tried since the start."""

    def look(self, *, urgent: bool) -> None:
        """Somebody moved."""
        if urgent or not self._lingering:
            self._wake.set()

    def stop(self) -> None:
        """End after the page in hand."""
        self.stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Keep it until stopped."""
        while not self.stopping:
            try:
                seconds = await self._turn()
            except StoreError as error:
                log.error("store failed", audience=self.audience.title, error=str(error))
                seconds = 1.0
            except Exception as error:
                # A defect of ours: this audience is tried again, the others go on.
                log.exception("an audience could not be kept", audience=self.audience.title, error=str(error))
                seconds = 30.0
            if seconds > 0 and not self.stopping:
                await _wait(self._wake, seconds)

    # ---- what to do next ---------------------------------------------------------------------------------------------------

    async def _turn(self) -> float:
        """Do the next thing; gives the seconds to wait after it, if nobody calls."""
        now = now_ms()
        if self.breaker.until > now:
            return (self.breaker.until - now) / 1000
        here = await self.database.read(partial(store.standing, slot=self.slot))
        if here is None or here.state in {"removed", "gone", "foreign"}:
            return QUIET
        if not await self._in_hand(now):
            return EVERY
        if self.line.obstacle or (here.state == "stopped" and not self.breaker.failures):
            await self._obstacle(here)
            if self.line.obstacle:
                return QUIET
        by_file = self._files(here) is not None
        most = TRIAL if self.breaker.failures else FILE_PEOPLE if by_file else max(PEOPLE, self.part.batch)
        people = await self.database.read(partial(store.asked, slot=self.slot, most=most))
        if people:
            enough = FILE_PEOPLE if by_file else min(most, self.part.batch)
            due = audiences.due_at(people, most=enough, linger=FILE_LINGER_MS if by_file else LINGER_MS, now=now)
            if due <= now:
                self._lingering = False
                await self._tell(here, people if by_file or people[0].priority != audiences.URGENT else people[:URGENT_PEOPLE])
                return 0
        else:
            due = now + int(QUIET * 1000)
        if not here.held.id and ((self.part.starts_empty and not by_file) or here.held.list_id):
            await self._make(here, people, None)
            return 0
        self._lingering = bool(people)
        if here.held.id:
            if not people:
                await self._rest(here, now)
            due = min(due, await self._check(here, now, quiet=not people))
        return max(0.0, (due - now_ms()) / 1000)

    def _files(self, here: Standing) -> Files | None:
        """The files it is changed by, if it is: as it was made, whatever the workspace file says by now."""
        return self.part.files if (here.way or self.audience.way) == "file" else None

    async def _in_hand(self, now: int) -> bool:
        if self._held_until - now < HOLD_MS * 2 // 3:
            until = now + HOLD_MS
            held = await self.database.write(partial(store.hold, slot=self.slot, keeper=self.me, now=now, until=until))
            self._held_until = until if held else 0
        return self._held_until > now

    async def _obstacle(self, here: Standing) -> None:
        """Say why nothing is sent; or no longer."""
        state = "stopped" if self.line.obstacle else "ready" if here.held.id else "new"
        if (here.state, here.sentence) != (state, self.line.obstacle):
            await self._say(here.held, state, self.line.obstacle)

    async def _say(self, held: Held, state: str, sentence: str) -> None:
        await self.database.write(lambda connection: store.says(connection, self.slot, self.me, held, state, sentence))

    # ---- changes -----------------------------------------------------------------------------------------------------------

    async def _tell(self, here: Standing, people: Sequence[Asked]) -> None:
        """Bring the platform up to date about these people."""
        change = await self.database.read(lambda connection: store.change(connection, self.slot, people, self.part.keys))
        if change.silent:
            await self._settle(self._settling(here.held, done=people, silent=change))
        elif not here.held.id:
            await self._make(here, people, change)
        elif await self._begin(here.held, people, change):
            page = Page(people, change)
            batches = self._batches(here, change)
            while together := [batch for _, batch in zip(range(TOGETHER), batches, strict=False)]:
                await asyncio.gather(*(self._send(here, batch, page) for batch in together))

    def _batches(self, here: Standing, change: Change) -> Iterator[Batch]:
        cut = (self._files(here) or self.part).cut
        yield from cut(False, change.remove.values())
        yield from cut(True, change.add.values())

    async def _begin(self, held: Held, people: Sequence[Asked], change: Change) -> bool:
        now = now_ms()
        return await self.database.write(lambda one: store.begin(one, self.slot, self.me, held, people, change, now))

    async def _send(self, here: Standing, batch: Batch, page: Page) -> None:
        """One change; what is refused for something in it is asked again in halves, down to the identifier at fault."""
        if page.over or self.breaker.until > now_ms() or not await self._in_hand(now_ms()):
            return
        answer = await self._ask(here, batch)
        if answer.kind == "split" and not batch.alone:
            if not page.looked:
                page.looked = True
                seen = await self.line.talk(self.part.look(self.line.account, here.held))
                if isinstance(seen, Answer) and seen.kind in {"gone", "foreign"}:
                    page.over = True
                    await self._lost(here, seen)
            for half in batch.halves():
                await self._send(here, half, page)
        elif answer.kind in {"gone", "foreign"}:
            page.over = True
            await self._lost(here, answer)
        elif answer.kind in {"retry", "unauthorised"}:
            await self._fail(here, answer)
        else:
            keys = list(batch.keys)
            taken, refused = (keys, []) if answer.kind == "taken" else ([], keys)
            await self._settle(
                self._settling(
                    here.held, adding=batch.adding, taken=taken, refused=refused, sentence=answer.sentence, done=page.done(batch)
                )
            )
            self.breaker = delivery.CLOSED

    async def _ask(self, here: Standing, batch: Batch) -> Answer:
        account, files = self.line.account, self._files(here)
        if files is None:
            response = await self.line.ask(self.part.change(account, here.held, batch))
            return response if isinstance(response, Answer) else self.part.changed(response, batch)
        path = await self._upload(files, batch)
        if isinstance(path, Answer):
            return path
        response = await self.line.ask(files.change(account, here.held, batch.adding, [path]))
        return response if isinstance(response, Answer) else self.part.changed(response, None)

    async def _upload(self, files: Files, batch: Batch) -> str | Answer:
        request = await asyncio.to_thread(files.upload, self.line.account, batch)
        response = await self.line.ask(request)
        return response if isinstance(response, Answer) else files.uploaded(response)

    def _settling(self, held: Held, **what: Any) -> Settling:
        return Settling(slot=self.slot, keeper=self.me, held=held, destination=self.line.name, use=self.audience.use, **what)

    async def _settle(self, settling: Settling) -> None:
        now = now_ms()
        await self.database.write(lambda connection: store.settle(connection, settling, now))

    async def _fail(self, here: Standing, answer: Answer) -> None:
        """Rest, longer each time; say why."""
        blocked = answer.kind != "retry"
        outcome = Outcome(
            kind="blocked" if blocked else "retry",
            code=answer.code,
            sentence=answer.sentence,
            after=answer.after,
            reached=answer.reached,
        )
        before, self.breaker = self.breaker, delivery.after(self.breaker, [outcome], now=now_ms(), luck=random.random())
        if before.sentence != self.breaker.sentence:
            log.warning("an audience waits", audience=self.audience.title, destination=self.line.name, why=answer.sentence)
        state = "stopped" if answer.kind == "unauthorised" else here.state
        if (state, answer.sentence) != (here.state, here.sentence):
            await self._say(here.held, state, answer.sentence)

    async def _lost(self, here: Standing, answer: Answer) -> None:
        """The platform no longer has it, or not for us: nothing more is sent until somebody says `rebuild`."""
        log.error("an audience is lost", audience=self.audience.title, destination=self.line.name, state=answer.kind)
        await self._say(here.held, answer.kind, answer.sentence)

    # ---- making it ---------------------------------------------------------------------------------------------------------

    async def _make(self, here: Standing, people: Sequence[Asked], change: Change | None) -> None:
        """One step towards having it at the platform. Its name there is unique and written first, so that after a lost answer
        the platform can be asked whether it has it already."""
        if here.platform_name and not self._sure:
            await self._search(here)
            return
        files, held = self._files(here), here.held
        first = None
        if change is not None and not held.list_id and (files is not None or not self.part.starts_empty):
            first = next((files or self.part).cut(True, change.add.values()), None)
            if first is None:  # only to be removed, from what is not there
                await self.database.write(lambda connection: store.nothing_there(connection, self.slot, self.me, held))
                return
            if not await self._begin(held, people, change):
                return
        name, way = here.platform_name or self._name(), "stream" if files is None else "file"
        if not await self.database.write(lambda connection: store.named(connection, self.slot, self.me, held, name, way)):
            return
        result = await self._ask_for_it(name, held, first, files)
        while isinstance(result, Answer) and result.kind == "split" and first is not None and not first.alone:
            first = first.halves()[0]
            result = await self._ask_for_it(name, held, first, files)
        page = None if first is None or change is None else Page(people, change)
        if isinstance(result, Answer):
            if result.kind == "refused" and page is not None and first is not None and first.alone:
                await self._settle(
                    self._settling(held, refused=list(first.keys), sentence=result.sentence, done=page.done(first))
                )
            else:
                await self._fail(here, result)
            return
        settling = None
        if page is not None and first is not None and (result.took or files is not None):
            settling = self._settling(result.held, taken=list(first.keys), done=page.done(first))
        now = now_ms()
        await self.database.write(lambda connection: store.made(connection, self.slot, self.me, held, result.held, settling, now))
        self.breaker = delivery.CLOSED
        if result.complete:
            log.info("an audience is made", audience=self.audience.title, destination=self.line.name, name=name)

    def _name(self) -> str:
        """How it is called at the platform: short enough for each, and never the name of another."""
        return f"{self.audience.title[:40]} | {self.workspace[:16]} {secrets.token_hex(3)}"

    async def _ask_for_it(self, name: str, held: Held, first: Batch | None, files: Files | None) -> Made | Answer:
        account = self.line.account
        if files is not None and first is not None:
            path = await self._upload(files, first)
            if isinstance(path, Answer):
                self._sure = True
                return path
            request = files.make(account, name, [path])
        else:
            request = self.part.make(account, name, held, first)
        self._sure = False
        response = await self.line.ask(request)
        result = response if isinstance(response, Answer) else self.part.made(response, held, first)
        self._sure = isinstance(result, Made) or not (result.kind == "retry" and result.reached)
        return result

    async def _search(self, here: Standing) -> None:
        """Whether the platform has what it was asked for when its answer was lost."""
        found = await self.line.talk(self.part.find(self.line.account, here.platform_name))
        if isinstance(found, Answer):
            await self._fail(here, found)
            return
        held = here.held
        if found in {Held(), held}:
            if held == Held():
                await self.database.write(lambda connection: store.nothing_there(connection, self.slot, self.me, held))
        else:
            now = now_ms()
            await self.database.write(lambda connection: store.made(connection, self.slot, self.me, held, found, None, now))
        self._sure = True

    # ---- in between --------------------------------------------------------------------------------------------------------

    async def _rest(self, here: Standing, now: int) -> None:
        """Nobody is open: note that the first load is complete, take up again what was refused long ago."""
        if here.loaded_at is None and await self.database.write(partial(store.loaded, slot=self.slot, now=now)):
            self._look_now = True
        if now >= self._again_at:
            self._again_at = now + AGAIN_MS // 4
            people = await self.database.read(partial(store.unlucky, slot=self.slot, before=now - AGAIN_MS))
            if people:
                await self.database.write(lambda connection: store.ask_again(connection, self.slot, people, now))

    async def _check(self, here: Standing, now: int, *, quiet: bool) -> int:
        """Ask for size and status now and then, and see to its ad groups; gives when it is to be done again (epoch ms)."""
        last = max(here.size_at or self._began, self._looked_at)
        growing = not here.usable and (here.synced_at or 0) > last
        due = last + (SOON_MS if growing else LOOK_MS)
        if due > now and not self._look_now and (self._applied or self._ad_groups() == here.applied):
            return due
        self._looked_at, self._look_now, self._applied = now, False, True
        seen = await self.line.talk(self.part.look(self.line.account, here.held))
        if isinstance(seen, Answer):
            if seen.kind in {"gone", "foreign"}:
                await self._lost(here, seen)
            else:
                await self._fail(here, seen)
            return now
        used_by = None
        if now >= self._users_at:
            self._users_at = now + USERS_MS
            users = await self.line.talk(self.part.users(self.line.account, here.held))
            used_by = None if isinstance(users, Answer) else users
        await self.database.write(lambda connection: store.seen(connection, self.slot, seen, used_by, now))
        if quiet and here.sentence:
            await self._say(here.held, "ready", "")
        if self._ad_groups() != here.applied:
            await self._apply(here)
        return now + LOOK_MS

    def _ad_groups(self) -> Applied:
        """The ad groups that are to use it, as they stand once they were told."""
        uses: dict[str, Use] = {"target": "include", "suppress": "exclude"}
        use = uses.get(self.audience.use, "")
        return Applied(use=use, groups=self.audience.ad_groups) if use and self.audience.ad_groups else Applied()

    async def _apply(self, here: Standing) -> None:
        """Tell ad groups to use it, and those that the file no longer names not to."""
        wished, told = self._ad_groups(), here.applied
        before: set[tuple[str, str]] = {(told.use, group) for group in told.groups}
        after: set[tuple[str, str]] = {(wished.use, group) for group in wished.groups}
        steps: list[tuple[Use, list[str], bool]] = []
        use: Use
        for use in ("include", "exclude"):
            off = sorted(group for which, group in before - after if which == use)
            on = sorted(group for which, group in after if which == use)
            steps += [(use, groups, turn) for groups, turn in ((off, False), (on, True)) if groups]
        result = wished
        for use, groups, turn in steps:
            answer = await self.line.talk(self.part.apply(self.line.account, here.held, groups, use, turn))
            if answer.kind != "taken":
                # What was told before and what was to be told now: some of it may have been taken.
                known = tuple(dict.fromkeys((*told.groups, *wished.groups))) if told.use in {"", wished.use} else told.groups
                result = Applied(use=wished.use or told.use, groups=known, sentence=answer.sentence)
                break
        await self.database.write(partial(store.applied, slot=self.slot, what=result))


class Syncing:
    """All keepers of a workspace, on one database."""

    def __init__(self, database: Database, workspace: Workspace, *, timeout: float = 20.0) -> None:
        """`timeout`: seconds a platform may be silent before a request counts as unanswered."""
        self.database, self.workspace = database, workspace
        self.me = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.lines = {
            destination: Line(workspace, destination, timeout=timeout)
            for destination in dict.fromkeys(destination for _, destination in store.pairs(workspace))
        }
        self.keepers: dict[int, Keeper] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()

    def look(self) -> None:
        """The pipeline has written something."""
        self._wake.set()

    async def run(self) -> None:
        """Keep all audiences until cancelled; then call `stop`."""
        released = False
        while True:
            try:
                if not released:
                    await self.database.write(self._release_the_dead)
                    released = True
                await self._call()
            except StoreError as error:
                log.error("store failed", what="audiences", error=str(error))
            await _wait(self._wake, EVERY)

    def _release_the_dead(self, connection: Connection) -> None:
        """What processes had in hand that ended without a word; of those on other machines the hold ends by itself."""
        for keeper in store.keepers(connection, now_ms()):
            if self.database.embedded or _is_dead(keeper):
                store.release(connection, keeper)

    async def _call(self) -> None:
        """Wake those who have something to do."""
        if len(self.keepers) < sum(1 for _ in store.pairs(self.workspace)):
            await self._begin()
        if self.keepers:
            for slot, priority in (await self.database.read(store.heads)).items():
                keeper = self.keepers.get(slot)
                if keeper is not None:
                    keeper.look(urgent=priority == audiences.URGENT)

    async def _begin(self) -> None:
        """A keeper for each audience that has its number by now."""
        slots = {(each.name, each.destination): each.slot for each in await self.database.read(store.standings)}
        for audience, destination in store.pairs(self.workspace):
            slot = slots.get((audience.title, destination))
            if slot is None or slot in self.keepers:
                continue
            line, name = self.lines[destination], self.workspace.workspace
            keeper = self.keepers[slot] = Keeper(self.database, line, slot, audience, workspace=name, me=self.me)
            self._tasks.append(asyncio.create_task(keeper.run()))

    async def stop(self, seconds: float = 10.0) -> None:
        """Finish what is in hand, then let go; `run` must have been cancelled. The rest is taken up at the next start."""
        for keeper in self.keepers.values():
            keeper.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(StoreError):  # it ends by itself
            await self.database.write(partial(store.release, keeper=self.me))
        for line in self.lines.values():
            await line.transport.close()
