"""What people are told, and when: laws over whole lives of findings, and days on which clocks change."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from signalpost import alerts
from signalpost.findings import Finding, Severity
from signalpost.options import Alerts
from signalpost.store.findings import Kept

NOW = 1_795_305_600_000
"""2026-11-22 00:00 UTC."""
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
UTC = ZoneInfo("UTC")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns")


def kept(
    number: int = 1,
    severity: Severity = "problem",
    since: int = NOW,
    closed_at: int | None = None,
    alerted_at: int | None = None,
    money: str | None = None,
    share: str | None = None,
) -> Kept:
    finding = Finding(
        kind="refused",
        subject=f"tiktok-{number}",
        severity=severity,
        sentence=f"TikTok refuses signals ({number}).",
        advice="Look at the reasons.",
        link="docs/leaks/README.md",
        money=None if money is None else Decimal(money),
        currency=None if money is None else "USD",
        share=None if share is None else Decimal(share),
    )
    return Kept(id=number, finding=finding, since=since, seen_at=since, closed_at=closed_at, alerted_at=alerted_at)


def due(found: list[Kept], now: int, **options: str) -> alerts.Message | None:
    return alerts.due(found, Alerts(**options), UTC, now, brand="glow")  # type: ignore[arg-type]  # texts as in the file


# ---- one message at a time -------------------------------------------------------------------------------------------------


def test_a_message_names_what_is_wrong_since_when_what_is_at_stake_and_what_to_do() -> None:
    """One message for all of it: problems first, then warnings, then what is over; times in the workspace's zone."""
    found = [
        kept(1, "warning", share="0.125"),
        kept(2, "problem", money="1234.50"),
        kept(3, "warning", since=NOW - 20 * DAY, alerted_at=NOW - 8 * DAY),
        kept(4, "problem", since=NOW - 3 * HOUR, alerted_at=NOW - 2 * HOUR, closed_at=NOW - HOUR),
        kept(5, "problem", since=NOW - DAY, alerted_at=NOW - HOUR),
    ]
    message = alerts.due(
        found, Alerts(), ZoneInfo("Europe/Berlin"), NOW + 5 * MINUTE, brand="glow", console="https://signals.example/"
    )
    assert message is not None
    assert message.title == "glow: 1 problem, 2 warnings, 1 over"
    assert message.worst == "problem"
    assert message.findings == (2, 1, 3, 4)
    assert message.body == (
        "PROBLEM: TikTok refuses signals (2).\n  since Sun 22 Nov 01:00; 1,234.50 USD at stake\n"
        "  What to do: Look at the reasons.\n\n"
        "WARNING: TikTok refuses signals (1).\n  since Sun 22 Nov 01:00; 12.5% of what was looked at\n"
        "  What to do: Look at the reasons.\n\n"
        "WARNING: TikTok refuses signals (3).\n  still open, since Mon 02 Nov 01:00\n  What to do: Look at the reasons.\n\n"
        "OVER: TikTok refuses signals (4).\n  Sat 21 Nov 22:00 to Sun 22 Nov 00:00\n\n"
        "All of them: https://signals.example/quality"
    )


def test_new_findings_wait_for_company() -> None:
    """A message goes when the first of its findings has waited for `gather`, and takes all along."""
    found = [kept(1), kept(2, since=NOW + 4 * MINUTE)]
    assert due(found, NOW + 5 * MINUTE - 1) is None
    message = due(found, NOW + 5 * MINUTE)
    assert message is not None
    assert message.findings == (1, 2)


def test_the_least_decides_what_is_told_and_what_was_told_is_told_as_over() -> None:
    """With `least: problem` no warning is told, but the end of what had been told is, whatever it had become."""
    assert due([kept(1, "warning")], NOW + HOUR, least="problem") is None
    over = due([kept(1, "warning", alerted_at=NOW + HOUR, closed_at=NOW + 2 * HOUR)], NOW + 3 * HOUR, least="problem")
    assert over is not None
    assert (over.title, over.worst) == ("glow: 1 over", "over")


def test_a_long_list_is_counted() -> None:
    """Twenty are spelt out, the rest is a number; all count as told."""
    message = due([kept(number) for number in range(1, 31)], NOW + HOUR)
    assert message is not None
    assert len(message.findings) == 30
    assert message.body.count("What to do") == 20
    assert "and 10 more." in message.body


def test_what_came_and_went_at_night_is_told_in_the_morning() -> None:
    """A problem that opened and closed in quiet hours is in the morning's message; one that lasted a moment is not."""
    night = [
        kept(1, since=NOW + HOUR, closed_at=NOW + 3 * HOUR),
        kept(2, since=NOW + HOUR, closed_at=NOW + HOUR + MINUTE),
        kept(3, since=NOW + 2 * HOUR),
    ]
    assert due(night, NOW + 7 * HOUR - 1, quiet="22:00-07:00") is None
    message = due(night, NOW + 7 * HOUR, quiet="22:00-07:00")
    assert message is not None
    assert message.findings == (3, 1)
    assert message.title == "glow: 1 problem, 1 over"


# ---- quiet hours -----------------------------------------------------------------------------------------------------------

clock = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda time: f"{time[0]:02}:{time[1]:02}")
quiet_hours = st.tuples(clock, clock).filter(lambda pair: pair[0] != pair[1]).map("-".join)


@given(quiet_hours, st.sampled_from(ZONES), st.integers(0, 400 * 24 * 60))
def test_quiet_hours_are_those_of_the_clock_on_the_wall(hours: str, zone: str, minutes: int) -> None:
    """Told again by minutes of the day, on any day of a year, in zones that change their clocks by an hour or half of one."""
    now = NOW + minutes * MINUTE
    wall = datetime.fromtimestamp(now / 1000, ZoneInfo(zone))
    first, last = (int(part[:2]) * 60 + int(part[3:]) for part in hours.split("-"))
    minute = wall.hour * 60 + wall.minute
    expected = (minute - first) % 1440 < (last - first) % 1440
    assert alerts.quiet(hours, ZoneInfo(zone), now) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-03-29T00:59:59+00:00", True),  # 01:59:59, before the hour that is left out
        ("2026-03-29T01:00:00+00:00", False),  # 03:00: 02:30 never comes, and quiet hours end with the jump
        ("2026-10-25T00:29:59+00:00", True),  # 02:29:59 for the first time
        ("2026-10-25T00:30:00+00:00", False),  # 02:30 for the first time
        ("2026-10-25T01:00:00+00:00", True),  # 02:00 for the second time: the wall says it is quiet again
        ("2026-10-25T01:30:00+00:00", False),
    ],
)
def test_nights_on_which_clocks_change(moment: str, expected: bool) -> None:
    """Quiet hours until 02:30 in Berlin, in the night without 02:30 and in the night with two."""
    now = round(datetime.fromisoformat(moment).timestamp() * 1000)
    assert alerts.quiet("22:00-02:30", ZoneInfo("Europe/Berlin"), now) == expected


# ---- whole lives -----------------------------------------------------------------------------------------------------------

lives = st.lists(
    st.tuples(
        st.sampled_from(("warning", "problem")),
        st.integers(0, 2 * DAY // MINUTE),
        st.none() | st.integers(10, 2 * DAY // MINUTE),
    ),
    max_size=6,
)


@given(lives, st.none() | quiet_hours, st.sampled_from(ZONES), st.sampled_from(("warning", "problem")), st.integers(1, 60))
def test_everybody_is_told_once_of_everything_and_never_in_quiet_hours(
    found: list[tuple[Severity, int, int | None]], hours: str | None, zone_name: str, least: Severity, gather: int
) -> None:
    """Looked at every few minutes for days: no message in quiet hours; each finding told once while open (again after
    `again`), once as over; and all that was open long enough outside quiet hours was told.
    """
    zone = ZoneInfo(zone_name)
    options = Alerts(least=least, gather=f"{gather}m", again="30h", quiet=hours)
    rows = [
        kept(number, severity, NOW + start * MINUTE, None if lasts is None else NOW + (start + lasts) * MINUTE)
        for number, (severity, start, lasts) in enumerate(found, 1)
    ]
    told_open: dict[int, list[int]] = {row.id: [] for row in rows}
    told_over: dict[int, list[int]] = {row.id: [] for row in rows}
    told_at: dict[int, int] = {}
    chances: dict[int, int] = {}
    step = 7 * MINUTE
    for now in range(NOW, NOW + 5 * DAY, step):
        seen = [
            replace(row, closed_at=row.closed_at if row.closed_at is not None and row.closed_at <= now else None,
                    alerted_at=told_at.get(row.id))
            for row in rows
            if row.since <= now
        ]  # fmt: skip
        silent = alerts.quiet(hours, zone, now)
        message = alerts.due(seen, options, zone, now, brand="glow")
        assert message is None or not silent
        for row in seen:
            ripe = now - row.since >= gather * MINUTE
            if row.closed_at is None and not silent and ripe and (least == "warning" or row.finding.severity == "problem"):
                chances[row.id] = now
        for number in message.findings if message else ():
            row = next(each for each in seen if each.id == number)
            (told_open if row.closed_at is None else told_over)[number].append(now)
            told_at[number] = now
    for row in rows:
        quieter = least == "problem" and row.finding.severity == "warning"
        assert not (quieter and (told_open[row.id] or told_over[row.id]))
        assert all(later - earlier >= 30 * HOUR for earlier, later in zip(told_open[row.id], told_open[row.id][1:], strict=False))
        assert len(told_over[row.id]) <= 1
        if row.id in chances:
            assert told_open[row.id]
        if told_open[row.id] and row.closed_at is not None:
            assert len(told_over[row.id]) == 1


def test_an_open_finding_is_told_again_after_so_long() -> None:
    """A finding that stays open is not repeated before `again`, and then it is."""
    row = kept(1, alerted_at=NOW)
    week = timedelta(days=7) // timedelta(milliseconds=1)
    assert due([row], NOW + week - 1) is None
    again = due([row], NOW + week)
    assert again is not None
    assert "still open, since" in again.body
