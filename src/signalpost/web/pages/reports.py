"""Reports: the week for the paid team, what audiences bring, and tables to take along."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

from msgspec import Struct
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response, StreamingResponse

from signalpost import audiences, lift
from signalpost.config import Workspace
from signalpost.options import Audience, share
from signalpost.store import exports
from signalpost.store import lift as arms
from signalpost.store import report as figures
from signalpost.store.database import Connection, Database
from signalpost.store.exports import TABLES, Column, Period
from signalpost.web import exports as leaving
from signalpost.web import report
from signalpost.web.beside import Beside, Made
from signalpost.web.routing import OPERATOR, act, page, part
from signalpost.web.visit import Visit

DAY = 86_400_000

LATELY_MS, LONG_AGO_MS = 300_000, 3_600_000
"""How old a report may be: of days that still go on, and of weeks that are over (answers still come in for them)."""

WEEKS = 26
"""Weeks that can be chosen."""

SEALED = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
"""The report is one file with its own style and no script at all."""


# ---- the week --------------------------------------------------------------------------------------------------------------


class Week(Struct, frozen=True, kw_only=True):
    """A week that can be chosen."""

    week: str
    """`2026-W47`; empty for the last seven days."""
    dates: str


class Weekly(Struct, frozen=True, kw_only=True):
    """The page of the weekly report."""

    week: str
    weeks: list[Week]
    dates: str
    made_at: int
    """0: not yet."""
    running: bool
    failed: str
    report: report.Report | None


def _beside(visit: Visit) -> Beside:
    kept: Beside = visit.console.kept.setdefault(Beside, Beside())
    return kept


def _period(visit: Visit, week: str) -> report.Period:
    if not week:
        return report.period_of_days(7, visit.console.zone, visit.now)
    found = report.period_of_week(week, visit.console.zone, visit.now)
    if found is None:
        raise HTTPException(404, f"{week} is no week that has begun: write it as 2026-W47.")
    return found


def _weeks(visit: Visit, begins: int | None) -> list[Week]:
    """The last seven days, then the weeks of which anything is known, the newest first."""
    found = [Week(week="", dates="The last 7 days")]
    day = datetime.fromtimestamp(visit.now / 1000, visit.console.zone).date()
    for back in range(WEEKS):
        year, number, _ = (day - timedelta(weeks=back)).isocalendar()
        period = report.period_of_week(f"{year}-W{number:02d}", visit.console.zone, visit.now)
        if period is None or begins is None or period.until <= begins:
            break
        found.append(Week(week=f"{year}-W{number:02d}", dates=f"Week {number}: {report.dates(period)}"))
    return found


def _gathered(database: Database, workspace: Workspace, period: report.Period, now: int) -> report.Report:
    return figures.steady(database, lambda connection: report.gather(connection, workspace, period, now))


async def _made(visit: Visit, week: str) -> Made[report.Report]:
    period = _period(visit, week)
    over = bool(week) and period.until < visit.now
    return await _beside(visit).ask(
        ("report", visit.workspace.workspace, week, period.days[0].day),
        partial(_gathered, visit.console.database, visit.workspace, period, visit.now),
        now=visit.now,
        fresh_ms=LONG_AGO_MS if over else LATELY_MS,
    )


async def weekly(visit: Visit) -> Response:
    """`/reports`: the report of the last seven days, or of a week."""
    week = visit.query("week", most=10)
    made = await _made(visit, week)
    begins = await visit.read(exports.begins)
    facts = Weekly(
        week=week,
        weeks=_weeks(visit, begins),
        dates=report.dates(_period(visit, week)),
        made_at=made.at,
        running=made.running,
        failed=made.failed,
        report=made.value,
    )
    told = visit.page("reports.html", facts, weekly=facts, begun=begins is not None, titles=_titles(made.value))
    if not visit.json:  # the report stands in a frame of the same host
        told.headers["content-security-policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; frame-src 'self'"
        )
    return told


def _titles(made: report.Report | None) -> dict[str, str]:
    return {} if made is None else report.destinations(made)


async def file(visit: Visit) -> Response:
    """`/reports/week`: the report as its own file, to look at or (`download=1`) to keep."""
    week = visit.query("week", most=10)
    made = await _made(visit, week)
    if made.value is None:
        raise HTTPException(
            503, made.failed or "This report is being computed. Load the page again in a moment.", {"retry-after": "2"}
        )
    headers = {"content-security-policy": SEALED, "x-frame-options": "SAMEORIGIN"}
    if visit.query("download"):
        name = f"signal-report-{made.value.period.days[-1].day}.html"
        headers["content-disposition"] = f'attachment; filename="{name}"'
    return Response(await run_in_threadpool(report.page, made.value), media_type="text/html; charset=utf-8", headers=headers)


# ---- lift ------------------------------------------------------------------------------------------------------------------

SINCE = {"30d": 30, "60d": 60, "90d": 90}
WINDOWS = {"3d": 3, "7d": 7, "14d": 14, "30d": 30}


class Compared(Struct, frozen=True, kw_only=True):
    """One audience."""

    audience: str
    segment: str
    use: str
    destinations: list[str]
    holdout: str
    """Empty: nobody is held out."""
    made_at: int
    running: bool
    failed: str
    lift: lift.Lift | None


class Lifts(Struct, frozen=True, kw_only=True):
    """What audiences bring."""

    since: str
    window: str
    running: bool
    compared: list[Compared]
    without: list[str]
    """Audiences that hold nobody out, so that nothing can be said of them."""


def _holds_out(audience: Audience) -> bool:
    return audience.use != "seed" and audience.holdout is not None and 0 < share(audience.holdout) < 1


def _compare(database: Database, workspace: Workspace, audience: Audience, since: int, window: int, now: int) -> lift.Lift:
    wanted = next(each for each in audiences.of(workspace, {}) if each.name == audience.title)
    counted = database.look(lambda connection: arms.gather(connection, wanted, since=now - since, window=window, now=now))
    use: lift.Use = "suppress" if audience.use == "suppress" else "target"
    return lift.of(counted, wanted, use, window=window, currency=workspace.currency)


async def lifts(visit: Visit) -> Response:
    """`/reports/lift`: every audience that holds people out, against them."""
    since, window = visit.query("since", "30d"), visit.query("window", "7d")
    since, window = since if since in SINCE else "30d", window if window in WINDOWS else "7d"
    if WINDOWS[window] >= SINCE[since]:
        since = next(name for name, days in SINCE.items() if days > WINDOWS[window])
    compared = []
    for audience in visit.workspace.audiences:
        if not _holds_out(audience):
            continue
        made = await _beside(visit).ask(
            ("lift", visit.workspace.workspace, repr(audience), since, window),
            partial(
                _compare, visit.console.database, visit.workspace, audience, SINCE[since] * DAY, WINDOWS[window] * DAY, visit.now
            ),
            now=visit.now,
            fresh_ms=LONG_AGO_MS,
        )
        compared.append(
            Compared(
                audience=audience.title,
                segment=audience.segment,
                use=audience.use,
                destinations=list(audience.to),
                holdout=audience.holdout or "",
                made_at=made.at,
                running=made.running,
                failed=made.failed,
                lift=made.value,
            )
        )
    facts = Lifts(
        since=since,
        window=window,
        running=any(each.running for each in compared),
        compared=compared,
        without=[each.title for each in visit.workspace.audiences if each.use != "seed" and not _holds_out(each)],
    )
    return visit.page("lift.html", facts, lifts=facts, sinces=SINCE, windows=WINDOWS)


# ---- exports ---------------------------------------------------------------------------------------------------------------


class Exportable(Struct, frozen=True, kw_only=True):
    """One table that can be taken along."""

    name: str
    title: str
    doc: str
    columns: Sequence[Column]


class Exports(Struct, frozen=True, kw_only=True):
    """The page."""

    first: str
    """YYYY-MM-DD: the period that is proposed."""
    last: str
    earliest: str
    """Of what is known; empty: nothing is."""
    parquet: bool
    tables: list[Exportable]


async def tables(visit: Visit) -> Response:
    """`/reports/exports`: which tables can be taken along, and of which days."""
    begins = await visit.read(exports.begins)
    today = datetime.fromtimestamp(visit.now / 1000, visit.console.zone).date()
    facts = Exports(
        first=(today - timedelta(days=6)).isoformat(),
        last=today.isoformat(),
        earliest="" if begins is None else datetime.fromtimestamp(begins / 1000, visit.console.zone).date().isoformat(),
        parquet=leaving.parquet_possible(),
        tables=[Exportable(name=each.name, title=each.title, doc=each.doc, columns=each.columns) for each in TABLES.values()],
    )
    return visit.page("exports.html", facts, exports=facts, most_days=report.MOST_DAYS)


async def export(visit: Visit) -> Response:
    """The form of an export: the table of those days, streamed as CSV or as a Parquet file."""
    table = TABLES.get(await visit.field("table"))
    form = await visit.field("format", "csv")
    if table is None or form not in {"csv", "parquet"}:
        raise HTTPException(422, "Choose one of the tables, as CSV or as Parquet.")
    if form == "parquet" and not leaving.parquet_possible():
        raise HTTPException(422, "Parquet needs DuckDB. Install the extra `history`, restart Signalpost, and try again.")
    first, last = _day(await visit.field("first")), _day(await visit.field("last"))
    if not 0 <= (last - first).days < report.MOST_DAYS:
        raise HTTPException(422, f"Choose a first and a last day, at most {report.MOST_DAYS} days.")
    period = Period(_midnight(first, visit), _midnight(last + timedelta(days=1), visit))

    def noted(connection: Connection) -> None:
        visit.note(connection, "exported", f"{table.name} as {form}", f"{first} to {last}")

    await visit.write(noted)
    name = f"{visit.workspace.workspace}-{table.name}-{first}-{last}.{form}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    pages = exports.pages(visit.console.database.look, table, visit.workspace, period)
    threads: ThreadPoolExecutor = visit.console.kept.setdefault("exports", ThreadPoolExecutor(2, "console-export"))
    if form == "csv":
        pieces = _beside_the_loop(threads, leaving.lines(table.columns, pages))
        return StreamingResponse(pieces, media_type="text/csv; charset=utf-8", headers=headers)
    folder = tempfile.TemporaryDirectory(prefix="signalpost-export-")
    path = Path(folder.name) / name
    try:
        await asyncio.get_running_loop().run_in_executor(threads, leaving.write_parquet, table.columns, pages, path)
    except BaseException:
        folder.cleanup()
        raise
    done = BackgroundTask(folder.cleanup)
    return FileResponse(path, media_type="application/vnd.apache.parquet", headers=headers, background=done)


async def _beside_the_loop(threads: ThreadPoolExecutor, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each piece read on a thread, only when the one before has left."""
    while (piece := await asyncio.get_running_loop().run_in_executor(threads, next, pieces, None)) is not None:
        yield piece


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise HTTPException(422, "Write the days as 2026-11-22.") from error


def _midnight(day: date, visit: Visit) -> int:
    return round(datetime.combine(day, datetime.min.time(), visit.console.zone).timestamp() * 1000)


WAYS = (
    page("/reports", weekly),
    part("/reports/week", file),
    page("/reports/lift", lifts),
    page("/reports/exports", tables),
    act("/reports/exports", export, OPERATOR),
)
