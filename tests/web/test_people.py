"""People in the console: found without a trace, shown masked, unmasked and erased only by who may, parted when wrongly joined."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from tests.store.shop import EMAIL, PHONE, RAW, Shop, moment, order, workspace
from tests.web.conftest import Running, now_ms, running

from signalpost import pipeline
from signalpost.options import Audience
from signalpost.store import memberships
from signalpost.store.database import Connection

SEGMENTS: dict[str, Any] = {"buyers": {"did": "Order Completed", "within": "2d"}}


@pytest.fixture
def peopled(tmp_path: Any) -> Any:
    """A console on a shop with a segment and an audience."""
    chosen = workspace(
        str(tmp_path / "signalpost.db"),
        segments=SEGMENTS,
        audiences=(Audience(segment="buyers", to=("tiktok",), use="suppress"),),
    )
    with running(tmp_path, chosen) as ready:
        shop = ready.shop

        def register(connection: Connection) -> None:
            shop.plan = pipeline.plan(shop.workspace, memberships.numbers(connection, shop.workspace, now_ms()))

        shop.write(register)
        yield ready


def person_of(shop: Shop, key: str) -> int:
    """The number of who has this identifier."""
    return int(shop.database.look(lambda connection: connection.rows("identifiers_owned", [key]))[0][1])


def token(client: httpx.Client, path: str = "/people") -> str:
    """The form token of this session."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found
    return found.group(1)


def audit(shop: Shop) -> list[tuple[str, str, str]]:
    """(who, what, subject with its note), oldest first."""

    def work(connection: Any) -> list[Any]:
        rows: list[Any] = connection.raw.execute("SELECT who, what, subject || ' ' || note FROM audit ORDER BY id").fetchall()
        return rows

    return [(row[0], row[1], row[2]) for row in shop.database.look(work)]


def buy(shop: Shop) -> int:
    """One order; gives the buyer's number."""
    now = now_ms()
    shop.say(order("m-1", "A-1", now - 3_000), at=now - 2_000)
    shop.process(now)
    return person_of(shop, "user_id:u-1")


def join(shop: Shop) -> tuple[int, int]:
    """Two people joined by mistake; gives (who they are, who was joined into them)."""
    now = now_ms()
    shop.say({"type": "identify", "messageId": "i1", "userId": "ann", "traits": {"email": "ann@shop.example"}}, at=now)
    shop.say({"type": "identify", "messageId": "i2", "userId": "bea", "traits": {"email": "bea@shop.example"}}, at=now)
    shop.process(now)
    bea = person_of(shop, "user_id:bea")
    shop.say({"type": "identify", "messageId": "i3", "userId": "bea", "traits": {"email": "ann@shop.example"}}, at=now)
    shop.process(now)
    assert person_of(shop, "user_id:bea") == person_of(shop, "user_id:ann") != bea
    return person_of(shop, "user_id:ann"), bea


def test_a_person_is_shown_masked(peopled: Running) -> None:
    """The list, the page and their data show orders, segments and audiences of a person, and nothing raw."""
    number = buy(peopled.shop)
    with peopled.client(signed_in=True) as client:
        for path in ("/people", f"/people/{number}", f"/people/{number}/erase"):
            for address in (path, f"{path}.json"):
                text = client.get(address).text.lower()
                for raw in RAW:
                    assert raw.lower() not in text, (address, raw)
        facts = client.get(f"/people/{number}.json").json()["person"]
        page = client.get(f"/people/{number}").text
    assert facts["figures"]["orders"] == 1
    assert facts["figures"]["net"] == "49.9"
    assert [each["segment"] for each in facts["memberships"]] == ["buyers"]
    assert facts["memberships"][0]["leaves_at"] is not None
    assert [(each["audience"], each["wanted"]) for each in facts["audiences"]] == [("buyers", True)]
    assert "Leaves" in page
    assert "user id u-1" in page
    assert "buyers" in page


def test_the_list_is_filtered_and_goes_back(peopled: Running) -> None:
    """By segment, consent and suppression; a page ends where the next begins."""
    buy(peopled.shop)
    now = now_ms()
    for place in range(60):
        consent = {"advertising": False} if place == 7 else {}
        said = {"type": "identify", "messageId": f"x{place}", "userId": f"x{place}", "context": {"consent": consent}}
        peopled.shop.say(said, at=now)
    peopled.shop.process(now)
    with peopled.client(signed_in=True) as client:
        first = client.get("/people.json").json()["found"]
        second = client.get("/people.json", params={"after": first["after"]}).json()["found"]
        assert (len(first["people"]), len(second["people"]), second["after"]) == (50, 11, "")
        assert len({each["id"] for each in first["people"] + second["people"]}) == 61
        inside = client.get("/people.json?segment=buyers").json()["found"]["people"]
        assert [each["known_as"] for each in inside] == ["user id u-1"]
        assert client.get("/people.json?suppressed=yes").json()["found"]["people"] == []
        assert "Nobody like that" in client.get("/people?suppressed=yes").text


def test_an_empty_list_says_what_to_do(console: Running) -> None:
    """Before anybody is known the page says who will stand there, and where to begin."""
    with console.client(signed_in=True) as client:
        assert "Nobody is known yet" in client.get("/people").text
        assert client.get("/people/5").status_code == 404


@pytest.mark.parametrize("asked", [EMAIL, f" {EMAIL.upper()} ", PHONE, "+44 7700 900158", "u-1"])
def test_a_person_is_found_and_what_was_asked_stands_in_no_address(peopled: Running, asked: str) -> None:
    """E-mail, phone and user id, however written, lead to the person by number."""
    number = buy(peopled.shop)
    with peopled.client(signed_in=True) as client:
        answer = client.post("/find", data={"q": asked, "csrf": token(client)})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/people/{number}")


def test_an_address_never_takes_an_email(peopled: Running) -> None:
    """Asked by an address, an e-mail or phone is not looked up, not repeated and not kept; the form does not repeat it either."""
    buy(peopled.shop)
    with peopled.client(signed_in=True) as client:
        for private in (EMAIL, PHONE):
            answer = client.get("/find", params={"q": private})
            assert (answer.status_code, answer.headers["location"]) == (303, "/find")
            assert client.get("/find.json", params={"q": private}).status_code == 400
        nobody = client.post("/find", data={"q": "nobody@else.example", "csrf": token(client)})
        assert nobody.status_code == 200
        assert "nobody@else.example" not in nobody.text
        assert 'method="post" action="/find"' in nobody.text


def test_unmasking_needs_a_role_and_leaves_a_line(peopled: Running) -> None:
    """An operator is shown the identifiers once and the audit says so; a viewer is not."""
    number = buy(peopled.shop)
    with peopled.client(signed_in=True, role="viewer") as client:
        assert client.post(f"/people/{number}/show", data={"csrf": token(client)}).status_code == 403
        assert "Show identifiers" not in client.get(f"/people/{number}").text
    assert audit(peopled.shop) == []
    with peopled.client(signed_in=True, role="operator") as client:
        answer = client.post(f"/people/{number}/show", data={"csrf": token(client)})
        assert EMAIL in answer.text
        assert PHONE in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert EMAIL not in client.get(f"/people/{number}").text
    ((who, what, subject),) = audit(peopled.shop)
    assert (who, what) == ("operator@shop.example", "unmask")
    assert subject.startswith(f"person {number}")
    assert not any(raw in subject for raw in RAW)


def test_a_merge_is_undone_by_an_operator(peopled: Running) -> None:
    """The button makes them two people again, once; a viewer has none, and the audit names who did it."""
    joined, other = join(peopled.shop)
    with peopled.client(signed_in=True, role="viewer") as client:
        assert "Make them two people again" not in client.get(f"/people/{joined}").text
        assert client.get(f"/people/{other}").headers["location"] == f"/people/{joined}"
    with peopled.client(signed_in=True, role="operator") as client:
        page = client.get(f"/people/{joined}").text
        event = re.search(r'name="event" value="(\d+)"', page)
        assert event
        sent = {"event": event.group(1), "other": str(other), "csrf": token(client)}
        assert client.post(f"/people/{joined}/part", data=sent).headers["location"] == f"/people/{joined}"
        assert "being undone" in client.get(f"/people/{joined}").text
        peopled.shop.process(now_ms())
        assert person_of(peopled.shop, "user_id:bea") == other
        assert person_of(peopled.shop, "email:ann@shop.example") == joined
        assert client.get(f"/people/{other}").status_code == 200
        page = client.get(f"/people/{joined}").text
        assert "until somebody undid it" in page
        assert "Make them two people again" not in page
        again = client.post(f"/people/{joined}/part", data=sent, follow_redirects=True)
        assert "undone already" in again.text
    assert [what for _, what, _ in audit(peopled.shop)] == ["undo merge"]


def test_erasing_needs_an_admin_and_the_word(peopled: Running) -> None:
    """Only an admin who types the word erases; the record is emptied, what waits goes, audiences are told, nobody comes back."""
    number = buy(peopled.shop)
    shop = peopled.shop
    with peopled.client(signed_in=True, role="operator") as client:
        assert client.post(f"/people/{number}/erase", data={"word": "erase", "csrf": token(client)}).status_code == 403
        assert client.get(f"/people/{number}/erase").status_code == 403
    with peopled.client(signed_in=True) as client:
        refused = client.post(f"/people/{number}/erase", data={"word": "yes", "csrf": token(client)})
        assert refused.status_code == 400
        assert "Type the word erase" in refused.text
        assert audit(shop) == []
        done = client.post(f"/people/{number}/erase", data={"word": "Erase", "csrf": token(client)})
        assert done.headers["location"] == f"/people/{number}/erased"
        assert "next in the pipeline" in client.get(f"/people/{number}/erased").text
        shop.process(now_ms())
        facts = client.get(f"/people/{number}/erased.json").json()
        assert (facts["taken"], facts["waiting"]) == (True, 0)
        assert [(each["audience"], each["wanted"]) for each in facts["audiences"]] == [("buyers", False)]
        assert "pending" in client.get(f"/people/{number}/erased").text
        now = now_ms()
        shop.say(order("m-late", "A-2", now), at=now)
        shop.process(now)
        person = client.get(f"/people/{number}.json").json()["person"]
        assert person["figures"]["orders"] == 0
        assert person["suppressed_at"] > 0
        assert person["memberships"] == []
    ((_, what, subject),) = audit(shop)
    assert what == "erase"
    assert not any(raw in subject for raw in RAW)


def test_what_was_known_before_a_merge_is_erased_too(peopled: Running) -> None:
    """After an erasure no record of before a merge is kept, so the merge cannot be undone."""
    joined, _ = join(peopled.shop)
    with peopled.client(signed_in=True) as client:
        client.post(f"/people/{joined}/erase", data={"word": "erase", "csrf": token(client)})
        peopled.shop.process(now_ms())
        assert not any(each["undoable"] for each in client.get(f"/people/{joined}.json").json()["person"]["merges"])

    def snapshots(connection: Any) -> Any:
        sql = "SELECT count(*) FROM merges WHERE snapshot IS NOT NULL OR kept IS NOT NULL"
        return connection.raw.execute(sql).fetchall()[0][0]

    assert peopled.shop.database.look(snapshots) == 0


def test_an_export_holds_everything_and_leaves_a_line(peopled: Running) -> None:
    """An admin gets all that is kept of a person as a file, raw; an operator does not."""
    number = buy(peopled.shop)
    with peopled.client(signed_in=True, role="operator") as client:
        assert client.post(f"/people/{number}/export", data={"csrf": token(client)}).status_code == 403
    with peopled.client(signed_in=True) as client:
        answer = client.post(f"/people/{number}/export", data={"csrf": token(client)})
        assert "attachment" in answer.headers["content-disposition"]
        found = answer.json()
    assert {each["value"] for each in found["identifiers"]} == {"u-1", EMAIL, PHONE}
    assert [each["order_id"] for each in found["orders"]] == ["A-1"]
    assert found["events"][0]["content"]["properties"]["order_id"] == "A-1"
    assert {each["destination"] for each in found["events"][0]["told"]} == {"tiktok", "pinterest"}
    assert [what for _, what, _ in audit(peopled.shop)] == ["export person"]


def test_a_history_is_told_in_pages_without_a_gap(peopled: Running) -> None:
    """Page after page gives every event once, newest first, and when segments were entered."""
    now = now_ms()
    shop = peopled.shop
    buy(shop)
    for place in range(70):
        said = {"type": "track", "messageId": f"v{place}", "userId": "u-1", "event": "Product Viewed", "timestamp": moment(now)}
        shop.say(said, at=now + place)
    shop.process(now + 100)
    number = person_of(shop, "user_id:u-1")
    seen: list[int] = []
    what: set[str] = set()
    with peopled.client(signed_in=True) as client:
        after = ""
        for _ in range(5):
            history = client.get(f"/people/{number}.json", params={"after": after}).json()["history"]
            seen += [each["event"] for each in history["entries"] if each["what"] == "event"]
            what |= {each["what"] for each in history["entries"]}
            after = history["after"]
            if not after:
                break
    assert len(seen) == len(set(seen)) == 71
    assert seen == sorted(seen, reverse=True)
    assert what == {"event", "entered"}
