"""`POST /webhooks/{provider}`: what providers tell, and whether a publisher may publish.

What belongs here: HTTP: addresses, limits, answers, and what the access log keeps. What does not:
verifying and reading (`aethex.providers`), keeping and applying (`inbox`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from aethex.library import inputs
from aethex.providers import WEBHOOKS, Refused, Sent, Unreadable, WebhookSource
from aethex.providers.bodies import read_json, text
from aethex.providers.mediamtx import MediaMtxWebhooks, publisher_keys
from aethex.service import inbox
from aethex.service.ingest.bodies import read_body
from aethex.service.problems import Problem, documented_problems, not_found
from aethex.service.resources import Resources, resources_of

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

_READS = ("read", "playback")
_log = logging.getLogger(__name__)


class WebhookOut(BaseModel):
    """The webhook is kept. Sending it again changes nothing."""

    code: Literal[0] = Field(default=0, description="Always 0: what SRS wants to read.")
    kept: int = Field(description="Events that are new; 0 for a repeat.", examples=[1])


class AllowedOut(BaseModel):
    """It may."""

    allowed: Literal[True] = Field(default=True, description="Always true; else it is a 401.")


@router.post(
    "/mediamtx/auth",
    summary="May a MediaMTX publisher publish",
    response_model=AllowedOut,
    responses=documented_problems(401, 413, 422, 503),
    openapi_extra={
        "parameters": [
            {
                "name": "token",
                "in": "query",
                "required": False,
                "schema": {"type": "string"},
                "description": "The token of the server's hooks (or the header X-AeThex-Token).",
            }
        ],
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
    sent = await _sent(request)
    resources = resources_of(request)
    _verified(resources, MediaMtxWebhooks, sent)
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
        _count(resources, MediaMtxWebhooks.name, "refused")
        raise Problem(
            401, "Publish with the stream key of this path's input: `aethex inputs add` gives one."
        )
    return JSONResponse({"allowed": True})


@router.get(
    "/mediamtx",
    summary="A MediaMTX hook, all in its address",
    response_model=WebhookOut,
    responses=documented_problems(401, 413, 422, 503),
    openapi_extra={
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "schema": {"type": "string"},
                "description": text,
            }
            for name, text in (
                ("token", "The token of the server's hooks (or the header X-AeThex-Token)."),
                ("event", "Which hook: `available`, `unavailable`, `segmentComplete`."),
                ("path", "`$MTX_PATH`: the input."),
                ("source_id", "`$MTX_SOURCE_ID`: by it a repeat is known."),
                ("segment_path", "`$MTX_SEGMENT_PATH`."),
                ("segment_duration", "`$MTX_SEGMENT_DURATION`, in seconds."),
            )
        ]
    },
)
async def receive_mediamtx_hook(request: Request) -> Response:
    """The same as by POST: MediaMTX' hooks are commands, and a plain `curl` asks by GET."""
    return await _receive(request, MediaMtxWebhooks.name)


@router.post(
    "/{provider}",
    summary="A provider tells something",
    response_model=WebhookOut,
    responses=documented_problems(401, 403, 404, 413, 422, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                kind: {"schema": {"type": "object"}, "example": example}
                for kind, example in (
                    (
                        "application/json",
                        {"action": "on_publish", "app": "live", "stream": "gdq", "client_id": "1"},
                    ),
                    ("application/x-www-form-urlencoded", {"call": "publish", "name": "gdq"}),
                )
            },
        }
    },
)
async def receive_webhook(
    request: Request,
    provider: Annotated[str, Path(description="Who tells it, as inputs name it.")],
) -> Response:
    """Takes a webhook of `cloudflare`, `mux`, `mediamtx` or another provider, 1 MiB at most:
    signed, or with the token as `?token=` or `X-AeThex-Token`.

    It is answered once it is kept. Whatever can be verified is: what is not known is kept too, and
    ignored; what tells of an input that nobody has added yet is applied once it is added. A repeat
    is answered alike and changes nothing. A publisher with a wrong stream key is answered 403.
    """
    return await _receive(request, provider)


async def _receive(request: Request, provider: str) -> Response:
    kind = WEBHOOKS.get(provider)
    if kind is None:
        raise not_found("provider", provider)
    sent = await _sent(request)
    resources = resources_of(request)
    source = _verified(resources, kind, sent)
    kept, refusal = await anyio.to_thread.run_sync(_take, resources, source, sent)
    if refusal is not None:
        return JSONResponse({"code": 1, "detail": refusal}, status_code=403)
    return JSONResponse({"code": 0, "kept": kept}, headers={"Cache-Control": "no-store"})


def _take(resources: Resources, source: WebhookSource, sent: Sent) -> tuple[int, str | None]:
    """Keep what was sent, then apply it; how many events are new, and why it is refused if so."""
    now = datetime.now(UTC)
    body, notices = inbox.read(source, sent)
    refusal: inbox.KeyRefused | None = None
    with resources.library.session() as s:
        try:
            inbox.check_stream_key(s, source, sent)
        except inbox.KeyRefused as error:
            refusal = error
        ignored = inbox.refused_note(refusal) if refusal else None
        kept = inbox.keep(s, source, body, notices, now, ignored)
    if refusal is not None:  # each one, while not each is kept
        _count(resources, source.name, "refused")
    else:
        _count(resources, source.name, "ignored", kept.ignored)
    for event_id in kept.waiting:
        outcome = "waiting"
        try:
            outcome = inbox.apply(resources.library, event_id, now)
        except Exception as error:  # it is kept; the background applies it
            _log.warning("Webhook %s waits: %s", event_id, error)
        _count(resources, source.name, outcome)
    return len(kept.waiting), str(refusal) if refusal else None


def _count(resources: Resources, provider: str, outcome: str, number: int = 1) -> None:
    if number:
        resources.metrics.webhooks.labels(provider, outcome).inc(number)


async def _sent(request: Request) -> Sent:
    return Sent(
        body=await read_body(request),
        headers={name.lower(): value for name, value in request.headers.items()},
        query=dict(request.query_params),
        address=request.client.host if request.client else "",
    )


def _verified(resources: Resources, kind: type[WebhookSource], sent: Sent) -> WebhookSource:
    source = kind.from_settings(resources.settings)
    if source is None:
        needed = " or ".join(kind.secret_settings)
        raise Problem(
            503,
            f"Webhooks of {kind.name} cannot be verified here: set {needed}.",
            kind="webhook-not-set-up",
        )
    try:
        source.verify(sent, datetime.now(UTC))
    except Refused as error:
        _log.warning("A webhook of %s was refused: %s", kind.name, error)
        _count(resources, kind.name, "refused")
        raise Problem(401, str(error), kind="webhook-refused") from error
    return source


class _HideQueries(logging.Filter):
    """Takes the query of webhooks' addresses out of uvicorn's access log: it holds tokens."""

    _query = re.compile(r"(/webhooks/[^?\s]*)\?\S*")

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(self._hidden(one) for one in record.args)
        elif isinstance(record.args, Mapping):
            record.args = {name: self._hidden(one) for name, one in record.args.items()}
        record.msg = self._hidden(record.msg)
        return True

    def _hidden(self, value: Any) -> Any:
        return self._query.sub(r"\1?…", value) if isinstance(value, str) else value


def hide_secrets_in_access_log() -> None:
    """From now on uvicorn's access log has webhooks' addresses without their query. Repeating it
    changes nothing.
    """
    access = logging.getLogger("uvicorn.access")
    if not any(isinstance(one, _HideQueries) for one in access.filters):
        access.addFilter(_HideQueries())
