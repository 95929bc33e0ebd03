"""`signalpost lift`: the verdict, the picture and the figures on a terminal and as JSON, and what it cannot compare."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.cli.conftest import Run

from signalpost.events import Bought, Person
from signalpost.segments.live import lot
from signalpost.store.database import Connection, Database

DAY = 86_400_000

ENVIRON = {"PINTEREST_TOKEN": "pina_demo"}

WORKSPACE = """
workspace: glow
environment: test
currency: USD
country: US
order_value: gross
sources:
  web: {type: pipelines, write_key: abc}
segments:
  carts: {all: [{did: Checkout Started, within: 1d}, {did_not: Order Completed, within: 1d}]}
  buyers: {did: Order Completed, within: 14d}
audiences:
  - {segment: carts, to: pinterest, use: target, unless: [buyers], holdout: 20%}
  - {segment: buyers, to: pinterest, use: suppress}
  - {segment: buyers, to: pinterest, use: seed, name: alike}
destinations:
  pinterest:
    type: pinterest
    ad_account: "549755885175"
    access_token: ${PINTEREST_TOKEN}
    endpoint: http://127.0.0.1:9
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace whose people entered carts lately: of the audience one of eight ordered, of those held out one of twenty."""
    file = tmp_path / "signalpost.yaml"
    file.write_text(WORKSPACE)
    now = time.time_ns() // 1_000_000
    database = Database(str(tmp_path / "signalpost.db"))

    def fill(connection: Connection) -> None:
        connection.script(
            "INSERT INTO segments (slot, name, digest, ready_at) VALUES (1, 'carts', 'd', 0), (2, 'buyers', 'd', 0)"
        )
        people, moves = [], []
        for number in range(1, 3_001):
            at = now - 20 * DAY + number * 60_000
            every = 20 if lot("holdout:carts", number) < 200_000 else 8
            bought = Bought(at + DAY, Decimal(50), Decimal(0), Decimal(0), Decimal(50), False, False)
            record = Person(id=number, orders={"a": bought} if number % every == 0 else {})
            people.append((number, msgspec.json.encode(record), at))
            moves.append((number, at))
        connection.raw.executemany("INSERT INTO people (id, record, changed_at) VALUES (?, ?, ?)", people)  # type: ignore[attr-defined]
        connection.raw.executemany(  # type: ignore[attr-defined]
            "INSERT INTO moves (person, at, segment, entered, event) VALUES (?, ?, 1, 1, 0)", moves
        )

    database.submit(fill).result()
    database.close()
    return file


def test_it_tells_the_verdict_and_draws_both_arms(run: Run, workspace: Path) -> None:
    """The verdict stands first; then each arm is a bar with its interval, with the figures that make it up."""
    done = run("lift", "carts", environ=ENVIRON)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ads bring between ")
    assert "20 % held out" in done.stdout
    bars = [line for line in done.stdout.splitlines() if line.startswith(("  in the audience", "  held out"))]
    assert len(bars) == 2
    assert all("█" in bar and "▒" in bar and "┃" in bar for bar in bars)
    assert bars[0].index("┃") > bars[1].index("┃")
    for words in (
        "buyers per 1,000 people",
        "relative lift",
        "revenue per person",
        "needed",
        "No platform has all of this audience",
    ):
        assert words in done.stdout


def test_before_anything_happened_nobody_is_compared(run: Run, tmp_path: Path) -> None:
    """Without a database there is nobody in either arm, and none is made by asking."""
    (tmp_path / "signalpost.yaml").write_text(WORKSPACE)
    done = run("lift", "carts", "--json", environ=ENVIRON)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout, parse_constant=pytest.fail)
    assert ("nobody", 0, 0) == (told["verdict"], told["shown"]["people"], told["held"]["people"])
    assert not (tmp_path / "signalpost.db").exists()


def test_as_json_it_has_every_figure(run: Run, workspace: Path) -> None:
    """JSON has both arms, the intervals and the verdict, and nothing a parser stumbles over."""
    done = run("lift", "carts", "--since", "25d", "--window", "3d", "--detect", "50%", "--json", environ=ENVIRON)
    told = json.loads(done.stdout, parse_constant=pytest.fail)
    assert told["verdict"] == "brings"
    assert told["shown"]["people"] + told["held"]["people"] == 3_000
    assert told["difference"]["low"] > 0
    assert told["shown"]["revenue"] == str(50 * told["shown"]["buyers"])
    assert (told["holdout"], told["detect"], told["window"]) == (0.2, 0.5, 3 * DAY)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("cart",), "has no audience cart. Did you mean `carts`?"),
        (("buyers",), "buyers holds nobody out, so there is nothing to compare with. Give it `holdout: 10%`"),
        (("alike",), "alike is a seed"),
        (("carts", "--since", "7d"), "--since 7d holds nobody whose 7 days are over"),
        (("carts", "--window", "soon"), "--window soon: write a time such as"),
        (("carts", "--detect", "20"), "--detect 20: write a share such as 20%"),
        (("carts", "--detect", "0%"), "no number of people shows"),
    ],
)
def test_what_cannot_be_compared_is_said(run: Run, workspace: Path, arguments: tuple[str, ...], sentence: str) -> None:
    """Each misuse is one sentence that says what to do, and exit code 2."""
    done = run("lift", *arguments, environ=ENVIRON)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
