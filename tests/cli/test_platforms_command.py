from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-c", "from signalpost.cli import main; main()", "platforms"]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_emulators_say_where_they_are_and_end_well(tmp_path: Path, ending: int) -> None:
    """With `--json` one line tells address, tokens and ids; a signal ends the process with 0 and no traceback."""
    process = subprocess.Popen(
        [*COMMAND, "--json", "--tiktok-token", "my-token", "--pinterest-ad-account-id", "123", "--cheap"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
    )
    try:
        assert process.stdout is not None
        told: dict[str, Any] = json.loads(process.stdout.readline())
        assert told["tiktok"]["access_token"] == "my-token"
        assert told["pinterest"]["ad_account_id"] == "123"
        assert told["cheap"] is True
        with urllib.request.urlopen(told["url"] + "/received", timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(ending)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors.decode()) == (0, "")


def test_a_port_in_use_is_one_sentence() -> None:
    """When the port is taken, one sentence says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([*COMMAND, "--port", str(port)], capture_output=True, timeout=60, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"Nothing can listen on 127.0.0.1:{port}: Address already in use.\n"
