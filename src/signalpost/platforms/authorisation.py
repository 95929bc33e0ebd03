"""Both platforms' ways of giving a token: the page that asks a person, and the endpoint that takes the code.

Facts: TikTok's business API SDK and pages on authorisation (`auth_code`, good once and for an hour); Pinterest's description,
5.23, and quick start (`/oauth/`, `/v5/oauth/token`: Basic with app id and secret, form-encoded). What they leave open is marked
"Doubt".

Strict: an unknown app, a redirect address that was not entered for it or differs at the exchange, a code used before or of the
other platform, a wrong secret, a scope that does not exist. The person may also say no.
"""

from __future__ import annotations

import base64
import html
import random
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

import msgspec

from signalpost.platforms.clock import Clock
from signalpost.platforms.settings import Settings
from signalpost.platforms.wire import Answer, Request, answer, is_json, read, same

Platform = Literal["tiktok", "pinterest"]

TIKTOK_PAGE, PINTEREST_PAGE = "/portal/auth", "/oauth/"
TIKTOK_TOKEN, PINTEREST_TOKEN = "/open_api/v1.3/oauth2/access_token/", "/v5/oauth/token"

TIKTOK_CODE_MS = 3_600_000
PINTEREST_CODE_MS = 600_000
"""Doubt: Pinterest names no time; ten minutes is what RFC 6749 recommends at most."""

ACCESS_S, REFRESH_S = 2_592_000, 5_184_000
"""Pinterest: 30 and 60 days."""

SCOPES = frozenset(
    """ads:read ads:write billing:read billing:write biz_access:read biz_access:write boards:read boards:read_secret boards:write
    boards:write_secret catalogs:read catalogs:write msot:write pins:read pins:read_secret pins:write pins:write_secret
    user_accounts:read user_accounts:write""".split()  # noqa: SIM905 - a list to read
)

TIKTOK_SCOPES = (2, 4, 12)
"""Doubt: numbers of permissions; no page lists them all."""


class Code(msgspec.Struct):
    """A code that was given, and what it is good for."""

    platform: Platform
    redirect: str
    scopes: tuple[str, ...]
    until: int
    used: bool = False


class Authorisations:
    """Codes and refresh tokens that are out."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self._random = random.Random(settings.seed)
        self.codes: dict[str, Code] = {}
        self.refresh: dict[str, tuple[tuple[str, ...], int]] = {}
        """Refresh token -> its scopes, and until when it is good."""

    def reset(self) -> None:
        """Forget all of it."""
        self.codes.clear()
        self.refresh.clear()

    # ---- the page --------------------------------------------------------------------------------------------------------

    def page(self, platform: Platform, query: Mapping[str, str]) -> tuple[int, str]:
        """(status, the page that asks) for what a browser came with."""
        asked = self._asked(platform, query)
        if isinstance(asked, str):
            return 400, _paper("This cannot be allowed", f"<p>{html.escape(asked)}</p>")
        redirect, scopes, state = asked
        given = self._give(platform, redirect, scopes)
        name = "auth_code" if platform == "tiktok" else "code"
        allow = _to(redirect, {name: given, **({"code": given} if platform == "tiktok" else {}), "state": state})
        deny = _to(redirect, {"error": "access_denied", "state": state})
        title = "TikTok" if platform == "tiktok" else "Pinterest"
        what = f"<p>It asks for: {html.escape(', '.join(scopes))}</p>" if scopes else ""
        links = (
            f'<p><a id="allow" href="{html.escape(allow)}">Allow</a> <a id="deny" href="{html.escape(deny)}">Do not allow</a></p>'
        )
        return 200, _paper(f"{title} (emulated): shall this app use your ad account?", what + links)

    def _asked(self, platform: Platform, query: Mapping[str, str]) -> tuple[str, tuple[str, ...], str] | str:
        """(redirect address, scopes, state), or what is wrong."""
        tiktok = platform == "tiktok"
        app = query.get("app_id") if tiktok else query.get("client_id") or query.get("consumer_id")
        if app != (self.settings.tiktok_app_id if tiktok else self.settings.pinterest_app_id):
            return "There is no such app."
        redirect = query.get("redirect_uri", "")
        if not any(re.fullmatch(_pattern(each), redirect) for each in self.settings.redirects):
            return "The redirect address is none of those entered for this app."
        if tiktok:
            return redirect, (), query.get("state", "")
        if query.get("response_type") != "code":
            return "response_type must be code."
        scopes = tuple(query.get("scope", "").replace(",", " ").split())
        unknown = [each for each in scopes if each not in SCOPES]
        if unknown or not scopes:
            return f"There is no scope {unknown[0]}." if unknown else "scope is missing."
        return redirect, scopes, query.get("state", "")

    def _give(self, platform: Platform, redirect: str, scopes: tuple[str, ...]) -> str:
        code = f"{self._random.getrandbits(128):032x}"
        lasts = TIKTOK_CODE_MS if platform == "tiktok" else PINTEREST_CODE_MS
        self.codes[code] = Code(platform, redirect, scopes, self.clock.now() + lasts)
        return code

    def _take(self, platform: Platform, code: object, redirect: str | None) -> Code | None:
        """The code's facts, which is used up by it; None when it is good for nothing."""
        found = self.codes.get(code) if isinstance(code, str) else None
        if found is None or found.used or found.platform != platform or self.clock.now() >= found.until:
            return None
        if redirect is not None and redirect != found.redirect:
            return None
        found.used = True
        return found

    # ---- TikTok ------------------------------------------------------------------------------------------------------------

    def tiktok(self, request: Request) -> Answer:
        """`POST /oauth2/access_token/`: nearly every answer is HTTP 200, the code in the body decides."""
        if not is_json(request):
            return self._tiktok(40002, "Content-Type must be application/json.")
        try:
            body = read(request.body)
        except (ValueError, msgspec.DecodeError):
            return self._tiktok(40002, "The body is no JSON.")
        if not isinstance(body, dict):
            return self._tiktok(40002, "The body must be an object.")
        for name in ("app_id", "secret", "auth_code"):
            if not isinstance(body.get(name), str) or not body[name]:
                return self._tiktok(40002, f"{name}: Missing data for required field.")
        if body["app_id"] != self.settings.tiktok_app_id or not same(body["secret"], self.settings.tiktok_app_secret):
            return self._tiktok(40001, "The app id or the secret is incorrect.")  # Doubt: the code; 40001 is "no permission"
        if self._take("tiktok", body["auth_code"], None) is None:
            return self._tiktok(40110, "The auth_code is invalid, used or expired.")
        data: dict[str, Any] = {"access_token": self.settings.tiktok_token, "scope": list(TIKTOK_SCOPES)}
        if body.get("return_advertiser_ids", True):
            data["advertiser_ids"] = [self.settings.tiktok_advertiser_id]
        return self._tiktok(0, "OK", data)

    def _tiktok(self, code: int, message: str, data: dict[str, Any] | None = None) -> Answer:
        number = f"{self._random.getrandbits(96):024x}"
        return answer(200, {"code": code, "message": message, "request_id": number, "data": data or {}})

    # ---- Pinterest -----------------------------------------------------------------------------------------------------------

    def pinterest(self, request: Request) -> Answer:
        """`POST /v5/oauth/token`."""
        scheme, _, given = request.headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        try:
            app, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
        except ValueError:
            app, secret = "", ""
        if (
            scheme.lower() != "basic"
            or app != self.settings.pinterest_app_id
            or not same(secret, self.settings.pinterest_app_secret)
        ):
            return answer(401, {"code": 2, "message": "Authentication failed."})
        kind = request.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind != b"application/x-www-form-urlencoded":
            return answer(400, {"code": 1, "message": "Content-Type must be application/x-www-form-urlencoded."})
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        if form.get("grant_type") == "authorization_code":
            code = self._take("pinterest", form.get("code"), form.get("redirect_uri", ""))
            if code is None:
                # Doubt: the number; the description gives none for this endpoint.
                return answer(400, {"code": 283, "message": "Invalid or expired code, or another redirect_uri."})
            return self._granted(code.scopes, "authorization_code")
        if form.get("grant_type") == "refresh_token":
            scopes, until = self.refresh.pop(form.get("refresh_token", ""), ((), 0))
            wanted = tuple(form.get("scope", "").replace(",", " ").split()) or scopes
            if self.clock.now() >= until or not set(wanted) <= set(scopes):
                return answer(400, {"code": 284, "message": "Invalid or expired refresh token, or a scope it does not have."})
            return self._granted(wanted, "refresh_token")
        return answer(400, {"code": 1, "message": "grant_type must be authorization_code or refresh_token."})

    def _granted(self, scopes: tuple[str, ...], kind: str) -> Answer:
        refresh = f"pinr.{self._random.getrandbits(128):032x}"
        until = self.clock.now() + REFRESH_S * 1000
        self.refresh[refresh] = (scopes, until)
        return answer(
            200,
            {
                "response_type": kind,
                "access_token": self.settings.pinterest_token,
                "token_type": "bearer",
                "expires_in": ACCESS_S,
                "scope": " ".join(scopes),
                "refresh_token": refresh,
                "refresh_token_expires_in": REFRESH_S,
                "refresh_token_expires_at": until // 1000,
            },
        )


def _pattern(allowed: str) -> str:
    return "[^/]+".join(map(re.escape, allowed.split("*")))


def _to(redirect: str, query: dict[str, str]) -> str:
    return f"{redirect}{'&' if '?' in redirect else '?'}{urlencode(query)}"


def _paper(title: str, content: str) -> str:
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{content}</html>'
