"""Who a player's viewer is: an id that we signed, in a cookie or kept by an embed.

What belongs here: making ids, signing and reading them. What does not: which requests carry one
(`senders`).

The id says nothing about a person. In pages of ours it is in a first-party cookie that scripts
cannot read. An embed on another site gets no cookies there; it keeps a signed id of its own, in
storage that browsers keep apart for each site, so that nobody is followed from site to site.
A signature keeps anybody from sending events in the name of a viewer whose id they learned.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from starlette.responses import Response
from ulid import ULID

COOKIE = "aethex_viewer"
COOKIE_SECONDS = 400 * 24 * 3600
"""The longest that browsers keep a cookie; each visit begins it anew."""

_PURPOSE = b"aethex viewer id"
_MAC_BYTES = 16
_MAX_CHARACTERS = 120


class ViewerIds:
    """Makes viewer ids and signs them with a key of their own, derived from the service's."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, _PURPOSE, "sha256")

    def new(self) -> str:
        """A new viewer's id, `vw_<ULID>`."""
        return f"vw_{ULID()}"

    def sign(self, viewer_id: str) -> str:
        """The id with its signature, as a cookie or an embed keeps it."""
        return f"{viewer_id}.{self._mac(viewer_id)}"

    def read(self, signed: str | None) -> str | None:
        """The id, or None when there is none or its signature is not ours."""
        if not signed or len(signed) > _MAX_CHARACTERS or not signed.isascii():
            return None
        viewer_id, _, mac = signed.rpartition(".")
        return viewer_id if hmac.compare_digest(mac, self._mac(viewer_id)) else None

    def set_cookie(self, response: Response, viewer_id: str, *, is_https: bool) -> None:
        """Have the browser keep the id."""
        response.set_cookie(
            COOKIE,
            self.sign(viewer_id),
            max_age=COOKIE_SECONDS,
            path="/",
            secure=is_https,
            httponly=True,
            samesite="lax",
        )

    def _mac(self, viewer_id: str) -> str:
        digest = hmac.new(self._key, viewer_id.encode(), hashlib.sha256).digest()[:_MAC_BYTES]
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
