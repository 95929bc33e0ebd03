"""Set-up: from what one wants to do, over what that needs, to a change that can be looked at before it is applied.

Nothing remembers how far somebody has come: each step is done when the facts say so.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from signalpost import config, starter, tokens, trial, usecases
from signalpost.amend import Change, amended, compact
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.destinations.authorisation import App, Authorisation, Granted
from signalpost.errors import SignalpostError
from signalpost.marked import Mistake, Notes, parse
from signalpost.options import Destination
from signalpost.store import audiences, exports, revisions
from signalpost.store import usecases as arrived
from signalpost.store.audiences import Standing
from signalpost.store.database import Connection
from signalpost.transport import Transport
from signalpost.usecases import Evidence, Need, UseCase
from signalpost.web.beside import Beside
from signalpost.web.routing import OPERATOR, act, page, part
from signalpost.web.visit import Visit

FRESH_MS = 20_000
"""How old the evidence may be."""

STATE_MS = 600_000
"""How long somebody may take on a platform's page."""

SOON_MS = 7 * 86_400_000
"""A token that ends within it is told as ending soon."""

SOURCE_KEYS: dict[str, tuple[str, ...]] = {
    "pipelines": ("write_key",),
    "track": ("site_id", "api_key"),
    "shopify": ("secret",),
    "reporting": ("secret",),
}
"""Type of a source -> the options it must have."""

SOURCE_TITLES = {
    "pipelines": "Customer.io Data Pipelines or Segment clients, and the script tag",
    "track": "Customer.io Track API",
    "shopify": "Shopify webhooks",
    "reporting": "Customer.io reporting webhooks",
}

GUIDES: dict[str, tuple[str, ...]] = {
    "tiktok": (
        "Copy the pixel's code from Events Manager: letters and digits, not a number.",
        "Make an access token: Events Manager, the pixel, Settings, Events API, Generate Access Token. It is shown once.",
        "Set both in the environment of `signalpost serve` under the names above, and start it again.",
        "For a test, copy a code from Events Manager, Test Events, into the destination's `test_code`.",
    ),
    "pinterest": (
        "Copy the ad account's number from Ads Manager.",
        "Make a conversion token: Ads Manager, Conversions, Set up API, Generate new token. It is shown once.",
        "Set both in the environment of `signalpost serve` under the names above, and start it again.",
        "For audiences a conversion token is not enough: connect the account by Pinterest's own page as well.",
    ),
}
"""Platform -> where its token is made by hand, step by step."""


# ---- what is there ---------------------------------------------------------------------------------------------------------


class SourceShown(Struct, frozen=True, kw_only=True):
    """A source of the workspace file."""

    name: str
    type: str
    title: str
    requests: int
    """Of the newest ones."""
    last: int | None


class Variable(Struct, frozen=True, kw_only=True):
    """A variable of the environment that a destination takes an option from."""

    name: str
    """Empty where the file says the value itself."""
    option: str
    doc: str
    set: bool
    found: bool
    """Whether the environment has it; the file may not name it yet."""
    required: bool


class Token(Struct, frozen=True, kw_only=True):
    """A token that was obtained by the platform's page; never the token itself."""

    variable: str
    until: int | None
    renews: bool
    renews_until: int | None
    state: Literal["good", "soon", "over"]


class Account(Struct, frozen=True, kw_only=True):
    """A platform's account, in the file or not yet."""

    name: str
    platform: str
    title: str
    in_file: bool
    ready: bool
    """Whether all that it must have is set."""
    lacks: str
    """What audiences lack here, in a sentence; empty: nothing, or there are none."""
    variables: list[Variable]
    tokens: list[Token]
    tested: bool | None
    """Whether its last test was accepted; None: there was none."""
    tested_at: int | None
    tested_sentence: str


class Step(Struct, frozen=True, kw_only=True):
    """One step of a use case; done when the facts say so."""

    name: str
    title: str
    done: bool
    sentence: str


class Case(Struct, frozen=True, kw_only=True):
    """A use case in the list."""

    name: str
    title: str
    brings: str
    needs: str
    in_force: bool
    done: int
    steps: int


class Setup(Struct, frozen=True, kw_only=True):
    """The page."""

    sources: list[SourceShown]
    first: int | None
    """When the first event came; None: none did."""
    accounts: list[Account]
    platforms: list[str]
    """Advertising platforms of which the file has no account."""
    cases: list[Case]
    measured: int
    """How many of the three parts of the measurement plan are written."""
    as_of: int


def _beside(visit: Visit) -> Beside:
    kept: Beside = visit.console.kept.setdefault(Beside, Beside())
    return kept


async def _evidence(visit: Visit) -> tuple[Evidence, int]:
    """What arrived, and when that was looked at."""
    database, workspace, now = visit.console.database, visit.workspace, visit.now
    made = await _beside(visit).ask(
        ("evidence", workspace.workspace),
        lambda: database.look(lambda connection: arrived.gather(connection, workspace, now)),
        now=now,
        fresh_ms=FRESH_MS,
    )
    if made.value is None:
        return Evidence(days=arrived.DAYS, first=await visit.read(exports.begins)), 0
    return made.value, made.at


def _sources(visit: Visit, spoke: Mapping[str, arrived.Spoke]) -> list[SourceShown]:
    return [
        SourceShown(
            name=name,
            type=chosen.type,
            title=SOURCE_TITLES[chosen.type],
            requests=spoke[name].requests if name in spoke else 0,
            last=spoke[name].last if name in spoke else None,
        )
        for name, chosen in visit.workspace.sources.items()
    ]


def _advertising(workspace: Workspace) -> dict[str, Destination]:
    return {name: chosen for name, chosen in workspace.destinations.items() if CATALOG[chosen.type].advertising}


PLATFORMS = tuple(name for name, platform in CATALOG.items() if platform.advertising)


def variable_of(destination: str, option: str) -> str:
    """The variable that an option is taken from where the file names no other: `TIKTOK_ACCESS_TOKEN`."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in f"{destination}_{option}").upper()


@lru_cache(4)
def _named(text: str) -> dict[str, dict[str, str]]:
    """Destination -> option -> the variable that the file's text names for it."""
    root = parse(text, {}, Notes(""))
    if root is None or "destinations" not in root.entries:
        return {}
    found: dict[str, dict[str, str]] = {}
    for name, destination in root.entries["destinations"].entries.items():
        named = {option: starter.variables(value.raw) for option, value in destination.entries.items() if value.kind == "scalar"}
        found[name] = {option: variables[0] for option, variables in named.items() if variables}
    return found


def _names(visit: Visit, name: str) -> dict[str, str]:
    """Option of a destination -> the variable that the file names for it."""
    return _named(visit.console.file_text() or "").get(name, {})


def _variable(visit: Visit, name: str, option: str) -> str:
    return _names(visit, name).get(option) or variable_of(name, option)


def _account(visit: Visit, name: str, tried: Mapping[str, trial.Kept]) -> Account:
    chosen = visit.workspace.destinations.get(name)
    platform = chosen.type if chosen is not None else name
    declared = CATALOG[platform]
    environ, named = visit.console.environ, _names(visit, name)
    variables = []
    for setting in declared.settings:
        variable = named.get(setting.name) or variable_of(name, setting.name)
        present = bool(chosen.settings.get(setting.name)) if chosen is not None else variable in environ
        if (setting.required and setting.default is None) or setting.name in {"audience_token", "advertiser"}:
            required = setting.required and setting.default is None
            written = chosen is not None and bool(chosen.settings.get(setting.name)) and setting.name not in named
            variables.append(
                Variable(
                    name="" if written else variable,
                    option=setting.name,
                    doc=setting.doc,
                    set=present,
                    found=variable in environ,
                    required=required,
                )
            )
    needs = declared.audience.needs(chosen.settings) if declared.audience is not None and chosen is not None else ""
    test = tried.get(name)
    return Account(
        name=name,
        platform=platform,
        title=declared.title,
        in_file=chosen is not None,
        ready=all(each.set for each in variables if each.required),
        lacks=needs,
        variables=variables,
        tokens=[_token(variable, environ, visit.now) for variable in _obtained(visit, name)],
        tested=test.trial.passed if test else None,
        tested_at=test.at if test else None,
        tested_sentence=_told(test.trial) if test else "",
    )


def _told(told: trial.Trial) -> str:
    """What the platform itself said of the test, or the first thing that is wrong."""
    if not told.credentials:
        return told.credentials_sentence
    failed = next((each.sentence for each in told.checks if each.passed is False), "")
    return failed or next((each.sentence for each in reversed(told.sent)), told.credentials_sentence)


def _obtained(visit: Visit, name: str) -> list[str]:
    environ = visit.console.environ
    asked = (_variable(visit, name, option) for option in ("access_token", "audience_token"))
    return [
        variable
        for variable in asked
        if variable in environ and {variable + tokens.UNTIL, variable + tokens.RENEWS} & environ.keys()
    ]


def _token(variable: str, environ: Mapping[str, str], now: int) -> Token:
    until, renews_until = (_moment(environ.get(variable + end)) for end in (tokens.UNTIL, tokens.RENEWS_UNTIL))
    left = None if until is None else until - now
    return Token(
        variable=variable,
        until=until,
        renews=variable + tokens.RENEWS in environ,
        renews_until=renews_until,
        state="good" if left is None or left > SOON_MS else "soon" if left > 0 else "over",
    )


def _moment(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _tried(connection: Connection, names: Iterable[str]) -> dict[str, trial.Kept]:
    return {name: kept for name in names if (kept := trial.kept(connection, name)) is not None}


class Known(Struct, frozen=True):
    """All that the steps are told from."""

    evidence: Evidence
    as_of: int
    accounts: dict[str, Account]
    standings: list[Standing]
    spoke: dict[str, arrived.Spoke]


async def _known(visit: Visit) -> Known:
    evidence, as_of = await _evidence(visit)
    names = list(_advertising(visit.workspace))

    def look(connection: Connection) -> tuple[dict[str, trial.Kept], list[Standing], dict[str, arrived.Spoke]]:
        return _tried(connection, names), audiences.standings(connection), arrived.spoke(connection)

    tried, standings, spoke = await visit.read(look)
    return Known(evidence, as_of, {name: _account(visit, name, tried) for name in names}, standings, spoke)


def _platforms(workspace: Workspace) -> list[str]:
    """The platforms a use case would be for: those of the file, else all."""
    return list(dict.fromkeys(chosen.type for chosen in _advertising(workspace).values())) or list(PLATFORMS)


def _steps(case: UseCase, needs: Sequence[Need], known: Known, workspace: Workspace) -> list[Step]:
    arriving = [each for each in needs if each.kind != "identifier" and each.required]
    missing = [each.name for each in arriving if each.state in {"missing", "unknown"}]
    people = [each for each in needs if each.kind == "identifier"]
    ready = [each for each in known.accounts.values() if each.ready]
    in_force = usecases.in_file(case, workspace)
    proof = _proof(case, known, workspace)
    return [
        Step(
            name="events",
            title="Events arrive",
            done=not missing,
            sentence="All that it needs is there." if not missing else f"Missing: {', '.join(missing)}.",
        ),
        Step(
            name="people",
            title="People can be recognised",
            done=any(each.state in {"there", "partly"} for each in people),
            sentence=next((each.sentence for each in people if each.state in {"there", "partly"}), people[0].sentence)
            if people
            else "",
        ),
        Step(
            name="account",
            title="An account is connected",
            done=bool(ready),
            sentence=" and ".join(each.title for each in ready) + "." if ready else "None has all that it needs.",
        ),
        Step(
            name="change",
            title="The workspace file does it",
            done=in_force,
            sentence="It is in force." if in_force else "It is not in the file yet.",
        ),
        Step(name="proof", title="It is proven", done=proof[0], sentence=proof[1]),
    ]


def _proof(case: UseCase, known: Known, workspace: Workspace) -> tuple[bool, str]:
    """Whether a platform took it, and how one knows."""
    parts = case.parts(usecases.defaults(case))
    if parts.audiences:
        wanted = {(each["segment"], each["use"]) for each in parts.audiences}
        titles = {each.title for each in workspace.audiences if (each.segment, each.use) in wanted}
        loaded = [each for each in known.standings if each.name in titles and each.loaded_at is not None]
        if loaded:
            return True, f"{loaded[0].name} is whole at {loaded[0].destination}."
        return False, "No platform has all of its audience yet."
    good = [each for each in known.accounts.values() if each.tested]
    return (True, f"{good[0].title} took the test.") if good else (False, "No test was accepted yet.")


async def start(visit: Visit) -> Response:
    """`/setup`: the use cases, and how far each is."""
    known = await _known(visit)
    workspace = visit.workspace
    cases = []
    for case in usecases.USE_CASES.values():
        needs = usecases.needs(case, usecases.defaults(case), _platforms(workspace), workspace, known.evidence)
        steps = _steps(case, needs, known, workspace)
        cases.append(
            Case(
                name=case.name,
                title=case.title,
                brings=case.brings,
                needs=case.needs,
                in_force=usecases.in_file(case, workspace),
                done=sum(each.done for each in steps),
                steps=len(steps),
            )
        )
    plan = workspace.measurement
    facts = Setup(
        sources=_sources(visit, known.spoke),
        first=known.evidence.first,
        accounts=list(known.accounts.values()),
        platforms=[name for name in PLATFORMS if all(each.platform != name for each in known.accounts.values())],
        cases=cases,
        measured=sum(bool(each) for each in (plan.primary, plan.success, plan.checked)),
        as_of=known.as_of,
    )
    return visit.page(
        "setup.html", facts, setup=facts, titles={name: CATALOG[name].title for name in PLATFORMS}, begin=_first(visit)
    )


def _first(visit: Visit) -> dict[str, str]:
    """What sends a first event: the script tag, and a line for a terminal. The write key is named, never shown."""
    source = next((name for name, chosen in visit.workspace.sources.items() if chosen.type == "pipelines"), "")
    variable = variable_of(source or "storefront", "write_key")
    return {
        "source": source,
        "tag": f'<script src="{visit.base}/signalpost.js" data-write-key="{variable}"></script>',
        "line": (
            f'curl -u "${variable}:" {visit.base}/v1/track -H "content-type: application/json" -d \'{{"userId": "customer-17", '
            '"event": "Product Viewed", "properties": {"product_id": "SKU-1", "price": 49.9}}\''
        ),
    }


async def arrivals(visit: Visit) -> Response:
    """`/setup/arrivals`: which sources have been heard of, for a page that waits for the first event."""
    spoke = await visit.read(arrived.spoke)
    return visit.part("_arrivals.html", sources=_sources(visit, spoke))


# ---- a use case ------------------------------------------------------------------------------------------------------------


class Kept(Struct, frozen=True, kw_only=True):
    """An audience of the use case at a platform."""

    name: str
    destination: str
    state: str
    sentence: str
    members_at_platform: int | None
    loaded_at: int | None
    synced_at: int | None


class Shown(Struct, frozen=True, kw_only=True):
    """The page of a use case."""

    name: str
    title: str
    brings: str
    docs: str
    steps: list[Step]
    needs: list[Need]
    asks: list[usecases.Ask]
    answers: dict[str, str]
    accounts: list[Account]
    platforms: list[str]
    chosen: list[str]
    in_force: bool
    unknown: list[str]
    """Events that come under names of the shop's own."""
    audiences: list[Kept]
    mistakes: list[str]
    as_of: int


def _case(visit: Visit) -> UseCase:
    found = usecases.USE_CASES.get(visit.request.path_params["case"])
    if found is None:
        raise HTTPException(404, "There is no such use case. Set-up shows all of them.")
    return found


async def _shown(visit: Visit, case: UseCase, answers: dict[str, str], chosen: list[str], mistakes: list[str]) -> Shown:
    known, workspace = await _known(visit), visit.workspace
    platforms = list(dict.fromkeys(_type_of(workspace, name) for name in chosen)) or _platforms(workspace)
    try:
        needs = usecases.needs(case, answers, platforms, workspace, known.evidence)
    except ValueError as error:
        mistakes = list(dict.fromkeys([*mistakes, str(error)]))
        needs = usecases.needs(case, usecases.defaults(case), platforms, workspace, known.evidence)
    parts = case.parts(usecases.defaults(case))
    wanted = {(each["segment"], each["use"]) for each in parts.audiences}
    titles = {each.title for each in workspace.audiences if (each.segment, each.use) in wanted}
    return Shown(
        name=case.name,
        title=case.title,
        brings=case.brings,
        docs=case.docs,
        steps=_steps(case, needs, known, workspace),
        needs=needs,
        asks=list(case.asks),
        answers=answers,
        accounts=list(known.accounts.values()),
        platforms=[name for name in PLATFORMS if name not in workspace.destinations],
        chosen=chosen or list(_advertising(workspace)),
        in_force=usecases.in_file(case, workspace),
        unknown=arrived.unknown(known.evidence, workspace),
        audiences=[
            Kept(
                name=each.name,
                destination=each.destination,
                state=each.state,
                sentence=each.sentence,
                members_at_platform=each.size,
                loaded_at=each.loaded_at,
                synced_at=each.synced_at,
            )
            for each in known.standings
            if each.name in titles and each.state != "removed"
        ],
        mistakes=mistakes,
        as_of=known.as_of,
    )


def _type_of(workspace: Workspace, name: str) -> str:
    known = workspace.destinations.get(name)
    return known.type if known is not None else name


async def case_shown(visit: Visit) -> Response:
    """`/setup/{case}`: one use case: what it needs, what of it is there, and how to mend the rest."""
    case = _case(visit)
    facts = await _shown(visit, case, usecases.defaults(case), [], [])
    return visit.page("setup_case.html", facts, case=facts, titles={name: CATALOG[name].title for name in PLATFORMS})


async def case_proposed(visit: Visit) -> Response:
    """The form of a use case: its change, proposed."""
    case, form = _case(visit), await visit.form()
    answers = {ask.name: form.get(ask.name, [ask.default])[0].strip() for ask in case.asks}
    known = {*visit.workspace.destinations, *PLATFORMS}
    chosen = [name for name in form.get("destination", []) if name in known]
    mapped = {
        own: name.removeprefix("map:") for name, values in form.items() if name.startswith("map:") and (own := values[0].strip())
    }
    mistakes: list[str] = []
    if not chosen:
        mistakes = ["Choose at least one platform."]
    else:
        try:
            changes = usecases.changes(case, answers, chosen, visit.workspace, mapped)
            usecases.compiled(case, answers, visit.workspace)
        except ValueError as error:
            mistakes = [str(error)]
        else:
            if not changes:
                return visit.go(f"/setup/{case.name}", said="The workspace file does all of this already.")
            made = await _propose(visit, changes, f"Set-up: {case.title}")
            if isinstance(made, int):
                return visit.go(f"/changes/{made}", said="This is what the file would become. Plan it, then apply it.")
            mistakes = made
    facts = await _shown(visit, case, answers, chosen, mistakes)
    titles = {name: CATALOG[name].title for name in PLATFORMS}
    return visit.page("setup_case.html", facts, status=422, case=facts, titles=titles)


async def tested(visit: Visit) -> Response:
    """Send a test person's cart and purchase to an account, and show what it answered."""
    case, name = _case(visit), await visit.field("destination")
    if name not in _advertising(visit.workspace):
        raise HTTPException(422, "There is no such account.")
    try:
        told = await trial.run(visit.workspace, name, visit.now)
    except SignalpostError as error:
        raise HTTPException(422, str(error)) from error
    await visit.write(lambda connection: trial.note(connection, told, visit.now, _who(visit)))
    title = CATALOG[visit.workspace.destinations[name].type].title
    said = f"{title} took the test." if told.passed else "The test failed; what is wrong stands below."
    return visit.go(f"/setup/{case.name}#proof", said=said)


# ---- proposing -------------------------------------------------------------------------------------------------------------


def _who(visit: Visit) -> str:
    return "" if visit.user is None else visit.user.email or visit.user.name


def _present(visit: Visit) -> str:
    text = visit.console.file_text()
    if text is None:
        raise HTTPException(409, "Signalpost was started without a workspace file, so it cannot be changed here.")
    return text


async def _propose(visit: Visit, changes: Sequence[Change], note: str) -> int | list[str]:
    """The number of the proposal, or what is wrong with the text that it would make."""
    present = _present(visit)
    try:
        text = amended(present, changes)
    except ValueError as error:
        return [str(error)]
    # What a new account needs of the environment may be set later: before the change is applied it is asked for.
    unset = {name: name.lower() for name in starter.variables(text)}
    _, notes = config.check(text, {**unset, **visit.console.environ}, CATALOG)
    wrong = [each for each in notes if each.severity == "mistake" and not _of_unset(each, text, visit.console.environ)]
    if wrong:
        return [each.sentence for each in wrong]

    def propose(connection: Connection) -> int:
        who = _who(visit)
        base = revisions.digest(present)
        number = revisions.propose(connection, text, base=base, who=who, note=note, origin="setup", since=None, now=visit.now)
        visit.note(connection, "change_proposed", f"proposal {number}", note)
        return number

    return await visit.write(propose)


def _of_unset(mistake: Mistake, text: str, environ: Mapping[str, str]) -> bool:
    """Whether a mistake is only about the value of a variable that nobody has set yet."""
    lines = text.splitlines()
    line = lines[mistake.line - 1] if 0 < mistake.line <= len(lines) else ""
    return any(name not in environ for name in starter.variables(line))


async def _proposed(visit: Visit, changes: Sequence[Change], note: str) -> Response:
    """On to the proposal; raises 422 with what is wrong."""
    made = await _propose(visit, changes, note)
    if isinstance(made, int):
        return visit.go(f"/changes/{made}", said="This is what the file would become. Plan it, then apply it.")
    raise HTTPException(422, " ".join(made))


def _name(text: str) -> str:
    name = text.strip().lower().replace(" ", "_")
    if not name or not all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in name) or len(name) > 40:
        raise HTTPException(422, "A name has small letters, digits, `-` and `_`.")
    return name


async def source_added(visit: Visit) -> Response:
    """A new source, proposed."""
    kind, name = await visit.field("type"), _name(await visit.field("name"))
    if kind not in SOURCE_KEYS:
        raise HTTPException(422, "Choose what speaks there.")
    if name in visit.workspace.sources:
        raise HTTPException(422, f"There is a source {name} already.")
    made = {"type": kind, **{key: f"${{{variable_of(name, key)}}}" for key in SOURCE_KEYS[kind]}}
    return await _proposed(visit, [Change(["sources", name], made)], f"Set-up: source {name}")


async def account_added(visit: Visit) -> Response:
    """A new account of a platform, proposed."""
    platform = await visit.field("platform")
    if platform not in PLATFORMS:
        raise HTTPException(422, "Choose a platform.")
    name = _name(await visit.field("name") or platform)
    if name in visit.workspace.destinations:
        raise HTTPException(422, f"There is a destination {name} already.")
    made = usecases.account(platform, name)
    return await _proposed(visit, [Change(["destinations", name], made)], f"Set-up: account {name}")


# ---- the measurement plan --------------------------------------------------------------------------------------------------


class Measured(Struct, frozen=True, kw_only=True):
    """The measurement plan, as it is in force."""

    primary: str
    success: str
    checked: str


async def measurement(visit: Visit) -> Response:
    """`/setup/measurement`: the measurement plan, to be written."""
    plan = visit.workspace.measurement
    facts = Measured(primary=plan.primary or "", success=plan.success or "", checked=plan.checked or "")
    return visit.page("setup_measurement.html", facts, plan=facts)


async def measurement_proposed(visit: Visit) -> Response:
    """The measurement plan, proposed as a change of the file."""
    form = {name: (await visit.field(name)).strip()[:500] for name in ("primary", "success", "checked")}
    if not all(form.values()):
        raise HTTPException(422, "Write all three: the source of truth, what success is, and how it is checked.")
    plan = visit.workspace.measurement
    if form == {"primary": plan.primary, "success": plan.success, "checked": plan.checked}:
        return visit.go("/setup/measurement", said="This is the plan in force already.")
    changes = [Change(["measurement", name], value) for name, value in form.items()]
    return await _proposed(visit, changes, "Set-up: the measurement plan")


# ---- connecting an account -------------------------------------------------------------------------------------------------


class Connection_(Struct, frozen=True, kw_only=True):  # noqa: N801  (the store's Connection is another)
    """The page of an account's connection."""

    account: Account
    guide: list[str]
    docs: str
    by_page: bool
    """Whether the platform has a page of its own for it."""
    app_id: str
    """The variables with the app's id and secret."""
    app_secret: str
    app_ready: bool
    app_doc: str
    lasts: str
    redirect: str
    keeps: str
    """The name of the file that a token is kept in; empty: there is no place for it."""


def _destination(visit: Visit) -> tuple[str, str]:
    """(name, platform) of the path."""
    name = visit.request.path_params["destination"]
    chosen = visit.workspace.destinations.get(name)
    platform = chosen.type if chosen is not None else name
    if platform not in PLATFORMS:
        raise HTTPException(404, "There is no such account. Set-up shows all of them.")
    return name, platform


def _redirect(visit: Visit, name: str) -> str:
    return f"{visit.base}/setup/connect/{name}/callback"


def _place(visit: Visit) -> Path | None:
    return tokens.beside(visit.console.file) if visit.console.file is not None else None


async def connect(visit: Visit) -> Response:
    """`/setup/connect/{destination}`: how the account is connected, by a token or by the platform's page."""
    name, platform = _destination(visit)
    declared = CATALOG[platform].authorisation
    tried = await visit.read(lambda connection: _tried(connection, [name]))
    place, environ = _place(visit), visit.console.environ
    facts = Connection_(
        account=_account(visit, name, tried),
        guide=list(GUIDES.get(platform, ())),
        docs=f"docs/how-to/connect-{platform}.md",
        by_page=declared is not None,
        app_id=declared.app_id if declared else "",
        app_secret=declared.app_secret if declared else "",
        app_ready=declared is not None and declared.app_id in environ and declared.app_secret in environ,
        app_doc=declared.doc if declared else "",
        lasts=declared.lasts if declared else "",
        redirect=_redirect(visit, name),
        keeps="" if place is None else place.name,
    )
    return visit.page("setup_connect.html", facts, shown=facts)


def _asking(visit: Visit) -> tuple[str, str, Authorisation, App, Path]:
    """(destination, base address, the platform's way, our app, where tokens are kept); raises 409 where something is missing."""
    name, platform = _destination(visit)
    declared, environ, place = CATALOG[platform].authorisation, visit.console.environ, _place(visit)
    if declared is None:
        raise HTTPException(404, "This platform has no page to connect by; its token is made by hand.")
    if place is None:
        raise HTTPException(409, "Signalpost was started without a workspace file, so there is no place for a token.")
    if declared.app_id not in environ or declared.app_secret not in environ:
        raise HTTPException(
            409, f"Set {declared.app_id} and {declared.app_secret} in the environment and start Signalpost again."
        )
    chosen = visit.workspace.destinations.get(name)
    base = chosen.endpoint.rstrip("/") if chosen is not None and chosen.endpoint else ""
    return name, base, declared, App(environ[declared.app_id], environ[declared.app_secret]), place


def _sealed(visit: Visit, name: str, at: int) -> str:
    """A state that only this session can have made, at that time, for this account."""
    return hmac.new(visit.csrf.encode(), f"connect {name} {at}".encode(), hashlib.sha256).hexdigest()


async def leave(visit: Visit) -> Response:
    """On to the platform's page, with a state bound to this session."""
    name, base, declared, app, _ = _asking(visit)
    if not visit.csrf:
        raise HTTPException(403, "An account is connected by somebody with a browser.")
    state = f"{visit.now}.{_sealed(visit, name, visit.now)}"
    return RedirectResponse(declared.page(base or declared.default_page, app, _redirect(visit, name), state), 303)


async def returned(visit: Visit) -> Response:
    """Back from the platform's page: the code is exchanged for a token, which is kept beside the workspace file."""
    name, base, declared, app, place = _asking(visit)
    at, _, seal = visit.query("state", most=200).partition(".")
    made_at = _moment(at) or 0
    if not visit.csrf or not hmac.compare_digest(seal, _sealed(visit, name, made_at)):
        raise HTTPException(403, "This answer was not asked for from this browser. Connect the account again.")
    if not 0 <= visit.now - made_at <= STATE_MS:
        raise HTTPException(403, "This took too long. Connect the account again.")
    if visit.query("error") or not visit.query(declared.code, most=2_000):
        return visit.go(f"/setup/connect/{name}", said="Nothing was connected: the platform's page gave no permission.")
    platform = CATALOG[_type_of(visit.workspace, name)]
    request = declared.exchange(
        base or platform.default_base, app, visit.query(declared.code, most=2_000), _redirect(visit, name)
    )
    return await _settle(visit, name, declared, place, request)


async def renewed(visit: Visit) -> Response:
    """A new token for one that ends."""
    name, base, declared, app, place = _asking(visit)
    variable = _variable(visit, name, "audience_token")
    renews = visit.console.environ.get(variable + tokens.RENEWS)
    if declared.renew is None or not renews:
        raise HTTPException(409, "There is nothing to renew: connect the account by the platform's page first.")
    platform = CATALOG[_type_of(visit.workspace, name)]
    return await _settle(visit, name, declared, place, declared.renew(base or platform.default_base, app, renews))


async def _settle(visit: Visit, name: str, declared: Authorisation, place: Path, request: object) -> Response:
    """Ask for the token and keep it; no page, log or database ever has it."""
    title = CATALOG[_type_of(visit.workspace, name)].title
    transport = Transport(connections=1)
    try:
        answer = await transport.send(request)  # type: ignore[arg-type]
    except SignalpostError as error:
        raise HTTPException(502, f"{title} was asked for the token. {error}") from error
    finally:
        await transport.close()
    granted = declared.granted(answer, visit.now)
    if isinstance(granted, str):
        raise HTTPException(422, granted)
    chosen = visit.workspace.destinations.get(name)
    values = _values(visit, name, granted, chosen)
    try:
        tokens.keep(place, values)
    except SignalpostError as error:
        raise HTTPException(500, str(error)) from error
    until = (
        "until it is revoked" if granted.until is None else f"until {datetime.fromtimestamp(granted.until / 1000, UTC):%Y-%m-%d}"
    )
    kept = ", ".join(sorted(each for each in values if not each.endswith((tokens.UNTIL, tokens.RENEWS, tokens.RENEWS_UNTIL))))

    def noted(connection: Connection) -> None:
        visit.note(connection, "account_connected", f"destination {name}", f"{kept} in {place.name}, good {until}")

    await visit.write(noted)
    changes = _options(name, granted, declared, chosen)
    if chosen is not None and changes:
        made = await _propose(visit, changes, f"Set-up: {title} is connected")
        if isinstance(made, int):
            return visit.go(f"/changes/{made}", said=f"{title} is connected. Apply this change, so that its token is used.")
    said = f"{title} is connected, good {until}. The token is used from the next start or change on."
    return visit.go(f"/setup/connect/{name}", said=said)


def _values(visit: Visit, name: str, granted: Granted, chosen: Destination | None) -> dict[str, str]:
    """What is kept: the token for audiences, and for events too where there is none for them."""
    environ = visit.console.environ
    variable, events = _variable(visit, name, "audience_token"), _variable(visit, name, "access_token")
    found = {variable: granted.token}
    found[variable + tokens.UNTIL] = tokens.NEVER if granted.until is None else str(granted.until)
    if granted.renews:
        found[variable + tokens.RENEWS] = granted.renews
    if granted.renews_until is not None:
        found[variable + tokens.RENEWS_UNTIL] = str(granted.renews_until)
    if events + tokens.UNTIL in environ or (
        events not in environ and (chosen is None or not chosen.settings.get("access_token"))
    ):
        found[events] = granted.token
        found[events + tokens.UNTIL] = found[variable + tokens.UNTIL]
    return found


def _options(name: str, granted: Granted, declared: Authorisation, chosen: Destination | None) -> list[Change]:
    """The options that the file still lacks for it."""
    if chosen is None:
        return []
    found = []
    if not chosen.settings.get("audience_token"):
        found.append(Change(["destinations", name, "audience_token"], f"${{{variable_of(name, 'audience_token')}}}"))
    if declared.account and not chosen.settings.get(declared.account) and len(granted.accounts) == 1:
        found.append(Change(["destinations", name, declared.account], compact(granted.accounts[0])))
    return found


WAYS = (
    page("/setup", start),
    part("/setup/arrivals", arrivals),
    act("/setup/sources", source_added),
    act("/setup/accounts", account_added),
    page("/setup/measurement", measurement),
    act("/setup/measurement", measurement_proposed),
    page("/setup/connect/{destination}", connect),
    part("/setup/connect/{destination}/go", leave, OPERATOR),
    part("/setup/connect/{destination}/callback", returned, OPERATOR),
    act("/setup/connect/{destination}/renew", renewed),
    page("/setup/{case}", case_shown),
    act("/setup/{case}", case_proposed),
    act("/setup/{case}/test", tested),
)
