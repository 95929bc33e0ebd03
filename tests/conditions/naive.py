"""The condition language a second time, as slowly and plainly as the page docs/reference/conditions.md tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

MILLISECONDS = {"h": 3_600_000, "d": 86_400_000, "m": 60_000}
SEVERAL = {"order.tags", "order.products", "person.tags", "person.email_domain"}
MOMENTS = {"event.time", "person.last_order_at"}


def holds(raw: Any, values: dict[str, Any], now: int) -> bool:
    """Whether a condition holds of what is known by path."""
    for key, asked in raw.items():
        if key == "all":
            answer = all(holds(each, values, now) for each in asked)
        elif key == "any":
            answer = any(holds(each, values, now) for each in asked)
        elif key == "not":
            answer = not any(holds(each, values, now) for each in (asked if isinstance(asked, list) else [asked]))
        else:
            questions = asked if isinstance(asked, dict) else {"in" if isinstance(asked, list) else "eq": asked}
            answer = all(asks(key, name, operand, values.get(key), now) for name, operand in questions.items())
        if not answer:
            return False
    return True


def asks(path: str, name: str, operand: Any, value: Any, now: int) -> bool:
    """Whether one question about one path is answered with yes."""
    if name == "ne":
        return not asks(path, "eq", operand, value, now)
    if name == "not_in":
        return not any(asks(path, "eq", each, value, now) for each in operand)
    if name == "in":
        return any(asks(path, "eq", each, value, now) for each in operand)
    if name == "contains_any":
        return any(asks(path, "contains", each, value, now) for each in operand)
    if name == "exists":
        return bool((value not in (None, "", [], {}, ())) == (operand == "true"))
    if isinstance(value, (list, tuple)):
        plainly = "eq" if name == "contains" and path in SEVERAL else name
        return any(asks("" if path in SEVERAL else path, plainly, operand, each, now) for each in value)
    if value is None:
        return isinstance(value, bool)
    if name == "age":
        at = moment(value) if path not in MOMENTS else value
        return at is not None and aged(now - at, operand)
    if name in {"gt", "gte", "lt", "lte"}:
        date = moment(operand) if isinstance(operand, str) and "-" in operand[1:] else None
        if date is not None:
            left, right = (value if path in MOMENTS else moment(value)), Decimal(date)
        else:
            left, right = number(value), amount(operand)
        return left is not None and compare(name, Decimal(left), right)
    if name == "eq":
        if (
            path.startswith(("order.", "person."))
            and ".traits." not in path
            and isinstance(value, (Decimal, int))
            and not isinstance(value, bool)
        ):
            return Decimal(value) == amount(operand)
        same = text(value) == text(operand)
        return same or (number(value) is not None and number(value) == number(operand))
    return {"contains": text(operand) in text(value), "starts_with": text(value).startswith(text(operand)),
            "ends_with": text(value).endswith(text(operand))}[name]  # fmt: skip


def compare(name: str, left: Decimal, right: Decimal) -> bool:
    return {"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}[name]


def aged(age: int, operand: Any) -> bool:
    if isinstance(operand, dict):
        return all(compare(name, Decimal(age), Decimal(span(each))) for name, each in operand.items())
    least, most = operand.split("..")
    return span(least) <= age < span(most)


def span(written: str) -> int:
    return int(written[:-1]) * MILLISECONDS[written[-1]]


def amount(written: str) -> Decimal:
    return Decimal(written[:-1]) / 100 if written.endswith("%") else Decimal(written)


def text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return "" if isinstance(value, dict) else str(value).strip().casefold()


def number(value: Any) -> Decimal | None:
    if isinstance(value, (bool, dict)):
        return None
    try:
        return Decimal(str(value).strip())
    except InvalidOperation:
        return None


def moment(value: Any) -> int | None:
    """Epoch ms of a date, of seconds or of milliseconds."""
    if isinstance(value, (bool, dict)):
        return None
    if isinstance(value, (int, float)):
        return int(Decimal(str(value)) * 1000) if abs(value) < 10**11 else int(value)
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
