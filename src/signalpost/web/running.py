"""What the console asks of the worker that runs beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from signalpost.delivery import Breaker


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class Sending(Protocol):
    """What the console asks of a dispatcher."""

    @property
    def route(self) -> _Named: ...
    @property
    def breaker(self) -> Breaker: ...
    @property
    def latencies(self) -> Sequence[int]: ...


class Running(Protocol):
    """What the console asks of the worker beside it."""

    @property
    def failing(self) -> str | None: ...
    @property
    def dispatchers(self) -> Sequence[Sending]: ...
