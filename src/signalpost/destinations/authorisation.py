"""What a platform's file declares about its own way of giving a token: its page, the exchange of the code, renewing.

All of it is pure, as everything that a platform declares: addresses and requests are values, answers are read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from signalpost.destinations.contract import Request, Response


class App(Struct, frozen=True):
    """The developer app that asks; both come from the environment."""

    id: str
    secret: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"App({self.id!r})"


class Granted(Struct, frozen=True, kw_only=True):
    """What a platform gave."""

    token: str
    until: int | None = None
    """When it ends (epoch ms); None: when it is revoked."""
    renews: str = ""
    """With what it is renewed; empty: it need not be."""
    renews_until: int | None = None
    scopes: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    """The accounts it is good for, where the platform says so."""

    def __repr__(self) -> str:
        """Show no token."""
        return f"Granted(until={self.until!r}, scopes={self.scopes!r}, accounts={self.accounts!r})"


class Authorisation(Struct, frozen=True, kw_only=True):
    """How an account is connected by the platform's own page."""

    app_id: str
    """The environment's variable with the app's id."""
    app_secret: str
    """The environment's variable with the app's secret."""
    doc: str
    """Where both come from, in sentences."""
    lasts: str
    """How long the token is good, in a sentence."""
    code: str
    """What the code is called in the address to which the platform sends the browser back."""
    default_page: str
    """`https://host` of the platform's page; a destination's `endpoint` replaces it (emulators)."""
    page: Callable[[str, App, str, str], str]
    """(base, app, redirect address, state) -> the address of the platform's page."""
    exchange: Callable[[str, App, str, str], Request]
    """(base, app, code, redirect address) -> the request that gives the token."""
    renew: Callable[[str, App, str], Request] | None
    """(base, app, `renews`) -> the request that gives a new one; None: it need not be renewed."""
    granted: Callable[[Response, int], Granted | str]
    """(answer, now) -> what was given, or why nothing was and what to do."""
    account: str = ""
    """The destination's option that names the account, where the answer tells which accounts there are."""
