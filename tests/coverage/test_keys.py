"""The mask of a signal says which match keys a platform is really told; shares and score say what that is worth."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost import coverage, mapping, normalize
from signalpost.config import Destination
from signalpost.coverage import KEYS, READS
from signalpost.destinations import CATALOG, PLATFORMS
from signalpost.events import Event, Order, Person, Signal

NOW = 1_700_000_000_000
DAY = 86_400_000
TRAITS = {
    "first_name": "Ana-Maria",
    "last_name": "O'Neill",
    "city": "Leeds",
    "state": "England",
    "zip": "LS1 4AP",
    "country": "GB",
    "birthday": "1980-02-03",
    "gender": "female",
}
CLICKS = {"ttclid": "E.C.P.abcdefghijklmnop", "ttp": "2ABCdefGHIjklMNOpqrSTUvwxYZ", "epik": "dj0yJnU9abcdefghijklmnopqrstuvwxyz"}
RENDERS = {name: mapping.compile(platform, Destination(type=name)) for name, platform in CATALOG.items()}


def some(facts: dict[str, str]) -> st.SearchStrategy[dict[str, str]]:
    """Any part of these facts."""
    return st.sets(st.sampled_from(sorted(facts))).map(lambda names: {name: facts[name] for name in facts if name in names})


@st.composite
def signals(draw: st.DrawFn) -> Signal:
    """A signal of a person of whom anything may be known, with anything the event may bring."""
    keys = normalize.match_keys(
        emails=draw(st.sampled_from([[], ["ana@brand.example"], ["a@b.example", "b@b.example"]])),
        phones=draw(st.sampled_from([[], ["+447700900158"]])),
        external_ids=draw(st.sampled_from([[], ["u-1"]])),
        anonymous_ids=draw(st.sampled_from([[], ["visitor"]])),
        traits=draw(some(TRAITS)),
        devices=draw(some({"idfa": "6D92078A-8246-4BA4-AE5B-76104861E7DC", "gaid": "38400000-8cf0-11bd-b23e-10b96e40000d"})),
    )
    clicks = {
        name: (value, NOW - draw(st.sampled_from([0, 100 * DAY, 1_000 * DAY]))) for name, value in draw(some(CLICKS)).items()
    }
    context = draw(some({"ip": "81.2.69.142", "userAgent": "Mozilla/5.0 (X11; Linux x86_64)"}))
    if draw(st.booleans()):
        context["ip"] = "10.0.0.1"  # a private address is no address to a platform
    properties = draw(some({"partner_id": "partner-1"}))
    event = Event(
        kind="track", source="web", message_id="m", time=NOW, received_at=NOW, context=dict(context), properties=dict(properties)
    )
    return Signal(event=event, person=Person(id=1, keys=keys, clicks=clicks), order=Order(), name="Order Completed")


@given(signals())
def test_a_mask_says_what_each_platform_is_told(signal: Signal) -> None:
    """Of the keys a platform reads, the mask names exactly those that stand in the event written for it."""
    for platform, render in RENDERS.items():
        told = msgspec.json.decode(render(signal))
        carried = 0
        for bit, row in coverage.rows_of(platform):
            parent, _, name = row.path.partition(".")
            carried |= bit if name in told.get(parent, {}) else 0
        assert coverage.mask(signal) & READS[platform] == carried, platform


def test_every_key_has_a_bit_of_its_own_for_good() -> None:
    """Bits are in the database: none is used twice, none has changed since it was first written."""
    assert [(name, key.bit) for name, key in KEYS.items()] == [
        ("email", 0),
        ("phone", 1),
        ("external_id", 2),
        ("first_name", 3),
        ("last_name", 4),
        ("city", 5),
        ("state", 6),
        ("zip", 7),
        ("country", 8),
        ("birthday", 9),
        ("gender", 10),
        ("maid", 11),
        ("ttclid", 12),
        ("ttp", 13),
        ("epik", 14),
        ("ip", 15),
        ("user_agent", 16),
        ("partner_id", 17),
    ]


def test_no_match_key_of_a_platform_is_forgotten() -> None:
    """Every row of a platform's object about the person is a key here, but for the browser's language; so is every match key."""
    for platform, destination in CATALOG.items():
        rows = {row.path for row in destination.fields if row.path.partition(".")[0] in {"user", "user_data"}}
        assert rows - {row.path for _, row in coverage.rows_of(platform)} <= {"user.locale"}
    assert {key.name for key in normalize.MATCH_KEYS} == {name for key in KEYS.values() for name in key.made_of}


masks = st.dictionaries(st.integers(0, (1 << len(KEYS)) - 1), st.integers(1, 1_000), max_size=20)
platforms = st.sampled_from([None, *PLATFORMS])


@given(masks, platforms)
def test_a_score_is_between_nothing_and_everything(counted: dict[int, int], platform: str | None) -> None:
    """0 to 100; None only where there are no signals; 100 exactly when every signal has every key the platform reads."""
    score = coverage.score(counted, platform)
    if not counted:
        assert score is None
        return
    reads = READS[platform] if platform else (1 << len(KEYS)) - 1
    assert score is not None
    assert 0 <= score <= 100 + 1e-9
    assert (score > 100 - 1e-9) == all(mask & reads == reads for mask in counted)


@given(masks, st.sampled_from(sorted(KEYS)), platforms)
def test_one_more_key_never_lowers_the_score(counted: dict[int, int], key: str, platform: str | None) -> None:
    """When every signal carries one key more, the score is no lower: higher if the platform reads the key and some lacked it."""
    before = coverage.score(counted, platform)
    bit = 1 << KEYS[key].bit
    after = coverage.score(coverage.merge({mask | bit: many} for mask, many in counted.items()), platform)
    if before is None or after is None:
        assert before is after is None
        return
    gained = any(not mask & bit for mask in counted) and (platform is None or bool(READS[platform] & bit))
    assert (after > before + 1e-9) == gained
    assert after >= before - 1e-9


@given(masks)
def test_shares_count_signals(counted: dict[int, int]) -> None:
    """A key's share times all signals is the number that carry it, and only keys the platform reads are told."""
    total = sum(counted.values())
    for platform, reads in READS.items():
        shares = coverage.shares(counted, platform)
        assert set(shares) == (set(coverage.names(reads)) if total else set())
        for name, share in shares.items():
            assert share * total == pytest.approx(sum(many for mask, many in counted.items() if mask >> KEYS[name].bit & 1))


def test_every_weight_has_its_reason() -> None:
    """Weights are ours, so each says why in a sentence."""
    assert all(key.weight > 0 and key.why.endswith(".") and len(key.why) > 20 for key in KEYS.values())


def test_the_page_has_the_weights() -> None:
    """docs/leaks/match-keys.md says of each key what the code says."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "leaks" / "match-keys.md").read_text("utf-8")
    for key in KEYS.values():
        assert f"| {key.title} | {key.weight} | {key.why} |" in page
