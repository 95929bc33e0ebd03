"""What an audience brings: people it wanted against people held out by lot, with intervals and a plain verdict.

    intervals  how far two arms may really be apart, and how many people it takes to see it

Only people whose window is over count, each with the same time after their own entry: a look in the middle of a window would see
those who buy at once and miss the others. Before enough people have come the bar is higher, so that whoever looks every day does
not find by patience what is not there.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from signalpost.audiences import Wanted
from signalpost.findings.words import DAY, listed, percent
from signalpost.lift import intervals
from signalpost.lift.intervals import Interval, Spent
from signalpost.options import spelt
from signalpost.segments.live import LOTS
from signalpost.store.lift import Arm, Counted

DETECT = 0.2
"""The lift that is looked for where nobody says another: a fifth more buyers."""

LEAST_BUYERS = 10
"""Buyers in both arms together before a rate means anything."""

LARGER_HOLDOUT = 0.3
"""The holdout that is named where a smaller one takes longer than `LONG_DAYS`."""
LONG_DAYS = 90

Verdict = Literal["nobody", "too_early", "brings", "costs", "no_difference"]
Use = Literal["target", "suppress"]


class Lift(Struct, frozen=True, kw_only=True):
    """What is known of one audience's effect."""

    audience: str
    use: Use
    verdict: Verdict = "nobody"
    sentence: str = ""
    """The verdict for people."""
    money: str = ""
    """The same of revenue; empty before anybody bought."""
    notes: tuple[str, ...] = ()
    """What they should know before they believe it."""
    begin: int
    end: int
    """People who entered from `begin` to `end` count (epoch ms)."""
    window: int
    holdout: float
    currency: str
    shown: Arm
    held: Arm
    left_out: int
    rates: tuple[Interval, Interval] | None = None
    """Buyers among the people of each arm: of the audience, and of those held out; None while an arm is empty."""
    difference: Interval | None = None
    """Between the rates."""
    relative: Interval | None = None
    """The difference as a share of the rate of those held out; its high end may be infinite."""
    revenue: Interval | None = None
    """How much more a person of the audience brought, in the workspace's currency; None before anybody bought."""
    detect: float
    """The relative lift that `needed` is for."""
    needed: int | None = None
    """People of both arms together that would show it; None before enough have bought to say."""
    detectable: float | None = None
    """The smallest relative lift that as many people as there are would show."""
    per_day: float
    """People whose window ended, by the day."""


def of(counted: Counted, audience: Wanted, use: Use, *, window: int, currency: str, detect: float = DETECT) -> Lift:
    """The verdict on both arms; `window` in ms, `detect` a relative lift."""
    shown, held = counted.shown, counted.held
    people, buyers = shown.people + held.people, shown.buyers + held.buyers
    days = (counted.end - counted.begin) / DAY
    made = Lift(
        audience=audience.name,
        use=use,
        notes=_notes(counted),
        begin=counted.begin,
        end=counted.end,
        window=window,
        holdout=audience.held_out / LOTS,
        currency=currency,
        shown=shown,
        held=held,
        left_out=counted.left_out,
        detect=detect,
        per_day=people / days if days > 0 else 0.0,
    )
    if not shown.people or not held.people:
        return replace(made, sentence=_nobody(made))
    rates = _rates(made)
    made = replace(made, rates=rates, difference=intervals.difference(*rates), relative=intervals.lift(*rates))
    if buyers:
        made = replace(made, revenue=intervals.spent_more(_spent(shown), _spent(held)))
    if buyers < LEAST_BUYERS:
        return replace(made, verdict="too_early", sentence=_hardly_bought(buyers, people))
    base = (buyers + 0.5) / (people + 1)
    needed = intervals.needed(base, detect, made.holdout)
    bar = intervals.early(people / needed)
    made = replace(
        made,
        needed=needed,
        detectable=intervals.detectable(base, people, made.holdout),
        money=_money(made, intervals.spent_more(_spent(shown), _spent(held), bar)),
    )
    certain = intervals.difference(*_rates(made, bar))
    if certain.sign:
        return replace(made, verdict="brings" if certain.sign > 0 else "costs", sentence=_found(made, certain, people < needed))
    if people < needed:
        return replace(made, verdict="too_early", sentence=_too_early(made, base, needed - people))
    return replace(made, verdict="no_difference", sentence=_no_difference(made, certain))


def _rates(made: Lift, z: float = intervals.Z) -> tuple[Interval, Interval]:
    shown, held = made.shown, made.held
    return intervals.rate(shown.buyers, shown.people, z), intervals.rate(held.buyers, held.people, z)


def _spent(arm: Arm) -> Spent:
    return Spent(people=arm.people, buyers=arm.buyers, total=float(arm.revenue), squares=float(arm.squares))


# ---- in words --------------------------------------------------------------------------------------------------------------


def _nobody(made: Lift) -> str:
    who = {
        (False, False): "who entered the segment",
        (True, False): "held out",
        (False, True): "of the audience",
    }[bool(made.shown.people), bool(made.held.people)]
    waiting = made.shown.pending + made.held.pending
    return f"Too early: nobody {who} has had {spelt(made.window)} yet. Still within that time: {waiting:,} people."


def _hardly_bought(buyers: int, people: int) -> str:
    return (
        f"Too early: {buyers} of {people:,} people have ordered, and before {LEAST_BUYERS} have, a rate means nothing. "
        "Look at a longer time (--since) or give them a longer one (--window)."
    )


def _too_early(made: Lift, base: float, missing: int) -> str:
    days = missing / made.per_day if made.per_day else math.inf
    wait = f" (about {_rounded(days)} days at the present rate)" if math.isfinite(days) else ""
    often = ""
    if made.difference is not None and made.difference.sign:
        often = (
            " The 95 % interval is clear of zero already; before enough people have come, and for whoever looks again and again, "
            "that happens by chance too often to count."
        )
    larger = ""
    if days > LONG_DAYS and made.holdout < LARGER_HOLDOUT:
        fewer = intervals.needed(base, made.detect, LARGER_HOLDOUT)
        larger = f" With a holdout of {_percent(LARGER_HOLDOUT)} about {_rounded(fewer)} people in all would do."
    return (
        f"Too early: needs about {_rounded(missing)} more people{wait} to show a lift of {_percent(made.detect)}. "
        f"So far {_compared(made)}, which may be chance.{often}{larger}"
    )


def _found(made: Lift, certain: Interval, early: bool) -> str:
    low, high = sorted((abs(certain.low), abs(certain.high)))
    between = f"between {_per_thousand(low)} and {_per_thousand(high)}"
    if made.use == "target":
        what = (
            f"Ads bring {between} more buyers per 1,000 people"
            if certain.sign > 0
            else f"Ads cost {between} buyers per 1,000 people: stop them and look at what they say, and to whom"
        )
    else:
        what = (
            f"Keeping ads away brings {between} more buyers per 1,000 people"
            if certain.sign > 0
            else f"Keeping ads away costs {between} buyers per 1,000 people: see whether ads to them would pay"
        )
    sooner = " This is clear before as many people have come as were needed; the range is wider for it." if early else ""
    return f"{what}. {_compared(made)}.{sooner}"


def _no_difference(made: Lift, certain: Interval) -> str:
    if made.use == "target":
        most = f"ads bring at most {_per_thousand(certain.high)} more buyers per 1,000 people"
    else:
        most = f"ads to these people would bring at most {_per_thousand(-certain.low)} more buyers per 1,000 of them"
    return (
        f"No difference seen: {_compared(made)}. A lift of {_percent(made.detect)} would have shown in "
        f"{_percent(intervals.POWER)} of all cases; {most}."
    )


def _compared(made: Lift) -> str:
    shown, held = made.shown, made.held
    return (
        f"{percent(shown.buyers, shown.people)} of {shown.people:,} people in the audience ordered within {spelt(made.window)}, "
        f"and {percent(held.buyers, held.people)} of {held.people:,} held out"
    )


def _money(made: Lift, certain: Interval) -> str:
    """What both arms brought; `certain` as the verdict is."""
    low, high = (f"{abs(end):,.2f}" for end in sorted((certain.low, certain.high), key=abs))
    if certain.sign:
        side = "more" if certain.sign > 0 else "less"
        return f"A person in the audience brought between {low} and {high} {made.currency} {side} than one held out."
    return (
        f"Revenue shows no difference beyond chance: a person in the audience brought between {certain.low:+,.2f} and "
        f"{certain.high:+,.2f} {made.currency} more."
    )


def _notes(counted: Counted) -> tuple[str, ...]:
    notes = []
    waiting = [name for name, at in counted.destinations.items() if at is None]
    if len(waiting) == len(counted.destinations):
        notes.append("No platform has all of this audience yet: so far both arms saw nearly the same ads.")
    elif waiting:
        notes.append(f"On {listed(waiting)} the audience is not whole yet: there both arms saw nearly the same ads.")
    for destination, people in counted.leaked.items():
        notes.append(
            f"On {destination}, people who are held out are still in the audience ({people:,}): the difference comes out "
            "too small. Was the holdout made larger lately?"
        )
    if counted.changed_at is not None:
        day = datetime.fromtimestamp(counted.changed_at / 1000, UTC).strftime("%Y-%m-%d")
        notes.append(
            f"The workspace file's audiences or segments changed on {day}, within this time. If this segment or its holdout did, "
            "look only at what came later (--since)."
        )
    unvalued = counted.shown.unvalued + counted.held.unvalued
    if unvalued:
        notes.append(
            f"Orders that count without revenue: {unvalued:,}. Their amount is not known, or `rates` has none for their currency."
        )
    return tuple(notes)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _per_thousand(share: float) -> str:
    many_of = 1000 * share
    return f"{many_of:.1f}" if many_of < 10 else f"{many_of:,.0f}"


def _rounded(number: float) -> str:
    """Two digits that count, so that nobody takes a forecast for a figure."""
    if number < 10:
        return f"{max(1, math.ceil(number))}"
    scale = 10 ** (math.floor(math.log10(number)) - 1)
    return f"{math.ceil(number / scale) * scale:,}"
