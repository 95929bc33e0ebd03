"""How many enter and leave a segment if nothing happens: each person walked from change to change, so it is no estimate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from signalpost.events import Person
from signalpost.options import UNITS
from signalpost.segments.live import Test

HOUR = UNITS["h"]


class Line(Struct, frozen=True, kw_only=True):
    """One segment's future: how many enter and leave in each step."""

    entered: tuple[int, ...]
    left: tuple[int, ...]

    @property
    def net(self) -> int:
        """How many more there are at the end."""
        return sum(self.entered) - sum(self.left)


class Forecast(Struct, frozen=True, kw_only=True):
    """What happens from `now` on if nothing happens; times in epoch ms."""

    now: int
    until: int
    """Not included."""
    step: int
    starts: tuple[int, ...]
    """Where each step begins: whole steps of the clock, so the first holds `now` and the last may go beyond `until`."""
    lines: dict[str, Line]
    people: int
    """How many people were walked."""


def forecast(people: Iterable[Person], tests: Mapping[str, Test], now: int, until: int, step: int = HOUR) -> Forecast:
    """Count every change of these people in `now < at < until`. Whoever time alone does not move by then may be left out."""
    first = now - now % step
    many = max(0, -(-(until - first) // step))
    entered = {name: [0] * many for name in tests}
    left = {name: [0] * many for name in tests}
    walked = 0
    for person in people:
        walked += 1
        for name, test in tests.items():
            inside, at = test(person, now)
            while at < until:
                holds, following = test(person, at)
                if holds != inside:
                    inside = holds
                    (entered if holds else left)[name][(at - first) // step] += 1
                at = following
    return Forecast(
        now=now,
        until=until,
        step=step,
        starts=tuple(first + place * step for place in range(many)),
        lines={name: Line(entered=tuple(entered[name]), left=tuple(left[name])) for name in tests},
        people=walked,
    )
