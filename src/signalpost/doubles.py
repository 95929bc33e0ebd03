"""Pixel beside server: what a platform makes of an order that the browser's pixel and the server both tell it.

`PUBLISHED` holds what the platforms say of it in public; `predict` is its one reader. Where they say nothing the answer is
`unknown`: a guess would hide the leak or invent one. `docs/leaks/duplicates.md` tells the same in words.

    one order on one destination   predict_order(platform=..., name=..., server=ServerSide(...), pixel=chosen.pixel,
                                                 reported=record.pixels.get(platform)) -> Prediction
    many of them                   summary(predictions) -> Summary, with the share by which the platform's figures are inflated
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from signalpost.options import Pixel

MINUTE = 60_000
HOUR = 60 * MINUTE

GUESSED_WITHIN = HOUR
"""How far (ms) the pixel may be from the event's own time where nothing reported when it was sent."""

Foreseen = Literal["will_merge", "will_be_dropped", "will_double_count", "single", "unknown"]
"""`will_merge`: the second copy enriches the first; `will_be_dropped`: it is ignored; `single`: there is only one."""

Why = Literal[
    "no_pixel",
    "server_not_counted",
    "not_yet_answered",
    "other_id",
    "other_name",
    "offline",
    "late",
    "in_time",
    "too_far_apart",
    "not_published",
]

ADVICE: Mapping[Why, str] = {
    "no_pixel": "Nothing to do. If the shop does have a pixel, say so under `browser_pixel` of the destination.",
    "server_not_counted": "The ledger says why the server's copy did not count; the pixel's does.",
    "not_yet_answered": "Look again when the platform has answered.",
    "other_id": "Give pixel and server one id: the script tag does it, or name the property that holds it under `event_id`.",
    "other_name": "Give the event the same name in the pixel and under `events` of the destination.",
    "offline": "Do not send as offline what the browser's pixel reports too.",
    "late": "Send sooner (a source without batches, a shorter hold), or take the event out of the pixel.",
    "in_time": "Nothing to do.",
    "too_far_apart": "Send sooner, and let the pixel fire once: look for a thank-you page that fires again on a later visit.",
    "not_published": "Compare the platform's count with the shop's orders of the same days.",
}
"""What an operator does about each `Why`."""


class ServerSide(Struct, frozen=True, kw_only=True):
    """Our copy of it on one destination, from its ledger row and its event."""

    event: str
    """The platform's name for it (`ledger.platform_event`)."""
    event_id: str
    """What the platform deduplicates on (`ledger.platform_id`)."""
    verdict: str
    """The ledger's: accepted, warned, waiting, refused, unknown, withheld."""
    time: int
    """When it happened (epoch ms)."""
    arrived: int | None = None
    """When the platform took it (`ledger.settled_at`, epoch ms); None while it has not."""
    order_id: str | None = None
    offline: bool = False
    """Sent as an offline event."""


class PixelSide(Struct, frozen=True, kw_only=True):
    """The browser's copy of it on the same platform."""

    event: str | None = None
    """The name the pixel uses; None where nobody reported it: then the names are taken to be the same."""
    event_id: str | None = None
    """None where it sends none, or one that the server does not know."""
    time: int | None = None
    """When it was sent (epoch ms); None where nobody reported it: then it is taken to be about when the event happened."""
    order_id: str | None = None
    """The order id that the pixel was given, if it was."""


class Prediction(Struct, frozen=True, kw_only=True):
    """What will become of the two copies, and how that is known."""

    verdict: Foreseen
    why: Why
    sentence: str
    evidence: Literal["reported", "configured", "none"]
    """Where the pixel's side comes from: the browser told us, the workspace file says so, or there is none."""

    @property
    def advice(self) -> str:
        """What to do."""
        return ADVICE[self.why]


class Published(Struct, frozen=True, kw_only=True):
    """What one platform says in public of copies from browser and server; times in ms, None: it does not say."""

    title: str
    merges_within: int | None
    """A second copy so soon enriches the first."""
    drops_within: int | None
    """A second copy so soon is not counted; a later one is."""
    late_after: int | None
    """So long after the event the server's copy counts as offline, and offline events are not deduplicated."""
    name_counts: bool | None
    """Whether the event's name is part of what is compared."""
    same_names: frozenset[frozenset[str]] = frozenset()
    """Two names for one event of which it is not known whether they compare as equal."""
    order_id_helps: bool = False
    """The order id is said to help deduplication, but not when."""


PUBLISHED: Mapping[str, Published] = {
    # ads.tiktok.com/help/article/event-deduplication: pixel, event and event id must be equal; a second copy from the other
    # side within 5 minutes is merged, within 48 hours dropped. The old names are converted on arrival; before or after
    # the comparison is not said.
    "tiktok": Published(
        title="TikTok",
        merges_within=5 * MINUTE,
        drops_within=48 * HOUR,
        late_after=None,
        name_counts=True,
        same_names=frozenset({frozenset({"Purchase", "CompletePayment"}), frozenset({"Lead", "SubmitForm"})}),
    ),
    # Pinterest's API description (events/create) and its help on the Conversions API: copies with one event id are removed
    # before reporting; offline events cannot be deduplicated; what comes later than an hour counts as offline. No window is
    # published, nor whether the name is compared.
    "pinterest": Published(
        title="Pinterest",
        merges_within=None,
        drops_within=None,
        late_after=HOUR,
        name_counts=None,
        order_id_helps=True,
    ),
}
"""Platform (a destination's `type`) -> what it publishes."""


def predict(platform: str, server: ServerSide, pixel: PixelSide | None) -> Prediction:
    """What the platform will make of both copies. Total: every input has an answer, `unknown` where the platform gives none."""
    if pixel is None:
        return Prediction(
            verdict="single", why="no_pixel", sentence="Only the server sends it: no pixel is known to.", evidence="none"
        )
    verdict, why, sentence = _judged(PUBLISHED.get(platform), platform, server, pixel)
    return Prediction(verdict=verdict, why=why, sentence=sentence, evidence="configured" if pixel.time is None else "reported")


def _judged(published: Published | None, platform: str, server: ServerSide, pixel: PixelSide) -> tuple[Foreseen, Why, str]:
    if server.verdict in {"withheld", "refused"}:
        return "single", "server_not_counted", f"Only the pixel's copy counts: the server's was {server.verdict}."
    if published is None:
        return "unknown", "not_published", f"Nothing is known here of how {platform} deduplicates."
    title = published.title
    if server.verdict == "unknown":
        return "unknown", "not_yet_answered", f"{title} never answered whether it took the server's copy."
    if pixel.event_id != server.event_id:
        if published.order_id_helps and pixel.order_id is not None and pixel.order_id == server.order_id:
            sentence = f"Pixel and server send different ids with one order id; {title} says that it helps, but not when."
            return "unknown", "not_published", sentence
        theirs = "no id that the server knows" if pixel.event_id is None else f"the id {pixel.event_id}"
        sentence = f"The pixel sends {theirs}, the server {server.event_id}: {title} counts both."
        return "will_double_count", "other_id", sentence
    if pixel.event is not None and pixel.event != server.event:
        return _other_name(published, server, pixel.event)
    if server.offline:
        return "will_double_count", "offline", f"The server sent it as an offline event, and {title} deduplicates none of those."
    if server.arrived is None:
        return "unknown", "not_yet_answered", f"Both have one id; {title} has not yet taken the server's copy."
    if published.late_after is not None and server.arrived - server.time > published.late_after:
        took = _span(server.arrived - server.time)
        sentence = f"The server's copy came {took} after the event: {title} files it as offline and deduplicates none of those."
        return "will_double_count", "late", sentence
    return _by_time(published, server.arrived, server.time, pixel.time)


def _other_name(published: Published, server: ServerSide, pixel_event: str) -> tuple[Foreseen, Why, str]:
    both = f"The pixel calls it {pixel_event}, the server {server.event}"
    if published.name_counts and frozenset({pixel_event, server.event}) not in published.same_names:
        return "will_double_count", "other_name", f"{both}: {published.title} counts both."
    return "unknown", "other_name", f"{both}; {published.title} does not say whether it compares them as one."


def _by_time(published: Published, arrived: int, happened: int, sent: int | None) -> tuple[Foreseen, Why, str]:
    """Same id, same name: how far apart the two copies reached the platform decides."""
    title = published.title
    apart = abs(arrived - (happened if sent is None else sent))
    how_far = f"{'about ' if sent is None else ''}{_span(apart)} apart"
    if published.drops_within is None:
        # Removing duplicates is promised without a window; nobody should build on it for longer than "on time" means.
        if published.late_after is not None and apart <= published.late_after:
            sentence = f"One id and {how_far}: {title} counts one of the two (it publishes no window, and not which)."
            return "will_be_dropped", "in_time", sentence
        return "unknown", "not_published", f"One id, but {how_far}, and {title} publishes no window."
    if sent is None and abs(apart - published.drops_within) <= GUESSED_WITHIN:
        return "unknown", "too_far_apart", f"One id, {how_far}: too close to {title}'s window of {_span(published.drops_within)}."
    if apart >= published.drops_within:
        sentence = f"One id, but {how_far}: after {_span(published.drops_within)} {title} counts it again."
        return "will_double_count", "too_far_apart", sentence
    if published.merges_within is not None and apart < published.merges_within:
        return "will_merge", "in_time", f"One id and {how_far}: {title} merges the second copy into the first."
    return "will_be_dropped", "in_time", f"One id and {how_far}: {title} drops the second copy."


def _span(ms: int) -> str:
    """A duration as people say it, in its largest whole unit."""
    for unit, size in (("day", 24 * HOUR), ("hour", HOUR), ("minute", MINUTE), ("second", 1_000)):
        if ms >= 2 * size or ms == size:
            count = ms // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{ms} ms"


def predict_order(
    *, platform: str, name: str, server: ServerSide, pixel: Pixel | None, reported: tuple[str, int] | None = None
) -> Prediction:
    """One order on one destination.

    `platform` is the destination's type, `name` the canonical event, `pixel` the destination's option `browser_pixel`, `reported`
    what the browser told (`record.pixels.get(platform)`: event id, "" for none, and epoch ms), which goes before the option.
    """
    if reported is not None:
        event_id, sent = reported
        # The script tag gives the pixel the order id that it reports under.
        return predict(platform, server, PixelSide(event_id=event_id or None, time=sent, order_id=server.order_id))
    if pixel is None or name not in pixel.events:
        return predict(platform, server, None)
    return predict(platform, server, PixelSide(event_id=server.event_id if pixel.shares_id else None))


class Summary(Struct, frozen=True, kw_only=True):
    """What a platform's figures are worth, over many orders."""

    orders: int
    verdicts: dict[Foreseen, int]
    """Only those that occur."""
    causes: dict[Why, int]
    """Why orders will count twice, or why it is unknown."""

    @property
    def doubled(self) -> int:
        """Orders that the platform will count twice."""
        return self.verdicts.get("will_double_count", 0)

    @property
    def inflation(self) -> Decimal | None:
        """By what share it counts too many (0.2: 120 for 100 orders), among orders of which it is known; None: of none."""
        known = self.orders - self.verdicts.get("unknown", 0)
        return Decimal(self.doubled) / known if known else None

    @property
    def inflation_at_most(self) -> Decimal | None:
        """The same if every unknown one counted twice; None without orders."""
        return Decimal(self.doubled + self.verdicts.get("unknown", 0)) / self.orders if self.orders else None


def summary(predictions: Iterable[Prediction]) -> Summary:
    """Count predictions of one destination."""
    verdicts: dict[Foreseen, int] = {}
    causes: dict[Why, int] = {}
    orders = 0
    for each in predictions:
        orders += 1
        verdicts[each.verdict] = verdicts.get(each.verdict, 0) + 1
        if each.verdict in {"will_double_count", "unknown"}:
            causes[each.why] = causes.get(each.why, 0) + 1
    return Summary(orders=orders, verdicts=verdicts, causes=causes)
