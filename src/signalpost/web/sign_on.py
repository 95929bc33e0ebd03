"""Single sign-on: whom a provider vouches for, and which user that is. `oidc.py` talks with the provider."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from signalpost import accounts
from signalpost.accounts import User
from signalpost.errors import SignalpostError
from signalpost.options import SingleSignOn
from signalpost.store import accounts as kept
from signalpost.store.database import Connection

TRY_MS = 600_000
"""How long somebody may take at the provider."""


class NotTaken(SignalpostError):
    """Single sign-on did not end well; the sentence says why, and what to do."""


class Try(Struct, frozen=True, kw_only=True):
    """What the browser keeps while it is at the provider."""

    state: str
    nonce: str
    verifier: str
    onward: str


class Person(Struct, frozen=True, kw_only=True):
    """Whom the provider vouches for; `email` is empty unless the provider has verified it."""

    subject: str
    """Issuer and subject, which never change."""
    email: str
    name: str


class Provider(Protocol):
    """A provider of single sign-on."""

    options: SingleSignOn

    async def begin(self, back: str, onward: str, now: int) -> tuple[str, Try]:
        """(where to send the browser, what it is to keep); `back` is our own address that the provider sends it to."""

    async def end(self, made: Try, answer: dict[str, str], back: str, now: int) -> Person:
        """Whom the provider vouches for, by the parameters that it sent back; raises `NotTaken`."""


def provider(options: SingleSignOn | None) -> Provider | None:
    """The provider that the workspace file names; raises `SignalpostError` when what speaks with it is not installed."""
    if options is None:
        return None
    try:
        from signalpost.web import oidc  # noqa: PLC0415  (an optional dependency: only who has it in the workspace file needs it)
    except ImportError as error:
        raise SignalpostError("Single sign-on (`console.oidc`) needs Authlib: install `signalpost[oidc]`.") from error
    return oidc.SignOn(options)


def user_of(connection: Connection, person: Person, options: SingleSignOn, now: int) -> User:
    """The user whom the provider vouches for: by issuer and subject, at first by the verified e-mail address, or a new one.

    Raises `NotTaken` for everybody else. Somebody who was removed stays out until an admin invites them again.
    """
    rows = connection.rows("user_by_subject", person.subject)
    if rows:
        return User(id=rows[0][0], name=rows[0][1], email=rows[0][2], role=rows[0][3])
    if not person.email:
        raise NotTaken("The provider does not say that it has verified your e-mail address. Ask an admin for an invitation.")
    known = connection.rows("user_known", person.email)
    if known:
        number, name, email, role, subject, removed_at = known[0]
        if removed_at is not None:
            raise NotTaken("Your account was removed. Ask an admin for a new invitation.")
        if subject:
            raise NotTaken("This address belongs to another account of the provider. Ask an admin to remove the user first.")
        user = User(id=number, name=name, email=email, role=role)
        connection.run("user_subject", person.subject, user.id)
        kept.note(connection, user, "user_linked", f"user {email}", "by single sign-on, with a verified address", now)
        return user
    if accounts.domain_of(person.email) not in options.domains:
        raise NotTaken("Nobody has invited this e-mail address. Ask an admin for an invitation.")
    user = kept.add(connection, email=person.email, name=person.name, role=options.role, password="", now=now)
    connection.run("user_subject", person.subject, user.id)
    kept.note(
        connection, user, "user_added", f"user {user.email}", f"as {user.role}, by single sign-on from an allowed domain", now
    )
    return user
