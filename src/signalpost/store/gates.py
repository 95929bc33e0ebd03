"""What the workspace's gates withheld, and what observing ones would have."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from signalpost.store import sums
from signalpost.store.database import Connection


class Caught(Struct, frozen=True):
    """Signals that a gate caught, in one currency."""

    gate: str
    observing: bool
    """The signals were sent all the same."""
    currency: str
    """Empty where the signals had no value."""
    signals: int
    value: Decimal


def caught(connection: Connection, since: int) -> list[Caught]:
    """What each gate caught since a moment (epoch ms); hours of which a part is older count whole for observing ones."""
    withheld: dict[tuple[str, str], list[int]] = {}
    for cell in sums.read(connection, since):
        if cell.verdict == "withheld" and cell.reason.startswith("gate:"):
            counter = withheld.setdefault((cell.reason.removeprefix("gate:"), cell.currency), [0, 0])
            counter[0] += cell.signals
            counter[1] += cell.micros
    found = [
        Caught(name, False, currency, signals, Decimal(micros) / 1_000_000)
        for (name, currency), (signals, micros) in withheld.items()
    ]
    for name, currency, signals, units, micros in connection.rows("gates_observed", since - since % sums.HOUR):
        value = Decimal(int(units or 0)) + Decimal(int(micros or 0)) / 1_000_000
        found.append(Caught(name, True, currency, int(signals), value))
    return found
