"""What keeps audiences from being what they should be, seen by real messages in a real database, or told by exact figures."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from msgspec.structs import replace
from tests.findings.watched import DAY, HOUR, MINUTE, NOW, Watched, order, tracked, workspace

from signalpost import findings, watch
from signalpost.config import Workspace
from signalpost.destinations.audiences import Held, Seen
from signalpost.findings import Building, Figures, Finding, Synced
from signalpost.options import Audience
from signalpost.store import audiences
from signalpost.store import findings as kept
from signalpost.store.database import Connection, Database

SEGMENTS: dict[str, Any] = {
    "recent_buyers": {"did": "Order Completed", "within": "14d"},
    "viewers": {"did": "Product Viewed", "within": "3d"},
}
SUPPRESS = Audience(segment="recent_buyers", to=("tiktok", "pinterest"), use="suppress")
TARGET = Audience(segment="viewers", to=("tiktok",), use="target")


def shop(*chosen: Audience, **changes: Any) -> Workspace:
    """A shop with segments and these audiences."""
    return workspace(segments=SEGMENTS, audiences=chosen or (SUPPRESS, TARGET), **changes)


def synced(
    watched: Watched,
    *,
    at: int = NOW,
    size: int | None = 5_000,
    state: str = "ready",
    sentence: str = "",
    loaded: bool = True,
    **seen: Any,
) -> None:
    """Every audience is made and, unless not `loaded`, loaded at its platform, which has taken all, and says this of it."""

    def work(connection: Connection) -> None:
        for number, *_ in connection.rows("backfill_rows"):  # nothing had happened before there were rules
            connection.run("backfill_done", number)
        for each in audiences.standings(connection):
            audiences.hold(connection, each.slot, "test", now=at, until=at + HOUR)
            audiences.made(connection, each.slot, "test", each.held, Held(id=f"p{each.slot}", list_id=""), None, at)
            people = [asked for asked in audiences.asked(connection, each.slot, 10_000) if asked.wanted]
            connection.run_many("audience_settled", [(each.slot, asked.person, asked.stale) for asked in people])
            keys = [(each.slot, f"email:{asked.person}", asked.person, "there", at) for asked in people]
            connection.run_many("audience_key_set", keys)
            if loaded:
                connection.run("audience_loaded", at, each.slot)
            what = Seen(name="", status="READY", size=size, usable=True, sentence="")
            audiences.seen(connection, each.slot, what, seen.get("used_by"), at)
            connection.run("audience_says", state, sentence, each.slot)

    watched.write(work)


def about(found: dict[str, Finding], *kinds: str) -> dict[str, Finding]:
    """Of findings by key, those of these kinds."""
    return {key: each for key, each in found.items() if each.kind in kinds}


def test_people_in_both_are_counted(database: Database) -> None:
    """Buyers whom a target audience still wants are told with their number; `unless` ends it, and so does another destination."""
    watched = Watched(database, shop())
    watched.say("web", [tracked("Product Viewed", number) for number in range(40)])
    watched.say("web", [order(number) for number in range(15)])
    found = watched.found()["suppression_overlap:viewers and recent_buyers at tiktok"]
    assert found.share == Decimal("0.3750")
    assert found.sentence.startswith("15 of the 40 people in viewers at tiktok are in recent_buyers too")
    assert found.advice == "Add `unless: [recent_buyers]` to viewers."
    assert len(about(watched.found(), "suppression_overlap")) == 1


def test_nobody_is_in_both_with_unless(database: Database) -> None:
    """`unless` keeps buyers out, so nothing is said."""
    watched = Watched(database, shop(SUPPRESS, replace(TARGET, unless=("recent_buyers",))))
    watched.say("web", [tracked("Product Viewed", number) for number in range(40)])
    watched.say("web", [order(number) for number in range(15)])
    assert about(watched.found(), "suppression_overlap", "no_suppression") == {}


def test_changes_that_wait(database: Database) -> None:
    """Buyers that the platform has not taken within 5 minutes are a problem, anything else within 15 a warning; what is taken
    is not told."""
    watched = Watched(database, shop())
    watched.say("web", [tracked("Product Viewed", number) for number in range(5)])
    assert about(watched.found(NOW + 10 * MINUTE), "audience_pending") == {}
    behind = watched.found(NOW + 16 * MINUTE)["audience_pending:viewers at tiktok"]
    assert (behind.severity, behind.sentence.partition(" of ")[0]) == ("warning", "5 changes")
    watched.say("web", [order("first")])
    found = about(watched.found(NOW + 6 * MINUTE), "audience_pending")
    assert {each.severity for key, each in found.items() if "recent_buyers" in key} == {"problem"}
    assert all("1 change of recent_buyers" in each.sentence for key, each in found.items() if "recent_buyers" in key)
    synced(watched)
    assert about(watch_now(watched, NOW + DAY), "audience_pending") == {}


def watch_now(watched: Watched, now: int) -> dict[str, Finding]:
    """What is found at this moment, however long what was open stays open."""
    found = watched.database.look(lambda connection: watch.look(connection, watched.workspace, now))
    return {each.key: each for each in found}


def test_an_audience_that_is_no_longer_kept(database: Database) -> None:
    """Stopped, deleted or taken away: a problem with the platform's sentence, and nothing else is said of it."""
    watched = Watched(database, shop())
    watched.say("web", [order("first")])
    for state in ("stopped", "gone", "foreign"):
        synced(watched, state=state, sentence="The token has expired.")
        told = watch_now(watched, NOW + DAY)
        stopped = about(told, "audience_stopped", "audience_pending", "audience_small")
        assert set(stopped) == {
            f"audience_stopped:{name}" for name in ("recent_buyers at tiktok", "recent_buyers at pinterest", "viewers at tiktok")
        }
        assert all(each.severity == "problem" and "The token has expired." in each.sentence for each in stopped.values())


def test_an_audience_that_never_was_kept(database: Database) -> None:
    """Of one that was never filled nobody is told that ads go on with it."""
    watched = Watched(database, shop(SUPPRESS))
    watched.say("web", [order("first")])
    for loaded, said in ((False, "was never filled, and ads do without it"), (True, "ads go on with what the platform had")):
        synced(watched, state="stopped", sentence="Name `advertiser`.", loaded=loaded)
        [each] = [each for each in watch_now(watched, NOW + DAY).values() if each.subject == "recent_buyers at tiktok"]
        assert said in each.sentence
        assert each.sentence.endswith("Name `advertiser`.")


def test_an_audience_too_small_to_be_used(database: Database) -> None:
    """Fewer members than the platform needs is told at once; fewer matched only when it has had its 48 hours."""
    watched = Watched(database, shop(SUPPRESS))
    watched.say("web", [order(number) for number in range(150)])
    synced(watched, size=None)
    found = about(watch_now(watched, NOW + HOUR), "audience_small")
    assert set(found) == {"audience_small:recent_buyers at tiktok"}, "Pinterest needs 100"
    assert (
        "it has 150 members, and the platform needs 1,000 matched people"
        in found["audience_small:recent_buyers at tiktok"].sentence
    )
    assert found["audience_small:recent_buyers at tiktok"].severity == "problem"

    def says(connection: Connection, at: int) -> None:
        for each in audiences.standings(connection):
            audiences.seen(connection, each.slot, Seen(name="", status="TOO_SMALL", size=84, usable=False, sentence=""), None, at)

    watched.write(lambda connection: says(connection, NOW + DAY))
    assert set(about(watch_now(watched, NOW + DAY), "audience_small")) == {"audience_small:recent_buyers at tiktok"}
    watched.write(lambda connection: says(connection, NOW + 3 * DAY))
    found = about(watch_now(watched, NOW + 3 * DAY), "audience_small")
    assert (
        "matched 84 of its 150 members, and the platform needs 100" in found["audience_small:recent_buyers at pinterest"].sentence
    )


def test_a_seed_of_few_people(database: Database) -> None:
    """A seed below the platform's minimum makes no lookalike; above it, one of few people is told until there are a thousand."""
    seed = Audience(segment="recent_buyers", to=("pinterest",), use="seed")
    watched = Watched(database, shop(seed))
    watched.say("web", [order(number) for number in range(84)])
    synced(watched)
    found = about(watch_now(watched, NOW + HOUR), "audience_small", "seed_small")
    small = found.pop("audience_small:recent_buyers at pinterest")
    assert not found
    assert small.severity == "warning"
    assert "needs 100" in small.sentence
    assert "no lookalike" in small.sentence
    watched.say("web", [order(number) for number in range(84, 100)])
    synced(watched)
    assert set(about(watch_now(watched, NOW + HOUR), "audience_small", "seed_small")) == {"seed_small:recent_buyers at pinterest"}
    watched.say("web", [order(number) for number in range(100, 1_000)])
    synced(watched)
    assert not about(watch_now(watched, NOW + HOUR), "audience_small", "seed_small")


def test_people_the_platform_cannot_know(database: Database) -> None:
    """Members of whom nothing was sent, though the audience is in sync, are counted as such."""
    watched = Watched(database, shop(TARGET, SUPPRESS))
    watched.say("web", [tracked("Product Viewed", number) for number in range(120)])
    synced(watched)
    assert about(watch_now(watched, NOW + HOUR), "audience_nameless") == {}
    watched.write(lambda connection: connection.run("audience_keys_clear", audiences.standings(connection)[0].slot))
    [found] = about(watch_now(watched, NOW + HOUR), "audience_nameless").values()
    assert (found.subject, found.share) == ("viewers at tiktok", Decimal("1.0000"))
    assert "email" in found.sentence


def test_an_audience_no_ad_group_uses(database: Database) -> None:
    """Told only where the platform says that none does, and when the audience has been there for two days."""
    watched = Watched(database, shop(TARGET, SUPPRESS))
    watched.say("web", [tracked("Product Viewed", 1)])
    for used_by, subjects in ((None, set()), ((("77", "include"),), set()), ((), {"viewers at tiktok", *suppressed()})):
        synced(watched, used_by=used_by)
        assert about(watch_now(watched, NOW + DAY), "audience_unused") == {}
        assert {each.subject for each in about(watch_now(watched, NOW + 2 * DAY), "audience_unused").values()} == subjects


def suppressed() -> set[str]:
    """The two of recent buyers."""
    return {"recent_buyers at tiktok", "recent_buyers at pinterest"}


def test_sizes_are_kept_by_the_hour(database: Database) -> None:
    """The same hour again changes nothing; sizes come back as figures, and old ones go."""
    watched = Watched(database, shop(TARGET))
    watched.say("web", [tracked("Product Viewed", number) for number in range(7)])
    for now in (NOW - 70 * DAY, NOW, NOW, NOW + 30 * MINUTE):
        counted = watched.database.look(lambda connection: kept.sizes(connection, watched.workspace))
        watched.write(partial(kept.remember_sizes, counted=counted, now=now))
    [each] = watched.database.look(lambda connection: kept.gather(connection, watched.workspace, NOW + HOUR)).audiences
    assert (each.members, each.sizes) == (7, {NOW: 7})
    assert watched.rows("SELECT count(*) FROM audience_sizes") == [(1,)]


# ---- figures alone -----------------------------------------------------------------------------------------------------------


def told(*each: Synced, **figures: Any) -> dict[str, Finding]:
    """Key -> finding of these audiences."""
    found = findings.find(Figures(now=NOW, audiences=each, **figures), shop())
    return {one.key: one for one in found if one.link.endswith("stale-audiences.md") or one.kind.startswith("suppression")}


def grown(members: int, *, days: int = 10, swing: int = 50) -> Synced:
    """An audience of 2,000 that swings by so many from day to day, and has these members now."""
    sizes = {NOW - hour * HOUR: 2_000 + swing * ((hour // 24) % 2) for hour in range(1, 24 * days)}
    sizes[NOW - DAY] = 2_000
    return Synced(name="recent_buyers", destination="tiktok", members=members, size=5_000, loaded_at=1, sizes=sizes)


def test_a_sudden_change_of_size() -> None:
    """Told when it is a third of the audience, a hundred people and twice what is usual; a lost half of buyers is a problem."""
    for members in (2_000, 2_080, 1_700, 2_400):
        assert told(grown(members)) == {}
    fell = told(grown(900))["audience_jumped:recent_buyers at tiktok"]
    assert (fell.severity, fell.share) == ("problem", Decimal("0.5500"))
    assert "lost 1,100 people in a day" in fell.sentence
    assert told(grown(4_000))["audience_jumped:recent_buyers at tiktok"].severity == "warning"
    assert told(grown(4_000, days=3)) == {}, "nothing is usual yet"
    assert told(grown(4_000, swing=1_500)) == {}, "it always swings so"


def test_a_first_load_is_no_jump() -> None:
    """Sizes from before the first load was complete say nothing."""
    each = grown(4_000)
    assert told(replace(each, loaded_at=NOW - HOUR)) == {}


def test_a_name_that_two_destinations_share() -> None:
    """What is said of an audience is said of the one at its own destination, whichever the file has first."""
    buyers = Audience(segment="recent_buyers", name="people", to=("tiktok",), use="suppress")
    seed = Audience(segment="viewers", name="people", to=("pinterest",), use="seed")
    seen = (
        Synced(name="people", destination="tiktok", members=5_000, loaded_at=1, used_by=0),
        Synced(name="people", destination="pinterest", members=5_000, loaded_at=1, used_by=0),
        Synced(name="viewers", destination="tiktok", members=100, walked=100, overlaps={"people": 50}),
    )
    for chosen in ((buyers, seed, TARGET), (seed, buyers, TARGET)):
        found = {each.key: each for each in findings.find(Figures(now=NOW, audiences=seen), shop(*chosen))}
        assert set(about(found, "audience_unused")) == {"audience_unused:people at tiktok"}
        advice = found["suppression_overlap:viewers and people at tiktok"].advice
        assert advice == "Add `unless: [recent_buyers]` to viewers."


def test_the_suppression_clock() -> None:
    """99 of 100 within 5 minutes is in time; beyond it is told with half and 99 of 100, a problem from one in ten on."""
    quick = {("suppressed", "tiktok"): {1_000: 990, 250_000: 10}}
    assert told(clocks=quick) == {}
    late = told(clocks={("suppressed", "tiktok"): {1_000: 950, 600_000: 50}})["suppression_slow:tiktok"]
    assert (late.severity, late.share) == ("warning", Decimal("0.0500"))
    assert "for more than 5 minutes after their order came in" in late.sentence
    assert told(clocks={("suppressed", "tiktok"): {1_000: 80, 600_000: 20}})["suppression_slow:tiktok"].severity == "problem"
    assert told(clocks={("suppressed", "tiktok"): {600_000: 19}}) == {}, "too few to say"


def test_a_past_that_is_no_longer_there() -> None:
    """A backfill that misses requests is told with its segments."""
    found = told(building=(Building(("lapsed", "journey:cart"), 20, 1_000),))
    assert found["unremembered:lapsed"].share == Decimal("0.0200")
    assert "20 events" in found["unremembered:lapsed"].sentence
    assert told(building=(Building(("lapsed",), 0, 1_000),)) == {}
