"""What all wires share: the request as it was received, what reading it gives, and how ids, times and bad bytes are treated."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from signalpost.errors import TooLarge, Unreadable
from signalpost.events import Event, Identifier

Wire = Literal["pipelines", "track_v1", "track_v2", "shopify", "reporting", "memberships", "wishes"]

MESSAGE_LIMIT = 65_536
"""Bytes of one message: twice what Customer.io documents (32 KB), because clients measure differently."""

BATCH_LIMIT = 1_048_576
"""Bytes of one request once unzipped: twice what Customer.io documents (500 KB)."""

WEBHOOK_LIMIT = 4_194_304
"""Bytes of one webhook: an order with hundreds of lines, or an e-mail with its content, is one document and cannot be split."""

MOST_MESSAGES = 2_500
"""Messages of one batch."""

IDENTIFIER_LIMIT = 500
"""Characters of one identifier; Customer.io allows 150 bytes, Segment says nothing."""

MESSAGE_ID_LIMIT = 255
"""Characters of a client's message id; a longer one is replaced by its digest, so it still deduplicates."""

DEPTH_LIMIT = 64
"""Levels of nesting of one message; deeper ones would only fail later, where nobody could be told."""

RETRY_WINDOW_MS = 600_000
"""Identical bytes without an id and without a time of their own are one message within such a window of receipt."""


class Received(Struct, frozen=True, kw_only=True):
    """One authenticated request, as the journal keeps it."""

    source: str
    """The source's name in the workspace file."""
    wire: Wire
    method: str
    path: str
    """The path as sent (percent-encoded), with the query string when there was one; the write key never stands in it."""
    headers: dict[str, str] = {}
    """Lower-case names; only those the wire reads again: Shopify's topic and ids, strict mode."""
    body: bytes = b""
    """Unzipped."""
    client_ip: str | None = None
    user_agent: str | None = None
    received_at: int
    """Epoch ms, UTC."""


class Refusal(Struct, frozen=True, kw_only=True):
    """One message that was not taken, or the whole request."""

    index: int | None
    """The message's place in its batch; None when the request as a whole could not be read."""
    path: str
    """JSONPath of the offending value."""
    sentence: str
    code: str
    """`invalid`, `required`, `too_large`, `too_many` or `malformed`."""


class Reading(Struct, kw_only=True):
    """What a request held."""

    events: list[Event] = []
    refusals: list[Refusal] = []
    notes: list[str] = []
    """Sentences on what was accepted but not used, or repaired."""


class Refused(Unreadable):
    """One message is refused while it is read; never leaves this package."""

    def __init__(self, sentence: str, *, path: str = "$", code: str = "invalid") -> None:
        super().__init__(sentence, path=path)
        self.code = code


def refusal(error: Exception, index: int | None, prefix: str = "$") -> Refusal:
    """The error as a refusal of message `index`, its path below `prefix` (`$.batch[3]`)."""
    if isinstance(error, (Refused, TooLarge)):
        return Refusal(index=index, path=prefix + error.path[1:], sentence=str(error), code=error.code)
    if isinstance(error, RecursionError):
        return Refusal(index=index, path=prefix, sentence="The message is nested too deeply.", code="too_large")
    sentence, path = str(error), "$"
    if isinstance(error, msgspec.ValidationError):
        sentence, _, path = sentence.partition(" - at `")
        path = path.rstrip("`") or "$"
        if path.startswith("key"):  # msgspec: "- at `key` in `$...`"
            path = "$"
        return Refusal(index=index, path=prefix + path[1:], sentence=f"{sentence}.", code="invalid")
    return Refusal(index=index, path=prefix, sentence=f"The body is not JSON: {sentence}.", code="malformed")


def _surrogates_replaced(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def salvage(body: bytes) -> bytes | None:
    """Almost-JSON as JSON, or None: NaN and Infinity become null, half an emoji and bad UTF-8 become `?` or U+FFFD.

    Python clients write NaN, and browsers cut a product name in the middle of an emoji; neither is worth an order.
    """
    try:
        value = json.loads(body.decode("utf-8-sig", "replace"), parse_constant=lambda _: None, parse_float=_finite)
        return _surrogates_replaced(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except (ValueError, RecursionError):
        return None


def _finite(text: str) -> float | None:
    number = float(text)
    return number if number - number == 0 else None


def without_nul(value: Any) -> Any:
    """The value without U+0000 anywhere: no shop means it, and databases refuse it."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {without_nul(name): without_nul(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_nul(each) for each in value]
    return value


def repaired(raw: bytes) -> bytes:
    """One message's bytes without any U+0000."""
    return msgspec.json.encode(without_nul(msgspec.json.decode(raw)))


def check_size(raw: bytes, limit: int = MESSAGE_LIMIT) -> None:
    """Raises when one message is longer than `limit` bytes or nested deeper than `DEPTH_LIMIT`."""
    if len(raw) > limit:
        raise Refused(f"The message has {len(raw):,} bytes; {limit:,} is the limit.", code="too_large")
    if raw.count(b"{") + raw.count(b"[") > DEPTH_LIMIT and _depth(raw) > DEPTH_LIMIT:
        raise Refused(f"The message is nested deeper than {DEPTH_LIMIT} levels.", code="too_large")


_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _depth(raw: bytes) -> int:
    deepest = level = 0
    for character in _STRINGS.sub(b"", raw):
        if character in b"{[":
            level += 1
            deepest = max(deepest, level)
        elif character in b"}]":
            level -= 1
    return deepest


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = 253_402_300_799_000
_LATEST_S = 100_000_000_000
"""A number below this is seconds (until the year 5138), above it milliseconds (since March 1973)."""


def milliseconds(value: Any) -> int | None:
    """A point in time as epoch ms, or None when it is none.

    ISO 8601 (no offset means UTC), unix seconds or milliseconds as a number or a numeric string, decimals allowed:
    Segment's Customer.io destination passes numeric strings through untouched.
    """
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return _from_text(value)
        if moment.tzinfo is None:
            if value.isdigit():  # "20260101" is a date, "1767225600" is not read as one
                return _from_text(value)
            moment = moment.replace(tzinfo=UTC)
        gap = moment - _EPOCH
        return gap.days * 86_400_000 + gap.seconds * 1000 + gap.microseconds // 1000
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    number = value if abs(value) >= _LATEST_S else value * 1000
    return int(number) if 0 < number <= _LATEST_MS else None


_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ]*(\d\d:\d\d(?::\d\d)?)?(?:[.,](\d+))? *(Z|z|UTC|[+-]\d\d:?\d\d)?")


def _from_text(text: str) -> int | None:
    text = text.strip()
    try:
        return milliseconds(float(text)) if "_" not in text else None
    except ValueError:
        pass
    match = _ISO.fullmatch(text)  # what fromisoformat will not take: "2026-01-01 10:00:00 UTC", nine digits of a second
    if match is None:
        return None
    day, clock, fraction, offset = match.groups()
    offset = offset if offset and offset[0] in "+-" else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}{offset}")
    except ValueError:
        return None
    gap = moment - _EPOCH
    return gap.days * 86_400_000 + gap.seconds * 1000 + int(f"{fraction or 0:0<3}"[:3])


def identifier(value: Any) -> str | None:
    """An identifier as text, or None for absent: null and blank are absent, numbers become their digits.

    Raises `Refused` (path `$`) for anything else and for longer than `IDENTIFIER_LIMIT`.
    """
    if value is None:
        return None
    if isinstance(value, str):
        if not value or value.isspace():
            return None
        if len(value) > IDENTIFIER_LIMIT:
            raise Refused(f"An identifier of {len(value):,} characters; {IDENTIFIER_LIMIT} is the limit.", code="too_large")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused("An identifier must be a string or a number.")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")


def looks_like_email(value: str) -> bool:
    """Whether Customer.io would take this identifier for an e-mail address, by its shape alone."""
    return "@" in value and _EMAIL.fullmatch(value.strip()) is not None


def person_identifier(value: str) -> Identifier:
    """The kind of a Track identifier by its shape: `cio_...`, an e-mail, or the shop's own id (Track API, identifiers)."""
    if value.startswith("cio_") and len(value) > 4:
        return "cio_id", value[4:]
    if looks_like_email(value):
        return "email", value
    return "user_id", value


def message_id(given: Any) -> str | None:
    """A client's message id, or None when it sent none; longer than the store's column becomes its digest."""
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        return None
    text = str(given).strip()
    if not text:
        return None
    return text if len(text) <= MESSAGE_ID_LIMIT else derived_id(text.encode())


def derived_id(*parts: bytes | str | int) -> str:
    """An id from content: the same parts give the same id, in every process, for ever."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part if isinstance(part, bytes) else str(part).encode("utf-8", "replace")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return "sp-" + digest.hexdigest()


def derived_message_id(received: Received, index: int, content: bytes, *, timed: bool) -> str:
    """The id of a message whose client sent none.

    A retry sends the same bytes, so the id is a digest of source, method, path, place in the batch and content. A message
    without a time of its own may also be the same thing happening again: then the window of receipt (ten minutes) counts too,
    so a retry within it is the same message and tomorrow's identical call is a new one.
    """
    window = 0 if timed else received.received_at // RETRY_WINDOW_MS
    return derived_id(received.source, received.method, received.path, index, window, content)


def mapping(value: Any) -> dict[str, Any]:
    """The value when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """The value as text when it is a string or number, else empty."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def decode_object(body: bytes) -> dict[str, Any]:
    """A request body that must be one JSON object; an empty body is an empty object.

    Raises `Refused`, `ValueError` or `RecursionError`.
    """
    if not body or body.isspace():
        return {}
    value = without_nul(_decoded(body)) if b"\\u0000" in body else _decoded(body)
    if not isinstance(value, dict):
        raise Refused("The body must be a JSON object.")
    return value


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        better = salvage(body)
        if better is None:
            raise
        return msgspec.json.decode(better)
