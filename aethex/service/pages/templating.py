"""Drawing a template as an answer.

What belongs here: the Jinja environment (everything is escaped) and the headers of a page. What
does not: what a page shows (`views.py`).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from aethex.service.addresses import dashboards_url
from aethex.service.headers import PAGE_POLICY
from aethex.service.pages.wording import page_numbers
from aethex.service.resources import resources_of

TEMPLATES_DIR = Path(__file__).parent.parent / "templates"


@lru_cache
def _environment() -> Environment:
    """Templates, compiled once. An unknown name in one is an error, not an empty place."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["page_numbers"] = page_numbers
    return environment


def draw(
    request: Request, name: str, *, status: int = 200, policy: str = PAGE_POLICY, **values: Any
) -> HTMLResponse:
    """The template `name` as an answer. Caches ask before they use it: its addresses run out."""
    resources = resources_of(request)
    html = (
        _environment()
        .get_template(name)
        .render(
            static=resources.static.own.url,
            vendor=resources.static.vendor.url,
            dashboards_url=dashboards_url(resources.settings),
            public_url=resources.settings.effective_public_url,
            here=values.pop("here", ""),
            **values,
        )
    )
    return HTMLResponse(
        html,
        status_code=status,
        headers={
            "Content-Security-Policy": policy,
            "Cache-Control": "no-cache" if status < 400 else "no-store",
        },
    )
