"""What to do after a platform answered, or did not: decisions only, no clock, no sending.

A signal is settled (accepted, warned, refused, unknown, withheld as too old) or waits again. It may wait as long as the
platform still takes the event; once an attempt may have reached the platform, only inside the platform's dedupe window,
because a repeat after it would count twice. Then the signal is `unknown` and a person decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from signalpost.destinations.contract import Limits, Outcome
from signalpost.events import Verdict

FIRST_WAIT = 1_000
LONGEST_WAIT = 300_000
BLOCKED_FIRST = 60_000
BLOCKED_LONGEST = 3_600_000
SAFETY = 0.9
"""The share of a dedupe window that is used: clocks differ and requests take time."""


class Leased(Struct, frozen=True, kw_only=True, gc=False):
    """One signal in hand: leased from the outbox, about to be sent."""

    id: int
    event: int
    priority: int
    name: str
    event_time: int
    received_at: int
    attempts: int
    """Attempts before this one."""
    first_attempt_at: int | None
    """The first attempt before this one that may have reached the platform."""
    value_micros: int | None
    currency: str | None
    body: bytes


class Fate(Struct, frozen=True, kw_only=True, gc=False):
    """What becomes of one signal: a verdict, or (verdict None) another try not before `due_at`."""

    signal: Leased
    verdict: Verdict | None
    reason: str | None = None
    sentence: str | None = None
    due_at: int = 0
    first_attempt_at: int | None = None


class Breaker(Struct, frozen=True, kw_only=True):
    """Why a destination rests, and until when. After that one small request tries the ground."""

    failures: int = 0
    since: int = 0
    until: int = 0
    sentence: str = ""
    blocked: bool = False
    """The credentials or permissions are wrong: only the operator can mend it."""


CLOSED = Breaker()


def wait(failures: int, *, first: int, longest: int, luck: float) -> int:
    """Milliseconds to wait after so many failures: doubling, capped, spread by `luck` (0..1) over the upper half."""
    most = min(longest, first << min(max(failures - 1, 0), 20))
    return int(most * (0.5 + 0.5 * luck))


def after(breaker: Breaker, outcomes: Sequence[Outcome], *, now: int, luck: float) -> Breaker:
    """The breaker after one request: any signal the platform decided on closes it, a failed request opens it longer."""
    failed = [outcome for outcome in outcomes if outcome.kind in {"retry", "blocked"}]
    if len(failed) < len(outcomes):
        return CLOSED
    worst = next((outcome for outcome in failed if outcome.kind == "blocked"), failed[0])
    blocked = worst.kind == "blocked"
    failures = breaker.failures + 1 if now >= breaker.until else max(breaker.failures, 1)
    first, longest = (BLOCKED_FIRST, BLOCKED_LONGEST) if blocked else (FIRST_WAIT, LONGEST_WAIT)
    pause = wait(failures, first=first, longest=longest, luck=luck)
    asked = max((int(outcome.after * 1000) for outcome in failed if outcome.after is not None), default=0)
    return Breaker(
        failures=failures,
        since=breaker.since or now,
        until=max(now + max(pause, asked), breaker.until),
        sentence=worst.sentence,
        blocked=blocked,
    )


def fate(signal: Leased, outcome: Outcome, *, limits: Limits, now: int, luck: float) -> Fate:
    """What becomes of one signal after this answer.

    Its own wait grows with its attempts; how long the destination rests is the breaker's business, so that mended
    credentials and a new start find the signals due.
    """
    if outcome.kind in {"accepted", "warned"}:
        return Fate(signal=signal, verdict="accepted" if outcome.kind == "accepted" else "warned", reason=outcome.code or None,
                    sentence=outcome.sentence or None)  # fmt: skip
    if outcome.kind in {"refused", "split"}:
        return Fate(signal=signal, verdict="refused", reason=outcome.code, sentence=outcome.sentence)
    reached = outcome.kind == "retry" and outcome.reached
    first = signal.first_attempt_at or (now if reached else None)
    own = wait(signal.attempts + 1, first=FIRST_WAIT, longest=LONGEST_WAIT, luck=luck) if reached else 0
    due = now + own
    too_old = due > signal.event_time + limits.oldest_ms
    if first is not None and (too_old or due > first + int(limits.dedupe_ms * SAFETY)):
        why = "it is too old to be sent again" if too_old else "it would no longer recognise a repeat"
        return Fate(
            signal=signal,
            verdict="unknown",
            reason=outcome.code,
            sentence=f"The platform may have taken this, but never answered clearly, and {why}. {outcome.sentence}",
        )
    if too_old:
        return Fate(
            signal=signal, verdict="withheld", reason="too_old", sentence=f"It could not be delivered in time. {outcome.sentence}"
        )
    return Fate(signal=signal, verdict=None, reason=outcome.code, sentence=outcome.sentence, due_at=due, first_attempt_at=first)


def overdue(signal: Leased, *, limits: Limits, now: int) -> Fate | None:
    """The fate of a signal that must not be sent any more, such as after a long outage of our own; None when it may."""
    first = signal.first_attempt_at
    if first is not None and now > first + int(limits.dedupe_ms * SAFETY):
        return Fate(
            signal=signal,
            verdict="unknown",
            reason="no_answer",
            sentence="An earlier attempt may have reached the platform, which would no longer recognise a repeat.",
        )
    if now <= signal.event_time + limits.oldest_ms:
        return None
    if first is not None:
        return Fate(
            signal=signal,
            verdict="unknown",
            reason="no_answer",
            sentence="An earlier attempt may have reached the platform; now the event is older than the platform takes.",
        )
    return Fate(signal=signal, verdict="withheld", reason="too_old", sentence="It waited longer than the platform takes events.")


def marked(signals: Sequence[Leased], outcomes: Sequence[Outcome], started: int) -> list[Leased]:
    """Signals of a split batch that the platform may have taken in part: from `started` on each may have reached it."""
    return [
        replace(signal, first_attempt_at=started) if outcome.reached and signal.first_attempt_at is None else signal
        for signal, outcome in zip(signals, outcomes, strict=True)
    ]


def halves(signals: Sequence[Leased]) -> tuple[Sequence[Leased], Sequence[Leased]]:
    """A refused batch in two, to find the event that spoils it."""
    middle = len(signals) // 2
    return signals[:middle], signals[middle:]


def batch_limit(limits: Limits, wished: int | None, breaker: Breaker) -> int:
    """Signals of the next request; a resting destination is tried with few."""
    most = min(limits.batch, wished or limits.batch)
    return most if breaker.failures == 0 else max(1, min(most, 10))
