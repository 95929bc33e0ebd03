"""The verdict: honest where there is nothing, right where there is something, and plain in every case."""

from __future__ import annotations

from itertools import accumulate, pairwise
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest
from tests.lift.populations import DAY, arms, audience, drawn

from signalpost import lift
from signalpost.cli_lift import lines
from signalpost.lift import Lift, intervals
from signalpost.store.lift import Counted

WEEK = 7 * DAY


def verdict(counted: Counted, holdout: float = 0.1, use: lift.Use = "target", detect: float = lift.DETECT) -> Lift:
    """What is said of these arms."""
    return lift.of(counted, audience(holdout), use, window=WEEK, currency="USD", detect=detect)


@pytest.mark.parametrize("holdout", [0.1, 0.3, 0.5])
def test_where_nothing_is_nothing_is_claimed(holdout: float) -> None:
    """Without any effect, of 2,000 shops that have as many people as planned, at most about 2.5 % hear of one, on either side."""
    random, times, base = Random(str(holdout)), 2_000, 0.05
    people = round(1.05 * intervals.needed(base, 0.3, holdout))
    held = round(people * holdout)
    pairs = zip(drawn(random, people - held, base, times), drawn(random, held, base, times), strict=True)
    said = [verdict(arms((one, people - held), (other, held)), holdout, detect=0.3).verdict for one, other in pairs]
    assert said.count("brings") / times <= 0.033
    assert said.count("costs") / times <= 0.037
    assert (said.count("brings") + said.count("costs")) / times <= 0.06


def test_looking_every_day_does_not_find_what_is_not_there() -> None:
    """Without any effect, of 1,000 shops that look at each of 40 days before enough people came, about one in twenty ever hears
    of one; with the plain bar it would be one in five."""
    random, base, holdout, days = Random(3), 0.05, 0.2, 40
    daily = intervals.needed(base, 0.3, holdout) // days - 1
    held = round(daily * holdout)
    shown = daily - held
    one, other = drawn(random, shown, base, 1_000 * days), drawn(random, held, base, 1_000 * days)
    wrong = plain = 0
    for shop in range(1_000):
        found = below = False
        mine = slice(shop * days, (shop + 1) * days)
        sums = zip(accumulate(one[mine]), accumulate(other[mine]), strict=True)
        for day, (buyers, others) in enumerate(sums, 1):
            counted = arms((buyers, shown * day), (others, held * day), days=day)
            told = verdict(counted, holdout, detect=0.3)
            found |= told.verdict in {"brings", "costs"}
            below |= told.difference is not None and told.difference.sign != 0
        wrong += found
        plain += below
    assert wrong <= 62
    assert plain >= 150


def test_what_is_there_is_found_and_bounded() -> None:
    """Where ads lift buyers from 5 to 6.5 %, about four of five shops with as many people as planned hear so, and the interval
    they hear is true for at least 93 of 100."""
    random, times, holdout = Random(5), 1_000, 0.2
    people = intervals.needed(0.05, 0.3, holdout)
    held = round(people * holdout)
    pairs = zip(drawn(random, people - held, 0.065, times), drawn(random, held, 0.05, times), strict=True)
    said = [verdict(arms((one, people - held), (other, held)), holdout, detect=0.3) for one, other in pairs]
    brings = [each for each in said if each.verdict == "brings"]
    assert len(brings) / times >= 0.72
    held_true = sum(each.difference is not None and each.difference.low <= 0.015 <= each.difference.high for each in said)
    assert held_true / times >= 0.93


# ---- in words --------------------------------------------------------------------------------------------------------------


def test_it_says_when_it_is_too_early_and_for_how_long() -> None:
    """Too few people: how many more, how many days that is, and what one sees so far."""
    told = verdict(arms((450, 9_000), (45, 1_000)))
    assert told.verdict == "too_early"
    assert told.needed is not None
    missing = told.needed - 10_000
    assert told.sentence == (
        "Too early: needs about 36,000 more people (about 110 days at the present rate) to show a lift of 20 %. So far 5.0 % "
        "of 9,000 people in the audience ordered within 7 days, and 4.5 % of 1,000 held out, which may be chance. With a holdout "
        "of 30 % about 20,000 people in all would do."
    )
    assert 35_000 < missing <= 36_000
    assert told.money.startswith("Revenue shows no difference beyond chance: a person in the audience brought between -")


def test_an_interval_that_is_clear_early_is_explained() -> None:
    """Where the plain interval is clear of zero and the bar is not passed, it says why that is not enough."""
    told = verdict(arms((541, 9_012), (38, 1_003)))
    assert told.verdict == "too_early"
    assert told.difference is not None
    assert told.difference.sign == 1
    assert "happens by chance too often to count" in told.sentence


@pytest.mark.parametrize(
    ("counted", "sentence"),
    [
        (
            arms((0, 0), (0, 0), pending=7),
            "Too early: nobody who entered the segment has had 7 days yet. Still within that time: 14 people.",
        ),
        (arms((1, 10), (0, 0)), "Too early: nobody held out has had 7 days yet. Still within that time: 0 people."),
        (arms((0, 0), (1, 10)), "Too early: nobody of the audience has had 7 days yet. Still within that time: 0 people."),
        (
            arms((6, 900), (1, 100)),
            (
                "Too early: 7 of 1,000 people have ordered, and before 10 have, a rate means nothing. Look at a longer time "
                "(--since) or give them a longer one (--window)."
            ),
        ),
    ],
)
def test_hardly_anybody(counted: Counted, sentence: str) -> None:
    """With nobody in an arm, or next to no order, there is no rate to speak of."""
    told = verdict(counted)
    assert told.sentence == sentence
    assert told.verdict in {"nobody", "too_early"}
    assert told.needed is None


def test_it_says_what_ads_bring() -> None:
    """Enough people and a clear difference: between which numbers, of buyers and of revenue."""
    told = verdict(arms((6_500, 90_000), (500, 10_000)))
    assert told.verdict == "brings"
    assert told.sentence == (
        "Ads bring between 17 and 27 more buyers per 1,000 people. 7.2 % of 90,000 people in the audience ordered within 7 days, "
        "and 5.0 % of 10,000 held out."
    )
    assert told.money == "A person in the audience brought between 0.87 and 1.33 USD more than one held out."


def test_what_is_clear_early_is_said_early() -> None:
    """A large difference is told before all people have come, with the wider range of the higher bar."""
    told = verdict(arms((900, 9_000), (40, 1_000)))
    assert told.verdict == "brings"
    assert told.sentence.endswith("This is clear before as many people have come as were needed; the range is wider for it.")
    assert told.difference is not None
    low = float(told.sentence.split("between ")[1].split(" ")[0])
    assert low < 1000 * told.difference.low


def test_it_says_when_there_is_no_difference() -> None:
    """Enough people and none to see: what would have shown, and how much it can be at most."""
    told = verdict(arms((4_500, 90_000), (500, 10_000)))
    assert told.verdict == "no_difference"
    assert told.sentence == (
        "No difference seen: 5.0 % of 90,000 people in the audience ordered within 7 days, and 5.0 % of 10,000 held out. A lift "
        "of 20 % would have shown in 80 % of all cases; ads bring at most 4.3 more buyers per 1,000 people."
    )


@pytest.mark.parametrize(
    ("use", "better", "words"),
    [
        ("target", False, "Ads cost between"),
        ("suppress", True, "Keeping ads away brings between"),
        ("suppress", False, "Keeping ads away costs between"),
    ],
)
def test_other_effects_have_their_words(use: lift.Use, better: bool, words: str) -> None:
    """Ads that cost buyers, and what suppression does, are told as what they are."""
    told = verdict(arms((6_500 if better else 4_000, 90_000), (500, 10_000)), use=use)
    assert told.verdict == ("brings" if better else "costs")
    assert told.sentence.startswith(words)


def test_suppression_without_effect_says_what_ads_could_bring() -> None:
    """For a suppressed audience "no difference" bounds what ads to them would bring."""
    told = verdict(arms((4_500, 90_000), (500, 10_000)), use="suppress")
    assert "ads to these people would bring at most" in told.sentence


def test_what_one_should_know_is_noted() -> None:
    """Late platforms, leaks, changed files and orders without an amount are told beside the verdict."""
    counted = arms((450, 9_000), (45, 1_000))
    counted.destinations = {"tiktok": 5, "pinterest": None}
    counted.leaked = {"tiktok": 12}
    counted.changed_at = 20 * DAY
    counted.shown.unvalued = 3
    notes = verdict(counted).notes
    assert [note.split(":")[0].split(",")[0] for note in notes] == [
        "On pinterest the audience is not whole yet",
        "On tiktok",
        "The workspace file's audiences or segments changed on 1970-01-21",
        "Orders that count without revenue",
    ]
    counted.destinations = {"tiktok": None}
    assert verdict(counted).notes[0].startswith("No platform has all of this audience yet")


def test_a_forecast_is_no_figure() -> None:
    """Forecasts have two digits that count, rounded up."""
    rounded = [lift._rounded(number) for number in (0.2, 3, 12, 99.5, 101, 4_310, 1_234_567)]
    assert rounded == ["1", "3", "12", "100", "110", "4,400", "1,300,000"]
    assert all(int(one.replace(",", "")) <= int(two.replace(",", "")) for one, two in pairwise(rounded))


def test_the_example_of_the_page_is_what_is_printed() -> None:
    """docs/how-to/lift.md shows the very lines that the command prints of such arms."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "lift.md").read_text("utf-8")
    shown = page.split("```text\n")[1].split("```")[0]
    counted = arms((6_500, 90_000), (500, 10_000))
    counted.begin = 1_792_627_200_000
    counted.end = counted.begin + 30 * DAY
    printed = [line.plain.rstrip() for line in lines(verdict(counted), ZoneInfo("UTC"))]
    assert "\n".join(printed) + "\n" == shown
