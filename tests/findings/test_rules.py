"""Each leak, made with real messages on a real database, is found; what is too little, or all right, is not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.findings.watched import DAY, HOUR, MINUTE, NOW, Watched, order, tracked, with_destination, workspace

from signalpost import findings
from signalpost.config import Source
from signalpost.coverage import KEYS
from signalpost.delivery import Breaker
from signalpost.destinations import CATALOG
from signalpost.iso import CURRENCIES
from signalpost.options import Gate, Pixel, Stage
from signalpost.segments import guards
from signalpost.store import batches
from signalpost.store.database import Connection, Database

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def watched(database: Database) -> Watched:
    """A production shop with two sources and both platforms."""
    return Watched(database)


def test_a_shop_without_dirt_has_no_findings(watched: Watched) -> None:
    """Orders told once, with all parts, in time and accepted: nothing is said."""
    watched.say("shop", [order(number) for number in range(40)])
    watched.answer()
    assert watched.found() == {}


def test_a_source_that_mixes_gross_and_net(watched: Watched) -> None:
    """The source is named with the share and worth of the strays and examples with their amounts; a problem only if wrong
    amounts went out."""
    steady = [order(number) for number in range(36)]
    whole = [order(f"n{number}", total=None, value=100) for number in range(4)]
    watched.say("web", steady + whole)
    found = watched.found()["mixed_source:web"]
    assert found.severity == "warning", "all parts are there, so the right value left"
    assert (found.share, found.money, found.currency) == (Decimal("0.1000"), Decimal("400.00"), "USD")
    assert "100.00 USD (net)" in found.sentence
    assert "118.00 USD (gross)" in found.sentence
    assert len(found.examples) == 3
    told = watched.rows("SELECT DISTINCT value FROM ledger WHERE verdict = 'waiting'")
    assert told == [("118",)]


def test_a_source_that_mixes_and_leaves_parts_out(watched: Watched) -> None:
    """Amounts that had to be taken as they were said make it a problem from a fifth of the orders on."""
    watched.say("web", [order(number) for number in range(30)])
    watched.say("web", [order(f"n{number}", total=None, tax=None, shipping=None) for number in range(10)])
    found = watched.found()["mixed_source:web"]
    assert found.severity == "problem"
    assert "10 of these left with that amount" in found.sentence


def test_a_source_whose_total_is_not_the_total(watched: Watched) -> None:
    """A `total` that is the net amount leaves as it is under gross: all parts are there and the value is wrong all the same."""
    watched.say("web", [order(number) for number in range(30)])
    watched.say("web", [order(f"n{number}", total=100) for number in range(10)])
    found = watched.found()["mixed_source:web"]
    assert found.severity == "problem"
    assert "10 of these left with that amount" in found.sentence
    assert sorted(watched.rows("SELECT DISTINCT value FROM ledger WHERE verdict = 'waiting'")) == [("100",), ("118",)]


def test_two_sources_with_two_definitions(watched: Watched) -> None:
    """Orders that one source tells gross and the other net are found, with what lies between them as the money."""
    watched.say("shop", [order(number) for number in range(10)])
    watched.say("web", [order(number, total=None, revenue=None, value=100) for number in range(10)])
    found = watched.found()
    assert "mixed_order:shop + web" not in found, "the parts are missing, so no definition shows"
    assert found["value_differs:shop + web"].money == Decimal("180.00")
    assert found["value_differs:shop + web"].severity == "problem"
    assert "118.00 USD (shop, total)" in found["value_differs:shop + web"].sentence


def test_two_sources_with_two_definitions_and_all_parts(watched: Watched) -> None:
    """With all parts both come to one value: a warning, which names both amounts."""
    watched.say("shop", [order(number) for number in range(10)])
    watched.say("web", [order(number, total=None, subtotal=100, value=100) for number in range(10)])
    found = watched.found()
    assert "value_differs:shop + web" not in found
    mixed = found["mixed_order:shop + web"]
    assert (mixed.severity, mixed.share, mixed.money) == ("warning", Decimal("1.0000"), Decimal("180.00"))
    assert "118.00 USD (gross) from shop" in mixed.sentence
    assert "100.00 USD (net) from web" in mixed.sentence
    assert found["rival_sources:shop + web"].share == Decimal("1.0000")


def test_platforms_that_are_told_different_values(database: Database) -> None:
    """Where one platform counts the web's report and the other the shop's, what each was told is compared."""
    watched = Watched(database, workspace(destinations=with_destination("tiktok", oldest="1h")))
    watched.say("web", [order(number, at=NOW - 2 * HOUR, total=None, revenue=None, value=100) for number in range(5)])
    watched.say("shop", [order(number) for number in range(5)])
    watched.answer()
    found = watched.found()["told_differently:pinterest and tiktok"]
    assert (found.severity, found.share, found.money) == ("problem", Decimal("1.0000"), Decimal("90.00"))


def test_naming_the_source_that_counts_ends_the_rivalry(database: Database) -> None:
    """With `events.canonical` two sources are no rivals."""
    watched = Watched(database, workspace(events={"canonical": {"Order Completed": "shop"}}))
    for source in ("shop", "web"):
        watched.say(source, [order(number) for number in range(10)])
    watched.answer()
    assert watched.found() == {}


@pytest.mark.parametrize(
    ("missing", "kind"),
    [({"total": None, "revenue": None}, "missing_value"), ({"currency": "dollars"}, "missing_currency"),
     ({"order_id": None}, "missing_order_id")],
)  # fmt: skip
def test_purchases_that_lack_something(watched: Watched, missing: dict[str, Any], kind: str) -> None:
    """Purchases without value, currency or order id are found with examples, once and not for each destination."""
    watched.say("web", [order(number) for number in range(45)] + [order(f"m{number}", **missing) for number in range(5)])
    found = watched.found()[f"{kind}:"]
    assert (found.severity, found.share) == ("problem", Decimal("0.1000"))
    assert "5 of 50 purchases" in found.sentence
    assert len(found.examples) == 3


def test_a_currency_without_a_rate(database: Database) -> None:
    """A currency that a platform does not take is found for that platform, and gone with a rate."""
    odd = min(CURRENCIES - (CATALOG["tiktok"].currencies or frozenset()))
    for rates in ({}, {odd: "0.0072"}):
        watched = Watched(database, workspace(rates=rates))
        watched.clear()
        watched.say("web", [order(number, currency=odd, total=5000) for number in range(3)])
        found = watched.found()
        withheld = watched.rows("SELECT DISTINCT destination FROM ledger WHERE reason = 'unsupported_currency'")
        assert {f"unsupported_currency:{name}" for (name,) in withheld} == {key for key in found if key.startswith("unsupported")}
        assert bool(withheld) == (not rates)


def test_repeats(watched: Watched) -> None:
    """Messages and orders that come again are found with their share; a few repeats are not."""
    first = [order(number) for number in range(20)]
    watched.say("web", first)
    watched.say("web", [{**message, "messageId": f"again {message['messageId']}"} for message in first[:4]])
    assert watched.found() == {}
    watched.say("web", [{**message, "messageId": f"third {message['messageId']}"} for message in first[:10]])
    assert watched.found()["repeated_orders:"].share == Decimal("0.4118")
    for _ in range(3):
        watched.say("web", first)
    found = watched.found()["repeated_messages:"]
    assert "60 of 94" in found.sentence


def test_what_a_second_source_repeats_is_told_once(watched: Watched) -> None:
    """Two sources that report the same purchases are rivals, not a source that repeats itself."""
    for source in ("shop", "web"):
        watched.say(source, [order(number) for number in range(20)])
    found = watched.found()
    assert "rival_sources:shop + web" in found
    assert "repeated_orders:" not in found


def test_two_events_sent_as_a_purchase(database: Database) -> None:
    """Two canonical events mapped to the platform's purchase are found once both are sent."""
    events = {"Order Completed": "Purchase", "Order Placed": "Purchase"}
    watched = Watched(database, workspace(destinations=with_destination("tiktok", events=events)))
    watched.say("web", [order(number) for number in range(6)])
    watched.say("web", [{**order(number), "event": "Order Placed", "messageId": f"p{number}"} for number in range(6)])
    watched.answer()
    found = watched.found()["rival_events:tiktok"]
    assert (found.severity, found.share) == ("problem", Decimal("0.5000"))


def test_a_pixel_with_other_ids_counts_twice(database: Database) -> None:
    """Where the pixel shares no id every accepted order is foreseen to count twice; where it does, none."""
    for shares_id in (False, True):
        pixel = Pixel(events=("Order Completed",), shares_id=shares_id)
        watched = Watched(database, workspace(destinations=with_destination("tiktok", pixel=pixel)))
        watched.clear()
        watched.say("web", [order(number) for number in range(10)])
        watched.answer()
        found = watched.found()
        if shares_id:
            assert found == {}
        else:
            doubled = found["double_sending:tiktok"]
            assert (doubled.severity, doubled.share, doubled.money) == ("problem", Decimal("1.0000"), Decimal("1180.00"))
            assert doubled.examples


def test_what_comes_late(watched: Watched) -> None:
    """A source in batches is named, Pinterest's share that becomes offline is told, and what is too old is withheld and said."""
    watched.say("shop", [order(number) for number in range(20)])
    watched.say("web", [order(f"l{number}", at=NOW - 9 * HOUR) for number in range(20)])
    watched.say("web", [order(f"o{number}", at=NOW - 8 * DAY) for number in range(5)])
    watched.answer()
    found = watched.found()
    assert found["late_source:web"].severity == "problem"
    assert "late_source:shop" not in found
    assert found["counted_offline:pinterest"].severity == "problem"
    assert found["too_old:"].share == Decimal("0.1111")


def test_a_clock_that_runs_ahead(watched: Watched) -> None:
    """Events from the future are withheld and found; so is the source whose clock is wrong."""
    watched.say("web", [order(number, at=NOW + HOUR) for number in range(20)])
    found = watched.found()
    assert "in_future:" in found
    assert "clock_skew:web" in found


def test_refusals_above_normal(watched: Watched) -> None:
    """Refused and unanswered signals are found with what the platform said and their worth; a usual trickle is not."""
    watched.say("web", [order(number) for number in range(100)])
    bad = {"tiktok": "refused", "pinterest": "unknown"}
    watched.answer(lambda name, signal: (bad[name], "40002") if signal.id % 7 == 0 and name in bad else ("accepted", ""))
    found = watched.found()
    counted: dict[str, int] = dict(
        watched.rows("SELECT destination, count(*) FROM ledger WHERE verdict IN ('refused', 'unknown') GROUP BY 1")
    )
    for key, name in (("refused:tiktok", "tiktok"), ("unanswered:pinterest", "pinterest")):
        assert found[key].money == 118 * counted[name]
        assert f"{name} said 40002." in found[key].sentence
        assert found[key].examples


def test_a_destination_that_rests(watched: Watched) -> None:
    """A destination that has not sent for five minutes is a problem, with the worth of the purchases that wait."""
    watched.say("web", [order(number) for number in range(3)])
    watched.rest("tiktok", Breaker(failures=4, since=NOW - 6 * MINUTE, until=NOW, sentence="TikTok does not know the token."))
    found = watched.found()["resting:tiktok"]
    assert (found.severity, found.money) == ("problem", Decimal("354.00"))
    assert "TikTok does not know the token." in found.sentence


def test_test_events_and_junk_orders(watched: Watched) -> None:
    """Test orders in production are said though none left; orders worth nothing that left are a leak."""
    watched.say("web", [order(f"t{number}", test=True) for number in range(3)])
    watched.say("web", [order(number) for number in range(16)] + [order(f"z{number}", total=0) for number in range(4)])
    watched.answer()
    found = watched.found()
    assert "3 events marked as a test" in found["test_events:"].sentence
    assert found["junk_orders:"].share == Decimal("0.2000")
    assert "preset: zero_value" in found["junk_orders:"].advice


def test_an_observing_gate_tells_its_cost(database: Database) -> None:
    """What an observing gate would have withheld is said with its worth, and everything was sent."""
    watched = Watched(database, workspace(gates=(Gate(reason="small", when={"order.value": {"lt": 50}}, mode="observing"),)))
    watched.say("web", [order(number) for number in range(10)] + [order(f"s{number}", total=20) for number in range(5)])
    watched.answer()
    (found,) = [each for each in watched.found().values() if each.kind == "observed"]
    assert (found.share, found.money) == (Decimal("0.3333"), Decimal("100.00"))
    assert {"accepted"} == {verdict for (verdict,) in watched.rows("SELECT verdict FROM ledger")}


def test_what_is_paid_back_after_it_was_sent(watched: Watched) -> None:
    """Orders cancelled and refunded after they were accepted are counted with their worth."""
    watched.say("shop", [order(number) for number in range(20)])
    watched.answer()
    for name, numbers in (("Order Cancelled", range(5)), ("Order Refunded", range(5, 12)), ("Order Flagged", range(12, 17))):
        watched.say("shop", [tracked(name, number, order_id=str(number), at=NOW) for number in numbers])
    found = watched.found()
    assert found["cancelled_after:"].money == 5 * 118
    assert found["refunded_after:"].money == 7 * 118
    assert found["flagged_after:"].severity == "problem"


def test_low_intent_events_and_their_cap(database: Database) -> None:
    """Far more page views than purchases are found; not where the rollout caps them."""
    watched = Watched(database)
    watched.say("web", [order(number) for number in range(5)])
    watched.say("web", [tracked("Product Viewed", number, product_id="p1") for number in range(1200)])
    watched.answer()
    found = watched.found()["low_intent:tiktok"]
    assert "240 for each purchase" in found.sentence
    stages = (Stage(send=("Order Completed", "Product Viewed"), at_most={"Product Viewed": 5}),)
    watched.workspace = workspace(destinations=with_destination("tiktok", rollout=stages))
    assert "low_intent:tiktok" not in watched.found(NOW + HOUR)


def test_a_held_rollout(database: Database) -> None:
    """A rollout whose time has passed and whose bounds do not hold says which."""
    stages = (
        Stage(send=("Order Completed",), lasts="1h", until={"accepted": ">= 99%"}),
        Stage(send=("Checkout Started",)),
    )
    watched = Watched(database, workspace(destinations=with_destination("tiktok", rollout=stages)))
    assert watched.found(NOW) == {}
    found = watched.found(NOW + 3 * HOUR)["rollout_held:tiktok"]
    assert "stays in stage 1 of 2" in found.sentence


def test_events_that_never_come_and_events_nobody_maps(database: Database) -> None:
    """After a day of traffic a mapped event that never came is named; one that sounds like a purchase and goes nowhere is too."""
    events = {"Order Completed": "Purchase", "Subscription Started": "Subscribe"}
    watched = Watched(database, workspace(destinations=with_destination("tiktok", events=events)))
    watched.say("web", [order(number) for number in range(150)])
    watched.say("web", [tracked("checkout_order_success", number, order_id=str(number)) for number in range(5)])
    watched.say("web", [tracked("Order Shipped", number, order_id=str(number)) for number in range(5)])
    found = watched.found()
    assert not any(key.startswith("never_seen") for key in found), "a day has not passed"
    assert [key for key in found if key.startswith("unmapped")] == ["unmapped_purchases:checkout_order_success"]
    found = watched.found(NOW + DAY + HOUR)
    assert "Subscription Started" in found["never_seen:tiktok"].sentence


def test_what_cannot_be_read(watched: Watched) -> None:
    """Messages without a sense are counted against all that came."""
    watched.say("web", [order(number) for number in range(20)] + [{"type": "track", "userId": f"u{n}"} for n in range(5)])
    assert watched.found()["unreadable:"].severity == "problem"


def test_a_request_set_aside(watched: Watched) -> None:
    """A request that could not be processed is a problem until it is older than what is looked at."""
    watched.append([("web", order(1))])
    watched.write(lambda connection: batches.set_aside(connection, batches.next_positions(connection, 1)[0]))
    assert watched.found()["set_aside:"].severity == "problem"
    assert "set_aside:" not in watched.found(NOW + 8 * DAY)


def test_a_match_key_that_dropped_with_what_was_new(watched: Watched) -> None:
    """E-mail addresses that go missing after a new client version are found, with that version beside it."""
    email, address = 1 << KEYS["email"].bit, 1 << KEYS["ip"].bit

    def work(connection: Connection) -> None:
        rows = []
        for hour in range(30 * 24):
            share = 8 if hour >= 24 else 2
            at = NOW - NOW % HOUR - hour * HOUR
            rows += [(at, "tiktok", "web", "Order Completed", email | address, share)]
            rows += [(at, "tiktok", "web", "Order Completed", address, 10 - share)]
        connection.run_many("coverage_add", rows)
        connection.run("mark_add", "library", "web", "tracker", "9.0.0", NOW - DAY, 7)

    watched.write(work)
    (found,) = [each for each in watched.found(NOW + MINUTE).values() if each.kind == "keys_dropped"]
    assert found.subject == "email from web"
    assert found.severity == "problem"
    assert "tracker 9.0.0" in found.sentence
    assert found.examples == (7,)


def test_holds_that_cost_more_than_they_save(database: Database) -> None:
    """A hold of hours makes Pinterest count purchases as offline, and says so."""
    watched = Watched(database, workspace(holds={"Order Completed": "3h"}))
    watched.say("web", [order(number) for number in range(5)])
    watched.answer(now=NOW + 3 * HOUR + MINUTE)
    found = watched.found(NOW + 4 * HOUR)
    assert "3 hours" in found["hold_cost:Order Completed at pinterest"].sentence
    assert not any("tiktok" in key for key in found if key.startswith("hold_cost"))


def test_little_is_not_shouted_about(watched: Watched) -> None:
    """One odd order among three is below every bar that a share alone would jump."""
    watched.say("web", [order(1), order(2, at=NOW - 2 * DAY), order(3, total=None, value=100)])
    watched.say("web", [order(4, total=0)])
    watched.answer(lambda name, signal: ("refused", "x") if signal.id % 2 else ("accepted", ""))
    assert [each for each in watched.found().values() if each.severity == "problem"] == []
    assert [
        key for key in watched.found() if key.partition(":")[0] in {"refused", "late_source", "mixed_source", "junk_orders"}
    ] == []


def test_every_kind_has_a_rule_and_a_page() -> None:
    """Each kind of the table is made by some rule or is a guard, and its page is one that is written."""
    files = Path(findings.__file__).parent.glob("*.py")
    rules = "".join(file.read_text("utf-8") for file in files if file.name != "kinds.py")
    told = set(get_args(guards.Kind)) - {"no_ad_group"}
    assert told <= findings.KINDS.keys()
    for name, kind in findings.KINDS.items():
        assert name in told or f'"{name}"' in rules, f"no rule makes {name}"
        assert Decimal(kind.warns) <= Decimal(kind.problem or 1)
        assert kind.title


def test_sources_of_a_workspace_are_those_of_the_clock(database: Database) -> None:
    """A source that left the file is no longer told of."""
    watched = Watched(database, workspace())
    watched.say("web", [order(number, at=NOW - 2 * HOUR) for number in range(30)])
    assert "late_source:web" in watched.found()
    watched.workspace = workspace(sources={"shop": Source(type="pipelines", write_key="shop-key")})
    assert "late_source:web" not in watched.found(NOW + HOUR)
