"""Single sign-on against a real little provider of OpenID Connect over loopback: who comes in, and what is not believed."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from tests.store.shop import workspace
from tests.web.conftest import Running, now_ms, running, served

from signalpost.options import Console, SingleSignOn
from signalpost.store import accounts

SECRET = "the-provider-knows-it"
CLIENT = "signalpost"


class Provider:
    """A provider with one account; `says` changes what its ID tokens hold."""

    def __init__(self) -> None:
        self.url = ""
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.signs_with: Any = self.key
        self.algorithm = "RS256"
        self.person: dict[str, Any] = {"sub": "42", "email": "Ada@Shop.example", "email_verified": True, "name": "Ada Byron"}
        self.says: dict[str, Any] = {}
        self.methods = ["client_secret_basic", "client_secret_post"]
        self.issuer_told: str | None = None
        self.asked: list[dict[str, str]] = []
        self.codes: dict[str, dict[str, str]] = {}

    def stop(self) -> None:
        """Nothing is open."""

    def application(self) -> Any:
        """Discovery, keys, authorization and token, as OpenID Connect Core 1.0 has them."""
        served_here = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.described),
                Route("/keys", self.keys),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
            ]
        )
        served_here.stop = self.stop  # type: ignore[attr-defined]
        return served_here

    async def described(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer_told or self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "token_endpoint_auth_methods_supported": self.methods,
            }
        )

    async def keys(self, _request: Request) -> Response:
        return JSONResponse(KeySet([self.key]).as_dict(private=False))

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.asked.append(asked)
        assert asked["client_id"] == CLIENT
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?code={code}&state={asked['state']}", 302)

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        known = (
            request.headers.get("authorization") == basic
            if "client_secret_basic" in self.methods
            else (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        )
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        )
        fits = asked is not None and asked["code_challenge"] == challenge and asked["redirect_uri"] == form.get("redirect_uri")
        if not known or asked is None or not fits or form.get("grant_type") != "authorization_code":
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.person,
            **self.says,
        }
        header = {"alg": self.algorithm, "kid": "one"}
        signed = jwt.encode(header, {name: value for name, value in claims.items() if value is not None}, self.signs_with)
        return JSONResponse({"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": signed})


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider that listens."""
    made = Provider()
    with served(made.application()) as url:
        made.url = url
        yield made


@pytest.fixture
def console(tmp_path: Path, provider: Provider) -> Iterator[Running]:
    """A console that lets people in by the provider: whoever is invited, and anybody of glow.example as an operator."""
    oidc = SingleSignOn(
        issuer=provider.url, client_id=CLIENT, client_secret=SECRET, title="Glow ID", domains=("glow.example",), role="operator"
    )
    with running(tmp_path, workspace(str(tmp_path / "signalpost.db"), console=Console(oidc=oidc))) as ready:
        yield ready


def come(client: httpx.Client, path: str = "/login/sso") -> httpx.Response:
    """From the button to the provider and back; gives our own last answer."""
    sent = client.get(path)
    assert sent.status_code == 303, sent.text
    with httpx.Client(trust_env=False, timeout=10) as there:
        back = there.get(sent.headers["location"])
    assert back.status_code == 302, back.text
    return client.get(back.headers["location"])


def invite(console: Running, email: str, role: str = "viewer") -> int:
    """Invite somebody; gives their number."""
    user, _ = console.shop.write(lambda one: accounts.invite(one, email=email, role=role, now=now_ms()))
    return int(user.id)


def test_whoever_is_invited_comes_in_by_the_provider(console: Running, provider: Provider) -> None:
    """The button leads to the provider and back to the page asked for; afterwards the subject counts, not the address."""
    number = invite(console, "ada@shop.example", "admin")
    with console.client() as client:
        page = client.get("/login?next=%2Fsignals").text
        assert "Continue with Glow ID" in page
        assert 'href="/login/sso?next=%2Fsignals"' in page
        answer = come(client, "/login/sso?next=%2Fsignals")
        assert (answer.status_code, answer.headers["location"]) == (303, "/signals")
        assert client.get("/settings.json").json()["role"] == "admin"
        assert not [cookie for cookie in client.cookies if cookie.endswith("-sso")]
    provider.person |= {"email": "byron@elsewhere.example", "email_verified": False}
    with console.client() as client:
        assert come(client).status_code == 303
        assert client.get("/settings.json").json()["email"] == "ada@shop.example"
    (known,) = console.shop.database.look(accounts.everybody)
    assert (known.id, known.single_sign_on, known.password) == (number, True, False)
    lines = console.shop.database.look(lambda one: accounts.audited(one, what="user_linked"))
    assert [line.subject for line in lines] == ["user ada@shop.example"]


def test_anybody_of_an_allowed_domain_comes_in_with_its_role(console: Running, provider: Provider) -> None:
    """They are made a user of the role that the file says, once; a domain that only ends alike is another one."""
    provider.person |= {"email": "eve@glow.example", "name": "Eve"}
    for _ in range(2):
        with console.client() as client:
            assert come(client).status_code == 303
            own = client.get("/settings.json").json()
            assert (own["name"], own["email"], own["role"]) == ("Eve", "eve@glow.example", "operator")
    provider.person |= {"sub": "43", "email": "mal@evil-glow.example"}
    with console.client() as client:
        answer = come(client)
        assert (answer.status_code, "Nobody has invited" in answer.text) == (403, True)
    assert len(console.shop.database.look(accounts.everybody)) == 1


@pytest.mark.parametrize("verified", [False, None, "false", 0, "yes"])
def test_an_address_that_is_not_verified_opens_nothing(console: Running, provider: Provider, verified: object) -> None:
    """Anybody may write anybody's address at some providers; only one that the provider has verified counts."""
    invite(console, "ada@shop.example", "admin")
    provider.person["email_verified"] = verified
    with console.client() as client:
        answer = come(client)
        assert (answer.status_code, "has verified" in answer.text) == (403, True)
        assert client.get("/").status_code == 303


def test_who_was_removed_stays_out(console: Running, provider: Provider) -> None:
    """A removed user does not come back by their domain or their subject, but by an invitation."""
    provider.person |= {"email": "eve@glow.example"}
    with console.client() as client:
        assert come(client).status_code == 303
        (eve,) = console.shop.database.look(accounts.everybody)
        invite(console, "boss@shop.example", "admin")
        console.shop.write(lambda one: accounts.remove(one, eve.id, now_ms()))
        assert client.get("/").status_code == 303
        answer = come(client)
        assert (answer.status_code, "was removed" in answer.text) == (403, True)
        invite(console, "eve@glow.example")
        assert come(client).status_code == 303
        assert client.get("/settings.json").json()["role"] == "viewer"


def test_another_account_of_the_same_address_is_another_person(console: Running, provider: Provider) -> None:
    """An address that the provider gave to somebody else does not open the account of whoever had it."""
    invite(console, "ada@shop.example", "admin")
    with console.client() as client:
        assert come(client).status_code == 303
    provider.person["sub"] = "43"
    with console.client() as client:
        answer = come(client)
        assert (answer.status_code, "another account" in answer.text) == (403, True)


@pytest.mark.parametrize(
    "says",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"aud": ["another-client", CLIENT]},
        {"azp": "another-client"},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"iat": None},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
    ids=json.dumps,
)
def test_what_the_provider_says_is_verified(console: Running, provider: Provider, says: dict[str, Any]) -> None:
    """An ID token of another issuer, for another client, of another time or login, is not believed."""
    invite(console, "ada@shop.example", "admin")
    provider.says = says
    with console.client() as client:
        answer = come(client)
        assert (answer.status_code, "cannot be believed" in answer.text) == (403, True)
        assert SECRET not in answer.text
        assert client.get("/").status_code == 303


def test_a_signature_of_somebody_else_is_not_believed(console: Running, provider: Provider) -> None:
    """Neither another key, nor our own secret as a key, nor the public key as one; after a change of keys the new one is."""
    invite(console, "ada@shop.example", "admin")
    with console.client() as client:
        provider.signs_with = RSAKey.generate_key(2048, {"kid": "one"})
        assert come(client).status_code == 403
        provider.algorithm = "HS256"
        for known in (SECRET.encode().ljust(32), provider.key.as_pem(private=False)):
            provider.signs_with = OctKey.import_key(base64.urlsafe_b64encode(known).decode())
            assert come(client).status_code == 403
        provider.algorithm, provider.key = "RS256", RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        provider.signs_with = provider.key
        assert come(client).status_code == 303


def test_a_login_that_was_begun_elsewhere_is_not_ended_here(console: Running, provider: Provider) -> None:
    """Without this browser's own state nothing comes of a code: nobody can be logged in as somebody else; a code works once."""
    invite(console, "ada@shop.example", "admin")
    with console.client() as client, console.client() as victim, httpx.Client(trust_env=False) as there:
        back = there.get(client.get("/login/sso").headers["location"]).headers["location"]
        for path in (back, "/login/sso/back", "/login/sso/back?state=&code=x"):
            answer = victim.get(path)
            assert (answer.status_code, "another window" in answer.text) == (403, True)
        assert victim.get("/").status_code == 303
        assert client.get(back).status_code == 303
        assert client.get(back).status_code == 403
        sent = client.get("/login/sso").headers["location"]
        state = parse_qs(urlsplit(sent).query)["state"][0]
        assert "did not let you in" in client.get(f"/login/sso/back?error=access_denied&state={state}").text
    for name in ("state", "nonce", "code_challenge"):
        assert len({each[name] for each in provider.asked}) == len(provider.asked)


def test_a_provider_that_takes_the_secret_in_the_form(console: Running, provider: Provider) -> None:
    """The client says who it is in the way that the provider takes."""
    invite(console, "ada@shop.example")
    provider.methods = ["client_secret_post"]
    with console.client() as client:
        assert come(client).status_code == 303


def test_a_provider_of_another_name_or_none(console: Running, provider: Provider) -> None:
    """A provider that calls itself otherwise, or does not answer, is a sentence on the login page; passwords still work."""
    provider.issuer_told = "https://evil.example"
    with console.client() as client:
        answer = client.get("/login/sso")
        assert (answer.status_code, "another name" in answer.text) == (502, True)
        assert "Password" in answer.text


def test_without_the_option_there_is_no_button(tmp_path: Path) -> None:
    """A console without single sign-on does not speak of it."""
    with running(tmp_path) as console, console.client() as client:
        assert "/login/sso" not in client.get("/login").text
        assert client.get("/login/sso").status_code == 404
        assert client.get("/login/sso/back?code=x&state=y").status_code == 404
