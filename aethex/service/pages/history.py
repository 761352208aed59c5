"""What the signed-in visitor watched: the page, and its forms.

What belongs here: which rows it needs, removing and undoing. What does not: the rules
(`library.watching`), HTML.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aethex.library import watching
from aethex.library.ids import is_id
from aethex.service.api.schemas import utc_text
from aethex.service.identity import required_user, visitor_of
from aethex.service.pages.loading import load_views
from aethex.service.pages.own_paths import sign_in_path
from aethex.service.pages.templating import draw
from aethex.service.pages.views import VodView
from aethex.service.pages.wording import count_text, date_text, exact_date_text
from aethex.service.problems import bad_field
from aethex.service.resources import resources_of

router = APIRouter(include_in_schema=False, prefix="/history")

ITEMS_A_PAGE = 24
PageField = Annotated[int, Form(ge=1, le=1_000_000)]


@dataclass(frozen=True, slots=True)
class Item:
    """A VOD in the history."""

    vod: VodView
    at_text: str
    at_exact: str
    at_iso: str


@dataclass(frozen=True, slots=True)
class Removed:
    """What was just taken out, and the name by which it comes back."""

    text: str
    at: str


@router.get("", response_class=HTMLResponse)
def history(
    request: Request,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    removed: Annotated[int, Query(ge=0)] = 0,
    removed_at: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """One page of the history; after a removal, with the offer to undo it."""
    resources, visitor = resources_of(request), visitor_of(request)
    if visitor.user is None:
        return RedirectResponse(sign_in_path(request), status_code=303)
    with resources.library.session() as session:
        found, total = watching.history(session, visitor.user, page, ITEMS_A_PAGE)
        cards = load_views(session, [one.vod for one in found], resources, visitor)
    return draw(
        request,
        "history.html",
        here="history",
        items=[
            Item(card, date_text(at), exact_date_text(at), utc_text(at))
            for card, at in zip(cards, (one.client_at for one in found), strict=True)
        ],
        total=total,
        page=page,
        page_count=math.ceil(total / ITEMS_A_PAGE),
        page_path=_page_path,
        removed=Removed(
            f"Removed {count_text(removed, 'VOD', 'VODs')} from your history.", removed_at
        )
        if removed and removed_at
        else None,
    )


@router.post("/remove")
def remove(request: Request, vod_id: Annotated[str, Form()], page: PageField = 1) -> Response:
    """Take one VOD out."""
    user, now = required_user(request), datetime.now(UTC)
    with resources_of(request).library.session() as session:
        removed = watching.remove(session, user.id, vod_id, now) if is_id("vod", vod_id) else 0
    return _after_removal(page, removed, now)


@router.post("/clear")
def clear(request: Request) -> Response:
    """Take all of it out."""
    user, now = required_user(request), datetime.now(UTC)
    with resources_of(request).library.session() as session:
        removed = watching.clear(session, user.id, now)
    return _after_removal(1, removed, now)


@router.post("/restore")
def restore(
    request: Request, removed_at: Annotated[str, Form(max_length=40)], page: PageField = 1
) -> Response:
    """Undo a removal."""
    user = required_user(request)
    try:
        at = datetime.fromisoformat(removed_at)
    except ValueError:
        raise bad_field("removed_at", "It is no time.", "Press undo on the page again.") from None
    with resources_of(request).library.session() as session:
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        watching.restore(session, user.id, at, datetime.now(UTC))
    return RedirectResponse(_page_path(page), status_code=303)


def _after_removal(page: int, removed: int, at: datetime) -> Response:
    query = {"page": page} if page > 1 else {}
    if removed:
        query |= {"removed": removed, "removed_at": utc_text(at)}
    return RedirectResponse("/history" + (f"?{urlencode(query)}" if query else ""), 303)


def _page_path(page: int) -> str:
    return f"/history?page={page}" if page > 1 else "/history"
