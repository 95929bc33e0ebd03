"""Measure the alarm on match keys: how soon it finds drops injected in real traffic, and how often it calls a false one.

    python scripts/measure_alarm.py [--kept FILE] [--clicks GA4_EVENTS.parquet] [--every HOURS]

Takes the year of real orders (`signalpost.samples`) through the real pipeline, hour by hour, and notes each signal's match keys.
Then it asks `coverage.drop` as the hub does, hour by hour:

- on the year as it is: every alarm is a false one;
- on the year with the e-mail of a share of one source's visitors taken away from a moment on, for many moments.

`--clicks` takes another shop's clickstream instead, as Parquet with the columns of Google's GA4 export (needs `duckdb`): more
traffic, and real visitors who come back. It names nobody, so each visitor has each key by a hash.

Prints the tables that stand in docs/leaks/match-keys.md. `--kept` keeps the signals between runs.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import zlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import ceil
from pathlib import Path

import msgspec

from signalpost import coverage, pipeline
from signalpost.config import Destination, Source, Workspace
from signalpost.coverage import Counted
from signalpost.samples import traffic
from signalpost.sources import Received

HOUR, DAY = 3_600_000, 86_400_000
START = 1_700_006_400_000
PLATFORM = "tiktok"
KEY = "email"
LOST = (0.1, 0.3, 0.6, 1.0)
MOMENTS = 20
"""Drops of each size, spread over the year."""
PATIENCE = 28 * DAY
"""A drop that is not found within so long is called not found."""

Signal = tuple[int, str, str, int, int]
"""(hour, source, event, visitor, mask)."""
Stream = tuple[str, str]
"""(source, event)."""


def signals() -> Iterator[Signal]:
    """The year's signals as the pipeline makes them; messages of the shop's server are a source of their own."""
    workspace = Workspace(
        workspace="year",
        environment="production",
        currency="GBP",
        country="GB",
        order_value="gross",
        timezone="Europe/London",
        database=":memory:",
        sources={name: Source(type="pipelines", write_key=f"key-of-{name}") for name in ("web", "server")},
        destinations={
            PLATFORM: Destination(type=PLATFORM, settings={"pixel": "C", "access_token": "t", "website": traffic.SHOP})
        },
    )
    now, source = START, "web"

    def received() -> Iterator[Received]:
        nonlocal now, source
        for message in traffic.messages(start=START, updated_after=traffic.INVOICES):  # without the sample's own drop
            now = message.due_ms
            source = "web" if message.body["context"]["library"]["name"] == "analytics.js" else "server"
            yield Received(
                source=source,
                wire="pipelines",
                method="POST",
                path="/v1/batch",
                body=msgspec.json.encode({"batch": [message.body]}),
                received_at=now,
            )

    for each in pipeline.preview(pipeline.plan(workspace), received(), lambda: now):
        if each.request is not None and each.event is not None:
            body = msgspec.json.decode(each.request)
            user = body["user"]
            who = user.get("external_id") or user.get("email") or [user.get("ip", "")]
            yield now - now % HOUR, source, each.event, zlib.crc32(str(who[0]).encode()), carried(user)


def clicks(events: Path) -> Iterator[Signal]:
    """The signals of a clickstream. It has no match keys: each visitor has each key or not by a hash, at some share."""
    import duckdb  # noqa: PLC0415  (only for this)

    asked = "SELECT event_ts_us, event_name, user_pseudo_id FROM read_parquet(?) WHERE list_contains(?, event_name) ORDER BY 1"
    for micros, name, visitor in duckdb.execute(asked, [str(events), list(WATCHED)]).fetchall():
        hashed = hashlib.sha256(visitor.encode()).digest()
        mask = sum(1 << key.bit for key in coverage.KEYS.values() if hashed[key.bit] < 256 * SHARES[key.bit % len(SHARES)])
        yield micros // 1000 - micros // 1000 % HOUR, "clicks", name, zlib.crc32(visitor.encode()), mask


SHARES = (0.6, 0.2, 0.4, 0.8, 0.95, 0.05)
"""Of visitors with a key, by its bit."""
WATCHED = ("view_item", "add_to_cart", "begin_checkout", "purchase")

ROWS = {row.path: bit for bit, row in coverage.rows_of(PLATFORM)}


def carried(user: dict[str, object]) -> int:
    """The mask of a signal as it was written for the platform."""
    found = 0
    for name in user:
        found |= ROWS.get(f"user.{name}", 0)
    return found


def counted(of: Iterable[Signal], key: str) -> dict[Stream, list[Counted]]:
    """Hours of each source and event, with how many signals had the key."""
    bit = coverage.KEYS[key].bit
    sums: dict[Stream, dict[int, list[int]]] = defaultdict(dict)
    for hour, source, name, _, mask in of:
        at = sums[source, name].setdefault(hour, [0, 0])
        at[0] += 1
        at[1] += mask >> bit & 1
    return {stream: [(hour, n, k) for hour, (n, k) in sorted(hours.items())] for stream, hours in sums.items()}


def asked(hours: list[Counted], start: int, end: int, every: int, margin: float) -> Iterator[tuple[int, coverage.Drop | None]]:
    """What the alarm says as time goes by, each `every` hours: (moment, drop)."""
    for moment in range(start, end, every * HOUR):
        seen = hours[bisect_left(hours, (moment - coverage.HISTORY,)) : bisect_left(hours, (moment,))]
        yield moment, coverage.drop(seen, margin)


def false_alarms(of: list[Signal], every: int) -> Iterator[tuple[str, str, str, int, str]]:
    """On the year as it is: (key, source, event, how many alarms, the first in words) for each stream."""
    first, last = of[0][0], of[-1][0]
    for key in coverage.KEYS:
        bit = 1 << coverage.KEYS[key].bit
        if not any(mask & bit for *_, mask in of):
            continue
        for (source, name), hours in counted(of, key).items():
            alarms, words, ringing = 0, "", False
            for moment, drop in asked(hours, first + coverage.LEARNED * DAY, last + HOUR, every, coverage.KEYS[key].margin):
                if drop is not None and not ringing:
                    alarms += 1
                    words = words or f"day {(moment - first) // DAY}: {drop.before:.1%} to {drop.after:.1%}, {drop.evidence:.1f}"
                ringing = drop is not None
            yield key, source, name, alarms, words


def delays(of: list[Signal], stream: Stream, lost: float) -> list[tuple[int, int] | None]:
    """(signals, hours) from the moment the key went missing to the alarm, for each moment; None where it was not found."""
    own = [each for each in of if (each[1], each[2]) == stream]
    first, last = own[0][0], own[-1][0]
    patience = min(PATIENCE, (last - first) // 3)
    step = (last - first - 35 * DAY - patience) // MOMENTS
    found: list[tuple[int, int] | None] = []
    bit = 1 << coverage.KEYS[KEY].bit
    for number in range(MOMENTS):
        since = first + 35 * DAY + number * step + number * 5 * HOUR  # not always at the same time of day
        since -= since % HOUR
        # The same visitors lose it for good, as when one pop-up or one browser's script no longer passes it on.
        broken = [
            (hour, source, name, who, mask & ~bit if hour >= since and (who + number) % 1000 < lost * 1000 else mask)
            for hour, source, name, who, mask in own
            if since - coverage.HISTORY <= hour < since + patience
        ]
        hours = counted(broken, KEY)[stream]
        alarm = next(
            (at for at, drop in asked(hours, since + HOUR, since + patience, 1, coverage.KEYS[KEY].margin) if drop), None
        )
        found.append(
            None if alarm is None else (sum(n for hour, n, _ in hours if since <= hour < alarm), (alarm - since) // HOUR)
        )
    return found


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", type=Path, help="keep the signals in this file between runs")
    parser.add_argument("--clicks", type=Path, help="measure with this clickstream instead of the year")
    parser.add_argument("--every", type=int, default=6, help="hours between two questions when false alarms are counted")
    chosen = parser.parse_args()
    if chosen.kept and chosen.kept.exists():
        of: list[Signal] = msgspec.json.decode(chosen.kept.read_bytes(), type=list[Signal])
    else:
        of = sorted(clicks(chosen.clicks) if chosen.clicks else signals())
        if chosen.kept:
            chosen.kept.write_bytes(msgspec.json.encode(of))
    days = (of[-1][0] - of[0][0]) / DAY
    print(f"{len(of):,} signals in {days:.0f} days\n")
    print("| source, event | signals a day | share with e-mail | lost | found | delay in signals: median, 90 % | in hours |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for stream, hours in counted(of, KEY).items():
        n, k = sum(row[1] for row in hours), sum(row[2] for row in hours)
        for lost in LOST:
            told = delays(of, stream, lost)
            found = [each for each in told if each is not None]
            spread = [
                f"{statistics.median(part):,.0f}, {sorted(part)[ceil(0.9 * len(part)) - 1]:,.0f}" if found else "-"
                for part in (zip(*found, strict=True) if found else ((), ()))
            ]
            print(
                f"| {stream[0]}, {stream[1]} | {n / days:.0f} | {k / n:.0%} | {lost:.0%} | {len(found)} of {len(told)} | "
                f"{spread[0]} | {spread[1]} |",
                flush=True,
            )
    alarms = streams = 0
    for key, source, name, many, words in false_alarms(of, chosen.every):
        streams += 1
        alarms += many
        if many:
            print(f"\nfalse: {key} of {name} from {source}: {many} ({words})", flush=True)
    rate = alarms / streams * 365 / days
    print(f"\n{alarms} false alarms in {streams} streams over {days:.0f} days: {rate:.3f} a stream and year")
    return 0


if __name__ == "__main__":
    sys.exit(main())
