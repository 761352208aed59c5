"""Error pages: a Problem drawn for people.

What belongs here: deciding whether a page is wanted, and the words of each status. What does not:
turning exceptions into Problems (`problems.py`).
"""

from __future__ import annotations

import logging

from fastapi import Request
from starlette.responses import HTMLResponse

from aethex.service.identity import NOBODY, visitor_of
from aethex.service.pages.templating import draw
from aethex.service.problems import Problem

_log = logging.getLogger(__name__)

_MACHINE_PATHS = ("/api/", "/media/", "/static/", "/healthz", "/readyz", "/openapi.json")
_WORDS = {
    401: ("Sign in to see this", "It belongs to somebody who is signed in."),
    403: ("That was not done", "Go back, load the page again, and repeat it."),
    404: (
        "Nothing is here",
        "The address may be misspelt, or what was here was deleted or made private.",
    ),
    405: ("That does not work here", "This address shows something; it takes nothing in."),
    422: ("This address cannot be read", "Change the part that is named above and try again."),
    500: ("Something broke on our side", "Nothing that you did is lost. Trying again often helps."),
    503: (
        "We will be back in a moment",
        "A part that this page needs does not answer. It is tried again on each request.",
    ),
}


def wants_page(request: Request) -> bool:
    """Whether an error should be a page: HTML is welcome, and the path is not for machines."""
    if request.url.path.startswith(_MACHINE_PATHS):
        return False
    return "text/html" in request.headers.get("accept", "")


def error_page(request: Request, problem: Problem) -> HTMLResponse:
    """The error as a page, with its status and headers. May ask the library who the visitor is."""
    _settle_visitor(request, problem)
    heading, advice = _WORDS.get(
        problem.status, (problem.title, "Go back, or begin at the home page.")
    )
    can_retry = problem.status >= 500 and request.method == "GET"
    answer = draw(
        request,
        "error.html",
        status=problem.status,
        problem=problem,
        heading=heading,
        advice=advice,
        retry_path=request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if can_retry
        else None,
    )
    answer.headers.update(problem.headers)
    return answer


def _settle_visitor(request: Request, problem: Problem) -> None:
    """An error page is drawn also where the library cannot say who asks."""
    if hasattr(request.state, "visitor"):
        return
    try:
        if problem.status < 500:
            visitor_of(request)
            return
    except Exception:
        _log.warning("Who asks is not known on this error page", exc_info=True)
    request.state.visitor = NOBODY
