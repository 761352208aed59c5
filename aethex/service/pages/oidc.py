"""Signing in with the OIDC issuer: leaving for it, and coming back.

What belongs here: both routes and the cookie between them. What does not: the protocol (`oidc`),
sessions (`identity`), the form with a password (`accounts.py`).
"""

from __future__ import annotations

import logging
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aethex.library import InvalidValue, audit, identities
from aethex.library.audit import Actor
from aethex.library.sessions import digest_of
from aethex.service.identity import (
    actor_of,
    address_of,
    current_secret,
    required_user,
    visitor_of,
)
from aethex.service.oidc import CodeRefused, IssuerUnreachable, Oidc, Person, TokenRefused
from aethex.service.oidc.flow import LASTS_SECONDS, Attempt
from aethex.service.oidc.people import user_of_person
from aethex.service.pages.accounts import enter, sign_in_form
from aethex.service.pages.link_tokens import is_link_token
from aethex.service.pages.own_paths import own_path
from aethex.service.pages.settings import answer_refused
from aethex.service.pages.settings.oidc import SECTION
from aethex.service.pages.settings.sections import Refused, saved
from aethex.service.problems import Problem, not_found
from aethex.service.resources import resources_of

router = APIRouter(include_in_schema=False)
_log = logging.getLogger(__name__)

_COOKIE = "aethex_oidc"
_OVER = "This sign-in is over, or was begun in another browser or tab: begin it again."


@router.get("/sign-in/oidc", response_class=HTMLResponse)
def leave_for_issuer(
    request: Request, next_path: Annotated[str, Query(alias="next")] = "/", link: str = ""
) -> Response:
    """Send the browser to the issuer. `link`: to link an account there with who is signed in."""
    oidc, session, path = _oidc_of(request), "", own_path(next_path)
    if link:
        required_user(request)
        if not is_link_token(request, link):
            raise Problem(
                403, "Begin this on your own settings page: load it again.", kind="csrf-token"
            )
        session = _session_of(request)
    elif visitor_of(request).user is not None:
        return RedirectResponse(path, status_code=303)
    attempt = oidc.attempts.begin(time.time(), path, session)
    try:
        address = oidc.authorization_url(attempt)
    except IssuerUnreachable:
        return _drawn_again(request, attempt, *_away(oidc))
    answer = RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        _cookie_name(request),
        oidc.attempts.written(attempt),
        max_age=LASTS_SECONDS,
        path="/",
        secure=_is_https(request),
        httponly=True,
        samesite="lax",  # it has to come along when the issuer sends the browser back
    )
    return answer


@router.get("/sign-in/oidc/callback", response_class=HTMLResponse)
def come_back(
    request: Request, code: str = "", state: str = "", error: str = "", iss: str | None = None
) -> Response:
    """Where the issuer sends the browser back to: end the sign-in that this browser began."""
    oidc = _oidc_of(request)
    attempt = oidc.attempts.read(request.cookies.get(_cookie_name(request), ""), time.time())
    if (
        attempt is None
        or not oidc.attempts.is_state(attempt, state)
        or (attempt.session and attempt.session != _session_of(request))
    ):
        return sign_in_form(request, "/", error=_OVER, status=400)
    bounds = resources_of(request).throttle.issuer_sign_in(address_of(request))
    try:
        oidc.check_sender(iss)
        if error or not code:
            answer = _failed(request, attempt, *_refused_there(oidc, error))
        else:
            answer = _finish(request, oidc, attempt, code)
            resources_of(request).throttle.succeed(bounds)
    except IssuerUnreachable:
        answer = _failed(request, attempt, *_away(oidc))
    except CodeRefused:
        detail = f"{oidc.name} says that this sign-in was used already or is too old: begin again."
        answer = _failed(request, attempt, 400, detail)
    except TokenRefused as refused:
        _log.warning("An ID token was refused: %s", refused)
        detail = f"What {oidc.name} sent cannot be used. {refused} Begin again; if it stays so, "
        answer = _failed(request, attempt, 400, f"{detail}tell whoever runs this site.")
    answer.headers["Cache-Control"] = "no-store"
    answer.delete_cookie(
        _cookie_name(request), path="/", secure=_is_https(request), httponly=True, samesite="lax"
    )
    return answer


def _finish(request: Request, oidc: Oidc, attempt: Attempt, code: str) -> Response:
    person = oidc.finish(attempt, code)
    if attempt.session:
        return _link(request, oidc, person)
    with resources_of(request).library.session() as s:
        user = user_of_person(s, oidc.issuer, person, address_of(request))
    return enter(request, user, own_path(attempt.next_path))


def _link(request: Request, oidc: Oidc, person: Person) -> Response:
    user = required_user(request)
    try:
        with resources_of(request).library.session() as s:
            identities.link(s, actor_of(request), user.id, oidc.issuer, person.subject)
    except InvalidValue as error:
        return answer_refused(request, Refused(SECTION.name, "link", str(error)))
    return saved(SECTION)


def _failed(request: Request, attempt: Attempt, status: int, detail: str) -> Response:
    with resources_of(request).library.session() as s:
        actor = Actor(visitor_of(request).user_id, address_of(request))
        audit.record(s, actor, "user.sign_in_failed", issuer=_oidc_of(request).issuer)
    return _drawn_again(request, attempt, status, detail)


def _drawn_again(request: Request, attempt: Attempt, status: int, detail: str) -> Response:
    """The page from which it was begun, with what went wrong."""
    if attempt.session and visitor_of(request).user is not None:
        answer: Response = answer_refused(request, Refused(SECTION.name, "link", detail))
        answer.status_code = status
        return answer
    return sign_in_form(request, own_path(attempt.next_path), error=detail, status=status)


def _away(oidc: Oidc) -> tuple[int, str]:
    detail = f"{oidc.name} does not answer as it should just now: try again in a minute"
    return 503, f"{detail}, or sign in with a password if you have one."


def _refused_there(oidc: Oidc, error: str) -> tuple[int, str]:
    if error == "access_denied":
        return 400, f"You were not signed in at {oidc.name}, or did not allow it: begin again."
    _log.warning("The OIDC issuer sent somebody back with the error %.60r", error)
    return 400, f"{oidc.name} could not sign you in: begin again, or use another way."


def _oidc_of(request: Request) -> Oidc:
    oidc = resources_of(request).oidc
    if oidc is None:
        raise not_found("way to sign in at", request.url.path)
    return oidc


def _session_of(request: Request) -> str:
    secret = current_secret(request)
    return digest_of(secret) if secret else ""


def _is_https(request: Request) -> bool:
    return resources_of(request).settings.effective_public_url.startswith("https:")


def _cookie_name(request: Request) -> str:
    return f"__Host-{_COOKIE}" if _is_https(request) else _COOKIE
