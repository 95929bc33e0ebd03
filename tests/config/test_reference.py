from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from signalpost import config, starter
from signalpost.destinations import CATALOG

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "signalpost.yaml"
SCHEMA = ROOT / "docs" / "reference" / "workspace.schema.json"


def test_the_reference_pages_say_what_the_code_says() -> None:
    """The pages of the workspace file and the events are what `scripts/write_reference.py` writes now."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "write_reference.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_option_has_a_sentence() -> None:
    """No option of the workspace file is without a description in the schema."""
    schema = config.schema(CATALOG)
    silent = [
        f"{record}.{name}"
        for record, definition in schema["$defs"].items()
        for name, option in definition["properties"].items()
        if not option.get("description")
    ]
    assert silent == []


def test_the_example_has_no_mistake() -> None:
    """The commented example passes `check` with what it names in the environment, without a warning."""
    text = EXAMPLE.read_text("utf-8")
    names = starter.variables(text)
    assert all(name in text.split("\nworkspace:")[0] for name in names), "the head names every variable"
    workspace, notes = config.check(text, {name: f"value-of-{name}" for name in names}, CATALOG)
    assert [str(note) for note in notes] == []
    assert workspace is not None


def document(text: str) -> Any:
    """A workspace file as an editor reads it: variables are just text."""
    return YAML(typ="safe", pure=True).load(re.sub(r"(?<![\"'/])\$\{\w+\}", r'"\g<0>"', text))


def test_the_schema_takes_the_example() -> None:
    """What `check` takes, an editor with the schema takes too."""
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(document(EXAMPLE.read_text("utf-8")))


@pytest.mark.parametrize("environment", ["production", "test"])
@pytest.mark.parametrize("platforms", [("tiktok",), ("pinterest",), ("pinterest", "tiktok")])
@pytest.mark.parametrize("order_value", ["gross", "net"])
def test_what_init_writes_is_right(environment: Any, platforms: tuple[str, ...], order_value: Any) -> None:
    """A first workspace file has no mistake once its variables are set, whatever was answered, and fits the schema."""
    answers = starter.Answers(
        workspace="glow", environment=environment, currency="EUR", country="DE", order_value=order_value, platforms=platforms
    )
    text = starter.write(answers, CATALOG)
    environ = {name: f"value-{number}" for number, name in enumerate(starter.variables(text))}
    workspace, notes = config.check(text, environ, CATALOG)

    assert [str(note) for note in notes] == []
    assert workspace is not None
    assert tuple(workspace.destinations) == platforms
    assert (workspace.environment, workspace.order_value) == (environment, order_value)
    jsonschema.Draft202012Validator(config.schema(CATALOG)).validate(document(text))


@pytest.mark.parametrize(
    "change",
    [
        {"currency": "euro"},
        {"environment": "prod"},
        {"sources": {"one": {"type": "track"}}},
        {"sources": {"one": {"type": "pipelines", "write_kye": "x", "write_key": "y"}}},
        {"destinations": {"one": {"type": "ticktock"}}},
        {"destinations": {"one": {"type": "tiktok", "pixel": "x"}}},
        {"server": {"port": "eighty"}},
        {"unheard": 1},
    ],
)
def test_the_schema_refuses_what_check_refuses(change: dict[str, Any]) -> None:
    """An editor underlines the ordinary mistakes."""
    written = {**document(EXAMPLE.read_text("utf-8")), **change}
    assert not jsonschema.Draft202012Validator(config.schema(CATALOG)).is_valid(written)
