"""TikTok's emulator of audiences: what it takes and refuses, and by which documented rule."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalpost.platforms.settings import Settings
from signalpost.platforms.testing import Client
from signalpost.platforms.tiktok_audiences import endpoints

ADVERTISER = Settings().tiktok_advertiser_id
GROUPS = Settings().tiktok_ad_groups
NOW = 1_795_305_600
DAY = 86_400_000


def sha(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()


def data(answer: Any) -> dict[str, Any]:
    """Return the data of an answer that must be good."""
    assert answer.status_code == 200
    content = answer.json()
    assert content["code"] == 0, content
    told: dict[str, Any] = content["data"]
    return told


def code(answer: Any) -> tuple[int, str]:
    """Return code and message of a refusal, which comes as HTTP 200 and with empty data."""
    assert answer.status_code == 200
    content = answer.json()
    assert content["data"] == {}
    assert content["request_id"]
    return content["code"], content["message"]


def make(platforms: Client, name: str = "Buyers") -> str:
    made = data(platforms.tiktok("/segment/audience/", {"advertiser_id": ADVERTISER, "custom_audience_name": name}))
    audience_id: str = made["audience_id"]
    return audience_id


def mapping(
    platforms: Client, rows: object, action: str = "add", schema: Iterable[str] = ("EMAIL_SHA256",), **changes: object
) -> Any:
    body: dict[str, object] = {"advertiser_ids": [ADVERTISER], "action": action, "id_schema": list(schema), "batch_data": rows}
    return platforms.tiktok("/segment/mapping/", {key: value for key, value in (body | changes).items() if value is not ...})


def users(audience_id: str, *names: object) -> list[list[dict[str, Any]]]:
    return [[{"id": sha(name), "audience_ids": [audience_id]}] for name in names]


def details(platforms: Client, audience_id: str) -> dict[str, Any]:
    told = data(platforms.tiktok("/dmp/custom_audience/get/", advertiser_id=ADVERTISER, custom_audience_ids=[audience_id]))
    found: dict[str, Any] = told["list"][0]["audience_details"]
    return found


def upload(platforms: Client, names: Iterable[object], kind: str = "EMAIL_SHA256") -> str:
    told = data(platforms.upload("\n".join(map(sha, names)).encode(), kind))
    path: str = told["file_path"]
    return path


def create(platforms: Client, *paths: str, **changes: object) -> Any:
    body = {
        "advertiser_id": ADVERTISER,
        "custom_audience_name": "Buyers",
        "calculate_type": "EMAIL_SHA256",
        "file_paths": list(paths),
    }
    return platforms.tiktok("/dmp/custom_audience/create/", body | changes)


def update(platforms: Client, audience_id: str, **changes: object) -> Any:
    body = {"advertiser_id": ADVERTISER, "custom_audience_id": audience_id}
    return platforms.tiktok("/dmp/custom_audience/update/", body | changes)


def apply(platforms: Client, audience_id: str, **changes: object) -> Any:
    body: dict[str, Any] = {
        "advertiser_id": ADVERTISER,
        "custom_audience_id": audience_id,
        "adgroup_ids": [GROUPS[0]],
        "action_mode": "Apply",
        "usage_mode": "Exclude",
    }
    body = {key: value for key, value in (body | changes).items() if value is not ...}
    return platforms.tiktok("/dmp/custom_audience/apply/", body)


def test_people_stream_in_and_out(platforms: Client) -> None:
    """An audience has exactly the identifiers added and not deleted since; repeats and strangers change nothing."""
    one, other = make(platforms), make(platforms, "Other")
    item = {"id": sha("b"), "audience_ids": [one, other]}
    data(mapping(platforms, [*users(one, "a"), [item], *users(one, "a", "c")]))
    assert platforms.members(one) == {sha("a"), sha("b"), sha("c")}
    assert platforms.members(other) == {sha("b")}
    data(mapping(platforms, users(one, "a", "z"), "delete"))
    assert platforms.members(one) == {sha("b"), sha("c")}
    [told] = platforms.audiences("tiktok", id=one, changes="true")
    assert told["requests"] == {"add": 1, "remove": 1}
    assert (told["added"], told["removed"], told["matched"]) == (3, 1, 2)
    assert [(each["action"], each["given"], each["changed"]) for each in told["changes"]] == [("add", 4, 3), ("remove", 2, 1)]
    assert told["changes"][1]["identifiers"] == [sha("a"), sha("z")]
    assert platforms.audience_requests("tiktok") == {"/open_api/v1.3/segment/audience/": 2, "/open_api/v1.3/segment/mapping/": 2}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "delete"]),
            st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 3)), min_size=1, max_size=4),
        ),
        max_size=8,
    )
)
def test_the_set_is_what_the_requests_make_of_it(
    platforms: Client, requests: list[tuple[str, list[tuple[int, int, int]]]]
) -> None:
    """After any requests each kind has exactly what adding and deleting one by one would leave."""
    audience = make(platforms)
    wanted: dict[str, set[str]] = {"EMAIL_SHA256": set(), "PHONE_SHA256": set()}
    for action, people in requests:
        rows = []
        for email, phone, has in people:
            row = [{"id": sha(f"e{email}"), "audience_ids": [audience]}, {"id": sha(f"p{phone}"), "audience_ids": [audience]}]
            rows.append([each if has & bit else {} for each, bit in zip(row, (1, 2), strict=True)])
            for kind, key, bit in (("EMAIL_SHA256", f"e{email}", 1), ("PHONE_SHA256", f"p{phone}", 2)):
                if has & bit:
                    (wanted[kind].add if action == "add" else wanted[kind].discard)(sha(key))
        data(mapping(platforms, rows, action, ("EMAIL_SHA256", "PHONE_SHA256")))
    assert platforms.members_by_kind(audience) == {kind: sorted(keys) for kind, keys in wanted.items() if keys}


def test_schema_order_is_free_and_places_are_kept(platforms: Client) -> None:
    """`id_schema` may come in any order and in lower case; the place in the row says what an id is."""
    audience = make(platforms)
    phone, email = {"id": sha("p"), "audience_ids": [audience]}, {"id": sha("e"), "audience_ids": [audience]}
    data(mapping(platforms, [[phone, email], [{}, email]], schema=("phone_sha256", "EMAIL_SHA256")))
    device = {"id": hashlib.md5(b"d", usedforsecurity=False).hexdigest(), "audience_ids": [audience]}
    data(mapping(platforms, [[device]], schema=("AAID_MD5",)))
    assert platforms.members_by_kind(audience) == {
        "PHONE_SHA256": [sha("p")],
        "EMAIL_SHA256": [sha("e")],
        "AAID_MD5": [device["id"]],
    }


def test_two_identifiers_of_a_row_are_one_person(platforms: Client) -> None:
    """The size counts people: identifiers that stood in one row are one, whichever of them is in."""
    audience = make(platforms)
    rows = [[{"id": sha(f"{kind}{n}"), "audience_ids": [audience]} for kind in "ep"] for n in range(5)]
    data(mapping(platforms, rows, schema=("EMAIL_SHA256", "PHONE_SHA256")))
    [told] = platforms.audiences("tiktok")
    assert (told["identifiers"], told["size"]) == ({"EMAIL_SHA256": 5, "PHONE_SHA256": 5}, 5)
    data(mapping(platforms, [[row[0]] for row in rows[:2]], "delete"))
    assert details(platforms, audience)["cover_num"] == 5
    data(mapping(platforms, [[row[1]] for row in rows[:2]], "delete", schema=("PHONE_SHA256",)))
    assert details(platforms, audience)["cover_num"] == 3


GOOD = {"id": sha("a"), "audience_ids": ["{audience}"]}
# name: (what changes in a good request, code, part of the message)
BROKEN: dict[str, tuple[dict[str, Any], int, str]] = {
    "no advertisers": ({"advertiser_ids": ...}, 40002, "advertiser_ids: Missing data"),
    "advertiser as number": ({"advertiser_ids": [7000000000000000001]}, 40002, "advertiser_ids.0: Not a valid string"),
    "another advertiser": ({"advertiser_ids": [ADVERTISER, "7000000000000000099"]}, 40001, "7000000000000000099"),
    "unknown action": ({"action": "remove"}, 40002, "action: Must be one: add, delete"),
    "unknown field": ({"audience_id": "1"}, 40002, "audience_id: Unknown field"),
    "no schema": ({"id_schema": ...}, 40002, "id_schema: Missing data"),
    "unknown kind": ({"id_schema": ["EMAIL"]}, 40002, "id_schema.0: Must be one"),
    "mixed case": ({"id_schema": ["Email_SHA256"]}, 40002, "id_schema.0: Must be one"),
    "repeated kind": (
        {"id_schema": ["EMAIL_SHA256", "email_sha256"], "batch_data": [[GOOD, GOOD]]},
        40002,
        "id_schema: Must not repeat",
    ),
    "both device kinds": ({"id_schema": ["IDFA_SHA256", "AAID_SHA256"], "batch_data": [[GOOD, {}]]}, 40002, "IDFA and AAID"),
    "no rows": ({"batch_data": []}, 40061, "batch_data: 0 rows"),
    "too many rows": ({"batch_data": [[GOOD]] * 1001}, 40061, "batch_data: 1001 rows, 1 to 1000"),
    "row too short": ({"id_schema": ["EMAIL_SHA256", "PHONE_SHA256"]}, 40002, "batch_data.0: Must have 2 items"),
    "row too long": ({"batch_data": [[GOOD, {}]]}, 40002, "batch_data.0: Must have 1 items"),
    "row of nothing": ({"batch_data": [[{}]]}, 40002, "batch_data.0: At least one id"),
    "null placeholder": ({"batch_data": [[None]]}, 40002, "batch_data.0.0: Not a valid mapping"),
    "plain e-mail": ({"batch_data": [[GOOD | {"id": "jane@example.com"}]]}, 40062, "batch_data.0.0.id: Not hashed"),
    "capital hash": ({"batch_data": [[GOOD | {"id": sha("a").upper()}]]}, 40062, "batch_data.0.0.id: Not hashed"),
    "md5 for sha": ({"batch_data": [[GOOD | {"id": "0" * 32}]]}, 40062, "expected SHA256"),
    "sha for md5": ({"id_schema": ["IDFA_MD5"]}, 40062, "expected MD5"),
    "no id": ({"batch_data": [[{"audience_ids": ["{audience}"]}]]}, 40002, "batch_data.0.0.id: Missing data"),
    "no audiences": ({"batch_data": [[{"id": sha("a")}]]}, 40002, "batch_data.0.0.audience_ids: Missing data"),
    "empty audiences": ({"batch_data": [[GOOD | {"audience_ids": []}]]}, 40002, "batch_data.0.0.audience_ids: Must be a list"),
    "audience as number": ({"batch_data": [[GOOD | {"audience_ids": [7]}]]}, 40002, "audience_ids: Must be a list of strings"),
    "audience as list": ({"batch_data": [[GOOD | {"audience_ids": [["7"]]}]]}, 40002, "audience_ids: Must be a list of strings"),
    "field beside": ({"batch_data": [[GOOD | {"type": "x"}]]}, 40002, "batch_data.0.0.type: Unknown field"),
    "unknown audience": ({"batch_data": [[GOOD | {"audience_ids": ["7"]}]]}, 40007, "Audience 7 does not exist"),
}


def filled(node: Any, audience: str) -> Any:
    if isinstance(node, dict):
        return {key: filled(value, audience) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(value, audience) for value in node]
    return audience if node == "{audience}" else node


@pytest.mark.parametrize(("changes", "wanted", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_wrong_row_refuses_the_whole_request(platforms: Client, changes: dict[str, Any], wanted: int, message: str) -> None:
    """What breaks a rule of the streaming endpoint refuses the request, and nobody of it gets in."""
    audience = make(platforms)
    good = {"batch_data": [[GOOD]]}
    rows = changes.get("batch_data")
    if isinstance(rows, list) and rows and wanted != 40061:
        changes = changes | {"batch_data": [*rows, *[[GOOD] * len(rows[0])] * 2]}
    told = code(mapping(platforms, **{"rows": [], **filled(good | changes, audience)}))
    assert told[0] == wanted, told
    assert message in told[1]
    assert platforms.members(audience) == set()


def test_a_thousand_rows_are_taken(platforms: Client) -> None:
    """The largest request is taken; the limit is the emulator's own reading."""
    audience = make(platforms)
    data(mapping(platforms, users(audience, *range(1000))))
    assert len(platforms.members(audience)) == 1000


def test_names_are_cut_and_may_repeat(platforms: Client) -> None:
    """A name of more than 70 characters is cut to 67 and three dots; two audiences of one name are two."""
    first, second, at_limit = make(platforms, "n" * 71), make(platforms, "n" * 71), make(platforms, "m" * 70)
    assert first != second
    assert details(platforms, first)["name"] == details(platforms, second)["name"] == "n" * 67 + "..."
    assert details(platforms, at_limit)["name"] == "m" * 70


def test_making_and_deleting_a_segment(platforms: Client) -> None:
    """`create` needs a name, `delete` an audience of this endpoint and of this advertiser; what is deleted is gone."""
    url = "/segment/audience/"
    assert code(platforms.tiktok(url, {"advertiser_id": ADVERTISER}))[1].startswith("custom_audience_name: Missing")
    assert code(platforms.tiktok(url, {"custom_audience_name": "x"}))[1].startswith("advertiser_id: Missing")
    delete = {"advertiser_id": ADVERTISER, "action": "delete"}
    assert code(platforms.tiktok(url, delete))[1].startswith("delete_audience_id: Missing")
    assert code(platforms.tiktok(url, delete | {"delete_audience_id": "7"}))[0] == 40007
    audience = make(platforms)
    data(mapping(platforms, users(audience, "a")))
    assert data(platforms.tiktok(url, delete | {"delete_audience_id": audience})) == {"audience_id": audience}
    assert code(platforms.tiktok(url, delete | {"delete_audience_id": audience}))[0] == 40007
    assert code(mapping(platforms, users(audience, "a")))[0] == 40007
    assert platforms.audiences("tiktok") == []
    [told] = platforms.audiences("tiktok", gone="true")
    assert (told["id"], told["gone_at"], told["matched"]) == (audience, NOW * 1000, 0)


def test_credentials_decide_first(platforms: Client) -> None:
    """No token, a wrong one, one from Events Manager: refused before anything else is looked at."""
    broken: dict[str, Any] = {}
    assert code(platforms.tiktok("/segment/mapping/", broken, token=""))[0] == 40104
    assert code(platforms.tiktok("/segment/mapping/", broken, token="Bearer demo-tiktok-token"))[0] == 40105
    body = {"advertiser_id": ADVERTISER, "custom_audience_name": "x"}
    assert code(platforms.tiktok("/segment/audience/", body, token=Settings().tiktok_events_token))[0] == 40001
    assert platforms.audiences("tiktok") == []


def test_paths_need_their_slash_and_method(platforms: Client) -> None:
    """Without the trailing slash, or by another method, there is a bare 404."""
    headers = {"Access-Token": Settings().tiktok_token}
    for path in endpoints():
        assert platforms.http.post(f"/open_api/v1.3{path.rstrip('/')}", json={}, headers=headers).status_code == 404
        verb = "GET" if endpoints()[path]["method"] == "POST" else "POST"
        assert platforms.http.request(verb, f"/open_api/v1.3{path}", headers=headers).status_code == 404


@pytest.mark.parametrize("path", [path for path, each in endpoints().items() if each["method"] == "POST"])
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'"x"', b"[" * 5000, b"\xff"])
def test_a_body_that_is_no_request_is_refused(platforms: Client, path: str, body: bytes) -> None:
    """Whatever bytes come, the answer is TikTok's refusal."""
    headers = {"Access-Token": Settings().tiktok_token, "Content-Type": "application/json"}
    assert code(platforms.http.post(f"/open_api/v1.3{path}", content=body, headers=headers))[0] == 40002


def test_size_and_validity_come_late(platforms: Client) -> None:
    """Until the first computation ends an audience is not valid and has no size; later changes show after the delay."""
    platforms.audience_delay("tiktok", DAY)
    audience = make(platforms)
    assert (details(platforms, audience)["is_valid"], details(platforms, audience)["cover_num"]) == (False, 0)
    data(mapping(platforms, users(audience, *range(1000))))
    told = details(platforms, audience)
    assert (told["is_valid"], told["cover_num"], told["msg"]) == (False, 0, "The audience is being computed.")
    assert len(platforms.members(audience)) == 1000
    platforms.set_clock(advance_ms=DAY)
    told = details(platforms, audience)
    assert (told["is_valid"], told["cover_num"], told["msg"]) == (True, 1000, "")
    data(mapping(platforms, users(audience, 0), "delete"))
    assert details(platforms, audience)["cover_num"] == 1000
    platforms.set_clock(advance_ms=DAY)
    told = details(platforms, audience)
    assert (told["is_valid"], told["cover_num"]) == (False, 999)
    assert "too small: at least 1000" in told["msg"]


def test_an_empty_audience_is_too_small(platforms: Client) -> None:
    """Nobody is a size too: once computed, an audience without people is too small."""
    assert "too small" in details(platforms, make(platforms))["msg"]


def test_changes_during_a_computation_do_not_put_it_off(platforms: Client) -> None:
    """A steady stream of changes does not keep the size from ever being told."""
    platforms.audience_delay("tiktok", DAY)
    audience = make(platforms)
    for hour in range(48):
        data(mapping(platforms, users(audience, hour)))
        platforms.set_clock(advance_ms=DAY // 24)
    assert details(platforms, audience)["cover_num"] == 48
    data(mapping(platforms, users(audience, 48)))
    assert details(platforms, audience)["cover_num"] == 48


def test_get_and_list(platforms: Client) -> None:
    """Both show own audiences only, leave unknown ids out, and hold the documented bounds."""
    ids = [make(platforms, f"A{n}") for n in range(12)]
    get, listing = "/dmp/custom_audience/get/", "/dmp/custom_audience/list/"
    told = data(platforms.tiktok(listing, advertiser_id=ADVERTISER, page=2))
    assert [each["audience_id"] for each in told["list"]] == ids[10:]
    assert told["page_info"] == {"page": 2, "page_size": 10, "total_number": 12, "total_page": 2}
    told = data(platforms.tiktok(get, advertiser_id=ADVERTISER, custom_audience_ids=[ids[0], "7"]))
    assert [each["audience_details"]["audience_id"] for each in told["list"]] == [ids[0]]
    assert (details(platforms, ids[0])["type"], details(platforms, ids[0])["is_creator"]) == ("Partner", True)
    wrong: list[dict[str, Any]] = [
        {"custom_audience_ids": []},
        {"custom_audience_ids": ["7"] * 101},
        {"custom_audience_ids": [7]},
        {"custom_audience_ids": "x"},
        {"custom_audience_ids": ["7"], "history_size": 101},
        {},
    ]
    for query in wrong:
        assert code(platforms.tiktok(get, advertiser_id=ADVERTISER, **query))[0] == 40002
    wrong = [{"page": 0}, {"page_size": 101}, {"page": "x"}, {"order": "x"}]
    for query in wrong:
        assert code(platforms.tiktok(listing, advertiser_id=ADVERTISER, **query))[0] == 40002
    assert code(platforms.tiktok(listing, advertiser_id="7"))[0] == 40001


def test_an_audience_may_be_lost_or_become_foreign(platforms: Client) -> None:
    """Behind our back it may be deleted, given away, or given away and shared back: each shows as documented."""
    lost, given_away, shared = make(platforms), make(platforms), make(platforms)
    platforms.lose_audience("tiktok", lost)
    platforms.give_audience("tiktok", given_away)
    platforms.give_audience("tiktok", shared, shared=True)
    told = data(platforms.tiktok("/dmp/custom_audience/list/", advertiser_id=ADVERTISER))
    assert [(each["audience_id"], each["is_creator"], each["owner_id"]) for each in told["list"]] == [
        (shared, False, "7999999999999999999")
    ]
    assert code(mapping(platforms, users(lost, "a")))[0] == 40007
    assert code(mapping(platforms, users(given_away, "a")))[0] == 40001
    assert code(mapping(platforms, users(shared, "a")))[0] == 40001


# ------------------------------------------------------------------------------------------------ customer files


def test_a_file_makes_an_audience(platforms: Client) -> None:
    """Upload, create: the audience has the files' identifiers, its kind and history say where they came from."""
    paths = [upload(platforms, range(600)), upload(platforms, range(500, 1000))]
    assert all(len(path) == 16 for path in paths)
    audience = data(create(platforms, *paths))["custom_audience_id"]
    assert platforms.members(audience) == set(map(sha, range(1000)))
    told = details(platforms, audience)
    assert (told["type"], told["calculate_type"], told["cover_num"], told["is_valid"]) == (
        "Customer File Audience",
        "EMAIL_SHA256",
        1000,
        True,
    )
    listed = data(platforms.tiktok("/dmp/custom_audience/get/", advertiser_id=ADVERTISER, custom_audience_ids=[audience]))
    [entry] = listed["list"][0]["audience_history"]
    assert (entry["editor"], entry["opt_time"], entry["msg"]) == ("open_api", "2026-11-22 00:00:00", "")


def test_a_file_of_several_kinds(platforms: Client) -> None:
    """A header names the columns in any case, cells may be empty, and what cannot be read is told in the history."""
    rows = [f"{sha('e')},{sha('p')},", f",{sha('q')},{sha('m')}", "nonsense,,", ",,", sha("short")]
    content = "EMAIL_sha256,phone_SHA256,Maid_SHA256\r\n" + "\r\n".join(rows) + "\r\n"
    path = data(platforms.upload(content.encode(), "MULTIPLE_TYPES", name="people.txt"))["file_path"]
    audience = data(create(platforms, path, calculate_type="MULTIPLE_TYPES"))["custom_audience_id"]
    assert platforms.members_by_kind(audience) == {
        "EMAIL_SHA256": [sha("e")],
        "PHONE_SHA256": sorted([sha("p"), sha("q")]),
        "MAID_SHA256": [sha("m")],
    }
    assert details(platforms, audience)["cover_num"] == 2
    listed = data(platforms.tiktok("/dmp/custom_audience/get/", advertiser_id=ADVERTISER, custom_audience_ids=[audience]))
    assert listed["list"][0]["audience_history"][0]["msg"] == "3 lines could not be read."


def test_what_an_upload_refuses(platforms: Client) -> None:
    """A wrong signature, type, name, size or content has its code of the official list."""
    content = sha("a").encode()
    assert code(platforms.upload(content, "EMAIL_SHA256", file_signature="0" * 32))[0] == 40900
    assert code(platforms.upload(b"\n", "EMAIL_SHA256"))[0] == 40906
    assert code(platforms.upload(content, "EMAIL_SHA256", name="people.CSV"))[0] == 40908
    assert code(platforms.upload(b"jane@example.com", "EMAIL_SHA256"))[0] == 40909
    assert code(platforms.upload(content, "IDFA_MD5"))[0] == 40909
    assert code(platforms.upload(b"email\n" + content, "MULTIPLE_TYPES"))[0] == 40909
    assert code(platforms.upload(content, "EMAIL"))[0] == 40002
    assert code(platforms.upload(content, "EMAIL_SHA256", advertiser_id="7"))[0] == 40001
    form = {"advertiser_id": ADVERTISER, "file_signature": "0", "calculate_type": "EMAIL_SHA256", "file": "text"}
    headers = {"Access-Token": Settings().tiktok_token}
    url = "/open_api/v1.3/dmp/custom_audience/file/upload/"
    fields = {name: (None, value) for name, value in form.items()}
    assert code(platforms.http.post(url, files=fields, headers=headers))[0] == 40905
    assert code(platforms.http.post(url, data=form, headers=headers))[0] == 40002
    assert code(platforms.http.post(url, files={"file": ("a.csv", content)}, headers=headers))[0] == 40002


def test_what_creating_refuses(platforms: Client) -> None:
    """Paths are good for one use and one kind; names, ages and numbers of files have the documented bounds."""
    path = upload(platforms, range(3))
    assert code(create(platforms, path, calculate_type="PHONE_SHA256"))[0] == 40909
    assert code(create(platforms, path, path))[0] == 40002
    assert code(create(platforms))[0] == 40002
    assert code(create(platforms, path, custom_audience_name="n" * 129))[0] == 40002
    assert code(create(platforms, path, retention_in_days=366))[0] == 40002
    assert code(create(platforms, "0123456789abcde"))[0] == 40002
    assert code(create(platforms, "0123456789abcdef"))[0] == 40910
    assert code(create(platforms, path, context="x"))[0] == 40002
    data(create(platforms, path))
    assert code(create(platforms, path))[0] == 40910


def test_updating_a_file_audience(platforms: Client) -> None:
    """APPEND, REMOVE and REPLACE, which is the default, do what they say and keep at least 1,000 people."""
    audience = data(create(platforms, upload(platforms, range(1000))))["custom_audience_id"]
    data(update(platforms, audience, action="APPEND", file_paths=[upload(platforms, range(900, 1100))]))
    assert len(platforms.members(audience)) == 1100
    path = upload(platforms, range(101))
    refused = code(update(platforms, audience, action="REMOVE", file_paths=[path]))
    assert refused == (40002, "file_paths: 999 people would be left, at least 1000 are required.")
    assert len(platforms.members(audience)) == 1100
    assert code(update(platforms, audience, file_paths=[path]))[1].startswith("file_paths: 101 people would be left")
    data(update(platforms, audience, action="REMOVE", file_paths=[upload(platforms, range(100))]))
    assert platforms.members(audience) == set(map(sha, range(100, 1100)))
    data(update(platforms, audience, file_paths=[upload(platforms, range(5000, 6000))], custom_audience_name="New"))
    assert platforms.members(audience) == set(map(sha, range(5000, 6000)))
    assert details(platforms, audience)["name"] == "New"
    told = data(
        platforms.tiktok("/dmp/custom_audience/get/", advertiser_id=ADVERTISER, custom_audience_ids=[audience], history_size=3)
    )
    assert [each["action"] for each in told["list"][0]["audience_history"]] == ["Replace", "Remove", "Append"]


def test_what_updating_refuses(platforms: Client) -> None:
    """Nothing to change, other kinds of files, streamed audiences, and the way back from reach and frequency."""
    audience = data(create(platforms, upload(platforms, range(1000))))["custom_audience_id"]
    streamed = make(platforms)
    assert code(update(platforms, audience))[0] == 40002
    assert code(update(platforms, audience, custom_audience_name=""))[0] == 40002
    assert code(update(platforms, audience, action="DELETE", file_paths=[upload(platforms, [1])]))[0] == 40002
    assert code(update(platforms, audience, file_paths=[upload(platforms, [1], "PHONE_SHA256")]))[0] == 40909
    assert code(update(platforms, streamed, file_paths=[upload(platforms, [1])]))[1] == (
        "custom_audience_id: Not a customer file audience."
    )
    assert code(mapping(platforms, users(audience, "a")))[1].endswith("was not made by /segment/audience/.")
    assert code(update(platforms, audience, audience_sub_type="NORMAL"))[0] == 40002
    data(update(platforms, audience, audience_sub_type="REACH_FREQUENCY", custom_audience_name="ignored"))
    assert (details(platforms, audience)["audience_sub_type"], details(platforms, audience)["name"]) == (
        "REACH_FREQUENCY",
        "Buyers",
    )


def test_expiry(platforms: Client) -> None:
    """Retention runs from the making; without it a change renews the year; expired audiences are not valid."""
    short = data(create(platforms, upload(platforms, range(1000)), retention_in_days=10))["custom_audience_id"]
    long = data(create(platforms, upload(platforms, range(1000))))["custom_audience_id"]
    platforms.set_clock(advance_ms=9 * DAY)
    data(update(platforms, short, action="APPEND", file_paths=[upload(platforms, [5])]))
    data(update(platforms, long, action="APPEND", file_paths=[upload(platforms, [5])]))
    assert (details(platforms, short)["expired_time"], details(platforms, short)["is_expiring"]) == ("2026-12-02 00:00:00", True)
    assert (details(platforms, long)["expired_time"], details(platforms, long)["is_expiring"]) == ("2027-12-01 00:00:00", False)
    platforms.set_clock(advance_ms=DAY)
    assert (details(platforms, short)["is_valid"], details(platforms, long)["is_valid"]) == (False, True)
    assert details(platforms, short)["msg"] == "The audience has expired."


def test_ad_groups_include_and_exclude(platforms: Client) -> None:
    """Apply and Disconnect set which ad groups use an audience and how; the log tells what was applied, and only that."""
    audience = make(platforms)
    data(mapping(platforms, users(audience, *range(1000))))
    data(apply(platforms, audience))
    data(apply(platforms, audience, adgroup_ids=list(GROUPS[1:]), usage_mode="Include"))
    [told] = platforms.audiences("tiktok")
    assert (told["include"], told["exclude"]) == (list(GROUPS[1:]), [GROUPS[0]])
    data(apply(platforms, audience, action_mode="Disconnect", usage_mode=..., adgroup_ids=[GROUPS[1]]))
    assert platforms.audiences("tiktok")[0]["include"] == [GROUPS[2]]
    log = data(
        platforms.tiktok("/dmp/custom_audience/apply/log/", advertiser_id=ADVERTISER, custom_audience_ids=[audience], page_size=2)
    )
    assert [(each["adgroup_id"], each["usage_mode"]) for each in log["list"]] == [(GROUPS[2], "Include"), (GROUPS[1], "Include")]
    assert log["page_info"]["total_number"] == 3


def test_what_applying_refuses(platforms: Client) -> None:
    """Too few people, strange ad groups, no mode: refused; an audience in use is not deleted before it is disconnected."""
    audience = make(platforms)
    data(mapping(platforms, users(audience, *range(999))))
    assert "too small" in code(apply(platforms, audience))[1]
    data(mapping(platforms, users(audience, 999)))
    assert code(apply(platforms, audience, usage_mode=...))[1] == "usage_mode: Missing data for required field."
    assert code(apply(platforms, audience, usage_mode="include"))[0] == 40002
    assert code(apply(platforms, audience, action_mode="APPLY"))[0] == 40002
    assert code(apply(platforms, audience, adgroup_ids=[GROUPS[0], "7"]))[0] == 40007
    assert code(apply(platforms, audience, adgroup_ids=[]))[0] == 40002
    assert platforms.audiences("tiktok")[0]["exclude"] == []
    data(apply(platforms, audience))
    delete = {"advertiser_id": ADVERTISER, "custom_audience_ids": [audience]}
    assert "used by ad groups" in code(platforms.tiktok("/dmp/custom_audience/delete/", delete))[1]
    data(apply(platforms, audience, action_mode="Disconnect"))
    data(platforms.tiktok("/dmp/custom_audience/delete/", delete))
    assert platforms.audiences("tiktok") == []


def test_an_account_has_at_most_400_audiences(platforms: Client) -> None:
    """The documented number of audiences an advertiser may have is held."""
    for n in range(400):
        make(platforms, f"A{n}")
    body = {"advertiser_id": ADVERTISER, "custom_audience_name": "one more"}
    assert code(platforms.tiktok("/segment/audience/", body)) == (40002, "advertiser_id: At most 400 audiences are allowed.")


def test_the_requests_are_those_of_the_official_files() -> None:
    """The package carries every field, bound and enum of the SDK's YAML files for the endpoints it answers."""
    shapes = {path: each["schema"] for path, each in endpoints().items()}
    assert set(shapes) == {
        "/segment/audience/",
        "/segment/mapping/",
        *(
            f"/dmp/custom_audience/{name}/"
            for name in ("file/upload", "create", "update", "get", "list", "delete", "apply", "apply/log")
        ),
    }
    made = shapes["/dmp/custom_audience/create/"]
    assert made["required"] == ["advertiser_id", "custom_audience_name", "calculate_type", "file_paths"]
    assert (made["properties"]["file_paths"]["minItems"], made["properties"]["file_paths"]["maxItems"]) == (1, 500)
    assert made["properties"]["retention_in_days"]["maximum"] == 365
    assert shapes["/dmp/custom_audience/update/"]["properties"]["action"]["enum"] == ["REPLACE", "APPEND", "REMOVE"]
    assert shapes["/dmp/custom_audience/update/"]["properties"]["action"]["default"] == "REPLACE"
