"""Journeys: what owned channels send and when paid audiences reach the same people, on one axis of time."""

from __future__ import annotations

from msgspec import Struct
from starlette.responses import Response

from signalpost.conditions import NEVER
from signalpost.options import Journey, duration, spelt
from signalpost.segments import guards
from signalpost.segments.catalog import journey_segment
from signalpost.segments.guards import JOURNEYS, Guard, Kind, Paid
from signalpost.segments.reach import PURCHASE
from signalpost.store import audiences as store
from signalpost.store import segments as kept
from signalpost.store import sizes
from signalpost.store.database import Connection
from signalpost.store.sizes import HOUR
from signalpost.web import charts, known
from signalpost.web.charts import Chart, Span
from signalpost.web.known import Known
from signalpost.web.pages.segments import audience_address
from signalpost.web.routing import page
from signalpost.web.visit import Visit

CHASES: frozenset[Kind] = JOURNEYS | {"no_suppression", "refunded_back"}
"""Guards that are told beside a journey."""

TITLES: dict[Kind, str] = {
    "outlives_journey": "Ads go on alone",
    "beside_journey": "Both chase the same people",
    "stays_after_exit": "Who left is still targeted",
    "early_offer": "The ad's discount comes first",
    "nobody_inside": "Nobody is ever inside",
    "no_suppression": "Buyers are still targeted",
    "refunded_back": "Refunds bring buyers back",
}

FARTHEST = 3
"""The axis ends at so many times the journey's length at most."""


class Message(Struct, frozen=True, kw_only=True):
    """A message of a journey."""

    at: int
    """ms after its beginning."""
    channel: str
    offer: str


class Ads(Struct, frozen=True, kw_only=True):
    """A paid audience that reaches people who are in the journey, or were."""

    audience: str
    destinations: list[str]
    offer: bool
    windows: list[tuple[int, int | None]]
    """From and to, ms after the journey's beginning; None: without end."""
    rule: str
    """What `while_in` says of this journey; empty where it says nothing."""
    buyers_leave: bool
    wanted: int | None
    """People it wants, over all its destinations the most, as counted last."""
    conflicts: list[Guard]


class Shown(Struct, frozen=True, kw_only=True):
    """One journey."""

    name: str
    starts: str
    ends: list[str]
    after: int
    people: int | None
    """In it now."""
    messages: list[Message]
    ads: list[Ads]


class Overview(Struct, frozen=True, kw_only=True):
    """All journeys."""

    journeys: list[Shown]


async def overview(visit: Visit) -> Response:
    """`/journeys`: owned messages and paid windows of each journey on one axis, with what is wrong between them."""

    def look(connection: Connection) -> Overview:
        here = known.of(visit.console)
        counted = {
            (each.name, each.destination): sizes_of[each.slot].figures.wanted
            for sizes_of in [sizes.of_audiences(connection)]
            for each in store.standings(connection)
            if each.slot in sizes_of
        }
        return Overview(
            journeys=[
                _shown(connection, here, name, journey, counted, visit.now) for name, journey in here.workspace.journeys.items()
            ]
        )

    facts = await visit.read(look)
    return visit.page(
        "journeys.html",
        facts,
        overview=facts,
        pictures={each.name: picture(each) for each in facts.journeys},
        titles=TITLES,
        spelt=spelt,
        audience_address=audience_address,
    )


def _shown(
    connection: Connection, here: Known, name: str, journey: Journey, counted: dict[tuple[str, str], int], now: int
) -> Shown:
    slot = kept.slots(connection).get(journey_segment(name), -1)
    hours = sizes.past(connection, [slot], now - 3 * HOUR).get(slot, [])
    return Shown(
        name=name,
        starts=journey.starts,
        ends=list(journey.ends),
        after=duration(journey.after),
        people=sizes.now_inside(connection, slot, hours[-1]).people if hours else None,
        messages=[
            Message(at=duration(each.at), channel=each.channel or "message", offer=each.offer or "") for each in journey.steps
        ],
        ads=[
            _ads(each, name, journey, here, counted)
            for each in guards.paid(here.workspace, here.segments.rules)
            if each.audience.use == "target" and journey.starts in each.wants
        ],
    )


def _ads(each: Paid, name: str, journey: Journey, here: Known, counted: dict[tuple[str, str], int]) -> Ads:
    audience = each.audience
    wanted = [counted[audience.title, to] for to in audience.to if (audience.title, to) in counted]
    return Ads(
        audience=audience.title,
        destinations=list(audience.to),
        offer=audience.offer,
        windows=[(low, None if high == NEVER else high) for low, high in guards.windows(each, name, journey)],
        rule=audience.while_in.get(name, ""),
        buyers_leave=not each.inside_after(PURCHASE),
        wanted=max(wanted) if wanted else None,
        conflicts=[
            guard
            for guard in here.guards
            if guard.place == each.place
            and guard.kind in CHASES
            and (guard.kind not in JOURNEYS or guard.subject in {f"{audience.title} and {name}", audience.title})
        ],
    )


def picture(journey: Shown) -> Chart:
    """Messages and ads of a journey, in lanes on one axis of time since it began; what is wrong is marked in its lane."""
    own = f"{journey.name}: messages"
    ends = [end for each in journey.ads for _, end in each.windows if end is not None]
    until = min(max([journey.after, *ends]), FARTHEST * journey.after)
    until += until // 12
    spans = [
        Span(
            lane=own,
            start=0,
            end=journey.after,
            label="",
            colour="a",
            title=f"in the journey for {spelt(journey.after)}",
            dashed=True,
        )
    ]
    rows = [[own, "the journey", "0", spelt(journey.after), ""]]
    for message in journey.messages:
        label = f"{message.channel} {message.offer}".strip()
        spans.append(
            Span(lane=own, start=message.at, end=message.at, label=label, colour="a", title=f"after {spelt(message.at)}")
        )
        rows.append([own, label, spelt(message.at) if message.at else "0", "", ""])
    for each in journey.ads:
        lane = f"ads: {each.audience}"
        kinds = {guard.kind for guard in each.conflicts}
        for low, high in each.windows:
            said = "ads with a discount" if each.offer else "ads"
            to = "without end" if high is None else spelt(high)
            link = audience_address(each.audience, each.destinations[0])
            spans.append(
                Span(lane=lane, start=low, end=high, label=said, colour="b", title=f"from {_at(low)} to {to}", link=link)
            )
            rows.append([lane, said, _at(low), to, ", ".join(TITLES[kind] for kind in sorted(kinds))])
            spans += [
                Span(lane=lane, start=start, end=end, label=TITLES[kind], colour=colour, title=f"from {_at(start)} to {_at(end)}")
                for kind, start, end, colour in _wrong(journey, kinds, low, until if high is None else min(high, until))
            ]
    return charts.lanes(
        list(dict.fromkeys(span.lane for span in spans)) + [f"ads: {each.audience}" for each in journey.ads if not each.windows],
        spans,
        alt=f"Messages and ads since {journey.starts}, for people in {journey.name}.",
        heads=("Lane", "What", "From", "To", "In conflict"),
        rows=rows,
        until=until,
    )


def _wrong(journey: Shown, kinds: set[Kind], low: int, high: int) -> list[tuple[Kind, int, int, str]]:
    """The stretches of a paid window that are in conflict: (which, from, to, colour)."""
    offers = [each.at for each in journey.messages if each.offer]
    found: list[tuple[Kind, int, int, str]] = []
    if "beside_journey" in kinds:
        found.append(("beside_journey", low, min(high, journey.after), "refused"))
    if "early_offer" in kinds and offers:
        found.append(("early_offer", low, min(high, *offers), "refused"))
    if "outlives_journey" in kinds:
        found.append(("outlives_journey", max(low, journey.after), high, "warned"))
    return [each for each in found if each[1] < each[2]]


def _at(ms: int) -> str:
    return spelt(ms) if ms else "the start"


WAYS = (page("/journeys", overview),)
