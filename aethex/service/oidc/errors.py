"""Why somebody cannot be signed in. Messages are for people and hold no token, code or key."""

from __future__ import annotations


class OidcError(Exception):
    """Base of these errors."""


class TokenRefused(OidcError):
    """A token that is not taken. The message says which of its parts is wrong."""


class CodeRefused(OidcError):
    """The issuer gave no token for the code: it was used already, or is too old."""


class IssuerUnreachable(OidcError):
    """The issuer does not answer, or not with what an issuer has to say."""
