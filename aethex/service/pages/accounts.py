"""Signing up, in and out with a local account.

What belongs here: the pages and their forms. What does not: what an account has (`settings/`),
sessions (`identity`), bounds (`throttle`). Another way to sign in (OIDC) is a module beside this
one, `oidc.py`: it finds the user and ends in `enter`, as this one does.
"""

from __future__ import annotations

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Form, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aethex.library import InvalidValue, User, accounts, audit
from aethex.library.audit import Actor
from aethex.library.passwords import valid_password
from aethex.library.values import valid_text, valid_username
from aethex.service.identity import (
    actor_of,
    address_of,
    keep_signed_in,
    sign_in,
    sign_out,
    visitor_ahead,
    visitor_of,
)
from aethex.service.pages.own_paths import own_path
from aethex.service.pages.templating import draw
from aethex.service.resources import Resources, resources_of

router = APIRouter(include_in_schema=False)

Next = Annotated[str, Query(alias="next")]
NextField = Annotated[str, Form(alias="next")]
_WRONG = "There is no account with this username and password: check both."


@router.get("/sign-in", response_class=HTMLResponse)
def sign_in_page(request: Request, next_path: Next = "/") -> Response:
    """The form to sign in; who is signed in goes on."""
    if visitor_of(request).user is not None:
        return RedirectResponse(own_path(next_path), status_code=303)
    return sign_in_form(request, own_path(next_path))


@router.post("/sign-in", response_class=HTMLResponse)
async def sign_in_with_password(
    request: Request,
    username: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next_path: NextField = "/",
) -> Response:
    """Sign in. A wrong password and an unknown name get the same answer after the same work."""
    resources, name = resources_of(request), username.strip().lower()
    await visitor_ahead(request)
    bounds = await anyio.to_thread.run_sync(resources.throttle.sign_in, name, address_of(request))
    found = await anyio.to_thread.run_sync(_account, resources, name)
    stored = found[1] if found else None
    if not await resources.passwords.matches(stored, password) or found is None:
        await anyio.to_thread.run_sync(_note_failure, request, name, found and found[0])
        return await anyio.to_thread.run_sync(
            lambda: sign_in_form(request, own_path(next_path), username=name, error=_WRONG)
        )
    await anyio.to_thread.run_sync(resources.throttle.succeed, bounds)
    user, stored = found
    entered = await anyio.to_thread.run_sync(enter, request, user, own_path(next_path), stored)
    if resources.passwords.is_outdated(stored):
        await _rehash(resources, user, stored, password)
    return entered


@router.get("/sign-up", response_class=HTMLResponse)
def sign_up_page(request: Request, next_path: Next = "/") -> Response:
    """The form to make an account; who is signed in goes on."""
    if visitor_of(request).user is not None:
        return RedirectResponse(own_path(next_path), status_code=303)
    return _sign_up_form(request, own_path(next_path))


@router.post("/sign-up", response_class=HTMLResponse)
async def sign_up(
    request: Request,
    username: Annotated[str, Form()] = "",
    display_name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next_path: NextField = "/",
) -> Response:
    """Make an account and sign in to it."""
    resources, entered = resources_of(request), {"username": username, "display_name": display_name}
    await visitor_ahead(request)
    await anyio.to_thread.run_sync(resources.throttle.sign_up, address_of(request))
    errors = _refusals(username, display_name, password)
    if not errors:
        hashed = await resources.passwords.hash(password)
        try:
            user = await anyio.to_thread.run_sync(
                _make_account, request, username, display_name, hashed
            )
        except InvalidValue as error:
            errors = {"username": str(error)}
        else:
            return await anyio.to_thread.run_sync(enter, request, user, own_path(next_path))
    return await anyio.to_thread.run_sync(
        lambda: _sign_up_form(request, own_path(next_path), errors=errors, **entered)
    )


@router.post("/sign-out")
def leave(request: Request) -> Response:
    """End this browser's session. Works also when it has ended already."""
    actor = actor_of(request)
    response = RedirectResponse("/", status_code=303)
    if actor.user_id is not None:
        with resources_of(request).library.session() as s:
            audit.record(s, actor, "user.sign_out", actor.user_id)
    sign_out(request, response)
    return response


def enter(
    request: Request, user: User, next_path: str, password_hash: str | None = None
) -> Response:
    """Begin the user's session and send the browser on, to a path of this service.

    password_hash: of the password that was given. Where the user has another one by now, it is the
    form again: a new password ends all sessions, also those that are just about to begin.
    """
    response = RedirectResponse(next_path, status_code=303)
    with resources_of(request).library.session() as s:
        if password_hash is not None and not accounts.has_password(s, user.id, password_hash):
            return sign_in_form(request, next_path, username=user.username, error=_WRONG)
        secret = sign_in(request, s, user)
        audit.record(s, actor_of(request), "user.sign_in", user.id)
    keep_signed_in(request, response, secret)
    return response


def _account(resources: Resources, username: str) -> tuple[User, str] | None:
    if "\0" in username:  # Postgres cannot be asked for it
        return None
    with resources.library.session() as s:
        return accounts.with_password(s, username)


def _note_failure(request: Request, username: str, user: User | None) -> None:
    """In the log stands whose account was tried, or the name: no other text, as people type their
    passwords in the wrong field.
    """
    changes = {} if user else {"username_tried": _name_or_none(username)}
    with resources_of(request).library.session() as s:
        actor = Actor(None, address_of(request))
        audit.record(s, actor, "user.sign_in_failed", user.id if user else None, **changes)


def _name_or_none(text: str) -> str | None:
    try:
        return valid_username(text)
    except InvalidValue:
        return None


async def _rehash(resources: Resources, user: User, stored: str, password: str) -> None:
    hashed = await resources.passwords.hash(password)

    def keep() -> None:
        with resources.library.session() as s:
            accounts.rehash(s, user.id, stored, hashed)

    await anyio.to_thread.run_sync(keep)


def _make_account(request: Request, username: str, display_name: str, hashed: str) -> User:
    with resources_of(request).library.session() as s:
        actor = Actor(None, address_of(request))
        return accounts.sign_up(s, actor, username, display_name, hashed)


def _refusals(username: str, display_name: str, password: str) -> dict[str, str]:
    """What is wrong with each field, as far as it is seen without the library."""
    errors: dict[str, str] = {}
    checks = {
        "username": lambda: valid_username(username),
        "display_name": lambda: valid_text(display_name or "-", "display name"),
        "password": lambda: valid_password(password, username),
    }
    for field, check in checks.items():
        try:
            check()
        except InvalidValue as error:
            errors[field] = str(error)
    return errors


def sign_in_form(
    request: Request,
    next_path: str,
    *,
    username: str = "",
    error: str | None = None,
    status: int = 422,
) -> HTMLResponse:
    """The form to sign in. `error`: why the last attempt failed; then it has this status."""
    return _form(request, "sign_in.html", next_path, error, status, username=username[:100])


def _sign_up_form(
    request: Request,
    next_path: str,
    *,
    username: str = "",
    display_name: str = "",
    errors: dict[str, str] | None = None,
) -> HTMLResponse:
    fields = {"username": username[:100], "display_name": display_name[:400]}
    return _form(request, "sign_up.html", next_path, errors or {}, 422, **fields)


def _form(
    request: Request, name: str, next_path: str, errors: object, status: int, **values: Any
) -> HTMLResponse:
    oidc = resources_of(request).oidc
    answer = draw(
        request,
        name,
        status=status if errors else 200,
        issuer_name=oidc.name if oidc else None,
        here="account",
        next_path=next_path,
        errors=errors,
        **values,
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer
