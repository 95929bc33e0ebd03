"""The commands about the platforms: run their emulators, see what a message would become."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer
from msgspec.structs import replace

from signalpost import config, starter
from signalpost.cli_say import AsJson, Misuse, say, say_json, text_of
from signalpost.destinations import CATALOG
from signalpost.errors import ConfigError
from signalpost.marked import did_you_mean


def platforms(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one and prints it.")] = 0,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    cheap: Annotated[bool, typer.Option("--cheap", help="For benches: look only at names and ids.")] = False,
    seed: Annotated[int, typer.Option(help="Decides every probability of the faults.")] = 1,
    tiktok_token: Annotated[str | None, typer.Option(help="The access token TikTok takes.")] = None,
    tiktok_pixel: Annotated[list[str] | None, typer.Option(help="A pixel code; may be repeated.")] = None,
    tiktok_advertiser_id: Annotated[str | None, typer.Option(help="The advertiser of the pixels.")] = None,
    pinterest_token: Annotated[str | None, typer.Option(help="The access token Pinterest takes.")] = None,
    pinterest_ad_account_id: Annotated[str | None, typer.Option(help="The ad account.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run strict emulators of both platforms' HTTP APIs on one port, until Ctrl-C."""
    # Loaded here because a web server takes its time to load and no other command needs it.
    from signalpost.platforms.app import announcement, describe  # noqa: PLC0415
    from signalpost.platforms.serve import run  # noqa: PLC0415
    from signalpost.platforms.settings import Settings  # noqa: PLC0415

    usual = Settings()
    settings = Settings(
        cheap=cheap,
        seed=seed,
        tiktok_token=tiktok_token or usual.tiktok_token,
        tiktok_pixels=tuple(tiktok_pixel or usual.tiktok_pixels),
        tiktok_advertiser_id=tiktok_advertiser_id or usual.tiktok_advertiser_id,
        pinterest_token=pinterest_token or usual.pinterest_token,
        pinterest_ad_account_id=pinterest_ad_account_id or usual.pinterest_ad_account_id,
    )

    def ready(url: str) -> None:
        say_json(describe(settings, url)) if as_json else say(announcement(settings, url))
        sys.stdout.flush()

    try:
        run(settings, host, port, ready)
    except OSError as error:
        raise Misuse(f"Nothing can listen on {host}:{port}: {error.strerror}.") from error


def map_messages(
    platform: Annotated[list[str], typer.Argument(help="tiktok, pinterest or both.", metavar="PLATFORM...")],
    file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="A workspace file; without one: USD, US, net, every event.")
    ] = None,
    as_json: AsJson = False,  # noqa: ARG001 - there is nothing but JSON to print
) -> None:
    """Read Segment-spec messages, a line each, and print what each would send to a platform, or why nothing.

    Each line printed has message_id, event, verdict (ready or withheld), reason and request: the exact event object.
    Nothing leaves the machine and no secret is needed. Lines are taken in order, as the intake would take them:
    what one says of a person is known to the next, and a repeat is a repeat.
    """
    from signalpost import pipeline  # noqa: PLC0415 - with all the platforms; no other command here needs it
    from signalpost.sources import Received  # noqa: PLC0415

    plan = pipeline.plan(_dry_workspace(platform, file))
    line = b""
    number = 0

    def requests() -> Iterator[Received]:
        nonlocal line, number
        for number, line in _lines(sys.stdin.buffer):  # noqa: B007 - told of below
            # No type stands in the path, so that each message names its own.
            yield Received(source="stdin", wire="pipelines", method="POST", path="/v1/message", body=line, received_at=_now())

    out = sys.stdout.buffer
    for told in pipeline.preview(plan, requests(), _now):
        message_id, event = told.message_id, told.event
        if message_id is None:
            message_id, event = _named(line)
        answer = {
            "message_id": message_id,
            "event": event,
            "verdict": told.verdict,
            "reason": told.reason,
            "request": None if told.request is None else msgspec.Raw(told.request),
            "destination": told.destination,
            "sentence": told.sentence,
            "line": number,
        }
        out.write(msgspec.json.encode(answer) + b"\n")
        if out.isatty():
            out.flush()
    out.flush()


LONGEST_LINE = 1_048_577
"""One byte more than a request may have: enough to know that a line is too long."""


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its number, from 1, without blank ones; of an endless one only the beginning."""
    number = 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        rest = line
        while len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST_LINE)
        if line.strip():
            yield number, line


def _named(line: bytes) -> tuple[str | None, str | None]:
    """Return what a refused message calls itself, as far as it can be read."""
    try:
        message = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(message, dict):
        return None, None
    named = (message.get("messageId"), message.get("event") or message.get("type"))
    message_id, event = (said if isinstance(said, str) else None for said in named)
    return message_id, event


def _dry_workspace(platforms: list[str], file: Path | None) -> config.Workspace:
    """Return a workspace with only destinations of these platforms, ready for everything but sending."""
    for name in platforms:
        if file is None and name not in CATALOG:
            raise Misuse(f"There is no platform `{name}`.{did_you_mean(name, CATALOG)}")
    if file is None:
        return config.Workspace(
            workspace="preview",
            environment="production",
            currency="USD",
            country="US",
            order_value="net",
            destinations={name: config.Destination(type=name) for name in dict.fromkeys(platforms)},
        )
    text = text_of(file)
    # What is only sent, and not mapped, need not be known here.
    environ = {name: f"{name} is not set" for name in starter.variables(text)} | dict(os.environ)
    workspace, notes = config.check(text, environ, CATALOG, file=str(file))
    if workspace is None:
        raise ConfigError(tuple(note for note in notes if note.severity == "mistake"))
    chosen = {
        name: destination
        for name, destination in workspace.destinations.items()
        if name in platforms or destination.type in platforms
    }
    for name in platforms:
        if name not in chosen and all(name != destination.type for destination in chosen.values()):
            known = did_you_mean(name, workspace.destinations)
            raise Misuse(f"{file} has no destination of the platform `{name}`.{known}")
    # Standard input is none of the file's sources, so no other one can count in its place.
    return replace(workspace, destinations=chosen, events=workspace.aliases)


def _now() -> int:
    return time.time_ns() // 1_000_000
