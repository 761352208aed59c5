"""Signing in with an OpenID Connect issuer, and its tokens as credentials.

What belongs here: the issuer (what it says of itself, its keys, its endpoints), checking tokens,
and what binds a sign-in to a browser. What does not: routes (`pages/oidc.py`), who a request is
from (`identity`, by way of `bearer`), rows (`library.identities`).

Requests to the issuer go through `aethex.fetch`: within limits of size and time, and to checked
addresses. The issuer's own host may be a private one, as the operator named it; other hosts that
its discovery document names have to be public, or be named in `AETHEX_FETCH_ALLOW`.
"""

from aethex.service.oidc.claims import Person
from aethex.service.oidc.client import Oidc
from aethex.service.oidc.errors import CodeRefused, IssuerUnreachable, OidcError, TokenRefused

__all__ = ["CodeRefused", "IssuerUnreachable", "Oidc", "OidcError", "Person", "TokenRefused"]
