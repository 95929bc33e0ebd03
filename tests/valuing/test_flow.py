"""Quantile bounds through the real pipeline: people come into bands when bounds are computed, and do not flap when they move."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from tests.laws.flow import DAY, HOUR, NOW, Flow, moment, request, workspace

from signalpost import backfill, pipeline, valuing
from signalpost.options import ValueTiers
from signalpost.segments import bands
from signalpost.store import batches
from signalpost.store import memberships as stored
from signalpost.store.database import Connection, Database

CHOSEN = workspace(value_tiers={"share": ValueTiers(names=("rest", "top"), quantiles=("80%",), hysteresis="10%")})

BUYERS = 50


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten people are enough for a band here."""
    monkeypatch.setattr(bands, "LEAST_IN_BAND", 10)


class Shop(Flow):
    """A flow that is told of orders and has its bounds computed."""

    def ordered(self, orders: list[tuple[int, int]], at: int) -> None:
        """(customer, amount) orders, at one moment."""

        def work(connection: Connection) -> None:
            for number, amount in orders:
                message: dict[str, Any] = {
                    "type": "track",
                    "event": "Order Completed",
                    "messageId": f"{number}-{at}",
                    "userId": f"u{number}",
                    "timestamp": moment(at),
                    "properties": {"order_id": f"{number}-{at}", "total": amount, "currency": "USD"},
                }
                batches.append(connection, request("web", [message], at), 1)

        self.write(work)
        self.process(now=at)

    async def compute(self, at: int) -> None:
        """Compute what is due, and bring everybody up to date with it as `serve` does."""
        await valuing.once(self.database, CHOSEN, at)
        if not self.write(partial(stored.recut, workspace=CHOSEN, known=self.plan.bands, now=at)):
            return
        self.plan = pipeline.plan(CHOSEN, self.write(lambda connection: stored.numbers(connection, CHOSEN, at)))

        def piece(connection: Connection) -> backfill.Piece | None:
            waiting = stored.backfills(connection)
            return backfill.piece(connection, self.plan, waiting[0], at, at) if waiting else None

        while (made := self.database.look(piece)) is not None:
            self.write(partial(backfill.commit, made=made, now=at))

    def inside(self, name: str) -> set[str]:
        """The customers in a segment."""
        rows = self.rows(
            "SELECT i.key FROM members m JOIN segments s ON s.slot = m.segment JOIN identifiers i ON i.person = m.person "
            f"WHERE s.name = '{name}' AND i.key LIKE 'user_id:%'"
        )
        return {key.removeprefix("user_id:") for (key,) in rows}


def users(*numbers: int) -> set[str]:
    """Customers by number."""
    return {f"u{number}" for number in numbers}


async def test_people_come_into_bands_and_stay_there(database: Database) -> None:
    """Nobody is in a band before bounds are computed; then the top fifth is; a bound that moves by less than the margin moves
    nobody, and an order moves its buyer at once."""
    shop = Shop(database, CHOSEN)
    shop.ordered([(number, 100 + number) for number in range(BUYERS)], NOW)
    assert shop.inside("share_top") == set()
    await shop.compute(NOW + HOUR)
    assert shop.inside("share_top") == users(*range(40, 50))
    assert shop.inside("share_rest") == users(*range(40))

    # Ten people spend a little more: the bound moves up, and neither it nor they cross the margin of a tenth.
    shop.ordered([(number, 5) for number in range(30, 40)], NOW + 2 * HOUR)
    before = shop.inside("share_top")
    await shop.compute(NOW + 2 * DAY)
    assert shop.plan.bands["share"].bounds[0] > 140
    assert shop.inside("share_top") == before

    shop.ordered([(3, 500)], NOW + 3 * DAY)
    assert shop.inside("share_top") == before | users(3)
    assert shop.inside("share_rest") == users(*range(40)) - users(3)
