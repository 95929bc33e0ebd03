"""Stages: what is sent in each, and what must hold before the next."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from signalpost import rollout
from signalpost.options import ROLLOUT_MEASURES, Stage
from signalpost.rollout import Bound, Counted, Figures, Standing

NOW = 1_795_305_600_000
HOUR = 3_600_000

EVENTS = ("Order Completed", "Checkout Started", "Product Added", "Product Viewed")
GOOD = Figures(
    answered=1000,
    accepted=1000,
    valued=1000,
    with_value=1000,
    purchases=1000,
    with_order_id=1000,
    latency=1,
    coverage=Fraction(1),
)

shares = st.integers(0, 1000).map(lambda tenths: f"{tenths // 10}.{tenths % 10}%")
untils = st.fixed_dictionaries(
    {},
    optional={
        "accepted": shares.map(lambda share: f">= {share}"),
        "with_value": shares.map(lambda share: f">= {share}"),
        "with_order_id": shares.map(lambda share: f">={share}"),
        "duplicates": shares.map(lambda share: f"<= {share}"),
        "coverage": shares.map(lambda share: f">= {share}"),
        "latency": st.integers(1, 100_000).map(lambda ms: f"<= {ms}ms"),
        "events": st.integers(0, 1000).map(lambda many: f">= {many}"),
    },
)
stages_of = st.lists(
    st.builds(
        Stage,
        send=st.lists(st.sampled_from(EVENTS), min_size=1, max_size=3).map(tuple),
        lasts=st.none() | st.integers(1, 100).map(lambda hours: f"{hours}h"),
        until=untils,
        at_most=st.dictionaries(st.sampled_from(EVENTS), st.integers(1, 9), max_size=2),
    ),
    min_size=1,
    max_size=5,
).map(tuple)


@st.composite
def measured(draw: st.DrawFn) -> Figures:
    """Figures as they can be: no part larger than its whole."""

    def pair() -> tuple[int, int]:
        whole = draw(st.integers(0, 2000))
        return draw(st.integers(0, whole) | st.just(whole)), whole

    (accepted, answered), (with_value, valued), (with_order_id, purchases) = pair(), pair(), pair()
    return Figures(
        answered=answered,
        accepted=accepted,
        valued=valued,
        with_value=with_value,
        purchases=purchases,
        with_order_id=with_order_id,
        duplicates=draw(st.integers(0, 200)),
        latency=draw(st.none() | st.integers(0, 200_000)),
        coverage=draw(st.none() | st.fractions(0, 1, max_denominator=1000)),
    )


def told_again(bound: Bound, figures: Figures) -> bool:
    """Whether a bound holds, written anew from its documentation, without division."""
    n, d = bound.value.numerator, bound.value.denominator
    match bound.measure:
        case "accepted":
            return figures.answered > 0 and figures.accepted * d >= n * figures.answered
        case "with_value":
            return figures.valued > 0 and figures.with_value * d >= n * figures.valued
        case "with_order_id":
            return figures.purchases > 0 and figures.with_order_id * d >= n * figures.purchases
        case "duplicates":
            whole = figures.duplicates + figures.answered
            return whole > 0 and figures.duplicates * d <= n * whole
        case "coverage":
            return figures.coverage is not None and figures.coverage >= bound.value
        case "latency":
            return figures.latency is not None and figures.latency <= bound.value
    return figures.answered >= bound.value


@given(stages_of, measured(), st.integers(0, 6), st.integers(0, 200 * HOUR))
def test_it_goes_on_exactly_when_time_and_every_bound_allow(
    stages: tuple[Stage, ...], figures: Figures, at: int, passed: int
) -> None:
    """A stage ends by itself if and only if it is not the last, names what ends it, its time has passed and every bound holds."""
    standing = rollout.placed(stages, Standing(destination="tiktok", stage=at, since=NOW))
    stage = stages[standing.stage]
    after = rollout.advance(stages, standing, figures, NOW + passed)

    time = 0 if stage.lasts is None else int(stage.lasts.removesuffix("h")) * HOUR
    names_an_end = stage.lasts is not None or bool(stage.until)
    volume = "events" in stage.until or not stage.until or figures.answered >= 50
    holds = volume and all(told_again(bound, figures) for bound in rollout.bounds(stage))
    ends = standing.stage < len(stages) - 1 and names_an_end and passed >= time and holds

    assert after.stage == standing.stage + ends
    assert after.since == (NOW + passed if ends else NOW)
    held = standing.stage < len(stages) - 1 and names_an_end and passed >= time and not holds
    assert bool(after.held) == held


@given(stages_of, measured(), st.integers(0, 6), st.integers(0, 200 * HOUR))
def test_looking_again_at_the_same_moment_changes_nothing(
    stages: tuple[Stage, ...], figures: Figures, at: int, passed: int
) -> None:
    """A rollout that stayed stays; a stage that has just begun has no figures and no time yet, so it stays too."""
    once = rollout.advance(stages, Standing(destination="tiktok", stage=at, since=NOW), figures, NOW + passed)
    fresh = figures if once.since == NOW else Figures()
    again = rollout.advance(stages, once, fresh, NOW + passed)
    assert (again.stage, again.since) == (once.stage, once.since)


@given(stages_of, st.integers(0, 6))
def test_what_is_sent_only_grows(stages: tuple[Stage, ...], at: int) -> None:
    """Each stage sends what the one before it sends; beyond the last stage is the last; nothing outside the stages is sent."""
    here, following = rollout.allowed(stages, at), rollout.allowed(stages, at + 1)
    assert here is not None
    assert following is not None
    assert here <= following
    assert following <= {event for stage in stages for event in stage.send}
    assert rollout.allowed(stages, len(stages) + at) == rollout.allowed(stages, len(stages) - 1)
    assert set(stages[0].send) <= here


def test_without_a_rollout_everything_is_sent() -> None:
    """No stages, no limit."""
    assert rollout.allowed((), 0) is None
    assert {} == rollout.caps((), 0)


def test_a_cap_goes_on_until_another_stage_gives_its_own() -> None:
    """Caps of earlier stages stay; the latest word counts."""
    stages = (
        Stage(send=("Product Viewed",), at_most={"Product Viewed": 2, "Product Added": 1}),
        Stage(send=("Product Added",)),
        Stage(send=("Cart Viewed",), at_most={"Product Viewed": 5}),
    )
    assert {"Product Viewed": 2, "Product Added": 1} == rollout.caps(stages, 0)
    assert rollout.caps(stages, 0) == rollout.caps(stages, 1)
    assert {"Product Viewed": 5, "Product Added": 1} == rollout.caps(stages, 2)
    assert rollout.caps(stages, 2) == rollout.caps(stages, 9)


TWO = (
    Stage(
        send=("Order Completed",),
        lasts="72h",
        until={"accepted": ">= 99%", "with_value": ">= 98%", "duplicates": "<= 2%", "latency": "<= 60s", "events": ">= 500"},
    ),
    Stage(send=("Product Added",)),
)
AT_BOUNDS = Figures(answered=500, accepted=495, valued=100, with_value=98, duplicates=10, latency=60_000)
STANDING = Standing(destination="tiktok", since=NOW)


def test_figures_at_the_bound_hold() -> None:
    """`>=` and `<=` include the bound itself: of shares, times, counts and the stage's own time."""
    assert AT_BOUNDS.of("duplicates") == Fraction(10, 510)
    assert rollout.advance(TWO, STANDING, AT_BOUNDS, NOW + 72 * HOUR).stage == 1
    assert rollout.advance(TWO, STANDING, AT_BOUNDS, NOW + 72 * HOUR - 1) == STANDING


@pytest.mark.parametrize(
    ("worse", "sentence"),
    [
        ({"accepted": 494}, "98.8% accepted, 99% wanted"),
        ({"with_value": 97}, "97% with a value, 98% wanted"),
        ({"duplicates": 11}, "2.2% duplicates, 2% at most wanted"),
        ({"latency": 60_001}, "1m 1s from intake to accepted (19 of 20), 60s at most wanted"),
        ({"latency": None}, "from intake to accepted (19 of 20): not yet known, 60s wanted"),
        ({"answered": 499, "accepted": 499}, "499 of 500 events"),
        ({"valued": 0, "with_value": 0}, "with a value: not yet known, 98% wanted"),
    ],
)
def test_one_figure_beyond_its_bound_holds_the_rollout_and_is_named(worse: dict[str, int | None], sentence: str) -> None:
    """Each measure holds alone, and the reason is a sentence with the figure and what is wanted."""
    after = rollout.advance(TWO, STANDING, replace(AT_BOUNDS, **worse), NOW + 100 * HOUR)
    assert after == replace(STANDING, held=sentence)


def test_several_reasons_are_all_named() -> None:
    """The sentence names everything that is missing."""
    figures = replace(AT_BOUNDS, answered=412, accepted=396)
    held = rollout.advance(TWO, STANDING, figures, NOW + 100 * HOUR).held
    assert held == "96.1% accepted, 99% wanted; 2.4% duplicates, 2% at most wanted; 412 of 500 events"


def test_a_share_of_little_proves_nothing() -> None:
    """Where a stage has bounds and no `events`, 50 answers are the least."""
    stages = (Stage(send=("Order Completed",), until={"accepted": ">= 99%"}), Stage(send=("Product Added",)))
    assert rollout.advance(stages, STANDING, Figures(answered=49, accepted=49), NOW).held == "49 of 50 events"
    assert rollout.advance(stages, STANDING, Figures(answered=50, accepted=50), NOW).stage == 1


def test_a_stage_that_names_no_end_ends_by_hand() -> None:
    """Neither `for` nor `until`: it waits for a person, whatever the figures, and nobody is told that it is held."""
    stages = (Stage(send=("Order Completed",)), Stage(send=("Product Added",)))
    after = rollout.advance(stages, STANDING, GOOD, NOW + 9_000 * HOUR)
    assert after == STANDING
    assert rollout.moved(stages, after, 1, NOW) == Standing(destination="tiktok", stage=1, since=NOW)


def test_by_hand_it_stays_inside_its_stages() -> None:
    """Neither before the first nor behind the last stage, also where the file has fewer stages than it had."""
    with pytest.raises(ValueError, match="first stage"):
        rollout.moved(TWO, STANDING, -1, NOW)
    with pytest.raises(ValueError, match="last stage"):
        rollout.moved(TWO, Standing(destination="tiktok", stage=7, since=NOW), 1, NOW)
    assert rollout.moved(TWO, Standing(destination="tiktok", stage=7, since=NOW), -1, NOW).stage == 0


@pytest.mark.parametrize(
    ("measure", "text"),
    [
        ("accepted", "<= 99%"),
        ("accepted", "99%"),
        ("accepted", ">= 0.99"),
        ("accepted", ">= 101%"),
        ("duplicates", ">= 2%"),
        ("latency", "<= 60"),
        ("events", ">= 50%"),
        ("events", ""),
    ],
)
def test_a_bound_that_cannot_be_meant_is_refused(measure: str, text: str) -> None:
    """A wrong direction, a missing sign or unit: refused, never guessed."""
    with pytest.raises(ValueError):
        rollout.bounds(Stage(send=("Order Completed",), until={measure: text}))


def test_every_measure_has_its_words() -> None:
    """What the workspace file may ask for is what can be measured."""
    assert list(ROLLOUT_MEASURES) == list(rollout.MEASURES)


counted = st.builds(
    Counted,
    st.sampled_from((*EVENTS, "Signed Up")),
    st.sampled_from(("accepted", "warned", "refused", "unknown", "withheld")),
    st.sampled_from(("", "missing_value", "missing_order_id", "duplicate_order", "repeat", "other_source", "not_yet_rolled_out")),
    st.booleans(),
    st.integers(1, 100),
)


@given(st.lists(counted), st.frozensets(st.sampled_from(EVENTS)))
def test_figures_are_of_what_is_sent_and_no_part_exceeds_its_whole(rows: list[Counted], sent: frozenset[str]) -> None:
    """Events that are not sent do not count, and shares lie between 0 and 1."""
    figures = rollout.measured(rows, sent, latency=None, coverage=None)
    assert figures == rollout.measured([row for row in rows if row.event in sent], sent, latency=None, coverage=None)
    for measure in rollout.MEASURES:
        figure = figures.of(measure)
        assert figure is None or figure >= 0
        assert figure is None or measure == "events" or figure <= 1


def test_what_lacked_its_value_counts_although_it_was_withheld() -> None:
    """A purchase withheld for a missing value or order id is one without it; a repeat of another source is no duplicate."""
    rows = [
        Counted("Order Completed", "accepted", "", True, 90),
        Counted("Order Completed", "warned", "", False, 4),
        Counted("Order Completed", "refused", "40002", True, 1),
        Counted("Order Completed", "withheld", "missing_value", False, 3),
        Counted("Order Completed", "withheld", "missing_order_id", True, 2),
        Counted("Order Completed", "withheld", "duplicate_order", True, 5),
        Counted("Order Completed", "withheld", "other_source", True, 50),
        Counted("Product Viewed", "accepted", "", False, 1000),
    ]
    figures = rollout.measured(rows, frozenset({"Order Completed"}), latency=None, coverage=None)
    assert figures == Figures(
        answered=95, accepted=94, valued=98, with_value=91, purchases=97, with_order_id=95, duplicates=5, latency=None
    )
