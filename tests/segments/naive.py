"""The segment language a second time, as slowly and plainly as the page docs/reference/segments.md tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Happening = tuple[int, str, int]
"""(time, event, order value)."""

UNITS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def holds(raw: Any, history: list[Happening], plan: str, inside: dict[str, Any], now: int) -> bool:
    """Whether a rule holds of somebody with this history and the trait `plan`; `inside` are the segments it may name."""

    def ask(each: Any) -> bool:
        return holds(each, history, plan, inside, now)

    for key, asked in raw.items():
        if key == "all":
            answer = all(map(ask, asked))
        elif key == "any":
            answer = any(map(ask, asked))
        elif key == "not":
            answer = not any(map(ask, asked if isinstance(asked, list) else [asked]))
        elif key == "trait":
            answer = asked["traits.plan"] == plan
        elif key == "in_segment":
            answer = any(ask(inside[name]) for name in (asked if isinstance(asked, list) else [asked]))
        elif key in {"did", "did_not"}:
            names = asked if isinstance(asked, list) else [asked]
            answer = any(happened(name, raw, history, now) for name in names) == (key == "did")
        elif key in {"last", "first"}:
            times = [at for at, name, value in history if name == asked and worth(raw, value)]
            answer = bool(times) and aged(now - (max if key == "last" else min)(times), raw["age"])
        else:
            continue  # a bound of the line beside it
        if not answer:
            return False
    return True


def happened(event: str, raw: Any, history: list[Happening], now: int) -> bool:
    """Whether an event happened often enough within all its bounds."""
    many = 0
    for at, name, value in history:
        if name != event or not worth(raw, value):
            continue
        if "within" in raw and now - at >= span(raw["within"]):
            continue
        if "since" in raw:
            marks = [time for time, other, _ in history if other == raw["since"]]
            if not marks or at < max(marks):
                continue
        if "between" in raw and not date(raw["between"][0]) <= at < date(raw["between"][1]):
            continue
        many += 1
    times = raw.get("times", {"gte": 1})
    if not isinstance(times, dict):
        return many == int(times)
    least = 1 if not {"gte", "gt"} & times.keys() else 0
    tests = {"gte": lambda n: many >= n, "gt": lambda n: many > n, "lte": lambda n: many <= n, "lt": lambda n: many < n}
    return many >= least and all(tests[name](int(number)) for name, number in times.items())


def worth(raw: Any, value: int) -> bool:
    """Whether an event meets the only condition that these rules ask."""
    return "where" not in raw or value >= int(raw["where"]["order.value"]["gte"])


def aged(age: int, window: Any) -> bool:
    """Whether an age lies in a window."""
    if isinstance(window, dict):
        return span(window.get("gte", "0h")) <= age and ("lt" not in window or age < span(window["lt"]))
    begin, end = window.split("..")
    return span(begin or "0h") <= age and (not end or age < span(end))


def span(written: str) -> int:
    """A duration in ms."""
    return int(written[:-1]) * UNITS[written[-1]]


def date(written: str) -> int:
    """A UTC date in epoch ms."""
    return round(datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp() * 1000)
