"""The flow as a picture: sources, events, platforms and what withheld signals, what the platforms answered.

Widths are signals: an event that two platforms could be told of is two. What is small is drawn together as `other`, so that the
picture stays one; the table behind it has the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from signalpost import gates
from signalpost.config import Workspace
from signalpost.store.today import Overview, Told, title
from signalpost.web.charts import Chart, Edge, Node, flow
from signalpost.web.visit import link

SOURCES, EVENTS, REASONS = 4, 6, 4
"""How many of each stand by themselves."""

VERDICTS = {"accepted": "accepted", "warned": "warned", "refused": "refused", "unknown": "never answered", "waiting": "waiting"}
SENSES = {"aside": "repeats and tests", "meant": "other, on purpose", "lost": "other, lost"}
COLOURS = {"aside": "withheld", "meant": "withheld", "lost": "refused"}
"""What was kept back on purpose is grey, what should have gone is red."""

OTHER = "…"


def picture(overview: Overview, workspace: Workspace, window: str) -> Chart | None:
    """The chart of a window; None when nothing came in it. `window` says which in words."""
    if not overview.told:
        return None
    events = _largest(((each.name, each.signals) for each in overview.told), EVENTS)
    sources = _largest(((each.source, each.events) for each in overview.heard), SOURCES)
    apart = _largest(
        ((each.reason, each.signals) for each in overview.told if _alone(each)),
        REASONS,
    )
    # A store from before events were counted knows of no sources for a while: then the picture begins with the events.
    first = 0 if overview.heard else 1
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str], list[int]] = {}
    links: dict[tuple[str, str], str] = {}

    def edge(source: Node, target: Node, signals: int, told: int, **filters: str) -> None:
        nodes.setdefault(source.id, source)
        nodes.setdefault(target.id, target)
        counter = edges.setdefault((source.id, target.id), [0, 0])
        counter[0] += signals
        counter[1] += told
        links.setdefault((source.id, target.id), link("/signals", **filters))

    signals_of: dict[str, int] = {}
    for told in overview.told:
        signals_of[told.name] = signals_of.get(told.name, 0) + told.signals
    events_of: dict[str, int] = {}
    for heard in overview.heard:
        events_of[heard.name] = events_of.get(heard.name, 0) + heard.events
    for heard in overview.heard:
        # As wide as the signals that its events became, so that what enters a node is what leaves it.
        width = round(heard.events * signals_of.get(heard.name, 0) / events_of[heard.name])
        if width:
            edge(_source(heard.source, sources), _event(heard.name, events), width, heard.events, event=_kept(heard.name, events))
    for told in overview.told:
        event = _event(told.name, events)
        name = _kept(told.name, events)
        if told.verdict == "withheld":
            reason = _reason(told.reason, apart)
            asked = told.reason if told.reason in apart else ""
            edge(event, reason, told.signals, told.signals, event=name, verdict="withheld", reason=asked)
            continue
        platform = _platform(told.destination, workspace)
        edge(event, platform, told.signals, told.signals, event=name, destination=told.destination)
        verdict = _verdict(told.verdict)
        edge(platform, verdict, told.signals, told.signals, destination=told.destination, verdict=told.verdict)
    total = sum(each.signals for each in overview.told)
    return flow(
        [replace(each, depth=(each.depth or 0) - first) for each in _ordered(nodes.values())],
        [
            Edge(source=source, target=target, value=width, label=f"{told:,}", link=links[source, target])
            for (source, target), (width, told) in sorted(edges.items(), key=lambda each: -each[1][0])
        ],
        alt=f"The flow of the {window}: {total:,} signals from their sources by event to the platforms and their answers",
        heads=("From", "To", "How many"),
        height=480,
    )


def _alone(each: Told) -> bool:
    """Whether a reason may stand by itself: repeats are drawn as one."""
    return each.verdict == "withheld" and gates.sense(each.reason) != "aside"


def _largest(counted: Iterable[tuple[str, int]], most: int) -> frozenset[str]:
    """The names with most; all of them where only one would be left over."""
    sums: dict[str, int] = {}
    for name, many in counted:
        sums[name] = sums.get(name, 0) + many
    if len(sums) == most + 1:
        most += 1
    return frozenset(sorted(sums, key=lambda name: (-sums[name], name))[:most])


def _kept(name: str, shown: frozenset[str]) -> str:
    return name if name in shown else ""


def _source(name: str, shown: frozenset[str]) -> Node:
    if name not in shown:
        return Node(id="source " + OTHER, label="other sources", colour="f", depth=0, link="/signals")
    if not name:
        return Node(id="source", label="made here", colour="f", depth=0, link="/signals", title="Derived of other events")
    return Node(id=f"source {name}", label=name, colour="f", depth=0, link=link("/signals", source=name))


def _event(name: str, shown: frozenset[str]) -> Node:
    if name not in shown:
        return Node(id="event " + OTHER, label="other events", depth=1, link="/signals")
    return Node(id=f"event {name}", label=name, depth=1, link=link("/signals", event=name))


def _platform(destination: str, workspace: Workspace) -> Node:
    platform = title(destination, workspace)
    same = sum(title(name, workspace) == platform for name in workspace.destinations) > 1
    label = f"{platform} {destination}" if same else platform
    return Node(id=f"to {destination}", label=label, colour="c", depth=2, link=link("/signals", destination=destination))


def _reason(reason: str, shown: frozenset[str]) -> Node:
    sense = gates.sense(reason)
    if reason not in shown:
        return Node(
            id=f"why {OTHER}{sense}",
            label=SENSES[sense],
            colour=COLOURS[sense],
            depth=2,
            link=link("/signals", verdict="withheld"),
        )
    told = gates.REASONS[reason].sentence if reason in gates.REASONS else ""
    label = reason.removeprefix("gate:").replace("_", " ")
    return Node(
        id=f"why {reason}",
        label=f"gate {label}" if reason.startswith("gate:") else label,
        colour=COLOURS[sense],
        depth=2,
        link=link("/signals", verdict="withheld", reason=reason),
        title=told,
    )


def _verdict(verdict: str) -> Node:
    return Node(
        id=f"verdict {verdict}",
        label=VERDICTS.get(verdict, verdict),
        colour=verdict,
        depth=3,
        link=link("/signals", verdict=verdict),
    )


PLACES: Mapping[str, int] = {"source": 0, "event": 1, "to": 2, "why": 3, "verdict": 4}


def _ordered(nodes: Iterable[Node]) -> list[Node]:
    """Platforms above what was withheld, others last."""
    return sorted(nodes, key=lambda each: (PLACES[each.id.partition(" ")[0]], OTHER in each.id))
