"""A proposed text of the workspace file: whether it may take the place of the one in force, and how it gets into the file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from signalpost import config, neighbours
from signalpost.config import Catalog, Mistake, Workspace
from signalpost.errors import SignalpostError
from signalpost.marked import Notes, parse
from signalpost.store.revisions import digest

STAYS = {
    "workspace": "The database belongs to this workspace: its name cannot be changed while it is served. Give another "
    "workspace a file and a `database` of its own, and start it with that file.",
    "environment": "The database belongs to this environment: it cannot be changed while it is served. Give the other "
    "environment a file and a `database` of its own, and start it with that file.",
    "database": "The database cannot be changed while it is served. Stop the server, change `database` in the file, and "
    "start it.",
}
"""What no proposal may change, and what to do instead."""

LISTENING = ("host", "port", "tls_port", "tls_certificate", "tls_key")
"""Options of `server` that are read at the start."""


class Refused(SignalpostError):
    """A proposed text cannot take the place of the one in force."""


def read(
    text: str, present: Workspace, environ: Mapping[str, str], catalog: Catalog, file: Path | None
) -> tuple[Workspace | None, tuple[Mistake, ...]]:
    """The workspace that `text` would make of `file`, or None, and everything that is wrong or odd about it.

    `present` is the one in force; None means that at least one note is a mistake. No text makes this raise.
    """
    name = config.FILE if file is None else file.name
    workspace, found = config.check(text, environ, catalog, file=name)
    if workspace is None:
        return None, found
    if file is not None:
        found = (*found, *neighbours.mistakes(file, environ, catalog, text))
        if config.in_a_file(workspace.database):
            place = str(file.resolve().parent / Path(workspace.database).expanduser())
            workspace = replace(workspace, database=place)
    notes = Notes(name)
    root = parse(text, environ, Notes(name))
    for option, sentence in STAYS.items():
        if getattr(workspace, option) != getattr(present, option) and root is not None:
            entry = root.entries.get(option)
            notes.place(entry.line if entry else 1, entry.column if entry else 1, option, sentence)
    found = (*found, *notes.found)
    return (None if any(each.severity == "mistake" for each in found) else workspace), found


def restarts(present: Workspace, after: Workspace) -> list[str]:
    """Options that have changed and are read at the next start only."""
    return [f"server.{name}" for name in LISTENING if getattr(present.server, name) != getattr(after.server, name)]


def objection(text: str, environ: Mapping[str, str], catalog: Catalog) -> str:
    """Why this text may not be kept, as a sentence: it is no YAML, or a secret stands in it. Empty when it may."""
    notes = Notes("")
    if parse(text, environ, notes) is None:
        return notes.found[0].sentence if notes.found else "This is no workspace file."
    _, found = config.check(text, environ, catalog)
    return next((each.sentence for each in found if SECRET in each.sentence), "")


SECRET = "is a secret and stands in the file"  # noqa: S105  (what `marked.secret_sentence` says)


def in_file(file: Path) -> str:
    """What stands in the file; raises `Refused` when it cannot be read."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file.name} cannot be read: {error}.") from error


def write(file: Path, text: str) -> None:
    """Put `text` into the file, whole or not at all, even when the machine stops; raises `Refused` when it cannot be written."""
    place = file.resolve()  # a link stays one
    made = ""
    try:
        mode = place.stat().st_mode & 0o7777 if place.exists() else 0o644
        number, made = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
        with os.fdopen(number, "w", encoding="utf-8", newline="") as out:
            os.fchmod(out.fileno(), mode)
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        Path(made).replace(place)
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if made:
            with contextlib.suppress(OSError):
                Path(made).unlink()
        raise Refused(
            f"{file.name} cannot be written: {error.strerror}. Give the user that runs Signalpost the right to write it and its "
            "folder, then apply again."
        ) from error


def changed_by_hand(file: Path, text: str) -> bool:
    """Whether the file holds something else than `text`, which is in force."""
    return digest(in_file(file)) != digest(text)
