"""What the workspace's gates withheld, and what observing ones would have."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

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
    hour = since - since % 3_600_000
    found = []
    for statement, observing, begin in (("gates_withheld", False, since), ("gates_observed", True, hour)):
        for name, currency, signals, units, micros in connection.rows(statement, begin):
            value = Decimal(int(units or 0)) + Decimal(int(micros or 0)) / 1_000_000
            found.append(Caught(str(name).removeprefix("gate:"), observing, currency, int(signals), value))
    return found
