"""Proof that a request which changes something was meant by who is signed in (CSRF).

What belongs here: the token, and the one middleware that asks for it. What does not: who is signed
in (`identity`).

Every POST, PUT, PATCH and DELETE is refused (403) when its browser says that another site sent it.
One that carries a session's cookie must come from a page of ours (`Sec-Fetch-Site`, else `Origin`)
and show a token that is bound to that session:

- A form holds it in the field `csrf_token`: write `{{ csrf_field }}` into the <form> of a template.
  Forms are sent as `application/x-www-form-urlencoded`, at most 64 KiB. Forms with files
  (`multipart/form-data`) are taken where `_FILES` says so, up to the bytes that stand there.
- A script sends it as the header `X-CSRF-Token`; it finds it in
  `document.querySelector("meta[name=csrf-token]")?.content`, which each page of a signed-in visitor
  has. `navigator.sendBeacon` cannot send headers: use `fetch` with `keepalive`.
- A route asks nothing: what reaches it has been checked. `csrf_token(request)` makes the token.

Left out are addresses that never act for who is signed in: `/api/events` and `/api/viewer`, which
players of other sites use and which check origins themselves, and `/webhooks`, where providers sign
what they send. So is a request whose bearer token alone says who it is from (`bearer.py`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aethex.media.webvtt import MAX_BYTES
from aethex.service.bearer import bearer_token
from aethex.service.identity import current_secret
from aethex.service.problems import Problem
from aethex.service.resources import resources_of

FIELD = "csrf_token"
HEADER = "x-csrf-token"
FORM_TYPE = "application/x-www-form-urlencoded"
FORM_BYTES = 64 * 1024
"""The largest form that is taken."""
FORM_FIELDS = 200
_FILES = {re.compile(r"/vods/[^/]+/captions"): MAX_BYTES + FORM_BYTES}
"""Addresses that take forms with one file, and their largest form."""

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
_LEFT_OUT = ("/api/events", "/api/viewer")
_LEFT_OUT_BELOW = "/webhooks/"

Answer = Callable[[Request, Exception], Awaitable[Response]]


def csrf_token(request: Request) -> str:
    """The token for forms and scripts of this page; empty where nobody is signed in."""
    secret = current_secret(request)
    return resources_of(request).csrf.of(secret) if secret else ""


class CsrfProtection:
    """The middleware. `answer` draws the refusal, as a page or as JSON."""

    def __init__(self, app: ASGIApp, *, answer: Answer) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] in _SAFE_METHODS
            or is_left_out(scope["path"])
        ):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if bearer_token(request) is not None:
            await self._app(scope, receive, send)
            return
        try:
            receive = await _checked(request, receive)
        except Problem as problem:
            response = await self._answer(request, problem)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_left_out(path: str) -> bool:
    """Whether requests to this address act for nobody who is signed in."""
    return path in _LEFT_OUT or path.startswith(_LEFT_OUT_BELOW)


async def _checked(request: Request, receive: Receive) -> Receive:
    """What the route receives. Raises Problem (403, 413) for a request that is refused."""
    is_ours, secret = _is_ours(request), current_secret(request)
    if is_ours is False or (secret is not None and not is_ours):
        raise Problem(
            403,
            "Another site sent this request, or your browser hid where it comes from: "
            "send it from one of our own pages.",
            kind="cross-site",
        )
    token, receive = await _sent_token(request, receive)
    if secret is not None and not resources_of(request).csrf.is_good(token, secret):
        raise Problem(
            403,
            "The page that sent this is older than your present session: load it again, and "
            f"repeat what you did. (Programs: the field {FIELD} or the header X-CSRF-Token.)",
            kind="csrf-token",
        )
    return receive


def _is_ours(request: Request) -> bool | None:
    """Whether a page of ours sent it, as far as its browser says; None: it says nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return None
    public = urlsplit(resources_of(request).settings.effective_public_url)
    theirs = urlsplit(origin)
    if (theirs.scheme, theirs.netloc) == (public.scheme, public.netloc):
        return True
    # reached under another name than the public one, such as an address in the local network
    own_host = request.headers.get("host")
    return bool(theirs.netloc) and theirs.netloc == own_host and theirs.scheme == public.scheme


async def _sent_token(request: Request, receive: Receive) -> tuple[str, Receive]:
    """The token that was sent, and what gives the route the body as if nobody had read it."""
    token = request.headers.get(HEADER, "")
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type.startswith("multipart/"):
        return await _sent_with_file(request, token, receive)
    if content_type != FORM_TYPE:
        return token, receive
    body = await _read_form(request, FORM_BYTES)
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=FORM_FIELDS)
    except ValueError:
        raise Problem(413, f"The form has more than {FORM_FIELDS} fields: send fewer.") from None
    return token or (fields.get(FIELD) or [""])[0], _again(body, receive)


async def _sent_with_file(request: Request, token: str, receive: Receive) -> tuple[str, Receive]:
    """The same of a form with a file. Raises Problem (415, 413, 400)."""
    most = next((n for path, n in _FILES.items() if path.fullmatch(request.url.path)), None)
    if most is None:
        raise Problem(415, f"Forms with files are not taken: send {FORM_TYPE}.")
    body = await _read_form(request, most)
    again = Request(request.scope, _again(body, receive))
    try:
        async with again.form(max_files=1, max_fields=FORM_FIELDS) as form:
            sent = form.get(FIELD)
    except HTTPException as error:
        raise Problem(400, f"The form cannot be read: {error.detail}") from None
    token = token or (sent if isinstance(sent, str) else "")
    return token, _again(body, receive)


async def _read_form(request: Request, most_bytes: int) -> bytes:
    """A form's whole body, which the route then cannot be made to read without end."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise Problem(413, f"The form has more than {most_bytes:,} bytes: send less.")
    return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    is_given = False

    async def receive_again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
