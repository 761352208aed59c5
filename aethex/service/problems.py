"""Errors as `application/problem+json` (RFC 9457), and how they are documented in OpenAPI.

What belongs here: the Problem exception, its kinds, and turning any exception into an answer. What
does not: the HTML error pages (`pages/errors.py` draws a Problem for people).
"""

from __future__ import annotations

import http
import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from aethex.postgres import DatabaseUnreachable
from aethex.store import StoreError, StoreUnreachable

PROBLEM_MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

_log = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """One field of a request that cannot be used."""

    field: str = Field(description="Name of the parameter or field.")
    detail: str = Field(description="What is wrong with it.")
    remedy: str = Field(description="What to give instead.")


class ProblemBody(BaseModel):
    """An error (RFC 9457). Its media type is `application/problem+json`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:aethex:problem:not-found",
                    "title": "Not found",
                    "status": 404,
                    "detail": "There is no VOD vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA.",
                    "instance": "/api/vods/vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA",
                }
            ]
        }
    )

    type: str = Field(description="Stable name of the kind of error.")
    title: str = Field(description="The kind of error in words.")
    status: int = Field(description="HTTP status.")
    detail: str = Field(description="What went wrong here, and what to do about it.")
    instance: str = Field(description="Path of the request.")
    errors: list[FieldProblem] | None = Field(
        default=None, description="The fields that are wrong (422)."
    )
    part: str | None = Field(default=None, description="The part that does not answer (503).")
    reference: str | None = Field(default=None, description="Name of this error in the log (500).")


class Problem(Exception):
    """An answer with an error status. Raised anywhere below a route."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str | None = None,
        title: str | None = None,
        errors: Sequence[FieldProblem] | None = None,
        part: str | None = None,
        reference: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        phrase = http.HTTPStatus(status).phrase
        self.status = status
        self.detail = detail
        self.kind = kind or phrase.lower().replace(" ", "-")
        self.title = title or phrase.capitalize()
        self.errors = list(errors) if errors else None
        self.part = part
        self.reference = reference
        self.headers = dict(headers or {})

    def body(self, instance: str) -> dict[str, Any]:
        """The problem as JSON; members that do not apply are left out."""
        return ProblemBody(
            type=f"urn:aethex:problem:{self.kind}",
            title=self.title,
            status=self.status,
            detail=self.detail,
            instance=instance,
            errors=self.errors,
            part=self.part,
            reference=self.reference,
        ).model_dump(exclude_none=True)


def not_found(what: str, name: str) -> Problem:
    """404 for an id or name that does not exist: `not_found("VOD", "vod_…")`."""
    return Problem(404, f"There is no {what} {shorten(name)}.", kind="not-found")


def bad_field(field: str, detail: str, remedy: str) -> Problem:
    """422 for one parameter."""
    return _invalid([FieldProblem(field=field, detail=detail, remedy=remedy)])


def unavailable(part: str, detail: str) -> Problem:
    """503 for a part (`database`, `store`, `build`) that does not answer now."""
    return Problem(
        503,
        detail,
        kind="unavailable",
        part=part,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def shorten(text: str, limit: int = 80) -> str:
    """`text` as it may be repeated in an answer: printable and not long."""
    clean = "".join(character if character.isprintable() else "�" for character in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def as_problem(error: Exception) -> Problem:
    """Any exception that leaves a route as the Problem that it is answered with.

    An unknown one becomes a 500 with a reference; the log has the traceback under the same
    reference.
    """
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return _invalid([_field_problem(item) for item in error.errors()])
        case HTTPException():
            return _http_problem(error)
        case StoreUnreachable():
            return unavailable("store", str(error))
        case DatabaseUnreachable():
            return unavailable("database", str(error))
        case OperationalError() | InterfaceError():
            _log.warning("The database did not answer: %s", error.orig)
            return unavailable(
                "database", "The database does not answer. It is tried again on each request."
            )
        case PoolTimeout():
            return unavailable("database", "The database is too busy to answer. Try again soon.")
        case StoreError():
            _log.warning("The store failed: %s", error)
            return unavailable(
                "store", "The store could not answer. It is tried again on each request."
            )
        case _:
            reference = secrets.token_hex(4)
            _log.error("Unexpected error %s", reference, exc_info=error)
            return Problem(
                500,
                f"Something failed on our side. It is in the log as {reference}.",
                kind="internal",
                reference=reference,
            )


def problem_response(problem: Problem, request: Request) -> JSONResponse:
    """The answer in JSON, as every API and media route gives it."""
    return JSONResponse(
        problem.body(request.url.path),
        status_code=problem.status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **problem.headers},
    )


def _http_problem(error: HTTPException) -> Problem:
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return Problem(404, "There is nothing at this address.", kind="not-found")
    if error.status_code == 405:
        allowed = headers.get("Allow", headers.get("allow", "GET"))
        detail = f"This address does not take that method. It takes {allowed}."
        return Problem(405, detail, headers=headers)
    if error.status_code == 413:
        return Problem(413, "The body is larger than anything that is taken here: send less.")
    return Problem(error.status_code, str(error.detail), headers=headers)


def _invalid(errors: Sequence[FieldProblem]) -> Problem:
    detail = " ".join(f"{item.field}: {item.detail} {item.remedy}" for item in errors)
    return Problem(422, detail, kind="invalid", title="Cannot be used", errors=errors)


def _field_problem(item: Mapping[str, Any]) -> FieldProblem:
    """One of pydantic's errors with the field's own name and a remedy."""
    if item["type"] == "json_invalid":  # its place is a number of characters
        return FieldProblem(field="body", detail="It is no JSON.", remedy="Send a JSON object.")
    location = [str(part) for part in item["loc"]]
    field = ".".join(location[1:]) or location[0]
    context = item.get("ctx") or {}
    message = str(item["msg"]).rstrip(".")
    return FieldProblem(
        field=field, detail=f"{message}.", remedy=_remedy(str(item["type"]), field, context)
    )


def _remedy(kind: str, field: str, context: Mapping[str, Any]) -> str:
    if kind.startswith("datetime") or kind.startswith("date_"):
        return "Give an ISO 8601 time, such as 2020-01-05T12:00:00Z (UTC where no zone is given)."
    if kind.startswith("int"):
        return "Give a whole number."
    if kind.startswith("string") and "pattern" in context:
        return f"Give text that matches {context['pattern']}."
    remedies = {
        "value_error": "Give a value that it can hold.",
        "missing": f"Add {field}.",
        "greater_than_equal": f"Give at least {context.get('ge')}.",
        "less_than_equal": f"Give at most {context.get('le')}.",
        "string_too_long": f"Give at most {context.get('max_length')} characters.",
        "enum": f"Give one of {context.get('expected')}.",
        "literal_error": f"Give one of {context.get('expected')}.",
    }
    return remedies.get(kind, "See /openapi.json for what it takes.")


_DESCRIPTIONS: dict[int, str] = {
    401: "Nobody is signed in; or the server token is not known, or was revoked.",
    403: "Refused: what belongs to somebody else; a request that no page of ours sent; a media "
    "address that is not signed by this service, was changed, or is over; or a page of an origin "
    "that may not send events.",
    404: "There is no such thing, or it is not public.",
    409: "It is too late for that, or something else was there first.",
    413: "The body is too large, packed or unpacked.",
    415: "Content-Type or Content-Encoding is not one that is taken.",
    416: "The range lies outside the object.",
    422: "A parameter or the body cannot be used; `errors` names each field with its remedy.",
    429: "Too much at once: try again after `Retry-After` seconds.",
    503: "A part that is needed does not answer now; `part` names it.",
}

_EXAMPLES: dict[int, Problem] = {
    403: Problem(
        403, "This media address is over. Load the page again for a new one.", kind="media-expired"
    ),
    404: not_found("VOD", "vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA"),
    401: Problem(401, "The server token is not known, or was revoked."),
    409: Problem(
        409, "VOD vod_01JH… was deleted more than 30 days ago: it cannot be brought back."
    ),
    413: Problem(413, "The body has more than 1,048,576 bytes: send fewer events."),
    415: Problem(415, "Content-Type 'text/html' is not known: send application/json."),
    416: Problem(416, "The object has 1048576 bytes."),
    429: Problem(429, "More events wait for the store than may: send these again in a moment."),
    422: bad_field("from", "It is not before to.", "Give a from earlier than to."),
    503: unavailable(
        "database", "The database does not answer. It is tried again on each request."
    ),
}


def documented_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can end in these statuses, with an example for each."""
    return {
        status: {
            "description": _DESCRIPTIONS[status],
            "content": {
                PROBLEM_MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/ProblemBody"},
                    "example": _EXAMPLES[status].body("/api/…"),
                }
            },
        }
        for status in statuses
    }
