"""`POST /webhooks/{provider}`: what providers tell.

What belongs here: HTTP: limits, answers, and what the access log keeps. What does not: verifying
and reading (`aethex.providers`), keeping and applying (`inbox`), addresses that only one provider
asks for (`mediamtx`).
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

from aethex.providers import WEBHOOKS, Refused, Sent, WebhookSource
from aethex.service import inbox
from aethex.service.ingest.bodies import read_body
from aethex.service.problems import Problem, documented_problems, not_found
from aethex.service.resources import Resources, resources_of

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

_log = logging.getLogger(__name__)


class WebhookOut(BaseModel):
    """The webhook is kept. Sending it again changes nothing."""

    code: Literal[0] = Field(default=0, description="Always 0: what SRS wants to read.")
    kept: int = Field(description="Events that are new; 0 for a repeat.", examples=[1])


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
    return await receive(request, provider)


async def receive(request: Request, provider: str) -> Response:
    """Verify, keep and apply what was sent, whichever way it came; the answer for the provider.

    Raises Problem for a provider that is none, cannot be verified here, or did not send it.
    """
    kind = WEBHOOKS.get(provider)
    if kind is None:
        raise not_found("provider", provider)
    sent = await read(request)
    resources = resources_of(request)
    source = verify(resources, kind, sent)
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
        count(resources, source.name, "refused")
    else:
        count(resources, source.name, "ignored", kept.ignored)
    for event_id in kept.waiting:
        outcome = "waiting"
        try:
            outcome = inbox.apply(resources.library, event_id, now)
        except Exception as error:  # it is kept; the background applies it
            _log.warning("Webhook %s waits: %s", event_id, error)
        count(resources, source.name, outcome)
    return len(kept.waiting), str(refusal) if refusal else None


def count(resources: Resources, provider: str, outcome: str, number: int = 1) -> None:
    """Into the metric of webhooks by provider and outcome."""
    if number:
        resources.metrics.webhooks.labels(provider, outcome).inc(number)


async def read(request: Request) -> Sent:
    """What came in, 1 MiB at most. Raises Problem (413) for more."""
    return Sent(
        body=await read_body(request),
        headers={name.lower(): value for name, value in request.headers.items()},
        query=dict(request.query_params),
        address=request.client.host if request.client else "",
    )


def verify(resources: Resources, kind: type[WebhookSource], sent: Sent) -> WebhookSource:
    """The provider's own, which found the signature or token right.

    Raises Problem: 503 where its secret is not set, 401 where it is another.
    """
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
        count(resources, kind.name, "refused")
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
