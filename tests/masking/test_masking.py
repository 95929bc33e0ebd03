"""How people's data is shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost import masking

LOCAL = st.text("abcdefghijklmnopqrstuvwxyz0123456789._+-", min_size=4, max_size=20)
DOMAIN = st.from_regex(r"[a-z]{4,12}\.(test|example|co\.uk)", fullmatch=True)
AROUND = st.sampled_from(["", " ", '"', "<", "/api/v1/customers/", "?email=", "to:", "(", "é", "%2F", "\n"])


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("anna@example.test", "a…@e….test"),
        ("a@b.example.co.uk", "a…@b….uk"),
        ("a" * 64, "aaaaaa…aaaa"),
    ],
)
def test_an_address_keeps_its_first_letters(raw: str, shown: str) -> None:
    """An e-mail address shows the first letter on each side and its ending; a digest its ends."""
    assert masking.email(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"), [("+447700900158", "+44…58"), ("07700 900158", "…58"), ("+1 (202) 555-0175", "+12…75"), ("123", "…")]
)
def test_a_phone_keeps_its_ends(raw: str, shown: str) -> None:
    """A phone number shows how it begins and its last two digits."""
    assert masking.phone(raw) == shown


@given(local=LOCAL, domain=DOMAIN, before=AROUND, after=AROUND, encoded=st.booleans())
def test_no_address_survives_in_free_text(local: str, domain: str, before: str, after: str, encoded: bool) -> None:
    """Wherever an e-mail address stands in a text, percent-encoded or not, its name and host are gone."""
    written = f"{local}%40{domain}".replace("+", "%2B") if encoded else f"{local}@{domain}"
    shown = masking.text(f"{before}{written}{after}")
    assert local not in shown
    assert domain.split(".")[0] not in shown


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["email", "traits", "user", "phone", "ip", "name", "zip"]) | st.text(max_size=8),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_a_masked_document_is_json_of_the_same_shape(value: object) -> None:
    """Masking never fails, and what it gives can be written as JSON."""
    json.dumps(masking.document(value))


def test_what_describes_a_person_is_masked_by_where_it_stands() -> None:
    """Texts in an object that describes a person are masked whatever they are called; products are not."""
    shown = masking.document(
        {
            "customer": {"name": "Margarethe", "note": "Leeds", "orders_count": 3},
            "products": [{"name": "Rose Serum", "brand": "Glow"}],
            "phone": 447700900158,
            "ip": "2001:db8:1:2::3",
        }
    )
    assert shown == {
        "customer": {"name": "M…", "note": "L…", "orders_count": 3},
        "products": [{"name": "Rose Serum", "brand": "Glow"}],
        "phone": "…58",
        "ip": "2001:db8:…",
    }


@pytest.mark.parametrize(
    "plain", ["order 0012345", "2026-01-01 10:00:00", "Chrome/120.0.0.0 Safari/537.36", "SKU-1/2", "49.90 GBP", "u-1", "@glow"]
)
def test_what_is_not_personal_stays(plain: str) -> None:
    """Ids, times, versions and amounts are shown as they are."""
    assert masking.text(plain) == plain
