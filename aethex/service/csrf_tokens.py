"""Tokens that are bound to a session: what a page of ours knows, and another site does not.

What belongs here: making and comparing them. What does not: who has to show one (`csrf.py`).
"""

from __future__ import annotations

import base64
import hmac

_PURPOSE = b"aethex csrf token"


class CsrfTokens:
    """Makes and compares tokens, with a key derived from the service's."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, _PURPOSE, "sha256")

    def of(self, secret: str) -> str:
        """The token of the session with this secret; it does not tell the secret."""
        mac = hmac.digest(self._key, secret.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def is_good(self, token: str, secret: str) -> bool:
        """Whether it is that session's token."""
        return hmac.compare_digest(token.encode(), self.of(secret).encode())
