"""Checking a signed token (JWT).

What belongs here: pure functions of a token, keys and the time. What does not: where keys come
from, and whose the token is.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidClaimError,
    JoseError,
    MissingClaimError,
    UnsupportedAlgorithmError,
)

from aethex.service.oidc.errors import TokenRefused
from aethex.service.oidc.keys import KEY_TYPES, PublicKey

MOST_CHARACTERS = 16 * 1024
_HEADER_CHARACTERS = 4096
_SUBJECT_CHARACTERS = 255  # OpenID Connect Core, section 2

ID_TOKEN_TYPES = ("jwt",)
BEARER_TYPES = ("jwt", "at+jwt")
"""Other types, such as logout+jwt, are signed by the same issuer for other ends (RFC 8725, 3.11)"""

_WRONG_CLAIM = {
    "iss": "It is of another issuer (iss).",
    "aud": "It is for another audience (aud).",
    "nbf": "It is not valid yet (nbf): compare the clocks.",
    "iat": "It was issued in the future (iat): compare the clocks.",
}

FindKey = Callable[[str | None, str], PublicKey | None]
"""The key of this id for this algorithm, or None."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say.

    client_id: whom it must be issued to where it says so or is for several audiences (azp); None:
    that does not matter. nonce: of the sign-in that it ends; None: it ends none.
    """

    issuer: str
    audience: str
    client_id: str | None
    types: Collection[str]
    skew_seconds: int
    nonce: str | None = None


def read_token(text: str, find_key: FindKey, expected: Expected, now: float) -> dict[str, Any]:
    """The claims of a token, all checked. `now`: seconds since 1970.

    Raises TokenRefused; whatever `find_key` raises goes on.
    """
    if len(text) > MOST_CHARACTERS:
        raise TokenRefused("It is too long to be one of the issuer's tokens.")
    try:
        registry = _Registry(algorithms=[*KEY_TYPES], strict_check_header=False)
        header = jws.extract_compact(text.encode(), registry=registry).headers()
        key = find_key(_kid_of(header), _algorithm_of(header, expected.types))
        if key is None:
            raise TokenRefused("It is signed with a key (kid) that the issuer does not have.")
        claims = jwt.decode(text, key, registry=registry).claims
        _check_claims(claims, expected, now)
    except (JoseError, ValueError, RecursionError) as error:
        raise TokenRefused(_reason(error)) from None
    return claims


class _Registry(jws.JWSRegistry):
    """As joserfc's, with room for headers that carry certificates."""

    max_header_length = _HEADER_CHARACTERS
    max_payload_length = MOST_CHARACTERS


def _kid_of(header: dict[str, Any]) -> str | None:
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise TokenRefused("Its kid is no text.")
    return kid


def _algorithm_of(header: dict[str, Any], types: Collection[str]) -> str:
    algorithm, kind = header.get("alg"), header.get("typ", "jwt")
    if not isinstance(algorithm, str) or algorithm not in KEY_TYPES:
        raise TokenRefused(f"Its algorithm (alg) is not taken: {', '.join(KEY_TYPES)} are.")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in types:
        raise TokenRefused("It is a token for another use (typ).")
    return algorithm


def _check_claims(claims: dict[str, Any], expected: Expected, now: float) -> None:
    registry = jwt.JWTClaimsRegistry(
        now=int(now),
        leeway=expected.skew_seconds,
        iss={"essential": True, "value": expected.issuer},
        aud={"essential": True, "value": expected.audience},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    registry.validate(claims)
    subject = claims["sub"]
    if len(subject) > _SUBJECT_CHARACTERS or not subject.isprintable():
        raise TokenRefused("Its subject (sub) is none.")
    _check_party(claims, expected.client_id)
    nonce = claims.get("nonce")
    if expected.nonce is not None and not (
        isinstance(nonce, str) and hmac.compare_digest(nonce.encode(), expected.nonce.encode())
    ):
        raise TokenRefused("It belongs to another sign-in (nonce).")


def _check_party(claims: dict[str, Any], client_id: str | None) -> None:
    """OpenID Connect Core, section 3.1.3.7, steps 4 and 5."""
    if client_id is None:
        return
    has_several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if has_several else client_id) != client_id:
        raise TokenRefused("It was issued to another client (azp).")


def _reason(error: Exception) -> str:
    match error:
        case ExpiredTokenError():
            return "It is over (exp): get a new one."
        case MissingClaimError():
            return "It lacks a claim: iss, sub, aud, exp and iat are needed."
        case InvalidClaimError():
            return _WRONG_CLAIM.get(error.claim, "One of its claims cannot be used.")
        case BadSignatureError():
            return "Its signature is wrong."
        case UnsupportedAlgorithmError():
            return "Its algorithm (alg) is not taken."
    return "It is no signed token (JWT) that can be read."
