"""Single sign-on: the code flow of OpenID Connect, with state, nonce and PKCE; Authlib reads what the provider says.

Loaded only where `console.oidc` is set: Authlib is an optional dependency.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import msgspec
from authlib.oauth2.auth import encode_client_secret_basic, encode_client_secret_post
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from msgspec import Struct

from signalpost import accounts
from signalpost.destinations.contract import Request, Response
from signalpost.errors import TransportError
from signalpost.options import SingleSignOn
from signalpost.transport import Transport
from signalpost.web.sign_on import NotTaken, Person, Try

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures that are believed: all by a key that only the provider has (RFC 8725 3.1: never what a header says)."""

LEEWAY_S = 60
KNOWN_FOR_MS = 3_600_000
"""How long the provider's own description is believed before it is read again."""


class _Provider(Struct, frozen=True):
    """What the provider says of itself (OpenID Connect Discovery 1.0, 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Client(Struct, frozen=True):
    """A client as Authlib's own functions want it."""

    client_id: str
    client_secret: str


class SignOn:
    """One provider; what it says of itself is read when somebody comes, and kept for an hour."""

    def __init__(self, options: SingleSignOn) -> None:
        self.options = options
        self._provider: _Provider | None = None
        self._keys: KeySet | None = None
        self._read_at = 0
        self._lock = asyncio.Lock()

    async def begin(self, back: str, onward: str, now: int) -> tuple[str, Try]:
        """(where to send the browser, what it is to keep); `back` is our own address that the provider sends it to."""
        provider, _ = await self._known(now)
        made = Try(state=accounts.secret(), nonce=accounts.secret(), verifier=accounts.secret(), onward=onward)
        address = prepare_grant_uri(
            provider.authorization_endpoint,
            client_id=self.options.client_id,
            response_type="code",
            redirect_uri=back,
            scope="openid email profile",
            state=made.state,
            nonce=made.nonce,
            code_challenge=create_s256_code_challenge(made.verifier),
            code_challenge_method="S256",
        )
        return str(address), made

    async def end(self, made: Try, answer: dict[str, str], back: str, now: int) -> Person:
        """Whom the provider vouches for, by the parameters that it sent back; raises `NotTaken`."""
        if not made.state or not accounts.same(made.state, answer.get("state", "")):
            raise NotTaken("This login was begun in another window, or too long ago. Log in again.")
        if "code" not in answer:
            raise NotTaken("The provider did not let you in. Log in again, or ask whoever keeps your accounts.")
        provider, keys = await self._known(now)
        token = await self._token(provider, answer["code"], back, made.verifier)
        try:
            claims = self._claims(token, keys, made.nonce, now)
        except (JoseError, ValueError):
            # The provider may have changed its keys since they were read.
            _, keys = await self._known(now, anew=True)
            try:
                claims = self._claims(token, keys, made.nonce, now)
            except (JoseError, ValueError) as error:
                raise NotTaken(
                    f"What the provider said cannot be believed ({type(error).__name__}). Check `console.oidc` and both clocks."
                ) from error
        email = str(claims.get("email") or "").strip().lower()
        verified = claims.get("email_verified") in {True, "true"}  # some providers write it as text
        return Person(
            subject=f"{claims['iss']} {claims['sub']}",
            email=email if verified else "",
            name=str(claims.get("name") or email.partition("@")[0])[:80],
        )

    def _claims(self, token: dict[str, Any], keys: KeySet, nonce: str, now: int) -> dict[str, Any]:
        options, issuer = self.options, self._issuer()
        read = jwt.decode(str(token.get("id_token", "")), keys, algorithms=ALGORITHMS)
        claims = CodeIDToken(
            read.claims,
            read.header,
            options={
                "iss": {"essential": True, "value": issuer},
                "aud": {"essential": True, "value": options.client_id},
                "sub": {"essential": True},
            },
            params={"nonce": nonce, "client_id": options.client_id, "access_token": token.get("access_token")},
        )
        claims.validate(now=now // 1000, leeway=LEEWAY_S)
        return dict(claims)

    async def _token(self, provider: _Provider, code: str, back: str, verifier: str) -> dict[str, Any]:
        options = self.options
        form = urlencode({"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier})
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        basic = "client_secret_basic" in provider.token_endpoint_auth_methods_supported
        encode = encode_client_secret_basic if basic else encode_client_secret_post
        client = _Client(options.client_id, options.client_secret)
        address, headers, body = encode(client, "POST", provider.token_endpoint, headers, form)
        answer = await self._ask(Request(method="POST", url=address, headers=headers, body=body.encode()))
        if answer.status != 200:
            raise NotTaken(f"The provider did not take our code (HTTP {answer.status}). Check `console.oidc`, and log in again.")
        token: dict[str, Any] = _read(answer, dict[str, Any])
        return token

    def _issuer(self) -> str:
        return self.options.issuer.rstrip("/") if self._provider is None else self._provider.issuer

    async def _known(self, now: int, *, anew: bool = False) -> tuple[_Provider, KeySet]:
        async with self._lock:
            if self._provider is None or self._keys is None or anew or now - self._read_at >= KNOWN_FOR_MS:
                own = self.options.issuer.rstrip("/")
                get = {"accept": "application/json"}
                said = await self._ask(Request(method="GET", url=f"{own}/.well-known/openid-configuration", headers=get))
                provider = _read(said, _Provider)
                if provider.issuer.rstrip("/") != own:
                    raise NotTaken("The provider calls itself by another name than `console.oidc.issuer`. Write its name there.")
                keys = await self._ask(Request(method="GET", url=provider.jwks_uri, headers=get))
                try:
                    self._keys = KeySet.import_key_set(_read(keys, dict[str, Any]))
                except (JoseError, ValueError, KeyError) as error:
                    raise NotTaken("The provider's keys cannot be read. Try again in a minute.") from error
                self._provider, self._read_at = provider, now
            return self._provider, self._keys

    async def _ask(self, request: Request) -> Response:
        transport = Transport(connections=1, timeout=10.0)
        try:
            return await transport.send(request)
        except TransportError as error:
            raise NotTaken("The provider of single sign-on does not answer. Try again in a minute, or use a password.") from error
        finally:
            await transport.close()


def _read(answer: Response, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as error:
        raise NotTaken("The provider's answer cannot be read. Check `console.oidc.issuer`.") from error
