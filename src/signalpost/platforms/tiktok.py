"""TikTok's side of the Events API: which events it would take, and its own words for those it would not.

Facts: business-api.tiktok.com/portal/docs, ids 1771101303285761 (report events), 1771101151059969
(parameters), 1771101186666498 (supported events), 1740858697598978 (pixel list), and the code list of the
official SDK. What they leave open is marked "Doubt" here and in `tiktok-events.json`.

Nearly every answer is HTTP 200; the body's `code` decides. A batch is taken whole or not at all.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any

import jsonschema_rs
import msgspec

from signalpost.errors import SignalpostError
from signalpost.platforms.clock import Clock
from signalpost.platforms.faults import Fault, Faults
from signalpost.platforms.received import Outcome, Received, Seen
from signalpost.platforms.settings import Settings
from signalpost.platforms.statistics import DAY, Place
from signalpost.platforms.wire import Answer, Request, answer, empty_path, is_json, read, same

TRACK = "/open_api/v1.3/event/track/"
PIXEL_LIST = "/open_api/v1.3/pixel/list/"
EVENT_STATS = "/open_api/v1.3/pixel/event/stats/"
USER_INFO = "/open_api/v1.3/user/info/"

OK = 0
PARTLY_OK = 20001
NO_PERMISSION = 40001
BAD_PARAMETER = 40002
BAD_BATCH_SIZE = 40061
NOT_HASHED = 40062
TOO_FREQUENT = 40100
EMPTY_TOKEN = 40104
BAD_TOKEN = 40105
SYSTEM_ERROR = 50000

MOST_EVENTS = 1000
MOST_PIXELS = 10
MOST_DAYS = 30
# ads.tiktok.com/help/article/event-deduplication: a repeat within 48 hours of the first is dropped.
WINDOW = 48 * 3600 * 1000
# Of the same page: a second copy from the other side, pixel or API, within 5 minutes is merged into the first.
MERGED_WITHIN = 5 * 60 * 1000
# Doubt: no page gives a tolerance for clocks that run ahead; a few minutes is ours.
AHEAD_SECONDS = 300
# Offline events older than the longest click window are "not matched or reported"; they are not refused.
OLD_SECONDS = 28 * 86400

HASH_PATTERN = "^[0-9a-f]{64}$"
HASH_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

# ads.tiktok.com/help/article/supported-standard-events, with the names it still converts on its side.
STANDARD_EVENTS = frozenset(
    """ViewContent AddToCart Purchase AddToWishlist InitiateCheckout AddPaymentInfo Download Search StartTrial
    CompleteRegistration Contact CustomizeProduct FindLocation Lead Schedule SubmitApplication
    ApplicationApproval Subscribe PageView""".split()  # noqa: SIM905 - a list to read
)
# What the statistics call a standard event: the name that ad creation uses. A name without one stands as it is (doubt).
EVENT_TYPES = {
    "Purchase": "SHOPPING",
    "CompletePayment": "SHOPPING",
    "PlaceAnOrder": "ON_WEB_ORDER",
    "InitiateCheckout": "INITIATE_ORDER",
    "AddPaymentInfo": "ADD_BILLING",
    "AddToCart": "ON_WEB_CART",
    "AddToWishlist": "ON_WEB_ADD_TO_WISHLIST",
    "ViewContent": "ON_WEB_DETAIL",
    "CompleteRegistration": "ON_WEB_REGISTER",
    "Search": "ON_WEB_SEARCH",
    "Subscribe": "ON_WEB_SUBSCRIBE",
    "Lead": "FORM",
    "SubmitForm": "FORM",
    "Contact": "CONSULT",
    "Download": "DOWNLOAD_START",
    "ClickButton": "BUTTON",
    "PageView": "PAGE_VIEW",
    "Pageview": "PAGE_VIEW",
}
RENAMED_EVENTS = {"CompletePayment": "Purchase", "SubmitForm": "Lead"}
_BY_CASELESS_NAME = {name.lower(): name for name in STANDARD_EVENTS}

# What identifies a person, per event source: one of the alternatives, and each alternative whole.
# Doubt: TikTok only recommends; connectors insist. An event without any of them could not be matched.
MATCH_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "web": (("email",), ("phone",), ("external_id",), ("ttclid",), ("ttp",), ("ip", "user_agent")),
    "app": (("email",), ("phone",), ("idfa",), ("gaid",), ("idfv",), ("ip", "user_agent")),
    "offline": (("email",), ("phone",)),
    "crm": (),
}
TYPE_NAMES = {"object": "mapping", "array": "list"}


class Refusal(SignalpostError):
    """TikTok refuses the whole request."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BareEvent(msgspec.Struct, gc=False):
    """The part of an event that the bench mode looks at."""

    event: str
    event_time: int
    event_id: str | None = None


class BareBatch(msgspec.Struct):
    """The part of a request that the bench mode looks at."""

    event_source: str
    event_source_id: str
    data: list[BareEvent]
    test_event_code: str | None = None


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the event endpoint; `$defs` has `envelope` and one entry per source."""
    text = files("signalpost.platforms").joinpath("tiktok-events.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, Any])


class TikTok:
    """The emulator of TikTok: one method per endpoint, each from a request to an answer."""

    def __init__(self, settings: Settings, clock: Clock, faults: Faults) -> None:
        self.settings = settings
        self.received = Received(window=WINDOW, keep=settings.keep)
        self._clock = clock
        self._faults = faults
        self._random = random.Random(settings.seed)
        self._sources = {
            "web": settings.tiktok_pixels,
            "offline": settings.tiktok_offline_event_sets,
            "crm": settings.tiktok_crm_event_sets,
            "app": settings.tiktok_apps,
        }
        definitions = schema()["$defs"]
        self._envelope = validator({"$ref": "#/$defs/envelope"}, definitions)
        self._event = {source: validator({"$ref": f"#/$defs/{source}"}, definitions) for source in self._sources}
        self._bare = msgspec.json.Decoder(BareBatch)

    def events(self, request: Request) -> Answer:
        """Answer `POST /event/track/`: 1 to 1,000 events of one source, all or none."""
        self.received.requests += 1
        try:
            self.authorize(request, self.settings.tiktok_token, self.settings.tiktok_events_token)
            return self._bare_track(request) if self.settings.cheap else self._track(request)
        except Refusal as refusal:
            return self.say(refusal.code, refusal.message)
        except RecursionError:
            return self.say(BAD_PARAMETER, "The request body is nested too deeply.")

    def pixel(self, event: str, event_id: str | None, properties: dict[str, Any]) -> Seen:
        """Take what the first pixel sends from a browser (`ttq.track`), and return what became of it."""
        now, code = self._clock.now(), self.settings.tiktok_pixels[0]
        new = self.received.from_pixel(code, event, event_id, properties, now)
        self.received.statistics.add(Place(code, event, "browser", now // DAY), event_id)
        reason = None if new or event_id is None else self._merged(code, event, event_id, now, pixel=True)
        seen = Seen(now, event, event_id, "accepted" if new else "deduplicated", self.new_request_id(), reason, properties)
        self.received.latest.append(seen)
        return seen

    def _merged(self, source_id: str, event: str, event_id: str, now: int, *, pixel: bool) -> str | None:
        """Return the remark on a second copy that is merged into the first, None if it is dropped."""
        apart = self.received.apart(source_id, event, event_id, now, pixel=pixel)
        return "merged into the first copy" if apart is not None and apart < MERGED_WITHIN else None

    def check(self, request: Request) -> Answer | None:
        """Answer the endpoints that only read, or None where TikTok has none."""
        try:
            if request.path == PIXEL_LIST:
                return self._pixel_list(request)
            if request.path == EVENT_STATS:
                return self._event_stats(request)
            # Doubt: clients in production leave out this one's trailing slash, and are answered.
            if request.path in {USER_INFO, USER_INFO.rstrip("/")}:
                return self._user_info(request)
        except Refusal as refusal:
            return self.say(refusal.code, refusal.message)
        return None

    def struck(self, fault: Fault) -> Answer:
        """Return TikTok's answer to a request that a fault strikes."""
        asked = fault.asked
        headers = () if asked.retry_after is None else ((b"retry-after", b"%d" % asked.retry_after),)
        if asked.fault == "rate_limit":
            said = self.say(asked.code or TOO_FREQUENT, asked.message or "Too many requests. Please retry in some time.")
            return Answer(429, said.body, headers)
        if asked.fault == "token_expired":
            # A long-term token has no expiry, it is revoked; 40102 ("expired") can be asked for by `code`.
            return self.say(asked.code or BAD_TOKEN, asked.message or "Access token is incorrect or has been revoked.")
        if asked.fault == "code" and asked.code is not None:
            return self.say(asked.code, asked.message or "The emulator was asked to answer with this code.")
        said = self.say(asked.code or SYSTEM_ERROR, asked.message or "Internal service error.")
        return Answer(asked.status or 500, said.body, headers)

    def _track(self, request: Request) -> Answer:
        body = content_of(request)
        for error in self._envelope.iter_errors(body):
            raise broken(error)
        source, source_id, batch = body["event_source"], body["event_source_id"], body["data"]
        self._permit(source, source_id, len(batch))
        tested = "test_event_code" in body
        request_id = self.new_request_id()
        now = self._clock.now()
        try:
            self._judge(source, batch, now)
            left_out = self._strike_out(batch, request.path)
        except Refusal as refusal:
            self._record(batch, "refused", now, request_id, reason=refusal.message)
            self.received.note(self.received.reasons, f"{refusal.code} {_without_position(refusal.message)}")
            return self.say(refusal.code, refusal.message, request_id)
        for position, event in enumerate(batch):
            if position in left_out:
                self._record([event], "refused", now, request_id, reason="left out by a fault")
                continue
            self._remark(event, now)
            if tested:
                self._record([event], "tested", now, request_id)
                continue
            event_id = event.get("event_id")
            if source == "web":
                self.received.statistics.add(Place(source_id, event["event"], "server", now // DAY), event_id)
            # Doubt: without an id TikTok may still fall back on `ttp` within five minutes; not emulated.
            new = event_id is None or self.received.is_new(source_id, event["event"], event_id, now)
            merged = None if new else self._merged(source_id, event["event"], event_id, now, pixel=False)
            self._record([event], "accepted" if new else "deduplicated", now, request_id, reason=merged)
        if left_out:
            return self.say(PARTLY_OK, "Partial success.", request_id)
        return self.say(OK, "OK", request_id)

    def _bare_track(self, request: Request) -> Answer:
        try:
            batch = self._bare.decode(request.body)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise Refusal(BAD_PARAMETER, str(error)) from None
        self._permit(batch.event_source, batch.event_source_id, len(batch.data))
        left_out: Iterable[int] = ()
        fault = self._faults.refusing("tiktok", "events", request.path)
        if fault is not None:
            left_out = set(self._refused_by(fault, [(event.event, event.event_id) for event in batch.data]))
        self.received.take(
            batch.event_source_id,
            (
                (event.event, event.event_id)
                for position, event in enumerate(batch.data)
                if not left_out or position not in left_out
            ),
            self._clock.now(),
            tested=batch.test_event_code is not None,
        )
        return self.say(PARTLY_OK, "Partial success.") if left_out else self.say(OK, "OK")

    def authorize(self, request: Request, *tokens: str) -> None:
        """Raise the refusal of a request whose token is none of `tokens`."""
        token = request.headers.get(b"access-token", b"").decode("latin-1")
        if not token:
            raise Refusal(EMPTY_TOKEN, "Access token is empty. Send it in the Access-Token header.")
        if not same(token, *tokens):  # "Bearer <token>" is simply another, unknown token
            raise Refusal(BAD_TOKEN, "Access token is incorrect or has been revoked.")

    def _permit(self, source: str, source_id: str, count: int) -> None:
        if source_id not in self._sources.get(source, ()):
            kind = "pixel code" if source == "web" else f"{source} event source"
            raise Refusal(NO_PERMISSION, f"No permission to operate {kind} {source_id}.")
        if count > MOST_EVENTS:
            raise Refusal(BAD_BATCH_SIZE, f"data: {count} events, at most {MOST_EVENTS} are allowed.")
        if count == 0:
            raise Refusal(BAD_BATCH_SIZE, "data: at least 1 event is required.")

    def _judge(self, source: str, batch: Sequence[Any], now: int) -> None:
        """Raise the refusal of the first event that TikTok would not take."""
        validator = self._event[source]
        for position, event in enumerate(batch):
            if not validator.is_valid(event):
                raise broken(next(validator.iter_errors(event)), "data", str(position))
            wrong = _wrong(source, event, now)
            if wrong is not None:
                path_text, sentence = wrong
                raise Refusal(BAD_PARAMETER, f"data.{position}.{path_text}: {sentence}")

    def _strike_out(self, batch: Sequence[dict[str, Any]], path: str) -> set[int]:
        fault = self._faults.refusing("tiktok", "events", path)
        if fault is None:
            return set()
        return set(self._refused_by(fault, [(event["event"], event.get("event_id")) for event in batch]))

    def _refused_by(self, fault: Fault, events: list[tuple[str, str | None]]) -> list[int]:
        """Return the positions a fault leaves out (code 20001), or raise: one bad event refuses all."""
        positions = self._faults.refused(fault, events)
        if positions and fault.asked.code != PARTLY_OK:
            message = fault.asked.message or "refused by a fault of the emulator."
            raise Refusal(fault.asked.code or BAD_PARAMETER, f"data.{positions[0]}.event_id: {message}")
        return positions

    def _record(
        self,
        events: Sequence[Any],
        outcome: Outcome,
        now: int,
        request_id: str,
        *,
        reason: str | None = None,
    ) -> None:
        for event in events:
            fields = event if isinstance(event, dict) else {}
            name, event_id = fields.get("event"), fields.get("event_id")
            name = name if isinstance(name, str) else "(none)"
            event_id = event_id if isinstance(event_id, str) else None
            tally = self.received.tally(name)
            if outcome == "accepted":
                tally.accepted += 1
                self._add_value(tally.value, fields.get("properties", {}))
            elif outcome == "deduplicated":
                tally.deduplicated += 1
            elif outcome == "tested":
                tally.tested += 1
            else:
                tally.refused += 1
            self.received.latest.append(Seen(now, name, event_id, outcome, request_id, reason, event))

    def _add_value(self, sums: dict[str, Decimal], properties: dict[str, Any]) -> None:
        if "value" in properties:
            currency = properties.get("currency", "")
            sums[currency] = sums.get(currency, Decimal(0)) + Decimal(str(properties["value"]))

    def _remark(self, event: dict[str, Any], now: int) -> None:
        """Count what TikTok takes without a word although it was hardly meant."""
        name, user, properties = event["event"], event.get("user", {}), event.get("properties", {})
        note = self.received.note
        standard = _BY_CASELESS_NAME.get(name.replace("_", "").lower())
        if standard not in {None, name} and name != "Pageview":
            note(self.received.remarks, f"{name} is a custom event; the standard one is {standard}")
        if name in RENAMED_EVENTS:
            note(self.received.remarks, f"{name} is the old name of {RENAMED_EVENTS[name]}")
        for key, value in user.items():
            if value == HASH_OF_NOTHING or (isinstance(value, list) and HASH_OF_NOTHING in value):
                note(self.received.remarks, f"user.{key} is the hash of an empty string")
        if "value" in properties and "currency" not in properties:
            note(self.received.remarks, f"{name} has a value without a currency")
        if now // 1000 - event["event_time"] > OLD_SECONDS:
            note(self.received.remarks, f"{name} is more than 28 days old: taken, but hardly attributed")

    def _pixel_list(self, request: Request) -> Answer:
        self._authorize_advertiser(request)
        try:
            page, size = int(request.query.get("page", "1")), int(request.query.get("page_size", "10"))
        except ValueError:
            raise Refusal(BAD_PARAMETER, "page: Not a valid integer.") from None
        if page < 1 or not 1 <= size <= 20:
            raise Refusal(BAD_PARAMETER, "page_size: Must be between 1 and 20, and page at least 1.")
        code, pixel_id, name = (request.query.get(key) for key in ("code", "pixel_id", "name"))
        pixels = [
            pixel
            for pixel in map(self._pixel, range(len(self.settings.tiktok_pixels)))
            if code in {None, pixel["pixel_code"]}
            and pixel_id in {None, pixel["pixel_id"]}
            and name in {None, pixel["pixel_name"]}
        ]
        shown, info = paged(pixels, page, size)
        return self.say(OK, "OK", data={"pixels": shown, "page_info": info})

    def _authorize_advertiser(self, request: Request) -> None:
        self.authorize(request, self.settings.tiktok_token, self.settings.tiktok_events_token)
        advertiser = request.query.get("advertiser_id")
        if not advertiser:
            raise Refusal(BAD_PARAMETER, "advertiser_id: Missing data for required field.")
        self.permit_advertisers(request, advertiser)

    def permit_advertisers(self, request: Request, *advertisers: str) -> None:
        """Raise the refusal of a token that may not act for each of `advertisers`."""
        for advertiser in advertisers:
            # A token from Events Manager has no advertiser scope.
            if advertiser != self.settings.tiktok_advertiser_id or not self._has_scopes(request):
                raise Refusal(NO_PERMISSION, f"No permission to operate advertiser {advertiser}.")

    def _event_stats(self, request: Request) -> Answer:
        """Answer `GET /pixel/event/stats/`: events by type, and whether a server or a browser told them."""
        self._authorize_advertiser(request)
        pixels = self._json_of(request, "pixel_ids")
        if not isinstance(pixels, list) or not all(isinstance(each, str) and each.isdecimal() for each in pixels):
            raise Refusal(BAD_PARAMETER, "pixel_ids: Not a valid list of pixel ids.")
        if not 1 <= len(pixels) <= MOST_PIXELS:
            raise Refusal(BAD_PARAMETER, f"pixel_ids: Must have between 1 and {MOST_PIXELS} items.")
        days = self._days(self._json_of(request, "date_range"))
        codes = {pixel["pixel_id"]: pixel["pixel_code"] for pixel in map(self._pixel, range(len(self.settings.tiktok_pixels)))}
        for each in pixels:
            if each not in codes:
                raise Refusal(NO_PERMISSION, f"No permission to operate pixel {each}.")
        shown = [{"pixel_id": each, "statistics": self._statistics(codes[each], days)} for each in dict.fromkeys(pixels)]
        return self.say(OK, "OK", data={"list": shown})

    def _statistics(self, code: str, days: range) -> list[dict[str, Any]]:
        # Old and new names of one event have one type, so their counts are added.
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        statistics = self.received.statistics
        for name in statistics.names(code, None, days):
            standard = name in EVENT_TYPES or name in STANDARD_EVENTS
            kind = ("pixel_event_type", EVENT_TYPES.get(name, name)) if standard else ("custom_event_type", name)
            empty = {kind[0]: kind[1], "attributed_count": 0, "preview_count": 0}
            row = rows.setdefault(kind, {**empty, "browser_event_total_count": 0, "server_event_total_count": 0})
            row["browser_event_total_count"] += statistics.count(code, name, "browser", days)
            row["server_event_total_count"] += statistics.count(code, name, "server", days)
        return [
            {**row, "total_count": row["browser_event_total_count"] + row["server_event_total_count"]} for row in rows.values()
        ]

    def _json_of(self, request: Request, name: str) -> Any:
        given = request.query.get(name)
        if not given:
            raise Refusal(BAD_PARAMETER, f"{name}: Missing data for required field.")
        try:
            return read(given.encode())
        except ValueError:
            raise Refusal(BAD_PARAMETER, f"{name}: Not valid JSON.") from None

    def _days(self, given: Any) -> range:
        """Return the days of a `date_range` as days since 1970."""
        ends = [given.get(name) if isinstance(given, dict) else None for name in ("start_date", "end_date")]
        try:
            first, last = (date.fromisoformat(each) for each in ends if isinstance(each, str) and len(each) == 10)
        except ValueError:
            raise Refusal(BAD_PARAMETER, "date_range: Needs start_date and end_date as YYYY-MM-DD.") from None
        if not timedelta(0) <= last - first < timedelta(days=MOST_DAYS):
            raise Refusal(BAD_PARAMETER, f"date_range: Must be 1 to {MOST_DAYS} days, the end not before the start.")
        began = (first - date(1970, 1, 1)).days
        return range(began, began + (last - first).days + 1)

    def _pixel(self, position: int) -> dict[str, Any]:
        return {
            "pixel_id": str(7000000000000000101 + position),
            "pixel_code": self.settings.tiktok_pixels[position],
            "pixel_name": f"Emulated pixel {position + 1}",
            "pixel_setup_mode": "MANUAL",
            "events": [],
        }

    def _user_info(self, request: Request) -> Answer:
        self.authorize(request, self.settings.tiktok_token, self.settings.tiktok_events_token)
        if not self._has_scopes(request):
            raise Refusal(NO_PERMISSION, "No permission to read the user's information.")
        user = {"core_user_id": "7000000000000000201", "display_name": "Emulated", "email": "e***@e***.com"}
        return self.say(OK, "OK", data=user)

    def _has_scopes(self, request: Request) -> bool:
        return same(request.headers.get(b"access-token", b"").decode("latin-1"), self.settings.tiktok_token)

    def say(self, code: int, message: str, request_id: str | None = None, data: dict[str, Any] | None = None) -> Answer:
        """Return an answer in TikTok's envelope."""
        content = {
            "code": code,
            "message": message,
            "request_id": request_id or self.new_request_id(),
            "data": data or {},
        }
        return answer(200, content)

    def new_request_id(self) -> str:
        """Return the id of one more request, in TikTok's form."""
        when = datetime.fromtimestamp(self._clock.now() // 1000, UTC)
        return f"{when:%Y%m%d%H%M%S}{self._random.getrandbits(80):020X}"


def paged(found: Sequence[Any], page: int, size: int) -> tuple[Sequence[Any], dict[str, int]]:
    """Return one page of what was found, and TikTok's account of the pages."""
    info = {"page": page, "page_size": size, "total_number": len(found), "total_page": -(-len(found) // size)}
    return found[(page - 1) * size : page * size], info


def validator(schema_: dict[str, Any], definitions: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Return what judges by `schema_`, whose references stand in `definitions`."""
    return jsonschema_rs.Draft202012Validator({**schema_, "$defs": definitions}, validate_formats=True)


def content_of(request: Request) -> Any:
    """Return the JSON value of a request's body; raise TikTok's refusal of a body that is none."""
    if not is_json(request):
        raise Refusal(BAD_PARAMETER, "Content-Type must be application/json.")
    try:
        return read(request.body)
    except ValueError:
        raise Refusal(BAD_PARAMETER, "The request body is not valid JSON.") from None


def broken(error: jsonschema_rs.ValidationError, *outer: str) -> Refusal:
    """Return the refusal for a schema error; `outer` is the path to what was judged."""
    code, inner, sentence = _put(error)
    path = ".".join([*outer, *inner])
    return Refusal(code, f"{path}: {sentence}" if path else sentence)


def _put(error: jsonschema_rs.ValidationError) -> tuple[int, list[str], str]:
    """Put a schema error in TikTok's way: (code, path, sentence); no sentence repeats a value."""
    path = [str(part) for part in error.instance_path]
    kind = error.kind.as_dict()
    match error.kind.name:
        case "required":
            return BAD_PARAMETER, [*path, kind["property"]], "Missing data for required field."
        case "additionalProperties":
            return BAD_PARAMETER, [*path, kind["unexpected"][0]], "Unknown field."
        case "type":
            names = " or ".join(TYPE_NAMES.get(name, name) for name in kind["types"])
            return BAD_PARAMETER, path, f"Not a valid {names}."
        case "pattern" if kind["pattern"] == HASH_PATTERN:
            return NOT_HASHED, path, "Not hashed: expected SHA-256 in lower-case hexadecimal."
        case "pattern":
            return BAD_PARAMETER, path, f"Does not match {kind['pattern']}"
        case "minLength" | "minItems":
            return BAD_PARAMETER, path, "Must not be empty."
        case "maxLength":
            return BAD_PARAMETER, path, f"Longer than maximum length {kind['limit']}."
        case "maxItems":
            return BAD_PARAMETER, path, f"Must have at most {kind['limit']} items."
        case "enum":
            options = [str(option) for option in kind["options"]]
            hint = f": {', '.join(options)}" if len(options) <= 12 else " of the documented list"
            return BAD_PARAMETER, path, f"Must be one{hint}."
        case "not":
            return BAD_PARAMETER, path, "Must not be hashed."
        case "anyOf":
            return BAD_PARAMETER, path, "Not a valid IP address."
        case "maximum" | "minimum" if path == ["event_time"]:
            return BAD_PARAMETER, path, "Must be Unix time in seconds."
        case _:
            return BAD_PARAMETER, path, "Not a valid value."


def _wrong(source: str, event: dict[str, Any], now: int) -> tuple[str, str] | None:
    """Return (path, sentence) for what a schema cannot say about an event, or None."""
    if isinstance(event["event_time"], float):
        return "event_time", "Not a valid integer."
    if event["event_time"] > now // 1000 + AHEAD_SECONDS:
        return "event_time", "Must not be in the future."
    user = event.get("user", {})
    alternatives = MATCH_KEYS[source]
    if alternatives and not any(all(key in user for key in keys) for keys in alternatives):
        wanted = ", ".join(" with ".join(keys) for keys in alternatives)
        return "user", f"At least one match key is required: {wanted}."
    empty = empty_path(event)
    if empty is not None:
        return ".".join(empty), "Must not be empty."
    return None


def _without_position(message: str) -> str:
    """Return a refusal's message with the event's position taken out, so that like reasons count together."""
    if not message.startswith("data."):
        return message
    _, _, rest = message.split(".", 2)
    return rest
