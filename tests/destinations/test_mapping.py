"""The laws of rendering: the same bytes every time, nothing empty, nothing invented, and what a platform's description allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from signalpost import config, mapping, normalize, orders
from signalpost.destinations import CATALOG
from signalpost.errors import ConfigError
from signalpost.events import Event, Item, Order, Person, Signal

Complaints = Callable[[str, dict[str, Any]], list[str]]

NOW = 1_795_305_600_000
NO_EVENT = Event(kind="track", source="", message_id="", time=0, received_at=0)

# What clients send where a value is expected: mostly what it should be, sometimes anything.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NOTHING: st.SearchStrategy[Any] = st.sampled_from(["", " ", None, "null", "undefined", "(not set)", [], {}])


def _often(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(strategy, strategy, NOTHING, JSON)


PROPERTY_NAMES = [
    "query", "search", "category", "description", "shop_id", "customer_type", "delivery_category", "content_type",
    "partner_id", "url", "order_status_url", "action_source", "order_id", "currency", "total", "revenue", "value",
    "product_id", "name", "price", "quantity", "brand",
]  # fmt: skip
PRODUCT = st.fixed_dictionaries(
    {},
    optional={
        "product_id": _often(st.text(min_size=1, max_size=8)),
        "name": _often(st.text(min_size=1, max_size=8)),
        "category": _often(st.text(min_size=1, max_size=8)),
        "brand": _often(st.text(min_size=1, max_size=8)),
        "price": _often(
            st.decimals(-100, 10_000, places=2).map(str) | st.floats(-5, 1e6) | st.sampled_from(["1e3", "1E-9", 1e-9])
        ),
        "quantity": _often(st.integers(-2, 2**40)),
    },
)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        **{name: _often(st.text(max_size=8)) for name in PROPERTY_NAMES},
        "products": _often(st.lists(PRODUCT, max_size=4)),
        "total": _often(st.decimals(0, 10_000, places=2).map(str) | st.sampled_from(["1E+3", 12.5, -3, "NaN"])),
        "currency": _often(st.sampled_from(["USD", "EUR", "LKR", "usd"])),
        "order_id": _often(st.text(min_size=1, max_size=8) | st.integers(1)),
    },
)
CONTEXT = st.fixed_dictionaries(
    {},
    optional={
        "ip": _often(st.ip_addresses().map(str)),
        "userAgent": _often(st.text(max_size=20)),
        "locale": _often(st.sampled_from(["en-GB", "de_DE", "zh-Hans-CN", "fil"])),
        "page": _often(
            st.fixed_dictionaries(
                {},
                optional={
                    "url": _often(st.sampled_from(["https://shop.example/", "https://shop.example/?email=a@b.example"])),
                    "referrer": _often(st.just("https://search.example/")),
                },
            )
        ),
        "app": _often(st.fixed_dictionaries({"name": _often(st.text(max_size=300))})),
        "device": _often(st.fixed_dictionaries({"type": _often(st.sampled_from(["ios", "android", "Desktop"]))})),
    },
)
FACT = st.text(max_size=12)


@st.composite
def people(draw: st.DrawFn) -> Person:
    """People as identity makes them: with keys made of their facts, and click ids."""
    emails = draw(st.lists(st.emails(), max_size=2))
    keys = normalize.match_keys(
        emails=[clean for value in emails if (clean := normalize.email(value))],
        phones=draw(st.lists(st.sampled_from(["+14155550134", "+442079460958"]), max_size=2, unique=True)),
        external_ids=draw(st.lists(FACT, max_size=2)),
        traits=draw(
            st.dictionaries(
                st.sampled_from(["first_name", "last_name", "city", "state", "zip", "country", "birthday", "gender"]), FACT
            )
        ),
        devices=draw(st.dictionaries(st.sampled_from(["idfa", "gaid", "idfv"]), st.uuids().map(str) | FACT)),
    )
    clicks = draw(
        st.dictionaries(
            st.sampled_from(["ttclid", "ttp", "epik"]),
            st.tuples(st.text(max_size=12) | st.just("E.C.P.abc"), st.integers(NOW - 500 * 86_400_000, NOW + 86_400_000)),
        )
    )
    return Person(id=1, keys=keys, clicks=clicks)


@st.composite
def signals(draw: st.DrawFn, platform: str) -> Signal:
    """Signals of any event of a platform, with context and properties as dirty as clients send them."""
    declared = CATALOG[platform]
    name = draw(st.sampled_from(sorted(declared.events)))
    event = Event(
        kind="track",
        source="shop",
        message_id="m-1",
        time=draw(st.integers(NOW - 86_400_000, NOW + 60_000)),
        received_at=NOW,
        name=name,
        properties=draw(PROPERTIES),
        context=draw(CONTEXT),
    )
    return Signal(
        event=event,
        name=name,
        platform_event=declared.events[name],
        event_id="m-1",
        person=draw(people()),
        order=orders.read(event, definition="net", default_currency="USD"),
        limited=draw(st.booleans()),
    )


def _empty(value: Any) -> bool:
    if isinstance(value, dict):
        return not value or any(map(_empty, value.values()))
    if isinstance(value, list):
        return not value or any(map(_empty, value))
    return value is None or (isinstance(value, str) and not value.strip())


RENDER = {name: mapping.compile(declared, config.Destination(type=name)) for name, declared in CATALOG.items()}


@pytest.mark.parametrize("platform", CATALOG)
@given(data=st.data())
def test_nothing_empty_ever_reaches_a_platform(platform: str, complaints: Complaints, data: st.DataObject) -> None:
    """Whatever an event holds, no null, empty text, list or object is sent, and the platform's description allows the rest."""
    signal = data.draw(signals(platform))
    sent = json.loads(RENDER[platform](signal))

    assert not _empty(sent)
    declared = CATALOG[platform]
    if declared.advertising and declared.identified(signal.person, signal) and declared.objection(signal, {}) is None:
        assert not complaints(platform, sent)


@pytest.mark.parametrize("platform", CATALOG)
@given(data=st.data())
def test_the_same_signal_gives_the_same_bytes(platform: str, data: st.DataObject) -> None:
    """Rendering depends on the signal alone: not on what was rendered before, nor on which of two equal signals it is."""
    signal = data.draw(signals(platform))
    other = data.draw(signals(platform))
    again = mapping.compile(CATALOG[platform], config.Destination(type=platform))

    first = RENDER[platform](signal)
    RENDER[platform](other)
    assert first == RENDER[platform](signal) == again(replace(signal, order=replace(signal.order)))


@pytest.mark.parametrize("platform", CATALOG)
@given(data=st.data())
def test_amounts_are_exact_and_plain(platform: str, data: st.DataObject) -> None:
    """An amount leaves as the exact decimal it is: a number for TikTok, text without an exponent for Pinterest."""
    exact = data.draw(
        st.decimals(0, 10**11, allow_nan=False) | st.sampled_from([Decimal("1E+3"), Decimal("4E-9"), Decimal("0E-8")])
    )
    signal = replace(
        data.draw(signals(platform)), order=Order(id="1", value=exact, currency="EUR", items=(Item(id="a", price=exact),))
    )
    sent = msgspec.json.decode(RENDER[platform](signal))

    places = CATALOG[platform].places
    parent, _, items = places.items.partition(".")
    if platform == "pinterest":
        value, price = sent["custom_data"]["value"], sent["custom_data"]["contents"][0]["item_price"]
        assert "e" not in (value + price).lower()
    else:
        read = json.loads(RENDER[platform](signal), parse_float=Decimal, parse_int=Decimal)
        value, price = read[parent]["value"], read[parent][items][0]["price"]
        assert isinstance(sent[parent]["value"], (int, float))
    tiny = exact < Decimal("1e-6")  # has no plain notation in Python's writing
    assert Decimal(value) == Decimal(price) == (exact.quantize(Decimal("1e-6")) if tiny else exact)


@pytest.mark.parametrize("platform", CATALOG)
@given(data=st.data())
def test_enriching_changes_only_what_is_known_of_the_person(platform: str, data: st.DataObject) -> None:
    """Event id, value, page and the rest stay, byte for byte, and click ids too; match keys become those of the person."""
    signal = data.draw(signals(platform))
    known = replace(signal, person=data.draw(people()))
    body = RENDER[platform](signal)
    enriched = RENDER[platform].enrich(body, replace(known, event=NO_EVENT, order=Order()))

    person = {"tiktok": "user", "pinterest": "user_data"}.get(platform, "")  # the shop's own tools are told as it was then
    before = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    after = msgspec.json.decode(enriched, type=dict[str, msgspec.Raw])
    assert {k: bytes(v) for k, v in before.items() if k != person} == {k: bytes(v) for k, v in after.items() if k != person}
    then = msgspec.json.decode(before[person]) if person in before else {}
    now = msgspec.json.decode(after[person]) if person in after else {}
    assert then.keys() <= now.keys()
    fresh = json.loads(RENDER[platform](known)).get(person, {})
    for row in CATALOG[platform].fields:
        name = row.path.partition(".")[2]
        if row.key is not None or row.person:
            assert now.get(name) == fresh.get(name, then.get(name))
        elif row.path.startswith(person):
            assert now.get(name) == then.get(name)
    assert enriched == RENDER[platform].enrich(enriched, known)
    assert body == RENDER[platform].enrich(body, signal)


def _signal(platform: str, **event: Any) -> Signal:
    declared = CATALOG[platform]
    made = Event(kind="track", source="shop", message_id="m-1", time=NOW, received_at=NOW, name="Order Completed", **event)
    return Signal(
        event=made,
        name="Order Completed",
        platform_event=declared.purchase,
        event_id="m-1",
        person=Person(id=1, clicks={"ttclid": ("E.C.P.abc", NOW - 60_000), "epik": ("dj0yabc", NOW - 60_000)}),
        order=Order(),
    )


@pytest.mark.parametrize(("platform", "row", "days"), [("tiktok", "user.ttclid", 28), ("pinterest", "user_data.click_id", 365)])
def test_a_click_belongs_to_what_came_after_it(platform: str, row: str, days: int) -> None:
    """A click id is sent with events after the click, for as long as it can matter; never with events before it."""
    read = next(field.read for field in CATALOG[platform].fields if field.path == row)
    name = "ttclid" if platform == "tiktok" else "epik"
    signal = _signal(platform)

    def clicked(at: int) -> Signal:
        return replace(signal, person=Person(id=1, clicks={name: ("E.C.P.abc", at)}))

    assert read(clicked(NOW)) == "E.C.P.abc"
    assert read(clicked(NOW - days * 86_400_000)) == "E.C.P.abc"
    assert read(clicked(NOW - days * 86_400_000 - 1)) is None
    assert read(clicked(NOW + 3_600_000)) is None


def test_an_unknown_property_is_a_mistake_where_the_platform_is_strict() -> None:
    """A field Pinterest would refuse, and a path that reads nothing, are refused when the workspace is read."""
    options = config.Destination(type="pinterest", properties={"margin": "properties.margin", "np": "margin"})

    assert len(mapping.mistakes(CATALOG["pinterest"], options)) == 2
    with pytest.raises(ConfigError):
        mapping.compile(CATALOG["pinterest"], options)
    assert mapping.mistakes(CATALOG["tiktok"], config.Destination(type="tiktok", properties={'a"b': "properties.margin"}))
    assert not mapping.mistakes(CATALOG["tiktok"], config.Destination(type="tiktok", properties={"margin": "properties.margin"}))


@pytest.mark.parametrize("platform", CATALOG)
@given(value=JSON)
def test_own_properties_are_clean_or_absent(platform: str, complaints: Complaints, value: Any) -> None:
    """Whatever stands at the path of an own property, what is sent is not empty and allowed by the description."""
    declared = CATALOG[platform]
    for name in [*declared.custom.fields, *(["margin"] if declared.custom.other else [])]:
        render = mapping.compile(declared, config.Destination(type=platform, properties={name: "properties.own"}))
        sent = json.loads(
            render(_signal(platform, properties={"own": value}, context={"page": {"url": "https://shop.example/"}}))
        )
        part = sent.get(declared.custom.parent, {})

        assert not _empty(part) or not part
        described = complaints(platform, sent) if declared.advertising else []
        found = [text for text in described if "user" not in text and "is not valid under any" not in text]
        assert not found


@pytest.mark.parametrize("platform", CATALOG)
def test_every_row_is_whole(platform: str) -> None:
    """Every row has a sentence and a path of its own, and every hashed row says what it is hashed from."""
    declared = CATALOG[platform]
    paths = [row.path for row in declared.fields]

    assert len(set(paths)) == len(paths)
    for row in declared.fields:
        assert row.doc.endswith("."), row.path
        assert not row.hashed or row.key or row.person, row.path
        assert row.key is None or row.key in {key.name for key in normalize.MATCH_KEYS}
