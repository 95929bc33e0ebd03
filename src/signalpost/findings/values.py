"""One order, one value: sources that mix gross and net or differ, platforms that were told different values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import combinations
from typing import TypeVar

from signalpost.config import Workspace
from signalpost.events import Claim
from signalpost.findings.counts import TAKEN, worth
from signalpost.findings.figures import LATELY, PURCHASE, Figures, Purchase, Told
from signalpost.findings.finding import Finding, finding
from signalpost.findings.words import many, money

APART = Decimal("0.01")
"""Values of one order that differ by no more than this are the same: sources round differently."""

DEFINITIONS = {"gross": "gross", "net": "net", "subtotal": "net"}
"""What a claim's amount is, for comparing: `subtotal` is goods without tax and shipping too."""

Side = TypeVar("Side", Claim, Told)
"""What one of two says of an order: a source, or what a platform was told."""


def stated_amount(claim: Claim) -> Decimal | None:
    """The amount that a source calls the order's worth, as `purchases.recognise` looks at it."""
    return next((each for each in (claim.total, claim.worth, claim.revenue, claim.subtotal) if each is not None), None)


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
    by: dict[str, list[Claim]] = {}
    for order in figures.recent:
        for claim in order.record.claims.values():
            if claim.stated:
                by.setdefault(claim.source, []).append(claim)
    for source, told in by.items():
        kinds = Counter(DEFINITIONS.get(claim.stated, claim.stated) for claim in told)
        if len(kinds) < 2:
            continue
        (usual, often), (rare, seldom) = kinds.most_common(2)
        strays = [claim for claim in told if DEFINITIONS.get(claim.stated) == rare]
        wrong = sum(astray(claim, workspace.order_value) for claim in strays)
        usually = next(claim for claim in told if DEFINITIONS.get(claim.stated) == usual)
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
            f"in the others, such as {_said(strays[0])} beside {_said(usually)}; {outcome}.",
            f"Let {source} send `total`, `tax` and `shipping` (or `revenue`) with every order, always meaning the same.",
            worth=worth(((claim.currency, stated_amount(claim) or Decimal(0)) for claim in strays), workspace),
            examples=(claim.event for claim in strays),
            severity=None if wrong else "warning",
        )


def _sources(figures: Figures) -> Iterator[tuple[str, Purchase, Claim, Claim]]:
    """Two sources, an order, and what each of them claims of it in one currency."""
    for order in figures.recent:
        if len(order.record.claims) < 2:
            continue
        said = [order.record.claims[source] for source in sorted(order.record.claims)]
        for one, other in combinations(said, 2):
            if one.currency == other.currency:
                yield f"{one.source} + {other.source}", order, one, other


def _differ(one: Decimal | None, other: Decimal | None) -> Decimal:
    """By how much two amounts differ, where by more than sources round; 0 where one of them is not known."""
    if one is None or other is None:
        return Decimal(0)
    gap = abs(one - other)
    return gap if gap > APART else Decimal(0)


def _apart(
    pairs: Iterable[tuple[str, Purchase, Side, Side]], differ: Callable[[Side, Side], bool]
) -> Iterator[tuple[str, int, list[tuple[Purchase, Side, Side]]]]:
    """Each pair that differs: (pair, orders that both of it told, those in which they differ)."""
    both: Counter[str] = Counter()
    apart: dict[str, list[tuple[Purchase, Side, Side]]] = {}
    for pair, order, one, other in pairs:
        both[pair] += 1
        if differ(one, other):
            apart.setdefault(pair, []).append((order, one, other))
    for pair, told in apart.items():
        yield pair, both[pair], told


def _other_value(one: Side, other: Side) -> bool:
    return _differ(one.value, other.value) > 0


def _other_definition(one: Claim, other: Claim) -> bool:
    known = one.stated and other.stated and DEFINITIONS.get(one.stated) != DEFINITIONS.get(other.stated)
    return bool(known) and _differ(stated_amount(one), stated_amount(other)) > 0


def mixed_order(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Two sources tell the same orders, one gross and one net."""
    for pair, both, told in _apart(_sources(figures), _other_definition):
        _, one, other = told[0]
        changed = sum(_other_value(a, b) for _, a, b in told)
        which = workspace.counted_source.get(PURCHASE)
        yield from finding(
            "mixed_order",
            pair,
            len(told),
            both,
            f"{one.source} and {other.source} told {len(told):,} of {many(both, 'order')} {LATELY} under different "
            f"definitions, such as {_said(one)} from {one.source} and {_said(other)} from {other.source}. "
            + (
                f"Brought to {workspace.order_value} by their parts, {changed:,} still differ."
                if changed
                else f"By their parts both come to the same {workspace.order_value} value."
            ),
            f"The value of {which} counts; let the other send the same parts."
            if which
            else "Name the source that counts under `events.canonical`, or let both send `total`, `tax` and `shipping`.",
            worth=worth(((a.currency, _differ(stated_amount(a), stated_amount(b))) for _, a, b in told), workspace),
            examples=(event for _, a, b in told for event in (a.event, b.event)),
            severity="problem" if changed and not which else "warning",
        )


def value_differs(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Two sources tell the same orders with values that differ though their definitions do not."""
    for pair, both, told in _apart(_sources(figures), lambda a, b: _other_value(a, b) and not _other_definition(a, b)):
        order, one, other = told[0]
        yield from finding(
            "value_differs",
            pair,
            len(told),
            both,
            f"{one.source} and {other.source} give {len(told):,} of {many(both, 'order')} {LATELY} different values, such "
            f"as order {order.order_id}: {money(one.value or Decimal(0), one.currency)} ({one.source}, {one.value_from}) and "
            f"{money(other.value or Decimal(0), other.currency)} ({other.source}, {other.value_from}).",
            "Name the source that counts under `events.canonical`, and find out which of both leaves out a discount, tax or "
            "shipping.",
            worth=worth(((a.currency, _differ(a.value, b.value)) for _, a, b in told), workspace),
            examples=(event for _, a, b in told for event in (a.event, b.event)),
        )


def _platforms(figures: Figures, workspace: Workspace) -> Iterator[tuple[str, Purchase, Told, Told]]:
    """Two destinations, an order, and what each of them was told of it in one currency."""
    for order in figures.recent:
        sent = {
            name: told for name, told in sorted(order.told.items()) if told.verdict in TAKEN and name in workspace.destinations
        }
        for one, other in combinations(sent, 2):
            if sent[one].currency == sent[other].currency:  # a platform that does not take it was told in the workspace's own
                yield f"{one} and {other}", order, sent[one], sent[other]


def told_differently(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Two platforms were told the same orders with different values: each counts another source's report."""
    for pair, both, told in _apart(_platforms(figures, workspace), _other_value):
        order, first, second = told[0]
        amounts = f"{money(first.value or Decimal(0), first.currency)} and {money(second.value or Decimal(0), second.currency)}"
        yield from finding(
            "told_differently",
            pair,
            len(told),
            both,
            f"{pair} were told different values of {len(told):,} of {many(both, 'order')} {LATELY}, such as {amounts} "
            f"for order {order.order_id}: each counts the report of another source.",
            "Name the source that counts under `events.canonical`: then every platform is told its value.",
            worth=worth(((a.currency, _differ(a.value, b.value)) for _, a, b in told), workspace),
            examples=(order.event for order, _, _ in told),
        )
