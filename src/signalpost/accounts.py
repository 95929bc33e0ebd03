"""Who may do what in the console: roles, passwords, and the secrets that let somebody in; `store.accounts` keeps them.

Of every secret (a session's cookie, a link, an API key) only a SHA-256 is kept: each is 256 random bits, so a fast hash is as
good as a slow one. Passwords are people's, so they go through argon2id.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import Struct

from signalpost.errors import SignalpostError

VIEWER, OPERATOR, ADMIN = "viewer", "operator", "admin"
ROLES = {
    VIEWER: "sees everything, people masked; changes nothing",
    OPERATOR: "also changes the set-up, replays, pauses, advances rollouts and unmasks people, each with a line in the audit",
    ADMIN: "also erases people and keeps users and API keys",
}
"""Each role with what it may, the least first: a later one may all that an earlier one may."""

SHORTEST = 10
"""Letters of a password."""

SESSION_MS = 7 * 86_400_000
LINK_MS = 3 * 86_400_000

KEY_ROLES = (VIEWER, OPERATOR)
"""Roles of API keys: who comes in, and what is erased, is for people to say."""

KEY_MARK = "sp_"
"""How an API key begins, so that one that leaked is recognised."""


class Refused(SignalpostError):
    """What was asked of accounts cannot be done; the sentence says why, and what to do instead."""


class User(Struct, frozen=True, kw_only=True):
    """Who asks: somebody signed in, or a program by its key (`id` 0)."""

    id: int
    name: str
    email: str
    role: str

    def may(self, role: str) -> bool:
        """Whether this user may what `role` may."""
        order = tuple(ROLES)
        return order.index(self.role) >= order.index(role)


def secret() -> str:
    """A new secret, fit for an address or a cookie."""
    return secrets.token_urlsafe(32)


def mail_address(text: str) -> str:
    """An e-mail address as it is kept; raises `Refused` when it is none."""
    address = text.strip().lower()
    name, _, domain = address.rpartition("@")
    if not name or "." not in domain.strip(".") or len(address) > 254 or not address.isprintable() or " " in address:
        raise Refused("Write an e-mail address such as ada@shop.example.")
    return address


def domain_of(address: str) -> str:
    """What stands behind the last @ of an e-mail address, in lower case."""
    return address.rpartition("@")[2].lower()


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def form_token(session: str) -> str:
    """What a form of this session carries, so that no other site can send it."""
    return hmac.digest(session.encode(), b"signalpost form", "sha256").hex()


def same(one: str, other: str) -> bool:
    """Whether two secrets are the same, in a time that tells nothing."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


def hashed(password: str) -> str:
    """argon2id's own notation of a password; takes tens of milliseconds on purpose."""
    return _hasher().hash(password)


def matches(kept: str, password: str) -> bool:
    """Whether `password` is the one that `hashed` gave `kept` for; as slow when `kept` is empty (nobody, or no password)."""
    nobody = _nobody()  # made at the first call, whoever it is for
    try:
        _hasher().verify(kept or nobody, password)
    except (VerificationError, InvalidHashError):
        return False
    return bool(kept)


@cache
def _nobody() -> str:
    return hashed(secrets.token_urlsafe(32))


def wrong_password(password: str, email: str) -> str:
    """Why this password will not do, as a sentence; empty when it will."""
    if len(password) < SHORTEST:
        return f"Use at least {SHORTEST} characters; a few words in a row are easiest to remember."
    if len(password) > 1_000:
        return "Use at most 1,000 characters."
    if email and password.lower() in {email.lower(), email.partition("@")[0].lower()}:
        return "Use something other than your e-mail address."
    return ""
