"""Segments and audiences in the console: their figures, the rule editor, and what a viewer may not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from tests.laws.flow import DAY, HOUR, MINUTE, Flow, request
from tests.laws.flow import moment as written
from tests.store.shop import RAW, TRAITS
from tests.web.conftest import Running, now_ms, running

from signalpost import amend, config
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.destinations.audiences import Held
from signalpost.store import audiences, batches, revisions, segments, sizes
from signalpost.store.database import Connection
from signalpost.web.pages import rules as editor
from signalpost.web.pages import segments as page

ENVIRON = {"TIKTOK_TOKEN": "the-real-token", "PINTEREST_TOKEN": "another-real-token"}

TEXT = """# The shop's set-up.
workspace: glow
environment: production
currency: GBP
country: GB
order_value: gross
timezone: Europe/London
database: signalpost.db
sources:
  web: {type: pipelines, write_key: web-key}
segments:
  cart:
    ladder: Checkout Started
    until: Order Completed
    tiers: [0h-3h fresh, 3h-8h late]
  buyers: {did: Order Completed, within: 20h}  # whoever bought
journeys:
  recovery:
    starts: Checkout Started
    ends: [Order Completed]
    after: 6h
    steps: [{at: 1h, channel: email}, {at: 5h, channel: email, offer: 10%}]
audiences:
  - {segment: cart, to: [tiktok, pinterest], use: target, offer: true}
  - {segment: buyers, name: Recent buyers / all, to: tiktok, use: suppress}
destinations:
  tiktok: {type: tiktok, pixel: CPIXEL, advertiser: "7000000000000000001", access_token: "${TIKTOK_TOKEN}"}
  pinterest: {type: pinterest, ad_account: "549755885175", access_token: "${PINTEREST_TOKEN}"}
"""


def chosen(path: Path, text: str = TEXT) -> Workspace:
    """The workspace of a text, with its database in a folder."""
    read, notes = config.check(text.replace("signalpost.db", str(path / "signalpost.db")), ENVIRON, CATALOG)
    assert read is not None, notes
    return read


def said(name: str, person: int, at: int) -> dict[str, Any]:
    """An event of a person; the first has everything on record."""
    traits = TRAITS if person == 1 else {"email": f"p{person}@shop.example"}
    return {
        "type": "track",
        "event": name,
        "messageId": f"{name}-{person}-{at}",
        "timestamp": written(at),
        "userId": f"u{person}",
        "context": {"traits": traits},
        "properties": {"order_id": f"{person}-{at}", "total": 20, "currency": "GBP"},
    }


class Busy:
    """A console whose shop has nine people who began to check out; the first three bought, a while later."""

    def __init__(self, console: Running) -> None:
        self.console, self.now = console, now_ms()
        self.flow = Flow(console.shop.database, console.shop.workspace)
        self.flow.fill(self.now - 2 * DAY)
        happened = [("Checkout Started", person, self.now - (10 - person) * HOUR - 7 * MINUTE) for person in range(1, 10)]
        happened += [("Order Completed", person, self.now - HOUR) for person in (1, 2, 3)]
        for name, person, at in sorted(happened, key=lambda each: each[2]):
            self.tell(name, person, at)
        self.flow.pass_time(self.now)
        self.count()

    def tell(self, name: str, person: int, at: int) -> None:
        """Something happens."""
        received = request("web", [said(name, person, at)], at)
        self.flow.write(partial(batches.append, received=received, messages=1))
        self.flow.process(now=at)

    def count(self) -> None:
        """The loop beside counts."""
        found = self.flow.database.look(lambda one: sizes.count(one, self.console.shop.workspace, now_ms()))
        self.flow.write(lambda one: sizes.keep(one, found))

    def size(self, name: str) -> int:
        """People in a segment, counted in full."""
        slot = self.flow.database.look(segments.slots)[name]
        return int(self.flow.database.look(segments.sizes).get(slot, 0))

    def audit(self) -> list[tuple[Any, ...]]:
        """(who, what, subject) of everything written by hand."""
        return self.flow.rows("SELECT who, what, subject FROM audit ORDER BY at")


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Busy]:
    """A console with a past, served with its workspace file."""
    with running(tmp_path, chosen(tmp_path), text=TEXT, environ=ENVIRON) as ready:
        yield Busy(ready)


@pytest.fixture
def client(busy: Busy) -> Iterator[httpx.Client]:
    """Somebody who may change the set-up."""
    with busy.console.client(signed_in=True, role="operator") as one:
        yield one


def token(client: httpx.Client, path: str = "/segments/new") -> str:
    """The form token of a page."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get(path).text)
    assert found is not None
    return found[1]


# ---- segments ----------------------------------------------------------------------------------------------------------------


def test_the_list_says_who_is_inside(busy: Busy, client: httpx.Client) -> None:
    """Each segment with its size at this moment, who came and went, and what goes by it; the twin says the same."""
    busy.tell("Checkout Started", 20, now_ms())
    facts = client.get("/segments.json").json()
    found = {each["name"]: each for each in facts["segments"]}
    assert {name: each["size"] for name, each in found.items()} == {name: busy.size(name) for name in found}
    assert found["cart_fresh"]["size"] == 3
    assert (found["cart_fresh"]["entered"], found["cart_fresh"]["left"]) == (10, 7)
    assert {each["kind"] for each in facts["segments"]} == {"ladder", "tier", "rule"}
    assert [each["use"]["name"] for each in found["buyers"]["used"]] == ["Recent buyers / all"]
    text = client.get("/segments").text
    for name in found:
        assert f'href="/segments/{name}"' in text
    assert "Nobody is in two of" in text
    assert "recovery" not in found


def test_the_list_is_filtered_by_its_address(client: httpx.Client) -> None:
    """By kind, by words of the name or the rule; a filter that finds nothing leads back."""
    names = [each["name"] for each in client.get("/segments.json", params={"kind": "tier"}).json()["segments"]]
    assert names == ["cart_fresh", "cart_late"]
    assert [each["name"] for each in client.get("/segments.json?q=20%20hours").json()["segments"]] == ["buyers"]
    assert "No such segment" in client.get("/segments?q=nothing-like-this").text


def test_without_segments_the_page_says_what_to_do(tmp_path: Path) -> None:
    """An empty page leads an operator to the first segment, and shows a viewer no way to make one."""
    bare = re.sub(r"segments:.*?(?=destinations:)", "", TEXT, flags=re.DOTALL)
    with running(tmp_path, chosen(tmp_path, bare), text=bare, environ=ENVIRON) as ready:
        for role, way in (("operator", True), ("viewer", False)):
            with ready.client(signed_in=True, role=role) as one:
                for path in ("/segments", "/audiences"):
                    text = one.get(path).text
                    assert "yet" in text
                    assert ('href="/segments/new"' in text) is way
                assert "No journey is written down yet" in one.get("/journeys").text


def test_one_segment_tells_its_past_and_its_future(busy: Busy, client: httpx.Client) -> None:
    """The curve ends at the size now, the forecast begins there and ends where everybody has left."""
    facts = client.get("/segments/cart_fresh.json?window=24h").json()
    assert facts["curve"][-1][1] == facts["listed"]["size"] == busy.size("cart_fresh")
    assert facts["coming"][0] == facts["curve"][-1]
    assert facts["coming"][-1][1] == 0
    assert facts["ahead"]["left_day"] == busy.size("cart_fresh")
    assert [at for at, _ in facts["curve"]] == sorted({at for at, _ in facts["curve"]})
    text = client.get("/segments/cart_fresh").text
    assert 'data-chart="lines"' in text
    assert "If nothing happens" in text


@pytest.mark.parametrize("window", [*page.WINDOWS, "never"])
def test_windows(client: httpx.Client, window: str) -> None:
    """Each window has its points, another one is taken for the usual."""
    facts = client.get("/segments/cart.json", params={"window": window}).json()
    assert facts["window"] == (window if window in page.WINDOWS else "7d")
    assert facts["curve"]
    assert client.get("/segments/cart", params={"window": window}).status_code == 200


def test_who_came_and_went_and_why(busy: Busy, client: httpx.Client) -> None:
    """Each move names its event, which leads to its story, or says that time passed; a filter shows one way only."""
    rows = client.get("/segments/cart.json").json()["rows"]
    slot = busy.flow.database.look(segments.slots)["cart"]
    moves = busy.flow.database.look(lambda one: segments.latest(one, slot, most=page.NEWEST))
    assert [(each["person"], each["at"], each["entered"]) for each in rows] == [
        (one.person, one.at, one.entered) for one in moves
    ]
    text = client.get("/segments/cart").text
    bought = next(each for each in rows if "Order Completed" in each["why"])
    assert f'href="/signals/{bought["event"]}"' in text
    left = client.get("/segments/cart_fresh.json?move=left").json()["rows"]
    assert left
    assert not any(each["entered"] for each in left)
    assert any(each["why"] == "because time passed" for each in left)


def test_people_through_the_ladder(client: httpx.Client) -> None:
    """The picture's table says how many came in, went on and bought."""
    facts = client.get("/segments/cart.json?window=24h").json()
    ways = {(each["source"], each["target"], each["event"]): each["people"] for each in facts["passing"]}
    assert ways["", "cart_fresh", "Checkout Started"] == 9
    assert ways["cart_fresh", "cart_late", ""] == 7
    assert ways["cart_late", "", "Order Completed"] == 2
    assert 'data-chart="flow"' in client.get("/segments/cart_late?window=24h").text


def test_the_rule_as_sql_for_a_warehouse(client: httpx.Client) -> None:
    """The address chooses the dialect; what is no dialect is taken for the usual."""
    assert "$now" in client.get("/segments/buyers.json").json()["sql"]
    assert "@now" in client.get("/segments/buyers.json?dialect=bigquery").json()["sql"]
    assert client.get("/segments/buyers.json?dialect=abacus").json()["dialect"] == "duckdb"


def test_nobody_is_shown_raw(busy: Busy, client: httpx.Client) -> None:
    """No page of segments and audiences, nor its data, shows what a person is known by."""
    [ann] = busy.flow.database.look(lambda one: segments.find(one, "u1", busy.console.shop.workspace))
    paths = [
        "/segments",
        "/segments/buyers",
        f"/segments/buyers/people/{ann.id}",
        "/audiences",
        "/audiences/cart/tiktok",
        "/journeys",
    ]
    for path in paths:
        for address in (path, f"{path}.json"):
            answer = client.get(address)
            assert answer.status_code == 200, address
            shown = unescape(answer.text).lower()
            assert not [raw for raw in (*RAW, *ENVIRON.values()) if raw.lower() in shown], address
    sample = client.get("/segments/buyers.json").json()["sample"]
    assert ann.id in {each["person"] for each in sample}


def test_why_somebody_is_inside(busy: Busy, client: httpx.Client) -> None:
    """One person's page says whether and why, what changes next, and how they came; who is nobody has none."""
    [ann] = busy.flow.database.look(lambda one: segments.find(one, "u1", busy.console.shop.workspace))
    facts = client.get(f"/segments/buyers/people/{ann.id}.json").json()
    assert facts["inside"]
    assert facts["since"] is not None
    assert "Leaves at" in facts["next"]
    assert [each["entered"] for each in facts["moves"]] == [True]
    assert not client.get(f"/segments/cart/people/{ann.id}.json").json()["inside"]
    assert "not inside" in client.get(f"/segments/cart/people/{ann.id}").text
    assert client.get("/segments/buyers/people/987654321").status_code == 404


def test_what_is_no_segment(client: httpx.Client) -> None:
    """A name that the file does not have, and what only journeys need, have no page; a near name is told."""
    answer = client.get("/segments/buyer")
    assert answer.status_code == 404
    assert "buyers" in answer.text
    assert client.get("/segments/" + quote("journey:recovery", safe="")).status_code == 404
    assert client.get("/segments/%00").status_code == 404


def test_before_the_first_count(tmp_path: Path) -> None:
    """Right after a start the pages stand without figures, and say when they come."""
    with running(tmp_path, chosen(tmp_path), text=TEXT, environ=ENVIRON) as ready, ready.client(signed_in=True) as one:
        for path in ("/segments", "/segments/cart", "/audiences", "/audiences/cart/tiktok", "/journeys"):
            assert one.get(path).status_code == 200, path
        assert "within a minute" in one.get("/segments/cart").text
        assert one.get("/segments.json").json()["segments"][0]["size"] is None


# ---- audiences -----------------------------------------------------------------------------------------------------------------


def test_the_list_of_audiences(busy: Busy, client: httpx.Client) -> None:
    """Each at each destination with what it wants, what waits, and the people it shares with one that keeps ads from them."""
    busy.tell("Checkout Started", 1, now_ms())
    busy.count()
    facts = client.get("/audiences.json").json()
    found = {(each["audience"], each["destination"]): each for each in facts["audiences"]}
    assert set(found) == {("cart", "tiktok"), ("cart", "pinterest"), ("Recent buyers / all", "tiktok")}
    cart = found["cart", "tiktok"]
    assert cart["wanted"] == busy.size("cart") == 7
    assert cart["pending"] == 9  # the platform was asked for nothing yet: two more were wanted, and no longer are
    assert cart["shared"] == [{"audience": "Recent buyers / all", "use": "suppress", "people": 1, "costs": True}]
    assert found["cart", "pinterest"]["shared"] == []
    assert "1 person also in Recent buyers / all" in unescape(client.get("/audiences").text)
    assert [each["audience"] for each in client.get("/audiences.json?use=suppress").json()["audiences"]] == [
        "Recent buyers / all"
    ]
    assert len(client.get("/audiences.json?destination=pinterest").json()["audiences"]) == 1


def test_a_name_with_a_slash_has_a_page(busy: Busy, client: httpx.Client) -> None:
    """Whatever an audience is called, its links lead to its page and to its data."""
    path = page.audience_address("Recent buyers / all", "tiktok")
    assert f'href="{path}"' in client.get("/audiences").text
    facts = client.get(f"{path}.json").json()
    assert facts["listed"]["audience"] == "Recent buyers / all"
    assert facts["listed"]["wants"].startswith("Keeps ads from people in `buyers`")
    text = client.get(path).text
    assert "to add" in text
    assert "not made yet" in text
    assert {each["why"].partition(" (")[0] for each in facts["next"]} == {"by Order Completed"}
    assert client.get("/audiences/nobody/tiktok").status_code == 404
    assert client.get("/audiences/cart/nowhere").status_code == 404


def lost(busy: Busy, state: str) -> None:
    """The audience of carts at TikTok was made, and is in this state now."""

    def work(connection: Connection) -> None:
        [cart] = [each for each in audiences.standings(connection) if (each.name, each.destination) == ("cart", "tiktok")]
        audiences.hold(connection, cart.slot, "test", now=busy.now, until=busy.now + HOUR)
        audiences.made(connection, cart.slot, "test", cart.held, Held(id="p1"), None, busy.now)
        audiences.says(connection, cart.slot, "test", Held(id="p1"), state, "Somebody deleted it.")

    busy.flow.write(work)


def test_a_lost_audience_is_begun_anew(busy: Busy, client: httpx.Client) -> None:
    """An operator begins it anew, everybody wanted waits again, and the audit says who did it."""
    lost(busy, "gone")
    assert "Begin it anew" in client.get("/audiences/cart/tiktok").text
    answer = client.post("/audiences/cart/tiktok/rebuild", data={"csrf": token(client)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/audiences/cart/tiktok")
    facts = client.get("/audiences/cart/tiktok.json").json()
    assert (facts["listed"]["state"], facts["listed"]["pending"]) == ("new", busy.size("cart"))
    assert [each[1:] for each in busy.audit()] == [("audience_rebuilt", "cart at tiktok")]


def test_one_that_is_not_lost_stays(busy: Busy, client: httpx.Client) -> None:
    """What is kept in sync is not made a second time, and no line says that it was; what was never kept is not there."""
    lost(busy, "ready")
    assert "Begin it anew" not in client.get("/audiences/cart/tiktok").text
    answer = client.post("/audiences/cart/tiktok/rebuild", data={"csrf": token(client)})
    assert answer.status_code == 409
    assert "is not lost" in answer.text
    assert client.post("/audiences/none/tiktok/rebuild", data={"csrf": token(client)}).status_code == 404
    assert busy.audit() == []


def test_a_viewer_changes_nothing(busy: Busy) -> None:
    """Whoever only looks sees no way to edit, and is refused at every one."""
    lost(busy, "gone")
    with busy.console.client(signed_in=True, role="viewer") as one:
        assert "/segments/new" not in one.get("/segments").text
        assert "/edit" not in one.get("/segments/buyers").text
        assert "Begin it anew" not in one.get("/audiences/cart/tiktok").text
        for path in ("/segments/new", "/segments/buyers/edit"):
            assert one.get(path).status_code == 403
        for path in ("/segments/-/preview", "/segments/-/propose", "/audiences/cart/tiktok/rebuild"):
            assert one.post(path, data={"rule": "did: Order Completed"}).status_code == 403
    assert busy.audit() == []


# ---- the rule editor -----------------------------------------------------------------------------------------------------------


def wish(**changes: Any) -> dict[str, Any]:
    """The form, filled in."""
    return {"name": "fresh_buyers", "rule": "did: Order Completed\nwithin: 7d\n", **changes}


def test_every_template_is_a_rule(busy: Busy, client: httpx.Client) -> None:
    """Each use case begins with a rule that says something; blank ones are to be filled in."""
    for name, template in editor.TEMPLATES.items():
        facts = client.get("/segments/new.json", params={"template": name}).json()
        assert facts["wish"]["rule"] == template.rule
        rules, mistakes = editor.read(busy.console.shop.workspace, editor.Wish(name="one", rule=template.rule))
        assert bool(rules) is (name != "blank"), mistakes
        assert bool(mistakes) is (name == "blank")


def test_the_preview_says_what_the_rule_holds(busy: Busy, client: httpx.Client) -> None:
    """Sentence, exact size, some of the people masked, SQL; and it writes nothing."""
    answer = client.post("/segments/-/preview", data={**wish(), "csrf": token(client)})
    assert answer.status_code == 200
    text = unescape(answer.text)
    assert "Order Completed happened in the last 7 days." in text
    assert re.search(r'<b class="big">3</b> people now', text)
    assert "Exact: all 9 people were asked." in text
    assert "SELECT" in text
    assert not [raw for raw in RAW if raw.lower() in text.lower()]
    assert busy.audit() == []


def test_the_preview_of_a_ladder_has_each_tier(client: httpx.Client) -> None:
    """Tiers stand with their own sizes beside that of all."""
    rule = "ladder: Checkout Started\nuntil: Order Completed\ntiers: [0h-3h hot, 3h-8h cold]\n"
    text = client.post("/segments/-/preview", data={**wish(name="way", rule=rule), "csrf": token(client)}).text
    assert "way_hot" in text
    assert "way_cold" in text
    assert re.search(r'<b class="big">6</b> people now', text)


@pytest.mark.parametrize(
    ("rule", "line", "words"),
    [
        ("did: Order Compleated\nwithin: 7d", 1, "Order Completed"),
        ("did: Order Completed\nwithin: soon", 2, "within"),
        ("all:\n  - did: Order Completed\n  - in_segment: nobody", 3, "nobody"),
        ("did: [Order", 1, "YAML"),
        ("", 0, ""),
    ],
)
def test_mistakes_stand_with_their_line(client: httpx.Client, rule: str, line: int, words: str) -> None:
    """What is wrong is told with its line and a sentence, while it is being written."""
    text = unescape(client.post("/segments/-/preview", data={**wish(rule=rule), "csrf": token(client)}).text)
    assert words in text
    if line:
        assert f"Line {line}" in text
    assert "people now" not in text


def proposed(busy: Busy, location: str) -> str:
    """The text of a proposal, by the address that leads to it."""
    number = int(location.removeprefix("/changes/"))
    found = busy.flow.database.look(lambda one: revisions.proposal(one, number))
    assert found is not None
    return found.text


def test_a_segment_and_an_audience_are_proposed(busy: Busy, client: httpx.Client) -> None:
    """The file's text with the segment and the audience added, all else as it was written; the audit has a line."""
    data = {
        **wish(),
        "audience": "yes",
        "to": ["tiktok", "pinterest"],
        "use": "target",
        "unless": "buyers",
        "csrf": token(client),
    }
    answer = client.post("/segments/-/propose", data=data)
    assert answer.status_code == 303, answer.text
    text = proposed(busy, answer.headers["location"])
    assert "# The shop's set-up." in text
    assert "# whoever bought" in text
    read, notes = config.check(text, ENVIRON, CATALOG)
    assert read is not None, notes
    assert read.segments["fresh_buyers"] == {"did": "Order Completed", "within": "7d"}
    assert (read.audiences[-1].segment, read.audiences[-1].to, read.audiences[-1].unless) == (
        "fresh_buyers",
        ("tiktok", "pinterest"),
        ("buyers",),
    )
    assert amend.amended(TEXT, []).splitlines()[:9] == text.splitlines()[:9]
    assert [each[1] for each in busy.audit()] == ["change_proposed"]


def test_a_rule_that_is_edited_keeps_how_it_is_written(busy: Busy, client: httpx.Client) -> None:
    """The editor begins with the file's own text, and what is proposed has the new rule in its place."""
    facts = client.get("/segments/buyers/edit.json").json()
    assert facts["wish"]["rule"].startswith("{did: Order Completed, within: 20h}")
    rule = "did: Order Completed\n# as the ads' own window\nwithin: 14d\n"
    data = wish(name="buyers", rule=rule, present="buyers", csrf=token(client))
    text = proposed(busy, client.post("/segments/-/propose", data=data).headers["location"])
    assert "# as the ads' own window" in text
    read, _ = config.check(text, ENVIRON, CATALOG)
    assert read is not None
    assert read.segments["buyers"]["within"] == "14d"
    assert len(read.segments) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "Give the segment a name"),
        ({"name": "Fresh Buyers"}, "small letters"),
        ({"name": "buyers"}, "already"),
        ({"name": "cart_late"}, "already"),
        ({"rule": "did: Nothing Known"}, "Nothing Known"),
        ({"audience": "yes"}, "at least one destination"),
        ({"audience": "yes", "to": "tiktok", "use": "target", "unless": "nobody"}, "nobody"),
    ],
)
def test_what_cannot_be_proposed_is_told(busy: Busy, client: httpx.Client, changes: dict[str, Any], words: str) -> None:
    """The form comes back as it was filled in with what is wrong, and nothing is proposed."""
    answer = client.post("/segments/-/propose", data={**wish(**changes), "csrf": token(client)})
    assert answer.status_code == 422
    text = unescape(answer.text)
    assert words in text
    assert (changes.get("rule") or "did: Order Completed") in text
    assert busy.audit() == []


def test_without_a_file_the_editor_says_so(tmp_path: Path) -> None:
    """A console that knows no file previews, and says where to put the rule instead of proposing it."""
    with running(tmp_path, chosen(tmp_path)) as ready, ready.client(signed_in=True) as one:
        assert "without a workspace file" in one.get("/segments/new").text
        answer = one.post("/segments/-/propose", data={**wish(), "csrf": token(one)})
        assert answer.status_code == 409
