"""What is written holds: links, commands, workspace files, reasons, examples."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer

from signalpost import cli, config, gates, orders
from signalpost.destinations import CATALOG
from signalpost.events import Event

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("README.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
COMMANDS: Any = typer.main.get_command(cli.application)


def without_code(text: str) -> str:
    """A page without its blocks and spans of code, in which nothing is a link."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE))


def blocks(text: str, *kinds: str) -> Iterator[str]:
    """The blocks of code of these kinds."""
    for kind, body in re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE):
        if kind in kinds:
            yield body


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as a forge makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """Files and headings that a page links to are there."""
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        linked = (page.parent / path) if path else page
        assert linked.exists(), f"{page.name} links to {target}, which is not there"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked.read_text("utf-8")), f"{page.name} links to {target}: no such heading"


def shown_commands(text: str) -> Iterator[list[str]]:
    """Every call of `signalpost` in the blocks and spans of a page, as words."""
    lines = [line for body in blocks(text, "sh", "console", "") for line in body.splitlines()]
    lines += re.findall(r"^ {4}(signalpost .+)$", text, re.MULTILINE)
    lines += re.findall(r"`(?:\.venv/bin/)?(signalpost [^`]+)`", text)
    for line in lines:
        for part in re.split(r"\||&&|;| & ?|<", line.partition(" # ")[0].rstrip(" &")):
            words = part.split() if "'" in part or '"' in part else shlex.split(part)
            if words and words[0].rpartition("/")[2] == "signalpost":
                yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_shown_exists(page: Path) -> None:
    """Each `signalpost COMMAND --option` on a page is a command with that option."""
    for words in shown_commands(page.read_text("utf-8")):
        if not words or words[0].startswith("-") or not words[0].islower():
            continue
        assert words[0] in COMMANDS.commands, f"{page.name} shows `signalpost {' '.join(words)}`"
        command = COMMANDS.commands[words[0]]
        if hasattr(command, "commands") and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in command.commands, f"{page.name} shows `signalpost {' '.join(words)}`"
            command = command.commands[words[1]]
        known = {"--help", "-h"} | {option for one in command.params for option in one.opts}
        for word in words[1:]:
            if word.startswith("-"):
                assert word.partition("=")[0] in known, f"{page.name} shows `signalpost {' '.join(words)}`"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_script_shown_exists(page: Path) -> None:
    """Each scripts/NAME on a page is a file."""
    for name in re.findall(r"\bscripts/([a-z_]+(?:\.py)?)\b", page.read_text("utf-8")):
        assert (ROOT / "scripts" / name).exists(), f"{page.name} names scripts/{name}"


GROUND: dict[str, str] = {
    "workspace": "docs",
    "environment": "production",
    "currency": "USD",
    "country": "US",
    "order_value": "net",
    "sources": "{web: {type: pipelines, write_key: docs-key}}",
    "destinations": "{pinterest: {type: pinterest, ad_account: '549755885175', access_token: '${DOCS}'},"
    " tiktok: {type: tiktok, pixel: DOCS, access_token: '${DOCS}'}}",
}
"""What an example leaves out."""


def completed(example: str) -> str:
    """An example of some options as a whole workspace file."""
    there = set(re.findall(r"^(\w+):", example, re.MULTILINE))
    return "".join(f"{name}: {value}\n" for name, value in GROUND.items() if name not in there) + example


EXAMPLES = [(name, body) for name, page in zip(NAMES, PAGES, strict=True) for body in blocks(page.read_text("utf-8"), "yaml")]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_every_workspace_example_is_right(name: str, example: str) -> None:
    """Each YAML block is part of a workspace file in which `check` finds no mistake."""
    text = completed(example)
    environ = {variable: f"value-{variable}" for variable in re.findall(r"\$\{(\w+)\}", text)}
    environ |= {variable: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" for variable in environ if "WEBHOOK_SECRET" in variable}
    _, notes = config.check(text, environ, CATALOG)
    assert [str(note) for note in notes if note.severity == "mistake"] == []


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda file: file.name)
def test_every_example_file_is_right(file: Path) -> None:
    """`check` finds neither a mistake nor anything odd in the files of examples/."""
    text = file.read_text("utf-8")
    environ = {name: f"value-{name}" for name in re.findall(r"\$\{(\w+)\}", text)}
    workspace, notes = config.check(text, environ, CATALOG)
    assert workspace is not None
    assert [str(note) for note in notes] == []


def own_reasons() -> set[str]:
    """The reasons that platforms give themselves: first part of what their `objection` returns."""
    found = set()
    for name in CATALOG:
        tree = ast.parse((ROOT / "src" / "signalpost" / "destinations" / f"{name}.py").read_text("utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and function.name == "objection":
                returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
                found |= {ast.literal_eval(value.elts[0]) for value in returned if isinstance(value, ast.Tuple)}
    return found


@pytest.mark.parametrize("page", ["docs/reference/gates.md", "docs/explain/consent-and-gates.md"])
def test_every_reason_is_told(page: str) -> None:
    """Each reason of the table of gates, and each of the platforms' own, stands on the page, and no other."""
    text = (ROOT / page).read_text("utf-8")
    told = set(re.findall(r"`([a-z_]+)`", text))
    reasons = set(gates.REASONS) | own_reasons()
    assert sorted(reasons - told) == []
    rows = set(re.findall(r"^\|.*\| `(\w+)` \|$", text, re.MULTILINE)) if "explain" in page else reasons
    assert sorted(rows - reasons) == []


def test_the_page_of_gates_asks_in_the_order_of_the_code() -> None:
    """docs/explain/consent-and-gates.md lists the reasons of `gates.withheld` in the order it gives them."""
    text = (ROOT / "docs" / "explain" / "consent-and-gates.md").read_text("utf-8")
    asked = [reason for reason in re.findall(r"\| `(\w+)` \|$", text, re.MULTILINE) if reason in gates.REASONS]
    code = ast.parse(Path(gates.__file__).read_text("utf-8"))
    decides = next(node for node in ast.walk(code) if isinstance(node, ast.FunctionDef) and node.name == "withheld")
    returned = [node for node in ast.walk(decides) if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant)]
    returned.sort(key=lambda node: node.lineno)
    given = [node.value.value for node in returned if isinstance(node.value, ast.Constant) and node.value.value]
    assert [reason for reason in asked if reason in given] == given


def read_order(properties: dict[str, Any], definition: str) -> str:
    event = Event(
        kind="track", source="docs", message_id="m", time=0, received_at=0, name="Order Completed", properties=properties
    )
    order = orders.read(event, definition=definition, default_currency="USD")
    return "none" if order.value is None else f"{order.value:f}, `{order.value_from}`"


def test_the_examples_of_order_value_are_computed() -> None:
    """Each example on the page of order values is what the code makes of it, under both definitions."""
    text = (ROOT / "docs" / "explain" / "order-value.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\{.+?\})` \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    assert len(rows) >= 10
    told = {example: (gross, net) for example, gross, net in rows}
    computed = {example: (read_order(json.loads(example), "gross"), read_order(json.loads(example), "net")) for example in told}
    assert told == computed


def test_the_rules_of_order_value_are_all_told() -> None:
    """The page's table has the rules of `VALUE_RULES`, in their order."""
    text = (ROOT / "docs" / "explain" / "order-value.md").read_text("utf-8")
    told = re.findall(r"^\| (gross|net) \| `(\w+)` \| .+? \| `(.+?)` \|$", text, re.MULTILINE)
    assert told == [(definition, needs, words) for definition, rules in orders.VALUE_RULES.items() for needs, _, words in rules]


def test_every_decision_is_listed() -> None:
    """docs/decisions/README.md lists each decision under its title, in order."""
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"^- \[(.+?)\]\((.+?)\)$", (folder / "README.md").read_text("utf-8"), re.MULTILINE)
    pages = sorted(folder.glob("0*.md"))
    assert listed == [(page.read_text("utf-8").splitlines()[0].removeprefix("# "), page.name) for page in pages]
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))


LOCAL = re.compile(r"(?<![\w.])/(?:work|tmp|home|root|Users|mnt|opt)/\w|\b[A-Z]:\\")
REGISTRY = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|registry\.npmjs|artifactory|nexus\.|proxy\.golang|index-url)", re.IGNORECASE
)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_no_local_path_and_no_registry(page: Path) -> None:
    """A page names neither a folder of somebody's machine nor a registry's host."""
    text = page.read_text("utf-8")
    assert LOCAL.search(text) is None
    assert REGISTRY.search(text) is None


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_page_is_reached(page: Path) -> None:
    """From README.md one can click one's way to each page."""
    reached = {ROOT / "README.md"}
    todo = [ROOT / "README.md"]
    while todo:
        here = todo.pop()
        for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", without_code(here.read_text("utf-8"))):
            there = (here.parent / unquote(target)).resolve()
            if there.suffix == ".md" and there.exists() and there not in reached:
                reached.add(there)
                todo.append(there)
    assert page.resolve() in {path.resolve() for path in reached}


def test_the_page_of_reasons_is_fresh() -> None:
    """docs/reference/gates.md is what scripts/write_gates_reference.py writes."""
    command = [sys.executable, "scripts/write_gates_reference.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
