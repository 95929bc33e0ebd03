"""The console's routes: each says who may take it. What is not said is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct
from starlette.responses import Response

from signalpost.accounts import ADMIN, OPERATOR, VIEWER
from signalpost.web.visit import Visit

ANYONE = "anyone"
"""Instead of a role: the login, the health check, shared pages."""

Answering = Callable[[Visit], Awaitable[Response]]


class Way(Struct, frozen=True, kw_only=True):
    """A route: `page` has a `.json` twin by the same function, `act` changes something."""

    path: str
    answer: Answering
    role: str
    method: str = "GET"
    twin: bool = False


def page(path: str, answer: Answering, role: str = VIEWER) -> Way:
    """A page, and its data at the same address with `.json`."""
    return Way(path=path, answer=answer, role=role, twin=True)


def part(path: str, answer: Answering, role: str = VIEWER) -> Way:
    """What a page loads beside itself: a part of it, a stream, a download."""
    return Way(path=path, answer=answer, role=role)


def act(path: str, answer: Answering, role: str = OPERATOR) -> Way:
    """A form that changes something: POST, with the session's form token."""
    return Way(path=path, answer=answer, role=role, method="POST")


__all__ = ["ADMIN", "ANYONE", "OPERATOR", "VIEWER", "Answering", "Way", "act", "page", "part"]
