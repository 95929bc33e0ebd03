from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from signalpost import config
from signalpost.destinations import CATALOG

ENVIRON = {"A": "hush-a-5f2d", "B": "hush-b-5f2d", "EMPTY": ""}

LINES = [
    "workspace: glow",
    "environment: production",
    "environment: test",
    "currency: USD",
    "country: US",
    "order_value: net",
    "timezone: ${A}",
    "sources:",
    "  one: {type: pipelines, write_key: ${A}}",
    "  two: {type: track, site_id: ${A}, api_key: ${B}}",
    "  three: {type: shopify, secret: ${EMPTY}}",
    "  four: ${A}",
    "events: {Order Placed: Order Completed, canonical: {Order Completed: one}}",
    "events: [a]",
    "  canonical: two",
    "destinations:",
    "  tiktok: &t {type: tiktok, pixel: ${A}, access_token: ${B}, events: standard}",
    "  tiktok: {type: tiktok, pixel: [], access_token: {}, events: {Order Completed: Purchase}}",
    "  pinterest: {type: pinterest, ad_account: 5, access_token: ${B}, properties: {x: y.z}, oldest: 400d}",
    "  again: *t",
    "    linger: ${B}",
    "server: {port: ${A}, tls_key: ${B}}",
    "retention: {journal: 1e9}",
    "consent: {advertising: ${A}}",
    "gates: [{preset: zero_value}, {preset: ${A}, share: 40%}, {reason: ${A}, when: {order.value: {lte: ${B}}}}]",
    "gates:",
    "  - {preset: employee, email_domains: [${A}, gmail.com], destinations: [tiktok, ${B}]}",
    "  - reason: odd",
    "    when: {any: [{order.tags: [a, ${A}]}, {person.last_order_at: {age: 6h..24h}}], not: {event.bot: true}}",
    "    when: &w {all: [*w]}",
    "derived: {Third Purchase: {nth_order: 3, where: {order.vale: 1}}, purchase: {first: Third Purchase}}",
    "holds: {Order Completed: 15m, ${A}: 1m}",
    "repeats: {Nothing: 1m}",
    "rates: {EUR: 1.1, USD: ${A}, x: 0}",
    "alerts: {to: {a: ${A}, b: x}, quiet: 22:00-07:00}",
    "    rollout: [{send: [Order Completed], for: 1d, until: {accepted: '>= 99%', x: 1}, at_most: {Cart: 1}}, {send: []}]",
    "    browser_pixel: {events: [Order Completed, x], shares_id: ${A}}",
    "measurement: {primary: ${A}}",
    "segments:",
    "  vip: {trait: {lifetime_value: {gt: ${A}}, traits.plan: ${B}}}",
    "  odd: {did: ${A}, within: ${B}, where: {order.tags: ${A}}, since: Order Completed, times: ${A}, between: [${A}, ${B}]}",
    "  cart: {ladder: Checkout Started, until: [Order Completed], tiers: [0h-6h ${A}, 6h-7h ${A}, 8h-9h z]}",
    "  lapsed: {all: [{last: Order Completed, age: ${A}}, {in_segment: ${B}}, {split: ${A}}], not: {in_segment: lapsed}}",
    "  same: {customerio_segment: ${A}, split: {share: 5%, salt: ${B}}, did_not: Order Completed}",
    "tiers: {t: {of: [vip, ${A}], covering: ${B}}, cart: {of: [same, vip]}}",
    "value_tiers: {ltv: {names: [a, ${A}, b], quantiles: [${A}, 90%], hysteresis: ${B}}, aov: {names: [a, b], bounds: [${A}]}}",
    "audiences:",
    "  - {segment: vip, name: x, to: [tiktok, ${A}], use: target, unless: ${B}, while_in: {j: ${A}, k: none}, holdout: ${A}}",
    "  - {segment: same, to: pinterest, use: suppress, way: file, ad_groups: [${A}]}",
    "journeys: {j: {starts: Checkout Started, ends: [${A}], after: 24h, steps: [{at: 30h, offer: ${B}}, {at: ${A}}]}}",
    "replenishment: ${A}",
    "? {a: b}",
    "- ${",
    "a: &a [*a]",
    "\tx: y",
    "'",
]

SIGNS = st.sampled_from(list("{}[],:-&*!|>'\"%@`#$?\n\t \\~<=0123456789abeoxTn\u00e9\ue000\ue001\ufeff\x85\u2028\U0001f600"))


def is_told(text: str) -> None:
    """Check the text, and that what comes back can be shown."""
    workspace, notes = config.check(text, ENVIRON, CATALOG)

    wrong = [note for note in notes if note.severity == "mistake"]
    assert (workspace is None) == bool(wrong)
    lines = text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029") + 2
    for note in notes:
        assert 0 <= note.line <= lines
        assert note.sentence.endswith((".", "?"))
        assert "\n" not in note.sentence
        assert "hush" not in str(note)


@given(st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    """Any text is a workspace or a list of mistakes, each with a line of the file, and shows no secret."""
    is_told(text)


@given(st.lists(SIGNS, max_size=60).map("".join))
def test_no_heap_of_signs_makes_it_raise(text: str) -> None:
    """Nor does any text made of what YAML gives a meaning."""
    is_told(text)


@given(st.lists(st.sampled_from(LINES), max_size=16, unique=True).map("\n".join))
def test_no_order_of_lines_makes_it_raise(text: str) -> None:
    """Nor do lines of workspace files in any order."""
    is_told(text)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    """Nor does anything that can be read as text at all."""
    is_told(raw.decode("latin-1"))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
KEYS = st.text() | st.sampled_from(["type", "events", "sources", "canonical"])


def nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)


@given(st.recursive(SCALARS, nested, max_leaves=10))
def test_no_structure_makes_it_raise(value: object) -> None:
    """Nor does any structure in the place of any section."""
    written = json.dumps(value)
    for section in ("workspace", "sources", "events", "destinations", "server", "identity"):
        is_told(f"{section}: {written}\n")
        is_told(f"{section}: {{one: {written}}}\n")
    is_told(f"destinations: {{one: {{type: tiktok, events: {written}, pixel: {written}, properties: {written}}}}}")
    is_told(f"events: {{canonical: {written}}}")
