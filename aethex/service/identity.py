"""Who a request is from, and what is theirs.

What belongs here: the visitor behind a session's cookie or a bearer token, and the questions that
every route asks of them. What does not: signing in (`pages/accounts.py`), proof that a request was
meant (`csrf.py`), backends (`ingest/senders.py`).

A route that only shows something asks `visitor_of`; one that acts for somebody asks
`required_user`; one that changes what a channel has asks `required_owner`. All three ask the
library, at most once a request, so they belong into a plain `def` route, before it opens a session
of its own; a coroutine awaits `visitor_ahead` first. Whatever signs people in (a password, an
OIDC issuer) ends in `sign_in` and `sign_out`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio.to_thread
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from aethex.library import Channel, User, sessions
from aethex.library.audit import Actor
from aethex.service.bearer import bearer_token, user_of_bearer
from aethex.service.problems import Problem
from aethex.service.resources import resources_of
from aethex.service.session_cookie import clear_session, session_secret, set_session

_UNKNOWN_ADDRESS = "unknown"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: a signed-in user, or (None) somebody who is not signed in."""

    user: User | None

    @property
    def user_id(self) -> str | None:
        return self.user.id if self.user else None

    @property
    def is_admin(self) -> bool:
        return self.user is not None and self.user.role == "admin"


NOBODY = Visitor(None)


def visitor_of(request: Request) -> Visitor:
    """Who the request is from, by their bearer token or the cookie of their session. Without both,
    nothing is asked.

    Raises DatabaseUnreachable where there is one and the library does not answer; Problem (401,
    503) for a bearer token that is not taken, or cannot be checked.
    """
    known = getattr(request.state, "visitor", None)
    if known is None:
        known = request.state.visitor = _find(request)
    return known


async def visitor_ahead(request: Request) -> Visitor:
    """The same, for a coroutine: the library is asked in a thread."""
    known = getattr(request.state, "visitor", None)
    return known or await anyio.to_thread.run_sync(visitor_of, request)


def required_user(request: Request) -> User:
    """The signed-in user. Raises Problem (401, `sign-in-required`) when there is none."""
    user = visitor_of(request).user
    if user is None:
        raise sign_in_required()
    return user


def owns(visitor: Visitor, channel: Channel) -> bool:
    """Whether the channel, and all that it has, is the visitor's: they own it, or are an admin."""
    return is_theirs(visitor, channel.owner_id)


def is_theirs(visitor: Visitor, owner_id: str | None) -> bool:
    """The same, of what a user of this id owns (None: nobody does)."""
    if visitor.user is None:
        return False
    return owner_id == visitor.user.id or visitor.is_admin


def required_owner(request: Request, channel: Channel, *, hidden: Problem | None = None) -> User:
    """The signed-in user, who owns the channel.

    Raises Problem: 401 when nobody is signed in, 403 when somebody else is. For what others may not
    even know of (a private VOD) give `hidden`, the 404 of what does not exist: it is raised in both
    cases.
    """
    visitor = visitor_of(request)
    if visitor.user is not None and owns(visitor, channel):
        return visitor.user
    if hidden is not None:
        raise hidden
    if visitor.user is None:
        raise sign_in_required()
    raise Problem(
        403,
        f"Only the owner of @{channel.username} may do that: sign in as its owner.",
        kind="not-the-owner",
    )


def sign_in_required() -> Problem:
    """401 for what only a signed-in user can do."""
    return Problem(401, "Nobody is signed in: sign in at /sign-in first.", kind="sign-in-required")


def address_of(request: Request) -> str:
    """The network address that the request came from."""
    return request.client.host if request.client else _UNKNOWN_ADDRESS


def actor_of(request: Request) -> Actor:
    """Who a write of this request is noted under in the audit log."""
    return Actor(visitor_of(request).user_id, address_of(request))


def session_keep(request: Request) -> timedelta:
    """How long a session lasts after it was last used."""
    return timedelta(days=resources_of(request).settings.session_days)


def sign_in(request: Request, s: Session, user: User) -> str:
    """Begin a session in place of the browser's present one; its secret, for `keep_signed_in`.

    Part of the caller's transaction.
    """
    now = datetime.now(UTC)
    # begins first: that waits for who just changes the user, and who does ends sessions after it
    begun = sessions.begin(s, user.id, now)
    if (secret := current_secret(request)) is not None:
        sessions.end(s, secret)
    sessions.remove_old(s, now, session_keep(request))
    request.state.visitor = Visitor(user)
    return begun


def keep_signed_in(request: Request, response: Response, secret: str) -> None:
    """Give the browser the session's cookie."""
    set_session(response, secret, resources_of(request).settings)


def sign_out(request: Request, response: Response) -> None:
    """End the browser's session, here and in the browser."""
    resources = resources_of(request)
    if (secret := current_secret(request)) is not None:
        with resources.library.session() as s:
            sessions.end(s, secret)
    request.state.visitor = NOBODY
    clear_session(response, resources.settings)


def current_secret(request: Request) -> str | None:
    """The secret in the request's cookie, whoever's it is."""
    return session_secret(request, resources_of(request).settings)


async def bearer_ahead(request: Request) -> None:
    """A dependency of the API's routes: a bearer token that is not taken is refused (401) also
    where it does not matter who asks.
    """
    if bearer_token(request) is not None:
        await visitor_ahead(request)


async def kept_nowhere(request: Request, response: Response) -> None:
    """A dependency of the API's routes: no cache gives one person's answer to another."""
    response.headers["Vary"] = "Cookie, Authorization"
    if bearer_token(request) is not None or current_secret(request) is not None:
        response.headers["Cache-Control"] = "private, no-store"


def _find(request: Request) -> Visitor:
    token = bearer_token(request)
    if token is not None:
        return Visitor(user_of_bearer(resources_of(request), token, address_of(request)))
    secret = current_secret(request)
    if secret is None:
        return NOBODY
    with resources_of(request).library.session() as s:
        user = sessions.user_of(s, secret, datetime.now(UTC), session_keep(request))
    return Visitor(user) if user else NOBODY
