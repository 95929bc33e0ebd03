"""The five lines of README.md, run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_from_nothing_to_an_accepted_event(tmp_path: Path) -> None:
    """Whoever types the five lines sees the order accepted by both platforms; only the ports and the folder differ here."""
    text = (ROOT / "README.md").read_text("utf-8").split("## From nothing to an accepted event")[1]
    found = re.search(r"```sh\n(.+?)```", text, re.DOTALL)
    assert found is not None
    lines = found[1].strip().splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("scripts/install && ")
    emulators, intake = str(free_port()), str(free_port())
    lines = [line.replace("8900", emulators).replace("8377", intake) for line in lines]
    lines[0] = (
        lines[0].removeprefix("scripts/install && ").replace('"$PWD/.venv/bin:$PATH"', f'"{Path(sys.executable).parent}:$PATH"')
    )
    folder = tmp_path / "examples"
    folder.mkdir()
    workspace = (ROOT / "examples" / "first-event.yaml").read_text("utf-8").replace("8900", emulators)
    (folder / "first-event.yaml").write_text(f"{workspace}\nserver: {{port: {intake}}}\n", "utf-8")
    output = (tmp_path / "output").open("w+")
    script = "\n".join([*lines[:4], "wait"])
    shell = subprocess.Popen(
        ["bash", "-c", script], cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
    told = ""
    try:
        asked = "\n".join([lines[0], lines[4]])
        deadline = time.monotonic() + 60
        while not ("tiktok: accepted" in told and "pinterest: accepted" in told) and time.monotonic() < deadline:
            time.sleep(0.5)
            done = subprocess.run(["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
            told = done.stdout
    finally:
        os.killpg(shell.pid, signal.SIGTERM)
        shell.wait(30)
    output.seek(0)
    assert "tiktok: accepted" in told, told + output.read()
    assert "pinterest: accepted" in told
    assert "49.9 USD" in told
    output.close()
