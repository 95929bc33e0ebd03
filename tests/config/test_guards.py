"""What `check` warns of about audiences and journeys, at which line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from signalpost import config
from signalpost.destinations import CATALOG
from signalpost.marked import Mistake

LEAKS = Path(__file__).resolve().parents[2] / "docs" / "leaks"
HEAD = """\
workspace: glow
environment: production
currency: USD
country: US
order_value: net
sources: {web: {type: pipelines, write_key: k}}
destinations: {pinterest: {type: pinterest, ad_account: '549755885175', access_token: '${TOKEN}'}}
"""
LEAKY = """\
segments:
  cart: {last: Checkout Started, age: 0h..7d}
  recent: {did: Order Completed, within: 3d}
journeys:
  recovery: {starts: Checkout Started, ends: [Order Completed], after: 24h, steps: [{at: 1h}, {at: 20h, offer: 10%}]}
audiences:
  - segment: cart
    to: pinterest
    use: target
    offer: true
  - {segment: recent, to: pinterest, use: suppress, ad_groups: ["2680000000001"]}
"""
TIGHT = """\
segments:
  cart: {ladder: Checkout Started, until: Order Completed, tiers: [0h-6h reminder, 6h-24h proof, 1d-3d offer]}
  recent: {did: Order Completed, within: 14d}
journeys:
  recovery: {starts: Checkout Started, ends: [Order Completed], after: 24h, steps: [{at: 1h}, {at: 20h, offer: 10%}]}
audiences:
  - {segment: cart_reminder, to: pinterest, use: target, while_in: {recovery: 6h}, ad_groups: ["2680000000001"]}
  - {segment: cart_offer, to: pinterest, use: target, offer: true, ad_groups: ["2680000000001"]}
  - {segment: recent, to: pinterest, use: suppress, ad_groups: ["2680000000001"]}
"""


def checked(text: str) -> list[Mistake]:
    """What `check` notes of a file."""
    workspace, notes = config.check(HEAD + text, {"TOKEN": "t"}, CATALOG)
    assert (workspace is None) == any(note.severity == "mistake" for note in notes)
    return list(notes)


def test_each_guard_stands_at_its_option() -> None:
    """A warning at the audience's segment, at its `offer`, at the audience itself; the file is none the worse for it."""
    notes = checked(LEAKY)
    first = HEAD.count("\n") + 1
    assert {note.severity for note in notes} == {"warning"}
    assert sorted((note.line - first, note.path) for note in notes) == [
        (6, "audiences[0]"),
        *[(6, "audiences[0].segment")] * 3,
        (9, "audiences[0].offer"),
        (10, "audiences[1].segment"),
    ]
    said = " ".join(note.sentence for note in notes)
    for part in (
        "nobody leaves it by buying",
        "until 7 days after `Checkout Started`",
        "1 hour and 20 hours after `Checkout Started`",
        "`recovery` offers one after 20 hours only",
        "for 3 days only",
        "No ad group is named that shows ads to `cart`",
    ):
        assert part in said


def test_a_file_that_minds_its_windows_is_told_nothing() -> None:
    """A ladder with its journey, handed over and suppressed, has no note."""
    assert checked(TIGHT) == []


def test_mistakes_come_first() -> None:
    """A file with a mistake is told of that, and of no guard."""
    notes = checked(LEAKY.replace("did: Order Completed", "did: Order Complete"))
    assert [note.severity for note in notes] == ["mistake"]


@pytest.mark.parametrize("page", ["no-suppression", "audience-windows", "stale-audiences"])
def test_the_pages_about_it_show_files_without_guards(page: str) -> None:
    """What the pages advise is not warned of."""
    [example] = re.findall(r"^```yaml\n(.*?)^```", (LEAKS / f"{page}.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert checked(example) == []
