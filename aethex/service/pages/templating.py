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
from markupsafe import Markup
from starlette.responses import HTMLResponse

from aethex.service.addresses import dashboards_url
from aethex.service.csrf import FIELD, csrf_token
from aethex.service.headers import PAGE_POLICY
from aethex.service.identity import visitor_of
from aethex.service.pages.own_paths import sign_in_path
from aethex.service.pages.wording import page_numbers, tint_of
from aethex.service.resources import resources_of

TEMPLATES_DIR = Path(__file__).parent.parent / "templates"
ACCOUNT_LINKS = (("/history", "History"), ("/settings", "Settings"))
"""What the account's menu leads to, beside signing out."""

_FIELD = Markup(f'<input type="hidden" name="{FIELD}" value="{{}}">')


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
    """The template `name` as an answer, which may ask the library who the visitor is.

    Caches ask before they use it: its addresses run out. What a signed-in visitor sees is kept
    nowhere. Every template has `user` (None: nobody is signed in), and `csrf_field` for its forms.
    """
    resources = resources_of(request)
    user, token = visitor_of(request).user, csrf_token(request)
    html = (
        _environment()
        .get_template(name)
        .render(
            static=resources.static.own.url,
            vendor=resources.static.vendor.url,
            dashboards_url=dashboards_url(resources.settings),
            public_url=resources.settings.effective_public_url,
            here=values.pop("here", ""),
            user=user,
            account_tint=tint_of(user.username) if user else 0,
            account_links=ACCOUNT_LINKS,
            sign_in_path=sign_in_path(request),
            csrf_token=token,
            csrf_field=_FIELD.format(token) if token else "",
            **values,
        )
    )
    return HTMLResponse(
        html,
        status_code=status,
        headers={
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store" if user or status >= 400 else "no-cache",
            "Vary": "Cookie",
        },
    )
