"""Users of the console, their sessions, the links that let them in, keys for programs, and the audit of what they did."""

from __future__ import annotations

from signalpost import accounts
from signalpost.accounts import User
from signalpost.store.database import Connection, Row


def _user(row: Row) -> User:
    return User(id=row[0], name=row[1], email=row[2], role=row[3])


def anybody(connection: Connection) -> bool:
    """Whether there is any user yet."""
    return bool(connection.rows("users_any"))


def add(connection: Connection, *, email: str, name: str, role: str, password: str, now: int) -> User:
    """A new user; `password` as `accounts.hashed` gave it, or empty."""
    number = connection.rows("user_add", email.strip().lower(), name, role, password, now)[0][0]
    return User(id=number, name=name, email=email.strip().lower(), role=role)


def by_id(connection: Connection, number: int) -> User | None:
    """The user, unless removed."""
    rows = connection.rows("user_by_id", number)
    return _user(rows[0]) if rows else None


# ---- sessions --------------------------------------------------------------------------------------------------------------


def sign_in(connection: Connection, user: User, agent: str, now: int) -> str:
    """A new session; gives the cookie's value."""
    secret = accounts.secret()
    connection.run("session_add", accounts.digest(secret), user.id, now, now + accounts.SESSION_MS, agent[:200])
    return secret


def signed_in(connection: Connection, cookie: str, now: int) -> User | None:
    """Whose cookie this is, while its session lasts."""
    rows = connection.rows("session_of", accounts.digest(cookie), now)
    return _user(rows[0]) if rows else None


def sign_out(connection: Connection, cookie: str) -> None:
    """End the cookie's session."""
    connection.run("session_end", accounts.digest(cookie))


def keyed(connection: Connection, key: str, now: int) -> User | None:
    """Whose API key this is: a user with `id` 0 and the key's name and role."""
    rows = connection.rows("key_of", accounts.digest(key), now)
    return User(id=0, name=f"key {rows[0][1]}", email="", role=rows[0][2]) if rows else None


# ---- links -----------------------------------------------------------------------------------------------------------------


def link(connection: Connection, what: str, account: int, now: int, lasts: int = accounts.LINK_MS) -> str:
    """A link's secret; `what` as in the table `links`. A new `first` one makes the earlier ones useless."""
    if what == "first":
        connection.run("links_drop", what)
    secret = accounts.secret()
    connection.run("link_add", accounts.digest(secret), what, account, now, now + lasts)
    return secret


def linked(connection: Connection, secret: str, now: int) -> tuple[str, int] | None:
    """What a link is for and whom, while it may be used."""
    rows = connection.rows("link_of", accounts.digest(secret), now)
    return (rows[0][0], rows[0][1]) if rows else None


def use(connection: Connection, secret: str, now: int) -> bool:
    """Use a link up; False when somebody was faster."""
    return connection.run("link_use", now, accounts.digest(secret), now) == 1


# ---- audit -----------------------------------------------------------------------------------------------------------------


def note(connection: Connection, user: User | None, what: str, subject: str, note: str, now: int) -> None:
    """A line in the audit: who did what to which subject (a destination, `person 12`, ...), and why."""
    connection.run("audit_add", now, user.email or user.name if user else "somebody with a link", what, subject, note)
