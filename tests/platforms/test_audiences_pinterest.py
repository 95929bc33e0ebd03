"""Pinterest's emulator of lists, audiences and ad groups; every answer is held against the official description."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalpost.platforms.pinterest import description, json_schema
from signalpost.platforms.settings import Settings
from signalpost.platforms.testing import Client

DESCRIPTION = description("audiences")
DEFINITIONS = json_schema(DESCRIPTION["components"]["schemas"])
GROUPS = Settings().pinterest_ad_groups
DAY = 86_400_000


def sha(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()


def records(*names: object) -> str:
    return ",".join(map(sha, names))


def ask(platforms: Client, method: str, path: str, body: object = None, **query: Any) -> tuple[int, Any]:
    """Ask, hold the answer against what the description says of that operation, by another validator, and return it."""
    answer = platforms.pinterest(method, path, body, **query)
    assert answer.headers["x-pinterest-rid"]
    verbs = next(
        verbs
        for template, verbs in DESCRIPTION["paths"].items()
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template.removeprefix("/ad_accounts/{ad_account_id}")), path)
    )
    told = verbs[method.lower()]["responses"]
    response = told.get(str(answer.status_code), told["default"])
    schema = json_schema(response["content"]["application/json"]["schema"])
    jsonschema.Draft202012Validator({"allOf": [schema], "$defs": DEFINITIONS}).validate(answer.json())
    if answer.status_code != 200:
        assert set(answer.json()) == {"code", "message"}
    return answer.status_code, answer.json()


def good(platforms: Client, method: str, path: str, body: object = None, **query: Any) -> Any:
    status, content = ask(platforms, method, path, body, **query)
    assert status == 200, content
    return content


def refused(platforms: Client, method: str, path: str, body: object = None, **query: Any) -> tuple[int, int, str]:
    status, content = ask(platforms, method, path, body, **query)
    assert status != 200, content
    return status, content["code"], content["message"]


def make_list(platforms: Client, *names: object) -> str:
    made = good(platforms, "POST", "/customer_lists", {"name": "Buyers", "records": records(*names)})
    list_id: str = made["id"]
    return list_id


def wrap(platforms: Client, list_id: str) -> str:
    body = {"audience_type": "CUSTOMER_LIST", "name": "Buyers", "rule": {"customer_list_id": list_id}}
    audience_id: str = good(platforms, "POST", "/audiences", body)["id"]
    return audience_id


def change(platforms: Client, list_id: str, way: str, *names: object) -> Any:
    return good(platforms, "PATCH", f"/customer_lists/{list_id}", {"operation_type": way, "records": records(*names)})


def target(platforms: Client, group: str, **targeting: object) -> dict[str, Any]:
    [item] = good(platforms, "PATCH", "/ad_groups", [{"id": group, "targeting_spec": targeting}])["items"]
    found: dict[str, Any] = item
    return found


def test_records_come_and_go(platforms: Client) -> None:
    """A list has exactly what was added and not removed since; both counters rise for repeats and strangers too."""
    list_id = make_list(platforms, "a", "b", "b")
    told = change(platforms, list_id, "ADD", "b", "c")
    assert (told["num_uploaded_user_records"], told["num_removed_user_records"], told["num_batches"]) == (5, 0, 2)
    told = change(platforms, list_id, "REMOVE", "a", "z")
    assert (told["num_uploaded_user_records"], told["num_removed_user_records"], told["num_batches"]) == (5, 2, 3)
    assert platforms.members(list_id) == platforms.members(wrap(platforms, list_id)) == {sha("b"), sha("c")}
    [shown] = platforms.audiences("pinterest", changes="true")
    assert [(each["action"], each["given"], each["changed"]) for each in shown["changes"]] == [
        ("add", 3, 2),
        ("add", 2, 1),
        ("remove", 2, 1),
    ]
    assert platforms.audience_requests("pinterest") == {
        "customer_lists/create": 1,
        "customer_lists/update": 2,
        "audiences/create": 1,
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["ADD", "REMOVE"]), st.lists(st.integers(0, 9), min_size=1, max_size=5)), max_size=8),
)
def test_the_set_is_what_the_requests_make_of_it(platforms: Client, requests: list[tuple[str, list[int]]]) -> None:
    """After any requests a list has exactly what adding and removing one by one would leave."""
    list_id, wanted = make_list(platforms, "first"), {sha("first")}
    for way, names in requests:
        change(platforms, list_id, way, *names)
        wanted = wanted | set(map(sha, names)) if way == "ADD" else wanted - set(map(sha, names))
    assert platforms.members(list_id) == wanted


def test_what_a_record_may_be(platforms: Client) -> None:
    """Digests of the three kinds and plain lower-case addresses are taken, in one string that may end in a comma."""
    sha1, md5 = hashlib.sha1(b"a", usedforsecurity=False), hashlib.md5(b"a", usedforsecurity=False)
    mixed = f"{sha('a')},{sha1.hexdigest()},{md5.hexdigest()},jane@example.com,"
    list_id = good(platforms, "POST", "/customer_lists", {"name": "x", "records": mixed, "list_type": "MAID"})["id"]
    assert {kind: len(keys) for kind, keys in platforms.members_by_kind(list_id).items()} == {
        "SHA256": 1,
        "SHA1": 1,
        "MD5": 1,
        "plain": 1,
    }


# name: (body, part of the message)
BROKEN_LISTS: dict[str, tuple[object, str]] = {
    "no name": ({"records": sha("a")}, '"name" is a required property'),
    "empty name": ({"name": " ", "records": sha("a")}, '"name" is empty'),
    "no records": ({"name": "x"}, '"records" is a required property'),
    "records as list": ({"name": "x", "records": [sha("a")]}, 'is not of type "string"'),
    "empty records": ({"name": "x", "records": ""}, "record 0 is neither"),
    "unknown type": ({"name": "x", "records": sha("a"), "list_type": "PHONE"}, "is not one of"),
    "capital hash": ({"name": "x", "records": sha("a").upper()}, "record 0 is neither"),
    "capital address": ({"name": "x", "records": f"{sha('a')},Jane@example.com"}, "record 1 is neither"),
    "space": ({"name": "x", "records": f"{sha('a')}, {sha('b')}"}, "record 1 is neither"),
    "hole": ({"name": "x", "records": f"{sha('a')},,{sha('b')}"}, "record 1 is neither"),
    "short hash": ({"name": "x", "records": sha("a")[:63]}, "record 0 is neither"),
    "phone": ({"name": "x", "records": "+12025550123"}, "record 0 is neither"),
    "too many": ({"name": "x", "records": records(*range(10_001))}, "10001 records, at most 10000"),
    "too long": ({"name": "x" * 1_000_001, "records": sha("a")}, "longer than 1000000 bytes"),
    "no object": ([], 'is not of type "object"'),
}


@pytest.mark.parametrize(("body", "message"), BROKEN_LISTS.values(), ids=BROKEN_LISTS.keys())
def test_a_wrong_list_is_not_made(platforms: Client, body: object, message: str) -> None:
    """What breaks the description, or a record that can be nothing, refuses the request."""
    status, code, told = refused(platforms, "POST", "/customer_lists", body)
    assert (status, code) == (400, 4196)
    assert message in told
    assert platforms.audiences("pinterest") == []


def test_a_wrong_change_changes_nothing(platforms: Client) -> None:
    """Neither an unknown operation nor a list that is not there, nor one bad record among good ones."""
    list_id = make_list(platforms, "a")
    path = f"/customer_lists/{list_id}"
    for body in (
        {"operation_type": "DELETE", "records": sha("a")},
        {"records": sha("b")},
        {"operation_type": "ADD"},
        {"operation_type": "ADD", "records": f"{sha('b')},x"},
    ):
        assert refused(platforms, "PATCH", path, body)[:2] == (400, 4196)
    assert refused(platforms, "PATCH", "/customer_lists/7", {"operation_type": "ADD", "records": sha("b")})[0] == 404
    assert platforms.members(list_id) == {sha("a")}
    url = f"/v5/ad_accounts/{platforms.settings.pinterest_ad_account_id}{path}"
    headers = {"Authorization": f"Bearer {platforms.settings.pinterest_token}"}
    assert platforms.http.delete(url, headers=headers).status_code == 404, "lists cannot be deleted"
    for content in (b"", b"{", b"[" * 5000):
        assert (
            platforms.http.patch(url, content=content, headers=headers | {"content-type": "application/json"}).status_code == 400
        )
    assert platforms.http.patch(url, content=b"{}", headers=headers).status_code == 400, "a body must say that it is JSON"


def test_credentials_decide_first(platforms: Client) -> None:
    """The conversion token may not touch audiences, nor may any token another account."""
    body = {"name": "x", "records": sha("a")}
    for method, path, scope in (("POST", "/customer_lists", "ads:write"), ("GET", "/audiences", "ads:read")):
        given = body if method == "POST" else None
        answer = platforms.pinterest(method, path, given, token=platforms.settings.pinterest_conversion_token)
        assert (answer.status_code, answer.json()["code"]) == (401, 3)
        assert scope in answer.json()["message"]
        answer = platforms.pinterest(method, path, given, token="wrong")
        assert (answer.status_code, answer.json()["code"]) == (401, 2)
    headers = {"Authorization": f"Bearer {platforms.settings.pinterest_token}"}
    answer = platforms.http.get("/v5/ad_accounts/123/customer_lists", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, 29)
    assert platforms.http.get("/v5/ad_accounts/x/customer_lists", headers=headers).status_code == 400
    assert platforms.audiences("pinterest") == []


def test_an_audience_wraps_a_list(platforms: Client) -> None:
    """An audience is made of an existing list, changed, and removed; what is removed is not found again."""
    list_id = make_list(platforms, *range(100))
    audience_id = wrap(platforms, list_id)
    told = good(platforms, "GET", f"/audiences/{audience_id}")
    assert (told["status"], told["size"], told["rule"]) == ("READY", 100, {"customer_list_id": list_id})
    told = good(platforms, "PATCH", f"/audiences/{audience_id}", {"name": "New", "description": "d"})
    assert (told["name"], told["description"]) == ("New", "d")
    other = make_list(platforms, "a")
    body = {"operation_type": "UPDATE", "rule": {"customer_list_id": other}}
    assert good(platforms, "PATCH", f"/audiences/{audience_id}", body)["status"] == "TOO_SMALL"
    good(platforms, "PATCH", f"/audiences/{audience_id}", {"operation_type": "REMOVE"})
    assert refused(platforms, "GET", f"/audiences/{audience_id}") == (404, 50, "Audience not found.")
    assert refused(platforms, "PATCH", f"/audiences/{audience_id}", {"name": "x"})[0] == 404
    assert good(platforms, "GET", "/audiences")["items"] == []
    assert good(platforms, "GET", f"/customer_lists/{list_id}")["status"] == "READY"


# name: (changes to a good body, part of the message)
BROKEN_AUDIENCES: dict[str, tuple[dict[str, Any], int, str]] = {
    "no type": ({"audience_type": ...}, 400, '"audience_type" is a required property'),
    "unknown type": ({"audience_type": "customer_list"}, 400, "is not one of"),
    "another type": ({"audience_type": "VISITOR"}, 400, "only has audiences of type CUSTOMER_LIST"),
    "no name": ({"name": ...}, 400, '"name" is a required property'),
    "no rule": ({"rule": ...}, 400, '"rule" is a required property'),
    "empty rule": ({"rule": {}}, 400, '"customer_list_id" is a required property'),
    "id as number": ({"rule": {"customer_list_id": 1}}, 400, 'is not of type "string"'),
    "unknown list": ({"rule": {"customer_list_id": "1"}}, 400, "customer list 1 does not exist"),
    "another account": ({"ad_account_id": "1"}, 403, "not permitted"),
}


@pytest.mark.parametrize(("changes", "status", "message"), BROKEN_AUDIENCES.values(), ids=BROKEN_AUDIENCES.keys())
def test_a_wrong_audience_is_not_made(platforms: Client, changes: dict[str, Any], status: int, message: str) -> None:
    """An audience needs a type, a name and a list that is there."""
    body = {"audience_type": "CUSTOMER_LIST", "name": "x", "rule": {"customer_list_id": make_list(platforms, "a")}} | changes
    told = refused(platforms, "POST", "/audiences", {key: value for key, value in body.items() if value is not ...})
    assert told[0] == status
    assert message in told[2]
    assert good(platforms, "GET", "/audiences")["items"] == []


def test_size_comes_late(platforms: Client) -> None:
    """While it matches, a list is PROCESSING and its audience INITIALIZING without a size; later changes show late."""
    platforms.audience_delay("pinterest", DAY)
    list_id = make_list(platforms, *range(100))
    audience_id = wrap(platforms, list_id)
    told = good(platforms, "GET", f"/audiences/{audience_id}")
    assert (told["status"], told["size"]) == ("INITIALIZING", None)
    assert good(platforms, "GET", f"/customer_lists/{list_id}")["status"] == "PROCESSING"
    platforms.set_clock(advance_ms=DAY)
    told = good(platforms, "GET", f"/audiences/{audience_id}")
    assert (told["status"], told["size"]) == ("READY", 100)
    change(platforms, list_id, "REMOVE", 0)
    assert good(platforms, "GET", f"/audiences/{audience_id}")["size"] == 100
    platforms.set_clock(advance_ms=DAY)
    told = good(platforms, "GET", f"/audiences/{audience_id}")
    assert (told["status"], told["size"]) == ("TOO_SMALL", 99)
    assert good(platforms, "GET", f"/customer_lists/{list_id}")["status"] == "TOO_SMALL"


def test_lists_are_told_in_pages(platforms: Client) -> None:
    """Pages follow the bookmark in the asked order, to an end; bounds and unknown parameters are refused."""
    ids = [make_list(platforms, name) for name in range(5)]
    for order, wanted in (("ASCENDING", ids), ("DESCENDING", ids[::-1])):
        found: list[str] = []
        query: dict[str, Any] = {"page_size": 2, "order": order}
        while True:
            page = good(platforms, "GET", "/customer_lists", **query)
            found += [each["id"] for each in page["items"]]
            if page["bookmark"] is None:
                break
            query["bookmark"] = page["bookmark"]
        assert found == wanted
    wrong: list[dict[str, Any]] = [
        {"page_size": 0},
        {"page_size": 251},
        {"page_size": "x"},
        {"order": "asc"},
        {"bookmark": "x"},
        {"name": "x"},
    ]
    for query in wrong:
        assert refused(platforms, "GET", "/customer_lists", **query)[:2] == (400, 4196)
    assert refused(platforms, "GET", "/audiences", ownership_type="MINE")[0] == 400
    assert refused(platforms, "GET", "/customer_lists/x")[0] == 400


def test_ad_groups_include_and_exclude(platforms: Client) -> None:
    """A PATCH replaces the targeting it is given and leaves the other ad groups alone."""
    audience_id = wrap(platforms, make_list(platforms, *range(100)))
    item = target(platforms, GROUPS[0], LOCATION=["US", "CA"], AUDIENCE_EXCLUDE=[audience_id])
    assert item["exceptions"] == []
    target(platforms, GROUPS[1], LOCATION=["US"], AUDIENCE_INCLUDE=[audience_id])
    [shown] = platforms.audiences("pinterest")
    assert (shown["include"], shown["exclude"]) == ([GROUPS[1]], [GROUPS[0]])
    target(platforms, GROUPS[0], LOCATION=["US"])
    told = good(platforms, "GET", "/ad_groups", ad_group_ids=[GROUPS[0], GROUPS[2]])
    assert {each["id"]: each["targeting_spec"] for each in told["items"]} == {
        GROUPS[0]: {"LOCATION": ["US"]},
        GROUPS[2]: {"LOCATION": ["US"]},
    }
    assert platforms.ad_group_targeting()[GROUPS[1]]["AUDIENCE_INCLUDE"] == [audience_id]
    good(platforms, "PATCH", "/ad_groups", [{"id": GROUPS[1], "status": "PAUSED", "name": "New"}])
    told = good(platforms, "GET", f"/ad_groups/{GROUPS[1]}")
    assert (told["name"], told["status"], told["targeting_spec"]["AUDIENCE_INCLUDE"]) == ("New", "PAUSED", [audience_id])
    assert len(good(platforms, "GET", "/ad_groups", entity_statuses=["ACTIVE"])["items"]) == 2
    assert refused(platforms, "GET", "/ad_groups", ad_group_ids=["1"], campaign_ids=["1"])[0] == 400
    assert refused(platforms, "GET", "/ad_groups/7")[0] == 404


def test_what_targeting_refuses(platforms: Client) -> None:
    """A mistake fails its own ad group: no place, an audience that is unknown, too small, or a list in its stead."""
    list_id = make_list(platforms, *range(99))
    small = wrap(platforms, list_id)
    for targeting, message in (
        ({"AUDIENCE_EXCLUDE": [small]}, "LOCATION or GEO"),
        ({"LOCATION": ["US"], "AUDIENCE_EXCLUDE": [small]}, "at least 100"),
        ({"LOCATION": ["US"], "AUDIENCE_INCLUDE": [list_id]}, "does not exist"),
        ({"LOCATION": ["US"], "AUDIENCE_INCLUDE": ["7"]}, "does not exist"),
    ):
        [failed, fine] = good(
            platforms,
            "PATCH",
            "/ad_groups",
            [{"id": GROUPS[0], "targeting_spec": targeting}, {"id": GROUPS[1], "targeting_spec": {"LOCATION": ["CA"]}}],
        )["items"]
        assert message in failed["exceptions"][0]["message"]
        assert fine["exceptions"] == []
    assert platforms.ad_group_targeting() == {
        GROUPS[0]: {"LOCATION": ["US"]},
        GROUPS[1]: {"LOCATION": ["CA"]},
        GROUPS[2]: {"LOCATION": ["US"]},
    }
    for body in ([], [{"name": "x"}], [{"id": 7}], [{"id": "7"}] * 31, [{"id": GROUPS[0], "targeting_spec": {"LOCATION": "US"}}]):
        assert refused(platforms, "PATCH", "/ad_groups", body)[:2] == (400, 4196)
    [item] = good(platforms, "PATCH", "/ad_groups", [{"id": "7"}])["items"]
    assert item["exceptions"] == [{"code": 50, "message": "Ad group not found."}]


def test_an_audience_in_use_is_not_removed(platforms: Client) -> None:
    """An ad group must let an audience go before it can be removed; the emulator's own, stricter reading."""
    audience_id = wrap(platforms, make_list(platforms, *range(100)))
    target(platforms, GROUPS[0], LOCATION=["US"], AUDIENCE_EXCLUDE=[audience_id])
    told = refused(platforms, "PATCH", f"/audiences/{audience_id}", {"operation_type": "REMOVE"})
    assert f"used by ad groups {GROUPS[0]}" in told[2]
    target(platforms, GROUPS[0], LOCATION=["US"])
    good(platforms, "PATCH", f"/audiences/{audience_id}", {"operation_type": "REMOVE"})


def test_lists_and_audiences_may_be_lost_or_become_foreign(platforms: Client) -> None:
    """Behind our back either may be deleted or given away; a shared one can be read, not changed."""
    list_id = make_list(platforms, *range(100))
    audience_id, shared = wrap(platforms, list_id), wrap(platforms, list_id)
    platforms.lose_audience("pinterest", audience_id)
    assert refused(platforms, "GET", f"/audiences/{audience_id}")[0] == 404
    platforms.give_audience("pinterest", shared)
    assert refused(platforms, "GET", f"/audiences/{shared}")[0] == 404
    platforms.give_audience("pinterest", shared, "123", shared=True)
    assert good(platforms, "GET", f"/audiences/{shared}")["ad_account_id"] == "123"
    assert refused(platforms, "PATCH", f"/audiences/{shared}", {"name": "x"})[:2] == (403, 29)
    assert good(platforms, "GET", "/audiences")["items"] == []
    assert len(good(platforms, "GET", "/audiences", ownership_type="RECEIVED")["items"]) == 1
    platforms.lose_audience("pinterest", list_id)
    body = {"operation_type": "ADD", "records": sha("b")}
    assert refused(platforms, "PATCH", f"/customer_lists/{list_id}", body)[:2] == (404, 50)
    other = make_list(platforms, "a")
    platforms.give_audience("pinterest", other)
    assert refused(platforms, "GET", f"/customer_lists/{other}")[0] == 404


def test_the_description_is_pinterests_own() -> None:
    """The package carries the official description's operations on lists, audiences and ad groups."""
    assert DESCRIPTION["info"]["version"] == "5.23.0"
    operations = {each["operationId"] for verbs in DESCRIPTION["paths"].values() for each in verbs.values()}
    assert operations == {
        *(f"customer_lists/{verb}" for verb in ("create", "list", "get", "update")),
        *(f"audiences/{verb}" for verb in ("create", "list", "get", "update")),
        *(f"ad_groups/{verb}" for verb in ("list", "get", "update")),
    }
    assert DESCRIPTION["components"]["schemas"]["CustomerListRequest"]["required"] == ["name", "records"]
