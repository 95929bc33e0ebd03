"""Destinations: how each platform stands, what it refused and what to do, and the few things that are done to it by hand.

One page for each question, so that each reads little: how it goes, what may be sent again, the rollout, what is sent and how,
the connection, the requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace
from starlette.exceptions import HTTPException
from starlette.responses import Response

from signalpost import coverage, doctor, gates, marked, pipeline, replay, rollout, starter, tokens, trial
from signalpost.config import Destination, Workspace
from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Destination as Platform
from signalpost.errors import SignalpostError
from signalpost.rollout import Standing
from signalpost.store import destinations, memberships, pauses, rollouts, sums, trends
from signalpost.store.database import Connection
from signalpost.store.destinations import Asked, Dead, Next, Problem, Rested, Resting, Step, Tally, Waiting
from signalpost.store.pauses import Pause
from signalpost.store.rollouts import Status
from signalpost.store.sums import Cell
from signalpost.web import charts
from signalpost.web.routing import OPERATOR, act, page
from signalpost.web.visit import WINDOWS, Visit

HOUR, DAY = 3_600_000, 86_400_000

STEPS = {"1h": HOUR // 12, "24h": HOUR, "7d": 6 * HOUR, "30d": DAY}
"""Window -> how long each bar of the chart is."""

DEAD = 25
"""Refused and unknown signals on one page."""

NEXT = 12
"""Waiting signals that are shown."""

REQUESTS = 25
RESTS = 20

NOTE = 500
"""Letters of a note."""

TABS = (
    ("", "How it goes"),
    ("/again", "Send again"),
    ("/rollout", "Rollout"),
    ("/fields", "Events and fields"),
    ("/connection", "Connection"),
    ("/requests", "Requests"),
)

VERDICTS = ("accepted", "warned", "refused", "unknown")
TESTS = {"": "a cart and a purchase", trial.PURCHASE: "a purchase only", trial.CART: "a cart only"}


# ---- what every page of a destination knows --------------------------------------------------------------------------------


class State(Struct, frozen=True, kw_only=True):
    """How a destination stands, in a word and a sentence."""

    word: str
    tone: str
    """The chip's colour: a verdict."""
    sentence: str


class Standings(Struct, frozen=True, kw_only=True):
    """What is known of every destination at once."""

    pauses: dict[str, Pause]
    resting: dict[str, Resting]
    rollouts: dict[str, Standing]
    answers: dict[str, doctor.Trial]


class Head(Struct, frozen=True, kw_only=True):
    """What stands above every page of a destination."""

    name: str
    platform: str
    title: str
    test: bool
    state: State
    pause: Pause | None
    stage: int
    """From 1; 0: no rollout."""
    stages: int


class Card(Struct, frozen=True, kw_only=True):
    """A destination in the list."""

    head: Head
    tally: Tally
    waiting: Waiting
    last_accepted: int | None
    credentials: Credentials


class Credentials(Struct, frozen=True, kw_only=True):
    """What is known of the credentials as a whole."""

    word: str
    tone: str
    sentence: str
    at: int | None


class Listed(Struct, frozen=True, kw_only=True):
    """All destinations."""

    window: str
    cards: list[Card]


def _standings(connection: Connection) -> Standings:
    return Standings(
        pauses=pauses.paused(connection),
        resting=destinations.resting(connection),
        rollouts=rollouts.standings(connection),
        answers=doctor.answers(connection),
    )


def head_of(workspace: Workspace, name: str, known: Standings, asked: Asked | None) -> Head:
    """How a destination stands; `asked` is its newest request."""
    chosen = workspace.destinations[name]
    standing = known.rollouts.get(name)
    stage = 0
    if chosen.rollout:
        stage = rollout.placed(chosen.rollout, standing).stage + 1 if standing else 1
    return Head(
        name=name,
        platform=chosen.type,
        title=CATALOG[chosen.type].title,
        test=workspace.environment == "test",
        state=_state(chosen, known.pauses.get(name), known.resting.get(name), standing, stage, asked),
        pause=known.pauses.get(name),
        stage=stage,
        stages=len(chosen.rollout),
    )


def _state(
    chosen: Destination, pause: Pause | None, resting: Resting | None, standing: Standing | None, stage: int, asked: Asked | None
) -> State:
    title = CATALOG[chosen.type].title
    if chosen.paused:
        return State(
            word="switched off",
            tone="withheld",
            sentence="The workspace file says `paused: true`: every signal is withheld and lost to this destination. Take that "
            "line out in Changes, or pause here instead, which keeps signals.",
        )
    if pause is not None:
        return State(
            word="paused",
            tone="warned",
            sentence=f"{pause.who} paused it: {pause.note} Its signals wait and are sent after Resume.",
        )
    if resting is not None and asked is not None and asked.status in {401, 403, 404, 405}:
        return State(word="blocked", tone="refused", sentence=f"{resting.sentence} Its signals wait; mend the credentials.")
    if resting is not None:
        return State(word="resting", tone="warned", sentence=f"{resting.sentence} It tries again by itself; its signals wait.")
    if stage and standing is not None and standing.held:
        return State(
            word=f"sending, stage {stage} held",
            tone="warned",
            sentence=f"It sends what its stage allows. The next stage waits: {standing.held}.",
        )
    if stage and stage < len(chosen.rollout):
        return State(
            word=f"sending, stage {stage} of {len(chosen.rollout)}", tone="accepted", sentence="It sends what its stage allows."
        )
    return State(word="sending", tone="accepted", sentence=f"{title} is sent everything that no gate withholds.")


def _credentials(name: str, title: str, known: Standings, asked: Asked | None) -> Credentials:
    heard = known.answers.get(name)
    refused = destinations.refused([asked] if asked else [])
    if refused is not None and (heard is None or heard.at < refused.ended_at):
        return Credentials(
            word="not accepted",
            tone="refused",
            sentence=f"{title} answered {refused.status}: {refused.summary}",
            at=refused.ended_at,
        )
    if heard is not None:
        return Credentials(
            word="accepted" if heard.good else "not accepted",
            tone="accepted" if heard.good else "refused",
            sentence=heard.sentence,
            at=heard.at,
        )
    if asked is not None and asked.good:
        return Credentials(word="accepted", tone="accepted", sentence=f"{title} took the latest request.", at=asked.ended_at)
    return Credentials(
        word="not asked yet", tone="withheld", sentence=f"{title} has not been asked yet; Check now does so.", at=None
    )


def _named(visit: Visit) -> tuple[str, Destination, Platform]:
    name = visit.request.path_params["name"]
    chosen = visit.workspace.destinations.get(name)
    if chosen is None:
        raise HTTPException(404, "The workspace file has no such destination.")
    return name, chosen, CATALOG[chosen.type]


def _head(connection: Connection, workspace: Workspace, name: str) -> Head:
    return head_of(workspace, name, _standings(connection), next(iter(destinations.requests(connection, name, 1)), None))


def route_of(workspace: Workspace, name: str) -> pipeline.Route:
    """The destination compiled, without the number that its signals' ids need: for asking what its rules say."""
    return pipeline.plan(replace(workspace, destinations={name: workspace.destinations[name]})).routes[0]


def _route(visit: Visit, name: str) -> pipeline.Route:
    kept: dict[str, tuple[Workspace, pipeline.Route]] = visit.console.kept.setdefault("routes", {})
    if name not in kept or kept[name][0] is not visit.workspace:
        kept[name] = (visit.workspace, route_of(visit.workspace, name))
    return kept[name][1]


# ---- all of them -----------------------------------------------------------------------------------------------------------


async def listed(visit: Visit) -> Response:
    """`/destinations`: each destination with its state, its day and what it needs."""
    window = visit.window()

    def look(connection: Connection) -> list[Card]:
        known = _standings(connection)
        cells = sums.read(connection, visit.now - WINDOWS[window])
        cards = []
        for name, chosen in visit.workspace.destinations.items():
            asked = next(iter(destinations.requests(connection, name, 1)), None)
            cards.append(
                Card(
                    head=head_of(visit.workspace, name, known, asked),
                    tally=destinations.tally(cells, name),
                    waiting=destinations.waiting(connection, name),
                    last_accepted=destinations.last_accepted(connection, name, visit.now),
                    credentials=_credentials(name, CATALOG[chosen.type].title, known, asked),
                )
            )
        return cards

    facts = Listed(window=window, cards=await visit.read(look))
    return visit.page("destinations.html", facts, listed=facts, verdicts=VERDICTS)


# ---- how one goes ----------------------------------------------------------------------------------------------------------


class Going(Struct, frozen=True, kw_only=True):
    """How a destination goes over a window."""

    head: Head
    window: str
    tally: Tally
    waiting: Waiting
    too_old_at: int | None
    """When the oldest waiting signal becomes too old for the platform (epoch ms)."""
    oldest_ms: int
    last_accepted: int | None
    audiences: list[str]
    problems: list[Problem]
    at_stake: dict[str, Decimal]
    """Currency -> purchases among the refused and unknown."""
    steps: list[Step]


async def going(visit: Visit) -> Response:
    """`/destinations/{name}`: one destination: its figures, what the platform objects to, and the pause."""
    name, _, _ = _named(visit)
    window, workspace, route = visit.window(), visit.workspace, _route(visit, name)
    step, since = STEPS[window], visit.now - WINDOWS[window]

    def look(connection: Connection) -> Going:
        cells = sums.read(connection, since)
        found = destinations.problems(connection, cells, name)
        waiting = destinations.waiting(connection, name)
        return Going(
            head=_head(connection, workspace, name),
            window=window,
            tally=destinations.tally(cells, name),
            waiting=waiting,
            too_old_at=None if waiting.oldest is None else waiting.oldest + route.oldest_ms,
            oldest_ms=route.oldest_ms,
            last_accepted=destinations.last_accepted(connection, name, visit.now),
            audiences=[each.title for each in workspace.audiences if name in each.to],
            problems=found,
            at_stake=_stakes(found),
            steps=destinations.over_time(connection, name, step, since, visit.now),
        )

    facts = await visit.read(look)
    return visit.page(
        "destination.html",
        facts,
        going=facts,
        head=facts.head,
        tabs=TABS,
        verdicts=VERDICTS,
        chart=_drawn(facts, visit.console.zone),
    )


def _stakes(found: Iterable[Problem]) -> dict[str, Decimal]:
    stakes: dict[str, Decimal] = {}
    for each in found:
        if each.verdict != "warned":
            for currency, value in each.value.items():
                stakes[currency] = stakes.get(currency, Decimal(0)) + value
    return stakes


def _drawn(facts: Going, zone: ZoneInfo) -> charts.Chart:
    at = [each.at for each in facts.steps]
    series = [
        charts.Series(name=verdict, values=[each.verdicts.get(verdict, 0) for each in facts.steps], colour=verdict)
        for verdict in VERDICTS
        if any(each.verdicts.get(verdict) for each in facts.steps) or verdict == "accepted"
    ]
    return charts.over_time(
        at,
        [_labelled(moment, zone, days=STEPS[facts.window] >= DAY) for moment in at],
        series,
        alt=f"Signals that {facts.head.title} answered, by verdict",
        stacked=True,
        bars=True,
        height=220,
    )


def _labelled(at: int, zone: ZoneInfo, *, days: bool) -> str:
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(UTC if days else zone)
    return f"{local.day} {local:%b}" if days else f"{local.day} {local:%b %H:%M}"


async def paused(visit: Visit) -> Response:
    """Pause: from now on its signals wait."""
    name, chosen, _ = _named(visit)
    note = await _note(visit, "Write why it is paused: whoever finds it so will want to know.")
    if chosen.paused:
        raise HTTPException(422, "The workspace file has switched it off already.")

    def work(connection: Connection) -> bool:
        done = pauses.pause(connection, name, who=_who(visit), note=_sentence(note), now=visit.now)
        if done:
            visit.note(connection, "pause", name, note)
        return done

    done = await visit.write(work)
    said = "Paused: nothing more is sent within two seconds. Its signals wait." if done else "It was paused already."
    return visit.go(f"/destinations/{name}", said=said)


async def resumed(visit: Visit) -> Response:
    """End a pause: what waits goes on its way."""
    name, _, _ = _named(visit)

    def work(connection: Connection) -> bool:
        done = pauses.resume(connection, name)
        if done:
            visit.note(connection, "resume", name)
        return done

    done = await visit.write(work)
    return visit.go(f"/destinations/{name}", said="It sends again." if done else "It was not paused.")


async def _note(visit: Visit, sentence: str) -> str:
    note = " ".join((await visit.field("note")).split())[:NOTE]
    if not note:
        raise HTTPException(422, sentence)
    return note


def _sentence(note: str) -> str:
    return note if note[-1] in ".!?" else f"{note}."


def _who(visit: Visit) -> str:
    return "" if visit.user is None else visit.user.email or visit.user.name


# ---- what may be sent again ------------------------------------------------------------------------------------------------


class Again(Struct, frozen=True, kw_only=True):
    """What waits, and what the platform refused or never clearly answered."""

    head: Head
    verdict: str
    reason: str
    waiting: Waiting
    next: list[Next]
    problems: list[Problem]
    """Of the last 7 days."""
    dead: list[Dead]
    young: list[int]
    """Those of them that the platform would still take."""
    oldest_ms: int
    after: int
    """The event after which the next page begins; 0: this is the last."""
    among: int


async def again(visit: Visit) -> Response:
    """`/destinations/{name}/again`: signals that wait, were refused or have no answer, each kind with what to do."""
    name, _, _ = _named(visit)
    verdict, reason = visit.query("verdict", most=20), visit.query("reason", most=100)
    given = visit.query("after", most=20)
    before = int(given) if given.isdecimal() and int(given) < destinations.FOREVER else destinations.FOREVER
    route = _route(visit, name)

    def look(connection: Connection) -> Again:
        chosen = destinations.dead(connection, name, DEAD + 1, before=before, verdict=verdict, reason=reason)
        shown = chosen[:DEAD]
        found = destinations.problems(connection, sums.read(connection, visit.now - WINDOWS["7d"]), name)
        return Again(
            head=_head(connection, visit.workspace, name),
            verdict=verdict,
            reason=reason,
            waiting=destinations.waiting(connection, name),
            next=destinations.next_ones(connection, name, NEXT, visit.now),
            problems=[each for each in found if each.verdict != "warned"],
            dead=shown,
            young=[each.event for each in shown if each.time >= visit.now - route.oldest_ms],
            oldest_ms=route.oldest_ms,
            after=shown[-1].event if len(chosen) > DEAD else 0,
            among=destinations.AMONG,
        )

    facts = await visit.read(look)
    return visit.page("destination_again.html", facts, again=facts, head=facts.head, tabs=TABS)


class Preview(Struct, frozen=True, kw_only=True):
    """What a replay would mean."""

    head: Head
    event: int
    verdict: str
    reason: str
    found: int
    most: int
    """So many are looked at: the newest."""
    risks: dict[str, int]
    """Key of `replay.RISKS` -> signals."""
    safe: int
    worth: dict[str, Decimal]
    """Currency -> of those that would be sent."""
    risky: int
    """That the platform might count twice."""
    risky_worth: dict[str, Decimal]


class Chosen(Struct, frozen=True):
    """Which signals a replay is about; an empty field is any."""

    event: int
    verdict: str
    reason: str

    def candidates(self, connection: Connection, route: pipeline.Route, now: int) -> list[replay.Candidate]:
        """What it would take up."""
        return replay.candidates(
            connection,
            route,
            verdicts=[self.verdict] if self.verdict else ["refused", "unknown"],
            reason=self.reason or None,
            since=now - route.oldest_ms,
            now=now,
            event=self.event or None,
        )

    @property
    def words(self) -> str:
        """For the audit."""
        if self.event:
            return f"signal {self.event}"
        parts = [self.verdict or "refused or unknown", f"for `{self.reason}`" if self.reason else "for any reason"]
        return " ".join(parts)


def _chosen(event: str, verdict: str, reason: str) -> Chosen:
    if verdict not in {"", "refused", "unknown"} or (event and not event.isdecimal()):
        raise HTTPException(422, "Only refused and unknown signals can be sent again.")
    return Chosen(min(int(event or 0), destinations.FOREVER), verdict, reason)


async def previewed(visit: Visit) -> Response:
    """`/destinations/{name}/replay`: what sending again would mean, before it is done."""
    name, _, _ = _named(visit)
    chosen = _chosen(visit.query("event", most=20), visit.query("verdict", most=20), visit.query("reason", most=100))
    route = _route(visit, name)

    def look(connection: Connection) -> Preview:
        found = chosen.candidates(connection, route, visit.now)
        safe = replay.safe(found)
        risky = [each for each in found if each.risk == "may count twice"]
        return Preview(
            head=_head(connection, visit.workspace, name),
            event=chosen.event,
            verdict=chosen.verdict,
            reason=chosen.reason,
            found=len(found),
            most=replay.MOST,
            risks={risk: many for risk in replay.RISKS if (many := sum(each.risk == risk for each in found))},
            safe=len(safe),
            worth=_worth(safe),
            risky=len(risky),
            risky_worth=_worth(risky),
        )

    facts = await visit.read(look)
    return visit.page("destination_replay.html", facts, preview=facts, head=facts.head, tabs=TABS, meaning=replay.RISKS)


def _worth(found: Iterable[replay.Candidate]) -> dict[str, Decimal]:
    worth: dict[str, Decimal] = {}
    for each in found:
        if each.value is not None and each.currency and each.name == rollout.PURCHASE:
            worth[each.currency] = worth.get(each.currency, Decimal(0)) + each.value
    return worth


async def replayed(visit: Visit) -> Response:
    """Replay: take refused signals and those without an answer up again, a few hundred in each transaction."""
    name, _, _ = _named(visit)
    chosen = _chosen(await visit.field("event"), await visit.field("verdict"), (await visit.field("reason"))[:100])
    risky = await visit.field("risky") == "yes"
    note = await _note(visit, "Write what was mended: whoever reads the audit will want to know.")
    workspace, now = visit.workspace, visit.now

    def begin(connection: Connection) -> tuple[pipeline.Plan, pipeline.Route, list[replay.Candidate]]:
        plan = pipeline.plan(workspace, memberships.known(connection, workspace))
        route = next(route for route in plan.routes if route.name == name)
        found = replay.safe(chosen.candidates(connection, route, now), risky=risky)
        visit.note(connection, "replay", name, f"{len(found):,} signals, {chosen.words}: {note}")
        return plan, route, found

    plan, route, found = await visit.write(begin)
    taken = 0
    for part in replay.portions(found):
        taken += await visit.write(partial(replay.take_up, plan=plan, route=route, chosen=part, now=now))
    said = f"{taken:,} of {len(found):,} signals wait to be sent again."
    if taken < len(found):
        said += f" {len(found) - taken:,} stay out: a rule of today forbids them, such as consent or a cancelled order."
    return visit.go(f"/destinations/{name}/again", said=said)


# ---- the rollout -----------------------------------------------------------------------------------------------------------


class Staged(Struct, frozen=True, kw_only=True):
    """One stage of the rollout."""

    number: int
    sends: list[str]
    at_most: dict[str, int]
    lasts: str | None
    until: dict[str, str]


class Rolling(Struct, frozen=True, kw_only=True):
    """Where a rollout stands."""

    head: Head
    stages: list[Staged]
    status: Status | None
    """None: no rollout."""


async def rolling(visit: Visit) -> Response:
    """`/destinations/{name}/rollout`: the stages of its rollout, each bound with its figure, and moving by hand."""
    name, chosen, _ = _named(visit)

    def look(connection: Connection) -> Rolling:
        status = None
        if chosen.rollout:
            standing = rollouts.standings(connection).get(name)
            status = rollouts.status_of(connection, name, chosen, standing, most=12)
        return Rolling(
            head=_head(connection, visit.workspace, name),
            stages=[
                Staged(
                    number=number,
                    sends=list(stage.send),
                    at_most=dict(stage.at_most),
                    lasts=stage.lasts,
                    until=dict(stage.until),
                )
                for number, stage in enumerate(chosen.rollout, 1)
            ],
            status=status,
        )

    facts = await visit.read(look)
    return visit.page("destination_rollout.html", facts, rolling=facts, head=facts.head, tabs=TABS, spell=rollout.spell)


MOVES = {"on": 1, "back": -1, "anew": 0}


async def moved(visit: Visit) -> Response:
    """Go a stage on or back, or begin it anew."""
    name, chosen, _ = _named(visit)
    steps = MOVES.get(await visit.field("move"))
    note = await _note(visit, "Write why: it stands in the history of this rollout.")
    if steps is None or not chosen.rollout:
        raise HTTPException(422, "This destination has no such stage.")

    def work(connection: Connection) -> rollouts.Change:
        return rollouts.move(connection, visit.workspace, name, steps, who=_who(visit), note=note, now=visit.now)

    try:
        change = await visit.write(work)
    except ValueError as error:
        raise HTTPException(422, f"It cannot be moved: {error}.") from error
    return visit.go(
        f"/destinations/{name}/rollout",
        said=f"It is in stage {change.stage + 1} of {len(chosen.rollout)} now; the next batch of events follows it.",
    )


# ---- what is sent, and how -------------------------------------------------------------------------------------------------


class Mapped(Struct, frozen=True, kw_only=True):
    """One canonical event."""

    event: str
    name: str
    """The platform's; empty: it is not told."""
    usual: str
    """What the platform's own table would call it; empty: it has no name of its own for it."""
    taken: int
    """Signals accepted in the last 7 days."""
    stage: int
    """The stage of the rollout in which it begins; 0: no rollout, or none of them."""


class Row(Struct, frozen=True, kw_only=True):
    """One row of the platform's field table."""

    path: str
    doc: str
    hashed: bool
    setting: str | None
    parts: dict[str, str]
    share: float | None
    """Of the signals of the last 7 days, 0 to 1; None: not counted, for it is no match key."""
    key: str
    """Of `coverage.KEYS`; empty: it is no match key."""


class Rule(Struct, frozen=True, kw_only=True):
    """A gate of the workspace file that looks at signals for this destination."""

    name: str
    sentence: str
    observing: bool
    events: list[str]
    """Empty: all."""
    withheld: int
    """In the last 7 days."""


class Limit(Struct, frozen=True, kw_only=True):
    """One limit in words."""

    what: str
    value: str
    meaning: str


class Fields(Struct, frozen=True, kw_only=True):
    """What is sent, and how."""

    head: Head
    events: list[Mapped]
    unmapped: list[Mapped]
    rows: list[Row]
    own: dict[str, str]
    """`properties` of the file: the platform's field -> path in the event."""
    signals: int
    """Of the last 7 days, of which the shares are."""
    rules: list[Rule]
    limits: list[Limit]


async def fields(visit: Visit) -> Response:
    """`/destinations/{name}/fields`: the event map, the field table with coverage, gates, limits."""
    name, chosen, platform = _named(visit)
    workspace, route = visit.workspace, _route(visit, name)
    since = visit.now - WINDOWS["7d"]

    def look(connection: Connection) -> Fields:
        cells = sums.read(connection, since)
        masks = coverage.merge(
            found for (where, _), found in trends.keys(connection, since - since % HOUR).items() if where == name
        )
        mapped = list(_mapped(route, chosen, cells))
        return Fields(
            head=_head(connection, workspace, name),
            events=[each for each in mapped if each.name],
            unmapped=[each for each in mapped if not each.name],
            rows=_rows(platform, masks),
            own=dict(chosen.properties),
            signals=sum(masks.values()),
            rules=_rules(workspace, name, route, cells),
            limits=_limits(workspace, chosen, platform, route),
        )

    facts = await visit.read(look)
    return visit.page("destination_fields.html", facts, fields=facts, head=facts.head, tabs=TABS)


def _mapped(route: pipeline.Route, chosen: Destination, cells: Iterable[Cell]) -> Iterable[Mapped]:
    taken: dict[str, int] = {}
    for each in cells:
        if each.destination == route.name and each.verdict in {"accepted", "warned"}:
            taken[each.name] = taken.get(each.name, 0) + each.signals
    usual = route.platform.events
    for event in dict.fromkeys([*route.events, *usual]):
        yield Mapped(
            event=event,
            name=route.events.get(event, ""),
            usual=usual.get(event, ""),
            taken=taken.get(event, 0),
            stage=next((number for number, stage in enumerate(chosen.rollout, 1) if event in stage.send), 0),
        )


def _rows(platform: Platform, masks: Mapping[int, int]) -> list[Row]:
    keys = {row.path: mask.bit_length() - 1 for mask, row in coverage.rows_of(platform.name)}
    names = {key.bit: name for name, key in coverage.KEYS.items()}
    shares = coverage.shares(dict(masks), platform.name)
    made = []
    for row in platform.fields:
        key = names[keys[row.path]] if row.path in keys else ""
        made.append(
            Row(
                path=row.path,
                doc=row.doc,
                hashed=row.hashed,
                setting=row.setting,
                parts=dict(row.parts),
                share=shares.get(key),
                key=key,
            )
        )
    return made


def _rules(workspace: Workspace, name: str, route: pipeline.Route, cells: Iterable[Cell]) -> list[Rule]:
    withheld: dict[str, int] = {}
    for each in cells:
        if each.destination == name and each.verdict == "withheld":
            withheld[each.reason] = withheld.get(each.reason, 0) + each.signals
    return [
        Rule(
            name=rule.name,
            sentence=rule.sentence,
            observing=rule.observing,
            events=sorted(rule.events & route.events.keys()) if rule.events is not None else [],
            withheld=withheld.get(rule.reason, 0),
        )
        for rule in gates.rules(workspace)
        if (rule.destinations is None or name in rule.destinations)
        and (rule.events is None or not rule.events.isdisjoint(route.events))
    ]


def _limits(workspace: Workspace, chosen: Destination, platform: Platform, route: pipeline.Route) -> list[Limit]:
    limits = platform.limits
    batch = min(limits.batch, chosen.batch or limits.batch)
    return [
        Limit(
            what="Signals in a request",
            value=f"{batch:,}",
            meaning=f"{platform.title} takes {limits.batch:,} at most."
            if batch < limits.batch
            else f"As many as {platform.title} takes; `batch` in the file can lower it.",
        ),
        Limit(
            what="Requests a second",
            value=f"{limits.requests_per_second:,.0f}",
            meaning="More wait their turn; nothing is lost.",
        ),
        Limit(
            what="Oldest signal",
            value=rollout.spell(route.oldest_ms),
            meaning="An older one is withheld as too old, also after a pause or an outage."
            + (
                f" `oldest` in the file may raise it to {rollout.spell(limits.oldest_possible_ms)}."
                if limits.oldest_possible_ms is not None and limits.oldest_possible_ms > route.oldest_ms
                else ""
            ),
        ),
        Limit(
            what="From the future",
            value=rollout.spell(limits.future_ms),
            meaning="So far ahead a shop's clock may be.",
        ),
        Limit(
            what="Repeats recognised",
            value=rollout.spell(limits.dedupe_ms),
            meaning=f"For so long {platform.title} counts an event id once; later a repeat would count twice, so it is not sent.",
        ),
        Limit(
            what="Kept here",
            value=f"{workspace.retention.ledger} days",
            meaning=f"Verdicts; requests as they came {workspace.retention.journal} days, which sending again needs.",
        ),
    ]


# ---- the connection --------------------------------------------------------------------------------------------------------


class Setting(Struct, frozen=True, kw_only=True):
    """One option of the platform; a secret's value is never told."""

    name: str
    doc: str
    secret: bool
    required: bool
    present: bool
    variable: str
    """The environment variable that the file names for it; empty: it stands in the file itself, or is not there."""
    value: str
    """Only of what is no secret."""
    ends: int | None = None
    """When a token ends that the console obtained (epoch ms); None: not known, or it does not end."""


class Connected(Struct, frozen=True, kw_only=True):
    """The account, its credentials and the latest test."""

    head: Head
    credentials: Credentials
    settings: list[Setting]
    endpoint: str
    other_endpoint: bool
    """Whether it goes elsewhere than to the platform: an emulator."""
    test_mode: str
    """What a test does at the platform, in a sentence."""
    tested: trial.Kept | None


async def connected(visit: Visit) -> Response:
    """`/destinations/{name}/connection`: the account's credentials, what the platform said of them, and the send-test."""
    name, chosen, platform = _named(visit)
    variables = _named_by(visit, name)

    def look(connection: Connection) -> Connected:
        known = _standings(connection)
        asked = next(iter(destinations.requests(connection, name, 1)), None)
        return Connected(
            head=head_of(visit.workspace, name, known, asked),
            credentials=_credentials(name, platform.title, known, asked),
            settings=_settings(chosen, platform, variables, visit.console.environ),
            endpoint=(chosen.endpoint or platform.default_base).rstrip("/"),
            other_endpoint=chosen.endpoint is not None,
            test_mode=platform.answer_says,
            tested=trial.kept(connection, name),
        )

    facts = await visit.read(look)
    return visit.page("destination_connection.html", facts, connected=facts, head=facts.head, tabs=TABS, tests=TESTS)


def _settings(chosen: Destination, platform: Platform, variables: Mapping[str, str], environ: Mapping[str, str]) -> list[Setting]:
    made = [
        Setting(
            name=each.name,
            doc=each.doc,
            secret=each.secret,
            required=each.required,
            present=bool(chosen.settings.get(each.name)),
            variable=variables.get(each.name, ""),
            value="" if each.secret else chosen.settings.get(each.name, ""),
            ends=_ends(environ.get(variables.get(each.name, "") + tokens.UNTIL)) if each.secret else None,
        )
        for each in platform.settings
    ]
    if chosen.test_code:
        made.append(
            Setting(
                name="test_code",
                doc="The code of the platform's test page.",
                secret=False,
                required=False,
                present=True,
                variable=variables.get("test_code", ""),
                value=chosen.test_code,
            )
        )
    return made


def _ends(written: str | None) -> int | None:
    return int(written) if written is not None and written.isdecimal() else None


def _named_by(visit: Visit, name: str) -> Mapping[str, str]:
    """Option of a destination -> the environment variable that the file in force names for it."""
    text = visit.console.file_text() or ""
    kept: dict[str, dict[str, dict[str, str]]] = visit.console.kept.setdefault("variables", {})
    if text not in kept:
        kept.clear()
        kept[text] = _variables(text)
    return kept[text].get(name, {})


def _variables(text: str) -> dict[str, dict[str, str]]:
    root = marked.parse(text, {}, marked.Notes("")) if text else None
    if root is None or "destinations" not in root.entries:
        return {}
    named = {}
    for name, chosen in root.entries["destinations"].entries.items():
        found = {option: starter.variables(value.raw) for option, value in chosen.entries.items() if value.kind == "scalar"}
        named[name] = {option: names[0] for option, names in found.items() if names}
    return named


async def tried(visit: Visit) -> Response:
    """Send a test person's cart and purchase in the platform's test mode."""
    name, _, platform = _named(visit)
    only = await visit.field("only")
    if only not in TESTS:
        raise HTTPException(422, "There is no such test.")
    try:
        told = await trial.run(visit.workspace, name, visit.now, only)
    except SignalpostError as error:
        raise HTTPException(422, str(error)) from error
    await visit.write(partial(trial.note, told=told, now=visit.now, who=_who(visit)))
    said = f"{platform.title} took the test." if told.passed else "The test failed; what is wrong stands below."
    return visit.go(f"/destinations/{name}/connection#test", said=said)


# ---- requests --------------------------------------------------------------------------------------------------------------


class Requests(Struct, frozen=True, kw_only=True):
    """The newest requests and rests."""

    head: Head
    requests: list[Asked]
    after: int
    resting: Resting | None
    rests: list[Rested]


async def requested(visit: Visit) -> Response:
    """`/destinations/{name}/requests`: the latest requests to the platform with their ends, and when it rested."""
    name, _, _ = _named(visit)
    given = visit.query("after", most=20)
    before = int(given) if given.isdecimal() and int(given) < destinations.FOREVER else destinations.FOREVER

    def look(connection: Connection) -> Requests:
        found = destinations.requests(connection, name, REQUESTS + 1, before)
        return Requests(
            head=_head(connection, visit.workspace, name),
            requests=found[:REQUESTS],
            after=found[REQUESTS - 1].id if len(found) > REQUESTS else 0,
            resting=destinations.resting(connection).get(name),
            rests=destinations.rests(connection, name, RESTS),
        )

    facts = await visit.read(look)
    return visit.page("destination_requests.html", facts, asked=facts, head=facts.head, tabs=TABS)


WAYS = (
    page("/destinations", listed),
    page("/destinations/{name}", going),
    page("/destinations/{name}/again", again),
    page("/destinations/{name}/replay", previewed, OPERATOR),
    page("/destinations/{name}/rollout", rolling),
    page("/destinations/{name}/fields", fields),
    page("/destinations/{name}/connection", connected),
    page("/destinations/{name}/requests", requested),
    act("/destinations/{name}/pause", paused),
    act("/destinations/{name}/resume", resumed),
    act("/destinations/{name}/replay", replayed),
    act("/destinations/{name}/rollout", moved),
    act("/destinations/{name}/test", tried),
)
