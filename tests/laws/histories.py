"""Random but realistic histories of a shop, for Hypothesis: a few people, their browsers, two sources that tell of them.

People log in late, share a browser, come from two devices, are merged, deleted, suppressed and allowed again; orders are
told twice, by both sources, without a value, without an id, under an id somebody else had; clients repeat messages and send
junk where an identifier should be.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from tests.laws.flow import DAY, HOUR, MINUTE, NOW, Message, Said, moment

USERS = ("u1", "u2", "u3", "undefined")
BROWSERS = ("b1", "b2", "b3", "b4")
EMAILS = ("ann@shop.example", " ANN@shop.example ", "bea@shop.example", "cid@shop.example", "null", "kiosk@shop.example")
PHONES = ("(415) 555-0100", "+14155550101", "0", "unknown")
ORDERS = ("1001", "1002", 1003, "(not set)", "", None)
AMOUNTS: tuple[Any, ...] = (0, 10, 19.99, "19.99", 0.1, 33.333333333333336, "free", None, -5, 1e15)
TIMES = (NOW, NOW - MINUTE, NOW - 9 * MINUTE, NOW - 2 * HOUR, NOW - 25 * HOUR, NOW - 49 * HOUR, NOW - 3 * DAY)
ODD_TIMES = (NOW - 30 * DAY, NOW + 2 * MINUTE, NOW + 3 * DAY)
CLICKS = ("?ttclid=E.C.P.first", "?ttclid=E.C.P.second", "?epik=dj0yfirst", "?epik=dj0ysecond", "")

NEWS = {"R": "Order Refunded", "X": "Order Cancelled", "F": "Order Flagged", "B": "Pixel Sent"}

sources = st.sampled_from(("web", "web", "shop"))
times = st.one_of(*(st.sampled_from(TIMES),) * 9, st.sampled_from(ODD_TIMES))


@st.composite
def context(draw: st.DrawFn) -> dict[str, Any]:
    """What a browser tells beside the event: its page, a click id, consent."""
    found: dict[str, Any] = {"ip": "203.0.113.9", "userAgent": "Mozilla/5.0"}
    if draw(st.booleans()):
        found["page"] = {"url": "https://shop.example/p" + draw(st.sampled_from(CLICKS))}
    consent = draw(st.sampled_from((None, None, None, None, True, False)))
    if consent is not None:
        found["consent"] = {"categoryPreferences": {"Advertising": consent}}
    if draw(st.integers(0, 9)) == 0:
        found["consent"] = {**found.get("consent", {}), "limited_data_use": draw(st.booleans())}
    if draw(st.integers(0, 3)) == 0:
        found["traits"] = draw(traits())
    return found


@st.composite
def traits(draw: st.DrawFn) -> dict[str, Any]:
    """What somebody says of themselves."""
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        found["email"] = draw(st.sampled_from(EMAILS))
    if draw(st.integers(0, 2)) == 0:
        found["phone"] = draw(st.sampled_from(PHONES))
    if draw(st.integers(0, 2)) == 0:
        found["firstName"] = draw(st.sampled_from(("Ann", "Bea", "")))
        found["address"] = {"city": draw(st.sampled_from(("Oslo", "Bonn", "(not set)"))), "country": "US"}
    return found


@st.composite
def commerce(draw: st.DrawFn) -> dict[str, Any]:
    """An order's properties, with parts missing or odd."""
    found: dict[str, Any] = {}
    order = draw(st.sampled_from(ORDERS))
    if order is not None:
        found["order_id"] = order
    for name in ("total", "revenue", "tax", "shipping"):
        if draw(st.booleans()):
            found[name] = draw(st.sampled_from(AMOUNTS))
    if draw(st.integers(0, 3)) == 0:
        found["currency"] = draw(st.sampled_from(("EUR", "usd", "JPY", "dollars", "")))
    if draw(st.booleans()):
        found["products"] = [
            {"product_id": f"sku-{place}", "price": draw(st.sampled_from(AMOUNTS)), "quantity": draw(st.sampled_from((1, 3, -1)))}
            for place in range(draw(st.integers(1, 2)))
        ]
    return found


@st.composite
def news(draw: st.DrawFn) -> dict[str, Any]:
    """What is told of an order afterwards, or before: money back, a cancellation, a pixel's report."""
    found: dict[str, Any] = {"platform": "tiktok", "event_id": draw(st.sampled_from(("1001:order-completed", "other", "")))}
    order = draw(st.sampled_from(ORDERS))
    if order is not None:
        found["order_id"] = order
    if draw(st.booleans()):
        found["total"] = draw(st.sampled_from(AMOUNTS))
    if draw(st.booleans()):
        found["refund_id"] = draw(st.sampled_from(("r1", "r2")))
    return found


@st.composite
def message(draw: st.DrawFn) -> Message:
    """One message, without its id."""
    made: Message = {"context": draw(context()), "timestamp": moment(draw(times))}
    user, browser = draw(st.sampled_from((None, *USERS))), draw(st.sampled_from((None, *BROWSERS)))
    if user is not None:
        made["userId"] = user
    if browser is not None or user is None:
        made["anonymousId"] = browser or BROWSERS[0]
    kind = draw(st.sampled_from("OOOOOVVCCKIIIAPDSURRXFB"))
    if kind == "I":
        return {**made, "type": "identify", "traits": draw(traits())}
    if kind == "A":
        former = draw(st.sampled_from((*USERS, *BROWSERS, "ann@shop.example")))
        return {**made, "type": "alias", "userId": user or USERS[0], "previousId": former}
    if kind == "P":
        return {**made, "type": "page", "properties": {"url": "https://shop.example/"}}
    if kind in "DSU":
        event = {"D": "User Deleted", "S": "User Suppressed", "U": "User Unsuppressed"}[kind]
        return {**made, "type": "track", "event": event}
    if kind == "O":
        return {**made, "type": "track", "event": "Order Completed", "properties": draw(commerce())}
    if kind in "RXFB":
        return {**made, "type": "track", "event": NEWS[kind], "properties": draw(news())}
    event = {"V": "Product Viewed", "C": "Product Added", "K": "Checkout Started"}[kind]
    return {**made, "type": "track", "event": event, "properties": {"product_id": "sku-1", "price": 9.5, "value": 9.5}}


@st.composite
def histories(draw: st.DrawFn, most: int = 14) -> list[Said]:
    """A stream of up to `most` messages; now and then one is sent again."""
    said: list[Said] = []
    for place, (source, made) in enumerate(draw(st.lists(st.tuples(sources, message()), min_size=2, max_size=most))):
        said.append((source, {**made, "messageId": f"m-{place}"}))
        if draw(st.integers(0, 7)) == 0:
            said.append(said[draw(st.integers(0, len(said) - 1))])
    return said
