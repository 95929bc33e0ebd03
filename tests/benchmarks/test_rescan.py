"""The re-scan bench asks every segment and gives its figures."""

from __future__ import annotations

import json

from signalpost.benchmarks import rescan


def test_bench_rescan_gives_its_figures() -> None:
    """All thirty segments are asked over the history, and somebody is inside."""
    result = rescan.run(people=500, events=5_000, refreshes=1)
    assert ("rescan", 500, 5_000) == (result["bench"], result["people"], result["events"])
    assert result["segments"] >= 30
    assert result["memberships"] > 0
    assert result["seconds_per_refresh"] > 0
    json.dumps(result)
