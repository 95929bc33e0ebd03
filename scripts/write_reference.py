"""Write the reference pages that the code knows best: the workspace file, the events and the command line.

`python scripts/write_reference.py` writes them into docs/reference/; with `--check` it only looks, and exits with 1
when they are not what the code says.
"""

from __future__ import annotations

import inspect as python
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import typer
from msgspec import Struct, inspect

from signalpost import cli, config
from signalpost.destinations import CATALOG
from signalpost.marked import unwrapped
from signalpost.options import Consent, Destination, Identity, Orders, Retention, Server, Source, Workspace
from signalpost.vocabulary import CANONICAL_EVENTS, SYNONYMS

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"

SECTIONS: tuple[tuple[str, str, type[Struct]], ...] = (
    ("The workspace", "", Workspace),
    ("Sources", "sources.<name>.", Source),
    ("Destinations", "destinations.<name>.", Destination),
    ("Identity", "identity.", Identity),
    ("Orders", "orders.", Orders),
    ("Consent", "consent.", Consent),
    ("Retention", "retention.", Retention),
    ("Server", "server.", Server),
)

LEADS = ("purchase: first", "checkout: second", "cart: third", "the rest: last")


def main() -> None:
    """Write the pages, or compare them."""
    pages = {REFERENCE / name: text for name, text in written().items()}
    if "--check" in sys.argv[1:]:
        stale = [path.name for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
        if stale:
            sys.exit(f"Not what the code says: {', '.join(stale)}. Run: python scripts/write_reference.py")
        return
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for path, text in pages.items():
        path.write_text(text, "utf-8")


def written() -> dict[str, str]:
    """Return each page by its file's name."""
    return {
        "workspace.schema.json": json.dumps(config.schema(CATALOG), indent=2, ensure_ascii=False) + "\n",
        "workspace.md": workspace_page(),
        "events.md": events_page(),
        "command-line.md": command_line_page(),
    }


def workspace_page() -> str:
    """Return the page of every option."""
    parts = [_HEAD]
    for title, above, shape in SECTIONS:
        parts.append(f"## {title}\n\n{shape.__doc__}\n\n{table(shape, above)}")
        if shape is Source:
            needs = "\n".join(
                f"| `{name}` | {', '.join(f'`{key}`' for key in keys) or 'nothing'} |"
                for name, keys in config.SOURCE_KEYS.items()
            )
            parts.append(f"What each type of source needs, and no other takes:\n\n| type | needs |\n|---|---|\n{needs}\n")
        if shape is Destination:
            parts.append(platform_tables())
    return "\n".join(parts)


def table(shape: type[Struct], above: str) -> str:
    """Return the options of one record, each with its type, default and sentence."""
    kind = inspect.type_info(shape)
    if not isinstance(kind, inspect.StructType):
        raise TypeError(shape)
    rows = ["| option | type | default | |", "|---|---|---|---|"]
    for option in kind.fields:
        if shape is Destination and option.name == "settings":
            continue
        said = str(unwrapped(option.type)[1].get("description", ""))
        rows.append(f"| `{above}{option.name}` | {type_name(option.type)} | {default(option)} | {cell(said)} |")
    return "\n".join(rows) + "\n"


def platform_tables() -> str:
    """Return each platform's own options, which stand beside the others."""
    parts = []
    for name, platform in sorted(CATALOG.items()):
        rows = [f"### {platform.title}: `type: {name}`", "", "| option | type | default | |", "|---|---|---|---|"]
        for setting in platform.settings:
            usual = "**required**" if setting.required and setting.default is None else setting.default or ""
            kind = "secret" if setting.secret else "text"
            rows.append(f"| `destinations.<name>.{setting.name}` | {kind} | {usual} | {cell(setting.doc)} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def events_page() -> str:
    """Return the page of the canonical vocabulary."""
    rows = ["| event | | leaves | also known as |", "|---|---|---|---|"]
    for name, event in CANONICAL_EVENTS.items():
        others = ", ".join(f"`{other}`" for other in SYNONYMS.get(name, ()))
        rows.append(f"| `{name}` | {event.doc} | {LEADS[event.priority]} | {others} |")
    return _EVENTS_HEAD + "\n".join(rows) + "\n"


def command_line_page() -> str:
    """Return the page of every command and its options."""
    group: Any = typer.main.get_command(cli.application)
    parts = [_COMMANDS_HEAD]
    for name, command in group.commands.items():
        words = " ".join(
            given(one) if one.required else f"[{given(one)}]" for one in command.params if one.param_type_name == "argument"
        )
        rows = ["| | | default |", "|---|---|---|", *(option_row(one) for one in command.params)]
        usage = f"    signalpost {name} [OPTIONS] {words}".rstrip()
        parts.append(f"## {name}\n\n{usage}\n\n{python.cleandoc(command.help or '')}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def given(one: Any) -> str:
    """Return how an argument or option is written."""
    return str(one.metavar or one.name.upper()) if one.param_type_name == "argument" else ", ".join(one.opts)


def option_row(one: Any) -> str:
    """Return one argument or option as a table row."""
    usual = "" if one.default in (None, ()) or getattr(one, "is_flag", False) else f"`{one.default}`"
    return f"| `{cell(given(one))}` | {cell(one.help or '')} | {'**required**' if one.required else usual} |"


def default(option: inspect.Field) -> str:
    """Return an option's default as a table cell."""
    if option.required:
        return "**required**"
    if option.default_factory is not msgspec.NODEFAULT or option.default is None or option.default == ():
        return ""
    values = option.default if isinstance(option.default, tuple) else (option.default,)
    return ", ".join(f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in values)


def type_name(kind: inspect.Type) -> str:
    """Return an option's type in a word or two."""
    kind, extra = unwrapped(kind)
    if extra.get("secret"):
        return "secret"
    if extra.get("is") in _TYPES:
        return _TYPES[extra["is"]]
    if isinstance(kind, inspect.UnionType):
        return " or ".join(type_name(one) for one in kind.types if not isinstance(one, inspect.NoneType))
    if isinstance(kind, inspect.LiteralType):
        return " or ".join(f"`{one}`" for one in kind.values)
    if isinstance(kind, inspect.VarTupleType):
        return f"list of {type_name(kind.item_type)}"
    if isinstance(kind, inspect.DictType):
        return f"name: {type_name(kind.value_type)}"
    if isinstance(kind, inspect.StructType):
        return f"[options](#{kind.cls.__name__.lower()}{'s' if kind.cls in {Source, Destination} else ''})"
    if isinstance(kind, inspect.IntType):
        return "number"
    if isinstance(kind, inspect.BoolType):
        return "`true` or `false`"
    return "text"


def cell(text: str) -> str:
    """Return text that does not end its table cell."""
    return text.replace("|", "\\|")


_TYPES = {
    "duration": "duration",
    "url": "address",
    "database": "file or address",
    "path": "path in the event",
    "network": "network",
    "timezone": "time zone",
    "currency": "currency",
    "country": "country",
    "identifier": "kind of identifier",
}

_HEAD = """\
# The workspace file

<!-- Written by scripts/write_reference.py from the code; edit the sentences there. -->

One YAML file describes a workspace: one brand in one environment. `signalpost init` writes a first one,
`signalpost check FILE` names every mistake in it with its line, and editors that know JSON Schema can read
[workspace.schema.json](workspace.schema.json). A commented example is `examples/signalpost.yaml`.

`${NAME}` anywhere in a value stands for the environment variable NAME; `$${NAME}` is that text itself. Options of
the type *secret* can only be written so. A *duration* is a number and a unit: `50ms`, `90s`, `15m`, `24h`, `7d`,
`2w`, or several of them (`1h30m`). A *path in the event* begins with `properties.`, `context.` or `traits.`.
"""

_COMMANDS_HEAD = """\
# The command line

<!-- Written by scripts/write_reference.py from the commands themselves. -->

Results go to standard output, sentences about trouble to standard error; with `--json` standard output is JSON and
nothing else. Exit codes: 0 all is well, 1 something was found or failed, 2 the command was not used as it is meant to
be, 130 it was stopped. Every command explains itself with `--help`.
"""

_EVENTS_HEAD = """\
# The canonical events

<!-- Written by scripts/write_reference.py from src/signalpost/vocabulary.py. -->

Whatever a source calls it, inside Signalpost an event has one of these names. The other names in the last column are
recognised without regard to case and to the signs between words (`checkout_completed`, `Checkout Completed`). What a
workspace file says under `events` comes first; a name that nobody knows stays as it is. When signals queue, they leave
in the order of the third column.

"""


if __name__ == "__main__":
    main()
