"""What is told twice: by one source, by two, under two names, by pixel and server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal

from signalpost import doubles
from signalpost.config import Destination, Workspace
from signalpost.destinations import CATALOG
from signalpost.findings.counts import ASIDE, TAKEN, examples, mapped, pick, signals, widest, worth, worth_of
from signalpost.findings.figures import LAST, LATELY, PURCHASE, Figures, Purchase
from signalpost.findings.finding import Finding, finding
from signalpost.findings.words import DAY, listed, many, percent


def repeated(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Messages, and orders, that come in more than once."""
    wrong = widest(pick(figures.day, reasons={"duplicate_message"}))
    if wrong:
        part, whole = signals(wrong), signals(pick(figures.day, destination=wrong[0].destination))
        yield from finding(
            "repeated_messages",
            "",
            part,
            whole,
            f"{percent(part, whole)} of all messages ({part:,} of {whole:,}) came more than once {LAST}; each was counted once.",
            "Some repeats are normal: clients send again what got no answer. So many mean that a client times out too soon, or "
            "sends to two addresses.",
            worth=worth_of(wrong, workspace),
            examples=examples(figures, "withheld", {"duplicate_message"}),
        )
    wrong = widest(pick(figures.day, name=PURCHASE, reasons={"duplicate_order"}))
    if wrong:
        every = pick(figures.day, destination=wrong[0].destination, name=PURCHASE)
        # What a second source repeats is told by `rival_sources`.
        second = sum(len(order.record.claims) - 1 for order in figures.recent if order.time >= figures.now - DAY)
        part = max(0, signals(wrong) - second)
        whole = signals(each for each in every if each.reason not in ASIDE | {"duplicate_message"})
        yield from finding(
            "repeated_orders",
            "",
            part,
            whole,
            f"{percent(part, whole)} of the purchases reported {LAST} ({part:,} of {whole:,}) had been reported by the same "
            "source before; none was sent twice.",
            "Look for a thank-you page that fires on every reload, or a client that sends its whole history again.",
            worth=worth_of(wrong, workspace),
            examples=examples(figures, "withheld", {"duplicate_order"}),
        )


def rival_sources(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Two sources report the same purchases and the workspace does not say which counts."""
    if PURCHASE in workspace.counted_source:
        return
    shared: dict[str, list[Purchase]] = {}
    for order in figures.recent:
        if len(order.record.claims) > 1:
            shared.setdefault(" + ".join(sorted(order.record.claims)), []).append(order)
    for pair, told in shared.items():
        yield from finding(
            "rival_sources",
            pair,
            len(told),
            len(figures.recent),
            f"{listed(pair.split(' + '))} both report the same purchases ({len(told):,} of {many(len(figures.recent), 'order')} "
            f"{LATELY}); whichever comes first is sent, the other adds what it knows.",
            "Decide which one counts and write it under `events: {canonical: {Order Completed: SOURCE}}`.",
            examples=(claim.event for order in told for claim in order.record.claims.values()),
        )


def rival_events(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """A destination is sent two canonical events under the platform's one name of a purchase."""
    for name, chosen in workspace.destinations.items():
        platform = CATALOG[chosen.type]
        rivals = [event for event, sent_as in mapped(chosen).items() if sent_as == platform.purchase]
        counts = {event: signals(pick(figures.day, destination=name, name=event, verdicts=TAKEN)) for event in rivals}
        active = [event for event in rivals if counts[event]]
        if len(active) < 2:
            continue
        extra = sum(counts.values()) - max(counts.values())
        yield from finding(
            "rival_events",
            name,
            extra,
            sum(counts.values()),
            f"{name} is sent {listed(active)} as {platform.purchase}: {many(extra, 'purchase')} {LAST} beside those of "
            f"{max(active, key=lambda each: counts[each])}.",
            f"Map one event to {platform.purchase}; a purchase told under two names counts twice.",
            worth=worth_of(
                pick(figures.day, destination=name, verdicts=TAKEN, name=min(active, key=counts.__getitem__)), workspace
            ),
        )


def predicted(order: Purchase, name: str, chosen: Destination) -> doubles.Prediction | None:
    """What a destination makes of an order that its pixel is told too; None where it was told nothing."""
    told = order.told.get(name)
    if told is None:
        return None
    server = doubles.ServerSide(
        event=told.platform_event,
        event_id=told.platform_id,
        verdict=told.verdict,
        time=order.time,
        arrived=told.settled_at,
        order_id=order.order_id,
    )
    return doubles.predict_order(
        platform=chosen.type, name=PURCHASE, server=server, pixel=chosen.pixel, reported=order.record.pixels.get(chosen.type)
    )


def double_sending(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Orders that pixel and server both tell, and that the platform will not recognise as one."""
    for name, chosen in workspace.destinations.items():
        foreseen = [
            (order, told)
            for order in figures.recent
            if (told := predicted(order, name, chosen)) is not None and told.why not in {"not_yet_answered", "server_not_counted"}
        ]
        whole = len(foreseen)
        for kind, verdict in (("double_sending", "will_double_count"), ("double_sending_unknown", "unknown")):
            wrong = [(order, told) for order, told in foreseen if told.verdict == verdict]
            if not wrong:
                continue
            why, often = Counter(told.why for _, told in wrong).most_common(1)[0]
            example = next(told for _, told in wrong if told.why == why)
            spoken = (
                f"{name} will count {len(wrong):,} of {many(whole, 'order')} {LATELY} twice"
                if verdict == "will_double_count"
                else f"Whether {name} counts {len(wrong):,} of {many(whole, 'order')} {LATELY} twice cannot be told"
            )
            yield from finding(
                kind,
                name,
                len(wrong),
                whole,
                f"{spoken}, once from the pixel and once from here"
                f"{f' ({often:,} of them for one reason)' if often < len(wrong) else ''}. {example.sentence}",
                example.advice,
                worth=worth(_values((order for order, _ in wrong), name), workspace),
                examples=(order.event for order, _ in wrong),
            )


def _values(orders: Iterable[Purchase], destination: str) -> Iterator[tuple[str | None, Decimal]]:
    """Currency and value of orders as a destination was told them."""
    for order in orders:
        told = order.told.get(destination)
        if told is not None and told.value is not None:
            yield told.currency, told.value
