"""Each bench runs and gives its documented figures; how large they are is no matter of tests."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from signalpost.benchmarks import flow, latency, mapping, orders, pages
from signalpost.web.pages import WAYS
from signalpost.web.routing import ANYONE


def figures(result: dict[str, Any], *names: str) -> None:
    """Each of these figures is a number above nothing, and the whole is what `--json` can print."""
    for name in names:
        assert type(result[name]) in {int, float}, name
        assert result[name] > 0, name
    json.dumps(result)


@pytest.mark.parametrize("platform", mapping.SETTINGS)
def test_bench_map_gives_its_figures(platform: str) -> None:
    """Every one of the signals is ready, and both sides are bytes."""
    result = mapping.run(platform, signals=200, warm=0)
    assert ("map", platform, 200) == (result["bench"], result["platform"], result["signals"])
    figures(result, "signals_per_second", "microseconds_per_signal", "bytes_in", "bytes_out")


async def test_bench_flow_gives_its_figures() -> None:
    """All events are accepted on both platforms; the bare limit and the costs stand beside the rate."""
    result = await flow.run(events=1_000, warm=200)
    assert ("flow", 1_000) == (result["bench"], result["events"])
    figures(result, "events_per_second", "signals_per_second", "limit_events_per_second", "share_of_limit", "seconds")
    assert {"intake and sending", "pipeline", "emulators", "load"} == set(result["cpu_microseconds_per_event"])
    assert 5 == len(result["memory_mb"])


async def test_bench_latency_gives_its_figures() -> None:
    """Of each event posted both platforms' answers are timed."""
    result = await latency.run(rate=50, seconds=2)
    assert ("latency", 200) == (result["bench"], result["signals"])
    figures(result, "p50_ms", "p95_ms", "p99_ms", "intake_p50_ms", "intake_p99_ms", "events_per_second")


def test_bench_pages_times_every_page(tmp_path: Path) -> None:
    """Every page answers on a small store, which is kept, and filled in what pages add up: no page is left out or fails."""
    result = pages.run(rows=4_000, visits=1, keep=tmp_path)
    assert ("pages", 4_000, {}) == (result["bench"], result["rows"], result["failed"])
    json.dumps(result)
    for address, times in result["pages"].items():
        figures(times, "p50_ms", "p95_ms", "cpu_ms", "first_ms")
        assert "{" not in address
    named = [way for way in WAYS if way.twin and way.role != ANYONE and way.path not in pages.NOBODYS]
    assert len(named) <= len(result["pages"])
    with closing(sqlite3.connect(tmp_path / "pages-4000.db")) as raw:
        of_minutes = raw.execute("SELECT sum(signals), sum(value_micros) FROM rollups WHERE destination <> ''").fetchone()
        of_verdicts = raw.execute("SELECT count(*) FROM ledger WHERE verdict <> 'waiting'").fetchone()
        assert of_minutes[0] == of_verdicts[0]
        assert of_minutes[1] > 0
    again = pages.run(rows=4_000, visits=1, keep=tmp_path)
    assert again["failed"] == {}
    assert again["pages"].keys() == result["pages"].keys()


def test_the_events_of_a_bench_are_what_it_says() -> None:
    """A request holds `size` events of about 2 KB; every fifth is from a person whom nobody has seen."""
    bodies = orders.bodies(1, 250, 1_700_000_000_000, size=100)
    sizes = [len(json.loads(body)["batch"]) for body in bodies]
    assert [100, 100, 50] == sizes
    assert 1_500 < len(bodies[0]) / 100 < 3_000
    people = [int(message["userId"].removeprefix("cust-")) for body in bodies for message in json.loads(body)["batch"]]
    assert 50 == sum(number >= orders.KNOWN_PEOPLE for number in people)
