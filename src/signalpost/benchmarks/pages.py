"""`bench pages`: how long the console's pages take on a store with ten million rows in the ledger.

The store is written straight into SQLite, as a year's operation would have left it: events, verdicts and orders of ninety days,
their people, counters and what is summed up of them, segments with their moves, audiences with whom they hold, requests and
findings.
What is costly is counted once, as the loops beside the console do it. Then each page is asked for in this process, without a
network: the first time, and so many times again.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec.structs import replace
from starlette.types import ASGIApp, Receive, Scope, Send

from signalpost import clocks, config, usecases, watch
from signalpost.accounts import ADMIN
from signalpost.benchmarks.running import RULES, WRITE_KEY
from signalpost.benchmarks.segments import SEGMENTS
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.events import Bought, Claim, Person
from signalpost.platforms.settings import Settings
from signalpost.processing import now_ms, plan_of
from signalpost.purchases import Record
from signalpost.store import accounts, revisions, sizes, sums, trends
from signalpost.store.database import Connection, Database
from signalpost.web import app, intake, pages
from signalpost.web.routing import ANYONE
from signalpost.worker import Worker

DAYS = 90
DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
DESTINATIONS = ("tiktok", "pinterest")
TOGETHER = 4
"""Events of one request."""

EVERY_ORDER = 17
"""One event in so many is a purchase."""

JOURNAL_DAYS = 30
WAITING = 2_000
"""The newest events, whose signals wait."""

WORKSPACE = """\
workspace: bench
environment: production
currency: USD
country: US
order_value: gross
timezone: America/New_York
database: pages.db
server: {{port: 0}}
sources:
  web: {{type: pipelines, write_key: ${{BENCH_WRITE_KEY}}}}
  shop: {{type: pipelines, write_key: ${{BENCH_WRITE_KEY_SHOP}}}}
destinations:
  tiktok:
    type: tiktok
    endpoint: http://127.0.0.1:9
    pixel: {settings.tiktok_pixels[0]}
    advertiser: "7000000000000000001"
    access_token: ${{BENCH_TIKTOK_TOKEN}}
  pinterest:
    type: pinterest
    endpoint: http://127.0.0.1:9
    ad_account: "{settings.pinterest_ad_account_id}"
    access_token: ${{BENCH_PINTEREST_TOKEN}}
    rollout:
      - {{send: [Order Completed], for: 48h, until: {{accepted: ">= 95%"}}}}
      - send: [Checkout Started, Product Added, Product Viewed]
audiences:
  - {{segment: buyers_14d, to: [tiktok, pinterest], use: suppress}}
  - {{segment: cart_offer, to: [tiktok, pinterest], use: target, unless: [buyers_14d]}}
  - {{segment: vip, to: [tiktok, pinterest], use: seed}}
journeys:
  cart_recovery:
    starts: Checkout Started
    ends: [Order Completed]
    after: 4d
    steps:
      - {{at: 1h, channel: email}}
      - {{at: 12h, channel: sms}}
"""


def run(*, rows: int = 10_000_000, visits: int = 20, keep: Path | None = None) -> dict[str, Any]:
    """Milliseconds of server time for each page: the first visit, and p50 and p95 of `visits` more.

    `rows` of the ledger; the store is made in the folder `keep` and found there again, or in a folder that goes.
    """
    with tempfile.TemporaryDirectory(prefix="signalpost-bench-") as folder:
        place = keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        text, environ, workspace = _workspace(place, rows)
        known = _known(workspace, rows) if Path(workspace.database).exists() else None
        if known is None:
            known = _make(workspace, text, rows)
        made = time.perf_counter() - began
        found = asyncio.run(_visits(workspace, text, environ, known, visits))
    times = {address: each for address, each in found.items() if "p50_ms" in each}
    return {
        "bench": "pages",
        "rows": rows,
        "visits": visits,
        "made_in_seconds": round(made, 1),
        "pages": times,
        "failed": {address: each["status"] for address, each in found.items() if "p50_ms" not in each},
        "over_100_ms": sorted(address for address, each in times.items() if each["p95_ms"] > 100),
    }


# ---- the store -------------------------------------------------------------------------------------------------------------


def _workspace(place: Path, rows: int) -> tuple[str, dict[str, str], Workspace]:
    settings = Settings()
    text = WORKSPACE.format(settings=settings) + RULES + SEGMENTS
    environ = {
        "BENCH_WRITE_KEY": WRITE_KEY,
        "BENCH_WRITE_KEY_SHOP": WRITE_KEY + "-shop",
        "BENCH_TIKTOK_TOKEN": settings.tiktok_token,
        "BENCH_PINTEREST_TOKEN": settings.pinterest_token,
    }
    file = place / config.FILE
    file.write_text(text, "utf-8")
    workspace = config.load(file, environ, CATALOG)
    return text, environ, replace(workspace, database=str(place / f"pages-{rows}.db"))


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What pages with a number or a name in their address are asked for."""

    event: int
    person: int
    finding: int
    until: int
    """When the store was made (epoch ms): its newest events are of that moment."""


def _known(workspace: Workspace, rows: int) -> Known | None:
    """What a store that was made before has; None when its making was cut off. It is brought up to now: minutes, not days."""
    with closing(sqlite3.connect(workspace.database)) as raw:
        try:
            found = raw.execute("SELECT note FROM audit WHERE what = 'bench' AND subject = ?", (str(rows),)).fetchone()
        except sqlite3.Error:
            found = None
    if found is not None:
        return msgspec.json.decode(found[0], type=Known)
    for ending in ("", "-wal", "-shm"):
        Path(workspace.database + ending).unlink(missing_ok=True)
    return None


def _make(workspace: Workspace, text: str, rows: int) -> Known:
    now = now_ms()
    events = max(200, rows // len(DESTINATIONS))
    people = max(50, events // 5)
    database = Database(workspace.database)
    plan_of(database, workspace)
    slots = database.look(_slots)
    database.close()
    raw = sqlite3.connect(workspace.database, isolation_level=None)
    raw.execute("PRAGMA journal_mode = OFF")
    raw.execute("PRAGMA synchronous = OFF")
    raw.execute("PRAGMA cache_size = -800000")
    raw.execute("PRAGMA temp_store = MEMORY")
    indexes = raw.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN "
        "('events', 'identifiers', 'people', 'orders', 'ledger', 'ledger_trace', 'requests', 'journal', 'moves', "
        "'audience_people', 'audience_keys', 'merges')"
    ).fetchall()
    for name, _ in indexes:
        raw.execute(f"DROP INDEX {name}")
    raw.execute("BEGIN")
    filling, crowds = _statements()
    given = _parameters(events, people, slots, now)
    for statement in filling:
        raw.execute(statement, given)
    raw.executemany("INSERT INTO people (id, record, changed_at, next_at) VALUES (?, ?, ?, ?)", _people(people, now))
    raw.executemany(
        "INSERT INTO orders (key, order_id, person, event, time, sent, record, purchased) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        _orders(raw),
    )
    for statement in crowds:
        raw.execute(statement, given)
    known = _found(raw, now)
    raw.execute("COMMIT")
    for _, statement in indexes:
        raw.execute(statement)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.close()
    database = Database(workspace.database)
    _look_after(database, workspace, text, now)

    def done(connection: Connection) -> None:
        note = msgspec.json.encode(known).decode()
        connection.run("audit_add", now, "bench", "bench", str(rows), note)

    database.submit(done).result()
    database.close()
    return known


def _slots(connection: Connection) -> list[int]:
    """The numbers of the segments that get people."""
    return [int(row[1]) for row in connection.rows("segment_rows")][:8]


def _statements() -> tuple[list[str], list[str]]:
    """Statements of `pages.sql`: those before people and orders are written, and those after."""
    text = (files("signalpost.benchmarks") / "pages.sql").read_text("utf-8")
    found = [part.partition("\n")[2] for part in text.split("-- name: ")[1:]]
    crowds = next(place for place, statement in enumerate(found) if "segments" in statement)
    return found[:crowds], found[crowds:]


def _parameters(events: int, people: int, slots: Sequence[int], now: int) -> dict[str, int | str]:
    return {
        "events": events,
        "people": people,
        "now": now,
        "start": now - DAYS * DAY,
        "span": DAYS * DAY,
        "kept": now - JOURNAL_DAYS * DAY,
        "together": TOGETHER,
        "every": EVERY_ORDER,
        "requests": max(1, events // 50),
        "waiting": ((events - min(WAITING, events // 10)) // TOGETHER + 1) << 16,
        "buckets": msgspec.json.encode([clocks.bucket(150 << power) for power in range(12)]).decode(),
        "masks": msgspec.json.encode([(bits * 2654435761) % (1 << 18) for bits in range(1, 25)]).decode(),
        "slots": msgspec.json.encode(slots).decode(),
    }


def _people(people: int, now: int) -> Iterator[tuple[Any, ...]]:
    encode = msgspec.json.Encoder().encode
    for number in range(1, people + 1):
        at = now - (number * 7919) % (DAYS * DAY)
        bought = Bought(at, Decimal(number % 180 + 20), Decimal(0), Decimal(0), Decimal(number % 180 + 20), False, False)
        person = Person(
            id=number,
            created_at=at - DAY,
            external_ids={f"U-{number}": at},
            emails={f"u{number}@shop.example": at},
            traits={"first_name": ("Ann", at), "country": ("us", at)},
            consent={"advertising": (number % 9 > 0, at)},
            orders={f"O-{number * EVERY_ORDER}": bought} if number % 5 == 0 else {},
            memory={"Order Completed": (at,)} if number % 5 == 0 else {"Product Viewed": (at,)},
            inside={"buyers_ever": at} if number % 5 == 0 else {},
            due={"buyers_14d": at + 14 * DAY} if number % 5 == 0 and at > now - 14 * DAY else {},
            keys={"email": [f"{number:064x}"], "external_id": [f"{number:064x}"]},
        )
        yield number, encode(person), at, at + 14 * DAY if person.due else None


def _orders(raw: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    encode = msgspec.json.Encoder().encode
    rows = raw.execute("SELECT id, order_id, person, time, message_key FROM events WHERE name = 'Order Completed'")
    while some := rows.fetchmany(10_000):
        for number, order_id, person, at, key in some:
            cents = (number * 7919) % 18000 + 2000
            source, _, message = key.partition(":")
            value = Decimal(cents) / 100
            claim = Claim(source=source, event=number, time=at, message_id=message, value=value, currency="USD",
                          value_from="total", stated="gross", total=value, items=(("sku-1", value, 1),))  # fmt: skip
            claims = {source: claim}
            if number % 11 == 0:
                claims["other"] = replace(claim, source="other", value=value - 1)
            sent = f"pinterest:{number} tiktok:{number}"
            yield order_id, order_id, person, number, at, sent, encode(Record(claims=claims)), number


def _found(raw: sqlite3.Connection, now: int) -> Known:
    event, person = raw.execute(
        "SELECT e.id, e.person FROM events e JOIN ledger l ON l.event = e.id "
        "WHERE e.name = 'Order Completed' AND l.verdict = 'refused' ORDER BY e.id DESC LIMIT 1"
    ).fetchone()
    (finding,) = raw.execute("SELECT max(id) FROM findings").fetchone()
    return Known(event=event, person=person, finding=finding, until=now)


def _look_after(database: Database, workspace: Workspace, text: str, now: int) -> None:
    """What the loops beside the console have done by then: sums, trends, sizes, findings."""
    while database.submit(lambda connection: sums.fold(connection, now, 48)).result():
        pass
    while database.submit(lambda connection: trends.condense(connection, now)).result():
        pass
    counted = database.look(partial(sizes.count, workspace=workspace, now=now))
    database.submit(lambda connection: sizes.keep(connection, counted)).result()
    database.submit(partial(revisions.keep, text=text, who="file", note="found at start", origin="start", now=now)).result()
    change = partial(revisions.propose, text=text + "\n", base=revisions.digest(text), who="bench", note="", origin="editor")
    database.submit(partial(change, since=None, now=now)).result()
    watch.once(database, workspace, now)


# ---- the visits ------------------------------------------------------------------------------------------------------------


class _Timed:
    """The application, with how long it took to answer each request."""

    def __init__(self, application: ASGIApp) -> None:
        self.application = application
        self.seconds = self.cpu = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, worked = time.perf_counter(), time.process_time()
        await self.application(scope, receive, send)
        self.seconds, self.cpu = time.perf_counter() - began, time.process_time() - worked


MORE = (
    "/?window=1h",
    "/?window=7d",
    "/?window=30d",
    "/index.json?window=30d",
    "/signals?verdict=refused",
    "/signals?destination=tiktok",
    "/signals?event=Order+Completed",
    "/signals?reason=no_identifier",
    "/quality?window=30d",
    "/quality/value?window=30d",
    "/quality/clocks?window=30d",
    "/quality/duplicates?window=30d",
    "/quality/gates?window=30d",
)
"""Pages with filters, beside each page as it opens."""


NOBODYS = frozenset({"/people/{person:int}/erased"})
"""Pages of what this store has nobody for."""


def addresses(known: Known) -> list[str]:
    """Every page of the console, its numbers and names filled in; and some with filters."""
    fills = {
        "event": str(known.event),
        "person": str(known.person),
        "finding": str(known.finding),
        "revision": "1",
        "proposal": "1",
        "case": next(iter(usecases.USE_CASES)),
        "destinations": "tiktok",
        "destination": "tiktok",
        "segments": "buyers_14d",
        "audiences": "buyers_14d",
    }
    found = []
    for way in pages.WAYS:
        if way.twin and way.role != ANYONE and way.path not in NOBODYS:
            _, first, *_ = way.path.split("/")
            found.append(_filled(way.path, fills, first))
    return [*dict.fromkeys((*found, *MORE, f"/find?q=O-{EVERY_ORDER * 100}"))]


def _filled(path: str, fills: Mapping[str, str], first: str) -> str:
    """A route's path with its names filled in: by their own name, or by that of the page they are under."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda named: fills.get(named[1], fills.get(first, "1")), path)


async def _visits(
    workspace: Workspace, text: str, environ: Mapping[str, str], known: Known, visits: int
) -> dict[str, dict[str, float]]:
    database = Database(workspace.database)
    worker = Worker(database, workspace)
    front = intake.create(workspace, worker.append, worker.overload)
    file = Path(workspace.database).with_name(config.FILE)
    application = app.create(
        workspace=workspace, database=database, worker=worker, intake=front, file=file, text=text, environ=environ
    )
    timed = _Timed(application)
    found: dict[str, dict[str, float]] = {}
    try:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=timed, raise_app_exceptions=False),
            base_url="http://127.0.0.1",
            timeout=300,
            follow_redirects=True,
        ) as client:
            link = await database.write(_way_in)
            await client.get(f"/enter/{link}", follow_redirects=False)
            for address in addresses(known):
                times: list[tuple[float, float]] = []
                status = 200
                for _ in range(1 + visits):
                    answer = await client.get(address)
                    status = answer.status_code
                    if status != 200:
                        break
                    times.append((timed.seconds * 1000, timed.cpu * 1000))
                found[address] = _figures(times) if status == 200 else {"status": status}
    finally:
        application.stop()
        await asyncio.to_thread(database.close)
    return found


def _way_in(connection: Connection) -> str:
    rows = connection.rows("user_by_email", "bench@shop.example")
    now = now_ms()
    number = rows[0][0] if rows else accounts.add(
        connection, email="bench@shop.example", name="Bench", role=ADMIN, password="", now=now
    ).id  # fmt: skip
    return accounts.link(connection, "enter", number, now)


def _figures(times: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Of the visits after the first one; `cpu_ms` is the processor's time, which a busy machine does not stretch."""
    first, rest = times[0][0], sorted(seconds for seconds, _ in times[1:] or times)
    worked = sorted(cpu for _, cpu in times[1:] or times)
    return {
        "p50_ms": round(rest[len(rest) // 2], 1),
        "p95_ms": round(rest[min(len(rest) - 1, int(len(rest) * 0.95))], 1),
        "cpu_ms": round(worked[len(worked) // 2], 1),
        "first_ms": round(first, 1),
    }
