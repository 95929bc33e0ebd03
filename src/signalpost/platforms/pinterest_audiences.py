"""Pinterest's side of audiences: customer lists, the audiences that wrap them, and the ad groups that use those.

Facts: the official description 5.23.0 (`pinterest-v5-audiences.json`) and help.pinterest.com on audience
targeting. What they leave open is marked "Doubt"; where a stricter and a milder reading fit, the emulator takes
the stricter.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jsonschema_rs
import msgspec

from signalpost.platforms.audiences import Accounts, Action, Members
from signalpost.platforms.clock import Clock
from signalpost.platforms.faults import Faults
from signalpost.platforms.pinterest import (
    FORBIDDEN,
    INVALID,
    NOT_FOUND,
    Pinterest,
    Refusal,
    broken,
    content_of,
    description,
    json_schema,
)
from signalpost.platforms.settings import Settings
from signalpost.platforms.wire import Answer, Request

# Hex digits of a digest -> what it is called here. The description takes these three, and e-mail addresses in plain.
DIGESTS = {64: "SHA256", 40: "SHA1", 32: "MD5"}
_HEX = re.compile(r"[0-9a-f]+")
# Whether an address exists is Pinterest's matching to find out; this only tells one from a mistake.
_ADDRESS = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+")


class List(msgspec.Struct):
    """One customer list; times in epoch milliseconds, the two counters rise for repeats and strangers too."""

    id: str
    owner: str
    name: str
    made_at: int
    changed_at: int
    members: Members
    uploaded: int = 0
    removed: int = 0
    batches: int = 0
    refused: int = 0
    gone_at: int | None = None


class Audience(msgspec.Struct):
    """One audience around a customer list."""

    id: str
    owner: str
    name: str
    description: str | None
    list_id: str
    made_at: int
    changed_at: int
    shared: bool = False
    gone_at: int | None = None


class AdGroup(msgspec.Struct):
    """One ad group, as far as audiences concern it; `log` tells when its targeting was replaced."""

    id: str
    targeting: dict[str, Any]
    name: str
    status: str = "ACTIVE"
    changed_at: int = 1_700_000_000_000


class PinterestAudiences:
    """The emulator of Pinterest's audiences; `platform` knows tokens, accounts and Pinterest's errors."""

    def __init__(self, settings: Settings, clock: Clock, faults: Faults, platform: Pinterest) -> None:
        self.settings = settings
        self.accounts = Accounts(settings.match_rate, settings.audience_delay_ms)
        self.lists: dict[str, List] = {}
        self.audiences: dict[str, Audience] = {}
        self.ad_groups: dict[str, AdGroup] = {}
        self.requests: Counter[str] = Counter()
        self._next_list = 6430000000001
        self._next_audience = 2542000000001
        self._clock = clock
        self._faults = faults
        self._platform = platform
        described = description("audiences")
        definitions = json_schema(described["components"]["schemas"])
        parameters = described["components"]["parameters"]
        self._operations: list[tuple[re.Pattern[str], str, dict[str, Any]]] = []
        self._judges: dict[str, jsonschema_rs.Draft202012Validator] = {}
        for path, verbs in described["paths"].items():
            pattern = re.compile("/v5" + re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path))
            for verb, operation in verbs.items():
                name = operation["operationId"]
                given = [
                    parameters[each["$ref"].rpartition("/")[2]] if "$ref" in each else each for each in operation["parameters"]
                ]
                self._operations.append((pattern, verb.upper(), {**operation, "parameters": given}))
                if "requestBody" in operation:
                    schema = json_schema(operation["requestBody"]["content"]["application/json"]["schema"])
                    self._judges[name] = jsonschema_rs.Draft202012Validator(
                        {"allOf": [schema], "$defs": definitions}, validate_formats=True
                    )
        self._answers: dict[str, Callable[[re.Match[str], Any], Any]] = {
            "customer_lists/create": self._create_list,
            "customer_lists/list": self._get_lists,
            "customer_lists/get": self._get_list,
            "customer_lists/update": self._update_list,
            "audiences/create": self._create_audience,
            "audiences/list": self._get_audiences,
            "audiences/get": self._get_audience,
            "audiences/update": self._update_audience,
            "ad_groups/list": self._get_ad_groups,
            "ad_groups/get": self._get_ad_group,
            "ad_groups/update": self._update_ad_groups,
        }
        self._make_ad_groups()

    def operation(self, request: Request) -> str | None:
        """Return the description's name of the operation a request asks for, None if it is none of these."""
        found = self._find(request)
        return found[1]["operationId"] if found else None

    def answer(self, request: Request) -> Answer:
        """Answer a request to one of these endpoints."""
        found = self._find(request)
        if found is None:
            return self._platform.nothing_here()
        path, operation = found
        reads = request.method == "GET"
        try:
            self._platform.authorize(request, path.re, scope="ads:read" if reads else "ads:write")
            name = operation["operationId"]
            given = self._query(operation, request, path.groupdict()) if reads else self._body(name, request)
            return self._platform.say(200, self._answers[name](path, given))
        except Refusal as refusal:
            return self._platform.refuse(refusal)
        except RecursionError:
            return self._platform.refuse(Refusal(400, INVALID[1], "Invalid request: the body is nested too deeply"))

    def reset(self) -> None:
        """Forget every list and audience, and give the ad groups their first targeting."""
        self.lists.clear()
        self.audiences.clear()
        self.requests.clear()
        self.accounts.reset()
        self.accounts.delay_ms = self.settings.audience_delay_ms
        self._make_ad_groups()

    def _make_ad_groups(self) -> None:
        self.ad_groups = {
            each: AdGroup(each, {"LOCATION": ["US"]}, f"Emulated ad group {each[-3:]}")
            for each in self.settings.pinterest_ad_groups
        }

    def _find(self, request: Request) -> tuple[re.Match[str], dict[str, Any]] | None:
        """Return the request's path, which knows its parts by name, and the operation there; None if there is none."""
        for pattern, verb, operation in self._operations:
            if verb == request.method and (path := pattern.fullmatch(request.path)):
                return path, operation
        return None

    def _body(self, operation: str, request: Request) -> Any:
        body = content_of(request)
        judge = self._judges[operation]
        if not judge.is_valid(body):
            raise broken(next(judge.iter_errors(body)))
        if isinstance(body, dict) and len(request.body) > self.settings.pinterest_bytes:
            raise Refusal(400, INVALID[1], f"Invalid request: the body is longer than {self.settings.pinterest_bytes} bytes")
        return body

    def _query(self, operation: dict[str, Any], request: Request, path: dict[str, str]) -> dict[str, Any]:
        """Return the query as the description has it, defaults filled in; lists repeat their name."""
        known = {each["name"]: each["schema"] for each in operation["parameters"]}
        given: dict[str, Any] = {}
        for name, text in request.pairs:
            schema = known.get(name)
            if schema is None or name in path:
                raise Refusal(400, INVALID[1], f"Invalid request: unknown parameter {name[:40]!r}", name)
            if schema["type"] == "array":
                given.setdefault(name, []).append(text)
            else:
                given[name] = int(text) if schema["type"] == "integer" and re.fullmatch(r"-?\d{1,9}", text) else text
        for name, value in {**given, **path}.items():
            judge = jsonschema_rs.Draft202012Validator(json_schema(known[name]))
            if not judge.is_valid(value):
                raise broken(next(judge.iter_errors(value)))
        return {name: schema["default"] for name, schema in known.items() if "default" in schema} | given

    # Customer lists

    def _create_list(self, path: re.Match[str], body: dict[str, Any]) -> dict[str, Any]:
        if not body["name"].strip():
            raise Refusal(400, INVALID[1], 'Invalid request: "name" is empty', "name")
        keys = self._records(body["records"])
        now = self._clock.now()
        members = Members(self.settings.keep, now + self.accounts.delay_ms)
        one = List(str(self._next_list), path["ad_account_id"], body["name"], now, now, members)
        self._next_list += 1
        self._take(one, "add", keys, path.string)
        self.lists[one.id] = one
        return self._list_told(one)

    def _update_list(self, path: re.Match[str], body: dict[str, Any]) -> dict[str, Any]:
        one = self._own_list(path["customer_list_id"], path["ad_account_id"])
        self._take(one, "add" if body["operation_type"] == "ADD" else "remove", self._records(body["records"]), path.string)
        return self._list_told(one)

    def _get_list(self, path: re.Match[str], _: dict[str, Any]) -> dict[str, Any]:
        return self._list_told(self._own_list(path["customer_list_id"], path["ad_account_id"]))

    def _get_lists(self, path: re.Match[str], query: dict[str, Any]) -> dict[str, Any]:
        mine = [each for each in self.lists.values() if each.gone_at is None and each.owner == path["ad_account_id"]]
        return _page(mine, query, self._list_told)

    def _records(self, records: str) -> list[tuple[str, bytes]]:
        """Return (kind, record) of one comma-separated string, which may end in a comma as in the description's example.

        Doubt: what Pinterest does with a record that can be nothing; the emulator refuses the request for it.
        """
        found = []
        for position, record in enumerate(records.removesuffix(",").split(",")):
            kind = DIGESTS.get(len(record)) if _HEX.fullmatch(record) else None
            if kind is not None:
                found.append((kind, bytes.fromhex(record)))
            elif _ADDRESS.fullmatch(record) and record == record.lower():
                found.append(("plain", record.encode()))
            else:
                message = "is neither a lower-case e-mail address nor a digest in lower-case hexadecimal"
                raise Refusal(400, INVALID[1], f"Invalid request: record {position} {message}", "records")
        if len(found) > self.settings.pinterest_records:
            message = f"{len(found)} records, at most {self.settings.pinterest_records} are allowed"
            raise Refusal(400, INVALID[1], f"Invalid request: {message}", "records")
        return found

    def _take(self, one: List, action: Action, records: list[tuple[str, bytes]], path: str) -> None:
        fault = self._faults.refusing("pinterest", "audiences", path)
        left_out = set(self._faults.refused(fault, [(action, key.hex()) for _, key in records])) if fault else set()
        if fault and left_out and fault.asked.status not in {None, 200}:
            raise Refusal(fault.asked.status or 400, INVALID[1], fault.asked.message or "Refused by a fault of the emulator.")
        keys: dict[str, list[bytes]] = defaultdict(list)
        for position, (kind, key) in enumerate(records):
            if position not in left_out:
                keys[kind].append(key)
        now = self._clock.now()
        one.members.change(action, keys, now, self._platform.new_rid(), self.accounts)
        one.changed_at = now
        one.batches += 1
        one.refused = len(left_out)
        if action == "add":
            one.uploaded += len(records)
        else:
            one.removed += len(records)

    def _own_list(self, list_id: str, account: str) -> List:
        one = self.lists.get(list_id)
        # Doubt: lists cannot be shared, so one of another account is taken not to be found under this one.
        if one is None or one.gone_at is not None or one.owner != account:
            raise Refusal(*NOT_FOUND)
        return one

    def _status(self, one: List) -> tuple[str, int | None]:
        """Return a list's status and its matched size, None until it was computed once."""
        size = one.members.settle(self._clock.now(), self.accounts)
        if size is None:
            return "PROCESSING", None
        return "READY" if size >= self.settings.pinterest_minimum else "TOO_SMALL", size

    def _list_told(self, one: List) -> dict[str, Any]:
        told: dict[str, Any] = {
            "ad_account_id": one.owner,
            "created_time": one.made_at // 1000,
            "id": one.id,
            "name": one.name,
            "num_batches": one.batches,
            "num_removed_user_records": one.removed,
            "num_uploaded_user_records": one.uploaded,
            "status": self._status(one)[0],
            "type": "customerlist",
            "updated_time": one.changed_at // 1000,
            "exceptions": {},
        }
        if one.refused:
            # Doubt: the description has `exceptions` as an object and says nothing of its fields.
            told["exceptions"] = {"code": INVALID[1], "message": f"{one.refused} records were not processed."}
        return told

    # Audiences

    def _create_audience(self, path: re.Match[str], body: dict[str, Any]) -> dict[str, Any]:
        account = path["ad_account_id"]
        if body["audience_type"] != "CUSTOMER_LIST":
            raise Refusal(
                400, INVALID[1], "Invalid request: the emulator only has audiences of type CUSTOMER_LIST", "audience_type"
            )
        if body.get("ad_account_id", account) != account:
            raise Refusal(*FORBIDDEN)
        list_id = self._rule(body["rule"], account)
        now = self._clock.now()
        audience = Audience(str(self._next_audience), account, body["name"], body.get("description"), list_id, now, now)
        self._next_audience += 1
        self.audiences[audience.id] = audience
        return self._audience_told(audience)

    def _rule(self, rule: dict[str, Any], account: str) -> str:
        """Return the customer list that a rule names."""
        list_id = rule.get("customer_list_id")
        if list_id is None:
            raise Refusal(400, INVALID[1], 'Invalid request: "customer_list_id" is a required property', "rule")
        one = self.lists.get(list_id)
        if one is None or one.gone_at is not None or one.owner != account:
            raise Refusal(400, INVALID[1], f"Invalid request: customer list {list_id} does not exist", "rule.customer_list_id")
        return one.id

    def _update_audience(self, path: re.Match[str], body: dict[str, Any]) -> dict[str, Any]:
        audience = self._own_audience(path["audience_id"], path["ad_account_id"])
        if body.get("ad_account_id", audience.owner) != audience.owner:
            raise Refusal(*FORBIDDEN)
        if body.get("operation_type", "UPDATE") == "REMOVE":
            users = sorted(each.id for each in self.ad_groups.values() if audience.id in _targeted(each))
            if users:
                # Doubt: whether an audience in use can be removed; a client that takes it out first is right in any case.
                raise Refusal(400, INVALID[1], f"Invalid request: the audience is used by ad groups {', '.join(users)}")
            told = self._audience_told(audience)
            audience.gone_at = self._clock.now()
            return told
        if "rule" in body:
            audience.list_id = self._rule(body["rule"], audience.owner)
        audience.name = body.get("name", audience.name)
        audience.description = body.get("description", audience.description)
        audience.changed_at = self._clock.now()
        return self._audience_told(audience)

    def _get_audience(self, path: re.Match[str], _: dict[str, Any]) -> dict[str, Any]:
        return self._audience_told(self._own_audience(path["audience_id"], path["ad_account_id"], reading=True))

    def _get_audiences(self, path: re.Match[str], query: dict[str, Any]) -> dict[str, Any]:
        live = [each for each in self.audiences.values() if each.gone_at is None]
        mine = [each for each in live if each.owner == path["ad_account_id"]]
        received = [each for each in live if each.owner != path["ad_account_id"] and each.shared]
        return _page(mine if query["ownership_type"] == "OWNED" else received, query, self._audience_told)

    def _own_audience(self, audience_id: str, account: str, *, reading: bool = False) -> Audience:
        """Return an audience of the account; a shared one of another may be read."""
        audience = self.audiences.get(audience_id)
        if audience is None or audience.gone_at is not None or (audience.owner != account and not audience.shared):
            raise Refusal(404, NOT_FOUND[1], "Audience not found.")
        if audience.owner != account and not reading:
            raise Refusal(*FORBIDDEN)
        return audience

    def _audience_status(self, audience: Audience) -> tuple[str, int | None]:
        one = self.lists[audience.list_id]
        if one.gone_at is not None:
            # A list that is gone has nobody left. Doubt: Pinterest has no call that deletes a list.
            return "TOO_SMALL", 0
        status, size = self._status(one)
        return "INITIALIZING" if status == "PROCESSING" else status, size

    def _audience_told(self, audience: Audience) -> dict[str, Any]:
        status, size = self._audience_status(audience)
        return {
            "ad_account_id": audience.owner,
            "audience_type": "CUSTOMER_LIST",
            "created_by_company_name": None,
            "created_timestamp": audience.made_at // 1000,
            "description": audience.description,
            "id": audience.id,
            "name": audience.name,
            "rule": {"customer_list_id": audience.list_id},
            "size": size,
            "status": status,
            "type": "audience",
            "updated_timestamp": audience.changed_at // 1000,
        }

    # Ad groups

    def _get_ad_groups(self, _: re.Match[str], query: dict[str, Any]) -> dict[str, Any]:
        if "campaign_ids" in query and "ad_group_ids" in query:
            raise Refusal(400, INVALID[1], "Invalid request: provide only campaign_ids or ad_group_ids", "campaign_ids")
        found = [
            each
            for each in self.ad_groups.values()
            if each.id in query.get("ad_group_ids", (each.id,))
            and _CAMPAIGN in query.get("campaign_ids", (_CAMPAIGN,))
            and each.status in query["entity_statuses"]
        ]
        return _page(found, query, self._ad_group_told)

    def _get_ad_group(self, path: re.Match[str], _: dict[str, Any]) -> dict[str, Any]:
        group = self.ad_groups.get(path["ad_group_id"])
        if group is None:
            raise Refusal(*NOT_FOUND)
        return self._ad_group_told(group)

    def _update_ad_groups(self, path: re.Match[str], body: list[dict[str, Any]]) -> dict[str, Any]:
        return {"items": [self._update_ad_group(path["ad_account_id"], each) for each in body]}

    def _update_ad_group(self, account: str, change: dict[str, Any]) -> dict[str, Any]:
        """Change one ad group; a mistake fails it alone.

        Doubt: whether the description's PATCH merges or replaces `targeting_spec`; the emulator replaces it whole, so
        that a client which sends only what it changes loses the rest here rather than at Pinterest.
        """
        group = self.ad_groups.get(change["id"])
        wrong = "Ad group not found." if group is None else self._wrong_targeting(account, change.get("targeting_spec"))
        if group is None or wrong is not None:
            return {
                "data": {"id": change["id"]},
                "exceptions": [{"code": NOT_FOUND[1] if group is None else INVALID[1], "message": wrong}],
            }
        group.name = change.get("name", group.name)
        group.status = change.get("status", group.status)
        if "targeting_spec" in change:
            group.targeting = change["targeting_spec"]
        group.changed_at = self._clock.now()
        return {"data": self._ad_group_told(group), "exceptions": []}

    def _wrong_targeting(self, account: str, targeting: dict[str, Any] | None) -> str | None:
        """Return what is wrong with a targeting: no place, or an audience that cannot be used."""
        if targeting is None:
            return None
        if not targeting.get("LOCATION") and not targeting.get("GEO"):
            return "At least one of LOCATION or GEO must be specified."
        for name in ("AUDIENCE_INCLUDE", "AUDIENCE_EXCLUDE"):
            for audience_id in targeting.get(name) or ():
                # Doubt: the field's text speaks of customer list ids, the page on audiences of audience ids.
                audience = self.audiences.get(audience_id)
                if audience is None or audience.gone_at is not None or audience.owner != account:
                    return f"{name}: audience {audience_id} does not exist."
                if self._audience_status(audience)[0] != "READY":
                    return f"{name}: audience {audience_id} needs at least {self.settings.pinterest_minimum} people."
        return None

    def _ad_group_told(self, group: AdGroup) -> dict[str, Any]:
        return {
            "id": group.id,
            "ad_account_id": self.settings.pinterest_ad_account_id,
            "campaign_id": _CAMPAIGN,
            "name": group.name,
            "status": group.status,
            "summary_status": "RUNNING" if group.status == "ACTIVE" else "PAUSED",
            "targeting_spec": group.targeting,
            "type": "adgroup",
            "created_time": 1_700_000_000,
            "updated_time": group.changed_at // 1000,
        }

    # For tests

    def list_of(self, identity: str) -> List | None:
        """Return the customer list of that id, or the one behind the audience of that id."""
        audience = self.audiences.get(identity)
        return self.lists.get(identity if audience is None else audience.list_id)

    def give(self, identity: str, owner: str, *, shared: bool) -> bool:
        """Give a list or an audience to another account; return whether there was one."""
        audience, one = self.audiences.get(identity), self.lists.get(identity)
        if audience is not None:
            audience.owner, audience.shared = owner, shared
        if one is not None:
            one.owner = owner
        return audience is not None or one is not None

    def lose(self, identity: str) -> bool:
        """Delete a list or an audience, whoever uses it; return whether there was one."""
        now = self._clock.now()
        audience, one = self.audiences.get(identity), self.lists.get(identity)
        if audience is not None:
            audience.gone_at = now
        if one is not None:
            one.gone_at = now
            one.members.clear()
        return audience is not None or one is not None

    def summary(self, one: List, *, changes: bool = False) -> dict[str, Any]:
        """Return everything about a list, its audiences and their use, as JSON-ready values."""
        wrapping = [each for each in self.audiences.values() if each.list_id == one.id]
        live = {each.id for each in wrapping if each.gone_at is None}
        return {
            "id": one.id,
            "name": one.name,
            "kind": "customer_list",
            "owner": one.owner,
            "made_at": one.made_at,
            "gone_at": one.gone_at,
            "status": self._status(one)[0],
            "audiences": [
                {"id": each.id, "name": each.name, "gone_at": each.gone_at, "status": self._audience_status(each)[0]}
                for each in wrapping
            ],
            "include": [each.id for each in self.ad_groups.values() if live & _used(each, "AUDIENCE_INCLUDE")],
            "exclude": [each.id for each in self.ad_groups.values() if live & _used(each, "AUDIENCE_EXCLUDE")],
            **one.members.summary(self._clock.now(), self.accounts, changes=changes),
        }


_CAMPAIGN = "626736533506"


def _used(group: AdGroup, name: str) -> set[str]:
    return set(group.targeting.get(name) or ())


def _targeted(group: AdGroup) -> set[str]:
    return _used(group, "AUDIENCE_INCLUDE") | _used(group, "AUDIENCE_EXCLUDE")


def _page(found: Iterable[Any], query: dict[str, Any], told: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return one page. The bookmark is the id after which the next begins. Doubt: the order when none is asked for."""
    ordered: Sequence[Any] = sorted(found, key=lambda each: int(each.id), reverse=query.get("order", "ASCENDING") == "DESCENDING")
    bookmark = query.get("bookmark")
    if bookmark is not None:
        positions = [position for position, each in enumerate(ordered) if each.id == bookmark]
        if not positions:
            raise Refusal(400, INVALID[1], "Invalid request: unknown bookmark", "bookmark")
        ordered = ordered[positions[0] + 1 :]
    shown = ordered[: query["page_size"]]
    more = len(ordered) > len(shown)
    return {"items": [told(each) for each in shown], "bookmark": shown[-1].id if more else None}
