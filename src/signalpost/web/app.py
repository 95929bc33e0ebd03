"""The one web application: what clients send goes straight to intake, everything else to the console.

Intake is the hot path and passes nothing but one check of its path on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from signalpost.config import Workspace
from signalpost.store.database import Database
from signalpost.web import snippet
from signalpost.web.console import Console
from signalpost.web.running import Running

INTAKE = ("/v1/", "/api/", "/webhooks/", "/unsubscribe/")
"""Everything under these belongs to the intake, which also answers for the addresses it does not know."""

INTAKE_ALONE = frozenset({"/auth", "/auth/", "/openapi.json"})


def is_intake(path: str) -> bool:
    """Whether a path is the intake's."""
    return path.startswith(INTAKE) or path in INTAKE_ALONE


class Application:
    """An ASGI application; call `stop` before the server ends, so that open pages do not hold it up."""

    def __init__(self, intake: ASGIApp, console: Console) -> None:
        self._intake, self.console = intake, console
        self._pages = console.application()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http" and is_intake(scope["path"]):
            await self._intake(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == snippet.PATH:
            await snippet.application(scope, receive, send)
        elif scope["type"] == "http":
            await self._pages(scope, receive, send)

    def turn(self, intake: ASGIApp, console: Console) -> None:
        """From now on these answer; what the earlier ones have in hand they finish, and their live pages come again."""
        pages, before = console.application(), self.console
        self._intake, self.console, self._pages = intake, console, pages
        before.stop()

    def stop(self) -> None:
        """End the live pages."""
        self.console.stop()


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def create(
    *,
    workspace: Workspace,
    database: Database,
    worker: Running,
    intake: ASGIApp,
    file: Path | None = None,
    text: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Application:
    """Intake and console of one workspace; `worker` says how sending goes, the rest is as in `Console`."""
    console = Console(workspace=workspace, database=database, worker=worker, file=file, text=text, environ=environ)
    return Application(intake, console)
