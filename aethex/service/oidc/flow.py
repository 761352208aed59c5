"""What binds a sign-in to the browser that began it.

What belongs here: the cookie's text, and the values that follow from it. What does not: setting the
cookie (`pages/oidc.py`).

The cookie holds a random secret, when it began and where to go on, signed with the service's key.
State, nonce and the verifier of PKCE are derived from it with that key, each for its purpose: only
this service knows them before they are used, whichever of its processes is asked, and nobody can
end a sign-in that another browser began.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass

LASTS_SECONDS = 600
"""How long somebody may take to sign in at the issuer."""

_PURPOSE = b"aethex oidc sign-in"
_CLOCKS_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that was begun.

    began_at: seconds since 1970. next_path: where to go on. session: the digest of the session
    whose user wants to link an account; empty: they want to sign in.
    """

    secret: str
    began_at: int
    next_path: str
    session: str


@dataclass(frozen=True, slots=True)
class Derived:
    """What follows from an attempt: `challenge` (S256) tells nothing of `verifier`."""

    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        return _text(hashlib.sha256(self.verifier.encode()).digest())


class Attempts:
    """Begins and recognises attempts, with a key derived from the service's."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, _PURPOSE, "sha256")

    def begin(self, now: float, next_path: str, session: str = "") -> Attempt:
        """A new attempt."""
        return Attempt(secrets.token_urlsafe(32), int(now), next_path, session)

    def written(self, attempt: Attempt) -> str:
        """The attempt as the text of a cookie."""
        payload = _text(json.dumps(asdict(attempt)).encode())
        return f"{payload}.{self._mac('cookie', payload)}"

    def read(self, cookie: str, now: float) -> Attempt | None:
        """The attempt in a cookie that this service wrote, unless it is over."""
        payload, _, mac = cookie.partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac("cookie", payload).encode()):
            return None
        attempt = Attempt(**json.loads(base64.urlsafe_b64decode(payload + "==")))
        is_good = -_CLOCKS_SECONDS <= now - attempt.began_at <= LASTS_SECONDS
        return attempt if is_good else None

    def derived(self, attempt: Attempt) -> Derived:
        """What the issuer is sent for this attempt."""
        return Derived(*(self._mac(name, attempt.secret) for name in ("state", "nonce", "pkce")))

    def is_state(self, attempt: Attempt, state: str) -> bool:
        """Whether the issuer's answer is to this attempt."""
        return hmac.compare_digest(state.encode(), self.derived(attempt).state.encode())

    def _mac(self, purpose: str, text: str) -> str:
        message = f"{purpose}\n{text}".encode("utf-8", "replace")
        return _text(hmac.digest(self._key, message, "sha256"))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
