"""The OpenAPI description and the server agree, whatever is sent."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from signalpost.web import intake, openapi

from .conftest import API_KEY, KEY, SITE

OPERATIONS: list[Any] = [found.ok() for found in schemathesis.openapi.from_dict(openapi.description()).get_all_operations()]  # type: ignore[union-attr]


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.label for operation in OPERATIONS])
def test_any_request_to_any_address(server: Any, operation: Any) -> None:
    """Nothing sent to any address is answered with a server's error, nor with anything the description does not say."""
    auth = (KEY, "") if operation.path.startswith("/v1/") else (SITE, API_KEY)
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

    @given(case=operation.as_strategy())
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    def send(case: Any) -> None:
        case.call_and_validate(base_url=server.url, checks=checks, auth=auth)

    send()


def test_the_description_is_an_openapi_description(server: Any) -> None:
    """It is served as JSON, and its schemas are schemas."""
    answer = httpx.get(f"{server.url}/openapi.json")
    assert answer.json() == json.loads(json.dumps(openapi.description()))
    for schema in openapi.description()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_address_is_described() -> None:
    """The description and the table of endpoints name the same addresses and methods."""
    described_paths = openapi.description()["paths"]
    for path, operations in described_paths.items():
        filled = "/".join("x" if part.startswith("{") else part for part in path.split("/"))
        methods = {method for endpoint in intake.ENDPOINTS if endpoint.pattern.fullmatch(filled) for method in endpoint.methods}
        assert {method.upper() for method in operations} == methods, path
    names = {path.split("/")[2] for path in described_paths if path.startswith("/v1/")}
    assert names == {path.split("/")[2] for path in intake.PIPELINES} | {"projects"}
