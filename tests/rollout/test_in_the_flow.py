"""A rollout from the first event to the last stage: real messages, the real pipeline, answers as they are settled."""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec.structs import replace
from tests.laws.flow import NOW, Flow, moment, workspace

from signalpost.config import Workspace
from signalpost.delivery import CLOSED, Fate
from signalpost.options import Stage
from signalpost.rollout import Standing
from signalpost.store import outbox, rollouts
from signalpost.store.database import Connection, Database
from signalpost.store.outbox import Sent

MINUTE, HOUR = 60_000, 3_600_000

STAGES = (
    Stage(send=("Order Completed",), lasts="2h", until={"accepted": ">= 90%", "with_value": ">= 90%", "events": ">= 10"}),
    Stage(send=("Product Added",), lasts="1h", until={"coverage": ">= 20%", "latency": "<= 5m"}),
    Stage(send=("Product Viewed",), at_most={"Product Viewed": 3}),
)


def staged() -> Workspace:
    """TikTok in stages, Pinterest without."""
    plain = workspace()
    tiktok = replace(plain.destinations["tiktok"], rollout=STAGES)
    return workspace(destinations={"tiktok": tiktok, "pinterest": plain.destinations["pinterest"]})


def said(name: str, number: int, at: int, **properties: Any) -> tuple[str, dict[str, Any]]:
    return "web", {
        "type": "track", "event": name, "messageId": f"{name} {number} {at}", "timestamp": moment(NOW), "userId": f"u{number}",
        "context": {"traits": {"email": f"ann{number}@mail.example", "phone": "+12025550123"}},
        "properties": {"currency": "USD", "product_id": "p1", **properties},
    }  # fmt: skip


def some(name: str, many: int, at: int) -> list[tuple[str, dict[str, Any]]]:
    """So many events of different people; purchases with an order each."""
    order = name == "Order Completed"
    return [said(name, n, at, **({"order_id": f"{at}-{n}", "total": "40.00"} if order else {})) for n in range(many)]


def verdicts(flow: Flow) -> dict[tuple[str, str, str], int]:
    """(event, verdict, reason) -> how many, for TikTok."""
    rows = flow.rows(
        "SELECT e.name, l.verdict, coalesce(l.reason, ''), count(*) FROM ledger l JOIN events e ON e.id = l.event "
        "WHERE l.destination = 'tiktok' GROUP BY e.name, l.verdict, coalesce(l.reason, '')"
    )
    return {(name, verdict, reason): int(many) for name, verdict, reason, many in rows}


def answered(database: Database, verdict: str, now: int) -> int:
    """The platform answers all that waits."""

    def work(connection: Connection) -> int:
        signals = outbox.lease(connection, "tiktok", most=1000, now=now, until=now + MINUTE)
        fates = [Fate(signal=signal, verdict=verdict) for signal in signals]  # type: ignore[arg-type]  # one of the verdicts
        sent = Sent(destination="tiktok", started_at=now, ended_at=now, signals=len(fates), status=200, summary="test")
        if fates:
            outbox.settle(connection, sent, fates, CLOSED)
        return len(fates)

    return database.submit(work).result()


def look(database: Database, now: int) -> list[tuple[str, int]]:
    changes = database.submit(partial(rollouts.advance_all, workspace=staged(), now=now)).result()
    return [(change.what, change.stage) for change in changes]


def test_events_are_switched_on_stage_by_stage(database: Database) -> None:
    """What no stage so far names is withheld, the next begins on evidence, a cap holds; other destinations are not touched."""
    flow = Flow(database, staged())

    def pass_by(stream: list[tuple[str, dict[str, Any]]], now: int) -> None:
        flow.append(stream, 10)
        flow.process(now=now)

    # Before the loop has looked for the first time, it is the first stage.
    pass_by(some("Product Viewed", 2, NOW), NOW)
    assert verdicts(flow) == {("Product Viewed", "withheld", "not_yet_rolled_out"): 2}
    assert look(database, NOW) == [("began", 0)]

    at = NOW + 10 * MINUTE
    pass_by(some("Order Completed", 12, at) + some("Product Added", 5, at), at)
    assert verdicts(flow)["Order Completed", "waiting", ""] == 12
    assert verdicts(flow)["Product Added", "withheld", "not_yet_rolled_out"] == 5
    assert answered(database, "refused", at + MINUTE) == 12
    assert look(database, NOW + 2 * HOUR) == [("held", 0)]
    held = database.look(rollouts.standings)["tiktok"].held
    assert held == "0% accepted, 90% wanted"

    # Mended: the stage begins anew, and its figures with it.
    restart = partial(
        rollouts.move, workspace=staged(), destination="tiktok", steps=0, who="ada", note="mended", now=NOW + 2 * HOUR
    )
    database.submit(restart).result()
    at = NOW + 3 * HOUR
    pass_by(some("Order Completed", 12, at), at)
    assert answered(database, "accepted", at + MINUTE) == 12
    assert look(database, NOW + 4 * HOUR) == [("advanced", 1)]

    at = NOW + 4 * HOUR + 10 * MINUTE
    pass_by(some("Product Added", 50, at) + some("Product Viewed", 4, at), at)
    assert verdicts(flow)["Product Added", "waiting", ""] == 50
    assert verdicts(flow)["Product Viewed", "withheld", "not_yet_rolled_out"] == 6
    assert answered(database, "accepted", at + MINUTE) == 50
    here = database.look(rollouts.standings)["tiktok"]
    figures = database.look(lambda connection: rollouts.figures(connection, staged().destinations["tiktok"], here))
    assert figures.answered == 50
    assert figures.coverage is not None
    assert 0 < figures.coverage < 1
    assert figures.latency is not None

    # The views are on, three for each purchase of two days: 24 orders were made.
    force = Standing(destination="tiktok", stage=2, since=NOW + 6 * HOUR)
    database.submit(partial(rollouts.place, standing=force, who="t", what="advanced", note="", now=NOW + 6 * HOUR)).result()
    at = NOW + 6 * HOUR + MINUTE
    pass_by(some("Product Viewed", 100, at), at)
    assert verdicts(flow)["Product Viewed", "waiting", ""] == 72
    assert verdicts(flow)["Product Viewed", "withheld", "over_cap"] == 28
    kept = database.look(lambda connection: rollouts.kept_back(connection, force))
    assert kept == {"not_yet_rolled_out": {}, "over_cap": {"Product Viewed": 28}}

    elsewhere = flow.rows(
        "SELECT count(*) FROM ledger WHERE destination = 'pinterest' AND reason IN ('not_yet_rolled_out', 'over_cap')"
    )
    assert elsewhere == [(0,)]
