"""A finding: something wrong or doubtful, with its evidence and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from msgspec import Struct

from signalpost.findings.kinds import KINDS, SEVERITIES, Severity, severity_of

EXAMPLES = 3


class Finding(Struct, frozen=True, kw_only=True):
    """Something wrong or doubtful; at most one of a kind and subject is open at a time."""

    kind: str
    """A key of `KINDS`."""
    subject: str
    """What it is about: a source, a destination, an event, a gate; "" for all of it."""
    severity: Severity
    sentence: str
    advice: str
    link: str
    """The docs page of this leak, from the project's root."""
    share: Decimal | None = None
    """Of what was looked at, from 0 to 1."""
    money: Decimal | None = None
    """At stake, in `currency`."""
    currency: str | None = None
    examples: tuple[int, ...] = ()
    """Event ids, newest first."""

    @property
    def key(self) -> str:
        """What makes two findings the same."""
        return f"{self.kind}:{self.subject}"

    @property
    def title(self) -> str:
        """Its kind, in a few words."""
        return KINDS[self.kind].title if self.kind in KINDS else self.kind.replace("_", " ")


def rank(finding: Finding) -> tuple[int, Decimal, Decimal, str]:
    """What sorts findings: problems first, then by money, then by share."""
    return (-SEVERITIES.index(finding.severity), -(finding.money or Decimal(0)), -(finding.share or Decimal(0)), finding.key)


def finding(
    kind: str,
    subject: str,
    part: int,
    whole: int,
    sentence: str,
    advice: str,
    *,
    worth: tuple[Decimal, str] | None = None,
    examples: Iterable[int] = (),
    severity: Severity | None = None,
) -> Iterator[Finding]:
    """One finding of `part` among `whole`, or none where there is too little of it. `severity` overrules the share's."""
    about = KINDS[kind]
    grade = severity_of(about, part, whole)
    if grade is None:
        return
    yield Finding(
        kind=kind,
        subject=subject,
        severity=severity or grade,
        sentence=sentence,
        advice=advice,
        link=f"docs/leaks/{about.page}.md",
        share=min(Decimal(1), Decimal(part) / whole).quantize(Decimal("0.0001")),
        money=worth[0] if worth else None,
        currency=worth[1] if worth else None,
        examples=tuple(dict.fromkeys(examples))[:EXAMPLES],
    )
