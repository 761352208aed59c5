"""The section "Signed in": where the user is signed in, and ending it everywhere.

What belongs here: its form. What does not: the session's cookie.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from aethex.library import User, audit, sessions
from aethex.service.identity import actor_of, required_user, session_keep, sign_out
from aethex.service.pages.settings.sections import Section
from aethex.service.resources import resources_of


def _values(request: Request, s: Session, user: User) -> Mapping[str, Any]:
    return {"count": sessions.count(s, user.id, datetime.now(UTC), session_keep(request))}


SECTION = Section("sessions", "Signed in", _values)
router = APIRouter()


@router.post("/sessions/end")
def sign_out_everywhere(request: Request) -> Response:
    """End all sessions of the user, this one too."""
    user = required_user(request)
    with resources_of(request).library.session() as s:
        ended = sessions.end_all(s, user.id)
        audit.record(s, actor_of(request), "user.sign_out_everywhere", user.id, sessions=ended)
    response = RedirectResponse("/", status_code=303)
    sign_out(request, response)
    return response
