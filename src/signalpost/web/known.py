"""What pages read out of the workspace file again and again: worked out once for each file, kept by the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from signalpost.config import Workspace
from signalpost.segments import catalog, guards, tiers, uses
from signalpost.segments.catalog import Catalog
from signalpost.segments.guards import Guard
from signalpost.segments.tiers import Proof
from signalpost.segments.uses import Use

if TYPE_CHECKING:
    from signalpost.web.console import Console

PROVED = 2_000
"""Kinds of people that a page goes through to prove tiers; `signalpost segments tiers` goes through all of them."""


class Known(Struct, frozen=True, kw_only=True):
    """What follows from a workspace file alone."""

    workspace: Workspace
    segments: Catalog
    uses: dict[str, tuple[Use, ...]]
    proofs: dict[str, Proof]
    """Of each set of segments that must exclude one another, by its name."""
    guards: tuple[Guard, ...]
    statements: dict[tuple[str, str, bytes], tuple[str, str]] = {}
    """What `pages.segments` wrote as SQL so far."""


def of(console: Console) -> Known:
    """What follows from the file that the console goes by now; the first time takes a while: call it on a reader's thread."""
    held: Known | None = console.kept.get(Known)
    if held is None or held.workspace is not console.workspace:
        held = _of(console.workspace)
        console.kept[Known] = held
    return held


def _of(workspace: Workspace) -> Known:
    segments = catalog.of(workspace)
    derived = tiers.made_of(workspace)
    return Known(
        workspace=workspace,
        segments=segments,
        uses=uses.uses(workspace, segments),
        proofs={
            name: tiers.prove(segments.rules, each.of, each.covering, derived=derived, most=PROVED)
            for name, each in segments.tiers.items()
        },
        guards=guards.find(workspace, segments.rules),
    )
