"""The checks of a destination."""

from __future__ import annotations

from decimal import Decimal

from signalpost import clocks, coverage, findings, purchases
from signalpost.doctor.checks import CAME, CORE, LEAST, Answer, Look, State, graded, of_finding, unknown
from signalpost.doctor.evidence import VALID_MS
from signalpost.findings import HOUR, PURCHASE, TAKEN, listed, many, percent, pick, signals, span

GOOD, FAIR = Decimal("0.98"), Decimal("0.9")
"""Shares of purchases with order id, value, currency and items from which the check passes, and from which it warns."""

KNOWN_GOOD, KNOWN_FAIR = Decimal("0.8"), Decimal("0.5")
"""Shares of signals that carry a key of `NAMES_SOMEBODY`."""

NAMES_SOMEBODY = ("email", "phone", "ttclid", "epik", "maid")
"""Match keys that by themselves name one person or one click; an IP address or a customer id does so only beside others."""

SCORE_GOOD, SCORE_FAIR = 40, 20
"""Match scores (`coverage.score`): e-mail with address and browser is a little over 40, address and browser alone 12."""

LATE_GOOD, LATE_FAIR = Decimal("0.05"), Decimal("0.25")
"""Shares of signals that arrive an hour or more after they happened."""


def events_mapped(look: Look) -> Answer:
    """The purchase and the steps before it are mapped."""
    missing = [event for event in CORE if event not in look.mapped]
    count = {"mapped": len(look.mapped)}
    if PURCHASE in missing:
        return Answer(
            state="fail",
            sentence=f"{PURCHASE} is not mapped: {look.platform.title} never hears of a purchase.",
            advice=f"Add `{PURCHASE}: {look.platform.purchase}` under `events` of {look.name}.",
            counts=count,
        )
    if missing:
        return Answer(
            state="warn",
            sentence=f"The purchase is mapped; {listed(missing)} {'is' if len(missing) == 1 else 'are'} not.",
            advice="The steps before the purchase help a platform while purchases are few; leave them out on purpose only.",
            counts=count,
        )
    return Answer(
        state="pass",
        sentence=f"{listed(f'{event} is {look.mapped[event]}' for event in CORE)}.",
        counts=count,
    )


def account(look: Look) -> Answer:
    """The account that is connected is the right one, as far as the platform says."""
    shown = [
        f"{setting.name.replace('_', ' ')} {look.chosen.settings[setting.name]}"
        for setting in look.platform.settings
        if setting.required and not setting.secret and look.chosen.settings.get(setting.name)
    ]
    which = listed(shown) or look.name
    compare = f"Compare it with what {look.platform.title}'s own pages show: only people can know that it is the right one."
    heard = look.evidence.answers.get(look.name)
    if heard is not None:
        state: State = "pass" if heard.good else "fail"
        advice = compare if heard.good else "Mend the credentials or the account's id in the workspace file."
        return Answer(state=state, sentence=f"Asked about {which}: {heard.sentence}", advice=advice, at=heard.at)
    told = [each.told_at for each in look.evidence.asked if each.destination == look.name and each.told_at is not None]
    taken = [at for (where, _, verdict), at in look.evidence.last.items() if where == look.name and verdict in TAKEN]
    if not told and not taken:
        return unknown(f"{look.platform.title} has not answered for {which} yet.", "`signalpost doctor --ask` asks it now.")
    return Answer(
        state="pass", sentence=f"{look.platform.title} takes signals for {which}.", advice=compare, at=max(told + taken)
    )


def tested(look: Look) -> Answer:
    """A test event has made its way."""
    trial = look.evidence.trials.get(look.name)
    if look.workspace.environment == "test":
        latest = max((look.last(event, TAKEN) or 0 for event in look.mapped), default=0)
        if latest:
            return Answer(state="pass", sentence="This test workspace's signals are accepted as test events.", at=latest)
    if trial is None:
        return unknown(
            "No `signalpost send-test` is on record.",
            f"Run `signalpost send-test {look.name}` and look for the event in the platform's own test view.",
        )
    if trial.good:
        return Answer(state="pass", sentence=f"The last test event was taken: {trial.sentence}", at=trial.at)
    advice = "Mend what it names and run `signalpost send-test` again."
    return Answer(state="fail", sentence=f"The last test event was not taken: {trial.sentence}", advice=advice, at=trial.at)


def arriving(look: Look) -> Answer:
    """The platform takes what production sends."""
    week = pick(look.evidence.figures.week, destination=look.name)
    if look.workspace.environment != "production":
        return unknown("This is a test workspace: nothing of it counts.", "Ask the doctor of the production workspace as well.")
    latest = look.last(PURCHASE, TAKEN)
    silent = [event for event in CORE if event in look.mapped and event != PURCHASE and look.last(event, TAKEN) is None]
    counts = {
        "accepted": signals(pick(week, verdicts=TAKEN)),
        "purchases accepted": signals(pick(week, name=PURCHASE, verdicts=TAKEN)),
        "refused": signals(pick(week, verdicts={"refused"})),
        "unknown": signals(pick(week, verdicts={"unknown"})),
    }
    bad = [each for kind in ("resting", "refused", "unanswered") for each in look.open.get(kind, [])]
    if bad:
        return of_finding(min(bad, key=findings.rank), look.evidence.figures.now, counts)
    if latest is None:
        return unknown(
            f"No purchase has been accepted by {look.platform.title} yet.",
            "Send one: `signalpost send-test` shows whether the way is open, a real order that it is used.",
        )
    if silent:
        return Answer(
            state="warn",
            sentence=f"Purchases are accepted; {listed(silent)} never {'was' if len(silent) == 1 else 'were'}.",
            advice="Compare the names the shop's clients use with those under `events`, or take the event out of the map.",
            at=latest,
            counts=counts,
        )
    return Answer(
        state="pass",
        sentence=f"{look.platform.title} accepted {counts['purchases accepted']:,} purchases and {counts['accepted']:,} signals "
        f"in all within {span(VALID_MS)}.",
        at=latest,
        counts=counts,
    )


def purchase_complete(look: Look) -> Answer:
    """Purchases have order id, value, currency and items."""
    figures = look.evidence.figures
    every = findings.meant(pick(figures.week, destination=look.name, name=PURCHASE))
    whole = signals(every)
    if not whole:
        return unknown("No purchase has come in yet.", "Send a real order, or one of a test shop into a test workspace.")
    claims = [claim for order in figures.recent if (claim := purchases.chosen(order.record)) is not None]
    shares = {
        "an order id": 1 - Decimal(signals(pick(every, reasons={"missing_order_id"}))) / whole,
        "a value": 1 - Decimal(signals(pick(every, reasons={"missing_value", "negative_value"}))) / whole,
        "a currency": 1 - Decimal(signals(pick(every, reasons={"missing_currency"}))) / whole,
    }
    if claims:
        shares["items"] = Decimal(sum(bool(claim.items) for claim in claims)) / len(claims)
    worst = min(shares, key=lambda part: shares[part])
    lacking = [part for part, share in shares.items() if share < GOOD]
    said = listed(f"{100 * share:.0f} % have {part}" for part, share in shares.items())
    return Answer(
        state=graded(shares[worst], GOOD, FAIR),
        sentence=f"Of {many(whole, 'purchase')} {said}.",
        advice=f"Let the shop send {listed(lacking)} with every Order Completed." if lacking else "",
        at=look.last(PURCHASE, CAME | {"withheld"}),
        counts={"purchases": whole, **{part: round(whole * share) for part, share in shares.items()}},
        events=tuple(claim.event for claim in claims if not claim.items)[:3] if "items" in lacking else (),
    )


def identifiers(look: Look) -> Answer:
    """Signals carry what names somebody at the moment they happen."""
    reads = coverage.READS[look.chosen.type]
    strong = sum(1 << coverage.KEYS[key].bit for key in NAMES_SOMEBODY) & reads
    shares: dict[str, tuple[int, int]] = {}
    for event in CORE:
        masks = look.evidence.masks.get((look.name, event), {})
        if sum(masks.values()) >= LEAST:
            shares[event] = (sum(count for mask, count in masks.items() if mask & strong), sum(masks.values()))
    if not shares:
        return unknown("Too few signals have been made to say which keys they carry.", "Ask again after a few orders.")
    worst = min(shares, key=lambda event: Decimal(shares[event][0]) / shares[event][1])
    share = Decimal(shares[worst][0]) / shares[worst][1]
    state = graded(share, KNOWN_GOOD, KNOWN_FAIR)
    if state == "fail" and worst != PURCHASE:
        state = "warn"  # few visitors have said who they are before they buy
    told = listed(f"{percent(*part)} of {event}" for event, part in shares.items())
    return Answer(
        state=state,
        sentence=f"An e-mail address, phone number or click id came with {told}.",
        advice=""
        if state == "pass"
        else f"Pass e-mail, phone and click id with {worst} itself: what is learned later comes too late for that signal.",
        at=look.last(worst, CAME),
        counts={event: whole for event, (_, whole) in shares.items()},
    )


def match_coverage(look: Look) -> Answer:
    """Match keys identify people well, and none has dropped."""
    told = [masks for (where, _), masks in look.evidence.masks.items() if where == look.name]
    together = coverage.merge(told)
    whole = sum(together.values())
    score = coverage.score(together, look.chosen.type) if whole >= LEAST else None
    if score is None:
        return unknown("Too few signals have been made to score their match keys.", "Ask again after some traffic.")
    alarms = [each for each in look.evidence.figures.alarms if look.name in each.destinations]
    latest = look.last(None, CAME)
    counts = {"signals": whole, "score": round(score)}
    if alarms:
        worst = max(alarms, key=lambda alarm: (alarm.problem, alarm.lacking))
        state: State = "fail" if worst.problem else "warn"
        return Answer(state=state, sentence=worst.sentence, advice=worst.advice, at=latest, counts=counts)
    state = graded(Decimal(score), Decimal(SCORE_GOOD), Decimal(SCORE_FAIR))
    carried = coverage.shares(together, look.chosen.type)
    best = sorted(carried, key=lambda key: -carried[key] * coverage.KEYS[key].weight)[:3]
    lacking = sorted(carried, key=lambda key: -(1 - carried[key]) * coverage.KEYS[key].weight)[:2]
    return Answer(
        state=state,
        sentence=f"The match score is {score:.0f} of 100 over {many(whole, 'signal')}: "
        f"{listed(f'{coverage.KEYS[key].title} {carried[key]:.0%}' for key in best)}.",
        advice="" if state == "pass" else f"More {listed(coverage.KEYS[key].title for key in lacking)} would help most.",
        at=latest,
        counts=counts,
    )


def dedupe_plan(look: Look) -> Answer:
    """Pixel and server are recognised as one."""
    pixel, figures = look.chosen.pixel, look.evidence.figures
    foreseen = [told for order in figures.recent if (told := findings.predicted(order, look.name, look.chosen)) is not None]
    reported = sum(told.evidence == "reported" for told in foreseen)
    if pixel is None and not reported:
        return Answer(
            state="warn",
            sentence=f"The file does not say whether {look.platform.title}'s browser pixel runs beside Signalpost.",
            advice="Write `pixel: {events: []}` where there is none, or which events it sends and whether it shares the id.",
        )
    if pixel is not None and not pixel.events and not reported:
        return Answer(state="pass", sentence="The file says that no browser pixel sends these events, so nothing is sent twice.")
    doubled = look.open.get("double_sending", [])
    counts: dict[str, int] = {}
    for told in foreseen:
        counts[told.verdict.replace("_", " ")] = counts.get(told.verdict.replace("_", " "), 0) + 1
    at = max((order.time for order in figures.recent if look.name in order.told), default=None)
    if doubled:
        return of_finding(doubled[0], at, counts, doubled[0].examples, "fail")
    if pixel is not None and pixel.events and not pixel.shares_id and not reported:
        return Answer(
            state="fail",
            sentence=f"The pixel sends {listed(pixel.events)} with ids of its own: {look.platform.title} counts both copies.",
            advice="Give both the same id (the script tag does), then write `shares_id: true`.",
            at=at,
            counts=counts,
        )
    merged = sum(told.verdict in {"will_merge", "will_be_dropped"} for told in foreseen)
    if not merged:
        return unknown(
            "Pixel and server are to share their ids; no order has shown yet that they do.", "Ask again after some orders."
        )
    return Answer(
        state="pass",
        sentence=f"Pixel and server share their ids: {look.platform.title} counts {many(merged, 'order')} once"
        f"{f' ({reported:,} as the browser reported)' if reported else ''}.",
        at=at,
        counts=counts,
    )


def in_time(look: Look) -> Answer:
    """Signals arrive within the hour in which they happened."""
    told = look.evidence.figures.clocks
    came = clocks.merge(
        histogram for (clock, name), histogram in told.items() if clock == "source" and name in look.workspace.sources
    )
    gone = told.get(("accepted", look.name), {})
    if sum(gone.values()) < LEAST or not came:
        return unknown("Too few signals were accepted in the last 24 hours to say how long they take.", "Ask again after some.")
    late = clocks.at_least(came, HOUR) + clocks.at_least(gone, HOUR)
    share = min(
        Decimal(1),
        Decimal(clocks.at_least(came, HOUR)) / sum(came.values()) + Decimal(clocks.at_least(gone, HOUR)) / sum(gone.values()),
    )
    state: State = "pass" if share <= LATE_GOOD else "warn" if share <= LATE_FAIR else "fail"
    return Answer(
        state=state,
        sentence=f"19 of 20 events came within {span(clocks.quantile(came, 0.95))} and were accepted within "
        f"{span(clocks.quantile(gone, 0.95))} more; {100 * share:.1f} % took an hour or longer.",
        advice="" if state == "pass" else "See the findings about late sources, and shorten holds.",
        at=look.evidence.figures.now,
        counts={"late": late, "accepted": sum(gone.values())},
    )
