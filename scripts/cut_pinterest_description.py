"""Cut the operations the Pinterest emulator answers out of Pinterest's official API description.

    python scripts/cut_pinterest_description.py DESCRIPTION FOLDER

DESCRIPTION is `v5/openapi.json` of github.com/pinterest/api-description (or a YAML of it); FOLDER is
`src/signalpost/platforms`, which gets one file for the events and one for the audiences. Operations are kept
whole, and every component they reach through `$ref`; nothing is rewritten.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

KEPT: dict[str, dict[str, tuple[str, ...]]] = {
    "pinterest-v5-events.json": {
        "/ad_accounts/{ad_account_id}": ("get",),
        "/ad_accounts/{ad_account_id}/events": ("post",),
        "/ad_accounts/{ad_account_id}/conversion_eqs": ("get",),
        "/ad_accounts/{ad_account_id}/conversion_tags": ("get",),
    },
    "pinterest-v5-audiences.json": {
        "/ad_accounts/{ad_account_id}/customer_lists": ("get", "post"),
        "/ad_accounts/{ad_account_id}/customer_lists/{customer_list_id}": ("get", "patch"),
        "/ad_accounts/{ad_account_id}/audiences": ("get", "post"),
        "/ad_accounts/{ad_account_id}/audiences/{audience_id}": ("get", "patch"),
        "/ad_accounts/{ad_account_id}/ad_groups": ("get", "patch"),
        "/ad_accounts/{ad_account_id}/ad_groups/{ad_group_id}": ("get",),
    },
}


def references(node: Any) -> Iterator[str]:
    """Yield every `$ref` below `node`."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def cut(description: dict[str, Any], kept: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the kept operations of `description` with exactly the components they reach."""
    paths = {path: {verb: description["paths"][path][verb] for verb in verbs} for path, verbs in kept.items()}
    components: dict[str, dict[str, Any]] = {}
    wanted = list(references(paths))
    while wanted:
        _, _, kind, name = wanted.pop().split("/", 3)
        if name in components.setdefault(kind, {}):
            continue
        components[kind][name] = description["components"][kind][name]
        wanted.extend(references(components[kind][name]))
    return {
        "openapi": description["openapi"],
        "info": description["info"],
        "servers": description["servers"],
        "paths": paths,
        "components": {kind: dict(sorted(named.items())) for kind, named in sorted(components.items())},
    }


def main() -> None:
    """Read the description named first, write its cuts into the folder named second."""
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    description = YAML(typ="safe").load(source.read_text(encoding="utf-8"))
    for name, kept in KEPT.items():
        text = json.dumps(cut(description, kept), indent=1, ensure_ascii=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
