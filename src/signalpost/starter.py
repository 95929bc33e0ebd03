"""The first workspace file: written from a few answers, with a sentence beside each line, ready to be checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from signalpost import config
from signalpost.marked import did_you_mean


class Answers(Struct, frozen=True, kw_only=True):
    """What `signalpost init` asks."""

    workspace: str = "my-shop"
    environment: Literal["production", "test"] = "production"
    currency: str = "USD"
    country: str = "US"
    order_value: Literal["gross", "net"] = "net"
    platforms: tuple[str, ...] = ("tiktok", "pinterest")


class Question(Struct, frozen=True):
    """One of them: the field of `Answers`, and the words."""

    name: str
    text: str


QUESTIONS = (
    Question("workspace", "Short name of the brand"),
    Question("environment", "Environment: production or test"),
    Question("currency", "Currency of amounts that name none"),
    Question("country", "Country of phone numbers that name none"),
    Question("order_value", "Value of an order: gross or net"),
    Question("platforms", "Platforms, separated by commas"),
)


def answered(answers: Answers, name: str, answer: str, catalog: config.Catalog) -> Answers:
    """Return the answers with one more; raise `ValueError` with a sentence when it is not one."""
    answer = answer.strip()
    if name == "platforms":
        chosen = tuple(dict.fromkeys(word.strip().lower() for word in answer.split(",") if word.strip()))
        for word in chosen or ("",):
            if word not in catalog:
                raise ValueError(f"There is no platform `{word}`.{did_you_mean(word, catalog)}")
        return replace(answers, platforms=chosen)
    if name in {"currency", "country"}:
        answer = answer.upper()
    said = config.objection(name, answer)
    if said is not None:
        raise ValueError(said)
    return replace(answers, **{name: answer})


def write(answers: Answers, catalog: config.Catalog) -> str:
    """Return the text of a workspace file; `variables` tells what it needs of the environment."""
    parts = [_HEAD.format(answers=answers)]
    test = answers.environment == "test"
    parts += [_destination(name, catalog[name], test=test) for name in answers.platforms]
    # Where everything is a test, a rule against tests would leave nothing.
    parts += [_GATES.format(test_order="" if test else _TEST_ORDER), _QUALITY, _TAIL]
    return "\n".join(parts)


def variables(text: str) -> tuple[str, ...]:
    """Return the environment variables that a workspace file names, each once, in order."""
    settings = re.sub(r"(?m)(^|\s)#.*$", "", text)
    return tuple(dict.fromkeys(re.findall(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}", settings)))


def _destination(name: str, platform: config.Platform, *, test: bool) -> str:
    lines = [f"  {name}:", f"    type: {name}"]
    for setting in platform.settings:
        if setting.required and setting.default is None:
            lines += _commented(setting.doc, f"{setting.name}: ${{{name.upper()}_{setting.name.upper()}}}")
    if test and name in config.NEEDS_TEST_CODE:
        doc = "The code of the platform's test page: every event carries it and counts for nothing."
        lines += _commented(doc, f"test_code: ${{{name.upper()}_TEST_CODE}}")
    lines.append(f"    # Which events go there, and what {platform.title} calls them. `events: standard` means all of")
    lines.append("    # the platform's own table, which the reference pages print.")
    lines.append("    events:")
    chosen = _chosen(platform)
    if not chosen:  # one of the shop's own tools: its table is short
        lines[-1] += " standard"
        return "\n".join(lines) + "\n"
    lines += [f"      {event}: {target}" for event, target in chosen]
    lines += _rollout([event for event, _ in chosen])
    return "\n".join(lines) + "\n"


def _rollout(events: Sequence[str]) -> list[str]:
    """The stages as comments: purchases first, what leads to one next, the rest when those are proven."""
    purchase, carts, rest = events[:1], events[1:3], events[3:]
    bounds = '{accepted: ">= 99%", with_value: ">= 98%", events: ">= 50"}'
    lines = [
        "    # Events may begin in stages: each next one by itself, when what is sent has proven good.",
        "    # rollout:",
        f"    #   - {{send: [{', '.join(purchase)}], for: 72h, until: {bounds}}}",
    ]
    if carts:
        lines.append(f"    #   - {{send: [{', '.join(carts)}], for: 72h}}")
    if rest:
        lines.append(f"    #   - {{send: [{', '.join(rest)}], at_most: {{{rest[0]}: 5}}}}")
    return lines


def _commented(doc: str, line: str) -> Sequence[str]:
    return (f"    # {doc}", f"    {line}")


_FIRST = (
    "Order Completed",
    "Checkout Started",
    "Product Added",
    "Product Viewed",
    "Products Searched",
    "Signed Up",
)


def _chosen(platform: config.Platform) -> list[tuple[str, str]]:
    return [(event, platform.events[event]) for event in _FIRST if event in platform.events]


_HEAD = """\
# A Signalpost workspace: one brand in one environment.
#
# `signalpost check` reads this file and names every mistake with its line. Secrets never stand here:
# ${{NAME}} is filled in from the environment.

workspace: {answers.workspace}
environment: {answers.environment}      # production, or test: a test workspace only ever sends test events
currency: {answers.currency}                # what amounts without a currency are in
country: {answers.country}                  # completes phone numbers written without a country code
order_value: {answers.order_value}             # gross or net: one definition of an order's value for every platform
timezone: UTC                # what times without an offset are in
database: signalpost.db      # an SQLite file beside this one, or a postgresql:// address

# Where events come from. Each source has a name of yours and the key its clients use.
sources:
  storefront:                # Customer.io Data Pipelines and Segment clients
    type: pipelines
    write_key: ${{STOREFRONT_WRITE_KEY}}
  # track:                   # Customer.io Track API
  #   type: track
  #   site_id: ${{TRACK_SITE_ID}}
  #   api_key: ${{TRACK_API_KEY}}
  # shop:                    # Shopify webhooks
  #   type: shopify
  #   secret: ${{SHOPIFY_SECRET}}
  # messages:                # Customer.io reporting webhooks
  #   type: reporting
  #   secret: ${{REPORTING_SECRET}}

# What the shop calls its events, where that is not the canonical name already.
events: {{}}
#   Bought Something: Order Completed
#   canonical: {{Order Completed: shop}}    # when two sources report it, this one counts

# Where conversions go. Nothing is sent that is not listed under `events`.
destinations:"""

_TEST_ORDER = """\
  - preset: test_order       # orders tagged as a test; what is marked as one never leaves production anyway
"""

_GATES = """\
# Which signals no platform should learn from. `signalpost gates` prints these rules and the others as sentences.
gates:
  - preset: zero_value       # orders worth nothing
{test_order}\
  - preset: bot              # what programs do, not people
  # - preset: employee       # the brand's own people
  #   email_domains: [my-shop.example]
  #   mode: observing        # sends all the same, and counts what it would withhold
"""

_QUALITY = """\
# The same product put into the cart again within this time is one signal.
repeats:
  Product Added: 10s

# Who is told when something is wrong, in Apprise's addresses.
# alerts:
#   to:
#     team: ${ALERTS_ADDRESS}
#   quiet: 22:00-07:00

# Who is inside is exact to the second. docs/how-to/write-segments.md tells of the rules, docs/how-to/audiences.md
# of keeping a segment as an audience on the platforms.
# segments:
#   recent_buyers: {did: Order Completed, within: 14d}
#   open_carts: {all: [{last: Checkout Started, age: 1h..24h}, {did_not: Order Completed, since: Checkout Started}]}

# The measurement plan, written down where everybody finds it.
# measurement:
#   primary: Shopify orders
#   success: cost of a new customer below 30 USD
#   checked: every Monday by the paid team
"""

_TAIL = """\
# How Signalpost listens.
server:
  host: 127.0.0.1
  port: 8377
  # tls_port: 8443           # Customer.io's Track clients insist on TLS
  # tls_certificate: certificate.pem
  # tls_key: key.pem
"""
