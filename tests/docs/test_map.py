"""The map of the house: in the package's first lines and on the architecture page."""

from __future__ import annotations

import re
from pathlib import Path

import signalpost

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "signalpost"
FLOW = ROOT / "docs" / "explain" / "flow.md"


def modules() -> set[str]:
    """Every module and package of the product, without those that only make it one."""
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    return files | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def map_of_the_package() -> list[str]:
    return re.findall(r"^ {4}(\w+) {2,}\S", signalpost.__doc__ or "", re.MULTILINE)


def test_every_module_is_on_the_map_and_the_map_names_no_ghost() -> None:
    """`signalpost.__doc__` lists exactly the modules there are, each once."""
    listed = map_of_the_package()
    assert sorted(modules()) == sorted(listed)


def test_the_architecture_page_has_the_same_map_in_the_same_order() -> None:
    """docs/explain/flow.md and the package's docstring agree, module by module."""
    table = FLOW.read_text("utf-8").split("## The rooms, in flow order")[1].split("## The layers")[0]
    assert map_of_the_package() == re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_the_architecture_page_names_every_table_of_the_store() -> None:
    """What the schema creates is on the page, and nothing else."""
    schema = "".join(path.read_text("utf-8") for path in sorted((PACKAGE / "store" / "sql" / "migrations").glob("*.sql")))
    created = set(re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", schema))
    told = FLOW.read_text("utf-8").split("## What is kept where")[1]
    cells = re.findall(r"^\| (`.+?`) \|", told, re.MULTILINE)
    assert created == {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
