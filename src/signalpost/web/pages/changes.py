"""Changes: every text of the workspace file that was in force, and what is proposed: written, planned, applied or discarded.

What is applied is only noted here (`revisions.want`); whoever serves the workspace takes it up within a second, and tells how it
went in the proposal.
"""

from __future__ import annotations

import secrets
from functools import cache, partial

import msgspec
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from signalpost import config, revising
from signalpost.destinations import CATALOG
from signalpost.errors import SignalpostError
from signalpost.marked import Mistake
from signalpost.proposals.comparison import Comparison
from signalpost.store import revisions
from signalpost.store.database import Connection
from signalpost.store.revisions import Proposal, Revision, digest
from signalpost.web import plans
from signalpost.web.comparing import Job
from signalpost.web.diffs import Diff, diff
from signalpost.web.door import POLICY
from signalpost.web.routing import OPERATOR, act, page, part
from signalpost.web.visit import WINDOWS, Visit

LISTED = 30
"""Revisions on a page."""

OPEN, CLOSED = 50, 10
"""Proposals on the page."""

SINCES = {"24h": "the last 24 hours", "7d": "the last 7 days", "30d": "the last 30 days"}
"""From when a plan replays events."""

ORIGINS = {"start": "found at start", "apply": "applied", "rollback": "rolled back"}
STATES = {
    "draft": "not planned yet",
    "comparing": "being planned",
    "compared": "planned",
    "failed": "plan failed",
    "wanted": "being applied",
    "applying": "being applied",
    "applied": "applied",
    "discarded": "discarded",
}
MADE_IN = {
    "editor": "in the editor",
    "segment": "on a segment's page",
    "setup": "by the set-up",
    "rollback": "to roll back",
    "command": "on the command line",
    "file": "of the file on the server",
}

ALONE = "Signalpost was started without a workspace file, so its set-up cannot be changed here. Start it with `signalpost serve`."
LONGEST_NOTE = 500


class Told(Struct, frozen=True, kw_only=True):
    """A mistake in a text, or something odd."""

    line: int
    column: int
    path: str
    sentence: str
    severity: str


class Kept(Struct, frozen=True, kw_only=True):
    """A revision in the list."""

    revision: int
    at: int
    who: str
    note: str
    origin: str
    added: int
    removed: int
    in_force: bool


class Waiting(Struct, frozen=True, kw_only=True):
    """A proposal in the list."""

    proposal: int
    at: int
    who: str
    note: str
    origin: str
    state: str
    sentence: str
    decided_by: str | None
    decided_at: int | None
    revision: int | None


class Changes(Struct, frozen=True, kw_only=True):
    """The list of revisions and proposals."""

    file: str | None
    """The workspace file's name; None when served without one."""
    by_hand: bool
    """Whether it holds something else than what is in force."""
    origin: str
    who: str
    revisions: list[Kept]
    after: int | None
    """Where the next page begins."""
    authors: list[str]
    open: list[Waiting]
    closed: list[Waiting]


class Shown(Struct, frozen=True, kw_only=True):
    """One revision beside the one before it."""

    revision: int
    before: int | None
    proposal: int | None
    at: int
    who: str
    note: str
    origin: str
    in_force: bool
    diff: Diff
    text: str


class Proposed(Struct, frozen=True, kw_only=True):
    """One proposal, what it would change in the file, and what that would change."""

    proposal: int
    at: int
    who: str
    note: str
    origin: str
    state: str
    sentence: str
    since: int | None
    done: int
    total: int
    decided_by: str | None
    decided_at: int | None
    revision: int | None
    file: str | None
    stale: bool
    """Whether the file was changed since this was proposed or planned."""
    stalled: bool
    """Whether the process that planned it has ended."""
    diff: Diff
    mistakes: list[Told]
    restarts: list[str]
    """Options that are read at the next start only."""
    headline: list[str]
    comparison: Comparison | None


class Written(Struct, frozen=True, kw_only=True):
    """The editor."""

    proposal: int | None
    file: str | None
    note: str
    text: str
    mistakes: list[Told]
    sentence: str
    """Why it was not kept."""


# ---- the list --------------------------------------------------------------------------------------------------------------


async def listed(visit: Visit) -> Response:
    """`/changes`: revisions, filtered by origin and by who made them, and the proposals that wait."""
    origin, who = visit.query("origin", most=20), visit.query("who", most=200)
    after = visit.query("after", most=19)
    below = int(after) if after.isdecimal() else (1 << 63) - 1

    def look(
        connection: Connection,
    ) -> tuple[list[tuple[Revision, str]], Revision | None, list[str], list[Proposal], list[Proposal]]:
        return (
            revisions.listed(connection, LISTED + 1, after=below, origin=origin, who=who),
            revisions.latest(connection),
            revisions.authors(connection),
            revisions.proposals(connection, OPEN),
            revisions.proposals(connection, CLOSED, closed=True),
        )

    found, latest, authors, waiting, closed = await visit.read(look)
    shown = found[:LISTED]
    facts = Changes(
        file=_name(visit),
        by_hand=_by_hand(visit),
        origin=origin,
        who=who,
        revisions=[_kept(one, before, latest) for one, before in shown],
        after=shown[-1][0].id if len(found) > LISTED else None,
        authors=authors,
        open=[_waiting(one) for one in waiting],
        closed=[_waiting(one) for one in closed],
    )
    return visit.page("changes.html", facts, changes=facts, origins=ORIGINS, states=STATES, made_in=MADE_IN)


def _kept(one: Revision, before: str, latest: Revision | None) -> Kept:
    size = diff(before, one.text)
    return Kept(
        revision=one.id,
        at=one.at,
        who=one.who,
        note=one.note,
        origin=one.origin,
        added=size.added,
        removed=size.removed,
        in_force=latest is not None and one.id == latest.id,
    )


def _waiting(one: Proposal) -> Waiting:
    return Waiting(
        proposal=one.id,
        at=one.at,
        who=one.who,
        note=one.note,
        origin=one.origin,
        state=one.state,
        sentence=one.sentence,
        decided_by=one.decided_by,
        decided_at=one.decided_at,
        revision=one.revision,
    )


def _name(visit: Visit) -> str | None:
    return None if visit.console.file is None else visit.console.file.name


def _by_hand(visit: Visit) -> bool:
    """Whether the file on the server holds something else than what is in force; a file that cannot be read does, too."""
    file, text = visit.console.file, visit.console.file_text()
    if file is None or text is None:
        return False
    try:
        return revising.changed_by_hand(file, text)
    except SignalpostError:
        return True


# ---- a revision ------------------------------------------------------------------------------------------------------------


async def _revision(visit: Visit) -> tuple[Revision, Revision | None]:
    number = visit.number("revision")
    found = await visit.read(partial(revisions.revision, number=number))
    if found is None:
        raise HTTPException(404, "There is no such revision. The list of changes has every one there is.")
    return found


async def revision(visit: Visit) -> Response:
    """`/changes/revisions/{revision}`: a revision, beside the one before it."""
    one, before = await _revision(visit)

    def look(connection: Connection) -> tuple[Revision | None, int | None]:
        return revisions.latest(connection), revisions.proposal_of(connection, one.id)

    latest, proposal = await visit.read(look)
    facts = Shown(
        revision=one.id,
        before=before.id if before is not None else None,
        proposal=proposal,
        at=one.at,
        who=one.who,
        note=one.note,
        origin=one.origin,
        in_force=latest is not None and latest.id == one.id,
        diff=diff(before.text if before is not None else "", one.text),
        text=one.text,
    )
    return visit.page("revision.html", facts, shown=facts, origins=ORIGINS)


async def download(visit: Visit) -> Response:
    """`/changes/revisions/{revision}/file`: a revision's text, as a file."""
    one, _ = await _revision(visit)
    name = f"signalpost-revision-{one.id}.yaml"
    return Response(one.text, media_type="application/yaml", headers={"content-disposition": f'attachment; filename="{name}"'})


async def roll_back(visit: Visit) -> Response:
    """Propose an earlier text again."""
    present = _present(visit)
    one, _ = await _revision(visit)
    if one.text == present:
        return visit.go(f"/changes/revisions/{one.id}", said="This is the text in force already.")

    def propose(connection: Connection) -> int:
        who = _who(visit)
        number = revisions.propose(
            connection,
            one.text,
            base=digest(present),
            who=who,
            note=f"Back to revision {one.id}",
            origin="rollback",
            since=None,
            now=visit.now,
        )
        visit.note(connection, "change_proposed", f"proposal {number}", f"back to revision {one.id}")
        return number

    number = await visit.write(propose)
    return visit.go(f"/changes/{number}", said=f"Revision {one.id} is proposed again. Plan it, or apply it at once.")


# ---- the editor ------------------------------------------------------------------------------------------------------------


async def new(visit: Visit) -> Response:
    """`/changes/new`: the editor, with the text in force."""
    facts = Written(proposal=None, file=_name(visit), note="", text=_present(visit), mistakes=[], sentence="")
    return _editor(visit, facts)


async def edit(visit: Visit) -> Response:
    """`/changes/{proposal}/edit`: the editor, with a proposal's text."""
    _present(visit)
    one = await _proposal(visit)
    _rests(one)
    mistakes = _mistakes(visit, one.text)
    return _editor(
        visit, Written(proposal=one.id, file=_name(visit), note=one.note, text=one.text, mistakes=mistakes, sentence="")
    )


def _editor(visit: Visit, facts: Written, status: int = 200) -> Response:
    nonce = secrets.token_urlsafe(18)
    action = "/changes/new" if facts.proposal is None else f"/changes/{facts.proposal}/edit"
    response = visit.page("editor.html", facts, status=status, written=facts, nonce=nonce, action=action)
    # The editor makes its own style sheet as it goes; only this page lets it.
    policy = {**POLICY, "style-src": f"{POLICY['style-src']} 'nonce-{nonce}'"}
    response.headers["content-security-policy"] = "; ".join(f"{what} {where}" for what, where in policy.items())
    return response


async def written(visit: Visit) -> Response:
    """The editor's form: keep a new proposal or another text of one, and plan it when asked to."""
    present = _present(visit)
    one = await _proposal(visit) if "proposal" in visit.request.path_params else None
    if one is not None:
        _rests(one)
    text = (await visit.field("text")).replace("\r\n", "\n")
    note = " ".join((await visit.field("note")).split())[:LONGEST_NOTE]
    planned = await visit.field("then") == "plan"
    mistakes = _mistakes(visit, text)
    sentence = ""
    if objection := revising.objection(text, visit.console.environ, CATALOG):
        sentence = f"It is not kept. {objection}"
    elif text == present:
        sentence = "This is the text in force; nothing is changed yet."
    elif planned and any(each.severity == "mistake" for each in mistakes):
        sentence = "It cannot be planned before its mistakes are mended. Save it as a draft to go on later."
    if sentence:
        number = one.id if one is not None else None
        shown = Written(proposal=number, file=_name(visit), note=note, text=text, mistakes=mistakes, sentence=sentence)
        return _editor(visit, shown, 422)

    def keep(connection: Connection) -> int:
        if one is not None:
            if not revisions.edit(connection, one.id, text, base=digest(present), note=note, now=visit.now):
                raise HTTPException(409, "This proposal is under way or closed by now. Load its page again.")
            visit.note(connection, "change_edited", f"proposal {one.id}", note)
            return one.id
        number = revisions.propose(
            connection, text, base=digest(present), who=_who(visit), note=note, origin="editor", since=None, now=visit.now
        )
        visit.note(connection, "change_proposed", f"proposal {number}", note)
        return number

    number = await visit.write(keep)
    if planned:
        await _plan(visit, number, text, "7d")
    return visit.go(f"/changes/{number}", said="" if planned else "The draft is kept.")


async def check(visit: Visit) -> Response:
    """`/changes/check`: what is wrong with a text, for the editor as one types."""
    text = (await visit.field("text")).replace("\r\n", "\n")
    return JSONResponse([msgspec.to_builtins(each) for each in _mistakes(visit, text)])


async def schema(_: Visit) -> Response:
    """`/changes/schema`: the JSON Schema of the workspace file, for the editor."""
    return Response(_schema(), media_type="application/schema+json", headers={"cache-control": "private, max-age=3600"})


@cache
def _schema() -> bytes:
    return msgspec.json.encode(config.schema(CATALOG))


def _mistakes(visit: Visit, text: str) -> list[Told]:
    _, found = _read(visit, text)
    return [_told(each) for each in found]


def _told(each: Mistake) -> Told:
    return Told(line=each.line, column=each.column, path=each.path, sentence=each.sentence, severity=each.severity)


def _read(visit: Visit, text: str) -> tuple[config.Workspace | None, tuple[Mistake, ...]]:
    return revising.read(text, visit.workspace, visit.console.environ, CATALOG, visit.console.file)


def _present(visit: Visit) -> str:
    text = visit.console.file_text()
    if text is None:
        raise HTTPException(409, ALONE)
    return text


def _who(visit: Visit) -> str:
    return "" if visit.user is None else visit.user.email or visit.user.name


# ---- a proposal ------------------------------------------------------------------------------------------------------------


async def _proposal(visit: Visit) -> Proposal:
    number = visit.number("proposal")
    found = await visit.read(partial(revisions.proposal, number=number))
    if found is None:
        raise HTTPException(404, "There is no such proposal. The list of changes has every one there is.")
    return found


def _rests(one: Proposal) -> None:
    if one.state not in revisions.RESTING:
        raise HTTPException(409, f"This proposal is {STATES[one.state]}; it cannot be edited. Propose another change.")


async def proposal(visit: Visit) -> Response:
    """`/changes/{proposal}`: what is proposed, what it would change, and what can be done with it."""
    one = await _proposal(visit)
    present = visit.console.file_text()

    def look(connection: Connection) -> tuple[bytes | None, str | None]:
        return revisions.result(connection, one.id), revisions.text_of(connection, one.base)

    result, base = await visit.read(look)
    after, found = _read(visit, one.text) if one.open else (None, ())
    comparison = msgspec.json.decode(result, type=Comparison) if result is not None else None
    facts = Proposed(
        proposal=one.id,
        at=one.at,
        who=one.who,
        note=one.note,
        origin=one.origin,
        state=one.state,
        sentence=one.sentence,
        since=one.since,
        done=one.done,
        total=one.total,
        decided_by=one.decided_by,
        decided_at=one.decided_at,
        revision=one.revision,
        file=_name(visit),
        stale=one.open and present is not None and digest(present) != one.base,
        stalled=_stalled(one, visit.now),
        diff=diff((present if one.open else base) or base or "", one.text),
        mistakes=[_told(each) for each in found],
        restarts=revising.restarts(visit.workspace, after) if after is not None else [],
        headline=plans.headline(comparison, visit.workspace) if comparison is not None else [],
        comparison=comparison,
    )
    return visit.page(
        "proposal.html",
        facts,
        proposed=facts,
        states=STATES,
        made_in=MADE_IN,
        sinces=SINCES,
        since=_since_name(one, comparison),
        plan=plans.drawn(comparison, visit.workspace) if comparison is not None else None,
        wrong=[each for each in facts.mistakes if each.severity == "mistake"],
    )


def _since_name(one: Proposal, comparison: Comparison | None) -> str:
    """The span last planned, a key of `SINCES`."""
    if one.since is None:
        return "7d"
    span = (comparison.until if comparison is not None else one.changed_at) - one.since
    return min(SINCES, key=lambda name: abs(WINDOWS[name] - span))


def _stalled(one: Proposal, now: int) -> bool:
    return one.state == "comparing" and now - one.changed_at > revisions.STALLED_MS


async def progress(visit: Visit) -> Response:
    """`/changes/{proposal}/progress`: how far a plan or its application is; tells the page to load again when it has ended."""
    one = await _proposal(visit)
    if one.state not in {"comparing", "wanted", "applying"} or _stalled(one, visit.now):
        return Response(headers={"hx-refresh": "true"})
    return visit.part("_progress.html", proposed=one)


async def plan(visit: Visit) -> Response:
    """Hold a proposal against the file in force."""
    one = await _proposal(visit)
    await _plan(visit, one.id, one.text, await visit.field("since", "7d"))
    return visit.go(f"/changes/{one.id}")


async def _plan(visit: Visit, number: int, text: str, since: str) -> None:
    present = _present(visit)
    after, _ = _read(visit, text)
    if after is None:
        raise HTTPException(409, "It cannot be planned before its mistakes are mended.")
    job = Job(
        address=visit.workspace.database,
        before=visit.workspace,
        after=after,
        since=visit.now - WINDOWS[since if since in SINCES else "7d"],
        until=visit.now,
    )

    def begin(connection: Connection) -> None:
        if not revisions.compare(connection, number, base=digest(present), since=job.since, now=visit.now):
            raise HTTPException(409, "This proposal is under way or closed by now. Load its page again.")
        visit.note(connection, "change_planned", f"proposal {number}", SINCES.get(since, since))

    await visit.write(begin)
    visit.console.comparing.start(number, job)


async def apply(visit: Visit) -> Response:
    """Say that a proposal shall be applied; whoever serves the workspace does it."""
    one = await _proposal(visit)
    present = _present(visit)
    unplanned = one.state != "compared"
    if one.state not in revisions.RESTING:
        raise HTTPException(409, f"This proposal is {STATES[one.state]}. Load its page again.")
    if unplanned and await visit.field("without_plan") != "yes":
        raise HTTPException(409, "This proposal has no plan yet. Plan it first, or choose to apply it without a plan.")
    if one.base != digest(present):
        raise HTTPException(
            409, "The file was changed since this was planned. Plan it again, look at what it would change, and apply."
        )
    if _by_hand(visit):
        raise HTTPException(
            409,
            "The file on the server was changed by hand and holds something else than what is in force. Propose what it holds "
            "on the page of changes, or put it back.",
        )
    after, found = _read(visit, one.text)
    if after is None:
        raise HTTPException(409, "It cannot be applied: " + next(each.sentence for each in found if each.severity == "mistake"))

    def want(connection: Connection) -> None:
        if not revisions.want(connection, one.id, one.state, _who(visit), visit.now):
            raise HTTPException(409, "This proposal is under way or closed by now. Load its page again.")
        visit.note(connection, "change_wanted", f"proposal {one.id}", "without a plan" if unplanned else "")

    await visit.write(want)
    return visit.go(f"/changes/{one.id}")


async def discard(visit: Visit) -> Response:
    """Drop a proposal: nothing changes."""
    one = await _proposal(visit)

    def drop(connection: Connection) -> None:
        if not revisions.discard(connection, one.id, _who(visit), visit.now):
            raise HTTPException(409, "This proposal is being applied, or closed by now. Load its page again.")
        visit.note(connection, "change_discarded", f"proposal {one.id}", one.note)

    await visit.write(drop)
    return visit.go("/changes", said=f"Proposal {one.id} is discarded; nothing was changed.")


async def found(visit: Visit) -> Response:
    """Propose what somebody wrote into the file on the server."""
    present = _present(visit)
    if visit.console.file is None:
        raise HTTPException(409, ALONE)
    text = revising.in_file(visit.console.file)
    if text == present:
        return visit.go("/changes", said="The file holds what is in force; there is nothing to propose.")
    if objection := revising.objection(text, visit.console.environ, CATALOG):
        raise HTTPException(409, f"What the file holds cannot be proposed. {objection}")

    def propose(connection: Connection) -> int:
        number = revisions.propose(
            connection,
            text,
            base=digest(present),
            who=_who(visit),
            note="Changed by hand on the server",
            origin="file",
            since=None,
            now=visit.now,
        )
        visit.note(connection, "change_proposed", f"proposal {number}", "what the file on the server holds")
        return number

    return visit.go(f"/changes/{await visit.write(propose)}")


WAYS = (
    page("/changes", listed),
    page("/changes/new", new, OPERATOR),
    act("/changes/new", written),
    act("/changes/check", check),
    act("/changes/found", found),
    part("/changes/schema", schema),
    page("/changes/revisions/{revision:int}", revision),
    part("/changes/revisions/{revision:int}/file", download),
    act("/changes/revisions/{revision:int}/roll-back", roll_back),
    page("/changes/{proposal:int}", proposal),
    page("/changes/{proposal:int}/edit", edit, OPERATOR),
    act("/changes/{proposal:int}/edit", written),
    part("/changes/{proposal:int}/progress", progress),
    act("/changes/{proposal:int}/plan", plan),
    act("/changes/{proposal:int}/apply", apply),
    act("/changes/{proposal:int}/discard", discard),
)
