"""Write the reference pages that the code knows best: the workspace file, the events and the command line.

`python scripts/write_reference.py` writes them into docs/reference/; with `--check` it only looks, and exits with 1
when they are not what the code says.
"""

from __future__ import annotations

import inspect as python
import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import typer
from msgspec import Struct, inspect

from signalpost import accounts, cli, conditions, config
from signalpost.conditions.plain import marked
from signalpost.destinations import CATALOG
from signalpost.gates import condition_of
from signalpost.marked import Notes, listed, unwrapped
from signalpost.options import (
    ROLLOUT_MEASURES,
    Alerts,
    Audience,
    Consent,
    Console,
    Derived,
    Destination,
    Gate,
    Identity,
    Journey,
    Measurement,
    Orders,
    Pixel,
    Retention,
    Server,
    SingleSignOn,
    Source,
    Stage,
    Step,
    Tiers,
    ValueTiers,
    Workspace,
)
from signalpost.presets import PRESETS
from signalpost.segments import ladders, reading
from signalpost.segments.language import BOUNDS, LADDER, LINES
from signalpost.segments.operands import Known
from signalpost.segments.sentences import sentence
from signalpost.vocabulary import CANONICAL_EVENTS, MESSAGE_CHANNELS, MESSAGE_METRICS, SYNONYMS
from signalpost.web.pages import GROUPS, WAYS
from signalpost.web.routing import Way

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"

SECTIONS: tuple[tuple[str, str, type[Struct]], ...] = (
    ("The workspace", "", Workspace),
    ("Sources", "sources.<name>.", Source),
    ("Destinations", "destinations.<name>.", Destination),
    ("Identity", "identity.", Identity),
    ("Orders", "orders.", Orders),
    ("Gates", "gates[].", Gate),
    ("Derived events", "derived.<name>.", Derived),
    ("Tiers", "tiers.<name>.", Tiers),
    ("Value tiers", "value_tiers.<name>.", ValueTiers),
    ("Audiences", "audiences[].", Audience),
    ("Journeys", "journeys.<name>.", Journey),
    ("Journey steps", "journeys.<name>.steps[].", Step),
    ("Rollout stages", "destinations.<name>.rollout[].", Stage),
    ("The browser's pixel", "destinations.<name>.browser_pixel.", Pixel),
    ("Alerts", "alerts.", Alerts),
    ("The measurement plan", "measurement.", Measurement),
    ("Consent", "consent.", Consent),
    ("Retention", "retention.", Retention),
    ("Server", "server.", Server),
    ("The console", "console.", Console),
    ("Single sign-on", "console.oidc.", SingleSignOn),
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
        "conditions.md": conditions_page(),
        "segments.md": segments_page(),
        "events.md": events_page(),
        "command-line.md": command_line_page(),
        "console.md": console_page(),
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
        if shape is Stage:
            bounds = "\n".join(f"| `{name}` | {kind} | `{sign}` |" for name, (kind, sign) in ROLLOUT_MEASURES.items())
            parts.append(f"What `until` can ask for:\n\n| measure | kind | bound |\n|---|---|---|\n{bounds}\n")
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
        rows.append(f"| `{above}{option.encode_name}` | {type_name(option.type)} | {default(option)} | {cell(said)} |")
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


def conditions_page() -> str:
    """Return the page of the condition language: paths, questions, presets."""
    paths = ["| path | kind | |", "|---|---|---|"]
    paths += [f"| `{name}` | {known.kind} | {cell(known.doc)} |" for name, known in conditions.PATHS.items()]
    paths += [f"| `{root}.<name>` | any | {doc} |" for root, doc in _OPEN.items()]
    kinds = ["| kind | is | may be asked |", "|---|---|---|"]
    kinds += [
        f"| {kind} | {conditions.KINDS[kind]} | {', '.join(f'`{name}`' for name in names)} |"
        for kind, names in conditions.OPERATORS.items()
    ]
    presets = []
    for name, preset in PRESETS.items():
        when = condition_of(Gate(preset=name))
        takes = f" Takes {', '.join(f'`{one}`' for one in preset.takes)}." if preset.takes else ""
        presets.append(
            f"### `{name}`\n\n{preset.doc}{takes}\n\n    when: {conditions.written(when)}\n\n"
            f"{raised(conditions.compile(when).sentence)}.\n"
        )
    return _CONDITIONS.format(paths="\n".join(paths), kinds="\n".join(kinds), presets="\n".join(presets))


def segments_page() -> str:
    """Return the page of the segment language: every word, what it takes, an example and its sentence."""
    parts = []
    for title, words in (
        ("Lines", {name: (key, "") for name, key in LINES.items()}),
        ("What stands beside a line", {name: (key, f" Beside {listed(lines, 'or')}.") for name, (key, lines) in BOUNDS.items()}),
    ):
        parts.append(f"## {title}\n")
        for name, (key, beside) in words.items():
            said = raised(sentence(reading.rule(key.example, name="spring_holdout")))
            example = conditions.written(key.example)
            parts.append(f"### `{name}`\n\nTakes {key.takes}.{beside}\n\n{key.doc}\n\n    {example}\n\n{said}.\n")
    rows = ["| | takes | |", "|---|---|---|", *(f"| `{name}` | {key.takes} | {cell(key.doc)} |" for name, key in LADDER.items())]
    made = ["| segment | who is inside |", "|---|---|"]
    ladder = ladders.read(marked(_LADDER, "cart"), Notes(""), Known())
    if ladder is None:
        raise ValueError(_LADDER)
    made += [f"| `{name}` | {raised(sentence(rule))}. |" for name, rule in ladders.rules("cart", ladder).items()]
    channels = ", ".join(f"`{name}`" for name in MESSAGE_CHANNELS)
    metrics = ", ".join(f"`{name}`" for name in MESSAGE_METRICS)
    return _SEGMENTS.format(
        words="\n".join(parts), ladder="\n".join(rows), tiers="\n".join(made), channels=channels, metrics=metrics
    )


def raised(text: str) -> str:
    """Return a text that begins a sentence."""
    return text[0].upper() + text[1:]


def events_page() -> str:
    """Return the page of the canonical vocabulary."""
    rows = ["| event | | leaves | also known as |", "|---|---|---|---|"]
    for name, event in CANONICAL_EVENTS.items():
        others = ", ".join(f"`{other}`" for other in SYNONYMS.get(name, ()))
        rows.append(f"| `{name}` | {event.doc} | {LEADS[event.priority]} | {others} |")
    return _EVENTS_HEAD + "\n".join(rows) + "\n"


def command_line_page() -> str:
    """Return the page of every command and its options."""
    parts = [_COMMANDS_HEAD]
    for name, command in commands(typer.main.get_command(cli.application)):
        words = " ".join(
            given(one) if one.required else f"[{given(one)}]" for one in command.params if one.param_type_name == "argument"
        )
        rows = ["| | | default |", "|---|---|---|", *(option_row(one) for one in command.params)]
        usage = f"    signalpost {name} [OPTIONS] {words}".rstrip()
        parts.append(f"## {name}\n\n{usage}\n\n{python.cleandoc(command.help or '')}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def console_page() -> str:
    """Return the page of every address of the console: what stands there, and who may take it."""
    roles = ["| role | |", "|---|---|", *(f"| {role} | {cell(may)} |" for role, may in accounts.ROLES.items())]
    menu = [f"| `g` `{entry.letter}` | [{entry.title}](#{entry.title.lower()}) |" for _, entries in GROUPS for entry in entries]
    titles = {entry.path.strip("/"): entry.title for _, entries in GROUPS for entry in entries}
    parts = []
    for name, ways in rooms().items():
        rows = ["| address | | who |", "|---|---|---|"]
        for way in ways:
            path = re.sub(r":\w+}", "}", way.path)
            address = f"`{path}`" if way.method == "GET" else f"POST `{path}`"
            data = " Also as data." if way.twin else ""
            rows.append(f"| {address} | {cell(first_sentence(way.answer))}{data} | {way.role} |")
        parts.append(f"## {titles.get(name) or raised(name)}\n\n" + "\n".join(rows) + "\n")
    keys = [
        "| keys | |",
        "|---|---|",
        "| `/` | search |",
        "| `j` `k` `Enter` | next row, previous row, open it |",
        "| `?` | this list |",
        *menu,
    ]
    return _CONSOLE.format(roles="\n".join(roles), keys="\n".join(keys), rooms="\n".join(parts))


def rooms() -> dict[str, list[Way]]:
    """Return the ways by the first part of their address, in the order of the menu, the others last."""
    found: dict[str, list[Way]] = {entry.path.strip("/") or "today": [] for _, entries in GROUPS for entry in entries}
    for way in WAYS:
        found.setdefault(way.path.strip("/").partition("/")[0].partition("{")[0] or "today", []).append(way)
    return {name: ways for name, ways in found.items() if ways}


def first_sentence(answer: Any) -> str:
    """Return what a function says of itself, without the address with which it may begin."""
    said = " ".join((python.getdoc(answer) or "").partition("\n\n")[0].split())
    address, colon, rest = said.partition(": ")
    said = rest if colon and address.startswith("`/") else "" if said.startswith("`/") else said
    return raised(said) if said else ""


def commands(group: Any, above: str = "") -> list[tuple[str, Any]]:
    """Return every command below a group, by the words that call it."""
    found: list[tuple[str, Any]] = []
    for name, command in group.commands.items():
        found += commands(command, f"{above}{name} ") if hasattr(command, "commands") else [(above + name, command)]
    return found


def given(one: Any) -> str:
    """Return how an argument or option is written."""
    return (
        str(one.metavar or one.name.upper()) if one.param_type_name == "argument" else ", ".join([*one.opts, *one.secondary_opts])
    )


def option_row(one: Any) -> str:
    """Return one argument or option as a table row."""
    flag = getattr(one, "is_flag", False)
    usual = "" if one.default in (None, (), "") or (flag and not one.default) else f"`{one.opts[0] if flag else one.default}`"
    return f"| `{cell(given(one))}` | {cell(one.help or '')} | {'**required**' if one.required else usual} |"


def default(option: inspect.Field) -> str:
    """Return an option's default as a table cell."""
    if option.required:
        return "**required**"
    if option.default_factory is not msgspec.NODEFAULT or option.default is None or option.default in ((), {}):
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
        title = next(title for title, _, shape in SECTIONS if shape is kind.cls)
        return f"[options](#{title.lower().replace(' ', '-').replace(chr(39), '')})"
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
    "event": "event",
    "happening": "event",
    "share": "share",
    "amount": "number",
    "condition": "[condition](conditions.md)",
    "rule": "[rule](segments.md)",
    "hours": "hours",
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

_OPEN = {
    "event.properties": "A property of the event as the source sends it; further names follow with dots.",
    "event.context": "A part of its context, such as `event.context.page.url`.",
    "event.traits": "A trait that the event itself gives.",
    "person.traits": "A trait that any event gave of the person; what a rule reads is remembered from then on.",
}

_LADDER = {
    "ladder": "Checkout Started",
    "until": "Order Completed",
    "tiers": ["0h-6h reminder", "6h-24h social_proof", "1d-3d offer", "4d-7d last_call"],
}

_SEGMENTS = """\
# The segment language

<!-- Written by scripts/write_reference.py from src/signalpost/segments/language.py. -->

A segment is a rule over what a person did and what is known of them. It stands under `segments` in the workspace file, by its
name. [How to write segments](../how-to/write-segments.md) begins with examples; [the recipes](../how-to/segment-recipes.md) are
ten rules for what brands do most.

```yaml
segments:
  checkout_abandoners_6_24h:
    all:
      - last: Checkout Started
        age: 6h..24h
      - did_not: Order Completed
        since: Checkout Started
  lapsed_90d:
    all: [{{did: Order Completed}}, {{did_not: Order Completed, within: 90d}}]
  vip:
    trait: {{lifetime_value: {{gt: 300}}}}
```

- A rule is a mapping, and all of its lines must hold. What bounds an event (`within`, `age`, ...) stands beside it. Where two
  lines could take the same bound, each is a rule of its own under `all`.
- Windows are half open: `age: 6h..24h` holds from 6 hours on and no longer at 24, `within: 14d` no longer when 14 days are over.
  Membership changes at that very millisecond, not when somebody looks.
- An event counts at its time; one that claims to come from the future, when it was received. Repeats of a message do not count.
- Events are named as in [the list of events](events.md), as the shop names them under `events`, as `derived` names them, or as
  Customer.io reports messages ([below](#messages)), such as `Email Opened`.
- A segment is called by small letters, digits, `-` and `_`.
- What Customer.io tells of its own segments and attributes stands in
  [how to write segments](../how-to/write-segments.md#segments-of-customerio).

Gates and derived events ask for segments in their own language: `when: {{segment: vip}}`
([conditions](conditions.md#what-it-can-look-at)).

{words}
## Ladders

A ladder makes a set of segments of one event's age: nobody is in two of them, and nobody falls between.

```yaml
segments:
  cart:
    ladder: Checkout Started
    until: Order Completed
    tiers: [0h-6h reminder, 6h-24h social_proof, 1d-3d offer, 4d-7d last_call]
```

{ladder}

That one makes five segments:

{tiers}

A written end that is neither where the next tier begins nor one whole unit before it is a mistake: a gap or an overlap.

## Messages

What became of the shop's own messages is an event of the channel and what happened, such as `Email Opened` or `SMS Clicked`. A
source of type `reporting` brings them.

- Channels: {channels}.
- What happened: {metrics}.

An open or a click that no human made (a mail program's prefetch, a security scanner) counts too. To leave those out, ask
`where: {{event.properties.machine: {{ne: true}}}}`.
"""

_CONDITIONS = """\
# The condition language

<!-- Written by scripts/write_reference.py from src/signalpost/conditions/ and presets.py. -->

A condition is what `when` of a gate and `where` of a derived event say, and `trait` and `where` of
[a segment's rule](segments.md). It is a mapping of paths; every line of it must hold.

```yaml
gates:
  - reason: Staff order
    when: {{person.tags: staff}}
  - reason: Deep discount for a regular
    mode: observing
    when:
      order.discount_share: {{gt: 40%}}
      person.orders: {{gte: 3}}
  - reason: Wholesale
    when:
      any:
        - order.value: {{gte: 2000}}
        - order.tags: [wholesale, b2b]
        - not: {{order.source_name: web}}
          order.quantity: {{gte: 50}}
```

- A plain value means *equals*, a list *one of these*. Of a path with several values (`texts`) it means that one of them is.
- `all`, `any` and `not` take lists of conditions; `not` means none of them, and takes a single one too.
- `{{gt: 100, lte: 500}}`: several questions about one path must all hold.
- Text is compared without regard to case and outer spaces; `contains` looks for a part of a text, or for a member of `texts`.
- Shares are written with their sign: `40%`. Numbers are exact.
- `age` counts back from the moment of deciding: `age: 6h..24h` is from 6 to less than 24 hours ago, `age: {{gt: 30d}}` longer.
  A date is `2026-11-27` or `2026-11-27T18:00:00+01:00`; without a zone it is UTC.
- What is not known meets no question except `ne`, `not_in` and `exists: false`.

`signalpost gates` prints every rule of a workspace file as the sentence that the ledger shows.

## What it can look at

{paths}

Money of a person is in the workspace's currency, of an order in the order's.

## What it can ask

{kinds}

## Presets

A preset is a rule by name: `- preset: zero_value`. Its parameters change the rule, `mode: observing` only counts what it would
withhold. Written out with their defaults:

{presets}
"""

_COMMANDS_HEAD = """\
# The command line

<!-- Written by scripts/write_reference.py from the commands themselves. -->

Results go to standard output, sentences about trouble to standard error; with `--json` standard output is JSON and
nothing else. Exit codes: 0 all is well, 1 something was found or failed, 2 the command was not used as it is meant to
be, 130 it was stopped. Every command explains itself with `--help`.
"""

_CONSOLE = """\
# The console

<!-- Written by scripts/write_reference.py from web/pages and accounts.py. -->

`signalpost serve` shows the console at its own address. [How to let people in](../how-to/let-people-in.md) says who may come;
[the console, and what it is made of](../explain/console.md) says how it works.

- Every page is also data: the same address with `.json` (`/index.json` for Today), with a session's cookie or an API key as
  `Authorization: Bearer`.
- Lists are filtered by their address, so a filter can be kept and sent to somebody. `window` is `1h`, `24h`, `7d` or `30d`.
- An act is a form; it needs the token that its page carries, or an API key, and leaves a line in the audit.

## Roles

{roles}

*anyone* needs no account.

## Keyboard

{keys}

{rooms}"""

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
