"""`signalpost rollout`: what it shows, what it moves, what it refuses; in processes of their own on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from signalpost import config
from signalpost.destinations import CATALOG
from signalpost.processing import now_ms
from signalpost.rollout import Standing
from signalpost.store import batches, rollouts
from signalpost.store.database import Connection, Database

Run = Callable[..., CompletedProcess[str]]

DAY, HOUR = 86_400_000, 3_600_000
FILE = """
workspace: glow
environment: production
currency: USD
country: US
order_value: net
timezone: Europe/Berlin
destinations:
  pinterest:
    type: pinterest
    ad_account: '549755885175'
    access_token: ${TOKEN}
    rollout:
      - {send: [Order Completed], for: 72h, until: {accepted: ">= 99%", duplicates: "<= 2%", events: ">= 500"}}
      - {send: [Checkout Started, Product Added]}
      - {send: [Product Viewed], at_most: {Product Viewed: 5}}
  all:
    type: pinterest
    ad_account: '549755885176'
    access_token: ${TOKEN}
"""
ENVIRON = {"TOKEN": "pina_demo", "USER": "ada", "LOGNAME": "ada"}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace file whose Pinterest has three stages."""
    file = tmp_path / "shop.yaml"
    file.write_text(FILE, "utf-8")
    return file


def happened(shop: Path, began: int, *counts: tuple[str, str, str, int]) -> None:
    """The rollout began, and since then so many signals: (event, verdict, reason, how many)."""

    def write(connection: Connection) -> None:
        standing = Standing(destination="pinterest", since=began)
        rollouts.place(connection, standing, who="Signalpost", what="began", note="Stage 1 of 3.", now=began)
        for event, verdict, reason, many in counts:
            rows: dict[tuple[str, ...], list[int]] = {("pinterest", event, verdict, reason, "USD"): [many, 0, 0]}
            batches.count(connection, began + HOUR, rows)

    database = Database(str(shop.with_name("signalpost.db")))
    database.submit(write).result()
    database.close()


def looked(shop: Path) -> list[rollouts.Change]:
    """What the server's loop does each minute."""
    workspace = config.load(shop, ENVIRON, CATALOG)
    database = Database(workspace.database)
    found = database.submit(partial(rollouts.advance_all, workspace=workspace, now=now_ms())).result()
    database.close()
    return found


def status(run: Run, shop: Path) -> dict[str, Any]:
    done = run("rollout", "status", shop.name, "--json", environ=ENVIRON)
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)
    assert isinstance(one, dict)
    return one


def test_status_before_anything_ran(run: Run, shop: Path) -> None:
    """Stages are drawn although the rollout has not begun."""
    done = run("rollout", "status", shop.name, environ=ENVIRON)
    assert done.returncode == 0
    assert "not begun: stage 1 of 3" in done.stdout
    assert "at most 5 Product Viewed for each purchase" in done.stdout
    assert status(run, shop)["stage"] == 0


def test_status_shows_figures_beside_bounds_and_why_it_is_held(run: Run, shop: Path) -> None:
    """Ticks and crosses, the reason as the loop wrote it, what was withheld meanwhile and what happened."""
    happened(
        shop,
        now_ms() - 4 * DAY,
        ("Order Completed", "accepted", "", 400),
        ("Order Completed", "refused", "40002", 12),
        ("Product Added", "withheld", "not_yet_rolled_out", 900),
        ("Product Viewed", "withheld", "over_cap", 30),
    )
    looked(shop)
    text = run("rollout", "status", shop.name, environ=ENVIRON).stdout
    assert "● 1  Order Completed; at least 72h" in text
    assert "✗ accepted      97%            wanted >= 99%" in text
    assert "✓ duplicates    0%             wanted <= 2%" in text
    assert "✗ events        412            wanted >= 500" in text
    assert "held: 97% accepted, 99% wanted; 412 of 500 events" in text
    assert "kept for a later stage since this stage began: Product Added (900)" in text
    assert "over their cap since this stage began: Product Viewed (30)" in text
    assert "Signalpost: rollout held." in text
    told = status(run, shop)
    assert (told["stage"], told["stages"], told["sends"]) == (1, 3, ["Order Completed"])
    assert told["held"] == "97% accepted, 99% wanted; 412 of 500 events"
    assert [(check["measure"], check["holds"]) for check in told["checks"]] == [
        ("accepted", False),
        ("duplicates", True),
        ("events", False),
    ]


def test_status_says_when_it_may_go_on(run: Run, shop: Path) -> None:
    """Before the least time has passed it says when that is; when all holds, that it goes on by itself."""
    happened(shop, now_ms() - DAY, ("Order Completed", "accepted", "", 500))
    assert "may go on from" in run("rollout", "status", shop.name, environ=ENVIRON).stdout
    happened(shop, now_ms() - 5 * DAY, ("Order Completed", "accepted", "", 500))
    assert "every bound holds" in run("rollout", "status", shop.name, environ=ENVIRON).stdout


def test_a_person_advances_and_goes_back(run: Run, shop: Path) -> None:
    """Each move is told, says what the stage before still asked for, and leaves who and why in the audit."""
    done = run("rollout", "advance", shop.name, "pinterest", "--note", "the sale begins", environ=ENVIRON)
    assert done.returncode == 0, done.stderr
    assert "pinterest is in stage 2 of 3 now. It sends Checkout Started, Order Completed, Product Added." in done.stdout
    assert "The stage before asked for more: accepted: not yet known, 99% wanted" in done.stdout
    assert "goes on by hand" in run("rollout", "status", shop.name, environ=ENVIRON).stdout
    done = run("rollout", "restart", shop.name, "pinterest", "--note", "carts have prices now", environ=ENVIRON)
    assert "pinterest is in stage 2 of 3 now." in done.stdout
    done = run("rollout", "back", shop.name, "pinterest", "--note", "too many carts", "--by", "grace", "--json", environ=ENVIRON)
    assert json.loads(done.stdout) == {
        "destination": "pinterest", "stage": 1, "stages": 3, "sends": ["Order Completed"], "by": "grace",
        "note": "too many carts",
    }  # fmt: skip
    assert [(line["who"], line["what"], line["note"]) for line in status(run, shop)["changes"]] == [
        ("grace", "rollout moved back", "too many carts"),
        ("ada", "rollout begun anew", "carts have prices now"),
        ("ada", "rollout advanced", "the sale begins"),
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("back", "shop.yaml", "pinterest", "--note", "x"), "pinterest cannot be moved: it is in its first stage already."),
        (("advance", "shop.yaml", "pintrest", "--note", "x"), "no destination `pintrest`. Did you mean `pinterest`?"),
        (("advance", "shop.yaml", "all", "--note", "x"), "all has no rollout: everything is sent at once."),
        (("advance", "shop.yaml", "pinterest"), "Missing option '--note'"),
        (("advance", "shop.yaml", "pinterest", "--note", " "), "neither may be empty"),
        (("advance", "shop.yaml", "pinterest", "--note", "x", "--by", ""), "neither may be empty"),
        (("status", "none.yaml"), "There is no workspace file none.yaml."),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, shop: Path, words: tuple[str, ...], sentence: str) -> None:
    """A sentence on standard error, exit code 2, and nothing changes."""
    done = run("rollout", *words, environ=ENVIRON)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_last_stage_has_no_next(run: Run, shop: Path) -> None:
    """Behind the last stage there is nothing."""
    for _ in range(2):
        assert run("rollout", "advance", shop.name, "pinterest", "--note", "x", environ=ENVIRON).returncode == 0
    done = run("rollout", "advance", shop.name, "pinterest", "--note", "x", environ=ENVIRON)
    assert done.returncode == 2
    assert "it is in its last stage already" in done.stderr
    assert "the last stage: everything it names is sent" in run("rollout", "status", shop.name, environ=ENVIRON).stdout
