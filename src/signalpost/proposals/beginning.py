"""What is known when a replay begins, and how it moves along: the store's people and orders taken back to a moment, in memory.

What was known at a moment of the past cannot be had again exactly: a person's record says what is known today, and when it was
last heard. So a replay begins with people as they are known today, without what the replayed events themselves made: their
orders, derived events, remembered times, click ids, and people whom they made known. Orders are taken back to the news that
came before. The same beginning stands for both files of a comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from signalpost import memberships, orders, purchases
from signalpost.deciding import Arrived
from signalpost.events import Bought, Identifier, Person
from signalpost.orderbook import PURCHASE
from signalpost.plan import Plan
from signalpost.purchases import Record
from signalpost.segments import live
from signalpost.state import Decision, KnownOrder, State
from signalpost.store import batches
from signalpost.store.database import Connection

DAY = 86_400_000


def record_then(record: Record, first: int, since: int) -> Record:
    """An order's record as it was before the event `first`, received at `since`."""
    claims = {source: said for source, said in record.claims.items() if said.event < first}
    refunds = {key: refund for key, refund in record.refunds.items() if refund.time < since}
    pixels = {name: sent for name, sent in record.pixels.items() if sent[1] < since}
    cancelled_at = record.cancelled_at if record.cancelled_at < since else 0
    flagged_at = record.flagged_at if record.flagged_at < since else 0
    if (len(claims), len(refunds), len(pixels), cancelled_at, flagged_at) == (
        len(record.claims),
        len(record.refunds),
        len(record.pixels),
        record.cancelled_at,
        record.flagged_at,
    ):
        return record
    return Record(claims=claims, refunds=refunds, pixels=pixels, cancelled_at=cancelled_at, flagged_at=flagged_at)


def order_then(known: KnownOrder, first: int, since: int) -> KnownOrder | None:
    """An order as it was before the event `first`; None where nobody had named it."""
    if known.event >= first:
        return None
    return replace(
        known,
        sent={destination: event for destination, event in known.sent.items() if event < first},
        purchased=known.purchased if known.purchased < first else 0,
        record=record_then(known.record, first, since),
    )


def person_then(person: Person, first: int, since: int, bought: Mapping[str, Bought], remembered: frozenset[str]) -> Person:
    """A person as they are known today, without what events from `first` on made; `bought` are their orders as they were,
    `remembered` what is remembered without gaps."""
    return replace(
        person,
        orders={key: bought[key] for key in person.orders if key in bought},
        derived={name: event for name, event in person.derived.items() if event < first},
        recent={key: kept for key, times in person.recent.items() if (kept := tuple([at for at in times if at < since]))},
        clicks={name: click for name, click in person.clicks.items() if click[1] < since},
        memory={
            key: kept
            for key, times in person.memory.items()
            if key in remembered and (kept := tuple([at for at in times if at < since]))
        },
        inside={},
        due={},
        looked_at=0,
    )


class World:
    """The store's people, identifiers and orders as they were, read when first asked for, and what a replay made of them.

    `copies` names destinations that stand beside another (name -> whose): what was sent to that one counts as sent to them too.
    """

    def __init__(
        self,
        connection: Connection,
        plan: Plan,
        cut_by: Plan,
        *,
        first: int,
        since: int,
        copies: Mapping[str, str],
        stages: dict[str, int],
    ) -> None:
        """`cut_by`: the plan under which orders of the past are valued, the same for both files."""
        self.connection, self.plan, self.first, self.since, self.copies = connection, plan, first, since, copies
        self.seen: dict[str, int] = {}
        self.people: dict[int, Person] = {}
        self.became: dict[int, int] = {}
        """Person who is no longer -> who they are; 0: nobody."""
        self._cut_by = cut_by
        self._stages = stages
        self._owners: dict[Identifier, int] = {}
        self._keys: dict[int, set[Identifier]] = {}
        self._asked: set[Identifier] = set()
        self._orders: dict[str, list[KnownOrder]] = {}
        self._by_key: dict[str, KnownOrder] = {}
        self._named: dict[int, str] = {}
        """Event that was read and not decided yet -> the order it names."""
        self._handed: dict[str, int] = {}
        self._absent: set[int] = set()
        self._begun = {key for (key,) in connection.rows("orders_begun", first)}
        self._remembered = frozenset(what for what, dropped in connection.rows("remembered") if not dropped)
        self._tallies: dict[int, dict[tuple[str, str], int]] = {}

    # ---- reading ---------------------------------------------------------------------------------------------------------

    def load(self, arrived: Iterable[Arrived]) -> None:
        """Read what these events can touch and was not read yet: one query for each kind."""
        identifiers: dict[Identifier, None] = {}
        named: dict[str, None] = {}
        for each in arrived:
            for key in (*each.keys, *each.previous) if each.previous else each.keys:
                if key not in self._asked:
                    identifiers[key] = None
            order = orders.order_id(each.event.properties) if each.event.kind == "track" and not each.silent else None
            if order is not None:
                self._named[each.id] = order
                if order not in self._orders:
                    named[order] = None
        people: dict[int, None] = {}
        if named:
            for order in named:
                self._orders[order] = []
            for row in self.connection.rows("orders_known", list(named)):
                self._keep(batches.known_order(row))
            people.update((known.person, None) for order in named for known in self._orders[order])
        if identifiers:
            self._asked.update(identifiers)
            by_text = {f"{kind}:{value}": (kind, value) for kind, value in identifiers}
            for text, person in self.connection.rows("identifiers_owned", list(by_text)):
                owner = self.now_known_as(person)
                if owner and owner < self.first:
                    self._own(by_text[text], owner)
                    people[owner] = None
        self._read_people([each for each in people if each and each not in self.people and each not in self._absent])
        for order in named:
            for known in self._orders[order]:
                if known.person not in self.people:
                    known.person = 0

    def _keep(self, row: KnownOrder) -> None:
        known = order_then(row, self.first, self.since)
        if known is None or known.key in self._by_key:
            return
        for copy, whose in self.copies.items():
            if whose in known.sent:
                known.sent[copy] = known.sent[whose]
        known.person = self.now_known_as(self._handed.get(known.key, known.person))
        if known.person >= self.first:
            known.person = 0
        self._by_key[known.key] = known
        self._orders.setdefault(known.order_id, []).append(known)

    def _read_people(self, numbers: list[int]) -> None:
        found = batches.people(self.connection, numbers)
        self._absent.update(each for each in numbers if each not in found)
        keys = [key for person in found.values() for key in person.orders if key not in self._begun]
        plan = self._cut_by
        counts, own, rates = plan.counted_source.get(PURCHASE), plan.workspace.currency, plan.rates
        changed: dict[str, Bought | None] = {}
        for row in self.connection.rows("orders_by_key", keys) if keys else ():
            known = batches.known_order(row)
            record = record_then(known.record, self.first, self.since)
            if record is not known.record:
                changed[known.key] = purchases.bought(record, counts, own, rates)
        for number, person in found.items():
            bought = {}
            for key, order in person.orders.items():
                if key not in self._begun:
                    then = changed.get(key, order)
                    if then is not None:
                        bought[key] = then
            self.people[number] = self._placed(person_then(person, self.first, self.since, bought, self._remembered))

    def _placed(self, person: Person) -> Person:
        """The person in the segments they were in, where the replay keeps them."""
        segments = self.plan.segments
        if segments is live.NONE:
            return person
        return memberships.asked(person, segments, segments.segments, self.since - 1)[0]

    def now_known_as(self, person: int) -> int:
        """Who this person is after the merges so far; 0: nobody any more."""
        while person in self.became:
            person = self.became[person]
        return person

    def _own(self, key: Identifier, person: int) -> None:
        before = self._owners.get(key)
        if before is not None:
            self._keys[before].discard(key)
        self._owners[key] = person
        self._keys.setdefault(person, set()).add(key)

    # ---- a batch ---------------------------------------------------------------------------------------------------------

    def state(self, arrived: Iterable[Arrived], now: int) -> State:
        """What a batch can touch; the batch's own copy, as `store.batches.gather` gives it."""
        owners: dict[Identifier, int] = {}
        people: dict[int, Person] = {}
        under: dict[str, list[KnownOrder]] = {}
        for each in arrived:
            for key in (*each.keys, *each.previous) if each.previous else each.keys:
                owner = self._owners.get(key)
                if owner is not None and (known_as := self.people.get(owner)) is not None:
                    owners[key] = owner
                    people[owner] = known_as
            order = self._named.pop(each.id, None)
            if order is not None and order not in under and (found := self._orders.get(order)):
                under[order] = found
                for known in found:
                    if known.person and (buyer := self.people.get(known.person)) is not None:
                        people[known.person] = buyer
        state = State(seen=self.seen, owners=owners, people=people, orders=under, stages=self._stages, counting=False)
        if self.plan.capped:
            day = now - now % DAY
            for each_day in (day - DAY, day):
                for tally, made in self._tallies.get(each_day, {}).items():
                    state.tallies[tally] = state.tallies.get(tally, 0) + made
        return state

    def take(self, made: Decision, state: State) -> None:
        """What `store.batches.commit` would write, in its order."""
        for winner, loser in made.moved:
            self.became[loser] = winner
            for key in self._keys.pop(loser, ()):
                self._owners[key] = winner
                self._keys.setdefault(winner, set()).add(key)
            self.people.pop(loser, None)
        for order, under in state.orders.items():
            self._orders[order] = under
            for known in under:
                self._by_key[known.key] = known
        touched = {known.key for under in state.orders.values() for known in under}  # the batch handed these over itself
        for person, keys in made.handed:
            for order in keys:
                self._handed[order] = person
                if order in self._by_key and order not in touched:
                    self._by_key[order].person = person
        for person in made.dropped:
            self.became[person] = 0
            for key in self._keys.pop(person, ()):
                del self._owners[key]
            self.people.pop(person, None)
        for key, person in made.owners.items():
            self._asked.add(key)
            self._own(key, person)
        for each in made.people:
            self.people[each.id] = each
        for known in made.orders:
            self._by_key[known.key] = known
        if made.tallies:
            today = self._tallies.setdefault(made.now - made.now % DAY, {})
            for tally, many in made.tallies.items():
                today[tally] = today.get(tally, 0) + many
