"""A segment's rule as a sentence: what a marketer would say, and no two rules alike that are not."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from signalpost import conditions
from signalpost.conditions.words import quoted
from signalpost.options import spelt
from signalpost.segments.rules import Age, All, Band, Happened, Inside, Not, Rule, Some, Split, Trait

GROUPS = frozenset({"all", "any", "not"})
"""Words of a condition that stand before several."""


def sentence(rule: Rule, zone: tzinfo = UTC) -> str:
    """A rule as a sentence without its full stop; dates are said in `zone`."""
    return _said(rule, zone, None)


def _said(rule: Rule, zone: tzinfo, then: str | None) -> str:
    """A rule in words. `then` is the event whose last time was just spoken of: its `since` is `since then`."""
    match rule:
        case Happened():
            return f"{_event(rule.event, rule.where)} happened{_times(rule)}{_bounds(rule, zone, then)}"
        case Not(part=Happened() as happened):
            return f"{_event(happened.event, happened.where)} did not happen{_times(happened)}{_bounds(happened, zone, then)}"
        case Age():
            return f"{_event(rule.event, rule.where)} happened {'first' if rule.first else 'last'} {_ago(rule.low, rule.high)}"
        case Trait():
            return conditions.compile(rule.when).sentence
        case Inside():
            return f"they are in {quoted(rule.segment)}"
        case Not(part=Inside(segment=segment)):
            return f"they are not in {quoted(segment)}"
        case Split():
            begin = f", from {_percent(rule.low)} on" if rule.low else ""
            return f"they are among {_percent(rule.high - rule.low)} of people drawn by lot ({quoted(rule.salt)}{begin})"
        case Band():
            return f"they are in band {rule.index + 1} of {quoted(rule.tiers)}, counted from the lowest"
        case Not():
            return f"it is not so that {_bracketed(rule.part, zone, None)}"
        case Some():
            return "either " + ", or ".join(_bracketed(part, zone, None) for part in rule.parts)
        case All(parts=()):
            return "everybody"
        case All():
            return _every(rule.parts, zone)


def _every(parts: tuple[Rule, ...], zone: tzinfo) -> str:
    said = []
    then: str | None = None
    for part in parts:
        said.append(_bracketed(part, zone, then))
        if isinstance(part, Age) and not part.first and part.where is None:
            then = part.event
    return ", and ".join(said)


def _bracketed(part: Rule, zone: tzinfo, then: str | None) -> str:
    said = _said(part, zone, then)
    several = isinstance(part, (All, Some)) or (isinstance(part, Not) and not isinstance(part.part, (Happened, Inside)))
    if isinstance(part, Trait):
        several = len(part.when) > 1 or not GROUPS.isdisjoint(part.when)
    return f"({said})" if several else said


def _event(event: str, where: object) -> str:
    return event if where is None else f"{event} ({conditions.compile(where).sentence})"


def _times(happened: Happened) -> str:
    least, most = happened.least, happened.most
    if most is None:
        return "" if least == 1 else f" {least} times or more"
    if least == most:
        return " exactly once" if least == 1 else f" exactly {least} times"
    return f" {least} to {most} times"


def _bounds(happened: Happened, zone: tzinfo, then: str | None) -> str:
    said = []
    if happened.within is not None:
        said.append(f"in the last {spelt(happened.within)}")
    if happened.since is not None:
        said.append("since then" if happened.since == then else f"since the last {happened.since}")
    if happened.between is not None:
        start, end = happened.between
        said.append(f"from {moment(start, zone)} until {moment(end, zone)}")
    return "".join(f" {each}" for each in said)


def _ago(low: int, high: int | None) -> str:
    if high is None:
        return f"{spelt(low)} ago or longer" if low else "at some time"
    return f"between {spelt(low)} and {spelt(high)} ago" if low else f"less than {spelt(high)} ago"


def _percent(lots: int) -> str:
    return f"{lots / 10_000:.4f}".rstrip("0").rstrip(".") + "%"


def moment(at: int, zone: tzinfo) -> str:
    """A moment as people write it: the date alone at midnight of `zone`."""
    when = datetime.fromtimestamp(at // 1000, zone)
    if at % 1000 == 0 and (when.hour, when.minute, when.second) == (0, 0, 0):
        return f"{when:%Y-%m-%d}"
    rest = f".{at % 1000:03d}" if at % 1000 else ""
    return f"{when:%Y-%m-%d %H:%M:%S}{rest}".removesuffix(":00")
