"""The reasons a signal is withheld from a platform: one table of sentences, one function that decides.

A gate never changes anything; it gives the first reason that applies, in the order an operator would ask.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Literal

from msgspec import Struct

from signalpost import conditions
from signalpost.conditions import Subject
from signalpost.events import Event, Order, Person
from signalpost.options import Gate, Workspace
from signalpost.presets import PRESETS, slug


class Rule(Struct, frozen=True, kw_only=True):
    """A gate of the workspace file, compiled: a preset or a rule of the operator's own."""

    name: str
    """Of the preset, or made of the rule's reason; the ledger's reason is `gate:` and this."""
    sentence: str
    """Its condition in words, which is what the ledger says."""
    advice: str
    test: Callable[[Subject], bool]
    """True: the signal is withheld, or, observing, would be."""
    observing: bool
    events: frozenset[str] | None
    """Canonical events it looks at; None: all."""
    destinations: frozenset[str] | None
    """None: all."""

    @property
    def reason(self) -> str:
        """What the ledger has for it."""
        return f"gate:{self.name}"

    @property
    def told(self) -> str:
        """Why a signal was withheld, for people."""
        return f"Your gate {self.name}: {self.sentence}."


def rules(workspace: Workspace) -> tuple[Rule, ...]:
    """The workspace's gates in the order of the file, each compiled once."""
    return tuple(_rule(gate, frozenset(workspace.derived)) for gate in workspace.gates)


def kept_traits(workspace: Workspace) -> frozenset[str]:
    """Traits that some rule of the workspace reads, so that they are kept in `Person.given`."""
    written = [condition_of(gate) for gate in workspace.gates]
    written += [derived.where for derived in workspace.derived.values() if derived.where is not None]
    return frozenset().union(*(conditions.compile(each).traits for each in written))


def condition_of(gate: Gate) -> Any:
    """The condition of a gate as the workspace file could have it; a preset's with its parameters filled in."""
    return gate.when if gate.preset is None else PRESETS[gate.preset].when(gate)


def _rule(gate: Gate, derived: frozenset[str]) -> Rule:
    condition = conditions.compile(condition_of(gate))
    preset = None if gate.preset is None else PRESETS[gate.preset]
    events = None if gate.events is None else frozenset(gate.events)
    if events is None and preset is not None and preset.events is not None:
        events = derived.union(preset.events)
    return Rule(
        name=gate.preset or slug(gate.reason or ""),
        sentence=condition.sentence,
        advice=OWN_ADVICE if preset is None else preset.advice,
        test=condition.test,
        observing=gate.mode == "observing",
        events=events,
        destinations=None if gate.destinations is None else frozenset(gate.destinations),
    )


OWN_ADVICE = "Nothing to do: the rule is one of the workspace file's own, under `gates`."


Sense = Literal["aside", "meant", "lost"]
"""What a withheld signal is to the shop: `aside` is nothing that a platform misses (a repeat, a test, a correction), `meant` is
kept back on purpose, `lost` should have gone."""


class Reason(Struct, frozen=True, kw_only=True):
    """Why, for people: `sentence` says what happened, `advice` what to do."""

    sentence: str
    advice: str
    sense: Sense = "lost"


REASONS: dict[str, Reason] = {
    "duplicate_message": Reason(
        sentence="The same message came in before; it was counted once.",
        advice="Nothing to do: clients repeat messages when the network fails.",
        sense="aside",
    ),
    "not_mapped": Reason(
        sentence="This event is not among the events this platform is told about.",
        advice="Add it under the destination's `events` if the platform should learn from it.",
        sense="meant",
    ),
    "other_source": Reason(
        sentence="Another source is the one that counts for this event.",
        advice="Nothing to do: `events.canonical` in the workspace file names the source that counts.",
        sense="aside",
    ),
    "paused": Reason(
        sentence="The destination is paused.",
        advice="Remove `paused: true` from the workspace file when it should send again.",
        sense="meant",
    ),
    "suppressed_person": Reason(
        sentence="The person was suppressed: nothing about them may leave.",
        advice="Unsuppress the person in Customer.io if that was a mistake.",
        sense="meant",
    ),
    "consent_denied": Reason(
        sentence="The person did not allow advertising use of this event.",
        advice="Nothing to do. If most events end here, check the consent paths in the workspace file.",
        sense="meant",
    ),
    "test_order": Reason(
        sentence="Its sender marked this as a test.",
        advice="Nothing to do: what is marked as a test never reaches a platform in production. If real orders end here, look "
        "for `test`, `test_event_code` or `environment` in what the shop sends.",
        sense="aside",
    ),
    "duplicate_order": Reason(
        sentence="This order was already counted as a purchase; sending it again would inflate results.",
        advice="Nothing to do here. If it happens a lot, look for a thank-you page that fires on reload.",
        sense="aside",
    ),
    "repeat": Reason(
        sentence="The same person did the same to the same product a moment before; it was counted once.",
        advice="Nothing to do: `repeats` in the workspace file says how long a moment is.",
        sense="aside",
    ),
    "not_yet_rolled_out": Reason(
        sentence="The destination's rollout has not come to this event yet.",
        advice="Nothing to do: `signalpost rollout status` says what the next stage waits for.",
        sense="meant",
    ),
    "over_cap": Reason(
        sentence="Enough of these were sent for the purchases there are.",
        advice="Nothing to do: the rollout's `at_most` says how many go out for each purchase.",
        sense="meant",
    ),
    "cancelled_before_sending": Reason(
        sentence="The order was cancelled before its purchase was sent.",
        advice="Nothing to do: the platform never hears of it.",
        sense="meant",
    ),
    "refunded_before_sending": Reason(
        sentence="The order was paid back in full before its purchase was sent.",
        advice="Nothing to do: the platform never hears of it.",
        sense="meant",
    ),
    "flagged_before_sending": Reason(
        sentence="The order was found to be fraudulent, or held for review, before its purchase was sent.",
        advice="Nothing to do: the platform never hears of it.",
        sense="meant",
    ),
    "missing_order_id": Reason(
        sentence="A purchase without an order id cannot be told apart from a repeat of itself.",
        advice="Send `order_id` with every Order Completed.",
    ),
    "missing_value": Reason(
        sentence="The purchase has no value the platform could learn from.",
        advice="Send `total`, or `revenue`, `tax` and `shipping`, as numbers.",
    ),
    "negative_value": Reason(
        sentence="The purchase's value is below zero: it is a correction, not a sale.",
        advice="Send refunds as Order Refunded; keep bookkeeping entries out of Order Completed.",
        sense="aside",
    ),
    "missing_currency": Reason(
        sentence="The amount's currency is missing or not a currency code.",
        advice="Send `currency` as three letters, such as USD.",
    ),
    "unsupported_currency": Reason(
        sentence="The platform does not take amounts in this currency.",
        advice="Sell in a currency the platform lists, or leave this event out for this platform.",
    ),
    "in_future": Reason(
        sentence="The event says it happened in the future.",
        advice="Check the clock and the time zone of the system that sends it.",
    ),
    "too_old": Reason(
        sentence="The event is older than the platform takes.",
        advice="Send events as they happen; history cannot be delivered late.",
    ),
    "no_identifier": Reason(
        sentence="Nothing in this event or known of the person lets the platform recognise anybody.",
        advice="Pass e-mail, phone or user id, or the browser's IP and user agent, with the event.",
    ),
}


def sense(reason: str) -> Sense:
    """What being withheld for this reason is to the shop; a reason of a platform's own is a loss."""
    if reason.startswith("gate:"):
        return "meant"
    return REASONS[reason].sense if reason in REASONS else "lost"


PASSED: dict[str, str] = {
    "duplicate_message": "The message had not come in before.",
    "not_mapped": "This platform is told about this event.",
    "repeat": "The person had not done the same a moment before.",
    "other_source": "Its source is the one that counts for this event.",
    "paused": "The destination was not paused.",
    "suppressed_person": "The person may be processed.",
    "consent_denied": "Advertising use was allowed.",
    "test_order": "It is not marked as a test.",
    "in_future": "It does not say that it happened in the future.",
    "too_old": "It is young enough for the platform.",
    "missing_order_id": "The purchase has an order id.",
    "duplicate_order": "The order had not been counted yet.",
    "missing_value": "The purchase has a value.",
    "negative_value": "The value is not below zero.",
    "missing_currency": "The amount has a currency.",
    "unsupported_currency": "The platform takes amounts in this currency.",
    "no_identifier": "The platform has something to recognise the person by.",
    "not_yet_rolled_out": "The destination's rollout has come to this event.",
    "over_cap": "The rollout's cap was not reached.",
}
"""The built-in gates in the order in which they are asked -> what it means that a signal passed."""

OF_PURCHASES = frozenset({"missing_order_id", "duplicate_order", "missing_value", "negative_value"})
"""Those of them that only purchases are asked."""

OF_ROLLOUTS = frozenset({"not_yet_rolled_out", "over_cap"})


NOT_REAL = frozenset(
    {"test", "testing", "tests", "qa", "uat", "ci", "sandbox", "staging", "stage", "dev", "development", "local"}
)
"""Words of an environment's name, such as `qa` in `qa-eu`, whose events are no customers'."""


def marked_test(event: Event) -> bool:
    """Whether its sender marked the event as a test: by `test`, by TikTok's code, or by an environment that is not the real one.

    `test` is what Shopify, the clients here and Pinterest's API call it; `test_event_code` is TikTok's. An environment of an
    unknown name is taken for the real one: withholding costs money, and the name can be made a gate.
    """
    return _marks_test(event.properties) or _marks_test(event.context)


_MARKS = frozenset({"test", "test_event_code", "environment"})


def _marks_test(said: dict[str, Any]) -> bool:
    if _MARKS.isdisjoint(said):
        return False
    if "test" in said and truth(said["test"]):
        return True
    if said.get("test_event_code"):
        return True
    named = said.get("environment")
    return isinstance(named, str) and not NOT_REAL.isdisjoint(_words(named.lower()))


_words = re.compile("[a-z]+").findall


def lookup(event: Event, path: str) -> Any:
    """The value at a dotted path such as `context.consent.advertising`; None where it ends early."""
    head, *rest = path.split(".")
    value: Any = getattr(event, head, None) if head in {"properties", "context", "traits"} else None
    for name in rest:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def truth(value: Any) -> bool | None:
    """True or False for the ways clients write them, None for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in {0, 1}:
        return bool(value)
    if isinstance(value, str):
        return {
            "true": True,
            "1": True,
            "yes": True,
            "granted": True,
            "false": False,
            "0": False,
            "no": False,
            "denied": False,
        }.get(value.strip().lower())
    return None


def finder(paths: tuple[str, ...]) -> Callable[[Event], Any]:
    """Compiles dotted paths to a function: the value at the first present of them in an event; None when none is present."""
    roots = ("properties", "context", "traits")
    first = [
        (attrgetter(root), names)
        for root in roots
        if (names := frozenset(path.split(".")[1] for path in paths if path.startswith(root + ".")))
    ]
    parted = [(attrgetter(root), names) for root, *names in (path.split(".") for path in paths) if root in roots]

    def find(event: Event) -> Any:
        for place, names in first:
            if not names.isdisjoint(place(event)):
                break
        else:
            return None  # nearly every event: not one of the paths even begins
        for place, steps in parted:
            value = place(event)
            for name in steps:
                if not isinstance(value, dict):
                    value = None
                    break
                value = value.get(name)
            if value is not None:
                return value
        return None

    return find


def withheld(
    *,
    event: Event,
    person: Person,
    order: Order,
    counts: bool,
    paused: bool,
    test: bool,
    allowed: bool,
    purchase: bool,
    duplicate_order: bool,
    valued: bool,
    currencies: frozenset[str] | None,
    oldest_ms: int,
    future_ms: int,
    now: int,
) -> str | None:
    """The first reason (a key of `REASONS`) this event must not go to this platform; None when it may."""
    if not counts:
        return "other_source"
    if paused:
        return "paused"
    if person.suppressed_at:
        return "suppressed_person"
    if not allowed:
        return "consent_denied"
    if test:
        return "test_order"
    if event.time > event.received_at + future_ms:
        return "in_future"
    if event.time < now - oldest_ms:
        return "too_old"
    if purchase:
        if order.id is None:
            return "missing_order_id"
        if duplicate_order:
            return "duplicate_order"
        if order.value is None:
            return "missing_value"
        if order.value < 0:
            return "negative_value"
    if valued and order.value is not None:
        if order.currency is None:
            return "missing_currency"
        if currencies is not None and order.currency not in currencies:
            return "unsupported_currency"
    return None
