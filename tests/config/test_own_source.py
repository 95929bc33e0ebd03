"""The name under which Signalpost itself tells things."""

from __future__ import annotations

from signalpost import config
from signalpost.destinations import CATALOG


def test_no_source_is_called_as_signalpost_calls_itself() -> None:
    """A source of that name is a mistake at its line."""
    text = (
        "workspace: w\nenvironment: production\ncurrency: USD\ncountry: US\norder_value: net\n"
        "sources:\n  signalpost: {type: pipelines, write_key: '${KEY}'}\n"
        "destinations: {}\n"
    )
    _, notes = config.check(text, {"KEY": "a-long-enough-key"}, CATALOG)
    found = [each for each in notes if each.severity == "mistake"]
    assert [(each.line, each.path) for each in found] == [(7, "sources.signalpost")]
    assert "cannot be called" in found[0].sentence
