"""The laws of the normaliser: one form a value, hashed once, junk is nothing, the quick ways equal the slow one."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signalpost import normalize

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "normalisation.md"
ROW = re.compile(
    r"\| `(?P<key>\w+)` \| `(?P<given>[^`]+)` \| (?P<country>\w*) \| (?:`(?P<clean>[^`]+)`|nothing) \| (?P<digest>.*)\|"
)
ROWS = {row.name: row for row in normalize.MATCH_KEYS}
VECTORS = [match.groupdict() for line in PAGE.read_text().splitlines() if (match := ROW.fullmatch(line))]


def _cleaned(row: normalize.MatchKey, given_value: str, country: str | None) -> str | None:
    if row.fact == "phones":
        clean = normalize.phone(given_value, country)
        return normalize.phone_digits(clean) if row.name == "phone_digits" else clean
    return row.clean(given_value, (country or "").lower() or None) if row.by_country else row.clean(given_value)


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{v['key']} {v['given']} {v['country']}" for v in VECTORS])
def test_the_published_vectors_hold(vector: dict[str, str]) -> None:
    """Each row of the reference page is what the code does, and its digest is the plain SHA-256 of the clean form."""
    row = ROWS[vector["key"]]
    clean = _cleaned(row, vector["given"], vector["country"] or None)
    digest = vector["digest"].strip().strip("`")

    assert vector["clean"] == clean
    if row.hashed and clean is not None:
        assert digest == normalize.hash_of(clean)
        if not normalize.is_hashed(vector["given"]):
            assert digest == hashlib.sha256(clean.encode()).hexdigest()


def test_every_match_key_has_a_vector() -> None:
    """The page shows each match key."""
    assert set(ROWS) == {vector["key"] for vector in VECTORS}


@given(st.text(alphabet="0123456789abcdefABCDEF", min_size=64, max_size=64))
def test_a_digest_is_passed_on_in_lower_case(digest: str) -> None:
    """A value that is a SHA-256 digest already is never hashed again, whichever key it is given for."""
    made = normalize.match_keys(
        emails=[digest],
        phones=[digest],
        external_ids=[digest],
        traits={"first_name": digest, "zip": digest, "country": digest},
        devices={"idfa": digest},
    )

    assert digest.lower() == normalize.hash_of(digest)
    for name in ("email", "phone", "phone_digits", "external_id", "idfa"):
        assert [digest.lower()] == made[name]
    for name in ("first_name", "zip", "country_hashed"):
        assert digest.lower() == made[name]
    assert "country" not in made  # sent in clear, so a digest has no place there


@given(st.text(min_size=1))
def test_hash_equals_hash_of_normalised(value: str) -> None:
    """However a value is written, its digest is that of its clean form."""
    for clean in (normalize.email, normalize.name, normalize.city, normalize.external_id, normalize.zip_code):
        once = clean(value)
        if once is not None:
            assert normalize.hash_of(clean(once)) == normalize.hash_of(once)


CLEANERS: list[Callable[[str], object]] = [
    normalize.text,
    normalize.email,
    lambda value: normalize.phone(value, "US"),
    lambda value: normalize.phone(value, "GB"),
    normalize.external_id,
    normalize.name,
    normalize.name_as_written,
    normalize.city,
    lambda value: normalize.state(value, "us"),
    normalize.state,
    lambda value: normalize.zip_code(value, "us"),
    normalize.zip_code,
    normalize.country,
    normalize.birthday,
    normalize.gender,
    normalize.idfa,
    normalize.gaid,
    normalize.idfv,
    normalize.click_id,
    normalize.public_ip,
    normalize.user_agent,
    normalize.locale,
    normalize.language,
    normalize.url,
]

WRITTEN = st.one_of(
    st.text(),
    st.emails(),
    st.ip_addresses().map(str),
    st.dates().map(str),
    st.uuids().map(str),
    st.from_regex(r"\+?[0-9 ().-]{5,20}", fullmatch=True),
    st.from_regex(r"[a-zA-Z]{2,3}[-_][a-zA-Z]{2,4}", fullmatch=True),
    st.from_regex(r"https?://[a-z.]{1,9}/[a-z]*\?email=[a-z]+(@|%40)[a-z]+\.[a-z]+", fullmatch=True),
)


@pytest.mark.parametrize("clean", CLEANERS)
@given(value=WRITTEN)
@example(value="ŉ")
@example(value="İstanbul")
@example(value="- -")
def test_normalising_twice_is_normalising_once(clean: Callable[[str], object], value: str) -> None:
    """A clean form is its own clean form, and it is never empty."""
    once = clean(value)

    assert once is None or isinstance(once, str)
    if isinstance(once, str):
        assert once.strip() == once != ""
        assert once == clean(once)


@pytest.mark.parametrize("junk", sorted(normalize.JUNK))
@pytest.mark.parametrize("clean", CLEANERS)
def test_what_software_writes_for_nothing_is_nothing(clean: Callable[[str], object], junk: str) -> None:
    """`null`, `undefined` and the like give None from every function, in any case and with space around."""
    assert clean(junk) is None
    assert clean(f" {junk.upper()} ") is None


@pytest.mark.parametrize("clean", CLEANERS)
@given(value=st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.lists(st.text()), st.just({"a": 1})))
def test_nothing_but_text_and_numbers_is_read(clean: Callable[[object], object], value: object) -> None:
    """Whatever a client sends in a value's place, a cleaner answers with text or None and never fails."""
    found = clean(value)

    assert found is None or isinstance(found, str)


DIGITS = st.text(alphabet="0123456789", min_size=1, max_size=13)
CALLING_CODES = st.sampled_from(["1", "33", "34", "31", "39", "41", "43", "44", "45", "46", "49", "55", "61", "64", "65", "353"])
PUNCTUATION = st.sampled_from(["", "", " ", "-", ".", "(", ")", ") "])


@st.composite
def phones(draw: st.DrawFn) -> str:
    """Phone numbers in the ways people write them."""
    start = draw(st.sampled_from(["+", "00", "", "0", "(0", "1", "+1 ("]))
    digits = draw(CALLING_CODES) + draw(st.sampled_from(["", "0", "(0)"])) + draw(DIGITS)
    return start + "".join(digit + draw(PUNCTUATION) for digit in digits)


@given(written=phones(), country=st.sampled_from(["US", "CA", "GB", "DE", "FR", "AU", None]))
@example(written="+1 (415) 555-0134", country="GB")
@example(written="+44 (0)20 7946 0958", country="US")
@example(written="+4402079460958", country=None)
@example(written="1 415 555 0134", country="US")
@example(written="+43 1 ", country=None)
def test_the_quick_ways_give_what_the_library_gives(written: str, country: str | None) -> None:
    """`phone` is Google's library, only faster: no number comes out differently."""
    by_library = normalize.phone_by_library(written.strip(), country) if normalize.text(written) else None

    assert by_library == normalize.phone(written, country)


@given(
    code=st.sampled_from(["1", "33", "34", "31", "41", "43", "44", "45", "46", "47", "48", "49", "61", "64", "65", "353"]),
    national=st.text(alphabet="0123456789", min_size=5, max_size=12),
)
def test_the_quick_way_of_whole_numbers_gives_what_the_library_gives(code: str, national: str) -> None:
    """The same, for numbers written whole, which nearly always take the quick way."""
    written = f"+{code}{national}"

    assert normalize.phone_by_library(written, None) == normalize.phone(written)


@given(st.ip_addresses(v=4))
@example(ipaddress.IPv4Address("172.32.0.1"))
@example(ipaddress.IPv4Address("172.31.255.255"))
@example(ipaddress.IPv4Address("100.127.255.255"))
@example(ipaddress.IPv4Address("223.255.255.255"))
@example(ipaddress.IPv4Address("224.0.0.1"))
@example(ipaddress.IPv4Address("198.19.255.255"))
def test_only_public_addresses_pass(address: ipaddress.IPv4Address) -> None:
    """An address passes exactly when the standard library calls it global, or it is reserved for documentation."""
    examples = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
    protocols = ipaddress.ip_network("192.0.0.0/24")  # Python releases differ about parts of it
    public = (address.is_global and not address.is_multicast) or any(address in net for net in examples)
    public = public and address not in protocols

    assert (str(address) if public else None) == normalize.public_ip(str(address))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("203.0.113.9, 10.0.0.1", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("2A00:1450:4001:081B:0000:0000:0000:200E", "2a00:1450:4001:81b::200e"),
        ("fe80::1%eth0", None),
        ("::1", None),
        ("256.1.1.1", None),
        ("localhost", None),
    ],
)
def test_addresses_come_out_of_what_proxies_write(written: str, expected: str | None) -> None:
    """The client's own address is read from a proxy's list, from IPv4 in IPv6 and from brackets."""
    assert expected == normalize.public_ip(written)


@pytest.mark.parametrize(
    ("properties", "context", "expected"),
    [
        (
            {},
            {"page": {"url": "https://shop.example/?ttclid=E.C.P.abc&epik=dj0yabc#x"}},
            {"ttclid": "E.C.P.abc", "epik": "dj0yabc"},
        ),
        ({}, {"page": {"search": "?a=1&ttclid=E.C.P.abc"}}, {"ttclid": "E.C.P.abc"}),
        ({"url": "https://shop.example/?epik=dj0yabc"}, {}, {"epik": "dj0yabc"}),
        (
            {"ttclid": "E.C.P.abc", "_ttp": "2abcdef"},
            {"_epik": "dj0yabc"},
            {"ttclid": "E.C.P.abc", "ttp": "2abcdef", "epik": "dj0yabc"},
        ),
        ({"ttclid": "__CLICKID__", "epik": ""}, {"ttp": None, "page": "odd"}, {}),
        ({"ttclid": "null"}, {"page": {"url": "https://shop.example/?ttclid="}}, {}),
    ],
)
def test_click_ids_are_found_where_clients_put_them(
    properties: dict[str, object], context: dict[str, object], expected: dict[str, str]
) -> None:
    """Click ids come from the page's address first, then from properties and context; unfilled macros are none."""
    assert expected == normalize.click_ids(properties, context)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("https://shop.example/p?email=ana@brand.example&x=1", "https://shop.example/p?x=1"),
        ("https://shop.example/p?email=ana%40brand.example", "https://shop.example/p"),
        ("https://shop.example/u/ana@brand.example/orders", "https://shop.example/u/_/orders"),
        ("https://ana:secret@shop.example/", "https://shop.example/"),
        ("https://shop.example/@glow", "https://shop.example/@glow"),
        ("HTTP://shop.example", "HTTP://shop.example"),
        ("/p/1", None),
        ("https:///p", None),
        ("javascript:alert(1)", None),
        ("https://shop.example/a b", None),
    ],
)
def test_no_e_mail_address_leaves_inside_a_page_address(written: str, expected: str | None) -> None:
    """Page addresses are absolute, and e-mail addresses are taken out of them."""
    assert expected == normalize.url(written)


def test_a_persons_keys_are_complete_and_absent_is_absent() -> None:
    """Facts that clean to nothing leave no key; an anonymous id stands in for missing external ids only."""
    nobody = normalize.match_keys(emails=[], phones=[], external_ids=["null"], traits={"gender": "?"}, devices={"gaid": "0"})
    visitor = normalize.match_keys(emails=[], phones=[], external_ids=[], anonymous_ids=["a-2", "a-1"], traits={}, devices={})
    known = normalize.match_keys(emails=[], phones=[], external_ids=["c-1"], anonymous_ids=["a-2"], traits={}, devices={})

    assert nobody == {}
    assert {"external_id": [normalize.sha256("a-2")]} == visitor
    assert {"external_id": [normalize.sha256("c-1")]} == known


@pytest.mark.parametrize("alias", [*normalize.COUNTRY_ALIASES, "GBR", "gb", "UK", "Vereinigtes Königreich", "Royaume-Uni"])
def test_countries_are_known_by_many_names(alias: str) -> None:
    """Codes, English names, common aliases and names in large languages give the alpha-2 code."""
    assert normalize.country(alias) == normalize.COUNTRY_ALIASES.get(alias, "gb")
