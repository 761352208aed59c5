"""The section "Your channels": the user's own channels, or the form to make one.

What belongs here: list and form. What does not: a channel's inputs and recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from aethex.library import User, channels
from aethex.service.identity import actor_of, required_user
from aethex.service.pages.settings.sections import Section, refusing, saved
from aethex.service.pages.views import channel_view
from aethex.service.resources import resources_of


def _values(_: Request, s: Session, user: User) -> Mapping[str, Any]:
    return {"channels": [channel_view(channel) for channel in channels.owned_by(s, user.id)]}


SECTION = Section("channels", "Your channels", _values)
router = APIRouter()


@router.post("/channels")
def make_channel(
    request: Request, username: Annotated[str, Form()] = "", title: Annotated[str, Form()] = ""
) -> Response:
    """Make the user's channel."""
    user = required_user(request)
    with (
        refusing(SECTION, "username", username=username, title=title),
        resources_of(request).library.session() as s,
    ):
        channels.create(s, actor_of(request), user.id, username, title.strip() or username)
    return saved(SECTION)
