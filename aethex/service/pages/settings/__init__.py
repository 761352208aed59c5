"""`/settings`: what people set about themselves, one section under another.

What belongs here: which sections there are and in which order, and drawing all of them. What does
not: what a section shows and does. A section is three things: a module beside this one with a
`router` and a `SECTION` (`sections.py` tells its parts), a template part in `templates/settings/`,
and a place in `_MODULES`.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from aethex.service.identity import required_user
from aethex.service.pages.settings import (
    channels,
    inputs,
    oidc,
    password,
    profile,
    recording,
    sessions,
)
from aethex.service.pages.settings.sections import Refused
from aethex.service.pages.templating import draw
from aethex.service.resources import resources_of

_MODULES = (profile, channels, inputs, recording, password, oidc, sessions)
SECTIONS = tuple(module.SECTION for module in _MODULES)

router = APIRouter(prefix="/settings", include_in_schema=False)
for _module in _MODULES:
    router.include_router(_module.router)


@router.get("", response_class=HTMLResponse)
def settings_page(request: Request, saved: str = "") -> Response:
    """All sections of who is signed in; `saved` names the one that was just changed."""
    return _draw(request, saved=saved)


def answer_refused(request: Request, refused: Refused) -> HTMLResponse:
    """The page again, with what was entered and why it was refused."""
    return _draw(request, refused=refused)


def _draw(request: Request, *, saved: str = "", refused: Refused | None = None) -> HTMLResponse:
    user = required_user(request)
    titles = {section.name: section.title_in(request) for section in SECTIONS}
    sections = [section for section in SECTIONS if titles[section.name]]
    with resources_of(request).library.session() as s:
        values = {section.name: dict(section.values(request, s, user)) for section in sections}
    return draw(
        request,
        "settings.html",
        status=422 if refused else 200,
        here="settings",
        sections=sections,
        titles=titles,
        values=values,
        saved=saved,
        refused=refused,
    )
