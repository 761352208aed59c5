"""`/media/{token}/{path}`: playlists, segments, pictures and MP4s out of the store, with ranges.

What belongs here: checking the token and the VOD on each request, and streaming the object. What
does not: making tokens (`media_tokens.py`) and the rules of ranges and conditions (`ranges.py`).

The answer streams straight from the store in chunks; nothing is held whole, and a client that goes
away ends the read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from starlette.responses import Response, StreamingResponse

from aethex.library import vods
from aethex.service.identity import NOBODY, Visitor, is_theirs, visitor_ahead
from aethex.service.media_tokens import BadToken, Grant
from aethex.service.problems import Problem, documented_problems, not_found
from aethex.service.ranges import (
    ByteRange,
    NotSatisfiable,
    entity_tag,
    http_date,
    is_not_modified,
    wanted_range,
)
from aethex.service.resources import Resources, resources_of
from aethex.store import NotFound, ObjectInfo

router = APIRouter(tags=["media"])

CONTENT_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".vtt": "text/vtt; charset=utf-8",
    ".json": "application/json",
}
MAX_AGE_SECONDS = 3600
"""How long caches may keep media. A VOD that is made private is out of all caches after this."""

_PATH = re.compile(
    r"(?P<folder>[a-z]+_[0-9A-Za-z]{1,40})/(?P<name>[0-9A-Za-z][0-9A-Za-z_-]*(?:\.[0-9a-z]+)+)"
)
_UNSAFE_IN_NAMES = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')

CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": (
        "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified"
    ),
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Timing-Allow-Origin": "*",
}
_PRIVATE_HEADERS = {"Cross-Origin-Resource-Policy": "same-origin", "Vary": "Cookie, Authorization"}
_KEPT_BY_ERRORS = (*CORS_HEADERS, "Vary")
_PREFLIGHT_HEADERS = {
    **CORS_HEADERS,
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Range, If-Range, If-None-Match, If-Modified-Since",
    "Access-Control-Max-Age": "86400",
}

_MEDIA_RESPONSES: dict[int | str, dict] = {
    200: {
        "description": "The whole object.",
        "content": {
            "application/vnd.apple.mpegurl": {"example": "#EXTM3U\n#EXT-X-VERSION:7\n…"},
            "video/mp4": {},
            "video/iso.segment": {},
            "image/jpeg": {},
            "image/webp": {},
            "text/vtt": {"example": "WEBVTT\n\n00:00:00.000 --> 00:00:10.000\n…"},
        },
    },
    206: {"description": "The range that was asked for; `Content-Range` says which."},
    304: {"description": "The client's copy is still good."},
    **documented_problems(403, 404, 416, 422, 503),
}

Token = Annotated[
    str,
    PathParameter(description="Signed token, from a VOD's `hls_url`.", examples=["MXxwdWJsaWN8…"]),
]
ObjectPath = Annotated[
    str,
    PathParameter(
        description="The object, relative to the token's folder.",
        examples=["vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA/index.m3u8"],
    ),
]
Download = Annotated[
    bool, Query(description="True: answer as a file to save, named after the VOD's title.")
]


@router.get(
    "/media/{token}/{path:path}",
    summary="Read a playlist, segment, poster or MP4",
    response_class=Response,
    responses=_MEDIA_RESPONSES,
)
@router.head("/media/{token}/{path:path}", include_in_schema=False)
async def read_media(
    request: Request, token: Token, path: ObjectPath, download: Download = False
) -> Response:
    """Bytes of one object of a VOD.

    Takes a single `Range`, `If-Range`, `If-None-Match` and `If-Modified-Since`.
    """
    resources = resources_of(request)
    try:
        grant = resources.tokens.read(token)
    except BadToken as error:
        raise _refused(error) from None
    visitor = NOBODY if grant.is_public else await visitor_ahead(request)
    name, title = await anyio.to_thread.run_sync(_allowed, resources, grant, path, visitor)
    info = await _head(resources, grant.prefix + path, path)
    headers = _object_headers(info, name, grant)
    if download:
        headers["Content-Disposition"] = content_disposition(title, name)
    return await _conditional(request, resources, info, headers)


@router.options("/media/{token}/{path:path}", include_in_schema=False)
async def allow_other_origins(request: Request, token: Token) -> Response:
    """The answer to a browser that asks whether a page elsewhere may read media: public media."""
    try:
        is_public = resources_of(request).tokens.read(token).is_public
    except BadToken:
        is_public = True  # the request itself is told what is wrong with it
    return Response(status_code=204, headers=_PREFLIGHT_HEADERS if is_public else None)


def _allowed(resources: Resources, grant: Grant, path: str, visitor: Visitor) -> tuple[str, str]:
    """The object's file name and the VOD's title, if the grant covers `path` now. 403 or 404.

    A grant for one user is worth something only with that user's session, and only as long as the
    VOD is theirs. A grant for everybody is worth nothing for a private VOD.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise not_found("media object", path)
    with resources.library.session() as session:
        access = vods.media_access(session, grant.vod_id)
    if access is None or access.deleted_at is not None:
        raise not_found("VOD", grant.vod_id)
    is_readers = visitor.user_id == grant.audience and is_theirs(visitor, access.owner_id)
    if not (access.is_public if grant.is_public else is_readers):
        # as if it were not there: a private VOD does not show itself
        raise not_found("VOD", grant.vod_id)
    if match["folder"] != grant.vod_id and match["folder"] not in access.run_ids:
        raise Problem(403, "This address does not belong to its token.", kind="media-refused")
    return match["name"], access.title


async def _head(resources: Resources, key: str, path: str) -> ObjectInfo:
    try:
        return await resources.store.ahead(key)
    except NotFound:
        raise not_found("media object", path) from None


def _object_headers(info: ObjectInfo, name: str, grant: Grant) -> dict[str, str]:
    left = (grant.expires_at - datetime.now(UTC)).total_seconds()
    suffix = name[name.rindex(".") :]
    max_age = max(0, min(MAX_AGE_SECONDS, int(left)))
    return {
        **(CORS_HEADERS if grant.is_public else _PRIVATE_HEADERS),
        "Accept-Ranges": "bytes",
        "Content-Type": CONTENT_TYPES.get(suffix, "application/octet-stream"),
        "ETag": entity_tag(info.etag),
        "Last-Modified": http_date(info.modified_at),
        "Cache-Control": f"public, max-age={max_age}" if grant.is_public else "private, no-store",
    }


async def _conditional(
    request: Request, resources: Resources, info: ObjectInfo, headers: dict[str, str]
) -> Response:
    """304, 416, 206 or 200, whichever the request's headers ask for."""
    etag = headers["ETag"]
    if is_not_modified(request.headers, etag, info.modified_at):
        kept = {name: value for name, value in headers.items() if name != "Content-Type"}
        return Response(status_code=304, headers=kept)
    if request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(info.size_bytes)})
    try:
        part = wanted_range(request.headers, info.size_bytes, etag, info.modified_at)
    except NotSatisfiable:
        raise Problem(
            416,
            f"The object has {info.size_bytes} bytes.",
            headers={
                **{name: headers[name] for name in _KEPT_BY_ERRORS if name in headers},
                "Content-Range": f"bytes */{info.size_bytes}",
            },
        ) from None
    whole = ByteRange(0, info.size_bytes)
    asked = part or whole
    headers["Content-Length"] = str(asked.length)
    if part is not None:
        headers["Content-Range"] = part.content_range(info.size_bytes)
    chunks = _chunks(resources, info.key, asked)
    # The first chunk is awaited here, so that a store that fails now is an error with a status.
    first = await anext(chunks, b"")
    status = 206 if part else 200
    if len(first) == asked.length:
        return Response(first, status_code=status, headers=headers)
    return StreamingResponse(_chain(first, chunks), status_code=status, headers=headers)


async def _chunks(resources: Resources, key: str, part: ByteRange) -> AsyncIterator[bytes]:
    if part.length == 0:  # an empty object: stores refuse an empty range
        return
    async for chunk in resources.store.astream(key, start=part.start, end=part.end):
        yield chunk


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _refused(error: BadToken) -> Problem:
    if error.reason == "expired":
        return Problem(
            403,
            "This media address is over. Load the page again for a new one.",
            kind="media-expired",
        )
    return Problem(
        403, "This media address is not one of ours, or was changed.", kind="media-refused"
    )


def content_disposition(title: str, name: str) -> str:
    """`Content-Disposition` that saves the object as `<title>.<suffix>` (RFC 6266, RFC 8187).

    Old clients get the ASCII part; whatever could end the header, or name another folder, is taken
    out.
    """
    suffix = name[name.rindex(".") :]
    clean = _UNSAFE_IN_NAMES.sub(" ", title)
    clean = "".join(character for character in clean if character.isprintable())
    clean = " ".join(clean.split()).strip(". ")[:120] or "video"
    plain = clean.encode("ascii", "ignore").decode().replace("%", "") or "video"
    encoded = quote(clean + suffix, safe="")
    return f"attachment; filename=\"{plain}{suffix}\"; filename*=UTF-8''{encoded}"
