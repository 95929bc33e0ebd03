"""Conditions as plain data: mappings, lists and texts, written as YAML or taken as if a file had them."""

from __future__ import annotations

import json
import re
from typing import Any

from signalpost.marked import Value

_PLAIN = re.compile(r"[A-Za-z0-9][\w.%/+-]*( [\w.%/+-]+)*")
"""Text that is the same text in YAML without quotes."""


def written(raw: Any) -> str:
    """Plain data as a line of YAML, to be copied into a workspace file: `{order.value: {lte: 0}}`."""
    if isinstance(raw, dict):
        return "{" + ", ".join(f"{written(key)}: {written(each)}" for key, each in raw.items()) + "}"
    if isinstance(raw, (list, tuple)):
        return "[" + ", ".join(written(each) for each in raw) + "]"
    text = "" if raw is None else str(raw).lower() if isinstance(raw, bool) else str(raw)
    return text if _PLAIN.fullmatch(text) and text.lower() != "null" else json.dumps(text, ensure_ascii=False)


def marked(raw: Any, where: str) -> Value:
    """Plain data as the values that a file's text has."""
    value = Value(path=where, line=0, column=0, key_line=0, kind="nothing")
    if isinstance(raw, dict):
        value.kind = "mapping"
        value.entries = {str(key): marked(each, f"{where}.{key}") for key, each in raw.items()}
    elif isinstance(raw, (list, tuple)):
        value.kind = "list"
        value.items = [marked(each, f"{where}[{place}]") for place, each in enumerate(raw)]
    elif raw is not None:
        value.kind = "scalar"
        value.boolean = isinstance(raw, bool)
        value.raw = value.text = str(raw).lower() if value.boolean else str(raw)
    return value
