"""What the workspace file alone tells of segments, audiences and journeys: the guards that `check` prints, as findings."""

from __future__ import annotations

from collections.abc import Iterator

from signalpost.config import Workspace
from signalpost.findings.figures import Figures
from signalpost.findings.finding import Finding, finding
from signalpost.findings.kinds import Severity
from signalpost.segments import catalog, guards

PROBLEMS = frozenset({"no_suppression", "nothing_suppressed"})
"""Guards that cost money every day; the others are something to decide."""


def guarded(_: Figures, workspace: Workspace) -> Iterator[Finding]:
    """One finding for each guard but those about ad groups, of which the platforms know more than the file (`unused`)."""
    if not workspace.audiences:
        return
    for guard in guards.find(workspace, catalog.of(workspace).rules):
        if guard.kind != "no_ad_group":
            severity: Severity = "problem" if guard.kind in PROBLEMS else "warning"
            yield from finding(guard.kind, guard.subject, 1, 1, guard.sentence, guard.advice, severity=severity)
