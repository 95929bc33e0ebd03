"""One normaliser for every match key, used for events and for audiences alike: how each value is written, then hashed.

One function per value. Each gives the clean form, or None when there is nothing worth sending; each gives its own
result back unchanged, so that normalising twice is normalising once. A value that already is a SHA-256 digest is
passed on, in lower case, and never hashed again. `MATCH_KEYS` is the table of everything a person can be matched by;
`match_keys` executes it once, when a fact about a person is learned. `docs/reference/normalisation.md` has the test vectors.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from hashlib import sha256 as _sha256
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import phonenumbers
from msgspec import Struct

from signalpost.iso import COUNTRIES

JUNK = frozenset(
    {
        "",
        "null",
        "(null)",
        "undefined",
        "(undefined)",
        "none",
        "(none)",
        "nil",
        "nan",
        "n/a",
        "(not set)",
        "(data deleted)",
        "[object object]",
        "-",
    }
)
"""What software writes when it has no value (in lower case); it never is one."""

MOST_VALUES = 10
"""The newest so many e-mails, phones and ids of a person are sent."""

_hashed = re.compile(r"[0-9A-Fa-f]{64}").fullmatch


# ---------------------------------------------------------------------------------------------- hashing


def sha256(text: str) -> str:
    """The SHA-256 of the UTF-8 text, as 64 lower-case hex digits; no salt, as both platforms want it."""
    return _sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def is_hashed(value: str) -> bool:
    """Whether the value already is a SHA-256 digest in hex."""
    return len(value) == 64 and _hashed(value) is not None


def hash_of(value: str | None) -> str | None:
    """The digest of a clean value; a digest is passed on in lower case, nothing gives nothing."""
    if not value:
        return None
    if len(value) == 64 and _hashed(value) is not None:
        return value.lower()
    return sha256(value)


# ---------------------------------------------------------------------------------------------- text


def text(value: object) -> str | None:
    """Any single value as text without surrounding space; None for empty and for what software writes as empty."""
    if value.__class__ is str:
        stripped = value.strip()
    elif isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    else:
        stripped = str(value).strip()
    if len(stripped) < 16 and stripped.lower() in JUNK:
        return None
    return stripped


def _composed(value: str) -> str:
    # Two ways to write one accented letter must not become two digests.
    return value if value.isascii() else unicodedata.normalize("NFC", value)


def _lowered(value: str) -> str:
    return _composed(_composed(value).lower())


def _letters(value: str) -> str:
    """Without punctuation and symbols; letters, digits and space of every script stay."""
    if value.isascii() and value.isalnum():
        return value
    return "".join(c for c in value if unicodedata.category(c)[0] in "LMN" or c.isspace())


def _cleaned(value: object) -> str | None:
    found = text(value)
    return None if found is None or len(found) > 512 else found


# ---------------------------------------------------------------------------------------------- who


def email(value: object) -> str | None:
    """Lower case, without spaces; nothing else (dots and +tags stay). None unless it has the form of an address."""
    # TikTok: trim and lower-case, keep dots and +tags. Pinterest: lower-case. Their digests are therefore the same.
    found = _cleaned(value)
    if found is None:
        return None
    if len(found) == 64 and is_hashed(found):
        return found.lower()
    found = _lowered("".join(found.replace("\u200b", "").replace("\ufeff", "").split()))
    local, at, domain = found.rpartition("@")
    if not at or not local or "@" in local or "." not in domain[1:-1]:
        return None
    return found if len(found) <= 320 else None


def phone(value: object, country: str | None = None) -> str | None:
    """E.164 with the plus, such as `+442079460958`. `country` (alpha-2) completes national numbers. None if it is no number.

    Understands punctuation, `00` for `+`, `(0)` after a country code, trunk zeros and a missing plus.
    """
    found = _cleaned(value)
    if found is None:
        return None
    if len(found) == 64 and is_hashed(found):
        return found.lower()
    return _phone(found, country.upper() if country else None)


_WRITTEN_INTERNATIONAL = re.compile(r"\+[0-9 ().\-]*[0-9]").fullmatch
_WRITTEN_NATIONAL = re.compile(r"[0-9(][0-9 ().\-]*[0-9]").fullmatch
_NO_PUNCTUATION = str.maketrans("", "", " ().-")


@lru_cache(maxsize=65_536)
def _phone(written: str, country: str | None) -> str | None:
    if written[0] == "+":
        if _WRITTEN_INTERNATIONAL(written):
            quick = _plain_international(written.translate(_NO_PUNCTUATION)[1:])
            if quick is not None:
                return quick
    elif country in {"US", "CA"} and _WRITTEN_NATIONAL(written):
        digits = written.translate(_NO_PUNCTUATION)
        if len(digits) == 11 and digits[0] == "1":
            digits = digits[1:]
        if len(digits) == 10 and digits[0] in "23456789":
            return _unless_filler("1", digits)
    return phone_by_library(written, country)


def _plain_international(digits: str) -> str | None:
    """E.164 of a number written whole, where the library would surely change nothing; else None (ask the library)."""
    # Only calling codes with one numbering plan and without national-prefix rules that could strip a digit.
    if digits[:1] == "1":
        if len(digits) == 11 and digits[1] in "23456789":
            return _unless_filler("1", digits[1:])
        return None
    for length in (2, 3):
        plan = _PLAIN_PLANS.get(digits[:length])
        if plan is not None:
            prefix, lengths = plan
            national = digits[length:]
            if len(national) in lengths and not (prefix and prefix(national)):
                return _unless_filler(digits[:length], national)
            return None
    return None


def _plain_plans() -> dict[str, tuple[Callable[[str], object] | None, frozenset[int]]]:
    plans: dict[str, tuple[Callable[[str], object] | None, frozenset[int]]] = {}
    for code in ("33", "34", "31", "41", "43", "44", "45", "46", "47", "48", "49", "61", "64", "65", "353"):
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(phonenumbers.region_code_for_country_code(int(code)))
        if metadata is None or metadata.general_desc is None:
            continue
        pattern = metadata.national_prefix_for_parsing
        prefix = re.compile(pattern).match if pattern else None
        plans[code] = (prefix, frozenset(metadata.general_desc.possible_length))
    return plans


_PLAIN_PLANS = _plain_plans()


def _unless_filler(code: str, national: str) -> str | None:
    # 0000000000 and the like pass every length rule and name nobody.
    return None if len(set(national)) == 1 else f"+{code}{national}"


def phone_by_library(written: str, country: str | None) -> str | None:
    """The same as `phone` by way of Google's library alone: slow and right; the law the quick ways are held to."""
    attempts: list[tuple[str, str | None]] = []
    if written[0] != "+":
        digits = re.sub(r"\D", "", written)
        if digits.startswith("00") and written[0] in "0(":
            attempts.append(("+" + digits[2:], None))
        attempts.append((written, country))
        if len(digits) >= 11 and digits[0] != "0":
            attempts.append(("+" + digits, None))  # a country code whose plus was lost
    else:
        attempts.append((written, country))
    for number, region in attempts:
        try:
            parsed = phonenumbers.parse(number, region)
        except phonenumbers.NumberParseException:
            continue
        guessed = number is not written
        if guessed and not phonenumbers.is_valid_number(parsed):
            continue
        if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
            continue
        e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        if e164 != number:
            return phone_by_library(e164, None)  # of several trunk zeros the library takes one at a time
        code = str(parsed.country_code)
        return _unless_filler(code, e164[1 + len(code) :])
    return None


def phone_digits(value: str | None) -> str | None:
    """An E.164 number as Pinterest wants it: digits only, country code first; a digest is passed on."""
    return value[1:] if value and value[0] == "+" else value


def external_id(value: object) -> str | None:
    """The shop's own id, trimmed; letter case stays, because the pixel hashes it as it is."""
    found = _cleaned(value)
    if found is not None and len(found) == 64 and is_hashed(found):
        return found.lower()
    return found


def name(value: object) -> str | None:
    """A first or last name for TikTok: lower case, no punctuation, single spaces; other scripts stay."""
    found = name_as_written(value)
    if found is None or is_hashed(found):
        return found
    return " ".join(_letters(found).split()) or None


def name_as_written(value: object) -> str | None:
    """A first or last name for Pinterest: lower case, single spaces, punctuation as it is written."""
    found = _cleaned(value)
    if found is None:
        return None
    return " ".join(_lowered(found).split()) or None


def city(value: object) -> str | None:
    """A city: lower case, no spaces, no punctuation (`sanfrancisco`); other scripts stay."""
    found = _cleaned(value)
    if found is None:
        return None
    return "".join(_letters(_lowered(found)).split()) or None


def state(value: object, country: str | None = None) -> str | None:
    """A state: the two-letter code in lower case where the name is known (US, Canada, Australia), else like a city."""
    found = city(value)
    if found is None or is_hashed(found):
        return found
    where = (country or "").lower()
    for land, names in STATES.items():
        if where in {land, ""}:
            if found in names:
                return names[found]
            if len(found) in {4, 5} and found[:2] == land and found[2:] in names.values():
                return found[2:]  # ISO 3166-2: US-CA
    return found


def zip_code(value: object, country: str | None = None) -> str | None:
    """A postcode: lower case, no spaces or dashes; in the US the first five digits."""
    found = _cleaned(value)
    if found is None or is_hashed(found):
        return found and found.lower()
    where = (country or "").lower()
    if where in {"us", ""} and _ZIP_PLUS_FOUR(found):
        return found[:5]
    squeezed = "".join(_letters(_lowered(found)).split())
    if where == "us" and squeezed.isdigit() and len(squeezed) == 9:
        return squeezed[:5]
    return squeezed or None


_ZIP_PLUS_FOUR = re.compile(r"[0-9]{5}[- ][0-9]{4}").fullmatch


@lru_cache(maxsize=4_096)
def _country(written: str) -> str | None:
    code = written.upper()
    if len(code) == 2:
        code = "GB" if code == "UK" else code
        return code.lower() if code in COUNTRIES else None
    if len(code) == 3 and code in _ALPHA_3:
        return _ALPHA_3[code].lower()
    return _country_names().get(_name_key(written))


def country(value: object) -> str | None:
    """A country as its ISO 3166 alpha-2 code in lower case, from a code or a name in any large language; else None."""
    found = _cleaned(value)
    if found is None or is_hashed(found):
        return found and found.lower()
    return _country(found)


def _name_key(written: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", written.casefold()) if unicodedata.category(c)[0] in "LN")
    return bare.removeprefix("the")


@lru_cache(maxsize=1)
def _country_names() -> dict[str, str]:
    """Every country name of the phone library's locale data (some 40 languages), to its code; and what people type."""
    from phonenumbers.geodata.locale import LOCALE_DATA  # noqa: PLC0415 (large; most workspaces never need it)

    names: dict[str, str] = {}
    ambiguous: set[str] = set()
    for code, spellings in LOCALE_DATA.items():
        for spelling in spellings.values():
            if not spelling.startswith("*"):
                key = _name_key(spelling)
                if names.setdefault(key, code.lower()) != code.lower():
                    ambiguous.add(key)
    for key in ambiguous:
        del names[key]
    names.update({_name_key(alias): code for alias, code in COUNTRY_ALIASES.items()})
    names.pop("", None)
    return names


COUNTRY_ALIASES = {
    "USA": "us",
    "U.S.A.": "us",
    "U.S.": "us",
    "United States of America": "us",
    "America": "us",
    "EIRE": "ie",
    "Republic of Ireland": "ie",
    "Great Britain": "gb",
    "Britain": "gb",
    "England": "gb",
    "Scotland": "gb",
    "Wales": "gb",
    "Northern Ireland": "gb",
    "U.K.": "gb",
    "Channel Islands": "je",
    "Holland": "nl",
    "Korea": "kr",
    "South Korea": "kr",
    "Republic of Korea": "kr",
    "RSA": "za",
    "Russia": "ru",
    "Czech Republic": "cz",
    "Czechia": "cz",
    "UAE": "ae",
    "Viet Nam": "vn",
    "Turkey": "tr",
    "Türkiye": "tr",
}
"""What people and shops write beside the names the library knows."""


def birthday(value: object) -> str | None:
    """A date of birth as `YYYYMMDD`; None where day and month cannot be told apart or the date does not exist."""
    found = _cleaned(value)
    if found is None or is_hashed(found):
        return found and found.lower()
    if match := _YEAR_FIRST(found):
        year, month, day = match.group(1, 2, 3)
    elif match := _DAY_FIRST(found):
        day, month, year = match.group(1, 2, 3)
    elif match := _SLASHED(found):
        first, second, year = match.group(1, 2, 3)
        if int(first) > 12:
            day, month = first, second
        elif int(second) > 12 or first == second:
            month, day = first, second
        else:
            return None  # 03/04/1990 is March in one country and April in the next
    else:
        return None
    try:
        born = date(int(year), int(month), int(day))
    except ValueError:
        return None
    return born.strftime("%Y%m%d") if 1900 <= born.year <= 2100 else None


_YEAR_FIRST = re.compile(r"([0-9]{4})[-/.]?([0-9]{2})[-/.]?([0-9]{2})(?:[T ].*)?").fullmatch
_DAY_FIRST = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})").fullmatch
_SLASHED = re.compile(r"([0-9]{1,2})[/-]([0-9]{1,2})[/-]([0-9]{4})").fullmatch

_GENDERS = {
    **dict.fromkeys(("f", "female", "woman", "girl", "w", "weiblich", "femme", "mujer", "mrs", "ms"), "f"),
    **dict.fromkeys(("m", "male", "man", "boy", "männlich", "homme", "hombre", "mr"), "m"),
    **dict.fromkeys(("n", "nb", "nonbinary", "non-binary", "non binary", "enby", "diverse", "divers", "x"), "n"),
}


def gender(value: object) -> str | None:
    """`f`, `m` or `n` (non-binary); None for anything else."""
    found = _cleaned(value)
    if found is None or is_hashed(found):
        return found and found.lower()
    return _GENDERS.get(found.lower())


_DEVICE_ID = re.compile(r"[0-9A-Fa-f-]{32,36}").fullmatch


def _device_id(value: object) -> str | None:
    found = _cleaned(value)
    if found is None:
        return None
    if is_hashed(found):
        return found.lower()
    # All zeros is what a phone answers when the person has switched tracking off.
    return found if _DEVICE_ID(found) and set(found) != {"0", "-"} and set(found) != {"0"} else None


def idfa(value: object) -> str | None:
    """Apple's advertising id in upper case (TikTok's official sample digest is of the upper-case form)."""
    found = _device_id(value)
    return found if found is None or is_hashed(found) else found.upper()


def gaid(value: object) -> str | None:
    """Google's advertising id in lower case."""
    found = _device_id(value)
    return found if found is None else found.lower()


def idfv(value: object) -> str | None:
    """Apple's id of a device at one vendor, as it is; never hashed."""
    found = _device_id(value)
    return None if found is None or is_hashed(found) else found


# ---------------------------------------------------------------------------------------------- where and with what


def click_id(value: object) -> str | None:
    """A click or browser id, verbatim; None for unfilled macros, digests and anything with space in it."""
    return click_id_as_written(value) if isinstance(value, str) else None


@lru_cache(maxsize=32_768)
def click_id_as_written(written: str) -> str | None:
    """`click_id` of a text; remembered, because it is read again with each of a person's events."""
    found = written.strip()
    if not 4 <= len(found) <= 1024 or found.lower() in JUNK or is_hashed(found):
        return None
    if found[0] in "{[<%$" or found[:2] == "__" or not found.isascii() or not found.isprintable() or " " in found:
        return None
    return found


CLICK_IDS: dict[str, tuple[str, ...]] = {
    "ttclid": ("ttclid",),
    "ttp": ("_ttp", "ttp"),
    "epik": ("epik", "_epik"),
}
"""Our name -> how it is called in an address, in properties and in context. `_ttp` and `_epik` are cookies' names."""


_SPELLINGS = frozenset(spelling for spellings in CLICK_IDS.values() for spelling in spellings)


def click_ids(properties: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, str]:
    """The click and browser ids an event carries: in its page's address first, then in its properties and context."""
    page = context.get("page")
    found: dict[str, str] = {}
    if page.__class__ is dict:
        for part in (page.get("url"), page.get("search")):
            if part.__class__ is str and ("ttclid=" in part or "epik=" in part):
                _take_from_address(part, found)
    url = properties.get("url")
    if url.__class__ is str and ("ttclid=" in url or "epik=" in url):
        _take_from_address(url, found)
    if _SPELLINGS.isdisjoint(properties) and _SPELLINGS.isdisjoint(context):
        return found
    for own, spellings in CLICK_IDS.items():
        if own not in found:
            for spelling in spellings:
                value = click_id(properties.get(spelling)) or click_id(context.get(spelling))
                if value is not None:
                    found[own] = value
                    break
    return found


def _take_from_address(address: str, found: dict[str, str]) -> None:
    query = address.partition("?")[2].partition("#")[0]
    for key, raw in parse_qsl(query):
        if key in {"ttclid", "epik"} and key not in found:
            value = click_id(raw)
            if value is not None:
                found[key] = value


_PUBLIC_IPV4 = re.compile(
    r"(?!0\.|10\.|127\.|169\.254\.|172\.(?:1[6-9]|2[0-9]|3[01])\.|192\.168\.|192\.0\.0\."
    r"|100\.(?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.|198\.1[89]\.|2(?:2[4-9]|[34][0-9]|5[0-5])\.)"
    r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}"
).fullmatch
_IPV4_FORM = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}").fullmatch
_EXAMPLES = ipaddress.ip_network("2001:db8::/32")


def public_ip(value: object) -> str | None:
    """A public IPv4 or IPv6 address; None for private, reserved and malformed ones, which match nobody.

    The ranges reserved for documentation pass: they never occur in traffic, and every example is written with them.
    """
    if value.__class__ is not str:
        return None
    return ip_as_written(value)


@lru_cache(maxsize=16_384)
def ip_as_written(written: str) -> str | None:
    """`public_ip` of a text; remembered, because gates and fields of both platforms ask for it."""
    if _PUBLIC_IPV4(written):
        return written
    found = written.partition(",")[0].strip()  # a proxy's list: the client comes first
    if _IPV4_FORM(found):
        return found if _PUBLIC_IPV4(found) else None
    found = found.strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(found)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return ip_as_written(str(address.ipv4_mapped))
        if address in _EXAMPLES or (address.is_global and not address.is_multicast):
            return str(address)
    return None


def user_agent(value: object) -> str | None:
    """The browser's own line, trimmed, otherwise verbatim."""
    return user_agent_as_written(value) if isinstance(value, str) else None


@lru_cache(maxsize=16_384)
def user_agent_as_written(written: str) -> str | None:
    """`user_agent` of a text; remembered, because many people share one."""
    return text(written)


@lru_cache(maxsize=4_096)
def locale_as_written(written: str) -> str | None:
    """`locale` of a text; remembered, because a shop sees few."""
    if written.strip().lower() in JUNK:
        return None
    match = _LOCALE(written.strip().partition(".")[0].replace("_", "-"))
    if match is None:
        return None
    language, *rest = match.group(0).split("-")
    parts = [language.lower()]
    for part in rest:
        if len(part) == 2:
            parts.append(part.upper())
        else:
            parts.append(part.title() if len(part) == 4 and part.isalpha() else part)
    return "-".join(parts)


_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*").fullmatch


def locale(value: object) -> str | None:
    """A BCP 47 tag such as `en-GB` (from `en_GB`, `EN-gb`, `en_GB.UTF-8`); None for anything else."""
    return locale_as_written(value) if isinstance(value, str) else None


def language(value: object) -> str | None:
    """The ISO 639-1 language of a locale, two letters; None where it has three."""
    return language_as_written(value) if isinstance(value, str) else None


@lru_cache(maxsize=4_096)
def language_as_written(written: str) -> str | None:
    """`language` of a text; remembered, because a shop sees few."""
    first = (locale_as_written(written) or "").partition("-")[0]
    return first if len(first) == 2 else None


def url(value: object) -> str | None:
    """An absolute http(s) address, with query parameters that hold an e-mail address taken out; None for anything else."""
    if value.__class__ is not str:
        return None
    if (
        value[:8] == "https://"
        and value[8:9] not in "/?#"
        and value.isprintable()
        and " " not in value
        and "@" not in value
        and "%40" not in value
    ):
        return value
    found = value.strip()
    if _URL_START(found) is None or not found.isprintable() or " " in found:
        return None
    if "@" in found or "%40" in found:
        return _without_addresses(found)
    return found


_URL_START = re.compile(r"https?://[^\s/?#]", re.IGNORECASE).match
_ADDRESS = re.compile(r"[^\s@=&?/]+(?:@|%40)[^\s@=&?/]+\.[^\s@=&?/]+", re.IGNORECASE)


def _without_addresses(found: str) -> str | None:
    # Platforms forbid personal data in clear; shops put it in addresses all the same (?email=ana@brand.example).
    try:
        parts = urlsplit(found)
    except ValueError:
        return None
    query = "&".join(part for part in parts.query.split("&") if not _ADDRESS.search(part))
    netloc = parts.netloc.rpartition("@")[2]
    path = _ADDRESS.sub("_", parts.path)
    fragment = _ADDRESS.sub("_", parts.fragment)
    return urlunsplit((parts.scheme, netloc, path, query, fragment)) if netloc else None


# ---------------------------------------------------------------------------------------------- the match keys


class MatchKey(Struct, frozen=True, kw_only=True):
    """One thing a person can be matched by: which fact it is made of, how it is cleaned, whether it is hashed."""

    name: str
    doc: str
    fact: str
    """`emails`, `phones`, `external_ids`, or `traits.NAME`, or `devices.NAME`."""
    clean: Callable[..., str | None]
    hashed: bool
    form: Literal["list", "text"] = "text"
    by_country: bool = False
    """The cleaner's second argument is the person's country."""
    unless_same_as: str | None = None
    """Left out where it equals this other key; a reader then falls back to that one."""


MATCH_KEYS: tuple[MatchKey, ...] = (
    MatchKey(
        name="email",
        doc="The person's e-mail addresses, newest first: lower case, without spaces, dots and +tags kept.",
        fact="emails",
        clean=email,
        hashed=True,
        form="list",
    ),
    MatchKey(
        name="phone",
        doc="The person's phone numbers, newest first: E.164 with the plus.",
        fact="phones",
        clean=phone,
        hashed=True,
        form="list",
    ),
    MatchKey(
        name="phone_digits",
        doc="The person's phone numbers, newest first: digits only, country code first.",
        fact="phones",
        clean=lambda value: phone_digits(phone(value)),
        hashed=True,
        form="list",
    ),
    MatchKey(
        name="external_id",
        doc="The shop's own ids of the person, newest first, trimmed; the newest anonymous id while none is known.",
        fact="external_ids",
        clean=external_id,
        hashed=True,
        form="list",
    ),
    MatchKey(
        name="first_name",
        doc="First name: lower case, no punctuation.",
        fact="traits.first_name",
        clean=name,
        hashed=True,
    ),
    MatchKey(
        name="first_name_as_written",
        doc="First name: lower case, punctuation as written.",
        fact="traits.first_name",
        clean=name_as_written,
        hashed=True,
        unless_same_as="first_name",
    ),
    MatchKey(
        name="last_name",
        doc="Last name: lower case, no punctuation.",
        fact="traits.last_name",
        clean=name,
        hashed=True,
    ),
    MatchKey(
        name="last_name_as_written",
        doc="Last name: lower case, punctuation as written.",
        fact="traits.last_name",
        clean=name_as_written,
        hashed=True,
        unless_same_as="last_name",
    ),
    MatchKey(
        name="city",
        doc="City: lower case, no spaces, no punctuation; in clear.",
        fact="traits.city",
        clean=city,
        hashed=False,
    ),
    MatchKey(
        name="city_hashed",
        doc="City: lower case, no spaces, no punctuation.",
        fact="traits.city",
        clean=city,
        hashed=True,
    ),
    MatchKey(
        name="state",
        doc="State: two-letter code where known, lower case; in clear.",
        fact="traits.state",
        clean=state,
        hashed=False,
        by_country=True,
    ),
    MatchKey(
        name="state_hashed",
        doc="State: two-letter code where known, lower case.",
        fact="traits.state",
        clean=state,
        hashed=True,
        by_country=True,
    ),
    MatchKey(
        name="zip",
        doc="Postcode: lower case, no spaces or dashes; five digits in the US.",
        fact="traits.zip",
        clean=zip_code,
        hashed=True,
        by_country=True,
    ),
    MatchKey(
        name="country",
        doc="Country: ISO 3166 alpha-2, lower case; in clear.",
        fact="traits.country",
        clean=country,
        hashed=False,
    ),
    MatchKey(
        name="country_hashed",
        doc="Country: ISO 3166 alpha-2, lower case.",
        fact="traits.country",
        clean=country,
        hashed=True,
    ),
    MatchKey(
        name="birthday",
        doc="Date of birth: YYYYMMDD.",
        fact="traits.birthday",
        clean=birthday,
        hashed=True,
    ),
    MatchKey(
        name="gender",
        doc="Gender: f, m, or n for non-binary.",
        fact="traits.gender",
        clean=gender,
        hashed=True,
    ),
    MatchKey(
        name="idfa",
        doc="Apple's advertising id: upper case.",
        fact="devices.idfa",
        clean=idfa,
        hashed=True,
        form="list",
    ),
    MatchKey(
        name="gaid",
        doc="Google's advertising id: lower case.",
        fact="devices.gaid",
        clean=gaid,
        hashed=True,
        form="list",
    ),
)
"""Everything a person can be matched by. A digest given as a fact is passed on, even for keys that are sent in clear."""

_BY_FACT: dict[str, tuple[MatchKey, ...]] = {}
for _key in MATCH_KEYS:
    _BY_FACT[_key.fact] = (*_BY_FACT.get(_key.fact, ()), _key)


def match_keys(
    *,
    emails: Sequence[str],
    phones: Sequence[str],
    external_ids: Sequence[str],
    traits: Mapping[str, str],
    devices: Mapping[str, str],
    anonymous_ids: Sequence[str] = (),
) -> dict[str, Any]:
    """Every match key of a person, ready to send, by the names of `MATCH_KEYS`; lists newest first, absent is absent.

    `emails` and `phones` are normalised already (or digests), newest first. Without external ids the newest
    anonymous id stands in for them: it is what the shop itself knows the visitor by.
    """
    keys: dict[str, Any] = {}
    if emails:
        found = [digest for value in emails[:MOST_VALUES] if (digest := hash_of(value))]
        if found:
            keys["email"] = found
    if phones:
        found = [digest for value in phones[:MOST_VALUES] if (digest := hash_of(value))]
        if found:
            keys["phone"] = found
            keys["phone_digits"] = [digest for value in phones[:MOST_VALUES] if (digest := hash_of(phone_digits(value)))]
    ids = external_ids[:MOST_VALUES] if external_ids else anonymous_ids[:1]
    if ids:
        found = [digest for value in ids if (digest := hash_of(external_id(value)))]
        if found:
            keys["external_id"] = found
    if traits:
        land = traits.get("country")
        for fact, value in traits.items():
            if fact in _TRAITS:
                keys.update(_trait_keys(fact, value, land if fact in _BY_COUNTRY else None))
    if devices:
        for fact, value in devices.items():
            for row in _BY_FACT.get("devices." + fact, ()):
                digest = hash_of(row.clean(value))
                if digest:
                    keys[row.name] = [digest]
    return keys


_TRAITS = frozenset(key.fact.partition(".")[2] for key in MATCH_KEYS if key.fact.startswith("traits."))
_BY_COUNTRY = frozenset(key.fact.partition(".")[2] for key in MATCH_KEYS if key.by_country)


@lru_cache(maxsize=32_768)
def _trait_keys(fact: str, value: str, land: str | None) -> tuple[tuple[str, str], ...]:
    """The match keys of one trait. Names, cities and countries repeat between people: remembered, not hashed again."""
    clean_land = country(land) if land else None
    made: dict[str, str] = {}
    for row in _BY_FACT["traits." + fact]:
        clean = row.clean(value, clean_land) if row.by_country else row.clean(value)
        if clean is None:
            continue
        if row.hashed:
            clean = cast("str", hash_of(clean))
        elif is_hashed(clean):
            continue  # a digest has no place where the platform wants clear text
        if row.unless_same_as is None or made.get(row.unless_same_as) != clean:
            made[row.name] = clean
    return tuple(made.items())


# ---------------------------------------------------------------------------------------------- tables


def _states(lines: str) -> dict[str, str]:
    table: dict[str, str] = {}
    for line in lines.split(";"):
        full, _, code = line.strip().rpartition(" ")
        key = "".join(_letters(full.lower()).split())
        table[key] = table[code] = code
    return table


STATES: dict[str, dict[str, str]] = {
    "us": _states(
        "Alabama al; Alaska ak; Arizona az; Arkansas ar; California ca; Colorado co; Connecticut ct; Delaware de;"
        "District of Columbia dc; Florida fl; Georgia ga; Hawaii hi; Idaho id; Illinois il; Indiana in; Iowa ia;"
        "Kansas ks; Kentucky ky; Louisiana la; Maine me; Maryland md; Massachusetts ma; Michigan mi; Minnesota mn;"
        "Mississippi ms; Missouri mo; Montana mt; Nebraska ne; Nevada nv; New Hampshire nh; New Jersey nj;"
        "New Mexico nm; New York ny; North Carolina nc; North Dakota nd; Ohio oh; Oklahoma ok; Oregon or;"
        "Pennsylvania pa; Rhode Island ri; South Carolina sc; South Dakota sd; Tennessee tn; Texas tx; Utah ut;"
        "Vermont vt; Virginia va; Washington wa; West Virginia wv; Wisconsin wi; Wyoming wy; Puerto Rico pr;"
        "Guam gu; American Samoa as; US Virgin Islands vi; Northern Mariana Islands mp"
    ),
    "ca": _states(
        "Alberta ab; British Columbia bc; Manitoba mb; New Brunswick nb; Newfoundland and Labrador nl; Nova Scotia ns;"
        "Northwest Territories nt; Nunavut nu; Ontario on; Prince Edward Island pe; Quebec qc; Québec qc;"
        "Saskatchewan sk; Yukon yt"
    ),
    "au": _states(
        "New South Wales nsw; Victoria vic; Queensland qld; South Australia sa; Western Australia wa; Tasmania tas;"
        "Australian Capital Territory act; Northern Territory nt"
    ),
}
"""Country -> a state's name (squeezed) or code -> its code, in lower case."""

_PAIRS = """
    ABWAW AFGAF AGOAO AIAAI ALAAX ALBAL ANDAD AREAE ARGAR ARMAM ASMAS ATAAQ ATFTF ATGAG AUSAU AUTAT
    AZEAZ BDIBI BELBE BENBJ BESBQ BFABF BGDBD BGRBG BHRBH BHSBS BIHBA BLMBL BLRBY BLZBZ BMUBM BOLBO
    BRABR BRBBB BRNBN BTNBT BVTBV BWABW CAFCF CANCA CCKCC CHECH CHLCL CHNCN CIVCI CMRCM CODCD COGCG
    COKCK COLCO COMKM CPVCV CRICR CUBCU CUWCW CXRCX CYMKY CYPCY CZECZ DEUDE DJIDJ DMADM DNKDK DOMDO
    DZADZ ECUEC EGYEG ERIER ESHEH ESPES ESTEE ETHET FINFI FJIFJ FLKFK FRAFR FROFO FSMFM GABGA GBRGB
    GEOGE GGYGG GHAGH GIBGI GINGN GLPGP GMBGM GNBGW GNQGQ GRCGR GRDGD GRLGL GTMGT GUFGF GUMGU GUYGY
    HKGHK HMDHM HNDHN HRVHR HTIHT HUNHU IDNID IMNIM INDIN IOTIO IRLIE IRNIR IRQIQ ISLIS ISRIL ITAIT
    JAMJM JEYJE JORJO JPNJP KAZKZ KENKE KGZKG KHMKH KIRKI KNAKN KORKR KWTKW LAOLA LBNLB LBRLR LBYLY
    LCALC LIELI LKALK LSOLS LTULT LUXLU LVALV MACMO MAFMF MARMA MCOMC MDAMD MDGMG MDVMV MEXMX MHLMH
    MKDMK MLIML MLTMT MMRMM MNEME MNGMN MNPMP MOZMZ MRTMR MSRMS MTQMQ MUSMU MWIMW MYSMY MYTYT NAMNA
    NCLNC NERNE NFKNF NGANG NICNI NIUNU NLDNL NORNO NPLNP NRUNR NZLNZ OMNOM PAKPK PANPA PCNPN PERPE
    PHLPH PLWPW PNGPG POLPL PRIPR PRKKP PRTPT PRYPY PSEPS PYFPF QATQA REURE ROURO RUSRU RWARW SAUSA
    SDNSD SENSN SGPSG SGSGS SHNSH SJMSJ SLBSB SLESL SLVSV SMRSM SOMSO SPMPM SRBRS SSDSS STPST SURSR
    SVKSK SVNSI SWESE SWZSZ SXMSX SYCSC SYRSY TCATC TCDTD TGOTG THATH TJKTJ TKLTK TKMTM TLSTL TONTO
    TTOTT TUNTN TURTR TUVTV TWNTW TZATZ UGAUG UKRUA UMIUM URYUY USAUS UZBUZ VATVA VCTVC VENVE VGBVG
    VIRVI VNMVN VUTVU WLFWF WSMWS YEMYE ZAFZA ZMBZM ZWEZW
"""
_ALPHA_3 = {pair[:3]: pair[3:] for pair in _PAIRS.split()}
"""ISO 3166 alpha-3 -> alpha-2."""
