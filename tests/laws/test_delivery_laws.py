"""What becomes of a signal after an answer: decisions on every kind of answer, at every age, with any luck."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.laws.flow import DAY, HOUR, NOW

from signalpost import delivery
from signalpost.delivery import Breaker, Leased
from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Limits, Outcome

KINDS = ("accepted", "warned", "refused", "retry", "split", "blocked")
limits = st.sampled_from([platform.limits for platform in CATALOG.values()])
outcomes = st.builds(
    Outcome,
    kind=st.sampled_from(KINDS),
    code=st.just("code"),
    sentence=st.just("The platform said something."),
    after=st.one_of(st.none(), st.floats(0, 86_400)),
    reached=st.booleans(),
)
moments = st.integers(-8 * DAY, 0)
breakers = st.builds(Breaker, failures=st.integers(1, 40), since=st.just(NOW - HOUR), until=st.integers(NOW - HOUR, NOW + HOUR))


@st.composite
def signals(draw: st.DrawFn) -> Leased:
    """A signal in hand: fresh or old, tried before or not."""
    happened = NOW + draw(moments)
    tried = draw(st.booleans())
    return Leased(
        id=1,
        event=65_536,
        priority=0,
        name="Order Completed",
        event_time=happened,
        received_at=max(happened, NOW - 8 * DAY),
        attempts=draw(st.integers(1, 40)) if tried else 0,
        first_attempt_at=draw(st.one_of(st.none(), st.integers(happened, NOW))) if tried else None,
        value_micros=1,
        currency="USD",
        body=b"{}",
    )


@given(signal=signals(), outcome=outcomes, limit=limits, luck=st.floats(0, 1))
def test_only_an_acceptance_is_accepted(signal: Leased, outcome: Outcome, limit: Limits, luck: float) -> None:
    """The ledger says accepted or warned if and only if the platform's answer for this event did."""
    fate = delivery.fate(signal, outcome, limits=limit, now=NOW, luck=luck)

    assert (fate.verdict == "accepted") == (outcome.kind == "accepted")
    assert (fate.verdict == "warned") == (outcome.kind == "warned")
    assert (fate.verdict == "refused") == (outcome.kind in {"refused", "split"})


@given(signal=signals(), outcome=outcomes, limit=limits, luck=st.floats(0, 1))
def test_every_answer_ends_a_signal_or_says_when_to_try_again(
    signal: Leased, outcome: Outcome, limit: Limits, luck: float
) -> None:
    """There is a verdict, or a due time that is not in the past; both with a sentence unless all is well."""
    fate = delivery.fate(signal, outcome, limits=limit, now=NOW, luck=luck)

    assert fate.verdict is not None or fate.due_at >= NOW
    assert fate.verdict in {"accepted", "warned"} or fate.sentence
    if fate.verdict is None:
        assert outcome.kind in {"retry", "blocked"}


@given(signal=signals(), outcome=outcomes, limit=limits, luck=st.floats(0, 1), later=st.integers(0, 3 * DAY))
def test_what_may_have_arrived_is_tried_again_only_inside_the_dedupe_window(
    signal: Leased, outcome: Outcome, limit: Limits, luck: float, later: int
) -> None:
    """From nine tenths of the platform's window on a repeat could count twice: the signal becomes unknown instead."""
    fate = delivery.fate(signal, outcome, limits=limit, now=NOW, luck=luck)

    reached = outcome.kind == "retry" and outcome.reached
    first = signal.first_attempt_at if signal.first_attempt_at is not None else NOW if reached else None
    if fate.verdict is None:
        assert first == fate.first_attempt_at
        if first is not None:
            assert fate.due_at <= first + 0.9 * limit.dedupe_ms
        again = Leased(**{**_fields(signal), "first_attempt_at": fate.first_attempt_at})
        late = delivery.overdue(again, limits=limit, now=fate.due_at + later)
        if first is not None and fate.due_at + later > first + 0.9 * limit.dedupe_ms:
            assert late is not None
            assert late.verdict == "unknown"


@given(signal=signals(), outcome=outcomes, limit=limits, luck=st.floats(0, 1))
def test_withheld_means_that_it_surely_never_arrived(signal: Leased, outcome: Outcome, limit: Limits, luck: float) -> None:
    """A signal that may have reached the platform and can be tried no more is unknown, never withheld."""
    may_have_arrived = signal.first_attempt_at is not None
    late = delivery.overdue(signal, limits=limit, now=NOW)
    fate = delivery.fate(signal, outcome, limits=limit, now=NOW, luck=luck)

    if late is not None:
        assert late.verdict == ("unknown" if may_have_arrived else "withheld")
    if fate.verdict in {"withheld", "unknown"}:
        arrived = may_have_arrived or (outcome.kind == "retry" and outcome.reached)
        assert fate.verdict == ("unknown" if arrived else "withheld")


@given(signal=signals(), limit=limits)
def test_an_event_younger_than_the_platforms_limit_may_still_be_sent(signal: Leased, limit: Limits) -> None:
    """Nothing that the platform would still take, and recognise, is given up."""
    young = signal.event_time >= NOW - limit.oldest_ms
    recognised = signal.first_attempt_at is None or signal.first_attempt_at >= NOW - int(0.9 * limit.dedupe_ms)

    assert (delivery.overdue(signal, limits=limit, now=NOW) is None) == (young and recognised)


@given(failures=st.integers(1, 100), luck=st.floats(0, 1), first=st.integers(1_000, 10_000), longest=st.integers(10_000, DAY))
def test_waits_grow_and_are_capped(failures: int, luck: float, first: int, longest: int) -> None:
    """The wait doubles up to the longest and lies in the upper half of its range."""
    now = delivery.wait(failures, first=first, longest=longest, luck=luck)
    following = delivery.wait(failures + 1, first=first, longest=longest, luck=luck)

    assert now <= following <= longest
    top = min(longest, first * 2 ** (failures - 1))
    assert top // 2 <= now <= top


@given(answers=st.lists(outcomes, min_size=1, max_size=5), breaker=breakers, luck=st.floats(0, 1))
def test_a_destination_rests_at_least_as_long_as_the_platform_asked(
    answers: list[Outcome], breaker: Breaker, luck: float
) -> None:
    """Retry-After is honoured, a rest never ends sooner than already agreed, and any decided signal ends it."""
    following = delivery.after(breaker, answers, now=NOW, luck=luck)

    if any(answer.kind not in {"retry", "blocked"} for answer in answers):
        assert following == delivery.CLOSED
        return
    asked = [int(answer.after * 1000) for answer in answers if answer.after is not None]
    assert following.until >= NOW + max(asked, default=0)
    assert following.until >= breaker.until
    assert following.failures >= 1
    assert following.blocked == any(answer.kind == "blocked" for answer in answers)
    assert following.sentence


@given(luck=st.lists(st.floats(0, 1), min_size=30, max_size=30), kind=st.sampled_from(("retry", "blocked")))
def test_an_outage_is_asked_about_less_and_less_often(luck: list[float], kind: Any) -> None:
    """Thirty failures in a row are spread over hours, not seconds; wrong credentials in the end once an hour at most."""
    now, breaker, pauses = NOW, delivery.CLOSED, []
    for each in luck:
        breaker = delivery.after(breaker, [Outcome(kind=kind, sentence="No.")], now=now, luck=each)
        pauses.append(breaker.until - now)
        now = breaker.until
    longest = delivery.BLOCKED_LONGEST if kind == "blocked" else delivery.LONGEST_WAIT

    assert all(longest / 2 <= pause <= longest for pause in pauses[-10:])
    assert now - NOW > 20 * longest / 2
    assert pauses[0] <= (delivery.BLOCKED_FIRST if kind == "blocked" else delivery.FIRST_WAIT)


@given(number=st.integers(2, 1000))
def test_halves_are_the_whole(number: int) -> None:
    """Halving loses and doubles nothing and always gets smaller."""
    batch = [Leased(**{**_fields(ONE), "id": place}) for place in range(number)]

    left, right = delivery.halves(batch)

    assert batch == [*left, *right]
    assert max(len(left), len(right)) < number


@given(failures=st.integers(0, 5), wished=st.one_of(st.none(), st.integers(1, 5_000)), limit=limits)
def test_a_batch_is_never_larger_than_the_platform_takes(failures: int, wished: int | None, limit: Limits) -> None:
    """The platform's limit holds whatever the workspace wishes; a resting destination is tried with few."""
    most = delivery.batch_limit(limit, wished, Breaker(failures=failures))

    assert 1 <= most <= limit.batch
    assert failures == 0 or most <= 10


def _fields(signal: Leased) -> dict[str, Any]:
    return {name: getattr(signal, name) for name in signal.__struct_fields__}


ONE = Leased(
    id=1, event=1, priority=0, name="n", event_time=NOW, received_at=NOW, attempts=0, first_attempt_at=None, value_micros=None,
    currency=None, body=b"",
)  # fmt: skip
