"""Simulated shops in which the truth is known."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate
from math import comb, exp, lgamma, log
from random import Random

from signalpost.audiences import Wanted
from signalpost.lift.intervals import Spent
from signalpost.segments.live import LOTS
from signalpost.store.lift import Arm, Counted

DAY = 86_400_000


def arms(shown: tuple[int, int], held: tuple[int, int], *, days: int = 30, amount: str = "50", pending: int = 0) -> Counted:
    """Both arms as (buyers, people), each buyer with one order of this amount, over so many days."""

    def arm(buyers: int, people: int) -> Arm:
        worth = Decimal(amount)
        return Arm(
            people=people, buyers=buyers, orders=buyers, revenue=buyers * worth, squares=buyers * worth * worth, pending=pending
        )

    return Counted(begin=0, end=days * DAY, shown=arm(*shown), held=arm(*held), destinations={"tiktok": 0})


def audience(holdout: float = 0.1) -> Wanted:
    """An audience with so much held out."""
    return Wanted(name="carts", slots=(1,), segment="carts", unless=frozenset(), held_out=round(holdout * LOTS))


def binomial(people: int, rate: float) -> list[float]:
    """How likely each number of buyers is among so many people."""
    if people <= 60:
        return [comb(people, k) * rate**k * (1 - rate) ** (people - k) for k in range(people + 1)]
    whole, yes, no = lgamma(people + 1), log(rate), log(1 - rate)
    return [exp(whole - lgamma(k + 1) - lgamma(people - k + 1) + k * yes + (people - k) * no) for k in range(people + 1)]


def chances(people: int, rate: float) -> list[tuple[int, float]]:
    """The numbers of buyers that are not out of the question, with their chances."""
    return [(k, chance) for k, chance in enumerate(binomial(people, rate)) if chance > 1e-9]


def drawn(random: Random, people: int, rate: float, times: int) -> list[int]:
    """Numbers of buyers in so many samples."""
    return random.choices(range(people + 1), cum_weights=list(accumulate(binomial(people, rate))), k=times)


def spent(random: Random, people: int, buyers: int, spread: float, smaller: float = 1.0) -> Spent:
    """An arm whose buyers spend a lognormal amount; at a spread of 1.4 a tenth of them spends half of all that is spent."""
    amounts = [60 * smaller * exp(random.gauss(0, spread)) for _ in range(buyers)]
    return Spent(people=people, buyers=buyers, total=sum(amounts), squares=sum(amount * amount for amount in amounts))
