from __future__ import annotations

from collections import Counter

import pytest

from signalpost.destinations import CATALOG
from signalpost.vocabulary import CANONICAL_EVENTS, SYNONYMS, canonical, fold, priority


def test_every_synonym_is_claimed_once() -> None:
    """No two canonical events share a name, however it is written."""
    claimed = Counter(fold(name) for name in CANONICAL_EVENTS)
    claimed.update(fold(synonym) for synonyms in SYNONYMS.values() for synonym in synonyms)
    assert [name for name, times in claimed.items() if times > 1] == []


@pytest.mark.parametrize("name", CANONICAL_EVENTS)
def test_a_canonical_name_is_its_own(name: str) -> None:
    """Resolving a canonical name changes nothing."""
    assert name == canonical(name, {})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Completed Order", "Order Completed"),
        ("Viewed Product", "Product Viewed"),
        ("checkout_completed", "Order Completed"),
        ("product_added_to_cart", "Product Added"),
        ("orders/paid", "Order Completed"),
        ("begin_checkout", "Checkout Started"),
        ("ORDER COMPLETED", "Order Completed"),
        ("  order   completed ", "Order Completed"),
        ("Quiz Finished", "Quiz Finished"),
        ("", ""),
    ],
)
def test_other_vocabularies_are_understood(written: str, expected: str) -> None:
    """Old, Shopify's and Google's names are the same events; a name nobody knows stays as it is."""
    assert expected == canonical(written, {})


def test_the_shop_comes_first() -> None:
    """What the workspace file says about a name beats the vocabulary."""
    assert canonical("Order Placed", {"Order Placed": "Order Completed"}) == "Order Completed"
    assert canonical("Order Completed", {"Order Completed": "Lead Generated"}) == "Lead Generated"


def test_purchases_leave_first() -> None:
    """The queue's order is purchase, checkout, cart, the rest; unknown events are the rest."""
    ordered = [priority(name) for name in ("Order Completed", "Checkout Started", "Product Added", "Signed Up", "?")]
    assert ordered == [0, 1, 2, 3, 3]


@pytest.mark.parametrize("platform", CATALOG)
def test_platforms_speak_the_vocabulary(platform: str) -> None:
    """Every event in a platform's own table is a canonical one."""
    assert set(CATALOG[platform].events) <= set(CANONICAL_EVENTS)
