"""Signalpost: customer events in, accepted conversions out.

The rooms, in the order an event travels:

    events        the records: Event, Person, Item, Order, Signal
    normalize     one normaliser for every match key, and hashing
    errors        the error tree
    config        the workspace file: every option
    metrics       every metric name
    sources       wire bytes -> events, one file per wire
    identity      who an event belongs to; what is remembered of a person
    orders        canonical names, items, order value, order ids
    gates         why a signal is withheld
    mapping       executes a platform's field table
    destinations  one file per platform
    delivery      batches, back-off, breaker: decisions only
    pipeline      gather, decide, commit: the whole way of an event
    worker        the loops: journal -> pipeline, senders, pruning
    transport     one request -> one answer over HTTP
    store         journal, people, orders, ledger, outbox on SQLite or PostgreSQL
    web           intake, console
    platforms     strict emulators of the two platforms
    samples       a real shop's year, for the demo and the tests
    cli           the command line
"""

from __future__ import annotations

__version__ = "0.1.0"
