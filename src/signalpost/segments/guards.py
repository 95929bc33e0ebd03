"""What about segments, audiences and journeys costs money, as far as the workspace file alone can tell.

`find` gives guards: each a sentence for a marketer, what to do, and which option of which audience it is about. `check` prints
them at its line, findings and the checklist tell them again. The bounds are judgement; docs/leaks has the reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from msgspec import Struct

from signalpost.conditions import NEVER
from signalpost.options import UNITS, Audience, Journey, Workspace, duration, spelt
from signalpost.segments import reach
from signalpost.segments.reach import PURCHASE, TAKEN_BACK, Ages, Rules, Span, last_of
from signalpost.segments.rules import Age, All, Band, Happened, Inside, Not, Rule

Kind = Literal[
    "no_suppression",
    "refunded_back",
    "refunded_seed",
    "nothing_suppressed",
    "short_cooldown",
    "cooldown_cycle",
    "outlives_journey",
    "beside_journey",
    "stays_after_exit",
    "early_offer",
    "nobody_inside",
    "no_ad_group",
]

JOURNEYS: frozenset[Kind] = frozenset({"outlives_journey", "beside_journey", "stays_after_exit", "early_offer", "nobody_inside"})
"""Guards that hold a paid window against an owned journey."""

INTENT = (
    "Payment Info Entered",
    "Checkout Step Completed",
    "Checkout Step Viewed",
    "Checkout Started",
    "Order Placed",
    "Coupon Applied",
    "Coupon Entered",
    "Wishlist Product Added to Cart",
    "Product Added",
    "Cart Viewed",
    "Product Added to Wishlist",
    "Product Viewed",
    "Product Clicked",
    "Product List Viewed",
    "Products Searched",
)
"""Events that say that somebody may be about to buy, the surest first."""

PURCHASES = frozenset({PURCHASE, "First Purchase", "Second Purchase", "Repeat Purchase"})

NET = frozenset({"person.lifetime_value", "person.average_order_value", "person.refund_rate", "person.orders"})
"""Facts that what was taken back changes."""

SHORTEST = 7 * UNITS["d"]
"""Both platforms' advice is to keep buyers from ads for 7 to 14 days."""

PART_OF_CYCLE = 3
"""Ads that come back before this part (a third) of the replenishment cycle is over reach people who still have enough."""


class Guard(Struct, frozen=True, kw_only=True):
    """One thing that costs money, and what to do."""

    kind: Kind
    place: int
    """Which audience of the workspace file it is about, from 0."""
    option: str
    """Which of its options."""
    subject: str
    """What it is about, in a few words; no two of a kind have the same."""
    destinations: tuple[str, ...]
    sentence: str
    advice: str


class Paid(Struct, frozen=True, kw_only=True):
    """One audience with its whole rule."""

    place: int
    audience: Audience
    rule: Rule
    """In its segment and in none of `unless`."""
    rules: Rules

    def guard(
        self,
        kind: Kind,
        option: str,
        sentence: str,
        advice: str,
        subject: str | None = None,
        destinations: tuple[str, ...] | None = None,
    ) -> Guard:
        """A guard about this audience."""
        return Guard(
            kind=kind,
            place=self.place,
            option=option,
            subject=subject or self.audience.title,
            destinations=self.audience.to if destinations is None else destinations,
            sentence=sentence,
            advice=advice,
        )

    @property
    def wants(self) -> frozenset[str]:
        """The events that bring people into it."""
        return reach.wanted(Inside(segment=self.audience.segment), self.rules)

    def inside_after(self, *events: str, once: str | None = None) -> bool:
        """Whether somebody may be inside right after these events, if `once` had happened to them at some time before."""
        past = last_of(*events, before={} if once is None else {once: True})
        return reach.verdict(self.rule, self.rules, past) is not False

    @property
    def of_buyers(self) -> bool:
        """Whether nobody is inside who never bought."""
        return reach.verdict(self.rule, self.rules, reach.Past(ever={PURCHASE: False})) is False


def find(workspace: Workspace, rules: Rules) -> tuple[Guard, ...]:
    """Every guard, audience by audience. `rules` are all segments of the workspace (`catalog.of`)."""
    every = paid(workspace, rules)
    found = [guard for each in every for rule in RULES for guard in rule(each, workspace)]
    return tuple(sorted([*found, *nothing_suppressed(every)], key=lambda guard: guard.place))


def paid(workspace: Workspace, rules: Rules) -> tuple[Paid, ...]:
    """The audiences of the workspace with their whole rules."""
    return tuple(
        Paid(
            place=place,
            audience=audience,
            rule=All(
                parts=(
                    Inside(segment=audience.segment),
                    *(Not(part=Inside(segment=name)) for name in audience.unless),
                )
            ),
            rules=rules,
        )
        for place, audience in enumerate(workspace.audiences)
    )


def suppresses_buyers(each: Paid) -> bool:
    """Whether it keeps everybody from ads right after they bought."""
    if each.audience.use != "suppress":
        return False
    return reach.verdict(each.rule, each.rules, last_of(PURCHASE)) is True


# ---- buyers, refunds ---------------------------------------------------------------------------------------------------------


def suppression(each: Paid, _: Workspace) -> Iterator[Guard]:
    """People who look as if they will buy, and are shown ads when they have."""
    wanted = [event for event in INTENT if event in each.wants]
    if each.audience.use != "target" or not wanted or each.of_buyers:
        return
    title = each.audience.title
    if each.inside_after(PURCHASE):
        yield each.guard(
            "no_suppression",
            "segment",
            f"The audience `{title}` shows ads to people for {_listed(f'`{event}`' for event in wanted[:2])}, and nobody leaves "
            "it by buying: they see ads for what they have just bought.",
            f"Add `did_not: {PURCHASE}` with `since: {wanted[0]}` to its rule, or name a segment of recent buyers under "
            "`unless`.",
        )
        return
    back = [event for event in TAKEN_BACK if each.inside_after(PURCHASE, event)]
    if back:
        yield each.guard(
            "refunded_back",
            "segment",
            f"Who buys leaves `{title}`, and {_listed(f'`{event}`' for event in back)} brings them back: ads ask them for what "
            "they have just returned.",
            f"Exclude buyers by the event instead of by what their orders are worth: `did_not: {PURCHASE}` with `within: 14d`.",
        )


def refunded_seed(each: Paid, _: Workspace) -> Iterator[Guard]:
    """The best customers, among whom are those who sent everything back."""
    audience = each.audience
    leaves = list(reach.read(each.rule, each.rules))
    bought = [leaf for leaf, plainly in leaves if isinstance(leaf, (Happened, Age)) and plainly and leaf.event in PURCHASES]
    several = any(isinstance(leaf, Happened) and leaf.least > 1 for leaf in bought)
    if not bought or not (audience.use == "seed" or (audience.use == "target" and several)):
        return
    net = any(isinstance(leaf, Band) for leaf, _ in leaves) or reach.paths(each.rule, each.rules) & NET
    named = any(isinstance(leaf, (Happened, Age)) and leaf.event in TAKEN_BACK for leaf, _ in leaves)
    if not net and not named:
        lookalike = (
            "the platform looks for more people like them" if audience.use == "seed" else "they count as the best customers"
        )
        yield each.guard(
            "refunded_seed",
            "segment",
            f"The audience `{audience.title}` counts purchases, refunded and cancelled ones too: people who sent everything "
            f"back are in it, and {lookalike}.",
            "Ask for what they are worth, which refunds lower (`trait: {lifetime_value: {gt: 100}}`), or leave out who "
            "returns much (`trait: {refund_rate: {lt: 50%}}`).",
        )


def nothing_suppressed(every: tuple[Paid, ...]) -> Iterator[Guard]:
    """Destinations where ads are targeted and recent buyers are not kept from any."""
    covered = {name for each in every if suppresses_buyers(each) for name in each.audience.to}
    told: set[str] = set()
    for each in every:
        if each.audience.use != "target":
            continue
        for name in each.audience.to:
            if name not in covered and name not in told:
                told.add(name)
                yield each.guard(
                    "nothing_suppressed",
                    "to",
                    f"Ads are targeted at {name} and no audience keeps recent buyers from them there: every other ad group goes "
                    "on paying for people who have just bought.",
                    f"Add a segment `did: {PURCHASE}` with `within: 14d`, and an audience of it with `use: suppress` and "
                    f"`to: {name}`.",
                    name,
                    (name,),
                )


# ---- how long buyers are kept from ads ---------------------------------------------------------------------------------------


def cooldown(each: Paid, workspace: Workspace) -> Iterator[Guard]:
    """Buyers who see ads again too soon, or so late that they need it again."""
    lasts = cooling(each)
    if lasts is None:
        return
    title = each.audience.title
    others = [one for one in paid(workspace, each.rules) if set(one.audience.to) >= set(each.audience.to)]
    if any(suppresses_buyers(one) and (cooling(one) or NEVER) > lasts for one in others):
        return  # a longer one holds at the same destinations
    cycle = None if workspace.replenishment is None else duration(workspace.replenishment)
    if lasts < min(SHORTEST, cycle or SHORTEST):  # who needs it again within the week is not to be kept from it
        yield each.guard(
            "short_cooldown",
            "segment",
            f"The audience `{title}` keeps buyers from ads for {spelt(lasts)} only: they are paid for again before they "
            "can want anything.",
            "Keep them from ads for 7 to 14 days.",
        )
    elif cycle is not None and lasts > cycle:
        yield each.guard(
            "cooldown_cycle",
            "segment",
            f"The audience `{title}` keeps buyers from ads for {spelt(lasts)}, and after {spelt(cycle)} "
            "(`replenishment`) they need it again: the very people who would buy now see no ads.",
            f"Shorten its window to a little less than {spelt(cycle)}.",
        )
    elif cycle is not None and lasts * PART_OF_CYCLE < cycle:
        yield each.guard(
            "cooldown_cycle",
            "segment",
            f"The audience `{title}` keeps buyers from ads for {spelt(lasts)}, and they need it again after {spelt(cycle)} only "
            "(`replenishment`): ads come back while they still have most of it.",
            f"Lengthen its window to at least {spelt(cycle // PART_OF_CYCLE)}.",
        )


def cooling(each: Paid) -> int | None:
    """How long (ms) an audience keeps every buyer from ads; None: it does not, or without end."""
    if not suppresses_buyers(each):
        return None
    found = reach.ages(each.rule, each.rules, PURCHASE)
    low, high = found.sure[0] if found.sure else (NEVER, NEVER)
    return high if found.without is False and low == 0 and high < NEVER else None


# ---- journeys ----------------------------------------------------------------------------------------------------------------


def journeys(each: Paid, workspace: Workspace) -> Iterator[Guard]:
    """Ads beside messages: longer than these, at the same time, or with a discount that they only offer later."""
    if each.audience.use != "target":
        return
    for name, journey in workspace.journeys.items():
        if journey.starts in each.wants:
            yield from _beside(each, name, journey)


def windows(each: Paid, name: str, journey: Journey) -> tuple[Span, ...]:
    """The ages of a journey's beginning at which an audience holds people, less those that its `while_in` leaves out."""
    return _beside_those_in(each.audience, name, duration(journey.after), reach.ages(each.rule, each.rules, journey.starts))


def _beside(each: Paid, name: str, journey: Journey) -> Iterator[Guard]:
    audience, title, after = each.audience, each.audience.title, duration(journey.after)
    found = reach.ages(each.rule, each.rules, journey.starts)
    spans = _beside_those_in(audience, name, after, found)
    if not spans and found.may and not any(each.inside_after(event, once=journey.starts) for event in journey.ends):
        yield each.guard(
            "nobody_inside",
            "while_in",
            f"Nobody is ever in `{title}`: `while_in` leaves people out until they have left `{name}` after {spelt(after)}, and "
            f"its window ends at {spelt(found.may[-1][1])}.",
            f"Lengthen the window beyond {spelt(after)}, or say in `while_in` how long ads and messages may run together.",
            f"{title} and {name}",
        )
    if not spans:
        return
    subject, start, end = f"{title} and {name}", spans[0][0], spans[-1][1]
    left = f"after `{journey.starts}`"
    if start < after < end:
        until = "without end" if end == NEVER else f"until {spelt(end)} {left}"
        yield each.guard(
            "outlives_journey",
            "segment",
            f"Ads reach `{title}` {until}, and people leave the journey `{name}` after {spelt(after)}: from then on they are "
            "followed by ads alone.",
            f"End the window at {spelt(after)}, begin it there, or write `while_in: {{{name}: none}}` so that ads begin when "
            "the messages have ended.",
            subject,
        )
    sending = [step for step in journey.steps if any(low <= duration(step.at) < high for low, high in spans)]
    if name not in audience.while_in and (sending or (not journey.steps and start < after)):
        said = (
            f"`{name}` still writes to them ({_listed(spelt(duration(step.at)) for step in sending)} {left})"
            if sending
            else f"they are still in the journey `{name}`"
        )
        yield each.guard(
            "beside_journey",
            "segment",
            f"Ads reach `{title}` while {said}: the same people are paid for and written to.",
            f"Write `while_in: {{{name}: none}}` to leave them out until the journey ends, or a time such as `6h` to stop ads so "
            f"long after it began; `{journey.after}` says that both are meant.",
            subject,
        )
    offers = [duration(step.at) for step in journey.steps if step.offer]
    if audience.offer and offers and start < min(offers):
        since = f"from {spelt(start)} {left} on" if start else f"right {left}"
        yield each.guard(
            "early_offer",
            "offer",
            f"Ads with a discount reach `{title}` {since}, and `{name}` offers one after {spelt(min(offers))} only: people who "
            "would have paid the full price get it from the ad.",
            f"Begin the window at {spelt(min(offers))}, or show them ads without a discount before.",
            subject,
        )
    stays = [event for event in journey.ends if event != PURCHASE and each.inside_after(event, once=journey.starts)]
    if stays:
        yield each.guard(
            "stays_after_exit",
            "segment",
            f"Who leaves `{name}` by {_listed(f'`{event}`' for event in stays)} stays in `{title}` and goes on seeing its ads.",
            f"Add `did_not: {stays[0]}` with `since: {journey.starts}` to its rule.",
            subject,
        )


def _beside_those_in(audience: Audience, name: str, after: int, found: Ages) -> tuple[Span, ...]:
    """The ages at which ads reach people, less those that `while_in` leaves out."""
    rule = audience.while_in.get(name)
    if rule is None:
        return found.may
    gone = (0 if rule == "none" else duration(rule), after)
    parts = [part for low, high in found.may for part in ((low, min(high, gone[0])), (max(low, gone[1]), high))]
    return tuple((low, high) for low, high in parts if low < high)


def _listed(words: Iterator[str]) -> str:
    every = list(words)
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} and {every[-1]}"


# ---- audiences without people, audiences without use ---------------------------------------------------------------------------


def nobody(each: Paid, _: Workspace) -> Iterator[Guard]:
    """Audiences whose own rule and `unless` leave nobody."""
    for event in sorted(each.wants):
        found = reach.ages(each.rule, each.rules, event)
        if not found.may and found.without is False:
            yield each.guard(
                "nobody_inside",
                "unless" if each.audience.unless else "segment",
                f"Nobody is ever in `{each.audience.title}`: at every time after `{event}` its own rule or `unless` leaves "
                "people out.",
                "Look which of them was meant: both cannot be.",
            )
            return


def ad_groups(each: Paid, _: Workspace) -> Iterator[Guard]:
    """Audiences of which the file does not say what uses them. A seed is used by the lookalike that is made of it."""
    if each.audience.ad_groups or each.audience.use == "seed":
        return
    does = "shows ads to" if each.audience.use == "target" else "excludes"
    yield each.guard(
        "no_ad_group",
        "",
        f"No ad group is named that {does} `{each.audience.title}`: it is kept in sync whether anything uses it or not.",
        "Name the ad groups under `ad_groups`; Signalpost then sets them where its credentials allow it.",
    )


RULES: tuple[Callable[[Paid, Workspace], Iterator[Guard]], ...] = (
    nobody,
    suppression,
    refunded_seed,
    cooldown,
    journeys,
    ad_groups,
)
