"""`/api/vods/{id}/captions/{language}`: bringing and removing a VOD's captions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from aethex.library.models import CaptionsKind
from aethex.media.captions import MAX_LABEL_CHARACTERS
from aethex.media.webvtt import MAX_BYTES
from aethex.service.api.schemas import VodId
from aethex.service.api.vods import VodDetailOut, answer_vod
from aethex.service.captions import Brought, put_captions, remove_captions
from aethex.service.problems import Problem, documented_problems

router = APIRouter(tags=["vods"])

Language = Annotated[
    str,
    Path(max_length=64, description="Language (BCP 47), such as `en` or `pt-BR`.", examples=["en"]),
]
_TEXT = {"schema": {"type": "string"}}
_BODY = {
    "required": True,
    "description": "WebVTT or SubRip in UTF-8; which of the two is read from the text itself.",
    "content": {
        "text/vtt": {**_TEXT, "example": "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nHello\n"},
        "application/x-subrip": {**_TEXT, "example": "1\n00:00:01,000 --> 00:00:02,500\nHello\n"},
    },
}


async def bounded_body(request: Request) -> bytes:
    """The request's body. Raises Problem (413) when it is larger than captions may be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise Problem(413, f"Captions of more than {MAX_BYTES:,} bytes are not taken.")
    return bytes(body)


@router.put(
    "/vods/{vod_id}/captions/{language}",
    summary="Bring captions",
    responses=documented_problems(401, 403, 404, 409, 413, 422, 503),
    openapi_extra={"requestBody": _BODY},
    max_body_size=MAX_BYTES,
)
def bring_captions(
    request: Request,
    vod_id: VodId,
    language: Language,
    body: Annotated[bytes, Depends(bounded_body)],
    label: Annotated[
        str,
        Query(
            max_length=MAX_LABEL_CHARACTERS,
            description="What viewers choose them by; empty: the language's own name.",
        ),
    ] = "",
    kind: Annotated[
        CaptionsKind,
        Query(description="`captions` also tell what is heard, `subtitles` only what is said."),
    ] = "captions",
) -> VodDetailOut:
    """Stores them in the place of those that the VOD has in this language. Only the owner of its
    channel can. An error names the line of the file.
    """
    vod = put_captions(request, vod_id, Brought(language, body, label, kind))
    return answer_vod(request, vod)


@router.delete(
    "/vods/{vod_id}/captions/{language}",
    summary="Remove captions",
    responses=documented_problems(401, 403, 404, 409, 422, 503),
)
def take_captions_away(request: Request, vod_id: VodId, language: Language) -> VodDetailOut:
    """The VOD has no captions in this language any more. Only the owner of its channel can."""
    return answer_vod(request, remove_captions(request, vod_id, language))
