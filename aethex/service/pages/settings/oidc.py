"""The section "Sign-in with <the issuer>": whether one's account there is linked, and unlinking it.

What belongs here: its form. What does not: linking, which is a sign-in there (`pages/oidc.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from aethex.library import User, accounts, identities
from aethex.service.identity import actor_of, required_user
from aethex.service.pages.link_tokens import link_token
from aethex.service.pages.settings.sections import Section, refusing, saved
from aethex.service.problems import Problem
from aethex.service.resources import resources_of


def _values(request: Request, s: Session, user: User) -> Mapping[str, Any]:
    oidc = resources_of(request).oidc
    assert oidc is not None
    identity = identities.of_user(s, user.id, oidc.issuer)
    return {
        "name": oidc.name,
        "linked_at": identity.created_at if identity else None,
        "is_last_way_in": accounts.with_password(s, user.username) is None,
        "link_token": link_token(request),
    }


def _heading(request: Request) -> str | None:
    oidc = resources_of(request).oidc
    return f"Sign-in with {oidc.name}" if oidc else None


SECTION = Section("oidc", "Sign-in elsewhere", _values, _heading)
router = APIRouter()


@router.post("/oidc/unlink")
def unlink(request: Request) -> Response:
    """Let the linked account no longer sign in here."""
    user, resources = required_user(request), resources_of(request)
    if resources.oidc is None:
        raise Problem(404, "There is no other way to sign in here.", kind="not-found")
    with refusing(SECTION, "unlink"), resources.library.session() as s:
        identities.unlink(s, actor_of(request), user.id, resources.oidc.issuer)
    return saved(SECTION)
