"""TikTok audiences: changes as they come (`/segment/`) and by files (`/dmp/custom_audience/`).

Facts from TikTok's own API descriptions for `/dmp/`, and for `/segment/`, of which TikTok publishes no description,
from what Segment's and RudderStack's connectors and TikTok's Go client send. An audience made by the one way is filled
by that way only: `/segment/mapping/` fills "Partner" audiences, files fill customer file audiences. An answer has one
code for the whole request and says nothing of single people.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from hashlib import md5
from itertools import islice, zip_longest
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from signalpost.destinations.answers import audience_by_status, audience_refused, body_of, counted, quoted, redacted, retry_after
from signalpost.destinations.audiences import Account, Answer, AudiencePart, Batch, Files, Held, Made, Seen, Use
from signalpost.destinations.contract import Request, Response
from signalpost.destinations.tiktok_codes import BLOCKS, RETRIES, TROUBLES
from signalpost.normalize import sha256

SCHEMA: Final = {"email": "EMAIL_SHA256", "phone": "PHONE_SHA256", "idfa": "IDFA_SHA256", "gaid": "AAID_SHA256"}
"""The name of a match key -> what TikTok calls it in `id_schema`."""

DEVICES: Final = ("idfa", "gaid")
"""One request holds one of these kinds: TikTok's portal warns of mixing them in one."""

COLUMNS: Final = {"email": "email_SHA256", "phone": "phone_SHA256", "idfa": "MAID_SHA256", "gaid": "MAID_SHA256"}
"""The name of a match key -> its column in a file of several kinds (portal, 1747012327159809)."""

BATCH: Final = 1_000
"""Rows a request. TikTok publishes no limit; this is what Tealium's connector sends."""

FILE_ROWS: Final = 200_000
"""Rows of at most 197 bytes: 39 MB. TikTok's limits are 250 MB in the portal and 50 MB in older pages."""

LONGEST_TITLE: Final = 70
"""`/segment/audience/` cuts a longer name to 67 characters and dots."""

# ---------------------------------------------------------------------------------------------- people


def keys(known: Mapping[str, Any]) -> tuple[str, ...]:
    """`email:`, `phone:`, `idfa:` and `gaid:` digests, the very ones that events carry."""
    return tuple(dict.fromkeys(f"{kind}:{digest}" for kind in SCHEMA for digest in known.get(kind, ())))


def _rows(people: Iterable[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Each person as rows of at most one e-mail, one phone and one device: the first of each together, then the second."""
    for person in people:
        columns: dict[str, list[str]] = {column: [] for column in COLUMNS.values()}
        for key in person:
            columns[COLUMNS[key[: key.index(":")]]].append(key)
        for row in zip_longest(*columns.values()):
            yield tuple(key for key in row if key is not None)


def cut(adding: bool, people: Iterable[Sequence[str]]) -> Iterator[Batch]:
    """Batches of at most 1,000 rows with one kind of device id each."""
    waiting: dict[str, list[tuple[str, ...]]] = {kind: [] for kind in ("", *DEVICES)}
    for row in _rows(people):
        last = row[-1][: row[-1].index(":")]
        rows = waiting[last if last in DEVICES else ""]
        rows.append(row)
        if len(rows) == BATCH:
            yield Batch(adding, tuple(rows))
            rows.clear()
    plain = waiting.pop("")
    for rows in waiting.values():
        if rows:  # there is room in it for people without devices
            room = BATCH - len(rows)
            yield Batch(adding, (*rows, *plain[:room]))
            del plain[:room]
    if plain:
        yield Batch(adding, tuple(plain))


def cut_for_files(adding: bool, people: Iterable[Sequence[str]]) -> Iterator[Batch]:
    """Batches of the size of a file, whose one column for devices takes both kinds."""
    rows = _rows(people)
    while file := tuple(islice(rows, FILE_ROWS)):
        yield Batch(adding, file)


# ---------------------------------------------------------------------------------------------- asking


def needs(settings: Mapping[str, str]) -> str:
    """What is missing for audiences."""
    if settings.get("advertiser"):
        return ""
    return (
        "TikTok audiences belong to an advertiser: set the option `advertiser`, and as `audience_token` a developer app's access "
        "token with the permission Audience Management."
    )


def _token(account: Account) -> str:
    return account.settings.get("audience_token") or account.settings["access_token"]


def _post(account: Account, path: str, body: Mapping[str, Any]) -> Request:
    return Request(
        method="POST",
        url=f"{account.base.rstrip('/')}/open_api/v1.3/{path}",  # without the trailing slash it is a 404
        headers={"access-token": _token(account), "content-type": "application/json"},
        body=msgspec.json.encode(body),
    )


def _get(account: Account, path: str, query: Mapping[str, str]) -> Request:
    return Request(
        method="GET",
        url=f"{account.base.rstrip('/')}/open_api/v1.3/{path}?{urlencode(query)}",
        headers={"access-token": _token(account)},
    )


def _short(title: str) -> str:
    """A title as TikTok keeps it; a long one ends in a digest instead of TikTok's dots, so that no two become one."""
    return title if len(title) <= LONGEST_TITLE else f"{title[:61]} {sha256(title)[:8]}"


def make(account: Account, title: str, held: Held, first: Batch | None) -> Request:  # noqa: ARG001
    """`/segment/audience/`: an audience without people."""
    body = {"advertiser_id": account.settings["advertiser"], "action": "create", "custom_audience_name": _short(title)}
    return _post(account, "segment/audience/", body)


def change(account: Account, held: Held, batch: Batch) -> Request:
    """`/segment/mapping/`: each row has a place for each kind in `id_schema`, `{}` where the person has none."""
    named = {key.partition(":")[0] for key in batch.keys}
    kinds = [kind for kind in SCHEMA if kind in named]
    audiences = [held.id]
    rows = []
    for row in batch.rows:
        has = dict(key.split(":", 1) for key in row)
        rows.append([{"id": has[kind], "audience_ids": audiences} if kind in has else {} for kind in kinds])
    return _post(
        account,
        "segment/mapping/",
        {
            "advertiser_ids": [account.settings["advertiser"]],
            "action": "add" if batch.adding else "delete",
            "id_schema": [SCHEMA[kind] for kind in kinds],
            "batch_data": rows,
        },
    )


def drop(account: Account, held: Held) -> Request:
    """`/dmp/custom_audience/delete/`, for audiences of both ways."""
    body = {"advertiser_id": account.settings["advertiser"], "custom_audience_ids": [held.id]}
    return _post(account, "dmp/custom_audience/delete/", body)


# ---------------------------------------------------------------------------------------------- asking, by files

KIND_OF_FILE: Final = "MULTIPLE_TYPES"
"""`calculate_type` of the files and of the audience; it cannot be changed later."""


def upload(account: Account, batch: Batch) -> Request:
    """`/dmp/custom_audience/file/upload/`: a CSV file with a header row, as a form of several parts."""
    columns = dict.fromkeys(COLUMNS.values())
    lines = [",".join(columns)]
    for row in batch.rows:
        has = {COLUMNS[kind]: digest for kind, digest in (key.split(":", 1) for key in row)}
        lines.append(",".join(has.get(column, "") for column in columns))
    file = "\n".join(lines).encode() + b"\n"
    signature = md5(file, usedforsecurity=False).hexdigest()
    edge = f"signalpost-{signature}"  # no line of digests and commas reads so
    fields = {"advertiser_id": account.settings["advertiser"], "file_signature": signature, "calculate_type": KIND_OF_FILE}
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()
    ]
    parts.append(
        f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{signature}.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n".encode()
    )
    return Request(
        method="POST",
        url=f"{account.base.rstrip('/')}/open_api/v1.3/dmp/custom_audience/file/upload/",
        headers={"access-token": _token(account), "content-type": f"multipart/form-data; boundary={edge}"},
        body=b"".join((*parts, file, f"\r\n--{edge}--\r\n".encode())),
    )


def make_of_files(account: Account, title: str, paths: Sequence[str]) -> Request:
    """`/dmp/custom_audience/create/`."""
    return _post(
        account,
        "dmp/custom_audience/create/",
        {
            "advertiser_id": account.settings["advertiser"],
            "custom_audience_name": _short(title),
            "calculate_type": KIND_OF_FILE,
            "file_paths": list(paths),
        },
    )


def change_by_files(account: Account, held: Held, adding: bool, paths: Sequence[str]) -> Request:
    """`/dmp/custom_audience/update/`, always with `action`: without one TikTok replaces everybody."""
    return _post(
        account,
        "dmp/custom_audience/update/",
        {
            "advertiser_id": account.settings["advertiser"],
            "custom_audience_id": held.id,
            "action": "APPEND" if adding else "REMOVE",
            "file_paths": list(paths),
        },
    )


# ---------------------------------------------------------------------------------------------- answers

RIGHTS: Final = (
    "it takes a developer app's access token with the permission Audience Management, of somebody with a role at the advertiser, "
    "as `audience_token`."
)

UNAUTHORISED: Final = {
    **{code: sentence for code, sentence in BLOCKS.items() if code not in {40007, 40063}},
    40001: f"TikTok does not let this access token change audiences: {RIGHTS}",
    40003: f"TikTok does not let this access token change audiences: {RIGHTS}",
    40009: "TikTok's sandbox has no audiences: check the endpoint.",
    40010: "TikTok has no audiences at this address: check the endpoint.",
    40102: "The access token for audiences has expired: authorise the app again and set `audience_token`.",
    40103: "The access token for audiences has expired: authorise the app again and set `audience_token`.",
    40105: f"The access token for audiences is wrong: {RIGHTS}",
    40107: "The access token for audiences is no longer good: authorise the app again and set `audience_token`.",
    40108: "The access token for audiences is no longer good: authorise the app again and set `audience_token`.",
    40110: "The access token for audiences is no longer good: authorise the app again and set `audience_token`.",
    40117: "The app behind the access token may not change audiences; TikTok may have to allow it first.",
    40118: "The app behind the access token is not on TikTok's list for audiences: ask TikTok to put it there.",
    40130: f"The access token lacks the permission for audiences: {RIGHTS}",
}
"""No audience of this destination can be changed until a person acts."""

REFUSALS: Final = {
    40000: "TikTok refused the change as malformed.",
    40002: "TikTok refused the change: a field is missing or has the wrong form.",
    40011: "TikTok takes fewer people at once.",
    40061: "TikTok takes fewer people at once.",
    40062: "TikTok says that an identifier was not hashed.",
    40904: "The file is empty.",
    40906: "The file is empty.",
    40907: "The file is larger than TikTok takes.",
    40908: "TikTok does not take files of this type.",
    40909: "The file holds other kinds of identifiers than the audience.",
}
FILES: Final = {
    40900: "The file did not arrive whole.",
    40905: "TikTok no longer has the file.",
    40910: "TikTok no longer keeps the file.",
}
"""Tried again from the upload on."""

NO_SUCH_OBJECT: Final = 40007
DUPLICATE: Final = 40050
PARTIAL: Final = 20001

_GONE = re.compile(r"audience.{0,80}(?:not (?:exist|found)|n't exist|no longer|delet|invalid|expired)", re.IGNORECASE | re.DOTALL)
_NOT_OURS = re.compile(r"audience.{0,80}(?:belong|own|permission|advertiser)|(?:permission|own).{0,80}audience", re.IGNORECASE)
_AD_GROUP = re.compile(r"ad ?group", re.IGNORECASE)
_TOO_FEW = re.compile(r"1,?000|too small|too few|minimum|less than", re.IGNORECASE)

GONE: Final = (
    "TikTok no longer has this audience: somebody deleted it, or it expired. Rebuild it, or take it out of the workspace file."
)
FOREIGN: Final = "The audience is no longer this advertiser's: check the option `advertiser`, or rebuild the audience."


def changed(response: Response, batch: Batch | None) -> Answer:
    """What the one code of an answer means for the whole request."""
    body = body_of(response)
    code, said = body.get("code"), body.get("message")
    if response.status >= 500 or response.status in {408, 429} or isinstance(code, bool) or not isinstance(code, int):
        return audience_by_status("TikTok", response, batch, said)
    name = str(code)
    words = said if isinstance(said, str) else ""
    if code in {0, DUPLICATE}:
        if 200 <= response.status < 300:
            return Answer(kind="taken", code=name, sentence="TikTok took the change.")
        return audience_by_status("TikTok", response, batch, said)
    if code == PARTIAL:
        # Which part is not said. Adding or removing again what is in or out already changes nothing, so all of it is asked
        # again in halves, down to the one identifier that TikTok never takes.
        return audience_refused(batch, code=name, sentence=quoted("TikTok took only a part and does not say which.", said))
    if code in RETRIES or (code in {40101, 40102} and "frequen" in words.lower()):
        sentence = RETRIES.get(code, RETRIES[40100])
        return Answer(kind="retry", code=name, sentence=sentence, after=retry_after(response), reached=False)
    if code in TROUBLES or code in FILES or 50000 <= code <= 59999:
        sentence = quoted(TROUBLES.get(code) or FILES.get(code) or "TikTok has trouble of its own.", said)
        return Answer(kind="retry", code=name, sentence=sentence, after=retry_after(response))
    if code == NO_SUCH_OBJECT or (code in {40000, 40002} and _GONE.search(words)):
        return Answer(kind="gone", code=name, sentence=quoted(GONE, said))
    if code in {40000, 40001, 40002, 40003} and _NOT_OURS.search(words):
        return Answer(kind="foreign", code=name, sentence=quoted(FOREIGN, said))
    if code in UNAUTHORISED:
        return Answer(kind="unauthorised", code=name, sentence=quoted(UNAUTHORISED[code], said), reached=False)
    if batch is None and _TOO_FEW.search(words):
        sentence = "TikTok takes no change by files that leaves an audience with fewer than 1,000 people."
        return Answer(kind="refused", code=name, sentence=quoted(sentence, said))
    return audience_refused(batch, code=name, sentence=quoted(REFUSALS.get(code, "TikTok refused the change."), said))


def _data(response: Response) -> dict[str, Any]:
    data = body_of(response).get("data")
    return data if isinstance(data, dict) else {}


def _unreadable(response: Response) -> Answer:
    return Answer(kind="retry", code=f"HTTP {response.status}", sentence="TikTok answered with something unreadable.")


def made(response: Response, held: Held, first: Batch | None) -> Made | Answer:  # noqa: ARG001
    """The new audience: `audience_id` of the one way, `custom_audience_id` of the other."""
    answer = changed(response, None)
    if answer.kind != "taken":
        return answer
    data = _data(response)
    found = _id(data.get("audience_id")) or _id(data.get("custom_audience_id"))
    return Made(held=Held(id=found), complete=True, took=False) if found else _unreadable(response)


def _id(value: object) -> str:
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value else ""


def uploaded(response: Response) -> str | Answer:
    """The uploaded file's path."""
    answer = changed(response, None)
    if answer.kind != "taken":
        return answer
    path = _data(response).get("file_path")
    return path if isinstance(path, str) and path else _unreadable(response)


# ---------------------------------------------------------------------------------------------- looking


def _listed(response: Response) -> list[dict[str, Any]] | None:
    """The rows of an answer's list; None when there is no list to read."""
    rows = _data(response).get("list")
    if not isinstance(rows, list):
        return None
    found = [row for row in rows if isinstance(row, dict)]
    return [row["audience_details"] if isinstance(row.get("audience_details"), dict) else row for row in found]


PAGES: Final = 20
"""Pages of 100 that are read of a list: an advertiser has at most 400 audiences."""


def _pages(account: Account, path: str, query: Mapping[str, str]) -> Generator[Request, Response, list[dict[str, Any]] | Answer]:
    found: list[dict[str, Any]] = []
    for page in range(1, PAGES + 1):
        response = yield _get(account, path, {**query, "page": str(page), "page_size": "100"})
        answer = changed(response, None)
        if answer.kind != "taken":
            return answer
        rows = _listed(response)
        if rows is None:
            return _unreadable(response)
        found += rows
        if len(rows) < 100:
            break
    return found


def find(account: Account, title: str) -> Generator[Request, Response, Held | Answer]:
    """The newest of this advertiser's own audiences of this title; TikTok lets several have one."""
    rows = yield from _pages(account, "dmp/custom_audience/list/", {"advertiser_id": account.settings["advertiser"]})
    if isinstance(rows, Answer):
        return rows
    ours = [row for row in rows if row.get("name") == _short(title) and row.get("is_creator") is not False]
    return Held(id=max((_id(row.get("audience_id")) for row in ours), key=lambda found: (len(found), found), default=""))


def look(account: Account, held: Held) -> Generator[Request, Response, Seen | Answer]:
    """`/dmp/custom_audience/get/`: size, and whether ads can use it."""
    query = {"advertiser_id": account.settings["advertiser"], "custom_audience_ids": msgspec.json.encode([held.id]).decode()}
    response = yield _get(account, "dmp/custom_audience/get/", query)
    answer = changed(response, None)
    if answer.kind != "taken":
        return answer
    rows = _listed(response)
    if rows is None:
        return _unreadable(response)
    row = next((row for row in rows if _id(row.get("audience_id")) == held.id), None)
    if row is None:
        return Answer(kind="gone", code=answer.code, sentence=GONE)
    if row.get("is_creator") is False:
        return Answer(kind="foreign", code=answer.code, sentence=FOREIGN)
    return _seen(row)


def _seen(row: Mapping[str, Any]) -> Seen:
    valid, expiring = row.get("is_valid") is True, row.get("is_expiring") is True
    size = counted(row.get("cover_num"))
    status = "not valid" if not valid else "expiring" if expiring else "valid"
    if valid and expiring:
        sentence = "It expires within 60 days, unless an active ad group uses it or it changes."
    elif valid:
        sentence = "Ads can use it."
    else:
        trouble = redacted(row.get("error_msg")) or redacted(row.get("msg"))
        sentence = (
            f"TikTok says: {trouble}" if trouble else "TikTok is counting it, or it has too few people; this takes 24 to 48 h."
        )
    return Seen(name=redacted(row.get("name")), status=status, size=size, usable=valid, sentence=sentence)


# ---------------------------------------------------------------------------------------------- ad groups


def apply(account: Account, held: Held, ad_groups: Sequence[str], use: Use, on: bool) -> Generator[Request, Response, Answer]:
    """`/dmp/custom_audience/apply/`: the ad groups include or exclude it, or are disconnected from it."""
    response = yield _post(
        account,
        "dmp/custom_audience/apply/",
        {
            "advertiser_id": account.settings["advertiser"],
            "custom_audience_id": held.id,
            "adgroup_ids": list(ad_groups),
            "action_mode": "Apply" if on else "Disconnect",
            "usage_mode": "Include" if use == "include" else "Exclude",
        },
    )
    answer, said = changed(response, None), body_of(response).get("message")
    if answer.kind == "refused" or (answer.kind in {"gone", "foreign"} and _AD_GROUP.search(str(said))):
        sentence = quoted(f"TikTok does not let these ad groups {use} the audience: check their numbers.", said)
        return Answer(kind="refused", code=answer.code, sentence=sentence)
    return answer


def users(account: Account, held: Held) -> Generator[Request, Response, tuple[tuple[str, Use], ...] | Answer]:
    """`/dmp/custom_audience/apply/log/`: the ad groups it was applied to, each as last; the log is silent about disconnecting."""
    query = {"advertiser_id": account.settings["advertiser"], "custom_audience_ids": msgspec.json.encode([held.id]).decode()}
    rows = yield from _pages(account, "dmp/custom_audience/apply/log/", query)
    if isinstance(rows, Answer):
        return rows
    uses: dict[str, Use] = {"Include": "include", "Exclude": "exclude"}
    found: dict[str, Use] = {}
    for row in sorted(rows, key=lambda row: str(row.get("action_timestamp")), reverse=True):  # of the same second as they come
        group, use = _id(row.get("adgroup_id")), uses.get(str(row.get("usage_mode")))
        if group and use:
            found.setdefault(group, use)
    return tuple(found.items())


audience: Final = AudiencePart(
    kinds=tuple(SCHEMA),
    doc="Audiences take the option `advertiser` and a developer app's access token with the permission Audience Management as "
    "`audience_token`; TikTok may have to allow the app to send changes as they come. Ads can use an audience of at least 1,000 "
    "matched people. TikTok shows a change after 24 to 48 h. An audience made with `way: file` is changed by files only, and by "
    "none that would leave it with fewer than 1,000 people.",
    batch=BATCH,
    requests_per_second=10,  # of an app of the lowest level
    minimum=1_000,
    minimum_is="matched people",
    pace="24 to 48 h",
    needs=needs,
    starts_empty=True,
    keys=keys,
    cut=cut,
    make=make,
    made=made,
    find=find,
    change=change,
    changed=changed,
    look=look,
    apply=apply,
    users=users,
    drop=drop,
    files=Files(
        rows=FILE_ROWS,
        paths=50,
        cut=cut_for_files,
        upload=upload,
        uploaded=uploaded,
        make=make_of_files,
        change=change_by_files,
    ),
)
