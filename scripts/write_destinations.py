"""Write each platform's reference page from its declaration, its field table and its cases.

python scripts/write_destinations.py            write docs/reference/destinations/*.md
python scripts/write_destinations.py --check    exit 1 when a page is not what the code says
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Custom, Destination, Response

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference" / "destinations"
CASES = ROOT / "tests" / "cases"

HOUR = 3_600_000

INTRODUCTION = (
    "What Signalpost sends to {title}, field by field, and how it reads the answers. The same table is what runs: "
    "`src/signalpost/destinations/{name}.py`."
)
HASHED = (
    "A field without a value is not sent. *Hashed* means SHA-256 of the normalised value "
    "([how values are written](../normalisation.md))."
)
EVERYTHING_ELSE = (
    "Everything else is read by its HTTP status: 429, 408 and 5xx are tried again; 401, 403 and 404 hold the destination "
    "until a person acts, and keep the signals; other 4xx halve the batch until the bad event stands alone."
)
OWN_FIELDS = (
    "`properties` of the destination fills fields of `{parent}` from a path in the event, such as "
    "`predicted_ltv: properties.ltv`. "
)
UNREADABLE = " An unreadable 2xx is tried again with the same event ids, because the platform may have taken the events."


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table; nothing when there are no rows."""
    if not rows:
        return []
    lines = [head, ["---"] * len(head), *rows]
    return [*("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines), ""]


def span(milliseconds: int) -> str:
    """A duration for people, whole days, hours or minutes."""
    hours, rest = divmod(milliseconds, HOUR)
    if rest:
        return f"{milliseconds // 60_000} minutes"
    return f"{hours // 24} days" if hours % 24 == 0 and hours > 48 else f"{hours} hours"


def page(platform: Destination) -> str:
    """The whole reference page of a platform."""
    limits = platform.limits
    oldest = span(limits.oldest_ms)
    if limits.oldest_possible_ms and limits.oldest_possible_ms > limits.oldest_ms:
        oldest += f", `oldest` may raise it to {span(limits.oldest_possible_ms)}"
    lines = [
        f"# {platform.title}",
        "",
        "<!-- Written by scripts/docs from the code. Change the declaration, not this page. -->",
        "",
        INTRODUCTION.format(title=platform.title, name=platform.name),
        "",
        "## Settings",
        "",
        *table(
            ["option", "", "what it is"],
            [
                [f"`{s.name}`", ", ".join(["required" if s.required else "optional", *(["secret"] * s.secret)]), s.doc]
                for s in platform.settings
            ],
        ),
        "## Events",
        "",
        "What `events: standard` means:",
        "",
        *table(["canonical event", platform.title], [[ours, f"`{theirs}`"] for ours, theirs in platform.events.items()]),
        "All names the platform knows: "
        + ", ".join(f"`{name}`" for name in sorted(platform.event_names))
        + "."
        + (" Other names are sent as custom events." if platform.custom_events else " Other names are a mistake."),
        "",
        "## Fields",
        "",
        HASHED,
        "",
        *table(["field", "hashed", "what it is"], [row for field in platform.fields for row in field_rows(field)]),
        "## Fields of your own",
        "",
        OWN_FIELDS.format(parent=platform.custom.parent) + may_fill(platform.custom),
        "",
        "## Who is recognised",
        "",
        platform.identifier_hint,
        "",
        "## Limits",
        "",
        *table(
            ["", ""],
            [
                ["events a request", f"{limits.batch:,}"],
                ["requests a second", f"{limits.requests_per_second:g}"],
                ["oldest event", oldest],
                ["clock skew tolerated", span(limits.future_ms)],
                ["repeats of an event id are recognised for", span(limits.dedupe_ms)],
            ],
        ),
        "Currencies: " + ("any ISO 4217 code." if platform.currencies is None else " ".join(sorted(platform.currencies)) + "."),
        "",
        "## Answers",
        "",
        ("HTTP 200 is not acceptance. " if platform.advertising else "") + "What each code in the answer means:",
        "",
        *table(
            ["code", "what Signalpost does", "meaning"],
            code_rows(importlib.import_module(f"signalpost.destinations.{platform.name}")),
        ),
        EVERYTHING_ELSE + (UNREADABLE if tries_unreadable_again(platform) else ""),
        "",
        platform.answer_says,
        "",
        *view_lines(platform),
        *audience_lines(platform),
        "## Cases",
        "",
        "Each case is a test.",
        "",
        *case_lines(platform.name),
    ]
    return "\n".join(lines).rstrip() + "\n"


def may_fill(custom: Custom) -> str:
    """Which names `properties` may fill."""
    names = ", ".join(f"`{name}`" for name in custom.fields)
    if not names:
        return "It may fill any name."
    return f"It may fill {names}" + (
        "; any other name is sent as it is." if custom.other else "; the platform refuses any other name."
    )


def tries_unreadable_again(platform: Destination) -> bool:
    """Whether a 2xx must also say something."""
    return platform.outcomes(Response(status=200, headers={}, body=b"<html>"), 1)[0].kind == "retry"


def view_lines(platform: Destination) -> list[str]:
    """What the platform tells of what it received."""
    if not platform.views:
        return []
    return [
        "## What it tells of what it received",
        "",
        "Asked once an hour where the credentials allow it, and shown beside what Signalpost sent.",
        "",
        *(f"- {view.doc}" for view in platform.views),
        "",
    ]


def audience_lines(platform: Destination) -> list[str]:
    """How audiences are kept there."""
    part = platform.audience
    if part is None:
        return []
    module = importlib.import_module(f"signalpost.destinations.{platform.name}_audiences")
    rows = [
        ["identifiers it takes", ", ".join(f"`{kind}`" for kind in part.kinds)],
        ["rows a request", f"{part.batch:,}"],
        ["requests a second", f"{part.requests_per_second:g}"],
        ["smallest that ads can use", f"{part.minimum:,} {part.minimum_is}"],
        ["the platform's own processing", part.pace],
    ]
    if part.files:
        rows.append(["rows a file", f"{part.files.rows:,}"])
    return [
        "## Audiences",
        "",
        part.doc,
        "",
        *table(["", ""], rows),
        "What each code in an answer means for an audience:",
        "",
        *table(["code", "what Signalpost does", "meaning"], code_rows(module, DOES_WITH_AUDIENCES)),
    ]


def field_rows(field: Any) -> list[list[str]]:
    """A field's row, and one for each of its parts."""
    doc = field.doc
    if field.setting and field.setting not in doc:
        doc += f" Else the setting `{field.setting}`."
    rows = [[f"`{field.path}`", "yes" if field.hashed else "", doc]]
    between = "[]." if field.path.endswith("contents") else "."
    return rows + [[f"`{field.path}{between}{part}`", "", words] for part, words in field.parts.items()]


DOES = {
    "RETRIES": "tries again (it was not looked at)",
    "TROUBLES": "tries again (it may have been taken)",
    "BLOCKS": "holds the destination, keeps the signals",
    "REFUSALS": "halves the batch; alone, the event is refused",
}
DOES_WITH_AUDIENCES = {
    "RETRIES": "tries again (it was not looked at)",
    "TROUBLES": "tries again (it may have been taken)",
    "FILES": "tries again, from the upload on",
    "UNAUTHORISED": "holds all audiences of the destination",
    "REFUSALS": "halves the batch; alone, the identifier is refused",
}


def code_rows(module: ModuleType, does: dict[str, str] = DOES) -> list[list[str]]:
    """Every code of a platform's tables."""
    return [[f"`{code}`", does[name], meaning] for name in does for code, meaning in sorted(getattr(module, name, {}).items())]


def case_lines(platform: str) -> list[str]:
    """The cases that teach most, whole; the rest are one click away."""
    lines: list[str] = []
    for path in sorted((CASES / platform).glob("*.json")):
        if path.stem in {"answers", "events"}:
            continue
        read = json.loads(path.read_text())
        for case in read if isinstance(read, list) else [read]:
            lines += [f"### {case['why']}", ""]
            if case.get("settings"):
                lines += ["Settings:", "", *fenced(case["settings"])]
            lines += ["Event:", "", *fenced(case["event"])]
            lines += ["Sent:", "", *fenced(case["sends"])] if "sends" in case else [f"Withheld: `{case['withheld']}`.", ""]
    answers = json.loads((CASES / platform / "answers.json").read_text())
    rows = []
    for case in answers:
        kinds = list(dict.fromkeys(outcome["kind"] for outcome in case["outcomes"]))
        shown = case["answers"]["body"]
        body = json.dumps(shown, ensure_ascii=False) if shown != "" else ""
        body = body if len(body) <= 160 else body[:159] + "…"
        rows.append([case["why"], str(case["answers"]["status"]), f"`{body}`" if body else "empty", ", ".join(kinds)])
    return [*lines, "### Answers", "", *table(["", "status", "body", "each event is"], rows)]


def fenced(value: Any) -> list[str]:
    """A value as a JSON block."""
    return ["```json", json.dumps(value, indent=2, ensure_ascii=False), "```", ""]


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check say which are stale."""
    stale = []
    for platform in CATALOG.values():
        path = PAGES / f"{platform.name}.md"
        text = page(platform)
        if path.exists() and path.read_text() == text:
            continue
        if "--check" in arguments:
            stale.append(path)
        else:
            PAGES.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for path in stale:
        sys.stderr.write(f"{path.relative_to(ROOT)} is not what the code says; run scripts/docs\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
