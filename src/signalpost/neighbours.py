"""The workspace files beside a workspace's own: what a test and a production workspace must not share.

A test workspace sends test events only and refuses nothing of them; a production workspace refuses what is marked a test. That is
worth little when both speak to one account or keep their people and orders in one database, so neither starts then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import fields

from signalpost.config import Catalog, Mistake
from signalpost.errors import ConfigError
from signalpost.marked import Notes, Value, listed, parse
from signalpost.options import Workspace

ENDINGS = (".yaml", ".yml")
USUAL_DATABASE: str = next(one.default for one in fields(Workspace) if one.name == "database")


class _File(Struct, frozen=True):
    """A workspace file as far as it matters here, its variables filled in where they are set."""

    path: Path
    root: Value
    workspace: str
    environment: str

    @property
    def own(self) -> tuple[str, str]:
        return self.workspace, self.environment


def mistakes(path: Path, environ: Mapping[str, str], catalog: Catalog, text: str | None = None) -> tuple[Mistake, ...]:
    """What the workspace file at `path` shares with another one in its folder and must not; no file makes this raise.

    `text` stands for what the file holds, when it is not written yet.
    """
    this = _read(path, environ, text)
    if this is None:
        return ()
    notes = Notes(str(path))
    for other in _others(path, environ):
        if {this.environment, other.environment} == {"production", "test"}:
            _accounts(this, other, catalog, notes)
        if this.own != other.own and _database(this)[0] == _database(other)[0]:
            place = this.root.entries.get("database")
            notes.place(
                place.line if place is not None else 1,
                place.column if place is not None else 1,
                "database",
                f"This workspace and that of {other.path.name} ({other.workspace}, {other.environment}) have the same database "
                f"{_database(this)[1]}: their people, orders and waiting signals would be one. Give each its own `database`.",
            )
    return notes.found


def refuse(path: Path, environ: Mapping[str, str], catalog: Catalog) -> None:
    """Raise `ConfigError` when the workspace shares with another one what it must not."""
    found = mistakes(path, environ, catalog)
    if found:
        raise ConfigError(found)


def _others(path: Path, environ: Mapping[str, str]) -> Iterator[_File]:
    own = path.resolve()
    try:
        beside = sorted(each for each in own.parent.iterdir() if each.suffix in ENDINGS and each.resolve() != own)
    except OSError:
        return  # a folder that cannot be listed hides its files from whoever would start with them, too
    for each in beside:
        found = _read(each, environ)
        if found is not None:
            yield found


def _read(path: Path, environ: Mapping[str, str], text: str | None = None) -> _File | None:
    """The file as a workspace; None for one that is none. Its mistakes are told by `check` of that file."""
    try:
        text = path.read_bytes().decode("utf-8-sig") if text is None else text
    except (OSError, UnicodeDecodeError):
        return None
    root = parse(text, environ, Notes(str(path)))
    if root is None:
        return None
    said = [_said(root.entries[name]) if name in root.entries else "" for name in ("workspace", "environment")]
    return _File(path, root, said[0], said[1]) if all(said) else None


def _said(value: Value) -> str:
    """A scalar with its variables; as it is written where one is not set: the same variable is the same value."""
    if value.kind != "scalar":
        return ""
    return value.raw if value.text is None else value.text


def _database(file: _File) -> tuple[str, str]:
    """(what tells databases apart, how it may be shown)."""
    entry = file.root.entries.get("database")
    written = _said(entry) if entry is not None else ""
    shown = entry.raw if entry is not None and entry.raw else USUAL_DATABASE
    if "://" in written or "${" in written:
        return written, shown
    return str(file.path.resolve().parent / Path(written or USUAL_DATABASE).expanduser()), shown


def _destinations(file: _File, catalog: Catalog) -> Iterator[tuple[tuple[str, ...], Value, list[str]]]:
    """(what tells accounts apart, the destination, the options that do) of each destination that names its account."""
    section = file.root.entries.get("destinations")
    for one in section.entries.values() if section is not None else ():
        kind = _said(one.entries["type"]) if one.kind == "mapping" and "type" in one.entries else ""
        platform = catalog.get(kind)
        if platform is None:
            continue
        names = [setting.name for setting in platform.settings if setting.required and not setting.secret]
        account = [_said(one.entries[name]) if name in one.entries else "" for name in names]
        # Another base address is another platform, such as an emulator.
        endpoint = _said(one.entries["endpoint"]) if "endpoint" in one.entries else ""
        if names and all(account):
            yield (kind, endpoint.rstrip("/"), *account), one, names


def _accounts(this: _File, other: _File, catalog: Catalog, notes: Notes) -> None:
    theirs = {account: one for account, one, _ in _destinations(other, catalog)}
    for account, one, names in _destinations(this, catalog):
        same = theirs.get(account)
        if same is None:
            continue
        lacking = [
            place
            for place, each in ((notes.file, one), (other.path.name, same))
            if "shared_because" not in each.entries or not _said(each.entries["shared_because"]).strip()
        ]
        if lacking:
            notes.within(
                one,
                f"`{one.path}` ({this.environment}) and `{same.path}` of {other.path.name} ({other.environment}) are the same "
                f"{catalog[account[0]].title} account (same {listed(names)}): tests would stand among real conversions. Give the "
                f"test workspace an account of its own, or say in both files why they share it, with `shared_because`; it is "
                f"missing in {' and in '.join(Path(each).name for each in lacking)}.",
            )
