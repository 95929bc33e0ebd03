"""In and out: the login, single sign-on, links that let somebody in, the logout."""

from __future__ import annotations

import base64
import binascii
from functools import partial

import msgspec
import structlog
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from signalpost import accounts
from signalpost.accounts import Refused, User
from signalpost.store import accounts as kept
from signalpost.store.database import Connection
from signalpost.web.door import TOO_OFTEN, local_path
from signalpost.web.routing import ANYONE, act, part
from signalpost.web.sign_on import TRY_MS, NotTaken, Try, user_of
from signalpost.web.visit import Visit

log = structlog.get_logger("signalpost")

BACK = "/login/sso/back"
"""Where the provider of single sign-on sends browsers; written there by whoever keeps it."""

GONE = (
    "This link was used already, or is too old. Ask an admin for a new one; at a first start, restart `signalpost serve`: "
    "it prints a new one."
)


class Invited(Struct, frozen=True, kw_only=True):
    """Whom a link is for, and what their form holds."""

    what: str
    """first, invite, password"""
    name: str = ""
    email: str = ""
    role: str = accounts.ADMIN
    sentence: str = ""
    """What is wrong with what was typed."""


async def enter(visit: Visit, user: User, onward: str) -> Response:
    """Give the browser a session of its own, never one that it brought, and send it on."""
    agent, before = visit.request.headers.get("user-agent", ""), visit.request.cookies.get(visit.console.cookie, "")

    def change(connection: Connection) -> str:
        if before:
            kept.sign_out(connection, before)
        return kept.sign_in(connection, user, agent, visit.now)

    response = RedirectResponse(onward, 303)
    response.set_cookie(
        visit.console.cookie,
        await visit.write(change),
        max_age=accounts.SESSION_MS // 1000,
        path="/",
        httponly=True,
        samesite="lax",  # strict would ask whoever follows a link in a message to log in again
        secure=visit.console.secure(visit.request),
    )
    return response


# ---- by password -----------------------------------------------------------------------------------------------------------


async def login(visit: Visit) -> Response:
    """`/login`: asks for e-mail address and password."""
    onward = local_path(visit.query("next", "/"))
    if visit.user is not None:
        return RedirectResponse(onward, 303)
    return _form(visit, onward)


def _form(visit: Visit, onward: str, *, status: int = 200, email: str = "", sentence: str = "") -> Response:
    return visit.page(
        "login.html", {}, status=status, onward=onward, email=email, sentence=sentence, oidc=visit.workspace.console.oidc
    )


async def logged_in(visit: Visit) -> Response:
    """The login form: an unknown address takes as long as a wrong password, and is answered alike."""
    onward = local_path(visit.query("next", "/"))
    email, password = (await visit.field("email")).strip().lower()[:254], await visit.field("password")
    attempts, now = visit.console.attempts, visit.now / 1000
    names = (f"login {visit.console.address_of(visit.request)}", f"login {email}")
    for name in names:
        if seconds := attempts.wait(name, now):
            answer = _form(visit, onward, status=429, email=email, sentence=TOO_OFTEN)
            answer.headers["retry-after"] = str(seconds)
            return answer
    for name in names:
        attempts.failed(name, now)
    rows = await visit.read(lambda connection: connection.rows("user_by_email", email))
    hashed = rows[0][4] if rows else ""
    if not await visit.console.hash(accounts.matches, hashed, password):
        return _form(visit, onward, status=401, email=email, sentence="That is not right: the address, or the password.")
    for name in names:
        attempts.right(name)
    number, name, email, role, _ = rows[0]
    return await enter(visit, User(id=number, name=name, email=email, role=role), onward)


async def logout(visit: Visit) -> Response:
    """`/logout`: ends the session."""
    cookie = visit.request.cookies.get(visit.console.cookie, "")
    await visit.write(lambda connection: kept.sign_out(connection, cookie))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(visit.console.cookie, path="/", httponly=True)
    return response


# ---- by single sign-on -----------------------------------------------------------------------------------------------------


def _try_cookie(visit: Visit) -> str:
    """The cookie of a login at the provider; with TLS no other host of the domain can plant it (RFC 6265bis 4.1.3.2)."""
    return ("__Host-" if visit.console.secure(visit.request) else "") + visit.console.cookie + "-sso"


async def sign_on(visit: Visit) -> Response:
    """`/login/sso`: on to the provider."""
    onward, provider = local_path(visit.query("next", "/")), visit.console.sign_on
    if provider is None:
        raise HTTPException(404, "Single sign-on is not set up here. Log in with your password.")
    try:
        address, made = await provider.begin(visit.base + BACK, onward, visit.now)
    except NotTaken as error:
        return _form(visit, onward, status=502, sentence=str(error))
    response = RedirectResponse(address, 303)
    response.set_cookie(
        _try_cookie(visit),
        base64.urlsafe_b64encode(msgspec.json.encode(made)).decode(),
        max_age=TRY_MS // 1000,
        path="/",
        httponly=True,
        samesite="lax",
        secure=visit.console.secure(visit.request),
    )
    return response


async def signed_on(visit: Visit) -> Response:
    """Where the provider sends the browser back to."""
    provider, cookie = visit.console.sign_on, _try_cookie(visit)
    if provider is None:
        raise HTTPException(404, "Single sign-on is not set up here. Log in with your password.")
    try:
        made = msgspec.json.decode(base64.urlsafe_b64decode(visit.request.cookies.get(cookie, "")), type=Try)
    except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError):
        made = Try(state="", nonce="", verifier="", onward="/")
    try:
        person = await provider.end(made, dict(visit.request.query_params), visit.base + BACK, visit.now)
        user = await visit.write(lambda connection: user_of(connection, person, provider.options, visit.now))
    except NotTaken as error:
        log.warning("single sign-on was not taken", why=str(error))
        response = _form(visit, local_path(made.onward), status=403, sentence=str(error))
    else:
        response = await enter(visit, user, local_path(made.onward))
    response.delete_cookie(cookie, path="/", httponly=True, secure=visit.console.secure(visit.request))
    return response


# ---- by a link -------------------------------------------------------------------------------------------------------------


async def _linked(visit: Visit) -> tuple[str, User | None]:
    """(what the link in the address is for, whom); raises 404 when it may not be used any more."""
    secret = visit.request.path_params["secret"]

    def look(connection: Connection) -> tuple[str, User | None] | None:
        found = kept.linked(connection, secret, visit.now)
        return (found[0], kept.by_id(connection, found[1])) if found else None

    found = await visit.read(look)
    if found is None or (found[0] != "first" and found[1] is None):
        raise HTTPException(404, GONE)
    return found


async def link(visit: Visit) -> Response:
    """`/enter/{secret}`: a link that lets somebody in. Looking at it uses nothing up: programs open links before people do."""
    what, user = await _linked(visit)
    if what == "enter" and user is not None:
        return await enter(visit, user, "/")
    return _welcome(visit, _invited(what, user))


def _invited(what: str, user: User | None) -> Invited:
    if user is None:
        return Invited(what=what)
    return Invited(what=what, name="" if what == "invite" else user.name, email=user.email, role=user.role)


def _welcome(visit: Visit, invited: Invited, *, status: int = 200) -> Response:
    return visit.page("first.html", invited, status=status, secret=visit.request.path_params["secret"])


async def linked(visit: Visit) -> Response:
    """The form behind a link: uses it up, and lets somebody in."""
    what, known = await _linked(visit)
    if what == "enter" and known is not None:
        return await enter(visit, known, "/")
    invited = _invited(what, known)
    if what != "password":
        invited = msgspec.structs.replace(invited, name=(await visit.field("name")).strip()[:80])
    if what == "first":
        invited = msgspec.structs.replace(invited, email=(await visit.field("email")).strip().lower())
    password = await visit.field("password")
    try:
        email = accounts.mail_address(invited.email)
        sentence = accounts.wrong_password(password, email) or ("" if invited.name else "Tell your name.")
    except Refused as error:
        sentence = str(error)
    if sentence:
        return _welcome(visit, msgspec.structs.replace(invited, sentence=sentence), status=422)
    hashed = await visit.console.hash(accounts.hashed, password)
    secret = visit.request.path_params["secret"]
    user = await visit.write(partial(_let_in, secret=secret, invited=invited, hashed=hashed, now=visit.now))
    if user is None:
        raise HTTPException(404, GONE)
    return await enter(visit, user, "/")


def _let_in(connection: Connection, *, secret: str, invited: Invited, hashed: str, now: int) -> User | None:
    """Use the link up and give whom it lets in; None when somebody was faster."""
    found = kept.linked(connection, secret, now)
    if found is None or found[0] != invited.what or not kept.use(connection, secret, now):
        return None
    if invited.what == "first":
        user = kept.add(connection, email=invited.email, name=invited.name, role=accounts.ADMIN, password=hashed, now=now)
        kept.note(connection, user, "user_added", f"user {user.email}", "the first admin, by the link on the terminal", now)
        return user
    user_or_none = kept.by_id(connection, found[1])
    if user_or_none is None:
        return None
    kept.set_password(connection, found[1], hashed)
    connection.run("user_name", invited.name, found[1])
    did, note = ("user_came", "by the link of the invitation") if invited.what == "invite" else ("password_set", "by a link")
    kept.note(connection, user_or_none, did, f"user {user_or_none.email}", note, now)
    return user_or_none


WAYS = (
    part("/login", login, ANYONE),
    act("/login", logged_in, ANYONE),
    part("/login/sso", sign_on, ANYONE),
    part(BACK, signed_on, ANYONE),
    part("/enter/{secret}", link, ANYONE),
    act("/enter/{secret}", linked, ANYONE),
    act("/logout", logout, "viewer"),
)
