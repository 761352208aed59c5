"""Error pages: a Problem drawn for people.

What belongs here: deciding whether a page is wanted, and the words of each status. What does not:
turning exceptions into Problems (`problems.py`).
"""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse

from aethex.service.pages.templating import draw
from aethex.service.problems import Problem

_MACHINE_PATHS = ("/api/", "/media/", "/static/", "/healthz", "/readyz", "/openapi.json")
_WORDS = {
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
    """The error as a page, with its status and headers."""
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
