"""Findings: everything wrong or doubtful, by the money at stake, with what to do and who looks after it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import Response

from signalpost import findings as rules
from signalpost.store import findings, report
from signalpost.store.database import Connection
from signalpost.store.findings import Kept, Note
from signalpost.web.routing import act, page
from signalpost.web.visit import WINDOWS, Visit, link

MOST = 200
"""Closed findings on a page."""

LONGEST = 500
"""Letters of a note."""


class Shown(Struct, frozen=True, kw_only=True):
    """One finding with its life."""

    kept: Kept
    title: str
    earlier: int
    """How often the same was open before."""
    earlier_until: int | None
    notes: list[Note]


class Choice(Struct, frozen=True, kw_only=True):
    """A kind that can be chosen in the filter."""

    kind: str
    title: str


class Listed(Struct, frozen=True, kw_only=True):
    """The page."""

    state: str
    """open or closed."""
    window: str
    severity: str
    kind: str
    destination: str
    open: int
    """How many are open in all, whatever the filters."""
    problems: int
    at_stake: dict[str, Decimal]
    """Of those that are open. The same order may stand in several findings: a bound, not a sum."""
    worst: str
    kinds: list[Choice]
    findings: list[Shown]


def about(subject: str, destination: str) -> bool:
    """Whether a finding's subject is, or names, this destination: `tiktok`, `cart_offer at tiktok`."""
    return re.search(rf"(?:^|\W){re.escape(destination)}(?:$|\W)", subject) is not None


def _chosen(found: Iterable[Kept], severity: str, kind: str, destination: str) -> list[Kept]:
    return [
        each
        for each in found
        if severity in {"", each.finding.severity}
        and kind in {"", each.finding.kind}
        and (not destination or about(each.finding.subject, destination))
    ]


async def listed(visit: Visit) -> Response:
    """`/findings`: findings that are open now, or (`state=closed`) that ended within the window."""
    state = "closed" if visit.query("state") == "closed" else "open"
    severity, kind, destination = (visit.query(name, most=100) for name in ("severity", "kind", "destination"))
    window = visit.window() if visit.query("window") else "30d"

    def look(connection: Connection) -> Listed:
        opened = findings.open_now(connection)
        every = opened
        if state == "closed":
            every = findings.closed(connection, visit.now - WINDOWS[window], visit.now + 1, MOST)
        chosen = _chosen(every, severity, kind, destination)
        if state == "open":  # money first: what is a problem without a price comes before warnings without one
            chosen = sorted(chosen, key=lambda each: (-(each.finding.money or Decimal(0)), rules.rank(each.finding)))
        before = findings.earlier(connection, (each.finding.key for each in chosen))
        written = findings.notes(connection, (each.id for each in chosen))
        return Listed(
            state=state,
            window=window,
            severity=severity,
            kind=kind,
            destination=destination,
            open=len(opened),
            problems=sum(each.finding.severity == "problem" for each in opened),
            at_stake=report.at_stake(opened),
            worst=opened[0].finding.title if opened else "",
            kinds=[Choice(kind=each, title=rules.KINDS[each].title) for each in _kinds(every)],
            findings=[
                Shown(
                    kept=each,
                    title=each.finding.title,
                    earlier=before.get(each.finding.key, (0, 0))[0],
                    earlier_until=before[each.finding.key][1] if each.finding.key in before else None,
                    notes=written.get(each.id, []),
                )
                for each in chosen
            ],
        )

    facts = await visit.read(look)
    return visit.page(
        "findings.html",
        facts,
        listed=facts,
        groups=together(facts.findings),
        severities=rules.SEVERITIES,
        longest=LONGEST,
        most=MOST,
    )


def _kinds(found: Iterable[Kept]) -> list[str]:
    there = {each.finding.kind for each in found}
    return [kind for kind in rules.KINDS if kind in there]


def together(found: Iterable[Shown]) -> list[list[Shown]]:
    """Findings that stand in one card: of one kind, as bad, with the same to do; each group where its first one stood."""
    groups: dict[tuple[str, str, str], list[Shown]] = {}
    for each in found:
        finding = each.kept.finding
        groups.setdefault((finding.kind, finding.severity, finding.advice), []).append(each)
    return list(groups.values())


async def noted(visit: Visit) -> Response:
    """Keep what somebody writes about a finding."""
    number, note = visit.number("finding"), (await visit.field("note")).strip()[:LONGEST]
    if not note:
        raise HTTPException(422, "Write who looks after it, or what was found out.")

    def work(connection: Connection) -> bool:
        found = findings.one(connection, number)
        if found is None:
            return False
        findings.write(connection, number, visit.user.name if visit.user else "", note, visit.now)
        visit.note(connection, "finding_noted", f"finding {number}", note)
        return True

    if not await visit.write(work):
        raise HTTPException(404, "There is no such finding; those that ended long ago are let go of.")
    return visit.go(
        link("/findings", state=await visit.field("state")) + f"#finding-{number}", said="Your note stands below the finding."
    )


WAYS = (page("/findings", listed), act("/findings/{finding:int}/note", noted))
