"""Staged rollout: which events a destination is sent now, and whether the next stage may begin.

A stage adds events to those of the stages before it. It ends by itself when its least time has passed and every bound holds;
until then the destination stays where it is and the standing says why. A bound without data is not met.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from signalpost.options import ROLLOUT_MEASURES, Stage, bound, duration
from signalpost.vocabulary import REST, priority

LEAST_EVENTS = 50
"""Signals that must have been answered before a bound counts, where the stage does not say `events`: 2 of 2 are no 100 %."""


class Measure(Struct, frozen=True):
    """What a bound can be about: the words of its sentences, and what is counted."""

    words: str
    doc: str


MEASURES: dict[str, Measure] = {
    "accepted": Measure("accepted", "Of the signals the platform answered, those it took."),
    "with_value": Measure("with a value", "Of the purchases, checkouts and carts that should have a value, those that had one."),
    "with_order_id": Measure("with an order id", "Of the purchases, those with an order id."),
    "duplicates": Measure("duplicates", "Of what came in for these events, what was withheld as a repeat."),
    "coverage": Measure("match coverage", "How well the signals' match keys identify people, weighed."),
    "latency": Measure("from intake to accepted (19 of 20)", "Intake to accepted, of 19 signals in 20."),
    "events": Measure("events", "Signals that the platform answered since the stage began."),
}
"""The words of `options.ROLLOUT_MEASURES`, which has the kind of each number and which side of it is better."""


class Bound(Struct, frozen=True):
    """One bound of a stage: a share from 0 to 1, milliseconds, or a count; `text` is how the file writes it."""

    measure: str
    value: Fraction
    text: str


class Standing(Struct, frozen=True, kw_only=True):
    """Where a destination's rollout stands: `stage` counts from 0, `since` is epoch ms."""

    destination: str
    stage: int = 0
    since: int
    held: str = ""
    """Why it does not go on although its time has passed, in a sentence; empty when nothing holds it."""


class Figures(Struct, frozen=True, kw_only=True):
    """What happened to the events sent so far since the stage began, as counts; None where nothing is known yet."""

    answered: int = 0
    accepted: int = 0
    valued: int = 0
    """Signals that should have a value, sent or withheld for the lack of it."""
    with_value: int = 0
    purchases: int = 0
    with_order_id: int = 0
    duplicates: int = 0
    latency: int | None = None
    """95 of 100 signals were accepted in so many milliseconds from intake."""
    coverage: Fraction | None = None

    def of(self, measure: str) -> Fraction | None:
        """The figure that a bound on `measure` is compared with."""
        if measure == "events":
            return Fraction(self.answered)
        if measure == "latency":
            return None if self.latency is None else Fraction(self.latency)
        if measure == "coverage":
            return self.coverage
        part, whole = {
            "accepted": (self.accepted, self.answered),
            "with_value": (self.with_value, self.valued),
            "with_order_id": (self.with_order_id, self.purchases),
            "duplicates": (self.duplicates, self.duplicates + self.answered),
        }[measure]
        return Fraction(part, whole) if whole else None


class Counted(Struct, frozen=True):
    """Signals of one kind, as the counters have them."""

    event: str
    verdict: str
    reason: str
    has_value: bool
    signals: int


class Check(Struct, frozen=True, kw_only=True):
    """One bound beside its figure; `figure` and `wanted` as they are shown."""

    measure: str
    holds: bool
    figure: str | None
    wanted: str
    sentence: str


# ---- what is sent ----------------------------------------------------------------------------------------------------------


def allowed(stages: Sequence[Stage], stage: int) -> frozenset[str] | None:
    """The canonical events sent in this stage; None without a rollout: everything. Beyond the last stage is the last."""
    if not stages:
        return None
    return frozenset(event for each in stages[: max(stage, 0) + 1] for event in each.send)


def caps(stages: Sequence[Stage], stage: int) -> dict[str, int]:
    """Event -> signals for each purchase, at most. A cap goes on through later stages until one of them gives another."""
    found: dict[str, int] = {}
    for each in stages[: max(stage, 0) + 1]:
        found |= each.at_most
    return found


# ---- what is measured ------------------------------------------------------------------------------------------------------

PURCHASE = "Order Completed"
ANSWERED = frozenset({"accepted", "warned", "refused", "unknown"})
TAKEN = frozenset({"accepted", "warned"})
WITHOUT_VALUE = frozenset({"missing_value", "missing_currency"})
REPEATS = frozenset({"duplicate_message", "duplicate_order", "repeat"})
"""Ledger reasons of a repeat. `other_source` is none: there the workspace file says that two sources report the same."""


def measured(verdicts: Iterable[Counted], sent: frozenset[str], *, latency: int | None, coverage: Fraction | None) -> Figures:
    """The figures of the events that are sent, from counts of verdicts.

    What was withheld because it lacked its value or its order id counts as sent without it: it would have been.
    """
    answered = accepted = valued = with_value = purchases = with_order_id = duplicates = 0
    for each in verdicts:
        if each.event not in sent:
            continue
        many = each.signals
        if each.verdict in ANSWERED:
            answered += many
            accepted += many * (each.verdict in TAKEN)
        elif each.reason in REPEATS:
            duplicates += many
        if priority(each.event) < REST and (each.verdict in ANSWERED or each.reason in WITHOUT_VALUE):
            valued += many
            with_value += many * (each.verdict in ANSWERED and each.has_value)
        if each.event == PURCHASE and (each.verdict in ANSWERED or each.reason == "missing_order_id"):
            purchases += many
            with_order_id += many * (each.verdict in ANSWERED)
    return Figures(
        answered=answered,
        accepted=accepted,
        valued=valued,
        with_value=with_value,
        purchases=purchases,
        with_order_id=with_order_id,
        duplicates=duplicates,
        latency=latency,
        coverage=coverage,
    )


# ---- whether it goes on ----------------------------------------------------------------------------------------------------


def bounds(stage: Stage) -> tuple[Bound, ...]:
    """What must hold before the next stage; with a least volume where the stage has bounds and names none."""
    found = tuple(Bound(measure, bound(measure, text), text) for measure, text in stage.until.items())
    if found and "events" not in stage.until:
        found += (Bound("events", Fraction(LEAST_EVENTS), f">= {LEAST_EVENTS}"),)
    return found


def checks(stage: Stage, figures: Figures) -> tuple[Check, ...]:
    """Each bound of the stage beside what was measured."""
    return tuple(_check(each, figures.of(each.measure)) for each in bounds(stage))


def earliest(stage: Stage, standing: Standing) -> int | None:
    """When the stage may end by itself (epoch ms) if every bound holds then; None: only by hand."""
    if stage.lasts is None and not stage.until:
        return None
    return standing.since + (duration(stage.lasts) if stage.lasts is not None else 0)


def placed(stages: Sequence[Stage], standing: Standing) -> Standing:
    """The standing among the stages there are now: beyond the last one is the last one."""
    last = len(stages) - 1
    return standing if standing.stage <= last else replace(standing, stage=last, held="")


def ripe(stages: Sequence[Stage], standing: Standing, now: int) -> bool:
    """Whether figures decide now: there is a next stage and this one's time has passed."""
    if standing.stage >= len(stages) - 1:
        return False
    due = earliest(stages[standing.stage], standing)
    return due is not None and now >= due


def advance(stages: Sequence[Stage], standing: Standing, figures: Figures, now: int) -> Standing:
    """The standing after looking once: the next stage, the same one, or the same one with why it is held.

    `figures` are looked at only when the stage is `ripe`.
    At most one stage forward, because the figures are those of this stage; the next one is measured from its own beginning.
    """
    standing = placed(stages, standing)
    if not ripe(stages, standing, now):
        return replace(standing, held="")
    failing = [check.sentence for check in checks(stages[standing.stage], figures) if not check.holds]
    if failing:
        return replace(standing, held="; ".join(failing))
    return Standing(destination=standing.destination, stage=standing.stage + 1, since=now)


def moved(stages: Sequence[Stage], standing: Standing, steps: int, now: int) -> Standing:
    """The standing so many stages on (or back, or 0: anew), by hand; raise `ValueError` where there is no such stage."""
    standing = placed(stages, standing)
    stage = standing.stage + steps
    if not 0 <= stage < len(stages):
        raise ValueError("it is in its last stage already" if steps > 0 else "it is in its first stage already")
    return Standing(destination=standing.destination, stage=stage, since=now)


def _check(wanted: Bound, figure: Fraction | None) -> Check:
    (kind, better), words = ROLLOUT_MEASURES[wanted.measure], MEASURES[wanted.measure].words
    holds = figure is not None and (figure >= wanted.value if better == ">=" else figure <= wanted.value)
    shown = None if figure is None else _shown(figure, kind, better)
    limit = wanted.text.strip().removeprefix(better).strip()
    if kind == "count":
        sentence = f"{shown} of {limit} {words}"
    elif shown is None:
        sentence = f"{words}: not yet known, {limit} wanted"
    else:
        sentence = f"{shown} {words}, {limit}{'' if better == '>=' else ' at most'} wanted"
    return Check(measure=wanted.measure, holds=holds, figure=shown, wanted=f"{better} {limit}", sentence=sentence)


def _shown(figure: Fraction, kind: str, better: str) -> str:
    """A figure for people, rounded to its worse side: 98.96 % must not read as 99 %, nor 60.2 s as 60."""
    if kind == "count":
        return f"{int(figure):,}"
    if kind == "duration":
        return spell(int(figure) if figure < 1000 else int(-(-figure // 1000)) * 1000)
    tenths = figure * 1000
    worse = tenths // 1 if better == ">=" else -(-tenths // 1)
    return f"{int(worse) // 10}.{int(worse) % 10}%".replace(".0%", "%")


_PARTS: Mapping[str, int] = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000}


def spell(milliseconds: int) -> str:
    """A span of time in its two largest units: `2d 4h`, `15m 20s`, `350ms`."""
    if milliseconds < 1000:
        return f"{max(milliseconds, 0)}ms"
    parts = []
    for unit, size in _PARTS.items():
        number, milliseconds = divmod(milliseconds, size)
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2])
