"""The report's figures are those of the tables, whatever happened."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws import flow
from tests.laws.histories import histories
from tests.report import weeks

from signalpost import clocks, coverage, purchases
from signalpost.delivery import CLOSED, Fate
from signalpost.events import Verdict
from signalpost.options import Gate
from signalpost.store import outbox, trends
from signalpost.store import report as figures
from signalpost.store.database import Connection, Database
from signalpost.web import report, words

NOW = flow.NOW + flow.HOUR
CHOSEN = flow.workspace(
    timezone="Asia/Kolkata",
    gates=(Gate(reason="expensive", when={"order.value": {"gt": 15}}, mode="observing"), Gate(preset="test_order")),
)
PERIOD = report.period_of_days(7, words.zone(CHOSEN.timezone), NOW)


def settle(running: flow.Flow, verdicts: list[Verdict]) -> None:
    """Answer what waits: one signal after the other with the next of these verdicts, the rest not at all."""

    def work(connection: Connection) -> None:
        given = iter(verdicts)
        for destination in CHOSEN.destinations:
            leased = outbox.lease(connection, destination, most=100, now=flow.NOW, until=flow.NOW + 60_000)
            fates = [Fate(signal=signal, verdict=verdict, sentence="So it was.") for signal, verdict in zip(leased, given)]  # noqa: B905
            sent = outbox.Sent(
                destination=destination, started_at=flow.NOW, ended_at=flow.NOW + 500, signals=len(fates), status=200, summary=""
            )
            outbox.settle(connection, sent, fates, CLOSED)

    running.write(work)


@settings(max_examples=20)
@given(
    history=histories(),
    verdicts=st.lists(st.sampled_from(["accepted", "warned", "refused", "unknown"]), max_size=20),
)
def test_every_figure_is_the_ledgers(database: Database, history: list[flow.Said], verdicts: list[Verdict]) -> None:
    """For any history, signals by event and verdict, reasons, and the purchase value accepted, waiting, failed and withheld are
    those of the ledger, to the last digit; and what each platform was told of the orders adds up to the orders known."""
    running = flow.Flow(database, CHOSEN)
    running.clear()
    running.append(history)
    running.process()
    settle(running, verdicts)
    made = database.look(lambda connection: report.gather(connection, CHOSEN, PERIOD, NOW))
    rows = running.rows(
        "SELECT l.destination, e.name, l.verdict, l.reason, l.value, l.currency FROM ledger l JOIN events e ON e.id = l.event"
    )
    orders = running.rows("SELECT count(*) FROM orders")[0][0]
    told = {(each.destination, each.name, verdict): many for each in made.volumes for verdict, many in each.verdicts.items()}
    assert told == Counter((row[0], row[1], row[2]) for row in rows)
    kept = {
        (each.destination, each.verdict, each.reason): each.signals for each in (*made.withheld, *made.failed, *made.duplicates)
    }
    assert kept == Counter((row[0], row[2], row[3] or "") for row in rows if row[2] in {"withheld", "refused", "unknown"})
    for destination in CHOSEN.destinations:
        accepted: dict[str, Decimal] = {}
        for there, name, verdict, _, value, currency in rows:
            if there == destination and name == "Order Completed" and verdict in {"accepted", "warned"} and value is not None:
                accepted[currency] = accepted.get(currency, Decimal(0)) + Decimal(value)
        ours: dict[str, Decimal] = {}
        for each in made.purchases:
            if each.destination == destination:
                for currency, value in ({each.currency: each.accepted.value} | each.converted).items():
                    ours[currency] = ours.get(currency, Decimal(0)) + value
                parts = (each.accepted, each.waiting, each.failed, each.withheld, each.untold)
                assert sum(part.orders for part in parts) == each.known.orders
                assert each.untold.orders >= 0
        assert {currency: value for currency, value in ours.items() if value} == {k: v for k, v in accepted.items() if v}
    assert sum(each.orders for each in made.known) <= orders
    for day in made.daily:
        assert sum(sum(verdicts.values()) for verdicts in day.verdicts.values()) <= len(rows)
    assert report.page(made)


@settings(max_examples=20)
@given(
    amounts=st.lists(
        st.tuples(
            st.decimals(min_value=-1_000_000, max_value=10**15, places=6, allow_nan=False),
            st.sampled_from(["GBP", "EUR", "KWD"]),
            st.sampled_from(["accepted", "waiting", "withheld"]),
        ),
        max_size=30,
    )
)
def test_money_is_added_exactly(database: Database, amounts: list[tuple[Decimal, str, str]]) -> None:
    """Amounts are added in each currency without losing a digit, however large and however many."""
    shop = weeks.Weeks(database)
    shop.raw("DELETE FROM events")
    shop.raw("DELETE FROM ledger")
    for value, currency, verdict in amounts:
        shop.event("Order Completed", weeks.NOW, {"tiktok": (verdict, None)}, value=value, currency=currency)
    shop.write()
    cells = database.look(lambda connection: figures.verdicts(connection, weeks.NOW, weeks.NOW + 1))
    expected: dict[tuple[str, str], Decimal] = {}
    for value, currency, verdict in amounts:
        expected[verdict, currency] = expected.get((verdict, currency), Decimal(0)) + value
    assert {(each.verdict, each.currency): each.value for each in cells} == expected


def test_counters_by_the_hour_are_told_whole(database: Database) -> None:
    """Clocks, match keys, notices, markers and findings of a period are those written in it, on either database."""
    shop = weeks.fill(database)
    chosen = weeks.workspace(database.address)
    period = report.period_of_week("2026-W47", words.zone("Europe/London"), weeks.NOW + 60_000)
    assert period is not None
    made = database.look(lambda connection: report.gather(connection, chosen, period, weeks.NOW + 60_000))
    by_clock = {(each.clock.clock, each.clock.name): each.clock for each in made.speeds}
    assert by_clock["accepted", "tiktok"].signals == 6 * 50
    assert by_clock["source", "shop"].p50 == clocks.value(clocks.bucket(5_400_000))
    assert by_clock["source", "shop"].late == 6 * 60
    assert by_clock["held", "pinterest"].p95 == 900_000
    score = next(each for each in made.scores if (each.matched.destination, each.matched.name) == ("tiktok", "Order Completed"))
    assert score.matched.signals == 6 * 8
    assert {key.key: key.share for key in score.matched.keys}["email"] == pytest.approx((3 * 7 + 3 * 4) / 48)
    assert score.score_before is not None
    assert score.score_before > score.matched.score
    trial = next(each for each in made.trials if each.destination == "tiktok")
    assert (trial.gate, trial.signals, trial.value) == ("heavily_discounted", 3, Decimal("96.4"))
    passed = sum(each.accepted.value + each.waiting.value for each in made.purchases if each.destination == "tiktok")
    assert trial.of_value == passed
    assert trial.share == trial.value / passed
    assert {each.what for each in made.after} == {"cancelled_after", "refunded_after"}
    assert [each.sentence for each in made.markers] == [
        "Web began to send with analytics.js 4.2.0.",
        "The workspace file was changed.",
    ]
    assert [each.finding.kind for each in made.open] == ["mixed_source", "keys_dropped"]
    assert [each.finding.kind for each in made.closed] == ["late_source"]
    assert [(each.event, each.server, each.browser) for each in made.beside] == [("Purchase", 55, 49)]
    assert made.beside[0].ours == sum(
        each.verdicts.get("accepted", 0)
        for each in made.volumes
        if (each.destination, each.name) == ("tiktok", "Order Completed")
    )
    assert [each.event for each in made.qualities] == ["checkout"]
    assert [(each.stage, each.stages, bool(each.held)) for each in made.rollouts] == [(1, 2, True)]
    known = sum(each.orders for each in made.known)
    assert known == sum(1 for order in shop.orders if int(order[2:4]) < 6)


def test_every_source_of_an_order_is_told_beside_what_was_sent(database: Database) -> None:
    """An order shows each claim with its definition, the claim that counts, how they differ, and what each platform was told."""
    weeks.fill(database)
    chosen = weeks.workspace(database.address)
    (order,) = database.look(lambda connection: figures.orders_named(connection, "G-010", chosen))
    assert [(each.source, each.stated, each.counts) for each in order.claims] == [("web", "gross", True), ("shop", "net", False)]
    assert order.disagreement == "The sources are 7.33 GBP apart: one states gross and the other net."
    assert {(each.destination, each.verdict, each.value) for each in order.sent} == {
        ("tiktok", "accepted", Decimal("43.95")),
        ("pinterest", "accepted", Decimal("43.95")),
    }
    assert {each.destination: each.pixel.verdict for each in order.sent} == {"tiktok": "will_merge", "pinterest": "single"}
    assert database.look(lambda connection: figures.orders_of(connection, order.event, chosen)) == [order]
    (gone,) = database.look(lambda connection: figures.orders_named(connection, "G-043", chosen))
    assert (gone.returned, gone.cancelled_at > 0) == (gone.value, True)


def test_an_id_given_to_two_orders_keeps_their_verdicts_apart(database: Database) -> None:
    """Where the shop used an order id twice, each order shows only what became of its own reports."""
    shop = weeks.Weeks(database)
    numbers = []
    for turn, verdict in enumerate(("accepted", "refused")):
        at = weeks.NOW + turn * weeks.DAY
        number = shop.event(
            "Order Completed", at, {"tiktok": (verdict, None)}, order_id="R-1", value=Decimal(10 + turn)
        )  # fmt: skip
        record = purchases.Record(claims={"web": weeks.claim("web", number, at, str(10 + turn))})
        shop.order("R-1", number, record, key="R-1" if turn == 0 else f"R-1~{number}")
        numbers.append(number)
    shop.write()
    chosen = weeks.workspace(database.address)
    found = database.look(lambda connection: figures.orders_named(connection, "R-1", chosen))
    assert [(each.event, [sent.verdict for sent in each.sent]) for each in found] == [
        (numbers[0], ["accepted"]),
        (numbers[1], ["refused"]),
    ]


def test_coverage_is_scored_as_the_alarm_scores_it(tmp_path: Path) -> None:
    """The score of a destination over the day is `coverage.score` of all its signals."""
    database = Database(str(tmp_path / "signalpost.db"))
    try:
        weeks.fill(database)
        chosen: Any = weeks.workspace(database.address)
        found = database.look(lambda connection: trends.keys(connection, 0, weeks.NOW + 1))
        scores = figures.scores(found, chosen)
        together = coverage.merge(counted for (destination, _), counted in found.items() if destination == "tiktok")
        assert scores["tiktok"] == coverage.score(together, "tiktok")
    finally:
        database.close()


def test_the_figures_are_of_one_moment(database: Database) -> None:
    """What is written while a report is read is not in it, on either database."""
    shop = weeks.Weeks(database)

    def order(turn: int) -> None:
        shop.event("Order Completed", weeks.NOW, {"tiktok": ("accepted", None)}, order_id=f"S-{turn}", value=Decimal(1))
        shop.write()

    def read(connection: Connection) -> tuple[int, int]:
        before = figures.events(connection, weeks.NOW, weeks.NOW + 1)
        order(2)
        return before, figures.events(connection, weeks.NOW, weeks.NOW + 1)

    order(1)
    assert figures.steady(database, read) == (1, 1)
    assert figures.steady(database, lambda connection: figures.events(connection, weeks.NOW, weeks.NOW + 1)) == 2
