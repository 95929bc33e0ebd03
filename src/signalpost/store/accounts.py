"""Users of the console, their sessions, the links that let them in, keys for programs, and the audit of what they did."""

from __future__ import annotations

from msgspec import Struct

from signalpost import accounts
from signalpost.accounts import ADMIN, Refused, User
from signalpost.store.database import Connection, Row

FOR_EVER = 2**62


class Account(Struct, frozen=True, kw_only=True):
    """A user as the list of users has it; times in epoch ms."""

    id: int
    name: str
    email: str
    role: str
    made_at: int
    seen_at: int
    """0: never in yet."""
    password: bool
    """Whether there is a password to sign in by."""
    single_sign_on: bool
    """Whether single sign-on was used."""


class Session(Struct, frozen=True, kw_only=True):
    """A browser that is signed in; `id` is a part of its secret's hash, good for nothing but to name it."""

    id: str
    made_at: int
    until: int
    agent: str
    this: bool
    """Whether it is the one that asks."""


class Key(Struct, frozen=True, kw_only=True):
    """An API key without its secret."""

    id: int
    start: str
    name: str
    role: str
    made_by: str
    made_at: int
    used_at: int | None
    until: int | None


class Noted(Struct, frozen=True, kw_only=True):
    """A line of the audit."""

    id: int
    at: int
    who: str
    what: str
    subject: str
    note: str


def _user(row: Row) -> User:
    return User(id=row[0], name=row[1], email=row[2], role=row[3])


def administered(connection: Connection) -> bool:
    """Whether there is an admin yet."""
    return bool(connection.rows("users_admin_any"))


def add(connection: Connection, *, email: str, name: str, role: str, password: str, now: int) -> User:
    """A new user; `password` as `accounts.hashed` gave it, or empty. Raises `Refused` when the address is a user's already."""
    email = accounts.mail_address(email)
    rows = connection.rows("user_add", email, name, role, password, now)
    if not rows:
        raise Refused(f"{email} is a user already. If they cannot sign in, make them a link for a new password.")
    return User(id=rows[0][0], name=name, email=email, role=role)


def by_id(connection: Connection, number: int) -> User | None:
    """The user, unless removed."""
    rows = connection.rows("user_by_id", number)
    return _user(rows[0]) if rows else None


def by_email(connection: Connection, email: str) -> User | None:
    """The user of this e-mail address, unless removed."""
    rows = connection.rows("user_by_email", email.strip().lower())
    return _user(rows[0]) if rows else None


def everybody(connection: Connection) -> list[Account]:
    """All users but those who were removed, by their addresses."""
    return [
        Account(
            id=number, name=name, email=email, role=role, made_at=made_at, seen_at=seen_at,
            password=bool(password), single_sign_on=bool(subject),
        )
        for number, name, email, role, made_at, seen_at, password, subject in connection.rows("users_all")
    ]  # fmt: skip


def invite(connection: Connection, *, email: str, role: str, now: int) -> tuple[User, str]:
    """A new user who has yet to come, and the secret of the link that lets them in. Raises `Refused`."""
    if role not in accounts.ROLES:
        raise Refused(f"There is no role {role}.")
    user = add(connection, email=email, name=accounts.mail_address(email).partition("@")[0], role=role, password="", now=now)
    return user, link(connection, "invite", user.id, now)


def way_in(connection: Connection, account: int, now: int) -> tuple[str, str]:
    """A new link for somebody who cannot come in: (`invite` or `password`, its secret). Raises `Refused`."""
    known = next((each for each in everybody(connection) if each.id == account), None)
    if known is None:
        raise Refused("This user was removed.")
    what = "password" if known.password or known.seen_at else "invite"
    return what, link(connection, what, account, now)


def give_role(connection: Connection, account: int, role: str) -> User:
    """Give a user another role; raises `Refused` for the last admin."""
    user = by_id(connection, account)
    if user is None or role not in accounts.ROLES:
        raise Refused("This user was removed." if user is None else f"There is no role {role}.")
    if role != ADMIN:
        _not_the_last(connection, account)
    connection.run("user_role", role, account)
    return User(id=user.id, name=user.name, email=user.email, role=role)


def remove(connection: Connection, account: int, now: int) -> User:
    """Let a user in no more, at once: sessions and links end with it. Raises `Refused` for the last admin."""
    user = by_id(connection, account)
    if user is None:
        raise Refused("This user was removed already.")
    _not_the_last(connection, account)
    connection.run("user_remove", now, account)
    sign_out_everywhere(connection, account)
    connection.run("links_drop_of", account)
    return user


def _not_the_last(connection: Connection, account: int) -> None:
    admins = {row[0] for row in connection.rows("users_admins")}
    if admins == {account}:
        raise Refused("This is the only admin who has signed in yet. Make somebody else an admin first, and let them sign in.")


def set_password(connection: Connection, account: int, hashed: str, *, but: str = "") -> None:
    """A new password, as `accounts.hashed` gave it: ends all sessions but that of the cookie `but`, and all links."""
    connection.run("user_password", hashed, account)
    connection.run("links_drop_of", account)
    sign_out_everywhere(connection, account, but=but)


# ---- sessions --------------------------------------------------------------------------------------------------------------


def sign_in(connection: Connection, user: User, agent: str, now: int) -> str:
    """A new session; gives the cookie's value."""
    secret = accounts.secret()
    connection.run("session_add", accounts.digest(secret), user.id, now, now + accounts.SESSION_MS, agent[:200])
    connection.run("user_seen", now, user.id)
    return secret


def signed_in(connection: Connection, cookie: str, now: int) -> User | None:
    """Whose cookie this is, while its session lasts."""
    rows = connection.rows("session_of", accounts.digest(cookie), now)
    return _user(rows[0]) if rows else None


def sign_out(connection: Connection, cookie: str) -> None:
    """End the cookie's session."""
    connection.run("session_end", accounts.digest(cookie))


def sessions(connection: Connection, account: int, cookie: str, now: int) -> list[Session]:
    """Where an account is signed in, the newest first; `cookie` is of whoever asks."""
    own = accounts.digest(cookie)
    return [
        Session(id=digest[:16], made_at=made_at, until=until, agent=agent, this=digest == own)
        for digest, made_at, until, agent in connection.rows("sessions_of", account, now)
    ]


def end_session(connection: Connection, account: int, session: str) -> bool:
    """End one of an account's sessions by its `Session.id`; False when it had ended."""
    return connection.run("session_end_of", account, session) > 0


def sign_out_everywhere(connection: Connection, account: int, *, but: str = "") -> int:
    """End all sessions of an account but that of the cookie `but`; gives how many."""
    return connection.run("sessions_end", account, accounts.digest(but) if but else "")


def keyed(connection: Connection, key: str, now: int) -> User | None:
    """Whose API key this is: a user with `id` 0 and the key's name and role."""
    rows = connection.rows("key_of", accounts.digest(key), now)
    return User(id=0, name=f"key {rows[0][1]}", email="", role=rows[0][2]) if rows else None


def prune(connection: Connection, now: int) -> int:
    """Drop sessions and links that have ended; gives how many."""
    return connection.run("prune_sessions", now) + connection.run("prune_links", now)


# ---- keys ------------------------------------------------------------------------------------------------------------------


def add_key(connection: Connection, *, name: str, role: str, made_by: str, now: int, until: int | None) -> str:
    """A new API key; gives it, which nobody can do a second time. Raises `Refused`."""
    if not name or len(name) > 80 or not name.isprintable():
        raise Refused("Give the key a name of up to 80 characters, such as the program that will use it.")
    if role not in accounts.KEY_ROLES:
        raise Refused(f"A key can be {' or '.join(accounts.KEY_ROLES)}.")
    if until is not None and until <= now:
        raise Refused("Choose an end that is still to come.")
    key = accounts.KEY_MARK + accounts.secret()
    connection.rows("key_add", accounts.digest(key), key[:9], name, role, made_by, now, until)
    return key


def keys(connection: Connection) -> list[Key]:
    """All API keys but those that were removed, the newest first; those that ended are among them."""
    return [
        Key(id=number, start=start, name=name, role=role, made_by=made_by, made_at=made_at, used_at=used_at, until=until)
        for number, start, name, role, made_by, made_at, used_at, until in connection.rows("keys_all")
    ]


def remove_key(connection: Connection, key: int, now: int) -> str:
    """Make a key useless, at once; gives its name. Raises `Refused` when it was removed already."""
    rows = connection.rows("key_remove", now, key)
    if not rows:
        raise Refused("This key was removed already.")
    return str(rows[0][0])


# ---- links -----------------------------------------------------------------------------------------------------------------


def link(connection: Connection, what: str, account: int, now: int, lasts: int = accounts.LINK_MS) -> str:
    """A link's secret; `what` as in the table `links`. A new one makes the account's earlier ones of its kind useless."""
    if what != "enter":
        connection.run("links_drop", what, account)
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


def audited(
    connection: Connection,
    *,
    who: str = "",
    what: str = "",
    subject: str = "",
    since: int = 0,
    until: int = FOR_EVER,
    before: int = FOR_EVER,
    most: int = 50,
) -> list[Noted]:
    """Lines of the audit, the newest first; empty asks for all, `subject` for those that hold it, `before` is a line's id."""
    part = subject.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = connection.rows("audit_page", before, since, until, _exactly(who), _exactly(what), f"%{part}%" if part else "%", most)
    return [Noted(id=number, at=at, who=by, what=did, subject=of, note=note) for number, at, by, did, of, note in rows]


def _exactly(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") if text else "%"


def audit_words(connection: Connection, most: int = 5_000) -> tuple[list[str], list[str]]:
    """(who, what) of the newest lines of the audit, for its filters."""
    rows = connection.rows("audit_words", most)
    return sorted({who for who, _ in rows}), sorted({what for _, what in rows})
