"""Charts as values: what is drawn, and the table that says the same. `static/charts.js` draws them with ECharts.

A page gives one of these to the macro `chart` of `_macros.html`. Each chart is never alone: its table stands behind it, for
screen readers, for copying, and where no script runs. Colours are names of the style sheet's tokens, so light and dark follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

COLOURS = ("a", "b", "c", "d", "e", "f", "g", "h")
"""The style sheet's colours for series (`--series-a` ...); a ninth begins again."""


class Table(Struct, frozen=True):
    """What the chart says, in words: heads and rows of text."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


class Chart(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every chart has; `kind` is what `charts.js` goes by."""

    kind: str
    alt: str
    """The chart in a sentence, with what it shows."""
    table: Table
    height: int = 260
    facts: dict[str, Any] = {}

    def data(self) -> str:
        """What the script draws, as JSON that is safe within a page."""
        text = msgspec.json.encode({"kind": self.kind, **self.facts}).decode()
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class Series(Struct, frozen=True, kw_only=True):
    """One line or colour of bars; None where there is no value."""

    name: str
    values: Sequence[float | None]
    colour: str = ""
    """A token's name: one of `COLOURS`, or a verdict; the next of `COLOURS` when empty."""
    dashed: bool = False
    """Drawn dashed: a forecast, last week."""


class Marker(Struct, frozen=True, kw_only=True):
    """A moment worth a line across the chart."""

    at: int
    label: str
    """A letter or a few: lines may stand close together, so what happened is told beside the chart."""


def _coloured(series: Sequence[Series]) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "values": list(one.values),
            "colour": one.colour or COLOURS[place % len(COLOURS)],
            "dashed": one.dashed,
        }
        for place, one in enumerate(series)
    ]


def over_time(
    at: Sequence[int],
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    alt: str,
    unit: str = "number",
    stacked: bool = False,
    bars: bool = False,
    markers: Sequence[Marker] = (),
    most: float | None = None,
    link: str = "",
    height: int = 260,
) -> Chart:
    """Lines, or bars, over time. `at` are epoch ms, `labels` the same in the workspace's zone (no two alike), one for each value.

    `unit`: number, ms, percent (0 to 1), score, or a currency's code. `link` has `{at}` in it and is opened when a point is
    clicked. `markers` are drawn as lines at the nearest point.
    """
    return Chart(
        kind="bars" if bars else "lines",
        alt=alt,
        height=height,
        table=Table(
            ("When", *(one.name for one in series)),
            [(label, *(_said(one.values[place], unit) for one in series)) for place, label in enumerate(labels)],
        ),
        facts={
            "at": list(at),
            "labels": list(labels),
            "series": _coloured(series),
            "unit": unit,
            "stacked": stacked,
            "markers": [{"at": one.at, "label": one.label} for one in markers],
            "most": most,
            "link": link,
        },
    )


def bars(
    labels: Sequence[str], series: Sequence[Series], *, alt: str, unit: str = "number", stacked: bool = False, height: int = 260
) -> Chart:
    """Bars lying on their side, one for each label, the first on top."""
    return Chart(
        kind="lying",
        alt=alt,
        height=height,
        table=Table(
            ("", *(one.name for one in series)),
            [(label, *(_said(one.values[place], unit) for one in series)) for place, label in enumerate(labels)],
        ),
        facts={"labels": list(labels), "series": _coloured(series), "unit": unit, "stacked": stacked},
    )


class Node(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node of a flow or a graph."""

    id: str
    label: str
    colour: str = "a"
    depth: int | None = None
    """The column of a flow, from 0."""
    link: str = ""
    """Where a click leads."""
    size: int = 0
    """A graph's node: its diameter in pixels; 0: as usual."""
    title: str = ""
    """What stands in its tip beside the label."""


class Edge(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What flows, or joins, from one node to another."""

    source: str
    target: str
    value: float = 1
    label: str = ""
    link: str = ""
    dashed: bool = False


def flow(
    nodes: Sequence[Node], edges: Sequence[Edge], *, alt: str, heads: Sequence[str] = ("From", "To", "Signals"), height: int = 380
) -> Chart:
    """A Sankey picture."""
    names = {one.id: one.label for one in nodes}
    return Chart(
        kind="flow",
        alt=alt,
        height=height,
        table=Table(heads, [(names[one.source], names[one.target], one.label or _said(one.value, "number")) for one in edges]),
        facts={"nodes": list(nodes), "edges": list(edges)},
    )


def graph(
    nodes: Sequence[Node], edges: Sequence[Edge], *, alt: str, heads: Sequence[str] = ("From", "To", "Why"), height: int = 320
) -> Chart:
    """Nodes and what joins them, laid out by forces; an edge's label says why."""
    names = {one.id: one.label for one in nodes}
    return Chart(
        kind="graph",
        alt=alt,
        height=height,
        table=Table(heads, [(names[one.source], names[one.target], one.label) for one in edges]),
        facts={"nodes": list(nodes), "edges": list(edges)},
    )


class Span(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stretch of a lane, from and to in ms of whatever the axis counts; `to` None: it has no end."""

    lane: str
    start: int
    end: int | None
    label: str
    colour: str = "a"
    title: str = ""
    dashed: bool = False
    link: str = ""


def lanes(
    names: Sequence[str],
    spans: Sequence[Span],
    *,
    alt: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    until: int,
    height: int = 0,
) -> Chart:
    """Stretches of time in lanes beneath one another, on one axis of durations that ends at `until` (ms); a span that
    starts where it ends is a point."""
    return Chart(
        kind="lanes",
        alt=alt,
        height=height or 60 + 44 * len(names),
        table=Table(heads, rows),
        facts={"lanes": list(names), "spans": list(spans), "until": until},
    )


def _said(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "ms":
        return f"{value / 1000:,.1f} s" if value >= 1000 else f"{value:,.0f} ms"
    if unit == "percent":
        return f"{value * 100:,.1f} %"
    if unit in {"number", "score"}:
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
    return f"{value:,.2f} {unit}"
