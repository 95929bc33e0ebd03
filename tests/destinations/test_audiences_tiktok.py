"""TikTok's audiences: exact requests, what each code means, files, and looking."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Generator
from email import message_from_bytes
from typing import Any

import msgspec
import pytest
from tests.destinations.described import complaints

from signalpost.destinations import tiktok_audiences as tiktok
from signalpost.destinations import tiktok_codes
from signalpost.destinations.audiences import Account, Answer, Batch, Held, Made, Seen
from signalpost.destinations.contract import Request, Response

ACCOUNT = Account({"advertiser": "7000000000000000001", "access_token": "t"}, "https://business-api.tiktok.com")
HELD = Held(id="7100000000000000001")
A, B, C, D, E = (letter * 64 for letter in "abcde")

BOTH = Batch(True, ((f"email:{A}", f"phone:{B}"), (f"email:{C}",)))
ALONE = Batch(True, ((f"email:{A}",),))


def said(code: int, message: str = "OK", data: object = None, status: int = 200) -> Response:
    """An answer as TikTok writes it."""
    body = {"code": code, "message": message, "request_id": "r1", "data": data or {}}
    return Response(status=status, headers={}, body=msgspec.json.encode(body))


def body(request: Request) -> Any:
    """What is asked."""
    return msgspec.json.decode(request.body)


def driven(asking: Generator[Request, Response, Any], *answers: Response) -> tuple[list[Request], Any]:
    """The requests of a conversation, each as described, and its end."""
    asked = [next(asking)]
    for answer in answers:
        assert not complaints("tiktok", asked[-1])
        try:
            asked.append(asking.send(answer))
        except StopIteration as end:
            return asked, end.value
    raise AssertionError("it asks for more")


def test_a_row_has_a_place_for_each_kind() -> None:
    """Identifiers stand by position of `id_schema`, with `{}` where a person has none, and name the audience."""
    request = tiktok.change(ACCOUNT, HELD, BOTH)

    assert request.url == "https://business-api.tiktok.com/open_api/v1.3/segment/mapping/"
    assert request.headers["access-token"] == "t"
    assert {
        "advertiser_ids": ["7000000000000000001"],
        "action": "add",
        "id_schema": ["EMAIL_SHA256", "PHONE_SHA256"],
        "batch_data": [
            [{"id": A, "audience_ids": [HELD.id]}, {"id": B, "audience_ids": [HELD.id]}],
            [{"id": C, "audience_ids": [HELD.id]}, {}],
        ],
    } == body(request)
    assert body(tiktok.change(ACCOUNT, HELD, Batch(False, BOTH.rows)))["action"] == "delete"


def test_kinds_of_devices_do_not_meet_in_a_request() -> None:
    """A person with both kinds of device ids and two e-mails is in two rows of two requests; others fill the room."""
    keys = tiktok.keys({"email": [A, B], "phone": [C], "idfa": [D], "gaid": [E]})
    first, second = tiktok.cut(True, [keys, (f"email:{E}",)])

    assert ((f"email:{A}", f"phone:{C}", f"idfa:{D}"), (f"email:{E}",)) == first.rows
    assert ((f"email:{B}", f"gaid:{E}"),) == second.rows


CODES = [
    *((code, "retry") for code in (*tiktok_codes.RETRIES, *tiktok_codes.TROUBLES, *tiktok.FILES, 50123)),
    *((code, "unauthorised") for code in tiktok.UNAUTHORISED),
    *((code, "refused") for code in (*tiktok.REFUSALS, 20001, 12345)),
    (0, "taken"),
    (40050, "taken"),
    (40007, "gone"),
]


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_every_code_has_its_meaning(code: int, kind: str) -> None:
    """Each code of the tables has its class, is named for support, and what is refused alone is halved in company."""
    answer = tiktok.changed(said(code, ""), ALONE)

    assert (kind, str(code)) == (answer.kind, answer.code)
    assert answer.sentence.endswith(".")
    assert ("split" if kind == "refused" else kind) == tiktok.changed(said(code, ""), BOTH).kind


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (40002, "custom_audience_id: audience does not exist", "gone"),
        (40002, "The audience has been deleted", "gone"),
        (40002, "Invalid id in batch_data.0.0", "refused"),
        (40001, "You have no permission to the audience", "foreign"),
        (40001, "audience_ids do not belong to advertiser_ids", "foreign"),
        (40001, "No permission to operate", "unauthorised"),
        (40102, "Request too frequent", "retry"),
    ],
)
def test_words_tell_what_a_code_leaves_open(code: int, message: str, kind: str) -> None:
    """An audience that is gone or another's is told from a bad identifier and from bad credentials."""
    assert kind == tiktok.changed(said(code, message), ALONE).kind


def test_waits_are_heeded() -> None:
    """Too many requests: again after what TikTok asks, and nothing was processed."""
    answer = tiktok.changed(
        Response(status=200, headers={"retry-after": "300"}, body=msgspec.json.encode({"code": 40100, "message": ""})), BOTH
    )

    assert ("retry", 300.0, False) == (answer.kind, answer.after, answer.reached)
    assert tiktok.changed(Response(status=502, headers={}, body=b"<html>"), BOTH).reached


def test_making_one_names_it() -> None:
    """A new audience is empty, has its title, and its id is the answer's; a title that TikTok would cut is cut before."""
    request = tiktok.make(ACCOUNT, "Cart, 6 to 24 h", Held(), BOTH)

    assert {"advertiser_id": "7000000000000000001", "action": "create", "custom_audience_name": "Cart, 6 to 24 h"} == body(
        request
    )
    long = [body(tiktok.make(ACCOUNT, "x" * 80 + end, Held(), None))["custom_audience_name"] for end in "ab"]
    assert all(len(name) <= 70 for name in long)
    assert long[0] != long[1]
    assert Made(held=HELD, complete=True, took=False) == tiktok.made(said(0, data={"audience_id": HELD.id}), Held(), BOTH)
    assert Made(held=HELD, complete=True, took=False) == tiktok.made(said(0, data={"custom_audience_id": HELD.id}), Held(), None)
    nameless = tiktok.made(said(0), Held(), None)
    assert isinstance(nameless, Answer)
    assert (nameless.kind, nameless.reached) == ("retry", True)


def test_a_file_is_what_its_signature_says() -> None:
    """The upload is a form with a CSV file of one column a kind, signed with its MD5; the standard library reads it back."""
    (batch,) = tiktok.cut_for_files(True, [tiktok.keys({"email": [A, B], "idfa": [D], "gaid": [E]}), (f"phone:{C}",)])
    request = tiktok.upload(ACCOUNT, batch)
    parts = message_from_bytes(f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode() + request.body).get_payload()
    fields = {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in parts}  # type: ignore[union-attr]
    rows = list(csv.DictReader(io.StringIO(fields["file"].decode())))  # type: ignore[union-attr]

    assert not complaints("tiktok", request)
    assert fields["file_signature"] == hashlib.md5(fields["file"]).hexdigest().encode()  # type: ignore[arg-type]
    assert b"MULTIPLE_TYPES" == fields["calculate_type"]
    assert [
        {"email_SHA256": A, "phone_SHA256": "", "MAID_SHA256": D},
        {"email_SHA256": B, "phone_SHA256": "", "MAID_SHA256": E},
        {"email_SHA256": "", "phone_SHA256": C, "MAID_SHA256": ""},
    ] == rows
    assert "5a1b" == tiktok.uploaded(said(0, data={"file_path": "5a1b"}))


def test_files_never_replace_everybody() -> None:
    """A change by files always says APPEND or REMOVE, since without a word TikTok replaces; making one says the kind."""
    path = "0123456789abcdef"
    make = tiktok.make_of_files(ACCOUNT, "Buyers", [path])

    assert not complaints("tiktok", make)
    assert body(make)["calculate_type"] == "MULTIPLE_TYPES"
    for adding, action in ((True, "APPEND"), (False, "REMOVE")):
        request = tiktok.change_by_files(ACCOUNT, HELD, adding, [path])
        assert not complaints("tiktok", request)
        assert (action, [path], HELD.id) == tuple(body(request)[name] for name in ("action", "file_paths", "custom_audience_id"))


def test_too_few_left_by_files_is_said() -> None:
    """TikTok refuses a file that leaves fewer than 1,000, and the sentence says so."""
    answer = tiktok.changed(said(40002, "audience size is less than 1000 after the operation"), None)

    assert answer.kind == "refused"
    assert "1,000" in answer.sentence


DETAILS = {"audience_id": HELD.id, "name": "Cart", "cover_num": 84, "is_valid": False, "is_creator": True}


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (DETAILS, (84, "not valid", False)),
        ({**DETAILS, "is_valid": True, "cover_num": 1204}, (1204, "valid", True)),
        ({**DETAILS, "is_valid": True, "is_expiring": True}, (84, "expiring", True)),
        ({**DETAILS, "cover_num": -1}, (None, "not valid", False)),
    ],
)
def test_looking_tells_size_and_use(details: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Size, status and usability are TikTok's, whether its rows are nested or not."""
    for row in (details, {"audience_details": details, "audience_history": []}):
        asked, seen = driven(tiktok.look(ACCOUNT, HELD), said(0, data={"list": [row]}))
        assert isinstance(seen, Seen)
        assert expected == (seen.size, seen.status, seen.usable)
        assert seen.sentence.endswith((".", "h."))
        assert len(asked) == 1


def test_a_missing_or_foreign_audience_is_found_by_looking() -> None:
    """A list without it means that it is gone; one that another made is not ours."""
    assert driven(tiktok.look(ACCOUNT, HELD), said(0, data={"list": []}))[1].kind == "gone"
    foreign = {**DETAILS, "is_creator": False}
    assert driven(tiktok.look(ACCOUNT, HELD), said(0, data={"list": [foreign]}))[1].kind == "foreign"
    assert driven(tiktok.look(ACCOUNT, HELD), said(40105))[1].kind == "unauthorised"


def test_a_lost_audience_is_found_by_its_title() -> None:
    """All pages are read; the newest of the same title that is ours is it, and none is none."""
    others = [{"audience_id": str(number), "name": "Other"} for number in range(100)]
    last = [{"audience_id": "9", "name": "Cart"}, {"audience_id": "10", "name": "Cart"}]
    shared = [{"audience_id": "11", "name": "Cart", "is_creator": False}]
    asked, found = driven(tiktok.find(ACCOUNT, "Cart"), said(0, data={"list": others}), said(0, data={"list": last + shared}))

    assert Held(id="10") == found
    assert ["page=1&" in asked[0].url, "page=2&" in asked[1].url] == [True, True]
    assert Held() == driven(tiktok.find(ACCOUNT, "Cart"), said(0, data={"list": []}))[1]


@pytest.mark.parametrize(
    ("use", "on", "mode", "usage"),
    [("include", True, "Apply", "Include"), ("exclude", True, "Apply", "Exclude"), ("exclude", False, "Disconnect", "Exclude")],
)
def test_ad_groups_are_told(use: Any, on: bool, mode: str, usage: str) -> None:
    """One request applies or disconnects all ad groups; a refusal is told with a sentence, not as a bad batch."""
    asked, taken = driven(tiktok.apply(ACCOUNT, HELD, ["1", "2"], use, on), said(0))

    assert (mode, usage, ["1", "2"]) == tuple(body(asked[0])[name] for name in ("action_mode", "usage_mode", "adgroup_ids"))
    assert taken.kind == "taken"
    refused = driven(tiktok.apply(ACCOUNT, HELD, ["1"], use, on), said(40002, "ad group is in Reach & Frequency"))[1]
    assert refused.kind == "refused"
    assert "ad groups" in refused.sentence
    unknown = driven(tiktok.apply(ACCOUNT, HELD, ["1"], use, on), said(40007, "Ad group 1 does not exist"))[1]
    assert unknown.kind == "refused", "what is missing is the ad group, not the audience"


def test_who_uses_it_is_read_from_the_log() -> None:
    """Ad groups and how they use it, each once."""
    rows = [
        {"audience_id": HELD.id, "adgroup_id": "1", "usage_mode": "Include"},
        {"audience_id": HELD.id, "adgroup_id": "1", "usage_mode": "Include"},
        {"audience_id": HELD.id, "adgroup_id": 2, "usage_mode": "Exclude"},
        {"audience_id": HELD.id, "adgroup_id": "3"},
    ]

    assert (("1", "include"), ("2", "exclude")) == driven(tiktok.users(ACCOUNT, HELD), said(0, data={"list": rows}))[1]


def test_audiences_need_an_advertiser() -> None:
    """Without the option there is a sentence; with it nothing is missing."""
    assert "advertiser" in tiktok.needs({"access_token": "t"})
    assert tiktok.needs(ACCOUNT.settings) == ""
