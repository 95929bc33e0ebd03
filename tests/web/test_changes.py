"""Changes: what was in force, what is proposed, what that would do; the editor and its check."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.store.shop import Shop, asked, order
from tests.web.conftest import Running, now_ms, served

from signalpost import config
from signalpost.destinations import CATALOG
from signalpost.proposals.comparison import Cell, Comparison, Size
from signalpost.store import revisions
from signalpost.store.database import Database
from signalpost.store.revisions import digest
from signalpost.web import app, intake, plans
from signalpost.web.diffs import diff
from signalpost.worker import Worker

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
destinations:
  tiktok: {type: tiktok, pixel: CPIXEL, access_token: "${TIKTOK_TOKEN}"}  # the main one
  pinterest:
    type: pinterest
    ad_account: "549755885175"
    access_token: ${PINTEREST_TOKEN}
"""

GATED = TEXT + "gates:\n  - {reason: small order, when: {order.value: {lt: 100}}, events: [Order Completed]}\n"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Running]:
    """A console served with a workspace file; nobody takes up what shall be applied."""
    file = tmp_path / "signalpost.yaml"
    file.write_text(TEXT)
    workspace = config.load(file, ENVIRON, CATALOG)
    database = Database(workspace.database)
    database.submit(partial(revisions.found, text=TEXT, now=now_ms())).result()
    shop = Shop(database, workspace)
    worker = Worker(database, workspace)
    application = app.create(
        workspace=workspace,
        database=database,
        worker=worker,
        intake=intake.create(workspace, worker.append, worker.overload),
        file=file,
        text=TEXT,
        environ=ENVIRON,
    )
    with served(application) as url:
        yield Running(shop, worker, application, url)
    database.close()


def csrf(client: httpx.Client, path: str = "/changes") -> str:
    """The form token of whoever is signed in."""
    found = re.search(r'"x-csrf": "(\w+)"', client.get(path).text)
    assert found
    return found[1]


def post(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """A form of the console."""
    return client.post(path, data={"csrf": csrf(client), **fields})


def proposed(client: httpx.Client, text: str, **fields: str) -> str:
    """The path of a new proposal, by the editor."""
    answer = post(client, "/changes/new", text=text, **{"note": "Small orders stay out", "then": "save", **fields})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def planned(client: httpx.Client, path: str) -> dict[str, Any]:
    """The proposal once its comparison has ended."""
    until = time.monotonic() + 60
    while (found := client.get(f"{path}.json").json())["state"] == "comparing":
        assert time.monotonic() < until
        time.sleep(0.1)
    return dict(found)


def audit(place: Running) -> list[tuple[Any, ...]]:
    """What was done by hand: (who, what, subject)."""
    return asked(place.shop.database, "SELECT who, what, subject FROM audit ORDER BY id")


# ---- values ----------------------------------------------------------------------------------------------------------------


def test_a_difference_is_told_line_by_line() -> None:
    """Lines that went, lines that came, three around them, and where in the file they stand."""
    found = diff(TEXT, GATED.replace("CPIXEL", "DPIXEL"))
    assert (found.added, found.removed) == (3, 1)
    assert [part.section for part in found.parts] == ["order_value"] or found.parts[0].section
    lines = [line for part in found.parts for line in part.lines]
    gone = next(line for line in lines if line.kind == "removed")
    assert (gone.before, gone.after) == (12, None)
    assert "CPIXEL" in gone.text
    assert [line.text for line in lines if line.kind == "added"][1] == "gates:"


def test_texts_that_are_the_same_differ_in_nothing() -> None:
    """No part, no line."""
    assert diff(TEXT, TEXT).parts == []


def comparison(**changes: Any) -> Comparison:
    """A comparison of some events that finds nothing."""
    empty: dict[str, Any] = {"cells": [], "segments": [], "audiences": [], "examples": [], "examples_of": 0, "notes": []}
    return Comparison(**{"since": 1, "until": 2, "events": 10, "missing": 0, **empty, **changes})


def cell(before: int, after: int, worth: str = "0", then: str = "0", **changes: Any) -> Cell:
    """Purchases sent to TikTok."""
    return Cell(
        **{
            "event": "Order Completed",
            "destination": "tiktok",
            "verdict": "sent",
            "reason": "",
            "before": before,
            "after": after,
            "value_before": {"GBP": worth} if worth != "0" else {},
            "value_after": {"GBP": then} if then != "0" else {},
            **changes,
        }
    )


def test_the_headline_is_for_a_marketer(place: Running) -> None:
    """What no longer arrives, for how much; what is new; people; and one sentence when nothing would change."""
    from decimal import Decimal

    workspace = place.shop.workspace

    def said(**changes: Any) -> list[str]:
        return plans.headline(comparison(**changes), workspace)

    assert said() == ["Nothing would change: every signal, value, segment and audience of this time would be the same."]
    assert "longer" in said(events=0)[0]
    less = cell(1500, 296).__class__(
        event="Order Completed",
        destination="tiktok",
        verdict="sent",
        reason="",
        before=1500,
        after=296,
        value_before={"GBP": Decimal("1500.00")},
        value_after={"GBP": Decimal("300.50")},
    )
    assert said(cells=[less]) == ["1,204 signals of Order Completed worth 1,199.50 GBP would no longer reach TikTok."]
    assert said(cells=[cell(1, 2)]) == ["1 signal of Order Completed would reach TikTok that does not today."]
    assert said(segments=[Size(name="cart", destination="", before=5, after=7)]) == [
        "The segment cart would hold 7 people, not 5."
    ]
    assert said(audiences=[Size(name="Buyers", destination="tiktok", before=None, after=1)]) == [
        "The audience Buyers at TikTok would be new, with 1 person."
    ]
    assert "3 signals" in said(examples_of=3)[0]


# ---- pages -----------------------------------------------------------------------------------------------------------------


def test_the_list_shows_what_was_in_force(place: Running) -> None:
    """The revision found at the start is there, as the one in force; page and data say the same."""
    with place.client(signed_in=True, role="viewer") as client:
        shown, told = client.get("/changes").text, client.get("/changes.json").json()
    assert told["file"] == "signalpost.yaml"
    assert [(each["origin"], each["in_force"], each["who"]) for each in told["revisions"]] == [("start", True, "file")]
    assert "in force" in shown
    assert "Change the set-up" not in shown


def test_the_list_is_filtered_by_its_address(place: Running) -> None:
    """By how and by whom; what fits nothing says so and leads back."""
    database = place.shop.database
    for number in range(35):
        text = f"{TEXT}# {number}\n"
        database.submit(
            partial(revisions.keep, text=text, who="ada@shop.example", note=f"n{number}", origin="apply", now=number + 1)
        ).result()
    with place.client(signed_in=True) as client:
        assert len(client.get("/changes.json?origin=start").json()["revisions"]) == 1
        mine = client.get("/changes.json?who=ada@shop.example").json()
        assert len(mine["revisions"]) == 30
        rest = client.get(f"/changes.json?who=ada@shop.example&after={mine['after']}").json()
        assert (len(rest["revisions"]), rest["after"]) == (5, None)
        assert "No such revision" in client.get("/changes?origin=rollback").text


def test_a_console_without_a_file_says_what_to_do(console: Running) -> None:
    """Nothing can be changed there, and the page says how it could be."""
    with console.client(signed_in=True) as client:
        assert "signalpost serve" in client.get("/changes").text
        assert client.get("/changes/new").status_code == 409


def test_the_editor_holds_the_text_in_force_and_no_secret(place: Running) -> None:
    """Variables by their names; a style sheet of its own only by this answer's nonce."""
    with place.client(signed_in=True, role="operator") as client:
        answer, again = client.get("/changes/new"), client.get("/changes/new")
        found = re.search(r"<textarea[^>]*>(.*?)</textarea>", answer.text, re.DOTALL)
        assert found
        assert html.unescape(found[1]) == TEXT
        policy = answer.headers["content-security-policy"]
        nonce = re.search(r"style-src 'self' 'nonce-([\w-]+)'", policy)
        assert nonce
        assert f'data-nonce="{nonce[1]}"' in answer.text
        assert "script-src 'self';" in policy
        assert policy != again.headers["content-security-policy"]
        assert "real-token" not in answer.text
        assert client.get("/changes/schema").json()["title"] == "Signalpost workspace file"


@pytest.mark.parametrize(
    ("written", "line", "said"),
    [
        ("workspcae: glow", 2, "There is no option"),
        ("${TIKTOK_TOKEM}", 12, "TIKTOK_TOKEM"),
        ("access_token: literal", 12, "is a secret and stands in the file"),
    ],
)
def test_the_check_names_line_and_sentence(place: Running, written: str, line: int, said: str) -> None:
    """As one types: what is wrong, and where; a variable is known or not, its value is never told."""
    text = {
        2: TEXT.replace("workspace: glow", written),
        12: TEXT.replace("${TIKTOK_TOKEN}", written)
        if written.startswith("$")
        else TEXT.replace('access_token: "${TIKTOK_TOKEN}"', written),
    }[line]
    with place.client(signed_in=True, role="operator") as client:
        answer = post(client, "/changes/check", text=text)
    found = [each for each in answer.json() if said in each["sentence"]]
    assert found, answer.text
    assert found[0]["line"] == line
    assert found[0]["severity"] == "mistake"
    assert "real-token" not in answer.text


@pytest.mark.parametrize("option", ["workspace: other", "environment: test", "database: elsewhere.db"])
def test_what_must_stay_cannot_be_changed(place: Running, option: str) -> None:
    """Workspace, environment and database belong to the running server."""
    name = option.partition(":")[0]
    text = re.sub(rf"^{name}: .*$", option, TEXT, flags=re.MULTILINE).replace("pixel: CPIXEL", "pixel: CPIXEL, test_code: TEST1")
    with place.client(signed_in=True) as client:
        answer = post(client, "/changes/check", text=text)
        assert any(each["path"] == name and "cannot be changed" in each["sentence"] for each in answer.json()), answer.text
        assert post(client, "/changes/new", text=text, then="plan").status_code == 422


def test_a_draft_is_kept_with_its_note(place: Running) -> None:
    """The editor's text becomes a proposal, line by line beside what is in force, and leaves a line in the audit."""
    with place.client(signed_in=True, role="operator") as client:
        path = proposed(client, GATED.replace("\n", "\r\n"))
        told, shown = client.get(f"{path}.json").json(), client.get(path).text
        assert (told["state"], told["note"], told["origin"]) == ("draft", "Small orders stay out", "editor")
        assert (told["diff"]["added"], told["diff"]["removed"]) == (2, 0)
        assert 'class="unseen">added<' in shown
        assert "Apply without a plan" in shown
        assert client.get("/changes.json").json()["open"][0]["proposal"] == told["proposal"]
    assert ("operator@shop.example", "change_proposed", f"proposal {told['proposal']}") in audit(place)


def test_no_secret_and_no_nonsense_is_kept(place: Running) -> None:
    """A secret in the text, or what is no YAML, is given back with a sentence, and the text is still there."""
    with place.client(signed_in=True) as client:
        for text, said in ((TEXT.replace('"${TIKTOK_TOKEN}"', "abc123"), "is a secret"), (TEXT + "\t- :", "no YAML")):
            answer = post(client, "/changes/new", text=text, then="save")
            assert answer.status_code == 422
            assert said in html.unescape(answer.text)
            assert "# The shop" in answer.text
        assert post(client, "/changes/new", text=TEXT, then="save").status_code == 422
        assert client.get("/changes.json").json()["open"] == []


def test_a_plan_tells_what_would_change(place: Running) -> None:
    """The proposal is held against the file in force in a process beside, and the page tells the difference in words."""
    now = now_ms()
    place.shop.say(order("m-1", "A-1", now - 5_000), at=now - 4_000)
    place.shop.process(now)
    with place.client(signed_in=True, role="operator") as client:
        path = proposed(client, GATED, then="plan")
        told = planned(client, path)
        assert (told["state"], told["sentence"]) == ("compared", "")
        assert told["comparison"]["events"] == 1
        assert any("no longer reach TikTok" in sentence for sentence in told["headline"]), told["headline"]
        shown = client.get(path).text
        assert "What would change" in shown
        assert html.escape(told["headline"][0], quote=False) in shown
        same = proposed(client, TEXT + "# a comment only\n", then="plan")
        assert planned(client, same)["comparison"]["events"] == 1
        assert "Nothing would change" in client.get(same).text


def test_applying_needs_a_plan_or_a_word(place: Running) -> None:
    """Without a plan it is refused unless one says so, and the audit tells; what is wanted cannot be edited any more."""
    with place.client(signed_in=True, role="operator") as client:
        path = proposed(client, GATED)
        number = path.rpartition("/")[2]
        assert post(client, f"{path}/apply").status_code == 409
        assert post(client, f"{path}/apply", without_plan="yes").status_code == 303
        assert client.get(f"{path}.json").json()["state"] == "wanted"
        assert client.get(f"{path}/progress").status_code == 200
        assert client.get(f"{path}/edit").status_code == 409
        assert post(client, f"{path}/discard").status_code == 409
    assert ("operator@shop.example", "change_wanted", f"proposal {number}") in audit(place)


def test_what_was_changed_meanwhile_is_not_undone(place: Running) -> None:
    """A proposal of an earlier text is not applied; planned again it is held against what is in force now."""
    database = place.shop.database
    number = database.submit(
        partial(revisions.propose, text=GATED, base=digest("another"), who="ada", note="", origin="editor", since=None, now=1)
    ).result()
    with place.client(signed_in=True) as client:
        assert client.get(f"/changes/{number}.json").json()["stale"]
        assert "was changed since" in client.get(f"/changes/{number}").text
        answer = post(client, f"/changes/{number}/apply", without_plan="yes")
        assert answer.status_code == 409
        assert "Plan it again" in answer.text
        assert post(client, f"/changes/{number}/plan", since="24h").status_code == 303
        assert not planned(client, f"/changes/{number}")["stale"]


def test_a_file_changed_by_hand_is_told(place: Running, tmp_path: Path) -> None:
    """Whoever writes the file on the server is told on the page, and it can be proposed from there."""
    (tmp_path / "signalpost.yaml").write_text(GATED)
    with place.client(signed_in=True) as client:
        assert client.get("/changes.json").json()["by_hand"]
        path = proposed(client, TEXT + "# other\n")
        assert post(client, f"{path}/apply", without_plan="yes").status_code == 409
        found = post(client, "/changes/found").headers["location"]
        assert client.get(f"{found}.json").json()["origin"] == "file"


def test_a_plan_without_its_process_can_be_made_again(place: Running) -> None:
    """A comparison whose server ended tells so and is planned again; one that is under way is not begun twice."""
    database = place.shop.database
    with place.client(signed_in=True) as client:
        path = proposed(client, GATED)
        number = int(path.rpartition("/")[2])
        begin = partial(revisions.compare, number=number, base=digest(TEXT), since=1)
        assert database.submit(partial(begin, now=now_ms())).result()
        assert not database.submit(partial(begin, now=now_ms())).result()
        assert not client.get(f"{path}.json").json()["stalled"]
        database.submit(partial(revisions.progress, number=number, done=1, total=2, now=now_ms() - 60_000)).result()
        assert client.get(f"{path}.json").json()["stalled"]
        assert client.get(f"{path}/progress").headers["hx-refresh"] == "true"
        assert post(client, f"{path}/plan", since="24h").status_code == 303
        assert planned(client, path)["state"] == "compared"


def test_a_revision_is_shown_downloaded_and_proposed_again(place: Running) -> None:
    """Beside the one before it; rolling back is a proposal with the old text."""
    database = place.shop.database
    first = database.look(revisions.newest)
    second = database.submit(partial(revisions.keep, text=GATED, who="ada", note="Gate", origin="apply", now=now_ms())).result()
    with place.client(signed_in=True) as client:
        told = client.get(f"/changes/revisions/{second.id}.json").json()
        assert (told["before"], told["diff"]["added"], told["in_force"]) == (first, 2, True)
        assert client.get(f"/changes/revisions/{first}").status_code == 200
        got = client.get(f"/changes/revisions/{second.id}/file")
        assert (got.text, "attachment" in got.headers["content-disposition"]) == (GATED, True)
        path = post(client, f"/changes/revisions/{second.id}/roll-back").headers["location"]
        one = client.get(f"{path}.json").json()
        assert (one["origin"], one["note"]) == ("rollback", f"Back to revision {second.id}")
        assert client.get("/changes/revisions/999").status_code == 404


def test_a_viewer_sees_and_changes_nothing(place: Running) -> None:
    """No button, no editor; each act is refused and nothing is written."""
    with place.client(signed_in=True, role="operator") as client:
        path = proposed(client, GATED)
    before = audit(place)
    with place.client(signed_in=True, role="viewer") as client:
        shown = client.get(path).text
        assert "Lines that differ" in shown
        for word in ("Apply", "Discard", "Edit<"):
            assert word not in shown
        for way in ("/changes/new", f"{path}/edit", f"{path}/plan", f"{path}/apply", f"{path}/discard", "/changes/found"):
            assert post(client, way, text=GATED, without_plan="yes").status_code == 403
        assert post(client, "/changes/revisions/1/roll-back").status_code == 403
        assert post(client, "/changes/check", text=TEXT).status_code == 403
        assert client.get("/changes/new").status_code == 403
    assert audit(place) == before


def test_a_discarded_proposal_is_closed(place: Running) -> None:
    """It changes nothing, cannot be applied, and who discarded it is told."""
    with place.client(signed_in=True) as client:
        path = proposed(client, GATED)
        assert post(client, f"{path}/discard").headers["location"] == "/changes"
        told = client.get(f"{path}.json").json()
        assert (told["state"], told["decided_by"]) == ("discarded", "admin@shop.example")
        assert post(client, f"{path}/apply", without_plan="yes").status_code == 409
        assert client.get("/changes.json").json()["closed"][0]["proposal"] == told["proposal"]
