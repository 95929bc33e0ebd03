"""The rule editor: a segment written with its size beside it, an audience made of it, proposed as a change of the file."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import Response

from signalpost import amend, config, plan
from signalpost.amend import Change
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.errors import SignalpostError
from signalpost.glances import Glance, Size, glance
from signalpost.marked import Mistake, Notes, parse
from signalpost.segments import catalog, ladders, reading, sql
from signalpost.segments.operands import wrong_name
from signalpost.segments.rules import Rule
from signalpost.segments.sentences import sentence
from signalpost.store import revisions, sizes, valuing
from signalpost.store.database import Connection
from signalpost.vocabulary import CANONICAL_EVENTS, MESSAGE_EVENTS
from signalpost.web import known
from signalpost.web.pages.segments import address, begun, identifiers
from signalpost.web.routing import OPERATOR, act, page
from signalpost.web.visit import Visit

LONGEST_MS = 1_500
"""How long a rule is asked of people while it is being written."""

LONGEST = 20_000
"""Characters of a rule."""

USES = {
    "target": "Show ads to them",
    "suppress": "Keep ads from them",
    "seed": "Let the platform find people like them",
}


class Template(Struct, frozen=True, kw_only=True):
    """A use case to begin with."""

    title: str
    about: str
    name: str
    rule: str
    use: str
    unless: str = ""


TEMPLATES = {
    "cart": Template(
        title="Cart abandoners",
        about="Began a checkout 6 to 24 hours ago and did not buy since.",
        name="cart_6_24h",
        rule="all:\n  - {last: Checkout Started, age: 6h..24h}\n  - {did_not: Order Completed, since: Checkout Started}\n",
        use="target",
    ),
    "buyers": Template(
        title="Recent buyers",
        about="Bought in the last 14 days: ads for what they have just bought are wasted on them.",
        name="bought_14d",
        rule="did: Order Completed\nwithin: 14d\n",
        use="suppress",
    ),
    "lapsed": Template(
        title="Lapsed customers",
        about="Bought once, and not in the last 90 days.",
        name="lapsed_90d",
        rule="all:\n  - did: Order Completed\n  - {did_not: Order Completed, within: 90d}\n",
        use="target",
    ),
    "vip": Template(
        title="Best customers",
        about="What they paid less refunds is above a bound of yours.",
        name="vip",
        rule="trait: {lifetime_value: {gte: 300}}\n",
        use="seed",
    ),
    "ladder": Template(
        title="Recovery ladder",
        about="Tiers of an abandoned checkout, one after the other, without overlap or gap.",
        name="recovery",
        rule="ladder: Checkout Started\nuntil: Order Completed\ntiers: [0h-6h reminder, 6h-24h offer, 1d-3d last_call]\n",
        use="target",
    ),
    "blank": Template(title="Blank", about="Write the rule yourself.", name="", rule="did: \nwithin: 7d\n", use="target"),
}


class Wish(Struct, frozen=True, kw_only=True):
    """What is written in the form."""

    name: str
    rule: str
    """YAML of the segment."""
    audience: bool = False
    """Whether an audience is to be made of it too."""
    segment: str = ""
    """Of a ladder, the tier that the audience is made of; else empty."""
    to: list[str] = []
    use: str = "target"
    unless: list[str] = []
    title: str = ""
    """The audience's name; the segment's where it is empty."""
    note: str = ""


class Editor(Struct, frozen=True, kw_only=True):
    """The editor."""

    present: str
    """The name of the segment that is edited; empty for a new one."""
    template: str
    wish: Wish
    file: bool
    """Whether the text of the workspace file is known: without it nothing can be proposed."""
    destinations: list[str]
    """Those that can hold audiences."""
    segments: list[str]
    events: list[str]
    mistakes: list[Mistake]
    """Of the last try to propose."""


class Previewed(Struct, frozen=True, kw_only=True):
    """What a rule says before it is a segment."""

    mistakes: list[Mistake]
    sentences: dict[str, str]
    """By segment: one, or of a ladder each of its tiers."""
    sizes: dict[str, Size]
    looked: int
    people: int
    exact: bool
    missing: int
    unknown: list[str]
    sample: list[tuple[int, list[str]]]
    """(person, masked identifiers) of some who would be inside."""
    sql: str


# ---- the page --------------------------------------------------------------------------------------------------------------


async def new(visit: Visit) -> Response:
    """`/segments/new`: the editor of rules, empty or begun by a use case."""
    chosen = visit.query("template", most=20)
    template = TEMPLATES.get(chosen, TEMPLATES["cart"])
    names = set(catalog.segment_names(visit.workspace))
    name = next(
        (each for each in (template.name, *(f"{template.name}_{count}" for count in range(2, 100))) if each not in names), ""
    )
    unless = _buyers(visit.workspace) if template.use == "target" and chosen in {"cart", "ladder", ""} else []
    wish = Wish(name=name, rule=template.rule, use=template.use, unless=unless)
    return _page(visit, "", chosen if chosen in TEMPLATES else "cart", wish)


def _buyers(workspace: Workspace) -> list[str]:
    """The segments that a suppression audience keeps ads from already: ads for others leave them out too."""
    return list(dict.fromkeys(each.segment for each in workspace.audiences if each.use == "suppress"))


async def edit(visit: Visit) -> Response:
    """`/segments/{name}/edit`: the editor of rules, with a segment of the file."""
    name = str(visit.request.path_params["name"])
    if name not in visit.workspace.segments:
        raise HTTPException(404, "The workspace file has no segment of this name that is written as a rule.")
    return _page(visit, name, "", Wish(name=name, rule=_written(visit, name)))


def _written(visit: Visit, name: str) -> str:
    """The rule as it stands in the file, with its comments; without a file as it was read."""
    text = visit.console.file_text()
    if text is not None:
        try:
            return amend.part(text, ["segments", name])
        except ValueError:
            pass  # the text in force was changed since the workspace was read: what was read is as good
    return amend.written(msgspec.to_builtins(visit.workspace.segments[name]))


def _page(visit: Visit, present: str, template: str, wish: Wish, mistakes: tuple[Mistake, ...] = ()) -> Response:
    here = visit.workspace
    facts = Editor(
        present=present,
        template=template,
        wish=wish,
        file=visit.console.file_text() is not None,
        destinations=[name for name, each in here.destinations.items() if CATALOG[each.type].audience is not None],
        segments=[name for name in catalog.segment_names(here) if name != present],
        events=[*CANONICAL_EVENTS, *here.derived, *MESSAGE_EVENTS],
        mistakes=list(mistakes),
    )
    return visit.page(
        "rules.html", facts, status=422 if mistakes else 200, editor=facts, templates=TEMPLATES, uses=USES, address=address
    )


async def _wish(visit: Visit) -> Wish:
    form = await visit.form()
    return Wish(
        name=(await visit.field("name")).strip()[:100],
        rule=(await visit.field("rule")).replace("\r\n", "\n")[:LONGEST],
        audience=await visit.field("audience") == "yes",
        segment=(await visit.field("segment")).strip()[:200],
        to=[each for each in form.get("to", []) if each in visit.workspace.destinations],
        use=use if (use := await visit.field("use")) in USES else "target",
        unless=[each for each in form.get("unless", []) if each],
        title=(await visit.field("title")).strip()[:100],
        note=(await visit.field("note")).strip()[:300],
    )


# ---- what a rule says ------------------------------------------------------------------------------------------------------


async def preview(visit: Visit) -> Response:
    """`/segments/-/preview`: mistakes, sentence, size, sample and SQL of what is written; changes nothing."""
    wish = await _wish(visit)
    rules, mistakes = read(visit.workspace, wish)
    facts = Previewed(
        mistakes=list(mistakes), sentences={}, sizes={}, looked=0, people=0, exact=True, missing=0, unknown=[], sample=[], sql=""
    )
    if rules and not mistakes:
        one: ThreadPoolExecutor = visit.console.kept.setdefault(
            ThreadPoolExecutor, ThreadPoolExecutor(1, thread_name_prefix="console-glance")
        )
        look = partial(visit.console.database.look, lambda connection: _previewed(connection, visit, rules))
        facts = await asyncio.get_running_loop().run_in_executor(one, look)
    return visit.part("_rule_preview.html", preview=facts, wish=wish, begun=begun)


def read(workspace: Workspace, wish: Wish) -> tuple[dict[str, Rule], tuple[Mistake, ...]]:
    """(name -> rule, of a ladder each of its tiers; mistakes with their lines)."""
    notes = Notes("")
    name = wish.name or "preview"
    if wish.name and wrong_name(wish.name):
        sentence_of = "A segment's name is small letters, digits, `-` and `_`, such as `recent_buyers`."
        notes.place(0, 1, "name", sentence_of)
    value = parse(wish.rule, {}, notes)
    if value is None:
        return {}, notes.found
    known_of = catalog.knows(workspace)
    if ladders.is_ladder(value):
        steps = ladders.read(value, notes, known_of)
        return ({} if steps is None else ladders.rules(name, steps)), notes.found
    rule = reading.read(value, notes, known_of, name)
    return ({} if rule is None else {name: rule}), notes.found


def _previewed(connection: Connection, visit: Visit, rules: dict[str, Rule]) -> Previewed:
    here, zone = known.of(visit.console), visit.console.zone
    bands = valuing.present(connection, here.workspace)
    people = sizes.people(connection)
    if people is None:
        people = int(connection.rows("people_count")[0][0])
    began = time.monotonic()
    found: Glance = glance(
        connection,
        plan.plan(here.workspace),
        rules,
        {name: rule for name, rule in here.segments.rules.items() if name not in rules},
        bands,
        people=people,
        now=visit.now,
        stop=lambda: time.monotonic() - began > LONGEST_MS / 1000,
    )
    whole = next(reversed(rules))
    try:
        said = sql.select(rules[whole], {**here.segments.rules, **rules}, bands=bands)
    except sql.Unsayable as error:
        said = f"-- {error}"
    return Previewed(
        mistakes=[],
        sentences={name: sentence(rule, zone) for name, rule in rules.items()},
        sizes={} if found.unknown else found.sizes,
        looked=found.looked,
        people=found.people,
        exact=found.exact,
        missing=found.missing,
        unknown=found.unknown,
        sample=[] if found.unknown else [(each, identifiers(connection, each)) for each in found.sample[whole]],
        sql=said,
    )


# ---- as a change of the file -----------------------------------------------------------------------------------------------


async def propose(visit: Visit) -> Response:
    """The form: write the segment, and an audience of it where that is asked for, into a proposed file."""
    wish, present = await _wish(visit), (await visit.field("present")).strip()
    text = visit.console.file_text()
    if text is None:
        raise HTTPException(409, "This console was started without a workspace file, so nothing can be proposed here.")
    proposed, mistakes = amended(text, visit.workspace, wish, present)
    if not mistakes:
        _, notes = config.check(proposed, visit.console.environ, CATALOG)
        mistakes = tuple(each for each in notes if each.severity == "mistake")
    if mistakes:
        return _page(visit, present, "", wish, mistakes)
    what = f"The rule of {wish.name}" if present else f"A new segment {wish.name}"
    note = wish.note or what + (f", and an audience of it at {', '.join(wish.to)}" if wish.audience else "")

    def write(connection: Connection) -> int:
        number = revisions.propose(
            connection,
            proposed,
            base=revisions.digest(text),
            who="" if visit.user is None else visit.user.email or visit.user.name,
            note=note,
            origin="segment",
            since=None,
            now=visit.now,
        )
        visit.note(connection, "change_proposed", f"proposal {number}", note[:200])
        return number

    number = await visit.write(write)
    return visit.go(f"/changes/{number}", said=f"{note} is proposed. Plan it to see what it would change, then apply it.")


def amended(text: str, workspace: Workspace, wish: Wish, present: str) -> tuple[str, tuple[Mistake, ...]]:
    """(the file's text with what is wished; mistakes): its other lines stay as they are written."""
    rules, mistakes = read(workspace, wish)
    notes = Notes("")
    if not wish.name:
        notes.place(0, 1, "name", "Give the segment a name.")
    elif not present and wish.name in set(catalog.segment_names(workspace)):
        notes.place(0, 1, "name", f"There is a segment `{wish.name}` already: choose another name, or edit that one.")
    if wish.audience and not wish.to:
        notes.place(0, 1, "audience", "Choose at least one destination for the audience.")
    if not rules or mistakes or notes.found:
        return text, (*notes.found, *mistakes)
    changes = [Change(["segments", wish.name], amend.read(wish.rule))]
    if wish.audience:
        changes.append(Change(["audiences", "+"], _audience(wish)))
    try:
        return amend.amended(text, changes), ()
    except (ValueError, SignalpostError) as error:
        notes.place(0, 1, "", f"The workspace file could not be changed: {error}")
        return text, notes.found


def _audience(wish: Wish) -> dict[str, Any]:
    made: dict[str, Any] = {"segment": wish.segment or wish.name}
    if wish.title:
        made["name"] = wish.title
    made |= {"to": wish.to[0] if len(wish.to) == 1 else wish.to, "use": wish.use}
    if wish.unless:
        made["unless"] = wish.unless
    return made


WAYS = (
    page("/segments/new", new, OPERATOR),
    page("/segments/{name}/edit", edit, OPERATOR),
    act("/segments/-/preview", preview),
    act("/segments/-/propose", propose),
)
