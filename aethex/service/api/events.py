"""`POST /api/events` and `POST /api/viewer`: events in, and who a player's viewer is.

What belongs here: HTTP: parameters, content types, origins, the answer's form. What does not:
judging and landing events (`service.ingest`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from aethex.service.api.schemas import utc_text
from aethex.service.documented_query import documented_query
from aethex.service.ingest.acceptance import Outcome
from aethex.service.ingest.batches import MAX_EVENTS
from aethex.service.ingest.bodies import read_body
from aethex.service.ingest.ingest import Taken
from aethex.service.ingest.senders import Sender, wants_no_tracking
from aethex.service.ingest.viewers import COOKIE
from aethex.service.problems import Problem, bad_field, documented_problems
from aethex.service.resources import Resources, resources_of

router = APIRouter(tags=["events"])

PATHS = ("/api/events", "/api/viewer")
TYPES = ("application/json", "application/x-ndjson", "application/ndjson", "text/plain")
"""text/plain: what a browser sends without asking first when a page is being left."""

RELAY_AHEAD = timedelta(minutes=5)
_REFUSALS = documented_problems(401, 403, 413, 415, 422, 429, 503)


class _Answer(msgspec.Struct):
    received_at: str
    accepted: int
    duplicates: int
    rejected: int
    results: Sequence[Outcome]


_encode = msgspec.json.Encoder().encode


class EventResult(BaseModel):
    """What became of one event."""

    event_id: str | None = Field(
        description="Its id, where it has one.", examples=["5f0c2b8e-7f0a-4c51-9d55-0d7a3a3c1b11"]
    )
    status: str = Field(
        examples=["accepted"],
        description="`accepted`: durable, once for ever; `duplicate`: its id stands in the batch "
        "before; `rejected`: kept in quarantine, not counted.",
    )
    field: str | None = Field(default=None, description="Rejected: the field that is wrong.")
    reason: str | None = Field(default=None, description="Rejected: why, and what to do.")


class EventsOut(BaseModel):
    """What became of a batch. All that it says is durable: no event of it has to be sent again."""

    received_at: str = Field(
        description="When the batch came in.", examples=["2026-01-30T19:04:05.120Z"]
    )
    accepted: int = Field(description="Events that are now in landing.", examples=[1])
    duplicates: int = Field(description="Events that the batch held twice.", examples=[0])
    rejected: int = Field(description="Events that are in quarantine.", examples=[0])
    results: list[EventResult] = Field(description="One for each event, in the batch's order.")


class ViewerOut(BaseModel):
    """Who the viewer is from now on."""

    viewer: str | None = Field(
        description="A signed id that an embed keeps and sends as `?viewer=`; null where a cookie "
        "holds it, or the browser wishes not to be tracked.",
        examples=["vw_01JH2V5Q8ZK3M4N5P6Q7R8S9TE.-iZgrYjIdIlm3mfsOA8bNg"],
    )


_EXAMPLE = [
    {
        "kind": "follow",
        "event_id": "5f0c2b8e-7f0a-4c51-9d55-0d7a3a3c1b11",
        "client_at": "2026-01-30T19:04:05Z",
        "channel_id": "ch_01JH2V5Q8ZK3M4N5P6Q7R8S9TC",
        "viewer_id": "usr_01JH2V5Q8ZK3M4N5P6Q7R8S9TD",
        "action": "follow",
    }
]
_EVENTS = {
    "schema": {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Event"},
        "minItems": 1,
        "maxItems": MAX_EVENTS,
    },
    "example": _EXAMPLE,
}
_LINES = {"schema": {"type": "string", "description": "One event a line."}}


@router.post(
    "/events",
    summary="Send events",
    response_model=EventsOut,
    responses=_REFUSALS,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": _EVENTS,
                "application/x-ndjson": _LINES,
            },
        },
        "parameters": documented_query(
            {
                "sent_at": "The sender's clock as it sends, ISO 8601 or milliseconds since 1970. "
                "Players must give it; without it a backend's times are taken as they are.",
                "viewer": "An embed's signed viewer id (`POST /api/viewer`).",
                "received_at": "For a relay with a platform token: when it took the batch in, "
                "ISO 8601.",
            }
        ),
    },
)
async def receive_events(request: Request) -> Response:
    """Takes 1 to 1,000 events: a JSON array, or one object a line (NDJSON); 1 MiB, or 8 MiB once
    unpacked (`Content-Encoding: gzip` or `zstd`).

    The answer comes when all of it is durable, and says for each event what became of it: a good
    event is never held up by a bad one. Backends send `Authorization: Bearer` with a server token;
    players send the viewer's cookie or signed id. Without an answer, send the same events again:
    their ids see to it that none counts twice.
    """
    resources = resources_of(request)
    try:
        taken = await _take(request, resources)
    except Problem as problem:
        resources.metrics.refused.labels(str(problem.status)).inc()
        raise
    return Response(_encode(_answer(taken)), media_type="application/json")


@router.post(
    "/viewer",
    summary="Who the viewer is",
    response_model=ViewerOut,
    responses=documented_problems(403, 422),
)
async def identify_viewer(
    request: Request,
    embed: Annotated[
        bool, Query(description="True: for an embed on another site, which keeps the id itself.")
    ] = False,
) -> Response:
    """Gives the browser an id for its viewer, or lets it keep the one that it has.

    In our own pages it is a cookie that scripts cannot read. An embed on another site
    (`embed=true`) gets it in the answer and keeps it there, apart from all other sites. A browser
    that wishes not to be tracked (`DNT`, `Sec-GPC`) gets none.
    """
    resources = resources_of(request)
    _check_origin(request, resources)
    if wants_no_tracking(request):
        return _viewer_answer(None)
    viewers = resources.viewers
    if embed:
        known = viewers.read(request.query_params.get("viewer"))
        return _viewer_answer(viewers.sign(known or viewers.new()))
    response = _viewer_answer(None)
    known = viewers.read(request.cookies.get(COOKIE))
    is_https = resources.settings.effective_public_url.startswith("https:")
    viewers.set_cookie(response, known or viewers.new(), is_https=is_https)
    return response


class EventsCors:
    """Lets the pages of configured origins send events; other addresses are as they are."""

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_credentials=True,
            allow_methods=["POST"],
            allow_headers=["Content-Type", "Content-Encoding"],
            expose_headers=["Retry-After"],
            max_age=7200,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_events = scope["type"] == "http" and scope["path"] in PATHS
        await (self._cors if is_events else self._app)(scope, receive, send)


async def _take(request: Request, resources: Resources) -> Taken:
    sender = await resources.senders.of(request)
    if not sender.is_server:
        _check_origin(request, resources)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in TYPES:
        raise Problem(
            415,
            f"Content-Type {content_type[:60]!r} is not known: send application/json or "
            "application/x-ndjson.",
        )
    sent_at = _moment(request, "sent_at")
    if sent_at is None and not sender.is_server:
        raise bad_field("sent_at", "It is missing.", "Add ?sent_at= with the player's clock.")
    relayed_at = _relayed_at(request, sender)
    body = await read_body(request)
    received_at = relayed_at or datetime.now(UTC)
    return await resources.ingest.take(body, sender, received_at, sent_at)


def _relayed_at(request: Request, sender: Sender) -> datetime | None:
    """When a relay took the batch in, if it says so."""
    received_at = _moment(request, "received_at")
    if received_at is None:
        return None
    if not sender.is_platform:
        raise Problem(403, "received_at is for relays with a platform token: leave it out.")
    if received_at > datetime.now(UTC) + RELAY_AHEAD:
        raise bad_field("received_at", "It lies ahead.", "Set the relay's clock.")
    return received_at


def _moment(request: Request, name: str) -> datetime | None:
    """A time parameter: ISO 8601 with a zone, or milliseconds since 1970."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        if text.isascii() and text.isdecimal():
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise bad_field(
            name, f"{text[:40]!r} is no time.", "Give ISO 8601, or milliseconds since 1970."
        ) from None


def _check_origin(request: Request, resources: Resources) -> None:
    """Raises Problem (403) for a page of an origin that may not send events."""
    origin = request.headers.get("origin")
    if origin is None or origin in resources.settings.cors_origins:
        return
    ours = urlsplit(resources.settings.effective_public_url)
    host = urlsplit(origin).netloc
    if host and host in (ours.netloc, request.headers.get("host")):
        return
    raise Problem(
        403, f"Pages of {origin[:100]} may not send events: add it to AETHEX_CORS_ORIGINS."
    )


def _answer(taken: Taken) -> _Answer:
    accepted, rejected = len(taken.part.rows), len(taken.part.rejected)
    duplicates = len(taken.outcomes) - accepted - rejected
    received_at = utc_text(taken.received_at)
    return _Answer(received_at, accepted, duplicates, rejected, taken.outcomes)


def _viewer_answer(viewer: str | None) -> Response:
    return Response(
        _encode({"viewer": viewer}),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
