"""One stream of messages through the real store and pipeline, and what is left in the database, ready to be compared.

Ids of events are journal positions, so two runs differ in them and in nothing else: `Flow.world` writes each id as the
place of its event in the stream (`E12`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from msgspec.structs import replace

from signalpost import backfill, pipeline
from signalpost import memberships as moving
from signalpost.config import Destination, Identity, Source, Workspace
from signalpost.options import Audience, Derived, Gate, Journey, Stage
from signalpost.sources import Received
from signalpost.state import Decision
from signalpost.store import batches, memberships
from signalpost.store.database import Connection, Database

NOW = 1_795_305_600_000
"""2026-11-22 00:00 UTC: when everything is received and decided."""

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

Message = dict[str, Any]
Said = tuple[str, Message]
"""(source, message)."""
Row = tuple[Any, ...]


def _placed(row: list[Any]) -> tuple[int, str, str]:
    """A row by its event's place in the stream, what was derived of it after it, and its destination."""
    number, _, derived = str(row[0]).removeprefix("E").partition(">")
    return int(number), derived, str(row[1])


World = dict[str, Any]

TABLES = (
    "journal", "backlog", "refusals", "events", "identifiers", "people", "merges", "orders", "ledger", "ledger_trace", "outbox",
    "requests", "breakers", "rollups", "notices", "clocks", "coverage", "marks", "tallies", "rollouts", "findings",
    "members", "moves", "audience_people", "audience_keys",
)  # fmt: skip


def workspace(**changes: Any) -> Workspace:
    """A workspace with two sources and an account on each platform."""
    options: dict[str, Any] = {
        "workspace": "laws",
        "environment": "production",
        "currency": "USD",
        "order_value": "gross",
        "country": "US",
        "sources": {
            "web": Source(type="pipelines", write_key="web-key"),
            "shop": Source(type="pipelines", write_key="shop-key"),
        },
        "identity": Identity(blocked=("kiosk@shop.example",)),
        "destinations": {
            "tiktok": Destination(
                type="tiktok",
                settings={"pixel": "CDEMOPIXEL0000000001", "access_token": "demo", "website": "https://shop.example"},
            ),
            "pinterest": Destination(type="pinterest", settings={"ad_account": "549755885175", "access_token": "pina_demo"}),
        },
    }
    return Workspace(**{**options, **changes})


SEGMENTS: dict[str, Any] = {
    "buyers": {"did": "Order Completed", "within": "2d"},
    "cart_3h": {
        "all": [{"last": "Checkout Started", "age": "1m..3h"}, {"did_not": "Order Completed", "since": "Checkout Started"}]
    },
    "lookers": {"did": "Product Viewed", "times": {"gte": "2", "lte": "3"}, "within": "1d"},
    "lapsed": {"all": [{"did": "Order Completed"}, {"did_not": "Order Completed", "within": "25h"}]},
    "early": {"first": "Product Added", "age": "2h.."},
    "dear": {"trait": {"lifetime_value": {"gt": "15"}, "last_order_at": {"age": {"lt": "49h"}}}},
    "ann": {"any": [{"trait": {"traits.firstName": "Ann"}}, {"in_segment": "dear"}]},
    "strangers": {
        "not": [{"trait": {"email": {"exists": "true"}}}, {"did": "Order Completed", "where": {"order.value": {"gt": "5"}}}]
    },
    "again": {"did": "Second Purchase"},
    "ladder": {"ladder": "Product Added", "until": "Order Completed", "tiers": ["0h-2h hot", "2h-1d warm", "1d-3d cold"]},
}
"""A segment of each kind but `split`: its lots are drawn by numbers, which depend on how messages are put into requests."""


def guarded(**changes: Any) -> Workspace:
    """The same with every rule there is: gates of both modes, derived events, holds, repeats, rates, segments and audiences."""
    accounts = workspace().destinations
    events = {
        "Order Completed": "Purchase",
        "Product Viewed": "ViewContent",
        "Product Added": "AddToCart",
        "Checkout Started": "InitiateCheckout",
        "Second Purchase": "Subscribe",
        "Good Customer": "CompleteRegistration",
    }
    options: dict[str, Any] = {
        "gates": (
            Gate(preset="zero_value"),
            Gate(reason="ann", when={"person.email_domain": "shop.example", "order.value": {"gt": "15"}}, mode="observing"),
            Gate(preset="chronic_discounter", share="10%", orders=1, mode="observing"),
            Gate(reason="ann herself", when={"person.traits.firstName": "Ann"}, events=("Product Viewed",)),
        ),
        "derived": {
            "Second Purchase": Derived(nth_order=2),
            "Good Customer": Derived(lifetime_value="20"),
            "Came Back": Derived(returned_after="2h"),
            "First Cart": Derived(first="Product Added"),
        },
        "holds": {"Order Completed": "15m"},
        "repeats": {"Product Added": "10m"},
        "segments": SEGMENTS,
        "audiences": (
            Audience(segment="cart_3h", to=("tiktok", "pinterest"), use="target", unless=("buyers",)),
            Audience(segment="buyers", to=("tiktok",), use="suppress"),
            Audience(segment="ann", to=("pinterest",), use="target", while_in={"cart": "none"}),
        ),
        "journeys": {"cart": Journey(starts="Checkout Started", ends=("Order Completed",), after="1d")},
        "rates": {"EUR": "1.1", "JPY": "0.0065"},
        "destinations": {
            "tiktok": replace(
                accounts["tiktok"],
                events=events,
                rollout=(Stage(send=("Order Completed", "Product Added", "Second Purchase"), at_most={"Product Added": 1}),),
            ),
            "pinterest": accounts["pinterest"],
        },
    }
    return workspace(**{**options, **changes})


def moment(at: int) -> str:
    """Epoch milliseconds as clients write them."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def request(source: str, messages: Sequence[Message], received_at: int = NOW) -> Received:
    """One batch request of a source."""
    return Received(
        source=source,
        wire="pipelines",
        method="POST",
        path="/v1/batch",
        body=json.dumps({"batch": list(messages)}).encode(),
        client_ip="203.0.113.7",
        user_agent="Mozilla/5.0 (X11; Linux x86_64)",
        received_at=received_at,
    )


def requests(stream: Iterable[Said], most: int) -> list[tuple[Received, int]]:
    """The stream in requests of up to `most` messages, each of one source, in order; with their numbers of messages."""
    made: list[tuple[Received, int]] = []
    source, messages = "", list[Message]()
    for each, message in stream:
        if messages and (each != source or len(messages) >= most):
            made.append((request(source, messages), len(messages)))
            messages = []
        source = each
        messages.append(message)
    if messages:
        made.append((request(source, messages), len(messages)))
    return made


class Flow:
    """A database and a plan; `run` takes a stream through them."""

    def __init__(self, database: Database, chosen: Workspace | None = None) -> None:
        self.database = database
        self.follow(chosen or workspace())

    def write(self, work: Callable[[Connection], Any]) -> Any:
        """Run work in a transaction of its own."""
        return self.database.submit(work).result(60)

    def follow(self, chosen: Workspace, now: int = NOW) -> None:
        """Go by a workspace from now on, as `serve` does when it starts."""
        self.plan = pipeline.plan(chosen, self.write(partial(memberships.numbers, workspace=chosen, now=now)))

    def clear(self) -> None:
        """Empty every table; positions go on counting."""

        def work(connection: Any) -> None:
            for table in TABLES:
                connection.raw.execute(f"DELETE FROM {table}")

        self.write(work)

    def append(self, stream: Iterable[Said], most: int = 1) -> None:
        """Write the stream to the journal."""

        def work(connection: Connection) -> None:
            for received, messages in requests(stream, most):
                batches.append(connection, received, messages)

        self.write(work)

    def step(self, most: int = 500, now: int = NOW) -> Decision | None:
        """Gather and decide one batch, without writing it."""
        return self.database.look(lambda connection: pipeline.step(connection, self.plan, now, most))

    def commit(self, made: Decision) -> None:
        """Write a decision."""
        self.write(lambda connection: pipeline.commit(connection, made))

    def process(self, most: int = 500, now: int = NOW) -> int:
        """Take all that waits through the pipeline; gives the number of batches."""
        steps = 0
        while (made := self.step(most, now)) is not None:
            self.commit(made)
            steps += 1
        return steps

    def pass_time(self, upto: int) -> None:
        """Fire every moment that has passed."""
        while people := self.database.look(partial(memberships.people_due, upto=upto, most=100)):
            self.write(partial(batches.fire, made=moving.fired(people, upto, self.plan, upto)))

    def fill(self, upto: int, most: int = 1_000) -> None:
        """Bring new rules up to date, `most` pieces of it."""
        asked = self.plan.workspace

        def piece(connection: Connection) -> backfill.Piece | None:
            waiting = memberships.backfills(connection)
            return backfill.piece(connection, self.plan, waiting[0], upto, upto) if waiting else None

        for _ in range(most):
            found = self.database.look(piece)
            if found is None:
                return
            self.write(partial(backfill.commit, made=found, now=upto))
            if found.turns or found.ends:
                self.plan = pipeline.plan(asked, self.write(partial(memberships.known, workspace=asked)))

    def run(self, stream: Iterable[Said], *, request_of: int = 1, batch_of: int = 500) -> World:
        """The world after the stream, beginning with an empty one."""
        self.clear()
        self.append(stream, request_of)
        self.process(batch_of)
        return self.world()

    def table(self, name: str, order: str = "1, 2") -> list[Row]:
        """All rows of a table."""

        def work(connection: Any) -> list[Row]:
            rows: list[Row] = connection.raw.execute(f"SELECT * FROM {name} ORDER BY {order}").fetchall()
            return rows

        return self.database.look(work)

    def rows(self, query: str) -> list[Row]:
        """The rows of a query of the test's own."""

        def work(connection: Any) -> list[Row]:
            rows: list[Row] = connection.raw.execute(query).fetchall()
            return rows

        return self.database.look(work)

    def world(self) -> World:
        """Everything the product remembers, with ids written as places in the stream."""
        events = self.rows("SELECT id, message_key, kind, name, person, order_id, time, note FROM events ORDER BY id")
        # A derived event's number comes after those of its whole request: it is named by the event that made it.
        sent = [row for row in events if not (row[-1] or "").startswith("derived from event ")]
        places = {str(row[0]): f"E{place}" for place, row in enumerate(sent)}
        for row in events:
            if str(row[0]) not in places:
                places[str(row[0])] = f"{places[row[-1].rpartition(' ')[2]]}>{row[3]}"

        def plain(value: Any) -> Any:
            if isinstance(value, bytes):
                value = value.decode()
            if isinstance(value, str):
                return re.sub(r"\d{5,}", lambda found: places.get(found[0], found[0]), value)
            if isinstance(value, int) and not isinstance(value, bool):
                return places.get(str(value), value)
            if isinstance(value, dict):
                return {plain(name): plain(each) for name, each in value.items()}
            if isinstance(value, (list, tuple)):
                return [plain(each) for each in value]
            return value

        def told(body: Any) -> Any:
            return plain(json.loads(bytes(body)))

        return {
            "events": sorted((plain(row) for row in events), key=_placed),
            "ledger": sorted(
                (
                    plain(row)
                    for row in self.rows(
                        "SELECT event, destination, verdict, reason, sentence, platform_event, platform_id, value, currency "
                        "FROM ledger"
                    )
                ),
                key=_placed,
            ),
            "outbox": sorted(
                (
                    [*plain(row[:-1]), told(row[-1])]
                    for row in self.rows(
                        "SELECT event, destination, priority, person, name, event_time, value_micros, currency, body FROM outbox"
                    )
                ),
                key=_placed,
            ),
            "people": [told(record) for (record,) in self.rows("SELECT record FROM people ORDER BY id")],
            "due": [row[0] for row in self.rows("SELECT next_at FROM people ORDER BY id")],
            "identifiers": sorted(plain(row) for row in self.rows("SELECT key, person FROM identifiers")),
            "orders": sorted(
                [*plain(row[:-1]), told(row[-1])]
                for row in self.rows("SELECT key, order_id, person, event, time, sent, record FROM orders ORDER BY key")
            ),
            "notices": sorted(
                plain(row)
                for row in self.rows("SELECT destination, what, detail, name, currency, signals, value_micros FROM notices")
            ),
            "coverage": sorted(plain(row) for row in self.rows("SELECT destination, source, name, keys, signals FROM coverage")),
            "clocks": sorted(self.rows("SELECT clock, name, bucket, signals FROM clocks")),
            "marks": sorted(plain(row) for row in self.rows("SELECT kind, source, name, value, event FROM marks")),
            "members": sorted(map(str, (plain(row) for row in self.rows("SELECT segment, person, since FROM members")))),
            "moves": sorted(map(str, (plain(row) for row in self.rows("SELECT person, at, segment, entered, event FROM moves")))),
            "wanted": sorted(
                map(str, (plain(row) for row in self.rows("SELECT audience, person FROM audience_people WHERE wanted = 1")))
            ),
            "tallies": sorted(self.rows("SELECT destination, name, signals FROM tallies")),
            "merges": sorted(map(str, (plain(row) for row in self.rows("SELECT event, person, other, joined, why FROM merges")))),
        }
