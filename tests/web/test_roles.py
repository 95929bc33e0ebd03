"""Who may take which way of the console, walked over every route there is, and what no answer may hold."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from starlette.routing import Mount, Route
from tests.store.shop import EMAIL, PHONE, RAW, Shop
from tests.web.conftest import Running, now_ms, running

from signalpost import config
from signalpost.accounts import ADMIN, OPERATOR, ROLES, VIEWER
from signalpost.destinations import CATALOG
from signalpost.store import accounts, revisions
from signalpost.store.database import Connection
from signalpost.web import pages
from signalpost.web.door import HEADERS
from signalpost.web.routing import ANYONE, Way

OPEN = {
    "/login": "the login",
    "/login/sso": "leads to the provider of single sign-on",
    "/login/sso/back": "the provider leads back",
    "/enter/{secret}": "a link lets in whoever has it",
    "/healthz": "for whoever watches the server; tells no figure",
    "/shared/{secret}": "a link to one read-only page",
}
"""Routes that need no account, and why. One that is not here must have a role."""

EXAMPLES = {
    "/signals/{event:int}": "/signals/{accepted}",
    "/people/{person:int}": "/people/{person}",
    "/segments/{name}": "/segments/buyers",
    "/destinations/{name}": "/destinations/tiktok",
    "/audiences/{name:path}/{destination}": "/audiences/buyers/tiktok",
    "/findings/{finding:int}": "/findings/{finding}",
    "/changes/revisions/{revision:int}": "/changes/revisions/{revision}",
    "/changes/{proposal:int}": "/changes/{proposal}",
    "/settings/sessions/{session}": "/settings/sessions/0123456789abcdef",
    "/settings/users/{user:int}": "/settings/users/1",
    "/settings/keys/{key:int}": "/settings/keys/1",
    "/enter/{secret}": "/enter/not-a-link",
    "/shared/{secret}": "/shared/not-a-link",
    "/setup/{case}": "/setup/suppress-recent-buyers",
    "/setup/connect/{destination}": "/setup/connect/tiktok",
}
"""A part of a route with parameters -> something that is there; words in braces are of `Filled.there`."""

NAMES = (
    "WEB_KEY", "SITE_KEY", "SHOPIFY_SECRET", "TIKTOK_TOKEN", "PINTEREST_TOKEN", "AUDIENCE_TOKEN", "OIDC_SECRET", "HOOK",
)  # fmt: skip

LATER = {"/people/{person:int}/erased": "nobody is erased yet", "/shared/{secret}": "nothing is shared yet"}
"""Pages that are there only after something that did not happen here, and why."""

SECRETS = {name: f"sentinel-{number:02d}-{name.lower().replace('_', '-')}" for number, name in enumerate(NAMES)}
"""What stands in the environment and nowhere else."""

FILE = """\
workspace: glow
environment: production
currency: GBP
country: GB
order_value: gross
timezone: Europe/London
database: {database}
sources:
  web: {{type: pipelines, write_key: "${{WEB_KEY}}"}}
  cio: {{type: track, site_id: site, api_key: "${{SITE_KEY}}"}}
  shop: {{type: shopify, secret: "${{SHOPIFY_SECRET}}"}}
segments:
  buyers: {{did: Order Completed, within: 14d}}
audiences:
  - {{segment: buyers, to: [tiktok, pinterest], use: suppress}}
destinations:
  tiktok: {{type: tiktok, pixel: CPIXEL, access_token: "${{TIKTOK_TOKEN}}", advertiser: "700"}}
  pinterest:
    type: pinterest
    ad_account: "549755885175"
    access_token: "${{PINTEREST_TOKEN}}"
    audience_token: "${{AUDIENCE_TOKEN}}"
alerts:
  to: {{team: "${{HOOK}}"}}
console:
  oidc: {{issuer: "https://accounts.example.com", client_id: signalpost, client_secret: "${{OIDC_SECRET}}"}}
"""

STREAMS = frozenset({"live", "progress", "stream", "events"})
"""Last words of ways that go on for ever."""

PATIENCE = 1.0
"""Seconds that are read of an answer that goes on for ever."""


class Filled:
    """A console with something on every page."""

    def __init__(self, console: Running) -> None:
        self.console = console
        numbers = console.fill()
        self.there = {"accepted": numbers["accepted"], **console.shop.write(_things)}

    def path(self, way: Way) -> str:
        """The way's path with something that is there in place of its parameters."""
        path = way.path
        for part, example in EXAMPLES.items():
            if path == part or path.startswith(f"{part.rstrip('/')}/"):
                path = example + path.removeprefix(part)
        for name, value in self.there.items():
            path = path.replace(f"{{{name}}}", str(value)).replace(f"{{{name}:int}}", str(value))
        if way.method == "POST":  # refused before it is known whether the thing is there
            path = re.sub(r"\{\w+:int\}", "1", path)
            path = re.sub(r"\{\w+(:\w+)?\}", "nothing", path)
        assert "{" not in path, f"Give EXAMPLES of tests/web/test_roles.py something that is there for {way.path}."
        return path


def _things(connection: Connection) -> dict[str, int]:
    """A person, a finding, a revision and a proposal; gives their numbers."""
    now = now_ms()
    text = FILE.format(database="signalpost.db")
    revision = revisions.keep(connection, text, who="ada@shop.example", note="", origin="start", now=now)
    proposal = revisions.propose(
        connection, text.replace("14d", "21d"), base=revision.digest, who="ada@shop.example", note="", origin="editor",
        since=None, now=now,
    )  # fmt: skip
    connection.run(
        "finding_open", "k", "duplicates", "tiktok", "warning", "A source reports twice.", "Look at it.", None, "12.00", "GBP",
        "[]", "", now, now,
    )  # fmt: skip
    (finding,) = connection.rows("findings_of_now")
    ((person, *_),) = connection.rows("people_latest", accounts.FOR_EVER, accounts.FOR_EVER, 1)
    return {"person": person, "revision": revision.id, "proposal": proposal, "finding": finding[0]}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A console of a workspace file whose every secret stands in the environment."""
    folder = tmp_path_factory.mktemp("roles")
    environ = {**SECRETS, "HOOK": f"jsons://hooks.example.com/{SECRETS['HOOK']}"}
    text = FILE.format(database=folder / "signalpost.db")
    chosen, mistakes = config.check(text, environ, CATALOG)
    assert chosen is not None, mistakes
    with running(folder, chosen, text=text, environ=environ) as ready:
        yield Filled(ready)


def gets() -> list[Way]:
    """Every way that only shows."""
    return [way for way in pages.WAYS if way.method == "GET"]


def acts() -> list[Way]:
    """Every way that changes something, but those that are open to anyone."""
    return [way for way in pages.WAYS if way.method != "GET" and way.role != ANYONE]


def twin(path: str) -> str:
    """The address of a page's data."""
    return "/index.json" if path == "/" else f"{path}.json"


def below(role: str) -> list[str]:
    """The roles that may less."""
    order = list(ROLES)
    return order[: order.index(role)]


def audit_lines(shop: Shop) -> int:
    """How many lines the audit has."""
    return len(shop.database.look(lambda connection: accounts.audited(connection, most=10_000)))


def key_of(filled: Filled, role: str) -> dict[str, str]:
    """The header of a new API key."""
    made = filled.console.shop.write(
        lambda connection: accounts.add_key(connection, name="test", role=role, made_by="test", now=now_ms(), until=None)
    )
    return {"authorization": f"Bearer {made}"}


def token(client: httpx.Client) -> str:
    """The form token of a signed-in client, as a page holds it."""
    text = client.get("/settings").text
    return text.partition('name="csrf" value="')[2].partition('"')[0]


def answered(client: httpx.Client, path: str, headers: Mapping[str, str] | None = None) -> tuple[httpx.Response, str]:
    """An answer and what it holds; of one that goes on for ever, what came within `PATIENCE`."""
    patient = httpx.Timeout(10, read=PATIENCE if path.rpartition("/")[2] in STREAMS else 10)
    with client.stream("GET", path, headers=dict(headers or {}), timeout=patient) as answer:
        kind = answer.headers.get("content-type", "")
        if not kind.startswith("text/event-stream"):
            answer.read()
            return answer, answer.text if kind.startswith(("text/", "application/json")) else ""
        heard, until = "", time.monotonic() + PATIENCE
        with contextlib.suppress(httpx.ReadTimeout):
            for line in answer.iter_lines():
                heard += f"{line}\n"
                if time.monotonic() > until or heard.count("event:") > 3:
                    break
        return answer, heard


# ---- the table itself ------------------------------------------------------------------------------------------------------


def test_every_way_says_who_may_take_it(filled: Filled) -> None:
    """A way has a role or a reason to have none, and whatever changes something is a form."""
    for way in pages.WAYS:
        assert way.role in {*ROLES, ANYONE}, way.path
        assert way.method in {"GET", "POST"}, way.path
        assert way.role != ANYONE or way.path in OPEN, f"{way.path} is open to anyone: say why in OPEN."


def test_the_application_has_no_other_routes(filled: Filled) -> None:
    """Every route of the console comes of the table, but the package's own files."""
    known = {way.path for way in pages.WAYS} | {twin(way.path) for way in pages.WAYS if way.twin}
    application: Any = filled.console.application.console.application()
    for route in application.inner.routes:
        if isinstance(route, Mount):
            assert route.path == "/static"
        else:
            assert isinstance(route, Route)
            assert route.path in known


def test_acts_change_nothing_by_being_looked_at(filled: Filled) -> None:
    """The address of a form answers no GET, unless a page of its own stands there."""
    shown = {way.path for way in pages.WAYS if way.method == "GET"}
    with filled.console.client(signed_in=True) as client:
        for way in acts():
            if way.path not in shown:
                assert client.get(filled.path(way)).status_code in {404, 405}, way.path


# ---- who may not -----------------------------------------------------------------------------------------------------------


def test_nobody_comes_in_without_an_account(filled: Filled) -> None:
    """A page leads whoever has no account to the login; everything else is refused with 401; nothing is told, nothing changes."""
    before = audit_lines(filled.console.shop)
    with filled.console.client() as client:
        for way in pages.WAYS:
            if way.role == ANYONE:
                continue
            path = filled.path(way)
            for method in ("GET", "HEAD") if way.method == "GET" else ("POST",):
                answer = client.request(method, path)
                if way.twin:
                    assert answer.status_code == 303, way.path
                    assert answer.headers["location"].partition("?")[0] == "/login", way.path
                    answer = client.request(method, twin(path))
                assert answer.status_code == 401, (method, way.path)
                assert "A-accepted" not in answer.text
        assert client.get("/nothing/here").status_code == 404
    assert audit_lines(filled.console.shop) == before


@pytest.mark.parametrize("wrong", ["x", "sp_" + "x" * 43, "x" * 5000])
def test_a_wrong_key_or_cookie_opens_nothing(filled: Filled, wrong: str) -> None:
    """What is neither a session nor a key is as good as nothing."""
    cookie = filled.console.application.console.cookie
    with filled.console.client() as client:
        for path in ("/index.json", "/settings/users.json"):
            assert client.get(path, headers={"cookie": f"{cookie}={wrong}"}).status_code == 401
            assert client.get(path, headers={"authorization": f"Bearer {wrong}"}).status_code == 401
    filled.console.application.console.attempts._failed.clear()


@pytest.mark.parametrize("role", [VIEWER, OPERATOR])
def test_a_lesser_role_is_refused(filled: Filled, role: str) -> None:
    """Every way refuses each role below its own with 403, forms even with the right token; nothing changes."""
    before = audit_lines(filled.console.shop)
    with filled.console.client(signed_in=True, role=role) as client:
        csrf = token(client)
        for way in pages.WAYS:
            if way.role == ANYONE or role not in below(way.role):
                continue
            path = filled.path(way)
            if way.method == "POST":
                answer = client.post(path, data={"csrf": csrf})
            else:
                answer = client.get(path)
                assert not way.twin or client.get(twin(path)).status_code == 403, way.path
            assert answer.status_code == 403, way.path
    assert audit_lines(filled.console.shop) == before


def test_every_form_needs_its_token_and_our_own_page(filled: Filled) -> None:
    """Whoever may, still may not without the form's token, with a wrong one, or from another site's page; nothing changes."""
    before = audit_lines(filled.console.shop)
    for role in ROLES:
        with (
            filled.console.client(signed_in=True, role=role) as client,
            filled.console.client(signed_in=True, role=role) as other,
        ):
            csrf, others = token(client), token(other)
            assert csrf not in {"", others}
            for way in (one for one in acts() if one.role == role):
                path = filled.path(way)
                for data, headers in (
                    ({}, {}),
                    ({"csrf": "wrong"}, {}),
                    ({"csrf": others}, {}),
                    ({}, {"x-csrf": others}),
                    ({"csrf": csrf}, {"origin": "https://evil.example"}),
                    ({"csrf": csrf}, {"origin": "null"}),
                    ({"csrf": csrf}, {"sec-fetch-site": "cross-site"}),
                    ({"csrf": csrf}, {"sec-fetch-site": "same-site"}),
                ):
                    assert client.post(path, data=data, headers=headers).status_code == 403, (way.path, data, headers)
    assert audit_lines(filled.console.shop) == before


def test_open_forms_are_not_taken_from_other_sites(filled: Filled) -> None:
    """A login sent by another site's page is refused, too."""
    with filled.console.client() as client:
        for way in pages.WAYS:
            if way.role == ANYONE and way.method == "POST":
                answer = client.post(filled.path(way), headers={"origin": "https://evil.example"})
                assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), way.path


@pytest.mark.parametrize("role", [VIEWER, OPERATOR])
def test_a_key_may_what_its_role_may(filled: Filled, role: str) -> None:
    """A key reads what its role reads and no more; what its role may not do it may not, nor change anybody's account."""
    headers = key_of(filled, role)
    with filled.console.client() as client:
        for way in pages.WAYS:
            if way.role == ANYONE:
                continue
            path, lesser = filled.path(way), role in below(way.role)
            if way.method == "GET" and way.twin:
                assert (client.get(twin(path), headers=headers).status_code == 403) == lesser, way.path
            elif way.method == "GET" and lesser:
                assert client.get(path, headers=headers).status_code == 403, way.path
            elif lesser or (way.path.startswith("/settings") and way.role == VIEWER):
                assert client.post(path, headers=headers).status_code == 403, way.path


# ---- what no answer holds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [VIEWER, ADMIN])
def test_no_answer_holds_a_secret(filled: Filled, role: str) -> None:
    """No page, part or data holds a secret of the workspace; nor, for a viewer, anybody's e-mail, phone or name."""
    queries = ("", "?window=7d", f"?q={EMAIL}", f"?q=%2B{PHONE[1:]}", "?q=A-accepted")
    raw = [each.lower() for each in RAW]
    with filled.console.client(signed_in=True, role=role) as client:
        for way in gets():
            path = filled.path(way)
            if way.role != ANYONE and role in below(way.role):
                continue
            for address in (path, twin(path)) if way.twin else (path,):
                for query in queries if way.path in {"/find", "/people"} else queries[:2] if way.twin else queries[:1]:
                    answer, text = answered(client, address + query)
                    assert answer.status_code != 500, (address, answer.status_code)
                    shown = (
                        json.dumps(json.loads(text), ensure_ascii=False).lower()
                        if path.endswith(".json") and text
                        else text.lower()
                    )
                    assert not [name for name, secret in SECRETS.items() if secret in shown], (address, query)
                    if role == VIEWER and not query.startswith("?q="):
                        assert not [each for each in raw if each in shown], (address, query)


def test_every_page_shows_what_is_there(filled: Filled) -> None:
    """The examples that these laws are walked with exist: no page answers them with 404."""
    with filled.console.client(signed_in=True) as client:
        for way in gets():
            if way.twin and way.path not in LATER:
                assert client.get(filled.path(way)).status_code in {200, 303}, (
                    f"{way.path}: mend EXAMPLES of tests/web/test_roles.py."
                )


def test_every_answer_is_sealed(filled: Filled) -> None:
    """Every answer, refusals and failures too, carries the policy without inline scripts, and pages are kept nowhere."""
    with filled.console.client(signed_in=True) as inside, filled.console.client() as outside:
        for way in pages.WAYS:
            for client in (inside, outside):
                if way.method == "POST":
                    answer = client.post(filled.path(way), data={"csrf": "wrong"}, headers={"origin": "https://evil.example"})
                else:
                    answer, _ = answered(client, filled.path(way))
                for name in HEADERS:
                    assert name in answer.headers, (way.path, name)
                assert loose(answer.headers["content-security-policy"]) == [], way.path
                assert answer.headers["x-frame-options"] in {"DENY", "SAMEORIGIN"}, way.path
                assert re.match("no-store|no-cache|private,", answer.headers["cache-control"]), way.path


def loose(policy: str) -> list[str]:
    """The directives of a content security policy that let in more than the console itself, or that it lacks."""
    told = {what: set(where.split()) for what, _, where in (each.strip().partition(" ") for each in policy.split(";"))}
    own = {"'none'", "'self'"}
    allowed = {"img-src": {*own, "data:"}, "default-src": {"'none'"}, "base-uri": {"'none'"}}
    needed = {"default-src", "base-uri", "form-action", "frame-ancestors"}
    known = re.compile("'(nonce|sha256)-[A-Za-z0-9+/_=-]{22,}'")  # of one style sheet, made for one answer
    if "script-src" not in told:  # a file with its own style and no script at all
        allowed["style-src"] = {*own, "'unsafe-inline'"}
    told["style-src"] = {where for where in told.get("style-src", set()) if not known.fullmatch(where)}
    return [what for what, where in told.items() if not where <= allowed.get(what, own)] + sorted(needed - told.keys())


def test_a_loose_policy_is_seen() -> None:
    """The law above can fail."""
    policy = HEADERS["content-security-policy"]
    assert loose(policy) == []
    assert loose(policy.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'")) == ["script-src"]
    assert loose(policy.replace("base-uri 'none'; ", "")) == ["base-uri"]
