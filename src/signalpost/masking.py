"""How people's data is shown: enough to recognise, too little to use. The one place that decides it.

Everything that a page, a report or the command line prints about a person passes through here. Masking is for eyes; what
platforms are sent is hashed by `normalize`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from signalpost.events import Identifier

LONGEST_SCAN = 4_000
LONGEST_SHOWN = 400
"""Characters of one text that are shown."""

_DIGEST = re.compile(r"\b[0-9a-fA-F]{64}\b")
_EMAIL = re.compile(r"((?:%[0-9A-Fa-f]{2}|[^\s\"'<>(){}\[\],;:/?&=@%|\\])+)(@|%40)((?:[^\s\"'<>(){}\[\],;:/?&=@%|\\])*)")
_PHONE = re.compile(r"(?<![\w.])(?:\+|%2[Bb]|00)[1-9][\d ().\-]{6,18}\d")
_IP = re.compile(r"(?<![\w./])(\d{1,3}\.\d{1,3})\.\d{1,3}\.\d{1,3}(?![\w.])")

_CLICK = re.compile(r"\b((?:ttclid|epik|_epik|gclid|fbclid|msclkid)=)([^&#\s\"]{12,})")

_EMAIL_KEYS = frozenset({"email", "e_mail", "emailaddress", "email_address", "recipient", "contact_email"})
_PHONE_KEYS = frozenset({"phone", "phone_number", "phonenumber", "mobile", "telephone", "tel", "cell", "msisdn"})
_IP_KEYS = frozenset({"ip", "ip_address", "client_ip", "client_ip_address", "browser_ip"})
_WORD_KEYS = frozenset(
    {"first_name", "firstname", "last_name", "lastname", "full_name", "fullname", "given_name", "family_name", "street"}
    | {"address1", "address2", "city", "state", "province", "region", "zip", "zip_code", "zipcode", "postal_code"}
    | {"postalcode", "postcode", "birthday", "birth_date", "date_of_birth", "dob", "gender", "company", "latitude"}
    | {"longitude", "username", "signature"}
)
_ID_KEYS = frozenset(
    {"ttclid", "ttp", "_ttp", "epik", "_epik", "idfa", "gaid", "idfv", "advertisingid", "click_id", "token"}
    | {"checkout_token", "cart_token"}
)
_PEOPLE = frozenset(
    {"traits", "user", "user_data", "customer", "shipping_address", "billing_address", "default_address", "address", "addresses"}
)
"""Objects that describe a person: every text in them is masked, whatever it is called."""

_PLAIN_IN_PEOPLE = frozenset({"currency", "locale", "language", "user_agent", "client_user_agent"})


def email(value: str) -> str:
    """`anna@example.test` as `a…@e….test`; a digest is shortened."""
    if _DIGEST.fullmatch(value):
        return digest(value)
    local, _, domain = value.rpartition("@")
    first, dot, last = domain.rpartition(".")
    return f"{local[:1]}…@{first[:1]}…{dot}{last}" if dot else f"{(local or domain)[:1]}…@…"


def phone(value: str) -> str:
    """`+447700900158` as `+44…58`; a digest is shortened."""
    if _DIGEST.fullmatch(value):
        return digest(value)
    digits = re.sub(r"[^0-9]", "", value)
    if len(digits) < 7:
        return "…"
    return f"+{digits[:2]}…{digits[-2:]}" if value.lstrip().startswith("+") else f"…{digits[-2:]}"


def digest(value: str) -> str:
    """A long opaque id or a SHA-256, shortened."""
    return value if len(value) <= 12 else f"{value[:6]}…{value[-4:]}"


def word(value: str) -> str:
    """A name, a city, a postcode: its first letter."""
    return f"{value[:1]}…" if value else ""


def ip(value: str) -> str:
    """An address: the network's half."""
    if ":" in value:
        return ":".join(value.split(":")[:2]) + ":…"
    return ".".join(value.split(".")[:2]) + ".…"


def text(value: str) -> str:
    """Free text with every e-mail address, international phone number, IPv4 address, click id and digest in it masked."""
    shown = value[:LONGEST_SCAN]
    if "@" in shown or "%40" in shown:
        shown = _EMAIL.sub(lambda found: email(f"{_first(found.group(1))}@{found.group(3)}"), shown)
    shown = _PHONE.sub(lambda found: phone("+" + found.group(0).removeprefix("%2B").removeprefix("%2b")), shown)
    shown = _IP.sub(r"\1.…", shown)
    shown = _CLICK.sub(lambda found: found.group(1) + digest(found.group(2)), shown)
    shown = _DIGEST.sub(lambda found: digest(found.group(0)), shown)
    return shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + "…"


def _first(local: str) -> str:
    return "…" if local.startswith("%") else local[:1]


def identifier(pair: Identifier) -> str:
    """An identifier's value: e-mails and phones masked, the shop's own ids as they are."""
    kind, value = pair
    if kind == "email":
        return email(value)
    return phone(value) if kind == "phone" else text(value)


def document(value: Any, *, name: str = "", person: bool = False) -> Any:
    """A JSON value with everything personal in it masked: by its key, by the object it stands in, by its look."""
    if isinstance(value, Mapping):
        inside = person or name in _PEOPLE
        return {text(str(key)): document(each, name=str(key).lower(), person=inside) for key, each in value.items()}
    if isinstance(value, str):
        return _leaf(value, name, person)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [document(each, name=name, person=person) for each in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _leaf(str(value), name, person=False) if name in _PHONE_KEYS | _WORD_KEYS else value
    return value


def _leaf(value: str, name: str, person: bool) -> str:
    if _DIGEST.fullmatch(value):
        return digest(value)
    if name in _EMAIL_KEYS:
        return email(value) if "@" in value else word(value)
    if name in _PHONE_KEYS:
        return phone(value)
    if name in _IP_KEYS:
        return ip(value)
    if name in _ID_KEYS:
        return digest(value)
    if name in _WORD_KEYS or (person and name not in _PLAIN_IN_PEOPLE):
        shown = text(value)
        return shown if shown != value else word(value)
    return text(value)


def fact(path: str, value: Any) -> Any:
    """What a condition's path reads of a person: given traits masked by their name, what is computed as it is."""
    if path.startswith("person.traits.") or path == "person.tags":
        return document(value, name=path.rpartition(".")[2].lower())
    return value
