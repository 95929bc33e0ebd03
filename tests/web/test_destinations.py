"""Destinations in the console: how each stands, what is done to it by hand, and that no secret is on any of its pages."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.store.shop import RAW, SECRET, order, workspace
from tests.web.conftest import Running, now_ms, running

from signalpost import doctor
from signalpost.config import Destination
from signalpost.delivery import Breaker, Fate
from signalpost.doctor import keeping
from signalpost.options import Stage
from signalpost.platforms.testing import Client
from signalpost.platforms.testing import running as emulators
from signalpost.store import outbox, pauses, rollouts
from signalpost.store.database import Connection

PAGES = ("", "/again", "/replay", "/rollout", "/fields", "/connection", "/requests")
STAGES = (Stage(send=("Order Completed",), until={"accepted": ">= 90%", "events": ">= 1"}), Stage(send=("Product Added",)))


@pytest.fixture(scope="module")
def platforms() -> Iterator[Client]:
    """Both emulators."""
    with emulators() as url, Client(url) as client:
        yield client


@pytest.fixture
def staged(tmp_path: Path, platforms: Client) -> Iterator[Running]:
    """A console whose destinations are the emulators, TikTok with a rollout."""
    settings = platforms.settings
    tiktok = Destination(
        type="tiktok",
        settings={"pixel": settings.tiktok_pixels[0], "access_token": settings.tiktok_token, "website": "https://glow.example"},
        endpoint=platforms.url,
        test_code="TEST123",
        rollout=STAGES,
    )
    pinterest = Destination(
        type="pinterest",
        settings={"ad_account": settings.pinterest_ad_account_id, "access_token": settings.pinterest_token},
        endpoint=platforms.url,
    )
    address = str(tmp_path / "signalpost.db")
    with running(tmp_path, workspace(address, destinations={"tiktok": tiktok, "pinterest": pinterest})) as ready:
        yield ready


def words(page: str) -> str:
    """The page's text in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def send(client: httpx.Client, page: str, path: str, **fields: str) -> httpx.Response:
    """Fill in a form of a page."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get(page).text)
    assert found, f"no form on {page}"
    return client.post(path, data={"csrf": found[1], **fields})


def audit(console: Running, what: str) -> list[tuple[Any, ...]]:
    """(who, subject, note) of the audit's lines about something."""

    def work(connection: Connection) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = connection.raw.execute(  # type: ignore[attr-defined]
            "SELECT who, subject, note FROM audit WHERE what = ? ORDER BY id", (what,)
        ).fetchall()
        return rows

    return console.shop.database.look(work)


def verdicts(console: Running, destination: str) -> dict[int, str]:
    """Event -> verdict."""

    def work(connection: Connection) -> dict[int, str]:
        return dict(
            connection.raw.execute(  # type: ignore[attr-defined]
                "SELECT event, verdict FROM ledger WHERE destination = ?", (destination,)
            ).fetchall()
        )

    return console.shop.database.look(work)


# ---- reading ---------------------------------------------------------------------------------------------------------------


def test_the_list_tells_how_each_stands(console: Running) -> None:
    """A card for each destination: its state in a word, what it took, what waits, what it refused."""
    console.fill()
    with console.client(signed_in=True, role="viewer") as client:
        told = client.get("/destinations.json").json()
        text = words(client.get("/destinations").text)
    cards = {card["head"]["name"]: card for card in told["cards"]}
    assert ["tiktok", "pinterest"] == list(cards)
    assert cards["tiktok"]["tally"]["verdicts"]["refused"] == 1 == cards["tiktok"]["tally"]["verdicts"]["unknown"]
    assert cards["tiktok"]["waiting"]["signals"] == 1 == cards["pinterest"]["waiting"]["signals"]
    assert "sending" == cards["tiktok"]["head"]["state"]["word"]
    assert "resting" == cards["pinterest"]["head"]["state"]["word"]
    assert "50.0 % accepted of 4 signals answered" in text
    assert "Pinterest is busy." in text


def test_every_page_of_a_destination_stands_and_shows_nothing_raw(console: Running) -> None:
    """Each page and its data answer for operators, empty and full, and none shows a secret or a person."""
    for _ in range(2):
        with console.client(signed_in=True, role="operator") as client:
            for name in console.shop.workspace.destinations:
                for page in PAGES:
                    for ending in ("", ".json"):
                        answer = client.get(f"/destinations/{name}{page}{ending}")
                        assert answer.status_code == 200, (name, page, ending, answer.text[:300])
                        for raw in RAW:
                            assert raw not in answer.text, (name, page, raw)
        console.fill()


def test_a_destination_that_is_not_there_is_told_so(console: Running) -> None:
    """An unknown name is 404 on every page."""
    with console.client(signed_in=True) as client:
        assert {404} == {client.get(f"/destinations/snapchat{page}").status_code for page in PAGES}


def test_objections_come_with_sentence_value_and_examples(console: Running) -> None:
    """What a platform refused or warned about stands with its own sentence, what it was worth, and links to signals."""
    numbers = console.fill()
    with console.client(signed_in=True) as client:
        told = client.get("/destinations/tiktok.json").json()
        page = client.get("/destinations/tiktok").text
    problems = {each["verdict"]: each for each in told["problems"]}
    assert {"refused", "unknown", "warned"} == set(problems)
    assert ("code_refused", "It was refused.", {"GBP": "49.9"}, [numbers["refused"]]) == tuple(
        problems["refused"][each] for each in ("reason", "sentence", "value", "examples")
    )
    assert [numbers["warned"]] == problems["warned"]["examples"]
    assert f'href="/signals/{numbers["refused"]}"' in page
    assert {"GBP": "99.8"} == told["at_stake"]
    assert 4 == sum(
        sum(step["verdicts"].get(each, 0) for each in ("accepted", "warned", "refused", "unknown")) for step in told["steps"]
    )


def test_dead_signals_are_listed_and_filtered(console: Running) -> None:
    """The list of dead signals holds refused and unknown ones, and one of them by the address."""
    numbers = console.fill()
    with console.client(signed_in=True) as client:
        every = client.get("/destinations/tiktok/again.json").json()
        refused = client.get("/destinations/tiktok/again.json?verdict=refused").json()
        none = client.get("/destinations/tiktok/again?reason=nothing")
    assert [numbers["unknown"], numbers["refused"]] == [each["event"] for each in every["dead"]] == every["young"]
    assert [numbers["refused"]] == [each["event"] for each in refused["dead"]]
    assert [numbers["waiting"]] == [each["event"] for each in every["next"]]
    assert "None of this kind" in none.text


def test_fields_are_the_platforms_table_with_coverage(console: Running) -> None:
    """The field table is the platform's own, with the share of signals that carried each match key."""
    console.fill()
    with console.client(signed_in=True) as client:
        told = client.get("/destinations/tiktok/fields.json").json()
    rows = {row["path"]: row for row in told["rows"]}
    assert rows["user.email"]["share"] == 1.0
    assert rows["user.email"]["hashed"]
    assert rows["properties.value"]["share"] is None
    events = {each["event"]: each for each in told["events"]}
    assert ("Purchase", 2) == (events["Order Completed"]["name"], events["Order Completed"]["taken"])
    assert {"1,000", "7d"} <= {limit["value"] for limit in told["limits"]}


def test_requests_and_rests_are_told(console: Running) -> None:
    """Requests stand with their answers, newest first, and a rest that is over stands in the history."""
    console.fill()
    now = now_ms()
    console.shop.write(lambda connection: outbox.wake(connection, "pinterest", now))
    with console.client(signed_in=True) as client:
        told = client.get("/destinations/pinterest/requests.json").json()
    assert 5 == len(told["requests"])
    assert told["requests"][0]["platform_request"] == "request-77"
    assert told["resting"] is None
    assert [("Pinterest is busy.", 3, now)] == [(each["sentence"], each["failures"], each["until"]) for each in told["rests"]]


# ---- pausing ---------------------------------------------------------------------------------------------------------------


def test_a_pause_has_a_reason_and_a_line_in_the_audit(console: Running) -> None:
    """An operator pauses with a reason and resumes; both are in the audit, and the state says who and why."""
    console.fill()
    with console.client(signed_in=True, role="operator") as client:
        assert 422 == send(client, "/destinations/tiktok", "/destinations/tiktok/pause", note="  ").status_code
        assert 303 == send(client, "/destinations/tiktok", "/destinations/tiktok/pause", note="The pixel is moved").status_code
        told = client.get("/destinations/tiktok.json").json()
        assert "paused" == told["head"]["state"]["word"]
        assert "The pixel is moved." in told["head"]["state"]["sentence"]
        assert told["too_old_at"] > now_ms()
        assert {"tiktok"} == set(console.shop.database.look(pauses.paused))
        again = send(client, "/destinations/tiktok", "/destinations/tiktok/resume")
        assert 303 == again.status_code
        assert "sending" == client.get("/destinations/tiktok.json").json()["head"]["state"]["word"]
    assert [("operator@shop.example", "tiktok", "The pixel is moved")] == audit(console, "pause")
    assert [("operator@shop.example", "tiktok", "")] == audit(console, "resume")


def test_viewers_change_nothing(console: Running) -> None:
    """A viewer sees no form of a destination and may send none."""
    console.fill()
    with console.client(signed_in=True, role="viewer") as client:
        assert 403 == client.get("/destinations/tiktok/replay").status_code
        for act in ("pause", "resume", "replay", "rollout", "test"):
            assert f'action="/destinations/tiktok/{act}"' not in "".join(
                client.get(f"/destinations/tiktok{page}").text for page in PAGES if page != "/replay"
            )
            assert 403 == client.post(f"/destinations/tiktok/{act}", data={"note": "x"}).status_code
    assert {} == console.shop.database.look(pauses.paused)


# ---- sending again ---------------------------------------------------------------------------------------------------------


def test_a_replay_is_previewed_and_done(console: Running) -> None:
    """The preview tells how many and what they are worth; only the form sends, with a line in the audit."""
    numbers = console.fill()
    with console.client(signed_in=True, role="operator") as client:
        path = "/destinations/tiktok/replay?verdict=refused&reason=code_refused"
        told = client.get(path.replace("?", ".json?")).json()
        assert (1, 1, {"GBP": "49.9"}, {"none": 1}) == tuple(told[each] for each in ("found", "safe", "worth", "risks"))
        assert "refused" == verdicts(console, "tiktok")[numbers["refused"]], "looking sent something"
        answer = send(client, path, "/destinations/tiktok/replay", verdict="refused", reason="code_refused", note="Mended")
        assert 303 == answer.status_code
    after = verdicts(console, "tiktok")
    assert "waiting" == after[numbers["refused"]]
    assert "unknown" == after[numbers["unknown"]], "another reason was sent too"
    assert [("operator@shop.example", "tiktok", "1 signals, refused for `code_refused`: Mended")] == audit(console, "replay")


def test_one_signal_is_sent_again(console: Running) -> None:
    """A replay of one signal takes up that one and no other."""
    numbers = console.fill()
    with console.client(signed_in=True, role="operator") as client:
        path = f"/destinations/tiktok/replay?event={numbers['unknown']}"
        assert 1 == client.get(path.replace("?", ".json?")).json()["found"]
        send(client, path, "/destinations/tiktok/replay", event=str(numbers["unknown"]), note="Mended")
        assert 422 == client.get("/destinations/tiktok/replay?verdict=accepted").status_code
    after = verdicts(console, "tiktok")
    assert ("waiting", "refused") == (after[numbers["unknown"]], after[numbers["refused"]])


# ---- the rollout -----------------------------------------------------------------------------------------------------------


def test_a_rollout_is_moved_by_hand_and_the_flow_obeys(staged: Running) -> None:
    """Advancing stands in the history with who and why, and the next event of the new stage is sent."""
    shop, now = staged.shop, now_ms()
    shop.write(lambda connection: rollouts.advance_all(connection, shop.workspace, now - 3_600_000))
    added = {
        **order("m-1", "A-1", now),
        "event": "Product Added",
        "properties": {"product_id": "p", "price": 1, "currency": "GBP"},
    }
    first = shop.say(added, at=now) << 16
    shop.process(now)
    assert "withheld" == verdicts(staged, "tiktok")[first]
    with staged.client(signed_in=True, role="operator") as client:
        told = client.get("/destinations/tiktok/rollout.json").json()
        assert (1, 2, ["accepted", "events"]) == (
            told["status"]["stage"],
            told["status"]["stages"],
            [check["measure"] for check in told["status"]["checks"]],
        )
        assert 422 == send(client, "/destinations/tiktok/rollout", "/destinations/tiktok/rollout", move="on", note="").status_code
        send(client, "/destinations/tiktok/rollout", "/destinations/tiktok/rollout", move="on", note="Invoices agree")
        told = client.get("/destinations/tiktok/rollout.json").json()
        assert 422 == send(
            client, "/destinations/tiktok/rollout", "/destinations/tiktok/rollout", move="on", note="Again"
        ).status_code  # fmt: skip
        page = client.get("/destinations/tiktok/rollout").text
    assert 2 == told["status"]["stage"]
    change = told["status"]["changes"][0]
    assert ("operator@shop.example", "rollout advanced", "Invoices agree") == tuple(
        change[each] for each in ("who", "what", "note")
    )
    assert "Invoices agree" in page
    second = shop.say({**added, "messageId": "m-2"}, at=now + 1) << 16
    shop.process(now + 1)
    assert "waiting" == verdicts(staged, "tiktok")[second]


# ---- the connection --------------------------------------------------------------------------------------------------------


def test_a_test_is_sent_and_kept(staged: Running, platforms: Client) -> None:
    """The test reaches the platform in its test mode, its result stays on the page, and the checklist knows of it."""
    platforms.reset()
    with staged.client(signed_in=True, role="operator") as client:
        answer = send(client, "/destinations/tiktok/connection", "/destinations/tiktok/test", only="Order Completed")
        assert 303 == answer.status_code, answer.text
        told = client.get("/destinations/tiktok/connection.json").json()
        page = words(client.get("/destinations/tiktok/connection").text)
    assert told["tested"]["who"] == "operator@shop.example"
    assert told["tested"]["trial"]["passed"]
    assert {"Order Completed"} == {each["event"] for each in told["tested"]["trial"]["sent"]}
    assert 0 == platforms.received("tiktok")["accepted"], "a test counted"
    assert "The latest:" in page
    [(who, subject, note)] = audit(staged, "send-test")
    assert ("operator@shop.example", "tiktok") == (who, subject)
    assert note.startswith("accepted: a purchase")


def test_a_refused_token_is_told_without_its_value(tmp_path: Path, platforms: Client) -> None:
    """Credentials that the platform does not accept are told so wherever they are shown, and a test says what is wrong."""
    wrong = Destination(type="pinterest", settings={"ad_account": "549755885175", "access_token": SECRET}, endpoint=platforms.url)
    address = str(tmp_path / "signalpost.db")
    chosen = workspace(address, destinations={"pinterest": wrong})
    with running(tmp_path, chosen) as console, console.client(signed_in=True, role="operator") as client:
        send(client, "/destinations/pinterest/connection", "/destinations/pinterest/test", only="")
        asyncio.run(_ask(console))
        page = client.get("/destinations/pinterest/connection").text
        told = client.get("/destinations/pinterest/connection.json").json()
        card = client.get("/destinations.json").json()["cards"][0]
    assert "not accepted" == told["credentials"]["word"] == card["credentials"]["word"]
    assert not told["tested"]["trial"]["credentials"]
    assert SECRET not in page + json.dumps(told)
    token = next(each for each in told["settings"] if each["name"] == "access_token")
    assert (True, "") == (token["present"], token["value"])


async def _ask(console: Running) -> None:
    heard = await doctor.ask(console.shop.workspace, now_ms())
    await console.shop.database.write(lambda connection: keeping.keep_answers(connection, heard))


def test_a_blocked_destination_says_so(console: Running) -> None:
    """After a 401 the state is `blocked`, with the sentence of what to do."""
    now = now_ms()
    breaker = Breaker(
        failures=1, since=now, until=now + 60_000, sentence="TikTok does not accept the access token.", blocked=True
    )
    console.shop.say(order("m-1", "A-1", now), at=now)
    console.shop.process(now)

    def work(connection: Connection) -> None:
        signals = outbox.lease(connection, "tiktok", most=1, now=now, until=now + 1_000)
        sent = outbox.Sent(
            destination="tiktok", started_at=now, ended_at=now + 9, signals=1, status=401, summary="0 of 1 settled"
        )
        outbox.settle(connection, sent, [Fate(signal=signals[0], verdict=None, due_at=now)], breaker)

    console.shop.write(work)
    with console.client(signed_in=True) as client:
        told = client.get("/destinations/tiktok.json").json()["head"]["state"]
    assert "blocked" == told["word"]
    assert "does not accept the access token" in told["sentence"]
