"""The FastAPI application: parts, routes, errors and headers put together.

What belongs here: `create_app` and what concerns every request. What does not: any route.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread

import anyio.to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response

from aethex.service import api, health, media, mediamtx, metrics, pages, static_files, webhooks
from aethex.service.api.events import EventsCors
from aethex.service.csrf import CsrfProtection
from aethex.service.headers import HeadAsGet, SecurityHeaders, add_security_headers
from aethex.service.openapi import complete_openapi
from aethex.service.pages.errors import error_page, wants_page
from aethex.service.pages.settings import answer_refused
from aethex.service.pages.settings.sections import Refused
from aethex.service.problems import Problem, as_problem, problem_response
from aethex.service.resources import open_resources, resources_of, working
from aethex.settings import Settings, get_settings

_DESCRIPTION = """\
VODs and numbers of live streams. JSON is snake_case, times are ISO 8601 in UTC, lists are
`{items, page, pages, total}`, and errors are `application/problem+json` (RFC 9457).
What every number means: docs/metrics.md. `null` means "not measured", never zero.
"""


def create() -> FastAPI:
    """The service of this environment: `uvicorn --factory aethex.service.app:create`."""
    _spare_the_collector()
    webhooks.hide_secrets_in_access_log()
    return create_app(get_settings())


def _spare_the_collector() -> None:
    """Requests make many objects that die at once, and what was imported never dies: looking
    through all of it again and again took half of the CPU of a busy service.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def create_app(settings: Settings) -> FastAPI:
    """The service for these settings. Opens nothing before it is started."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opening = open_resources(settings)
        app.state.resources = await anyio.to_thread.run_sync(opening.__enter__)
        # a build of a remote store takes seconds to fetch; nothing waits for it but who asks for it
        Thread(target=app.state.resources.marts.warm, name="marts", daemon=True).start()
        try:
            async with working(app.state.resources):
                yield
        finally:
            await anyio.to_thread.run_sync(opening.__exit__, None, None, None)

    app = FastAPI(
        title="AeThex Creator Tools",
        version="0.1.0",
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere; docs/api.md says the same
        redoc_url=None,
    )
    for part in (api, mediamtx, webhooks, health, metrics, media, static_files, pages):
        app.include_router(part.router)
    for kind in (Problem, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _answer_error)
    app.add_exception_handler(Refused, _answer_refused)
    app.add_middleware(CsrfProtection, answer=_answer_error)
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=6)
    app.add_middleware(HeadAsGet)
    app.add_middleware(EventsCors, origins=settings.cors_origins)
    app.add_middleware(SecurityHeaders, is_https=settings.effective_public_url.startswith("https:"))
    complete_openapi(app)
    return app


async def _answer_error(request: Request, error: Exception) -> Response:
    """The one way in which errors leave: a page for people, problem+json for programs."""
    problem = as_problem(error)
    if wants_page(request):
        answer: Response = await anyio.to_thread.run_sync(error_page, request, problem)
    else:
        answer = problem_response(problem, request)
    # those of unexpected errors are sent outside of all middleware
    public_url = resources_of(request).settings.effective_public_url
    add_security_headers(answer.headers, is_https=public_url.startswith("https:"))
    return answer


async def _answer_refused(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    return await anyio.to_thread.run_sync(answer_refused, request, refused)
