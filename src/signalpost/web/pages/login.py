"""In and out: the login, links that let somebody in, the logout."""

from __future__ import annotations

import asyncio
from functools import partial

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from signalpost import accounts
from signalpost.accounts import User
from signalpost.store import accounts as kept
from signalpost.store.database import Connection
from signalpost.web.door import address_of, come_again, local_path
from signalpost.web.routing import ANYONE, act, part
from signalpost.web.visit import Visit


async def _enter(visit: Visit, user: User, onward: str) -> Response:
    """Give the browser its cookie and send it on."""
    agent = visit.request.headers.get("user-agent", "")
    cookie = await visit.write(lambda connection: kept.sign_in(connection, user, agent, visit.now))
    response = RedirectResponse(onward, 303)
    response.set_cookie(
        visit.console.cookie,
        cookie,
        max_age=accounts.SESSION_MS // 1000,
        path="/",
        httponly=True,
        samesite="lax",  # strict would ask whoever follows a link in a message to log in again
        secure=visit.request.scope["scheme"] == "https",
    )
    return response


async def login(visit: Visit) -> Response:
    """`/login`: asks for e-mail address and password."""
    onward = local_path(visit.query("next", "/"))
    if visit.user is not None:
        return RedirectResponse(onward, 303)
    return visit.page("login.html", {}, onward=onward, wrong=False)


async def logged_in(visit: Visit) -> Response:
    """The login form."""
    onward = local_path(visit.query("next", "/"))
    address, now = address_of(visit.request), visit.now / 1000
    email = (await visit.field("email")).strip().lower()
    for name in (address, email):
        if seconds := visit.console.attempts.wait(name, now):
            return come_again(seconds)
    rows = await visit.read(lambda connection: connection.rows("user_by_email", email))
    user = User(id=rows[0][0], name=rows[0][1], email=rows[0][2], role=rows[0][3]) if rows else None
    right = await asyncio.to_thread(accounts.matches, rows[0][4] if rows else "", await visit.field("password"))
    if user is None or not right:
        visit.console.attempts.failed(address, now)
        visit.console.attempts.failed(email, now)
        return visit.page("login.html", {}, status=401, onward=onward, wrong=True)
    return await _enter(visit, user, onward)


async def link(visit: Visit) -> Response:
    """`/enter/{secret}`: a link that lets somebody in."""
    secret = visit.request.path_params["secret"]
    found = await visit.read(lambda connection: kept.linked(connection, secret, visit.now))
    if found is None:
        raise HTTPException(
            404,
            "This link was used already, or is too old. Ask an admin for a new one; at a first start, restart "
            "`signalpost serve`: it prints a new one.",
        )
    what, account = found
    if what == "enter":
        user = await visit.read(lambda connection: kept.by_id(connection, account))
        if user is None:
            raise HTTPException(404, "Whom this link is for may not come in any more.")
        return await _enter(visit, user, "/")
    return visit.page("first.html", {}, secret=secret, what=what, sentence="", name="", email="")


async def linked(visit: Visit) -> Response:
    """The form behind a link: name, e-mail address, password."""
    secret = visit.request.path_params["secret"]
    name, email = (await visit.field("name")).strip(), (await visit.field("email")).strip().lower()
    password = await visit.field("password")
    sentence = accounts.wrong_password(password, email) or ("" if name and "@" in email else "Tell a name and an e-mail address.")
    if sentence:
        return visit.page("first.html", {}, status=422, secret=secret, what="first", sentence=sentence, name=name, email=email)
    hashed = await asyncio.to_thread(accounts.hashed, password)
    user = await visit.write(partial(_first, secret=secret, name=name, email=email, hashed=hashed, now=visit.now))
    if user is None:
        raise HTTPException(404, "This link was used already, or is too old.")
    return await _enter(visit, user, "/")


def _first(connection: Connection, *, secret: str, name: str, email: str, hashed: str, now: int) -> User | None:
    found = kept.linked(connection, secret, now)
    if found is None or found[0] != "first" or not kept.use(connection, secret, now):
        return None
    user = kept.add(connection, email=email, name=name, role=accounts.ADMIN, password=hashed, now=now)
    kept.note(connection, user, "user_added", f"user {user.id}", "the first admin, by the link on the terminal", now)
    return user


async def logout(visit: Visit) -> Response:
    """`/logout`: ends the session."""
    cookie = visit.request.cookies.get(visit.console.cookie, "")
    await visit.write(lambda connection: kept.sign_out(connection, cookie))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(visit.console.cookie, path="/", httponly=True)
    return response


WAYS = (
    part("/login", login, ANYONE),
    act("/login", logged_in, ANYONE),
    part("/enter/{secret}", link, ANYONE),
    act("/enter/{secret}", linked, ANYONE),
    act("/logout", logout, "viewer"),
)
