"""`signalpost why`: the story of an event on the terminal, in the order in which it happened."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from signalpost import config
from signalpost.cli_say import AsJson, Misuse, WorkspaceOption, say_json, workspace_at
from signalpost.store import story
from signalpost.store.database import Connection, Database

STYLES = {
    "accepted": "bold green",
    "warned": "bold yellow",
    "refused": "bold red",
    "unknown": "bold magenta",
    "withheld": "bold cyan",
    "waiting": "bold blue",
}


def why(
    key: Annotated[str, typer.Argument(help="A message id, an order id, or an event's number.", metavar="MESSAGE_ID|ORDER_ID")],
    file: WorkspaceOption = Path(config.FILE),
    as_json: AsJson = False,
) -> None:
    """Tell the whole story of an event: from the request to each platform's own answer."""
    workspace = workspace_at(file)

    def read(connection: Connection) -> list[story.Story]:
        numbers = story.find(connection, key, tuple(workspace.sources))
        return [told for number in numbers if (told := story.story(connection, number, workspace)) is not None]

    database = Database(workspace.database)
    try:
        stories = database.look(read)
    finally:
        database.close()
    if as_json:
        say_json(msgspec.to_builtins(stories))
    if not stories:
        raise Misuse(f"Nothing is known of {key}: no event has this message id, order id or number.")
    if not as_json:
        console = Console(highlight=False, soft_wrap=True)
        for told in stories:
            for line in lines(told, ZoneInfo(workspace.timezone)):
                console.print(line)
            console.print()


def lines(told: story.Story, zone: ZoneInfo) -> list[Text]:
    """The story as lines: request, event, person, order, and each destination with what it answered."""

    def moment(at: int | None) -> str:
        return "-" if at is None else datetime.fromtimestamp(at / 1000, tz=UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")

    event, request = told.event, told.request
    made = [
        Text.assemble((event.name, "bold"), f"  message {event.message_id}", f"  event {event.id}"),
        _line("happened", moment(event.time)),
        _line("received", f"{moment(request.received_at or event.received_at)} from {event.source}"
              + (f", {request.method} {request.path}" if request.kept else ", request no longer kept")),
    ]  # fmt: skip
    if event.order_id:
        worth = f"  {event.value} {event.currency} ({event.value_from})" if event.value else ""
        made.append(_line("order", f"{event.order_id}{worth}"))
    if told.person is None:
        made.append(_line("person", "nobody recognisable: the event carries no identifier"))
    elif told.person.forgotten:
        made.append(_line("person", "erased"))
    else:
        made.append(_line("person", f"{told.person.id}: {', '.join(told.person.identifiers)}"))
        made.append(_line("known by", ", ".join(told.person.match_keys) or "no match key"))
        made += [
            _line("merged" if each.joined else "kept apart", f"with {each.other}: {each.why}") for each in told.person.merges
        ]
    if told.repeat_of is not None:
        made.append(_line("repeat of", f"event {told.repeat_of.event}"))
    made += [_line("repeated", f"{moment(each.received_at)} as event {each.event}") for each in told.repeats]
    made += [_line("same order", f"{each.name}, message {each.message_id}, {moment(each.time)}") for each in told.same_order]
    made += [_line("refused part", f"{each.path}: {each.sentence}") for each in told.refusals]
    for each in told.deliveries:
        made.append(Text.assemble("  ", (each.destination, "bold"), ": ", (each.verdict, STYLES.get(each.verdict, ""))))
        made.append(_line("", each.sentence))
        if each.advice:
            made.append(_line("what to do", each.advice))
        if each.platform_event and each.verdict != "withheld":
            made.append(_line("sent as", f"{each.platform_event}, id {each.platform_id or '-'}"))
        for step in each.steps:
            made.append(_line("before", f"{moment(step.at)} {step.verdict}: {step.sentence or step.reason or ''}"))
        if each.answer is not None:
            answer = each.answer
            said = f"HTTP {answer.status}" if answer.status is not None else "no answer"
            number = f", their request {answer.platform_request}" if answer.platform_request else ""
            made.append(_line("answer", f"{moment(answer.ended_at)} {said}{number}; {answer.summary}"))
        if each.object is not None:
            made.append(_line("object", json.dumps(each.object, ensure_ascii=False)))
    return made


def _line(name: str, text: str) -> Text:
    return Text.assemble("  ", (f"{name:<13}", "dim"), text)
