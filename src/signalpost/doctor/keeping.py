"""The checklists gone through beside everything else and kept with their moment, so that whoever reads them waits for nobody.

`once` goes through them; the loop of `watch`, the console's "check now" and `signalpost doctor --ask` all leave what they heard
from the platforms where the next look finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial

import msgspec
from msgspec import Struct

from signalpost import doctor, findings
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.doctor import Checked
from signalpost.doctor.evidence import Trial
from signalpost.findings import PURCHASE, TAKEN, Count
from signalpost.findings.counts import ASIDE, REPEATED
from signalpost.store.database import Connection, Database
from signalpost.store.findings import Usual


class Measured(Struct, frozen=True, kw_only=True):
    """Purchases of the last seven days at one platform, in one currency: what the measurement plan is held against."""

    destination: str
    platform: str
    currency: str
    orders: int
    """That were meant to be sent: neither repeats nor left out by the file."""
    value: Decimal
    accepted: int
    accepted_value: Decimal

    @property
    def share(self) -> Decimal | None:
        """Of the value, what the platform accepted, 0 to 1."""
        return min(Decimal(1), self.accepted_value / self.value) if self.value > 0 else None


class Checkup(Struct, frozen=True, kw_only=True):
    """The checklists as they stood at a moment (epoch ms)."""

    at: int
    checks: tuple[Checked, ...]
    measured: tuple[Measured, ...] = ()


def measured(week: Iterable[Count], workspace: Workspace) -> tuple[Measured, ...]:
    """The purchases among these counts for each advertising platform and currency."""
    kept = [each for each in week if each.reason not in ASIDE | REPEATED]
    found = []
    for name, chosen in workspace.destinations.items():
        if not CATALOG[chosen.type].advertising:
            continue
        here = findings.pick(kept, destination=name, name=PURCHASE)
        for currency in sorted({each.currency for each in here if each.currency}):
            meant = [each for each in here if each.currency == currency]
            taken = findings.pick(meant, verdicts=TAKEN)
            found.append(
                Measured(
                    destination=name,
                    platform=CATALOG[chosen.type].title,
                    currency=currency,
                    orders=findings.signals(meant),
                    value=_value(meant),
                    accepted=findings.signals(taken),
                    accepted_value=_value(taken),
                )
            )
    return tuple(found)


def _value(counts: Iterable[Count]) -> Decimal:
    return Decimal(sum(each.micros for each in counts)) / 1_000_000


def keep_answers(connection: Connection, answers: Mapping[str, Trial]) -> None:
    """Keep what the platforms said of the accounts."""
    connection.run_many(
        "account_answer_set", [(name, int(heard.good), heard.sentence, heard.at) for name, heard in answers.items()]
    )


def keep(connection: Connection, checkup: Checkup) -> None:
    """Keep the checklists as they are now."""
    connection.run("checkup_set", checkup.at, msgspec.json.encode(checkup))


def kept(connection: Connection) -> Checkup | None:
    """The checklists as they were last gone through; None when they never were."""
    rows = connection.rows("checkup")
    return msgspec.json.decode(bytes(rows[0][0]), type=Checkup) if rows else None


def look(connection: Connection, workspace: Workspace, now: int, known: Usual | None = None) -> Checkup:
    """The checklists at this moment; reads only, and takes its time."""
    evidence = doctor.gather(connection, workspace, now, known)
    return Checkup(at=now, checks=tuple(doctor.examine(workspace, evidence)), measured=measured(evidence.figures.week, workspace))


async def once(database: Database, workspace: Workspace, now: int, *, ask: bool, known: Usual | None = None) -> Checkup:
    """Go through the checklists and keep them; with `ask` each platform is asked first whether it knows the account."""
    if ask:
        heard = await doctor.ask(workspace, now)
        await database.write(partial(keep_answers, answers=heard))
    found = await database.read(partial(look, workspace=workspace, now=now, known=known))
    await database.write(partial(keep, checkup=found))
    return found
