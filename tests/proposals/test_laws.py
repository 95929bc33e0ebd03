"""The laws of a comparison: what it says is what really running both files gives, whichever way it is found."""

from __future__ import annotations

from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.flow import DAY, Flow, Said, guarded
from tests.laws.histories import histories
from tests.proposals.files import DEEP, PARTS, counted, differing, edited, of_cells, run, steps, timed

from signalpost.config import Workspace
from signalpost.proposals import Comparison, held_against
from signalpost.proposals.sides import Way
from signalpost.store.database import Database

EVER = 1 << 50


def quiet(_done: int, _total: int) -> None:
    """Progress that nobody looks at."""


def held(database: Database, before: Workspace, after: Workspace, *, since: int = 0, way: Way | None = None) -> Comparison:
    """The comparison of everything that came in since a moment."""
    return database.look(
        lambda connection: held_against(connection, before, after, since=since, until=EVER, progress=quiet, way=way)
    )


def check(database: Database, stream: list[Said], later: list[int], after: Workspace, ways: tuple[Way | None, ...]) -> None:
    """Both files really run over the stream, and compared on what the present one left."""
    before = guarded()
    flow = Flow(database, after)
    theirs = run(flow, timed(stream, later))
    flow.follow(before)
    ours = run(flow, timed(stream, later))
    for way in ways:
        found = held(database, before, after, way=way)
        assert of_cells(found.cells, after=False) == counted(ours)
        assert of_cells(found.cells, after=True) == counted(theirs)
        assert found.examples_of == differing(ours, theirs)
        assert found.events == len(stream)


@given(stream=histories(), later=steps, after=edited(PARTS))
@settings(max_examples=40)
def test_what_differs_in_parts_is_what_really_running_both_files_gives(
    database: Database, stream: list[Said], later: list[int], after: Workspace
) -> None:
    """Counts, values and differing signals are those of two real runs, whether only parts are replayed, or all, or each apart."""
    check(database, stream, later, after, (None, "whole", "apart"))


@given(stream=histories(), later=steps, after=edited(DEEP | PARTS, most=3))
@settings(max_examples=40)
def test_what_differs_deeply_is_what_really_running_both_files_gives(
    database: Database, stream: list[Said], later: list[int], after: Workspace
) -> None:
    """Files that know people and orders differently are replayed each by itself, and give what two real runs give."""
    check(database, stream, later, after, (None,))


@given(stream=histories(), later=steps, cut=st.integers(0, 12), way=st.sampled_from((None, "whole", "apart")))
@settings(max_examples=25)
def test_a_file_against_itself_shows_no_difference(
    database: Database, stream: list[Said], later: list[int], cut: int, way: Way | None
) -> None:
    """Planning the present file shows no difference, from whatever moment and whichever way."""
    flow = Flow(database, guarded())
    made = timed(stream, later)
    run(flow, made)
    found = held(database, guarded(), guarded(), since=made[cut % len(made)][0], way=way)
    assert found.same
    assert not found.examples


@given(stream=histories(), later=steps, cut=st.integers(0, 12), after=edited(PARTS))
@settings(max_examples=25)
def test_parts_are_as_the_whole(database: Database, stream: list[Said], later: list[int], cut: int, after: Workspace) -> None:
    """From any moment, replaying parts finds the very differences that replaying all of it under each file apart finds."""
    flow = Flow(database, guarded())
    made = timed(stream, later)
    run(flow, made)
    since = made[cut % len(made)][0]
    parts, whole, apart = (held(database, guarded(), after, since=since, way=way) for way in ("parts", "whole", "apart"))

    def changed(found: Comparison) -> list[str]:
        return sorted(repr(each) for each in found.cells if (each.before, each.value_before) != (each.after, each.value_after))

    assert whole.examples_of == apart.examples_of == parts.examples_of
    assert whole.cells == apart.cells
    assert len(changed(parts)) == len(changed(whole)) == len(changed(apart))


@given(stream=histories(), later=steps, after=edited(PARTS))
@settings(max_examples=15)
def test_sizes_are_those_that_applying_the_file_brings(
    database: Database, stream: list[Said], later: list[int], after: Workspace
) -> None:
    """Segments and audiences hold under the new file whom they hold once it is applied and its backfill is through."""
    before = guarded()
    flow = Flow(database, before)
    made = timed(stream, later)
    run(flow, made)
    upto = made[-1][0] + DAY
    flow.fill(upto)
    flow.pass_time(upto)
    found = database.look(partial(held_against, before=before, after=after, since=0, until=upto, progress=quiet))
    flow.follow(after, upto)
    flow.fill(upto)
    flow.pass_time(upto)
    members: dict[str, int] = dict(
        flow.rows("SELECT s.name, count(*) FROM members m JOIN segments s ON s.slot = m.segment GROUP BY s.name")
    )
    assert {each.name: each.after for each in found.segments if each.after} == {
        name: many for name, many in members.items() if not name.startswith("journey:")
    }
