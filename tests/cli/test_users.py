"""`signalpost users`: who may come in, for whoever keeps the server, in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from signalpost.processing import now_ms
from signalpost.store import accounts
from signalpost.store.database import Connection, Database

Run = Callable[..., CompletedProcess[str]]

FILE = """
workspace: glow
environment: production
currency: USD
country: US
order_value: net
"""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """The database beside the workspace file, with an admin who has been in; closed before the commands."""
    (tmp_path / "signalpost.yaml").write_text(FILE, "utf-8")
    made = Database(str(tmp_path / "signalpost.db"))

    def admin(connection: Connection) -> None:
        user = accounts.add(connection, email="ada@shop.example", name="Ada", role="admin", password="x", now=now_ms())
        accounts.sign_in(connection, user, "", now_ms())

    made.submit(admin).result(30)
    return made


def test_from_invitation_to_removal(run: Run, database: Database) -> None:
    """Invite, list, another role, a new link, remove: each works beside a server, and is in the audit."""
    done = run("users", "invite", "Eve@shop.example", "--role", "operator")
    assert (done.returncode, done.stderr) == (0, "")
    sentence, link = done.stdout.splitlines()
    assert sentence == "eve@shop.example may come in as operator by this link, once, within three days:"
    secret = link.removeprefix("http://127.0.0.1:8377/enter/")
    known = database.look(lambda connection: accounts.linked(connection, secret, now_ms()))
    assert known is not None
    assert known[0] == "invite"

    listed = json.loads(run("users", "list", "--json").stdout)
    assert [(each["email"], each["role"], each["seen_at"] > 0) for each in listed] == [
        ("ada@shop.example", "admin", True),
        ("eve@shop.example", "operator", False),
    ]
    assert "not yet" in run("users", "list").stdout
    assert run("users", "role", "eve@shop.example", "viewer").stdout == "eve@shop.example is viewer now.\n"
    again = json.loads(run("users", "reset", "eve@shop.example", "--json").stdout)["link"].rpartition("/")[2]
    assert database.look(lambda connection: accounts.linked(connection, secret, now_ms())) is None
    assert database.look(lambda connection: accounts.linked(connection, again, now_ms())) == known
    assert run("users", "remove", "eve@shop.example").stdout == "eve@shop.example cannot come in any more.\n"
    assert database.look(lambda connection: accounts.linked(connection, again, now_ms())) is None
    lines = database.look(lambda connection: accounts.audited(connection, subject="user eve@shop.example"))
    assert [line.what for line in lines] == ["user_removed", "link_made", "role_given", "user_invited"]
    assert all("on the command line" in line.note and line.who for line in lines)
    database.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("remove", "ada@shop.example"), "This is the only admin"),
        (("role", "ada@shop.example", "viewer"), "This is the only admin"),
        (("role", "ada@shop.example", "owner"), "There is no role owner."),
        (("invite", "ada@shop.example"), "ada@shop.example is a user already."),
        (("invite", "ada"), "Write an e-mail address"),
        (("reset", "eve@shop.example"), "There is no user eve@shop.example."),
    ],
)
def test_what_cannot_be_done_is_a_sentence(run: Run, database: Database, arguments: tuple[str, ...], sentence: str) -> None:
    """Exit code 1, one line that says why, and nothing is changed."""
    done = run("users", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(sentence)
    assert [each.role for each in database.look(accounts.everybody)] == ["admin"]
    database.close()


def test_before_the_first_start(run: Run, tmp_path: Path) -> None:
    """Where there is no database yet, the command says what makes it."""
    (tmp_path / "signalpost.yaml").write_text(FILE, "utf-8")
    done = run("users", "list")
    assert (done.returncode, done.stdout) == (2, "")
    assert "prints a link for the first admin" in done.stderr
    assert not (tmp_path / "signalpost.db").exists()
