"""A rule asked of history before it is a segment, and the history exported for a warehouse.

The journal is read again by the code that read it first, so what the tables hold (`segments.tables`) is what the live rules
compared. `preview` asks the rule's own SQL (`segments.sql`) of them in DuckDB: at this moment, and at the end of each day before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from signalpost import backfill, conditions, orders, purchases
from signalpost.conditions.expressions import asks_of
from signalpost.errors import SignalpostError
from signalpost.events import Bought, Claim, Event, Facts, Order, Person
from signalpost.orderbook import PURCHASE
from signalpost.plan import Plan
from signalpost.purchases import Record
from signalpost.segments import live, sql, tables
from signalpost.segments.bands import Bands
from signalpost.segments.reading import OF_OTHER_EVENTS
from signalpost.segments.rules import Age, Band, Happened, Rule, Trait
from signalpost.store import history
from signalpost.store.database import Connection

if TYPE_CHECKING:
    import duckdb

NEVER = live.NEVER

SAMPLE = 10
"""People who are shown of a preview."""

Row = tuple[Any, ...]
Progress = Callable[[int, int], None]
"""(what is done, of how much) in events, people and orders."""

TEXTS = tuple(
    name
    for name, known in conditions.PATHS.items()
    if known.kind in {"text", "texts"} and name.startswith(("event.", "order.")) and name not in OF_OTHER_EVENTS
)
"""Paths of an event that are exported as values."""

_NOBODY = Person(id=0)
_NO_FACTS = Facts()


class Wanted(Struct, frozen=True):
    """What of the history is to be read; None: all of it."""

    names: tuple[str, ...] | None = None
    paths: frozenset[str] | None = None
    """Of events and of people, as conditions name them."""
    orders: bool = True

    @property
    def bodies(self) -> bool:
        """Whether requests must be read again: what the store keeps of events does not say it."""
        return self.paths is None or any(path.startswith(("event.", "order.")) for path in self.paths)

    @property
    def traits(self) -> frozenset[str] | None:
        """The traits that are asked for; None: all."""
        if self.paths is None:
            return None
        asked = {path.split(".")[2] for path in self.paths if path.startswith("person.traits.")}
        return frozenset(asked | ({"tags"} if "person.tags" in self.paths else set()))


ALL = Wanted()


class Day(Struct, frozen=True):
    """How many were inside at the end of a day."""

    at: int
    inside: int


class Preview(Struct, frozen=True, kw_only=True):
    """What a rule would hold, asked of history."""

    at: int
    inside: int
    known: int
    """People known by then."""
    sample: tuple[int, ...]
    """Some who are inside."""
    days: tuple[Day, ...]
    missing: int
    """Events whose request the journal no longer holds: what a condition asks of them is not known."""


# ---- what a rule needs -----------------------------------------------------------------------------------------------------


def needs(rule: Rule, rules: Mapping[str, Rule]) -> Wanted:
    """What must be read of the history to answer a rule."""
    names: set[str] = set()
    paths: set[str] = set()
    banded = False
    for leaf in live.leaves(rule, rules):
        if isinstance(leaf, (Happened, Age)):
            names.add(leaf.event)
            if isinstance(leaf, Happened) and leaf.since is not None:
                names.add(leaf.since)
            if leaf.where is not None:
                paths |= _paths(leaf.where)
        elif isinstance(leaf, Trait):
            paths |= _paths(leaf.when)
        elif isinstance(leaf, Band):
            banded = True
    return Wanted(tuple(sorted(names)), frozenset(paths), orders=banded or not paths.isdisjoint(sql.FACTS))


def _paths(condition: Any) -> set[str]:
    return {asks.path for asks in asks_of(conditions.compile(condition).expression)}


# ---- rows ------------------------------------------------------------------------------------------------------------------


def event_row(number: int, person: int, asked: conditions.Subject) -> Row:
    """A row of `events`."""
    event = asked.event
    amounts = (conditions.PATHS[path].read(asked) for path in sql.AMOUNTS)
    return (
        number,
        person,
        asked.name,
        event.kind,
        event.time,
        event.received_at,
        min(event.time, event.received_at),
        asked.order.id,
        *(tables.number(amount) for amount in amounts),
        *(conditions.PATHS[path].read(asked) for path in ("order.coupons", "order.items", "order.quantity")),
        *(bool(conditions.PATHS[path].read(asked)) for path in ("order.test", "event.bot")),
    )


def plain_row(each: history.Happening, person: int) -> Row:
    """A row of `events` of which nothing but the store's own is known."""
    happened = min(each.time, each.received_at)
    known = (each.id, person, each.name, each.kind, each.time, each.received_at, happened, each.order_id)
    return (*known, *(None for _ in sql.AMOUNTS), 0, 0, 0, False, False)


def event_values(number: int, asked: conditions.Subject, wanted: Wanted) -> Iterator[Row]:
    """The rows of `event_values` of one event."""
    if wanted.paths is not None:
        for path in wanted.paths:
            known = None if path in sql.EVENT_COLUMNS or not path.startswith(("event.", "order.")) else conditions.path(path)
            if known is not None:
                yield from ((number, path, *reading) for reading in tables.readings(known.read(asked)))
        return
    for path in TEXTS:
        yield from ((number, path, *reading) for reading in tables.readings(conditions.PATHS[path].read(asked)))
    event = asked.event
    for root, told in (("properties", event.properties), ("context", event.context), ("traits", event.traits)):
        for path, value in tables.flattened(f"event.{root}", told):
            yield from ((number, path, *reading) for reading in tables.readings(value))


def subject(name: str, event: Event, order: Order, claim: Claim) -> conditions.Subject:
    """An event as conditions look at it, of nobody in particular."""
    return conditions.Subject(
        name=name,
        event=event,
        order=order,
        person=_NOBODY,
        now=event.received_at,
        claim=lambda: claim,
        facts=lambda: _NO_FACTS,
        number=lambda: None,
    )


def person_row(person: Person, known_at: int) -> Row:
    """A row of `people`."""
    known = (bool(person.emails), bool(person.phones), bool(person.external_ids))
    return (person.id, person.created_at, known_at, *known)


Heard = dict[str, list[tuple[int, Any]]]
"""Trait -> (when, what was said)."""


def person_values(person: Person, heard: Heard, wanted: Wanted) -> Iterator[Row]:
    """The rows of `person_values` of one person: what was said of them, each until the next word on it."""
    if wanted.paths is None or "person.email_domain" in wanted.paths:
        domains = _of_person("person.email_domain", person)
        yield from ((person.id, "person.email_domain", *each, 0, NEVER) for each in tables.readings(domains))
    asked = wanted.traits
    traits = {name: [(at, value)] for known in (person.traits, person.given) for name, (value, at) in known.items()}
    for name in traits.keys() | heard.keys() if asked is None else asked:
        said = heard.get(name) or traits.get(name, [])
        spans = list(_spans(said))
        if name in person.given and spans:  # what the record says is how it stands
            spans[-1] = (person.given[name][0], *spans[-1][1:])
        for value, since, until in spans:
            for path, told in _told(name, value, wanted):
                yield from ((person.id, path, *reading, since, until) for reading in tables.readings(told))


def _spans(said: list[tuple[int, Any]]) -> Iterator[tuple[Any, int, int]]:
    """(value, since, until): at equal moments the greater text counts, as in `identity`."""
    ordered = sorted(said, key=lambda each: (each[0], str(each[1])))
    kept = [each for place, each in enumerate(ordered) if place == len(ordered) - 1 or ordered[place + 1][0] != each[0]]
    for place, (at, value) in enumerate(kept):
        yield value, at, kept[place + 1][0] if place + 1 < len(kept) else NEVER


def _told(name: str, value: Any, wanted: Wanted) -> Iterator[tuple[str, Any]]:
    """The paths under one trait, with what each reads of this value."""
    given = Person(id=0, given={name: (value, 0)})
    if wanted.paths is not None:
        for path in wanted.paths:
            if (
                (path, name) == ("person.tags", "tags")
                or path.startswith(f"person.traits.{name}.")
                or path == f"person.traits.{name}"
            ):
                yield path, _of_person(path, given)
        return
    if name == "tags":
        yield "person.tags", _of_person("person.tags", given)
    yield from tables.flattened("person.traits", {name: value})


def _of_person(path: str, person: Person) -> Any:
    known = conditions.path(path)
    return None if known is None else known.read(live.as_subject(person, 0))


def order_rows(key: str, person: int, record: Record, bought: Callable[[Record], Bought | None]) -> Iterator[Row]:
    """The rows of `orders` of one order: how it stood after each piece of news, by the time of which the news tells."""
    news = {each.time for each in record.claims.values()} | {each.time for each in record.refunds.values()}
    moments = sorted(news | ({record.cancelled_at} if record.cancelled_at else set()))
    states: list[tuple[int, Bought]] = []
    for at in moments:
        stood = bought(
            replace(
                record,
                claims={source: each for source, each in record.claims.items() if each.time <= at},
                refunds={refund: each for refund, each in record.refunds.items() if each.time <= at},
                cancelled_at=record.cancelled_at if record.cancelled_at <= at else 0,
            )
        )
        if stood is not None and (not states or stood != states[-1][1]):
            states.append((at, stood))
    for place, (since, order) in enumerate(states):
        yield bought_row(key, person, order, since, states[place + 1][0] if place + 1 < len(states) else NEVER)


def bought_row(key: str, person: int, order: Bought, since: int, until: int) -> Row:
    """A row of `orders`."""
    amounts = (tables.number(each) for each in (order.value, order.refunded, order.discount, order.list_value))
    return (key, person, order.time, *amounts, order.cancelled, order.refunds, since, until)


# ---- reading the store -----------------------------------------------------------------------------------------------------


class Shelf:
    """Rows on their way into DuckDB, by way of a file: many at once are a hundred times faster than one by one."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._rows: dict[str, list[Row]] = {table: [] for table in tables.TABLES}
        self._encode = msgspec.json.Encoder(decimal_format="string").encode
        for table in tables.TABLES:
            connection.execute(tables.creation(table))

    def put(self, table: str, rows: Iterable[Row]) -> None:
        waiting = self._rows[table]
        waiting.extend(rows)
        if len(waiting) >= 50_000:
            self._empty(table)

    def close(self) -> None:
        for table in tables.TABLES:
            self._empty(table)

    def _empty(self, table: str) -> None:
        rows, columns = self._rows[table], tables.TABLES[table]
        if not rows:
            return
        file = self._folder / f"{table}.json"
        with file.open("wb") as lines:
            lines.writelines(self._encode(dict(zip(columns, row, strict=True))) + b"\n" for row in rows)
        said = ", ".join(f"{name}: '{column.type}'" for name, column in columns.items())
        self._connection.execute(
            f"INSERT INTO {table} SELECT * FROM read_json(?, format = 'newline_delimited', columns = {{{said}}})",  # noqa: S608
            [str(file)],
        )
        file.unlink()
        rows.clear()


def opened(path: str = ":memory:") -> duckdb.DuckDBPyConnection:
    """A DuckDB database of its own; raise `SignalpostError` where DuckDB is not installed."""
    try:
        import duckdb  # noqa: PLC0415  (an optional dependency: only previews and exports need it)
    except ImportError as error:
        raise SignalpostError(
            "Previews and exports need DuckDB: in the clone, `pip install '.[history]'` installs it."
        ) from error
    return duckdb.connect(path)


def load(
    connection: Connection,
    plan: Plan,
    into: duckdb.DuckDBPyConnection,
    wanted: Wanted = ALL,
    progress: Progress | None = None,
) -> int:
    """Fill the tables of `segments.tables` with the store's history; gives how many events' requests are gone."""
    total, done = sum(history.size(connection)), 0

    def advance(by: int) -> None:
        nonlocal done
        done = min(done + by, total)
        if progress is not None:
            progress(done, total)

    with tempfile.TemporaryDirectory(prefix="signalpost-") as folder:
        shelf = Shelf(into, Path(folder))
        joined = history.joined(connection)
        people: dict[int, tuple[Person, int]] = {}
        for page in history.people(connection):
            for person, known_at in page:
                # A suppressed person is in no segment, and nothing of theirs is exported.
                if not person.suppressed_at:
                    people[person.id] = (person if _keeps(wanted) else replace(person, keys={}), known_at)
            shelf.put("people", [person_row(*people[person.id]) for person, _ in page if person.id in people])
            advance(len(page))
        heard: dict[int, Heard] = {}
        missing = 0
        for happened in history.events(connection, _names(wanted)):
            mine = []
            for each in happened:
                whose = joined.whose(each)
                if whose is not None and whose in people:
                    mine.append((each, whose))
            missing += _put_events(connection, plan, shelf, mine, wanted, heard)
            advance(len(happened))
        if _keeps(wanted):
            for number, (person, _) in people.items():
                shelf.put("person_values", person_values(person, heard.get(number, {}), wanted))
        counts = plan.counted_source.get(PURCHASE)
        for listed in history.orders(connection) if wanted.orders else ():
            for key, buyer, record in listed:
                owner = joined.became.get(buyer, buyer)
                if owner in people:
                    shelf.put("orders", order_rows(key, owner, record, lambda each: _bought(each, counts, plan)))
            advance(len(listed))
        shelf.close()
    if progress is not None:
        progress(total, total)
    return missing


def _keeps(wanted: Wanted) -> bool:
    """Whether anything that was said of people is wanted."""
    return wanted.paths is None or any(path.startswith("person.") and path not in sql.FACTS for path in wanted.paths)


def _names(wanted: Wanted) -> tuple[str, ...] | None:
    """The events to read; traits come with any of them."""
    return None if wanted.traits is None or wanted.traits else wanted.names


def _bought(record: Record, counts: str | None, plan: Plan) -> Bought | None:
    return purchases.bought(record, counts, plan.workspace.currency, plan.rates)


def _put_events(
    connection: Connection,
    plan: Plan,
    shelf: Shelf,
    happened: list[tuple[history.Happening, int]],
    wanted: Wanted,
    heard: dict[int, Heard],
) -> int:
    """A page of events into the tables, and what they say of their people into `heard`."""
    asked = wanted.traits
    if not wanted.bodies and asked is not None and not asked:
        shelf.put("events", [plain_row(each, person) for each, person in happened])
        return 0
    told = backfill.told(connection, [backfill.origin(each.id, each.note) for each, _ in happened])
    missing = 0
    names = None if wanted.names is None else frozenset(wanted.names)
    rows: list[Row] = []
    for each, person in happened:
        event = told.get(backfill.origin(each.id, each.note))
        if event is None:
            missing += 1
            if each.counts:
                rows.append(plain_row(each, person))
            continue
        for facts in (event.traits, event.context.get("traits")):
            if isinstance(facts, dict):
                for name in facts if asked is None else asked & facts.keys():
                    at = min(each.time, each.received_at)
                    heard.setdefault(person, {}).setdefault(name, []).append((at, facts[name]))
        if not each.counts or (names is not None and each.name not in names):
            continue
        event = replace(event, time=each.time)  # as it was kept: a clock a little ahead was set right
        order = orders.read(event, definition=plan.workspace.order_value, default_currency=plan.workspace.currency)
        looked_at = subject(each.name, event, order, purchases.claim(event, each.id, order))
        rows.append(event_row(each.id, person, looked_at))
        shelf.put("event_values", event_values(each.id, looked_at, wanted))
    shelf.put("events", rows)
    return missing


# ---- asking ------------------------------------------------------------------------------------------------------------------


def preview(
    connection: Connection,
    plan: Plan,
    rule: Rule,
    rules: Mapping[str, Rule],
    *,
    now: int,
    days: int,
    zone: tzinfo,
    bands: Mapping[str, Bands] | None = None,
    progress: Progress | None = None,
) -> Preview:
    """Who would be inside a rule now, and how many were at the end of each of the `days` days before (midnight in `zone`)."""
    asked = sql.select(rule, rules, bands=bands)  # what cannot be said is refused before anything is read
    into = opened()
    try:
        missing = load(connection, plan, into, needs(rule, rules), progress)
        inside = [number for (number,) in into.execute(asked, {"now": now}).fetchall()]
        counted = f"SELECT COUNT(*) FROM ({asked})"  # noqa: S608  (our own statement)
        past = tuple(Day(at, _number(into, counted, at)) for at in midnights(now, days, zone))
        return Preview(
            at=now,
            inside=len(inside),
            known=_number(into, "SELECT COUNT(*) FROM people WHERE known_at <= $now", now),
            sample=tuple(sorted(inside, key=lambda number: live.lot("preview", number))[:SAMPLE]),
            days=past,
            missing=missing,
        )
    finally:
        into.close()


def _number(into: duckdb.DuckDBPyConnection, statement: str, now: int | None = None) -> int:
    row = into.execute(statement, None if now is None else {"now": now}).fetchone()
    return 0 if row is None else int(row[0])


def midnights(now: int, days: int, zone: tzinfo) -> list[int]:
    """The last `days` midnights before a moment, oldest first, in epoch ms."""
    today = datetime.fromtimestamp(now / 1000, tz=zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return [round((today - timedelta(days=back)).timestamp() * 1000) for back in reversed(range(days))]


def export(
    connection: Connection, plan: Plan, folder: Path, *, kind: str = "parquet", progress: Progress | None = None
) -> dict[str, int]:
    """Write every table of the history as one file each into a folder; gives the rows of each."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    into = opened()
    try:
        load(connection, plan, into, ALL, progress)
        rows = {}
        for table in tables.TABLES:
            file = folder / f"{table}.{kind}"
            options = "FORMAT csv, HEADER" if kind == "csv" else "FORMAT parquet, COMPRESSION zstd"
            rows[table] = _number(into, f"COPY {table} TO '{str(file).replace(chr(39), chr(39) * 2)}' ({options})")
        return rows
    finally:
        into.close()
