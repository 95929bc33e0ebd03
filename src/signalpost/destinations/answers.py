"""What all platforms' answers share: reading a body that may be anything, Retry-After, and words fit to be shown."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from signalpost.destinations.audiences import Answer, Batch
from signalpost.destinations.contract import Outcome, Response

LONGEST_WAIT = 86_400.0
"""No platform is believed when it asks for more than a day."""


def body_of(response: Response) -> dict[str, Any]:
    """The JSON object of an answer; empty when the body is anything else."""
    try:
        found = msgspec.json.decode(response.body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def list_of(response: Response) -> list[Any] | None:
    """The JSON list of an answer; None when the body is anything else."""
    try:
        found = msgspec.json.decode(response.body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    return found if isinstance(found, list) else None


def counted(value: object) -> int | None:
    """A count in an answer, as a number or as text; None for anything that is none."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def retry_after(response: Response) -> float | None:
    """Seconds from the Retry-After header, as a number or as a date (counted from the answer's own Date); else None."""
    written = response.headers.get("retry-after", "").strip()
    if not written:
        return None
    if re.fullmatch(r"[0-9]{1,12}(?:\.[0-9]{1,6})?", written):
        return min(float(written), LONGEST_WAIT)
    try:
        then = parsedate_to_datetime(written)
        now = parsedate_to_datetime(response.headers.get("date", ""))
        return min(max((then - now).total_seconds(), 0.0), LONGEST_WAIT)
    except (TypeError, ValueError, OverflowError):
        return None


_PERSONAL = re.compile(
    r"[^\s@\"'<>(),;:]+@[^\s@\"'<>(),;]+"  # e-mail
    r"|[0-9A-Fa-f]{32,}"  # digests
    r"|[A-Za-z0-9_\-.~+/=]{33,}"  # tokens and click ids
    r"|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}"  # IPv6
    r"|\+?[0-9(][0-9 ().\-]{5,}[0-9]"  # phones, IPv4, card numbers
)


def redacted(said: object) -> str:
    """A platform's own words without e-mails, digests, phones, addresses and tokens, at most 300 characters long."""
    if not isinstance(said, str):
        return ""
    words = " ".join("".join(c if c.isprintable() else " " for c in said[:2_000]).split())
    hidden = _PERSONAL.sub("…", words)
    return hidden if len(hidden) <= 300 else hidden[:299] + "…"


def quoted(sentence: str, said: object) -> str:
    """Our sentence, and the platform's own words after it where it said any."""
    words = redacted(said)
    return f"{sentence} It said: {words}" if words else sentence


def all_alike(outcome: Outcome, count: int) -> list[Outcome]:
    """The same outcome for each event."""
    return [outcome] * count


def split_or_refuse(count: int, *, code: str, sentence: str) -> list[Outcome]:
    """A batch refused as one is asked again in halves; an event refused alone is refused."""
    return all_alike(Outcome(kind="split" if count > 1 else "refused", code=code, sentence=sentence), count)


def by_status(title: str, response: Response, count: int, said: object) -> list[Outcome]:
    """What an HTTP status alone says, for answers whose body says nothing the platform's file knows."""
    status = response.status
    code = f"HTTP {status}"
    if 200 <= status < 300:
        # It may have taken the events and told us badly. Sending again with the same event ids is safe inside the
        # platform's dedupe window, and `reached` keeps delivery from trying after it.
        return all_alike(
            Outcome(kind="retry", code=code, sentence=f"{title} answered with something unreadable.", reached=True), count
        )
    if status == 429:
        return all_alike(
            Outcome(
                kind="retry",
                code=code,
                sentence=quoted(f"{title} takes no more requests for the moment.", said),
                after=retry_after(response),
                reached=False,
            ),
            count,
        )
    if status >= 500 or status == 408:
        return all_alike(
            Outcome(
                kind="retry",
                code=code,
                sentence=quoted(f"{title} has trouble of its own.", said),
                after=retry_after(response),
                reached=True,
            ),
            count,
        )
    if status in {401, 403, 404, 405, 407} or status < 400:
        return all_alike(
            Outcome(kind="blocked", code=code, sentence=quoted(f"{title} {_BLOCKED[status]}", said), reached=False), count
        )
    if status == 413:
        return split_or_refuse(count, code=code, sentence=f"The request is larger than {title} takes.")
    return split_or_refuse(count, code=code, sentence=quoted(f"{title} refused the event.", said))


def audience_by_status(title: str, response: Response, batch: Batch | None, said: object) -> Answer:
    """What an HTTP status alone says of a change to an audience."""
    found = by_status(title, response, 1, said)[0]
    if found.kind == "retry":
        return Answer(kind="retry", code=found.code, sentence=found.sentence, after=found.after, reached=found.reached)
    if found.kind == "blocked":
        return Answer(kind="unauthorised", code=found.code, sentence=found.sentence, reached=False)
    return audience_refused(batch, code=found.code, sentence=quoted(f"{title} refused the change.", said))


def audience_refused(batch: Batch | None, *, code: str, sentence: str) -> Answer:
    """A batch refused as one is asked again in halves; an identifier refused alone is refused."""
    return Answer(kind="refused" if batch is None or batch.alone else "split", code=code, sentence=sentence)


class _Blocked(dict[int, str]):
    def __missing__(self, status: int) -> str:
        return f"answered with status {status}, which it never should: check the endpoint."


_BLOCKED = _Blocked(
    {
        401: "does not accept the access token: make a new one and put it into the environment.",
        403: "does not let this access token send to this account: check the account and the token's permissions.",
        404: "does not know the address or the account: check the account and the endpoint.",
        405: "does not take events at this address: check the endpoint.",
        407: "was not reached: a proxy in between wants credentials.",
    }
)
