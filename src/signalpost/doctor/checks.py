"""What a check is: it looks at the file and at what has happened, and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from signalpost import findings
from signalpost.config import Destination, Workspace
from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Destination as Platform
from signalpost.doctor.evidence import Evidence
from signalpost.findings import PURCHASE, TAKEN, Finding
from signalpost.segments import catalog, guards

State = Literal["pass", "warn", "fail", "not yet known"]
STATES: tuple[State, ...] = ("pass", "warn", "fail", "not yet known")

CORE = (PURCHASE, "Checkout Started", "Product Added")
"""The events both platforms' checklists ask for first."""

LEAST = 5
"""Signals that a share is made of at least."""

CAME = TAKEN | {"refused", "unknown", "waiting"}
"""Verdicts of signals that were made for a platform."""


class Answer(Struct, frozen=True, kw_only=True):
    """What one check found."""

    state: State
    sentence: str
    advice: str = ""
    """What to do; empty when nothing is to be done."""
    at: int | None = None
    """When its latest evidence happened (epoch ms); None: the workspace file alone says so, or there is none."""
    counts: dict[str, int] = {}
    """The evidence in numbers."""
    events: tuple[int, ...] = ()
    """Examples."""


class Look(Struct, frozen=True):
    """What one check is about."""

    workspace: Workspace
    evidence: Evidence
    name: str

    @property
    def chosen(self) -> Destination:
        """The destination's options."""
        return self.workspace.destinations[self.name]

    @property
    def platform(self) -> Platform:
        """The destination's platform."""
        return CATALOG[self.chosen.type]

    @property
    def mapped(self) -> Mapping[str, str]:
        """Canonical event -> platform event."""
        return findings.mapped(self.chosen)

    @property
    def open(self) -> dict[str, list[Finding]]:
        """Kind -> findings about this destination; of a look at the whole workspace, all of them."""
        by: dict[str, list[Finding]] = {}
        for finding in self.evidence.found:
            if not self.name or finding.subject == self.name:
                by.setdefault(finding.kind, []).append(finding)
        return by

    @property
    def paid(self) -> tuple[guards.Paid, ...]:
        """The audiences of the workspace with their whole rules."""
        return guards.paid(self.workspace, catalog.of(self.workspace).rules)

    @property
    def guards(self) -> tuple[guards.Guard, ...]:
        """What the file alone tells of the audiences here."""
        rules = catalog.of(self.workspace).rules
        return tuple(guard for guard in guards.find(self.workspace, rules) if self.name in guard.destinations)

    def last(self, name: str | None, verdicts: frozenset[str]) -> int | None:
        """When a signal of this event (None: of any) last had one of these verdicts here."""
        seen = [at for (where, event, verdict), at in self.evidence.last.items()
                if where == self.name and name in {None, event} and verdict in verdicts]  # fmt: skip
        return max(seen, default=None)


class Check(Struct, frozen=True):
    """One line of the checklists: of each destination, or (`each` False) of the workspace."""

    name: str
    title: str
    each: bool
    run: Callable[[Look], Answer]


def graded(share: Decimal, good: Decimal, fair: Decimal) -> State:
    """The state by a share: passes from `good`, warns from `fair`."""
    return "pass" if share >= good else "warn" if share >= fair else "fail"


def of_finding(
    finding: Finding, at: int | None, counts: dict[str, int], events: tuple[int, ...] = (), state: State | None = None
) -> Answer:
    """What a finding says as an answer; its severity is the state where none is given."""
    return Answer(
        state=state or ("fail" if finding.severity == "problem" else "warn"),
        sentence=finding.sentence,
        advice=finding.advice,
        at=at,
        counts=counts,
        events=events,
    )


def unknown(sentence: str, advice: str = "") -> Answer:
    """Nothing is known of it."""
    return Answer(state="not yet known", sentence=sentence, advice=advice)
