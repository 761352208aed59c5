"""What only MediaMTX asks: whether a publisher may publish, and hooks by GET.

What belongs here: these two addresses. What does not: reading and verifying (`aethex.providers`),
what all providers do (`webhooks`).
"""

from __future__ import annotations

from typing import Literal

import anyio.to_thread
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from aethex.library import inputs
from aethex.providers import Unreadable
from aethex.providers.bodies import read_json, text
from aethex.providers.mediamtx import MediaMtxWebhooks, publisher_keys
from aethex.service import webhooks
from aethex.service.documented_query import documented_query
from aethex.service.problems import Problem, documented_problems
from aethex.service.resources import resources_of

router = APIRouter(prefix="/webhooks/mediamtx", tags=["webhooks"])

_READS = ("read", "playback")
_TOKEN = {"token": "The token of the server's hooks (or the header X-AeThex-Token)."}


class AllowedOut(BaseModel):
    """It may."""

    allowed: Literal[True] = Field(default=True, description="Always true; else it is a 401.")


@router.post(
    "/auth",
    summary="May a MediaMTX publisher publish",
    response_model=AllowedOut,
    responses=documented_problems(401, 413, 422, 503),
    openapi_extra={
        "parameters": documented_query(_TOKEN),
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": "object"},
                    "example": {"action": "publish", "path": "gdq", "password": "…", "query": ""},
                }
            },
        },
    },
)
async def authorize_mediamtx(request: Request) -> Response:
    """MediaMTX' `authMethod: http`: 200 lets, 401 does not.

    Publishing needs the stream key of the input that has the path: as the password, the token, or
    `key` in the address. Reading is let; everything else is not.
    """
    sent = await webhooks.read(request)
    resources = resources_of(request)
    webhooks.verify(resources, MediaMtxWebhooks, sent)
    try:
        fields = read_json(sent.body)
    except Unreadable as error:
        raise Problem(422, str(error), kind="invalid") from error
    action, path = text(fields, "action"), text(fields, "path")
    if action in _READS:
        return JSONResponse({"allowed": True})
    keys = publisher_keys(fields)

    def may_publish() -> bool:
        with resources.library.session() as s:
            of = inputs.by_external_id(s, MediaMtxWebhooks.name, path or "")
            if of is None:
                return False
            # every one is compared, so that the time taken says nothing
            fits = [inputs.is_key_of(of, key) for key in keys]
            return any(fits)

    if action != "publish" or not await anyio.to_thread.run_sync(may_publish):
        webhooks.count(resources, MediaMtxWebhooks.name, "refused")
        raise Problem(
            401, "Publish with the stream key of this path's input: `aethex inputs add` gives one."
        )
    return JSONResponse({"allowed": True})


@router.get(
    "",
    summary="A MediaMTX hook, all in its address",
    response_model=webhooks.WebhookOut,
    responses=documented_problems(401, 413, 422, 503),
    openapi_extra={
        "parameters": documented_query(
            {
                **_TOKEN,
                "event": "Which hook: `available`, `unavailable`, `segmentComplete`.",
                "path": "`$MTX_PATH`: the input.",
                "source_id": "`$MTX_SOURCE_ID`: by it a repeat is known.",
                "segment_path": "`$MTX_SEGMENT_PATH`.",
                "segment_duration": "`$MTX_SEGMENT_DURATION`, in seconds.",
            }
        )
    },
)
async def receive_mediamtx_hook(request: Request) -> Response:
    """The same as by POST: MediaMTX' hooks are commands, and a plain `curl` asks by GET."""
    return await webhooks.receive(request, MediaMtxWebhooks.name)
