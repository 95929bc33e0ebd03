"""`bench pages`: how long the console's pages take on a store with ten million rows in the ledger.

The store is written straight into SQLite, as a year's operation would have left it: events, verdicts and orders of ninety days,
their people, counters and what is summed up of them, segments with their moves, audiences with whom they hold, requests, findings.
What is costly is counted once, as the loops beside the console do it. Then each page is asked for in this process, without a
network: the first time, and so many times again.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec.structs import replace
from starlette.types import ASGIApp, Receive, Scope, Send

from signalpost import clocks, config, watch
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
    crowds = database.look(lambda connection: [int(row[2]) for row in connection.rows("audience_slots")])
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
    for statement in _filling(events, people, now):
        raw.execute(statement)
    raw.executemany("INSERT INTO people (id, record, changed_at, next_at) VALUES (?, ?, ?, ?)", _people(people, now))
    raw.executemany(
        "INSERT INTO orders (key, order_id, person, event, time, sent, record, purchased) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        _orders(raw, now),
    )
    for statement in _crowds(slots, crowds, now):
        raw.execute(statement)
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


AMOUNT = "((e.id * 7919) % 18000 + 2000)"
"""Cents of an event's value."""

VALUED = "('Order Completed', 'Product Added', 'Checkout Started')"


def _filling(events: int, people: int, now: int) -> Iterator[str]:
    """Statements that write events and all that is counted of them, in the order of their keys."""
    span, start = DAYS * DAY, now - DAYS * DAY
    waiting = ((events - WAITING) // TOGETHER + 1) << 16
    yield f"""
        INSERT INTO events (id, message_key, kind, name, person, order_id, time, received_at, note, counts)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {events}),
        drawn AS (SELECT i, (i * 2654435761) % 4294967296 AS h FROM n)
        SELECT ((i / {TOGETHER} + 1) << 16) | (i % {TOGETHER}),
            CASE WHEN h % 10 < 8 THEN 'web' ELSE 'shop' END || ':m' || i,
            CASE WHEN i % {EVERY_ORDER} <> 0 AND h % 100 >= 70 THEN 'page' ELSE 'track' END,
            CASE WHEN i % {EVERY_ORDER} = 0 THEN 'Order Completed' WHEN h % 100 < 45 THEN 'Product Viewed'
                WHEN h % 100 < 60 THEN 'Product Added' WHEN h % 100 < 70 THEN 'Checkout Started' ELSE 'Page Viewed' END,
            1 + (h * 31 >> 7) % {people}, CASE WHEN i % {EVERY_ORDER} = 0 THEN 'O-' || i END,
            {start} + i * {span} / {events} - 1500, {start} + i * {span} / {events},
            CASE WHEN i % {EVERY_ORDER} = 0 THEN 'total' END, 1
        FROM drawn"""
    yield f"""
        INSERT INTO ledger (event, destination, verdict, reason, sentence, platform_event, platform_id, value, currency, decided_at,
                            sent_at, settled_at, attempts, request)
        SELECT id, d, verdict,
            CASE verdict WHEN 'withheld' THEN CASE WHEN name = 'Page Viewed' THEN 'not_mapped'
                    WHEN r < 890 THEN CASE name WHEN 'Order Completed' THEN 'duplicate_order' ELSE 'repeat' END
                    WHEN r < 920 THEN 'consent_denied' WHEN r < 945 THEN 'no_identifier' WHEN r < 965 THEN 'gate:bot'
                    WHEN r < 985 THEN 'other_source' ELSE 'too_old' END
                WHEN 'refused' THEN '40002' WHEN 'unknown' THEN 'no_answer' END,
            CASE verdict WHEN 'refused' THEN 'The platform did not accept the parameter `event_time`.' END,
            CASE WHEN verdict <> 'withheld' THEN CASE d WHEN 'tiktok' THEN 'Purchase' ELSE 'checkout' END END,
            CASE WHEN verdict <> 'withheld' THEN coalesce(order_id, 'm' || id) END,
            CASE WHEN name IN {VALUED} THEN printf('%d.%02d', cents / 100, cents % 100) END,
            CASE WHEN name IN {VALUED} THEN CASE WHEN r % 40 = 7 THEN 'EUR' ELSE 'USD' END END,
            received_at + 40, CASE WHEN verdict NOT IN ('withheld', 'waiting') THEN received_at + 400 END,
            CASE WHEN verdict NOT IN ('withheld', 'waiting') THEN received_at + 700 END,
            CASE WHEN verdict IN ('withheld', 'waiting') THEN 0 ELSE 1 END,
            CASE WHEN verdict NOT IN ('withheld', 'waiting') THEN 1 + id / 6553600 END
        FROM (SELECT e.id, e.name, e.order_id, e.received_at, d, {AMOUNT} AS cents,
                  ((e.id >> 16) * 7 + e.id + CASE d WHEN 'tiktok' THEN 3 ELSE 0 END) * 40503 % 1000 AS r,
                  CASE WHEN e.name = 'Page Viewed' THEN 'withheld' WHEN e.id >= {waiting} THEN 'waiting' ELSE
                      CASE WHEN ((e.id >> 16) * 7 + e.id + CASE d WHEN 'tiktok' THEN 3 ELSE 0 END) * 40503 % 1000 < 830 THEN 'accepted'
                           WHEN ((e.id >> 16) * 7 + e.id + CASE d WHEN 'tiktok' THEN 3 ELSE 0 END) * 40503 % 1000 < 840 THEN 'warned'
                           WHEN ((e.id >> 16) * 7 + e.id + CASE d WHEN 'tiktok' THEN 3 ELSE 0 END) * 40503 % 1000 < 855 THEN 'refused'
                           WHEN ((e.id >> 16) * 7 + e.id + CASE d WHEN 'tiktok' THEN 3 ELSE 0 END) * 40503 % 1000 < 860 THEN 'unknown'
                           ELSE 'withheld' END END AS verdict
              FROM events e CROSS JOIN (SELECT 'pinterest' AS d UNION ALL SELECT 'tiktok'))"""
    yield f"""
        INSERT INTO outbox (id, destination, priority, event, person, name, event_time, received_at, due_at, value_micros, currency, body)
        SELECT l.event * 64 + CASE l.destination WHEN 'tiktok' THEN 0 ELSE 1 END, l.destination,
            CASE e.name WHEN 'Order Completed' THEN 0 WHEN 'Checkout Started' THEN 1 WHEN 'Product Added' THEN 2 ELSE 3 END,
            l.event, e.person, e.name, e.time, e.received_at, e.received_at,
            CAST(replace(l.value, '.', '') AS INTEGER) * 10000, l.currency, CAST('{{}}' AS BLOB)
        FROM ledger l JOIN events e ON e.id = l.event WHERE l.event >= {waiting} AND l.verdict = 'waiting'"""
    yield f"""
        INSERT INTO rollups (minute, destination, name, verdict, reason, currency, signals, value_micros, latency_ms)
        SELECT l.decided_at - l.decided_at % {MINUTE}, l.destination, e.name, l.verdict, coalesce(l.reason, ''),
            coalesce(l.currency, ''), count(*), sum(coalesce(CAST(replace(l.value, '.', '') AS INTEGER), 0)) * 10000, 660 * count(*)
        FROM events e JOIN ledger l ON l.event = e.id WHERE l.verdict <> 'waiting' GROUP BY 1, 2, 3, 4, 5, 6"""
    yield f"""
        INSERT INTO rollups (minute, destination, name, verdict, reason, currency, signals, value_micros, latency_ms)
        SELECT received_at - received_at % {MINUTE}, '', name, 'heard', substr(message_key, 1, instr(message_key, ':') - 1), '',
            count(*), 0, 0
        FROM events GROUP BY 1, 3, 5"""
    yield f"""
        INSERT INTO requests (id, destination, started_at, ended_at, signals, status, summary)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {events // 50})
        SELECT i, CASE i % 2 WHEN 0 THEN 'tiktok' ELSE 'pinterest' END, {start} + i * {span} / {events // 50},
            {start} + i * {span} / {events // 50} + 300, 100, 200, '100 of 100 settled' FROM n"""
    yield f"""
        INSERT INTO ledger_trace (event, destination, at, verdict, reason, sentence, request)
        SELECT id, 'tiktok', received_at, 'waiting', 'busy', 'The platform asked us to wait.', 1 FROM events WHERE id % 97 = 3"""
    yield f"""
        INSERT INTO journal (position, source, wire, method, path, headers, body, client_ip, user_agent, received_at, messages)
        SELECT id >> 16, 'web', 'pipelines', 'POST', '/v1/batch', '{{}}', CAST('{{"batch":[' || group_concat(printf(
            '{{"type":"track","messageId":"%s","userId":"U-%d","event":"%s","timestamp":"%s","context":{{"ip":"203.0.113.7","page":'
            || '{{"url":"https://shop.example/thanks"}}}},"properties":{{"order_id":"O-%d","total":%d.5,"currency":"USD"}}}}',
            substr(message_key, instr(message_key, ':') + 1), person, name, strftime('%Y-%m-%dT%H:%M:%SZ', time / 1000, 'unixepoch'),
            id, id % 180 + 20)) || ']}}' AS BLOB), '203.0.113.7', 'analytics.js', received_at, count(*)
        FROM events WHERE received_at >= {now - JOURNAL_DAYS * DAY} GROUP BY id >> 16"""
    yield f"""
        INSERT INTO identifiers (key, person)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {people})
        SELECT 'email:u' || i || '@shop.example', i FROM n UNION ALL SELECT 'external_id:U-' || i, i FROM n ORDER BY 1"""
    yield f"""
        INSERT INTO merges (event, person, other, joined, why, at)
        SELECT id, person, {people} + id / 65536, 1, 'same email', received_at FROM events WHERE id % 499 = 1"""
    for what, source in (("'accepted', d", "SELECT 'tiktok' AS d UNION ALL SELECT 'pinterest'"),
                         ("'source', d", "SELECT 'web' AS d UNION ALL SELECT 'shop'"),
                         ("'suppressed', d", "SELECT 'tiktok' AS d UNION ALL SELECT 'pinterest'")):  # fmt: skip
        buckets = " UNION ALL ".join(f"SELECT {clocks.bucket(150 * 2**power)} AS b" for power in range(12))
        yield f"""
            INSERT INTO clocks (hour, clock, name, bucket, signals)
            WITH RECURSIVE h(hour) AS (SELECT {start - start % HOUR} UNION ALL SELECT hour + {HOUR} FROM h WHERE hour < {now - HOUR})
            SELECT hour, {what}, b, 1 + b % 7 FROM h CROSS JOIN ({source}) CROSS JOIN ({buckets})"""
    masks = " UNION ALL ".join(f"SELECT {(bits * 2654435761) % (1 << 18)} AS keys" for bits in range(1, 25))
    names = " UNION ALL ".join(f"SELECT '{name}' AS name" for name in ("Order Completed", "Product Viewed", "Product Added"))
    yield f"""
        INSERT INTO coverage (hour, destination, source, name, keys, signals)
        WITH RECURSIVE h(hour) AS (SELECT {start - start % HOUR} UNION ALL SELECT hour + {HOUR} FROM h WHERE hour < {now - HOUR})
        SELECT hour, d, s, name, keys, 1 + keys % 9 FROM h CROSS JOIN (SELECT 'tiktok' AS d UNION ALL SELECT 'pinterest')
        CROSS JOIN (SELECT 'web' AS s UNION ALL SELECT 'shop') CROSS JOIN ({names}) CROSS JOIN ({masks})"""
    yield f"""
        INSERT INTO notices (hour, destination, what, detail, name, currency, signals, value_micros, last_event)
        WITH RECURSIVE h(hour) AS (SELECT {start - start % HOUR} UNION ALL SELECT hour + {HOUR} FROM h WHERE hour < {now - HOUR})
        SELECT hour, d, what, CASE what WHEN 'observed' THEN 'heavily_discounted' ELSE '' END, 'Order Completed', 'USD', 3,
            190000000, 65536
        FROM h CROSS JOIN (SELECT 'tiktok' AS d UNION ALL SELECT 'pinterest')
        CROSS JOIN (SELECT 'observed' AS what UNION ALL SELECT 'refunded_after')"""
    yield f"""
        INSERT INTO marks (kind, source, name, value, at, event)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
        SELECT 'property', 'web', 'Product Viewed', 'property ' || i, {start} + i * {span} / 600, 65536 FROM n"""
    yield f"""
        INSERT INTO audit (at, who, what, subject, note)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        SELECT {start} + i * {span} / 5000, 'admin@shop.example', 'unmask', 'person ' || i, '' FROM n"""
    yield f"""
        INSERT INTO findings (key, kind, subject, severity, sentence, advice, share, money, currency, examples, link, since, seen_at,
                              closed_at)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
        SELECT 'refused:' || i, 'refused', 'tiktok', CASE i % 3 WHEN 0 THEN 'problem' ELSE 'warning' END,
            'TikTok refused ' || i || ' of 10,000 signals in the last day.', 'Mend what it objects to.', '0.02', i || '.50', 'USD',
            '[65536]', 'docs/leaks/README.md', {start} + i * {span} / 400, {now}, CASE WHEN i < 380 THEN {start} + i * {span} / 400 + {HOUR} END
        FROM n"""


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


def _orders(raw: sqlite3.Connection, now: int) -> Iterator[tuple[Any, ...]]:
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


def _crowds(slots: list[int], audiences: list[int], now: int) -> Iterator[str]:
    """Who is inside which segment, how they moved, and whom the audiences want and hold."""
    yield f"UPDATE segments SET ready_at = {now - DAYS * DAY}"
    yield "DELETE FROM backfills"
    chosen = " UNION ALL ".join(f"SELECT {slot} AS slot" for slot in sorted(slots))
    yield f"""
        INSERT INTO members (person, segment, since) SELECT p.id, slot, {now} - (p.id * 7919 + slot) % {60 * DAY}
        FROM (SELECT DISTINCT person AS id FROM identifiers ORDER BY 1) p CROSS JOIN ({chosen}) WHERE (p.id * 31 + slot * 17) % 10 < 2"""
    yield "INSERT INTO moves (person, at, segment, entered, event) SELECT person, since, segment, 1, 65536 FROM members"
    yield f"""
        INSERT INTO moves (person, at, segment, entered, event)
        SELECT person, since - {20 * DAY}, segment, 0, 0 FROM members WHERE person % 3 = 0"""
    for slot in sorted(audiences):
        yield f"""
            INSERT INTO audience_people (audience, person, wanted, stale, priority, event, asked_at)
            SELECT {slot}, person, CASE WHEN person % 13 = 0 THEN 0 ELSE 1 END, CASE WHEN person % 1999 = 0 THEN 1 ELSE 0 END, 1, 65536, since
            FROM members WHERE segment = {slots[slot % len(slots)]} ORDER BY person"""
        yield f"""
            INSERT INTO audience_keys (audience, key, person, state, at)
            SELECT {slot}, 'email:' || printf('%064x', person), person, 'there', {now - DAY} FROM audience_people
            WHERE audience = {slot} AND wanted = 1 ORDER BY 2"""
        yield f"""
            INSERT INTO audience_sizes (audience, hour, people)
            WITH RECURSIVE h(hour) AS (SELECT {now - now % HOUR - 15 * DAY} UNION ALL SELECT hour + {HOUR} FROM h WHERE hour < {now - HOUR})
            SELECT {slot}, hour, 180000 + hour / {HOUR} % 500 FROM h"""
    yield f"""
        UPDATE audiences SET state = 'ready', platform_id = '71' || slot, status = 'ready', size = 150000, size_at = {now - HOUR},
            synced_at = {now - MINUTE}, loaded_at = {now - 30 * DAY}, usable = 1, way = 'stream', used_by = '[]'"""
    yield f"INSERT INTO rollouts (destination, stage, since, held) VALUES ('pinterest', 1, {now - 30 * DAY}, '')"


def _found(raw: sqlite3.Connection, now: int) -> Known:
    def one(sql: str) -> int:
        return int(raw.execute(sql).fetchone()[0])

    event = one(
        "SELECT max(e.id) FROM events e JOIN ledger l ON l.event = e.id WHERE e.name = 'Order Completed' AND l.verdict = 'refused'"
    )
    return Known(
        event=event,
        person=one(f"SELECT person FROM events WHERE id = {event}"),
        finding=one("SELECT max(id) FROM findings"),
        until=now,
    )


def _look_after(database: Database, workspace: Workspace, text: str, now: int) -> None:
    """What the loops beside the console have done by then: sums, trends, sizes, findings."""
    while database.submit(lambda connection: sums.fold(connection, now, 48)).result():
        pass
    while database.submit(lambda connection: trends.condense(connection, now)).result():
        pass
    counted = database.look(partial(sizes.count, workspace=workspace, now=now))
    database.submit(lambda connection: sizes.keep(connection, counted)).result()
    database.submit(partial(revisions.keep, text=text, who="file", note="found at start", origin="start", now=now)).result()
    watch.once(database, workspace, now)


# ---- the visits ------------------------------------------------------------------------------------------------------------


class _Timed:
    """The application, with how long it took to answer each request."""

    def __init__(self, application: ASGIApp) -> None:
        self.application = application
        self.seconds = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        await self.application(scope, receive, send)
        self.seconds = time.perf_counter() - began


MORE = (
    "/?window=1h", "/?window=7d", "/?window=30d", "/index.json?window=30d", "/signals?verdict=refused", "/signals?destination=tiktok",
    "/signals?event=Order+Completed", "/signals?reason=no_identifier", "/quality?window=30d", "/quality/value?window=30d",
    "/quality/clocks?window=30d", "/quality/duplicates?window=30d", "/quality/gates?window=30d",
)  # fmt: skip
"""Pages with filters, beside each page as it opens."""


def addresses(known: Known) -> list[str]:
    """Every page of the console, its numbers and names filled in; and some with filters."""
    fills = {
        "event": str(known.event),
        "person": str(known.person),
        "finding": str(known.finding),
        "revision": "1",
        "proposal": "1",
        "destinations": "tiktok",
        "destination": "tiktok",
        "segments": "buyers_14d",
        "audiences": "buyers_14d",
    }
    found = []
    for way in pages.WAYS:
        if way.twin:
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
            transport=httpx.ASGITransport(app=timed, raise_app_exceptions=False), base_url="http://127.0.0.1", timeout=300, follow_redirects=True
        ) as client:
            link = await database.write(_way_in)
            (await client.get(f"/enter/{link}")).raise_for_status()
            for address in addresses(known):
                times = []
                status = 200
                for _ in range(1 + visits):
                    answer = await client.get(address)
                    status = answer.status_code
                    if status != 200:
                        break
                    times.append(timed.seconds * 1000)
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


def _figures(times: Iterable[float]) -> dict[str, float]:
    first, *rest = times
    rest = sorted(rest) or [first]
    return {
        "p50_ms": round(rest[len(rest) // 2], 1),
        "p95_ms": round(rest[min(len(rest) - 1, int(len(rest) * 0.95))], 1),
        "first_ms": round(first, 1),
    }
