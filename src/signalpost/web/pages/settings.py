"""Settings: one's own account, users and roles, API keys, the audit, and where alerts go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, time, timedelta
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import Response

from signalpost import accounts, alerts, masking
from signalpost.accounts import ADMIN, OPERATOR, VIEWER, Refused
from signalpost.store import accounts as kept
from signalpost.store.accounts import Account, Key, Noted, Session
from signalpost.store.database import Connection
from signalpost.web.door import TOO_OFTEN
from signalpost.web.routing import act, page
from signalpost.web.visit import Visit, link

Done = TypeVar("Done")

TABS = (
    ("/settings", "You", VIEWER),
    ("/settings/users", "Users and roles", ADMIN),
    ("/settings/keys", "API keys", ADMIN),
    ("/settings/audit", "Audit", OPERATOR),
    ("/settings/alerts", "Alerts", VIEWER),
)
"""(path, title, who may see it)."""

LINES = 50
"""Lines of the audit on a page."""

LASTS = {"30": "30 days", "90": "90 days", "365": "a year", "": "until it is removed"}
"""How long a key may last, in days."""

DAY = 86_400_000

KINDS = {
    "mailto": "e-mail", "mailtos": "e-mail", "slack": "Slack", "msteams": "Microsoft Teams", "workflows": "Microsoft Teams",
    "discord": "Discord", "tgram": "Telegram", "json": "webhook", "jsons": "webhook", "form": "webhook", "forms": "webhook",
    "pagerduty": "PagerDuty", "opsgenie": "Opsgenie", "ntfy": "ntfy", "ntfys": "ntfy", "gchat": "Google Chat",
}  # fmt: skip
"""What an address of Apprise is, by its first word; nothing else of it is shown."""

BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"),
    ("Windows", "Windows"), ("Macintosh", "Mac"), ("Linux", "Linux"),
)  # fmt: skip
"""What a browser's name of itself holds -> what people call it; the first that fits."""


class You(Struct, frozen=True, kw_only=True):
    """Whoever asks; an API key has no sessions and no password."""

    name: str
    email: str
    role: str
    roles: dict[str, str]
    key: bool
    password: bool
    single_sign_on: bool
    sessions: list[Browser]


class Browser(Struct, frozen=True, kw_only=True):
    """A browser that is signed in, as people call it."""

    session: Session
    name: str


class Users(Struct, frozen=True, kw_only=True):
    """Everybody who may come in."""

    users: list[Account]
    roles: dict[str, str]
    you: int
    sign_on: str
    """What single sign-on is called; empty when it is not set up."""
    domains: tuple[str, ...]
    default_role: str


class Keys(Struct, frozen=True, kw_only=True):
    """All API keys, without their secrets."""

    keys: list[Key]
    roles: dict[str, str]
    now: int


class Once(Struct, frozen=True, kw_only=True):
    """A secret that is shown this one time."""

    title: str
    sentence: str
    secret: str
    back: str


class Audit(Struct, frozen=True, kw_only=True):
    """Lines of the audit, the newest first."""

    lines: list[Noted]
    who: str
    what: str
    subject: str
    since: str
    until: str
    everybody: list[str]
    everything: list[str]
    older: str
    """The address of the page with older lines; empty on the last."""


class Address(Struct, frozen=True, kw_only=True):
    """Where alerts go, by its name in the workspace file."""

    name: str
    kind: str


class Told(Struct, frozen=True, kw_only=True):
    """A finding that was told."""

    finding: int
    sentence: str
    severity: str
    alerted_at: int
    over: bool


class Alerts(Struct, frozen=True, kw_only=True):
    """Who is told of findings, and what was told lately."""

    addresses: list[Address]
    least: str
    gather: str
    again: str
    quiet: str | None
    told: list[Told]


def _show(visit: Visit, template: str, facts: Struct, *, status: int = 200, sentence: str = "", **more: object) -> Response:
    tabs = [(path, title) for path, title, role in TABS if visit.may(role)]
    return visit.page(template, facts, status=status, tabs=tabs, sentence=sentence, **more)


async def _done(visit: Visit, work: Callable[[Connection], Done], back: str) -> Done | Response:
    """What the work gives, or the way back with the sentence that says why it cannot be done."""
    try:
        return await visit.write(work)
    except Refused as error:
        return visit.go(back, said=str(error))


# ---- you -------------------------------------------------------------------------------------------------------------------


async def you(visit: Visit) -> Response:
    """`/settings`: one's own account: name, password, where one is signed in."""
    return await _you(visit)


async def _you(visit: Visit, *, status: int = 200, sentence: str = "") -> Response:
    user = _user(visit)
    cookie = visit.request.cookies.get(visit.console.cookie, "")

    def look(connection: Connection) -> tuple[list[Session], Account | None]:
        own = next((each for each in kept.everybody(connection) if each.id == user.id), None)
        return kept.sessions(connection, user.id, cookie, visit.now) if user.id else [], own

    sessions, own = await visit.read(look)
    facts = You(
        name=user.name,
        email=user.email,
        role=user.role,
        roles=accounts.ROLES,
        key=user.id == 0,
        password=own is not None and own.password,
        single_sign_on=own is not None and own.single_sign_on,
        sessions=[Browser(session=each, name=browser(each.agent)) for each in sessions],
    )
    return _show(visit, "settings.html", facts, status=status, sentence=sentence)


def _user(visit: Visit) -> accounts.User:
    assert visit.user is not None  # noqa: S101 - no way of this file is open to anyone
    return visit.user


def _person(visit: Visit) -> accounts.User:
    user = _user(visit)
    if user.id == 0:
        raise HTTPException(403, "An API key has no account of its own. Sign in to change yours.")
    return user


def browser(agent: str) -> str:
    """What people call a browser that names itself so."""
    what = next((name for mark, name in BROWSERS if mark in agent), "")
    where = next((name for mark, name in SYSTEMS if mark in agent), "")
    return f"{what} on {where}" if what and where else what or where or agent.partition("/")[0][:40] or "Unknown browser"


async def rename(visit: Visit) -> Response:
    """One's own name."""
    user, name = _person(visit), (await visit.field("name")).strip()
    if not name or len(name) > 80 or not name.isprintable():
        return await _you(visit, status=422, sentence="Write a name of up to 80 characters.")

    def change(connection: Connection) -> None:
        connection.run("user_name", name, user.id)
        visit.note(connection, "user_renamed", f"user {user.email}", f"now {name}")

    await visit.write(change)
    return visit.go("/settings", said="Your name is changed.")


async def password(visit: Visit) -> Response:
    """One's own password; everywhere else one is signed out."""
    user, before, after = _person(visit), await visit.field("before"), await visit.field("after")
    attempts, name, now = visit.console.attempts, f"login {user.email}", visit.now / 1000
    if seconds := attempts.wait(name, now):
        answer = await _you(visit, status=429, sentence=TOO_OFTEN)
        answer.headers["retry-after"] = str(seconds)
        return answer
    rows = await visit.read(lambda connection: connection.rows("user_by_email", user.email))
    hashed = rows[0][4] if rows else ""
    if hashed:
        attempts.failed(name, now)
        if not await visit.console.hash(accounts.matches, hashed, before):
            return await _you(visit, status=422, sentence="The password you have now is another one.")
        attempts.right(name)
    if wrong := accounts.wrong_password(after, user.email):
        return await _you(visit, status=422, sentence=wrong)
    made, cookie = await visit.console.hash(accounts.hashed, after), visit.request.cookies.get(visit.console.cookie, "")

    def change(connection: Connection) -> None:
        kept.set_password(connection, user.id, made, but=cookie)
        visit.note(connection, "password_set", f"user {user.email}", "by themselves")

    await visit.write(change)
    return visit.go("/settings", said="Your password is changed. Wherever else you were signed in, you are not any more.")


async def end_session(visit: Visit) -> Response:
    """Sign out one of one's own browsers."""
    user, session = _person(visit), visit.request.path_params["session"]

    def change(connection: Connection) -> bool:
        ended = kept.end_session(connection, user.id, session)
        if ended:
            visit.note(connection, "signed_out", f"user {user.email}", "one browser, from Settings")
        return ended

    ended = await visit.write(change)
    return visit.go("/settings", said="That browser is signed out." if ended else "That browser was signed out already.")


async def everywhere(visit: Visit) -> Response:
    """Sign out all of one's own browsers, this one too."""
    user = _person(visit)

    def change(connection: Connection) -> None:
        many = kept.sign_out_everywhere(connection, user.id)
        visit.note(connection, "signed_out", f"user {user.email}", f"everywhere, {many} browsers")

    await visit.write(change)
    return visit.go("/login")


# ---- users -----------------------------------------------------------------------------------------------------------------


async def users(visit: Visit) -> Response:
    """`/settings/users`: who may come in, and as what."""
    return await _users(visit)


async def _users(visit: Visit, *, status: int = 200, sentence: str = "", email: str = "") -> Response:
    oidc = visit.workspace.console.oidc
    facts = Users(
        users=await visit.read(kept.everybody),
        roles=accounts.ROLES,
        you=_user(visit).id,
        sign_on=oidc.title if oidc else "",
        domains=oidc.domains if oidc else (),
        default_role=oidc.role if oidc else VIEWER,
    )
    return _show(visit, "settings_users.html", facts, status=status, sentence=sentence, email=email)


async def invite(visit: Visit) -> Response:
    """A new user and the link that lets them in."""
    email, role = await visit.field("email"), await visit.field("role", VIEWER)

    def change(connection: Connection) -> tuple[accounts.User, str]:
        user, secret = kept.invite(connection, email=email, role=role, now=visit.now)
        visit.note(connection, "user_invited", f"user {user.email}", f"as {role}")
        return user, secret

    try:
        user, secret = await visit.write(change)
    except Refused as error:
        return await _users(visit, status=422, sentence=str(error), email=email[:254])
    return _link(visit, "invite", user.email, secret)


def _link(visit: Visit, what: str, email: str, secret: str) -> Response:
    title = f"The invitation of {email}" if what == "invite" else f"A new password for {email}"
    sentence = "Send this link to them by a way that only they read. It works once, for three days, and is not shown again."
    facts = Once(title=title, sentence=sentence, secret=f"{visit.base}/enter/{secret}", back="/settings/users")
    return _show(visit, "settings_once.html", facts, status=201)


async def new_link(visit: Visit) -> Response:
    """A link for somebody who cannot come in."""
    number = visit.number("user")

    def change(connection: Connection) -> tuple[str, str, str]:
        user = kept.by_id(connection, number)
        what, secret = kept.way_in(connection, number, visit.now)
        email = user.email if user else ""
        visit.note(connection, "link_made", f"user {email}", "an invitation" if what == "invite" else "for a new password")
        return what, email, secret

    done = await _done(visit, change, "/settings/users")
    return done if isinstance(done, Response) else _link(visit, *done)


async def role(visit: Visit) -> Response:
    """Another role for a user."""
    number, wanted = visit.number("user"), await visit.field("role")

    def change(connection: Connection) -> accounts.User:
        user = kept.give_role(connection, number, wanted)
        visit.note(connection, "role_given", f"user {user.email}", f"now {wanted}")
        return user

    done = await _done(visit, change, "/settings/users")
    return done if isinstance(done, Response) else visit.go("/settings/users", said=f"{done.email} is {wanted} now.")


async def remove(visit: Visit) -> Response:
    """Let a user in no more."""
    number = visit.number("user")

    def change(connection: Connection) -> accounts.User:
        user = kept.remove(connection, number, visit.now)
        visit.note(connection, "user_removed", f"user {user.email}", "their sessions ended with it")
        return user

    done = await _done(visit, change, "/settings/users")
    return done if isinstance(done, Response) else visit.go("/settings/users", said=f"{done.email} cannot come in any more.")


# ---- keys ------------------------------------------------------------------------------------------------------------------


async def keys(visit: Visit) -> Response:
    """`/settings/keys`: keys for programs."""
    return await _keys(visit)


async def _keys(visit: Visit, *, status: int = 200, sentence: str = "", name: str = "") -> Response:
    roles = {role: accounts.ROLES[role] for role in accounts.KEY_ROLES}
    facts = Keys(keys=await visit.read(kept.keys), roles=roles, now=visit.now)
    return _show(visit, "settings_keys.html", facts, status=status, sentence=sentence, name=name, lasts=LASTS)


async def add_key(visit: Visit) -> Response:
    """A new key, shown once."""
    user, name, given = _person(visit), (await visit.field("name")).strip(), await visit.field("role", VIEWER)
    days = await visit.field("days", "90")
    until = visit.now + int(days) * DAY if days in LASTS and days else None

    def change(connection: Connection) -> str:
        if days not in LASTS:
            raise Refused("Choose how long the key is to work.")
        key = kept.add_key(connection, name=name, role=given, made_by=user.email, now=visit.now, until=until)
        visit.note(connection, "key_made", f"key {name}", f"as {given}, {LASTS[days]}")
        return key

    try:
        key = await visit.write(change)
    except Refused as error:
        return await _keys(visit, status=422, sentence=str(error), name=name[:80])
    sentence = "Put it where the program reads it, as `Authorization: Bearer`. It is not shown again: only its hash is kept."
    return _show(
        visit,
        "settings_once.html",
        Once(title=f"The key {name}", sentence=sentence, secret=key, back="/settings/keys"),
        status=201,
    )


async def remove_key(visit: Visit) -> Response:
    """Make a key useless."""
    number = visit.number("key")

    def change(connection: Connection) -> str:
        name = kept.remove_key(connection, number, visit.now)
        visit.note(connection, "key_removed", f"key {name}")
        return name

    done = await _done(visit, change, "/settings/keys")
    return done if isinstance(done, Response) else visit.go("/settings/keys", said=f"The key {done} opens nothing any more.")


# ---- audit -----------------------------------------------------------------------------------------------------------------


async def audit(visit: Visit) -> Response:
    """`/settings/audit`: who changed what."""
    since, until = visit.query("since", most=10), visit.query("until", most=10)
    after = visit.query("after", most=20)
    asked = {name: visit.query(name) for name in ("who", "what", "subject")}

    def look(connection: Connection) -> tuple[list[Noted], tuple[list[str], list[str]]]:
        lines = kept.audited(
            connection,
            **asked,
            since=_midnight(visit, since, 0) if since else 0,
            until=_midnight(visit, until, 1) if until else kept.FOR_EVER,
            before=int(after) if after.isdecimal() and int(after) < 1 << 62 else kept.FOR_EVER,
            most=LINES + 1,
        )
        return lines, kept.audit_words(connection)

    lines, (everybody, everything) = await visit.read(look)
    more, lines = len(lines) > LINES, lines[:LINES]
    facts = Audit(
        lines=[_masked(line) for line in lines],
        **asked,
        since=since,
        until=until,
        everybody=everybody,
        everything=everything,
        older=visit.here(after=str(lines[-1].id)) if more else "",
    )
    return _show(
        visit,
        "settings_audit.html",
        facts,
        first=link("/settings/audit"),
        plain=not (after or since or until or any(asked.values())),
    )


def _masked(line: Noted) -> Noted:
    """A line with what people of the shop are known by masked; colleagues who use the console keep their names."""
    if line.subject.startswith(("user ", "key ")):
        return line
    return Noted(
        id=line.id, at=line.at, who=line.who, what=line.what, subject=masking.text(line.subject), note=masking.text(line.note)
    )


def _midnight(visit: Visit, day: str, later: int) -> int:
    """When a day such as 2026-04-01 begins in the workspace's zone, `later` days on; raises 400 when it is none."""
    try:
        begins = datetime.combine(datetime.fromisoformat(day).date() + timedelta(days=later), time(), visit.console.zone)
    except (ValueError, OverflowError) as error:
        raise HTTPException(400, "Write days as 2026-04-01.") from error
    return int(begins.timestamp() * 1000)


# ---- alerts ----------------------------------------------------------------------------------------------------------------


async def show_alerts(visit: Visit) -> Response:
    """`/settings/alerts`: who is told when something is wrong."""
    options = visit.workspace.alerts
    rows = await visit.read(lambda connection: connection.rows("alerts_last", 20))
    facts = Alerts(
        addresses=[Address(name=name, kind=_kind(address)) for name, address in options.to.items()],
        least=options.least,
        gather=options.gather,
        again=options.again,
        quiet=options.quiet,
        told=[
            Told(finding=number, sentence=sentence, severity=severity, alerted_at=alerted_at, over=closed_at is not None)
            for number, sentence, severity, alerted_at, closed_at in rows
        ],
    )
    return _show(visit, "settings_alerts.html", facts)


def _kind(address: str) -> str:
    return KINDS.get(urlsplit(address).scheme.lower(), "another service")


async def try_alerts(visit: Visit) -> Response:
    """Send a test message to each address, quiet hours or not."""
    if not visit.workspace.alerts.to:
        return visit.go("/settings/alerts", said="There is no address yet: write one under alerts.to in the workspace file.")
    answers = await asyncio.to_thread(alerts.trial, visit.workspace)
    took = [name for name, why in answers.items() if why is None]
    said = " ".join(
        [f"{', '.join(took)} took the test message."] * bool(took) + [f"{name}: {why}" for name, why in answers.items() if why]
    )
    await visit.write(partial(visit.note, what="alerts_tested", subject=", ".join(answers)[:300], note=said[:500]))
    return visit.go("/settings/alerts", said=said)


WAYS = (
    page("/settings", you),
    act("/settings/name", rename, VIEWER),
    act("/settings/password", password, VIEWER),
    act("/settings/sessions/{session}", end_session, VIEWER),
    act("/settings/everywhere", everywhere, VIEWER),
    page("/settings/users", users, ADMIN),
    act("/settings/users", invite, ADMIN),
    act("/settings/users/{user:int}/link", new_link, ADMIN),
    act("/settings/users/{user:int}/role", role, ADMIN),
    act("/settings/users/{user:int}/remove", remove, ADMIN),
    page("/settings/keys", keys, ADMIN),
    act("/settings/keys", add_key, ADMIN),
    act("/settings/keys/{key:int}/remove", remove_key, ADMIN),
    page("/settings/audit", audit, OPERATOR),
    page("/settings/alerts", show_alerts),
    act("/settings/alerts/test", try_alerts, OPERATOR),
)
