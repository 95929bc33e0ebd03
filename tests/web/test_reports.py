"""Reports: the week, lift, and tables to take along."""

from __future__ import annotations

import csv
import io
import re
import time
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from tests.store.shop import RAW, order
from tests.web.conftest import Running, now_ms, running

from signalpost.config import Workspace
from signalpost.options import Audience
from signalpost.store.exports import TABLES
from signalpost.web import exports


def token(client: httpx.Client, path: str) -> str:
    """The form token of a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


def waited(client: httpx.Client, path: str, what: str) -> dict[str, Any]:
    """A page's data when what it computes beside itself is there."""
    until = time.monotonic() + 30
    while True:
        found: dict[str, Any] = client.get(path).json()
        if found[what] or time.monotonic() > until:
            return found
        time.sleep(0.05)


def test_the_week_is_computed_beside_and_shown(console: Running) -> None:
    """The report of the last days is computed beside the page, told with its moment, shown in a frame and given as a file."""
    console.fill()
    with console.client(signed_in=True, role="viewer") as client:
        told = waited(client, "/reports.json", "report")
        assert told["made_at"] > 0
        assert told["report"]["events"] >= 6
        page = client.get("/reports").text
        assert '<iframe class="report" src="/reports/week"' in page
        shown = client.get("/reports/week")
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        assert "script" not in shown.headers["content-security-policy"]
        assert told["report"]["summary"].split(".")[0] in shown.text
        kept = client.get("/reports/week?download=1")
        assert kept.headers["content-disposition"].startswith('attachment; filename="signal-report-')
        assert not any(raw in shown.text for raw in RAW)
        assert client.get("/reports?week=2026-W99").status_code == 404
        assert client.get("/reports?week=2099-W01").status_code == 404


def test_an_empty_shop_is_sent_to_set_up(console: Running) -> None:
    """Without events the pages say what will stand there, with a link to what to do."""
    with console.client(signed_in=True) as client:
        for path in ("/reports", "/reports/exports"):
            assert 'href="/setup"' in client.get(path).text
        assert 'href="/segments"' in client.get("/reports/lift").text


@pytest.fixture
def held(tmp_path: Path) -> Any:
    """A console of a shop with one audience that holds people out and one that does not."""
    audiences = (
        Audience(segment="buyers", to=("tiktok",), use="target", holdout="10%"),
        Audience(segment="buyers", name="everybody", to=("tiktok",), use="target"),
    )
    chosen = Workspace(
        workspace="glow",
        environment="production",
        currency="GBP",
        country="GB",
        order_value="gross",
        database=str(tmp_path / "signalpost.db"),
        segments={"buyers": {"did": "Order Completed", "within": "14d"}},
        audiences=audiences,
    )
    with running(tmp_path, chosen) as ready:
        yield ready


def test_lift_stands_with_its_verdict(held: Running) -> None:
    """Each audience that holds people out is compared; of the others it is said why not; a window as long as the time is not."""
    with held.client(signed_in=True, role="viewer") as client:
        told = waited(client, "/reports/lift.json", "running")
        until = time.monotonic() + 30
        while told["compared"][0]["lift"] is None and time.monotonic() < until:
            time.sleep(0.05)
            told = client.get("/reports/lift.json").json()
        assert [each["audience"] for each in told["compared"]] == ["buyers"]
        assert told["compared"][0]["lift"]["verdict"] == "nobody"
        assert told["without"] == ["everybody"]
        assert told["compared"][0]["lift"]["sentence"].split(":")[0] in client.get("/reports/lift").text
        assert client.get("/reports/lift.json?since=30d&window=30d").json()["since"] == "60d"


def days(now: int) -> dict[str, str]:
    """Yesterday to tomorrow, whatever the zone."""
    day = 86_400_000
    first, last = (time.strftime("%Y-%m-%d", time.gmtime((now + days) / 1000)) for days in (-day, day))
    return {"first": first, "last": last}


def test_signals_leave_as_csv_and_as_parquet_alike(console: Running, tmp_path: Path) -> None:
    """Both forms hold every signal of the days with its verdict, no person's data, and leave a line in the audit."""
    console.fill()
    with console.client(signed_in=True, role="operator") as client:
        csrf = token(client, "/reports/exports")
        form = {"csrf": csrf, **days(now_ms())}
        texts = {}
        for table in TABLES:
            sent = client.post("/reports/exports", data={**form, "table": table, "format": "csv"})
            assert sent.status_code == 200
            assert sent.headers["content-type"].startswith("text/csv")
            texts[table] = sent.text
            assert not any(raw in sent.text for raw in RAW)
            packed = client.post("/reports/exports", data={**form, "table": table, "format": "parquet"})
            file = tmp_path / f"{table}.parquet"
            file.write_bytes(packed.content)
            rows = list(csv.DictReader(io.StringIO(sent.text)))
            with duckdb.connect() as database:
                found = database.execute(f"SELECT * FROM read_parquet('{file}')").fetchall()
                names = [each[0] for each in database.description or ()]
            assert (len(found), names) == (len(rows), list(rows[0]) if rows else [each.name for each in TABLES[table].columns])
    told = list(csv.DictReader(io.StringIO(texts["signals"])))
    assert {each["verdict"] for each in told} >= {"accepted", "warned", "refused", "unknown", "waiting", "withheld"}
    orders = list(csv.DictReader(io.StringIO(texts["orders"])))
    assert {each["order_id"] for each in orders} >= {"A-accepted", "A-refused"}
    assert {each["value"] for each in orders} == {"49.9"}

    def audited(connection: Any) -> list[Any]:
        return list(connection.raw.execute("SELECT what, subject FROM audit").fetchall())

    assert ("exported", "signals as csv") in console.shop.database.look(audited)


def test_an_export_has_more_than_a_page(console: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small its pages are, an export has each signal exactly once."""
    console.fill()
    now = now_ms()
    for number in range(7):
        console.shop.say(order(f"more-{number}", f"B-{number}", now), at=now)  # several at one moment
    console.shop.process(now)
    with console.client(signed_in=True, role="operator") as client:
        form = {"csrf": token(client, "/reports/exports"), **days(now), "format": "csv"}
        for table in TABLES:
            whole = client.post("/reports/exports", data={**form, "table": table}).text
            monkeypatch.setattr("signalpost.store.exports.PAGE", 2)
            pieces = client.post("/reports/exports", data={**form, "table": table}).text
            monkeypatch.undo()
            assert sorted(whole.splitlines()) == sorted(pieces.splitlines())


def test_only_operators_take_tables_along(console: Running) -> None:
    """A viewer sees what there is and cannot take it; days that are too many or no days are refused with a sentence."""
    console.fill()
    with console.client(signed_in=True, role="viewer") as client:
        page = client.get("/reports/exports").text
        assert "needs the role operator" in page
        assert "Download CSV" not in page
        assert client.post("/reports/exports", data={"table": "signals"}).status_code == 403
    with console.client(signed_in=True, role="operator") as client:
        csrf = token(client, "/reports/exports")
        form = {"csrf": csrf, "table": "signals", "format": "csv"}
        for first, last in (("2026-01-01", "2026-12-01"), ("2026-02-02", "2026-02-01"), ("soon", "2026-02-01")):
            assert client.post("/reports/exports", data={**form, "first": first, "last": last}).status_code == 422
        assert client.post("/reports/exports", data={**form, "table": "users", **days(now_ms())}).status_code == 422


def test_no_cell_is_a_formula() -> None:
    """What a spreadsheet would work out is kept a text."""
    for text in ("=1+1", "+1", "-1", "@A1", "\t=1", "  =1", "\r=1"):
        assert exports.harmless(text).startswith("'")
    assert exports.harmless("Order 1-2=3") == "Order 1-2=3"
