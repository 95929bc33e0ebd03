"""A shop with a real database: what it says goes through the real pipeline, what platforms answer is given by the test."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from signalpost import pipeline
from signalpost.config import Destination, Source, Workspace
from signalpost.delivery import CLOSED, Breaker, Fate, Leased
from signalpost.sources import Received, read
from signalpost.store import batches, outbox
from signalpost.store.database import Connection, Database

Message = dict[str, Any]

SECRET = "pina_0123456789_console_must_never_show"
WRITE_KEY = "write-key-console-must-never-show"
EMAIL = "margarethe.winterbottom@private-mail.example"
PHONE = "+447700900158"
RAW = (
    EMAIL,
    EMAIL.replace("@", "%40"),
    "margarethe",
    "winterbottom",
    "private-mail",
    PHONE,
    PHONE[1:],
    "7700900158",
    "81.2.69.142",
    "LS1 4AP",
    "Kirkgate",
    SECRET,
    WRITE_KEY,
)
"""What no page may show, in any spelling."""

TRAITS = {
    "email": EMAIL,
    "phone": PHONE,
    "firstName": "Margarethe",
    "lastName": "Winterbottom",
    "address": {"city": "Leeds", "street": "12 Kirkgate", "postalCode": "LS1 4AP", "country": "GB"},
}


def workspace(database: str, **changes: Any) -> Workspace:
    """A shop with three sources and an account on each platform."""
    options: dict[str, Any] = {
        "workspace": "glow",
        "environment": "production",
        "currency": "GBP",
        "country": "GB",
        "order_value": "gross",
        "timezone": "Europe/London",
        "database": database,
        "sources": {
            "web": Source(type="pipelines", write_key=WRITE_KEY),
            "cio": Source(type="track", site_id="site", api_key=WRITE_KEY),
            "shop": Source(type="shopify", secret=WRITE_KEY),
        },
        "destinations": {
            "tiktok": Destination(type="tiktok", settings={"pixel": "CPIXEL", "access_token": SECRET}),
            "pinterest": Destination(type="pinterest", settings={"ad_account": "549755885175", "access_token": SECRET}),
        },
    }
    return Workspace(**{**options, **changes})


def moment(at: int) -> str:
    """Epoch milliseconds as clients write them."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def order(message_id: str, order_id: str, at: int, **changes: Any) -> Message:
    """An Order Completed of a person with everything on record."""
    return {
        "type": "track",
        "messageId": message_id,
        "userId": "u-1",
        "event": "Order Completed",
        "timestamp": moment(at),
        "context": {
            "ip": "81.2.69.142",
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64)",
            "page": {"url": f"https://glow.example/thanks?email={EMAIL.replace('@', '%40')}&ttclid=E.C.P.abcdefghijkl"},
            "traits": TRAITS,
        },
        "properties": {
            "order_id": order_id,
            "total": 49.9,
            "currency": "GBP",
            "email": EMAIL,
            "note": f"please ring {PHONE} or write to {EMAIL}",
            "products": [{"product_id": "SKU-1", "name": "Rose Serum", "price": 49.9, "quantity": 1}],
        },
        **changes,
    }


class Shop:
    """What happened so far, in a database of its own."""

    def __init__(self, database: Database, chosen: Workspace | None = None) -> None:
        self.database = database
        self.workspace = chosen or workspace(database.address)
        self.plan = pipeline.plan(self.workspace)

    def write(self, work: Any) -> Any:
        """Run work in a transaction of its own."""
        return self.database.submit(work).result(60)

    def receive(self, received: Received) -> int:
        """Write a request to the journal; gives its position."""
        position: int = self.write(lambda connection: batches.append(connection, received, len(read(received).events)))
        return position

    def say(self, *messages: Message, at: int, source: str = "web") -> int:
        """One batch request; gives its position."""
        return self.receive(
            Received(
                source=source,
                wire="pipelines",
                method="POST",
                path="/v1/batch",
                body=json.dumps({"batch": list(messages)}).encode(),
                client_ip="81.2.69.142",
                user_agent="analytics-python/2.3",
                received_at=at,
            )
        )

    def process(self, now: int) -> None:
        """Take all that waits through the pipeline."""
        while (made := self.database.look(lambda connection: pipeline.step(connection, self.plan, now, 500))) is not None:
            self.write(lambda connection, made=made: pipeline.commit(connection, made))

    def deliver(self, destination: str, now: int, breaker: Breaker = CLOSED, **fate: Any) -> int:
        """Lease what is due and settle all of it with one fate; gives the number of signals."""
        leased: list[Leased] = self.write(
            lambda connection: outbox.lease(connection, destination, most=1000, now=now, until=now + 60_000)
        )
        fates = [Fate(signal=signal, **{"verdict": "accepted", "sentence": "It was taken.", **fate}) for signal in leased]
        sent = outbox.Sent(
            destination=destination,
            started_at=now,
            ended_at=now + 240,
            signals=len(leased),
            status=200,
            summary=f"{len(leased)} of {len(leased)} settled",
            platform_request="request-77",
        )

        def work(connection: Connection) -> None:
            outbox.settle(connection, sent, fates, breaker)

        self.write(work)
        return len(leased)


def asked(database: Database, query: str) -> list[tuple[Any, ...]]:
    """The rows of a test's own query."""

    def work(connection: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in connection.raw.execute(query).fetchall()]

    return database.look(work)
