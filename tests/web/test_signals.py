"""Signals in the console: live, filtered by the address, back into the past, and each with its whole story."""

from __future__ import annotations

import re
from typing import Any

from tests.store.shop import RAW, order
from tests.web.conftest import Running, now_ms
from tests.web.test_people import audit, token


def events(answer: Any) -> list[int]:
    """The events of a list, as listed."""
    return [each["event"] for each in answer.json()["found"]["latest"]]


def test_every_filter_keeps_what_it_says(console: Running) -> None:
    """Destination, verdict, reason, event, source, value and time each leave out the rest; so do they together."""
    numbers = console.fill()
    now = now_ms()
    with console.client(signed_in=True) as client:
        every = events(client.get("/signals.json"))
        assert set(numbers.values()) <= set(every)
        assert every == sorted(every, reverse=True)
        assert events(client.get("/signals.json?verdict=refused")) == [numbers["refused"]]
        assert events(client.get("/signals.json?verdict=refused&reason=code_warned")) == []
        assert events(client.get("/signals.json?reason=code_unknown")) == [numbers["unknown"]]
        assert numbers["withheld"] in events(client.get("/signals.json?reason=duplicate_order"))
        assert events(client.get("/signals.json?destination=nobody")) == []
        assert events(client.get("/signals.json?source=cio")) == []
        assert events(client.get("/signals.json?source=web")) == every
        assert events(client.get("/signals.json?event=Product+Viewed")) == []
        assert set(events(client.get("/signals.json?least=49.9"))) <= set(events(client.get("/signals.json?valued=1")))
        assert events(client.get("/signals.json?least=49.91")) == []
        assert events(client.get(f"/signals.json?since={now + 60_000}")) == []
        assert events(client.get(f"/signals.json?since={now - 60_000}&until={now + 60_000}")) == every
        assert events(client.get(f"/signals.json?until={now - 60_000}")) == []
        only = client.get("/signals.json?destination=tiktok&verdict=accepted").json()["found"]["latest"]
        assert [[mark["destination"] for mark in each["marks"]] for each in only] == [["tiktok"]]


def test_nonsense_in_an_address_is_no_filter(console: Running) -> None:
    """A value, moment or cursor that is none is left aside."""
    console.fill()
    with console.client(signed_in=True) as client:
        every = events(client.get("/signals.json"))
        for address in ("least=abc", "least=NaN", "least=1e999", "since=yesterday", "after=x", f"after={'9' * 19}", "window=5y"):
            assert events(client.get(f"/signals.json?{address}")) == every, address


def test_the_list_goes_back_without_a_gap(console: Running) -> None:
    """Page after page gives every event once; each page links to the next."""
    now = now_ms()
    console.shop.say(*(order(f"m{each}", f"A{each}", now) for each in range(120)), at=now)
    console.shop.process(now)
    seen: list[int] = []
    with console.client(signed_in=True) as client:
        address = "/signals"
        for _ in range(5):
            page = client.get(address)
            seen += [int(each) for each in re.findall(r'id="e-(\d+)"', page.text)]
            following = re.search(r'href="(/signals\?after=\d+)"', page.text)
            if following is None:
                break
            address = following.group(1)
    assert len(seen) == len(set(seen)) == 120
    assert seen == sorted(seen, reverse=True)


def test_a_rare_signal_is_found_far_back(console: Running) -> None:
    """What lies behind thousands of others is found by looking further back, and the page says how far it looked."""
    now = now_ms()
    shop = console.shop
    first = shop.say(order("rare", "R-1", now, event="Order Completed"), at=now) << 16
    for part in range(3):
        views = [
            {"type": "track", "messageId": f"v{part}-{each}", "userId": f"u{each}", "event": "Product Viewed"}
            for each in range(700)
        ]
        shop.say(*views, at=now)
    shop.process(now)
    with console.client(signed_in=True) as client:
        assert events(client.get("/signals.json?event=Order+Completed")) == [first]


def test_the_tail_tells_what_is_new(console: Running) -> None:
    """The stream of a filter gives its newest signals as rows, masked, and only those that fit."""
    numbers = console.fill()
    with console.client(signed_in=True) as client, client.stream("GET", "/signals/live?verdict=refused") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        heard = ""
        for line in answer.iter_lines():
            heard += f"{line}\n"
            if heard.count("\n\n") >= 2:
                break
    assert f'id="e-{numbers["refused"]}"' in heard
    assert f'id="e-{numbers["accepted"]}"' not in heard
    assert not any(raw in heard for raw in RAW)


def test_a_story_says_why_and_by_which_gates(console: Running) -> None:
    """Gates before the one that withheld it passed and those after it were not asked; what was sent shows its fields."""
    numbers = console.fill()
    with console.client(signed_in=True) as client:
        withheld = client.get(f"/signals/{numbers['withheld']}.json").json()["deliveries"][0]
        outcomes = {each["name"]: each["outcome"] for each in withheld["checks"]}
        assert outcomes["duplicate_order"] == "withheld"
        assert outcomes["missing_order_id"] == "passed"
        assert outcomes["missing_value"] == "not asked"
        sent = client.get(f"/signals/{numbers['accepted']}.json").json()["deliveries"][0]
        assert {each["outcome"] for each in sent["checks"]} == {"passed"}
        assert any(each["value"] and "hashed" in each["cleaning"] for each in sent["fields"])
        assert all(each["origin"] for each in sent["fields"])
        page = client.get(f"/signals/{numbers['accepted']}").text
        assert "gates let it pass" in page
        assert "/people/" in page


def test_a_refused_signal_is_sent_again_by_an_operator(console: Running) -> None:
    """The button puts it back into the outbox with a line in the audit; a viewer has no such button and may not."""
    number = console.fill()["refused"]
    path = f"/signals/{number}/again/tiktok"
    with console.client(signed_in=True, role="viewer") as client:
        assert "Send it again" not in client.get(f"/signals/{number}").text
        assert client.post(path, data={"csrf": token(client)}).status_code == 403
    with console.client(signed_in=True, role="operator") as client:
        assert "Send it again" in client.get(f"/signals/{number}").text
        assert client.post(path, data={"csrf": token(client)}).status_code == 303
        found = {each["destination"]: each["verdict"] for each in client.get(f"/signals/{number}.json").json()["deliveries"]}
        assert found["tiktok"] == "waiting"
        assert client.post(f"/signals/{number}/again/nobody", data={"csrf": token(client)}).status_code == 404
    assert [(who, what) for who, what, _ in audit(console.shop)] == [("operator@shop.example", "replay")]


def test_an_unknown_signal_is_sent_again_only_when_it_is_said_to_be_risky(console: Running) -> None:
    """Where the platform might count it twice, nothing is sent without the tick."""
    number = console.fill()["unknown"]
    with console.client(signed_in=True, role="operator") as client:
        (tiktok,) = (each for each in client.get(f"/signals/{number}.json").json()["replay"] if each["destination"] == "tiktok")
        assert tiktok["risk"] == "merges"
        assert "recognises the repeat" in client.get(f"/signals/{number}").text
