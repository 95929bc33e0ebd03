"""The platforms' ways of giving a token: what our own requests get, and what is refused."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from signalpost.destinations import CATALOG
from signalpost.destinations.authorisation import App, Authorisation, Granted
from signalpost.destinations.contract import Request, Response
from signalpost.platforms.testing import Client

BACK = "http://127.0.0.1:8377/setup/connect/shop/callback"
NOW = 1_795_305_600_000

APPS = {
    "tiktok": App("7000000000000000401", "demo-tiktok-app-secret"),
    "pinterest": App("1480001", "demo-pinterest-app-secret"),
}


def declared(platform: str) -> Authorisation:
    """What the platform's file declares."""
    found = CATALOG[platform].authorisation
    assert found is not None
    return found


def allowed(platforms: Client, platform: str, link: str = "allow") -> dict[str, list[str]]:
    """What the browser comes back with after a click on the platform's page."""
    shown = platforms.http.get(declared(platform).page(platforms.url, APPS[platform], BACK, "the-state"))
    assert shown.status_code == 200, shown.text
    found = re.search(f'id="{link}" href="([^"]+)"', shown.text)
    assert found is not None
    address = unescape(found[1])
    assert address.startswith(BACK)
    return parse_qs(urlsplit(address).query)


def asked(platforms: Client, request: Request) -> Response:
    """What the platform answers."""
    answer = platforms.http.request(request.method, request.url, headers=request.headers, content=request.body)
    return Response(status=answer.status_code, headers=dict(answer.headers), body=answer.content)


def granted(platforms: Client, platform: str, code: str, app: App | None = None, back: str = BACK) -> Granted | str:
    """What comes of a code."""
    way = declared(platform)
    return way.granted(asked(platforms, way.exchange(platforms.url, app or APPS[platform], code, back)), NOW)


@pytest.mark.parametrize("platform", ["tiktok", "pinterest"])
def test_a_code_gives_a_token_that_works_once(platforms: Client, platform: str) -> None:
    """Who allows it comes back with a code and the state; the code gives a token once, and never again."""
    came = allowed(platforms, platform)
    assert came["state"] == ["the-state"]
    code = came[declared(platform).code][0]
    first = granted(platforms, platform, code)
    assert isinstance(first, Granted)
    expected = platforms.settings.tiktok_token if platform == "tiktok" else platforms.settings.pinterest_token
    assert first.token == expected
    assert first.token not in repr(first)
    again = granted(platforms, platform, code)
    assert isinstance(again, str)
    assert "any more" in again


@pytest.mark.parametrize("platform", ["tiktok", "pinterest"])
def test_what_is_wrong_is_refused_with_a_sentence(platforms: Client, platform: str) -> None:
    """A wrong secret, a made-up code and a code of the other platform give no token, and a sentence says what to do."""
    code = allowed(platforms, platform)[declared(platform).code][0]
    wrong = granted(platforms, platform, code, App(APPS[platform].id, "guessed"))
    assert isinstance(wrong, str)
    assert "compare" in wrong
    assert isinstance(granted(platforms, platform, "made-up"), str)
    other = "pinterest" if platform == "tiktok" else "tiktok"
    theirs = allowed(platforms, other)[declared(other).code][0]
    assert isinstance(granted(platforms, platform, theirs), str)
    assert isinstance(granted(platforms, platform, code), Granted), "a refused try uses no code up"


def test_the_redirect_address_must_be_the_same(platforms: Client) -> None:
    """Pinterest gives nothing when the exchange names another address than the page was asked with."""
    code = allowed(platforms, "pinterest")["code"][0]
    assert isinstance(granted(platforms, "pinterest", code, back=BACK.replace("shop", "else")), str)


@pytest.mark.parametrize("platform", ["tiktok", "pinterest"])
def test_the_page_refuses_what_was_not_entered(platforms: Client, platform: str) -> None:
    """An unknown app and a redirect address of somebody else get no page to click on, and are not redirected."""
    way = declared(platform)
    for app, back in ((App("1", "x"), BACK), (APPS[platform], "https://evil.example/setup/connect/shop/callback")):
        shown = platforms.http.get(way.page(platforms.url, app, back, "s"))
        assert shown.status_code == 400
        assert "href" not in shown.text


def test_scopes_are_known_and_kept(platforms: Client) -> None:
    """Pinterest knows no made-up scope; a token without a scope that is needed is not taken for one."""
    page = declared("pinterest").page(platforms.url, APPS["pinterest"], BACK, "s")
    assert platforms.http.get(page.replace("ads%3Aread", "ads%3Aeverything")).status_code == 400
    less = platforms.http.get(page.replace("ads%3Aread%2C", ""))
    found = re.search(r'id="allow" href="([^"]+)"', less.text)
    assert found is not None
    told = granted(platforms, "pinterest", parse_qs(urlsplit(unescape(found[1])).query)["code"][0])
    assert isinstance(told, str)
    assert "ads:read" in told


def test_codes_end(platforms: Client) -> None:
    """TikTok's code is good for an hour, Pinterest's for ten minutes."""
    tiktok = allowed(platforms, "tiktok")["auth_code"][0]
    pinterest = allowed(platforms, "pinterest")["code"][0]
    platforms.set_clock(advance_ms=600_000)
    assert isinstance(granted(platforms, "pinterest", pinterest), str)
    platforms.set_clock(advance_ms=3_000_000)
    assert isinstance(granted(platforms, "tiktok", tiktok), str)


def test_pinterest_renews_a_token_with_the_newest_refresh_token_only(platforms: Client) -> None:
    """A token tells when it ends; the refresh token gives a new one and another refresh token, and is used up by it."""
    way = declared("pinterest")
    first = granted(platforms, "pinterest", allowed(platforms, "pinterest")["code"][0])
    assert isinstance(first, Granted)
    assert (first.until, first.renews_until) == (NOW + 30 * 86_400_000, NOW + 60 * 86_400_000)
    assert way.renew is not None
    second = way.granted(asked(platforms, way.renew(platforms.url, APPS["pinterest"], first.renews)), NOW)
    assert isinstance(second, Granted)
    assert second.renews not in {"", first.renews}
    assert isinstance(way.granted(asked(platforms, way.renew(platforms.url, APPS["pinterest"], first.renews)), NOW), str)
    platforms.set_clock(advance_ms=61 * 86_400_000)
    assert isinstance(way.granted(asked(platforms, way.renew(platforms.url, APPS["pinterest"], second.renews)), NOW), str)


def test_tiktok_needs_no_renewing(platforms: Client) -> None:
    """TikTok's token ends when it is revoked, and names the advertisers that it is good for."""
    found = granted(platforms, "tiktok", allowed(platforms, "tiktok")["auth_code"][0])
    assert isinstance(found, Granted)
    assert (found.until, found.renews, found.accounts) == (None, "", (platforms.settings.tiktok_advertiser_id,))
    assert declared("tiktok").renew is None


def test_who_says_no_comes_back_without_a_code(platforms: Client) -> None:
    """A refusal comes back with the state and an error."""
    came = allowed(platforms, "pinterest", "deny")
    assert (came["error"], came["state"]) == (["access_denied"], ["the-state"])
    assert "code" not in came


def test_malformed_requests_are_refused(platforms: Client) -> None:
    """The token endpoints insist on their content types and grants."""
    http: httpx.Client = platforms.http
    app = APPS["pinterest"]
    assert http.post("/v5/oauth/token", data={"grant_type": "authorization_code"}).status_code == 401
    assert http.post("/v5/oauth/token", json={}, auth=(app.id, app.secret)).status_code == 400
    assert http.post("/v5/oauth/token", data={"grant_type": "password"}, auth=(app.id, app.secret)).status_code == 400
    told = http.post("/open_api/v1.3/oauth2/access_token/", data={"app_id": "1"}).json()
    assert told["code"] == 40002
    assert http.post("/open_api/v1.3/oauth2/access_token/", json={"app_id": "1"}).json()["code"] == 40002
