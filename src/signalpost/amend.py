"""Changes of a workspace file's text that leave everything else in it as it was written: comments, order, quotes, `${NAME}`."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

_VARIABLE, _HIDDEN = re.compile(r"\$\{(\w+)\}"), re.compile("\\$\ue000(\\w+)\ue001")
"""`{key: ${NAME}}` is no YAML; two signs of the private area stand for the braces meanwhile, as in `marked`."""

GONE = object()
"""A value that takes its key away."""


class Change(Struct, frozen=True):
    """Put `value` (plain data; `GONE` takes it away) at a path of keys and list places; what is missing on the way is made.

    A place of a list may be `"+"`: the value is added at its end.
    """

    path: Sequence[str | int]
    value: Any


def amended(text: str, changes: Iterable[Change]) -> str:
    """The text with these changes; raises ValueError when the text or a path does not hold what the path says."""
    root = _loaded(text) or CommentedMap()
    for change in changes:
        _put(root, list(change.path), change.value)
    return _dumped(root)


def part(text: str, path: Sequence[str | int]) -> str:
    """What stands at a path of the text, as it is written there; raises ValueError when nothing does."""
    at = _loaded(text)
    for key in path:
        if not isinstance(at, (CommentedMap, CommentedSeq)) or (isinstance(at, CommentedMap) and key not in at):
            raise ValueError(f"Nothing stands at {'.'.join(map(str, path))}.")
        at = at[key]
    return written(at)


def read(text: str) -> Any:
    """A piece of YAML as a value of `Change` that keeps how it is written; raises ValueError when it is none."""
    try:
        return _loaded(text)
    except YAMLError as error:
        raise ValueError(str(error)) from error


def compact(value: Any) -> Any:
    """Plain data as people write it: what holds only single values stands on one line."""
    if isinstance(value, dict):
        made: CommentedMap | CommentedSeq = CommentedMap((name, compact(each)) for name, each in value.items())
        parts: Iterable[Any] = value.values()
    elif isinstance(value, (list, tuple)):
        made, parts = CommentedSeq(compact(each) for each in value), value
    else:
        return value
    nested = [each for each in parts if isinstance(each, (dict, list, tuple))]
    if not nested or (
        isinstance(value, dict)
        and not any(isinstance(inner, (dict, list, tuple)) for each in nested for inner in each)
        and not any(isinstance(each, dict) for each in nested)
    ):
        made.fa.set_flow_style()
    return made


def written(value: Any) -> str:
    """A value as YAML."""
    return _dumped(value).removesuffix("...\n")


def _loaded(text: str) -> Any:
    return _yaml().load(_VARIABLE.sub("$\ue000\\1\ue001", text))


def _dumped(value: Any) -> str:
    made = io.StringIO()
    _yaml().dump(value, made)
    return _HIDDEN.sub(r"${\1}", made.getvalue())


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4_096  # never break a line that was whole
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _put(at: Any, path: list[str | int], value: Any) -> None:
    key, rest = path[0], path[1:]
    if isinstance(at, CommentedSeq):
        if key == "+":
            at.append(CommentedMap() if rest else value)
            key = len(at) - 1
        if not isinstance(key, int) or not 0 <= key < len(at):
            raise ValueError(f"There is no place {key} in this list.")
    elif not isinstance(at, CommentedMap):
        raise ValueError(f"{key} cannot stand within a single value.")
    if rest:
        if isinstance(at, CommentedMap) and at.get(key) is None:
            at[key] = CommentedSeq() if rest[0] == "+" else CommentedMap()
        _put(at[key], rest, value)
    elif value is GONE:
        if isinstance(at, CommentedMap):
            at.pop(key, None)
        else:
            del at[key]
    else:
        at[key] = value
