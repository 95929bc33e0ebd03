"""What the platforms say they received: asked where the credentials allow, kept beside what we sent.

TikTok counts the events of a pixel by server and by browser, Pinterest scores the quality of an account's events. Both are
optional: a destination whose credentials may not ask sends all the same, and its view says what it would take.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Heard, View, request_settings
from signalpost.errors import TransportError
from signalpost.store import views as kept
from signalpost.store.database import Database
from signalpost.store.views import Asked
from signalpost.transport import Transport, talk


async def refresh(workspace: Workspace, database: Database, transport: Transport, now: int) -> tuple[Asked, ...]:
    """Ask each destination's platform what it received and write it; gives how each asking went. Repeating it changes nothing.

    Raises `StoreError` when it cannot be written; what goes wrong with a platform is written as such.
    """
    for name, chosen in workspace.destinations.items():
        platform = CATALOG[chosen.type]
        base = (chosen.endpoint or platform.default_base).rstrip("/")
        for view in platform.views:
            heard = await hear(view, request_settings(chosen), base, transport, now)
            await database.write(partial(kept.keep, destination=name, what=view.what, heard=heard, now=now))
    asked = await database.read(kept.asked)
    return tuple(each for each in asked if each.destination in workspace.destinations)


async def hear(view: View, settings: Mapping[str, str], base: str, transport: Transport, now: int) -> Heard:
    """Drive one view: send what it asks for, give it the answers, end with what it heard."""
    try:
        return await talk(view.ask(settings, base, now), transport.send)
    except TransportError as error:
        return Heard(state="failed", sentence=str(error))
