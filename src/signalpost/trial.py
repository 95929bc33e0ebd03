"""`signalpost send-test`: is this destination right, end to end?

A test person puts a product into the cart and buys it. Both go through the real way of an event (reading, stitching, gates,
mapping) and to the platform in test mode; then what was sent is held against what the workspace file promises, point by point.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from signalpost import gates, pipeline
from signalpost.config import Destination, Workspace
from signalpost.destinations import contract, readers
from signalpost.errors import SignalpostError, TransportError
from signalpost.findings import listed
from signalpost.pipeline import Previewed, Route
from signalpost.sources import Received
from signalpost.store.database import Connection
from signalpost.transport import Transport

VERDICTS = {"accepted": "accepted", "warned": "warned", "retry": "unknown"}
"""What an answer is called to a person; every other one is a refusal: a test is not tried again."""

DUPLICATES = {"duplicate_order", "other_source", "repeat"}
"""The reasons with which an order that is told again may stay here."""

CART, PURCHASE = "Product Added", "Order Completed"
SPOKEN = {CART: "cart", PURCHASE: "purchase"}

# The test order, in whole units: some currencies have no others. Goods 100, tax 15, shipping 10.
GOODS, TAX, SHIPPING = 100, 15, 10
WORTH = {"gross": Decimal(GOODS + TAX + SHIPPING), "net": Decimal(GOODS)}
"""Definition of the order's value -> what the test order is worth."""

EMAIL, PHONE, USER = "signalpost-test@example.com", "+14155550123", "signalpost-test-person"
CLICK = "signalpost-test-click"
ADDRESS = "203.0.113.7"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
KEYS = {
    name: hashlib.sha256(written.encode()).hexdigest()
    for name, written in (("email", EMAIL), ("phone", PHONE), ("phone_digits", PHONE[1:]), ("external_id", USER))
}
"""The test person's match keys, by the names of `normalize.MATCH_KEYS` -> as the platforms want them hashed."""


class Check(Struct, frozen=True, kw_only=True):
    """One point of comparison; `passed` is None for a remark that is neither right nor wrong."""

    event: str
    """The canonical event; empty where it is about the whole."""
    what: str
    passed: bool | None
    sentence: str


class Sent(Struct, frozen=True, kw_only=True):
    """One event as it went to the platform, and what came of it."""

    event: str
    request: dict[str, Any]
    """The event object as it was sent."""
    verdict: str
    """accepted, warned, refused or unknown."""
    sentence: str


class Trial(Struct, frozen=True, kw_only=True):
    """What a test showed."""

    destination: str
    credentials: bool
    credentials_sentence: str
    passed: bool
    """Whether the credentials work and no check failed."""
    checks: tuple[Check, ...] = ()
    sent: tuple[Sent, ...] = ()


class Told(Struct, frozen=True, kw_only=True):
    """One message of the test person: what it tells, and what must come of it."""

    event: str
    message_id: str
    order_id: str | None
    event_id: str
    """What the platform must be told to deduplicate on."""
    value: Decimal
    request: Received


async def run(workspace: Workspace, name: str, now: int, only: str = "") -> Trial:
    """Check the credentials of a destination and send a cart and a purchase that the platform must not count.

    With `only`, `CART` or `PURCHASE`, just that one is sent; what the other would be is checked all the same.
    """
    chosen = workspace.destinations[name]
    # Why it sends nothing at the moment is no question of whether it is right: the pause and the rollout are left out.
    alone = replace(workspace, destinations={name: replace(chosen, paused=False, rollout=())})
    plan = pipeline.plan(alone)
    (route,) = plan.routes
    platform = route.platform
    base = (chosen.endpoint or platform.default_base).rstrip("/")
    if platform.name == "tiktok" and not chosen.test_code:
        raise SignalpostError(
            f"{name} has no `test_code`. Copy one from Events Manager, Test events, into the workspace file: "
            "without it TikTok would count the test as a real purchase."
        )
    transport = Transport(connections=1)
    try:
        try:
            works, told = platform.explain_check(await transport.send(platform.check(route.settings, base, now)))
        except TransportError as error:
            works, told = False, str(error)
        if not works:
            return Trial(destination=name, credentials=False, credentials_sentence=told, passed=False)
        if not platform.advertising:  # no purchase goes there; that it is reached is all there is to show
            return Trial(destination=name, credentials=True, credentials_sentence=told, passed=True)
        story = tell(alone, chosen, uuid.uuid4().hex[:12], now)
        shown = list(pipeline.preview(plan, [each.request for each in story], lambda: now))
        checks = list(compare(alone, route, story, shown, now))
        sent = []
        for one in shown:
            wanted = {each.message_id for each in story[:2] if only in {"", each.event}}
            if one.request is not None and one.message_id in wanted:
                sent.append(await _send(transport, route, base, one))
                checks.append(_answered(platform.title, sent[-1]))
    finally:
        await transport.close()
    checks.append(Check(event="", what="the answer", passed=None, sentence=platform.answer_says))
    return Trial(
        destination=name,
        credentials=True,
        credentials_sentence=told,
        passed=all(check.passed is not False for check in checks),
        checks=tuple(checks),
        sent=tuple(sent),
    )


async def _send(transport: Transport, route: Route, base: str, one: Previewed) -> Sent:
    """One event in a request of its own, so that the answer is about it alone; in test mode whatever the workspace is."""
    body = one.request or b""
    shown, event = msgspec.json.decode(body), one.event or ""
    try:
        response = await transport.send(route.platform.request(route.settings, base, [body], True))
    except TransportError as error:
        return Sent(event=event, request=shown, verdict="unknown", sentence=str(error))
    outcome = route.platform.outcomes(response, 1)[0]
    verdict = VERDICTS.get(outcome.kind, "refused")
    return Sent(
        event=event, request=shown, verdict=verdict, sentence=outcome.sentence or f"{route.platform.title} took the test event."
    )


def _answered(title: str, sent: Sent) -> Check:
    passed = sent.verdict in {"accepted", "warned"}
    return Check(
        event=sent.event, what=f"{title}'s answer", passed=passed, sentence=f"{sent.verdict.capitalize()}: {sent.sentence}"
    )


class Kept(Struct, frozen=True, kw_only=True):
    """The latest test of a destination: when (epoch ms), by whom, and what it showed."""

    at: int
    who: str
    trial: Trial


def kept(connection: Connection, destination: str) -> Kept | None:
    """What the latest test showed; None when there was none."""
    rows = connection.rows("trial_of", destination)
    return Kept(at=rows[0][0], who=rows[0][1], trial=msgspec.json.decode(bytes(rows[0][2]), type=Trial)) if rows else None


def note(connection: Connection, told: Trial, now: int, who: str = "Signalpost") -> None:
    """Keep what a test showed, and write into the audit how it ended: `accepted: ...`, or `failed: ...` with the first thing
    that is wrong.
    """
    connection.run("trial_set", told.destination, now, who, msgspec.json.encode(told))
    failed = next((f"{each.event}, {each.what}: {each.sentence}" for each in told.checks if each.passed is False), "")
    if told.passed:
        sent = {each.event for each in told.sent}
        events = listed(f"a {word}" for event, word in SPOKEN.items() if event in sent) or "the credentials"
        said = f"accepted: {events}, with {sum(each.passed is True for each in told.checks)} checks."
    else:
        said = f"failed: {failed or told.credentials_sentence}"
    connection.run("audit_add", now, who, "send-test", told.destination, said)


# ---- what the test person does ---------------------------------------------------------------------------------------------


def tell(workspace: Workspace, chosen: Destination, mark: str, now: int) -> tuple[Told, Told, Told]:
    """The cart, the purchase, and the same purchase told once more by another message; `mark` makes their ids new."""
    order_id = f"signalpost-test-{mark}"
    product = {"product_id": "signalpost-test", "name": "Signalpost", "price": GOODS, "quantity": 1}
    amounts = {"total": GOODS + TAX + SHIPPING, "revenue": GOODS, "subtotal": GOODS, "tax": TAX, "shipping": SHIPPING}
    order = {"order_id": order_id, **amounts, "currency": workspace.currency, "products": [product]}
    cart_id = f"{order_id}-cart"
    cart = _told(workspace, CART, cart_id, {**product, "currency": workspace.currency}, now)
    if chosen.event_id:  # as a browser would, which shares its id
        _put(cart, chosen.event_id[0], cart_id)
    purchase = _told(workspace, PURCHASE, f"{order_id}-order", order, now)
    again = _told(workspace, PURCHASE, f"{order_id}-order-again", order, now)
    of_order = f"{order_id}:order-completed"
    return (
        _message(workspace, cart, None, cart_id, Decimal(GOODS), now),
        _message(workspace, purchase, order_id, of_order, WORTH[workspace.order_value], now),
        _message(workspace, again, order_id, of_order, WORTH[workspace.order_value], now),
    )


def _told(workspace: Workspace, event: str, message_id: str, properties: dict[str, Any], now: int) -> dict[str, Any]:
    page = f"https://example.com/thanks?ttclid={CLICK}&epik={CLICK}"
    message: dict[str, Any] = {
        "type": "track",
        "event": event,
        "messageId": message_id,
        "userId": USER,
        "timestamp": now,
        "properties": dict(properties),
        "context": {"ip": ADDRESS, "userAgent": BROWSER, "page": {"url": page}, "traits": {"email": EMAIL, "phone": PHONE}},
    }
    if workspace.consent.advertising:
        _put(message, workspace.consent.advertising[0], True)  # the test person allows it
    return message


def _put(message: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a path such as `context.consent.advertising` of a message."""
    root, *between, last = path.split(".")
    place = message["context"]["traits"] if root == "traits" else message[root]
    for step in between:
        place = place.setdefault(step, {})
    place[last] = value


def _message(
    workspace: Workspace, message: dict[str, Any], order_id: str | None, event_id: str, value: Decimal, now: int
) -> Told:
    """The message as the source that counts would have sent it; the wire is always that of Pipelines."""
    event = message["event"]
    usual = next((name for name, source in workspace.sources.items() if source.type == "pipelines"), "send-test")
    return Told(
        event=event,
        message_id=message["messageId"],
        order_id=order_id,
        event_id=event_id,
        value=value,
        request=Received(
            source=workspace.counted_source.get(event, usual),
            wire="pipelines",
            method="POST",
            path="/v1/track",
            body=msgspec.json.encode(message),
            client_ip=ADDRESS,
            user_agent=BROWSER,
            received_at=now,
        ),
    )


# ---- what was promised, and what was sent ----------------------------------------------------------------------------------


def compare(workspace: Workspace, route: Route, story: Sequence[Told], shown: Sequence[Previewed], now: int) -> Iterator[Check]:
    """Every point in which what would be sent can keep or break what the workspace file promises."""
    cart, purchase, again = story
    for told in (cart, purchase):
        one = next((each for each in shown if (each.message_id, each.event) == (told.message_id, told.event)), None)
        body = _object(one)
        if one is None or body is None:
            yield _withheld(route, told.event, one)
        else:
            yield from _kept(workspace, route, told, body, now)
    for one in shown:
        body = _object(one)
        if one.message_id == purchase.message_id and one.event != PURCHASE and body is not None:
            yield _same(one.event or "", "event name", _at(body, route.platform.places.name), route.events.get(one.event or ""))
    repeat = next((each for each in shown if (each.message_id, each.event) == (again.message_id, PURCHASE)), None)
    if any(each.request is not None for each in shown if each.message_id == purchase.message_id):
        held = repeat is not None and repeat.reason in DUPLICATES
        why = f"The same order, told again, stays here: {repeat.sentence}" if repeat is not None and held else None
        yield Check(
            event=PURCHASE,
            what="told twice",
            passed=held,
            sentence=why or "The same order, told again by another message, would be sent again and count twice.",
        )


def _withheld(route: Route, event: str, one: Previewed | None) -> Check:
    if event not in route.events:
        # A purchase is what the platform is for; carts are a choice.
        return Check(
            event=event,
            what="sent at all",
            passed=False if event == PURCHASE else None,
            sentence=f"`events` of this destination does not name {event}: {route.platform.title} hears of none.",
        )
    reason = one.reason if one is not None else None
    advice = gates.REASONS[reason].advice if reason in gates.REASONS else ""
    said = ((one.sentence if one is not None else None) or "nothing came of it").rstrip(".")
    return Check(event=event, what="sent at all", passed=False, sentence=f"It is withheld ({reason}): {said}. {advice}".strip())


def _kept(workspace: Workspace, route: Route, told: Told, body: dict[str, Any], now: int) -> Iterator[Check]:
    """The points of one event that is sent."""
    event, places = told.event, route.platform.places
    own = workspace.destinations[route.name].properties
    yield _same(event, "event name", _at(body, places.name), route.events[event])
    yield _same(event, "event id", _at(body, places.event_id), told.event_id)
    yield _same(event, "time", _at(body, places.time), now // 1000)
    promised = [
        ("value", places.value, told.value),
        ("currency", places.currency, workspace.currency),
        *([("order id", places.order_id, told.order_id)] if told.order_id is not None else ()),
    ]
    for what, path, expected in promised:
        if path.rpartition(".")[2] in own:
            from_path = own[path.rpartition(".")[2]]
            said = f"`properties` of this destination fills it from {from_path}: {_shown(_at(body, path))}."
            yield Check(event=event, what=what, passed=None, sentence=said)
        else:
            yield _same(event, what, _at(body, path), expected)
    items = _at(body, places.items)
    named = isinstance(items, list) and len(items) == 1 and "signalpost-test" in _text(items[0])
    yield Check(
        event=event, what="items", passed=named, sentence="The product is there." if named else "The product is not in the event."
    )
    yield from _recognised(route.platform, event, body)


def _recognised(platform: contract.Destination, event: str, body: Mapping[str, Any]) -> Iterator[Check]:
    """Whether the platform can recognise the test person: every key it takes and the person has is there, hashed where hashed."""
    missing, other = [], []
    for field in platform.fields:
        expected = field.key in KEYS or field.read in (readers.ip, readers.user_agent)
        if not expected:
            continue
        found = _at(body, field.path)
        values = found if isinstance(found, list) else [found]
        if not found:
            missing.append(field.path)
        elif field.key in KEYS and KEYS[field.key] not in values:
            other.append(field.path)
    if CLICK not in _text(body):
        missing.append("click id")
    if other:
        sentence = f"Not the SHA-256 of what the test person gave: {', '.join(other)}."
    elif missing:
        sentence = f"Missing: {', '.join(missing)}."
    else:
        sentence = "E-mail, phone and the shop's own id are there as hashes; IP address, browser and click id as they are."
    yield Check(event=event, what="match keys", passed=not other and not missing, sentence=sentence)


def _same(event: str, what: str, found: Any, expected: Any) -> Check:
    try:
        passed = Decimal(str(found)) == expected if isinstance(expected, Decimal) else found == expected
    except ArithmeticError:
        passed = False
    sentence = f"{_shown(found)}, as promised." if passed else f"{_shown(found)}, where {_shown(expected)} was promised."
    return Check(event=event, what=what, passed=passed, sentence=sentence)


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _shown(value: Any) -> str:
    return "Nothing" if value is None else str(value)


def _object(one: Previewed | None) -> dict[str, Any] | None:
    if one is None or one.request is None:
        return None
    found: dict[str, Any] = json.loads(one.request, parse_float=Decimal)
    return found


def _at(body: Mapping[str, Any], path: str) -> Any:
    found: Any = body
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found
