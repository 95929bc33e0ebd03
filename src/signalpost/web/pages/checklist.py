"""Both platforms' implementation checklists with live evidence: read, signed off, and shared with people without an account.

The page only reads what the loop beside (`watch`) or "check now" left (`doctor.keeping`), and says as of when.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import Response

from signalpost import masking
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.doctor import Checked, keeping
from signalpost.doctor.keeping import Checkup, Measured
from signalpost.options import Measurement
from signalpost.store import shares
from signalpost.store.database import Connection
from signalpost.store.shares import CHECKLIST, Share, Signoff
from signalpost.web.door import come_again
from signalpost.web.routing import ANYONE, act, page
from signalpost.web.visit import Visit

DAY = 86_400_000

LASTING = {"7": "a week", "30": "30 days", "90": "90 days"}
"""Days that a link may work, in words."""

NOTE = 500

WORDS = {"pass": "met", "warn": "met in part", "fail": "not met", "not yet known": "cannot know yet"}
TONES = {"pass": "accepted", "warn": "warned", "fail": "refused", "not yet known": "withheld"}
_ORDERS = re.compile(r"\S+:[a-z]+(?:-[a-z]+)+")
"""Ids made of order numbers, as in `A-17:order-completed`: an order is somebody's, so no shared page names one."""

ORDER = ("fail", "warn", "not yet known", "pass")


class Item(Struct, frozen=True, kw_only=True):
    """One line of a checklist."""

    check: str
    title: str
    state: str
    """A key of `WORDS`."""
    word: str
    sentence: str
    advice: str
    at: int | None
    """When its latest evidence happened; None: the workspace file alone says so, or there is none."""
    counts: dict[str, int]
    events: list[int]
    """Examples; none on a shared page."""


class Changed(Struct, frozen=True, kw_only=True):
    """A line that says something else than when it was signed off."""

    title: str
    was: str
    now: str
    better: bool


class Signed(Struct, frozen=True, kw_only=True):
    """The latest sign-off, and what changed since."""

    signoff: Signoff
    changed: list[Changed]


class Sheet(Struct, frozen=True, kw_only=True):
    """The checklist of a destination, or (an empty name) of what concerns all of them."""

    destination: str
    title: str
    met: int
    of: int
    counts: dict[str, int]
    """Word -> lines."""
    items: list[Item]
    signed: Signed | None = None


class Plan(Struct, frozen=True, kw_only=True):
    """The measurement plan beside what happened in the last 7 days."""

    primary: str | None
    success: str | None
    checked: str | None
    measured: list[Measured]


class Checklist(Struct, frozen=True, kw_only=True):
    """The page."""

    workspace: str
    environment: str
    at: int | None
    """When it was last gone through; None: not yet."""
    sheets: list[Sheet]
    plan: Plan
    links: list[Share]
    """For operators only."""


def sheets(
    workspace: Workspace, checkup: Checkup, signed: dict[str, tuple[Signoff, bytes]], *, only: str = "", examples: bool = True
) -> list[Sheet]:
    """A sheet for each destination there is (`only` one where it is named) and one for what concerns all."""
    made = []
    for name in (*workspace.destinations, ""):
        if only and name not in {only, ""}:
            continue
        checks = [each for each in checkup.checks if each.destination == name]
        if not checks:
            continue
        items = sorted((_item(each, examples=examples) for each in checks), key=lambda each: ORDER.index(each.state))
        made.append(
            Sheet(
                destination=name,
                title=CATALOG[workspace.destinations[name].type].title if name else "The whole workspace",
                met=sum(each.state == "pass" for each in items),
                of=len(items),
                counts={word: many for state, word in WORDS.items() if (many := sum(each.state == state for each in items))},
                items=items,
                signed=_signed(signed[name], checks) if name in signed else None,
            )
        )
    return made


def _item(checked: Checked, *, examples: bool) -> Item:
    return Item(
        check=checked.check,
        title=checked.title,
        state=checked.state,
        word=WORDS[checked.state],
        sentence=masking.text(checked.sentence) if examples else _ORDERS.sub("…", masking.text(checked.sentence)),
        advice=masking.text(checked.advice),
        at=checked.at,
        counts=checked.counts,
        events=list(checked.events[:3]) if examples else [],
    )


def _signed(kept: tuple[Signoff, bytes], checks: Iterable[Checked]) -> Signed:
    signoff, written = kept
    was = {each.check: each for each in msgspec.json.decode(written, type=list[Checked])}
    changed = []
    for each in checks:
        before = was.get(each.check)
        if before is None or before.state != each.state:
            then = "not there" if before is None else WORDS[before.state]
            better = before is not None and ORDER.index(each.state) > ORDER.index(before.state)
            changed.append(Changed(title=each.title, was=then, now=WORDS[each.state], better=better))
    return Signed(signoff=signoff, changed=changed)


def _plan(plan: Measurement, checkup: Checkup | None, only: str = "") -> Plan:
    return Plan(
        primary=plan.primary,
        success=plan.success,
        checked=plan.checked,
        measured=[each for each in (checkup.measured if checkup else ()) if only in {"", each.destination}],
    )


def _facts(
    connection: Connection, workspace: Workspace, *, now: int, links: bool, only: str = "", examples: bool = True
) -> Checklist:
    checkup = keeping.kept(connection)
    return Checklist(
        workspace=workspace.workspace,
        environment=workspace.environment,
        at=checkup.at if checkup else None,
        sheets=sheets(workspace, checkup, shares.signed(connection), only=only, examples=examples) if checkup else [],
        plan=_plan(workspace.measurement, checkup, only),
        links=shares.live(connection, CHECKLIST, now) if links else [],
    )


async def show(visit: Visit) -> Response:
    """`/checklist`: each destination's sheet, the measurement plan, links for people without an account."""
    links, now = visit.may("operator"), visit.now
    facts = await visit.read(lambda connection: _facts(connection, visit.workspace, now=now, links=links))
    return visit.page("checklist.html", facts, checklist=facts, tones=TONES, lasting=LASTING, fresh="")


async def checked(visit: Visit) -> Response:
    """Go through the checklists now, and ask each platform whether it knows the account."""
    await keeping.once(visit.console.database, visit.workspace, visit.now, ask=True)
    await visit.write(lambda connection: visit.note(connection, "checklist", "checklist", "gone through by hand"))
    return visit.go("/checklist", said="Every platform was asked, and the checklists are as of now.")


async def signed(visit: Visit) -> Response:
    """Sign a destination's checklist off."""
    name, note = await visit.field("destination"), " ".join((await visit.field("note")).split())[:NOTE]
    if name not in visit.workspace.destinations:
        raise HTTPException(422, "The workspace file has no such destination.")
    if not note:
        raise HTTPException(422, "Write what you looked at: it stands beside your name.")
    who = visit.user.name if visit.user else ""  # shared pages show it: a name, no address

    def work(connection: Connection) -> None:
        checkup = keeping.kept(connection)
        if checkup is None:
            raise HTTPException(422, "The checklist has not been gone through yet; press Check now first.")
        checks = [each for each in checkup.checks if each.destination == name]
        signoff = Signoff(destination=name, who=who, note=note, at=visit.now)
        shares.sign(connection, signoff, msgspec.json.encode(checks))
        met = sum(each.state == "pass" for each in checks)
        visit.note(connection, "signoff", name, f"{met} of {len(checks)} met: {note}")

    await visit.write(work)
    return visit.go(f"/checklist#sheet-{name}", said=f"You signed the checklist of {name} off.")


# ---- links for people without an account -----------------------------------------------------------------------------------


async def shared(visit: Visit) -> Response:
    """Make a link; it is shown once, for only its digest is kept."""
    subject, days = await visit.field("subject"), await visit.field("days", "30")
    if (subject and subject not in visit.workspace.destinations) or days not in LASTING:
        raise HTTPException(422, "There is no such checklist, or no such time.")

    def work(connection: Connection) -> str:
        secret, number = shares.make(
            connection, what=CHECKLIST, subject=subject, who=_who(visit), now=visit.now, lasts=int(days) * DAY
        )
        visit.note(connection, "share", f"link {number}", f"the checklist of {subject or 'everything'}, {LASTING[days]}")
        return secret

    secret = await visit.write(work)
    facts = await visit.read(lambda connection: _facts(connection, visit.workspace, now=visit.now, links=True))
    fresh = f"{visit.base}/shared/{secret}"
    return visit.page("checklist.html", facts, checklist=facts, tones=TONES, lasting=LASTING, fresh=fresh)


async def unshared(visit: Visit) -> Response:
    """Make a link useless."""
    number = visit.number("share")

    def work(connection: Connection) -> bool:
        done = shares.remove(connection, number, CHECKLIST, visit.now)
        if done:
            visit.note(connection, "unshare", f"link {number}")
        return done

    if not await visit.write(work):
        raise HTTPException(404, "This link works no more already.")
    return visit.go("/checklist#links", said="That link works no more.")


async def read_shared(visit: Visit) -> Response:
    """`/shared/{secret}`: the checklist for whoever has the link, and nothing else."""
    address, seconds = f"shared {visit.console.address_of(visit.request)}", visit.now / 1000
    if wait := visit.console.attempts.wait(address, seconds):
        return come_again(wait)
    secret, now = visit.request.path_params["secret"], visit.now
    share = await visit.read(lambda connection: shares.find(connection, secret, now))
    if share is None or share.what != CHECKLIST:
        visit.console.attempts.failed(address, seconds)
        raise HTTPException(404, "This link is too old or was withdrawn. Ask whoever gave it to you for a new one.")
    if share.seen_at is None or now - share.seen_at >= shares.SEEN_MS:
        await visit.write(lambda connection: shares.see(connection, share, now))
    only = share.subject if share.subject in visit.workspace.destinations else ""
    if share.subject and not only:
        raise HTTPException(404, "What this link was about is there no more. Ask whoever gave it to you for a new one.")
    facts = await visit.read(
        lambda connection: _facts(connection, visit.workspace, now=now, links=False, only=only, examples=False)
    )
    response = visit.page("shared.html", facts, checklist=facts, tones=TONES, until=share.until)
    response.headers["x-robots-tag"] = "noindex, nofollow"
    response.headers["referrer-policy"] = "no-referrer"
    return response


def _who(visit: Visit) -> str:
    return "" if visit.user is None else visit.user.email or visit.user.name


WAYS = (
    page("/checklist", show),
    act("/checklist/check", checked),
    act("/checklist/sign", signed),
    act("/checklist/share", shared),
    act("/checklist/share/{share:int}/remove", unshared),
    page("/shared/{secret}", read_shared, ANYONE),
)
