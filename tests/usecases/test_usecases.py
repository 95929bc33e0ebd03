"""Use cases: what each needs follows from its rules and the platforms' tables; its change is no more than what is missing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.store.shop import Shop, order, workspace

from signalpost import amend, config, usecases
from signalpost.config import Destination, Workspace
from signalpost.destinations import CATALOG
from signalpost.sources import shopify
from signalpost.store import usecases as arrived
from signalpost.store.database import Database
from signalpost.usecases import USE_CASES, Evidence, Heard
from signalpost.vocabulary import CANONICAL_EVENTS

NOW = 1_795_305_600_000

BARE = """workspace: glow
environment: production
currency: GBP
country: GB
order_value: gross
"""


def bare(text: str = BARE) -> Workspace:
    """A workspace file's workspace, whatever the environment."""
    environ = dict.fromkeys(("PINTEREST_AD_ACCOUNT", "PINTEREST_ACCESS_TOKEN", "PINTEREST_AUDIENCE_TOKEN"), "549755885175")
    environ |= dict.fromkeys(("TIKTOK_PIXEL", "TIKTOK_ACCESS_TOKEN"), "CPIXEL")
    made, notes = config.check(text, environ, CATALOG)
    assert made is not None, notes
    return made


@pytest.mark.parametrize(
    ("case", "events"),
    [
        ("suppress-recent-buyers", ["Order Completed"]),
        ("cart-recovery", ["Order Completed", "Checkout Started"]),
        ("winback", ["Order Completed", "Email Unsubscribed"]),
        ("vip-early-access", ["Order Completed"]),
        ("lookalike-seeds", ["Order Completed"]),
        ("second-purchase", ["Order Completed"]),
    ],
)
def test_events_follow_from_the_rules(case: str, events: list[str]) -> None:
    """Each event that a use case's rules ask for is needed, and no other."""
    one = USE_CASES[case]
    assert usecases.events(one, usecases.compiled(one, usecases.defaults(one), bare())) == events


def test_worth_needs_value_and_currency() -> None:
    """What is computed of money needs the order's value and currency; who bought is always needed."""
    asked = {
        name: usecases.fields(one, usecases.compiled(one, usecases.defaults(one), bare())) for name, one in USE_CASES.items()
    }
    assert asked["suppress-recent-buyers"] == ["person"]
    assert asked["vip-early-access"] == ["person", "value", "currency"]


def test_identifiers_are_the_platforms_own() -> None:
    """Pinterest keeps no audience by phone number, TikTok does; events have more keys than audiences."""
    suppress, second = USE_CASES["suppress-recent-buyers"], USE_CASES["second-purchase"]
    assert "phone" in usecases.identifiers(suppress, "tiktok")
    assert "phone" not in usecases.identifiers(suppress, "pinterest")
    assert "epik" in usecases.identifiers(second, "pinterest")


@pytest.mark.parametrize("case", USE_CASES)
def test_the_change_does_it_and_is_made_once(case: str) -> None:
    """The change for both platforms makes a file without mistakes that does it; for that file there is nothing left to change."""
    one = USE_CASES[case]
    assert not usecases.in_file(one, bare())
    text = amend.amended(BARE, usecases.changes(one, usecases.defaults(one), ["tiktok", "pinterest"], bare()))
    after = text
    if one.parts(usecases.defaults(one)).audiences:  # audiences need more than events do, which check says
        after = text.replace("type: tiktok", 'type: tiktok\n    advertiser: "7000000000000000001"')
    made = bare(after)
    assert usecases.in_file(one, made)
    assert usecases.changes(one, usecases.defaults(one), ["tiktok", "pinterest"], made) == []


def test_an_audience_is_added_only_where_it_is_missing() -> None:
    """Who has the audience at one platform gets it at the other, and keeps the first as it is."""
    one = USE_CASES["suppress-recent-buyers"]
    first = amend.amended(BARE, usecases.changes(one, usecases.defaults(one), ["pinterest"], bare()))
    more = usecases.changes(one, usecases.defaults(one), ["pinterest", "tiktok"], bare(first))
    assert [list(each.path) for each in more] == [["destinations", "tiktok"], ["audiences", "+"]]
    assert list(more[-1].value["to"]) == ["tiktok"]


def test_a_destination_with_its_own_map_gets_the_derived_event() -> None:
    """Where a destination lists its events, the derived one is added to them; nothing that is there changes."""
    one = USE_CASES["second-purchase"]
    tiktok = Destination(type="tiktok", events={"Order Completed": "CompletePayment"})
    changes = usecases.changes(one, {}, ["tiktok"], replace(bare(), destinations={"tiktok": tiktok}))
    assert [(list(each.path), each.value) for each in changes][1:] == [
        (["destinations", "tiktok", "events", "Second Purchase"], "SecondPurchase")
    ]


def _facts() -> dict[str, str]:
    return {"workspace": "glow", "environment": "production", "currency": "GBP", "country": "GB", "order_value": "gross"}


def test_answers_that_make_no_rule_are_told() -> None:
    """An answer that is no duration raises a sentence."""
    with pytest.raises(ValueError, match="soon"):
        usecases.compiled(USE_CASES["suppress-recent-buyers"], {"within": "soon"}, bare())


def test_states_follow_from_shares() -> None:
    """Nothing arrived: missing, unknown; some orders with a value: partly; nearly all: there."""
    one, shop = USE_CASES["vip-early-access"], workspace("x.db")

    def states(evidence: Evidence) -> dict[str, str]:
        return {each.name: each.state for each in usecases.needs(one, usecases.defaults(one), ["tiktok"], shop, evidence)}

    nothing = states(Evidence(days=7, first=None))
    assert (nothing["Order Completed"], nothing["the order's value"]) == ("missing", "unknown")
    some = states(
        Evidence(
            days=7,
            first=1,
            events={"Order Completed": Heard(signals=10, sources={"web": 10})},
            orders=10,
            with_value=5,
            with_currency=10,
            with_person=1,
        )
    )
    assert (some["Order Completed"], some["the order's value"], some["the order's currency"], some["who bought"]) == (
        "there",
        "partly",
        "there",
        "missing",
    )


def test_every_source_has_a_way_to_mend() -> None:
    """For a missing event each kind of source says what to do there; the Shopify topics are those that Shopify's wire reads."""
    fixes = {each.source: each for each in usecases._event_fixes("Checkout Started", workspace("x.db"))}
    assert set(fixes) == {"web", "cio", "shop"}
    assert "checkouts/create" in fixes["shop"].sentence
    assert set(usecases.TOPICS.values()) <= set(shopify.TOPICS)
    assert set(usecases.TOPICS) <= set(CANONICAL_EVENTS)


def test_what_arrived_is_read_as_it_was(database: Database) -> None:
    """Events are counted by source, orders by what they carry, match keys by event; on every kind of database."""
    shop = Shop(database)
    assert database.look(lambda connection: arrived.gather(connection, shop.workspace, NOW)).first is None
    for number in range(4):
        shop.say(order(f"m-{number}", f"A-{number}", NOW - 5_000), at=NOW - 4_000)
    shop.say({"type": "track", "messageId": "m-own", "userId": "u-1", "event": "Cart Left", "properties": {}}, at=NOW - 4_000)
    shop.process(NOW - 3_000)
    for destination in shop.workspace.destinations:
        shop.deliver(destination, NOW - 2_000)
    evidence = database.look(lambda connection: arrived.gather(connection, shop.workspace, NOW))
    assert evidence.events["Order Completed"].signals == 4
    assert (evidence.orders, evidence.with_value, evidence.with_currency, evidence.with_person) == (4, 4, 4, 4)
    assert (evidence.keys["Order Completed"].signals, evidence.keys["Order Completed"].having["email"]) == (4, 4)
    assert arrived.unknown(evidence, shop.workspace) == ["Cart Left"]
    spoke = database.look(arrived.spoke)
    assert {name: (each.requests, each.last) for name, each in spoke.items()} == {"web": (5, NOW - 4_000)}
