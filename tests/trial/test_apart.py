"""Test and production stay apart: no shared account without a reason on both sides, no shared database at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.shop import workspace

from signalpost import neighbours
from signalpost.config import Server
from signalpost.destinations import CATALOG
from signalpost.errors import ConfigError, StoreError
from signalpost.platforms.testing import Client
from signalpost.serve import serving
from signalpost.store import owner
from signalpost.store.database import Database

FILE = """\
workspace: {workspace}
environment: {environment}
currency: EUR
country: DE
order_value: gross
database: {database}
sources:
  web: {{type: pipelines, write_key: web-key}}
destinations:
  {name}:
    type: tiktok
    pixel: {pixel}
    access_token: ${{TIKTOK_TOKEN}}
    test_code: TEST1
    {more}
"""
VARIABLES = {"TIKTOK_TOKEN": "token-of-tiktok", "PIXEL": "C4SAME"}


def write(folder: Path, file: str, environment: str, **changes: str) -> Path:
    usual = {"workspace": "shop", "database": f"{environment}.db", "name": "tiktok", "pixel": "C4SAME", "more": ""}
    path = folder / file
    path.write_text(FILE.format(environment=environment, **{**usual, **changes}), "utf-8")
    return path


def sentences(path: Path, **environ: str) -> list[str]:
    return [note.sentence for note in neighbours.mistakes(path, {**VARIABLES, **environ}, CATALOG)]


WHY = "shared_because: TikTok gives the brand one pixel"


def test_one_account_needs_a_reason_on_both_sides(tmp_path: Path) -> None:
    """A test and a production file with one pixel are each refused, naming both files, until both say why."""
    live, test = write(tmp_path, "live.yaml", "production"), write(tmp_path, "test.yml", "test", name="trial")
    (from_live,), (from_test,) = sentences(live), sentences(test)
    assert (
        "`destinations.tiktok` (production) and `destinations.trial` of test.yml (test) are the same TikTok account" in from_live
    )
    assert "missing in live.yaml and in test.yml" in from_live
    assert "`destinations.trial` (test) and `destinations.tiktok` of live.yaml (production)" in from_test

    write(tmp_path, "live.yaml", "production", more=WHY)
    assert sentences(live)[0].endswith("missing in test.yml.")
    write(tmp_path, "test.yml", "test", more="shared_because: '  '")
    assert sentences(live)[0].endswith("missing in test.yml.")
    write(tmp_path, "test.yml", "test", more=WHY)
    assert sentences(live) == sentences(test) == []


SAME = [("${PIXEL}", "C4SAME"), ("${PIXEL}", "${PIXEL}"), ("${UNSET}", "${UNSET}")]
OTHER = [("C4ONE", "C4OTHER"), ("${UNSET}", "${UNSET_TOO}"), ("${PIXEL}", "${UNSET}")]


@pytest.mark.parametrize(("one", "two"), SAME, ids=str)
def test_an_account_is_known_through_its_variables(tmp_path: Path, one: str, two: str) -> None:
    """A variable stands for its value; one that is not set is the same account wherever it is written."""
    live = write(tmp_path, "live.yaml", "production", pixel=one)
    write(tmp_path, "test.yaml", "test", pixel=two)
    assert len(sentences(live)) == 1


@pytest.mark.parametrize(("one", "two"), OTHER, ids=str)
def test_other_accounts_are_others(tmp_path: Path, one: str, two: str) -> None:
    """Different pixels, or variables that may be different, are nobody's mistake."""
    live = write(tmp_path, "live.yaml", "production", pixel=one)
    write(tmp_path, "test.yaml", "test", pixel=two)
    assert sentences(live) == []


def test_an_emulator_is_another_platform(tmp_path: Path) -> None:
    """The same pixel behind another base address is not the same account; two production files are not looked at."""
    live = write(tmp_path, "live.yaml", "production")
    write(tmp_path, "test.yaml", "test", more="endpoint: http://127.0.0.1:8900")
    write(tmp_path, "old.yaml", "production", database="old.db")
    assert sentences(live) == []


def test_one_database_is_refused_whatever_is_said(tmp_path: Path) -> None:
    """Two workspaces, or two environments of one, may not keep their people in one database; the usual name counts too."""
    live = write(tmp_path, "live.yaml", "production", more=WHY, database="./signalpost.db")
    test = write(tmp_path, "test.yaml", "test", more=WHY)
    test.write_text(test.read_text().replace("database: test.db\n", ""))
    (sentence,) = sentences(live)
    assert "test.yaml (shop, test) have the same database" in sentence
    assert len(sentences(test)) == 1

    write(tmp_path, "test.yaml", "production", pixel="C4OTHER", workspace="shop", database="signalpost.db")
    assert sentences(live) == [], "a copy of the same workspace"
    write(tmp_path, "test.yaml", "production", pixel="C4OTHER", workspace="other", database="signalpost.db")
    assert len(sentences(live)) == 1


PIXELS = st.sampled_from(["C4SAME", "C4OTHER", "${PIXEL}", "${UNSET}"])
REASONS = st.sampled_from(["", WHY, "shared_because: ' '"])


@given(pixels=st.tuples(PIXELS, PIXELS), reasons=st.tuples(REASONS, REASONS))
def test_both_are_refused_or_neither(tmp_path: Path, pixels: tuple[str, str], reasons: tuple[str, str]) -> None:
    """Whatever the two files say, one of them may start exactly if the other may."""
    live = write(tmp_path, "live.yaml", "production", pixel=pixels[0], more=reasons[0])
    test = write(tmp_path, "test.yaml", "test", pixel=pixels[1], more=reasons[1])
    same = VARIABLES["PIXEL"]
    meant = [same if pixel == "${PIXEL}" else pixel for pixel in pixels]
    assert bool(sentences(live)) == bool(sentences(test)) == (meant[0] == meant[1] and reasons != (WHY, WHY))


@given(
    text=st.text(max_size=60) | st.sampled_from(["", "workspace: x\nenvironment: test\ndestinations: 3", "a: [", "- 1", "\x00"])
)
def test_whatever_lies_beside_the_file_is_no_trouble(tmp_path: Path, text: str) -> None:
    """Any text in a neighbouring file neither raises nor counts, unless it is a workspace."""
    live = write(tmp_path, "live.yaml", "production")
    (tmp_path / "compose.yaml").write_text(text, "utf-8", errors="replace")
    assert sentences(live) == []


def test_neither_starts_and_check_says_why(tmp_path: Path) -> None:
    """`check` ends with 1 and names both files; `serve` does not start; a reason on both sides lets `check` pass."""
    write(tmp_path, "live.yaml", "production")
    write(tmp_path, "test.yaml", "test")

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "signalpost", *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **VARIABLES},
            timeout=60,
            check=False,
        )

    for file, other in (("live.yaml", "test.yaml"), ("test.yaml", "live.yaml")):
        checked = command("check", "--json", file)
        (mistake,) = json.loads(checked.stdout)["mistakes"]
        assert (1, file, 10, "destinations.tiktok") == (checked.returncode, mistake["file"], mistake["line"], mistake["path"])
        assert other in mistake["sentence"]
        served = command("serve", file)
        assert served.returncode != 0
        assert "the same TikTok account" in served.stdout + served.stderr
        assert not list(tmp_path.glob("*.db"))
    for file, environment in (("live.yaml", "production"), ("test.yaml", "test")):
        write(tmp_path, file, environment, more=WHY)
    assert command("check", "live.yaml").returncode == 0

    with pytest.raises(ConfigError, match="same database"):
        neighbours.refuse(write(tmp_path, "live.yaml", "production", more=WHY, database="test.db"), VARIABLES, CATALOG)


def test_a_database_is_one_workspaces(database: Database) -> None:
    """The first that serves a database has it; another workspace or environment is refused and changes nothing."""
    for _ in range(2):
        database.submit(lambda one: owner.claim(one, "shop", "test", 1)).result()
    for name, environment in (("shop", "production"), ("other", "test")):
        with pytest.raises(StoreError, match=r"belongs to the workspace shop \(test\)"):
            database.submit(partial(owner.claim, workspace=name, environment=environment, now=2)).result()
    assert len(database.look(lambda one: one.rows("owner", owner.WHAT))) == 1
    database.submit(lambda one: owner.claim(one, "shop", "test", 3)).result()


async def test_serve_refuses_the_database_of_another(tmp_path: Path, database: Database, address: str, platforms: Client) -> None:
    """A production workspace does not start on a test workspace's database; the test workspace still does, and has it."""
    database.submit(lambda one: owner.claim(one, "shop", "test", 1)).result()
    server = Server(port=0)
    live = workspace(platforms, database=address, server=server)
    with pytest.raises(StoreError, match=r"belongs to the workspace shop \(test\), not to shop \(production\)"):
        async with serving(live, environ={}, state=tmp_path):
            pass
    test = workspace(platforms, database=address, server=server, environment="test", tiktok={"test_code": "TEST1"})
    async with serving(test, environ={}, state=tmp_path) as running:
        assert running.url
