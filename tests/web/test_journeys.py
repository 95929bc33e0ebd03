"""Journeys in the console: owned messages and paid windows on one axis, and what is wrong between them."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from typing import Any

import pytest
from tests.web.conftest import running
from tests.web.test_segments import ENVIRON, TEXT, Busy, chosen

from signalpost.options import UNITS
from signalpost.web.pages import journeys

HOUR = UNITS["h"]

RULES = {
    "as it is": ("use: target, offer: true}", {"early_offer", "beside_journey", "outlives_journey"}),
    "without a discount": ("use: target}", {"beside_journey", "outlives_journey"}),
    "its first hours only": ("use: target, while_in: {recovery: 1h}}", {"outlives_journey"}),
    "after the messages": ("use: target, offer: true, while_in: {recovery: none}}", set()),
}
"""What is said of the audience of carts -> what is in conflict with the journey."""


def shown(path: Path, rule: str) -> tuple[dict[str, Any], str]:
    """(the page's data, the page) of the shop with this said of its audience of carts."""
    text = TEXT.replace("use: target, offer: true}", rule)
    with (
        running(path, chosen(path, text), text=text, environ=ENVIRON) as ready,
        ready.client(signed_in=True, role="viewer") as one,
    ):
        return one.get("/journeys.json").json(), unescape(one.get("/journeys").text)


@pytest.mark.parametrize("case", RULES)
def test_conflicts_are_those_of_the_check(tmp_path: Path, case: str) -> None:
    """What `signalpost check` warns of is on the page, in words and in the picture; where nothing is wrong it says so."""
    rule, kinds = RULES[case]
    facts, text = shown(tmp_path, rule)
    [journey] = facts["journeys"]
    [ads] = journey["ads"]
    assert {guard["kind"] for guard in ads["conflicts"]} == kinds
    for guard in ads["conflicts"]:
        assert journeys.TITLES[guard["kind"]] in text
        assert guard["advice"].replace("`", "") in text.replace("<code>", "").replace("</code>", "")
    assert ("no conflict" in text) is (not kinds)
    assert ads["buyers_leave"]


def test_both_stand_on_one_axis(tmp_path: Path) -> None:
    """Messages at their times and ads from and to, in ms since the same beginning; the picture's table says the same."""
    facts, text = shown(tmp_path, RULES["its first hours only"][0])
    [journey] = facts["journeys"]
    assert [(each["at"], each["channel"], each["offer"]) for each in journey["messages"]] == [
        (HOUR, "email", ""),
        (5 * HOUR, "email", "10%"),
    ]
    assert journey["after"] == 6 * HOUR
    assert journey["ads"][0]["windows"] == [[0, HOUR], [6 * HOUR, 8 * HOUR]]
    assert 'data-chart="lanes"' in text
    assert "email 10%" in text
    assert "only its first 1h" in text


def test_people_in_a_journey_are_counted(tmp_path: Path) -> None:
    """How many are in it now is the size of its hidden segment."""
    with running(tmp_path, chosen(tmp_path), text=TEXT, environ=ENVIRON) as ready:
        busy = Busy(ready)
        with ready.client(signed_in=True) as one:
            [journey] = one.get("/journeys.json").json()["journeys"]
            assert journey["people"] == busy.size("journey:recovery") > 0
            assert f"{journey['people']} people are in it now" in one.get("/journeys").text
            assert journey["ads"][0]["wanted"] == busy.size("cart")
