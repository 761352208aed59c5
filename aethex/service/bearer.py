"""The issuer's tokens as credentials of a request: `Authorization: Bearer <JWT>`.

What belongs here: which requests have one, and whose it is. What does not: checking it (`oidc`),
backends' tokens for events (`ingest/senders.py`), cookies (`identity`).

Where an issuer is configured, a token below `/api/` and `/media/` decides alone who the request is
from: a cookie beside it counts nothing, for what is read as for what is changed. So such a request
needs no CSRF token: no page of another site can add the header.
"""

from __future__ import annotations

from starlette.requests import Request

from aethex.library import User
from aethex.service.oidc import IssuerUnreachable, TokenRefused
from aethex.service.oidc.people import user_of_person
from aethex.service.problems import Problem, unavailable
from aethex.service.resources import Resources, resources_of

_BELOW = ("/api/", "/media/")


def bearer_token(request: Request) -> str | None:
    """The token that the request brings, where tokens are taken."""
    path = request.url.path
    if resources_of(request).oidc is None or not path.startswith(_BELOW):
        return None
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def user_of_bearer(resources: Resources, token: str, address: str) -> User:
    """Whose token this is; an account is made for who comes for the first time.

    Raises Problem: 401 for a token that is not taken, 503 when the issuer cannot be asked for its
    keys; DatabaseUnreachable.
    """
    oidc = resources.oidc
    assert oidc is not None
    if token.startswith("aethex_"):
        raise _refused("Server tokens are for POST /api/events alone.")
    try:
        person = oidc.bearer(token)
    except TokenRefused as error:
        raise _refused(str(error)) from None
    except IssuerUnreachable as error:
        raise unavailable("issuer", str(error)) from None
    with resources.library.session() as s:
        return user_of_person(s, oidc.issuer, person, address)


def _refused(reason: str) -> Problem:
    challenge = f'Bearer realm="aethex", error="invalid_token", error_description="{reason}"'
    return Problem(
        401,
        f"The bearer token is not taken. {reason}",
        kind="invalid-token",
        headers={"WWW-Authenticate": challenge},
    )
