"""People's ways through tiers, of moves as they are kept."""

from __future__ import annotations

from signalpost.segments.flows import OUTSIDE, Flow, Step, flows

REMINDER, OFFER, ELSEWHERE = 4, 5, 9
NAMES = {70: "Checkout Started", 71: "Order Completed"}


def test_leaving_one_tier_for_another_is_one_step() -> None:
    """Who leaves a tier and enters the next at one moment went from one to the other; the rest came in or went out."""
    steps = [
        Step(1, 100, REMINDER, True, 70),
        Step(1, 200, REMINDER, False, 0),
        Step(1, 200, OFFER, True, 0),
        Step(1, 300, OFFER, False, 71),
        Step(2, 100, REMINDER, True, 70),
        Step(2, 150, REMINDER, False, 71),
    ]
    assert flows(steps, NAMES, {REMINDER, OFFER}) == {
        Flow(OUTSIDE, REMINDER, "Checkout Started"): 2,
        Flow(REMINDER, OFFER, ""): 1,
        Flow(OFFER, OUTSIDE, "Order Completed"): 1,
        Flow(REMINDER, OUTSIDE, "Order Completed"): 1,
    }


def test_moves_of_other_segments_are_no_steps() -> None:
    """A segment beside the tiers changes nothing, and who goes in and out at one moment stayed where they were."""
    steps = [
        Step(1, 100, REMINDER, True, 70),
        Step(1, 100, ELSEWHERE, False, 70),
        Step(2, 100, OFFER, False, 70),
        Step(2, 100, OFFER, True, 70),
    ]
    assert flows(steps, NAMES, {REMINDER, OFFER}) == {Flow(OUTSIDE, REMINDER, "Checkout Started"): 1}
