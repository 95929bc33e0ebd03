"""A change of the workspace file comes into force while a real server goes on, and after whatever happens in between."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import new_postgres_database
from tests.crash.server import Server as Process
from tests.store.shop import asked

from signalpost import config, revising
from signalpost.destinations import CATALOG
from signalpost.platforms.testing import Client, running
from signalpost.processing import now_ms
from signalpost.revising import Refused
from signalpost.serve import Serving, serving
from signalpost.store import revisions
from signalpost.store.database import Connection, Database
from signalpost.store.revisions import Proposal, digest

PATIENCE = 60.0

REST = """
destinations:
  tiktok:
    type: tiktok
    events: {{Order Completed: Purchase, Product Viewed: ViewContent}}
    pixel: {pixel}
    access_token: ${{TIKTOK_TOKEN}}
    website: https://shop.example
    endpoint: {platforms}
"""

GATE = "gates:\n  - {reason: small order, when: {order.value: {lt: 10}}, events: [Order Completed]}\n"


@pytest.fixture
def platforms() -> Iterator[Client]:
    """Both emulators."""
    with running() as url, Client(url) as client:
        yield client


@pytest.fixture
def place(tmp_path: Path, platforms: Client) -> Process:
    """A workspace file with its variables; started by whoever needs it."""
    return Process(tmp_path, platforms, REST)


@asynccontextmanager
async def served(place: Process) -> AsyncIterator[Serving]:
    """The file served by this process."""
    workspace = config.load(place.file, place.environment, CATALOG)
    async with serving(workspace, environ=place.environment, state=place.folder, file=place.file) as now_serving:
        yield now_serving


def propose(connection: Connection, text: str, base: str, origin: str = "editor") -> int:
    """A proposal that shall be applied."""
    number = revisions.propose(
        connection, text, base=digest(base), who="ada@shop.example", note="why not", origin=origin, since=None, now=now_ms()
    )
    assert revisions.want(connection, number, "draft", "ben@shop.example", now_ms())
    return number


async def wanted(database: Database, text: str, base: str, origin: str = "editor") -> Proposal:
    """The proposal once the server has applied it or refused to."""
    number = await database.write(partial(propose, text=text, base=base, origin=origin))
    return await settled(database, number)


async def settled(database: Database, number: int) -> Proposal:
    """The proposal once it is neither wanted nor being applied."""
    until = time.monotonic() + PATIENCE
    while True:
        found = await database.read(partial(revisions.proposal, number=number))
        assert found is not None
        if found.state not in {"wanted", "applying"}:
            return found
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


def order(key: str, total: float) -> dict[str, Any]:
    """An order as the shop's site tells it."""
    return {
        "type": "track",
        "event": "Order Completed",
        "messageId": f"m-{key}",
        "userId": f"u-{key}",
        "properties": {"order_id": key, "total": total, "currency": "USD", "email": f"u{key}@example.com"},
        "context": {"ip": "8.8.8.8", "userAgent": "Mozilla/5.0", "page": {"url": "https://shop.example/"}},
    }


async def send(http: httpx.AsyncClient, url: str, *messages: dict[str, Any]) -> None:
    """Acknowledged at the first try."""
    answer = await http.post(f"{url}/v1/batch", json={"batch": messages}, auth=("web-key", ""))
    assert answer.status_code == 200, answer.text


async def until(what: Callable[[], bool]) -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


def verdicts(database: Database) -> dict[str, tuple[str, str | None]]:
    """Order's message -> (verdict, reason)."""
    query = (
        "SELECT e.message_key, l.verdict, l.reason FROM events e JOIN ledger l ON l.event = e.id "
        "WHERE e.message_key LIKE 'web:m-%' AND e.name = 'Order Completed'"
    )
    return {row[0].removeprefix("web:"): (row[1], row[2]) for row in asked(database, query)}


async def test_a_change_comes_into_force_and_is_rolled_back(place: Process) -> None:
    """What came before goes by the old file, what comes after by the new one; file, revision, audit and pages agree."""
    old = place.file.read_text()
    new = old + GATE
    place.file.chmod(0o640)
    async with served(place) as now_serving, httpx.AsyncClient(trust_env=False) as http:
        database = now_serving.database
        await send(http, now_serving.url, order("a", 5))
        await until(lambda: "m-a" in verdicts(database))
        first = now_serving.worker
        done = await wanted(database, new, old)
        assert (done.state, done.decided_by) == ("applied", "ben@shop.example")
        assert now_serving.worker is not first
        assert place.file.read_text() == new
        assert place.file.stat().st_mode & 0o777 == 0o640
        kept = await database.read(revisions.latest)
        assert kept is not None
        assert (kept.text, kept.who, kept.note, kept.origin) == (new, "ben@shop.example", "why not", "apply")
        assert done.revision == kept.id
        assert now_serving.standing.application.console.file_text() == new
        await send(http, now_serving.url, order("b", 5), order("c", 50))
        await until(lambda: len(verdicts(database)) == 3)
        found = verdicts(database)
        assert found["m-a"][0] != "withheld"
        assert found["m-b"][0] == "withheld"
        assert found["m-c"][0] != "withheld"
        back = await wanted(database, old, new, origin="rollback")
        assert back.state == "applied"
        assert place.file.read_text() == old
        assert [each[0].origin for each in await database.read(partial(revisions.listed, most=9, after=99))] == [
            "rollback",
            "apply",
            "start",
        ]
        await send(http, now_serving.url, order("d", 5))
        await until(lambda: "m-d" in verdicts(database))
        assert verdicts(database)["m-d"][0] != "withheld"
    assert [] == [each.name for each in place.folder.iterdir() if each.name.startswith(".signalpost.yaml")]


async def test_nothing_acknowledged_is_lost_while_changes_come_into_force(place: Process, platforms: Client) -> None:
    """Under traffic every request is acknowledged at once, and each of its events has its verdict in the end."""
    platforms.fault("latency", ms=20, jitter_ms=80)
    texts = [place.file.read_text(), place.file.read_text() + GATE]
    acknowledged: list[str] = []
    stopping = False

    async def load(client: int, url: str) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            number = 0
            while not stopping:
                keys = [f"{client}-{number}-{place}" for place in range(5)]
                await send(http, url, *(order(key, 5 + 10 * (number % 2)) for key in keys))
                acknowledged.extend(f"m-{key}" for key in keys)
                number += 1
                await asyncio.sleep(0.02)

    async with served(place) as now_serving:
        database = now_serving.database
        clients = [asyncio.create_task(load(client, now_serving.url)) for client in range(2)]
        await asyncio.sleep(0.5)
        for turn in range(3):
            before, after = texts[turn % 2], texts[(turn + 1) % 2]
            assert (await wanted(database, after, before)).state == "applied"
            await asyncio.sleep(0.3)
        stopping = True
        await asyncio.gather(*clients)
        assert len(acknowledged) == len(set(acknowledged)) > 50
        await until(lambda: set(acknowledged) <= verdicts(database).keys())
        await until(lambda: not any(verdict == "waiting" for verdict, _ in verdicts(database).values()))
        found = verdicts(database)
        assert {verdict for verdict, _ in found.values()} <= {"accepted", "withheld"}
        sent = [name for name, (verdict, _) in found.items() if verdict == "accepted"]
        assert [(len(sent),)] == asked(database, "SELECT count(*) FROM ledger WHERE verdict = 'accepted'")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("web-key", "web-key, colour: red"), "There is no option"),
        (("workspace: crash", "workspace: other"), "cannot be changed"),
        (("${TIKTOK_TOKEN}", "${NO_SUCH_TOKEN}"), "NO_SUCH_TOKEN"),
    ],
)
async def test_what_is_wrong_is_refused_with_a_sentence(place: Process, change: tuple[str, str], said: str) -> None:
    """The file, the worker and the revision stay; the proposal waits again and says why."""
    old = place.file.read_text()
    async with served(place) as now_serving:
        worker = now_serving.worker
        found = await wanted(now_serving.database, old.replace(*change), old)
        assert found.state == "draft"
        assert said in found.sentence
        assert found.decided_by is None
        assert now_serving.worker is worker
        assert place.file.read_text() == old
        other = await wanted(now_serving.database, old + GATE, "another text")
        assert "Plan it again" in other.sentence


async def test_a_file_that_was_changed_by_hand_is_not_written_over(place: Process) -> None:
    """Somebody's own edit is never lost to an apply; when it is the proposal itself, it comes into force."""
    old = place.file.read_text()
    async with served(place) as now_serving:
        place.file.write_text(old + "# by hand\n")
        refused = await wanted(now_serving.database, old + GATE, old)
        assert "by hand" in refused.sentence
        assert place.file.read_text() == old + "# by hand\n"
        assert (await wanted(now_serving.database, old + "# by hand\n", old)).state == "applied"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
async def test_a_file_that_cannot_be_written_leaves_the_old_in_force(place: Process) -> None:
    """The flow goes back to the old file and the proposal says what to do."""
    old = place.file.read_text()
    async with served(place) as now_serving:
        place.folder.chmod(0o500)
        try:
            found = await wanted(now_serving.database, old + GATE, old)
        finally:
            place.folder.chmod(0o700)
        assert "cannot be written" in found.sentence
        assert now_serving.standing.application.console.file_text() == old


async def test_a_flow_that_cannot_begin_leaves_the_old_in_force(place: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one begins again, goes on with what came meanwhile, and the proposal says why."""
    from signalpost.watch import Watch

    old = place.file.read_text()
    begin = Watch.__init__

    def failing(self: Any, database: Database, workspace: config.Workspace, **more: Any) -> None:
        if workspace.gates:
            raise RuntimeError("no watch today")
        begin(self, database, workspace, **more)

    monkeypatch.setattr(Watch, "__init__", failing)
    async with served(place) as now_serving, httpx.AsyncClient(trust_env=False) as http:
        found = await wanted(now_serving.database, old + GATE, old)
        assert "no watch today" in found.sentence
        assert place.file.read_text() == old
        await send(http, now_serving.url, order("a", 5))
        await until(lambda: verdicts(now_serving.database).get("m-a", ("", None))[0] == "accepted")


async def test_live_pages_come_again(place: Process) -> None:
    """A stream ends when another file comes into force; the next one is answered, with the same cookie."""
    old = place.file.read_text()
    async with served(place) as now_serving, httpx.AsyncClient(trust_env=False, timeout=20) as http:
        from signalpost.store import accounts

        database = now_serving.database

        def enter(connection: Connection) -> str:
            user = accounts.add(connection, email="ada@shop.example", name="Ada", role="viewer", password="", now=now_ms())
            return accounts.link(connection, "enter", user.id, now_ms())

        assert (await http.get(f"{now_serving.url}/enter/{await database.write(enter)}")).status_code == 303

        async def watch() -> int:
            async with http.stream("GET", f"{now_serving.url}/live") as answer:
                return len([line async for line in answer.aiter_lines()])

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.5)
        assert not watching.done()
        assert (await wanted(database, old + GATE, old)).state == "applied"
        assert await asyncio.wait_for(watching, PATIENCE) > 0
        assert (await http.get(f"{now_serving.url}/changes")).status_code == 200


@pytest.mark.parametrize("written", [False, True])
async def test_a_crash_leaves_the_one_or_the_other_in_force(place: Process, written: bool) -> None:
    """What a killed server had in hand is settled at the next start: in force exactly when the file has it."""
    old = place.file.read_text()
    new = old + GATE
    async with served(place):
        pass
    database = Database(str(place.folder / "signalpost.db"))
    number = database.submit(partial(propose, text=new, base=old)).result()
    assert database.submit(partial(revisions.take, number=number, now=1)).result()
    database.close()
    if written:
        revising.write(place.file, new)
    async with served(place) as now_serving:
        found = await settled(now_serving.database, number)
        kept = await now_serving.database.read(revisions.latest)
        assert kept is not None
        assert (found.state, kept.text) == (("applied", new) if written else ("draft", old))
        assert (kept.who == "ben@shop.example") is written
        assert bool(found.sentence) is not written


@pytest.mark.slow
async def test_a_server_killed_while_a_change_comes_into_force_starts_with_one_of_both(place: Process) -> None:
    """kill -9 at every moment of it: the file is whole, the server starts, and file, revision and proposal agree."""
    texts = [place.file.read_text(), place.file.read_text() + GATE]
    applied = 0
    for turn in range(10):
        present = place.file.read_text()
        other = texts[1 - texts.index(present)]
        await place.start()
        database = Database(str(place.folder / "signalpost.db"))
        number = database.submit(partial(propose, text=other, base=present)).result()
        await asyncio.sleep(0.15 * turn)
        await place.kill()
        database.close()
        assert place.file.read_text() in texts
        await place.start()
        database = Database(str(place.folder / "signalpost.db"))
        found, kept = await settled(database, number), database.look(revisions.latest)
        database.close()
        assert kept is not None
        assert kept.text == place.file.read_text()
        assert (found.state == "applied") is (kept.text == other)
        applied += found.state == "applied"
        await place.stop()
    assert applied


async def test_servers_on_one_database_follow_each_other(tmp_path: Path, platforms: Client, postgres: str) -> None:
    """One applies, the other takes it up and writes its own file; one whose file differs goes on with its own."""
    address = new_postgres_database(postgres)
    places = []
    for name in ("one", "two", "other"):
        (tmp_path / name).mkdir()
        made = Process(tmp_path / name, platforms, REST)
        text = made.file.read_text().replace(f"{made.folder}/signalpost.db", f'"{address}"')
        made.file.write_text(text + ("# of its own\n" if name == "other" else ""))
        places.append(made)
    one, two, other = places
    old, own = one.file.read_text(), other.file.read_text()
    async with served(other) as third, served(one) as first, served(two) as second:
        assert old == two.file.read_text()
        done = await wanted(first.database, old + GATE, old)
        assert done.state == "applied", done.sentence
        end = time.monotonic() + PATIENCE
        while not (first.worker.workspace.gates and second.worker.workspace.gates):
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
        assert one.file.read_text() == two.file.read_text() == old + GATE
        await asyncio.sleep(1)
        assert not third.worker.workspace.gates
        assert other.file.read_text() == own


async def command(place: Process, *words: str) -> tuple[int, str]:
    """`signalpost apply` on the command line: its exit code and what it said."""
    import sys

    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from signalpost.cli import main; main()", "apply", *words, "--config", str(place.file),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=place.environment, cwd=place.folder,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(child.communicate(), PATIENCE)
    return child.returncode or 0, said.decode()


async def test_the_command_applies_with_and_without_a_server(place: Process) -> None:
    """A running server takes it up and the command says so; without one the file is written at once, by the same rules."""
    old = place.file.read_text()
    new = place.folder / "new.txt"
    new.write_text(old + GATE)
    async with served(place) as now_serving:
        code, said = await command(place, str(new), "--note", "by command", "--yes")
        assert code == 0, said
        assert "The running server has taken it up." in said
        assert "Nothing would change" in said
        assert now_serving.worker.workspace.gates
        latest = await now_serving.database.read(revisions.latest)
        assert latest is not None
        assert (latest.note, "command line" in latest.who) == ("by command", True)
    assert place.file.read_text() == old + GATE
    new.write_text(old)
    code, said = await command(place, str(new), "--no-plan", "--yes")
    assert code == 0, said
    assert "No server runs" in said
    assert place.file.read_text() == old
    code, said = await command(place, str(new), "--no-plan", "--yes")
    assert code == 2
    assert "in force already" in said


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """A link stays a link, the mode stays, nothing is left beside; a folder that is no folder is a sentence."""
    file, link = tmp_path / "real.yaml", tmp_path / "signalpost.yaml"
    file.write_text("a")
    file.chmod(0o600)
    link.symlink_to(file)
    revising.write(link, "b: ü\n")
    assert link.is_symlink()
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == ("b: ü\n".encode(), 0o600)
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / "no-folder").write_text("")
    with pytest.raises(Refused, match="cannot be written"):
        revising.write(tmp_path / "no-folder" / "signalpost.yaml", "c")
