"""Tokens in media addresses: who may read which objects until when, provable without a database.

What belongs here: making and reading tokens, and the key that signs them. What does not: whether
the VOD still exists and is public; `media.py` asks that on each request.

A token is `base64url(payload ‖ HMAC-SHA256(key, payload))` without padding. The payload is the
ASCII text `1|audience|expiry|vod_id|prefix`, expiry in seconds since 1970. A CDN worker in front of
the store can verify the same token with the same key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from aethex.service.secret import service_key
from aethex.settings import Settings

AUDIENCE_PUBLIC = "public"

GRACE_SECONDS = 6 * 3600
"""How long a token outlives the video it opens: a viewer may pause for hours."""

ROUNDING_SECONDS = 6 * 3600
"""Expiries are rounded up to this, so that an address stays the same for hours, for caches."""

_VERSION = "1"
_MAC_BYTES = hashlib.sha256().digest_size
_MAX_TOKEN_CHARACTERS = 512
_ID = re.compile(r"[a-z]+_[0-9A-Za-z]{1,40}")
_PREFIX = re.compile(r"vods/[A-Za-z0-9_]+/[A-Za-z0-9_]+/")


class BadToken(Exception):
    """A token that is not ours, was changed, or is over. `reason`: `invalid` or `expired`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: reading the VOD's objects under `prefix`, before `expires_at`.

    audience: `public`, or the id of the one user whom it is for.
    """

    vod_id: str
    prefix: str
    audience: str
    expires_at: datetime

    @property
    def is_public(self) -> bool:
        return self.audience == AUDIENCE_PUBLIC


class MediaTokens:
    """Makes and reads tokens with one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError(
                "AETHEX_MEDIA_SECRET has fewer than 16 bytes: give a longer one, or none to have "
                "one made."
            )
        self._key = key

    @classmethod
    def from_settings(cls, settings: Settings) -> MediaTokens:
        """Tokens with the settings' key, or the one kept in the data folder (made if absent)."""
        return cls(service_key(settings))

    def issue(
        self,
        *,
        vod_id: str,
        prefix: str,
        duration_seconds: float,
        audience: str = AUDIENCE_PUBLIC,
        now: float | None = None,
    ) -> str:
        """A token for the VOD's objects, valid for its duration and at least six hours more.

        `prefix` is the folder of the stream's objects in the store, `vods/<channel>/<stream>/`.
        `audience` is everybody, or the id of the one user whose session has to come with it.
        Raises ValueError for ids and prefixes that the store's layout cannot hold.
        """
        if not _ID.fullmatch(vod_id) or not _PREFIX.fullmatch(prefix):
            raise ValueError(f"no media address for {vod_id!r} under {prefix!r}")
        if audience != AUDIENCE_PUBLIC and not _ID.fullmatch(audience):
            raise ValueError(f"no media address for {audience!r}")
        started = time.time() if now is None else now
        wanted = started + max(duration_seconds, 0) + GRACE_SECONDS
        expiry = math.ceil(wanted / ROUNDING_SECONDS) * ROUNDING_SECONDS
        payload = f"{_VERSION}|{audience}|{expiry}|{vod_id}|{prefix}".encode("ascii")
        return _encode(payload + self._mac(payload))

    def read(self, token: str, *, now: float | None = None) -> Grant:
        """What the token allows. Raises BadToken when it is not ours, was changed, or is over."""
        blob = _decode(token)
        payload, mac = blob[:-_MAC_BYTES], blob[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload)):
            raise BadToken("invalid")
        # Signed by us from here on, so the shape is right unless the format changed.
        version, audience, expiry, vod_id, prefix = payload.decode("ascii").split("|")
        if version != _VERSION:
            raise BadToken("invalid")
        if int(expiry) <= (time.time() if now is None else now):
            raise BadToken("expired")
        return Grant(vod_id, prefix, audience, datetime.fromtimestamp(int(expiry), UTC))

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, hashlib.sha256).digest()


def _encode(blob: bytes) -> str:
    return base64.urlsafe_b64encode(blob).rstrip(b"=").decode("ascii")


def _decode(token: str) -> bytes:
    """The token's bytes. Only the canonical spelling counts: base64 has others for the same."""
    if not token.isascii() or len(token) > _MAX_TOKEN_CHARACTERS:
        raise BadToken("invalid")
    try:
        blob = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise BadToken("invalid") from None
    if len(blob) <= _MAC_BYTES or _encode(blob) != token:
        raise BadToken("invalid")
    return blob
