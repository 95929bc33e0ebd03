"""The intake's JSON endpoints as an OpenAPI description, served at `/openapi.json`."""

from __future__ import annotations

from typing import Any

from signalpost import __version__

_ANYTHING: dict[str, Any] = {"type": "object", "additionalProperties": True}
_ID = {"type": ["string", "integer", "null"]}
_TIME = {"type": ["string", "number", "null"], "description": "ISO 8601, or unix seconds or milliseconds."}
_UNIX = {"type": ["integer", "number", "string", "null"], "description": "Unix seconds."}

_SCHEMAS: dict[str, Any] = {
    "Message": {
        "type": "object",
        "description": "One message of the Segment spec; unknown keys are ignored.",
        "properties": {
            "type": {"enum": ["identify", "track", "page", "screen", "group", "alias"]},
            "userId": _ID,
            "anonymousId": _ID,
            "previousId": _ID,
            "groupId": _ID,
            "messageId": {"type": ["string", "null"], "description": "What deduplicates; derived from the content when absent."},
            "timestamp": _TIME,
            "sentAt": _TIME,
            "event": {"type": ["string", "null"]},
            "name": {"type": ["string", "null"]},
            "properties": {"type": ["object", "null"]},
            "traits": {"type": ["object", "null"]},
            "context": {"type": ["object", "null"]},
            "integrations": {"type": ["object", "null"]},
            "writeKey": {"type": "string"},
        },
    },
    "Batch": {
        "type": "object",
        "required": ["batch"],
        "properties": {
            "batch": {"type": "array", "maxItems": 2500, "items": {"$ref": "#/components/schemas/Message"}},
            "context": {"type": ["object", "null"]},
            "integrations": {"type": ["object", "null"]},
            "sentAt": _TIME,
            "writeKey": {"type": "string"},
        },
    },
    "TrackEvent": {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 500},
            "data": {"type": ["object", "null"]},
            "id": {"type": "string", "description": "What deduplicates (a ULID in Customer.io; any text here)."},
            "timestamp": _UNIX,
            "type": {"enum": ["event", "page", "screen"]},
            "anonymous_id": _ID,
        },
    },
    "Person": {
        "type": "object",
        "properties": {"id": _ID, "email": {"type": ["string", "null"]}, "cio_id": _ID},
        "description": "Exactly one of them.",
    },
    "Merge": {
        "type": "object",
        "required": ["primary", "secondary"],
        "properties": {"primary": {"$ref": "#/components/schemas/Person"}, "secondary": {"$ref": "#/components/schemas/Person"}},
    },
    "Device": {
        "type": "object",
        "required": ["device"],
        "properties": {
            "device": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "string", "minLength": 1},
                    "platform": {"enum": ["ios", "android"]},
                    "last_used": _UNIX,
                },
            }
        },
    },
    "Entity": {
        "type": "object",
        "required": ["type", "action"],
        "properties": {
            "type": {"enum": ["person", "object", "delivery"]},
            "action": {"type": "string"},
            "identifiers": _ANYTHING,
            "attributes": {"type": ["object", "null"]},
            "name": {"type": "string"},
            "id": {"type": "string"},
            "timestamp": _UNIX,
            "primary": {"$ref": "#/components/schemas/Person"},
            "secondary": {"$ref": "#/components/schemas/Person"},
            "device": _ANYTHING,
            "cio_relationships": {"type": "array", "items": _ANYTHING},
        },
    },
    "EntityBatch": {
        "type": "object",
        "required": ["batch"],
        "properties": {"batch": {"type": "array", "maxItems": 2500, "items": {"$ref": "#/components/schemas/Entity"}}},
    },
    "Done": {"type": "object", "maxProperties": 0},
    "Error": {
        "type": "object",
        "required": ["code", "message", "meta", "errors"],
        "properties": {
            "code": {"type": "string"},
            "message": {"type": "string"},
            "meta": {
                "type": "object",
                "required": ["error", "errors"],
                "properties": {"error": {"type": "string"}, "errors": {"type": "array", "items": {"type": "string"}}},
            },
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Refused"}},
        },
    },
    "Refused": {
        "type": "object",
        "required": ["reason", "field", "message"],
        "properties": {
            "reason": {"type": "string"},
            "field": {"type": "string"},
            "message": {"type": "string"},
            "path": {"type": "string"},
            "batch_index": {"type": "integer"},
        },
    },
    "SomeRefused": {
        "type": "object",
        "required": ["errors"],
        "properties": {"errors": {"type": "array", "items": {"$ref": "#/components/schemas/Refused"}}},
    },
    "Settings": {"type": "object", "required": ["integrations", "metrics"]},
    "Region": {
        "type": "object",
        "required": ["url", "region", "environment_id"],
        "properties": {"url": {"type": "string"}, "region": {"enum": ["us", "eu"]}, "environment_id": {"type": "integer"}},
    },
}


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _answer(sentence: str, name: str) -> dict[str, Any]:
    return {"description": sentence, "content": _json(name)}


_WAIT = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_ERRORS: dict[str, Any] = {
    "400": _answer("Refused: path and sentence for each message. What is good of a batch is stored all the same.", "Error"),
    "401": _answer("No key we know.", "Error"),
    "404": _answer("Nothing at this address.", "Error"),
    "405": _answer("The address takes other methods.", "Error"),
    "408": _answer("The body did not arrive in time.", "Error"),
    "413": _answer("The request is too large.", "Error"),
    "415": _answer("An unknown Content-Encoding.", "Error"),
    "429": {**_answer("Behind; come again.", "Error"), "headers": _WAIT},
    "503": {**_answer("The request could not be stored; come again.", "Error"), "headers": _WAIT},
}


def _operation(
    summary: str,
    tag: str,
    security: str | None,
    body: str | dict[str, Any] | None = None,
    *,
    parameters: tuple[dict[str, Any], ...] = (),
    answers: dict[str, Any] | None = None,
    required: bool = True,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "tags": [tag],
        "security": [{security: []}] if security else [],
        "responses": {**(answers or {"200": _answer("Stored.", "Done")}), **_ERRORS},
    }
    if body is not None:
        content = _json(body) if isinstance(body, str) else {"application/json": {"schema": body}}
        operation["requestBody"] = {"required": required, "content": content}
    if parameters:
        operation["parameters"] = list(parameters)
    return operation


def _in_path(name: str, sentence: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": sentence, "schema": {"type": "string", "minLength": 1}}


def _header(name: str, sentence: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "description": sentence, "schema": {"type": "string"}}


_PERSON = _in_path("identifier", "`cio_` and the Customer.io id, an e-mail address, or the shop's own id; percent-encoded.")
_STRICT = _header("X-Strict-Mode", "`1`: a batch with refused messages answers 400 (the good ones are stored).")


def _pipelines() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for name, short in (("identify", "i"), ("track", "t"), ("page", "p"), ("screen", "s"), ("group", "g"), ("alias", "a")):
        for path in (name, short):
            summary = f"One {name} message" + (" (short form of the browser library)" if path == short else "")
            paths[f"/v1/{path}"] = {"post": _operation(summary, "Pipelines", "writeKey", "Message")}
    for path in ("batch", "b"):
        summary = "Up to 2,500 messages, 1 MB" + (" (short form of the browser library)" if path == "b" else "")
        paths[f"/v1/{path}"] = {"post": _operation(summary, "Pipelines", "writeKey", "Batch", parameters=(_STRICT,))}
    paths["/v1/projects/{writeKey}/settings"] = {
        "get": _operation(
            "What a browser library loads first",
            "Pipelines",
            None,
            parameters=(_in_path("writeKey", "A source's write key."),),
            answers={"200": _answer("The settings.", "Settings")},
        )
    }
    return paths


def _track() -> dict[str, Any]:
    def person(
        summary: str, body: str | dict[str, Any] | None = None, *more: dict[str, Any], required: bool = True
    ) -> dict[str, Any]:
        return _operation(summary, "Track v1", "siteKey", body, parameters=(_PERSON, *more), required=required)

    def plain(summary: str, body: str | dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
        return _operation(summary, "Track v1", "siteKey", body, parameters=more)

    at = "/api/v1/customers/{identifier}"
    segment = _in_path("segment", "The manual segment's id.")
    kind = {"name": "id_type", "in": "query", "schema": {"enum": ["id", "email", "cio_id"]}}
    people = {
        "type": "object",
        "required": ["ids"],
        "properties": {"ids": {"type": "array", "maxItems": 1000, "items": {"type": "string"}}},
    }
    form: dict[str, Any] = {"type": "object", "required": ["data"], "properties": {"data": _ANYTHING}}
    submitted = {"204": {"description": "Stored."}}
    some = {"200": _answer("Stored.", "Done"), "207": _answer("Some items are refused; the others are stored.", "SomeRefused")}
    report: dict[str, Any] = {
        "type": "object",
        "required": ["delivery_id"],
        "properties": {
            "delivery_id": {"type": "string"},
            "metric": {"type": "string"},
            "event": {"type": "string"},
            "timestamp": _UNIX,
        },
    }
    return {
        at: {
            "put": person("Create or update a person", _ANYTHING),
            "delete": person("Delete a person"),
        },
        f"{at}/suppress": {"post": person("Delete a person and block the identifier")},
        f"{at}/unsuppress": {"post": person("Free a blocked identifier")},
        f"{at}/events": {"post": person("What a person did", "TrackEvent")},
        f"{at}/devices": {"put": person("Add a device", "Device")},
        f"{at}/devices/{{device}}": {"delete": person("Remove a device", None, _in_path("device", "The device's token."))},
        "/api/v1/events": {"post": plain("What somebody anonymous did", "TrackEvent")},
        "/api/v1/merge_customers": {"post": plain("Two people are one", "Merge")},
        "/api/v1/segments/{segment}/add_customers": {"post": plain("Accepted and not used", people, segment, kind)},
        "/api/v1/segments/{segment}/remove_customers": {"post": plain("Accepted and not used", people, segment, kind)},
        "/api/v1/metrics": {"post": plain("What became of a message", report)},
        "/api/v1/push/events": {"post": plain("What became of a push message", report)},
        "/api/v1/forms/{form}/submit": {
            "post": _operation(
                "A form's answers",
                "Track v1",
                "siteKey",
                form,
                parameters=(_in_path("form", "The form's id."),),
                answers=submitted,
            )
        },
        "/api/v1/accounts/region": {
            "get": _operation("Where this account is", "Track v1", "siteKey", answers={"200": _answer("The region.", "Region")})
        },
        "/auth": {"get": _operation("Whether the credentials are good", "Track v1", "siteKey")},
        "/unsubscribe/{delivery}": {
            "post": _operation(
                "A link in a message was followed",
                "Track v1",
                None,
                {"type": "object", "required": ["unsubscribe"], "properties": {"unsubscribe": {"const": True}}},
                parameters=(_in_path("delivery", "The delivery's id."),),
            )
        },
        "/api/v2/entity": {"post": _operation("One person, object or delivery", "Track v2", "siteKey", "Entity")},
        "/api/v2/batch": {"post": _operation("Several of them, 1 MB", "Track v2", "siteKey", "EntityBatch", answers=some)},
    }


def _webhooks() -> dict[str, Any]:
    source = _in_path("source", "The source's name in the workspace file.")
    signed = _header("X-Shopify-Hmac-Sha256", "Base64 HMAC-SHA256 of the body.", required=True)
    topic = _header("X-Shopify-Topic", "Such as orders/paid.")
    signature = _header("X-CIO-Signature", "Hex HMAC-SHA256 of `v0:timestamp:body`.", required=True)
    timestamp = _header("X-CIO-Timestamp", "Unix seconds.", required=True)
    return {
        "/webhooks/shopify/{source}": {
            "post": _operation("A Shopify webhook", "Webhooks", None, _ANYTHING, parameters=(source, signed, topic))
        },
        "/webhooks/customerio/{source}": {
            "post": _operation(
                "A Customer.io reporting webhook", "Webhooks", None, _ANYTHING, parameters=(source, signature, timestamp)
            )
        },
    }


def description() -> dict[str, Any]:
    """The whole description (OpenAPI 3.1)."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Signalpost intake",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Customer.io's Pipelines and Track APIs, Segment's HTTP API, and webhooks. A 2xx means stored.",
        },
        "paths": {**_pipelines(), **_track(), **_webhooks()},
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {
                "writeKey": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The write key as user; or Bearer; or `writeKey` in the body.",
                },
                "siteKey": {"type": "http", "scheme": "basic", "description": "Site id as user, API key as password."},
            },
        },
    }
