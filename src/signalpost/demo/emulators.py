"""Both platform emulators, in a process of their own."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager, suppress
from typing import Any

from signalpost.errors import SignalpostError


@asynccontextmanager
async def emulators() -> Any:
    """The two platform emulators in a process of their own; gives their address and stops them at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "signalpost.platforms",
        "--json",
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is ours to handle: they must answer until the last signal is settled
    )
    assert process.stdout is not None  # noqa: S101  (asked for above)
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        if not line:
            raise SignalpostError("The platform emulators did not start.")
        yield json.loads(line)["url"]
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
