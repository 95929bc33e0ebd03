"""Findings told to people: which, when, to whom.

`due` decides with values: what is new, what is told again, what is over, gathered into one message and never in quiet hours.
`Messenger` takes the messages to the addresses; one that does not take a message gets it later. Addresses are secrets: neither
they nor what the library says of them is logged or shown, only their names in the workspace file.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import structlog
from msgspec import Struct

from signalpost.config import Workspace, duration
from signalpost.findings import SEVERITIES, Finding, rank
from signalpost.options import Alerts
from signalpost.store import findings as store
from signalpost.store.database import Database
from signalpost.store.findings import Kept

log = structlog.get_logger("signalpost")

DAY = 86_400_000
LOOK_BACK = 7 * DAY
"""How long a finding that is over can still be told as over, after quiet hours or a failing address."""

MOST = 20
"""Findings that one message spells out; the rest is counted."""

OWED = 20
"""Messages kept for an address that takes none."""

PATIENCE = 30
"""Seconds an address may take."""

FIRST_WAIT, LONGEST_WAIT = 60_000, 3_600_000


# ---- what is due -----------------------------------------------------------------------------------------------------------


class Message(Struct, frozen=True, kw_only=True):
    """One message to people."""

    title: str
    body: str
    worst: Literal["problem", "warning", "over"]
    findings: tuple[int, ...]
    """The findings it tells of, by their numbers."""


def quiet(hours: str | None, zone: ZoneInfo, now: int) -> bool:
    """Whether the clock on the wall of `zone` shows quiet hours, such as `22:00-07:00`: from the first minute, to the last."""
    if hours is None:
        return False
    first, last = hours.split("-")
    wall = datetime.fromtimestamp(now / 1000, zone).strftime("%H:%M")
    return first <= wall < last if first < last else wall >= first or wall < last


def due(
    kept: Iterable[Kept], options: Alerts, zone: ZoneInfo, now: int, *, brand: str, console: str | None = None
) -> Message | None:
    """The one message that is to be sent now, or None.

    New findings wait `gather` for company and are then told once, open ones again after `again`; what was told is told as over.
    What came and went before anybody could be told, in quiet hours or because no address took it, is told for a day.
    """
    if quiet(options.quiet, zone, now):
        return None
    gather, again = duration(options.gather), duration(options.again)
    kept = list(kept)
    loud = [each for each in kept if SEVERITIES.index(each.finding.severity) >= SEVERITIES.index(options.least)]
    new = [each for each in loud if each.closed_at is None and each.alerted_at is None]
    old = [each for each in loud if each.closed_at is None and each.alerted_at is not None and now - each.alerted_at >= again]
    over = [
        each for each in kept if each.closed_at is not None and each.alerted_at is not None and each.alerted_at < each.closed_at
    ]
    passed = [
        each
        for each in loud
        if each.closed_at is not None
        and each.alerted_at is None
        and each.closed_at - each.since >= gather
        and now - each.closed_at <= DAY
    ]
    waiting = [each.since for each in new] + [each.closed_at for each in (*over, *passed) if each.closed_at is not None]
    if not old and not any(now - since >= gather for since in waiting):
        return None
    is_open = sorted((*new, *old), key=lambda each: rank(each.finding))
    is_over = sorted((*over, *passed), key=lambda each: rank(each.finding))
    told = [*is_open, *is_over]
    lines = [_told(each, zone) for each in told[:MOST]]
    if len(told) > MOST:
        lines.append(f"and {len(told) - MOST} more.")
    lines.append(f"All of them: {console.rstrip('/')}/quality" if console else "All of them: signalpost findings")
    return Message(
        title=f"{brand}: {_counted([each.finding for each in is_open], len(is_over))}",
        body="\n\n".join(lines),
        worst=is_open[0].finding.severity if is_open else "over",
        findings=tuple(each.id for each in told),
    )


def _counted(found: Sequence[Finding], over: int) -> str:
    said = []
    for severity in reversed(SEVERITIES):
        many = sum(finding.severity == severity for finding in found)
        if many:
            said.append(f"{many} {severity}{'' if many == 1 else 's'}")
    if over:
        said.append(f"{over} over")
    return ", ".join(said)


def _told(kept: Kept, zone: ZoneInfo) -> str:
    finding = kept.finding
    since = _moment(kept.since, zone)
    if kept.closed_at is not None:
        return f"OVER: {finding.sentence}\n  {since} to {_moment(kept.closed_at, zone)}"
    facts = [f"{'since' if kept.alerted_at is None else 'still open, since'} {since}"]
    if finding.money is not None:
        facts.append(f"{finding.money:,} {finding.currency or ''}".rstrip() + " at stake")
    if finding.share is not None:
        facts.append(f"{finding.share * 100:.1f}% of what was looked at".replace(".0%", "%"))
    return f"{finding.severity.upper()}: {finding.sentence}\n  {'; '.join(facts)}\n  What to do: {finding.advice}"


def _moment(at: int, zone: ZoneInfo) -> str:
    return (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at)).astimezone(zone).strftime("%a %d %b %H:%M")


# ---- to people -------------------------------------------------------------------------------------------------------------


class Messenger:
    """Takes messages to a workspace's addresses, and remembers which address still owes us an answer."""

    def __init__(self, workspace: Workspace) -> None:
        self.options = workspace.alerts
        self.zone = ZoneInfo(workspace.timezone)
        self.brand = workspace.workspace if workspace.environment == "production" else f"{workspace.workspace} (test)"
        self.console = workspace.server.public_url
        self._owed: dict[str, list[Message]] = {name: [] for name in self.options.to}
        self._failures: dict[str, int] = dict.fromkeys(self.options.to, 0)
        self._rests_until: dict[str, int] = dict.fromkeys(self.options.to, 0)

    async def tell(self, database: Database, now: int) -> Message | None:
        """Send what is due and what is owed; gives the new message if there was one and somebody took it.

        Findings are noted as told once one address has taken the message; the others get it when they work again. When none
        takes it, nothing is noted, and what is then due is told at a later call.
        """
        if not self.options.to or quiet(self.options.quiet, self.zone, now):
            return None
        kept = await database.read(partial(_recent, now=now))
        message = due(kept, self.options, self.zone, now, brand=self.brand, console=self.console)
        awake = [name for name in self.options.to if self._rests_until[name] <= now and (message or self._owed[name])]
        took = await asyncio.gather(*(self._deliver(name, message, now) for name in awake))
        if message is None or not any(took):
            return None
        for name in self.options.to:
            if name not in awake or not took[awake.index(name)]:
                self._owe(name, message)
        told = message.findings
        await database.write(lambda connection: store.tell(connection, told, now))
        return message

    async def _deliver(self, name: str, message: Message | None, now: int) -> bool:
        """What this address is owed, then the message; whether it took all of that."""
        owed = self._owed[name]
        for each in [*owed, message] if message is not None else [*owed]:
            why = await asyncio.to_thread(send, self.options.to[name], each)
            if why is not None:
                self._failures[name] += 1
                wait = min(LONGEST_WAIT, FIRST_WAIT << min(self._failures[name] - 1, 10))
                self._rests_until[name] = now + wait
                log.warning("alert not taken", address=name, why=why, again_in_seconds=wait // 1000)
                return False
            self._failures[name] = 0
            if owed:
                owed.pop(0)
        return True

    def _owe(self, name: str, message: Message) -> None:
        owed = self._owed[name]
        owed.append(message)
        if len(owed) > OWED:
            del owed[0]
            log.error("alert given up", address=name, why=f"{OWED} newer ones wait for this address")


def trial(workspace: Workspace) -> dict[str, str | None]:
    """Send one test message to each address; gives, by name, why it was not taken, or None."""
    brand = Messenger(workspace).brand
    message = Message(
        title=f"{brand}: a test",
        body="This is a test message of Signalpost. Findings will be told here.",
        worst="over",
        findings=(),
    )
    return {name: send(address, message) for name, address in workspace.alerts.to.items()}


def send(address: str, message: Message, attachment: Path | None = None) -> str | None:
    """Send to one address and wait for it; gives why it was not taken, in a sentence without the address, or None.

    A file goes with it where the kind of address takes files (mail does, a Slack webhook does not).
    """
    apprise = _library()
    kinds = {"problem": "failure", "warning": "warning", "over": "success"}
    asset = apprise.AppriseAsset(
        app_id="Signalpost", app_desc="Signalpost", image_url_mask="", image_url_logo="", interpret_emojis=False
    )
    service = apprise.Apprise(asset=asset)
    if not service.add(address):
        return "Apprise does not understand this address."
    try:
        result = service.notify(
            title=message.title,
            body=message.body,
            notify_type=kinds[message.worst],
            body_format="text",
            attach=None if attachment is None else str(attachment),
            timeout=PATIENCE,
            log_level=logging.WARNING,
        )
    except Exception as error:  # noqa: BLE001 - a plugin's defect must not stop other alerts, and its text may hold the address
        return f"Apprise failed on this address ({type(error).__name__})."
    if result:
        return None
    if result.timeout_count:
        return f"It gave no answer within {PATIENCE} seconds."
    codes = [code for entry in result.logs() for code in re.findall(r"error=(\d{3})\b", entry.message)]
    if codes:
        return f"It answered {codes[-1]}."
    return "It could not be reached, or it refused the message."


def _recent(connection: Any, now: int) -> list[Kept]:
    """What is open, and what was closed not long ago."""
    return store.between(connection, now - LOOK_BACK, now + 1)


def _library() -> Any:
    """Apprise, with its own log silenced: it may tell addresses. Loaded late: a quarter of a second that only alerts need."""
    import apprise  # noqa: PLC0415

    own = logging.getLogger("apprise")
    if own.propagate:
        own.propagate = False
        own.addHandler(logging.NullHandler())
    return apprise
