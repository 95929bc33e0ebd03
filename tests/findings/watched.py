"""A flow whose signals the platforms answer, and the findings that come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace
from tests.laws.flow import DAY, HOUR, MINUTE, NOW, Flow, Message, moment, request, workspace

from signalpost import watch
from signalpost.config import Destination, Workspace
from signalpost.delivery import CLOSED, Breaker, Fate, Leased
from signalpost.findings import Finding
from signalpost.store import batches, outbox, rollouts
from signalpost.store.database import Connection, Database

__all__ = ["DAY", "HOUR", "MINUTE", "NOW", "Watched", "order", "tracked", "with_destination", "workspace"]


def tracked(name: str, number: int | str, *, at: int = NOW - MINUTE, **properties: Any) -> Message:
    """One event of a person with an e-mail address."""
    return {
        "type": "track",
        "event": name,
        "messageId": f"{name}-{number}",
        "userId": f"user-{number}",
        "timestamp": moment(at),
        "properties": {"email": f"user{number}@example.com", **properties},
        "context": {"ip": "8.8.8.8", "userAgent": "Mozilla/5.0", "page": {"url": "https://shop.example/thanks"}},
    }


def order(number: int | str, *, at: int = NOW - MINUTE, **properties: Any) -> Message:
    """A purchase; gross 118, net 100."""
    usual: dict[str, Any] = {"order_id": str(number), "total": 118, "tax": 10, "shipping": 8, "revenue": 100, "currency": "USD"}
    kept = {name: value for name, value in {**usual, **properties}.items() if value is not None}
    return tracked("Order Completed", number, at=at, **kept)


def with_destination(name: str, **changes: Any) -> dict[str, Destination]:
    """The usual destinations with one of them changed."""
    usual = workspace().destinations
    return {**usual, name: replace(usual[name], **changes)}


class Watched(Flow):
    """`say` takes messages through the pipeline, `answer` lets the platforms answer what waits, `found` looks."""

    def __init__(self, database: Database, chosen: Workspace | None = None) -> None:
        self.workspace = chosen or workspace()
        super().__init__(database, self.workspace)

    def say(self, source: str, messages: Iterable[Message], *, now: int = NOW) -> None:
        """These messages of a source, received and decided at `now`."""
        told = list(messages)

        def work(connection: Connection) -> None:
            for start in range(0, len(told), 50):
                part = told[start : start + 50]
                batches.append(connection, request(source, part, now), len(part))

        self.write(work)
        self.process(now=now)

    def answer(self, judge: Callable[[str, Leased], tuple[str, str]] | None = None, *, now: int = NOW + 1_000) -> None:
        """Each waiting signal is answered: accepted, or what `judge` gives for (destination, signal): verdict and reason."""

        def work(connection: Any) -> None:
            for name in self.workspace.destinations:
                leased = outbox.lease(connection, name, most=100_000, now=now, until=now + HOUR)
                sent = outbox.Sent(destination=name, started_at=now, ended_at=now, signals=len(leased), status=200, summary="")
                fates = []
                for signal in leased:
                    verdict, reason = judge(name, signal) if judge else ("accepted", "")
                    said = f"{name} said {reason}." if reason else None
                    fates.append(Fate(signal=signal, verdict=verdict, reason=reason or None, sentence=said))  # type: ignore[arg-type]
                outbox.settle(connection, sent, fates, CLOSED)

        self.write(work)

    def rest(self, destination: str, breaker: Breaker) -> None:
        """The destination rests."""
        row = (destination, breaker.since, breaker.until, breaker.failures, breaker.sentence)
        self.write(lambda connection: connection.run("breaker_set", *row))

    def found(self, now: int = NOW + 2_000) -> dict[str, Finding]:
        """Key -> finding, after rollouts and findings were brought up to date."""
        self.write(lambda connection: rollouts.advance_all(connection, self.workspace, now))
        return {kept.finding.key: kept.finding for kept in watch.once(self.database, self.workspace, now)}
