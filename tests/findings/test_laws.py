"""Whatever the figures: looking never fails, and what it says can be shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.findings.watched import DAY, HOUR, NOW, with_destination, workspace

from signalpost import doctor, findings
from signalpost.events import Claim
from signalpost.findings import KINDS, Building, Count, Figures, Notice, Purchase, Rest, Sample, Synced, Told
from signalpost.gates import REASONS
from signalpost.options import Audience, Gate, Journey, Pixel, Stage, Step
from signalpost.purchases import Record
from signalpost.rollout import Standing

names = st.sampled_from(
    ["Order Completed", "Checkout Started", "Product Viewed", "Page Viewed", "purchase_done", "Order Shipped"]
)
where = st.sampled_from(["tiktok", "pinterest", "", "gone"])
reasons = st.sampled_from(["", "40002", "gate:zero_value", "unreadable", *REASONS])
verdicts = st.sampled_from(["accepted", "warned", "refused", "unknown", "withheld", "waiting"])
currencies = st.sampled_from(["USD", "EUR", "JPY", "", "XXX"])
few = st.integers(0, 2_000)
micros = st.integers(-(2**61), 2**61)
times = st.integers(NOW - 9 * DAY, NOW)
amounts = st.none() | st.decimals(min_value=-(10**12), max_value=10**12, places=2)

counts = st.lists(st.builds(Count, where, names, verdicts, reasons, currencies, few, micros), max_size=12).map(tuple)
claims = st.builds(
    Claim,
    source=st.sampled_from(["web", "shop", "till"]),
    event=st.integers(1, 2**62),
    time=times,
    message_id=st.just("m"),
    value=amounts,
    currency=st.none() | currencies,
    value_from=st.sampled_from(["total", "value as sent", "revenue + tax + shipping (no tax given)", "sum of items", ""]),
    stated=st.sampled_from(["gross", "net", "subtotal", ""]),
    total=amounts,
    revenue=amounts,
    worth=amounts,
)
told = st.builds(
    Told, verdicts, st.sampled_from(["Purchase", "checkout", ""]), st.text(max_size=5), amounts, currencies, st.none() | times
)
records = st.builds(
    lambda said, pixels: Record(claims={each.source: each for each in said}, pixels=pixels),
    st.lists(claims, max_size=3),
    st.dictionaries(st.sampled_from(["tiktok", "pinterest"]), st.tuples(st.text(max_size=5), times), max_size=2),
)
orders = st.lists(
    st.builds(
        Purchase,
        order_id=st.text("0123456789", max_size=5),
        event=st.integers(1, 2**62),
        time=times,
        record=records,
        told=st.dictionaries(st.sampled_from(["tiktok", "pinterest"]), told, max_size=2),
    ),
    max_size=25,
).map(tuple)
notices = st.lists(
    st.builds(
        Notice,
        where,
        st.sampled_from(["observed", "cancelled_after", "refunded_after", "flagged_after"]),
        st.just("zero_value"),
        names,
        currencies,
        few,
        micros,
        st.integers(1, 2**62),
    ),
    max_size=6,
).map(tuple)
clocks = st.dictionaries(
    st.tuples(
        st.sampled_from(["source", "accepted", "held", "suppressed"]), st.sampled_from(["web", "shop", "tiktok", "pinterest"])
    ),
    st.dictionaries(st.sampled_from([-HOUR, -10, 0, 100, 60_000, HOUR, DAY]), few, max_size=4),
    max_size=5,
)
rests = st.lists(st.builds(Rest, where, times, times, few, st.just("Down."), few), max_size=2).map(tuple)
standings = st.dictionaries(
    st.sampled_from(["tiktok", "gone"]),
    st.builds(Standing, destination=st.just("tiktok"), stage=st.integers(0, 5), since=times, held=st.sampled_from(["", "98 %"])),
    max_size=2,
)
samples = st.dictionaries(
    st.tuples(where, verdicts, reasons), st.builds(Sample, st.lists(st.integers(1, 99), max_size=3).map(tuple)), max_size=4
)
audiences = st.lists(
    st.builds(
        Synced,
        name=st.sampled_from(["buyers", "viewers", "gone"]),
        destination=st.sampled_from(["tiktok", "pinterest", "gone"]),
        state=st.sampled_from(["new", "ready", "ready", "stopped", "gone", "foreign"]),
        sentence=st.sampled_from(["", "Down."]),
        size=st.none() | few,
        size_at=st.none() | times,
        usable=st.booleans(),
        loaded_at=st.none() | times,
        misapplied=st.sampled_from(["", "The ad group is unknown."]),
        used_by=st.none() | st.integers(0, 2),
        pending=few,
        oldest=st.none() | times,
        urgent=st.none() | times,
        members=few,
        walked=few,
        among=few,
        nameless=few,
        overlaps=st.dictionaries(st.sampled_from(["buyers", "gone"]), few, max_size=2),
        sizes=st.one_of(st.just({}), few.map(lambda people: {NOW - hour * HOUR: people for hour in range(1, 200)})),
    ),
    max_size=4,
).map(tuple)
building = st.lists(
    st.builds(Building, st.lists(st.sampled_from(["lapsed", "journey:cart"]), max_size=2).map(tuple), few, few), max_size=2
).map(tuple)
figures = st.builds(
    Figures,
    now=st.just(NOW),
    day=counts,
    week=counts,
    since=st.sampled_from([0, NOW - 3 * DAY, NOW - HOUR]),
    orders=orders,
    notices=notices,
    clocks=clocks,
    resting=rests,
    rollouts=standings,
    samples=samples,
    set_aside=st.lists(st.integers(1, 9), max_size=2).map(tuple),
    audiences=audiences,
    building=building,
)


def shop(**changes: Any) -> Any:
    """A workspace in which every rule has something to look at."""
    stages = (Stage(send=("Order Completed",), lasts="1h"), Stage(send=("Page Viewed",), at_most={"Page Viewed": 5}))
    pixel = Pixel(events=("Order Completed",), shares_id=True)
    events = {"Order Completed": "Purchase", "Order Placed": "Purchase", "Page Viewed": "ViewContent"}
    options = {
        "destinations": with_destination("tiktok", rollout=stages, pixel=pixel, events=events),
        "holds": {"Order Completed": "2h"},
        "rates": {"EUR": "1.1"},
        "gates": (Gate(preset="zero_value", mode="observing"),),
        "segments": {"buyers": {"did": "Order Completed", "within": "2d"}, "viewers": {"did": "Product Viewed", "within": "3d"}},
        "audiences": (
            Audience(segment="buyers", to=("tiktok",), use="suppress"),
            Audience(segment="viewers", to=("tiktok", "pinterest"), use="target", offer=True),
        ),
        "journeys": {"browse": Journey(starts="Product Viewed", after="1d", steps=(Step(at="1h"), Step(at="6h", offer="10%")))},
        **changes,
    }
    return workspace(**options)


@given(seen=figures)
def test_looking_never_fails_and_says_what_can_be_shown(seen: Figures) -> None:
    """For any figures: each key once, shares between 0 and 1, whole sentences with advice, money with a currency, the worst
    first, and the same again."""
    found = findings.find(seen, shop())
    assert findings.find(seen, shop()) == found
    assert len({each.key for each in found}) == len(found)
    assert found == sorted(found, key=findings.rank)
    for each in found:
        assert each.kind in KINDS
        assert each.sentence[0].isalnum() or each.sentence[0] == "'"
        assert each.sentence.endswith(".")
        assert "  " not in each.sentence
        assert each.advice.rstrip().endswith((".", ")"))
        assert each.link == f"docs/leaks/{KINDS[each.kind].page}.md"
        assert each.share is None or 0 <= each.share <= 1
        assert (each.money is None) == (each.currency is None)
        assert len(each.examples) <= findings.EXAMPLES


@given(seen=figures)
def test_too_little_is_never_told(seen: Figures) -> None:
    """A finding has at least as many signals behind it as its kind asks for."""
    for kind, about in KINDS.items():
        if about.least > 1:
            assert findings.severity_of(about, about.least - 1, 10**9) is None
            assert findings.severity_of(about, about.least, max(about.of, about.least)) is not None, kind
    empty = Figures(now=seen.now)
    assert findings.find(empty, workspace()) == []


@given(seen=figures)
def test_the_doctor_answers_every_check(seen: Figures) -> None:
    """For any figures each check of each destination has one answer, with advice unless it passes."""
    chosen = shop()
    evidence = doctor.Evidence(figures=seen, found=tuple(findings.find(seen, chosen)))
    told = doctor.examine(chosen, evidence)
    assert len(told) == sum(len(chosen.destinations) if check.each else 1 for check in doctor.CHECKS)
    for each in told:
        assert each.state in doctor.STATES
        assert each.sentence.endswith(".")
        assert each.advice or each.state in {"pass", "not yet known"}
        assert each.age_ms is None or each.age_ms >= 0


def test_money_reads_as_money() -> None:
    """Amounts have the digits of their currency, and lose none."""
    assert findings.money(Decimal("1204.5"), "EUR") == "1,204.50 EUR"
    assert findings.money(Decimal(1204), "JPY") == "1,204 JPY"
    assert findings.money(Decimal("-0.125"), "USD") == "-0.125 USD"
    assert findings.money(Decimal(3), None) == "3.00"


def test_words() -> None:
    """Numbers, lists and times read as people write them."""
    assert findings.many(1, "query") == "1 query"
    assert findings.many(2300, "order") == "2,300 orders"
    assert findings.listed(["a"]) == "a"
    assert findings.listed("abc") == "a, b and c"
    assert findings.listed("abcdef") == "a, b, c and 3 more"
    assert findings.percent(4, 1000) == "0.4 %"
    assert findings.percent(1, 0) == "0.0 %"
    assert [findings.span(ms) for ms in (0, 1_000, 90_000, 3_600_000, 7_500_000, 3 * DAY)] == [
        "less than a second", "1 second", "90 seconds", "1 hour", "2 hours", "3 days",
    ]  # fmt: skip
