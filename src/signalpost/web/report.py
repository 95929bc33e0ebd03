"""The week on one page for the paid team: what was told to whom, what was kept back and why, and what to look at.

`period_of_week` and `period_of_days` say which time, `gather` reads the figures of it and of the time before, `page` writes one
HTML file that needs nothing else: no script, no picture, no font from elsewhere. Every figure comes from the database.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib.resources import files
from zoneinfo import ZoneInfo

from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from signalpost import charts, findings, gates, masking
from signalpost.config import Workspace
from signalpost.store import findings as kept_findings
from signalpost.store import report, story, trends, views
from signalpost.store.database import Connection
from signalpost.store.report import ZERO
from signalpost.web import words

MOST_DAYS = 92
DAY_MS = 86_400_000
SHOWN = 12
"""Rows of a table that may be long, and findings of a list, that the page shows; the JSON has them all."""

VERDICTS = ("accepted", "warned", "waiting", "withheld", "refused", "unknown")
FAILED = frozenset({"refused", "unknown"})

_WEEK = re.compile(r"(\d{4})-?W(\d{1,2})", re.IGNORECASE)


# ---- which time ------------------------------------------------------------------------------------------------------------


class Day(Struct, frozen=True, kw_only=True):
    """One day of the workspace's zone: [since, until) in epoch ms."""

    day: str
    """YYYY-MM-DD."""
    since: int
    until: int


class Period(Struct, frozen=True, kw_only=True):
    """Whole days of the workspace's zone; the last one ends now while it lasts."""

    title: str
    since: int
    until: int
    days: list[Day]


def period_of_week(text: str, zone: ZoneInfo, now: int) -> Period | None:
    """The ISO week `2026-W47`, `this` or `last`; None for what is no week, or one that has not begun."""
    today = _day_of(now, zone)
    if text.lower() in {"this", "last"}:
        first = today - timedelta(days=today.weekday() + (7 if text.lower() == "last" else 0))
    else:
        found = _WEEK.fullmatch(text.strip())
        try:
            first = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else date.max
        except ValueError:
            return None
    if first > today:
        return None
    year, week, _ = first.isocalendar()
    return _period(first, 7, zone, now, f"Week {week} of {year}")


def period_of_days(many: int, zone: ZoneInfo, now: int) -> Period:
    """The last days, today among them."""
    first = _day_of(now, zone) - timedelta(days=many - 1)
    return _period(first, many, zone, now, "Today" if many == 1 else f"The last {many} days")


def period_before(period: Period, zone: ZoneInfo) -> Period:
    """As many days before it; as far into the last of them as the period has come, so that like is compared with like."""
    first = date.fromisoformat(period.days[0].day)
    many = len(period.days)
    end = datetime.fromtimestamp(period.until / 1000, UTC).astimezone(zone)
    then = datetime.combine(end.date() - timedelta(days=many), end.time(), zone)
    return _period(first - timedelta(days=many), many, zone, round(then.timestamp() * 1000), "The time before")


def _period(first: date, many: int, zone: ZoneInfo, now: int, title: str) -> Period:
    days = []
    for day in (first + timedelta(days=each) for each in range(many)):
        since = _midnight(day, zone)
        if since <= now:
            until = min(_midnight(day + timedelta(days=1), zone), now)
            days.append(Day(day=day.isoformat(), since=since, until=until))
    return Period(title=title, since=days[0].since, until=days[-1].until, days=days)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return round(datetime.combine(day, time.min, zone).timestamp() * 1000)


def _day_of(now: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(now / 1000, UTC).astimezone(zone).date()


def dates(period: Period) -> str:
    """`16–22 November 2026`."""
    first, last = date.fromisoformat(period.days[0].day), date.fromisoformat(period.days[-1].day)
    if first == last:
        return f"{first.day} {first:%B %Y}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{last.day} {last:%B %Y}"
    start = f"{first.day} {first:%B}" if first.year == last.year else f"{first.day} {first:%B %Y}"
    return f"{start} – {last.day} {last:%B %Y}"


# ---- figures ---------------------------------------------------------------------------------------------------------------


class Known(Struct, frozen=True, kw_only=True):
    """Orders the hub heard of, in one currency; `currency` is empty for orders of which no source gave a value."""

    currency: str
    orders: int
    value: Decimal
    orders_before: int
    value_before: Decimal


class Part(Struct, frozen=True, kw_only=True):
    """Some of the orders and what they are worth."""

    orders: int = 0
    value: Decimal = ZERO


NONE = Part()


class Purchases(Struct, frozen=True, kw_only=True):
    """What one destination was told of the orders in one currency; the parts add up to what is known."""

    destination: str
    platform: str
    currency: str
    known: Part
    accepted: Part
    """With the value that was sent."""
    accepted_before: Part
    waiting: Part
    failed: Part
    """Refused, or never answered."""
    withheld: Part
    untold: Part
    """The destination was not configured, or the report that counts has not come."""
    converted: dict[str, Decimal]
    """Accepted value that was sent in another currency."""


class Volume(Struct, frozen=True, kw_only=True):
    """Signals of one event at one destination, by verdict."""

    destination: str
    platform: str
    name: str
    verdicts: dict[str, int]
    verdicts_before: dict[str, int]
    mapped: bool
    """False: the destination is not told of this event."""


class Kept(Struct, frozen=True, kw_only=True):
    """Signals that did not leave, or were not taken, for one reason."""

    destination: str
    platform: str
    verdict: str
    reason: str
    sentence: str
    advice: str
    signals: int
    signals_before: int
    purchases: int
    value: dict[str, Decimal]
    """Currency -> what those purchases are worth."""


class Speed(Struct, frozen=True, kw_only=True):
    """A clock with its quantiles, and those of the time before."""

    clock: report.Clock
    p95_before: int | None


class Score(Struct, frozen=True, kw_only=True):
    """Match keys of a destination's event, and the score of the time before."""

    matched: report.Matched
    score_before: float | None


class Daily(Struct, frozen=True, kw_only=True):
    """One day, for the charts and the tables beside them."""

    day: str
    known: Decimal
    """Of orders in the workspace's currency."""
    accepted: dict[str, Decimal]
    """Destination -> purchase value it took in that currency."""
    verdicts: dict[str, dict[str, int]]
    """Destination -> verdict -> signals."""
    p95: dict[str, int]
    """Destination -> intake to accepted, ms."""
    scores: dict[str, float]
    """Destination -> match key score."""


class Report(Struct, frozen=True, kw_only=True):
    """All that the page says."""

    workspace: str
    environment: str
    timezone: str
    currency: str
    order_value: str
    made_at: int
    period: Period
    before: Period
    summary: str
    events: int
    events_before: int
    known: list[Known]
    purchases: list[Purchases]
    volumes: list[Volume]
    withheld: list[Kept]
    """Without duplicates."""
    failed: list[Kept]
    duplicates: list[Kept]
    trials: list[report.Noticed]
    """What observing gates would have withheld."""
    stopped: list[Kept]
    """Of the withheld, what went wrong in time."""
    after: list[report.Noticed]
    """What went wrong when it had been sent."""
    speeds: list[Speed]
    scores: list[Score]
    markers: list[report.Marker]
    disagreements: list[report.Ordered]
    radar: list[report.Radar]
    beside: list[report.Beside]
    """What the platforms say, of the UTC days of the period."""
    qualities: list[views.Score]
    asked: list[views.Asked]
    """How the last asking of each platform went."""
    rollouts: list[report.Standing]
    open: list[kept_findings.Kept]
    """At the end of the period."""
    opened: int
    closed: list[kept_findings.Kept]
    """Within the period."""
    daily: list[Daily]


def gather(connection: Connection, workspace: Workspace, period: Period, now: int) -> Report:
    """Read the figures of a period and of the one before."""
    before = period_before(period, words.zone(workspace.timezone))
    by_day = [report.verdicts(connection, day.since, day.until) for day in period.days]
    cells = [each for day in by_day for each in day]
    cells_before = report.verdicts(connection, before.since, before.until)
    orders = _orders(connection, period, workspace)
    orders_before = _orders(connection, before, workspace)
    notices = report.noticed(connection, period.since, period.until, report.passed(cells), workspace)
    clocks_by_day = [trends.times(connection, day.since, day.until) for day in period.days]
    masks_by_day = [trends.keys(connection, day.since, day.until) for day in period.days]
    first, last = _utc_days(period)
    found = kept_findings.between(connection, period.since, period.until)
    made = Report(
        workspace=workspace.workspace,
        environment=workspace.environment,
        timezone=workspace.timezone,
        currency=workspace.currency,
        order_value=workspace.order_value,
        made_at=now,
        period=period,
        before=before,
        summary="",
        events=report.events(connection, period.since, period.until),
        events_before=report.events(connection, before.since, before.until),
        known=_known(orders, orders_before),
        purchases=_purchases(orders, orders_before, workspace),
        volumes=_volumes(cells, cells_before, workspace),
        withheld=_kept([each for each in cells if _withheld(each)], cells_before, workspace),
        failed=_kept([each for each in cells if each.verdict in FAILED], cells_before, workspace),
        duplicates=_kept([each for each in cells if _duplicate(each)], cells_before, workspace),
        trials=[each for each in notices if each.what == "observed"],
        stopped=_kept([each for each in cells if each.reason in report.STOPPED], cells_before, workspace),
        after=[each for each in notices if each.what in report.AFTER],
        speeds=_speeds(report.together(clocks_by_day), trends.times(connection, before.since, before.until)),
        scores=_scores(report.together(masks_by_day), trends.keys(connection, before.since, before.until), workspace),
        markers=report.markers(connection, period.since, period.until),
        disagreements=[each for each in orders if each.disagreement],
        radar=report.radar(orders),
        beside=report.beside(connection, first, last, _midnight_of(first), _midnight_of(last) + DAY_MS, workspace),
        qualities=[_longest(each) for each in report.qualities(connection, first, last)],
        asked=[each for each in views.asked(connection) if each.destination in workspace.destinations],
        rollouts=report.standings(connection, workspace),
        open=sorted((each for each in found if _open(each, period)), key=lambda each: findings.rank(each.finding)),
        opened=sum(each.since >= period.since for each in found),
        closed=[each for each in found if not _open(each, period)],
        daily=[
            _daily(day, of_day, times, keys, orders, workspace)
            for day, of_day, times, keys in zip(period.days, by_day, clocks_by_day, masks_by_day, strict=True)
        ],
    )
    return replace(made, summary=summary(made))


def _open(kept: kept_findings.Kept, period: Period) -> bool:
    return kept.closed_at is None or kept.closed_at >= period.until


def _orders(connection: Connection, period: Period, workspace: Workspace) -> list[report.Ordered]:
    """Orders that somebody reported as bought: of others only a refund or a flag has come so far."""
    heard = report.orders_between(connection, period.since, period.until, workspace)
    return [each for each in heard if each.claims or each.sent]


def _known(orders: Iterable[report.Ordered], before: Iterable[report.Ordered]) -> list[Known]:
    now, then = _worth(orders), _worth(before)
    made = [
        Known(
            currency=currency,
            orders=now.get(currency, NONE).orders,
            value=now.get(currency, NONE).value,
            orders_before=then.get(currency, NONE).orders,
            value_before=then.get(currency, NONE).value,
        )
        for currency in {**now, **then}
    ]
    return sorted(made, key=lambda each: (not each.currency, -each.orders, each.currency))


def _worth(orders: Iterable[report.Ordered]) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for each in orders:
        currency = each.currency or ""
        found[currency] = _plus(found.get(currency, NONE), each.value)
    return found


def _plus(part: Part, value: Decimal | None) -> Part:
    return Part(orders=part.orders + 1, value=part.value + (value or ZERO))


def _purchases(orders: Sequence[report.Ordered], before: Sequence[report.Ordered], workspace: Workspace) -> list[Purchases]:
    known = _worth(orders)
    parts, converted = _parts(orders)
    parts_before, _ = _parts(before)
    destinations = dict.fromkeys((*workspace.destinations, *(destination for destination, _, _ in parts)))
    return [
        Purchases(
            destination=destination,
            platform=report.title(destination, workspace),
            currency=currency,
            known=whole,
            accepted=parts.get((destination, currency, "accepted"), NONE),
            accepted_before=parts_before.get((destination, currency, "accepted"), NONE),
            waiting=parts.get((destination, currency, "waiting"), NONE),
            failed=parts.get((destination, currency, "failed"), NONE),
            withheld=parts.get((destination, currency, "withheld"), NONE),
            untold=_less(whole, [part for (there, of, _), part in parts.items() if (there, of) == (destination, currency)]),
            converted=converted.get((destination, currency), {}),
        )
        for currency, whole in known.items()
        for destination in destinations
    ]


def _less(whole: Part, parts: Iterable[Part]) -> Part:
    """What no part tells of. Its value is not known to the cent: what was sent may differ from what is known."""
    return Part(orders=whole.orders - sum(part.orders for part in parts))


FATES = {"accepted": "accepted", "warned": "accepted", "waiting": "waiting", "refused": "failed", "unknown": "failed"}
"""Verdict -> the part of `Purchases`; else withheld."""


def _parts(
    orders: Iterable[report.Ordered],
) -> tuple[dict[tuple[str, str, str], Part], dict[tuple[str, str], dict[str, Decimal]]]:
    parts: dict[tuple[str, str, str], Part] = {}
    converted: dict[tuple[str, str], dict[str, Decimal]] = {}
    for order in orders:
        currency = order.currency or ""
        for sent in order.sent:
            fate = FATES.get(sent.verdict, "withheld")
            value = order.value
            if fate == "accepted" and sent.value is not None:
                value = sent.value
                if (sent.currency or "") != currency:
                    others = converted.setdefault((sent.destination, currency), {})
                    others[sent.currency or ""] = others.get(sent.currency or "", ZERO) + sent.value
                    value = None
            key = (sent.destination, currency, fate)
            parts[key] = _plus(parts.get(key, NONE), value)
    return parts, converted


def _volumes(cells: Collection[report.Verdicts], before: Iterable[report.Verdicts], workspace: Workspace) -> list[Volume]:
    now, then = _by_event(cells), _by_event(before)
    # A repeat is withheld before anybody asks whether the destination is told of its event.
    mapped = {(each.destination, each.name) for each in cells if each.reason not in {"not_mapped", *report.DUPLICATES}}
    made = [
        Volume(
            destination=destination,
            platform=report.title(destination, workspace),
            name=masking.text(name),
            verdicts=verdicts,
            verdicts_before=then.get((destination, name), {}),
            mapped=(destination, name) in mapped,
        )
        for (destination, name), verdicts in now.items()
    ]
    return sorted(
        made, key=lambda each: (each.destination, each.name != report.PURCHASE, -sum(each.verdicts.values()), each.name)
    )


def _by_event(cells: Iterable[report.Verdicts]) -> dict[tuple[str, str], dict[str, int]]:
    found: dict[tuple[str, str], dict[str, int]] = {}
    for each in cells:
        verdicts = found.setdefault((each.destination, each.name), {})
        verdicts[each.verdict] = verdicts.get(each.verdict, 0) + each.signals
    return found


def _duplicate(each: report.Verdicts) -> bool:
    return each.verdict == "withheld" and each.reason in report.DUPLICATES


def _withheld(each: report.Verdicts) -> bool:
    return each.verdict == "withheld" and each.reason not in report.DUPLICATES


def _kept(cells: Iterable[report.Verdicts], before: Iterable[report.Verdicts], workspace: Workspace) -> list[Kept]:
    """By destination, verdict and reason; what is worth most first, then the most, what nobody asked for last."""
    grouped: dict[tuple[str, str, str], list[report.Verdicts]] = {}
    for each in cells:
        grouped.setdefault((each.destination, each.verdict, each.reason), []).append(each)
    then: dict[tuple[str, str, str], int] = {}
    for each in before:
        key = (each.destination, each.verdict, each.reason)
        then[key] = then.get(key, 0) + each.signals
    rules = {f"gate:{rule.name}": rule for rule in gates.rules(workspace)}
    made = []
    for (destination, verdict, reason), several in grouped.items():
        value: dict[str, Decimal] = {}
        for each in several:
            if each.currency:
                value[each.currency] = value.get(each.currency, ZERO) + each.value
        made.append(
            Kept(
                destination=destination,
                platform=report.title(destination, workspace),
                verdict=verdict,
                reason=reason,
                sentence=several[0].sentence,
                advice=rules[reason].advice if reason in rules else story.advice(verdict, reason),
                signals=sum(each.signals for each in several),
                signals_before=then.get((destination, verdict, reason), 0),
                purchases=sum(each.signals for each in several if each.name == report.PURCHASE),
                value=dict(sorted(value.items(), key=lambda each: -each[1])),
            )
        )
    dearest: dict[str, Decimal] = {}
    most = Counter[str]()
    for kept in made:
        dearest[kept.reason] = max(dearest.get(kept.reason, ZERO), sum(kept.value.values(), ZERO))
        most[kept.reason] = max(most[kept.reason], kept.signals)
    return sorted(
        made,
        key=lambda each: (
            each.reason == "not_mapped", -dearest[each.reason], -most[each.reason], each.reason, -each.signals, each.destination,
        ),
    )  # fmt: skip


def _speeds(found: report.Counted, before: report.Counted) -> list[Speed]:
    then = {(each.clock, each.name): each.p95 for each in report.told(before)}
    return [Speed(clock=each, p95_before=then.get((each.clock, each.name))) for each in report.told(found)]


def _scores(found: report.Counted, before: report.Counted, workspace: Workspace) -> list[Score]:
    then = {(each.destination, each.name): each.score for each in report.matched(before, workspace)}
    return [
        Score(matched=each, score_before=then.get((each.destination, each.name))) for each in report.matched(found, workspace)
    ]


def _utc_days(period: Period) -> tuple[str, str]:
    """The days that platforms report by."""
    first, last = (datetime.fromtimestamp(at / 1000, UTC).date().isoformat() for at in (period.since, period.until - 1))
    return first, last


def _longest(score: views.Score) -> views.Score:
    """A platform's score with the longest look back of each place and way in: shorter ones tell the same less surely."""
    best = {
        (each.platform, each.ingestion): each
        for each in sorted(score.qualities, key=lambda each: int("0" + re.sub(r"\D", "", each.lookback)))
    }
    return replace(score, qualities=tuple(best.values()))


def _midnight_of(day: str) -> int:
    return round(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def _daily(
    day: Day,
    cells: Iterable[report.Verdicts],
    times: report.Counted,
    keys: report.Counted,
    orders: Iterable[report.Ordered],
    workspace: Workspace,
) -> Daily:
    verdicts: dict[str, dict[str, int]] = {}
    for each in cells:
        of = verdicts.setdefault(each.destination, {})
        of[each.verdict] = of.get(each.verdict, 0) + each.signals
    heard = [order for order in orders if day.since <= order.received_at < day.until and order.currency == workspace.currency]
    parts, _ = _parts(heard)
    return Daily(
        day=day.day,
        known=sum((order.value or ZERO for order in heard), ZERO),
        accepted={there: part.value for (there, _, fate), part in parts.items() if fate == "accepted"},
        verdicts=verdicts,
        p95={each.name: each.p95 for each in report.told(times) if each.clock == "accepted"},
        scores=report.scores(keys, workspace),
    )


# ---- in words --------------------------------------------------------------------------------------------------------------


def summary(made: Report) -> str:
    """What a person would tell of it in a minute."""
    if not made.events:
        return "Nothing arrived in this time."
    names = destinations(made)
    said = [_said_of_orders(made)]
    said += [
        _said_of_platform(names[each.destination], each)
        for each in made.purchases
        if each.known.orders and each.currency == _main(made)
    ]
    if caught := sum(_most_by_destination(made.duplicates).values()):
        said.append(f"{words.count(caught, 'signal')} that had been told already {'was' if caught == 1 else 'were'} kept back.")
    dear = next((each for each in made.withheld if each.value), None)
    if dear is not None:
        said.append(f"The most value was withheld from {names[dear.destination]}: {words.amounts(dear.value)}.")
        said.append(f"The reason: {_begun(dear.sentence)}")
    trial = next((each for each in made.trials if each.share is not None), None)
    if trial is not None and trial.share is not None:
        rule = trial.gate.replace("_", " ")
        of, where = "value" if trial.of_value > 0 else "signals", names.get(trial.destination, trial.platform)
        said.append(f"The observing gate “{rule}” would withhold {words.percent(trial.share)} of {where}'s {of}.")
    slow = max((each.clock for each in made.speeds if each.clock.clock == "accepted"), key=lambda clock: clock.p95, default=None)
    if slow is not None:
        held = next((each.clock for each in made.speeds if (each.clock.clock, each.clock.name) == ("held", slow.name)), None)
        hold = f", of which about {words.took(held.p50)} is your own hold" if held is not None and held.p50 else ""
        where = names.get(slow.name, slow.name)
        said.append(f"95 of 100 signals were accepted within {words.took(slow.p95)} at {where}, the slowest{hold}.")
    said.append(_said_of_findings(made))
    return " ".join(said)


def _main(made: Report) -> str:
    """The currency that most orders are in."""
    return next((each.currency for each in made.known if each.currency and each.orders), made.currency)


def _said_of_orders(made: Report) -> str:
    main = next((each for each in made.known if each.currency == _main(made)), None)
    if main is None:
        unvalued = sum(each.orders for each in made.known)
        heard = f"{words.count(unvalued, 'order')}, none with a value" if unvalued else "no order"
        return f"Signalpost heard of {words.count(made.events, 'event')} and of {heard}."
    others = [each for each in made.known if each.currency and each is not main and each.orders]
    also = f" (and {words.count(sum(each.orders for each in others), 'order')} in other currencies)" if others else ""
    change = _in_words(main.value, main.value_before)
    return (
        f"Signalpost heard of {words.count(main.orders, 'order')} worth {words.total(main.value, main.currency)}{also}{change}."
    )


def _in_words(value: Decimal, before: Decimal) -> str:
    if before <= 0:
        return ""
    moved = (value - before) / before
    if moved >= 2:
        return f", {value / before:,.0f} times that of the time before"
    if abs(moved) < Decimal("0.005"):
        return ", as much as in the time before"
    return f", {words.percent(abs(moved))} {'more' if moved > 0 else 'less'} than in the time before"


def _said_of_platform(name: str, each: Purchases) -> str:
    accepted = f"{name} has accepted {each.accepted.orders:,} of them"
    if each.known.value > 0 and each.accepted.value > 0:
        accepted += f", {words.percent(each.accepted.value / each.known.value)} of that value"
    return f"{accepted}."


def _said_of_findings(made: Report) -> str:
    if not made.open:
        return "No finding is open."
    stakes = words.amounts(report.at_stake(made.open))
    many = f"{words.count(len(made.open), 'finding is', 'findings are')} open"
    return f"{many}{f', with up to {stakes} at stake' if stakes else ''}. First of all: {_begun(made.open[0].finding.sentence)}"


def _begun(sentence: str) -> str:
    """A sentence or a condition in words as one of several sentences."""
    return f"{sentence[:1].upper()}{sentence[1:].rstrip('.')}."


def _most_by_destination(kept: Iterable[Kept]) -> dict[str, int]:
    """Reason -> signals at the destination that had the most of them: every destination catches the same repeat."""
    found: dict[str, dict[str, int]] = {}
    for each in kept:
        of = found.setdefault(each.reason, {})
        of[each.destination] = of.get(each.destination, 0) + each.signals
    return {reason: max(of.values()) for reason, of in found.items()}


# ---- the page --------------------------------------------------------------------------------------------------------------


COLOURS = ("a", "b", "c", "d")
"""The style sheet's colours for destinations, in order; a fifth begins again."""


def page(made: Report) -> str:
    """The report as one HTML file."""
    environment = words.environment(words.zone(made.timezone))
    environment.globals.update(
        change=words.change,
        dates=dates,
        day=_weekday,
        after=report.AFTER,
        stopped=report.STOPPED,
        verdicts=VERDICTS,
    )
    style = files("signalpost.web").joinpath("templates", "report.css").read_text("utf-8")
    names = destinations(made)
    return environment.get_template("report.html").render(
        report=made,
        style=Markup(style),  # noqa: S704  (our own file)
        names=names,
        alike=lambda rows: _alike(rows, names),
        used=[verdict for verdict in VERDICTS if any(each.verdicts.get(verdict) for each in made.volumes)],
        colours={destination: COLOURS[place % len(COLOURS)] for place, destination in enumerate(names)},
        charts=drawn(made),
        shown=SHOWN,
        heavy=report.HEAVY,
        at_stake=report.at_stake(made.open),
        caught=sum(_most_by_destination(made.duplicates).values()),
        main=_main(made),
    )


def _alike(rows: Iterable[Kept], names: Mapping[str, str]) -> list[tuple[str, Kept]]:
    """Rows in a line each: destinations of which the same is to be said share one."""
    lines: dict[tuple[object, ...], tuple[list[str], Kept]] = {}
    for each in rows:
        said = (each.verdict, each.reason, each.sentence, each.signals, each.signals_before, each.purchases, str(each.value))
        lines.setdefault(said, ([], each))[0].append(names[each.destination])
    return [(", ".join(sorted(where)), each) for where, each in lines.values()]


def destinations(made: Report) -> dict[str, str]:
    """Every destination that the figures name -> what it is called; the platform's name where only one has it."""
    found = {each.destination: each.platform for each in made.purchases}
    found |= {each.destination: each.platform for each in made.volumes}
    often = list(found.values())
    return {
        destination: platform if often.count(platform) == 1 else f"{platform} ({destination})"
        for destination, platform in sorted(found.items())
    }


def drawn(made: Report) -> dict[str, Markup]:
    """The charts by name; none where there is nothing to draw, or a single day."""
    days = made.daily
    if len(days) < 2:
        return {}
    labels = [_weekday(each.day) for each in days]
    names = destinations(made)
    colour = {destination: COLOURS[place % len(COLOURS)] for place, destination in enumerate(names)}
    found: dict[str, Markup] = {}
    if any(each.known for each in days):
        found["value"] = charts.bars(
            labels,
            [
                ("known", "known", [float(each.known) for each in days]),
                *((name, colour[key], [float(each.accepted.get(key, ZERO)) for each in days]) for key, name in names.items()),
            ],
            alt=f"Value of orders known and accepted, day by day, in {made.currency}",
            say=_short,
        )
    for key, name in names.items():
        if any(each.verdicts.get(key) for each in days):
            found[f"volume {key}"] = charts.stacked(
                labels,
                [
                    (verdict, verdict, [each.verdicts.get(key, {}).get(verdict, 0) for each in days])
                    for verdict in VERDICTS
                    if any(each.verdicts.get(key, {}).get(verdict) for each in days)
                ],
                alt=f"Signals for {name} by verdict, day by day",
                say=_short,
            )
    if any(each.p95 for each in days):
        found["speed"] = charts.lines(
            labels,
            [
                (name, colour[key], [each.p95[key] / 1000 if key in each.p95 else None for each in days])
                for key, name in names.items()
            ],
            alt="Seconds from intake to accepted within which 95 of 100 signals were, day by day",
            say=lambda value: words.took(round(value * 1000)),
        )
    if any(each.scores for each in days):
        found["score"] = charts.lines(
            labels,
            [(name, colour[key], [each.scores.get(key) for each in days]) for key, name in names.items()],
            alt="Match key score, 0 to 100, day by day",
            say=lambda value: f"{value:.0f}",
            span=(0, 100),
        )
    return found


def _short(value: float) -> str:
    """A number for an axis: `950`, `12.5 k`, `8 M`; the table beside it tells it whole."""
    for size, unit in ((1e9, "bn"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):,.1f}".removesuffix(".0") + f" {unit}"
    return f"{value:,.0f}"


def _weekday(day: str) -> str:
    """`Mon 16`."""
    return f"{date.fromisoformat(day):%a} {date.fromisoformat(day).day}"
