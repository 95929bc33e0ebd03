"""Executes a platform's field table: a signal goes in, the event as the platform wants it comes out.

Absent is absent: a row that reads None leaves no trace, and an object without a field is not sent. The same signal
always gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, cast

import msgspec
from msgspec import Struct, defstruct
from msgspec.structs import replace

from signalpost import config, normalize
from signalpost.errors import ConfigError
from signalpost.events import Signal

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
    """Made of match keys though it has no `key` of its own; `enrich` fills these in when they are learned later."""
    setting: str | None = None
    """The destination's option that is sent where `read` gives nothing."""
    clean_setting: Callable[[object], str | None] = normalize.text
    """How that option is cleaned."""
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
_NAME = re.compile(r"[\w.\-]{1,100}").fullmatch


def mistakes(destination: Declared, options: config.Destination) -> list[str]:
    """A sentence for each entry of `properties` that the platform would not take or that reads nothing."""
    custom = destination.custom
    found = []
    for field, path in options.properties.items():
        if custom.other is None and field not in custom.fields:
            known = ", ".join(custom.fields)
            found.append(f"{destination.name} takes no {custom.parent}.{field}; it takes {known}")
        elif not _NAME(field):
            found.append(f"{field!r} is no name for a field; use letters, digits, _ . and -")
        root, _, rest = path.partition(".")
        if root not in _ROOTS or not rest:
            found.append(f"{field}: {path} is no path in an event; write properties.NAME, context.NAME or traits.NAME")
    return found


class Render:
    """A destination's field table made ready: calling it with a signal gives the event's JSON.

    Each object of the event is a record made of the table's rows, whose empty fields are left out when it is encoded.
    """

    def __init__(self, destination: Declared, options: config.Destination) -> None:
        wrong = mistakes(destination, options)
        if wrong:
            raise ConfigError(tuple(wrong))
        rows = list(table(destination, options).values())
        self._known_later = [row for row in rows if row.key is not None or row.person]
        self._render = _written_out(rows, _ENCODERS[destination.amounts])

    def __call__(self, signal: Signal) -> bytes:
        """The event object as JSON."""
        return self._render(signal)

    def enrich(self, body: bytes, signal: Signal) -> bytes:
        """A waiting event with the match keys its person has by now; of the signal only the person is read.

        All else stays, byte for byte. So do click ids: the one known when the event was decided is the one that led to
        it, and a person remembers only the newest, so a later look would depend on how the stream was cut into batches.
        """
        event = _decode(body)
        objects: dict[str, dict[str, Any]] = {}
        changed: set[str] = set()
        for row in self._known_later:
            value = row.read(signal)
            if value is None:
                continue
            parent, _, name = row.path.partition(".")
            if parent not in objects:
                objects[parent] = msgspec.json.decode(event[parent]) if parent in event else {}
            known = objects[parent]
            value = [value] if row.many else value
            if known.get(name) != value:
                known[name] = value
                changed.add(parent)
        for parent in changed:
            event[parent] = msgspec.Raw(_encode(objects[parent]))
        return _encode(event)


def compile(destination: Declared, options: config.Destination) -> Render:  # noqa: A001 (that is what it does)
    """The destination's field table with the workspace's options, ready to be called with each signal.

    Raises `ConfigError` when `properties` names what the platform does not take.
    """
    return Render(destination, options)


_encode = msgspec.json.encode
_ENCODERS = {
    "number": msgspec.json.Encoder(decimal_format="number").encode,
    "text": msgspec.json.Encoder(decimal_format="string").encode,
}
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _written_out(rows: Sequence[Field], encode: Callable[[Any], bytes]) -> Callable[[Signal], bytes]:
    """The table as one function, written out row by row as `dataclasses` writes its methods.

    For `user.email` and `event` it writes

        user = Record1(get("email"), ...)
        return encode(Record0(read0(signal), ..., None if user == Record1() else user))

    which takes two thirds of the time that a loop over the rows takes.
    """
    names: dict[str, Any] = {"encode": encode}
    lines = ["def render(signal):", "    get = signal.person.keys.get"]
    top: dict[str, str] = {}
    parents = dict.fromkeys(row.path.partition(".")[0] for row in rows if "." in row.path)
    for row in rows:
        if "." not in row.path:
            top[row.path] = _expression(row, names)
    for number, parent in enumerate(parents, start=1):
        parts = {name: row for row in rows if (name := row.path.removeprefix(parent + ".")) != row.path}
        arguments = ", ".join(_expression(row, names) for row in parts.values())
        names[f"Record{number}"] = record = _record(parts)
        names[f"empty{number}"] = record()
        lines.append(f"    part{number} = Record{number}({arguments})")
        top[parent] = f"None if part{number} == empty{number} else part{number}"
    names["Record0"] = _record(top)
    lines.append(f"    return encode(Record0({', '.join(top.values())}))")
    exec("\n".join(lines), names)  # noqa: S102 (nothing in it comes from outside: numbers and names of match keys)
    return cast("Callable[[Signal], bytes]", names["render"])


def _expression(row: Field, names: dict[str, Any]) -> str:
    if row.key is None:
        name = f"read{len(names)}"
        names[name] = row.read
        return f"{name}(signal)"
    other = _FALLS_BACK.get(row.key)
    get = f"get({row.key!r})" if other is None else f"get({row.key!r}) or get({other!r})"
    return f"[value] if (value := {get}) else None" if row.many else get


def _record(names: Iterable[str]) -> Callable[..., Any]:
    # The platform's names may be no names in Python. A field that is None is left out.
    fields = {f"field{number}": name for number, name in enumerate(names)}
    return defstruct("Record", [(field, Any, None) for field in fields], rename=fields, omit_defaults=True, frozen=True)


def table(destination: Declared, options: config.Destination) -> dict[str, Field]:
    """Path -> row, with the workspace's options in them; a property of the workspace's own replaces the platform's row."""
    rows: dict[str, Field] = {}
    for row in destination.fields:
        constant = None
        if row.setting is not None:
            constant = row.clean_setting(getattr(options, row.setting, None) or options.settings.get(row.setting))
        rows[row.path] = row if constant is None else replace(row, read=_either(row.read, _always(constant)))
    for own in _custom_rows(destination.custom, options.properties):
        theirs = rows.get(own.path)
        rows[own.path] = own if theirs is None else replace(own, read=_either(own.read, theirs.read))
    return rows


def _always(constant: str) -> Read:
    return lambda signal: constant  # noqa: ARG005


def _either(first: Read, second: Read) -> Read:
    def read(signal: Signal) -> Any:
        value = first(signal)
        return second(signal) if value is None else value

    return read


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
