"""Forms of the pages that do something: liking, following, and what owners do with a VOD.

What belongs here: reading forms, and where they lead. What does not: what they do (`vod_changes`,
the library), the same for programs (`api`).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from aethex.service import vod_changes
from aethex.service.api.likes import change_follow, change_like
from aethex.service.pages.own_paths import own_path
from aethex.service.pages.routes import watch_page
from aethex.service.problems import Problem

router = APIRouter(include_in_schema=False)

_FORM_OF_VOD = re.compile(r"^(/vods/[^/]+)/.*")

OnOrOff = Annotated[Literal["on", "off"], Form()]


@router.post("/vods/{vod_id}/like")
def like(request: Request, vod_id: str, like: OnOrOff) -> Response:
    """Like a VOD, or no more."""
    change_like(request, vod_id, is_liked=like == "on")
    return _back(request, f"/vods/{vod_id}")


@router.post("/channels/{channel_id}/follow")
def follow(request: Request, channel_id: str, follow: OnOrOff) -> Response:
    """Follow a channel, or no more."""
    change_follow(request, channel_id, is_following=follow == "on")
    return _back(request, "/")


@router.post("/vods/{vod_id}/edit")
def edit(
    request: Request,
    vod_id: str,
    title: Annotated[str, Form()] = "",
    description: Annotated[str, Form()] = "",
    is_public: Annotated[str, Form()] = "",
) -> Response:
    """Keep what the owner wrote; what cannot be kept is shown again with the reason."""
    try:
        vod_changes.edit_vod(
            request, vod_id, title=title, description=description, is_public=is_public == "yes"
        )
    except Problem as problem:
        if problem.status != 422 or not problem.errors:
            raise
        written = {
            **{"title": title, "description": description, "is_public": is_public},
            **{"error": problem.errors[0].detail, "error_field": problem.errors[0].field},
        }
        return watch_page(request, vod_id, edit=written, status=422)
    return RedirectResponse(f"/vods/{vod_id}", status_code=303)


@router.post("/vods/{vod_id}/delete")
def delete(request: Request, vod_id: str) -> Response:
    """Delete a VOD; its page then says how to have it back."""
    vod_changes.delete_vod(request, vod_id)
    return RedirectResponse(f"/vods/{vod_id}", status_code=303)


@router.post("/vods/{vod_id}/restore")
def restore(request: Request, vod_id: str) -> Response:
    """Have a deleted VOD back."""
    vod_changes.restore_vod(request, vod_id)
    return RedirectResponse(f"/vods/{vod_id}", status_code=303)


def _back(request: Request, otherwise: str) -> Response:
    """To the page of ours that the form was on."""
    came_from = urlsplit(request.headers.get("referer", ""))
    if came_from.netloc != request.headers.get("host"):
        return RedirectResponse(otherwise, status_code=303)
    # a form that was refused was drawn at its own address, which shows nothing by itself
    path = _FORM_OF_VOD.sub(r"\1", came_from.path)
    query = f"?{came_from.query}" if came_from.query and path == came_from.path else ""
    return RedirectResponse(own_path(path + query), status_code=303)
