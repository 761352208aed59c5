"""The section "Password": change it, which ends all other sessions.

What belongs here: its form. What does not: hashing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from aethex.library import User, accounts, sessions
from aethex.library.passwords import valid_password
from aethex.service.identity import (
    actor_of,
    address_of,
    keep_signed_in,
    required_user,
    sign_in,
    visitor_ahead,
)
from aethex.service.pages.settings.sections import Refused, Section, refusing, saved
from aethex.service.resources import resources_of


def _values(_: Request, s: Session, user: User) -> Mapping[str, Any]:
    return {"has_password": accounts.with_password(s, user.username) is not None}


SECTION = Section("password", "Password", _values)
router = APIRouter()


@router.post("/password")
async def change_password(
    request: Request,
    present: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
) -> Response:
    """Set a new password, with the present one. Everywhere else the user is signed out."""
    await visitor_ahead(request)
    user, resources = required_user(request), resources_of(request)
    with refusing(SECTION, "password"):
        valid_password(password, user.username)
    # the present password can be guessed here as well as at the sign-in
    bounds = await anyio.to_thread.run_sync(
        resources.throttle.sign_in, user.username, address_of(request)
    )
    stored = await anyio.to_thread.run_sync(_stored, request, user)
    if stored is None or not await resources.passwords.matches(stored, present):
        raise _wrong()
    await anyio.to_thread.run_sync(resources.throttle.succeed, bounds)
    hashed = await resources.passwords.hash(password)
    return await anyio.to_thread.run_sync(_keep, request, user, stored, hashed)


def _stored(request: Request, user: User) -> str | None:
    with resources_of(request).library.session() as s:
        found = accounts.with_password(s, user.username)
    return found[1] if found else None


def _wrong() -> Refused:
    return Refused(SECTION.name, "present", "That is not your present password.")


def _keep(request: Request, user: User, stored: str, hashed: str) -> Response:
    """The new password in place of the one that is `stored`, and a session in place of all that
    there were.
    """
    with resources_of(request).library.session() as s:
        if not accounts.has_password(s, user.id, stored):  # somebody else changed it meanwhile
            raise _wrong()
        accounts.set_password(s, actor_of(request), user.id, hashed, datetime.now(UTC))
        sessions.end_all(s, user.id)
        secret = sign_in(request, s, user)
    response = saved(SECTION)
    keep_signed_in(request, response, secret)
    return response
