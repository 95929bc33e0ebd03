"""Charts as SVG, drawn on the server, without script or style: a page's style sheet dresses them for light, dark and paper.

pygal lays them out; what it puts around them (its script, its style sheet) is taken away. Every mark keeps a `<title>`, which
browsers show when a mouse rests on it. A chart is never alone: a table beside it says the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree as ET

import pygal  # type: ignore[import-untyped]
from markupsafe import Markup

# pygal puts a finder of an old kind among Python's own, for maps that we have none of; every later import that fails would warn.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "PluginImportFixer"]

WIDTH, HEIGHT = 640, 220
MOST_LABELS = 8
"""Labels below a chart: of more only every second, third and so on is written. No two may be the same; what follows a comma in
one tells it apart and is not written there."""

Series = Sequence[tuple[str, str, Sequence[float | None]]]
"""(what it is called, its colour's name, a value for each label); None where there is none."""

Say = Callable[[float], str]
"""How a value is written on the axis and in a title."""

_SVG = "{http://www.w3.org/2000/svg}"


def bars(labels: Sequence[str], series: Series, *, alt: str, say: Say, height: int = HEIGHT) -> Markup:
    """Bars beside one another for each label."""
    return _drawn(pygal.Bar, labels, series, alt=alt, say=say, height=height)


def stacked(labels: Sequence[str], series: Series, *, alt: str, say: Say, height: int = HEIGHT) -> Markup:
    """Bars on top of one another for each label."""
    return _drawn(pygal.StackedBar, labels, series, alt=alt, say=say, height=height)


def lines(
    labels: Sequence[str], series: Series, *, alt: str, say: Say, height: int = HEIGHT, span: tuple[float, float] | None = None
) -> Markup:
    """A line for each series, broken where a value is missing; `span` is the least and the most of the axis."""
    return _drawn(pygal.Line, labels, series, alt=alt, say=say, height=height, allow_interruptions=True, range=span)


def _drawn(
    shape: Callable[..., Any],
    labels: Sequence[str],
    series: Series,
    *,
    alt: str,
    say: Say,
    height: int,
    **options: object,
) -> Markup:
    chart = shape(
        no_prefix=True, js=[], css=[], width=WIDTH, height=height, margin=0, margin_right=6, margin_top=8, spacing=8,
        show_legend=False, include_x_axis=True, max_scale=6, value_formatter=say, dots_size=3,
        x_labels_major_every=max(1, -(-len(labels) // MOST_LABELS)), show_minor_x_labels=len(labels) <= MOST_LABELS,
        truncate_label=-1, **options,
    )  # fmt: skip
    chart.x_labels = list(labels)
    for name, _, values in series:
        chart.add(name, list(values))
    root = chart.render_tree()
    _undress(root)
    for each in root.iter():
        of = each.get("class", "")
        if of.startswith("series serie-"):
            name, colour, _ = series[int(of.split()[1].removeprefix("serie-"))]
            each.set("class", f"series of-{colour}")
            _name(each, name)
        elif of.startswith("axis x"):
            for label in (text for text in each.iter() if _tag(text) == "text"):
                label.text = (label.text or "").partition(",")[0]
    root.attrib.update({"class": "chart", "role": "img", "aria-label": alt})
    root.attrib.pop("id", None)
    text = ET.tostring(root, encoding="unicode")
    return Markup(text)  # noqa: S704  (it escapes every name and label)


def _undress(node: ET.Element) -> None:
    """Take away what pygal adds for its script and its style."""
    for child in list(node):
        tag = _tag(child)
        of = child.get("class", "")
        if tag in {"", "defs", "title"} or "tooltip-overlay" in of or "text-overlay" in of:
            node.remove(child)
        else:
            _undress(child)


def _name(series: ET.Element, name: str) -> None:
    """The `<desc>`s of a mark, which are for the script, become one `<title>` for people."""
    for mark in list(series.iter()):
        notes = [each for each in mark if _tag(each) == "desc"]
        said = {each.get("class", "").strip(): each.text or "" for each in notes}
        for each in notes:
            mark.remove(each)
        if "value" in said:
            ET.SubElement(mark, "title").text = f"{said.get('x_label', '')}: {name} {said['value']}".removeprefix(": ")


def _tag(node: ET.Element) -> str:
    """Empty for a comment, whose tag is a function."""
    tag: object = node.tag
    return tag.removeprefix(_SVG) if isinstance(tag, str) else ""
