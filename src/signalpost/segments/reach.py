"""What a rule leaves possible: who is inside when only a part of their past is known.

`verdict` answers True (everybody with such a past is inside), False (nobody is) or None (some may be, or it cannot be told). It
is never wrong where it is sure; where two parts of a rule exclude one another in a way it does not see, it says None. `ages`
asks it for every age of one event; `last_of` is the past of those to whom something has just happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from signalpost import conditions
from signalpost.conditions import NEVER
from signalpost.conditions.expressions import Asks, Either, Every, Expression, asks_of
from signalpost.conditions.operators import COMPARE
from signalpost.segments.rules import Age, All, Band, Happened, Inside, Not, Rule, Some, Split, Trait

PURCHASE = "Order Completed"
TAKEN_BACK = ("Order Refunded", "Order Cancelled")
"""After these an order may stand no longer, and what is computed of a person's orders says so."""

Verdict = bool | None
Span = tuple[int, int]
"""Ages (ms): from the first and before the second; NEVER is without end."""
Rules = Mapping[str, Rule]

SPLIT = 10
"""So many events are told apart by whether they ever happened; of the others of a rule nothing is assumed."""

_MOST = Decimal("1e30")


class Past(Struct, frozen=True, kw_only=True):
    """What is known of somebody's past; of everything else nothing is."""

    last: dict[str, Span] = {}
    """Event -> how long ago it last happened."""
    ever: dict[str, bool] = {}
    """Event -> whether it ever happened; those in `last` did."""
    newest: tuple[str, ...] = ()
    """The events that came last, in their order; each is in `last`, and no other event came at or after the first of them."""

    def happened(self, event: str) -> Verdict:
        """Whether it ever did; None: not known."""
        return True if event in self.last else self.ever.get(event)


class Ages(Struct, frozen=True, kw_only=True):
    """At which ages of an event's last time somebody may be inside (`may`), and everybody is (`sure`)."""

    may: tuple[Span, ...]
    sure: tuple[Span, ...]
    without: Verdict
    """Of those to whom it never happened."""


def last_of(*events: str, before: dict[str, bool] | None = None) -> Past:
    """The past of somebody to whom these events happened just now, one after the other; `before`: which did ever, before."""
    return Past(last=dict.fromkeys(events, (0, 1)), newest=events, ever=before or {})


def ages(rule: Rule, rules: Rules, event: str) -> Ages:
    """The ages of this event's last time at which the rule leaves somebody inside."""
    bounds = sorted({0, NEVER, *(bound for leaf, _ in read(rule, rules) for bound in _bounds(leaf, event) if 0 < bound < NEVER)})
    told = [(span, verdict(rule, rules, Past(last={event: span}))) for span in pairwise(bounds)]
    return Ages(
        may=_joined(span for span, answer in told if answer is not False),
        sure=_joined(span for span, answer in told if answer is True),
        without=verdict(rule, rules, Past(ever={event: False})),
    )


def _bounds(leaf: Rule, event: str) -> Iterator[int]:
    if isinstance(leaf, Happened) and leaf.event == event and leaf.within is not None:
        yield leaf.within
    if isinstance(leaf, Age) and leaf.event == event:
        yield leaf.low
        yield NEVER if leaf.high is None else leaf.high
    if isinstance(leaf, Trait) and event == PURCHASE:
        for asks in asks_of(_expression(leaf)):
            if asks.path == "person.last_order_at" and asks.operator == "age":
                for operator, bound in asks.operands:
                    yield bound + (operator in {"gt", "lte"})


def _joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    found: list[Span] = []
    for low, high in spans:
        if found and found[-1][1] == low:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return tuple(found)


def read(rule: Rule, rules: Rules, *, plainly: bool = True) -> Iterator[tuple[Rule, bool]]:
    """Every leaf of a rule and of the segments it names, with whether it is asked plainly (True) or under a `not`."""
    if isinstance(rule, (All, Some)):
        for part in rule.parts:
            yield from read(part, rules, plainly=plainly)
    elif isinstance(rule, Not):
        yield from read(rule.part, rules, plainly=not plainly)
    elif isinstance(rule, Inside):
        if rule.segment in rules:
            yield from read(rules[rule.segment], rules, plainly=plainly)
    else:
        yield rule, plainly


def wanted(rule: Rule, rules: Rules) -> frozenset[str]:
    """The events that bring people inside: those asked for, not against."""
    return frozenset(
        leaf.event
        for leaf, plainly in read(rule, rules)
        if (isinstance(leaf, Age) and plainly) or (isinstance(leaf, Happened) and plainly is (leaf.least > 0))
    )


def paths(rule: Rule, rules: Rules) -> frozenset[str]:
    """What a rule reads of the person: the paths of its conditions."""
    return frozenset(asks.path for leaf, _ in read(rule, rules) if isinstance(leaf, Trait) for asks in asks_of(_expression(leaf)))


# ---- three answers -----------------------------------------------------------------------------------------------------------


def verdict(rule: Rule, rules: Rules, past: Past) -> Verdict:
    """Whether those with this past are inside, in every case of which other events ever happened to them."""
    named = {leaf.event for leaf, _ in read(rule, rules) if isinstance(leaf, (Happened, Age))}
    named |= {leaf.since for leaf, _ in read(rule, rules) if isinstance(leaf, Happened) and leaf.since is not None}
    if PURCHASE not in named and any(isinstance(leaf, (Trait, Band)) for leaf, _ in read(rule, rules)):
        named.add(PURCHASE)
    return _in_every_case(rule, rules, past, sorted(event for event in named if past.happened(event) is None)[:SPLIT])


def _in_every_case(rule: Rule, rules: Rules, past: Past, undecided: list[str]) -> Verdict:
    """The answer as it is, or where it depends, the one answer of both cases of the first event that is not decided."""
    answer = _judge(rule, rules, past)
    if answer is not None or not undecided:
        return answer
    event, *rest = undecided
    never = _in_every_case(rule, rules, replace(past, ever={**past.ever, event: False}), rest)
    if never is None:
        return None
    return never if never is _in_every_case(rule, rules, replace(past, ever={**past.ever, event: True}), rest) else None


def _judge(rule: Rule, rules: Rules, past: Past) -> Verdict:
    if isinstance(rule, Happened):
        return _within(*_times(rule, past), rule.least, rule.most)
    if isinstance(rule, Age):
        return _aged(rule, past)
    if isinstance(rule, Trait):
        return _asked(_expression(rule), _facts(past))
    if isinstance(rule, Inside):
        return _judge(rules[rule.segment], rules, past) if rule.segment in rules else None
    if isinstance(rule, Band):
        return False if past.happened(PURCHASE) is False else None  # nobody without an order has a value
    if isinstance(rule, Split):
        return None
    if isinstance(rule, Not):
        return _opposite(_judge(rule.part, rules, past))
    answers = [_judge(part, rules, past) for part in rule.parts]
    return _every(answers) if isinstance(rule, All) else _any(answers)


def _every(answers: Iterable[Verdict]) -> Verdict:
    told = set(answers)
    return False if False in told else None if None in told else True


def _any(answers: Iterable[Verdict]) -> Verdict:
    told = set(answers)
    return True if True in told else None if None in told else False


def _opposite(answer: Verdict) -> Verdict:
    return None if answer is None else not answer


def _times(rule: Happened, past: Past) -> Span:
    """How often the event counts: at least and at most."""
    event, since = rule.event, rule.since
    if past.happened(event) is False or (since is not None and past.happened(since) is False):
        return 0, 0
    newest = past.newest
    after = event in newest and (since is None or since not in newest or newest.index(since) <= newest.index(event))
    if since in newest and not after:
        return 0, 0
    span = past.last.get(event)
    if span is not None and rule.within is not None and span[0] >= rule.within:
        return 0, 0
    sure = (
        rule.where is None
        and rule.between is None
        and (since is None or (after and past.happened(since) is True))
        and past.happened(event) is True
        and (rule.within is None or (span is not None and span[1] <= rule.within))
    )
    return int(sure), NEVER


def _within(low: int, high: int, least: int, most: int | None) -> Verdict:
    end = NEVER if most is None else most
    if high < least or low > end:
        return False
    return True if least <= low and high <= end else None


def _aged(rule: Age, past: Past) -> Verdict:
    if past.happened(rule.event) is False:
        return False
    high = NEVER if rule.high is None else rule.high
    span = past.last.get(rule.event)
    if span is None:
        return True if past.happened(rule.event) and rule.where is None and (rule.low, high) == (0, NEVER) else None
    if span[0] >= high:
        return False
    if rule.first or rule.where is not None:  # the first time, and the last of some, are at least as old as the last of all
        return True if rule.where is None and span[0] >= rule.low and high == NEVER else None
    if span[1] <= rule.low:
        return False
    return True if rule.low <= span[0] and span[1] <= high else None


# ---- conditions --------------------------------------------------------------------------------------------------------------


class _Fact(Struct, frozen=True):
    """What is known of a number that a condition reads: it lies from `low` to `high`. None instead: there is no such fact."""

    low: Decimal
    high: Decimal


def _facts(past: Past) -> dict[str, _Fact | Span | None]:
    """What is computed of the orders of somebody with this past; what is not here is not known.

    Orders are taken to stand unless the past ends with one that was taken back.
    """
    bought = past.happened(PURCHASE)
    if bought is False:
        none = _Fact(Decimal(0), Decimal(0))
        absent = ("average_order_value", "first_order_at", "last_order_at", "days_between_orders")
        return {"person.orders": none, "person.lifetime_value": none, **{f"person.{name}": None for name in absent}}
    if not bought or any(event in past.newest for event in TAKEN_BACK):
        return {}
    facts: dict[str, _Fact | Span | None] = {"person.orders": _Fact(Decimal(1), _MOST)}
    if PURCHASE in past.last:
        facts["person.last_order_at"] = past.last[PURCHASE]
    return facts


def _asked(expression: Expression, facts: Mapping[str, _Fact | Span | None]) -> Verdict:
    if isinstance(expression, Every):
        return _every([_asked(part, facts) for part in expression.parts])
    if isinstance(expression, Either):
        return _any([_asked(part, facts) for part in expression.parts])
    if not isinstance(expression, Asks):
        return _opposite(_any([_asked(part, facts) for part in expression.parts]))
    if expression.path not in facts:
        return None
    fact, operator, operands = facts[expression.path], expression.operator, expression.operands
    if fact is None:
        return (operator in {"ne", "not_in"}) if operator != "exists" else operands[0] is False
    if operator == "exists":
        return operands[0] is True
    if isinstance(fact, _Fact):
        return _compared(fact, operator, operands)
    if operator == "age":
        return _every([_ordered(_Fact(Decimal(fact[0]), Decimal(fact[1] - 1)), name, Decimal(ms)) for name, ms in operands])
    return None


def _compared(fact: _Fact, operator: str, operands: tuple[Any, ...]) -> Verdict:
    if operator in COMPARE:
        return _ordered(fact, operator, operands[0])
    inside = [each for each in operands if fact.low <= each <= fact.high]
    equal: Verdict = False if not inside else True if fact.low == fact.high else None
    return equal if operator in {"eq", "in"} else _opposite(equal) if operator in {"ne", "not_in"} else None


def _ordered(fact: _Fact, operator: str, bound: Decimal) -> Verdict:
    # A comparison with one bound turns once, so both ends tell of all between them.
    ends = {COMPARE[operator](fact.low, bound), COMPARE[operator](fact.high, bound)}
    return ends.pop() if len(ends) == 1 else None


def _expression(rule: Trait) -> Expression:
    return _compiled(msgspec.json.encode(rule.when))


@lru_cache(maxsize=1_024)
def _compiled(when: bytes) -> Expression:
    return conditions.compile(msgspec.json.decode(when)).expression
