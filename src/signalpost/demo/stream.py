"""The shop's messages: what of the year is past when the demo begins, and how fast the rest comes."""

from __future__ import annotations

from collections.abc import Iterator

from signalpost.samples import traffic

ONCE_INVOICES = 1_600
"""Invoices of the bounded replay: about 15,000 messages, most of them the shop's past."""

PAST = 12 * traffic.DAY + 5 * traffic.HOUR
"""How much of the shop's year lies behind it when the demo begins: some 1,300 invoices, up to a Monday noon."""

LEAST_FOR_A_PAST = 1_400
"""Invoices that a replay must have to begin with it."""

UPDATED_AFTER = 1_100
"""Invoices after which the website's new client loses its keys: two days before the demo begins."""

BATCH = 50
"""Messages of a request, at most."""

COMPRESSION = 40_000
LONGEST_PAUSE = 2 * traffic.HOUR
"""The live replay shows the year in about five minutes, nights and holidays cut to two hours."""


def stream(begun: int, *, once: bool, invoices: int | None) -> Iterator[traffic.Message]:
    """The shop's messages; those due before `begun` (epoch ms) are its past."""
    most = invoices or (ONCE_INVOICES if once else None)
    long = most is None or most >= LEAST_FOR_A_PAST
    return traffic.messages(
        start=begun,
        compression=COMPRESSION,
        longest_pause=None if once else LONGEST_PAUSE,
        invoice_limit=most,
        updated_after=UPDATED_AFTER if long else None,
        past=PAST if long else 0,
    )
