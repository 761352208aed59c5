"""The section "Profile": the name that others see.

What belongs here: its form. What does not: the username, which is in addresses and stays.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from aethex.library import accounts
from aethex.service.identity import actor_of, required_user
from aethex.service.pages.settings.sections import Section, refusing, saved
from aethex.service.resources import resources_of

SECTION = Section("profile", "Profile")
router = APIRouter()


@router.post("/profile")
def save_profile(request: Request, display_name: Annotated[str, Form()] = "") -> Response:
    """Set the display name."""
    user = required_user(request)
    with (
        refusing(SECTION, "display_name", display_name=display_name),
        resources_of(request).library.session() as s,
    ):
        accounts.set_display_name(s, actor_of(request), user.id, display_name)
    return saved(SECTION)
