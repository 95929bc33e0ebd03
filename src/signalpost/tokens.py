"""Tokens that the console obtained from a platform: a file of their own beside the workspace file, that only its owner may read.

Secrets come from the environment, and a process cannot change the environment that it is started with next time. So what a
platform's authorisation gives is kept as lines `NAME=value` in `NAME_OF_THE_WORKSPACE_FILE-tokens.env` (mode 600), which every
command reads beside the environment; the environment wins. See docs/decisions/0049.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from signalpost.errors import SignalpostError

_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")

HEAD = "# Tokens that Signalpost obtained from the platforms. Only its owner may read it; keep it out of version control.\n"

UNTIL, RENEWS, RENEWS_UNTIL = "_UNTIL", "_RENEWS", "_RENEWS_UNTIL"
"""What stands beside a token `X`: when it ends (epoch ms, or `NEVER`), what renews it, and until when that is possible."""

NEVER = "never"


def beside(workspace_file: Path) -> Path:
    """Where the tokens of a workspace file are."""
    return workspace_file.with_name(f"{workspace_file.stem}-tokens.env")


def read(path: Path) -> dict[str, str]:
    """The names and values; empty where there is no such file. Raises `SignalpostError` when others may read it."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise SignalpostError(f"{path} holds tokens and can be read by others: `chmod 600 {path}` mends that.")
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SignalpostError(f"{path} cannot be read: {error.strerror}.") from error
    return {found[1]: found[2] for line in lines if (found := _LINE.fullmatch(line.strip()))}


def keep(path: Path, values: Mapping[str, str]) -> None:
    """Put these beside what is there, at once or not at all; an empty value takes its name away."""
    if any("\n" in value or "\r" in value for value in values.values()):
        raise SignalpostError("The platform's token is not one: it has more than one line.")
    kept = {name: value for name, value in {**read(path), **values}.items() if value}
    text = HEAD + "".join(f"{name}={value}\n" for name, value in kept.items())
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with contextlib.suppress(FileNotFoundError):
            made.unlink()
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            made.unlink()
        raise SignalpostError(f"{path} cannot be written: {error.strerror}.") from error


class Environ(Mapping[str, str]):
    """The environment, and beneath it the tokens as the file has them now."""

    def __init__(self, workspace_file: Path, environ: Mapping[str, str]) -> None:
        self.path, self._environ = beside(workspace_file), environ
        self._seen: tuple[int, int] | None = None
        self._tokens: dict[str, str] = {}

    def _now(self) -> dict[str, str]:
        try:
            found = self.path.stat()
        except OSError:
            self._seen, self._tokens = None, {}
            return self._tokens
        if (found.st_mtime_ns, found.st_ino) != self._seen:
            self._tokens = read(self.path)
            self._seen = (found.st_mtime_ns, found.st_ino)
        return self._tokens

    def __getitem__(self, name: str) -> str:
        return self._environ[name] if name in self._environ else self._now()[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._now(), **self._environ})

    def __len__(self) -> int:
        return len({**self._now(), **self._environ})

    def __repr__(self) -> str:
        """Show no value: a mapping may end up in a log."""
        return f"Environ({self.path.name!r})"
