"""What goes by a segment."""

from __future__ import annotations

from msgspec.structs import replace
from tests.laws.flow import workspace

from signalpost.options import Audience, Destination, Gate
from signalpost.segments import catalog
from signalpost.segments.uses import Use, uses


def test_everything_that_names_a_segment_is_told() -> None:
    """Audiences of it and those that leave it out, gates, other segments and tools that are told of it."""
    chosen = workspace(
        segments={
            "buyers": {"did": "Order Completed"},
            "old": {"not": {"in_segment": "buyers"}},
            "alone": {"did": "Product Viewed"},
        },
        audiences=(
            Audience(segment="buyers", to=("tiktok", "pinterest"), use="suppress", name="No ads"),
            Audience(segment="old", to=("tiktok",), use="target", unless=("buyers",)),
        ),
        gates=(Gate(reason="known buyers", when={"any": [{"segment": {"in": ["buyers"]}}]}, mode="observing"),),
    )
    tool = Destination(type="webhook", settings={"url": "https://tool.example"}, segments=("old",))
    chosen = replace(chosen, destinations={**chosen.destinations, "tool": tool})
    found = uses(chosen, catalog.of(chosen))
    assert found["buyers"] == (
        Use(kind="audience", name="No ads", destination="tiktok", does="keeps ads from them"),
        Use(kind="audience", name="No ads", destination="pinterest", does="keeps ads from them"),
        Use(kind="leaves out", name="old", destination="tiktok", does="leaves them out"),
        Use(kind="gate", name="known buyers", does="counts their signals"),
        Use(kind="segment", name="old", does="its rule asks for them"),
    )
    assert [use.kind for use in found["old"]] == ["audience", "tool"]
    assert "alone" not in found
