"""Executes a platform's field table: a signal goes in, the event as the platform wants it comes out.

Absent is absent: a row that reads None leaves no trace, and an object without a field is not sent. The same signal
always gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, Protocol, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from signalpost import config, normalize
from signalpost.errors import ConfigError
from signalpost.events import Order, Signal

Read = Callable[[Signal], Any]


class Field(Struct, frozen=True, kw_only=True):
    """One row of a field table: where it goes, what is read, why."""

    path: str
    """Dotted path in the platform's event object, such as `user.email` or `properties.value`."""
    read: Read
    """Gives the clean value, or None when there is nothing to send; never an empty string, list or object."""
    doc: str
    """One sentence for the operator: what it is and where Signalpost takes it from."""
    hashed: bool = False
    """SHA-256 of the normalised value (hashed when learned, kept with the person)."""
    key: str | None = None
    """For match keys: the row of `normalize.MATCH_KEYS` it is read from."""
    many: bool = False
    """The platform wants a list even of a key a person has once."""
    person: bool = False
    """Read from the person, so it may become known after the event; `enrich` fills it in later."""
    setting: str | None = None
    """The destination's option that is sent where `read` gives nothing."""
    parts: Mapping[str, str] = {}
    """For objects and lists of objects: each part -> one sentence."""


class Custom(Struct, frozen=True, kw_only=True):
    """What of an event's object a workspace may fill by itself, with `properties` of a destination."""

    parent: str
    """The object, such as `properties`."""
    fields: Mapping[str, Callable[[Any], Any]]
    """Field -> cleaner."""
    other: Callable[[Any], Any] | None = None
    """The cleaner of any other name; None where the platform refuses names it does not know."""


class Declared(Protocol):
    """What is needed of a destination to map for it."""

    @property
    def name(self) -> str: ...
    @property
    def fields(self) -> tuple[Field, ...]: ...
    @property
    def custom(self) -> Custom: ...
    @property
    def amounts(self) -> Literal["number", "text"]: ...


def match_key(key: str) -> Read:
    """Reads one of a person's match keys."""
    other = _FALLS_BACK.get(key)
    if other is None:
        return lambda signal: signal.person.keys.get(key)
    return lambda signal: signal.person.keys.get(key) or signal.person.keys.get(other)


_FALLS_BACK = {row.name: row.unless_same_as for row in normalize.MATCH_KEYS if row.unless_same_as}


def matched(path: str, key: str, *, many: bool = False) -> Field:
    """The row of a match key: its sentence and its hashing come from `normalize.MATCH_KEYS`."""
    row = next(row for row in normalize.MATCH_KEYS if row.name == key)
    return Field(path=path, read=match_key(key), doc=row.doc, hashed=row.hashed, key=key, many=many and row.form == "text")


def at(path: str) -> Read:
    """Reads whatever stands at a dotted path of the event, such as `properties.margin` or `context.page.title`."""
    root, _, rest = path.partition(".")
    steps = tuple(rest.split(".")) if rest else ()
    if root not in _ROOTS or not steps:
        raise ValueError(path)

    def read(signal: Signal) -> Any:
        found: Any = getattr(signal.event, root)
        for step in steps:
            if found.__class__ is not dict:
                return None
            found = found.get(step)
        return found

    return read


_ROOTS = ("properties", "context", "traits")


def mistakes(destination: Declared, options: config.Destination) -> list[str]:
    """A sentence for each entry of `properties` that the platform would not take or that reads nothing."""
    custom = destination.custom
    found = []
    for field, path in options.properties.items():
        if custom.other is None and field not in custom.fields:
            known = ", ".join(custom.fields)
            found.append(f"{destination.name} takes no {custom.parent}.{field}; it takes {known}")
        root, _, rest = path.partition(".")
        if root not in _ROOTS or not rest:
            found.append(f"{field}: {path} is no path in an event; write properties.NAME, context.NAME or traits.NAME")
    return found


class Render:
    """A destination's field table made ready: calling it with a signal gives the event's JSON."""

    def __init__(self, destination: Declared, options: config.Destination) -> None:
        wrong = mistakes(destination, options)
        if wrong:
            raise ConfigError(tuple(wrong))
        self._plain = destination.amounts == "text"
        self._encode = _ENCODERS[destination.amounts]
        rows = [*destination.fields, *_custom_rows(destination.custom, options.properties)]
        top = [row for row in rows if "." not in row.path]
        if any(row.key for row in top):
            raise ValueError("match keys belong into an object")
        self._top = tuple((row.path, _read(row, options)) for row in top)
        self._groups = tuple(
            _group(parent, [row for row in rows if row.path.startswith(parent + ".")], options)
            for parent in dict.fromkeys(row.path.partition(".")[0] for row in rows if "." in row.path)
        )
        self._later = tuple(
            (
                parent,
                keys,
                tuple((row.path.partition(".")[2], row.read) for row in rows if row.person and row.path.startswith(parent + ".")),
            )
            for parent, keys, _ in self._groups
            if keys
        )

    def __call__(self, signal: Signal) -> bytes:
        """The event object as JSON."""
        body = self._render(signal)
        if self._plain and (b"E+" in body or b"E-" in body):
            # Perhaps an amount such as 1E+3, which a platform that reads amounts from text need not understand.
            return self._render(replace(signal, order=_in_plain_notation(signal.order)))
        return body

    def _render(self, signal: Signal) -> bytes:
        made: dict[str, Any] = {}
        for name, read in self._top:
            value = read(signal)
            if value is not None:
                made[name] = value
        keys = signal.person.keys
        for parent, key_rows, rows in self._groups:
            part: dict[str, Any] = {}
            if key_rows and keys:
                for name, key, other, many in key_rows:
                    value = keys.get(key)
                    if value is None:
                        if other is None:
                            continue
                        value = keys.get(other)
                        if value is None:
                            continue
                    part[name] = [value] if many else value
            for name, read in rows:
                value = read(signal)
                if value is not None:
                    part[name] = value
            if part:
                made[parent] = part
        return self._encode(made)

    def enrich(self, body: bytes, signal: Signal) -> bytes:
        """A waiting event with what is known of its person by now; of the signal only the person is read.

        All else stays, byte for byte. Match keys are replaced (what is known now includes what was known then); click
        ids are only filled in where there was none, because the one known at the time is the one that led to the event.
        """
        event = _decode(body)
        keys = signal.person.keys
        if TIME in event:
            # The caller need not know the event any more: what matters of it, when it happened, stands in the body.
            happened = msgspec.json.decode(event[TIME], type=int) * 1000 + 999
            signal = replace(signal, event=replace(signal.event, time=happened))
        for parent, key_rows, rows in self._later:
            before: dict[str, Any] = msgspec.json.decode(event[parent]) if parent in event else {}
            part = dict(before)
            for name, key, other, many in key_rows:
                value = keys.get(key)
                if value is None and other is not None:
                    value = keys.get(other)
                if value is not None:
                    part[name] = [value] if many else value
            for name, read in rows:
                value = read(signal)
                if value is not None:
                    part.setdefault(name, value)
            if part != before:
                event[parent] = msgspec.Raw(_encode(part))
        return _encode(event)


def compile(destination: Declared, options: config.Destination) -> Render:  # noqa: A001 (that is what it does)
    """The destination's field table with the workspace's options, ready to be called with each signal.

    Raises `ConfigError` when `properties` names what the platform does not take.
    """
    return Render(destination, options)


def _in_plain_notation(order: Order) -> Order:
    def plain(amount: Decimal | None) -> Decimal | None:
        if amount is None or "E" not in str(amount):
            return amount
        return Decimal(format(amount, "f")) if amount > 1 else amount.quantize(_MILLIONTH)

    items = tuple(replace(item, price=plain(item.price)) for item in order.items)
    return replace(order, value=plain(order.value), items=items)


_MILLIONTH = Decimal("0.000001")  # below it Python writes every amount with an exponent

TIME = "event_time"
"""What the platforms call the event's time, Unix seconds."""

_encode = msgspec.json.encode
_ENCODERS = {
    "number": msgspec.json.Encoder(decimal_format="number").encode,
    "text": msgspec.json.Encoder(decimal_format="string").encode,
}
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

_Group = tuple[str, tuple[tuple[str, str, str | None, bool], ...], tuple[tuple[str, Read], ...]]


def _group(parent: str, rows: Sequence[Field], options: config.Destination) -> _Group:
    keys = []
    others = []
    for row in rows:
        name = row.path.partition(".")[2]
        if "." in name:
            raise ValueError(f"{row.path} is too deep for a field table")
        if row.key is not None:
            keys.append((name, row.key, _FALLS_BACK.get(row.key), row.many))
        else:
            others.append((name, _read(row, options)))
    return parent, tuple(keys), tuple(others)


def _read(row: Field, options: config.Destination) -> Read:
    if row.setting is None:
        return row.read
    constant = normalize.text(getattr(options, row.setting, None) or options.settings.get(row.setting))
    if constant is None:
        return row.read
    read = row.read

    def or_setting(signal: Signal) -> Any:
        value = read(signal)
        return constant if value is None else value

    return or_setting


def _custom_rows(custom: Custom, properties: Mapping[str, str]) -> list[Field]:
    rows = []
    for name, path in properties.items():
        clean = custom.fields.get(name) or cast("Callable[[Any], Any]", custom.other)
        rows.append(Field(path=f"{custom.parent}.{name}", read=_cleaned(at(path), clean), doc=f"From {path}."))
    return rows


def _cleaned(read: Read, clean: Callable[[Any], Any]) -> Read:
    def read_clean(signal: Signal) -> Any:
        value = read(signal)
        return None if value is None else clean(value)

    return read_clean
