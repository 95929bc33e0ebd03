from __future__ import annotations

from pathlib import Path

import pytest

from signalpost import config
from signalpost.destinations import CATALOG
from signalpost.errors import ConfigError

ENVIRON = {
    "STOREFRONT_KEY": "wk-1",
    "SHOPIFY_SECRET": "hush-shopify",
    "TIKTOK_PIXEL": "C4A1B2C3D4E5F6G7H8I9",
    "TIKTOK_TOKEN": "hush-tiktok",
    "PINTEREST_TOKEN": "hush-pinterest",
    "LINGER": "75ms",
    "PORT": "9000",
}

GOOD = """\
workspace: glow-skincare
environment: production
currency: USD
country: US
order_value: net
sources:
  storefront: {type: pipelines, write_key: ${STOREFRONT_KEY}}
  shop: {type: shopify, secret: ${SHOPIFY_SECRET}}
events:
  Bought Something: Order Completed
  Quiz Finished: Quiz Finished
  canonical: {Order Completed: shop}
server: {port: 8377}
destinations:
  tiktok:
    type: tiktok
    pixel: ${TIKTOK_PIXEL}
    access_token: ${TIKTOK_TOKEN}
    events: {Bought Something: Purchase, Checkout Started: InitiateCheckout, Product Added: AddToCart}
  pinterest:
    type: pinterest
    ad_account: 549755885175
    access_token: "${PINTEREST_TOKEN}"
"""


def checked(text: str, environ: dict[str, str] | None = None) -> tuple[config.Workspace | None, list[config.Mistake]]:
    workspace, notes = config.check(text, ENVIRON if environ is None else environ, CATALOG)
    return workspace, list(notes)


def test_a_good_file_is_a_workspace() -> None:
    """A file without mistakes gives every option: secrets filled in, account ids as text, names canonical."""
    workspace, notes = checked(GOOD)

    assert notes == []
    assert workspace is not None
    assert workspace.sources["storefront"].write_key == "wk-1"
    assert workspace.sources["shop"].secret == "hush-shopify"
    assert workspace.aliases == {"Bought Something": "Order Completed", "Quiz Finished": "Quiz Finished"}
    assert workspace.counted_source == {"Order Completed": "shop"}
    tiktok = workspace.destinations["tiktok"]
    assert tiktok.settings == {"pixel": "C4A1B2C3D4E5F6G7H8I9", "access_token": "hush-tiktok"}
    assert tiktok.events == {
        "Order Completed": "Purchase",
        "Checkout Started": "InitiateCheckout",
        "Product Added": "AddToCart",
    }
    assert tiktok.linger == "100ms"
    pinterest = workspace.destinations["pinterest"]
    assert pinterest.settings == {"ad_account": "549755885175", "access_token": "hush-pinterest"}
    assert pinterest.events == "standard"


def test_numbers_may_come_from_the_environment() -> None:
    """`${NAME}` stands for a value of any type, and `$${NAME}` for itself."""
    text = GOOD.replace("8377", "${PORT}").replace("server: {", "database: $${PORT}.db\nserver: {")
    workspace, notes = checked(text)

    assert notes == []
    assert workspace is not None
    assert workspace.server.port == 9000
    assert workspace.database == "${PORT}.db"


def test_an_alias_of_yaml_is_what_it_names() -> None:
    """Two destinations can share one list of events through a YAML anchor."""
    text = GOOD.replace("    events: {Bought", "    events: &same {Bought")
    text += "  second:\n    type: tiktok\n    pixel: OTHER\n    access_token: ${TIKTOK_TOKEN}\n    events: *same\n"
    workspace, notes = checked(text)

    assert notes == []
    assert workspace is not None
    assert workspace.destinations["second"].events == workspace.destinations["tiktok"].events


MISTAKES = [
    # (what stands there, what is written instead, line, part of the sentence)
    ("workspace: glow", "workspace: Glow", 1, "must be small letters"),
    ("environment: production", "environment: prod", 2, "Did you mean `production`?"),
    ("currency: USD", "currency: EURO", 3, "currency (ISO 4217)"),
    ("currency: USD", "currency: usd", 3, "Did you mean `USD`?"),
    ("currency: USD", "curency: USD", 3, "Did you mean `currency`?"),
    ("currency: USD\n", "", 1, "needs the option `currency`: what amounts without a currency are in"),
    ("currency: USD", "currency:", 3, "`currency` is empty"),
    ("country: US", "country: UK", 4, "country (ISO 3166)"),
    ("country: US", "country: [US]", 4, "must be one value, not a list"),
    ("country: US", "country: true", 4, "country (ISO 3166)"),
    ("order_value: net", "order_value: nett", 5, "must be `gross` or `net`, not `nett`. Did you mean `net`?"),
    ("order_value: net", "order_value: net\ntimezone: Europe/Berln", 6, "Did you mean `Europe/Berlin`?"),
    ("order_value: net", "order_value: net\ncurrency: EUR", 6, "`currency` stands here twice; the first is on line 3"),
    ("order_value: net", "order_value: net\ntickets: []", 6, "There is no option `tickets`."),
    ("order_value: net", "order_value: net\n? [a, b]\n: c", 6, "must be one word or text"),
    ("order_value: net", "order_value: net\n<<: {a: b}", 6, "`<<` is not read"),
    ("order_value: net", "order_value: !secret net", 5, "is a YAML tag"),
    ("order_value: net", "order_value: net\nretention: {journal: 0}", 6, "must be at least 1, not `0`"),
    ("order_value: net", "order_value: net\nretention: {journal: 30d}", 6, "must be a whole number, not `30d`"),
    ("order_value: net", "order_value: net\nidentity: {merge_on: [emial]}", 6, "Did you mean `email`?"),
    ("order_value: net", "order_value: net\nidentity: 5", 6, "`identity` must hold options of its own"),
    ("order_value: net", "order_value: net\norders: {reused_after: tomorrow}", 6, "a duration is a number and a unit"),
    ("order_value: net", "order_value: net\nconsent: {unknown: maybe}", 6, "must be `denied` or `granted`"),
    ("order_value: net", "order_value: net\nconsent: {advertising: [consent]}", 6, "must be a path that begins with"),
    ("order_value: net", "order_value: net\ndatabase: mysql://u@h/d", 6, "begins with `postgresql://`"),
    ("order_value: net", "order_value: net\ndatabase: postgresql://u:hush@h/d", 6, "is a secret and stands in the file"),
    ("type: pipelines", "type: pipeline", 7, "Did you mean `pipelines`?"),
    ("${STOREFRONT_KEY}", "${STOREFRONT}", 7, "environment variable STOREFRONT, which `sources.storefront.write_key`"),
    ("${STOREFRONT_KEY}", "'${STOREFRONT KEY}'", 7, "names no environment variable"),
    (", write_key: ${STOREFRONT_KEY}", "", 7, "needs the option `write_key`"),
    ("write_key: ${", "site_id: ${", 7, "A source of type `pipelines` has no option `site_id`"),
    ("${SHOPIFY_SECRET}", "shpss_0123456789", 8, "is a secret and stands in the file"),
    ("  shop: {", "  storefront: {", 8, "`storefront` stands here twice"),
    ("Something: Order Completed", "Something: Order Complete", 10, "Did you mean `Order Completed`?"),
    ("Something: Order Completed", "Something: [Order Completed]", 10, "must be the canonical name"),
    ("{Order Completed: shop}", "{Order Completed: shoppe}", 12, "There is no source `shoppe`. Did you mean `shop`?"),
    ("{Order Completed: shop}", "{Order Complete: shop}", 12, "Did you mean `Order Completed`?"),
    ("{Order Completed: shop}", "shop", 12, "must be a list of `Event: source` lines"),
    ("{port: 8377}", "{port: 70000}", 13, "must be at most 65535"),
    ("{port: 8377}", "{port: 8377, tls_port: 8377}", 13, "are the same"),
    ("{port: 8377}", "{tls_key: key.pem}", 13, "of no use without `server.tls_certificate`"),
    ("{port: 8377}", "{trusted_proxies: [10.0.0.0/99]}", 13, "must be an address or a network"),
    ("{port: 8377}", "{trusted_proxies: 10.0.0.0/8}", 13, "must be a list: write `[10.0.0.0/8]`"),
    ("{port: 8377}", "{public_url: events.example}", 13, "must be an address such as"),
    ("    type: tiktok", "    type: ticktock", 16, "There is no platform `ticktock`. Did you mean `tiktok`?"),
    ("    type: tiktok\n", "", 15, "`destinations.tiktok` needs the option `type`"),
    ("    pixel: ${TIKTOK_PIXEL}\n", "", 15, "`destinations.tiktok` needs the option `pixel`"),
    ("    pixel: $", "    pixl: $", 17, "Did you mean `pixel`?"),
    ("    pixel: ${TIKTOK_PIXEL}", "    pixel:", 17, "`destinations.tiktok.pixel` is empty"),
    ("    pixel: $", "    linger: soon\n    pixel: $", 17, "a duration is a number and a unit"),
    ("    pixel: $", "    oldest: 52w\n    pixel: $", 17, "is more than TikTok takes"),
    ("    pixel: $", "    batch: 100000\n    pixel: $", 17, "is more than TikTok takes: at most 1000"),
    ("    pixel: $", "    paused: yes\n    pixel: $", 17, "must be `true` or `false`, not `yes`"),
    ("    pixel: $", "    settings: {}\n    pixel: $", 17, "There is no option `destinations.tiktok.settings`"),
    ("    pixel: $", "    endpoint: here\n    pixel: $", 17, "must be an address such as"),
    ("${TIKTOK_TOKEN}", "abcdef0123456789", 18, "TIKTOK_ACCESS_TOKEN, and write `${TIKTOK_ACCESS_TOKEN}` here"),
    ("Bought Something: Purchase", "Bougt Something: Purchase", 19, "Did you mean `Bought Something`?"),
    ("Bought Something: Purchase", "Completed Order: Purchase", 19, "Its canonical name is `Order Completed`"),
    ("Bought Something: Purchase", "Bought Something: Purchase, Order Completed: Lead", 19, "goes to `Purchase` already"),
    ("    type: pinterest", "    type: pinterest\n    events: {Order Completed: chekout}", 22, "Did you mean `checkout`?"),
    ("    type: pinterest", "    type: pinterest\n    properties: {marign: properties.m}", 22, "Pinterest takes no"),
    ("  pinterest:\n", "  again: {type: tiktok, pixel: '${TIKTOK_PIXEL}', access_token: '${TIKTOK_TOKEN}'}\n  pinterest:\n",
     20, "are the same TikTok account"),
    ("workspace: glow-skincare", "workspace: 'glow", 1, "This is no YAML"),
    ("country: US", "\tcountry: US", 4, "This is no YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("there", "instead", "line", "sentence"), MISTAKES)
def test_each_mistake_has_its_line_and_sentence(there: str, instead: str, line: int, sentence: str) -> None:
    """One mistake in a good file is told once, on its line, with what to do."""
    assert there in GOOD
    workspace, notes = checked(GOOD.replace(there, instead, 1))

    assert workspace is None
    found = [note for note in notes if note.severity == "mistake" and sentence in note.sentence]
    assert len(found) == 1, [str(note) for note in notes]
    # An open quotation mark is found where the text ends, or anywhere after it.
    assert found[0].line == line or instead.startswith(("workspace: 'glow", "\t"))


WARNINGS = [
    ("Bought Something: Purchase", "Product Viewed: ViewContent", 19, "maps nothing to `Purchase`"),
    ("AddToCart}", "AddToKart}", 19, "Did you mean `AddToCart`?"),
    ("    pixel: $", "    endpoint: http://198.51.100.7\n    pixel: $", 17, "without encryption"),
    ("currency: USD", "currency: AFN", 3, "does not list AFN"),
]


@pytest.mark.parametrize(("there", "instead", "line", "sentence"), WARNINGS)
def test_what_is_only_odd_is_a_warning(there: str, instead: str, line: int, sentence: str) -> None:
    """What may be meant is told and does not stand in the way."""
    assert there in GOOD
    workspace, notes = checked(GOOD.replace(there, instead, 1))

    assert workspace is not None
    found = [note for note in notes if sentence in note.sentence]
    assert [(note.line, note.severity) for note in found] == [(line, "warning")], [str(note) for note in notes]


def test_all_mistakes_are_told_at_once() -> None:
    """A file with a mistake in every part is told every one of them, in the order of the file."""
    text = GOOD
    for there, instead, _, _ in (MISTAKES[1], MISTAKES[7], MISTAKES[10], MISTAKES[26], MISTAKES[33], MISTAKES[39]):
        text = text.replace(there, instead, 1)
    text = text.replace("ad_account: 549755885175", "ad_acount: 549755885175")
    workspace, notes = checked(text)

    assert workspace is None
    assert len(notes) == 7
    assert [note.line for note in notes] == sorted(note.line for note in notes)


def test_a_test_workspace_needs_a_test_code() -> None:
    """In a test workspace a TikTok destination must have its test code, Pinterest needs none."""
    text = GOOD.replace("production", "test")
    workspace, notes = checked(text)
    assert workspace is None
    assert [(note.line, note.path) for note in notes] == [(15, "destinations.tiktok")]
    assert "needs the option `test_code`" in notes[0].sentence

    workspace, notes = checked(text.replace("    type: tiktok\n", "    type: tiktok\n    test_code: TEST123\n"))
    assert notes == []
    assert workspace is not None


def test_two_test_destinations_may_share_an_account() -> None:
    """Only in production does one account twice mean every conversion twice."""
    twice = "  again: {type: pinterest, ad_account: 549755885175, access_token: '${PINTEREST_TOKEN}'}\n  pinterest:\n"
    text = GOOD.replace("  pinterest:\n", twice)
    assert checked(text)[0] is None
    text = text.replace("production", "test").replace("type: tiktok\n", "type: tiktok\n    test_code: T1\n")
    assert checked(text)[0] is not None


def test_two_sources_never_share_a_key() -> None:
    """A key that two sources use could not tell them apart."""
    workspace, notes = checked(GOOD.replace("  shop: {", "  other: {type: pipelines, write_key: ${STOREFRONT_KEY}}\n  shop: {"))
    assert workspace is None
    assert [(note.line, note.sentence) for note in notes] == [
        (8, "`sources.other.write_key` is the same as `sources.storefront.write_key`.")
    ]


def test_no_environment_names_every_variable() -> None:
    """Every missing environment variable is named, with the line that needs it."""
    workspace, notes = checked(GOOD, {})

    assert workspace is None
    assert [note.line for note in notes] == [7, 8, 17, 18, 23]
    assert all("is not set" in note.sentence for note in notes)
    _, notes = checked(GOOD, {**ENVIRON, "TIKTOK_TOKEN": ""})
    assert [note.sentence for note in notes] == [
        "The environment variable TIKTOK_TOKEN, which `destinations.tiktok.access_token` needs, is empty."
    ]


def test_secrets_are_in_no_sentence_and_no_record_shown() -> None:
    """Neither a secret from the environment nor one that stands in the file is ever repeated."""
    text = GOOD.replace("${SHOPIFY_SECRET}", "hush-literal").replace("currency: USD", "currency: ${SHOPIFY_SECRET}")
    text = text.replace("linger", "").replace("    pixel: $", "    linger: ${TIKTOK_TOKEN}\n    pixel: $")
    _, notes = checked(text)
    workspace, _ = checked(GOOD)

    assert len(notes) >= 3
    assert "hush" not in "\n".join(str(note) for note in notes)
    assert "hush" not in repr(workspace)
    assert "wk-1" not in repr(workspace)


@pytest.mark.parametrize(
    ("database", "shown"),
    [
        ("signalpost.db", "signalpost.db"),
        ("postgresql://u:p@ss@db.example:5432/sp?sslmode=require&password=hush", "postgresql://u@db.example:5432/sp"),
        ("postgresql:///sp?host=/run/postgresql", "postgresql:///sp"),
        ("postgresql://db.example/sp", "postgresql://db.example/sp"),
    ],
)
def test_a_database_is_shown_without_its_password(database: str, shown: str) -> None:
    """What is said of the database names the place, never the password."""
    workspace, _ = checked(GOOD.replace("server:", "database: ${DATABASE}\nserver:"), {**ENVIRON, "DATABASE": database})
    assert workspace is not None
    assert workspace.database == database
    assert shown == workspace.shown_database
    assert "hush" not in repr(workspace)


def test_a_line_break_after_a_secret_is_no_part_of_it() -> None:
    """A secret that was read from a file into the environment works, one with a line break inside does not."""
    workspace, notes = checked(GOOD, {**ENVIRON, "TIKTOK_TOKEN": "hush\n"})
    assert notes == []
    assert workspace is not None
    assert workspace.destinations["tiktok"].settings["access_token"] == "hush"
    workspace, notes = checked(GOOD, {**ENVIRON, "TIKTOK_TOKEN": "hush\nhush"})
    assert workspace is None
    assert "hush" not in str(notes[0])


def test_an_empty_workspace_says_what_is_missing() -> None:
    """A file without sources and destinations is one that nothing can come into or go out of."""
    workspace, notes = checked("\n".join(GOOD.splitlines()[:5]))
    assert workspace is not None
    assert [note.path for note in notes] == ["sources", "destinations"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The file is empty."),
        ("# only words\n", "The file is empty."),
        ("- a\n- b\n", "`option: value` lines"),
        ("just text", "`option: value` lines"),
        ("a: 1\n---\nb: 2\n", "This is no YAML"),
        ("a: *nobody\n", "This is no YAML"),
        ("a: \x00", "a character that no text has"),
        ("[" * 5000, "nested too deeply"),
        ("x" * 1_000_001, "longer than"),
        ("a: &a {b: *a}", "holds itself"),
        ("%YAML 9.9\n---\na: b", "no YAML"),
        # Each line doubles what the one before it holds.
        ("\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 39))]), "far more values"),
    ],
)
def test_what_is_no_workspace_file_is_told_so(text: str, sentence: str) -> None:
    """Whatever else a file may be, the answer is a sentence."""
    workspace, notes = checked(text)
    assert workspace is None
    assert any(sentence in note.sentence for note in notes), [str(note) for note in notes][:5]


def test_mistakes_print_as_file_line_sentence() -> None:
    """A mistake prints so that editors and people find the line."""
    _, notes = config.check("workspace: A b\n", {}, CATALOG, file="shop.yaml")
    assert "shop.yaml:1: `workspace` must be " in "\n".join(str(note) for note in notes)
    _, notes = config.check("x" * 1_000_001, {}, CATALOG, file="shop.yaml")
    assert str(notes[0]).startswith("shop.yaml: This is longer")


def test_load_reads_or_raises_everything(tmp_path: Path) -> None:
    """`load` gives the workspace of a file, or one error with every mistake in it."""
    file = tmp_path / "signalpost.yaml"
    file.write_text(GOOD, "utf-8")
    workspace = config.load(file, ENVIRON, CATALOG)
    assert workspace.workspace == "glow-skincare"
    assert workspace.database == str(tmp_path / "signalpost.db"), "the database lies beside the file"

    file.write_text(GOOD.replace("USD", "EURO").replace("net", "nett"), "utf-8")
    with pytest.raises(ConfigError) as raised:
        config.load(file, ENVIRON, CATALOG)
    assert len(raised.value.mistakes) == 2
    assert f"{file}:3: " in str(raised.value)
    assert f"{file}:5: " in str(raised.value)

    file.write_bytes(b"workspace: \xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(file, ENVIRON, CATALOG)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        config.load(tmp_path / "nowhere.yaml", ENVIRON, CATALOG)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        config.load(tmp_path, ENVIRON, CATALOG)


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    """A file saved by an editor that writes a byte order mark is read like any other."""
    file = tmp_path / "signalpost.yaml"
    file.write_text("\ufeff" + GOOD, "utf-8")
    assert config.load(file, ENVIRON, CATALOG).workspace == "glow-skincare"
    assert checked("\ufeff" + GOOD)[0] is not None
