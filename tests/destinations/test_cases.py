"""The platforms' cases: each is a test, and a place in the documentation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct, convert
from msgspec.structs import asdict

from signalpost import config, identity, mapping, orders
from signalpost.destinations import CATALOG, PLATFORMS, pinterest, tiktok, tiktok_codes
from signalpost.destinations.contract import Response, request_settings
from signalpost.events import Person, Signal
from signalpost.sources import pipelines
from signalpost.vocabulary import canonical

Complaints = Callable[[str, dict[str, Any]], list[str]]

CASES = Path(__file__).resolve().parents[1] / "cases"


class Case(Struct, forbid_unknown_fields=True):
    """An event and what is sent for it (or why nothing is), or an answer and what it means for each event."""

    why: str
    event: dict[str, Any] | None = None
    settings: dict[str, Any] = {}
    workspace: dict[str, str] = {}
    limited: bool = False
    sends: dict[str, Any] | None = None
    withheld: str | None = None
    answers: dict[str, Any] | None = None
    events: int = 0
    outcomes: list[dict[str, Any]] = []


def cases(platform: str) -> list[Case]:
    """Every case of a platform, in the order of its files."""
    found: list[Case] = []
    for path in sorted((CASES / platform).glob("*.json")):
        read = json.loads(path.read_text())
        found += convert(read if isinstance(read, list) else [read], list[Case])
    return found


def options_of(platform: str, case: Case) -> config.Destination:
    """The destination as the case's settings make it."""
    return convert({"type": platform, **case.settings}, config.Destination)


def signal_of(platform: str, case: Case) -> Signal:
    """The signal a case's event becomes, by way of the real source, identity and orders."""
    event = pipelines.read_message(json.dumps(case.event).encode(), source="shop", received_at=1_795_305_600_000)
    country = case.workspace.get("country", "US")
    own = identity.keys(identity.named(event), country=country)
    person = identity.learn(Person(id=1), event, own, {})
    name = canonical(event.name, {}) if event.kind == "track" else "Page Viewed"
    events = options_of(platform, case).events
    names = CATALOG[platform].events if isinstance(events, str) else events
    return Signal(
        event=event,
        name=name,
        platform_event=names[name],
        event_id=event.message_id,
        person=person,
        order=orders.read(event, definition="net", default_currency="USD"),
        limited=case.limited,
    )


ALL = [(platform, case) for platform in CATALOG for case in cases(platform)]


def _named(chosen: list[tuple[str, Case]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("platform", "case"), chosen, ids=[f"{p}: {c.why}" for p, c in chosen])


@_named([(platform, case) for platform, case in ALL if case.sends is not None])
def test_an_event_is_sent_exactly_so(platform: str, case: Case, complaints: Complaints) -> None:
    """An event becomes exactly the object the case shows, and the platform's own description has nothing against it."""
    rendered = mapping.compile(CATALOG[platform], options_of(platform, case))(signal_of(platform, case))

    assert case.sends == msgspec.json.decode(rendered)
    assert not complaints(platform, msgspec.json.decode(rendered))


@_named([(platform, case) for platform, case in ALL if case.sends is not None])
def test_what_is_sent_is_not_withheld(platform: str, case: Case) -> None:
    """A case that shows what is sent shows a signal that the platform's own gates let pass."""
    signal = signal_of(platform, case)

    assert CATALOG[platform].identified(signal.person, signal)


@_named([(platform, case) for platform, case in ALL if case.withheld is not None])
def test_an_event_is_withheld_for_the_reason(platform: str, case: Case) -> None:
    """The platform's own gate gives the reason the case shows, with a sentence."""
    declared = CATALOG[platform]
    signal = signal_of(platform, case)
    objection = declared.objection(signal, request_settings(options_of(platform, case)))
    if not declared.identified(signal.person, signal):
        objection = ("no_identifier", declared.identifier_hint)

    assert objection is not None
    assert case.withheld == objection[0]
    assert objection[1].endswith(".")


def response_of(case: Case) -> Response:
    """The HTTP answer a case shows."""
    answers = case.answers or {}
    body = answers["body"]
    return Response(
        status=answers["status"],
        headers=answers.get("headers", {}),
        body=body.encode() if isinstance(body, str) else msgspec.json.encode(body),
    )


@_named([(platform, case) for platform, case in ALL if case.answers is not None])
def test_an_answer_means_exactly_that(platform: str, case: Case) -> None:
    """An answer means for each event what the case says, in all that the case says of it."""
    found = CATALOG[platform].outcomes(response_of(case), case.events)

    assert case.events == len(found) == len(case.outcomes)
    for expected, outcome in zip(case.outcomes, found, strict=True):
        assert expected == {name: value for name, value in asdict(outcome).items() if name in expected}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_event_name_has_a_case(platform: str) -> None:
    """Each name the platform knows, and each canonical event mapped to one, is shown in a case."""
    declared = CATALOG[platform]
    shown = [case for case in cases(platform) if case.sends is not None]
    names = {(case.sends or {}).get("event", (case.sends or {}).get("event_name")) for case in shown}
    canonical = {signal_of(platform, case).name for case in shown}

    assert declared.event_names | set(declared.events.values()) == names
    assert set(declared.events) - {"Form Submitted"} == canonical  # the same as Lead Generated


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_kind_of_outcome_has_a_case(platform: str) -> None:
    """Accepted, warned, refused, retried, split and blocked are each shown, and an answer that is different for each event."""
    answered = [case for case in cases(platform) if case.answers is not None]
    kinds = {outcome["kind"] for case in answered for outcome in case.outcomes}
    partial = {"tiktok": "20001"}.get(platform)

    assert {"accepted", "warned", "refused", "retry", "split", "blocked"} == kinds
    if partial:
        assert any(outcome.get("code") == partial for case in answered for outcome in case.outcomes)
    else:
        assert any(len({outcome["kind"] for outcome in case.outcomes}) > 1 for case in answered)


CODES: list[tuple[str, int, int, str]] = [
    *(("tiktok", 200, code, "retry") for code in (*tiktok_codes.RETRIES, *tiktok_codes.TROUBLES)),
    *(("tiktok", 200, code, "blocked") for code in tiktok_codes.BLOCKS),
    *(("tiktok", 200, code, "refused") for code in tiktok.REFUSALS),
    *(("pinterest", 400, code, "refused") for code in pinterest.REFUSALS),
    *(("pinterest", 401, code, "blocked") for code in pinterest.BLOCKS),
    *(("pinterest", 503, code, "retry") for code in pinterest.RETRIES),
]


@pytest.mark.parametrize(("platform", "status", "code", "kind"), CODES)
def test_every_listed_code_is_read_as_listed(platform: str, status: int, code: int, kind: str) -> None:
    """Each code in a platform's tables has its class, and a sentence for people."""
    body = msgspec.json.encode({"code": code, "message": ""})
    outcome = CATALOG[platform].outcomes(Response(status=status, headers={}, body=body), 1)[0]

    assert (kind, str(code)) == (outcome.kind, outcome.code)
    assert outcome.sentence.endswith(".")
