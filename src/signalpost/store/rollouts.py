"""Where each destination's rollout stands, and the audit of what was changed."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from msgspec import Struct

from signalpost import clocks, coverage, rollout
from signalpost.config import Destination, Workspace
from signalpost.rollout import Check, Counted, Figures, Standing
from signalpost.store import sums, trends
from signalpost.store.batches import LONGEST_LABEL, MINUTE
from signalpost.store.database import Connection

HOUR = 3_600_000
ITSELF = "Signalpost"
"""Who changed a rollout when nobody did it by hand."""


MOVES = {(True, False): "advanced", (False, True): "moved back", (False, False): "begun anew"}
"""What a person did, by whether it went on or back."""


class Change(Struct, frozen=True, kw_only=True):
    """One change of a rollout, as the audit has it."""

    destination: str
    what: str
    """`began`, `advanced`, `moved back`, `begun anew`, `held`, `free again`, `ended`."""
    note: str
    stage: int


class Noted(Struct, frozen=True, kw_only=True):
    """One line of the audit."""

    at: int
    who: str
    what: str
    note: str


def standings(connection: Connection) -> dict[str, Standing]:
    """Where each destination's rollout stands, by destination; none for those whose rollout has not begun."""
    return {
        destination: Standing(destination=destination, stage=stage, since=since, held=held)
        for destination, stage, since, held in connection.rows("rollouts_all")
    }


def place(connection: Connection, standing: Standing, *, who: str, what: str, note: str, now: int) -> Change:
    """Write where a rollout stands, with a line in the audit."""
    connection.run("rollout_set", standing.destination, standing.stage, standing.since, standing.held)
    connection.run("audit_add", now, who, f"rollout {what}", standing.destination, note)
    return Change(destination=standing.destination, what=what, note=note, stage=standing.stage)


def audit(connection: Connection, subject: str, most: int = 20) -> list[Noted]:
    """The latest changes of a subject, the newest first."""
    return [Noted(at=at, who=who, what=what, note=note) for at, who, what, note in connection.rows("audit_of", subject, most)]


def figures(connection: Connection, destination: Destination, standing: Standing) -> Figures:
    """What happened to the events sent so far: from the first full minute of the stage, clocks and match keys from its hour."""
    name, since = standing.destination, standing.since
    sent = frozenset(event[:LONGEST_LABEL] for event in rollout.allowed(destination.rollout, standing.stage) or ())
    verdicts = [
        Counted(each.name, each.verdict, each.reason, bool(each.currency), each.signals)
        for each in sums.read(connection, since - since % MINUTE + MINUTE)
        if each.destination == name
    ]
    hour = since - since % HOUR
    times = trends.times(connection, hour, only=("accepted",)).get(("accepted", name), {})
    keys = coverage.merge(
        masks for (there, event), masks in trends.keys(connection, hour).items() if there == name and event in sent
    )
    score = coverage.score(keys, destination.type)
    return rollout.measured(
        verdicts,
        sent,
        latency=clocks.quantile(times, 0.95) if times else None,
        coverage=None if score is None else Fraction(score) / 100,
    )


class Status(Struct, frozen=True, kw_only=True):
    """One destination's rollout as it is shown; times in epoch ms."""

    destination: str
    stage: int
    """From 1, as people count; 0: it has not begun."""
    stages: int
    sends: list[str]
    since: int | None = None
    held: str = ""
    may_advance_at: int | None = None
    """The end of the stage's least time; None: the last stage, or it goes on by hand."""
    checks: list[Check] = []
    withheld: dict[str, dict[str, int]] = {}
    changes: list[Noted] = []


def status_of(connection: Connection, name: str, destination: Destination, standing: Standing | None, most: int = 5) -> Status:
    """Where one destination's rollout stands, with its figures and its latest `most` changes."""
    stages = destination.rollout
    if standing is None:
        return Status(destination=name, stage=0, stages=len(stages), sends=sorted(rollout.allowed(stages, 0) or ()))
    standing = rollout.placed(stages, standing)
    here, last = stages[standing.stage], standing.stage == len(stages) - 1
    return Status(
        destination=name,
        stage=standing.stage + 1,
        stages=len(stages),
        sends=sorted(rollout.allowed(stages, standing.stage) or ()),
        since=standing.since,
        held=standing.held,
        may_advance_at=None if last else rollout.earliest(here, standing),
        checks=[] if last else list(rollout.checks(here, figures(connection, destination, standing))),
        withheld=kept_back(connection, standing),
        changes=[each for each in audit(connection, name, 4 * most) if each.what.startswith("rollout ")][:most],
    )


def kept_back(connection: Connection, standing: Standing) -> dict[str, dict[str, int]]:
    """What the rollout withheld since the stage began: `not_yet_rolled_out` or `over_cap` -> event -> signals."""
    found: dict[str, dict[str, int]] = {"not_yet_rolled_out": {}, "over_cap": {}}
    for each in sums.read(connection, standing.since):
        if each.destination == standing.destination and each.reason in found:
            events = found[each.reason]
            events[each.name] = events.get(each.name, 0) + each.signals
    return found


def measure(connection: Connection, workspace: Workspace, now: int) -> dict[Standing, Figures]:
    """The figures of the stages whose time has passed, for `advance_all`: counting a long stage takes up to a second."""
    found = {}
    for name, standing in standings(connection).items():
        destination = workspace.destinations.get(name)
        if destination is not None and destination.rollout:
            here = rollout.placed(destination.rollout, standing)
            if rollout.ripe(destination.rollout, here, now):
                found[here] = figures(connection, destination, here)
    return found


def advance_all(
    connection: Connection, workspace: Workspace, now: int, measured: Mapping[Standing, Figures] | None = None
) -> list[Change]:
    """Look at every rollout once: begin, advance, hold, free or end it, with an audit line each; in the caller's transaction.

    `measured` is what `measure` gave a moment ago on a reader's connection; without it the counting holds the writer. A
    destination seen for the first time begins in its first stage; one whose `rollout` left the file sends everything, and
    would begin anew. Called again at the same moment it changes nothing.
    """
    known = standings(connection)
    measured = measure(connection, workspace, now) if measured is None else measured
    changes = []
    for name, destination in workspace.destinations.items():
        if destination.rollout:
            changes += _look(connection, destination, known.get(name), name, now, measured)
    for name in known:
        if name not in workspace.destinations or not workspace.destinations[name].rollout:
            note = "The workspace file has no rollout for it any more."
            connection.run("rollout_drop", name)
            connection.run("audit_add", now, ITSELF, "rollout ended", name, note)
            changes.append(Change(destination=name, what="ended", note=note, stage=known[name].stage))
    return changes


def move(connection: Connection, workspace: Workspace, destination: str, steps: int, *, who: str, note: str, now: int) -> Change:
    """Go so many stages on (or back, or 0: begin this one anew) by hand; raise `ValueError` where there is no such stage."""
    stages = workspace.destinations[destination].rollout
    standing = standings(connection).get(destination, Standing(destination=destination, since=now))
    moved = rollout.moved(stages, standing, steps, now)
    return place(connection, moved, who=who, what=MOVES[steps > 0, steps < 0], note=note, now=now)


def _look(
    connection: Connection,
    destination: Destination,
    before: Standing | None,
    name: str,
    now: int,
    measured: Mapping[Standing, Figures],
) -> list[Change]:
    stages = destination.rollout
    say: dict[str, Any] = {"who": ITSELF, "now": now}
    if before is None:
        began = Standing(destination=name, since=now)
        return [place(connection, began, what="began", note=f"Stage 1 of {len(stages)}.", **say)]
    here = rollout.placed(stages, before)
    if rollout.ripe(stages, here, now) and here not in measured:
        return []  # moved by hand since it was measured: the next look has its figures
    after = rollout.advance(stages, before, measured.get(here, Figures()), now)
    if after.stage > before.stage:
        note = f"Stage {after.stage + 1} of {len(stages)}: everything that stage {before.stage + 1} asked for holds."
        return [place(connection, after, what="advanced", note=note, **say)]
    if after.stage < before.stage:
        note = f"The workspace file has {len(stages)} stages now, so this is the last."
        return [place(connection, after, what="moved back", note=note, **say)]
    if bool(after.held) != bool(before.held):
        what, note = ("held", after.held) if after.held else ("free again", f"Stage {after.stage + 1} of {len(stages)}.")
        return [place(connection, after, what=what, note=note, **say)]
    if after != before:  # the same hold with newer figures: worth keeping, not worth a line in the audit
        connection.run("rollout_set", after.destination, after.stage, after.since, after.held)
    return []
