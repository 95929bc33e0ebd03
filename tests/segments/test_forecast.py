"""The forecast: what is drawn is what happens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.segments.rules_at_random import DAY, HOUR, NOW, SPANS, people, rules

from signalpost import memberships
from signalpost.events import Person
from signalpost.segments import live
from signalpost.segments.forecast import forecast
from signalpost.segments.rules import Age, All, Happened, Inside, Not, Rule

CHECKOUT, ORDER = "Checkout Started", "Order Completed"


@given(st.data())
def test_the_forecast_is_what_happens_when_the_clock_moves_on(data: st.DataObject) -> None:
    """Timers fired one after the other move exactly as many people, in exactly the hours, as the forecast said."""
    one, two = data.draw(rules), data.draw(rules)
    of: dict[str, Rule] = {"one": one, "two": two, "three": Not(part=Inside(segment="one"))}
    segments = live.compile(of)
    now = data.draw(st.sampled_from((NOW, NOW + 1, NOW + 17 * 60_000)))
    until = now + data.draw(st.sampled_from((1, HOUR, 30 * HOUR, 4 * DAY, *SPANS)))
    crowd = data.draw(st.lists(people((one, two)), min_size=1, max_size=4))
    known = [memberships.asked(person, segments, of, now)[0] for person in crowd]
    found = forecast(known, {name: each.test for name, each in segments.segments.items()}, now, until)
    counts = {name: ([0] * len(found.starts), [0] * len(found.starts)) for name in of}
    for person in known:
        for move in memberships.caught_up(person, segments, until - 1)[1]:
            assert now < move.at < until
            hour = max(place for place, start in enumerate(found.starts) if start <= move.at)
            counts[move.segment][0 if move.entered else 1][hour] += 1
    assert {name: (list(line.entered), list(line.left)) for name, line in found.lines.items()} == counts


@given(st.data())
def test_whoever_has_no_timer_before_the_end_may_be_left_out(data: st.DataObject) -> None:
    """The forecast over people whose next moment comes before its end is the forecast over everybody."""
    one = data.draw(rules)
    segments = live.compile({"one": one})
    until = NOW + data.draw(st.sampled_from((HOUR, DAY, *SPANS)))
    crowd = [memberships.asked(person, segments, ("one",), NOW)[0] for person in data.draw(st.lists(people((one,)), max_size=4))]
    due = [person for person in crowd if person.due and min(person.due.values()) < until]
    tests = {"one": segments.segments["one"].test}
    assert forecast(crowd, tests, NOW, until).lines == forecast(due, tests, NOW, until).lines


def test_a_checkout_enters_and_leaves_in_its_hours() -> None:
    """Steps are whole hours of the clock: the first holds the present, and a change at a full hour is of the hour it begins."""
    rule = All(parts=(Age(event=CHECKOUT, low=6 * HOUR, high=8 * HOUR), Not(part=Happened(event=ORDER, since=CHECKOUT))))
    now = NOW + 10 * 60_000
    checkouts = [NOW, NOW - 4 * HOUR, NOW - 6 * HOUR]
    crowd = [Person(id=number, memory={CHECKOUT: (at,)}) for number, at in enumerate(checkouts, 1)]
    found = forecast(crowd, {"cart": live.closure(rule)}, now, now + 9 * HOUR)
    assert found.starts == tuple(NOW + hour * HOUR for hour in range(10))
    assert found.lines["cart"].entered == (0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
    assert found.lines["cart"].left == (0, 0, 1, 0, 1, 0, 0, 0, 1, 0)
    assert found.lines["cart"].net == -1


def test_nothing_ahead_is_nothing() -> None:
    """A forecast of no time at all has steps without changes."""
    found = forecast([], {"cart": live.closure(Happened(event=ORDER))}, NOW, NOW)
    assert (found.starts, found.people, found.lines["cart"].net) == ((), 0, 0)
