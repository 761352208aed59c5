"""How routes that read their query by themselves document it, for the OpenAPI document.

What belongs here: optional texts in a query. What does not: what concerns every operation
(`openapi`), and how a route can end (`problems`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def documented_query(meanings: Mapping[str, str]) -> list[dict[str, Any]]:
    """The `parameters` of a route's `openapi_extra`, from their meanings by name."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": {"type": "string"},
            "description": meaning,
        }
        for name, meaning in meanings.items()
    ]
