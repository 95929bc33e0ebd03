"""Pinterest's side of the Conversions API: its official description decides, or else its prose.

Facts: the official description 5.23.0 (`pinterest-v5-events.json`) and developers.pinterest.com/docs on
conversions. What they leave open is marked "Doubt".

A request that breaks the description is refused whole (HTTP 400). Otherwise the answer is HTTP 200 and says
for each event whether it was processed; so 200 alone accepts nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from importlib.resources import files
from ipaddress import ip_address
from math import isfinite
from typing import Any

import jsonschema_rs
import msgspec

from signalpost.errors import SignalpostError
from signalpost.platforms.clock import Clock
from signalpost.platforms.faults import Fault, Faults
from signalpost.platforms.received import Outcome, Received, Seen
from signalpost.platforms.settings import Settings
from signalpost.platforms.statistics import DAY, Place, Way
from signalpost.platforms.wire import Answer, Request, answer, empty_path, is_json, read, same

EVENTS = re.compile(r"/v5/ad_accounts/([^/]+)/events")
QUALITY = re.compile(r"/v5/ad_accounts/([^/]+)/conversion_eqs")
TAGS = re.compile(r"/v5/ad_accounts/([^/]+)/conversion_tags")
ACCOUNT = re.compile(r"/v5/ad_accounts/([^/]+)")
ACCOUNT_ID = re.compile(r"\d{1,18}")

# (HTTP status, code, sentence), as the description's examples have them.
UNAUTHENTICATED = (401, 2, "Authentication failed.")
# Doubt: a missing scope was seen as 401 with code 3 on another endpoint.
MISSING_SCOPE = (401, 3, "Authorization failed: the token lacks the scope {scope}.")
FORBIDDEN = (403, 29, "You are not permitted to access that resource.")
NOT_FOUND = (404, 50, "The requested resource could not be found on this server.")
INVALID = (400, 4196, "The request was invalid.")
TOO_MANY = (
    429,
    8,
    (
        "This request exceeded a rate limit. This can happen if the client exceeds one\n"
        "of the published rate limits within a short time window."
    ),
)
RAMPED_DOWN = (503, 4197, "The endpoint has been ramped down and is currently not accepting any traffic.")

# Doubt: Pinterest documents no deduplication window, nor whether a repeat over the API alone is dropped.
WINDOW = 24 * 3600 * 1000
# Doubt: seven days is a third party's word (docs.amperity.com); the API's own limit is unknown.
OLDEST_SECONDS = 7 * 86400

# The 22 names of version 5.28; the description we hold (5.23) has no enum and lists 15 of them in prose.
EVENT_NAMES = frozenset(
    """add_payment_info add_to_cart add_to_wishlist app_install app_open checkout contact custom
    customize_product find_location initiate_checkout lead page_visit schedule search signup start_trial
    submit_application subscribe view_category view_content watch_video""".split()  # noqa: SIM905 - a list to read
)
ACTION_SOURCES = frozenset({"web", "app_android", "app_ios", "offline"})
# The description's `Currency` enum. Doubt: an event's currency is a free string there, so others only warn.
CURRENCIES = frozenset(
    """USD GBP CAD EUR AUD NZD SEK ILS CHF HKD JPY SGD KRW NOK DKK PLN RON HUF CZK BRL MXN ARS CLP COP INR
    TRY""".split()  # noqa: SIM905 - a list to read
)
HASHED = ("em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country", "external_id", "hashed_maids")
HASH = re.compile(r"[0-9a-f]{64}")
HASH_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")

# What the Event Quality Score looks at -> where it stands in an event of the API.
COMPONENTS = {
    "hashed_email": "user_data.em",
    "hashed_maid": "user_data.hashed_maids",
    "ip_address": "user_data.client_ip_address",
    "user_agent": "user_data.client_user_agent",
    "click_id_epik": "user_data.click_id",
    "advertiser_external_id": "user_data.external_id",
    "external_event_id": "event_id",
    "order_id": "custom_data.order_id",
    "order_value": "custom_data.value",
    "product_id": "custom_data.content_ids",
    "source_url": "event_source_url",
}
IDENTIFIERS = ("hashed_email", "hashed_maid", "ip_address", "user_agent", "click_id_epik", "advertiser_external_id")
# Doubt: Pinterest publishes neither its formula nor its bounds. Ours: the mean coverage of the identifiers, in percent.
GOOD, FAIR = 60.0, 30.0
# Below this coverage the emulator finds fault; ours too.
POOR = 50.0
LOOKBACKS = {"1d": 1, "14d": 14}
WAYS: dict[str, Way] = {"CONVERSIONS_API": "server", "TAG": "browser"}
INGESTION_SOURCES = ("TAG", "MMP", "FILE_UPLOAD", "CONVERSIONS_API", "NATIVE")
SOURCE_PLATFORMS = tuple(
    """WEB MOBILE MOBILE_ANDROID MOBILE_IOS OFFLINE PINTEREST_WEB PINTEREST_ANDROID PINTEREST_IOS
    POINT_OF_SALE""".split()  # noqa: SIM905 - a list to read
)
_PLATFORM_OF = {"web": "WEB", "app_android": "MOBILE_ANDROID", "app_ios": "MOBILE_IOS", "offline": "OFFLINE"}

PROCESSED = {"status": "processed", "error_message": None, "warning_message": None}


class Refusal(SignalpostError):
    """Pinterest refuses the whole request; `where` is the field's path, for the emulator's own header."""

    def __init__(self, status: int, code: int, message: str, where: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.where = where


class BareEvent(msgspec.Struct, gc=False):
    """The part of an event that the bench mode looks at."""

    event_name: str
    event_time: int
    event_id: str
    action_source: str


class BareBatch(msgspec.Struct):
    """The part of a request that the bench mode looks at."""

    data: list[BareEvent]


def description(part: str = "events") -> dict[str, Any]:
    """Return the package's cut of Pinterest's official OpenAPI description (5.23.0): `events` or `audiences`."""
    text = files("signalpost.platforms").joinpath(f"pinterest-v5-{part}.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, Any])


def json_schema(node: Any) -> Any:
    """Return an OpenAPI 3.0 schema in the words of JSON Schema 2020-12.

    `nullable` becomes a type, `int64` its bounds; what stands beside a `$ref` goes, as OpenAPI 3.0 says.
    That last rule matters: the description puts `required` beside `$ref` to ask for an e-mail, a device id or
    address and user agent. Read strictly it asks for nothing, version 5.28 has it in prose only, so a missing
    identifier fails its event and not the request.
    """
    if isinstance(node, list):
        return [json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"].replace("#/components/schemas/", "#/$defs/")}
    schema = {key: json_schema(value) for key, value in node.items()}
    if schema.pop("nullable", False) is True and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    if schema.get("format") == "int64":
        schema |= {"minimum": -(2**63), "maximum": 2**63 - 1}
    alternatives = schema.get("anyOf")
    if alternatives and all(alternative == alternatives[0] for alternative in alternatives):
        schema |= alternatives[0]
        del schema["anyOf"]
    return schema


class Pinterest:
    """The emulator of Pinterest: one method per endpoint, each from a request to an answer."""

    def __init__(self, settings: Settings, clock: Clock, faults: Faults) -> None:
        self.settings = settings
        # "Events that took place offline cannot be deduplicated" (events/create in the description).
        self.received = Received(window=WINDOW, keep=settings.keep, repeatable=frozenset({"offline"}))
        self._clock = clock
        self._faults = faults
        self._random = random.Random(settings.seed)
        schemas = json_schema(description()["components"]["schemas"])
        self._body = jsonschema_rs.Draft202012Validator(
            {"$ref": "#/$defs/ConversionEvents", "$defs": schemas}, validate_formats=True
        )
        self._bare = msgspec.json.Decoder(BareBatch)
        self._all_processed: dict[int, bytes] = {}

    def events(self, request: Request) -> Answer:
        """Answer `POST /ad_accounts/{id}/events`: 1 to 1,000 events, each with its own outcome."""
        self.received.requests += 1
        try:
            self.authorize(request, EVENTS, conversion_token=True)
            tested = self._is_test(request)
            create = self._bare_create if self.settings.cheap else self._create
            return create(request, tested)
        except Refusal as refusal:
            return self.refuse(refusal)
        except RecursionError:
            return self.refuse(Refusal(400, INVALID[1], "Invalid request: the body is nested too deeply"))

    def pixel(self, event: str, event_id: str | None, properties: dict[str, Any]) -> Seen:
        """Take what the tag sends from a browser (`pintrk('track')`), and return what became of it.

        Doubt: the window is ours, see `WINDOW`; Pinterest only says that copies with one id count once.
        """
        now = self._clock.now()
        new = self.received.from_pixel(_origin("web"), event, event_id, properties, now)
        seen = Seen(now, event, event_id, "accepted" if new else "deduplicated", self.new_rid(), None, properties)
        self.received.latest.append(seen)
        carried = ["external_event_id"] * (event_id is not None) + [
            component for component, name in _TAG_PARTS.items() if properties.get(name)
        ]
        self.received.statistics.add(Place("WEB", event, "browser", now // DAY), event_id, carried)
        return seen

    def check(self, request: Request) -> Answer | None:
        """Answer the endpoints that only read, or None where Pinterest has none."""
        try:
            if QUALITY.fullmatch(request.path):
                self.authorize(request, QUALITY)
                return self.say(200, list(self._qualities(request)))
            if TAGS.fullmatch(request.path):
                self.authorize(request, TAGS)
                return self.say(200, {"items": [self._tag()]})
            if ACCOUNT.fullmatch(request.path):
                self.authorize(request, ACCOUNT)
                return self.say(200, self._account())
        except Refusal as refusal:
            return self.refuse(refusal)
        return None

    def nothing_here(self) -> Answer:
        """Return Pinterest's answer for a path it does not have. Doubt: the code is not documented."""
        return self.refuse(Refusal(*NOT_FOUND))

    def struck(self, fault: Fault) -> Answer:
        """Return Pinterest's answer to a request that a fault strikes."""
        asked = fault.asked
        status = asked.status or 500
        if asked.fault == "rate_limit":
            status, code, message = TOO_MANY
        elif asked.fault == "token_expired":
            status, code, message = UNAUTHENTICATED
        elif status == 503:
            status, code, message = RAMPED_DOWN
        elif status == 429:
            status, code, message = TOO_MANY
        else:
            code, message = status, "Unexpected error."
        said = self.say(status, {"code": asked.code or code, "message": asked.message or message})
        if asked.retry_after is None:
            return said
        # Doubt: Pinterest documents no Retry-After; a client must do without it, and may not trip over it.
        return Answer(said.status, said.body, (*said.headers, (b"retry-after", b"%d" % asked.retry_after)))

    def miscounted(self, said: Answer, by: int) -> Answer:
        """Return an answer with `by` more (or fewer) events in it than there were in the request."""
        content = msgspec.json.decode(said.body)
        if isinstance(content, dict) and isinstance(content.get("events"), list):
            events = content["events"]
            content["events"] = events[:by] if by < 0 else events + [PROCESSED] * by
        return Answer(said.status, msgspec.json.encode(content), said.headers)

    def _create(self, request: Request, tested: bool) -> Answer:
        body = content_of(request)
        now = self._clock.now()
        rid = self.new_rid()
        if not self._body.is_valid(body):
            refusal = broken(next(self._body.iter_errors(body)))
            self._record_unread(body, now, rid, refusal)
            raise refusal
        batch = body["data"]
        left_out, status = self._strike_out([(event["event_name"], event["event_id"]) for event in batch], request.path)
        answers = [self._judge(event, now, left_out.get(position)) for position, event in enumerate(batch)]
        for event, said in zip(batch, answers, strict=True):
            error, warning = said["error_message"], said["warning_message"]
            outcome: Outcome = "accepted"
            if error is not None:
                outcome = "refused"
                self.received.note(self.received.reasons, error)
            elif tested:
                outcome = "tested"
            elif not self._is_new(event, now):
                outcome = "deduplicated"
            self._record(event, outcome, now, rid, error or warning, warned=warning is not None)
            if outcome in {"accepted", "deduplicated"}:
                place = Place(_PLATFORM_OF[event["action_source"]], event["event_name"], "server", now // DAY)
                carried = [component for component, path in COMPONENTS.items() if _at(event, path)]
                self.received.statistics.add(place, event["event_id"], carried)
        return self._results(answers, rid, status)

    def _bare_create(self, request: Request, tested: bool) -> Answer:
        try:
            batch = self._bare.decode(request.body).data
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise Refusal(400, INVALID[1], f"Invalid request: {error}") from None
        if not 1 <= len(batch) <= 1000:
            raise Refusal(400, INVALID[1], f"Invalid request: {len(batch)} events, 1 to 1000 are allowed")
        left_out, status = self._strike_out(
            [(event.event_name, event.event_id) for event in batch] if self._faults.active else [], request.path
        )
        now = self._clock.now()
        for origin in {_origin(event.action_source) for event in batch}:
            pairs = (
                (event.event_name, event.event_id)
                for position, event in enumerate(batch)
                if _origin(event.action_source) == origin and position not in left_out
            )
            self.received.take(origin, pairs, now, tested=tested)
        if left_out:
            answers = [
                {"status": "failed", "error_message": left_out[position], "warning_message": None}
                if position in left_out
                else PROCESSED
                for position in range(len(batch))
            ]
            return self._results(answers, self.new_rid(), status)
        body = self._all_processed.get(len(batch))
        if body is None:
            body = self._results([PROCESSED] * len(batch), "").body
            self._all_processed[len(batch)] = body
        return Answer(200, body, ((b"x-pinterest-rid", self.new_rid().encode()),))

    def authorize(
        self, request: Request, path: re.Pattern[str], *, conversion_token: bool = False, scope: str = "ads:read"
    ) -> None:
        """Raise the refusal of a token that may not do this to the ad account that `path` finds in the request.

        Only where `conversion_token` says so the conversion token is good; else `scope` is what it lacks.
        """
        scheme, _, token = request.headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        mine, conversion = self.settings.pinterest_token, self.settings.pinterest_conversion_token
        if scheme.lower() != "bearer" or not same(token, mine, conversion):
            raise Refusal(*UNAUTHENTICATED)
        # The conversion token is only good for sending events.
        if not conversion_token and not same(token, mine):
            status, code, message = MISSING_SCOPE
            raise Refusal(status, code, message.format(scope=scope))
        found = path.fullmatch(request.path)
        account = found.group(1) if found else ""
        if not ACCOUNT_ID.fullmatch(account):
            message = f"Invalid request: '{account[:40]}' does not match '^\\d+$'"
            raise Refusal(400, INVALID[1], message, "ad_account_id")
        if account != self.settings.pinterest_ad_account_id:
            raise Refusal(*FORBIDDEN)

    def _is_test(self, request: Request) -> bool:
        given = request.query.get("test", "false")
        if given not in {"true", "false"}:
            message = f"Invalid request: {given[:40]!r} is not of type 'boolean'"
            raise Refusal(400, INVALID[1], message, "test")
        return given == "true"

    def _strike_out(self, events: list[tuple[str, str | None]], path: str) -> tuple[dict[int, str], int]:
        """Return the positions that a `partial` fault refuses, its sentence, and the HTTP status."""
        fault = self._faults.refusing("pinterest", "events", path)
        if fault is None:
            return {}, 200
        sentence = fault.asked.message or "Refused by a fault of the emulator."
        left_out = dict.fromkeys(self._faults.refused(fault, events), sentence)
        # Doubt: does a partial failure arrive as 200 or as 422? The fault's `status` chooses.
        return left_out, (fault.asked.status or 200) if left_out else 200

    def _results(self, answers: Sequence[dict[str, str | None]], rid: str, status: int = 200) -> Answer:
        processed = sum(each["status"] == "processed" for each in answers)
        content: dict[str, Any] = {
            "num_events_received": len(answers),
            "num_events_processed": processed,
            "events": answers,
        }
        if status == 422:
            message = "Not all events were successfully processed."
            return self.say(422, {"code": INVALID[1], "message": message, "details": content}, rid)
        return self.say(200, content, rid)

    def _is_new(self, event: dict[str, Any], now: int) -> bool:
        origin = _origin(event["action_source"])
        return self.received.is_new(origin, event["event_name"], event["event_id"], now)

    def _judge(self, event: dict[str, Any], now: int, error: str | None) -> dict[str, str | None]:
        """Return the answer for one event; `error` is a fault's, which goes before the event's own."""
        error = error or self._wrong(event, now)
        return {
            "status": "failed" if error else "processed",
            "error_message": error,
            "warning_message": None if error else self._warn(event),
        }

    def _wrong(self, event: dict[str, Any], now: int) -> str | None:
        """Return the sentence with which Pinterest fails an event, or None.

        Doubt: the rules are Pinterest's, the sentences and the place (per event rather than 400) are ours.
        """
        name, source, user = event["event_name"], event["action_source"], event["user_data"]
        if name not in EVENT_NAMES:
            return f"event_name is not supported: {name[:60]!r}"
        if source not in ACTION_SOURCES:
            return "action_source must be one of web, app_android, app_ios, offline"
        if event["event_id"] == "":
            return "event_id must not be empty"
        if isinstance(event["event_time"], float) or event["event_time"] > -(-now // 1000):
            return "event_time must be Unix time in seconds and must not be in the future"
        if now // 1000 - event["event_time"] > OLDEST_SECONDS:
            return "event_time must not be more than 7 days ago"
        has_address = user.get("client_ip_address") and user.get("client_user_agent")
        if not (user.get("em") or user.get("hashed_maids") or has_address):
            return "user_data needs em, hashed_maids, or client_ip_address with client_user_agent"
        for key in HASHED:
            if any(not HASH.fullmatch(value) for value in user.get(key, ())):
                return f"user_data.{key} must be SHA-256 hashes in lower-case hexadecimal"
        for key in ("click_id", "partner_id", "client_user_agent"):
            if HASH.fullmatch(user.get(key) or ""):
                return f"user_data.{key} must not be hashed"
        if user.get("client_ip_address") and not _is_address(user["client_ip_address"]):
            return "user_data.client_ip_address must be an IPv4 or IPv6 address"
        return _wrong_custom_data(event.get("custom_data", {}))

    def _warn(self, event: dict[str, Any]) -> str | None:
        """Return what Pinterest might remark about an event it takes. Doubt: its sentences are not public."""
        warnings: list[str] = []
        user, custom = event["user_data"], event.get("custom_data", {})
        currency = custom.get("currency")
        if custom.get("value") is not None and not currency:
            warnings.append("custom_data.currency is missing: the ad account's currency is assumed")
        if currency and currency not in CURRENCIES:
            warnings.append("custom_data.currency is not a currency of Pinterest's list")
        partner = event.get("partner_name")
        if partner and not re.fullmatch(r"ss-[a-z0-9._-]+", partner):
            warnings.append("partner_name should look like ss-partnername")
        language = event.get("language")
        if language and not re.fullmatch(r"[A-Za-z]{2}", language):
            warnings.append("language should be a two-character ISO 639-1 code")
        unknown = sorted(set(user) - set(HASHED) - _PLAIN_USER_KEYS)
        if unknown:
            warnings.append(f"user_data has unknown fields: {', '.join(unknown)[:200]}")
        warnings.extend(
            f"user_data.{key} is the hash of an empty string" for key in HASHED if HASH_OF_NOTHING in user.get(key, ())
        )
        empty = empty_path(event)
        if empty is not None:
            warnings.append(f"{'.'.join(empty)} is empty")
        return "; ".join(warnings) or None

    def _record(self, event: dict[str, Any], outcome: Outcome, now: int, rid: str, reason: str | None, *, warned: bool) -> None:
        name = event["event_name"]
        tally = self.received.tally(name)
        tally.warned += warned
        if outcome == "accepted":
            tally.accepted += 1
            custom = event.get("custom_data", {})
            if custom.get("value") is not None:
                currency = custom.get("currency") or self.settings.pinterest_currency
                tally.value[currency] = tally.value.get(currency, Decimal(0)) + Decimal(custom["value"])
        elif outcome == "deduplicated":
            tally.deduplicated += 1
        elif outcome == "tested":
            tally.tested += 1
        else:
            tally.refused += 1
        self.received.latest.append(Seen(now, name, event["event_id"], outcome, rid, reason, event))

    def _record_unread(self, body: Any, now: int, rid: str, refusal: Refusal) -> None:
        """Count the events of a request that was refused whole."""
        field = re.sub(r"^data[.][0-9]+[.]?", "", refusal.where)
        self.received.note(self.received.reasons, f"{refusal.code} {field}".rstrip())
        batch = body.get("data") if isinstance(body, dict) else None
        for event in batch if isinstance(batch, list) else ():
            fields = event if isinstance(event, dict) else {}
            name, event_id = fields.get("event_name"), fields.get("event_id")
            name = name if isinstance(name, str) else "(none)"
            event_id = event_id if isinstance(event_id, str) else None
            self.received.tally(name).refused += 1
            self.received.latest.append(Seen(now, name, event_id, "refused", rid, refusal.message, event))

    def _qualities(self, request: Request) -> Iterator[dict[str, Any]]:
        """Give the Event Quality Score of each platform and way in that has events."""
        lookback = _choice(request, "lookback_period", tuple(LOOKBACKS), required=True)
        only_platform = _choice(request, "source_platform", SOURCE_PLATFORMS)
        only_ingestion = _choice(request, "ingestion_source", INGESTION_SOURCES)
        today = self._clock.now() // DAY
        days = range(today - LOOKBACKS[lookback or "1d"] + 1, today + 1)
        for platform in self.received.statistics.sources():
            for ingestion, way in WAYS.items():
                if only_platform not in {None, platform} or only_ingestion not in {None, ingestion}:
                    continue
                components = self._components(platform, way, days)
                if components:
                    yield {
                        "source_platform": platform,
                        "ingestion_source": ingestion,
                        "lookback_period": lookback,
                        "overall_status": _status(components),
                        "quality_components": components,
                    }

    def _components(self, platform: str, way: Way, days: range) -> dict[str, dict[str, Any]]:
        statistics = self.received.statistics
        components: dict[str, dict[str, Any]] = {}
        for name in statistics.names(platform, way, days):
            count = statistics.count(platform, name, way, days)
            carried = statistics.carrying(platform, name, way, days)
            for component in COMPONENTS:
                details: dict[str, Any] = {"coverage": round(100 * carried[component] / count, 2)}
                if component == "external_event_id":
                    ids, both = statistics.overlap(platform, name, way, days)
                    details["overlap"] = round(100 * both / ids, 2) if ids else 0.0
                if details["coverage"] < POOR:
                    reason = f"Only {details['coverage']:g} % of these events carry it."
                    details["issues"] = [{"id": "low_coverage", "name": "Low coverage", "reason": reason}]
                components.setdefault(component, {})[name] = details
        return components

    def _account(self) -> dict[str, Any]:
        return {
            "id": self.settings.pinterest_ad_account_id,
            "name": "Emulated ad account",
            "owner": {"id": "549755885174", "username": "emulated"},
            "country": "US",
            "currency": self.settings.pinterest_currency,
            "permissions": ["OWNER"],
            "created_time": 1700000000,
            "updated_time": 1700000000,
        }

    def _tag(self) -> dict[str, Any]:
        return {
            "id": "2617998078212",
            "ad_account_id": self.settings.pinterest_ad_account_id,
            "name": "Emulated tag",
            "status": "ACTIVE",
            "version": "3",
            "code_snippet": "<script>/* emulated */</script>",
            "last_fired_time_ms": None,
            "enhanced_match_status": "UNKNOWN",
            "configs": {},
        }

    def refuse(self, refusal: Refusal) -> Answer:
        """Return the answer to a request that is refused whole."""
        said = self.say(refusal.status, {"code": refusal.code, "message": refusal.message})
        if not refusal.where:
            return said
        # Pinterest does not say where; a person reading a CI log wants to know. So it is beside the body.
        return Answer(said.status, said.body, (*said.headers, (b"x-emulator-path", _printable(refusal.where))))

    def say(self, status: int, content: Any, rid: str | None = None) -> Answer:
        """Return `content` with the header that every answer of Pinterest has."""
        return answer(status, content, (b"x-pinterest-rid", (rid or self.new_rid()).encode()))

    def new_rid(self) -> str:
        """Return the id of one more request."""
        return str(self._random.getrandbits(53)).zfill(16)


def _origin(action_source: str) -> str:
    """Return the part of an event's origin that matters to deduplication."""
    return "offline" if action_source == "offline" else "online"


# What the tag is called with -> what the Event Quality Score looks at.
_TAG_PARTS = {"order_id": "order_id", "order_value": "value", "product_id": "product_ids"}


def _at(event: dict[str, Any], path: str) -> Any:
    parent, _, name = path.rpartition(".")
    return (event.get(parent, {}) if parent else event).get(name)


def _status(components: dict[str, dict[str, Any]]) -> str:
    """Return the status of all events together: each event's identifiers weigh the same."""
    shares = [details["coverage"] for name in IDENTIFIERS for details in components.get(name, {}).values()]
    mean = sum(shares) / len(shares) if shares else 0.0
    return "GOOD" if mean >= GOOD else "FAIR" if mean >= FAIR else "NEEDS_IMPROVEMENT"


def _choice(request: Request, name: str, options: tuple[str, ...], *, required: bool = False) -> str | None:
    """Return a query's value, which must be one of the description's; raise the refusal Pinterest would give."""
    given = request.query.get(name)
    if given is None and required:
        raise Refusal(400, INVALID[1], f"Invalid request: '{name}' is a required property", name)
    if given is not None and given not in options:
        raise Refusal(400, INVALID[1], f"Invalid request: {given[:40]!r} is not one of {list(options)}", name)
    return given


_PLAIN_USER_KEYS = frozenset({"click_id", "partner_id", "client_ip_address", "client_user_agent"})


def content_of(request: Request) -> Any:
    """Return the JSON value of a request's body; raise Pinterest's refusal of a body that is none."""
    if not is_json(request):
        raise Refusal(400, INVALID[1], "Invalid request: Content-Type must be application/json")
    try:
        return read(request.body)
    except ValueError:
        raise Refusal(400, INVALID[1], "Invalid request: the body is not valid JSON") from None


def broken(error: jsonschema_rs.ValidationError) -> Refusal:
    """Put a schema error in Pinterest's way: the validator's own sentence, as seen from the live API."""
    where = ".".join(str(part) for part in error.instance_path)
    return Refusal(400, INVALID[1], f"Invalid request: {error.message}", where)


def _wrong_custom_data(custom: dict[str, Any]) -> str | None:
    for key in ("value", "predicted_ltv"):
        if custom.get(key) is not None and not _is_double(custom[key]):
            return f"custom_data.{key} could not be parsed into a double"
    for item in custom.get("contents", ()):
        if "item_price" in item and not _is_double(item["item_price"]):
            return "custom_data.contents.item_price could not be parsed into a double"
    flags = custom.get("opt_out_type")
    # help.pinterest.com, limited data processing: LDP is the only flag there is.
    if flags and any(flag.strip() != "LDP" for flag in flags.split(",")):
        return "custom_data.opt_out_type accepts only LDP"
    return None


def _is_double(text: str) -> bool:
    return DECIMAL.fullmatch(text) is not None and isfinite(float(text))


def _printable(path: str) -> bytes:
    """Return a path as a header may carry it; the names in it are the client's."""
    return re.sub(r"[^\x21-\x7e]", "?", path)[:200].encode()


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
