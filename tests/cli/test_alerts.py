"""`signalpost alerts test`: which addresses work, in a process of its own at a real webhook."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.alerts.conftest import Webhook

Run = Callable[..., CompletedProcess[str]]

FILE = """
workspace: glow
environment: production
currency: USD
country: US
order_value: net
alerts:
  to: {team: "${TEAM}", hook: "${HOOK}"}
  quiet: "00:00-23:59"
"""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A receiver of webhooks."""
    server = Webhook()
    yield server
    server.close()


def test_each_address_is_tried(run: Run, webhook: Webhook, tmp_path: Path) -> None:
    """Both work: exit code 0; one does not: its name with the reason, exit code 1, and no address is printed."""
    (tmp_path / "signalpost.yaml").write_text(FILE, "utf-8")
    done = run("alerts", "test", environ={"TEAM": webhook.address, "HOOK": webhook.address})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "✓ team  took the test message\n✓ hook  took the test message\n"
    assert [each["title"] for each in webhook.received] == ["glow: a test"] * 2

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"json://ada:geheim@127.0.0.1:{probe.getsockname()[1]}"
    done = run("alerts", "test", "--json", environ={"TEAM": webhook.address, "HOOK": nobody})
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout) == {
        "team": {"taken": True, "why": None},
        "hook": {"taken": False, "why": "It could not be reached, or it refused the message."},
    }


def test_without_addresses_it_says_so(run: Run, tmp_path: Path) -> None:
    """A sentence and exit code 2."""
    (tmp_path / "signalpost.yaml").write_text(FILE.partition("alerts:")[0], "utf-8")
    done = run("alerts", "test")
    assert done.returncode == 2
    assert "no address under `alerts.to`" in done.stderr
