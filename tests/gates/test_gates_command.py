"""`signalpost gates`: the rules of a workspace as sentences, with what they caught."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

from signalpost.presets import PRESETS
from signalpost.store.database import Connection, Database
from signalpost.store.gates import caught

WORKSPACE = """\
workspace: glow
environment: production
currency: USD
country: US
order_value: net
sources: {shop: {type: shopify, secret: "${SECRET}"}}
destinations: {tiktok: {type: tiktok, pixel: p1, access_token: "${SECRET}"}}
gates:
  - {preset: heavily_discounted, share: 40%, mode: observing}
  - {reason: Wholesale, when: {order.value: {gte: 2000}}, destinations: [tiktok], events: [Order Completed]}
"""
HOUR = 3_600_000


def run(folder: Path, *arguments: str) -> str:
    (folder / "signalpost.yaml").write_text(WORKSPACE)
    done = subprocess.run(
        [sys.executable, "-c", "from signalpost.cli import main; main()", "gates", *arguments],
        capture_output=True,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "SECRET": "x"},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout.decode()


def count(connection: Connection, now: int) -> None:
    """Two orders that an observing gate let through, and one that an enforcing one withheld; and older ones."""
    for hour in (now - now % HOUR, now - now % HOUR - 240 * HOUR):
        connection.run_many(
            "notice_add", [(hour, "tiktok", "observed", "heavily_discounted", "Order Completed", "USD", 2, 90_500_000, 7)]
        )
        connection.run_many(
            "rollup_add", [(hour, "tiktok", "Order Completed", "withheld", "gate:wholesale", "USD", 1, 2_500_000_000, 0)]
        )


def test_a_rule_is_told_with_what_it_caught(tmp_path: Path) -> None:
    """Each rule is a sentence; with a database there is what it caught in seven days; unused presets are offered."""
    before = run(tmp_path)
    assert "Would withhold when order discount share is 40% or more." in before
    assert "Withholds when order value is 2000 or more." in before
    assert "Looks at Order Completed; for tiktok." in before
    assert "In 7 days" not in before
    assert not (tmp_path / "signalpost.db").exists()

    database = Database(str(tmp_path / "signalpost.db"))
    now = int(time.time() * 1000)
    database.submit(lambda connection: count(connection, now)).result()
    database.close()

    after = run(tmp_path)
    assert "In 7 days 2 signals worth 90.50 USD would have been withheld." in after
    assert "In 7 days 1 signal worth 2,500.00 USD withheld." in after
    told = json.loads(run(tmp_path, "--json"))
    assert [gate["name"] for gate in told["gates"]] == ["heavily_discounted", "wholesale"]
    assert told["gates"][0]["last_days"] == [{"observing": True, "signals": 2, "value": "90.50", "currency": "USD"}]
    assert {preset["name"] for preset in told["presets"]} == set(PRESETS) - {"heavily_discounted"}


def test_money_is_added_exactly(database: Database) -> None:
    """What gates caught is added to the millionth on either database, however much it is."""
    now = 1_780_000_000_000
    most = 2_305_843_009_213_693_951

    def fill(connection: Connection) -> None:
        connection.run_many(
            "rollup_add",
            [
                (now + minute * 60_000, "tiktok", "Order Completed", "withheld", "gate:one", "USD", 1, most, 0)
                for minute in range(9)
            ],
        )

    database.submit(fill).result()
    (found,) = database.look(lambda connection: caught(connection, now))
    assert (found.gate, found.observing, found.signals) == ("one", False, 9)
    assert found.value == Decimal(most) * 9 / 1_000_000
