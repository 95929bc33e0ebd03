"""Pinterest's audiences: exact requests, what each answer means, and conversations over lists, audiences and ad groups."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec
import pytest
from tests.destinations.described import complaints

from signalpost.destinations import pinterest_audiences as pinterest
from signalpost.destinations.audiences import Account, Answer, Batch, Held, Made, Seen
from signalpost.destinations.contract import Request, Response

ACCOUNT = Account({"ad_account": "549755885175", "access_token": "t"}, "https://api.pinterest.com")
HELD = Held(id="2542000000001", list_id="643")
A, B, C = (letter * 64 for letter in "abc")
BOTH = Batch(True, ((f"email:{A}",), (f"idfa:{B}",)))
ALONE = Batch(False, ((f"email:{A}",),))
LIST = {"id": "643", "name": "Cart", "status": "PROCESSING", "exceptions": {}}
AUDIENCE = {
    "id": "2542000000001",
    "ad_account_id": "549755885175",
    "name": "Cart",
    "status": "READY",
    "size": 1204,
    "rule": {"customer_list_id": "643"},
}
GROUP = {"id": "2680060704746", "targeting_spec": {"LOCATION": ["US"], "GENDER": None, "AUDIENCE_EXCLUDE": ["11"]}}


def said(content: object, status: int = 200) -> Response:
    """An answer as Pinterest writes it."""
    return Response(status=status, headers={}, body=msgspec.json.encode(content))


def wrong(status: int, code: int, message: str = "") -> Response:
    """An error as Pinterest writes it."""
    return said({"code": code, "message": message}, status)


def body(request: Request) -> Any:
    """What is asked."""
    return msgspec.json.decode(request.body)


def driven(asking: Generator[Request, Response, Any], *answers: Response) -> tuple[list[Request], Any]:
    """The requests of a conversation, each as described, and its end."""
    asked = [next(asking)]
    for answer in answers:
        assert not complaints("pinterest", asked[-1])
        try:
            asked.append(asking.send(answer))
        except StopIteration as end:
            return asked, end.value
    raise AssertionError("it asks for more")


def test_records_are_one_text() -> None:
    """Digests with commas between them, kinds mixed, added or removed."""
    request = pinterest.change(ACCOUNT, HELD, BOTH)

    assert (request.method, request.url) == (
        "PATCH",
        "https://api.pinterest.com/v5/ad_accounts/549755885175/customer_lists/643",
    )
    assert {"operation_type": "ADD", "records": f"{A},{B}"} == body(request)
    assert {"operation_type": "REMOVE", "records": A} == body(pinterest.change(ACCOUNT, HELD, ALONE))
    assert not complaints("pinterest", request)


def test_an_audience_is_made_in_two_steps() -> None:
    """The list with the first people in it, then the audience around it; each step says what is held from then on."""
    request = pinterest.make(ACCOUNT, "Cart", Held(), BOTH)
    assert {"name": "Cart", "list_type": "EMAIL", "records": f"{A},{B}"} == body(request)
    step = pinterest.made(said(LIST), Held(), BOTH)
    assert Made(held=Held(list_id="643"), complete=False, took=True) == step

    request = pinterest.make(ACCOUNT, "Cart", Held(list_id="643"), BOTH)
    assert {"audience_type": "CUSTOMER_LIST", "name": "Cart", "rule": {"customer_list_id": "643"}} == body(request)
    assert Made(held=HELD, complete=True, took=False) == pinterest.made(said(AUDIENCE), Held(list_id="643"), BOTH)

    with pytest.raises(ValueError, match="without records"):
        pinterest.make(ACCOUNT, "Cart", Held(), None)
    refused = pinterest.made(wrong(400, 1, "Invalid records"), Held(), BOTH)
    assert isinstance(refused, Answer)
    assert refused.kind == "split"


@pytest.mark.parametrize(
    ("response", "kind", "reached"),
    [
        (said(LIST), "taken", True),
        (said({}), "retry", True),
        (Response(status=200, headers={}, body=b"ok"), "retry", True),
        (said({**LIST, "exceptions": {"code": 7, "message": "Bad records"}}), "refused", True),
        (wrong(400, 1, "Invalid records"), "refused", True),
        (wrong(401, 2, "Authentication failed."), "unauthorised", False),
        (wrong(403, 3, "Authorization failed."), "unauthorised", False),
        (wrong(403, 29, "You are not permitted to access that resource."), "unauthorised", False),
        (wrong(403, 29, "You are not permitted to access that customer list."), "foreign", True),
        (wrong(403, 12345), "unauthorised", False),
        (wrong(404, 2, "AdAccount not found."), "unauthorised", False),
        (wrong(404, 50, "Customer list not found."), "gone", True),
        (wrong(410, 50), "gone", True),
        (wrong(429, 8, "Too many requests"), "retry", False),
        (wrong(500, 11, "Oops"), "retry", True),
        (wrong(302, 0), "unauthorised", False),
    ],
)
def test_an_answer_means_exactly_that(response: Response, kind: str, reached: bool) -> None:
    """Status, code and body together decide; a 200 without the list in it, or with exceptions, is not acceptance."""
    answer = pinterest.changed(response, ALONE)

    assert (kind, reached) == (answer.kind, answer.reached)
    assert answer.sentence
    assert ("split" if kind == "refused" else kind) == pinterest.changed(response, BOTH).kind


@pytest.mark.parametrize(
    ("audience", "behind", "expected"),
    [
        (AUDIENCE, {**LIST, "status": "READY"}, (1204, "READY", True)),
        ({**AUDIENCE, "size": None, "status": "INITIALIZING"}, LIST, (None, "INITIALIZING", False)),
        ({**AUDIENCE, "size": 84, "status": "TOO_SMALL"}, {**LIST, "status": "TOO_SMALL"}, (84, "TOO_SMALL", False)),
        ({**AUDIENCE, "status": "ELIGIBLE"}, LIST, (1204, "ELIGIBLE", False)),
    ],
)
def test_looking_tells_size_and_use(audience: dict[str, Any], behind: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Size, status and usability are Pinterest's; a status it may invent is repeated."""
    _, seen = driven(pinterest.look(ACCOUNT, HELD), said(audience), said(behind))

    assert isinstance(seen, Seen)
    assert expected == (seen.size, seen.status, seen.usable)
    assert seen.sentence.endswith(".")


def test_what_is_missing_or_foreign_is_found_by_looking() -> None:
    """The audience or its list may be gone, and the audience may be another account's."""
    assert driven(pinterest.look(ACCOUNT, HELD), wrong(404, 50, "Audience not found."))[1].kind == "gone"
    assert driven(pinterest.look(ACCOUNT, HELD), said(AUDIENCE), wrong(404, 50, "Not found"))[1].kind == "gone"
    assert driven(pinterest.look(ACCOUNT, HELD), said({**AUDIENCE, "ad_account_id": "1"}))[1].kind == "foreign"
    not_permitted = wrong(403, 29, "You are not permitted to access that resource.")
    assert driven(pinterest.look(ACCOUNT, HELD), not_permitted, said({"items": []}))[1].kind == "foreign"
    assert driven(pinterest.look(ACCOUNT, HELD), not_permitted, not_permitted)[1].kind == "unauthorised"


def test_what_was_made_is_found_again() -> None:
    """The newest list of the title over all pages, and the newest audience around it: what a lost answer left behind."""
    pages = [said({"items": [{"id": "1", "name": "Other"}], "bookmark": "next"}), said({"items": [LIST], "bookmark": None})]

    asked, found = driven(pinterest.find(ACCOUNT, "Cart"), *pages, said({"items": [{**AUDIENCE, "rule": None}, AUDIENCE]}))
    assert found == HELD
    assert "bookmark=next" in asked[1].url
    assert Held(list_id="643") == driven(pinterest.find(ACCOUNT, "Cart"), said({"items": [LIST]}), said({"items": []}))[1]
    assert Held() == driven(pinterest.find(ACCOUNT, "Cart"), said({"items": []}))[1]


def test_an_ad_group_keeps_the_rest_of_its_targeting() -> None:
    """The whole targeting goes back with one list changed; include and exclude are separate lists."""
    asked, answer = driven(
        pinterest.apply(ACCOUNT, HELD, [GROUP["id"]], "exclude", True),  # type: ignore[list-item]
        said(GROUP),
        said({"items": [{"data": GROUP, "exceptions": []}]}),
    )

    assert answer.kind == "taken"
    assert [
        {
            "id": "2680060704746",
            "targeting_spec": {"LOCATION": ["US"], "GENDER": None, "AUDIENCE_EXCLUDE": ["11", "2542000000001"]},
        }
    ] == body(asked[1])


def test_an_ad_group_that_is_as_it_should_be_is_left_alone() -> None:
    """Applied twice asks once; taken off leaves the others."""
    there = {**GROUP, "targeting_spec": {"AUDIENCE_EXCLUDE": ["11", HELD.id]}}
    asked, answer = driven(pinterest.apply(ACCOUNT, HELD, ["2680060704746"], "exclude", True), said(there))
    assert (answer.kind, len(asked)) == ("taken", 1)

    off = pinterest.apply(ACCOUNT, HELD, ["2680060704746"], "exclude", False)
    asked, answer = driven(off, said(there), said({"items": [{"data": GROUP}]}))
    assert body(asked[1])[0]["targeting_spec"] == {"AUDIENCE_EXCLUDE": ["11"]}


def test_a_refused_ad_group_is_told_and_is_no_lost_audience() -> None:
    """An unknown ad group or one with exceptions is refused with its number; bad credentials stay bad credentials."""

    def apply() -> Generator[Request, Response, Answer]:
        return pinterest.apply(ACCOUNT, HELD, ["2680060704746"], "include", True)

    unknown = driven(apply(), wrong(404, 4, "Ad group not found"))[1]
    excepted = driven(apply(), said(GROUP), said({"items": [{"exceptions": [{"code": 7, "message": "Too small"}]}]}))[1]

    assert (unknown.kind, excepted.kind) == ("refused", "refused")
    assert "2680060704746" in unknown.sentence
    assert "Too small" in excepted.sentence
    assert driven(apply(), wrong(403, 3))[1].kind == "unauthorised"


def test_who_uses_it_is_read_from_ad_groups() -> None:
    """Every ad group whose targeting names it, on all pages."""
    included = {"id": "7", "targeting_spec": {"AUDIENCE_INCLUDE": [HELD.id], "AUDIENCE_EXCLUDE": None}}
    excluded = {"id": "8", "targeting_spec": {"AUDIENCE_EXCLUDE": [HELD.id]}}
    pages = [said({"items": [included, GROUP], "bookmark": "b"}), said({"items": [excluded, {"id": "9"}]})]

    assert (("7", "include"), ("8", "exclude")) == driven(pinterest.users(ACCOUNT, HELD), *pages)[1]
