"""What has happened, as far as the database knows and, when asked, the platforms."""

from __future__ import annotations

from msgspec import Struct

from signalpost import findings
from signalpost.clocks import HOUR
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.destinations.contract import request_settings
from signalpost.errors import TransportError
from signalpost.findings import DAY, Figures, Finding
from signalpost.store import findings as kept
from signalpost.store import trends, views
from signalpost.store.database import Connection
from signalpost.store.findings import Usual
from signalpost.store.views import Asked
from signalpost.transport import Transport

VALID_MS = 7 * DAY
"""For how long what was seen proves anything."""


class Trial(Struct, frozen=True):
    """The last `send-test` of a destination, or what its platform said when it was asked."""

    good: bool
    sentence: str
    at: int


class Evidence(Struct, frozen=True, kw_only=True):
    """What has happened, as far as the database knows."""

    figures: Figures
    found: tuple[Finding, ...] = ()
    last: dict[tuple[str, str, str], int] = {}
    """(destination, event, verdict) -> when last (epoch ms, to the minute)."""
    masks: dict[tuple[str, str], dict[int, int]] = {}
    """(destination, event) -> match keys (`coverage`) -> signals, of the last `VALID_MS`."""
    trials: dict[str, Trial] = {}
    """Destination -> its last `send-test`."""
    asked: tuple[Asked, ...] = ()
    """What the platforms answered when asked what they received."""
    answers: dict[str, Trial] = {}
    """Destination -> what `ask` last heard."""


def gather(connection: Connection, workspace: Workspace, now: int, known: Usual | None = None) -> Evidence:
    """What the database knows; reads only. `known` as in `store.findings.gather`."""
    figures = kept.gather(connection, workspace, now, known)
    return Evidence(
        figures=figures,
        found=tuple(findings.find(figures, workspace)),
        last=kept.last_seen(connection, now - 4 * VALID_MS),
        masks=trends.keys(connection, now - VALID_MS - (now - VALID_MS) % HOUR),
        trials={name: Trial(good, sentence, at) for name, (good, sentence, at) in kept.trials(connection).items()},
        asked=tuple(views.asked(connection)),
        answers=answers(connection),
    )


def answers(connection: Connection) -> dict[str, Trial]:
    """Destination -> what its platform said when it was last asked whether it knows the account."""
    return {name: Trial(bool(good), sentence, at) for name, good, sentence, at in connection.rows("account_answers")}


def nothing(now: int) -> Evidence:
    """What is known where there is no database yet."""
    return Evidence(figures=Figures(now=now))


async def ask(workspace: Workspace, now: int) -> dict[str, Trial]:
    """Ask each platform whether it knows the account, with its request that changes nothing."""
    heard = {}
    for name, chosen in workspace.destinations.items():
        platform = CATALOG[chosen.type]
        base = (chosen.endpoint or platform.default_base).rstrip("/")
        transport = Transport(connections=1)
        try:
            answer = await transport.send(platform.check(request_settings(chosen), base, now))
            good, sentence = platform.explain_check(answer)
        except TransportError as error:
            good, sentence = False, str(error)
        finally:
            await transport.close()
        heard[name] = Trial(good, sentence, now)
    return heard
