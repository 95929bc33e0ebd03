"""Value tiers: where bands begin, who is in which, and that nobody flaps."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost.events import Facts
from signalpost.options import ValueTiers
from signalpost.segments import bands
from signalpost.segments.bands import Bands, band, cut

UNIT = Decimal("0.01")

amounts = st.decimals(min_value=0, max_value=100_000, places=2)
shares = st.sampled_from(["0", "0.05", "0.1", "0.5"]).map(Decimal)


@st.composite
def laddered(draw: st.DrawFn) -> Bands:
    """Bands with bounds in order, some of them equal."""
    bounds = sorted(draw(st.lists(amounts, min_size=1, max_size=5)))
    return Bands(names=tuple(f"band{place}" for place in range(len(bounds) + 1)), bounds=tuple(bounds), hysteresis=draw(shares))


def of(*bounds: str, hysteresis: str = "0") -> Bands:
    """Bands with these bounds."""
    names = tuple(f"band{place}" for place in range(len(bounds) + 1))
    return Bands(names=names, bounds=tuple(map(Decimal, bounds)), hysteresis=Decimal(hysteresis))


@pytest.mark.parametrize(("worth", "expected"), [("0", 0), ("99.99", 0), ("100", 1), ("299.99", 1), ("300", 2), ("1000000", 2)])
def test_a_band_begins_at_its_bound(worth: str, expected: int) -> None:
    """A band is closed below and open above."""
    assert band(of("100", "300"), Decimal(worth), None) == expected


@pytest.mark.parametrize(
    ("worth", "current", "expected"),
    [
        ("109.99", 0, 0),  # not yet past the margin
        ("110", 0, 1),
        ("90", 1, 1),
        ("89.99", 1, 0),
        ("105", None, 1),  # who was in none is judged by the bound itself
        ("400", 0, 2),  # two bands at once
        ("310", 0, 1),  # the upper bound's margin holds for who comes from below
        ("310", 2, 2),
        ("10", 2, 0),
    ],
)
def test_who_is_in_a_band_stays_within_the_margin(worth: str, current: int | None, expected: int) -> None:
    """With hysteresis of a tenth, one leaves upward at a tenth above the bound and downward below a tenth under it."""
    assert band(of("100", "300", hysteresis="0.1"), Decimal(worth), current) == expected


@given(bands=laddered(), worth=amounts, current=st.none() | st.integers(0, 5))
def test_asking_twice_changes_nothing(bands: Bands, worth: Decimal, current: int | None) -> None:
    """The band that is answered, asked again, is the answer."""
    start = None if current is None else min(current, len(bands.bounds))
    found = band(bands, worth, start)
    assert found is not None
    assert band(bands, worth, found) == found


@given(bands=laddered(), low=amounts, high=amounts, current=st.none() | st.integers(0, 5))
def test_who_is_worth_more_is_never_in_a_lower_band(bands: Bands, low: Decimal, high: Decimal, current: int | None) -> None:
    """Of two people of the same band, the one who is worth more comes into the same band or a higher one."""
    low, high = sorted((low, high))
    start = None if current is None else min(current, len(bands.bounds))
    assert (band(bands, low, start) or 0) <= (band(bands, high, start) or 0)


@given(bands=laddered(), worth=amounts, current=st.integers(0, 5))
def test_hysteresis_only_delays(bands: Bands, worth: Decimal, current: int) -> None:
    """The answer lies between the band one was in and the band of the bounds alone, both included."""
    start = min(current, len(bands.bounds))
    plain = band(bands, worth, None)
    found = band(bands, worth, start)
    assert plain is not None
    assert found is not None
    assert min(start, plain) <= found <= max(start, plain)


@given(
    bound=st.decimals(min_value="0.01", max_value=10_000, places=2),
    wobble=st.lists(st.decimals(min_value="-0.09", max_value="0.09", places=4), min_size=2, max_size=30),
)
def test_nobody_flaps_within_the_margin(bound: Decimal, wobble: list[Decimal]) -> None:
    """A value, or a bound, that wobbles by less than the margin moves a person once at most."""
    bands = Bands(names=("low", "high"), bounds=(bound,), hysteresis=Decimal("0.1"))
    current: int | None = None
    seen = []
    for each in wobble:
        current = band(bands, bound * (1 + each), current)
        seen.append(current)
    assert len(set(seen)) == 1


def test_without_bounds_nobody_is_in_a_band() -> None:
    """Quantiles that are not computed yet, and people without a standing order, give no band."""
    unknown = Bands(names=("low", "high"))
    assert band(unknown, Decimal(100), None) is None
    assert band(of("100"), None, 1) is None
    assert bands.value(of("100"), Facts(orders=0, lifetime_value=Decimal(0))) is None
    assert bands.value(of("100"), Facts(orders=2, lifetime_value=Decimal(70))) == 70


def test_bands_are_read_from_the_file() -> None:
    """Fixed bounds stand as they are; computed ones count only when there are as many as the bands need."""
    fixed = ValueTiers(names=("low", "mid", "top"), bounds=("100", "300"), hysteresis="10%", of="average_order_value")
    assert bands.declared(fixed) == Bands(
        names=("low", "mid", "top"), of="average_order_value", bounds=(Decimal(100), Decimal(300)), hysteresis=Decimal("0.1")
    )
    asked = ValueTiers(names=("low", "top"), quantiles=("90%",))
    assert bands.declared(asked).bounds == ()
    assert bands.declared(asked, [Decimal(5)]).bounds == (Decimal(5),)
    assert bands.declared(asked, [Decimal(5), Decimal(6)]).bounds == ()


# ---- quantiles -------------------------------------------------------------------------------------------------------------


@given(values=st.lists(st.integers(0, 10**6), min_size=500, max_size=900, unique=True))
def test_a_quantile_has_its_share_below(values: list[int]) -> None:
    """Of people who all differ, each band has its share of them to within one person."""
    tiers = ValueTiers(names=("low", "mid", "top"), quantiles=("50%", "90%"))
    found = cut(tiers, sorted(values), UNIT)
    assert found.sentence == ""
    for share, bound in zip((0.5, 0.9), found.bounds, strict=True):
        below = sum(value * UNIT < bound for value in values)
        assert abs(below - share * len(values)) <= 1
    assert sum(found.sizes) == found.people == len(values)


@given(values=st.lists(st.integers(1, 6), min_size=500, max_size=700), share=st.integers(5, 90))
def test_of_equal_values_the_nearest_share_is_taken(values: list[int], share: int) -> None:
    """No other value that somebody has comes nearer to the share that was asked for."""
    tiers = ValueTiers(names=("low", "top"), of="orders", quantiles=(f"{share}%",))
    found = cut(tiers, sorted(values), Decimal(1))
    if len(values) < 1000 and not found.bounds:
        assert "need" in found.sentence
        return
    asked = share / 100 * len(values)
    off = {value: abs(sum(each < value for each in values) - asked) for value in set(values)}
    assert off[int(found.bounds[0])] == min(off.values())


@given(values=st.lists(st.integers(0, 10**9), min_size=600, max_size=700), seed=st.randoms(use_true_random=False))
def test_bounds_and_bands_agree(values: list[int], seed: object) -> None:
    """As many people as a cut says come into each band by its bounds."""
    tiers = ValueTiers(names=("low", "mid", "top"), quantiles=("40%", "90%"))
    found = cut(tiers, sorted(values), UNIT)
    if not found.bounds:
        return
    made = bands.declared(tiers, found.bounds)
    placed = [band(made, value * UNIT, None) for value in values]
    assert found.sizes == tuple(placed.count(place) for place in range(3))


def test_too_few_people_make_no_quantile() -> None:
    """A top decile needs 500 people, and the sentence says so."""
    tiers = ValueTiers(names=("rest", "top"), quantiles=("90%",))
    found = cut(tiers, list(range(499)), UNIT)
    assert found.bounds == ()
    assert "499 people have a standing order, and these shares need 500" in found.sentence
    assert list(map(str, cut(tiers, list(range(500)), UNIT).bounds)) == ["4.5"]
    assert list(map(str, cut(tiers, list(range(0, 50_000, 100)), UNIT).bounds)) == ["450"]


def test_bands_that_nobody_can_be_in_are_told() -> None:
    """When nearly everybody has one order, bands by orders collapse, and the sentence says which."""
    tiers = ValueTiers(names=("low", "mid", "top"), of="orders", quantiles=("50%", "60%"))
    found = cut(tiers, [1] * 900 + [2] * 100, Decimal(1))
    assert found.bounds == (Decimal(2), Decimal(2))
    assert "mid of 1,000 people would be empty" in found.sentence


def test_what_is_computed_has_a_digest() -> None:
    """Other shares, or another fact, is another computation; how a share is spelt, the names and the margin are not."""
    tiers = ValueTiers(names=("a", "b"), quantiles=("90%",))
    same = ValueTiers(names=("c", "d"), quantiles=("90 %",), hysteresis="5%")
    assert bands.digest(tiers) == bands.digest(same)
    assert bands.digest(tiers) != bands.digest(ValueTiers(names=("a", "b"), quantiles=("80%",)))
    assert bands.digest(tiers) != bands.digest(ValueTiers(names=("a", "b"), quantiles=("90%",), of="orders"))
