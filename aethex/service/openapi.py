"""The OpenAPI document, completed where FastAPI leaves gaps.

What belongs here: what concerns every operation (the schema of problems, one example each). What
does not: the descriptions of single routes; they stand at the routes.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.tables import Table
from aethex.service.api.measures import (
    ChannelAnalyticsOut,
    SegmentOut,
    StreamAnalyticsOut,
    ViewersChartOut,
)
from aethex.service.api.schemas import ChannelOut, VodDetailOut, VodOut
from aethex.service.ingest.events import KINDS, Event
from aethex.service.problems import ProblemBody

_WITH_EXAMPLES = (
    ChannelOut,
    VodOut,
    VodDetailOut,
    SegmentOut,
    StreamAnalyticsOut,
    ChannelAnalyticsOut,
    ViewersChartOut,
)
_UNUSED = ("HTTPValidationError", "ValidationError")


def complete_openapi(app: FastAPI) -> None:
    """Make `app.openapi()` give the completed document, built once when first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["ProblemBody"] = problem
    schemas.update(_event_schemas())
    for model in _WITH_EXAMPLES:  # FastAPI leaves out their nulls, which are what is to be shown
        schemas[model.__name__]["examples"] = model.model_json_schema()["examples"]
    for name in _UNUSED:
        schemas.pop(name, None)
    for path in document["paths"].values():
        for operation in path.values():
            _give_example(operation, schemas)
    return document


def _give_example(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """The 200 answer's example, taken from its schema where the route gives none."""
    answer = operation["responses"].get("200", {})  # 204 has nothing to show
    content = answer.get("content", {}).get("application/json")
    if content is None or "example" in content:
        return
    example = _example_of(content["schema"], schemas)
    if example is not None:
        content["example"] = example


def _example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """An example that fits the schema: its own, or one made of its parts' examples."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("type") == "array":
        item = _example_of(schema["items"], schemas)
        return [] if item is None else [item]
    if "properties" in schema:
        return {name: _example_of(part, schemas) for name, part in schema["properties"].items()}
    return None


def _event_schemas() -> dict[str, Any]:
    """`Event` and one schema a kind, from the structs that decode them; what a field means stands
    with the columns of the kind's table.
    """
    (choice,), parts = msgspec.json.schema_components(
        [Event], ref_template="#/components/schemas/{name}"
    )
    for struct, kind in KINDS.items():
        table = EVENT_TABLES[kind]
        schema = parts[struct.__name__]
        schema["description"] = f"{struct.__doc__} Lands in `{table.name}`."
        for name, part in schema["properties"].items():
            part["description"] = _meaning(table, name)
    return {**parts, "Event": {**choice, "description": "One event; `kind` says which."}}


def _meaning(table: Table, name: str) -> str:
    if name == "kind":
        return "The kind of event."
    if name == "user_agent":
        return (
            "From backends: the user agent of the viewer's player; it is only asked for crawlers."
        )
    if name == "crawler":
        return "From relays with a platform token: the crawler that was recognised before."
    column = table.column(name)
    return f"{column.doc} [{column.unit}]" if column.unit else column.doc
