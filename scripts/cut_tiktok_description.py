"""Cut the requests of TikTok's customer-file audiences out of the YAML files of its official SDK.

    python scripts/cut_tiktok_description.py FOLDER OUTPUT

FOLDER is `yml_files` of github.com/tiktok/tiktok-business-api-sdk; OUTPUT is
`src/signalpost/platforms/tiktok-v13-audiences.json`: per endpoint the JSON Schema of its body or of its query.
What only their gateway reads (`x-open-*`) goes, but for the enums that hide in it; so does `Access-Token`, which
the files show in the query and the API takes as a header. Nothing else is rewritten.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ENDPOINTS = ("file_upload", "create", "update", "get", "list", "delete", "apply", "apply_log")
KEPT = ("type", "description", "default", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "required")


def schema(node: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of the files as a plain JSON Schema."""
    kept = {key: node[key] for key in KEPT if key in node}
    if "x-open-enum" in node:
        kept["enum"] = [each["key"] for each in node["x-open-enum"]["enums"] if each["is_valid"]]
    if "properties" in node:
        kept["properties"] = {name: schema(each) for name, each in node["properties"].items()}
    if "items" in node:
        kept["items"] = schema(node["items"])
    return kept


def query(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the query's parameters as the schema of one object."""
    wanted = [each for each in parameters if each["name"] != "Access-Token"]
    properties = {}
    for each in wanted:
        inner = each["schema"] if "schema" in each else each["content"]["application/json"]["schema"]
        properties[each["name"]] = {**schema(inner), "description": each.get("description", "")}
    required = [each["name"] for each in wanted if each["required"]]
    return {"type": "object", "properties": properties, "required": required}


def main() -> None:
    """Read the files of the folder named first, write their cut to the file named second."""
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    endpoints: dict[str, Any] = {}
    for name in ENDPOINTS:
        text = (folder / f"dmp_custom_audience_{name}.yml").read_text(encoding="utf-8")
        for path, verbs in YAML(typ="safe").load(text)["paths"].items():
            for verb, operation in verbs.items():
                body = operation.get("requestBody", {}).get("content", {})
                [shape] = [schema(each["schema"]) for each in body.values()] or [query(operation["parameters"])]
                endpoints[path] = {"method": verb.upper(), "media": next(iter(body), None), "schema": shape}
    comment = (
        "Cut from yml_files/dmp_custom_audience_*.yml of github.com/tiktok/tiktok-business-api-sdk, commit "
        "f809c396520df2d7b201a9ccc5378d822b728ed3 (2026-02-27), MIT: LICENSE-tiktok.txt beside this file."
    )
    content = {"$comment": comment, "endpoints": endpoints}
    target.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
