"""TikTok's side of audiences: streamed segments, customer files, and the ad groups that use them.

Facts: business-api.tiktok.com/portal/docs, ids 1739940570793985 (create by file), 1739940567842818 (upload),
1747012327159809 (file guide), the YAML files of the official SDK (`tiktok-v13-audiences.json`), and for the
streaming endpoints, which have none, what clients in production send (`tiktok-segments.json`). What they leave
open is marked "Doubt"; where a stricter and a milder reading fit, the emulator takes the stricter.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from uuid import UUID

import msgspec

from signalpost.platforms.audiences import Accounts, Action, Members, move
from signalpost.platforms.clock import Clock
from signalpost.platforms.faults import Faults
from signalpost.platforms.settings import Settings
from signalpost.platforms.statistics import DAY
from signalpost.platforms.tiktok import (
    BAD_BATCH_SIZE,
    BAD_PARAMETER,
    NO_PERMISSION,
    NOT_HASHED,
    OK,
    PARTLY_OK,
    Refusal,
    TikTok,
    broken,
    content_of,
    paged,
    validator,
)
from signalpost.platforms.wire import Answer, Part, Request, parts, read

ROOT = "/open_api/v1.3"
SEGMENT = f"{ROOT}/segment/audience/"
MAPPING = f"{ROOT}/segment/mapping/"
FILES = f"{ROOT}/dmp/custom_audience"

# The code list of the official SDK.
NO_SUCH_OBJECT = 40007
BAD_SIGNATURE = 40900
NO_FILE = 40905
EMPTY_FILE = 40906
FILE_TOO_LARGE = 40907
BAD_FILE_TYPE = 40908
BAD_CALCULATE_TYPE = 40909
FILE_GONE = 40910

MOST_AUDIENCES = 400
LONGEST_NAME = 70
LIFE_DAYS = 365
EXPIRING_DAYS = 60

# How a kind of identifier ends, SHA256 or MD5 -> whether a text is such a digest.
_DIGESTS = {"256": re.compile(r"[0-9a-f]{64}").fullmatch, "MD5": re.compile(r"[0-9a-f]{32}").fullmatch}
ID_KINDS = frozenset({"EMAIL_SHA256", "PHONE_SHA256", "IDFA_SHA256", "AAID_SHA256", "IDFA_MD5", "AAID_MD5"})
# The columns of a file with several kinds of identifiers, in any case.
COLUMNS = ("maid", "maid_sha256", "maid_md5", "email_sha256", "phone_sha256")
# What an update does with its files -> what that is to the audience.
ACTIONS: dict[str, Action] = {"APPEND": "add", "REMOVE": "remove", "REPLACE": "replace"}
STREAMED, FROM_FILE = "Partner", "Customer File Audience"
# One user of a streamed request: (kind, identifier, audience ids) of each identifier the user has.
Row = list[tuple[str, bytes, list[str]]]


class Audience(msgspec.Struct):
    """One audience; times in epoch milliseconds, `used` ad group -> Include or Exclude."""

    id: str
    owner: str
    name: str
    kind: str
    calculate_type: str
    made_at: int
    changed_at: int
    members: Members
    sub_type: str = "NORMAL"
    retention_days: int | None = None
    shared: bool = False
    gone_at: int | None = None
    used: dict[str, str] = msgspec.field(default_factory=dict)
    applied: list[dict[str, Any]] = msgspec.field(default_factory=list)
    history: list[dict[str, Any]] = msgspec.field(default_factory=list)


class File(msgspec.Struct, frozen=True):
    """An uploaded file as read, or several as one: identifiers by kind, and how many lines could not be read."""

    advertiser: str
    calculate_type: str
    keys: dict[str, list[bytes]]
    unread: int


def endpoints() -> dict[str, Any]:
    """Return path -> method, media type and JSON Schema of what comes in, for every audience endpoint."""
    found: dict[str, Any] = {}
    for name in ("tiktok-segments.json", "tiktok-v13-audiences.json"):
        text = files("signalpost.platforms").joinpath(name).read_bytes()
        found |= msgspec.json.decode(text, type=dict[str, Any])["endpoints"]
    return found


class TikTokAudiences:
    """The emulator of TikTok's audiences; `platform` knows tokens, accounts and TikTok's envelope."""

    def __init__(self, settings: Settings, clock: Clock, faults: Faults, platform: TikTok) -> None:
        self.settings = settings
        self.accounts = Accounts(settings.match_rate, settings.audience_delay_ms)
        self.audiences: dict[str, Audience] = {}
        self.requests: Counter[str] = Counter()
        self._files: dict[str, File] = {}
        self._next = 7100000000000000001
        self._clock = clock
        self._faults = faults
        self._platform = platform
        self._endpoints = endpoints()
        # Objects are closed here as for events.
        self._judges = {
            path: validator({**each["schema"], "additionalProperties": False}, {}) for path, each in self._endpoints.items()
        }
        self._answers: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "/segment/audience/": self._segment,
            "/segment/mapping/": self._mapping,
            "/dmp/custom_audience/file/upload/": self._upload,
            "/dmp/custom_audience/create/": self._create,
            "/dmp/custom_audience/update/": self._update,
            "/dmp/custom_audience/get/": self._get,
            "/dmp/custom_audience/list/": self._list,
            "/dmp/custom_audience/delete/": self._delete,
            "/dmp/custom_audience/apply/": self._apply,
            "/dmp/custom_audience/apply/log/": self._apply_log,
        }

    def has(self, request: Request) -> bool:
        """Return whether a request is to one of these endpoints, by its own method and with its trailing slash."""
        endpoint = self._endpoints.get(request.path.removeprefix(ROOT))
        return request.path.startswith(ROOT) and endpoint is not None and endpoint["method"] == request.method

    def answer(self, request: Request) -> Answer:
        """Answer a request to one of these endpoints."""
        path = request.path.removeprefix(ROOT)
        try:
            self._platform.authorize(request, self.settings.tiktok_token, self.settings.tiktok_events_token)
            given, file = self._read(path, request)
            for error in self._judges[path].iter_errors(given):
                raise broken(error)
            advertisers = given["advertiser_ids"] if "advertiser_ids" in given else [given["advertiser_id"]]
            self._platform.permit_advertisers(request, *advertisers)
            return self._answers[path](given if file is None else {**given, "file": file})
        except Refusal as refusal:
            return self._platform.say(refusal.code, refusal.message)
        except RecursionError:
            return self._platform.say(BAD_PARAMETER, "The request body is nested too deeply.")

    def reset(self) -> None:
        """Forget every audience, file and ad group's use of them, and settle sizes as at the start."""
        self.audiences.clear()
        self._files.clear()
        self.requests.clear()
        self.accounts.reset()
        self.accounts.delay_ms = self.settings.audience_delay_ms

    def _read(self, path: str, request: Request) -> tuple[Any, Part | None]:
        """Return what came in as one value, the body's, the form's or the query's, and a form's file."""
        endpoint = self._endpoints[path]
        if endpoint["media"] is None:
            return _query(endpoint["schema"], request), None
        if endpoint["media"] != "multipart/form-data":
            return content_of(request), None
        try:
            form = parts(request)
            # The file's own bytes are no text; the schema only wants to see that it is there.
            given = {name: "" if part.filename is not None else part.content.decode() for name, part in form.items()}
        except ValueError as error:
            raise Refusal(BAD_PARAMETER, f"The request is no form with a file: {error}.") from None
        return given, form.get("file")

    # Streaming

    def _segment(self, body: dict[str, Any]) -> Answer:
        advertiser = body["advertiser_id"]
        if body.get("action", "create") == "delete":
            if "delete_audience_id" not in body:
                raise Refusal(BAD_PARAMETER, "delete_audience_id: Missing data for required field.")
            audience = self._own(body["delete_audience_id"], advertiser, "delete_audience_id")
            if audience.kind != STREAMED:
                raise Refusal(BAD_PARAMETER, "delete_audience_id: Not an audience of this endpoint.")
            self._remove(audience)
            return self._platform.say(OK, "OK", data={"audience_id": audience.id})
        if "custom_audience_name" not in body:
            raise Refusal(BAD_PARAMETER, "custom_audience_name: Missing data for required field.")
        name = body["custom_audience_name"]
        if len(name) > LONGEST_NAME:
            name = name[: LONGEST_NAME - 3] + "..."
        audience = self._make(advertiser, name, STREAMED, "MULTIPLE_TYPES")
        return self._platform.say(OK, "OK", data={"audience_id": audience.id})

    def _mapping(self, body: dict[str, Any]) -> Answer:
        kinds, batch = self._kinds(body["id_schema"]), body["batch_data"]
        if not 1 <= len(batch) <= self.settings.tiktok_rows:
            raise Refusal(BAD_BATCH_SIZE, f"batch_data: {len(batch)} rows, 1 to {self.settings.tiktok_rows} are allowed.")
        rows = [self._row(position, row, kinds) for position, row in enumerate(batch)]
        owners = set(body["advertiser_ids"])
        audiences = {}
        for audience_id in dict.fromkeys(each for row in rows for _, _, ids in row for each in ids):
            audience = self._own(audience_id, owners, "batch_data: audience_ids")
            if audience.kind != STREAMED:
                raise Refusal(BAD_PARAMETER, f"batch_data: audience_ids: {audience_id} was not made by /segment/audience/.")
            audiences[audience_id] = audience
        action: Action = "add" if body.get("action", "add") == "add" else "remove"
        kept = self._left(rows, action)
        keys: dict[str, dict[str, list[bytes]]] = {each: {kind: [] for kind in kinds} for each in audiences}
        for row in kept:
            self.accounts.link([key for _, key, _ in row])
            for kind, key, ids in row:
                for audience_id in ids:
                    keys[audience_id][kind].append(key)
        request_id, now = self._platform.new_request_id(), self._clock.now()
        for audience_id, audience in audiences.items():
            audience.members.change(action, keys[audience_id], now, request_id, self.accounts)
            audience.changed_at = now
        if len(kept) < len(rows):
            return self._platform.say(PARTLY_OK, "Partial success.", request_id)
        return self._platform.say(OK, "OK", request_id)

    def _kinds(self, id_schema: Sequence[str]) -> list[str]:
        """Return the kinds of identifiers a request names, in TikTok's capitals."""
        kinds = [each.upper() if each.islower() else each for each in id_schema]
        for position, kind in enumerate(kinds):
            if kind not in ID_KINDS:
                raise Refusal(BAD_PARAMETER, f"id_schema.{position}: Must be one: {', '.join(sorted(ID_KINDS))}.")
        if len(set(kinds)) < len(kinds):
            raise Refusal(BAD_PARAMETER, "id_schema: Must not repeat an item.")
        # Doubt: the page has a caution on device ids of both systems in one request, whose text was not readable.
        if {kind.split("_")[0] for kind in kinds} >= {"IDFA", "AAID"}:
            raise Refusal(BAD_PARAMETER, "id_schema: IDFA and AAID must not stand in one request.")
        return kinds

    def _row(self, position: int, row: list[dict[str, Any]], kinds: Sequence[str]) -> Row:
        """Return (kind, identifier, audience ids) of what one user has; `{}` stands for an identifier the user lacks."""
        if len(row) != len(kinds):
            sentence = f"Must have {len(kinds)} items by position of id_schema, {{}} for a missing one."
            raise Refusal(BAD_PARAMETER, f"batch_data.{position}: {sentence}")
        found: Row = []
        for column, (item, kind) in enumerate(zip(row, kinds, strict=True)):
            if not item:
                continue
            key, ids = item.get("id"), item.get("audience_ids")
            if len(item) != 2 or not isinstance(key, str) or not isinstance(ids, list) or set(map(type, ids)) != {str}:
                raise _bad_item(f"batch_data.{position}.{column}", item)
            if not _is_digest(key, kind):
                method = kind.partition("_")[2]
                sentence = f"Not hashed: expected {method} in lower-case hexadecimal."
                raise Refusal(NOT_HASHED, f"batch_data.{position}.{column}.id: {sentence}")
            found.append((kind, bytes.fromhex(key), ids))
        if not found:
            raise Refusal(BAD_PARAMETER, f"batch_data.{position}: At least one id is required.")
        return found

    def _left(self, rows: list[Row], action: str) -> list[Row]:
        """Return the rows that a `partial` fault leaves; one with a code of its own refuses them all."""
        fault = self._faults.refusing("tiktok", "audiences", MAPPING)
        if fault is None:
            return rows
        left_out = set(self._faults.refused(fault, [(action, row[0][1].hex()) for row in rows]))
        if left_out and fault.asked.code not in {None, PARTLY_OK}:
            message = fault.asked.message or "refused by a fault of the emulator."
            raise Refusal(fault.asked.code or BAD_PARAMETER, f"batch_data.{min(left_out)}: {message}")
        return [row for position, row in enumerate(rows) if position not in left_out]

    # Customer files

    def _upload(self, body: dict[str, Any]) -> Answer:
        file, kind = body["file"], body["calculate_type"]
        if file.filename is None:
            raise Refusal(NO_FILE, "file: Must be a file, with its name.")
        if not file.filename.endswith((".csv", ".txt")):
            raise Refusal(BAD_FILE_TYPE, "file: Its name must end in .csv or .txt.")
        if not file.content.strip():
            raise Refusal(EMPTY_FILE, "file: Must not be empty.")
        if len(file.content) > self.settings.tiktok_file_bytes:
            raise Refusal(FILE_TOO_LARGE, f"file: At most {self.settings.tiktok_file_bytes} bytes are allowed.")
        if hashlib.md5(file.content, usedforsecurity=False).hexdigest() != body["file_signature"]:
            raise Refusal(BAD_SIGNATURE, "file_signature: Not the MD5 of the file.")
        keys, unread = self._identifiers(file.content, kind)
        if not any(keys.values()):
            raise Refusal(BAD_CALCULATE_TYPE, f"calculate_type: The file has no {kind}.")
        # The official files say that a path has 16 characters.
        path = hashlib.sha256(self._platform.new_request_id().encode()).hexdigest()[:16]
        self._files[path] = File(body["advertiser_id"], kind, keys, unread)
        return self._platform.say(OK, "OK", data={"file_path": path})

    def _identifiers(self, content: bytes, kind: str) -> tuple[dict[str, list[bytes]], int]:
        """Return a file's identifiers by kind, and how many of its lines could not be read."""
        lines = content.decode("utf-8-sig", "replace").split("\n")
        keys: dict[str, list[bytes]] = defaultdict(list)
        unread = 0
        if kind != "MULTIPLE_TYPES":
            for line in lines:
                text = line.rstrip("\r")
                if _is_digest(text, kind):
                    keys[kind].append(bytes.fromhex(text))
                else:
                    unread += text != ""
            return keys, unread
        columns = [each.strip().lower() for each in lines[0].split(",")]
        if not set(columns) <= set(COLUMNS) or len(set(columns)) < len(columns):
            raise Refusal(BAD_CALCULATE_TYPE, f"file: Its first line must name columns of {', '.join(COLUMNS)}.")
        for line in lines[1:]:
            text = line.rstrip("\r")
            if not text:
                continue
            cells = text.split(",")
            filled = [each for each in zip(columns, cells, strict=False) if each[1]]
            found = [(column.upper(), key) for column, cell in filled if (key := _cell(cell, column)) is not None]
            if not found or len(found) < len(filled) or len(cells) != len(columns):
                unread += 1
                continue
            self.accounts.link([key for _, key in found])
            for one, key in found:
                keys[one].append(key)
        return keys, unread

    def _create(self, body: dict[str, Any]) -> Answer:
        advertiser = body["advertiser_id"]
        taken = self._take(body["file_paths"], advertiser, body["calculate_type"])
        audience = self._make(advertiser, body["custom_audience_name"], FROM_FILE, body["calculate_type"])
        audience.sub_type = body.get("audience_sub_type", "NORMAL")
        audience.retention_days = body.get("retention_in_days")
        self._fill(audience, "add", taken, body["file_paths"], "Create")
        return self._platform.say(OK, "OK", data={"custom_audience_id": audience.id})

    def _update(self, body: dict[str, Any]) -> Answer:
        audience = self._own(body["custom_audience_id"], body["advertiser_id"], "custom_audience_id")
        if audience.kind != FROM_FILE:
            # A streamed audience is changed by /segment/mapping/ only.
            raise Refusal(BAD_PARAMETER, "custom_audience_id: Not a customer file audience.")
        if "audience_sub_type" in body:
            if body["audience_sub_type"] != "REACH_FREQUENCY":
                raise Refusal(BAD_PARAMETER, "audience_sub_type: Can only be changed to REACH_FREQUENCY.")
            audience.sub_type = "REACH_FREQUENCY"  # and the other fields are ignored, says the page
            return self._platform.say(OK, "OK")
        name, paths = body.get("custom_audience_name"), body.get("file_paths")
        if name is None and paths is None:
            raise Refusal(BAD_PARAMETER, "custom_audience_name: This field or file_paths is required.")
        if name is not None and not 1 <= len(name) <= 128:
            raise Refusal(BAD_PARAMETER, "custom_audience_name: Must have 1 to 128 characters.")
        if paths is not None:
            way = body.get("action", "REPLACE")
            taken = self._take(paths, body["advertiser_id"], audience.calculate_type)
            self._hold_minimum(audience, ACTIONS[way], taken)
            self._fill(audience, ACTIONS[way], taken, paths, way.capitalize())
        if name is not None:
            audience.name = name
        audience.changed_at = self._clock.now()
        return self._platform.say(OK, "OK")

    def _take(self, paths: Sequence[str], advertiser: str, kind: str) -> File:
        """Return the uploaded files of `paths` as one; they stay until they are used. Doubt: a path is good for one use."""
        taken = []
        for position, path in enumerate(paths):
            file = self._files.get(path)
            if file is None or file.advertiser != advertiser:
                raise Refusal(FILE_GONE, f"file_paths.{position}: No such file, or it was used already.")
            if file.calculate_type.replace("MAID", "FIRST") != kind.replace("MAID", "FIRST"):
                raise Refusal(BAD_CALCULATE_TYPE, f"file_paths.{position}: Was uploaded as {file.calculate_type}, not {kind}.")
            taken.append(file)
        if len(set(paths)) < len(paths):
            raise Refusal(BAD_PARAMETER, "file_paths: Must not repeat an item.")
        keys: dict[str, list[bytes]] = defaultdict(list)
        for file in taken:
            for each, some in file.keys.items():
                keys[each].extend(some)
        return File(advertiser, kind, keys, sum(file.unread for file in taken))

    def _hold_minimum(self, audience: Audience, action: Action, taken: File) -> None:
        """Raise the refusal of an update that would leave too few people."""
        after = {kind: set(keys) for kind, keys in audience.members.of.items()}
        move(after, action, taken.keys)
        size, least = self.accounts.count(after), self.settings.tiktok_minimum
        if size < least:
            raise Refusal(BAD_PARAMETER, f"file_paths: {size} people would be left, at least {least} are required.")

    def _fill(self, audience: Audience, action: Action, taken: File, paths: Sequence[str], word: str) -> None:
        for path in paths:
            del self._files[path]
        now, request_id = self._clock.now(), self._platform.new_request_id()
        audience.members.change(action, taken.keys, now, request_id, self.accounts, named=False)
        audience.changed_at = now
        audience.history.append(
            {
                "action": word,
                "action_detail": f"{len(paths)} file(s)",
                "editor": "open_api",
                "msg": f"{taken.unread} lines could not be read." if taken.unread else "",
                "opt_time": _time(now),
            }
        )

    def _get(self, query: dict[str, Any]) -> Answer:
        shown = [
            {
                "audience_details": self._details(audience, query["advertiser_id"]),
                "audience_history": audience.history[: -query.get("history_size", 100) - 1 : -1],
            }
            for audience in self._visible(query["advertiser_id"], query["custom_audience_ids"])
        ]
        return self._platform.say(OK, "OK", data={"list": shown})

    def _list(self, query: dict[str, Any]) -> Answer:
        found = list(self._visible(query["advertiser_id"], query.get("custom_audience_ids")))
        shown, info = _page(found, query)
        told = [self._details(audience, query["advertiser_id"]) for audience in shown]
        return self._platform.say(OK, "OK", data={"list": told, "page_info": info})

    def _delete(self, body: dict[str, Any]) -> Answer:
        wanted = [self._own(each, body["advertiser_id"], "custom_audience_ids") for each in body["custom_audience_ids"]]
        for audience in wanted:
            self._remove(audience)
        return self._platform.say(OK, "OK")

    def _apply(self, body: dict[str, Any]) -> Answer:
        audience = self._own(body["custom_audience_id"], body["advertiser_id"], "custom_audience_id")
        mode, usage, groups = body["action_mode"], body.get("usage_mode"), body["adgroup_ids"]
        if not groups:
            raise Refusal(BAD_PARAMETER, "adgroup_ids: Must not be empty.")
        for group in groups:
            if group not in self.settings.tiktok_ad_groups:
                raise Refusal(NO_SUCH_OBJECT, f"adgroup_ids: Ad group {group} does not exist in this advertiser account.")
        now = self._clock.now()
        if mode == "Apply":
            if usage is None:
                raise Refusal(BAD_PARAMETER, "usage_mode: Missing data for required field.")
            valid, why = self._valid(audience)
            if not valid:
                raise Refusal(BAD_PARAMETER, f"custom_audience_id: The audience cannot be used yet. {why}")
        for group in groups:
            if mode == "Disconnect":
                audience.used.pop(group, None)
                continue
            audience.used[group] = usage or ""
            audience.changed_at = now
            audience.applied.append(
                {
                    "audience_id": audience.id,
                    "adgroup_id": group,
                    "adgroup_name": _group_name(group),
                    "usage_mode": usage,
                    "editor": "open_api",
                    "action_timestamp": _time(now),
                }
            )
        return self._platform.say(OK, "OK")

    def _apply_log(self, query: dict[str, Any]) -> Answer:
        """Tell what was applied, the newest first. Disconnecting is not in this log, say the SDK's files."""
        wanted = [self._own(each, query["advertiser_id"], "custom_audience_ids") for each in query["custom_audience_ids"]]
        shown, info = _page([entry for audience in wanted for entry in reversed(audience.applied)], query)
        told = {"advertiser_id": query["advertiser_id"], "list": shown, "page_info": info}
        return self._platform.say(OK, "OK", data=told)

    # What all have in common

    def _make(self, advertiser: str, name: str, kind: str, calculate_type: str) -> Audience:
        if sum(each.owner == advertiser and each.gone_at is None for each in self.audiences.values()) >= MOST_AUDIENCES:
            raise Refusal(BAD_PARAMETER, f"advertiser_id: At most {MOST_AUDIENCES} audiences are allowed.")
        now = self._clock.now()
        members = Members(self.settings.keep, now + self.accounts.delay_ms)
        audience = Audience(str(self._next), advertiser, name, kind, calculate_type, now, now, members)
        self._next += 1
        self.audiences[audience.id] = audience
        return audience

    def _own(self, audience_id: str, owners: str | set[str], where: str) -> Audience:
        """Return an audience of `owners`. Doubt: the codes; the list of the official SDK has them, no page was readable."""
        audience = self.audiences.get(audience_id)
        if audience is None or audience.gone_at is not None:
            raise Refusal(NO_SUCH_OBJECT, f"{where}: Audience {audience_id[:40]} does not exist.")
        if audience.owner not in ({owners} if isinstance(owners, str) else owners):
            raise Refusal(NO_PERMISSION, f"{where}: No permission to operate audience {audience_id}.")
        return audience

    def _visible(self, advertiser: str, ids: Sequence[str] | None) -> Iterator[Audience]:
        """Yield what an advertiser owns or was shared. Doubt: ids that do not exist are left out without a word."""
        for each in self.audiences.values() if ids is None else filter(None, map(self.audiences.get, dict.fromkeys(ids))):
            if each.gone_at is None and (each.owner == advertiser or each.shared):
                yield each

    def _remove(self, audience: Audience) -> None:
        if audience.used:
            # Doubt: whether an audience in use can be deleted; a client that disconnects it first is right in any case.
            raise Refusal(BAD_PARAMETER, f"Audience {audience.id} is used by ad groups: {', '.join(sorted(audience.used))}.")
        self.lose(audience)

    def lose(self, audience: Audience) -> None:
        """Delete an audience, whoever uses it."""
        audience.gone_at = self._clock.now()
        audience.used.clear()
        audience.members.clear()

    def _valid(self, audience: Audience) -> tuple[bool, str]:
        """Return whether ads can use an audience, and TikTok's word on it. Doubt: the sentences are ours."""
        now = self._clock.now()
        size = audience.members.settle(now, self.accounts)
        if size is None:
            return False, "The audience is being computed."
        if now >= self._expires(audience):
            return False, "The audience has expired."
        if size < self.settings.tiktok_minimum:
            return False, f"The audience is too small: at least {self.settings.tiktok_minimum} are required."
        return True, ""

    def _expires(self, audience: Audience) -> int:
        """Return when an audience expires. A retention asked for runs from its making; else its last use or change counts."""
        if audience.kind == STREAMED:
            # Seen in a client's test data: a year after its making. Doubt: whether a change renews it.
            return audience.made_at + LIFE_DAYS * DAY
        if audience.retention_days is not None:
            return audience.made_at + audience.retention_days * DAY
        return audience.changed_at + LIFE_DAYS * DAY

    def _details(self, audience: Audience, advertiser: str) -> dict[str, Any]:
        valid, why = self._valid(audience)
        expires, now = self._expires(audience), self._clock.now()
        return {
            "audience_id": audience.id,
            "name": audience.name,
            # The files of the SDK call it `type`, a client that follows the pages `audience_type`.
            "type": audience.kind,
            "audience_type": audience.kind,
            "audience_sub_type": audience.sub_type,
            "calculate_type": audience.calculate_type,
            # Doubt: nothing is said about the number while it is computed for the first time.
            "cover_num": audience.members.size or 0,
            "is_valid": valid,
            "is_expiring": expires - EXPIRING_DAYS * DAY <= now < expires,
            "is_auto_refresh": False,
            "expired_time": _time(expires),
            "create_time": _time(audience.made_at),
            "shared": audience.shared,
            "is_creator": audience.owner == advertiser,
            "owner_id": audience.owner,
            "rule": "",
            "msg": why,
            "error_msg": "",
        }

    def summary(self, audience: Audience, *, changes: bool = False) -> dict[str, Any]:
        """Return everything about an audience that a test may ask, as JSON-ready values."""
        valid, why = self._valid(audience)
        return {
            "id": audience.id,
            "name": audience.name,
            "kind": "streamed" if audience.kind == STREAMED else "file",
            "owner": audience.owner,
            "made_at": audience.made_at,
            "gone_at": audience.gone_at,
            "status": "READY" if valid else why,
            "include": sorted(group for group, usage in audience.used.items() if usage == "Include"),
            "exclude": sorted(group for group, usage in audience.used.items() if usage == "Exclude"),
            **audience.members.summary(self._clock.now(), self.accounts, changes=changes),
        }


def _is_digest(text: str, kind: str) -> bool:
    return _DIGESTS[kind[-3:]](text) is not None


def _bad_item(where: str, item: dict[str, Any]) -> Refusal:
    """Return the refusal of an item that is not an id with its audiences."""
    for name in ("id", "audience_ids"):
        if name not in item:
            return Refusal(BAD_PARAMETER, f"{where}.{name}: Missing data for required field.")
    for name in item.keys() - {"id", "audience_ids"}:
        return Refusal(BAD_PARAMETER, f"{where}.{name}: Unknown field.")
    if not isinstance(item["id"], str):
        return Refusal(BAD_PARAMETER, f"{where}.id: Not a valid string.")
    return Refusal(BAD_PARAMETER, f"{where}.audience_ids: Must be a list of strings, and not empty.")


def _cell(text: str, column: str) -> bytes | None:
    """Return a cell's identifier, None if it is none."""
    if column != "maid":
        return bytes.fromhex(text) if _is_digest(text, column.upper()) else None
    try:
        return UUID(text).bytes
    except ValueError:
        return None


def _query(schema: dict[str, Any], request: Request) -> dict[str, Any]:
    """Return a query as an object: lists come as JSON, numbers as digits."""
    found: dict[str, Any] = {}
    for name, text in request.query.items():
        kind = schema["properties"].get(name, {}).get("type")
        if kind == "array":
            try:
                found[name] = read(text.encode())
            except ValueError:
                raise Refusal(BAD_PARAMETER, f"{name}: Not valid JSON.") from None
        else:
            found[name] = int(text) if kind == "integer" and re.fullmatch(r"-?\d{1,9}", text) else text
    return found


def _page(found: Sequence[Any], query: dict[str, Any]) -> tuple[Sequence[Any], dict[str, int]]:
    return paged(found, max(query.get("page", 1), 1), max(query.get("page_size", 10), 1))


def _group_name(group: str) -> str:
    return f"Emulated ad group {group[-3:]}"


def _time(at: int) -> str:
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%d %H:%M:%S}"
