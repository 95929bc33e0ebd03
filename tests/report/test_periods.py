"""Weeks and days of the workspace's zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost import cli_report
from signalpost.web import report

ZONES = ("UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe", "America/Sao_Paulo")
YEAR = 365 * 86_400_000

moments = st.integers(1_600_000_000_000, 1_600_000_000_000 + 12 * YEAR)
zones = st.sampled_from(ZONES).map(ZoneInfo)


def local(at: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(zone)


@given(now=moments, many=st.integers(1, 92), zone=zones)
def test_days_begin_at_midnight_and_leave_nothing_out(now: int, many: int, zone: ZoneInfo) -> None:
    """The days of a period follow one another without a gap, each begins at its zone's midnight, and the last one ends now."""
    period = report.period_of_days(many, zone, now)
    assert (period.since, period.until) == (period.days[0].since, now)
    assert len(period.days) == many or (now == period.until and len(period.days) >= many - 1)
    for day, after in zip(period.days, period.days[1:], strict=False):
        assert day.until == after.since
    for day in period.days:
        begins = local(day.since, zone)
        # Where a clock change leaves midnight out, the day begins at its first moment.
        assert (begins.hour, begins.minute) == (0, 0) or local(day.since - 1, zone).date() < begins.date()
        assert begins.date().isoformat() == day.day


@given(now=moments, back=st.integers(0, 200), zone=zones)
def test_a_week_is_an_iso_week(now: int, back: int, zone: ZoneInfo) -> None:
    """A week that has begun is given as its ISO number from Monday to Sunday, up to now while it lasts; a later one is none."""
    then = local(now, zone) - timedelta(weeks=back)
    year, week, _ = then.isocalendar()
    period = report.period_of_week(f"{year}-W{week:02d}", zone, now)
    assert period is not None
    assert local(period.since, zone).isocalendar()[:2] == (year, week)
    assert local(period.since, zone).weekday() == 0
    assert len(period.days) == 7 or period.until == now
    ahead = (local(now, zone) + timedelta(weeks=2)).isocalendar()
    assert report.period_of_week(f"{ahead.year}-W{ahead.week}", zone, now) is None


@given(now=moments, many=st.integers(1, 40), zone=zones)
def test_the_time_before_ends_where_the_period_begins(now: int, many: int, zone: ZoneInfo) -> None:
    """What a period is compared with has as many days, lies wholly before it, and stops at the same hour of its last day."""
    period = report.period_of_days(many, zone, now)
    before = report.period_before(period, zone)
    assert before.until <= period.since
    assert local(before.since, zone).date() == local(period.since, zone).date() - timedelta(days=len(period.days))
    assert len(before.days) in {len(period.days), len(period.days) - 1}


@pytest.mark.parametrize("text", ["", "2026", "2026-W00", "2026-W54", "W47", "47", "2026-47", "next", "2026-W4x"])
def test_what_is_no_week_is_none(text: str) -> None:
    """A text that names no week gives none."""
    assert report.period_of_week(text, ZoneInfo("UTC"), 1_795_305_600_000) is None


def test_a_day_that_begins_now_has_nothing_yet() -> None:
    """At the very moment of midnight today is there, and empty."""
    now = 1_795_305_600_000
    period = report.period_of_days(1, ZoneInfo("UTC"), now)
    assert (period.since, period.until, len(period.days)) == (now, now, 1)


def test_this_and_last_week() -> None:
    """`this` is the week that now is in, `last` the whole one before it."""
    now, zone = 1_795_305_600_000, ZoneInfo("UTC")
    this, last = report.period_of_week("this", zone, now), report.period_of_week("last", zone, now)
    assert this is not None
    assert last is not None
    assert (this.title, last.title) == ("Week 47 of 2026", "Week 46 of 2026")
    assert last.until == this.since
    assert report.dates(last) == "9–15 November 2026"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["report", "--week"], ["report", "--days", "7"]),
        (["report", "shop.yaml", "--week", "--json"], ["report", "shop.yaml", "--days", "7", "--json"]),
        (["report", "--week", "shop.yaml"], ["report", "--days", "7", "shop.yaml"]),
        (["report", "--week", "last"], ["report", "--week", "last"]),
        (["report", "--week", "2026-W47"], ["report", "--week", "2026-W47"]),
        (["report", "--week", "soon"], ["report", "--week", "soon"]),
        (["findings", "--week"], ["findings", "--week"]),
        ([], []),
    ],
)
def test_a_week_without_a_name_is_the_last_seven_days(given: list[str], meant: list[str]) -> None:
    """`signalpost report --week` needs no week's name; whoever names one gets that one."""
    assert cli_report.with_its_week(given) == meant
