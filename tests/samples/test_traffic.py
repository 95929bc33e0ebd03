"""The traffic around the real orders: the same on every run, whole, in order, and as dirty as it says."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tracemalloc
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from itertools import islice, pairwise, takewhile
from pathlib import Path
from typing import Any

import msgspec
import phonenumbers
import pytest

from signalpost.samples import people, shop, traffic
from signalpost.samples.traffic import DAY, DIRT, Message

START = 1_795_000_000_000
SPEED = 100_000
DIGEST = """
import hashlib, msgspec
from signalpost.samples import traffic
digest = hashlib.sha256()
for message in traffic.messages(start=1_795_000_000_000, compression=100_000, invoice_limit=300):
    digest.update(msgspec.json.encode(message))
print(digest.hexdigest())
"""


@pytest.fixture(scope="module")
def some() -> list[Message]:
    return list(traffic.messages(start=START, compression=SPEED, invoice_limit=3_000))


def test_the_same_stream_every_time() -> None:
    """Another process with another hash seed gives the same bytes."""
    digest = hashlib.sha256()
    for message in traffic.messages(start=START, compression=SPEED, invoice_limit=300):
        digest.update(msgspec.json.encode(message))
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(traffic.__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        )
        assert digest.hexdigest() == run.stdout.strip()


def test_the_year_adds_up() -> None:
    """Over the whole year, messages come in order, each is whole, and the money is the data's exactly."""
    counted: list[int] = [0]
    last = START
    invoices: set[str | None] = set()
    ids: set[str] = set()

    def checked() -> Any:
        nonlocal last
        for message in traffic.messages(start=START, compression=SPEED):
            assert message.due_ms >= last
            last = message.due_ms
            body = message.body
            assert body["messageId"]
            assert body["type"] in {"track", "page", "identify"}
            assert body.get("userId") or body.get("anonymousId")
            assert (body["messageId"] in ids) == ("retry" in message.dirt)
            ids.add(body["messageId"])
            encoded = msgspec.json.encode(body)
            assert len(encoded) < 32_000
            assert msgspec.json.decode(encoded) == body
            invoices.add(message.invoice)
            counted[0] += 1
            yield message

    summary = traffic.summarise(checked())
    assert summary.messages == counted[0] == len(ids) + summary.retries
    assert invoices - {None} == {invoice.number for invoice in shop.invoices()}
    assert summary.orders == 25_900 - 3_836
    assert summary.refunds == 3_836
    assert summary.named == 1_998
    assert summary.refunded == Decimal("-896812.49")
    assert summary.gross + summary.refunded == Decimal("9747747.934")
    assert summary.purchases == summary.orders + (summary.events["Order Completed"] - summary.orders)
    assert 0 < summary.sound_orders < summary.orders
    assert set(summary.dirt) == set(DIRT)


def test_dirt_has_its_shares(some: list[Message]) -> None:
    """Each kind of dirt occurs about as often as the table says."""
    whole = [message for message in some if "retry" not in message.dirt]
    among: dict[str, set[str]] = defaultdict(set)
    found: dict[str, set[str]] = defaultdict(set)
    among["messages"] = {str(place) for place in range(len(whole))}
    found["retry"] = {str(place) for place in range(len(some) - len(whole))}
    for message in whole:
        body = message.body
        event = body.get("event") or body["type"]
        anonymous, each = str(body.get("anonymousId")), str(body["messageId"])
        traits = body.get("traits") or body["context"].get("traits") or {}
        order = message.invoice or str((body.get("properties") or {}).get("order_id"))
        subjects = {"people": anonymous}
        if event == "Order Completed":
            subjects["orders"] = order
            if message.source == "shop" and message.invoice is not None and "back_office" not in message.dirt:
                subjects["shop's reports"] = order
            if body.get("userId") and "back_office" not in message.dirt:
                subjects["customers"] = str(body["userId"])
        if message.invoice is not None:
            subjects["invoices"] = message.invoice
        if event in {"Order Refunded", "Order Cancelled"}:
            subjects["cancellations"] = each
        if event == "Checkout Started" or not {"lost_keys", "junk_traits", "junk_user"}.isdisjoint(message.dirt):
            subjects["checkouts"] = anonymous
        if message.source == "web":
            subjects["visits"] = anonymous
        if event == "Pixel Sent":
            subjects["pixels"] = each
        if "email" in traits:
            subjects["e-mails"] = each
        if "phone" in traits:
            subjects["phones"] = each
        for of, subject in subjects.items():
            among[of].add(subject)
        for kind in message.dirt:
            if (of := DIRT[kind].of) in subjects:
                found[kind].add(subjects[of])
    among["orders"] = {order for order in among["orders"] if order.isdigit()}
    for kind, entry in DIRT.items():
        expected = entry.share * len(among[entry.of])
        assert expected / 3 - 4 <= len(found[kind]) <= expected * 2 + 6, (kind, expected, len(found[kind]))


def test_dirt_is_what_its_name_says(some: list[Message]) -> None:
    """A message with a kind of dirt has it, and a message without any is clean."""
    first: dict[tuple[str, str], Message] = {}
    for message in some:
        body, dirt = message.body, message.dirt
        if body.get("event") != "Order Completed":
            continue
        properties = body["properties"]
        has_id = properties.get("order_id") not in {None, "", "(not set)"}
        assert has_id != ("no_order_id" in dirt)
        assert ("total" in properties) != ("no_value" in dirt)
        assert ("currency" in properties) != ("no_currency" in dirt)
        assert isinstance(properties.get("total"), str) == ("text_value" in dirt)
        stamp = body.get("timestamp")
        assert (stamp is None) == ("no_timestamp" in dirt and not {"double_fire"} & {*dirt})
        if stamp and not {"milliseconds_text", "long_past", "future", "offset_time", "late_batch", "refund_first"} & {*dirt}:
            assert stamp == traffic.iso(message.due_ms) or "retry" in dirt
        denied = body["context"].get("consent", {}).get("categoryPreferences", {}).get("Advertising") is False
        if message.invoice is not None:
            assert denied == ("consent_denied" in dirt)
        key = (properties.get("order_id"), message.source)
        if has_id and "double_fire" in dirt:
            before = first[key]
            assert before.body["messageId"] != body["messageId"]
            assert before.body["properties"] == properties
        elif has_id and "reused_order_id" in dirt:
            assert all(each.body["anonymousId"] != body["anonymousId"] for other, each in first.items() if other[0] == key[0])
        elif has_id and "retry" not in dirt:
            first[key] = message
        if not dirt:
            assert Decimal(str(properties["total"])) == message.value


def test_two_sources_tell_of_an_order(some: list[Message]) -> None:
    """The shop knows every order; where the website told it too, the order id is the same and the value is not always."""
    told: dict[str, dict[str, Message]] = defaultdict(dict)
    for message in some:
        if message.body.get("event") == "Order Completed" and message.invoice and traffic.SAME_ORDER.isdisjoint(message.dirt):
            told[message.invoice].setdefault(message.source, message)
    seconds = {message.invoice: message for message in some if "reported_twice" in message.dirt}
    assert all("shop" in by or invoice in seconds for invoice, by in told.items())
    for invoice, second in seconds.items():
        assert invoice is not None
        web = told[invoice]["web"]
        assert second.source == "shop"
        assert second.body["properties"]["order_id"] == invoice
        assert second.value == web.value
    for message in some:
        properties = message.body.get("properties") or {}
        if "net_total" in message.dirt and "text_value" not in message.dirt:
            parts = [Decimal(str(properties[part])) for part in ("subtotal", "tax", "shipping")]
            assert sum(parts) == message.value != Decimal(str(properties["total"])) == parts[0]
        if "late_batch" in message.dirt and "double_fire" not in message.dirt:
            late = message.due_ms - _moment(message.body["timestamp"])
            assert 2 * traffic.HOUR <= late <= 5 * traffic.HOUR or "retry" in message.dirt


def _moment(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)


def test_a_discount_changes_no_value(some: list[Message]) -> None:
    """Of a discounted order the items less the discount, with the shipping, are its exact value."""
    seen = 0
    for message in some:
        if "discounted" in message.dirt and not {"no_value", "net_total"} & {*message.dirt}:
            properties = message.body["properties"]
            assert properties["coupon"].count(",") == 1
            worth = sum(
                (Decimal(str(each["price"])) * Decimal(str(each["quantity"])) for each in properties["products"]), Decimal(0)
            )
            if len(properties["products"]) < traffic.PRODUCTS_SENT:
                discount, shipping = Decimal(str(properties["discount"])), Decimal(str(properties["shipping"]))
                assert worth - discount + shipping == message.value
                seen += 1
    assert seen > 20


def test_what_is_taken_back_names_its_order(some: list[Message]) -> None:
    """A refund names its order where the table has one; a part of an order is never called a cancellation."""
    links = shop.taken_back()
    for message in some:
        event = message.body.get("event")
        if event not in {"Order Refunded", "Order Cancelled"}:
            continue
        assert message.source == "shop"
        known = links.get(str(message.invoice))
        assert message.body["properties"].get("order_id") == (known and known.order)
        assert (known is None) == ("no_order_named" in message.dirt)
        assert known is None or known.whole or event == "Order Refunded"


def test_some_refunds_come_before_their_order() -> None:
    """An order marked so is reported after the first message that takes some of it back, with the time at which it happened."""
    stream = traffic.messages(start=START, compression=1, invoice_limit=3_000)
    refunded: set[str] = set()
    seen = 0
    for message in stream:
        if message.body.get("event") in {"Order Refunded", "Order Cancelled"}:
            refunded.add(str(message.body["properties"].get("order_id")))
        elif "refund_first" in message.dirt and "double_fire" not in message.dirt:
            assert message.invoice in refunded
            assert _moment(message.body["timestamp"]) < message.due_ms - traffic.MINUTE
            seen += 1
    assert seen > 5


def test_the_new_client_loses_keys(some: list[Message]) -> None:
    """Before 60 % of the invoices nothing is lost; after it nearly every checkout is, from another version and another host."""
    versions = [
        (message.due_ms, message.body["context"]["library"]["version"], "lost_keys" in message.dirt)
        for message in some
        if message.source == "web"
    ]
    assert {version for _, version, _ in versions} == {traffic.BEFORE.version, traffic.AFTER.version}
    assert {version for _, version, lost in versions if lost} == {traffic.AFTER.version}
    identified = [m for m in some if m.source == "web" and m.body["type"] == "identify" and "junk_user" not in m.dirt]
    new = [m for m in identified if m.body["context"]["library"]["version"] == traffic.AFTER.version]
    lost = [m for m in new if "lost_keys" in m.dirt]
    assert 0.7 < len(lost) / len(new) < 0.9
    for message in lost:
        assert not {"email", "phone"} & set(message.body["traits"])
        assert message.body["userId"] is None
    hosts = {m.body["context"]["page"]["url"].split("/")[2] for m in some if m.body["type"] == "page"}
    assert hosts == {"shop.example.test", "start.shop.example.test"}


def test_impossible_times() -> None:
    """A timestamp marked as long past or in the future is far from the moment it is sent."""
    seen = set()
    for message in traffic.messages(start=START, compression=SPEED, invoice_limit=3_000):
        for kind, days in (("long_past", -30), ("future", 3)):
            if kind in message.dirt and not {"double_fire", "retry"} & {*message.dirt}:
                assert message.body["timestamp"] == traffic.iso(message.due_ms + days * DAY)
                seen.add(kind)
    assert seen == {"long_past", "future"}


def test_a_story_is_told_in_order() -> None:
    """Before an order its page comes first, then view, cart, checkout and payment."""
    rank = [
        "page",
        "Product Viewed",
        "Product Added",
        "Checkout Started",
        "Payment Info Entered",
        "Order Completed",
    ]
    bought = (invoice for invoice in shop.invoices() if shop.is_bought(invoice))
    for invoice in islice(bought, 500):
        stream = list(traffic.messages(start=START, compression=1, invoices=[invoice]))
        buyer = next(message.body["anonymousId"] for message in stream if message.invoice)
        told = [
            message.body.get("event") or message.body["type"] for message in stream if message.body.get("anonymousId") == buyer
        ]
        firsts = [told.index(step) for step in rank if step in told]
        assert firsts == sorted(firsts)
        assert len(firsts) >= len(rank) - 1


def test_parts_of_an_order_add_up() -> None:
    """Subtotal, tax and shipping are the total to the penny; the products are the goods, duplicates kept."""
    for invoice in shop.invoices():
        order = traffic.order_properties(invoice)
        parts = (Decimal(str(order[part])) for part in ("subtotal", "tax", "shipping"))
        assert sum(parts, Decimal(0)) == Decimal(str(order["total"])) == invoice.value
        assert order["subtotal"] == order["revenue"]
        goods = [line for line in invoice.lines if line.stock_code not in shop.SHIPPING | shop.DISCOUNT]
        assert len(order["products"]) == min(len(goods), traffic.PRODUCTS_SENT)


def test_people_can_be_told_apart() -> None:
    """No two customers share a phone or an e-mail; each number is valid, and readable however it is typed."""
    owners: dict[str, str] = {}
    numbers = {(invoice.customer, invoice.country) for invoice in shop.invoices() if invoice.customer is not None}
    for number, country in numbers:
        shopper = people.customer(number, country)
        assert owners.setdefault(shopper.email or "", shopper.key) == shopper.key
        if shopper.phone is None:
            continue
        assert owners.setdefault(shopper.phone, shopper.key) == shopper.key
        for subject in range(3):
            typed, _ = people.typed_phone(shopper, str(subject))
            parsed = phonenumbers.parse(typed or "", "GB")
            assert phonenumbers.is_valid_number(parsed)
            assert shopper.phone == phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    assert len(owners) > 6_000


def test_a_bounded_stream_is_a_beginning() -> None:
    """`until` cuts the stream at a moment and changes nothing before it."""
    end = START + 2_000
    whole = traffic.messages(start=START, compression=SPEED)
    beginning = list(takewhile(lambda message: message.due_ms < end, whole))
    assert beginning
    assert beginning == list(traffic.messages(start=START, compression=SPEED, until=end))


def test_compression_changes_times_only() -> None:
    """At another speed the same messages come in the same order."""

    def told(speed: float) -> list[tuple[str, tuple[str, ...]]]:
        stream = traffic.messages(start=START, compression=speed, invoice_limit=200)
        return [(message.body["messageId"], message.dirt) for message in stream]

    assert told(1) == told(50_000)


def test_pauses_can_be_shortened() -> None:
    """With a longest pause, every message still comes, in order, and the shop never sleeps longer than that."""
    whole = list(traffic.messages(start=START, compression=1, invoice_limit=2_000))
    awake = list(traffic.messages(start=START, compression=1, invoice_limit=2_000, longest_pause=2 * traffic.HOUR))
    assert {message.body["messageId"] for message in whole} == {message.body["messageId"] for message in awake}
    assert len(whole) == len(awake)
    moved = {"reused_order_id", "refund_first"}
    busy = [message.due_ms for message in awake if message.invoice and moved.isdisjoint(message.dirt)]
    assert all(0 <= later - earlier <= 2 * traffic.HOUR for earlier, later in pairwise(busy))
    assert all(earlier.due_ms <= later.due_ms for earlier, later in pairwise(awake))
    with pytest.raises(ValueError, match="longest_pause"):
        next(traffic.messages(start=START, longest_pause=1))


def test_a_past_keeps_its_pace() -> None:
    """What lies before the start comes at the year's own pace, the rest compressed; order and messages are the same."""
    past = 5 * DAY
    whole = list(traffic.messages(start=START, compression=1, invoice_limit=800))
    told = list(traffic.messages(start=START, compression=SPEED, invoice_limit=800, past=past))
    assert [message.body["messageId"] for message in told] == [message.body["messageId"] for message in whole]
    before = [each.due_ms for each in told if each.due_ms < START]
    assert before == [each.due_ms - past for each in whole[: len(before)]]
    assert len(before) > 3_000
    assert all(earlier.due_ms <= later.due_ms for earlier, later in pairwise(told))
    assert told[-1].due_ms < START + 10 * traffic.MINUTE


def test_real_time_is_real() -> None:
    """Uncompressed, an order is due an hour and its distance in the year after the start."""
    stream = traffic.messages(start=START, compression=1, invoice_limit=50)
    due = {message.invoice: message.due_ms for message in stream if message.invoice and not message.dirt}
    times = {invoice.number: invoice.time for invoice in shop.invoices() if invoice.number in due}
    first = next(shop.invoices()).time
    assert due == {number: START + traffic.LEAD + time - first for number, time in times.items()}
    assert all(earlier <= later for earlier, later in pairwise(due.values()))


def test_memory_stays_flat() -> None:
    """A stream three times as long needs about the same memory."""

    def peak(invoices: int) -> int:
        people.customer.cache_clear()
        tracemalloc.start()
        for _ in traffic.messages(start=START, compression=SPEED, invoice_limit=invoices):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    assert peak(2_000) < 1.6 * peak(700)


def test_click_ids_come_in_landing_pages(some: list[Message]) -> None:
    """About a fifth of visits land with a ttclid, a seventh with an epik, none with both."""
    landings = [message.body["context"]["page"]["search"] for message in some if message.body["type"] == "page"]
    tiktok = sum("ttclid=" in search for search in landings) / len(landings)
    pinterest = sum("epik=" in search for search in landings) / len(landings)
    assert tiktok == pytest.approx(traffic.FROM_TIKTOK, abs=0.04)
    assert pinterest == pytest.approx(traffic.FROM_PINTEREST, abs=0.04)
    assert not any("ttclid=" in search and "epik=" in search for search in landings)


def test_the_readme_has_the_dirt() -> None:
    """The table of dirt in the sample's README is the table in the code."""
    readme = (Path(traffic.__file__).parent / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+)% \| ([^|]+) \| (.+) \| (yes|no) \|$", readme, re.MULTILINE)
    assert {
        name: (f"{entry.share:.1%}", entry.of, entry.sentence, "yes" if entry.withholds else "no") for name, entry in DIRT.items()
    } == {name: (f"{share}%", of, sentence, withholds) for name, share, of, sentence, withholds in rows}
