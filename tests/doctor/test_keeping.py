"""The checklists kept with their moment: what is read later is what was found, and what platforms said is not forgotten."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial

from tests.findings.watched import DAY, NOW, Watched, order, workspace

from signalpost import doctor
from signalpost.doctor import Trial, keeping
from signalpost.store.database import Database

ITEMS = [{"product_id": "p1", "price": 100, "quantity": 1}]


def shop(database: Database) -> Watched:
    """A shop with twenty orders that both platforms took."""
    watched = Watched(database, workspace())
    watched.say("shop", [order(number, products=ITEMS) for number in range(20)])
    watched.answer()
    return watched


def test_what_is_kept_is_what_was_found(database: Database) -> None:
    """A checkup reads back as it was made, with every line; going through the lists again replaces it."""
    watched = shop(database)
    assert database.look(keeping.kept) is None
    for now in (NOW + 1_000, NOW + 2_000):
        found = asyncio.run(keeping.once(database, watched.workspace, now, ask=False))
        assert found == database.look(keeping.kept)
        assert now == found.at
        evidence = database.look(partial(doctor.gather, workspace=watched.workspace, now=now))
        assert list(found.checks) == doctor.examine(watched.workspace, evidence)


def test_orders_are_measured_for_each_platform(database: Database) -> None:
    """Beside the measurement plan stands what was meant to be sent and what was accepted, repeats left out."""
    watched = shop(database)
    watched.say("shop", [order(number, products=ITEMS, messageId=f"again-{number}") for number in range(5)])
    found = asyncio.run(keeping.once(database, watched.workspace, NOW + 2_000, ask=False))
    for each in found.measured:
        assert (20, 20) == (each.orders, each.accepted), each
        assert each.share == Decimal(1)


def test_what_a_platform_said_is_known_to_the_next_look(database: Database) -> None:
    """An answer about the account is evidence for as long as evidence lasts, whoever asked; then it proves nothing."""
    watched = Watched(database, workspace())
    heard = {"tiktok": Trial(False, "The access token is not accepted.", NOW)}
    watched.write(lambda connection: keeping.keep_answers(connection, heard))
    for later, state in ((NOW + 1_000, "fail"), (NOW + 8 * DAY, "not yet known")):
        checkup = database.look(partial(keeping.look, workspace=watched.workspace, now=later))
        account = next(each for each in checkup.checks if (each.destination, each.check) == ("tiktok", "account"))
        assert (state, NOW) == (account.state, account.at)
        assert "not accepted" in account.sentence
