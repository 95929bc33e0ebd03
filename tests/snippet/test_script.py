"""The script tag as it is served, and its table of names."""

from __future__ import annotations

import re
from pathlib import Path

from tests.web.conftest import Running

from signalpost import vocabulary
from signalpost.destinations import CATALOG
from signalpost.web import snippet

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = (Path(snippet.__file__).parent / "static" / "signalpost.js").read_text("utf-8")
MOST_BYTES = 6_656


def names() -> dict[str, list[str]]:
    """Canonical event -> [TikTok's name, Pinterest's tag name], as the script has them."""
    table = SCRIPT.split("const NAMES = {")[1].split("};")[0]
    return {event: re.findall(r'"(.*?)"', listed) for event, listed in re.findall(r'^  "(.+?)": \[(.*)\],$', table, re.MULTILINE)}


def test_pixels_and_server_use_the_same_names() -> None:
    """Each name is the one that the destination's standard table gives; the Pinterest tag writes it without underscores."""
    told = names()
    assert len(told) >= 10
    for event, (tiktok, *pinterest) in told.items():
        assert event in vocabulary.CANONICAL_EVENTS
        assert tiktok in {"", CATALOG["tiktok"].events.get(event)}
        assert [""] == pinterest or all(tag == CATALOG["pinterest"].events[event].replace("_", "") for tag in pinterest)


def test_a_purchase_s_id_is_the_pipeline_s() -> None:
    """The script's ending of a purchase's id is the canonical name as the pipeline writes it."""
    assert f'order + ":{"Order Completed".lower().replace(" ", "-")}"' in SCRIPT


def test_it_stays_small() -> None:
    """Every page of a shop loads it."""
    assert len(SCRIPT.encode()) <= MOST_BYTES


def test_it_is_served_to_everybody_and_kept(console: Running) -> None:
    """Without login, for pages of every host, for an hour; compressed for those who ask, and not again for those who have it."""
    with console.client() as client:
        plain = client.get(snippet.PATH, headers={"accept-encoding": "identity"})
        assert (plain.status_code, plain.text) == (200, SCRIPT)
        assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
        assert plain.headers["cache-control"] == "public, max-age=3600"
        assert plain.headers["access-control-allow-origin"] == "*"
        assert plain.headers["cross-origin-resource-policy"] == "cross-origin"
        zipped = client.get(snippet.PATH, headers={"accept-encoding": "gzip"})
        assert (zipped.text, zipped.headers["content-encoding"]) == (SCRIPT, "gzip")
        assert int(zipped.headers["content-length"]) < 3_500
        again = client.get(snippet.PATH, headers={"if-none-match": plain.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = client.head(snippet.PATH, headers={"accept-encoding": "identity"})
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(SCRIPT.encode())))
        refused = client.post(snippet.PATH)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_the_reference_has_the_same_names() -> None:
    """The table of docs/reference/snippet.md is the script's."""
    page = (ROOT / "docs" / "reference" / "snippet.md").read_text("utf-8")
    rows = re.findall(r"^\| (.+?) \| (.*?) ?\| (.*?) ?\|$", page.split("| event | TikTok |")[1].split("\n\n")[0], re.MULTILINE)
    told = {event: [name for name in (tiktok, tag) if name] for event, tiktok, tag in rows if event in names()}
    assert told == {event: [name for name in listed if name] for event, listed in names().items()}


def test_the_reference_names_every_attribute_and_call() -> None:
    """Each attribute that the script reads and each call that it offers has its row on the page, and no other."""
    page = (ROOT / "docs" / "reference" / "snippet.md").read_text("utf-8")
    read = {re.sub(r"[A-Z]", lambda letter: "-" + letter[0].lower(), name) for name in re.findall(r"\bset\.(\w+)", SCRIPT)}
    assert read == set(re.findall(r"^\| `data-([a-z-]+)` \|", page, re.MULTILINE))
    offered = set(re.findall(r"^  (\w+): \(", SCRIPT.split("const calls = {")[1], re.MULTILINE)) | {"push"}
    assert offered == set(re.findall(r"^\| `signalpost\.(\w+)\(", page, re.MULTILINE))
