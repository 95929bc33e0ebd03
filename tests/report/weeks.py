"""Two weeks of a shop's figures, written straight into the tables that the pipeline and the watch fill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
from tests.store.shop import workspace as shop

from signalpost import clocks, coverage, purchases
from signalpost.destinations.contract import Counted, Heard, Quality, Told
from signalpost.events import Claim
from signalpost.findings import Finding
from signalpost.options import Gate, Pixel, Stage, Workspace
from signalpost.rollout import Standing
from signalpost.store import findings, rollouts, views
from signalpost.store.database import Connection, Database

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOW = 1_795_305_600_000 - 6 * HOUR
"""2026-11-21 18:00 UTC, a Saturday: week 47 has a day to go."""

PLATFORM_EVENT = {
    "tiktok": {"Order Completed": "Purchase", "Checkout Started": "InitiateCheckout", "Product Added": "AddToCart"},
    "pinterest": {"Order Completed": "checkout", "Checkout Started": "initiate_checkout", "Product Added": "add_to_cart"},
}


def workspace(database: str, **changes: Any) -> Workspace:
    """The shop of the console's tests, with an observing gate, a hold, a pixel and a rollout."""
    plain = shop(database)
    tiktok = msgspec.structs.replace(plain.destinations["tiktok"], pixel=Pixel(events=("Order Completed",), shares_id=True))
    pinterest = msgspec.structs.replace(
        plain.destinations["pinterest"],
        rollout=(Stage(send=("Order Completed",), lasts="72h"), Stage(send=("Checkout Started", "Product Added"))),
    )
    options: dict[str, Any] = {
        "gates": (Gate(preset="heavily_discounted", mode="observing", share="40%"),),
        "holds": {"Order Completed": "15m"},
        "destinations": {"tiktok": tiktok, "pinterest": pinterest},
    }
    return shop(database, **{**options, **changes})


@dataclass
class Weeks:
    """Rows to be written; `write` writes them all in one transaction."""

    database: Database
    number: int = 0
    orders: dict[str, purchases.Record] = field(default_factory=dict)
    pending: list[Callable[[Any], object]] = field(default_factory=list)

    def write(self) -> None:
        """Write what has been told so far."""
        works, self.pending = self.pending, []
        self.database.submit(lambda connection: [work(connection) for work in works]).result(60)

    def raw(self, statement: str, *parameters: Any) -> None:
        """One statement of the test's own, in either database's words."""
        said = statement if self.database.embedded else statement.replace("?", "%s")
        self.pending.append(lambda connection: connection.raw.execute(said, parameters))

    def event(
        self,
        name: str,
        at: int,
        verdicts: Mapping[str, tuple[str, str | None]],
        *,
        source: str = "web",
        order_id: str | None = None,
        value: Decimal | None = None,
        currency: str = "GBP",
        settled: int = 900,
        late: int = 2_000,
    ) -> int:
        """An event received at a moment, with a verdict and reason for each destination; gives its number."""
        self.number += 1
        number = self.number << 16
        worth = None if value is None else f"{value:f}"

        def work(connection: Connection) -> None:
            connection.run_many(
                "event_add", [(number, f"{source}:m-{number}", "track", name, 1, order_id, at - late, at, None, 1)]
            )
            for destination, (verdict, reason) in verdicts.items():
                told = PLATFORM_EVENT.get(destination, {}).get(name)
                held = f"{order_id}:order-completed" if order_id and name == "Order Completed" else f"m-{number}"
                connection.run_many(
                    "ledger_add",
                    [(number, destination, verdict, reason, None, told, held, worth, currency if worth else None, at)],
                )

        self.pending.append(work)
        for destination, (verdict, _) in verdicts.items():
            if verdict not in {"withheld", "waiting"}:
                self.raw(
                    "UPDATE ledger SET sent_at = ?, settled_at = ?, attempts = 1 WHERE event = ? AND destination = ?",
                    at + settled // 2, at + settled, number, destination,
                )  # fmt: skip
        return number

    def order(self, order_id: str, event: int, record: purchases.Record, key: str = "") -> None:
        """An order with its record."""
        self.orders[key or order_id] = record
        time = min((claim.time for claim in record.claims.values()), default=0)
        self.raw(
            "INSERT INTO orders (key, order_id, person, event, time, sent, record) VALUES (?, ?, 1, ?, ?, '', ?)",
            key or order_id, order_id, event, time, msgspec.json.encode(record),
        )  # fmt: skip

    def count(self, table: str, **columns: Any) -> None:
        """A row of a counter."""
        self.raw(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", *columns.values())


def claim(source: str, event: int, at: int, value: str | None, currency: str = "GBP", stated: str = "gross") -> Claim:
    """What a source said of an order."""
    return Claim(
        source=source,
        event=event,
        time=at,
        message_id=f"m-{event}",
        value=None if value is None else Decimal(value),
        currency=currency,
        value_from="total",
        stated=stated,
    )


def fill(database: Database, now: int = NOW) -> Weeks:
    """A fortnight with a bit of everything: duplicates, gross beside net, refunds, a late source, a key that drops, findings."""
    weeks = Weeks(database)
    good, seen = ("accepted", None), ("withheld", "duplicate_order")
    for back in range(13, -1, -1):
        day = now - back * DAY
        for turn in range(6 if back > 6 else 8):
            at = day - turn * 40 * MINUTE
            order_id = f"G-{back:02d}{turn}"
            value = Decimal(30 + 7 * turn + (back * 13) % 29) + Decimal("0.95")
            said = {"tiktok": good, "pinterest": ("refused", "2701") if turn == 4 and back in {2, 3} else good}
            if turn == 5 and back % 3 == 0:
                said = {"tiktok": ("withheld", "gate:replacement"), "pinterest": ("withheld", "gate:replacement")}
            if turn == 7 and back == 0:
                said = {"tiktok": ("waiting", None), "pinterest": ("waiting", None)}
            first = weeks.event("Order Completed", at, said, order_id=order_id, value=value, settled=700 + 90 * turn)
            claims = {"web": claim("web", first, at, str(value))}
            if turn % 2 == 0:
                other = value if turn else (value / Decimal("1.2")).quantize(Decimal("0.01"))
                again = weeks.event(
                    "Order Completed", at + MINUTE, {"tiktok": seen, "pinterest": seen},
                    source="shop", order_id=order_id, value=other,
                )  # fmt: skip
                claims["shop"] = claim("shop", again, at + MINUTE, str(other), stated="gross" if turn else "net")
            weeks.order(order_id, first, purchases.Record(claims=claims, cancelled_at=at + DAY if turn == 3 and back == 4 else 0))
            for _ in range(3):
                weeks.event("Product Added", at, {"tiktok": good, "pinterest": ("withheld", "not_yet_rolled_out")})
            weeks.event("Checkout Started", at, {"tiktok": good, "pinterest": ("withheld", "not_yet_rolled_out")})
        hour = day - day % HOUR
        for destination, base in (("tiktok", 900_000 + 700), ("pinterest", 900_000 + 1_900)):
            for factor, many in ((1.0, 40), (1.3, 9), (2.0 + back % 3, 1)):
                took = clocks.bucket(int(base * factor))
                weeks.count("clocks", hour=hour, clock="accepted", name=destination, bucket=took, signals=many)
            weeks.count("clocks", hour=hour, clock="held", name=destination, bucket=900_000, signals=50)
        for source, base in (("web", 800), ("shop", 5_400_000)):
            weeks.count("clocks", hour=hour, clock="source", name=source, bucket=clocks.bucket(base), signals=60)
        bits = coverage.KEYS
        rich = sum(1 << bits[key].bit for key in ("email", "phone", "external_id", "ip", "user_agent", "first_name", "zip"))
        plain = sum(1 << bits[key].bit for key in ("external_id", "ip", "user_agent"))
        for destination in ("tiktok", "pinterest"):
            for name, many in (("Order Completed", 8), ("Product Added", 24), ("Checkout Started", 8)):
                missing = many // 2 if back < 3 else 1
                for keys, signals in ((rich, many - missing), (plain, missing)):
                    weeks.count(
                        "coverage", hour=hour, destination=destination, source="web", name=name, keys=keys, signals=signals
                    )
    week = now - now % HOUR - 2 * DAY
    for destination, what, detail, signals, micros in (
        ("tiktok", "observed", "heavily_discounted", 3, 96_400_000),
        ("pinterest", "observed", "heavily_discounted", 3, 96_400_000),
        ("tiktok", "cancelled_after", "", 1, 66_950_000),
        ("pinterest", "refunded_after", "", 2, 51_250_000),
    ):
        weeks.count("notices", hour=week, destination=destination, what=what, detail=detail, name="Order Completed",
                    currency="GBP", signals=signals, value_micros=micros, last_event=65_536)  # fmt: skip
    weeks.count("rollups", minute=now - now % MINUTE - HOUR, destination="tiktok", name="Order Completed", verdict="accepted",
                reason="", currency="GBP", signals=50, value_micros=3_110_500_000, latency_ms=0)  # fmt: skip
    weeks.count("rollups", minute=now - now % MINUTE - HOUR, destination="tiktok", name="Order Completed", verdict="withheld",
                reason="cancelled_before_sending", currency="GBP", signals=2, value_micros=80_250_000, latency_ms=0)  # fmt: skip
    weeks.count("marks", kind="library", source="web", name="analytics.js", value="4.2.0", at=now - 3 * DAY, event=65_536)
    weeks.count("marks", kind="revision", source="", name="", value="a1b2c3d4e5", at=now - 4 * DAY, event=0)

    def rest(connection: Connection) -> None:
        findings.reconcile(connection, FINDINGS, now - 2 * DAY)
        findings.reconcile(connection, FINDINGS[:2], now - HOUR)
        rollouts.place(
            connection,
            Standing(destination="pinterest", stage=0, since=now - 5 * DAY, held="Accepted is 96.4 %, not 99 %."),
            who="test", what="held", note="", now=now,
        )  # fmt: skip
        day = views.day_of(now - DAY)
        counts = Heard(
            state="told", sentence="", told=(Told(name="Purchase", day=day, value=Counted(server=55, browser=49, total=104)),)
        )
        views.keep(connection, "tiktok", views.RECEIVED, counts, now)
        quality = Quality(
            lookback="14d", platform="WEB", ingestion="CONVERSIONS_API", status="FAIR",
            coverage={"email": 71.5, "ip": 99.0}, overlap=None, issues=("Low e-mail coverage.",),
        )  # fmt: skip
        scored = Heard(state="told", sentence="", told=(Told(name="checkout", day=day, value=(quality,)),))
        views.keep(connection, "pinterest", views.QUALITY, scored, now)

    weeks.pending.append(rest)
    weeks.write()
    return weeks


FINDINGS = (
    Finding(
        kind="mixed_source",
        subject="shop",
        severity="problem",
        sentence="shop states net values where the others state gross: 14 of 56 orders.",
        advice="Send `total` from the shop, or name the source that counts under `events.canonical`.",
        link="docs/leaks/mixed-values.md",
        share=Decimal("0.25"),
        money=Decimal("212.40"),
        currency="GBP",
        examples=(65_536,),
    ),
    Finding(
        kind="keys_dropped",
        subject="email from web",
        severity="warning",
        sentence="Since Thursday half of Order Completed from web come without the e-mail address; 96 % had one before.",
        advice="Look at what was new at the time.",
        link="docs/leaks/match-keys.md",
        share=Decimal("0.5"),
        examples=(65_536,),
    ),
    Finding(
        kind="late_source",
        subject="shop",
        severity="warning",
        sentence="shop tells of events more than an hour late.",
        advice="Send as events happen.",
        link="docs/leaks/late-events.md",
        share=Decimal("0.9"),
    ),
)
