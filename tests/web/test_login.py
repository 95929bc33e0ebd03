"""In and out of the console: passwords, sessions, links, and what slows down whoever guesses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from tests.store.shop import workspace
from tests.web.conftest import PASSWORD, Running, now_ms, running

from signalpost.accounts import LINK_MS, SESSION_MS, Refused, User, hashed, matches, wrong_password
from signalpost.config import Server
from signalpost.store import accounts, upkeep
from signalpost.store.database import Connection, Database
from signalpost.web.door import ATTEMPTS, Attempts, local_path

Answer = TypeVar("Answer")

NEW = "another four plain words"


def log_in(client: httpx.Client, email: str, password: str, path: str = "/login", **headers: str) -> httpx.Response:
    """Send the login form."""
    return client.post(path, data={"email": email, "password": password}, headers=headers)


def person(console: Running, role: str = "operator") -> str:
    """A user with a password; gives the address they sign in by."""
    console.enter(role)
    return f"{role}@shop.example"


def link(console: Running, what: str, email: str = "", *, at: int | None = None) -> str:
    """The path of a new link for somebody, or for nobody yet."""

    def work(connection: Connection) -> str:
        user = accounts.by_email(connection, email) if email else None
        return accounts.link(connection, what, user.id if user else 0, now_ms() if at is None else at)

    return f"/enter/{console.shop.write(work)}"


def invited(console: Running, email: str, role: str) -> str:
    """The path of an invitation."""
    return f"/enter/{console.shop.write(lambda connection: accounts.invite(connection, email=email, role=role, now=now_ms()))[1]}"


def csrf(client: httpx.Client) -> str:
    """The form token of a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/settings").text)
    assert found
    return found.group(1)


# ---- passwords -------------------------------------------------------------------------------------------------------------


def test_the_form_logs_in_and_goes_on_to_where_one_wanted(console: Running) -> None:
    """The login leads to the page that was asked for, and logging out closes it again, with the form's token only."""
    email = person(console)
    with console.client() as client:
        asked = client.get("/signals?verdict=refused").headers["location"]
        answer = log_in(client, f" {email.upper()} ", PASSWORD, asked, origin=console.url)
        assert (answer.status_code, answer.headers["location"]) == (303, "/signals?verdict=refused")
        assert client.get("/").status_code == 200
        assert client.get("/login").headers["location"] == "/"
        token = csrf(client)
        assert client.post("/logout").status_code == 403
        assert client.post("/logout", data={"csrf": token}).headers["location"] == "/login"
        assert client.get("/").status_code == 303


def test_unknown_and_wrong_are_answered_alike(console: Running) -> None:
    """Nobody learns from the answer whether an address is somebody's; an invited user without a password cannot log in."""
    email = person(console)
    invited(console, "eve@shop.example", "viewer")
    with console.client() as client:
        told = {
            re.sub(r'value="[^"]*"', "", log_in(client, each, password).text)
            for each, password in ((email, "wrong"), ("nobody@shop.example", "wrong"), ("eve@shop.example", ""))
        }
        assert len(told) == 1
        assert "That is not right" in told.pop()


def test_nobody_costs_as_much_as_somebody() -> None:
    """An address that is nobody's is checked against a hash made the same way."""
    kept = hashed(PASSWORD)
    assert matches(kept, PASSWORD)
    assert not matches(kept, "wrong")
    assert not matches("", PASSWORD)
    assert kept.startswith("$argon2id$")


@pytest.mark.parametrize(
    ("password", "fine"),
    [("short", False), ("ada@shop.example", False), ("Ada@Shop.example", False), ("x" * 1001, False), ("four plain words", True)],
)
def test_what_a_password_must_be(password: str, fine: bool) -> None:
    """Long enough, not endless, and not one's own address."""
    assert (wrong_password(password, "ada@shop.example") == "") == fine


def test_guessing_is_slowed_down(console: Running) -> None:
    """After ten wrong passwords within a minute even the right one has to wait; a session that is open stays open."""
    email = person(console)
    with console.client(signed_in=True) as inside, console.client() as client:
        for _ in range(ATTEMPTS):
            assert log_in(client, "guess@shop.example", "wrong").status_code == 401
        answer = log_in(client, email, PASSWORD)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 61
        assert inside.get("/").status_code == 200


def test_an_account_is_guessed_at_from_many_addresses_in_vain(tmp_path: Path) -> None:
    """Attempts are counted by account, too; behind a proxy of ours the addresses that it tells are counted, and not its own."""
    chosen = workspace(str(tmp_path / "signalpost.db"), server=Server(trusted_proxies=("127.0.0.1",)))
    with running(tmp_path, chosen) as console, console.client() as client:
        email, other = person(console), person(console, "viewer")
        for number in range(ATTEMPTS):
            assert log_in(client, email, "wrong", **{"x-forwarded-for": f"198.51.100.{number}"}).status_code == 401
        assert log_in(client, email, PASSWORD, **{"x-forwarded-for": "198.51.100.99"}).status_code == 429
        assert log_in(client, other, PASSWORD, **{"x-forwarded-for": "198.51.100.99"}).status_code == 303


def test_right_ones_are_not_counted() -> None:
    """Whoever knows the password may log in as often as they like; what is still being looked at counts as wrong."""
    attempts = Attempts()
    for second in range(3 * ATTEMPTS):
        assert attempts.wait("ada", second) == 0
        attempts.failed("ada", second)
        attempts.right("ada")
    for _ in range(ATTEMPTS):
        attempts.failed("ada", 100)
    assert attempts.wait("ada", 100) == 61
    assert attempts.wait("ada", 161) == 0


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "/a\nb", "", "x"]
)
def test_the_login_leads_to_no_other_site(wanted: str) -> None:
    """Where the login goes on to is a path of the console, whatever the address says."""
    assert local_path(wanted) == "/"


# ---- sessions --------------------------------------------------------------------------------------------------------------


def test_a_session_is_of_the_console_and_of_nobody_else(console: Running) -> None:
    """The cookie is out of reach for scripts and other sites' forms; only a hash of it is kept."""
    email = person(console)
    with console.client() as client:
        told = log_in(client, email, PASSWORD).headers["set-cookie"]
        assert {"httponly", "samesite=lax", "path=/"} <= {part.strip().lower() for part in told.split(";")}
        assert "secure" not in told.lower()
        cookie = client.cookies[console.application.console.cookie]
        rows = console.shop.database.look(lambda connection: connection.rows("sessions_of", 1, now_ms()))
        assert cookie not in str(rows)


@pytest.mark.parametrize("by", ["public_url", "proxy"])
def test_with_tls_the_cookie_never_leaves_it(tmp_path: Path, by: str) -> None:
    """Where browsers come by https, as `public_url` or a proxy of ours says, the cookie is Secure."""
    server = Server(public_url="https://shop.example") if by == "public_url" else Server(trusted_proxies=("127.0.0.1",))
    with running(tmp_path, workspace(str(tmp_path / "signalpost.db"), server=server)) as console, console.client() as client:
        headers = {"x-forwarded-proto": "https"} if by == "proxy" else {"origin": "https://shop.example"}
        assert "; secure" in log_in(client, person(console), PASSWORD, **headers).headers["set-cookie"].lower()


def test_a_session_that_was_planted_is_not_taken_on(console: Running) -> None:
    """Logging in makes a new session and ends the one that the browser brought, so that nobody can lay one ready."""
    email, name = person(console), console.application.console.cookie
    with console.client(signed_in=True, role="viewer") as other, console.client() as client:
        planted = other.cookies[name]
        client.cookies.set(name, planted)
        assert log_in(client, email, PASSWORD).status_code == 303
        assert client.cookies.get(name, domain="127.0.0.1") != planted
        assert other.get("/").status_code == 303


def test_a_session_ends_by_itself(console: Running) -> None:
    """A session lasts seven days, and is gone from the database with the next pruning."""
    database, now = console.shop.database, now_ms()
    person(console)

    def work(connection: Connection) -> tuple[str, str]:
        user = accounts.by_email(connection, "operator@shop.example")
        assert user is not None
        at = now - SESSION_MS
        return accounts.sign_in(connection, user, "Old", at), accounts.sign_in(connection, user, "Young", at + 60_000)

    old, young = console.shop.write(work)
    assert database.look(lambda connection: accounts.signed_in(connection, old, now)) is None
    assert database.look(lambda connection: accounts.signed_in(connection, young, now)) is not None
    console.shop.write(lambda connection: accounts.link(connection, "first", 0, now - LINK_MS))
    gone = console.shop.write(lambda connection: upkeep.prune(connection, console.shop.workspace.retention, now))
    assert gone == 2
    assert database.look(lambda connection: [each.agent for each in accounts.sessions(connection, 1, young, now)]) == ["Young"]


# ---- links -----------------------------------------------------------------------------------------------------------------


def test_the_first_admin(console: Running) -> None:
    """The link on the terminal makes the first admin, once; looking at it before uses nothing up."""
    path = link(console, "first")
    form = {"name": "Ada", "email": "Ada@Shop.Example", "password": PASSWORD}
    with console.client() as bot, console.client() as client:
        assert [bot.get(path).status_code, bot.head(path).status_code] == [200, 200]
        page = client.get(path).text
        assert "makes you the admin" in page
        assert client.post(path, data={**form, "password": "short"}).status_code == 422
        assert client.post(path, data={**form, "email": "ada"}).status_code == 422
        assert client.post(path, data=form).headers["location"] == "/"
        assert client.get("/settings/users").status_code == 200
        assert bot.post(path, data={**form, "email": "eve@shop.example"}).status_code == 404
        assert bot.get(path).status_code == 404
    with console.client() as client:
        assert log_in(client, "ada@shop.example", PASSWORD).status_code == 303


def test_a_newer_first_link_makes_the_earlier_one_useless(console: Running) -> None:
    """Each start prints a new link: one that lies about in an old log opens nothing."""
    old, new = link(console, "first"), link(console, "first")
    with console.client() as client:
        assert (client.get(old).status_code, client.get(new).status_code) == (404, 200)


def test_an_invitation(console: Running) -> None:
    """Whoever is invited chooses name and password and has the role they were invited as; nothing in the form changes that."""
    path = invited(console, "eve@shop.example", "viewer")
    with console.client() as client:
        assert "as <b>viewer</b>" in client.get(path).text
        form = {"name": "Eve", "password": PASSWORD, "email": "boss@shop.example", "role": "admin", "what": "first"}
        assert client.post(path, data={**form, "name": " "}).status_code == 422
        assert client.post(path, data=form).status_code == 303
        own = client.get("/settings.json").json()
        assert (own["name"], own["email"], own["role"]) == ("Eve", "eve@shop.example", "viewer")
        assert client.post(path, data=form).status_code == 404


def test_a_new_password_by_a_link_ends_every_session(console: Running) -> None:
    """After it the old password and every browser that was signed in are worth nothing."""
    email = person(console)
    path = link(console, "password", email)
    with console.client(signed_in=True, role="operator") as before, console.client() as client:
        assert client.post(path, data={"password": NEW}).status_code == 303
        assert client.get("/").status_code == 200
        assert before.get("/").status_code == 303
    with console.client() as client:
        assert log_in(client, email, PASSWORD).status_code == 401
        assert log_in(client, email, NEW).status_code == 303


@pytest.mark.parametrize("what", ["invite", "password", "enter"])
def test_a_link_ends(console: Running, what: str) -> None:
    """After three days, and with its user, a link opens nothing."""
    email = person(console)
    old, new = link(console, what, email, at=now_ms() - LINK_MS - 1), link(console, what, email)
    with console.client() as client:
        assert client.get(old).status_code == 404
        assert client.get(new).status_code in {200, 303}
    person(console, "admin")
    console.shop.write(lambda connection: accounts.remove(connection, 1, now_ms()))
    with console.client() as client:
        assert client.get(new).status_code == 404
        assert client.post(new, data={"name": "x", "password": PASSWORD}).status_code == 404


# ---- users, on either database ---------------------------------------------------------------------------------------------


def test_the_last_admin_stays(database: Database) -> None:
    """Nobody can remove or demote the only admin who has been in; with a second one either may go."""
    now = 1_000_000

    def write(work: Callable[[Connection], Answer]) -> Answer:
        return database.submit(work).result(30)

    def two(connection: Connection) -> tuple[int, int]:
        ada = accounts.add(connection, email="ada@shop.example", name="Ada", role="admin", password="x", now=now)
        eve, _ = accounts.invite(connection, email="eve@shop.example", role="admin", now=now)
        accounts.sign_in(connection, ada, "", now)
        return ada.id, eve.id

    ada, eve = write(two)
    for change in (lambda one: accounts.remove(one, ada, now), lambda one: accounts.give_role(one, ada, "viewer")):
        with pytest.raises(Refused, match="only admin"):
            write(change)

    def enter(connection: Connection) -> str:
        user = accounts.by_id(connection, eve)
        assert user is not None
        return accounts.sign_in(connection, user, "", now)

    cookie = write(enter)
    write(lambda one: accounts.give_role(one, ada, "viewer"))
    with pytest.raises(Refused, match="only admin"):
        write(lambda one: accounts.remove(one, eve, now))
    write(lambda one: accounts.remove(one, ada, now))
    assert [each.email for each in database.look(accounts.everybody)] == ["eve@shop.example"]
    assert database.look(lambda one: accounts.signed_in(one, cookie, now)) is not None


def test_who_was_removed_comes_back_with_nothing_of_before(database: Database) -> None:
    """An invitation of a removed user begins anew: another role, no password, no provider."""
    now = 1_000_000

    def work(connection: Connection) -> tuple[str, str]:
        accounts.add(connection, email="boss@shop.example", name="Boss", role="admin", password="x", now=now)
        first = accounts.add(connection, email="ada@shop.example", name="Ada", role="admin", password="x", now=now)
        connection.run("user_subject", "https://accounts.example.com 1", first.id)
        accounts.remove(connection, first.id, now)
        again, _ = accounts.invite(connection, email="Ada@Shop.example", role="viewer", now=now)
        (known,) = [each for each in accounts.everybody(connection) if each.id == again.id]
        assert (known.role, known.password, known.single_sign_on) == ("viewer", False, False)
        assert connection.rows("user_by_subject", "https://accounts.example.com 1") == []
        with pytest.raises(Refused, match="is a user already"):
            accounts.invite(connection, email="ada@shop.example", role="admin", now=now)
        return first.email, again.email

    assert database.submit(work).result(30) == ("ada@shop.example", "ada@shop.example")


def test_the_audit_is_read_by_its_filters(database: Database) -> None:
    """Who, what, about what, from when to when, and page by page; a wildcard of a filter is a letter like any other."""

    def fill(connection: Connection) -> None:
        for number in range(30):
            user = User(id=1, name="Ada", email="ada@x.example" if number % 2 else "eve@x.example", role="admin")
            accounts.note(connection, user, "paused" if number % 3 else "resumed", f"Dest_{number % 5}", f"{number}%", number)

    database.submit(fill).result(30)

    def notes(**asked: object) -> list[str]:
        return [each.note for each in database.look(lambda connection: accounts.audited(connection, **asked))]  # type: ignore[arg-type]

    assert notes()[:2] == ["29%", "28%"]
    assert notes(who="ada@x.example", what="resumed") == ["27%", "21%", "15%", "9%", "3%"]
    assert notes(subject="dest_4", since=10, until=20) == ["19%", "14%"]
    assert notes(subject="dest%4") == notes(who="a%") == []
    first = database.look(lambda connection: accounts.audited(connection, most=10))
    second = database.look(lambda connection: accounts.audited(connection, most=10, before=first[-1].id))
    assert [each.note for each in second] == [f"{number}%" for number in range(19, 9, -1)]
    who, what = database.look(accounts.audit_words)
    assert {"ada@x.example", "eve@x.example"} <= set(who)
    assert {"paused", "resumed"} <= set(what)


def test_there_is_an_admin_only_once_one_may_come_in(console: Running) -> None:
    """Viewers and operators do not make a workspace administered."""
    for role, expected in (("viewer", False), ("operator", False), ("admin", True)):
        console.enter(role)
        assert console.shop.database.look(accounts.administered) is expected
