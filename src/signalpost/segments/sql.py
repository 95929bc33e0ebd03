"""The same rule as SQL: who is inside at an instant, asked of exported history (`previews`, docs/reference/warehouse.md).

The statement is written in DuckDB's words and sqlglot says it in the other dialects. It compares plain columns only: texts are
exported as conditions compare them (folded), numbers exact, moments as epoch ms, so no dialect's own idea of JSON, case or time
zones comes in. Every part answers yes or no, never NULL. What SQL over the export cannot say raises `Unsayable`.
"""

# ruff: noqa: S608  (writing statements is what this file does; every text from outside goes through `_text`)

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Any

import sqlglot
from msgspec import Struct
from sqlglot import exp

from signalpost import conditions
from signalpost.conditions.expressions import Asks, Either, Every, Expression
from signalpost.conditions.operands import Moment
from signalpost.conditions.operators import COMPARE, ORDERING
from signalpost.conditions.scalars import number_of
from signalpost.errors import SignalpostError
from signalpost.segments.bands import Bands
from signalpost.segments.live import LOTS
from signalpost.segments.reading import OF_OTHER_EVENTS
from signalpost.segments.rules import Age, All, Band, Happened, Inside, Rule, Some, Split, Trait
from signalpost.segments.sentences import sentence
from signalpost.segments.tables import LARGEST, NUMBER, PLACES, TABLES


class Unsayable(SignalpostError):
    """Something that SQL over the exported history cannot say."""


class Dialect(Struct, frozen=True):
    """What a database's SQL has of its own, beside what sqlglot knows."""

    words: str
    """Its name for people."""
    name: str
    """Its name for sqlglot."""
    now: str
    """How a parameter called `now` is written."""
    word: str
    """The number that eight hexadecimal digits of the SHA-256 of {text} make, from digit {at} (byte {byte}) on."""


DIALECTS: dict[str, Dialect] = {
    "duckdb": Dialect("DuckDB", "duckdb", "$now", "CAST('0x' || SUBSTRING(SHA256({text}), {at}, 8) AS BIGINT)"),
    "postgresql": Dialect(
        "PostgreSQL",
        "postgres",
        ":now",
        "CAST(CAST('x' || SUBSTRING(ENCODE(SHA256(CONVERT_TO({text}, 'UTF8')), 'hex') FROM {at} FOR 8) AS BIT(32)) AS BIGINT)",
    ),
    "bigquery": Dialect("BigQuery", "bigquery", "@now", "CAST(CONCAT('0x', SUBSTR(TO_HEX(SHA256({text})), {at}, 8)) AS INT64)"),
    "snowflake": Dialect("Snowflake", "snowflake", ":now", "TO_NUMBER(SUBSTR(SHA2({text}, 256), {at}, 8), 'XXXXXXXX')"),
    "databricks": Dialect("Databricks", "databricks", ":now", "CAST(CONV(SUBSTR(SHA2({text}, 256), {at}, 8), 16, 10) AS BIGINT)"),
    "spark": Dialect("Spark", "spark", ":now", "CAST(CONV(SUBSTR(SHA2({text}, 256), {at}, 8), 16, 10) AS BIGINT)"),
    "clickhouse": Dialect(
        "ClickHouse",
        "clickhouse",
        "{now: Int64}",
        "toInt64(reinterpretAsUInt32(reverse(substring(SHA256({text}), {byte}, 4))))",
    ),
}
"""Dialect -> what it has of its own."""

EVENT_COLUMNS: dict[str, str] = {
    "event.time": "time",
    "event.bot": "bot",
    "order.value": "order_value",
    "order.total": "order_total",
    "order.subtotal": "order_subtotal",
    "order.tax": "order_tax",
    "order.shipping": "order_shipping",
    "order.discount": "order_discount",
    "order.discount_share": "order_discount_share",
    "order.coupons": "order_coupons",
    "order.items": "order_items",
    "order.quantity": "order_quantity",
    "order.test": "order_test",
}
"""Paths that are columns of `events`; texts and a source's own properties are rows of `event_values`."""

AMOUNTS = tuple(path for path, column in EVENT_COLUMNS.items() if TABLES["events"][column].type == NUMBER)
"""Those that are exact numbers, in the order of the columns."""

PEOPLE_COLUMNS: dict[str, str] = {
    "person.email": "email_known",
    "person.phone": "phone_known",
    "person.user_id": "user_id_known",
}
"""Paths that are columns of `people`; tags, domains and traits are rows of `person_values`."""

FACT_COLUMNS: dict[str, str] = {
    "person.orders": "standing",
    "person.lifetime_value": "lifetime_value",
    "person.first_order_at": "first_order_at",
    "person.last_order_at": "last_order_at",
}

FACT_SHARES: dict[str, tuple[str, str]] = {
    "person.average_order_value": ("worth", "standing"),
    "person.refund_rate": ("went_back", "ever"),
    "person.discount_rate": ("discounts", "listed"),
    "person.days_between_orders": ("(last_order_at - first_order_at)", "(86400000 * (standing - 1))"),
}
"""Facts that are one number by another (columns of the `facts` of the statement), known where the second is above zero."""

FACTS = frozenset({*FACT_COLUMNS, *FACT_SHARES})
"""Paths that are computed of a person's orders."""

FACTS_SQL = """
SELECT
  o.person AS person,
  COUNT(*) AS ever,
  COUNT(CASE WHEN NOT o.cancelled THEN 1 END) AS standing,
  COALESCE(SUM(CASE WHEN NOT o.cancelled THEN o.value END), 0) AS worth,
  COALESCE(SUM(CASE WHEN NOT o.cancelled THEN COALESCE(o.value, 0) - o.refunded END), 0) AS lifetime_value,
  SUM(o.discount) AS discounts,
  SUM(o.list_value) AS listed,
  COUNT(CASE WHEN o.cancelled OR o.paid_back THEN 1 END) AS went_back,
  MIN(CASE WHEN NOT o.cancelled THEN o.time END) AS first_order_at,
  MAX(CASE WHEN NOT o.cancelled THEN o.time END) AS last_order_at
FROM orders AS o
WHERE o.since <= AT_NOW() AND o.until > AT_NOW()
GROUP BY o.person
"""
"""What is computed of everybody's orders as they stood at the instant: `facts.of` in SQL, its quotients undivided."""

_STEP = Decimal("0.000001")
"""What `facts` rounds quotients to, half to even."""


def select(
    rule: Rule,
    rules: Mapping[str, Rule] | None = None,
    *,
    dialect: str = "duckdb",
    now: int | None = None,
    bands: Mapping[str, Bands] | None = None,
) -> str:
    """One statement that gives, as `person`, the ids of everybody inside at `now` (epoch ms; None: the dialect's parameter).

    `rules` are the segments that the rule may name, `bands` the value tiers with their present bounds. Raises `Unsayable`.
    """
    words = DIALECTS.get(dialect)
    if words is None:
        raise Unsayable(f"There is no dialect `{dialect}`; there are {', '.join(DIALECTS)}.")
    writing = _Writing(rules or {}, bands or {})
    members = _people(_rule(rule, writing))
    query = _parsed(members, sentence(rule))
    for name, text, comment in writing.steps:
        query = query.with_(name, as_=_parsed(text, comment))
    return _localised(query, words, now).sql(words.name, pretty=True)


def _parsed(text: str, comment: str) -> exp.Select:
    query = sqlglot.parse_one(text, read="duckdb")
    assert isinstance(query, exp.Select)  # noqa: S101  (our own text)
    query.add_comments([comment.replace("*/", "* /").replace("/*", "/ *")])
    return query


def _localised(query: exp.Expr, words: Dialect, now: int | None) -> exp.Expr:
    """The statement with what each dialect writes its own way: the instant, and lots."""

    def own(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Anonymous):
            return node
        if node.name.upper() == "AT_NOW":
            return exp.Var(this=words.now) if now is None else exp.Literal.number(now)
        if node.name.upper() != "LOT":
            return node
        text = node.expressions[0].sql(words.name)
        high, low = (
            words.word.replace("{text}", text).replace("{at}", at).replace("{byte}", byte)
            for at, byte in (("1", "1"), ("9", "5"))
        )
        # The first 64 bits of the hash, modulo a million, in two halves that fit every dialect's integers.
        return sqlglot.parse_one(f"MOD({high} * {2**32 % LOTS} + {low}, {LOTS})", read=words.name)

    return query.transform(own)


class _Writing:
    """A statement being written: its named steps, each once."""

    def __init__(self, rules: Mapping[str, Rule], bands: Mapping[str, Bands]) -> None:
        self.rules = rules
        self.bands = bands
        self.steps: list[tuple[str, str, str]] = []
        self._named: dict[str, str] = {}
        self._segments: dict[str, str] = {}

    def step(self, text: str, comment: str, name: str = "") -> str:
        """The name of a step that says this."""
        known = self._named.get(text)
        if known is None:
            known = self._named[text] = self._free(name or "step")
            self.steps.append((known, text, comment))
        return known

    def _free(self, wish: str) -> str:
        taken = {name for name, _, _ in self.steps} | TABLES.keys()
        return next(
            name for n in range(1, len(taken) + 3) if (name := f"{wish}_{n}" if n > 1 or wish == "step" else wish) not in taken
        )

    def segment(self, name: str) -> str:
        """The step that gives another segment's members."""
        if name not in self._segments:
            rule = self.rules.get(name)
            if rule is None:
                raise Unsayable(f"There is no segment `{name}`, which the rule asks about.")
            wish = "segment_" + (re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "x")
            self._segments[name] = self.step(_people(_rule(rule, self)), f"{name}: {sentence(rule)}", wish)
        return self._segments[name]


def _people(inside: str) -> str:
    return f"SELECT p.id AS person FROM people AS p WHERE p.known_at <= AT_NOW() AND {inside}"


# ---- rules -----------------------------------------------------------------------------------------------------------------


def _rule(rule: Rule, writing: _Writing) -> str:
    """The rule as a question about a row `p` of people, which stands in AND, OR and NOT without brackets."""
    if isinstance(rule, Happened):
        return _happened(rule, writing)
    if isinstance(rule, Age):
        return _age(rule, writing)
    if isinstance(rule, Trait):
        return _person(conditions.compile(rule.when).expression, writing)
    if isinstance(rule, Inside):
        return f"p.id IN (SELECT person FROM {writing.segment(rule.segment)})"
    if isinstance(rule, Split):
        return f"LOT({_text(rule.salt + ':')} || CAST(p.id AS TEXT)) BETWEEN {rule.low} AND {rule.high - 1}"
    if isinstance(rule, Band):
        return _band(rule, writing)
    if isinstance(rule, (All, Some)):
        return _joined([_rule(part, writing) for part in rule.parts], every=isinstance(rule, All))
    return f"NOT {_rule(rule.part, writing)}"


def _joined(parts: Sequence[str], *, every: bool) -> str:
    if not parts:
        return "TRUE" if every else "FALSE"
    return parts[0] if len(parts) == 1 else "(" + (" AND " if every else " OR ").join(parts) + ")"


def _heard(event: str, where: Any, alias: str = "e") -> list[str]:
    """What an event must be to count: heard of by the instant, of this name, meeting the condition."""
    met = [f"{alias}.received_at <= AT_NOW()", f"{alias}.name = {_text(event)}"]
    if where is not None:
        met.append(_event(conditions.compile(where).expression))
    return met


def _happened(rule: Happened, writing: _Writing) -> str:
    met = _heard(rule.event, rule.where)
    if rule.within is not None:
        met.append(f"e.happened_at > AT_NOW() - {rule.within}")
    if rule.between is not None:
        met.append(f"e.happened_at >= {rule.between[0]} AND e.happened_at < {rule.between[1]}")
    begun = ""
    if rule.since is not None:
        begun = (
            f" JOIN (SELECT s.person AS person, MAX(s.happened_at) AS last_at FROM events AS s "
            f"WHERE {' AND '.join(_heard(rule.since, None, 's'))} GROUP BY s.person) AS begun ON begun.person = e.person"
        )
        met.append("e.happened_at >= begun.last_at")
    # Who has none of them is in no row: where none is enough, everybody counts but those with too many.
    many = []
    if rule.least > 1:
        many.append(f"COUNT(*) >= {rule.least}")
    if rule.most is not None:
        many.append(f"COUNT(*) <= {rule.most}")
    if rule.least <= 0:
        if rule.most is None:
            return "TRUE"
        many = [f"COUNT(*) > {rule.most}"]
    text = f"SELECT e.person AS person FROM events AS e{begun} WHERE {' AND '.join(met)}"
    if many:
        text += f" GROUP BY e.person HAVING {' AND '.join(many)}"
    without = "NOT " if rule.least <= 0 else ""
    return f"{without}p.id IN (SELECT person FROM {writing.step(text, ('not so: ' if without else '') + sentence(rule))})"


def _age(rule: Age, writing: _Writing) -> str:
    chosen = f"{'MIN' if rule.first else 'MAX'}(e.happened_at)"
    bounds = [f"{chosen} <= AT_NOW() - {rule.low}"] if rule.low else []
    if rule.high is not None:
        bounds.append(f"{chosen} > AT_NOW() - {rule.high}")
    text = f"SELECT e.person AS person FROM events AS e WHERE {' AND '.join(_heard(rule.event, rule.where))}"
    if bounds:
        text += f" GROUP BY e.person HAVING {' AND '.join(bounds)}"
    return f"p.id IN (SELECT person FROM {writing.step(text, sentence(rule))})"


def _band(rule: Band, writing: _Writing) -> str:
    own = writing.bands.get(rule.tiers)
    if own is None:
        raise Unsayable(f"The bounds of the value tiers `{rule.tiers}` are not known here, so their bands cannot be said in SQL.")
    if own.hysteresis:
        raise Unsayable(
            f"The value tiers `{rule.tiers}` have a hysteresis: where a person is depends on where they were, and SQL over the "
            "exported history does not know it. Ask the segment itself (`signalpost segments list`), or take the hysteresis off."
        )
    if not own.bounds and len(own.names) > 1:
        return "FALSE"
    path = f"person.{own.of}"
    asked = [f"f.{FACT_COLUMNS['person.orders']} > 0"]
    if rule.index > 0:
        asked.append(_fact(path, "gte", (own.bounds[rule.index - 1],)))
    if rule.index < len(own.bounds):
        asked.append(_fact(path, "lt", (own.bounds[rule.index],)))
    return f"p.id IN (SELECT f.person FROM {_facts(writing)} AS f WHERE {' AND '.join(asked)})"


# ---- conditions on a person ------------------------------------------------------------------------------------------------


def _person(asked: Expression, writing: _Writing) -> str:
    """A condition as a question about a row `p` of people."""
    if not isinstance(asked, Asks):
        return _grouped(asked, [_person(part, writing) for part in asked.parts])
    if asked.path in PEOPLE_COLUMNS:
        return f"p.{PEOPLE_COLUMNS[asked.path]}" if asked.operands[0] else f"NOT p.{PEOPLE_COLUMNS[asked.path]}"
    if asked.path in FACTS:
        holds, wanted = _fact(asked.path, asked.operator, asked.operands), _of_nobody(asked)
        facts = _facts(writing)
        if wanted:  # of people without orders it holds as well
            return f"NOT p.id IN (SELECT f.person FROM {facts} AS f WHERE NOT {holds})"
        return f"p.id IN (SELECT f.person FROM {facts} AS f WHERE {holds})"
    if asked.path.startswith(("person.traits.", "person.tags", "person.email_domain")):
        found = (
            "p.id IN (SELECT v.person FROM person_values AS v WHERE v.since <= AT_NOW() AND v.until > AT_NOW() "
            f"AND v.path = {_text(asked.path)}"
        )
        return _among(asked, found, "AT_NOW()")
    raise Unsayable(
        f"A rule about a person cannot ask `{asked.path}` in SQL: the exported history does not have it of people. "
        "Ask for an event with `did:` and `where:` instead."
    )


def _grouped(asked: Expression, parts: Sequence[str]) -> str:
    if isinstance(asked, Every):
        return _joined(parts, every=True)
    some = _joined(parts, every=False)
    return some if isinstance(asked, Either) else f"NOT {some}"


def _facts(writing: _Writing) -> str:
    return writing.step(FACTS_SQL, "what is computed of everybody's orders", "facts")


def _of_nobody(asked: Asks) -> bool:
    """Whether a question about a fact is answered with yes for a person without orders."""
    counted = asked.path in {"person.orders", "person.lifetime_value"}
    zero, operator, operands = Decimal(0), asked.operator, asked.operands
    if operator == "exists":
        return bool(operands[0]) == counted
    if operator in {"ne", "not_in"}:
        return not counted or zero not in operands
    if not counted or operator == "age":
        return False
    return COMPARE[operator](zero, operands[0]) if operator in ORDERING else zero in operands


def _fact(path: str, operator: str, operands: tuple[Any, ...]) -> str:
    """A question about a row `f` of facts."""
    if path in FACT_COLUMNS:
        return _column(f"f.{FACT_COLUMNS[path]}", operator, operands, "AT_NOW()")
    above, below = (re.sub(r"[a-z]\w*", r"f.\g<0>", part) for part in FACT_SHARES[path])
    known = f"{below} > 0"
    if operator == "exists":
        return known if operands[0] else f"NOT {known}"

    def reaches(least: Decimal) -> str:
        # The quotient, rounded to the sixth decimal (half to even), is `least` or more; said without dividing.
        even = int(least / _STEP) % 2 == 0
        return f"{above} {'>=' if even else '>'} {_exact(least - _STEP / 2)} * {below}"

    def equals(value: Decimal) -> str:
        if value != _on_grid(value, ROUND_FLOOR):
            return "FALSE"
        return f"({reaches(value)} AND NOT {reaches(value + _STEP)})"

    if operator in ORDERING:
        bound = operands[0]
        asked = {
            "gte": lambda: reaches(_on_grid(bound, ROUND_CEILING)),
            "gt": lambda: reaches(_on_grid(bound, ROUND_FLOOR) + _STEP),
            "lt": lambda: f"NOT {reaches(_on_grid(bound, ROUND_CEILING))}",
            "lte": lambda: f"NOT {reaches(_on_grid(bound, ROUND_FLOOR) + _STEP)}",
        }[operator]()
        return f"({known} AND {asked})"
    same = f"({known} AND {_joined([equals(each) for each in operands], every=False)})"
    return f"NOT {same}" if operator in {"ne", "not_in"} else same


def _on_grid(value: Decimal, rounding: str) -> Decimal:
    _exact(value)
    with localcontext(prec=60):
        return value.quantize(_STEP, rounding)


# ---- conditions on an event ------------------------------------------------------------------------------------------------


def _event(asked: Expression) -> str:
    """A condition as a question about a row `e` of events."""
    if not isinstance(asked, Asks):
        return _grouped(asked, [_event(part) for part in asked.parts])
    path = asked.path
    if path in EVENT_COLUMNS:
        return _column(f"e.{EVENT_COLUMNS[path]}", asked.operator, asked.operands, "e.received_at")
    if path.startswith("person.") or path in OF_OTHER_EVENTS:
        raise Unsayable(
            f"`where: {{{path}: ...}}` asks what was known when the event came, which the exported history does not say. "
            "Ask the person with `trait:` instead, which looks at the moment of the question."
        )
    if path.startswith(("event.", "order.")):
        found = f"e.id IN (SELECT v.event FROM event_values AS v WHERE v.path = {_text(path)}"
        return _among(asked, found, "e.received_at")
    raise Unsayable(f"`{path}` is not in the exported history, so a rule that asks it cannot be said in SQL.")


# ---- what is compared --------------------------------------------------------------------------------------------------------


def _column(column: str, operator: str, operands: tuple[Any, ...], now: str) -> str:
    """A question about one column; what is not known (NULL) meets only the negative ones."""
    if operator == "exists":
        return f"{column} IS NOT NULL" if operands[0] else f"{column} IS NULL"
    if isinstance(operands[0], bool):  # a switch, which is always known
        return column if operands[0] else f"NOT {column}"
    if operator == "age":
        return f"COALESCE({_aged(column, operands, now)}, FALSE)"
    if operator in ORDERING:
        return f"COALESCE({column} {_SIGNS[operator]} {_exact(operands[0])}, FALSE)"
    same = f"COALESCE({column} IN ({', '.join(_exact(each) for each in operands)}), FALSE)"
    return f"NOT {same}" if operator in {"ne", "not_in"} else same


def _among(asked: Asks, found: str, now: str) -> str:
    """A question about the rows `v` of one path, which `found` begins to look for."""
    operator, operands = asked.operator, asked.operands
    if operator == "exists":
        return f"{found})" if operands[0] else f"NOT {found})"
    if operator == "age":
        # An age is asked of the value itself, never of each of a list.
        test = f"v.place = 0 AND {_aged('v.moment', operands, now)}"
    elif operator in ORDERING:
        bound = operands[0]
        column, exact = ("v.moment", str(bound.at)) if isinstance(bound, Moment) else ("v.number", _exact(bound))
        test = f"{column} {_SIGNS[operator]} {exact}"
    elif operator in {"contains", "contains_any"} and asked.kind != "texts":
        test = _joined([f"STRPOS(v.text, {_text(each)}) > 0" for each in operands], every=False)
    elif operator == "starts_with":
        test = f"LEFT(v.text, {len(operands[0])}) = {_text(operands[0])}"
    elif operator == "ends_with":
        test = f"RIGHT(v.text, {len(operands[0])}) = {_text(operands[0])}"
    else:
        test = f"v.text IN ({', '.join(_text(each) for each in operands)})"
        alike = [number_of(each) for each in operands] if asked.kind == "any" else []
        numbers = [each for each in alike if each is not None]
        if numbers:
            test = f"({test} OR v.number IN ({', '.join(_exact(each) for each in numbers)}))"
    without = "NOT " if operator in {"ne", "not_in"} else ""
    return f"{without}{found} AND {test})"


_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_MIRRORED = {"gt": "<", "gte": "<=", "lt": ">", "lte": ">="}


def _aged(column: str, bounds: Sequence[tuple[str, int]], now: str) -> str:
    """How long ago: `now - column >= bound`, said of the column."""
    return _joined([f"{column} {_MIRRORED[name]} {now} - {bound}" for name, bound in bounds], every=True)


def _text(text: str) -> str:
    return exp.Literal.string(text).sql("duckdb")


def _exact(value: Decimal | int) -> str:
    """A number as it is compared with a column of exact numbers."""
    with localcontext(prec=100):
        exact = Decimal(value)
        if abs(exact) > LARGEST or exact != round(exact, PLACES):
            raise Unsayable(
                f"The number {value} has more digits than exported numbers have: {PLACES} decimals, 29 digits before them."
            )
        if exact == exact.to_integral_value():
            return str(int(exact))
        return f"CAST('{exact.normalize():f}' AS {NUMBER})"
