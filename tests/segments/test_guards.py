"""What about segments, audiences and journeys costs money."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from signalpost.options import Audience, Journey, Step, Workspace
from signalpost.segments import guards
from signalpost.segments.guards import Guard
from signalpost.segments.reach import PURCHASE
from signalpost.segments.rules import Age, All, Happened, Not, Rule, Some, Trait

HOUR, DAY = 3_600_000, 86_400_000
CHECKOUT = "Checkout Started"


def within(days: int, event: str = PURCHASE) -> Rule:
    """`did` within so many days."""
    return Happened(event=event, within=days * DAY)


def abandoned(low: int, high: int | None) -> Rule:
    """A checkout of this age in hours without a purchase since."""
    age = Age(event=CHECKOUT, low=low * HOUR, high=None if high is None else high * HOUR)
    return All(parts=(age, Not(part=Happened(event=PURCHASE, since=CHECKOUT))))


RULES: dict[str, Rule] = {
    "recent_buyers": within(14),
    "hasty": within(3),
    "long": within(120),
    "abandoned": abandoned(0, 24),
    "week": abandoned(0, 7 * 24),
    "later": abandoned(24, 72),
    "open": Age(event=CHECKOUT, low=0, high=24 * HOUR),
    "never_bought": All(parts=(Age(event=CHECKOUT, low=0, high=24 * HOUR), Trait(when={"person.orders": 0}))),
    "viewers": within(30, "Product Viewed"),
    "cross_sell": All(parts=(within(30, "Product Viewed"), Happened(event=PURCHASE))),
    "seconds": Happened(event=PURCHASE, least=2),
    "worthy": Trait(when={"person.lifetime_value": {"gt": 300}}),
    "kept": All(parts=(Happened(event=PURCHASE, least=2), Trait(when={"person.refund_rate": {"lt": "50%"}}))),
    "lapsed": All(parts=(Happened(event=PURCHASE), Not(part=within(90)))),
    "welcomed": Age(event="Signed Up", low=0, high=3 * DAY),
}
SUPPRESS = Audience(segment="recent_buyers", to=("tiktok",), use="suppress", ad_groups=("1",))
CART = Journey(starts=CHECKOUT, ends=(PURCHASE,), after="24h", steps=(Step(at="1h"), Step(at="20h", offer="10%")))


def target(segment: str, **changes: Any) -> Audience:
    """An audience of this segment that is shown ads at TikTok."""
    return Audience(**{"segment": segment, "to": ("tiktok",), "use": "target", "ad_groups": ("1",), **changes})


def told(*audiences: Audience, **options: Any) -> list[Guard]:
    """The guards of a workspace with these audiences."""
    workspace = Workspace(
        workspace="glow",
        environment="production",
        currency="USD",
        order_value="net",
        country="US",
        audiences=audiences,
        **options,
    )
    return list(guards.find(workspace, RULES))


def kinds(*audiences: Audience, **options: Any) -> list[str]:
    """Their kinds."""
    return [guard.kind for guard in told(*audiences, **options)]


def test_a_workspace_that_minds_its_buyers_has_no_guard() -> None:
    """Suppression for 14 days, tiers without buyers, a seed by worth: nothing is said; nor of no audience at all."""
    assert kinds() == []
    seeds = [target(name, use="seed", ad_groups=()) for name in ("worthy", "kept")]
    assert kinds(SUPPRESS, target("abandoned"), target("later"), target("cross_sell"), target("lapsed"), *seeds) == []


def test_intent_without_suppression() -> None:
    """Who has just bought must leave an audience of intent, by its rule or by `unless`; one of buyers is meant so."""
    assert kinds(SUPPRESS, target("open")) == ["no_suppression"]
    assert kinds(SUPPRESS, target("viewers")) == ["no_suppression"]
    assert kinds(SUPPRESS, target("open", unless=("recent_buyers",))) == []
    [found] = told(SUPPRESS, target("open"))
    assert (found.place, found.option, found.subject) == (1, "segment", "open")
    assert "`since: Checkout Started`" in found.advice


def test_a_refund_must_not_bring_buyers_back() -> None:
    """Exclusion by what orders are worth ends with a cancellation; by the event it does not."""
    [found] = told(SUPPRESS, target("never_bought"))
    assert found.kind == "refunded_back"
    assert "`Order Refunded` and `Order Cancelled`" in found.sentence
    assert kinds(SUPPRESS, target("never_bought", unless=("recent_buyers",))) == []


def test_seeds_of_purchases_that_came_back() -> None:
    """A seed or a loyal audience that counts purchases is told that refunded ones count; worth and refund rates are net."""
    assert kinds(SUPPRESS, target("seconds", use="seed", ad_groups=())) == ["refunded_seed"]
    assert kinds(SUPPRESS, target("seconds")) == ["refunded_seed"]
    assert kinds(SUPPRESS, target("worthy", use="seed", ad_groups=())) == []


def test_a_destination_without_suppression() -> None:
    """Once for each destination where ads are targeted and nobody is suppressed right after a purchase."""
    found = told(target("abandoned", to=("tiktok", "pinterest")), target("later"), Audience(**{**both(), "to": ("pinterest",)}))
    assert [(guard.kind, guard.subject, guard.place) for guard in found] == [("nothing_suppressed", "tiktok", 0)]
    assert kinds(target("abandoned"), Audience(segment="lapsed", to=("tiktok",), use="suppress", ad_groups=("1",))) == [
        "nothing_suppressed"
    ]


def both() -> dict[str, Any]:
    """The options of `SUPPRESS`."""
    return {name: getattr(SUPPRESS, name) for name in SUPPRESS.__struct_fields__}


def test_cooldowns() -> None:
    """Shorter than 7 days, longer than the cycle or less than a third of it; a longer one beside it is what counts."""
    hasty, long = (Audience(segment=name, to=("tiktok",), use="suppress", ad_groups=("1",)) for name in ("hasty", "long"))
    assert kinds(hasty) == ["short_cooldown"]
    assert kinds(hasty, SUPPRESS) == []
    assert kinds(SUPPRESS, replenishment="30d") == kinds(SUPPRESS, replenishment="14d") == []
    assert kinds(SUPPRESS, replenishment="13d") == ["cooldown_cycle"]
    assert kinds(SUPPRESS, replenishment="60d") == ["cooldown_cycle"]
    assert kinds(long, replenishment="60d") == ["cooldown_cycle"]
    assert kinds(Audience(segment="lapsed", to=("tiktok",), use="suppress", ad_groups=("1",)), replenishment="60d") == []


def test_windows_beside_a_journey() -> None:
    """A window that outlives the journey, ads beside its messages, discounts before its offer; `while_in` settles them."""
    journeys = {"cart": CART}
    assert kinds(SUPPRESS, target("week"), journeys=journeys) == ["outlives_journey", "beside_journey"]
    assert kinds(SUPPRESS, target("week", while_in={"cart": "none"}), journeys=journeys) == []
    assert kinds(SUPPRESS, target("week", while_in={"cart": "6h"}), journeys=journeys) == ["outlives_journey"]
    assert kinds(SUPPRESS, target("abandoned"), journeys=journeys) == ["beside_journey"]
    assert kinds(SUPPRESS, target("abandoned", while_in={"cart": "24h"}), journeys=journeys) == []
    assert kinds(SUPPRESS, target("later"), target("lapsed"), journeys=journeys) == [], "begins where the journey ends"
    early = target("abandoned", offer=True, while_in={"cart": "24h"})
    [found] = told(SUPPRESS, early, journeys=journeys)
    assert (found.kind, found.option) == ("early_offer", "offer")
    assert "right after `Checkout Started`" in found.sentence
    assert "after 20 hours" in found.sentence
    assert kinds(SUPPRESS, target("later", offer=True), journeys=journeys) == []


def test_the_end_of_a_journey_ends_the_ads() -> None:
    """Who leaves a journey by an event of its own must leave the audience too."""
    journeys = {"welcome": Journey(starts="Signed Up", ends=("Trial Started",), after="3d", steps=())}
    found = told(SUPPRESS, target("welcomed", while_in={"welcome": "3d"}), journeys=journeys)
    assert [guard.kind for guard in found] == ["stays_after_exit"]
    assert "`Trial Started`" in found[0].sentence


def test_audiences_nobody_can_be_in() -> None:
    """A window that ends before `while_in` lets anybody in, and one that `unless` empties, are told, and nothing else of them."""
    short = target("abandoned", while_in={"cart": "none"})
    [found] = told(SUPPRESS, short, journeys={"cart": replace(CART, after="3d")})
    assert (found.kind, found.option, found.subject) == ("nobody_inside", "while_in", "abandoned and cart")
    assert kinds(SUPPRESS, short, journeys={"cart": replace(CART, after="12h")}) == []
    left = replace(CART, after="3d", ends=("Email Clicked",))
    assert kinds(SUPPRESS, short, journeys={"cart": left}) == [], "whoever left early may be in"
    [found] = told(SUPPRESS, target("hasty", unless=("recent_buyers",)))
    assert (found.kind, found.option) == ("nobody_inside", "unless")


def test_audiences_nobody_uses() -> None:
    """An audience without ad groups is told; a seed is used by the lookalike made of it."""
    assert kinds(SUPPRESS, target("later", ad_groups=())) == ["no_ad_group"]
    assert kinds(SUPPRESS, target("worthy", use="seed", ad_groups=())) == []


names = st.sampled_from([*RULES, "gone"])
audiences = st.lists(
    st.builds(
        Audience,
        segment=names,
        to=st.lists(st.sampled_from(["tiktok", "pinterest"]), min_size=1, max_size=2, unique=True).map(tuple),
        use=st.sampled_from(["target", "suppress", "seed"]),
        name=st.none() | st.sampled_from(["a", "b", "c"]),
        unless=st.lists(names, max_size=2).map(tuple),
        while_in=st.dictionaries(st.sampled_from(["cart", "other"]), st.sampled_from(["none", "1h", "3d"]), max_size=2),
        ad_groups=st.sampled_from([(), ("1",)]),
        offer=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda each: each.title,
)
durations = st.sampled_from(["0s", "1h", "12h", "24h", "10d"])
journeys = st.builds(
    Journey,
    starts=st.sampled_from([CHECKOUT, "Product Viewed", PURCHASE]),
    ends=st.lists(st.sampled_from([PURCHASE, "Signed Up"]), max_size=2).map(tuple),
    after=durations,
    steps=st.lists(st.builds(Step, at=durations, offer=st.none() | st.just("10%")), max_size=3).map(tuple),
)


@given(some=audiences, journey=journeys, cycle=st.none() | durations)
def test_whatever_the_file_says_guards_can_be_shown(some: list[Audience], journey: Journey, cycle: str | None) -> None:
    """For any audiences: whole sentences with advice, in the file's order, each kind and subject once, and the same again."""
    found = told(*some, journeys={"cart": journey}, replenishment=cycle)
    assert found == told(*some, journeys={"cart": journey}, replenishment=cycle)
    assert len({(guard.kind, guard.subject) for guard in found}) == len(found)
    assert [guard.place for guard in found] == sorted(guard.place for guard in found)
    for guard in found:
        assert guard.sentence.endswith(".")
        assert guard.advice.endswith(".")
        assert "  " not in guard.sentence + guard.advice
        assert set(guard.destinations) <= set(some[guard.place].to)


def test_the_first_of_several_ways_in_counts() -> None:
    """A rule with `any` is as leaky as its leakiest part."""
    known = {**RULES, "either": Some(parts=(abandoned(0, 24), within(7, "Product Added")))}
    workspace = Workspace(
        workspace="glow", environment="production", currency="USD", order_value="net", country="US",
        audiences=(SUPPRESS, target("either")),
    )  # fmt: skip
    assert [guard.kind for guard in guards.find(workspace, known)] == ["no_suppression"]
