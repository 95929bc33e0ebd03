"""What can be made to go wrong, how often and how likely: decided here, carried out in app.py."""

from __future__ import annotations

import random
from typing import Literal, get_args

import msgspec

Platform = Literal["tiktok", "pinterest"]
Name = Literal[
    "latency",
    "rate_limit",
    "status",
    "reset",
    "hang",
    "malformed",
    "truncated",
    "empty",
    "wrong_count",
    "partial",
    "token_expired",
    "code",
]
NAMES: tuple[str, ...] = get_args(Name)
# What a request is about: events sent, a credential or report read, audiences and the ad groups they are used in.
Kind = Literal["events", "checks", "audiences"]

# Faults that spoil the answer to a request which did arrive; the others strike before the platform looks.
AFTER_BY_NATURE = frozenset({"malformed", "truncated", "empty", "wrong_count"})


class FaultRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /control/faults`; only `fault` is needed."""

    fault: Name
    platform: Literal["tiktok", "pinterest", "both"] = "both"
    # How many requests it strikes; null: until it is deleted.
    times: int | None = None
    # Per request; for `partial` per event, or per row of an audience.
    probability: float = 1.0
    # Of the requests it concerns, strike each so many-th only: 3 strikes the third, the sixth, ...
    every: int = 1
    # Only requests to a path with this in it.
    path: str = ""
    # Strike before the platform has seen the events, or after it has accepted them.
    when: Literal["before", "after"] | None = None
    # The event endpoints, the credential checks, the audiences, or all; an expired token is expired everywhere.
    scope: Literal["events", "checks", "audiences", "all"] | None = None
    ms: int = 0  # latency
    jitter_ms: int = 0  # latency: up to this much more
    retry_after: int | None = None  # rate_limit, status: seconds in Retry-After; null: no such header
    status: int | None = None  # status (500 when absent); partial on Pinterest: 422 instead of 200
    code: int | None = None  # the platform's own code in the body
    message: str | None = None  # the platform's sentence in the body
    events: tuple[str, ...] = ()  # partial: these event names
    event_ids: tuple[str, ...] = ()  # partial: these event ids
    by: int = -1  # wrong_count: so many answers more or fewer

    def mistake(self) -> str | None:
        """Return a sentence for the first thing that makes no sense, or None."""
        if not 0 <= self.probability <= 1:
            return "`probability` must be between 0 and 1"
        if self.times is not None and self.times < 1:
            return "`times` must be at least 1, or null for until deleted"
        if self.every < 1:
            return "`every` must be at least 1: 3 strikes each third request"
        if self.fault == "code" and (self.platform == "pinterest" or self.code is None):
            return "`code` overrides the code in TikTok's body: give `code`; for Pinterest use `status`"
        if self.fault == "wrong_count" and self.scope == "audiences":
            return "audiences are answered once for all their rows: there is no number of answers to get wrong"
        if self.fault == "wrong_count" and self.platform == "tiktok":
            return "TikTok answers once for the whole batch: it has no number of answers to get wrong"
        if self.status is not None and not 200 <= self.status <= 599:
            return "`status` must be an HTTP status from 200 to 599"
        if min(self.ms, self.jitter_ms) < 0 or self.by == 0:
            return "`ms` and `jitter_ms` cannot be negative, and `by` cannot be 0"
        if self.when == "after" and self.fault in {"rate_limit", "token_expired", "partial"}:
            return f"`{self.fault}` is the platform's own refusal: it cannot come after acceptance"
        return None


class Fault(msgspec.Struct, kw_only=True):
    """A fault that is switched on."""

    id: int
    asked: FaultRequest
    left: int | None
    met: int = 0
    hits: int = 0

    @property
    def after(self) -> bool:
        """Whether the events are accepted before the answer goes wrong."""
        if self.asked.when is not None:
            return self.asked.when == "after"
        return self.asked.fault in AFTER_BY_NATURE

    def concerns(self, platform: Platform, kind: Kind, path: str) -> bool:
        """Return whether this fault is for requests of `kind` to that path of `platform`."""
        if self.left == 0 or self.asked.platform not in {platform, "both"} or self.asked.path not in path:
            return False
        if self.asked.fault in {"wrong_count", "code"} and (platform == "pinterest") != (self.asked.fault == "wrong_count"):
            return False
        scope = self.asked.scope or ("all" if self.asked.fault == "token_expired" else "events")
        return scope in {"all", kind}

    def meet(self) -> bool:
        """Count a request that this fault is for, and return whether its turn has come (`every`)."""
        self.met += 1
        return self.met % self.asked.every == 0

    def spend(self) -> None:
        """Count one struck request."""
        self.hits += 1
        if self.left is not None:
            self.left -= 1


class Faults:
    """The faults that are switched on, in the order in which they were asked for."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._next_id = 1
        self.active: list[Fault] = []

    def add(self, asked: FaultRequest) -> Fault:
        """Switch a fault on."""
        fault = Fault(id=self._next_id, asked=asked, left=asked.times)
        self._next_id += 1
        self.active.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> int:
        """Switch one fault off, or all; return how many that were."""
        kept = [] if fault_id is None else [fault for fault in self.active if fault.id != fault_id]
        removed = len(self.active) - len(kept)
        self.active = kept
        return removed

    def reset(self) -> None:
        """Switch all off and begin the same random sequence again."""
        self.active = []
        self._random = random.Random(self._seed)

    def latency(self, platform: Platform, kind: Kind, path: str) -> float:
        """Return how many seconds a request to `platform` shall wait for its answer."""
        seconds = 0.0
        for fault in self.active:
            if fault.asked.fault == "latency" and self._hit(fault, platform, kind, path):
                fault.spend()
                seconds += (fault.asked.ms + self._random.random() * fault.asked.jitter_ms) / 1000
        return seconds

    def strike(self, platform: Platform, kind: Kind, path: str) -> Fault | None:
        """Return the first fault that strikes this request as a whole, counted as used."""
        for fault in self.active:
            if fault.asked.fault in {"latency", "partial"}:
                continue
            if self._hit(fault, platform, kind, path):
                fault.spend()
                return fault
        return None

    def refusing(self, platform: Platform, kind: Kind, path: str) -> Fault | None:
        """Return the `partial` fault for this request, not yet counted: it may find nothing to refuse."""
        for fault in self.active:
            if fault.asked.fault == "partial" and fault.concerns(platform, kind, path) and fault.meet():
                return fault
        return None

    def refused(self, fault: Fault, events: list[tuple[str, str | None]]) -> list[int]:
        """Return the positions of the (name, id) pairs that a `partial` fault refuses, and count it."""
        asked = fault.asked
        picky = bool(asked.events or asked.event_ids)
        positions = [
            position
            for position, (event_name, event_id) in enumerate(events)
            if (not picky or event_name in asked.events or event_id in asked.event_ids)
            and (asked.probability >= 1 or self._random.random() < asked.probability)
        ]
        if positions:
            fault.spend()
        return positions

    def _hit(self, fault: Fault, platform: Platform, kind: Kind, path: str) -> bool:
        return (
            fault.concerns(platform, kind, path)
            and fault.meet()
            and (fault.asked.probability >= 1 or self._random.random() < fault.asked.probability)
        )
