"""The API's documentation: complete, true, and the same in docs/api.md."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from aethex.service.app import create_app
from aethex.settings import PROJECT_DIR, Settings

PROBLEM = "application/problem+json"


def app_without_anything() -> FastAPI:
    """An application that was never started: documentation needs no database."""
    return create_app(Settings(_env_file=None))  # pyright: ignore[reportCallIssue]


def operations() -> list[tuple[str, dict[str, Any]]]:
    document = app_without_anything().openapi()
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def routes() -> list[str]:
    found = iter_route_contexts(app_without_anything().routes)
    return sorted({str(route.path) for route in found})


@pytest.mark.parametrize(("name", "operation"), operations())
def test_every_operation_has_summary_description_and_an_example(
    name: str, operation: dict[str, Any]
) -> None:
    assert operation["summary"], name
    assert operation["description"], name
    if "204" not in operation["responses"]:
        answers = operation["responses"]["200"]["content"].values()
        assert any("example" in answer for answer in answers), name
    for parameter in operation.get("parameters", []):
        assert parameter.get("description"), (name, parameter["name"])


@pytest.mark.parametrize(("name", "operation"), operations())
def test_every_operation_documents_its_errors_as_problems(
    name: str, operation: dict[str, Any]
) -> None:
    errors = {
        status: answer for status, answer in operation["responses"].items() if int(status) >= 400
    }
    assert errors or name in ("GET /healthz", "GET /metrics")
    for status, answer in errors.items():
        assert answer["description"], (name, status)
        example = answer["content"][PROBLEM]["example"]
        assert example["status"] == int(status), (name, status)
    if operation.get("parameters"):
        assert "422" in errors


def test_every_schema_describes_all_of_its_fields() -> None:
    schemas = app_without_anything().openapi()["components"]["schemas"]
    for name, schema in schemas.items():
        assert schema.get("description"), name
        for field, part in schema.get("properties", {}).items():
            described = "description" in part or "$ref" in part
            assert described, f"{name}.{field}"


def test_examples_have_the_fields_of_their_schemas() -> None:
    schemas = app_without_anything().openapi()["components"]["schemas"]
    checked = 0
    for name, schema in schemas.items():
        for example in schema.get("examples", []):
            assert set(example) <= set(schema["properties"]), name
            assert set(schema.get("required", [])) <= set(example), name
            checked += 1
    assert checked >= 6


def test_every_route_is_in_the_documentation() -> None:
    text = (PROJECT_DIR / "docs" / "api.md").read_text()
    found = routes()
    assert "/api/vods/{vod_id}" in found
    missing = [path for path in found if path.replace(":path", "") not in text]
    assert missing == []


def test_every_kind_of_problem_is_in_the_documentation() -> None:
    text = (PROJECT_DIR / "docs" / "api.md").read_text()
    for kind in ("not-found", "not-in-build", "no-build-yet", "media-expired", "media-refused"):
        assert f"`{kind}`" in text
