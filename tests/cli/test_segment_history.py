"""`signalpost segments sql`, `preview` and `export`, in processes of their own on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import duckdb
import pytest
from tests.cli.test_segments import ANN, BEA, DAY, FILE, HOUR, happened

from signalpost.processing import now_ms
from signalpost.segments import sql, tables

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace with segments, in which two people began to check out and one bought."""
    file = tmp_path / "signalpost.yaml"
    file.write_text(FILE, "utf-8")
    happened(
        file, (2 * DAY, ANN, "Checkout Started"), (7 * HOUR, BEA, "Checkout Started"), (2 * DAY - HOUR, ANN, "Order Completed")
    )
    return file


def test_sql_is_asked_of_an_export(run: Run, shop: Path) -> None:
    """The printed statement, run over the exported files, gives the members."""
    assert run("segments", "export", "out").returncode == 0
    done = run("segments", "sql", "cart")
    assert (done.returncode, done.stderr) == (0, "")
    with duckdb.connect() as connection:
        for table in tables.TABLES:
            connection.execute(f"CREATE TABLE {table} AS SELECT * FROM '{shop.parent}/out/{table}.parquet'")
        found = connection.execute(done.stdout, {"now": now_ms()}).fetchall()
    told = json.loads(run("segments", "explain", "cart", BEA, "--json").stdout)
    assert found == [(told[0]["person"],)]


def test_sql_takes_a_moment_and_a_dialect(run: Run, shop: Path) -> None:
    """With `--at` the moment stands in the statement; a dialect or a moment that is none is told."""
    done = run("segments", "sql", "cart", "--dialect", "bigquery", "--at", "2026-11-27T18:00:00Z")
    assert "1795802400000" in done.stdout
    assert "@now" not in done.stdout
    for option, word in (("--dialect", "cobol"), ("--at", "soon")):
        done = run("segments", "sql", "cart", option, word)
        assert (done.returncode, word in done.stderr) == (2, True)
    assert run("segments", "sql", "nobody").returncode == 2
    assert set(sql.DIALECTS) == {"duckdb", "postgresql", "bigquery", "snowflake", "databricks", "spark", "clickhouse"}


def test_a_preview_of_a_rule_that_is_no_segment(run: Run, shop: Path) -> None:
    """A rule as YAML is asked of the history: its size, its days, and people masked."""
    done = run("segments", "preview", "{did: Checkout Started, within: 3d}", "--since", "3d", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["inside"], told["known"], len(told["days"])) == (2, 2, 3)
    assert told["sentence"] == "Checkout Started happened in the last 3 days"
    assert ANN not in done.stdout
    assert "a…@s….example" in done.stdout
    shown = run("segments", "preview", "cart", "--since", "2d")
    assert "1 of 2 people are inside now (50.0%)." in shown.stdout
    assert BEA not in shown.stdout


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("crat", "Did you mean"),
        ("{did: Checkout Started, witin: 3d}", "within"),
        ("{did: Checkout Started, where: {order.number: 1}}", "not known when the event comes"),
        ("{did: [", ""),
    ],
)
def test_a_rule_that_cannot_be_asked_is_told(run: Run, shop: Path, rule: str, sentence: str) -> None:
    """A mistake in the rule, or what history cannot answer, is a sentence, and no stack trace."""
    done = run("segments", "preview", rule)
    assert done.returncode in {1, 2}
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
