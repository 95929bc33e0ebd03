"""Everything wrong or doubtful, decided from figures: one table of kinds, one table of rules.

A rule is a function of `Figures` and the workspace that gives findings. What a finding is called, which page tells of it and how
much there must be before anybody is told stands in `KINDS`, so that a shop with three orders a day is not shouted at for one.
`store/findings.py` gathers the figures and keeps the findings, opened and closed by themselves.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from itertools import combinations
from typing import Literal, TypeVar

from msgspec import Struct

from signalpost import clocks, coverage, doubles, gates, purchases, vocabulary
from signalpost.config import Destination, Workspace, duration
from signalpost.destinations import CATALOG
from signalpost.events import Claim
from signalpost.iso import minor_units
from signalpost.rollout import Standing

PURCHASE = "Order Completed"
HOUR, DAY = 3_600_000, 86_400_000
DAYS = 7
"""How far back orders, notices and what is usual are looked at."""

Severity = Literal["warning", "problem"]
SEVERITIES: tuple[Severity, ...] = ("warning", "problem")


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


class Kind(Struct, frozen=True):
    """How one kind is called, where it is told of, and how much there must be of it."""

    title: str
    page: str
    """Of docs/leaks, without its ending."""
    least: int = 1
    """So many signals (orders, requests) must be affected."""
    of: int = 1
    """So many must have been looked at."""
    warns: str = "0"
    """From this share on it is a warning."""
    problem: str | None = None
    """From this share on it is a problem; None: never by its share."""


KINDS: dict[str, Kind] = {
    # one value
    "mixed_source": Kind("A source mixes gross and net", "mixed-values", least=3, of=20, warns="0.02", problem="0.2"),
    "mixed_order": Kind("Sources tell one order under different definitions", "mixed-values", least=3, warns="0.02"),
    "value_differs": Kind("Sources tell one order with different values", "mixed-values", least=3, warns="0.02", problem="0.1"),
    "told_differently": Kind("Platforms are told one order with different values", "mixed-values", least=3, problem="0.02"),
    "missing_value": Kind("Purchases without a value", "mixed-values", least=2, warns="0.005", problem="0.05"),
    "missing_currency": Kind("Amounts without a currency", "mixed-values", least=2, warns="0.005", problem="0.05"),
    "missing_order_id": Kind("Purchases without an order id", "duplicates", least=2, warns="0.005", problem="0.05"),
    "unsupported_currency": Kind("A currency the platform does not take", "mixed-values", problem="0.05"),
    # double sending
    "repeated_messages": Kind("Messages that come more than once", "duplicates", least=50, warns="0.05"),
    "repeated_orders": Kind("Orders that come more than once", "duplicates", least=5, of=10, warns="0.1"),
    "rival_sources": Kind("Two sources report the same purchases", "duplicates", least=3, warns="0.02"),
    "rival_events": Kind("Several events are sent as a purchase", "duplicates", least=3, problem="0.05"),
    "double_sending": Kind("The platform will count orders twice", "duplicates", least=3, warns="0.01", problem="0.1"),
    "double_sending_unknown": Kind("It cannot be told whether orders count twice", "duplicates", least=10, warns="0.2"),
    # time
    "late_source": Kind("A source tells late", "late-events", least=10, of=20, warns="0.05", problem="0.5"),
    "clock_skew": Kind("A source's clock runs ahead", "late-events", least=10, of=20, warns="0.05"),
    "in_future": Kind("Events from the future", "late-events", least=5, warns="0.005", problem="0.1"),
    "counted_offline": Kind("Pinterest counts events as offline", "late-events", least=10, of=20, warns="0.05", problem="0.5"),
    "too_old": Kind("Events too old to be sent", "late-events", least=5, warns="0.005", problem="0.1"),
    "hold_cost": Kind("A hold slows signals down", "late-events"),
    # match keys
    "keys_dropped": Kind("A match key has dropped", "match-keys"),
    "nobody": Kind("Signals that identify nobody", "match-keys", least=20, warns="0.05", problem="0.3"),
    # the platform's answers
    "refused": Kind("The platform refuses signals", "README", least=5, of=20, warns="0.02", problem="0.2"),
    "unanswered": Kind("The platform never answered clearly", "README", least=5, of=20, warns="0.01", problem="0.1"),
    "resting": Kind("A destination does not send", "README"),
    # what should not leave
    "test_events": Kind("Test events in production", "test-events", least=1),
    "junk_orders": Kind("Orders worth nothing are sent", "junk-orders", least=3, warns="0.01", problem="0.1"),
    "observed": Kind("What an observing gate would withhold", "junk-orders", least=3),
    "cancelled_after": Kind("Orders cancelled after they were sent", "refunds", least=5, warns="0.02", problem="0.2"),
    "refunded_after": Kind("Orders refunded after they were sent", "refunds", least=5, warns="0.05", problem="0.3"),
    "flagged_after": Kind("Fraudulent orders were sent", "refunds", least=2, warns="0.005", problem="0.1"),
    "low_intent": Kind("Many low-intent events for each purchase", "low-intent-events", least=1_000),
    "rollout_held": Kind("A rollout is held", "low-intent-events"),
    # what never arrives
    "never_seen": Kind("Events that never come", "README", of=100),
    "unmapped_purchases": Kind("Events that sound like purchases are not sent", "duplicates", least=3),
    "unreadable": Kind("Messages that cannot be read", "README", least=5, warns="0.001", problem="0.05"),
    "set_aside": Kind("Requests set aside", "README"),
}

LOW_INTENT_FOR_A_PURCHASE = 100
"""More signals of one low-intent event than this for each purchase drown what the platform should learn from."""

SURE = 5
"""So many must be affected for a share to make a problem of them: one order of two is no half."""

USUAL_TIMES = 3
"""A share this many times the usual one is above normal; from `ALWAYS` on it is told even where it is usual."""
ALWAYS = Decimal("0.1")

LONG_HOLD = HOUR
"""A hold as long as this makes Pinterest count the purchase as offline."""

REST_MS = 300_000
"""A destination that rests for longer than this needs somebody to look."""

APART = Decimal("0.01")
"""Values of one order that differ by no more than this are the same: sources round differently."""

EXAMPLES = 3


# ---- figures ---------------------------------------------------------------------------------------------------------------


class Count(Struct, frozen=True):
    """Signals of one destination, event, verdict and reason; destination "" for what is counted once."""

    destination: str
    name: str
    verdict: str
    reason: str
    currency: str
    signals: int
    micros: int
    """Their value in millionths."""


class Notice(Struct, frozen=True):
    """What was counted beside the verdicts, over `DAYS`."""

    destination: str
    what: str
    detail: str
    name: str
    currency: str
    signals: int
    micros: int
    event: int
    """The latest example."""


class Told(Struct, frozen=True):
    """What a destination was told of an order."""

    verdict: str
    platform_event: str
    platform_id: str
    value: Decimal | None
    currency: str | None
    settled_at: int | None


class Purchase(Struct, frozen=True, kw_only=True):
    """One order with what every source claimed and every destination was told."""

    order_id: str
    event: int
    """The first that named it."""
    time: int
    record: purchases.Record
    told: dict[str, Told] = {}
    """Destination that counts it -> what it was told."""


class Rest(Struct, frozen=True):
    """A destination that does not send at the moment."""

    destination: str
    since: int
    until: int
    failures: int
    sentence: str
    waiting: int = 0
    """Purchases that wait for it (at most `store.findings.WAITING`)."""
    worth: dict[str, Decimal] = {}


class Sample(Struct, frozen=True):
    """Some newest events of a verdict, and what the platform said."""

    events: tuple[int, ...]
    sentence: str = ""


class Figures(Struct, frozen=True, kw_only=True, dict=True):
    """All that the rules look at. `day` is the last 24 hours; `week`, orders and notices are the last `DAYS` days.

    Signals that still wait are among both, with the verdict `waiting`.
    """

    now: int
    day: tuple[Count, ...] = ()
    week: tuple[Count, ...] = ()
    since: int = 0
    """When the first signal was counted within `DAYS` days; 0: none was."""
    orders: tuple[Purchase, ...] = ()
    """Newest first."""
    notices: tuple[Notice, ...] = ()
    clocks: dict[tuple[str, str], dict[int, int]] = {}
    """(clock, name) -> histogram of the last 24 hours."""
    resting: tuple[Rest, ...] = ()
    rollouts: dict[str, Standing] = {}
    alarms: tuple[coverage.Alarm, ...] = ()
    samples: dict[tuple[str, str, str], Sample] = {}
    """(destination, verdict, reason) -> newest events."""
    set_aside: tuple[int, ...] = ()
    """Journal positions of requests that could not be processed."""

    @cached_property
    def recent(self) -> tuple[Purchase, ...]:
        """Orders whose purchase at least one source reported."""
        return tuple(order for order in self.orders if order.record.claims)


Rule = Callable[[Figures, Workspace], Iterator[Finding]]
Evidence = TypeVar("Evidence")


def find(figures: Figures, workspace: Workspace) -> list[Finding]:
    """Everything wrong or doubtful, the worst first."""
    found = {finding.key: finding for rule in RULES for finding in rule(figures, workspace)}
    return sorted(found.values(), key=rank)


def rank(finding: Finding) -> tuple[int, Decimal, Decimal, str]:
    """What sorts findings: problems first, then by money, then by share."""
    return (-SEVERITIES.index(finding.severity), -(finding.money or Decimal(0)), -(finding.share or Decimal(0)), finding.key)


# ---- words and numbers -----------------------------------------------------------------------------------------------------


def severity_of(kind: Kind, part: int, whole: int) -> Severity | None:
    """How bad so many of so many are; None: not worth a word."""
    if part < kind.least or whole < kind.of or whole <= 0:
        return None
    share = Decimal(part) / whole
    if share < Decimal(kind.warns):
        return None
    return "problem" if kind.problem is not None and part >= SURE and share >= Decimal(kind.problem) else "warning"


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


def percent(part: int, whole: int) -> str:
    """A share for people: `0.4 %`, `12 %`."""
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f} %" if share < 10 else f"{share:.0f} %"


def many(number: int, noun: str) -> str:
    """`1 order`, `2,300 orders`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def money(amount: Decimal, currency: str | None) -> str:
    """`1,204.50 EUR`, `1,204 JPY`; digits beyond the currency's own are kept."""
    whole, _, cents = f"{amount:,f}".partition(".")
    cents = cents.rstrip("0").ljust(minor_units(currency), "0")
    return f"{whole}{'.' if cents else ''}{cents} {currency or ''}".strip()


def listed(words: Iterable[str], most: int = 4) -> str:
    """`a, b and c`; of many the first and how many more."""
    every = list(words)
    if len(every) > most:
        every = [*every[: most - 1], f"{len(every) - most + 1} more"]
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} and {every[-1]}" if every else ""


def span(milliseconds: int) -> str:
    """A time for people, in its largest unit: `3 days`, `2 hours`, `40 seconds`."""
    if milliseconds < 1000:
        return "less than a second"
    for unit, size in (("day", DAY), ("hour", HOUR), ("minute", 60_000)):
        if milliseconds >= 2 * size or milliseconds == size:
            return many(round(milliseconds / size), unit)
    return many(round(milliseconds / 1000), "second")


def pick(
    counts: Iterable[Count],
    *,
    destination: str | None = None,
    name: str | None = None,
    verdicts: Collection[str] = (),
    reasons: Collection[str] = (),
) -> list[Count]:
    """The counts that meet all that is given."""
    return [
        each
        for each in counts
        if (destination is None or each.destination == destination)
        and (name is None or each.name == name)
        and (not verdicts or each.verdict in verdicts)
        and (not reasons or each.reason in reasons)
    ]


def signals(counts: Iterable[Count]) -> int:
    """How many they are together."""
    return sum(each.signals for each in counts)


def worth(amounts: Iterable[tuple[str | None, Decimal]], workspace: Workspace) -> tuple[Decimal, str] | None:
    """Amounts together: in the workspace's currency as far as rates are known, else in the currency of most; None for nothing."""
    sums: Counter[str] = Counter()
    exact: dict[str, Decimal] = {}
    for currency, amount in amounts:
        rate = Decimal(workspace.rates[currency]) if currency and currency in workspace.rates else None
        code = workspace.currency if rate is not None or not currency else currency
        exact[code] = exact.get(code, Decimal(0)) + amount * (rate or 1)
        sums[code] += 1
    if not any(exact.values()):
        return None
    code = workspace.currency if exact.get(workspace.currency) else max(exact, key=lambda each: (abs(exact[each]), each))
    return exact[code].quantize(Decimal(1).scaleb(-minor_units(code))), code


def worth_of(counts: Iterable[Count | Notice], workspace: Workspace) -> tuple[Decimal, str] | None:
    """The value of counted signals."""
    return worth(((each.currency, Decimal(each.micros) / 1_000_000) for each in counts), workspace)


def widest(counts: Iterable[Count]) -> list[Count]:
    """Those of the destination that has most: what a source does wrong is counted once a destination."""
    by: dict[str, list[Count]] = {}
    for each in counts:
        by.setdefault(each.destination, []).append(each)
    return max(by.values(), key=signals, default=[])


def worst(told: Iterable[tuple[str, int, int, Evidence]]) -> tuple[str, int, int, Evidence] | None:
    """Of (destination, part, whole, evidence) that with most, all affected destinations named; None where there is nothing.

    What an order or a source does is one finding, whichever platforms hear of it.
    """
    affected = [each for each in told if each[1]]
    if not affected:
        return None
    _, part, whole, evidence = max(affected, key=lambda each: (each[1], each[0]))
    return listed(name for name, *_ in affected), part, whole, evidence


def examples(figures: Figures, verdict: str, reasons: Collection[str], destination: str | None = None) -> list[int]:
    """Newest events of such a verdict."""
    found = [
        event
        for (where, was, why), sample in figures.samples.items()
        if was == verdict and why in reasons and destination in {None, where}
        for event in sample.events
    ]
    return sorted(set(found), reverse=True)


def mapped(chosen: Destination) -> Mapping[str, str]:
    """Canonical event -> platform event."""
    return CATALOG[chosen.type].events if chosen.events == "standard" else chosen.events


TAKEN = frozenset({"accepted", "warned"})
LAST = "in the last 24 hours"
LATELY = f"in the last {DAYS} days"


# ---- rules: one value ------------------------------------------------------------------------------------------------------


def stated_amount(claim: Claim) -> Decimal | None:
    """The amount that a source calls the order's worth, as `purchases.recognise` looks at it."""
    return next((each for each in (claim.total, claim.worth, claim.revenue, claim.subtotal) if each is not None), None)


DEFINITIONS = {"gross": "gross", "net": "net", "subtotal": "net"}
"""What a claim's amount is, for comparing: `subtotal` is goods without tax and shipping too."""


def astray(claim: Claim, definition: str) -> bool:
    """Whether the value that left is not under the workspace's definition, or cannot be known to be.

    `orders.VALUE_RULES` take `total` for gross and `value` for whatever is wanted; `stated` tells what the amount really was.
    """
    found, meant = claim.value_from, DEFINITIONS.get(claim.stated)
    if claim.value is None or "(no " in found or (definition == "gross" and found == "sum of items"):
        return True
    if found in {"total", "value as sent"}:
        return meant != definition
    return found.startswith("total -") and meant != "gross"


def _said(claim: Claim) -> str:
    amount = stated_amount(claim)
    return f"{'nothing' if amount is None else money(amount, claim.currency)} ({claim.stated})"


def mixed_source(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """One source calls the gross amount the order's worth in some orders and the net amount in others."""
    by: dict[str, list[tuple[Purchase, Claim]]] = {}
    for order in figures.recent:
        for claim in order.record.claims.values():
            if claim.stated:
                by.setdefault(claim.source, []).append((order, claim))
    for source, told in by.items():
        kinds = Counter(DEFINITIONS.get(claim.stated, claim.stated) for _, claim in told)
        if len(kinds) < 2:
            continue
        (usual, often), (rare, seldom) = kinds.most_common(2)
        strays = [(order, claim) for order, claim in told if DEFINITIONS.get(claim.stated) == rare]
        wrong = sum(astray(claim, workspace.order_value) for _, claim in strays)
        example = next(claim for _, claim in strays)
        usually = next(claim for _, claim in told if DEFINITIONS.get(claim.stated) == usual)
        outcome = (
            f"{wrong:,} of these left with that amount, because parts are missing or `total` is not the total"
            if wrong
            else f"all came with their parts, so {workspace.order_value} values left"
        )
        yield from finding(
            "mixed_source",
            source,
            seldom,
            often + seldom,
            f"{source} tells the {rare} amount in {seldom:,} of {many(often + seldom, 'order')} {LATELY} and the {usual} amount "
            f"in the others, such as {_said(example)} beside {_said(usually)}; {outcome}.",
            f"Let {source} send `total`, `tax` and `shipping` (or `revenue`) with every order, always meaning the same.",
            worth=worth(((claim.currency, stated_amount(claim) or Decimal(0)) for _, claim in strays), workspace),
            examples=(claim.event for _, claim in strays),
            severity=None if wrong else "warning",
        )


def _pairs(figures: Figures) -> Iterator[tuple[Purchase, Claim, Claim]]:
    """Each order with each two claims of it, in one currency."""
    for order in figures.recent:
        if len(order.record.claims) < 2:
            continue
        said = [order.record.claims[source] for source in sorted(order.record.claims)]
        for one, other in combinations(said, 2):
            if one.currency == other.currency:
                yield order, one, other


def _differ(one: Decimal | None, other: Decimal | None) -> Decimal:
    """By how much two amounts differ, where by more than sources round; 0 where one of them is not known."""
    if one is None or other is None:
        return Decimal(0)
    gap = abs(one - other)
    return gap if gap > APART else Decimal(0)


def _other_definition(one: Claim, other: Claim) -> bool:
    known = one.stated and other.stated and DEFINITIONS.get(one.stated) != DEFINITIONS.get(other.stated)
    return bool(known) and _differ(stated_amount(one), stated_amount(other)) > 0


def mixed_order(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Two sources tell the same orders, one gross and one net."""
    both: Counter[str] = Counter()
    apart: dict[str, list[tuple[Claim, Claim]]] = {}
    for _, one, other in _pairs(figures):
        pair = f"{one.source} + {other.source}"
        both[pair] += 1
        if _other_definition(one, other):
            apart.setdefault(pair, []).append((one, other))
    for pair, claims in apart.items():
        one, other = claims[0]
        changed = sum(_differ(a.value, b.value) > 0 for a, b in claims)
        which = workspace.counted_source.get(PURCHASE)
        yield from finding(
            "mixed_order",
            pair,
            len(claims),
            both[pair],
            f"{one.source} and {other.source} told {len(claims):,} of {many(both[pair], 'order')} {LATELY} under different "
            f"definitions, such as {_said(one)} from {one.source} and {_said(other)} from {other.source}. "
            + (
                f"Brought to {workspace.order_value} by their parts, {changed:,} still differ."
                if changed
                else f"By their parts both come to the same {workspace.order_value} value."
            ),
            f"The value of {which} counts; let the other send the same parts."
            if which
            else "Name the source that counts under `events.canonical`, or let both send `total`, `tax` and `shipping`.",
            worth=worth(((a.currency, _differ(stated_amount(a), stated_amount(b))) for a, b in claims), workspace),
            examples=(event for a, b in claims for event in (a.event, b.event)),
            severity="problem" if changed and not which else "warning",
        )


def value_differs(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Two sources tell the same orders with values that differ though their definitions do not."""
    both: Counter[str] = Counter()
    apart: dict[str, list[tuple[Purchase, Claim, Claim]]] = {}
    for order, one, other in _pairs(figures):
        pair = f"{one.source} + {other.source}"
        both[pair] += 1
        if _differ(one.value, other.value) and not _other_definition(one, other):
            apart.setdefault(pair, []).append((order, one, other))
    for pair, told in apart.items():
        order, one, other = told[0]
        yield from finding(
            "value_differs",
            pair,
            len(told),
            both[pair],
            f"{one.source} and {other.source} give {len(told):,} of {many(both[pair], 'order')} {LATELY} different values, such "
            f"as order {order.order_id}: {money(one.value or Decimal(0), one.currency)} ({one.source}, {one.value_from}) and "
            f"{money(other.value or Decimal(0), other.currency)} ({other.source}, {other.value_from}).",
            "Name the source that counts under `events.canonical`, and find out which of both leaves out a discount, tax or "
            "shipping.",
            worth=worth(((a.currency, _differ(a.value, b.value)) for _, a, b in told), workspace),
            examples=(event for _, a, b in told for event in (a.event, b.event)),
        )


def told_differently(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Two platforms were told the same orders with different values: each counts another source's report."""
    both: Counter[str] = Counter()
    apart: dict[str, list[tuple[Purchase, Told, Told]]] = {}
    for order in figures.recent:
        sent = {
            name: told for name, told in sorted(order.told.items()) if told.verdict in TAKEN and name in workspace.destinations
        }
        for one, other in combinations(sent, 2):
            if sent[one].currency != sent[other].currency:  # a platform that does not take it was told in the workspace's own
                continue
            pair = f"{one} and {other}"
            both[pair] += 1
            if _differ(sent[one].value, sent[other].value):
                apart.setdefault(pair, []).append((order, sent[one], sent[other]))
    for pair, told in apart.items():
        order, first, second = told[0]
        amounts = f"{money(first.value or Decimal(0), first.currency)} and {money(second.value or Decimal(0), second.currency)}"
        yield from finding(
            "told_differently",
            pair,
            len(told),
            both[pair],
            f"{pair} were told different values of {len(told):,} of {many(both[pair], 'order')} {LATELY}, such as {amounts} "
            f"for order {order.order_id}: each counts the report of another source.",
            "Name the source that counts under `events.canonical`: then every platform is told its value.",
            worth=worth(((a.currency, _differ(a.value, b.value)) for _, a, b in told), workspace),
            examples=(order.event for order, _, _ in told),
        )


INPUT = {
    "missing_value": "{part} of {whole} came without a value, and no platform learns from such a purchase",
    "missing_currency": "{part} of {whole} name no currency, or one that is none, and were withheld",
    "missing_order_id": "{part} of {whole} came without an order id: they cannot be told apart from repeats, and were withheld",
}
"""Reasons of the ledger that are findings by themselves, about purchases and other signals with a value."""


def incomplete(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Purchases without value, currency or order id, which are withheld."""
    for reason, words in INPUT.items():
        wrong = widest(pick(figures.day, verdicts={"withheld"}, reasons={reason}))
        if not wrong:
            continue
        named = {each.name for each in wrong}
        every = pick(figures.day, destination=wrong[0].destination)
        whole = signals(each for each in every if each.name in named and each.reason not in REPEATED | ASIDE)
        noun = "purchase" if named == {PURCHASE} else "signal"
        yield from finding(
            reason,
            "",
            signals(wrong),
            whole,
            f"{words.format(part=f'{signals(wrong):,}', whole=many(whole, noun)).capitalize()} ({LAST}).",
            gates.REASONS[reason].advice,
            worth=worth_of(wrong, workspace),
            examples=examples(figures, "withheld", {reason}),
        )


ASIDE = frozenset({"not_mapped", "paused", "other_source", "not_yet_rolled_out"})
"""Reasons by which the workspace itself leaves signals out."""
REPEATED = frozenset({"duplicate_message", "duplicate_order", "repeat"})


def unsupported_currency(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Amounts in a currency that a platform does not take and for which there is no rate."""
    for name in workspace.destinations:
        wrong = pick(figures.day, destination=name, verdicts={"withheld"}, reasons={"unsupported_currency"})
        if not wrong:
            continue
        codes = sorted({each.currency for each in wrong if each.currency})
        every = [each for each in pick(figures.day, destination=name) if each.reason not in ASIDE | REPEATED]
        whole = signals(each for each in every if each.name in {one.name for one in wrong})
        yield from finding(
            "unsupported_currency",
            name,
            signals(wrong),
            whole,
            f"{name} does not take amounts in {listed(codes)}: {signals(wrong):,} of {whole:,} signals were withheld {LAST}.",
            f"Give under `rates` what one {codes[0] if codes else 'unit'} is worth in {workspace.currency}, and keep it fresh.",
            worth=worth_of(wrong, workspace),
            examples=examples(figures, "withheld", {"unsupported_currency"}, name),
        )


# ---- rules: double sending -------------------------------------------------------------------------------------------------


def repeated(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Messages, and orders, that come in more than once."""
    wrong = widest(pick(figures.day, reasons={"duplicate_message"}))
    if wrong:
        part, whole = signals(wrong), signals(pick(figures.day, destination=wrong[0].destination))
        yield from finding(
            "repeated_messages",
            "",
            part,
            whole,
            f"{percent(part, whole)} of all messages ({part:,} of {whole:,}) came more than once {LAST}; each was counted once.",
            "Some repeats are normal: clients send again what got no answer. So many mean that a client times out too soon, or "
            "sends to two addresses.",
            worth=worth_of(wrong, workspace),
            examples=examples(figures, "withheld", {"duplicate_message"}),
        )
    wrong = widest(pick(figures.day, name=PURCHASE, reasons={"duplicate_order"}))
    if wrong:
        every = pick(figures.day, destination=wrong[0].destination, name=PURCHASE)
        # What a second source repeats is told by `rival_sources`.
        second = sum(len(order.record.claims) - 1 for order in figures.recent if order.time >= figures.now - DAY)
        part = max(0, signals(wrong) - second)
        whole = signals(each for each in every if each.reason not in ASIDE | {"duplicate_message"})
        yield from finding(
            "repeated_orders",
            "",
            part,
            whole,
            f"{percent(part, whole)} of the purchases reported {LAST} ({part:,} of {whole:,}) had been reported by the same "
            "source before; none was sent twice.",
            "Look for a thank-you page that fires on every reload, or a client that sends its whole history again.",
            worth=worth_of(wrong, workspace),
            examples=examples(figures, "withheld", {"duplicate_order"}),
        )


def rival_sources(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Two sources report the same purchases and the workspace does not say which counts."""
    if PURCHASE in workspace.counted_source:
        return
    shared: dict[str, list[Purchase]] = {}
    for order in figures.recent:
        if len(order.record.claims) > 1:
            shared.setdefault(" + ".join(sorted(order.record.claims)), []).append(order)
    for pair, told in shared.items():
        yield from finding(
            "rival_sources",
            pair,
            len(told),
            len(figures.recent),
            f"{listed(pair.split(' + '))} both report the same purchases ({len(told):,} of {many(len(figures.recent), 'order')} "
            f"{LATELY}); whichever comes first is sent, the other adds what it knows.",
            "Decide which one counts and write it under `events: {canonical: {Order Completed: SOURCE}}`.",
            examples=(claim.event for order in told for claim in order.record.claims.values()),
        )


def rival_events(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """A destination is sent two canonical events under the platform's one name of a purchase."""
    for name, chosen in workspace.destinations.items():
        platform = CATALOG[chosen.type]
        rivals = [event for event, sent_as in mapped(chosen).items() if sent_as == platform.purchase]
        counts = {event: signals(pick(figures.day, destination=name, name=event, verdicts=TAKEN)) for event in rivals}
        active = [event for event in rivals if counts[event]]
        if len(active) < 2:
            continue
        extra = sum(counts.values()) - max(counts.values())
        yield from finding(
            "rival_events",
            name,
            extra,
            sum(counts.values()),
            f"{name} is sent {listed(active)} as {platform.purchase}: {many(extra, 'purchase')} {LAST} beside those of "
            f"{max(active, key=lambda each: counts[each])}.",
            f"Map one event to {platform.purchase}; a purchase told under two names counts twice.",
            worth=worth_of(
                pick(figures.day, destination=name, verdicts=TAKEN, name=min(active, key=counts.__getitem__)), workspace
            ),
        )


def predicted(order: Purchase, name: str, chosen: Destination) -> doubles.Prediction | None:
    """What a destination makes of an order that its pixel is told too; None where it was told nothing."""
    told = order.told.get(name)
    if told is None:
        return None
    server = doubles.ServerSide(
        event=told.platform_event,
        event_id=told.platform_id,
        verdict=told.verdict,
        time=order.time,
        arrived=told.settled_at,
        order_id=order.order_id,
    )
    return doubles.predict_order(
        platform=chosen.type, name=PURCHASE, server=server, pixel=chosen.pixel, reported=order.record.pixels.get(chosen.type)
    )


def double_sending(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Orders that pixel and server both tell, and that the platform will not recognise as one."""
    for name, chosen in workspace.destinations.items():
        foreseen = [
            (order, told)
            for order in figures.recent
            if (told := predicted(order, name, chosen)) is not None and told.why not in {"not_yet_answered", "server_not_counted"}
        ]
        whole = len(foreseen)
        for kind, verdict in (("double_sending", "will_double_count"), ("double_sending_unknown", "unknown")):
            wrong = [(order, told) for order, told in foreseen if told.verdict == verdict]
            if not wrong:
                continue
            why, often = Counter(told.why for _, told in wrong).most_common(1)[0]
            example = next(told for _, told in wrong if told.why == why)
            spoken = (
                f"{name} will count {len(wrong):,} of {many(whole, 'order')} {LATELY} twice"
                if verdict == "will_double_count"
                else f"Whether {name} counts {len(wrong):,} of {many(whole, 'order')} {LATELY} twice cannot be told"
            )
            yield from finding(
                kind,
                name,
                len(wrong),
                whole,
                f"{spoken}, once from the pixel and once from here"
                f"{f' ({often:,} of them for one reason)' if often < len(wrong) else ''}. {example.sentence}",
                example.advice,
                worth=worth(_values((order for order, _ in wrong), name), workspace),
                examples=(order.event for order, _ in wrong),
            )


def _values(orders: Iterable[Purchase], destination: str) -> Iterator[tuple[str | None, Decimal]]:
    """Currency and value of orders as a destination was told them."""
    for order in orders:
        told = order.told.get(destination)
        if told is not None and told.value is not None:
            yield told.currency, told.value


# ---- rules: time -----------------------------------------------------------------------------------------------------------


def late(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Sources that tell an hour late and more, sources whose clock runs ahead."""
    for source in workspace.sources:
        histogram = figures.clocks.get(("source", source), {})
        whole = sum(histogram.values())
        if not whole:
            continue
        part = clocks.at_least(histogram, HOUR)
        yield from finding(
            "late_source",
            source,
            part,
            whole,
            f"{percent(part, whole)} of what {source} told {LAST} came an hour or more after it happened (half of all within "
            f"{span(clocks.quantile(histogram, 0.5))}, 19 of 20 within {span(clocks.quantile(histogram, 0.95))}).",
            "Send events as they happen instead of in batches; what is learned late no longer steers the bids of the hour.",
        )
        part = clocks.ahead(histogram, 60_000)
        yield from finding(
            "clock_skew",
            source,
            part,
            whole,
            f"{percent(part, whole)} of what {source} told {LAST} happened more than a minute after it came in: its clock runs "
            "ahead, or its time zone is wrong.",
            "Set the clock of the system that sends it by a time server, and send times in UTC (with Z).",
        )


OFFLINE = "pinterest"
"""The type of destination that files what comes later than an hour as offline (Pinterest's help on its Conversions API)."""


def counted_offline(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Signals that Pinterest files as offline because more than an hour passed until it had them."""
    told = [histogram for (clock, name), histogram in figures.clocks.items() if clock == "source" and name in workspace.sources]
    came = clocks.merge(told)
    before = sum(came.values())
    for name, chosen in workspace.destinations.items():
        taken = figures.clocks.get(("accepted", name), {})
        whole = sum(taken.values())
        if chosen.type != OFFLINE or not whole:
            continue
        # Both parts of the way are known as shares only: what was late already, and of the rest what became late here.
        already = clocks.at_least(came, HOUR) / before if before else 0.0
        part = round(whole * (already + (1 - already) * clocks.at_least(taken, HOUR) / whole))
        yield from finding(
            "counted_offline",
            name,
            part,
            whole,
            f"About {percent(part, whole)} of the signals that {name} took {LAST} reached it more than an hour after they "
            "happened: Pinterest counts these as offline and does not deduplicate them with its tag.",
            "Look under late sources for who tells late; shorten holds of an hour and more.",
        )


def untimely(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Signals withheld because they are too old, or from the future."""
    words = {
        "too_old": "were older than a platform takes",
        "in_future": "said that they happen in the future",
    }
    for reason, spoken in words.items():
        told = []
        for name in workspace.destinations:
            every = [each for each in pick(figures.day, destination=name) if each.reason not in ASIDE | REPEATED]
            wrong = pick(every, reasons={reason})
            told.append((name, signals(wrong), signals(every), wrong))
        if (found := worst(told)) is None:
            continue
        names, part, whole, wrong = found
        yield from finding(
            reason,
            "",
            part,
            whole,
            f"{percent(part, whole)} of the signals for {names} {LAST} ({part:,} of {whole:,}) {spoken} and were withheld.",
            gates.REASONS[reason].advice,
            worth=worth_of(wrong, workspace),
            examples=examples(figures, "withheld", {reason}),
        )


STOPPED = frozenset({"refunded_before_sending", "cancelled_before_sending", "flagged_before_sending"})


def hold_cost(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """What a hold on an event costs in speed, beside what it stops."""
    for event, text in workspace.holds.items():
        held = duration(text)
        for name, chosen in workspace.destinations.items():
            every = [each for each in pick(figures.week, destination=name, name=event) if each.reason not in ASIDE | REPEATED]
            stopped = pick(every, reasons=STOPPED)
            whole, part = signals(every), signals(stopped)
            offline = chosen.type == OFFLINE and held >= LONG_HOLD
            useless = whole >= 100 and part * 1000 < whole
            if not whole or not (offline or useless):
                continue
            cost = (
                "so Pinterest counts every one of them as offline"
                if offline
                else f"and that stopped {part:,} of {whole:,} {LATELY}"
            )
            yield from finding(
                "hold_cost",
                f"{event} at {name}",
                whole,
                whole,
                f"Each {event} waits {span(held)} before it leaves for {name}, {cost}.",
                f"Shorten `holds: {{{event}: {text}}}` to less than an hour, or remove it."
                if offline
                else "Remove the hold, or shorten it to the time in which cancellations really come.",
                worth=worth_of(stopped, workspace),
            )


# ---- rules: match keys -----------------------------------------------------------------------------------------------------


def keys_dropped(figures: Figures, _: Workspace) -> Iterator[Finding]:
    """Match keys whose coverage has dropped, with what changed at about that time."""
    for alarm in figures.alarms:
        yield from finding(
            "keys_dropped",
            alarm.subject,
            alarm.lacking,
            max(alarm.lacking, alarm.drop.signals),
            alarm.sentence,
            alarm.advice,
            examples=(mark.event for mark in alarm.marks if mark.event),
            severity="problem" if alarm.problem else "warning",
        )


def nobody(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Signals withheld because nothing in them lets the platform recognise anybody."""
    for name in workspace.destinations:
        every = [each for each in pick(figures.day, destination=name) if each.reason not in ASIDE | REPEATED]
        wrong = pick(every, reasons={"no_identifier"})
        part, whole = signals(wrong), signals(every)
        yield from finding(
            "nobody",
            name,
            part,
            whole,
            f"{percent(part, whole)} of the signals for {name} {LAST} ({part:,} of {whole:,}) carry nothing by which it could "
            "recognise anybody, and were withheld.",
            gates.REASONS["no_identifier"].advice,
            worth=worth_of(wrong, workspace),
            examples=examples(figures, "withheld", {"no_identifier"}, name),
        )


# ---- rules: the platform's answers -----------------------------------------------------------------------------------------


def answers(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """A share of refused, or never answered, signals above what is usual."""
    words = {
        "refused": (
            "refused",
            "refused",
            "Mend what it objects to at the source, then `signalpost replay` what is young enough.",
        ),
        "unanswered": (
            "unknown",
            "never clearly answered",
            "Look for the orders in the platform's own reports, then `signalpost replay` those that it does not have.",
        ),
    }
    settled = TAKEN | {"refused", "unknown"}
    for name in workspace.destinations:
        day, week = pick(figures.day, destination=name, verdicts=settled), pick(figures.week, destination=name, verdicts=settled)
        for kind, (verdict, spoken, advice) in words.items():
            wrong = pick(day, verdicts={verdict})
            part, whole = signals(wrong), signals(day)
            before = max(0, signals(week) - whole)
            usual = Decimal(max(0, signals(pick(week, verdicts={verdict})) - part)) / before if before else Decimal(0)
            share = Decimal(part) / whole if whole else Decimal(0)
            if share < ALWAYS and share < usual * USUAL_TIMES:
                continue
            reasons = Counter({each.reason: 0 for each in wrong})
            for each in wrong:
                reasons[each.reason] += each.signals
            top = reasons.most_common(1)[0][0] if reasons else ""
            sample = figures.samples.get((name, verdict, top))
            said = f" Most often: {sample.sentence}" if sample and sample.sentence else f" Most often: {top}." if top else ""
            yield from finding(
                kind,
                name,
                part,
                whole,
                f"{name} {spoken} {part:,} of {many(whole, 'signal')} {LAST} ({percent(part, whole)}"
                f"{f', usually {100 * usual:.1f} %' if before else ''}).{said}",
                advice,
                worth=worth_of(wrong, workspace),
                examples=examples(figures, verdict, set(reasons), name),
            )


def resting(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """A destination that has not sent for some minutes."""
    for rest in figures.resting:
        for_ms = figures.now - rest.since
        if rest.destination not in workspace.destinations or for_ms < 60_000:
            continue
        waiting = f" {many(rest.waiting, 'purchase')} {'waits' if rest.waiting == 1 else 'wait'}." if rest.waiting else ""
        yield from finding(
            "resting",
            rest.destination,
            1,
            1,
            f"{rest.destination} has sent nothing for {span(for_ms)} ({many(rest.failures, 'failed request')}). "
            f"{rest.sentence}{waiting}",
            "What waits is kept and is sent when the platform answers again. If it names credentials or permissions, mend them "
            "and restart; `signalpost send-test` shows whether they work.",
            worth=worth(rest.worth.items(), workspace),
            severity="problem" if for_ms >= REST_MS else "warning",
        )


# ---- rules: what should not leave ------------------------------------------------------------------------------------------


def test_events(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Events marked as tests that come into production."""
    if workspace.environment != "production":
        return
    reasons = {each.reason for each in figures.day if each.reason.removeprefix("gate:").startswith("test_")}
    wrong = widest(pick(figures.day, verdicts={"withheld"}, reasons=reasons)) if reasons else []
    if not wrong:
        return
    every = [each for each in pick(figures.day, destination=wrong[0].destination) if each.reason not in ASIDE]
    yield from finding(
        "test_events",
        "",
        signals(wrong),
        signals(every),
        f"{many(signals(wrong), 'event')} marked as a test came into production {LAST}; none was sent.",
        "Point the test shop at a workspace of its own with `environment: test`, and give it keys of its own.",
        worth=worth_of(wrong, workspace),
        examples=examples(figures, "withheld", reasons),
    )


def junk_orders(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Purchases worth nothing that were sent all the same."""
    told = []
    for name in workspace.destinations:
        gone = [
            order
            for order in figures.recent
            if (sent := order.told.get(name)) is not None and sent.verdict in TAKEN | {"waiting", "unknown"}
        ]
        junk = [order for order in gone if (value := order.told[name].value) is not None and value <= 0]
        told.append((name, len(junk), len(gone), junk))
    if (found := worst(told)) is None:
        return
    names, part, whole, junk = found
    observing = any(gate.preset == "zero_value" for gate in workspace.gates)
    yield from finding(
        "junk_orders",
        "",
        part,
        whole,
        f"{part:,} of {many(whole, 'purchase')} sent to {names} {LATELY} were worth nothing (replacements, gifts, samples): the "
        "platform learns to find more of these.",
        "The gate zero_value is there: see that it is no longer `mode: observing`, and for which events and destinations it is."
        if observing
        else "Switch on the gate: `gates: [{preset: zero_value}]`; with `mode: observing` it first shows what it would do.",
        examples=(order.event for order in junk),
    )


def observed(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """What each observing gate would have withheld."""
    by: dict[str, list[Notice]] = {}
    for notice in figures.notices:
        if notice.what == "observed" and notice.destination in workspace.destinations:
            by.setdefault(notice.detail, []).append(notice)
    for gate, told in by.items():
        where = max({each.destination for each in told}, key=lambda name: sum(e.signals for e in told if e.destination == name))
        own = [each for each in told if each.destination == where]
        names = sorted({each.name for each in own})
        part = sum(each.signals for each in own)
        whole = max(part, signals(each for each in pick(figures.week, destination=where, verdicts=TAKEN) if each.name in names))
        value = worth_of(own, workspace)
        yield from finding(
            "observed",
            gate,
            part,
            whole,
            f"The observing gate {gate} would have withheld {part:,} of {whole:,} {listed(names)} for {where} {LATELY}"
            f"{f', worth {money(*value)}' if value else ''}.",
            "Look at the examples. If they should not leave, set `mode: enforcing`; if they should, remove the gate.",
            worth=value,
            examples=sorted((each.event for each in own), reverse=True),
        )


AFTER = {
    "cancelled_after": (
        "were cancelled after they had been sent",
        "A hold on Order Completed stops those that are cancelled soon.",
    ),
    "refunded_after": (
        "were paid back (in whole or in part) after they had been sent",
        "Neither platform takes a purchase back: look at what comes back, and put those buyers into suppression.",
    ),
    "flagged_after": (
        "turned out to be fraudulent after they had been sent",
        "Hold Order Completed until the shop's fraud check has spoken, and gate flagged orders.",
    ),
}


def gone_back(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Orders cancelled, refunded or flagged after a platform had taken them."""
    for what, (words, advice) in AFTER.items():
        told = []
        for name in workspace.destinations:
            own = [each for each in figures.notices if each.what == what and each.destination == name]
            part = sum(each.signals for each in own)
            told.append(
                (name, part, max(part, signals(pick(figures.week, destination=name, name=PURCHASE, verdicts=TAKEN))), own)
            )
        if (found := worst(told)) is None:
            continue
        names, part, whole, own = found
        yield from finding(
            what,
            "",
            part,
            whole,
            f"{part:,} of {many(whole, 'purchase')} that {names} took {LATELY} {words}.",
            advice,
            worth=worth_of(own, workspace),
            examples=sorted((each.event for each in own), reverse=True),
        )


def low_intent(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Far more low-intent events than purchases, without a cap."""
    for name, chosen in workspace.destinations.items():
        taken = pick(figures.day, destination=name, verdicts=TAKEN)
        bought = signals(pick(taken, name=PURCHASE))
        capped = {event for stage in chosen.rollout for event in stage.at_most}
        by: Counter[str] = Counter()
        for each in taken:
            if vocabulary.priority(each.name) == vocabulary.REST and each.name not in capped:
                by[each.name] += each.signals
        loud = [(event, count) for event, count in by.most_common() if count > LOW_INTENT_FOR_A_PURCHASE * max(bought, 1)]
        if not loud:
            continue
        part, whole = sum(count for _, count in loud), signals(taken)
        event, count = loud[0]
        each_purchase = f"{count // bought:,} for each purchase" if bought else "and no purchase"
        yield from finding(
            "low_intent",
            name,
            part,
            whole,
            f"{name} was sent {count:,} {event} {LAST}, {each_purchase}"
            f"{f' (and many {listed(other for other, _ in loud[1:])})' if loud[1:] else ''}: {percent(part, whole)} of all it "
            "learns from says little of buying.",
            f"Leave {listed(other for other, _ in loud)} out, or cap it in the rollout: `at_most: {{{event}: 5}}`.",
        )


def rollout_held(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """A stage whose time has passed and whose bounds do not hold."""
    for name, standing in figures.rollouts.items():
        chosen = workspace.destinations.get(name)
        if chosen is None or not standing.held or standing.stage >= len(chosen.rollout):
            continue
        yield from finding(
            "rollout_held",
            name,
            1,
            1,
            f"The rollout of {name} stays in stage {standing.stage + 1} of {len(chosen.rollout)} "
            f"(for {span(max(0, figures.now - standing.since))}): {standing.held}.",
            "Mend what the reason names; it goes on by itself. `signalpost rollout advance` goes on by hand, with a note.",
        )


# ---- rules: what never arrives ---------------------------------------------------------------------------------------------


def never_seen(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Events that the workspace file maps and nobody has sent for a week; only where the file names them itself."""
    if not figures.since or figures.now - figures.since < DAY:
        return
    seen = {each.name for each in figures.week} | {each.name for each in figures.day}
    whole = signals(widest(figures.week))
    for name, chosen in workspace.destinations.items():
        wished = [PURCHASE] if chosen.events == "standard" else list(chosen.events)
        missing = [event for event in wished if event not in seen and event not in workspace.derived]
        if not missing:
            continue
        yield from finding(
            "never_seen",
            name,
            whole,
            whole,
            f"{name} should be told of {listed(missing)}, and no source has sent that {LATELY}.",
            "Compare the names that the sources use with those under `events` (`signalpost map` shows what a message becomes).",
            severity="problem" if PURCHASE in missing else "warning",
        )


SOUNDS_BOUGHT = re.compile(r"\b(?:orders?|purchases?|purchased|bought|paid|payment|transactions?|conversions?)\b", re.IGNORECASE)
SOUNDS_ELSE = re.compile(
    r"\b(?:refund\w*|cancel\w*|fail\w*|view\w*|started?|updat\w*|edit\w*|ship\w*|deliver\w*|fulfil\w*|declin\w*|track\w*|"
    r"pending|flag\w*|history|info|method|status|return\w*)\b",
    re.IGNORECASE,
)


def unmapped_purchases(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Events that sound like a purchase and are mapped to nothing, anywhere."""
    known_somewhere = {event for chosen in workspace.destinations.values() for event in mapped(chosen)}
    every = pick(figures.day, verdicts={"withheld"}, reasons={"not_mapped"})
    rows = widest(each for each in every if each.name not in known_somewhere)
    by: Counter[str] = Counter()
    for each in rows:
        words = re.sub(r"[_\-./]+|(?<=[a-z])(?=[A-Z])", " ", each.name)
        unknown = each.name not in vocabulary.CANONICAL_EVENTS and SOUNDS_BOUGHT.search(words) and not SOUNDS_ELSE.search(words)
        if unknown or each.name == PURCHASE:
            by[each.name] += each.signals
    for event, count in by.items():
        known = event == PURCHASE
        yield from finding(
            "unmapped_purchases",
            event,
            count,
            count,
            f"{event} came {count:,} times {LAST} and is sent nowhere"
            + (": the purchase itself is not mapped." if known else "; it sounds like a purchase."),
            f"Add {PURCHASE} under the destination's `events`."
            if known
            else f"If it is the purchase, write `events: {{{event}: {PURCHASE}}}`; if it repeats known orders, let it be.",
            examples=examples(figures, "withheld", {"not_mapped"}) if known else (),
            severity="problem" if known else "warning",
        )


def unreadable(figures: Figures, _: Workspace) -> Iterator[Finding]:
    """Messages that could not be read, and requests that could not be processed."""
    wrong = signals(pick(figures.day, destination="", reasons={"unreadable"}))
    came = signals(widest(each for each in figures.day if each.destination))
    yield from finding(
        "unreadable",
        "",
        wrong,
        wrong + came,
        f"{many(wrong, 'message')} of {wrong + came:,} could not be read {LAST}, and nothing was sent of them.",
        "The console's list of refusals names the field of each; mend it in the client.",
    )
    aside = len(figures.set_aside)
    yield from finding(
        "set_aside",
        "",
        aside,
        aside,
        f"{many(aside, 'request')} could not be processed {LATELY} and lie aside: a defect of Signalpost.",
        "Please report it with the log of that moment; the request stays in the journal.",
        severity="problem",
    )


RULES: tuple[Rule, ...] = (
    mixed_source,
    mixed_order,
    value_differs,
    told_differently,
    incomplete,
    unsupported_currency,
    repeated,
    rival_sources,
    rival_events,
    double_sending,
    late,
    counted_offline,
    untimely,
    hold_cost,
    keys_dropped,
    nobody,
    answers,
    resting,
    test_events,
    junk_orders,
    observed,
    gone_back,
    low_intent,
    rollout_held,
    never_seen,
    unmapped_purchases,
    unreadable,
)


def titles() -> Mapping[str, str]:
    """Kind -> its title, for lists."""
    return {name: kind.title for name, kind in KINDS.items()}
