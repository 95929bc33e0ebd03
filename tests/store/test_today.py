"""What goes on: every signal once, money by what became of it, and what is on purpose told apart from what is lost."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.shop import Shop, order, workspace

from signalpost import gates
from signalpost.config import Destination
from signalpost.delivery import Breaker
from signalpost.options import Gate
from signalpost.presets import PRESETS
from signalpost.store import pauses, sums, today
from signalpost.store.database import Database
from signalpost.store.sums import Cell

NOW = 1_795_305_600_000
MINUTE = 60_000


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


def overview(shop: Shop, since: int) -> today.Overview:
    return shop.database.look(lambda connection: today.overview(connection, since, shop.workspace))


def ledgers(shop: Shop, since: int) -> list[today.Ledger]:
    return shop.database.look(
        lambda connection: today.ledgers(
            sums.read(connection, since),
            today.waiting_purchases(connection, since, shop.workspace),
            today.sentences(connection, shop.workspace),
            shop.workspace,
        )
    )


def test_the_overview_counts_every_signal_once(shop: Shop) -> None:
    """Events times destinations equals the verdicts of the overview, waiting included; value is what was accepted."""
    for number in range(10):
        shop.say(order(f"m-{number}", f"A-{number}", NOW), at=NOW)
    shop.say(order("m-0", "A-0", NOW), order("m-x", "A-1", NOW), at=NOW)
    shop.say(order("m-y", "A-y", NOW, event="Something Else"), at=NOW)
    shop.process(NOW)
    shop.deliver("tiktok", NOW)
    shop.deliver("pinterest", NOW, Breaker(failures=2, since=NOW, until=NOW + MINUTE, sentence="Busy."), verdict=None, due_at=NOW)
    seen = overview(shop, NOW - MINUTE)
    assert seen.events == 13
    tiktok, pinterest = (next(flow for flow in seen.flows if flow.destination == name) for name in ("tiktok", "pinterest"))
    assert sum(tiktok.verdicts.values()) == sum(pinterest.verdicts.values()) == 13
    assert (tiktok.verdicts["accepted"], pinterest.verdicts["waiting"]) == (10, 10)
    assert [(each.currency, each.purchases, each.value) for each in tiktok.accepted_value] == [("GBP", 10, "499.00")]
    assert {count.reason for count in tiktok.counts} == {"duplicate_message", "duplicate_order", "not_mapped"}
    assert all(count.sentence and count.advice for count in tiktok.counts)
    assert pinterest.resting is not None
    assert pinterest.resting.sentence == "Busy."
    assert sum(sum(flow.verdicts.values()) for flow in overview(shop, NOW + 5 * MINUTE).flows) == 10


def test_a_gates_count_is_told_in_its_own_words_however_long_ago_it_held(database: Database) -> None:
    """The overview tells what an own gate holds, also where none of the newest verdicts is one of its."""
    gate = Gate(reason="small orders", when={"order.value": {"lt": 50}})
    shop = Shop(database, workspace(database.address, gates=(gate,)))
    shop.say(order("m-1", "A-1", NOW), at=NOW)
    shop.process(NOW)

    def told() -> set[tuple[str, str]]:
        return {(each.reason, each.sentence) for flow in overview(shop, NOW - MINUTE).flows for each in flow.counts}

    newest = told()
    assert [reason for reason, _ in newest] == ["gate:small_orders"]
    assert all(sentence.startswith("Your gate small_orders: ") for _, sentence in newest)
    shop.write(lambda connection: connection.raw.execute("DELETE FROM ledger"))
    assert told() == newest


def test_events_are_heard_once_whatever_becomes_of_them(shop: Shop) -> None:
    """Each event is counted for its source and name, a repeat too; the flow's signals are those events at every destination."""
    for number in range(3):
        shop.say(order(f"m-{number}", f"A-{number}", NOW), at=NOW)
    shop.say(order("m-0", "A-0", NOW), at=NOW)
    shop.say(order("s-1", "A-9", NOW), at=NOW, source="shop")
    shop.process(NOW)
    seen = overview(shop, NOW - MINUTE)
    assert {(each.source, each.name): each.events for each in seen.heard} == {
        ("web", "Order Completed"): 4,
        ("shop", "Order Completed"): 1,
    }
    assert sum(each.signals for each in seen.told) == seen.events * len(shop.workspace.destinations)


def test_what_is_paused_says_who_paused_it(shop: Shop) -> None:
    """A pause of the console stands with its name and note, one of the workspace file as such."""
    shop.write(lambda connection: pauses.pause(connection, "tiktok", who="ann@shop.example", note="new pixel", now=NOW))
    off = workspace(
        shop.database.address,
        destinations={**shop.workspace.destinations, "later": Destination(type="tiktok", paused=True, settings={"pixel": "P"})},
    )
    flows = {each.destination: each for each in shop.database.look(lambda connection: today.overview(connection, NOW, off)).flows}
    assert flows["tiktok"].paused == pauses.Pause(destination="tiktok", since=NOW, who="ann@shop.example", note="new pixel")
    assert (flows["pinterest"].paused, flows["pinterest"].switched_off) == (None, False)
    assert flows["later"].switched_off


def test_the_money_of_every_order_is_somewhere(shop: Shop) -> None:
    """Known is accepted, waiting, meant and lost together, each exactly; repeats are no further orders."""
    for number in range(6):
        shop.say(order(f"m-{number}", f"A-{number}", NOW), at=NOW)
    shop.say(order("m-again", "A-0", NOW), at=NOW)
    shop.process(NOW)
    shop.deliver("tiktok", NOW)
    shop.deliver("pinterest", NOW, verdict="refused", reason="code_9", sentence="It has no price.")
    shop.say(order("m-denied", "A-7", NOW, context={"consent": {"advertising": False}}, userId="u-2"), at=NOW)
    shop.say(order("m-late", "A-8", NOW), at=NOW)
    shop.process(NOW)
    tiktok, pinterest = sorted(ledgers(shop, NOW - MINUTE), key=lambda each: each.destination, reverse=True)
    price = Decimal("49.9")
    assert (tiktok.known, tiktok.accepted, tiktok.waiting, tiktok.lost) == (8 * price, 6 * price, tiktok.waiting, Decimal(0))
    for each in (tiktok, pinterest):
        assert each.purchases == 8
        assert each.known == each.accepted + each.waiting + each.meant + each.lost
    assert (pinterest.lost, pinterest.lost_purchases) == (6 * price, 6)
    assert [(why.sense, why.reason, why.value) for why in pinterest.reasons if why.sense == "lost"] == [
        ("lost", "code_9", 6 * price)
    ]
    assert pinterest.reasons[0].sentence == "It has no price."


cells = st.lists(
    st.builds(
        Cell,
        st.sampled_from(["tiktok", "pinterest", ""]),
        st.sampled_from(["Order Completed", "Product Viewed"]),
        st.sampled_from(["accepted", "warned", "refused", "unknown", "withheld"]),
        st.sampled_from([*gates.REASONS, "gate:bot", "code_9", ""]),
        st.sampled_from(["GBP", "EUR"]),
        st.integers(1, 9),
        st.integers(0, 10**12),
        st.just(0),
    ),
    max_size=30,
)


@given(counted=cells)
def test_a_ledger_adds_up(counted: list[Cell]) -> None:
    """Whatever was counted, each currency's known money is its parts, and its reasons are what is meant and lost."""
    chosen = workspace("unused.db")
    found = today.ledgers(counted, (), {}, chosen)
    for each in found:
        assert each.known == each.accepted + each.waiting + each.meant + each.lost
        for sense in ("meant", "lost"):
            assert sum((why.value for why in each.reasons if why.sense == sense), Decimal(0)) == getattr(each, sense)
    orders = [
        cell
        for cell in counted
        if cell.destination
        and cell.name == today.PURCHASE
        and not (cell.verdict == "withheld" and gates.sense(cell.reason) == "aside")
    ]
    told = {each.destination for each in found}
    assert sum(each.purchases for each in found) == sum(cell.signals for cell in orders if cell.destination in told)
    assert {cell.destination for cell in orders if cell.reason != "not_mapped"} <= told


def test_every_reason_has_a_sense() -> None:
    """What the workspace keeps back by its own rules is on purpose; what a platform's own code says is a loss."""
    assert all(gates.sense(f"gate:{name}") == "meant" for name in PRESETS)
    assert gates.sense("40002") == "lost"
    assert {name for name, reason in gates.REASONS.items() if reason.sense == "lost"} == {
        "missing_order_id",
        "missing_value",
        "missing_currency",
        "unsupported_currency",
        "in_future",
        "too_old",
        "no_identifier",
    }
    assert {name for name, reason in gates.REASONS.items() if reason.sense == "aside"} == {
        *today.REPEATS,
        "test_order",
        "negative_value",
    }
