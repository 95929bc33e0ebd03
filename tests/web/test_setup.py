"""Set-up: what a use case needs and whether it is there, its change as a proposal, accounts connected by the platform's page."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.store.shop import order
from tests.web.conftest import Running, now_ms, running

from signalpost import config, tokens, usecases
from signalpost.destinations import CATALOG
from signalpost.platforms.testing import Client
from signalpost.platforms.testing import running as emulators
from signalpost.store import revisions

TEXT = """# The shop's set-up.
workspace: glow
environment: production
currency: GBP
country: GB
order_value: gross
timezone: Europe/London
database: signalpost.db
sources:
  web: {{type: pipelines, write_key: "${{WEB_KEY}}"}}
destinations:
  tiktok: {{type: tiktok, pixel: CDEMOPIXEL0000000001, access_token: "${{TIKTOK_TOKEN}}", endpoint: "{url}", test_code: T1}}
  pinterest:  # the second one
    type: pinterest
    ad_account: "549755885175"
    access_token: ${{PINTEREST_TOKEN}}
    endpoint: "{url}"
"""


@pytest.fixture(scope="module")
def platforms() -> Iterator[Client]:
    """Both emulators."""
    with emulators() as url, Client(url) as client:
        yield client


@pytest.fixture
def shop(tmp_path: Path, platforms: Client) -> Iterator[Running]:
    """A console served with a workspace file, whose tokens are read beside the environment."""
    known = platforms.settings
    real = {
        "WEB_KEY": "web-key-of-the-shop",
        "TIKTOK_TOKEN": known.tiktok_token,
        "PINTEREST_TOKEN": known.pinterest_conversion_token,
        "TIKTOK_APP_ID": known.tiktok_app_id,
        "TIKTOK_APP_SECRET": known.tiktok_app_secret,
        "PINTEREST_APP_ID": known.pinterest_app_id,
        "PINTEREST_APP_SECRET": known.pinterest_app_secret,
    }
    environ = tokens.Environ(tmp_path / "signalpost.yaml", real)
    text = TEXT.format(url=platforms.url)
    chosen, notes = config.check(text, environ, CATALOG)
    assert chosen is not None, notes
    with running(tmp_path, chosen, text=text, environ=environ) as ready:
        yield ready


def csrf(client: httpx.Client, path: str = "/setup/measurement") -> str:
    """The form token of a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


def looked(client: httpx.Client, path: str) -> dict[str, Any]:
    """A page's data when what arrived has been looked at."""
    for _ in range(200):
        found: dict[str, Any] = client.get(path).json()
        if found["as_of"]:
            return found
    raise AssertionError("nobody looked at what arrived")


def proposed(console: Running, response: httpx.Response) -> str:
    """The text of the proposal that a form led to."""
    assert response.status_code == 303, response.text
    found = re.fullmatch(r"/changes/(\d+)", response.headers["location"])
    assert found is not None, response.headers["location"]
    number = int(found[1])
    one = console.shop.database.look(lambda connection: revisions.proposal(connection, number))
    assert one is not None
    assert (one.origin, one.who, one.state) == ("setup", "operator@shop.example", "draft")
    return one.text


def test_set_up_begins_with_what_one_wants_to_do(shop: Running) -> None:
    """Every use case stands there with what it brings and needs; before any event the sources are waited for."""
    with shop.client(signed_in=True, role="viewer") as client:
        page, twin = client.get("/setup").text, looked(client, "/setup.json")
        for case in usecases.USE_CASES.values():
            assert f'href="/setup/{case.name}"' in page
            assert case.brings in unescape(page)
        assert twin["first"] is None
        assert "waiting for the first event" in page
        assert 'hx-get="/setup/arrivals"' in page
        assert "curl" in page
        assert "web-key-of-the-shop" not in page
        assert "Propose it" not in page
        for name in usecases.USE_CASES:
            assert client.get(f"/setup/{name}").status_code == 200
        assert client.get("/setup/nothing-like-it").status_code == 404


def test_a_source_that_spoke_is_no_longer_waited_for(shop: Running) -> None:
    """The part that the page asks for every few seconds stops asking when every source has been heard of."""
    with shop.client(signed_in=True) as client:
        assert "hx-trigger" in client.get("/setup/arrivals").text
        now = now_ms()
        shop.shop.say(order("m-1", "A-1", now), at=now)
        told = client.get("/setup/arrivals").text
        assert "arrives" in told
        assert "hx-trigger" not in told


def test_needs_are_held_against_what_arrived(shop: Running) -> None:
    """What came is there with its count and source; what did not is missing, with what to paste for each source."""
    now = now_ms()
    for number in range(5):
        shop.shop.say(order(f"m-{number}", f"A-{number}", now), at=now)
    shop.shop.process(now)
    shop.shop.deliver("tiktok", now)
    shop.shop.deliver("pinterest", now)
    with shop.client(signed_in=True, role="viewer") as client:
        told = looked(client, "/setup/cart-recovery.json")
        needs = {each["name"]: each for each in told["needs"]}
        assert needs["Order Completed"]["state"] == "there"
        assert needs["Order Completed"]["sentence"].startswith("5 in the last 7 days")
        assert needs["Checkout Started"]["state"] == "missing"
        assert needs["Checkout Started"]["fixes"][0]["snippet"].startswith('analytics.track("Checkout Started"')
        assert [each["state"] for each in told["needs"] if each["kind"] == "identifier"] == ["there", "there"]
        steps = {each["name"]: each["done"] for each in told["steps"]}
        assert steps == {"events": False, "people": True, "account": True, "change": False, "proof": False}
        assert "analytics.track(&#34;Checkout Started&#34;" in client.get("/setup/cart-recovery").text


def test_a_use_case_becomes_a_proposal(shop: Running) -> None:
    """The form proposes the present text with segment and audience added, and nothing else of it touched."""
    with shop.client(signed_in=True, role="operator") as client:
        form = {"csrf": csrf(client), "destination": ["tiktok"], "within": "21d"}
        text = proposed(shop, client.post("/setup/suppress-recent-buyers", data=form))
    assert text.startswith("# The shop's set-up.")
    assert "pinterest:  # the second one" in text
    assert '"${TIKTOK_TOKEN}"' in text
    present = TEXT.format(url=shop.shop.workspace.destinations["tiktok"].endpoint)
    assert [line for line in present.splitlines() if line not in text.splitlines()] == []
    made, _ = config.check(text, {"WEB_KEY": "k" * 20, "TIKTOK_TOKEN": "t", "PINTEREST_TOKEN": "p"}, CATALOG)
    assert made is not None
    assert made.segments == {"recent_buyers": {"did": "Order Completed", "within": "21d"}}
    assert [(each.segment, each.to, each.use) for each in made.audiences] == [("recent_buyers", ("tiktok",), "suppress")]


@pytest.mark.parametrize("case", usecases.USE_CASES)
def test_every_use_case_proposes_a_file_without_mistakes(shop: Running, case: str) -> None:
    """With the answers that the form has, each use case for both platforms is a file that could be applied."""
    answers = usecases.defaults(usecases.USE_CASES[case])
    with shop.client(signed_in=True, role="operator") as client:
        form = {"csrf": csrf(client), "destination": ["tiktok", "pinterest"], **answers}
        sent = client.post(f"/setup/{case}", data=form)
        if case == "second-purchase":  # `events: standard` sends it already: only the derived event is added
            assert "Second Purchase: {nth_order: 2}" in proposed(shop, sent)
            return
        made, _ = config.check(proposed(shop, sent), {"WEB_KEY": "k" * 20, "TIKTOK_TOKEN": "t", "PINTEREST_TOKEN": "p"}, CATALOG)
    assert made is not None
    assert usecases.in_file(usecases.USE_CASES[case], made)


def test_wrong_answers_are_told_on_the_page(shop: Running) -> None:
    """No platform, or an answer that makes no rule: the form comes back with what was answered, and nothing is proposed."""
    with shop.client(signed_in=True, role="operator") as client:
        token = csrf(client)
        nowhere = client.post("/setup/winback", data={"csrf": token, "from": "90d", "to": "180d", "holdout": ""})
        assert (nowhere.status_code, "Choose at least one platform." in nowhere.text) == (422, True)
        odd = client.post("/setup/winback", data={"csrf": token, "destination": "tiktok", "from": "soon", "to": "180d"})
        assert odd.status_code == 422
        assert 'value="soon"' in odd.text
        assert 'role="alert"' in odd.text
    assert shop.shop.database.look(lambda connection: connection.rows("proposals_open", 10)) == []


def test_a_new_account_names_its_variables(shop: Running) -> None:
    """An account that is added is proposed with variables in place of secrets, set or not."""
    with shop.client(signed_in=True, role="operator") as client:
        text = proposed(
            shop, client.post("/setup/accounts", data={"csrf": csrf(client), "platform": "tiktok", "name": "tiktok_uk"})
        )
        assert "access_token: ${TIKTOK_UK_ACCESS_TOKEN}" in text
        assert "pixel: ${TIKTOK_UK_PIXEL}" in text
        source = client.post("/setup/sources", data={"csrf": csrf(client), "type": "shopify", "name": "store"})
        assert "secret: ${STORE_SECRET}" in proposed(shop, source)
        for form in ({"platform": "tiktok", "name": "tiktok"}, {"platform": "myspace"}, {"platform": "tiktok", "name": "a b!"}):
            assert client.post("/setup/accounts", data={"csrf": csrf(client), **form}).status_code == 422


def test_the_measurement_plan_is_proposed_whole(shop: Running) -> None:
    """All three parts are asked for; the proposal has them."""
    plan = {"primary": "Shop orders", "success": "Within 5 %", "checked": "Mondays: by Ann"}
    with shop.client(signed_in=True, role="operator") as client:
        token = csrf(client)
        assert client.post("/setup/measurement", data={"csrf": token, "primary": "Shop orders"}).status_code == 422
        text = proposed(shop, client.post("/setup/measurement", data={"csrf": token, **plan}))
    made, _ = config.check(text, {"WEB_KEY": "k" * 20, "TIKTOK_TOKEN": "t", "PINTEREST_TOKEN": "p"}, CATALOG)
    assert made is not None
    assert (made.measurement.primary, made.measurement.success, made.measurement.checked) == tuple(plan.values())


def test_a_viewer_changes_nothing(shop: Running) -> None:
    """A viewer sees everything and may do nothing of it."""
    with shop.client(signed_in=True, role="viewer") as client:
        for path in ("/setup/sources", "/setup/accounts", "/setup/measurement", "/setup/winback", "/setup/connect/tiktok/renew"):
            assert client.post(path, data={}).status_code == 403
        assert client.get("/setup/connect/tiktok").status_code == 200
        for path in ("/setup/connect/tiktok/go", "/setup/connect/tiktok/callback?code=1&state=1.2"):
            assert client.get(path).status_code == 403


def test_it_ends_with_a_test_that_the_platform_accepted(shop: Running, platforms: Client) -> None:
    """A test event goes to the platform, and its own answer stands on the page."""
    with shop.client(signed_in=True, role="operator") as client:
        client.timeout = httpx.Timeout(60)
        sent = client.post("/setup/second-purchase/test", data={"csrf": csrf(client), "destination": "pinterest"})
        assert sent.headers["location"] == "/setup/second-purchase#proof"
        told = looked(client, "/setup/second-purchase.json")
        account = next(each for each in told["accounts"] if each["name"] == "pinterest")
        assert account["tested"] is True, account
        assert next(each["done"] for each in told["steps"] if each["name"] == "proof")
        assert client.post("/setup/second-purchase/test", data={"csrf": csrf(client), "destination": "x"}).status_code == 422


# ---- by the platform's own page --------------------------------------------------------------------------------------------


def came_back(client: httpx.Client, platforms: Client, destination: str, link: str = "allow") -> str:
    """The path and query with which the platform sends the browser back."""
    left = client.get(f"/setup/connect/{destination}/go")
    assert left.status_code == 303, left.text
    shown = platforms.http.get(left.headers["location"])
    found = re.search(f'id="{link}" href="([^"]+)"', shown.text)
    assert found is not None, shown.text
    return unescape(found[1]).removeprefix(str(client.base_url))


@pytest.mark.parametrize("destination", ["tiktok", "pinterest"])
def test_an_account_is_connected_by_the_platforms_page(
    shop: Running, platforms: Client, destination: str, tmp_path: Path
) -> None:
    """The token ends in a file that only its owner reads, the option is proposed, and no page, log or database has the token."""
    with shop.client(signed_in=True, role="operator") as client:
        back = came_back(client, platforms, destination)
        text = proposed(shop, client.get(back))
        variable = f"{destination.upper()}_AUDIENCE_TOKEN"
        assert f"${{{variable}}}" in text
        kept = tmp_path / "signalpost-tokens.env"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        token = tokens.read(kept)[variable]
        expected = platforms.settings.tiktok_token if destination == "tiktok" else platforms.settings.pinterest_token
        assert token == expected
        secrets = {token, tokens.read(kept).get(variable + tokens.RENEWS, token)}
        for path in (f"/setup/connect/{destination}", "/setup", f"/setup/connect/{destination}.json", "/settings/audit"):
            shown = client.get(path).text
            assert not any(secret in shown for secret in secrets), path
        state = client.get(f"/setup/connect/{destination}.json").json()["account"]["tokens"]
        assert [(each["variable"], each["state"], each["until"] is None) for each in state] == [
            (variable, "good", destination == "tiktok")
        ]
        assert client.get(back).status_code == 422, "a code is good once"
    shop.shop.write(lambda connection: None)
    # The demo's TikTok token is also the one of the workspace's environment, so only what is stored is looked at.
    for file in tmp_path.iterdir():
        if file.name.startswith("signalpost.db"):
            assert not any(secret.encode() in file.read_bytes() for secret in secrets)


def test_an_answer_that_was_not_asked_for_is_refused(shop: Running, platforms: Client) -> None:
    """A state of another session, of another account, changed or too old gives nothing, whatever the code."""
    with shop.client(signed_in=True, role="operator") as client, shop.client(signed_in=True, role="admin") as other:
        back = came_back(client, platforms, "pinterest")
        assert other.get(back).status_code == 403
        assert client.get(back.replace("/pinterest/", "/tiktok/")).status_code == 403
        assert client.get(re.sub(r"state=\d+", "state=1", back)).status_code == 403
        assert client.get(re.sub(r"state=[^&]+", "state=", back)).status_code == 403
        assert client.get(back).status_code == 303, "refused tries did not use the code up"


def test_who_says_no_connects_nothing(shop: Running, platforms: Client, tmp_path: Path) -> None:
    """A refusal on the platform's page leaves everything as it was."""
    with shop.client(signed_in=True, role="operator") as client:
        said = client.get(came_back(client, platforms, "pinterest", "deny"))
        assert said.headers["location"] == "/setup/connect/pinterest"
    assert not (tmp_path / "signalpost-tokens.env").exists()


def test_a_token_is_renewed(shop: Running, platforms: Client, tmp_path: Path) -> None:
    """Renewing keeps the newest refresh token; without one there is nothing to renew."""
    with shop.client(signed_in=True, role="operator") as client:
        token = csrf(client)
        assert client.post("/setup/connect/pinterest/renew", data={"csrf": token}).status_code == 409
        client.get(came_back(client, platforms, "pinterest"))
        first = tokens.read(tmp_path / "signalpost-tokens.env")
        assert client.post("/setup/connect/pinterest/renew", data={"csrf": token}).status_code == 303
        second = tokens.read(tmp_path / "signalpost-tokens.env")
    assert first["PINTEREST_AUDIENCE_TOKEN_RENEWS"] != second["PINTEREST_AUDIENCE_TOKEN_RENEWS"]


def test_a_token_that_ends_soon_is_told(shop: Running, tmp_path: Path) -> None:
    """A token with less than a week left, and one that ended, are told on Set-up."""
    with shop.client(signed_in=True, role="viewer") as client:
        for left, told in ((86_400_000, "token ends"), (-1, "token ended")):
            until = {"PINTEREST_AUDIENCE_TOKEN": "x", "PINTEREST_AUDIENCE_TOKEN_UNTIL": str(now_ms() + left)}
            tokens.keep(tmp_path / "signalpost-tokens.env", until)
            assert told in client.get("/setup").text


def test_without_a_file_nothing_can_be_proposed(console: Running) -> None:
    """A console that was started without a workspace file says so."""
    with console.client(signed_in=True, role="operator") as client:
        assert client.get("/setup").status_code == 200
        sent = client.post("/setup/suppress-recent-buyers", data={"csrf": csrf(client), "destination": "tiktok", "within": "14d"})
        assert sent.status_code == 409
        assert "no place to keep a token" in client.get("/setup/connect/pinterest").text
