"""The workspace file, read and checked: `load` for those who start something, `check` for all that is wrong.

`options.py` has the options themselves. Nothing but this file is given the environment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec
from msgspec import Struct, inspect

from signalpost import conditions
from signalpost.errors import ConfigError
from signalpost.events import IDENTIFIER_KINDS
from signalpost.iso import COUNTRIES, CURRENCIES
from signalpost.marked import (
    MISSING,
    Mistake,
    Notes,
    Reading,
    Value,
    build,
    did_you_mean,
    listed,
    nearest,
    parse,
    secret_sentence,
    sentence_of,
)
from signalpost.options import (
    ROLLOUT_MEASURES,
    UNITS,
    Audience,
    Consent,
    Derived,
    Destination,
    Gate,
    Identity,
    Orders,
    Retention,
    Server,
    Source,
    Stage,
    Workspace,
    bound,
    duration,
    number,
    share,
)
from signalpost.presets import PARAMETERS, PRESETS, slug
from signalpost.segments import catalog as segment_catalog
from signalpost.segments import checking, guards, tiers
from signalpost.segments.language import BOUNDS, LADDER, LINES
from signalpost.segments.operands import Known
from signalpost.vocabulary import CANONICAL_EVENTS, MESSAGE_EVENTS, canonical

__all__ = [
    "Consent", "Destination", "Identity", "Mistake", "Orders", "Platform", "Retention", "Server", "Source",
    "Workspace", "check", "duration", "load", "objection", "schema",
]  # fmt: skip

FILE = "signalpost.yaml"
"""What the workspace file is called where nobody says otherwise."""

SOURCE_KEYS: dict[str, tuple[str, ...]] = {
    "pipelines": ("write_key",),
    "track": ("site_id", "api_key"),
    "shopify": ("secret",),
    "reporting": ("secret",),
}
"""Which keys each type of source needs; it has no others."""

NEEDS_TEST_CODE = frozenset({"tiktok"})
"""Platforms that know a test event only by a code of the account's owner (Pinterest has a switch instead)."""


DERIVABLE = frozenset({"First Purchase", "Second Purchase", "Repeat Purchase", "Subscription Started", "Trial Started"})
"""Canonical events that Signalpost may derive itself; another one of that name would be reported twice."""

MAILBOXES = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "yahoo.com",
        "icloud.com",
        "me.com",
        "aol.com",
        "gmx.de",
        "gmx.net",
        "web.de",
        "proton.me",
        "mail.ru",
        "qq.com",
        "163.com",
    ]
)
"""Domains where customers have their mail, and no brand its own."""


class PlatformSetting(Protocol):
    """What `destinations.contract.Setting` is to this file."""

    @property
    def name(self) -> str: ...
    @property
    def doc(self) -> str: ...
    @property
    def secret(self) -> bool: ...
    @property
    def required(self) -> bool: ...
    @property
    def default(self) -> str | None: ...
    @property
    def pattern(self) -> str | None: ...


class PlatformLimits(Protocol):
    """What `destinations.contract.Limits` is to this file."""

    @property
    def batch(self) -> int: ...
    @property
    def oldest_ms(self) -> int: ...
    @property
    def oldest_possible_ms(self) -> int | None: ...


class PlatformCustom(Protocol):
    """What `mapping.Custom` is to this file."""

    @property
    def parent(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, object]: ...
    @property
    def other(self) -> object | None: ...


class PlatformAudience(Protocol):
    """What `destinations.audiences.AudiencePart` is to this file."""

    @property
    def files(self) -> object | None: ...
    @property
    def needs(self) -> Callable[[Mapping[str, str]], str]: ...


class Platform(Protocol):
    """What `destinations.contract.Destination` is to this file, which stands below the destinations."""

    @property
    def title(self) -> str: ...
    @property
    def settings(self) -> tuple[PlatformSetting, ...]: ...
    @property
    def events(self) -> dict[str, str]: ...
    @property
    def event_names(self) -> frozenset[str]: ...
    @property
    def custom_events(self) -> bool: ...
    @property
    def custom(self) -> PlatformCustom: ...
    @property
    def currencies(self) -> frozenset[str] | None: ...
    @property
    def limits(self) -> PlatformLimits: ...
    @property
    def purchase(self) -> str: ...
    @property
    def audience(self) -> PlatformAudience | None: ...


Catalog = Mapping[str, Platform]
"""The platforms there are, by the name that `type` gives them: `signalpost.destinations` has them."""


def load(path: Path, environ: Mapping[str, str], catalog: Catalog) -> Workspace:
    """Return the workspace that the file at `path` describes; raise `ConfigError` with all its mistakes."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError((_whole_file(path, f"The workspace file cannot be read: {reason}."),)) from error
    except UnicodeDecodeError as error:
        raise ConfigError((_whole_file(path, "The workspace file is not UTF-8 text."),)) from error
    workspace, mistakes = check(text, environ, catalog, file=str(path))
    if workspace is None:
        raise ConfigError(tuple(mistake for mistake in mistakes if mistake.severity == "mistake"))
    if not in_a_file(workspace.database):
        return workspace
    return msgspec.structs.replace(workspace, database=str(path.resolve().parent / Path(workspace.database).expanduser()))


def in_a_file(address: str) -> bool:
    """Whether an address is that of an embedded database, a file or `:memory:`; else it is a PostgreSQL server's."""
    return not (address.startswith(("postgresql://", "postgres://")) or "host=" in address)


def check(
    text: str, environ: Mapping[str, str], catalog: Catalog, *, file: str = FILE
) -> tuple[Workspace | None, tuple[Mistake, ...]]:
    """Return the workspace that `text` describes, or None, and everything that is wrong or odd about it.

    No text makes this raise. There is a workspace exactly when every note is a warning.
    """
    notes = Notes(file)
    root = parse(text, environ, notes)
    if root is None:
        return None, notes.found
    workspace = _Checking(notes, root, catalog).workspace()
    if workspace is not None and not _wrong(notes):
        segments = segment_catalog.of(workspace)
        for name, sentence in tiers.mistakes(segments, tiers.made_of(workspace)):
            value = root.find("tiers" if name in workspace.tiers else "segments", name)
            notes.place(value.key_line, value.column, value.path, sentence)
        for guard in guards.find(workspace, segments.rules):
            value = root.find("audiences").items[guard.place].find(guard.option)
            notes.at(value, f"{guard.sentence} {guard.advice}", warning=True)
    if _wrong(notes):
        workspace = None
    return workspace, notes.found


def _wrong(notes: Notes) -> bool:
    return any(note.severity == "mistake" for note in notes.mistakes)


def objection(name: str, answer: str) -> str | None:
    """Return what is wrong with `answer` for the workspace's option `name`, as a sentence, or None."""
    notes = Notes("")
    value = Value(path=name, line=0, column=0, key_line=0, kind="scalar", raw=answer, text=answer)
    option = next(one for one in _fields(Workspace) if one.name == name)
    Reading(notes, _CHECKS, {}).read(value, option.type)
    return notes.mistakes[0].sentence if notes.mistakes else None


def schema(catalog: Catalog) -> dict[str, Any]:
    """Return the JSON Schema of the workspace file, for editors."""
    described = msgspec.json.schema(Workspace)
    described["title"] = "Signalpost workspace file"
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    definitions = described["$defs"]
    definitions["Workspace"]["properties"]["events"]["additionalProperties"] = {
        "anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]
    }
    definitions["Source"]["allOf"] = [
        {"if": {"properties": {"type": {"const": name}}}, "then": {"required": [*keys]}}
        for name, keys in SOURCE_KEYS.items()
        if keys
    ]
    # An amount is read as the text it is written in, so that it stays exact; people write it as a number.
    definitions["Workspace"]["properties"]["rates"]["additionalProperties"]["type"] = ["string", "number"]
    definitions["Derived"]["properties"]["lifetime_value"]["anyOf"][0]["type"] = ["string", "number"]
    definitions["Condition"] = _condition_schema()
    definitions["Gate"]["properties"]["when"]["$ref"] = "#/$defs/Condition"
    definitions["Derived"]["properties"]["where"]["$ref"] = "#/$defs/Condition"
    definitions["Rule"] = _rule_schema()
    definitions["Workspace"]["properties"]["segments"]["additionalProperties"] = {"$ref": "#/$defs/Rule"}
    for name in ("to", "unless"):
        several = definitions["Audience"]["properties"][name]
        several["anyOf"] = [{"type": "string"}, {"type": several.pop("type"), "items": several.pop("items")}]
    for name in ("bounds", "quantiles"):
        definitions["ValueTiers"]["properties"][name]["items"]["type"] = ["string", "number"]
    definitions["Gate"]["properties"]["preset"]["anyOf"] = [{"enum": [*PRESETS]}, {"type": "null"}]
    definitions["Stage"]["properties"]["until"]["propertyNames"] = {"enum": [*ROLLOUT_MEASURES]}
    destination = definitions["Destination"]
    del destination["properties"]["settings"]
    destination["properties"]["type"]["enum"] = sorted(catalog)
    destination["allOf"] = []
    for name, platform in sorted(catalog.items()):
        for setting in platform.settings:
            # Account ids are often digits only; a number is as good as text here.
            described_setting = {"type": ["string", "integer"], "description": setting.doc}
            destination["properties"].setdefault(setting.name, described_setting)
        needed = [setting.name for setting in platform.settings if setting.required and setting.default is None]
        destination["allOf"].append({"if": {"properties": {"type": {"const": name}}}, "then": {"required": needed}})
    for definition in definitions.values():
        for option in definition.get("properties", {}).values():
            _allow_variables(option)
    return dict(json.loads(json.dumps(described)))


def _condition_schema() -> dict[str, Any]:
    """What a condition may look at, for editors; what may be asked of each path `check` says."""
    several = {"type": "array", "items": {"$ref": "#/$defs/Condition"}, "minItems": 1}
    paths = {name: {"description": known.doc} for name, known in conditions.PATHS.items()}
    return {
        "title": "Condition",
        "description": "Paths and what must hold of them; all of it must.",
        "type": "object",
        "properties": {
            "all": {**several, "description": "Every one of these must hold."},
            "any": {**several, "description": "At least one of these must hold."},
            "not": {"anyOf": [{"$ref": "#/$defs/Condition"}, several], "description": "None of these may hold."},
            **paths,
        },
        "patternProperties": {rf"^{re.escape(root)}\..": {} for root in conditions.OPEN},
        "additionalProperties": False,
        "minProperties": 1,
    }


def _rule_schema() -> dict[str, Any]:
    """What a segment's rule may hold, for editors; what stands beside what `check` says."""
    several = {"type": "array", "items": {"$ref": "#/$defs/Rule"}, "minItems": 1}
    of_rules: dict[str, dict[str, Any]] = {"all": several, "any": several, "not": {"anyOf": [{"$ref": "#/$defs/Rule"}, several]}}
    words = {**LINES, **{name: key for name, (key, _) in BOUNDS.items()}, **LADDER}
    return {
        "title": "Rule",
        "description": "A segment: lines that must all hold, or a ladder.",
        "type": "object",
        "properties": {name: {**of_rules.get(name, {}), "description": key.doc} for name, key in words.items()},
        "additionalProperties": False,
        "minProperties": 1,
    }


class _Checking:
    """One check of one file: reads it, then looks at what no single option can know."""

    def __init__(self, notes: Notes, root: Value, catalog: Catalog) -> None:
        self.notes = notes
        self.root = root
        self.catalog = catalog
        checks = {**_CHECKS, "event": self._is_event, "happening": self._is_happening}
        records: dict[type, Callable[[Value], Any]] = {
            Source: self._source,
            Destination: self._destination,
            Gate: self._gate,
            Derived: self._derived,
            Audience: self._audience,
        }
        self.reading = Reading(notes, checks, records)
        self.own_events = {
            name: target.text
            for name, target in root.find("events").entries.items()
            if target.kind == "scalar" and target.text
        } if "events" in root.entries else {}  # fmt: skip
        self.derived = root.find("derived").entries if "derived" in root.entries else {}

    def workspace(self) -> Workspace | None:
        fields = self.reading.fields(self.root, _fields(Workspace))
        self._events()
        self._derived_names()
        self._gate_names()
        self._holds(fields["holds"])
        self._rates(fields["currency"])
        self._segments(fields["timezone"])
        self._accounts(production=fields["environment"] == "production")
        self._keys()
        self._server()
        self._ends()
        self._test_codes(test=fields["environment"] == "test")
        self._currency(fields["currency"])
        built = build(Workspace, fields)
        if not isinstance(built, Workspace):
            return None
        self._audience_accounts(built)
        return built

    def _source(self, value: Value) -> Any:
        if value.kind != "mapping":
            self.notes.at(value, f"`{value.path}` must hold options of its own, such as `type: pipelines`.")
            return MISSING
        fields = self.reading.fields(value, _fields(Source))
        kind = fields["type"]
        for key in SOURCE_KEYS.get(kind, ()):
            if fields[key] is None:
                sentence = f"`{value.path}` is of type `{kind}` and needs the option `{key}`{_sentence(Source, key)}"
                self.notes.within(value, sentence)
        for key, entry in value.entries.items():
            if kind in SOURCE_KEYS and key in _NAMES[Source] - {"type", *SOURCE_KEYS[kind]}:
                self.notes.place(
                    entry.key_line,
                    entry.column,
                    entry.path,
                    f"A source of type `{kind}` has no option `{key}`.",
                )
        return build(Source, fields)

    def _destination(self, value: Value) -> Any:
        if value.kind != "mapping":
            self.notes.at(value, f"`{value.path}` must hold options of its own, such as `type: tiktok`.")
            return MISSING
        kind = value.entries.get("type")
        platform = self.catalog.get(kind.text or "") if kind is not None and kind.kind == "scalar" else None
        own = {setting.name: setting for setting in platform.settings} if platform is not None else {}
        generic = [one for one in _fields(Destination) if one.name != "settings" and one.encode_name not in own]
        if platform is None:
            if kind is not None and kind.kind == "scalar" and kind.text:
                known = did_you_mean(kind.raw, self.catalog)
                self.notes.at(kind, f"There is no platform `{kind.raw}`.{known}")
            # Without its platform nobody can tell which other names are wrong.
            names = [one.encode_name for one in generic]
            fields = self.reading.fields(value, generic, [key for key in value.entries if key not in names])
            return MISSING
        fields = self.reading.fields(value, generic, own)
        fields["settings"] = self._settings(value, own.values())
        for name in own.keys() & _NAMES[Destination]:  # a platform may say more of an option that all have
            fields[name] = fields["settings"].get(name) if fields["settings"] is not MISSING else MISSING
        fields["events"] = self._mapping(value, fields["events"], platform)
        self._limits(value, fields, platform)
        events = platform.events if fields["events"] == "standard" else fields["events"]
        if isinstance(events, dict):
            self._stages(value, fields["rollout"], events)
            self._pixel(value, fields["pixel"], events)
        return build(Destination, fields)

    def _is_event(self, value: Value) -> str | None:
        """The check of an event's name where only the canonical one counts, an event of the shop's own or a derived one."""
        name = value.text or ""
        own = [one for one, target in self.own_events.items() if target == one]
        if name in CANONICAL_EVENTS or name in own or name in self.derived:
            return None
        meant = canonical(name, self.own_events)
        if meant != name:
            return f"There is no canonical event `{value.raw}`: its canonical name is `{meant}`."
        return f"There is no event `{value.raw}`.{_near(name, [*self.derived, *own, *CANONICAL_EVENTS])}"

    def _is_happening(self, value: Value) -> str | None:
        """The same where what became of a message counts too, such as `Customer Unsubscribed`."""
        return None if value.text in MESSAGE_EVENTS else self._is_event(value)

    def _gate(self, value: Value) -> Any:
        if value.kind != "mapping":
            self.notes.at(value, f"`{value.path}` must hold options of its own, such as `preset: zero_value`.")
            return MISSING
        fields = self.reading.fields(value, _fields(Gate))
        written = value.entries
        if "preset" in written:
            self._preset(value, fields["preset"])
        elif "reason" not in written or "when" not in written:
            self.notes.within(
                value,
                f"`{value.path}` needs either `preset`, a rule by name, or `reason` and `when`, a rule of your own.",
            )
        else:
            for name in (name for name in PARAMETERS if name in written):
                self._foreign(written[name], f"`{name}` belongs to presets; a rule of your own says it under `when`.")
        if "when" in written and conditions.read(written["when"], self.notes) is None:
            fields["when"] = MISSING
        if isinstance(fields["reason"], str) and not slug(fields["reason"]):
            self.notes.at(written["reason"], f"`{value.path}.reason` needs letters or digits: the ledger's name is made of it.")
        there = self.root.find("destinations").entries if "destinations" in self.root.entries else {}
        for one in written["destinations"].items if "destinations" in written else ():
            if one.kind == "scalar" and one.text is not None and one.text not in there:
                self.notes.at(one, f"There is no destination `{one.raw}`.{did_you_mean(one.raw, there)}")
        for one in written["email_domains"].items if "email_domains" in written else ():
            domain = (one.text or "").removeprefix("@").lower()
            if one.text and re.fullmatch(r"[^@\s.]+(\.[^@\s.]+)+", domain) is None:
                self.notes.at(one, f"`{one.path}` must be a mail domain such as `glow-skincare.com`, not `{one.raw}`.")
            elif domain in MAILBOXES:
                self.notes.at(one, f"`{one.raw}` is a mailbox of everybody: this withholds your customers' events.", warning=True)
        return build(Gate, fields)

    def _preset(self, value: Value, name: Any) -> None:
        written = value.entries
        preset = PRESETS.get(name) if isinstance(name, str) else None
        if isinstance(name, str) and preset is None:
            known = did_you_mean(name, PRESETS) or " `signalpost gates` prints them all."
            self.notes.at(written["preset"], f"There is no preset `{written['preset'].raw}`.{known}")
        for other in (other for other in ("reason", "when") if other in written):
            self._foreign(written[other], f"A preset brings its own `{other}`; write a rule of your own without `preset`.")
        for parameter in (one for one in PARAMETERS if one in written and preset is not None):
            if preset is not None and parameter not in preset.takes:
                takes = f"it takes {listed(preset.takes)}" if preset.takes else "it takes none"
                self._foreign(written[parameter], f"The preset `{name}` has no parameter `{parameter}`: {takes}.")

    def _foreign(self, entry: Value, sentence: str) -> None:
        self.notes.place(entry.key_line, entry.column, entry.path, sentence)

    def _gate_names(self) -> None:
        """The ledger tells gates apart by name, so no two have the same."""
        seen: dict[str, Value] = {}
        for gate in self.root.entries["gates"].items if "gates" in self.root.entries else ():
            given = gate.entries.get("preset") or gate.entries.get("reason")
            if given is None or given.kind != "scalar" or not given.text:
                continue
            name = given.text if "preset" in gate.entries else slug(given.text)
            if name in seen and name:
                self.notes.at(
                    given,
                    f"Two gates are called `{name}`; the other is on line {seen[name].line}. Give one of them a `reason` of its"
                    " own and its condition under `when` (`signalpost gates` prints a preset's).",
                )
            seen.setdefault(name, given)

    def _derived(self, value: Value) -> Any:
        if value.kind != "mapping":
            self.notes.at(value, f"`{value.path}` must hold options of its own, such as `nth_order: 2`.")
            return MISSING
        fields = self.reading.fields(value, _fields(Derived))
        kinds = ("nth_order", "returned_after", "lifetime_value", "first")
        given = [kind for kind in kinds if kind in value.entries]
        if len(given) != 1:
            said = f", not {listed(given)}" if given else ""
            self.notes.within(value, f"`{value.path}` needs exactly one of {listed(kinds, 'or')}{said}.")
        first = value.entries.get("first")
        if first is not None and first.text in self.derived:
            self.notes.at(first, f"`{first.path}` is a derived event itself; it must be one that a source reports.")
        if "where" in value.entries and conditions.read(value.entries["where"], self.notes) is None:
            fields["where"] = MISSING
        return build(Derived, fields)

    def _derived_names(self) -> None:
        for name, one in self.derived.items():
            meant = canonical(name, self.own_events)
            if name in self.own_events:
                sentence = f"`{name}` is an event of the shop (under `events`); a derived one needs a name of its own."
            elif (name in CANONICAL_EVENTS and name not in DERIVABLE) or meant != name:
                what = f"`{name}` is" if meant == name else f"`{name}` reads as `{meant}`, which is"
                sentence = f"{what} an event of the sources; a derived one needs a name of its own, such as `Third Purchase`."
            elif not name.isprintable() or not name.strip() or len(name) > 80:
                sentence = "The name of a derived event is a text of up to 80 characters, such as `Third Purchase`."
            else:
                continue
            self.notes.place(one.key_line, one.column, one.path, sentence)

    def _audience(self, value: Value) -> Any:
        if value.kind != "mapping":
            self.notes.at(value, f"`{value.path}` must hold options of its own, such as `segment: vip`.")
            return MISSING
        for key in ("to", "unless"):  # one alone is as good as a list
            entry = value.entries.get(key)
            if entry is not None and entry.kind == "scalar":
                value.entries[key] = msgspec.structs.replace(entry, kind="list", items=[entry])
        return self.reading.record(value, Audience)

    def _segments(self, zone: Any) -> None:
        own = {name for name, target in self.own_events.items() if name == target}
        known = Known(
            aliases=self.own_events,
            events=frozenset({*own, *self.derived}),
            zone=ZoneInfo(zone) if isinstance(zone, str) else UTC,
        )
        keeps = {kind: platform.audience for kind, platform in self.catalog.items() if platform.audience is not None}
        by_file = frozenset(kind for kind, part in keeps.items() if part.files is not None)
        checking.check(self.root, self.notes, known, frozenset(self.catalog) - keeps.keys(), by_file)

    def _audience_accounts(self, workspace: Workspace) -> None:
        """Conversions flow without what audiences need, so this is a warning, once for each destination."""
        told: set[str] = set()
        for audience in workspace.audiences:
            for name in (one for one in audience.to if one in workspace.destinations and one not in told):
                told.add(name)
                chosen = workspace.destinations[name]
                part = self.catalog[chosen.type].audience
                missing = part.needs(chosen.settings) if part is not None else ""
                if missing:
                    value = self.root.find("destinations", name)
                    self.notes.within(value, f"Audiences cannot be kept at `{name}` yet. {missing}", warning=True)

    def _stages(self, value: Value, stages: Any, events: Mapping[str, Any]) -> None:
        """Look at a rollout: every event is one this destination is told of, begins once, and every bound can be measured."""
        if "rollout" not in value.entries:
            return
        begun: dict[str, Value] = {}
        written = value.entries["rollout"].items
        for stage in written:
            for one in stage.entries["send"].items if "send" in stage.entries else ():
                name = one.text or ""
                if one.kind != "scalar" or not name or self._is_event(one) is not None:
                    continue
                if name not in events:
                    self._unmapped(one, one.raw, value, events)
                elif name in begun:
                    self.notes.at(one, f"`{one.raw}` is sent since line {begun[name].line} already; earlier events go on.")
                begun.setdefault(name, one)
            for measure, entry in stage.entries["until"].entries.items() if "until" in stage.entries else ():
                self._bound(measure, entry)
            for name, entry in stage.entries["at_most"].entries.items() if "at_most" in stage.entries else ():
                if name in CANONICAL_EVENTS and name not in events:
                    self._unmapped(entry, name, value, events)
        if written and isinstance(stages, tuple):
            last = stages[-1]
            if isinstance(last, Stage) and (last.lasts is not None or last.until):
                self.notes.at(
                    written[-1], f"`{written[-1].path}` is the last stage; nothing comes after its bounds.", warning=True
                )
            never = [name for name in events if name not in begun]
            if never and "events" in value.entries:
                self.notes.within(
                    value.entries["rollout"],
                    f"No stage of `{value.path}` sends {listed(never)}: never sent.",
                    warning=True,
                )

    def _unmapped(self, entry: Value, name: str, value: Value, events: Mapping[str, Any]) -> None:
        self.notes.at(entry, f"`{value.path}` is not told of `{name}`; add it under its `events` first.{_near(name, events)}")

    def _bound(self, measure: str, entry: Value) -> None:
        if measure not in ROLLOUT_MEASURES:
            known = did_you_mean(measure, ROLLOUT_MEASURES)
            self.notes.place(entry.key_line, entry.column, entry.path, f"There is no measure `{measure}`.{known}")
        elif entry.kind == "scalar" and entry.text:
            try:
                bound(measure, entry.text)
            except ValueError as error:
                self.notes.at(entry, f"`{entry.path}` cannot be `{entry.raw}`: {error}.")

    def _pixel(self, value: Value, pixel: Any, events: Mapping[str, Any]) -> None:
        if pixel is None or pixel is MISSING:
            return
        for one in value.entries["browser_pixel"].find("events").items:
            if one.kind == "scalar" and one.text and one.text not in events:
                self.notes.at(
                    one, f"`{value.path}` is not told of `{one.raw}` by Signalpost, so nothing is sent twice.", warning=True
                )

    def _holds(self, holds: Any) -> None:
        """A signal that is held for longer than a platform takes it would never leave."""
        for name, text in holds.items() if isinstance(holds, dict) else ():
            entry = self.root.entries["holds"].entries[name]
            for where, one in self._each("destinations"):
                platform = self.catalog.get(one.find("type").text or "")
                if platform is not None and duration(text) >= platform.limits.oldest_ms:
                    self.notes.at(
                        entry,
                        f"`{entry.path}` is longer than {platform.title} (`{where}`) takes: {_days(platform.limits.oldest_ms)}.",
                    )

    def _rates(self, currency: Any) -> None:
        held = self.root.entries.get("rates")
        if held is not None and currency in held.entries:
            entry = held.entries[currency]
            self.notes.place(
                entry.key_line, entry.column, entry.path, f"{currency} is the workspace's own currency; it needs no rate."
            )

    def _settings(self, value: Value, own: Iterable[PlatformSetting]) -> Any:
        read: dict[str, Any] = {}
        for setting in own:
            entry = value.entries.get(setting.name)
            if entry is None or (entry.kind == "nothing" and not setting.required):
                if setting.default is not None:
                    read[setting.name] = setting.default
                elif setting.required and not self._misspelt(value, setting.name):
                    self.notes.within(value, f"`{value.path}` needs the option `{setting.name}`: {setting.doc}")
                    read[setting.name] = MISSING
                continue
            read[setting.name] = self.reading.read(entry, inspect.Metadata(inspect.StrType(), extra={"secret": setting.secret}))
            text = read[setting.name]
            if isinstance(text, str) and not text.isprintable():
                self.notes.at(entry, f"`{entry.path}` holds a line break or another sign that no {setting.name} has.")
            elif isinstance(text, str) and setting.pattern and not re.fullmatch(setting.pattern, text):
                self.notes.at(entry, f"`{entry.path}` has not the form it must have. {setting.doc}")
        return MISSING if MISSING in read.values() else read

    def _misspelt(self, value: Value, name: str) -> bool:
        known = _NAMES[Destination]
        return any(nearest(key, [name]) == name for key in value.entries if key not in known and key != name)

    def _mapping(self, value: Value, events: Any, platform: Platform) -> Any:
        """Return the platform event of each canonical one, as the file says it under whatever name."""
        if not isinstance(events, dict):
            return events
        written = value.entries["events"].entries
        mapped: dict[str, Any] = {}
        noted = len(self.notes.mistakes)
        for name, target in events.items():
            entry = written[name]
            if name not in CANONICAL_EVENTS and name not in self.own_events and name not in self.derived:
                meant = canonical(name, {})
                near = _near(name, [*self.own_events, *self.derived, *CANONICAL_EVENTS])
                hint = (
                    f" Its canonical name is `{meant}`."
                    if meant != name
                    else f"{near} A shop's own event is declared under `events`, as `{name}: {name}` if need be."
                )
                self.notes.place(
                    entry.key_line,
                    entry.column,
                    entry.path,
                    f"`{name}` is no canonical event and no event of this shop.{hint}",
                )
                continue
            resolved = canonical(name, self.own_events)
            if mapped.get(resolved, target) != target:
                self.notes.at(
                    entry,
                    f"`{name}` is the event `{resolved}`, which goes to `{mapped[resolved]}` already.",
                )
                continue
            mapped[resolved] = target
            self._platform_event(entry, target, platform)
        if platform.purchase and platform.purchase not in mapped.values() and len(self.notes.mistakes) == noted:
            ordinary = next((name for name, target in platform.events.items() if target == platform.purchase), "")
            self.notes.within(
                value.entries["events"],
                f"`{value.path}` maps nothing to `{platform.purchase}`: {platform.title} hears of no purchase."
                f" Usually it is `{ordinary}: {platform.purchase}`.",
                warning=True,
            )
        return mapped

    def _platform_event(self, entry: Value, name: str, platform: Platform) -> None:
        if name in platform.event_names:
            return
        near = _near(name, platform.event_names)
        if not platform.custom_events:
            self.notes.at(entry, f"{platform.title} knows no event `{entry.raw}`.{near}")
        else:
            self.notes.at(
                entry,
                f"`{entry.raw}` is none of {platform.title}'s standard events and will be sent as a custom one.{near}",
                warning=True,
            )

    def _limits(self, value: Value, fields: dict[str, Any], platform: Platform) -> None:
        oldest, batch = fields["oldest"], fields["batch"]
        most_ms = platform.limits.oldest_possible_ms or platform.limits.oldest_ms
        if isinstance(oldest, str) and duration(oldest) > most_ms:
            most = _days(most_ms)
            self.notes.at(
                value.entries["oldest"],
                f"`{value.path}.oldest` is more than {platform.title} takes: at most {most}.",
            )
        if isinstance(batch, int) and batch > platform.limits.batch:
            self.notes.at(
                value.entries["batch"],
                f"`{value.path}.batch` is more than {platform.title} takes: at most {platform.limits.batch}.",
            )
        properties = value.find("properties") if "properties" in value.entries else None
        for name, entry in properties.entries.items() if properties is not None else ():
            if platform.custom.other is None and name not in platform.custom.fields:
                self.notes.place(
                    entry.key_line,
                    entry.column,
                    entry.path,
                    f"{platform.title} takes no `{platform.custom.parent}.{name}`.{did_you_mean(name, platform.custom.fields)}",
                )
        endpoint = value.entries.get("endpoint")
        if endpoint is not None and isinstance(fields["endpoint"], str):
            parts = urlsplit(fields["endpoint"])
            if parts.scheme == "http" and not _loopback(parts):
                self.notes.at(endpoint, f"`{endpoint.path}` sends the access token without encryption.", warning=True)

    def _events(self) -> None:
        """Look at the shop's own names: every target is a canonical event, every source exists."""
        section = self.root.entries.get("events")
        if section is None or section.kind == "nothing":
            return
        for name, target in section.entries.items():
            if name == "canonical":
                self._counted(target)
            elif target.kind != "scalar":
                self.notes.at(target, f"`{target.path}` must be the canonical name of the shop's event `{name}`.")
            elif target.text == "":
                self.notes.at(target, f"`{target.path}` is empty.")
            elif target.text is not None and target.text not in CANONICAL_EVENTS and target.text != name:
                meant = canonical(target.text, {})
                hint = f" Did you mean `{meant}`?" if meant != target.text else _near(target.raw, CANONICAL_EVENTS)
                self.notes.at(target, f"There is no canonical event `{target.raw}`.{hint}")

    def _counted(self, section: Value) -> None:
        if section.kind != "mapping":
            self.notes.at(section, "`events.canonical` must be a list of `Event: source` lines below it.")
            return
        sources = self.root.find("sources").entries if "sources" in self.root.entries else {}
        for name, source in section.entries.items():
            if name not in CANONICAL_EVENTS and name not in self.own_events:
                self.notes.place(
                    source.key_line,
                    source.column,
                    source.path,
                    f"There is no canonical event `{name}`.{_near(name, CANONICAL_EVENTS)}",
                )
            if source.kind != "scalar":
                self.notes.at(source, f"`{source.path}` must be the name of a source.")
            elif source.text is not None and source.text not in sources:
                self.notes.at(source, f"There is no source `{source.raw}`.{did_you_mean(source.raw, sources)}")

    def _each(self, section: str) -> list[tuple[str, Value]]:
        held = self.root.entries.get(section)
        return [(name, one) for name, one in held.entries.items() if one.kind == "mapping"] if held else []

    def _accounts(self, *, production: bool) -> None:
        """Two destinations of one account would send every conversion twice."""
        if not production:
            return
        seen: dict[tuple[str, ...], str] = {}
        for name, one in self._each("destinations"):
            kind = one.find("type").text or ""
            platform = self.catalog.get(kind)
            if platform is None:
                continue
            identifying = [setting.name for setting in platform.settings if setting.required and not setting.secret]
            account = (kind, *(one.entries[key].text or "" for key in identifying if key in one.entries))
            if len(account) - 1 < len(identifying) or "" in account or not identifying:
                continue
            if account in seen:
                self.notes.within(
                    one,
                    f"`{one.path}` and `destinations.{seen[account]}` are the same {platform.title} account "
                    f"(same {listed(identifying)}): every conversion would be sent twice.",
                )
            seen.setdefault(account, name)

    def _keys(self) -> None:
        """A key tells which source a request belongs to, so no two sources share one."""
        own = self.root.entries["sources"].entries.get(MEMBERSHIPS) if "sources" in self.root.entries else None
        if own is not None:
            self.notes.place(
                own.key_line,
                own.column,
                own.path,
                f"A source cannot be called `{MEMBERSHIPS}`: what Signalpost itself tells comes under that name.",
            )
        seen: dict[tuple[str, str], str] = {}
        for name, one in self._each("sources"):
            for key in ("write_key", "site_id"):
                entry = one.entries.get(key)
                if entry is None or not entry.text:
                    continue
                if (key, entry.text) in seen:
                    other = seen[key, entry.text]
                    self.notes.at(entry, f"`{entry.path}` is the same as `sources.{other}.{key}`.")
                seen.setdefault((key, entry.text), name)

    def _server(self) -> None:
        server = self.root.entries.get("server")
        if server is None:
            return
        pair = {key: server.entries.get(key) for key in ("tls_certificate", "tls_key")}
        missing = [key for key, entry in pair.items() if entry is None]
        if len(missing) == 1:
            given = next(entry for entry in pair.values() if entry is not None)
            self.notes.at(given, f"`{given.path}` is of no use without `server.{missing[0]}`.")
        port, tls_port = server.entries.get("port"), server.entries.get("tls_port")
        listening = port.text if port is not None else "8377"
        if tls_port is not None and tls_port.text not in {None, "", "0"} and tls_port.text == listening:
            self.notes.at(tls_port, "`server.tls_port` and `server.port` are the same.")

    def _ends(self) -> None:
        for section, sentence in (
            ("sources", "There are no sources: no event can come in."),
            ("destinations", "There are no destinations: no conversion goes out."),
        ):
            if not self.root.find(section).entries or section not in self.root.entries:
                held = self.root.entries.get(section)
                line = held.key_line if held is not None else 1
                self.notes.place(line, 1, section, sentence, warning=True)

    def _test_codes(self, *, test: bool) -> None:
        for _, one in self._each("destinations"):
            kind = one.find("type").text or ""
            if test and kind in NEEDS_TEST_CODE and kind in self.catalog and "test_code" not in one.entries:
                self.notes.within(
                    one,
                    f"`{one.path}` belongs to a test workspace and needs the option `test_code`: "
                    f"only with it {self.catalog[kind].title} takes an event as a test.",
                )

    def _currency(self, currency: Any) -> None:
        for _, one in self._each("destinations"):
            platform = self.catalog.get(one.find("type").text or "")
            if platform is None or platform.currencies is None or not isinstance(currency, str):
                continue
            if currency not in platform.currencies:
                self.notes.at(
                    self.root.entries["currency"],
                    f"{platform.title} does not list {currency} as a currency; such values may not count.",
                    warning=True,
                )


def _fields(shape: type[Struct]) -> tuple[inspect.Field, ...]:
    kind = inspect.type_info(shape)
    assert isinstance(kind, inspect.StructType)  # noqa: S101 - a Struct is a StructType
    return kind.fields


_NAMES: dict[type[Struct], frozenset[str]] = {
    shape: frozenset(one.encode_name for one in _fields(shape)) for shape in (Source, Destination)
}


def _sentence(shape: type[Struct], name: str) -> str:
    return sentence_of(next(one.type for one in _fields(shape) if one.name == name))


def _near(word: str, known: Collection[str]) -> str:
    near = nearest(word, known)
    return f" Did you mean `{near}`?" if near is not None else ""


def _days(milliseconds: int) -> str:
    days, rest = divmod(milliseconds, UNITS["d"])
    return f"{days}d" if not rest else f"{milliseconds // UNITS['h']}h"


def _loopback(parts: SplitResult) -> bool:
    try:
        return parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def _whole_file(path: Path, sentence: str) -> Mistake:
    return Mistake(line=0, column=0, path="", sentence=sentence, file=str(path))


# What the kinds of value must be: each gives the sentence of its mistake, or None


def _is_name(value: Value) -> str | None:
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value.text or "") is not None:
        return None
    return f"`{value.path}` must be small letters, digits, `-` and `_`, such as `my-shop`, not `{value.raw}`."


def _is_currency(value: Value) -> str | None:
    return _is_code(value, CURRENCIES, "currency (ISO 4217), such as `USD`")


def _is_country(value: Value) -> str | None:
    return _is_code(value, COUNTRIES, "country (ISO 3166), such as `US`")


def _is_code(value: Value, codes: frozenset[str], what: str) -> str | None:
    text = value.text or ""
    if text in codes:
        return None
    hint = f" Did you mean `{text.upper()}`?" if text.upper() in codes else ""
    return f"`{value.path}` must be the code of a {what}, not `{value.raw}`.{hint}"


def _is_timezone(value: Value) -> str | None:
    text = value.text or ""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"There is no time zone `{value.raw}`.{_near(text, available_timezones())}"
    return None


def _is_duration(value: Value) -> str | None:
    try:
        duration(value.text or "")
    except ValueError as error:
        return f"`{value.path}` cannot be `{value.raw}`: {error}."
    return None


def _is_url(value: Value) -> str | None:
    parts = _split(value.text or "")
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        return f"`{value.path}` must be an address such as `https://events.example.com`, not `{value.raw}`."
    return None


def _is_issuer(value: Value) -> str | None:
    parts = _split(value.text or "")
    secure = parts is not None and (parts.scheme == "https" or (parts.scheme == "http" and _loopback(parts)))
    if parts is None or not secure or not parts.hostname or parts.query or parts.fragment:
        return f"`{value.path}` must be an https address such as `https://accounts.google.com`, not `{value.raw}`."
    return None


def _is_domain(value: Value) -> str | None:
    text = value.text or ""
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", text):
        return f"`{value.path}` must be a mail domain such as `shop.example`, not `{value.raw}`."
    if text in MAILBOXES:
        return f"Anybody can have an address at `{value.raw}`, and would come in. Invite people one by one instead."
    return None


def _is_database(value: Value) -> str | None:
    text = value.text or ""
    if "://" not in text:
        return None
    parts, written = _split(text), _split(value.raw)
    if parts is None or parts.scheme not in {"postgresql", "postgres"}:
        return f"`{value.path}` must be a file or an address that begins with `postgresql://`."
    if written is not None and written.password and "$" not in written.password and not value.variable:
        return secret_sentence(value)
    return None


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where the port is no number
    except ValueError:
        return None
    return parts


def _is_network(value: Value) -> str | None:
    try:
        ip_network(value.text or "", strict=False)
    except ValueError:
        return f"`{value.path}` must be an address or a network such as `10.0.0.0/8`, not `{value.raw}`."
    return None


def _is_path(value: Value) -> str | None:
    text = value.text or ""
    root, *rest = text.split(".")
    if root in _ROOTS and rest and all(rest):
        return None
    return (
        f"`{value.path}` must be a path that begins with {listed(f'{root}.' for root in _ROOTS)[:-1]}`, "
        f"such as `properties.event_id`, not `{value.raw}`."
    )


MEMBERSHIPS = "signalpost"
"""The source of what Signalpost itself tells (`sources.memberships`)."""

_ROOTS = ("properties", "context", "traits")


def _is_identifier(value: Value) -> str | None:
    if value.text in IDENTIFIER_KINDS:
        return None
    return f"There is no kind of identifier `{value.raw}`.{did_you_mean(value.raw, IDENTIFIER_KINDS)}"


def _is_share(value: Value) -> str | None:
    try:
        wrong = share(value.text or "") == 0
    except ValueError:
        wrong = True
    return f"`{value.path}` must be a share above 0% and up to 100%, such as `40%`, not `{value.raw}`." if wrong else None


def _is_amount(value: Value) -> str | None:
    try:
        wrong = number(value.text or "") <= 0
    except ValueError:
        wrong = True
    return f"`{value.path}` must be a number above 0, such as `300` or `1.0842`, not `{value.raw}`." if wrong else None


def _is_hours(value: Value) -> str | None:
    hour = r"([01][0-9]|2[0-3]):[0-5][0-9]"
    found = re.fullmatch(rf"({hour})-({hour})", value.text or "", re.ASCII)
    if found is not None and found[1] != found[3]:
        return None
    return f"`{value.path}` must be hours such as `22:00-07:00`, not `{value.raw}`."


def _is_alert(value: Value) -> str | None:
    """The address itself is a secret and is never shown."""
    from apprise.manager_plugins import NotificationManager  # noqa: PLC0415 - a quarter of a second that only alerts need

    scheme, mark, rest = (value.text or "").partition("://")
    schemes = NotificationManager().schemas()  # type: ignore[no-untyped-call]  # its types end here
    if not mark or not rest:
        return f"`{value.path}` must be an address as Apprise writes it, such as `mailtos://...`, `slack://...` or `jsons://...`."
    if scheme.lower() not in schemes:
        return f"`{value.path}` begins with `{scheme[:20]}://`, which nothing answers to.{_near(scheme, schemes)}"
    return None


_CHECKS = {
    "share": _is_share,
    "amount": _is_amount,
    "hours": _is_hours,
    "alert": _is_alert,
    "name": _is_name,
    "currency": _is_currency,
    "country": _is_country,
    "timezone": _is_timezone,
    "duration": _is_duration,
    "url": _is_url,
    "issuer": _is_issuer,
    "domain": _is_domain,
    "database": _is_database,
    "network": _is_network,
    "path": _is_path,
    "identifier": _is_identifier,
}


# The file's own description


def _allow_variables(option: dict[str, Any]) -> None:
    """Let an editor take `${NAME}` where a number, a switch or a code is meant."""
    variable = {"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"}
    if str(option.get("type")) in {"integer", "boolean"} or "enum" in option or "pattern" in option:
        kept = {key: option.pop(key) for key in list(option) if key not in {"description", "default", "title"}}
        option["anyOf"] = [kept, variable]
