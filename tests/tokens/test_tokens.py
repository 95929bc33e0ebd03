"""Tokens beside the workspace file: only the owner reads them, the environment wins, nothing is lost half-way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signalpost import tokens
from signalpost.errors import SignalpostError


def test_a_token_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    """The file has mode 600 whatever the umask, and the next token stands beside the first."""
    before = os.umask(0)
    try:
        path = tokens.beside(tmp_path / "shop.yaml")
        tokens.keep(path, {"A_TOKEN": "one=two", "A_TOKEN_UNTIL": "5"})
        tokens.keep(path, {"B_TOKEN": "three", "A_TOKEN_UNTIL": ""})
    finally:
        os.umask(before)
    assert path.name == "shop-tokens.env"
    assert path.stat().st_mode & 0o777 == 0o600
    assert tokens.read(path) == {"A_TOKEN": "one=two", "B_TOKEN": "three"}
    assert [each.name for each in tmp_path.iterdir()] == ["shop-tokens.env"]


def test_a_file_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    """Reading it says how to mend that."""
    path = tmp_path / "shop-tokens.env"
    path.write_text("A=b\n")
    path.chmod(0o644)
    with pytest.raises(SignalpostError, match="chmod 600"):
        tokens.read(path)


def test_the_environment_wins_and_the_file_is_read_anew(tmp_path: Path) -> None:
    """A name of both is the environment's; a token that came later is there at the next look; no value is in the repr."""
    environ = tokens.Environ(tmp_path / "shop.yaml", {"A": "environment"})
    assert dict(environ) == {"A": "environment"}
    tokens.keep(environ.path, {"A": "file", "B": "secret-value"})
    assert (environ["A"], environ["B"], len(environ)) == ("environment", "secret-value", 2)
    assert "B" in environ
    assert "C" not in environ
    tokens.keep(environ.path, {"B": "newer"})
    assert environ["B"] == "newer"
    assert "newer" not in repr(environ)
    environ.path.unlink()
    assert dict(environ) == {"A": "environment"}


def test_a_token_of_several_lines_is_none(tmp_path: Path) -> None:
    """Nothing can smuggle a second name into the file."""
    with pytest.raises(SignalpostError):
        tokens.keep(tmp_path / "x.env", {"A": "b\nC=d"})
    assert not (tmp_path / "x.env").exists()
