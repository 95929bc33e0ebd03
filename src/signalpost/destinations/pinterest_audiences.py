"""Pinterest audiences: a customer list takes the people, an audience wraps it, ad groups name the audience.

Facts from Pinterest's own description (pinterest/api-description, 5.23). All of it takes an OAuth token; a conversion
token is refused. Records are one text of digests with commas between them, so a request has no rows and an answer says
nothing of single people. Pinterest has no way to delete a customer list: who must go is removed from it.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from signalpost.destinations.answers import audience_by_status, audience_refused, body_of, counted, quoted, redacted, retry_after
from signalpost.destinations.audiences import Account, Answer, AudiencePart, Batch, Held, Made, Seen, Use
from signalpost.destinations.contract import Request, Response

KINDS: Final = ("email", "idfa", "gaid")
"""A list takes e-mails and mobile advertising ids mixed. Phones would need `records_v2` of 5.28, which is not used."""

BATCH: Final = 10_000
"""Records a request, 650 kB. Pinterest publishes no limit; Tealium's connector sends as many, and at most 1 MB."""

LONGEST_TITLE: Final = 100
"""Pinterest publishes no limit."""

# ---------------------------------------------------------------------------------------------- people


def keys(known: Mapping[str, Any]) -> tuple[str, ...]:
    """`email:`, `idfa:` and `gaid:` digests, the very ones that events carry."""
    return tuple(dict.fromkeys(f"{kind}:{digest}" for kind in KINDS for digest in known.get(kind, ())))


def cut(adding: bool, people: Iterable[Sequence[str]]) -> Iterator[Batch]:
    """Batches of at most 10,000 records, one a row: Pinterest keeps records, not people."""
    records = chain.from_iterable(people)
    while part := tuple((key,) for key in islice(records, BATCH)):
        yield Batch(adding, part)


# ---------------------------------------------------------------------------------------------- asking


def needs(settings: Mapping[str, str]) -> str:  # noqa: ARG001
    """Nothing: an access token may be one of OAuth, which only Pinterest can tell."""
    return ""


def _call(account: Account, method: str, path: str, body: object = None) -> Request:
    settings = account.settings
    token = settings.get("audience_token") or settings.get("reading_token") or settings["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    if body is not None:
        headers["content-type"] = "application/json"
    return Request(
        method=method,
        url=f"{account.base.rstrip('/')}/v5/ad_accounts/{settings['ad_account']}/{path}",
        headers=headers,
        body=b"" if body is None else msgspec.json.encode(body),
    )


def _records(batch: Batch) -> str:
    return ",".join(key.partition(":")[2] for key in batch.keys)


def make(account: Account, title: str, held: Held, first: Batch | None) -> Request:
    """First the customer list, which must have records from the beginning, then the audience around it.

    Raises `ValueError` when there is neither a list nor anybody to begin one with.
    """
    name = title[:LONGEST_TITLE]
    if held.list_id:
        rule = {"customer_list_id": held.list_id}
        return _call(account, "POST", "audiences", {"audience_type": "CUSTOMER_LIST", "name": name, "rule": rule})
    if first is None or not first.rows:
        raise ValueError("Pinterest makes no customer list without records")
    return _call(account, "POST", "customer_lists", {"name": name, "list_type": "EMAIL", "records": _records(first)})


def change(account: Account, held: Held, batch: Batch) -> Request:
    """Records to or from the customer list."""
    body = {"operation_type": "ADD" if batch.adding else "REMOVE", "records": _records(batch)}
    return _call(account, "PATCH", f"customer_lists/{held.list_id}", body)


def drop(account: Account, held: Held) -> Request:
    """Remove the audience; its customer list stays, since Pinterest has no way to delete one."""
    return _call(account, "PATCH", f"audiences/{held.id}", {"operation_type": "REMOVE"})


# ---------------------------------------------------------------------------------------------- answers

RIGHTS: Final = (
    "it takes an OAuth access token with the scopes ads:read and ads:write, of somebody with a role in the ad account, as "
    "`audience_token`."
)

RETRIES: Final = {8: "Pinterest takes no more requests for the moment."}
UNAUTHORISED: Final = {
    2: f"Pinterest does not accept the access token for audiences: {RIGHTS}",
    3: f"The access token lacks the permission for audiences: {RIGHTS}",
    29: f"The access token may not change audiences of this ad account: {RIGHTS}",
}
"""No audience of this destination can be changed until a person acts. The codes count with HTTP 401, 403 and 404."""

GONE: Final = "Pinterest no longer has this audience: somebody deleted it. Rebuild it, or take it out of the workspace file."
FOREIGN: Final = "The audience is no longer this ad account's: check the option `ad_account`, or rebuild the audience."

_ACCOUNT = re.compile(r"ad ?account|advertiser", re.IGNORECASE)
_AUDIENCE = re.compile(r"customer ?list|audience|user ?list", re.IGNORECASE)


def changed(response: Response, batch: Batch | None) -> Answer:
    """What an answer means for all records: a 2xx counts only with the list or audience in it, and without `exceptions`."""
    wrong = _wrong(response, batch)
    if wrong is not None:
        return wrong
    body = body_of(response)
    if not _id(body.get("id")):
        return Answer(kind="retry", code=f"HTTP {response.status}", sentence="Pinterest answered with something unreadable.")
    exceptions = body.get("exceptions")
    if exceptions:
        return audience_refused(batch, code="exceptions", sentence=quoted("Pinterest refused the change.", _words(exceptions)))
    return Answer(kind="taken", code=str(response.status), sentence="Pinterest took the change.")


def _wrong(response: Response, batch: Batch | None) -> Answer | None:
    """What a status and a code other than success mean; None for success."""
    status = response.status
    if 200 <= status < 300:
        return None
    body = body_of(response)
    code, said = body.get("code"), body.get("message")
    known = code if isinstance(code, int) and not isinstance(code, bool) else None
    name = str(known if known is not None else f"HTTP {status}")
    words = said if isinstance(said, str) else ""
    if status == 429 and known in RETRIES:
        return Answer(kind="retry", code=name, sentence=RETRIES[known], after=retry_after(response), reached=False)
    if status in {404, 410} and not _ACCOUNT.search(words):
        return Answer(kind="gone", code=name, sentence=quoted(GONE, said))
    if status == 403 and known == 29 and _AUDIENCE.search(words):
        return Answer(kind="foreign", code=name, sentence=quoted(FOREIGN, said))
    if status in {401, 403, 404} and known in UNAUTHORISED:
        return Answer(kind="unauthorised", code=name, sentence=quoted(UNAUTHORISED[known], said), reached=False)
    if status in {401, 403}:
        return Answer(
            kind="unauthorised", code=name, sentence=quoted(f"Pinterest refuses the access token: {RIGHTS}", said), reached=False
        )
    return audience_by_status("Pinterest", response, batch, said)


def _id(value: object) -> str:
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value else ""


def _words(exceptions: object) -> str:
    """What the exceptions of an item say, in whichever of the forms of Pinterest's description they come."""
    if isinstance(exceptions, Mapping):
        return _words(exceptions.get("message")) or "; ".join(filter(None, map(_words, exceptions.values())))
    if isinstance(exceptions, list):
        return "; ".join(filter(None, map(_words, exceptions)))
    return exceptions if isinstance(exceptions, str) else ""


def made(response: Response, held: Held, first: Batch | None) -> Made | Answer:
    """The customer list is made, with the first people in it; or the audience around it."""
    answer = changed(response, None if held.list_id else first)
    if answer.kind != "taken":
        return answer
    found = _id(body_of(response).get("id"))
    if held.list_id:
        return Made(held=Held(id=found, list_id=held.list_id), complete=True, took=False)
    return Made(held=Held(list_id=found), complete=False, took=True)


# ---------------------------------------------------------------------------------------------- looking

PAGES: Final = 40
"""Pages of 250 that are read of a list."""


def _pages(account: Account, path: str, query: Mapping[str, str]) -> Generator[Request, Response, list[dict[str, Any]] | Answer]:
    found: list[dict[str, Any]] = []
    bookmark = ""
    for _ in range(PAGES):
        asked = {**query, "page_size": "250"} | ({"bookmark": bookmark} if bookmark else {})
        response = yield _call(account, "GET", f"{path}?{urlencode(asked)}")
        wrong = _wrong(response, None)
        if wrong is not None:
            return wrong
        body = body_of(response)
        rows = body.get("items")
        if not isinstance(rows, list):
            return Answer(kind="retry", code=f"HTTP {response.status}", sentence="Pinterest answered with something unreadable.")
        found += [row for row in rows if isinstance(row, dict)]
        following = body.get("bookmark")
        if not isinstance(following, str) or not following or following == bookmark:
            break
        bookmark = following
    return found


def find(account: Account, title: str) -> Generator[Request, Response, Held | Answer]:
    """The newest customer list of this title, and the newest audience that wraps it."""
    name = title[:LONGEST_TITLE]
    lists = yield from _pages(account, "customer_lists", {"order": "DESCENDING"})
    if isinstance(lists, Answer):
        return lists
    list_id = next((_id(row.get("id")) for row in lists if row.get("name") == name), "")
    if not list_id:
        return Held()
    audiences = yield from _pages(account, "audiences", {"order": "DESCENDING"})
    if isinstance(audiences, Answer):
        return audiences
    return Held(list_id=list_id, id=next((_id(row.get("id")) for row in audiences if _wraps(row, list_id)), ""))


def _wraps(row: Mapping[str, Any], list_id: str) -> bool:
    rule = row.get("rule")
    return isinstance(rule, dict) and _id(rule.get("customer_list_id")) == list_id


SENTENCES: Final = {
    "READY": "Ads can use it.",
    "INITIALIZING": "Pinterest is counting it; this takes 24 to 48 h.",
    "TOO_SMALL": "Pinterest has matched fewer than 100 people of it, so ads cannot use it.",
    "PROCESSING": "Pinterest is matching its people; this takes 24 to 48 h.",
    "UPLOADING": "Pinterest is still taking in its people.",
}


def look(account: Account, held: Held) -> Generator[Request, Response, Seen | Answer]:
    """The audience, and the customer list behind it: either may be gone."""
    response = yield _call(account, "GET", f"audiences/{held.id}")
    answer = changed(response, None)
    if answer.kind == "unauthorised" and answer.code == "29":
        # Not permitted: all of the ad account's audiences, or only this one? Asking for any of them tells.
        response = yield _call(account, "GET", "audiences?page_size=1")
        return Answer(kind="foreign", code="29", sentence=FOREIGN) if _wrong(response, None) is None else answer
    if answer.kind != "taken":
        return answer
    row = body_of(response)
    owner = _id(row.get("ad_account_id"))
    if owner and owner != account.settings["ad_account"]:
        return Answer(kind="foreign", code=answer.code, sentence=FOREIGN)
    response = yield _call(account, "GET", f"customer_lists/{held.list_id}")
    answer = changed(response, None)
    if answer.kind in {"gone", "foreign", "unauthorised", "retry"}:
        return answer
    status, behind = redacted(row.get("status")), redacted(body_of(response).get("status"))
    if status == "READY" and behind in {"PROCESSING", "UPLOADING"}:
        sentence = f"{SENTENCES[status]} {SENTENCES[behind]}"
    else:
        sentence = SENTENCES.get(status, f"Pinterest calls it {status}." if status else "Pinterest does not say how it stands.")
    return Seen(
        name=redacted(row.get("name")),
        status=status,
        size=counted(row.get("size")),
        usable=status == "READY",
        sentence=sentence,
    )


# ---------------------------------------------------------------------------------------------- ad groups

FIELDS: Final[dict[Use, str]] = {"include": "AUDIENCE_INCLUDE", "exclude": "AUDIENCE_EXCLUDE"}


def _named(spec: Mapping[str, Any], use: Use) -> list[str]:
    listed = spec.get(FIELDS[use])
    return [str(one) for one in listed] if isinstance(listed, list) else []


def apply(account: Account, held: Held, ad_groups: Sequence[str], use: Use, on: bool) -> Generator[Request, Response, Answer]:
    """Each ad group is read and sent back with its whole targeting, of which one list differs.

    Whether Pinterest merges or replaces what it is sent is not documented, so nothing is left out. What already is so is
    not sent.
    """
    for group in ad_groups:
        response = yield _call(account, "GET", f"ad_groups/{group}")
        answer = changed(response, None)
        if answer.kind != "taken":
            return _of_group(answer, group, use)
        spec = body_of(response).get("targeting_spec")
        spec = dict(spec) if isinstance(spec, dict) else {}
        named = _named(spec, use)
        if (held.id in named) == on:
            continue
        spec[FIELDS[use]] = [*named, held.id] if on else [one for one in named if one != held.id]
        response = yield _call(account, "PATCH", "ad_groups", [{"id": group, "targeting_spec": spec}])
        answer = _patched(response)
        if answer.kind != "taken":
            return _of_group(answer, group, use)
    return Answer(kind="taken", code="200", sentence="Pinterest's ad groups use the audience as they should.")


def _of_group(answer: Answer, group: str, use: Use) -> Answer:
    """The same answer, said of an ad group: what is gone or not ours is the ad group, not the audience."""
    if answer.kind in {"retry", "unauthorised"}:
        return answer
    sentence = f"Pinterest does not let ad group {group} {use} the audience: check its number. {answer.sentence}"
    if answer.kind in {"gone", "foreign"}:
        sentence = f"The ad account has no ad group {group}: check the option `ad_groups` of the audience."
    return Answer(kind="refused", code=answer.code, sentence=sentence)


def _patched(response: Response) -> Answer:
    """The answer to one changed ad group: an item with the ad group, or with what is wrong."""
    wrong = _wrong(response, None)
    if wrong is not None:
        return wrong
    items = body_of(response).get("items")
    item = items[0] if isinstance(items, list) and len(items) == 1 and isinstance(items[0], dict) else None
    if item is None:
        return Answer(kind="retry", code=f"HTTP {response.status}", sentence="Pinterest answered with something unreadable.")
    if item.get("exceptions"):
        return Answer(kind="refused", code="exceptions", sentence=quoted("Pinterest refused it.", _words(item["exceptions"])))
    return Answer(kind="taken", code=str(response.status), sentence="Pinterest took the change.")


def users(account: Account, held: Held) -> Generator[Request, Response, tuple[tuple[str, Use], ...] | Answer]:
    """The ad groups whose targeting names it."""
    rows = yield from _pages(account, "ad_groups", {})
    if isinstance(rows, Answer):
        return rows
    found: list[tuple[str, Use]] = []
    for row in rows:
        spec = row.get("targeting_spec")
        if isinstance(spec, dict):
            found += [(_id(row.get("id")), use) for use in FIELDS if held.id in _named(spec, use)]
    return tuple(found)


audience: Final = AudiencePart(
    kinds=KINDS,
    doc="Audiences take an OAuth access token with the scopes ads:read and ads:write as `audience_token`; a conversion token "
    "made in Ads Manager is refused. Ads can use an audience of at least 100 matched Pinterest accounts. Pinterest shows a "
    "change after 24 to 48 h. Signalpost makes a customer list and an audience of the same name around it.",
    batch=BATCH,
    requests_per_second=5,
    minimum=100,
    minimum_is="matched Pinterest accounts",
    pace="24 to 48 h",
    needs=needs,
    starts_empty=False,
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
)
