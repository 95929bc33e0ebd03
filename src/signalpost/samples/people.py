"""Who the shop's customers might be: names, addresses, numbers and browsers, all derived from an id.

The real data knows a customer only as a number and a country. Everything here is made up from that number
by a hash: the same number is always the same person, no two people share an e-mail or a phone, and nobody
of them exists. Mail goes to the reserved domain example.test, numbers are in the ranges national regulators
keep for film and television (Ofcom, Bundesnetzagentur, Arcep), network addresses in the documentation
ranges of RFC 5737.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from hashlib import blake2b, sha256

import msgspec

CODES: dict[str, str | None] = {
    "Australia": "AU",
    "Austria": "AT",
    "Bahrain": "BH",
    "Belgium": "BE",
    "Brazil": "BR",
    "Canada": "CA",
    "Channel Islands": "JE",
    "Cyprus": "CY",
    "Czech Republic": "CZ",
    "Denmark": "DK",
    "EIRE": "IE",
    "European Community": None,
    "Finland": "FI",
    "France": "FR",
    "Germany": "DE",
    "Greece": "GR",
    "Hong Kong": "HK",
    "Iceland": "IS",
    "Israel": "IL",
    "Italy": "IT",
    "Japan": "JP",
    "Lebanon": "LB",
    "Lithuania": "LT",
    "Malta": "MT",
    "Netherlands": "NL",
    "Norway": "NO",
    "Poland": "PL",
    "Portugal": "PT",
    "RSA": "ZA",
    "Saudi Arabia": "SA",
    "Singapore": "SG",
    "Spain": "ES",
    "Sweden": "SE",
    "Switzerland": "CH",
    "USA": "US",
    "United Arab Emirates": "AE",
    "United Kingdom": "GB",
    "Unspecified": None,
}
"""The shop's 38 countries -> ISO 3166 codes; two of them are no country."""

Place = tuple[str, str | None, str | None]
PLACES: dict[str, tuple[Place, ...]] = {
    "GB": (
        ("London", "England", "N1 9GU"),
        ("Leeds", "England", "ls1 4ap"),
        ("Manchester", None, "M1 1AE"),
        ("Bristol", "England", "BS1 4ST"),
        ("Newcastle upon Tyne", None, "NE1 7RU"),
        ("Glasgow", "Scotland", "G2 1DU"),
        ("Cardiff", "Wales", "CF10 1EP"),
        ("Belfast", "Northern Ireland", "BT1 5GS"),
        ("Stoke-on-Trent", "England", " ST4  2DF"),
        ("St. Ives", "Cornwall", "TR26 1LP"),
    ),
    "DE": (
        ("Berlin", None, "10115"),
        ("München", "Bayern", "80331"),
        ("Köln", "NRW", "50667"),
        ("Kiel", None, "24103"),
    ),
    "FR": (
        ("Paris", None, "75001"),
        ("Lyon", None, "69001"),
        ("Saint-Étienne", None, "42000"),
        ("Nîmes", None, "30000"),
    ),
    "IE": (("Dublin", "Co. Dublin", "D02 X285"), ("Cork", None, None)),
    "NL": (("Amsterdam", None, "1012 JS"), ("'s-Hertogenbosch", None, "5211 AA")),
    "ES": (("Madrid", None, "28001"), ("Málaga", "Andalucía", "29001")),
    "BE": (("Brussels", None, "1000"), ("Liège", None, "4000")),
    "CH": (("Zürich", "ZH", "8001"), ("Genève", "GE", "1201")),
    "PT": (("Lisboa", None, "1100-148"),),
    "AU": (("Sydney", "NSW", "2000"),),
    "IT": (("Milano", None, "20121"),),
    "SE": (("Göteborg", None, "411 03"),),
    "US": (("Portland", "OR", "97204-1234"),),
}
"""ISO code -> towns with region and postal code, as people type them. Other countries get none."""

# fmt: off
FIRST_NAMES = (
    "Amelia", "Arthur", "Aoife", "Beatrice", "Björn", "Chloë", "Charles", "Daniel", "Élodie", "Emily",
    "Freya", "George", "Grace", "Harriet", "Isla", "Jack", "James", "José", "Jürgen", "Katarzyna", "Lily",
    "Liam", "Mary-Jane", "Mia", "Mohammed", "Noah", "Nora", "Oliver", "Olivia", "Priya", "René", "Ruby",
    "Siân", "Sofia", "Søren", "Thomas", "William", "Yuki", "Zoë", "Łukasz",
)
# fmt: on
# fmt: off
LAST_NAMES = (
    "Allen", "Baker", "Brown", "Clarke", "Davies", "Evans", "Fernández", "Green", "Hall", "Hughes",
    "Jackson", "Jones", "Khan", "Kowalski", "Lewis", "MacDonald", "Martin", "Müller", "Nguyen", "O'Brien",
    "Patel", "Quinn", "Roberts", "Smith", "St John-Smythe", "Taylor", "Thomas", "van der Berg", "Walker",
    "Wright",
)
# fmt: on

BRITISH_NUMBERS = ("113496", "114496", "116496", "117496", "118496", "121496", "131496")
"""Areas whose numbers 0000 to 0999 Ofcom keeps for drama; each stands for a thousand customer numbers."""
GERMAN_NUMBERS = ("3023125", "4066969", "6990009", "2214710", "8999998")
"""Prefixes whose numbers 000 to 999 the Bundesnetzagentur keeps for media; each for a thousand customers."""
FRENCH_NUMBERS = "19900"
"""The prefix whose numbers 0000 to 9999 Arcep keeps for works of fiction."""

_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5"
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0"
USER_AGENTS = (
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_WEBKIT} Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_BLINK} Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Safari/605.1.15",
    f"Mozilla/5.0 (Linux; Android 10; K) {_BLINK} Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_BLINK} Safari/537.36 Edg/137.0.0.0",
)
NETWORKS = ("203.0.113.", "198.51.100.", "192.0.2.")
"""RFC 5737: addresses for documentation."""


class Shopper(msgspec.Struct, frozen=True, kw_only=True):
    """One person as the shop might know them; a trait the shop does not know is None."""

    key: str
    """The id the person is derived from: `c17850` for a customer, `g536544` for the guest of an invoice."""
    user_id: str | None
    email: str | None
    """Clean: lower case, without spaces."""
    phone: str | None
    """Clean: E.164 with plus."""
    first_name: str | None
    last_name: str | None
    country: str | None
    """ISO 3166, upper case."""
    city: str | None
    state: str | None
    postal_code: str | None
    birthday: str | None
    """`YYYY-MM-DD`."""
    gender: str | None
    """`female` or `male`."""
    advertising: bool | None
    """What the person chose in the shop's consent banner; None when the shop recorded nothing."""
    tags: tuple[str, ...] = ()
    """What the shop notes of them: `employee`."""


EMPLOYEES = 0.01
"""Share of customers who work for the shop: their address is at its own domain, and it says so in a tag."""
DOMAIN = "shop.example.test"
"""The shop's own domain."""


class Browser(msgspec.Struct, frozen=True, kw_only=True):
    """One browser of one person."""

    anonymous_id: str
    user_agent: str
    ip: str
    locale: str
    ttp: str | None
    """The `_ttp` cookie the TikTok pixel wrote, where the shop's tracking copies it into its messages."""


def draw(subject: str, about: str) -> float:
    """A number in [0, 1) that depends on nothing but the two texts."""
    return int.from_bytes(blake2b(f"{about}\0{subject}".encode(), digest_size=7).digest(), "big") / (1 << 56)


def pick(subject: str, about: str, count: int) -> int:
    """A number in 0 .. count-1 that depends on nothing but the two texts."""
    return int(draw(subject, about) * count)


def token(subject: str, about: str, length: int) -> str:
    """`length` (up to 85) URL-safe characters that depend on nothing but the two texts."""
    digest = blake2b(f"{about}\0{subject}".encode(), digest_size=64).digest()
    return base64.urlsafe_b64encode(digest).decode()[:length]


def unique(subject: str, about: str) -> str:
    """A text in the form of a UUID that depends on nothing but the two texts."""
    text = blake2b(f"{about}\0{subject}".encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


def phone_number(customer: int, country: str | None) -> str | None:
    """A number in E.164 that belongs to this customer number alone and to nobody in the world, or None."""
    block, place = divmod(customer - 12_000, 1000)
    if country == "GB" and 0 <= block < len(BRITISH_NUMBERS):
        return f"+44{BRITISH_NUMBERS[block]}0{place:03}"
    if country == "DE" and 0 <= block < len(GERMAN_NUMBERS):
        return f"+49{GERMAN_NUMBERS[block]}{place:03}"
    if country == "FR" and 0 <= customer - 12_000 < 10_000:
        return f"+33{FRENCH_NUMBERS}{customer - 12_000:04}"
    return None


@lru_cache(maxsize=8192)
def customer(number: int, country: str) -> Shopper:
    """The person behind a customer number; `country` as the shop wrote it."""
    employed = draw(f"c{number}", "employed") < EMPLOYEES
    shopper = _shopper(
        f"c{number}",
        country,
        user_id=str(number),
        email=f"u{number}@{DOMAIN if employed else 'example.test'}",
        phone_of=number,
        known=0.7,
    )
    return msgspec.structs.replace(shopper, tags=("employee",)) if employed else shopper


def guest(invoice: str, country: str) -> Shopper:
    """The person behind an invoice without a customer number: seven in ten leave an e-mail, none a phone."""
    key = f"g{invoice}"
    email = f"guest.{invoice}@example.test" if draw(key, "guest e-mail") < 0.7 else None
    return _shopper(key, country, user_id=None, email=email, phone_of=None, known=0.3 if email else 0)


def passer_by(key: str, country: str) -> Shopper:
    """A visitor who buys nothing; one in three has left an e-mail once."""
    email = f"{key}@example.test" if draw(key, "passer-by e-mail") < 1 / 3 else None
    return _shopper(key, country, user_id=None, email=email, phone_of=None, known=0)


def _shopper(key: str, country: str, *, user_id: str | None, email: str | None, phone_of: int | None, known: float) -> Shopper:
    code = CODES.get(country)
    named = draw(key, "name known") < known
    places = PLACES.get(code or "", ()) if draw(key, "address known") < known else ()
    city, state, postal_code = places[pick(key, "place", len(places))] if places else (None, None, None)
    has_phone = phone_of is not None and draw(key, "phone known") < 0.6
    banner = draw(key, "consent")
    return Shopper(
        key=key,
        user_id=user_id,
        email=email,
        phone=phone_number(phone_of, code) if has_phone and phone_of is not None else None,
        first_name=FIRST_NAMES[pick(key, "first name", len(FIRST_NAMES))] if named else None,
        last_name=LAST_NAMES[pick(key, "last name", len(LAST_NAMES))] if named else None,
        country=code,
        city=city,
        state=state,
        postal_code=postal_code,
        birthday=_birthday(key) if draw(key, "birthday known") < known / 3 else None,
        gender=("female", "male")[pick(key, "gender", 2)] if draw(key, "gender known") < known / 3 else None,
        advertising=None if banner < 0.3 else banner >= 0.36,
    )


def _birthday(key: str) -> str:
    return f"{1940 + pick(key, 'year', 66)}-{1 + pick(key, 'month', 12):02}-{1 + pick(key, 'day', 28):02}"


def browser(shopper: Shopper, number: int) -> Browser:
    """The person's browser of that number: 0 is the usual one."""
    key = f"{shopper.key}/{number}"
    country = shopper.country or "GB"
    return Browser(
        anonymous_id=unique(key, "anonymous id"),
        user_agent=USER_AGENTS[pick(key, "user agent", len(USER_AGENTS))],
        ip=f"{NETWORKS[pick(key, 'network', len(NETWORKS))]}{1 + pick(key, 'host', 254)}",
        locale={"DE": "de-DE", "FR": "fr-FR", "ES": "es-ES", "NL": "nl-NL"}.get(country, "en-GB"),
        ttp=token(key, "ttp", 27).replace("-", "a").replace("_", "b") if draw(key, "ttp read") < 0.4 else None,
    )


def typed_email(shopper: Shopper, subject: str) -> tuple[str | None, str | None]:
    """The e-mail as it reaches the tracking, and the kind of dirt in it: shouted, hashed already, or none."""
    if shopper.email is None:
        return None, None
    dirt = draw(shopper.key, "e-mail written")
    if dirt < 0.03:
        return sha256(shopper.email.encode()).hexdigest(), "hashed_email"
    if dirt < 0.08 and draw(subject, "shouted") < 0.5:
        return f" {shopper.email.upper()} ", "shouted_email"
    return shopper.email, None


def typed_phone(shopper: Shopper, subject: str) -> tuple[str | None, str | None]:
    """The phone as people type it (all readable for a shop in GB), and whether that is dirt."""
    phone = shopper.phone
    if phone is None:
        return None, None
    code, national = phone[:3], phone[3:]
    ways = [
        phone,
        f"{code} {national[:3]} {national[3:6]} {national[6:]}",
        f"00{code[1:]}{national}",
        f"{code} (0){national[:3]}-{national[3:]}",
    ]
    if code == "+44":
        ways += [f"0{national}", f"(0{national[:3]}) {national[3:6]} {national[6:]}", f"44{national}"]
    way = pick(subject, "phone written", len(ways))
    return ways[way], "typed_phone" if way else None
