"""Laws of every platform's audiences: nothing is lost in batches, any answer is read, every request is as described."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator
from itertools import chain
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.destinations.described import complaints

from signalpost import identity, mapping, orders
from signalpost.config import Destination as Options
from signalpost.destinations import CATALOG
from signalpost.destinations.audiences import Account, Answer, AudiencePart, Batch, Held
from signalpost.destinations.contract import Request, Response
from signalpost.events import Person, Signal
from signalpost.normalize import sha256
from signalpost.sources import pipelines

PARTS: dict[str, AudiencePart] = {name: declared.audience for name, declared in CATALOG.items() if declared.audience is not None}
ACCOUNT = Account(
    {"advertiser": "7000000000000000001", "ad_account": "549755885175", "access_token": "secret-token"}, "http://127.0.0.1:9/"
)
HELD = Held(id="7100000000000000001"[:18], list_id="643")
DIGEST = "86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"
PERSONAL = [DIGEST, DIGEST.upper(), "jane.doe@example.com", "+14155550123"]

each_platform = pytest.mark.parametrize("platform", PARTS)


def of_person(numbers: dict[str, list[int]]) -> dict[str, list[str]]:
    """Match keys with digests, as `Person.keys` holds them."""
    return {kind: [sha256(f"{kind}{number}") for number in some] for kind, some in numbers.items() if some}


PEOPLE = st.lists(
    st.fixed_dictionaries(
        {}, optional={kind: st.lists(st.integers(0, 10**6), max_size=4) for kind in ("email", "phone", "idfa", "gaid", "zip")}
    ).map(of_person),
    max_size=40,
)


@each_platform
@given(people=PEOPLE, adding=st.booleans())
def test_batches_hold_every_identifier_once(platform: str, people: list[dict[str, list[str]]], adding: bool) -> None:
    """What is cut into batches is exactly what went in, each identifier as often; and each batch's request is as described."""
    part = PARTS[platform]
    keys = [part.keys(person) for person in people]
    batches = list(part.cut(adding, keys))

    assert Counter(chain.from_iterable(keys)) == Counter(chain.from_iterable(batch.keys for batch in batches))
    assert {key.partition(":")[0] for key in chain.from_iterable(keys)} <= set(part.kinds)
    for batch in batches:
        assert batch.adding is adding
        assert 0 < len(batch.rows) <= part.batch
        assert all(batch.rows)
        assert not complaints(platform, part.change(ACCOUNT, HELD, batch))


@each_platform
def test_a_batch_is_as_large_as_may_be_and_no_larger(platform: str) -> None:
    """Ten batches and one person make eleven requests."""
    part = PARTS[platform]
    batches = list(part.cut(True, ((f"email:{number:064x}",) for number in range(10 * part.batch + 1))))

    assert [part.batch] * 10 + [1] == [len(batch.rows) for batch in batches]
    assert all(len(part.change(ACCOUNT, HELD, batch).body) <= 1_000_000 for batch in batches)


@each_platform
@given(people=PEOPLE)
def test_halves_come_down_to_single_identifiers(platform: str, people: list[dict[str, list[str]]]) -> None:
    """Halves hold what the whole held, are smaller, and end in identifiers that stand alone."""
    part = PARTS[platform]
    waiting = list(part.cut(True, [part.keys(person) for person in people]))
    before = Counter(chain.from_iterable(batch.keys for batch in waiting))
    alone: list[Batch] = []
    while waiting:
        batch = waiting.pop()
        if batch.alone:
            alone.append(batch)
            continue
        halves = batch.halves()
        assert len(halves) > 1
        assert all(not complaints(platform, part.change(ACCOUNT, HELD, half)) for half in halves)
        waiting += halves

    assert before == Counter(chain.from_iterable(batch.keys for batch in alone))


def test_identifiers_are_the_very_ones_of_events() -> None:
    """What an audience knows a person by is, digest for digest, what events of that person carry."""
    event = pipelines.read_message(
        json.dumps(
            {
                "type": "track",
                "event": "Order Completed",
                "userId": "42",
                "messageId": "m1",
                "context": {
                    "traits": {"email": " Jane.Doe+shop@Example.com", "phone": "(415) 555-0123"},
                    "device": {"type": "ios", "advertisingId": "ab12cd34-1234-4abc-8def-1234567890ab"},
                    "app": {"name": "Shop"},
                },
            }
        ).encode(),
        source="shop",
        received_at=1_795_305_600_000,
    )
    person = identity.learn(Person(id=1), event, identity.keys(identity.named(event), country="US"), {})
    order = orders.read(event, definition="net", default_currency="USD")
    sent = {}
    for platform, name in (("tiktok", "Purchase"), ("pinterest", "checkout")):
        signal = Signal(
            event=event, name="Order Completed", platform_event=name, event_id="m1", person=person, order=order, limited=False
        )
        sent[platform] = json.loads(mapping.compile(CATALOG[platform], Options(type=platform))(signal))
    tiktok, pinterest = PARTS["tiktok"].keys(person.keys), PARTS["pinterest"].keys(person.keys)

    user, data = sent["tiktok"]["user"], sent["pinterest"]["user_data"]
    assert (f"email:{sha256('jane.doe+shop@example.com')}", f"phone:{sha256('+14155550123')}") == tiktok[:2]
    assert f"email:{_first(user['email'])}" == tiktok[0]
    assert f"phone:{_first(user['phone'])}" == tiktok[1]
    assert (f"email:{_first(data['em'])}", f"idfa:{_first(data['hashed_maids'])}") == pinterest
    assert tiktok[2] == pinterest[1] == f"idfa:{sha256('AB12CD34-1234-4ABC-8DEF-1234567890AB')}"


def _first(value: str | list[str]) -> str:
    return value if isinstance(value, str) else value[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(PERSONAL),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
ROW = st.dictionaries(
    st.sampled_from(["id", "audience_id", "name", "status", "size", "cover_num", "is_valid", "is_creator", "rule", "exceptions"])
    | st.sampled_from(["targeting_spec", "audience_details", "msg", "error_msg", "adgroup_id", "usage_mode", "ad_account_id"]),
    JSON | st.sampled_from(["643", "7100000000000000001"[:18], True]),
    max_size=8,
)
BODY = st.one_of(
    st.binary(),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.builds(
        lambda top, inner: json.dumps({**inner, **top}).encode(),
        st.fixed_dictionaries(
            {},
            optional={
                "code": st.sampled_from([0, 20001, 40001, 40002, 40007, 40050, 40100, 40105, 40910, 50000, 2, 3, 8, 29]) | JSON,
                "message": st.sampled_from(["audience does not exist", "Ad account not found", *PERSONAL]) | st.text() | JSON,
                "data": st.fixed_dictionaries({}, optional={"list": st.lists(ROW) | JSON, "file_path": JSON, "audience_id": JSON})
                | JSON,
                "items": st.lists(ROW, max_size=3) | JSON,
                "bookmark": st.sampled_from(["b1", None, ""]) | JSON,
            },
        ),
        ROW,
    ),
)
STATUS = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 408, 410, 413, 422, 429, 500, 503]) | st.integers(100, 599)
HEADERS = st.fixed_dictionaries({}, optional={"retry-after": st.text(max_size=9) | st.integers(0, 10**12).map(str)})
RESPONSE = st.builds(lambda status, headers, body: Response(status=status, headers=headers, body=body), STATUS, HEADERS, BODY)

ONE = Batch(True, ((f"email:{DIGEST}",),))
TWO = Batch(False, ((f"email:{DIGEST}",), (f"email:{DIGEST[::-1]}",)))


def well_formed(answer: Answer) -> None:
    """A sentence, nothing personal in it, and a wait that can be waited."""
    assert answer.sentence.strip()
    assert not any(secret in answer.sentence for secret in PERSONAL)
    assert answer.after is None or 0 <= answer.after <= 86_400


@each_platform
@given(response=RESPONSE, batch=st.sampled_from([ONE, TWO, None]), held=st.sampled_from([Held(), HELD, Held(list_id="643")]))
def test_any_answer_is_read(platform: str, response: Response, batch: Batch | None, held: Held) -> None:
    """Any status, headers and body have one meaning, with its sentence; taken never without a 2xx, split never alone."""
    part = PARTS[platform]
    answer = part.changed(response, batch)

    well_formed(answer)
    assert answer.kind != "taken" or 200 <= response.status < 300
    assert answer.kind != "split" or (batch is not None and not batch.alone)
    made = part.made(response, held, batch)
    if isinstance(made, Answer):
        well_formed(made)
        assert made.kind != "taken"
    else:
        assert 200 <= response.status < 300
        assert made.held.id or (made.held.list_id and not made.complete)
    if part.files:
        path = part.files.uploaded(response)
        assert isinstance(path, str) or path.kind != "taken"


def driven(asking: Generator[Request, Response, Any], answers: list[Response]) -> tuple[list[Request], Any]:
    """All requests of a generator that is given these answers one after the other, the last one ever again; and its end."""
    asked = []
    try:
        asked.append(next(asking))
        while True:
            asked.append(asking.send(answers.pop(0) if len(answers) > 1 else answers[0]))
    except StopIteration as end:
        return asked, end.value


@each_platform
@given(answers=st.lists(RESPONSE, min_size=1, max_size=4), on=st.booleans(), use=st.sampled_from(["include", "exclude"]))
def test_every_look_ends_and_every_request_of_it_is_as_described(
    platform: str, answers: list[Response], on: bool, use: Any
) -> None:
    """Whatever is answered, looking, finding and applying end after few requests, each of which the platform describes."""
    part = PARTS[platform]
    for asking in (
        part.look(ACCOUNT, HELD),
        part.find(ACCOUNT, "Cart"),
        part.users(ACCOUNT, HELD),
        part.apply(ACCOUNT, HELD, ["2680060704746", "2680060704747"], use, on),
    ):
        asked, end = driven(asking, list(answers))
        assert len(asked) <= 90
        for request in asked:
            assert "secret-token" not in request.url
            if request.method == "GET" or platform == "tiktok":
                assert not complaints(platform, request)
        if isinstance(end, Answer):
            well_formed(end)
        elif hasattr(end, "sentence"):
            assert end.sentence.strip()


@each_platform
def test_making_and_dropping_are_as_described(platform: str) -> None:
    """Each step of making an audience, with whatever title, and deleting one, are requests the platform describes."""
    part = PARTS[platform]
    for title in ("Cart", "Käufer ❤ 14 Tage", "x" * 300):
        for held in (Held(), Held(list_id="643")):
            assert not complaints(platform, part.make(ACCOUNT, title, held, ONE))
    assert not complaints(platform, part.drop(ACCOUNT, HELD))


@each_platform
def test_the_audience_token_is_used_where_there_is_one(platform: str) -> None:
    """`audience_token` asks; without one the destination's others do."""
    part = PARTS[platform]
    with_token = Account({**ACCOUNT.settings, "audience_token": "of-audiences"}, ACCOUNT.base)

    assert "of-audiences" in str(part.change(with_token, HELD, ONE).headers)
    assert "secret-token" not in str(part.change(with_token, HELD, ONE).headers)
    assert "secret-token" in str(part.change(ACCOUNT, HELD, ONE).headers)


@each_platform
def test_the_declaration_holds_together(platform: str) -> None:
    """Words for people end as sentences do, figures are figures, and the platform's settings have a token for audiences."""
    part = PARTS[platform]

    assert part.doc.endswith(".")
    assert part.minimum > 0
    assert part.batch > 0
    assert part.minimum_is
    assert part.pace
    assert "audience_token" in {setting.name for setting in CATALOG[platform].settings if setting.secret}
    assert msgspec.json.encode(part.kinds)
