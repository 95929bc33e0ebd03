"""What the platforms' descriptions say of an audience request, by validators that share no code with what builds it."""

from __future__ import annotations

import hashlib
import json
import re
from email import message_from_bytes
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jsonschema import Draft202012Validator

from signalpost.destinations.contract import Request

_FOLDER = files("signalpost.platforms")


def complaints(platform: str, request: Request) -> list[str]:
    """What the platform's description has against a request; empty when nothing."""
    return _of_pinterest(request) if platform == "pinterest" else _of_tiktok(request)


def _modern(node: Any) -> Any:
    """An OpenAPI 3.0 schema in JSON Schema's words: what is `nullable` may be null."""
    if isinstance(node, list):
        return [_modern(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {name: _modern(value) for name, value in node.items() if name != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") is True else made


_PINTEREST = _modern(json.loads((_FOLDER / "pinterest-v5-audiences.json").read_text()))


def _of_pinterest(request: Request) -> list[str]:
    split = urlsplit(request.url)
    if request.headers.get("authorization", "")[:7] != "Bearer ":
        return ["there is no bearer token"]
    for path, operations in _PINTEREST["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", r"[0-9]{1,18}", "/v5" + path), split.path) and request.method.lower() in operations:
            operation = operations[request.method.lower()]
            break
    else:
        return [f"there is no {request.method} {split.path}"]
    found = []
    known = [_deref(parameter) for parameter in operation.get("parameters", ())]
    asked = parse_qs(split.query)
    schemas = {parameter["name"]: parameter["schema"] for parameter in known if parameter["in"] == "query"}
    found += [f"unknown parameter {name}" for name in asked.keys() - schemas.keys()]
    for name, values in asked.items():
        value = int(values[0]) if schemas.get(name, {}).get("type") == "integer" else values[0]
        found += _against(schemas.get(name, {}), value)
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        found += _against(schema, json.loads(request.body))
        body = json.loads(request.body)
        allowed = _properties(schema["items"] if schema.get("type") == "array" else schema)
        found += [
            f"unknown field {name}" for one in (body if isinstance(body, list) else [body]) for name in one.keys() - allowed
        ]
    elif request.body:
        found.append("there is a body where none is expected")
    return found


def _deref(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = _PINTEREST
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _properties(schema: dict[str, Any]) -> set[str]:
    """Every field a schema names: what Pinterest does not name, it ignores or refuses."""
    schema = _deref(schema)
    found = set(schema.get("properties", {}))
    for part in schema.get("allOf", ()):
        found |= _properties(part)
    return found


def _against(schema: dict[str, Any], value: Any) -> list[str]:
    validator = Draft202012Validator({**schema, "components": _PINTEREST["components"]})
    return [str(error.message) for error in validator.iter_errors(value)]


_TIKTOK = {
    **json.loads((_FOLDER / "tiktok-v13-audiences.json").read_text())["endpoints"],
    **json.loads((_FOLDER / "tiktok-segments.json").read_text())["endpoints"],
}
_ID_TYPES = {"EMAIL_SHA256", "PHONE_SHA256", "IDFA_SHA256", "AAID_SHA256", "IDFA_MD5", "AAID_MD5"}


def _of_tiktok(request: Request) -> list[str]:
    split = urlsplit(request.url)
    path = split.path.removeprefix("/open_api/v1.3")
    if path not in _TIKTOK or _TIKTOK[path]["method"] != request.method:
        return [f"there is no {request.method} {path}"]
    if not request.headers.get("access-token"):
        return ["there is no access token"]
    schema = _TIKTOK[path]["schema"]
    kinds = schema["properties"]
    if request.method == "GET":
        value = {
            name: json.loads(given[0]) if kinds.get(name, {}).get("type") in {"array", "integer"} else given[0]
            for name, given in parse_qs(split.query).items()
        }
    elif _TIKTOK[path]["media"] == "multipart/form-data":
        value, wrong = _form(request)
        if wrong:
            return [wrong]
    else:
        value = json.loads(request.body)
    found = [str(error.message) for error in Draft202012Validator(schema).iter_errors(value)]
    found += [f"unknown field {name}" for name in value.keys() - kinds.keys()]
    return found + (_mapping(value) if path == "/segment/mapping/" else [])


def _form(request: Request) -> tuple[dict[str, Any], str]:
    """The fields of a form of several parts, read by the standard library; and what is wrong with its file."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    fields: dict[str, Any] = {}
    name = ""
    for part in message_from_bytes(head + request.body).get_payload():
        content = part.get_payload(decode=True)  # type: ignore[union-attr]
        key = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
        name = part.get_filename() or name  # type: ignore[union-attr]
        fields[str(key)] = content.decode()  # type: ignore[union-attr]
    if not name.endswith((".csv", ".txt")):
        return fields, "the file's name ends neither in .csv nor in .txt"
    if hashlib.md5(fields["file"].encode()).hexdigest() != fields.get("file_signature"):
        return fields, "file_signature is not the file's"
    return fields, ""


def _mapping(value: dict[str, Any]) -> list[str]:
    """What holds inside `batch_data`: by position of `id_schema`, `{}` for what a person lacks."""
    kinds = value["id_schema"]
    found = [f"unknown id type {kind}" for kind in kinds if kind not in _ID_TYPES]
    found += ["id types repeat"] if len(set(kinds)) < len(kinds) else []
    found += ["two kinds of device ids"] if {"IDFA_SHA256", "AAID_SHA256"} <= set(kinds) else []
    found += ["more than 1,000 rows"] if len(value["batch_data"]) > 1_000 else []
    for row in value["batch_data"]:
        found += ["a row is not as long as id_schema"] if len(row) != len(kinds) else []
        found += ["a row names nobody"] if not any(row) else []
        found += [
            f"bad item {item}"
            for item in row
            if item
            and (set(item) != {"id", "audience_ids"} or not re.fullmatch("[0-9a-f]{64}", item["id"]) or not item["audience_ids"])
        ]
    return found
