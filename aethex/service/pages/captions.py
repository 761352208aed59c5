"""Forms of a VOD's page that bring and remove captions.

What belongs here: reading forms, and where they lead. What does not: what they do
(`service.captions`), the same for programs (`api.captions`).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from aethex.media.webvtt import MAX_BYTES
from aethex.service.captions import Brought, put_captions, remove_captions
from aethex.service.identity import required_user
from aethex.service.pages.routes import watch_page
from aethex.service.problems import Problem

router = APIRouter(include_in_schema=False)


@router.post("/vods/{vod_id}/captions")
def bring(
    request: Request,
    vod_id: str,
    file: UploadFile | None = None,
    language: Annotated[str, Form()] = "",
    label: Annotated[str, Form()] = "",
    is_for_deaf: Annotated[str, Form()] = "",
) -> Response:
    """Keep the captions that the owner sent; what cannot be read is said, and the form stays."""
    required_user(request)
    data = file.file.read(MAX_BYTES + 1) if file is not None else b""
    kind = "captions" if is_for_deaf == "yes" else "subtitles"
    try:
        put_captions(request, vod_id, Brought(language, data, label, kind))
    except Problem as problem:
        if problem.status not in (409, 422):
            raise
        found = problem.errors
        said = f"{found[0].detail} {found[0].remedy}" if found else problem.detail
        written = {"language": language, "label": label, "kind": kind, "error": said}
        return watch_page(request, vod_id, captions_form=written, status=problem.status)
    return RedirectResponse(f"/vods/{vod_id}#captions", status_code=303)


@router.post("/vods/{vod_id}/captions/{language}/remove")
def remove(request: Request, vod_id: str, language: str) -> Response:
    """Take captions away."""
    remove_captions(request, vod_id, language)
    return RedirectResponse(f"/vods/{vod_id}#captions", status_code=303)
