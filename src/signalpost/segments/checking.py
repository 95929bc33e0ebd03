"""What is wrong with a workspace file's segments, tiers, audiences and journeys that no single option can know."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

from msgspec.structs import replace

from signalpost.marked import Notes, Value, did_you_mean, listed
from signalpost.options import duration, number, share, spelt
from signalpost.segments import catalog, ladders, reading
from signalpost.segments.operands import Known, wrong_name
from signalpost.segments.reading import leaves
from signalpost.segments.rules import Rule

LONGEST_TITLE = 100
"""Characters of an audience's name, so that every platform takes it."""

_NAMES = "is small letters, digits, `-` and `_`, such as `cart_abandoners`"


def check(root: Value, notes: Notes, known: Known, without: Collection[str], by_file: Collection[str]) -> None:
    """Note everything wrong. No file makes this raise.

    `known` has the events and the time zone, its segments are found here. `without` are the types of destination that keep no
    audiences, `by_file` those that take an audience's people as files.
    """
    found = _Checking(root, notes, without, by_file)
    found.names()
    known = replace(known, segments=tuple(found.made))
    found.rules(known)
    found.tiers()
    found.value_tiers()
    found.journeys()
    found.audiences()
    found.destinations()
    found.conditions()


class _Checking:
    def __init__(self, root: Value, notes: Notes, without: Collection[str], by_file: Collection[str]) -> None:
        self.root = root
        self.notes = notes
        self.without = without
        self.by_file = by_file
        self.made: dict[str, Value] = {}
        """Every segment that may be named -> where the file makes it."""

    def section(self, name: str) -> Mapping[str, Value]:
        """The entries of one part of the file; none where it is wrong (noted already)."""
        held = self.root.entries.get(name)
        return held.entries if held is not None else {}

    def at_key(self, entry: Value, sentence: str, *, warning: bool = False) -> None:
        self.notes.place(entry.key_line, entry.column, entry.path, sentence, warning=warning)

    # ---- segments

    def names(self) -> None:
        """Every name once: a ladder and value tiers make segments beside those that are written."""
        for name, value in self.section("segments").items():
            if wrong_name(name):
                self.at_key(value, f"The name of a segment {_NAMES}, not `{name}`.")
            self._make(name, value, "is a segment")
        for name, value in self.section("segments").items():
            for tier in ladders.tier_names(value) if ladders.is_ladder(value) else ():
                self._make(f"{name}_{tier}", value, f"is a tier of the ladder `{name}`")
        for name, value in self.section("value_tiers").items():
            if wrong_name(name):
                self.at_key(value, f"The name of value tiers {_NAMES}, not `{name}`.")
            for band in _texts(value.entries.get("names")):
                self._make(catalog.band_segment(name, band.raw), value, f"is a band of the value tiers `{name}`")

    def _make(self, name: str, value: Value, what: str) -> None:
        other = self.made.setdefault(name, value)
        if other is not value:
            self.at_key(value, f"`{name}` {what}, but there is a segment of that name already, on line {other.key_line}.")

    def rules(self, known: Known) -> None:
        """Every rule reads, and none names itself through others."""
        read: dict[str, Rule] = {}
        for name, value in self.section("segments").items():
            if ladders.is_ladder(value):
                steps = ladders.read(value, self.notes, known)
                read |= {} if steps is None else ladders.rules(name, steps)
                continue
            rule = reading.read(value, self.notes, known, name)
            if rule is not None:
                read[name] = rule
        around = catalog.circle(read)
        if around:
            way = " names ".join(f"`{name}`" for name in around)
            self.at_key(
                self.made[around[0]], f"These segments go round in a circle: {way}. One of them must do without the other."
            )

    # ---- tiers

    def tiers(self) -> None:
        """A set of tiers has two segments or more, each of them there."""
        made = {name for name, value in self.section("segments").items() if ladders.is_ladder(value)}
        for name, value in self.section("tiers").items():
            if name in made:
                self.at_key(value, f"The ladder `{name}` is a set of tiers already; give this one another name.")
            of = value.entries.get("of")
            members = _texts(of)
            for one in members:
                self._there(one)
            self._once(members, "stands twice in")
            if of is not None and of.kind == "list" and len(of.items) < 2:
                self.notes.at(of, f"`{of.path}` must name two segments or more: one alone excludes nobody.")
            if "covering" in value.entries:
                self._there(value.entries["covering"])

    def value_tiers(self) -> None:
        """Bounds or quantiles, one fewer than bands, rising."""
        for value in self.section("value_tiers").values():
            bands = _texts(value.entries.get("names"))
            for one in bands:
                if wrong_name(one.text or ""):
                    self.notes.at(
                        one, f"The name of a band is small letters, digits, `-` and `_`, such as `gold`, not `{one.raw}`."
                    )
            self._once(bands, "stands twice in")
            marks = {key: value.entries[key] for key in ("bounds", "quantiles") if _given(value.entries.get(key))}
            if len(marks) != 1:
                both = " and not both" if marks else ""
                self.notes.within(
                    value, f"`{value.path}` needs `bounds` such as `[100, 300]` or `quantiles` such as `[50%, 90%]`{both}."
                )
                continue
            [(kind, held)] = marks.items()
            if bands and held.kind == "list" and len(held.items) != len(bands) - 1:
                self.notes.at(
                    held,
                    f"{len(bands)} bands need {len(bands) - 1} {kind}, where each but the first begins; `{held.path}` has"
                    f" {len(held.items)}.",
                )
            self._rising(held, kind)
            if kind == "bounds" and "every" in value.entries:
                self.at_key(value.entries["every"], "`every` is for quantiles: bounds are not computed.", warning=True)
            self._lasts(value.entries.get("every"))
            hysteresis = value.entries.get("hysteresis")
            if hysteresis is not None and hysteresis.text == "100%":
                self.notes.at(hysteresis, f"With `{hysteresis.path}` of 100% nobody would ever leave a band downwards.")

    def _rising(self, held: Value, kind: str) -> None:
        try:
            marks = [share(one.text or "") if kind == "quantiles" else number(one.text or "") for one in _texts(held)]
        except ValueError:
            return  # noted where the option was read
        for (low, high), one in zip(pairwise(marks), held.items[1:], strict=False):
            if low >= high:
                self.notes.at(one, f"`{held.path}` must rise: `{one.raw}` is not above the one before it.")
        if kind == "quantiles" and marks and marks[-1] == 1:
            self.notes.at(held.items[-1], "Nobody is above 100%: the last band would be empty.")

    # ---- journeys

    def journeys(self) -> None:
        """A journey begins, ends with something else, and its steps lie within it."""
        for name, value in self.section("journeys").items():
            if wrong_name(name):
                self.at_key(value, f"The name of a journey {_NAMES.replace('cart_abandoners', 'cart_recovery')}, not `{name}`.")
            starts = value.entries.get("starts")
            for one in _texts(value.entries.get("ends")):
                if starts is not None and starts.text == one.text:
                    self.notes.at(one, f"`{one.raw}` begins this journey: it cannot end it too.")
            self._lasts(value.entries.get("after"))
            after = _span(value.entries.get("after"))
            for step in value.entries["steps"].items if "steps" in value.entries else ():
                at = step.entries.get("at")
                begins = _span(at)
                if at is not None and begins is not None and after is not None and begins > after:
                    said = f"`{at.path}` is after the end of the journey, which is {spelt(after)} after its beginning."
                    self.notes.at(at, said, warning=True)

    def _lasts(self, value: Value | None) -> None:
        if value is not None and _span(value) == 0:
            self.notes.at(value, f"`{value.path}` must be longer than nothing.")

    # ---- destinations

    def destinations(self) -> None:
        """The segments that one of the shop's own tools is told of are there, each once."""
        for one in self.section("destinations").values():
            named = _texts(one.entries.get("segments"))
            for segment in named:
                self._there(segment)
            self._once(named, "stands twice in")

    # ---- audiences

    def audiences(self) -> None:
        """An audience's segment, destinations and journeys are there, and no two have one name at one destination."""
        held = self.root.entries.get("audiences")
        taken: dict[tuple[str, str], Value] = {}
        for value in held.items if held is not None else ():
            self._audience(value)
            title = value.entries.get("name") or value.entries.get("segment")
            if title is None or title.kind != "scalar" or not title.text:
                continue
            if len(title.text) > LONGEST_TITLE or not title.text.isprintable():
                self.notes.at(title, f"The name of an audience is a text of up to {LONGEST_TITLE} characters.")
            for one in _texts(value.entries.get("to")):
                other = taken.setdefault((title.text, one.text or ""), value)
                if other is not value:
                    self.notes.at(
                        title,
                        f"Two audiences at `{one.raw}` are called `{title.raw}`; the other is on line {other.line}. Give one of"
                        " them a `name` of its own.",
                    )

    def _audience(self, value: Value) -> None:
        segment = value.entries.get("segment")
        if segment is not None:
            self._there(segment)
        unless = _texts(value.entries.get("unless"))
        for one in unless:
            self._there(one)
            if segment is not None and one.text == segment.text:
                self.notes.at(one, f"`{value.path}` wants `{one.raw}` and leaves it out: nobody would be in it.")
        self._once(unless, "stands twice in")
        to = _texts(value.entries.get("to"))
        there = self.section("destinations")
        kinds = {name: one.find("type").text or "" for name, one in there.items() if one.entries}
        for one in to:
            if one.text and one.text not in there:
                self.notes.at(one, f"There is no destination `{one.raw}`.{did_you_mean(one.text, there)}")
            elif kinds.get(one.text or "") in self.without:
                self.notes.at(one, f"`{one.raw}` keeps no audiences; it hears of segments by its own `events`.")
        self._once(to, "stands twice in")
        if "to" in value.entries and value.entries["to"].kind == "list" and not value.entries["to"].items:
            self.notes.at(value.entries["to"], f"`{value.path}.to` names no destination.")
        way = value.entries.get("way")
        if way is not None and way.text == "file":
            others = [one.raw for one in to if (one.text or "") in kinds and kinds[one.text or ""] not in self.by_file]
            if others:
                self.notes.at(way, f"Only TikTok takes files; {listed(others)} takes changes as they come (`stream`).")
        self._journeys_of(value)
        if "holdout" in value.entries and value.entries["holdout"].text == "100%":
            self.notes.at(value.entries["holdout"], f"With `{value.path}.holdout` of 100% nobody would be in the audience.")

    def _journeys_of(self, value: Value) -> None:
        journeys = self.section("journeys")
        for name, entry in value.entries["while_in"].entries.items() if "while_in" in value.entries else ():
            if name not in journeys:
                self.at_key(entry, f"There is no journey `{name}`.{did_you_mean(name, journeys)}")
                continue
            if entry.kind != "scalar" or entry.text in {None, "", "none"}:
                continue
            if _span(entry) is None:
                self.notes.at(
                    entry, f"`{entry.path}` must be `none` (left out while inside) or a duration such as `6h`, not `{entry.raw}`."
                )

    # ---- conditions that name segments

    def conditions(self) -> None:
        """A gate's `when` and a derived event's `where` name segments that are there."""
        held = self.root.entries.get("gates")
        written = [gate.entries.get("when") for gate in held.items] if held is not None else []
        written += [one.entries.get("where") for one in self.section("derived").values()]
        for each in written:
            for key, entry in leaves(each) if each is not None else ():
                if key == "segment":
                    for name in _named(entry):
                        self._there(name, folded=True)

    # ---- what several ask

    def _there(self, value: Value, *, folded: bool = False) -> None:
        """Note a segment that is not there; conditions compare without regard to case."""
        text = (value.text or "").strip().casefold() if folded else value.text
        if value.kind == "scalar" and text and text not in self.made:
            known = did_you_mean(text, self.made) if self.made else " There are no segments in this file."
            self.notes.at(value, f"There is no segment `{value.raw}`.{known}")

    def _once(self, values: Collection[Value], said: str) -> None:
        seen: set[str] = set()
        for one in values:
            if one.text in seen:
                self.notes.at(one, f"`{one.raw}` {said} `{one.path.rpartition('[')[0]}`.")
            seen.add(one.text or "")


def _texts(value: Value | None) -> tuple[Value, ...]:
    """The texts of a list, or the one text in place of a list."""
    if value is None:
        return ()
    return tuple(one for one in (value.items if value.kind == "list" else (value,)) if one.kind == "scalar" and one.text)


def _given(value: Value | None) -> bool:
    return value is not None and (value.kind == "scalar" or bool(value.items) or bool(value.entries))


def _span(value: Value | None) -> int | None:
    """A duration where it is one; what is not has been noted where the option was read."""
    try:
        return None if value is None or value.kind != "scalar" else duration(value.text or "")
    except ValueError:
        return None


def _named(value: Value) -> Iterator[Value]:
    """The names in what a condition asks of `segment`; a part of a name is none."""
    if value.kind == "mapping":
        for operator, entry in value.entries.items():
            if operator in {"eq", "ne", "in", "not_in", "contains", "contains_any"}:
                yield from _texts(entry)
    else:
        yield from _texts(value)
