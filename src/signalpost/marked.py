"""A YAML text whose every value knows its line, read into records with all mistakes found at once.

Nothing here knows what a workspace is: `config.py` says which records there are and what their values must
be. A value may hold `${NAME}`, which stands for an environment variable; `$${NAME}` is that text itself.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from msgspec import NODEFAULT, Struct, inspect
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

LONGEST_TEXT = 1_000_000
MOST_VALUES = 100_000
DEEPEST = 40

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HIDDEN_VARIABLE = re.compile("(\\$?)\\$\ue000([A-Za-z_][A-Za-z0-9_]*)\ue001")
_UNREADABLE_VARIABLE = re.compile(r"(?<!\$)\$\{[^}]*\}?")
_TAG = "tag:yaml.org,2002:"


class Mistake(Struct, frozen=True, kw_only=True):
    """One thing wrong (or, as a warning, odd) in a file: where it stands and what to do about it."""

    line: int
    """1 is the first line; 0 means the file as a whole."""
    column: int
    path: str
    """The option, such as `destinations.tiktok.pixel`; empty for the file as a whole."""
    sentence: str
    file: str = ""
    severity: Literal["mistake", "warning"] = "mistake"

    def __str__(self) -> str:
        place = ":".join(part for part in (self.file, str(self.line) if self.line else "") if part)
        said = self.sentence if self.severity == "mistake" else f"warning: {self.sentence}"
        return f"{place}: {said}" if place else said


class Value(Struct, kw_only=True):
    """One value of the file, with its place."""

    path: str
    line: int
    column: int
    key_line: int
    """The line of its key: where something missing inside it is reported."""
    kind: Literal["mapping", "list", "scalar", "nothing"]
    raw: str = ""
    """A scalar as it is written, with its `${NAME}`; the only form that may be shown."""
    text: str | None = ""
    """A scalar with its variables filled in; None when one of them is missing (and reported)."""
    boolean: bool = False
    variable: bool = False
    """Whether any of it comes from the environment."""
    entries: dict[str, Value] = {}
    items: list[Value] = []

    def find(self, *keys: str) -> Value:
        """Return the value below `keys`, or the nearest above it that the file has."""
        value = self
        for key in keys:
            if key not in value.entries:
                break
            value = value.entries[key]
        return value


class Missing:
    """What a value reads as when it is wrong; the mistake is already noted."""


MISSING: Final = Missing()

Check = Callable[[Value], str | None]
"""Looks at a scalar and gives the sentence of its mistake, without the option's name, or None."""


class Notes:
    """The mistakes found so far in one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.mistakes: list[Mistake] = []

    def at(self, value: Value, sentence: str, *, warning: bool = False) -> None:
        """Note that `value` is wrong, or only odd."""
        self.place(value.line, value.column, value.path, sentence, warning=warning)

    def within(self, value: Value, sentence: str, *, warning: bool = False) -> None:
        """Note that something is missing inside `value`: at its key."""
        self.place(value.key_line, value.column, value.path, sentence, warning=warning)

    def place(self, line: int, column: int, path: str, sentence: str, *, warning: bool = False) -> None:
        """Note a mistake by its place."""
        self.mistakes.append(
            Mistake(
                line=line,
                column=column,
                path=path,
                sentence=sentence,
                file=self.file,
                severity="warning" if warning else "mistake",
            )
        )

    @property
    def found(self) -> tuple[Mistake, ...]:
        """Every mistake once, in the order of the file."""
        return tuple(dict.fromkeys(sorted(self.mistakes, key=lambda note: (note.line, note.column))))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that `word` was probably meant to be."""
    names = {name.casefold(): name for name in known}
    folded = word[:100].casefold()
    close = difflib.get_close_matches(folded, names, n=1, cutoff=0.6)
    if not close and len(folded) > 2:
        close = [name for name in names if name.startswith(folded)]
    return names[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a half sentence with the nearest known name, or all of them when they are few, or nothing."""
    names = tuple(known)
    near = nearest(word, names)
    if near is not None:
        return f" Did you mean `{near}`?"
    return f" Known are {listed(names)}." if 0 < len(names) <= 8 else ""


def listed(names: Iterable[str], word: str = "and") -> str:
    """Return names as prose: `a`, `b` and `c`."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {word} {quoted[-1]}" if quoted else ""


# Text -> values with places


def parse(text: str, environ: Mapping[str, str], notes: Notes) -> Value | None:
    """Return the mapping that `text` is, its variables filled in from `environ`; None if it is none.

    Whatever is wrong goes into `notes`; no text makes this raise.
    """
    if len(text) > LONGEST_TEXT:
        notes.place(0, 1, "", f"This is longer than {LONGEST_TEXT} characters; it is no workspace file.")
        return None
    text = text.removeprefix("\ufeff")
    # `{key: ${NAME}}` is no YAML, braces being the signs of a mapping there; two signs of the private
    # area of Unicode take their place while YAML is read, one for one, so that columns stay true.
    hidden = _VARIABLE.sub(lambda found: f"$\ue000{found[1]}\ue001", text)
    try:
        node = YAML(typ="safe", pure=True).compose(hidden)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 1)
        notes.place(line, column, "", f"This is no YAML: {_shown(said)}.{_syntax_hint(text, line)}")
        return None
    except YAMLError as error:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 0
        notes.place(line, 1, "", "This is no YAML: it holds a character that no text has.")
        return None
    except RecursionError:
        notes.place(0, 1, "", "This is no workspace file: it is nested too deeply.")
        return None
    except (ValueError, TypeError, AttributeError, LookupError, AssertionError, NotImplementedError):
        # Odd directives and escapes end in such errors inside the YAML library.
        notes.place(0, 1, "", "This is no YAML that can be read.")
        return None
    if node is None:
        notes.place(1, 1, "", "The file is empty.")
        return None
    root = _Conversion(environ, notes).value(node, "", node.start_mark.line + 1, ())
    if root.kind != "mapping":
        notes.place(root.line, root.column, "", "A workspace file is a list of `option: value` lines; this is not.")
        return None
    return root


def _syntax_hint(text: str, line: int) -> str:
    lines = text.splitlines()
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return " Indent with spaces, not with tabs."
    if re.search(r":\s+[^'\"\[{#]*:\s", written):
        return " Put a value that has a colon in it in quotes."
    return ""


def _shown(text: str) -> str:
    return _HIDDEN_VARIABLE.sub(r"\1${\2}", text).replace("\n", " ")


class _Conversion:
    """Turns the YAML library's nodes into values; counts them: a few aliases can stand for millions."""

    def __init__(self, environ: Mapping[str, str], notes: Notes) -> None:
        self.environ = environ
        self.notes = notes
        self.left = MOST_VALUES

    def value(self, node: Any, path: str, key_line: int, above: tuple[int, ...]) -> Value:
        mark = node.start_mark
        value = Value(path=path, line=mark.line + 1, column=mark.column + 1, key_line=key_line, kind="nothing")
        self.left -= 1
        if self.left < 0 or len(above) > DEEPEST or id(node) in above:
            if self.left != -2:  # once is enough
                self.left = min(self.left, -1)
                self.notes.at(value, "This holds itself, or far more values than a workspace file can have.")
                self.left = -2
            return value
        tag = str(node.tag or "")
        if not tag.startswith(_TAG):
            self.notes.at(value, f"`{tag}` is a YAML tag; a workspace file has none.")
            return value
        kind = tag.removeprefix(_TAG)
        if kind in {"map", "seq"}:
            self._fill(value, node, kind, (*above, id(node)))
        elif kind == "null" and node.value == "":
            value.line = key_line  # the library places an empty value where the next one begins
        elif kind != "null" or node.value not in {"", "~", "null", "Null", "NULL"}:
            self._scalar(value, node, kind)
        return value

    def _fill(self, value: Value, node: Any, kind: str, above: tuple[int, ...]) -> None:
        if kind == "seq":
            value.kind = "list"
            value.items = [
                self.value(item, f"{value.path}[{number}]", item.start_mark.line + 1, above)
                for number, item in enumerate(node.value)
            ]
            return
        value.kind = "mapping"
        value.entries = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            line, column = mark.line + 1, mark.column + 1
            if not isinstance(key_node.value, str):
                self.notes.place(line, column, value.path, "The name of an option must be one word or text.")
                continue
            key = _shown(key_node.value)
            path = f"{value.path}.{key}" if value.path else key
            if key == "<<":
                self.notes.place(line, column, path, "`<<` is not read; write the options out.")
                continue
            entry = self.value(value_node, path, line, above)
            if key in value.entries:
                first = value.entries[key].key_line
                self.notes.place(line, column, path, f"`{key}` stands here twice; the first is on line {first}.")
                continue
            value.entries[key] = entry

    def _scalar(self, value: Value, node: Any, kind: str) -> None:
        written = str(node.value)
        value.kind = "scalar"
        value.raw = _shown(written)
        value.boolean = kind == "bool"
        missing = False

        def fill(found: re.Match[str]) -> str:
            nonlocal missing
            escape, name = found.groups()
            if escape:
                return f"${{{name}}}"
            value.variable = True
            filled = self.environ.get(name)
            if not filled:
                missing = True
                state = "not set" if filled is None else "empty"
                self.notes.at(value, f"The environment variable {name}, which `{value.path}` needs, is {state}.")
                return ""
            return filled.rstrip("\r\n")  # a secret kept in a file often ends with a line break

        text = _HIDDEN_VARIABLE.sub(fill, written)
        value.text = None if missing else text
        odd = _UNREADABLE_VARIABLE.search(written)
        if odd is not None:
            value.text = None
            self.notes.at(
                value,
                f"`{odd[0]}` names no environment variable; write `${{NAME}}` with letters, digits and `_`.",
            )


# Values -> records


class Reading:
    """Reads values into the records that msgspec describes, noting every mistake.

    `checks` are the words that options carry in `Meta(extra={"is": word})`; `records` are classes that are
    read in a way of their own.
    """

    def __init__(
        self,
        notes: Notes,
        checks: Mapping[str, Check],
        records: Mapping[type, Callable[[Value], Any]],
    ) -> None:
        self.notes = notes
        self.checks = checks
        self.records = records

    def record(self, value: Value, shape: type) -> Any:
        """Return `value` as a `shape`, or `MISSING`."""
        kind = inspect.type_info(shape)
        if not isinstance(kind, inspect.StructType):
            raise TypeError(f"{shape!r} is no Struct")
        if value.kind != "mapping":
            self.notes.at(value, f"`{value.path}` must hold options of its own, indented below it.")
            return MISSING
        return build(shape, self.fields(value, kind.fields))

    def fields(self, value: Value, fields: Iterable[inspect.Field], known: Iterable[str] = ()) -> dict[str, Any]:
        """Return what is right among the fields of a mapping by attribute, defaults included; a wrong one is `MISSING`.

        `known` are further names that belong here but are none of `fields`.
        """
        by_name = {field.encode_name: field for field in fields}
        names = (*by_name, *known)
        meant: set[str] = set()
        for key, entry in value.entries.items():
            if key not in names:
                absent = [name for name in names if name not in value.entries]
                near = nearest(key, absent) or nearest(key, names)
                if near is not None:
                    meant.add(near)
                sentence = f"There is no option `{entry.path}`.{_meant(key, near, names)}"
                self.notes.place(entry.key_line, entry.column, entry.path, sentence)
        read: dict[str, Any] = {}
        for name, field in by_name.items():
            read[field.name] = self._field(value, field, name, meant=name in meant)
        return read

    def _field(self, value: Value, field: inspect.Field, name: str, *, meant: bool) -> Any:
        entry = value.entries.get(name)
        if entry is not None and entry.kind == "nothing" and entry.raw == "" and not field.required:
            entry = None  # `sources:` with nothing below it is as good as no line
        if entry is not None:
            return self.read(entry, field.type)
        if field.default is not NODEFAULT:
            return MISSING if meant else field.default
        if field.default_factory is not NODEFAULT:
            return MISSING if meant else field.default_factory()
        if not meant and name not in value.entries:
            where = f"`{value.path}` needs" if value.path else "The workspace needs"
            self.notes.within(value, f"{where} the option `{name}`{sentence_of(field.type)}")
        elif not meant:
            self.notes.within(value.entries[name], f"`{value.entries[name].path}` is empty.")
        return MISSING

    def read(self, value: Value, kind: inspect.Type) -> Any:
        """Return `value` as `kind`, or `MISSING`."""
        kind, extra = unwrapped(kind)
        if isinstance(kind, inspect.UnionType):
            return self._one_of(value, kind, extra)
        if isinstance(kind, inspect.AnyType):
            return plain(value)
        if isinstance(kind, inspect.StructType):
            own = self.records.get(kind.cls)
            return self.record(value, kind.cls) if own is None else own(value)
        if isinstance(kind, inspect.DictType):
            return self._mapping(value, kind)
        if isinstance(kind, inspect.VarTupleType):
            return self._list(value, kind)
        return self._scalar(value, kind, extra)

    def _one_of(self, value: Value, kind: inspect.UnionType, extra: Mapping[str, Any]) -> Any:
        if value.kind == "nothing" and any(isinstance(one, inspect.NoneType) for one in kind.types):
            return None
        several = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        fitting = [one for one in several if isinstance(one, inspect.DictType) == (value.kind == "mapping")]
        chosen = (fitting or several)[0]
        return self.read(value, inspect.Metadata(chosen, extra=dict(extra)))

    def _mapping(self, value: Value, kind: inspect.DictType) -> Any:
        if value.kind != "mapping":
            self.notes.at(value, f"`{value.path}` must be a list of `name: value` lines below it.")
            return MISSING
        check = self.checks.get(unwrapped(kind.key_type)[1].get("is", ""))
        wrong = {key: check(_named(key, entry)) for key, entry in value.entries.items()} if check is not None else {}
        for key, sentence in wrong.items():
            if sentence is not None:
                entry = value.entries[key]
                self.notes.place(entry.key_line, entry.column, entry.path, sentence)
        read = {key: self.read(entry, kind.value_type) for key, entry in value.entries.items()}
        return MISSING if MISSING in read.values() or any(wrong.values()) else read

    def _list(self, value: Value, kind: inspect.VarTupleType) -> Any:
        if value.kind != "list":
            hint = f": write `[{value.raw}]`" if value.kind == "scalar" else ""
            self.notes.at(value, f"`{value.path}` must be a list{hint}.")
            return MISSING
        read = tuple(self.read(item, kind.item_type) for item in value.items)
        return MISSING if MISSING in read else read

    def _scalar(self, value: Value, kind: inspect.Type, extra: Mapping[str, Any]) -> Any:
        if value.kind == "nothing":
            self.notes.at(value, f"`{value.path}` is empty.")
            return MISSING
        if value.kind != "scalar":
            self.notes.at(value, f"`{value.path}` must be one value, not a {value.kind}.")
            return MISSING
        if value.text is None:
            return MISSING
        if value.text == "":
            self.notes.at(value, f"`{value.path}` is empty.")
            return MISSING
        if extra.get("secret") and not value.variable:
            self.notes.at(value, secret_sentence(value))
            return MISSING
        # A check of the option's own says more than its type can, so it goes first.
        wrong = self.checks[extra["is"]](value) if "is" in extra else None
        read = _READERS[type(kind)](value, kind) if wrong is None else MISSING
        if isinstance(read, _Wrong):
            wrong = read.sentence
        if wrong is not None:
            self.notes.at(value, wrong)
            return MISSING
        return read


def _named(key: str, entry: Value) -> Value:
    """The name of an entry as a value of its own, for the checks."""
    return Value(
        path=entry.path, line=entry.key_line, column=entry.column, key_line=entry.key_line, kind="scalar", raw=key, text=key
    )


def build(shape: type, fields: Mapping[str, Any]) -> Any:
    """Return a `shape` of `fields`, or `MISSING` when one of them is."""
    return MISSING if MISSING in fields.values() else shape(**fields)


def secret_sentence(value: Value) -> str:
    """Say that a secret stands in the file, and what to write instead; never the secret."""
    *_, owner, name = ("", *value.path.split("."))
    variable = re.sub(r"[^A-Z0-9]+", "_", f"{owner}_{name}".upper()).strip("_")
    return (
        f"`{value.path}` is a secret and stands in the file. Put it into an environment variable, "
        f"such as {variable}, and write `${{{variable}}}` here."
    )


def unwrapped(kind: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """Return a type without its metadata, and what that says."""
    extra: dict[str, Any] = {}
    while isinstance(kind, inspect.Metadata):
        extra = {**(kind.extra or {}), **extra}
        if kind.extra_json_schema and "description" in kind.extra_json_schema:
            extra.setdefault("description", kind.extra_json_schema["description"])
        kind = kind.type
    return kind, extra


def sentence_of(kind: inspect.Type) -> str:
    """Return an option's own sentence as the end of another: `: What it is.`"""
    said = unwrapped(kind)[1].get("description", "")
    return f": {said[0].lower()}{said[1:]}" if said else "."


def _meant(key: str, near: str | None, names: tuple[str, ...]) -> str:
    return f" Did you mean `{near}`?" if near is not None else did_you_mean(key, names)


def plain(value: Value) -> Any:
    """Return a value as plain data: mappings, lists and texts; `MISSING` where a variable is."""
    if value.kind == "mapping":
        read: Any = {key: plain(entry) for key, entry in value.entries.items()}
        return MISSING if MISSING in read.values() else read
    if value.kind == "list":
        read = [plain(item) for item in value.items]
        return MISSING if MISSING in read else read
    return None if value.kind == "nothing" else MISSING if value.text is None else value.text


class _Wrong(Struct, frozen=True):
    sentence: str


def _text(value: Value, kind: Any) -> str | _Wrong:
    text = value.text or ""
    if value.boolean:
        return _Wrong(f"`{value.path}` must be text; put `{value.raw}` in quotes if that is what you mean.")
    if kind.pattern is not None and re.search(kind.pattern, text) is None:
        return _Wrong(f"`{value.path}` cannot be `{value.raw}`.")
    return text


def _literal(value: Value, kind: Any) -> str | _Wrong:
    if value.text is not None and value.text in kind.values:
        return value.text
    choice = listed(map(str, kind.values), "or")
    return _Wrong(f"`{value.path}` must be {choice}, not `{value.raw}`.{_near_choice(value.raw, kind.values)}")


def _near_choice(word: str, choices: Iterable[str]) -> str:
    near = nearest(word, choices)
    return f" Did you mean `{near}`?" if near is not None else ""


def _integer(value: Value, kind: Any) -> int | _Wrong:
    text = value.text or ""
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text) is None:
        return _Wrong(f"`{value.path}` must be a whole number, not `{value.raw}`.")
    number = int(text)
    if kind.ge is not None and number < kind.ge:
        return _Wrong(f"`{value.path}` must be at least {kind.ge}, not `{value.raw}`.")
    if kind.le is not None and number > kind.le:
        return _Wrong(f"`{value.path}` must be at most {kind.le}, not `{value.raw}`.")
    return number


def _boolean(value: Value, _kind: Any) -> bool | _Wrong:
    if (value.text or "").lower() in {"true", "false"}:
        return (value.text or "").lower() == "true"
    return _Wrong(f"`{value.path}` must be `true` or `false`, not `{value.raw}`.")


_READERS: dict[type, Callable[[Value, Any], Any]] = {
    inspect.StrType: _text,
    inspect.LiteralType: _literal,
    inspect.IntType: _integer,
    inspect.BoolType: _boolean,
}
