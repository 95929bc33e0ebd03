"""What Signalpost can do for a brand, told by the use and not by the connector: what each needs, and the change that begins it.

`USE_CASES` is the table. A use case says which segments, audiences and derived events it puts into the workspace file. Which
events it needs follows from those rules, which fields from what they compute, and by what people are recognised from the tables
of the platforms it is for. `needs` holds that against what has arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from signalpost import coverage
from signalpost.amend import Change, compact
from signalpost.config import Destination, Workspace
from signalpost.destinations import CATALOG
from signalpost.segments import catalog
from signalpost.segments.rules import Age, Happened, Inside, Rule, Trait, leaves
from signalpost.vocabulary import CANONICAL_EVENTS

PURCHASE = "Order Completed"

State = Literal["there", "partly", "missing", "unknown"]

ENOUGH, SOME = 0.8, 0.3
"""Shares of what was looked at from which a field or an identifier counts as there, and as partly there."""


class Ask(Struct, frozen=True, kw_only=True):
    """Something that a use case lets one choose."""

    name: str
    label: str
    default: str
    hint: str = ""


class Parts(Struct, frozen=True, kw_only=True):
    """What a use case puts into the workspace file, as plain data."""

    segments: dict[str, Any] = {}
    audiences: tuple[dict[str, Any], ...] = ()
    """Without `to`: the destinations are chosen."""
    derived: dict[str, Any] = {}
    events: dict[str, dict[str, str]] = {}
    """Platform -> canonical event -> its name there, where the destination does not send the standard table."""


class UseCase(Struct, frozen=True, kw_only=True):
    """One of them."""

    name: str
    title: str
    brings: str
    """What it brings, in a sentence."""
    needs: str
    """What it needs, in a few words."""
    docs: str
    """The page that tells more, from the project's root."""
    asks: tuple[Ask, ...]
    parts: Callable[[Mapping[str, str]], Parts]
    """(answers to `asks`) -> what is put into the file."""
    also: tuple[tuple[str, str], ...] = ()
    """Events that no rule names and that make it better -> why."""


# ---- the table -------------------------------------------------------------------------------------------------------------


def _holdout(asked: Mapping[str, str]) -> dict[str, Any]:
    return {"holdout": asked["holdout"]} if asked.get("holdout") else {}


_HOLD_OUT = Ask(
    name="holdout",
    label="Hold out",
    default="10%",
    hint="A share that never sees these ads, chosen by lot, so that Reports can say what they bring. Empty: nobody.",
)


def _suppress(asked: Mapping[str, str]) -> Parts:
    return Parts(
        segments={"recent_buyers": {"did": PURCHASE, "within": asked["within"]}},
        audiences=({"segment": "recent_buyers", "use": "suppress"},),
    )


def _ladder(asked: Mapping[str, str]) -> Parts:
    tiers = ("reminder", "social_proof", "offer", "last_call")
    return Parts(
        segments={
            "cart": {
                "ladder": "Checkout Started",
                "until": PURCHASE,
                "tiers": [f"{span.strip()} {tier}" for span, tier in zip(asked["tiers"].split(","), tiers, strict=False)],
            }
        },
        audiences=tuple(
            {
                "segment": f"cart_{tier}",
                "use": "target",
                **({"offer": True} if place > 1 else {}),
                **(_holdout(asked) if place == 2 else {}),
            }
            for place, tier in enumerate(tiers[: len(asked["tiers"].split(","))])
        ),
    )


def _winback(asked: Mapping[str, str]) -> Parts:
    return Parts(
        segments={
            "winback": {
                "all": [
                    {"last": PURCHASE, "age": f"{asked['from']}..{asked['to']}"},
                    {"did_not": "Email Unsubscribed"},
                ]
            }
        },
        audiences=({"segment": "winback", "use": "target", "offer": True, **_holdout(asked)},),
    )


def _vip(asked: Mapping[str, str]) -> Parts:
    return Parts(
        segments={
            "vip": {"trait": {"lifetime_value": {"gt": asked["value"]}, "refund_rate": {"lt": "40%"}}},
            "early_access": {"all": [{"in_segment": "vip"}, {"did_not": PURCHASE, "within": asked["quiet"]}]},
        },
        audiences=({"segment": "early_access", "use": "target", **_holdout(asked)},),
    )


def _seeds(asked: Mapping[str, str]) -> Parts:
    return Parts(
        segments={
            "second_time_buyers": {
                "trait": {"orders": {"gte": int(asked["orders"])}, "refund_rate": {"lt": "50%"}},
                "did": PURCHASE,
                "within": asked["within"],
            }
        },
        audiences=({"segment": "second_time_buyers", "use": "seed"},),
    )


def _second(_: Mapping[str, str]) -> Parts:
    return Parts(
        derived={"Second Purchase": {"nth_order": 2}},
        events={
            "tiktok": {PURCHASE: "Purchase", "Second Purchase": "SecondPurchase"},
            "pinterest": {PURCHASE: "checkout", "Second Purchase": "custom"},
        },
    )


USE_CASES: dict[str, UseCase] = {
    each.name: each
    for each in (
        UseCase(
            name="suppress-recent-buyers",
            title="Suppress recent buyers",
            brings="Stop paying for ads to people who bought a moment ago.",
            needs="Purchases with an e-mail address or phone number, and an account that keeps audiences.",
            docs="docs/leaks/no-suppression.md",
            asks=(Ask(name="within", label="No ads for", default="14d", hint="After an order, such as `7d` or `30d`."),),
            parts=_suppress,
            also=(("Order Refunded", "Who sent it all back may see ads again."),),
        ),
        UseCase(
            name="cart-recovery",
            title="Cart recovery ladder",
            brings="Show whoever left a checkout one creative after another, and stop at once when they buy.",
            needs="Begun checkouts and purchases of the same people, and an account that keeps audiences.",
            docs="docs/how-to/segment-recipes.md",
            asks=(
                Ask(
                    name="tiers",
                    label="Steps after the checkout",
                    default="0h-6h, 6h-24h, 1d-3d, 4d-7d",
                    hint="At most four, one creative each: a reminder, social proof, the offer, the last call.",
                ),
                _HOLD_OUT,
            ),
            parts=_ladder,
            also=(("Product Added", "Carts before the checkout help the platforms while checkouts are few."),),
        ),
        UseCase(
            name="winback",
            title="Win back lapsed customers",
            brings="One more offer to customers who have not ordered for months, and to nobody else.",
            needs="A history of purchases, unsubscriptions, and an account that keeps audiences.",
            docs="docs/how-to/segment-recipes.md",
            asks=(
                Ask(name="from", label="Last order at least", default="90d", hint="How long ago."),
                Ask(name="to", label="and at most", default="180d", hint="How long ago; after that they are let go."),
                _HOLD_OUT,
            ),
            parts=_winback,
        ),
        UseCase(
            name="vip-early-access",
            title="Early access for the best customers",
            brings="The sale opens for the best customers first; who has ordered just now is left in peace.",
            needs="Purchases with their value, refunds, and an account that keeps audiences.",
            docs="docs/how-to/value-tiers-and-seeds.md",
            asks=(
                Ask(name="value", label="Lifetime value above", default="300", hint="In the workspace's currency, refunds off."),
                Ask(name="quiet", label="No order in the last", default="14d"),
                _HOLD_OUT,
            ),
            parts=_vip,
            also=(("Order Refunded", "Lifetime value is net of refunds: without them it is too high."),),
        ),
        UseCase(
            name="lookalike-seeds",
            title="Seeds for lookalikes",
            brings="Let the platforms look for people like those who came back, not like those who once tried a bargain.",
            needs="Purchases of a year with refunds, and at least a thousand people who came back.",
            docs="docs/how-to/value-tiers-and-seeds.md",
            asks=(
                Ask(name="orders", label="At least so many orders", default="2"),
                Ask(name="within", label="The last one within", default="365d"),
            ),
            parts=_seeds,
            also=(("Order Refunded", "People who send everything back make a bad seed."),),
        ),
        UseCase(
            name="second-purchase",
            title="Optimise for the second purchase",
            brings="Tell the platforms which buyers came back, so that they look for customers and not for single orders.",
            needs="Purchases with an order id and a customer who can be recognised, and an account that takes events.",
            docs="docs/leaks/derived-events.md",
            asks=(),
            parts=_second,
        ),
    )
}


def defaults(case: UseCase) -> dict[str, str]:
    """What is answered where nobody says otherwise."""
    return {each.name: each.default for each in case.asks}


# ---- what a use case needs -------------------------------------------------------------------------------------------------


class Heard(Struct, frozen=True, kw_only=True):
    """How often an event arrived in the time that is looked at, and from where."""

    signals: int
    sources: dict[str, int] = {}


class Keys(Struct, frozen=True, kw_only=True):
    """Match keys of an event's signals."""

    signals: int
    having: dict[str, int]
    """Key of `coverage.KEYS` -> of them those that carry it."""


class Evidence(Struct, frozen=True, kw_only=True):
    """What arrived."""

    days: int
    """Events were counted over so many days."""
    first: int | None
    """When the first event came that is still known (epoch ms); None: none did."""
    events: dict[str, Heard] = {}
    keys: dict[str, Keys] = {}
    """Event -> the match keys of its signals of the last day."""
    orders: int = 0
    """The newest orders that were looked at."""
    with_value: int = 0
    with_currency: int = 0
    with_person: int = 0


class Need(Struct, frozen=True, kw_only=True):
    """One thing that a use case needs, and whether it is there."""

    kind: Literal["event", "field", "identifier"]
    name: str
    why: str
    state: State
    sentence: str
    """What has been seen of it."""
    fixes: list[Fix] = []
    """Where it is not there: what to do, for each source."""
    required: bool = True


class Fix(Struct, frozen=True, kw_only=True):
    """What to do about something missing."""

    source: str
    """A source of the workspace file; empty: wherever it comes from."""
    sentence: str
    snippet: str = ""
    """To paste."""
    docs: str = ""


def compiled(case: UseCase, answers: Mapping[str, str], workspace: Workspace) -> dict[str, Rule]:
    """The rules that the use case would put into the file, by segment; raises ValueError for answers that make no rule."""
    parts = case.parts(answers)
    alone = replace(workspace, segments=parts.segments, tiers={}, audiences=(), value_tiers={}, journeys={})
    try:
        return dict(catalog.of(alone).rules)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"Look at what you chose below. {error}") from error


def events(case: UseCase, rules: Mapping[str, Rule]) -> list[str]:
    """The canonical events that the rules ask for, the purchase first where it is one of them."""
    found = {name for rule in rules.values() for leaf in leaves(rule) for name in _asked(leaf)}
    if case.parts(defaults(case)).derived:
        found.add(PURCHASE)
    return sorted(
        found, key=lambda name: (name != PURCHASE, list(CANONICAL_EVENTS).index(name) if name in CANONICAL_EVENTS else 0)
    )


def _asked(leaf: Rule) -> Iterator[str]:
    if isinstance(leaf, Happened | Age):
        yield leaf.event
        if isinstance(leaf, Happened) and leaf.since:
            yield leaf.since
    elif isinstance(leaf, Trait) and any(fact in str(leaf.when) for fact in _FACTS):
        yield PURCHASE
    elif isinstance(leaf, Inside):
        return


_FACTS = {"lifetime_value": "value", "average_order_value": "value", "refund_rate": "value", "orders": "orders"}
"""Facts of a person's orders -> what of the orders they are computed of."""

FIELDS = {
    "value": ("the order's value", "Without it nobody knows what a customer is worth."),
    "currency": ("the order's currency", "An amount without a currency is not sent."),
    "person": ("who bought", "Without an e-mail address, a phone number or a customer id an order belongs to nobody."),
}
"""Field of an order -> what it is called, and why it is needed."""


def fields(case: UseCase, rules: Mapping[str, Rule]) -> list[str]:
    """What of orders it needs: keys of `FIELDS`."""
    facts = {
        fact
        for rule in rules.values()
        for leaf in leaves(rule)
        if isinstance(leaf, Trait)
        for fact in _FACTS
        if fact in str(leaf.when)
    }
    worth = any(_FACTS[fact] == "value" for fact in facts) or bool(case.parts(defaults(case)).derived)
    return ["person", *(["value", "currency"] if worth else [])]


def identifiers(case: UseCase, platform: str) -> list[str]:
    """By what the platform would recognise people for this: names of `coverage.KEYS`, those that weigh most first."""
    declared = CATALOG[platform]
    if case.parts(defaults(case)).audiences:
        kinds = set(declared.audience.kinds) if declared.audience else set()
        found = [name for name, key in coverage.KEYS.items() if kinds & {name, *key.made_of}]
    else:
        found = [name for name in coverage.names(coverage.READS[platform]) if coverage.KEYS[name].weight >= STRONG]
    return sorted(found, key=lambda name: -coverage.KEYS[name].weight)


STRONG = 10
"""Weight (`coverage.KEYS`) from which a match key by itself is worth asking for."""


def needs(
    case: UseCase, answers: Mapping[str, str], platforms: Sequence[str], workspace: Workspace, evidence: Evidence
) -> list[Need]:
    """All that the use case needs on these platforms, and whether it has arrived; raises ValueError as `compiled`."""
    rules = compiled(case, answers, workspace)
    asked = events(case, rules)
    found = [_event(name, "Its rule asks for it.", not name.startswith(MESSAGES), workspace, evidence) for name in asked]
    found += [_event(name, why, False, workspace, evidence) for name, why in case.also if name not in asked]
    if PURCHASE in asked:
        found += [_field(name, evidence) for name in fields(case, rules)]
    first = PURCHASE if PURCHASE in asked else asked[0] if asked else PURCHASE
    found += [_identifier(case, platform, first, workspace, evidence) for platform in dict.fromkeys(platforms)]
    return found


MESSAGES = ("Email ", "SMS ", "Push ", "Customer ")
"""What messages tell: a brand that sends none elsewhere never hears of them, and the rule holds without."""


def _event(name: str, why: str, required: bool, workspace: Workspace, evidence: Evidence) -> Need:
    known = CANONICAL_EVENTS.get(name)
    heard = evidence.events.get(name)
    why = f"{known.doc} {why}" if known else why
    if heard is not None and heard.signals:
        where = f", from {_listed(heard.sources)}" if heard.sources else ""
        sentence = f"{heard.signals:,} in the last {evidence.days} days{where}."
        return Need(kind="event", name=name, why=why, state="there", sentence=sentence, required=required)
    if evidence.first is None:
        return Need(
            kind="event",
            name=name,
            why=why,
            state="missing",
            sentence="Nothing has arrived yet.",
            fixes=_event_fixes(name, workspace),
            required=required,
        )
    return Need(
        kind="event",
        name=name,
        why=why,
        state="missing",
        sentence=f"None in the last {evidence.days} days.",
        fixes=_event_fixes(name, workspace),
        required=required,
    )


TOPICS = {
    PURCHASE: "orders/paid",
    "Order Cancelled": "orders/cancelled",
    "Order Refunded": "refunds/create",
    "Checkout Started": "checkouts/create",
    "Product Added": "carts/update",
}
"""Canonical event -> the Shopify webhook that tells of it."""

_PRODUCT = '{product_id: "SKU-1", price: 49.9, quantity: 1}'
_SNIPPETS = {
    PURCHASE: f'{{order_id: "1001", total: 49.9, value: 49.9, currency: "%s", products: [{_PRODUCT}]}}',
    "Order Refunded": '{order_id: "1001", total: 49.9, currency: "%s"}',
    "Checkout Started": f'{{value: 49.9, currency: "%s", products: [{_PRODUCT}]}}',
    "Product Added": '{product_id: "SKU-1", price: 49.9, quantity: 1, currency: "%s"}',
}
"""Canonical event -> its properties, for a client of Segment or Customer.io; `%s` is the workspace's currency."""


def _event_fixes(name: str, workspace: Workspace) -> list[Fix]:
    found = []
    for source, chosen in workspace.sources.items():
        if chosen.type == "pipelines":
            said = _SNIPPETS.get(name, "{}").replace("%s", workspace.currency)
            found.append(
                Fix(
                    source=source,
                    sentence="Send it with your Segment or Customer.io client, from the server or the shop's page.",
                    snippet=f'analytics.track("{name}", {said})',
                    docs="docs/reference/events.md",
                )
            )
        elif chosen.type == "track":
            found.append(
                Fix(
                    source=source,
                    sentence=f"Send an event named `{name}` with Customer.io's Track API, or say below what you call it.",
                    docs="docs/how-to/connect-customerio.md",
                )
            )
        elif chosen.type == "shopify" and name in TOPICS:
            found.append(
                Fix(
                    source=source,
                    sentence=f"Add the webhook `{TOPICS[name]}` in Shopify, Settings, Notifications, Webhooks.",
                    docs="docs/how-to/connect-shopify.md",
                )
            )
        elif chosen.type == "reporting" and name.startswith("Email"):
            found.append(
                Fix(
                    source=source,
                    sentence="Switch this metric on for the reporting webhook in Customer.io.",
                    docs="docs/how-to/connect-customerio.md",
                )
            )
    return found or [Fix(source="", sentence="Connect a source that sends it.", docs="docs/how-to/README.md")]


def _field(name: str, evidence: Evidence) -> Need:
    title, why = FIELDS[name]
    part = {"value": evidence.with_value, "currency": evidence.with_currency, "person": evidence.with_person}[name]
    if not evidence.orders:
        return Need(kind="field", name=title, why=why, state="unknown", sentence="No order to look at yet.")
    share = part / evidence.orders
    fix = {
        "value": "Send `total` (gross) or `subtotal` (net) with the order.",
        "currency": "Send `currency` with the order, as a code such as `EUR`; without it the workspace's own is taken.",
        "person": "Send the order with the customer's e-mail address, phone number or user id.",
    }[name]
    return Need(
        kind="field",
        name=title,
        why=why,
        state=_graded(share),
        sentence=f"In {_percent(share)} of the newest {evidence.orders:,} orders.",
        fixes=[] if share >= ENOUGH else [Fix(source="", sentence=fix, docs="docs/reference/events.md")],
    )


def _identifier(case: UseCase, platform: str, event: str, workspace: Workspace, evidence: Evidence) -> Need:
    titles = identifiers(case, platform)
    name = _listed([coverage.KEYS[each].title for each in titles], "or")
    title = CATALOG[platform].title
    why = f"{title} recognises people by one of them."
    seen = evidence.keys.get(event)
    if seen is None or not seen.signals:
        sentence = "Nothing to look at in the last day: it shows once signals are made for a destination."
        return Need(kind="identifier", name=name, why=why, state="unknown", sentence=sentence)
    shares = {each: seen.having.get(each, 0) / seen.signals for each in titles}
    share = max(shares.values(), default=0.0)
    told = [f"{coverage.KEYS[each].title} in {_percent(part)}" for each, part in shares.items() if part] or [
        "none of them in any"
    ]
    return Need(
        kind="identifier",
        name=name,
        why=why,
        state=_graded(share),
        sentence=f"{_begun(_listed(told))} of {seen.signals:,} signals of {event} in the last day.",
        fixes=[]
        if share >= ENOUGH
        else [
            Fix(
                source=source,
                sentence="Say who it is as soon as it is known, and send it with the order.",
                snippet='analytics.identify("customer-17", {email: "jane.roe@example.com", phone: "+14155550100"})',
                docs="docs/leaks/match-keys.md",
            )
            for source, chosen in workspace.sources.items()
            if chosen.type == "pipelines"
        ]
        or [
            Fix(
                source="",
                sentence="Send the customer's e-mail address or phone number with each event.",
                docs="docs/leaks/match-keys.md",
            )
        ],
    )


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]


def _graded(share: float) -> State:
    return "there" if share >= ENOUGH else "partly" if share >= SOME else "missing"


def _percent(share: float) -> str:
    tenths = int(share * 1000)
    return f"{tenths // 10}.{tenths % 10} %" if tenths < 1000 else "all"


def _listed(words: Iterable[str], last: str = "and") -> str:
    said = list(words)
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} {last} {said[-1]}" if said else ""


# ---- the change ------------------------------------------------------------------------------------------------------------


def in_file(case: UseCase, workspace: Workspace) -> bool:
    """Whether the workspace does this already: an audience of the same use fills itself from its segment, or its derived event
    goes to an advertising platform."""
    parts = case.parts(defaults(case))
    for name in parts.derived:
        if name not in workspace.derived or not any(
            _sends(chosen, name) for chosen in workspace.destinations.values() if CATALOG[chosen.type].advertising
        ):
            return False
    kept = {(each.segment, each.use) for each in workspace.audiences}
    return all((each["segment"], each["use"]) in kept for each in parts.audiences)


def _sends(chosen: Destination, event: str) -> bool:
    return event in (CATALOG[chosen.type].events if chosen.events == "standard" else chosen.events)


def account(platform: str, name: str) -> dict[str, Any]:
    """A new destination of a platform as plain data: what it must have, each by a variable of the environment."""
    declared = CATALOG[platform]
    made: dict[str, Any] = {"type": platform}
    for setting in declared.settings:
        if setting.required and setting.default is None:
            made[setting.name] = f"${{{name.upper()}_{setting.name.upper()}}}"
    made["events"] = "standard"
    return made


def _plain(value: Any) -> Any:
    """A rule with every single value as text: the file's `2` is one."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value)


def changes(
    case: UseCase, answers: Mapping[str, str], destinations: Sequence[str], workspace: Workspace, mapped: Mapping[str, str] = {}
) -> list[Change]:
    """What puts the use case into the file for these destinations; `mapped`: the shop's event name -> the canonical one.

    A destination that the file does not have must be a platform's name: an account is made for it. A segment of the same name
    gets the new rule; audiences that are there stay as they are. Empty when the file does all of it already.
    """
    parts = case.parts(answers)
    found = [Change(["events", own], canonical) for own, canonical in mapped.items()]
    types = {name: chosen.type for name, chosen in workspace.destinations.items()}
    for name in destinations:
        if name not in types:
            found.append(Change(["destinations", name], account(name, name)))
            types[name] = name
    for name, derived in parts.derived.items():
        if name not in workspace.derived:
            found.append(Change(["derived", name], compact(derived)))
    for name, rule in parts.segments.items():
        if _plain(workspace.segments.get(name)) != _plain(rule):
            found.append(Change(["segments", name], compact(rule)))
    for name in destinations:
        chosen = workspace.destinations.get(name)
        if chosen is None or chosen.events == "standard":
            continue  # the platform's whole table has them
        for event, called in parts.events.get(types[name], {}).items():
            if event not in chosen.events:
                found.append(Change(["destinations", name, "events", event], called))
    for audience in parts.audiences:
        served = {
            name
            for each in workspace.audiences
            if (each.segment, each.use) == (audience["segment"], audience["use"])
            for name in each.to
        }
        new = [name for name in destinations if name not in served]
        if new:
            found.append(Change(["audiences", "+"], compact({**audience, "to": new})))
    return found
