"""Write docs/reference/gates.md from the tables of reasons in the code.

python scripts/write_gates_reference.py            write the page
python scripts/write_gates_reference.py --check    exit 1 when the page is not what the code says
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from pathlib import Path

from signalpost.destinations import CATALOG
from signalpost.gates import REASONS
from signalpost.presets import PRESETS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "gates.md"

HEAD = """\
# Reasons a signal is withheld

<!-- Written by scripts/write_gates_reference.py from src/signalpost/gates.py and the platforms' files. -->

Each event has one verdict for each destination. `withheld` always comes with one of these reasons: the first that applies, in
the order of [consent and gates](../explain/consent-and-gates.md). `signalpost why`, the console and `signalpost map` show them.

## For every platform

| reason | what happened | what to do |
|---|---|---|
"""

RULES = """
## Of the workspace file's own rules

A rule under `gates` gives the reason `gate:` and its name: the preset's, or one made of the rule's `reason` (`Big gift` becomes
`gate:big_gift`). What happened is the rule's condition as a sentence. [Junk orders](../leaks/junk-orders.md) tells how to use
them, [the condition language](conditions.md) how to write one.

| reason | what it is for | what to do |
|---|---|---|
"""

OWN = """
## Of one platform

| platform | reason | what happened |
|---|---|---|
"""


def own_reasons(platform: str) -> list[tuple[str, str]]:
    """The (reason, sentence) pairs that a platform's own `objection` can return, in order."""
    module = importlib.import_module(f"signalpost.destinations.{platform}")
    objection = getattr(module, "objection", None)
    if objection is None:
        return []
    pairs = []
    for node in ast.walk(ast.parse(inspect.getsource(objection))):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            reason, sentence = (ast.literal_eval(part) for part in node.value.elts)
            pairs.append((str(reason), str(sentence)))
    return pairs


def cell(text: str) -> str:
    """Text that does not end its table cell."""
    return text.replace("|", "\\|")


def page() -> str:
    """The whole page."""
    rows = [f"| `{name}` | {cell(reason.sentence)} | {cell(reason.advice)} |" for name, reason in REASONS.items()]
    own = [
        f"| {platform.title} | `{reason}` | {cell(sentence)} |"
        for name, platform in sorted(CATALOG.items())
        for reason, sentence in own_reasons(name)
    ]
    rules = [f"| `gate:{name}` | {cell(preset.doc)} | {cell(preset.advice)} |" for name, preset in PRESETS.items()]
    return HEAD + "\n".join(rows) + "\n" + RULES + "\n".join(rules) + "\n" + OWN + "\n".join(own) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with --check say that it is stale."""
    text = page()
    if "--check" not in arguments:
        PAGE.write_text(text, "utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text("utf-8") == text:
        return 0
    sys.stderr.write("docs/reference/gates.md is not what the code says; run: python scripts/write_gates_reference.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
