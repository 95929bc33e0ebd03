"""Settings: one's own account, users, keys, the audit and alerts, and what each leaves in the audit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from tests.alerts.conftest import Webhook
from tests.store.shop import EMAIL, workspace
from tests.web.conftest import PASSWORD, Running, now_ms, running

from signalpost.accounts import User
from signalpost.options import Alerts
from signalpost.store import accounts
from signalpost.store.accounts import Noted
from signalpost.store.database import Connection
from signalpost.web.pages.settings import browser

NEW = "another four plain words"
HOUR = 3_600_000


class Browser:
    """Somebody who is signed in, and sends forms with their token."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def send(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of a page."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.client.get("/settings").text)
        assert token
        return self.client.post(path, data={**fields, "csrf": token.group(1)})

    def next(self, path: str, **fields: str) -> str:
        """Send a form and give the page it leads to."""
        answer = self.send(path, **fields)
        assert answer.status_code == 303, answer.text
        return self.client.get(answer.headers["location"]).text


def audit(console: Running, **asked: str) -> list[Noted]:
    """Lines of the audit, the newest first."""
    return console.shop.database.look(lambda connection: accounts.audited(connection, **asked))  # type: ignore[arg-type]


def number_of(console: Running, role: str) -> int:
    """The number of the user of this role, who is made when there is none."""
    console.enter(role)
    user = console.shop.database.look(lambda connection: accounts.by_email(connection, f"{role}@shop.example"))
    assert user is not None
    return user.id


@pytest.fixture
def admin(console: Running) -> Iterator[Browser]:
    """The admin's browser."""
    with console.client(signed_in=True) as client:
        yield Browser(client)


def test_each_page_has_its_data(console: Running, admin: Browser) -> None:
    """Every tab answers with a page and with the same facts as data; what a role may not see it has no tab for."""
    tabs = ["/settings", "/settings/users", "/settings/keys", "/settings/audit", "/settings/alerts"]
    for tab in tabs:
        text = admin.client.get(tab).text
        assert re.findall(r'<nav class="tabs".*?</nav>', text, re.DOTALL)[0].count("<a ") == 5
        assert admin.client.get(f"{tab}.json").json()
    with console.client(signed_in=True, role="viewer") as viewer:
        shown = re.findall(r'<nav class="tabs".*?</nav>', viewer.get("/settings").text, re.DOTALL)[0]
        assert re.findall(r'href="([^"]+)"', shown) == ["/settings", "/settings/alerts"]


# ---- you -------------------------------------------------------------------------------------------------------------------


def test_ones_own_password(console: Running, admin: Browser) -> None:
    """It takes the old one, ends every other session, keeps this one, and is in the audit without either password."""
    with console.client() as other:
        assert other.post("/login", data={"email": "admin@shop.example", "password": PASSWORD}).status_code == 303
        assert admin.send("/settings/password", before="wrong", after=NEW).status_code == 422
        assert admin.send("/settings/password", before=PASSWORD, after="short").status_code == 422
        assert other.get("/settings").status_code == 200
        assert "Your password is changed" in admin.next("/settings/password", before=PASSWORD, after=NEW)
        assert other.get("/settings").status_code == 303
        assert other.post("/login", data={"email": "admin@shop.example", "password": PASSWORD}).status_code == 401
        assert other.post("/login", data={"email": "admin@shop.example", "password": NEW}).status_code == 303
    (line,) = audit(console, what="password_set")
    assert line.who == "admin@shop.example"
    assert NEW not in line.note


def test_a_password_is_not_guessed_at_from_inside(console: Running, admin: Browser) -> None:
    """Whoever sits down at an open browser has ten guesses at the old password."""
    for _ in range(10):
        assert admin.send("/settings/password", before="wrong", after=NEW).status_code == 422
    assert admin.send("/settings/password", before=PASSWORD, after=NEW).status_code == 429


def test_where_one_is_signed_in(console: Running, admin: Browser) -> None:
    """Sessions are listed by browser, one can be ended, and all can; those of others cannot."""
    with console.client() as phone, console.client(signed_in=True, role="viewer") as viewer:
        agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1"
        phone.post("/login", data={"email": "admin@shop.example", "password": PASSWORD}, headers={"user-agent": agent})
        listed = admin.client.get("/settings.json").json()["sessions"]
        assert {each["name"]: each["session"]["this"] for each in listed} == {"python-httpx": True, "Safari on iPhone": False}
        (theirs,) = viewer.get("/settings.json").json()["sessions"]
        assert "already" in admin.next(f"/settings/sessions/{theirs['session']['id']}")
        assert viewer.get("/settings").status_code == 200
        (other,) = (each["session"]["id"] for each in listed if not each["session"]["this"])
        assert "signed out" in admin.next(f"/settings/sessions/{other}")
        assert phone.get("/settings").status_code == 303
    assert admin.send("/settings/everywhere").headers["location"] == "/login"
    assert admin.client.get("/settings").status_code == 303


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15.0; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Mac"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/140.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5.0", "curl"),
        ("", "Unknown browser"),
    ],
)
def test_a_browser_is_called_as_people_call_it(agent: str, name: str) -> None:
    """Name and system, of what it says of itself."""
    assert browser(agent) == name


def test_ones_own_name(console: Running, admin: Browser) -> None:
    """It is shown at once, as text."""
    assert "&lt;b&gt;Ada" in admin.next("/settings/name", name="<b>Ada")
    assert admin.send("/settings/name", name=" ").status_code == 422


# ---- users -----------------------------------------------------------------------------------------------------------------


def test_an_admin_invites(console: Running, admin: Browser) -> None:
    """The link is shown once, works, and stands in no list, no data and no audit; the audit says who invited whom as what."""
    answer = admin.send("/settings/users", email="Eve@Shop.example", role="operator")
    assert answer.status_code == 201
    (link,) = re.findall(rf"{console.url}(/enter/[\w-]+)", answer.text)
    for page in ("/settings/users", "/settings/users.json", "/settings/audit", "/settings/audit.json"):
        assert link.removeprefix("/enter/") not in admin.client.get(page).text
    assert 'class="chip chip-waiting">invited' in admin.client.get("/settings/users").text
    with console.client() as eve:
        assert eve.post(link, data={"name": "Eve", "password": PASSWORD}).status_code == 303
        assert eve.get("/settings.json").json()["role"] == "operator"
    (line,) = audit(console, what="user_invited")
    assert (line.who, line.subject, line.note) == ("admin@shop.example", "user eve@shop.example", "as operator")


@pytest.mark.parametrize(
    ("email", "role", "sentence"),
    [
        ("nobody", "viewer", "Write an e-mail address"),
        ("admin@shop.example", "viewer", "is a user already"),
        ("eve@shop.example", "owner", "There is no role owner"),
    ],
)
def test_an_invitation_that_cannot_be(console: Running, admin: Browser, email: str, role: str, sentence: str) -> None:
    """It is a sentence on the same page, which keeps what was typed; nobody is added."""
    before = len(audit(console))
    answer = admin.send("/settings/users", email=email, role=role)
    assert (answer.status_code, sentence in answer.text, f'value="{email}"' in answer.text) == (422, True, True)
    assert len(admin.client.get("/settings/users.json").json()["users"]) == 1
    assert len(audit(console)) == before


def test_a_role_counts_at_once(console: Running, admin: Browser) -> None:
    """Whoever is given another role has it with the next page; the only admin keeps theirs."""
    with console.client(signed_in=True, role="operator") as operator:
        number = number_of(console, "operator")
        assert operator.get("/settings/audit").status_code == 200
        assert "is viewer now" in admin.next(f"/settings/users/{number}/role", role="viewer")
        assert operator.get("/settings/audit").status_code == 403
    own = number_of(console, "admin")
    assert "only admin" in admin.next(f"/settings/users/{own}/role", role="viewer")
    assert "only admin" in admin.next(f"/settings/users/{own}/remove")
    assert admin.client.get("/settings/users").status_code == 200
    assert [line.note for line in audit(console, what="role_given")] == ["now viewer"]


def test_who_is_removed_is_out_at_once(console: Running, admin: Browser) -> None:
    """Their browser is asked to log in, their password opens nothing, and their name stays in the audit."""
    with console.client(signed_in=True, role="operator") as operator:
        number = number_of(console, "operator")
        assert "cannot come in any more" in admin.next(f"/settings/users/{number}/remove")
        assert operator.get("/").status_code == 303
        assert operator.post("/login", data={"email": "operator@shop.example", "password": PASSWORD}).status_code == 401
    assert "removed already" in admin.next(f"/settings/users/{number}/remove")
    (line,) = audit(console, what="user_removed")
    assert line.subject == "user operator@shop.example"


def test_a_link_for_a_new_password(console: Running, admin: Browser) -> None:
    """It is for whoever has been in; whoever has not gets a new invitation, and the earlier one is void."""
    with console.client(signed_in=True, role="viewer"):
        number = number_of(console, "viewer")
    answer = admin.send(f"/settings/users/{number}/link")
    assert (answer.status_code, "A new password for viewer@shop.example" in answer.text) == (201, True)
    (first,) = re.findall(r"/enter/[\w-]+", admin.send("/settings/users", email="eve@shop.example", role="viewer").text)
    eve = max(user["id"] for user in admin.client.get("/settings/users.json").json()["users"])
    answer = admin.send(f"/settings/users/{eve}/link")
    assert "The invitation of eve@shop.example" in answer.text
    assert admin.client.get(first).status_code == 404


# ---- keys ------------------------------------------------------------------------------------------------------------------


def test_a_key(console: Running, admin: Browser) -> None:
    """Shown once; opens what its role opens; its use is seen; only a hash is kept; removed it opens nothing."""
    assert "No API key yet" in admin.client.get("/settings/keys").text
    answer = admin.send("/settings/keys", name="dashboard", role="viewer", days="30")
    assert answer.status_code == 201
    (key,) = re.findall(r"sp_[\w-]{43}", answer.text)
    with console.client() as program:
        headers = {"authorization": f"Bearer {key}"}
        assert program.get("/index.json", headers=headers).status_code == 200
        assert program.get("/settings/users.json", headers=headers).status_code == 403
        assert "This is an API key" in program.get("/settings", headers=headers).text
        (known,) = admin.client.get("/settings/keys.json").json()["keys"]
        assert (known["name"], known["role"], known["made_by"]) == ("dashboard", "viewer", "admin@shop.example")
        assert known["until"] - known["made_at"] == 30 * 24 * HOUR
        assert known["used_at"] is not None
        assert key.startswith(known["start"])
        assert key not in admin.client.get("/settings/keys").text
        assert "opens nothing any more" in admin.next(f"/settings/keys/{known['id']}/remove")
        assert program.get("/index.json", headers=headers).status_code == 401
    assert [line.what for line in audit(console, subject="key dashboard")] == ["key_removed", "key_made"]


@pytest.mark.parametrize(
    ("name", "role", "days"), [("", "viewer", "30"), ("x", "admin", "30"), ("x", "viewer", "31"), ("x" * 81, "viewer", "")]
)
def test_a_key_that_cannot_be(console: Running, admin: Browser, name: str, role: str, days: str) -> None:
    """No key without a name, of an admin, or of another time than is offered."""
    assert admin.send("/settings/keys", name=name, role=role, days=days).status_code == 422
    assert admin.client.get("/settings/keys.json").json()["keys"] == []


def test_a_key_ends(console: Running, admin: Browser) -> None:
    """After its end a key opens nothing, and the list says so."""

    def old(connection: Connection) -> str:
        at = now_ms() - 2 * HOUR
        return accounts.add_key(connection, name="old", role="viewer", made_by="ada", now=at, until=at + HOUR)

    key = console.shop.write(old)
    with console.client() as program:
        assert program.get("/index.json", headers={"authorization": f"Bearer {key}"}).status_code == 401
    assert "ended</span>" in admin.client.get("/settings/keys").text


# ---- audit -----------------------------------------------------------------------------------------------------------------


def test_the_audit_by_its_address(console: Running, admin: Browser) -> None:
    """Filters stand in the address, lines come page by page, days are the workspace's, and markup is text."""
    day = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1000)

    def fill(connection: Connection) -> None:
        ada = User(id=7, name="Ada", email="ada@shop.example", role="operator")
        for number in range(120):
            what = "paused" if number % 2 else "resumed"
            accounts.note(connection, ada, what, "tiktok", f"<i>{number}</i>", day + number * HOUR)
        accounts.note(connection, ada, "unmasked", "person 12", f"wrote as {EMAIL}", day)

    console.shop.write(fill)
    first = admin.client.get("/settings/audit", params={"who": "ada@shop.example", "what": "paused"})
    assert first.text.count(">tiktok</td>") == 50
    assert "&lt;i&gt;119&lt;/i&gt;" in first.text
    (older,) = re.findall(r'href="([^"]+)">Older lines', first.text)
    rest = admin.client.get(older.replace("&amp;", "&")).text
    assert rest.count(">tiktok</td>") == 10
    assert "the oldest lines" in rest
    # 2026-06-02 in London begins an hour before it does in UTC.
    found = admin.client.get("/settings/audit.json?since=2026-06-02&until=2026-06-02&what=paused").json()["lines"]
    assert [line["note"] for line in found] == [f"<i>{number}</i>" for number in range(45, 22, -2)]
    assert admin.client.get("/settings/audit?since=yesterday").status_code == 400
    assert "No such line" in admin.client.get("/settings/audit?subject=nothing-like-it").text
    for address in ("/settings/audit?subject=person+12", "/settings/audit.json?subject=person+12"):
        assert EMAIL not in admin.client.get(address).text


# ---- alerts ----------------------------------------------------------------------------------------------------------------


def test_alerts_are_tried(tmp_path: Path) -> None:
    """Names and kinds are shown, addresses never; the test message arrives, and whoever refuses it is named with the reason."""
    hook = Webhook()
    options = Alerts(to={"team": hook.address, "nobody": "json://ada:geheim@127.0.0.1:9"}, quiet="22:00-07:00")
    try:
        with running(tmp_path, workspace(str(tmp_path / "signalpost.db"), alerts=options)) as console:
            with console.client(signed_in=True, role="viewer") as viewer:
                text = viewer.get("/settings/alerts").text
                assert "Send a test" not in text
                assert "22:00-07:00 in Europe/London" in text
                assert viewer.get("/settings/alerts.json").json()["addresses"] == [
                    {"name": "team", "kind": "webhook"},
                    {"name": "nobody", "kind": "webhook"},
                ]
            with console.client(signed_in=True, role="operator") as client:
                said = Browser(client).next("/settings/alerts/test")
            assert "team took the test message." in said
            assert "nobody: It could not be reached" in said
            assert [each["title"] for each in hook.received] == ["glow: a test"]
            (line,) = audit(console, what="alerts_tested")
            assert line.subject == "team, nobody"
            for each in (text, said, line.note):
                assert "geheim" not in each
                assert hook.address not in each
    finally:
        hook.close()


def test_nobody_is_told_yet(console: Running, admin: Browser) -> None:
    """Without an address the page says what to write, and trying is a sentence."""
    assert "Nobody is told of findings" in admin.client.get("/settings/alerts").text
    assert "There is no address yet" in admin.next("/settings/alerts/test")


def test_what_was_told_is_listed(console: Running, admin: Browser) -> None:
    """Findings that were told stand with their moment, the latest first."""

    def told(connection: Connection) -> None:
        for key in ("a", "b"):
            connection.run(
                "finding_open",
                key,
                "duplicates",
                "tiktok",
                "warning",
                f"Finding {key}.",
                "Look.",
                None,
                None,
                None,
                "[]",
                "",
                1,
                1,
            )
        for number, at in ((1, now_ms()), (2, now_ms() + 1)):
            connection.run("finding_told", at, number)

    console.shop.write(told)
    assert [each["sentence"] for each in admin.client.get("/settings/alerts.json").json()["told"]] == ["Finding b.", "Finding a."]
    assert "Finding a." in admin.client.get("/settings/alerts").text
