"""Both platforms' implementation checklists as live checks: pass, warn, fail or not yet known, with evidence and its age.

`CHECKS` is the list. A check looks at what the file says and at what has happened, changes nothing and asks nobody; only `ask`
sends each platform its request without side effects. What was seen longer ago than `VALID_MS` is no evidence any more.

    evidence        what has happened
    checks          what a check is
    of_destination  the checks of a destination
    of_audiences    the checks of its audiences
    of_workspace    the checks of the whole workspace
    keeping         the checklists as they were last gone through
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.doctor import of_audiences, of_destination, of_workspace
from signalpost.doctor.checks import STATES, Answer, Check, Look, State
from signalpost.doctor.evidence import VALID_MS, Evidence, Trial, answers, ask, gather, nothing
from signalpost.findings import span

__all__ = [
    "CHECKS",
    "STATES",
    "VALID_MS",
    "Answer",
    "Check",
    "Checked",
    "Evidence",
    "Look",
    "State",
    "Trial",
    "answers",
    "ask",
    "examine",
    "gather",
    "nothing",
]


class Checked(Struct, frozen=True, kw_only=True):
    """One line of the checklist."""

    check: str
    title: str
    destination: str
    """Empty for what concerns the whole workspace."""
    state: State
    sentence: str
    advice: str
    at: int | None
    age_ms: int | None
    counts: dict[str, int]
    events: tuple[int, ...]


CHECKS: tuple[Check, ...] = (
    Check("events_mapped", "Events are mapped", True, of_destination.events_mapped),
    Check("account", "The right account is connected", True, of_destination.account),
    Check("tested", "A test event arrives", True, of_destination.tested),
    Check("arriving", "Production events are accepted", True, of_destination.arriving),
    Check("purchase_complete", "Purchases have order id, value, currency and items", True, of_destination.purchase_complete),
    Check("identifiers", "Identifiers are there when the event fires", True, of_destination.identifiers),
    Check("match_coverage", "Match coverage", True, of_destination.match_coverage),
    Check("dedupe_plan", "Pixel and server are counted once", True, of_destination.dedupe_plan),
    Check("in_time", "Signals arrive within the hour", True, of_destination.in_time),
    Check("suppression", "Recent buyers are suppressed", True, of_audiences.suppression),
    Check("windows", "Windows fit the journeys", True, of_audiences.windows),
    Check("fired_once", "Each event is defined and fired once", False, of_workspace.fired_once),
    Check("test_apart", "Test data stays out of production", False, of_workspace.test_apart),
    Check("measurement", "The measurement plan is written down", False, of_workspace.measurement),
    Check("alerts", "Somebody is told", False, of_workspace.alerts),
)


OF_TOOLS = frozenset({"account", "tested", "in_time"})
"""What is asked of destinations that are the shop's own tools and learn nothing of ads."""


def _asked(name: str, workspace: Workspace) -> Iterator[Check]:
    """The checks of a destination, or (an empty name) of the workspace."""
    tool = bool(name) and not CATALOG[workspace.destinations[name].type].advertising
    return (check for check in CHECKS if check.each == bool(name) and (not tool or check.name in OF_TOOLS))


def examine(workspace: Workspace, evidence: Evidence) -> list[Checked]:
    """Every check of every destination, then those of the workspace."""
    now = evidence.figures.now
    told = []
    for name in (*workspace.destinations, ""):
        for check in _asked(name, workspace):
            answer = _fresh(check.run(Look(workspace, evidence, name)), now)
            told.append(
                Checked(
                    check=check.name,
                    title=check.title,
                    destination=name,
                    state=answer.state,
                    sentence=answer.sentence,
                    advice=answer.advice,
                    at=answer.at,
                    age_ms=None if answer.at is None else max(0, now - answer.at),
                    counts=answer.counts,
                    events=answer.events,
                )
            )
    return told


def _fresh(answer: Answer, now: int) -> Answer:
    """The answer as far as its evidence still proves anything."""
    if answer.at is None or now - answer.at <= VALID_MS or answer.state == "not yet known":
        return answer
    return replace(
        answer,
        state="not yet known",
        sentence=f"{answer.sentence} That was {span(now - answer.at)} ago, which proves nothing of today.",
    )
