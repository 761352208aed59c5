"""Addresses of a VOD's media: signed paths under `/media/`.

What belongs here: from a VOD's store keys to the paths that players read. What does not: signing
(`media_tokens.py`) and serving (`media.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from aethex.library.models import Vod
from aethex.service.media_tokens import AUDIENCE_PUBLIC, MediaTokens
from aethex.settings import Settings


@dataclass(frozen=True, slots=True)
class MediaPaths:
    """Paths of one VOD's media on this service; None where the VOD has no such object, or where
    nobody may read it.
    """

    poster: str | None = None
    hls: str | None = None
    mp4: str | None = None
    storyboard: str | None = None
    preview: str | None = None
    loudness: str | None = None


def media_paths(tokens: MediaTokens, vod: Vod, reader_id: str | None = None) -> MediaPaths:
    """Signed paths, the same for hours, good for the VOD's length and six hours more.

    reader_id: the user whom they are for. A public VOD's are for everybody; those of a private one
    work with this user's session alone, and there are none for nobody. A deleted one has none.
    """
    path = _signer(tokens, vod, reader_id)
    return MediaPaths(
        poster=path(vod.poster_key),
        hls=path(vod.playlist_key),
        mp4=path(vod.mp4_key),
        storyboard=path(vod.storyboard_key),
        preview=path(vod.preview_key),
        loudness=path(vod.loudness_key),
    )


def media_path(tokens: MediaTokens, vod: Vod, key: str, reader_id: str | None = None) -> str | None:
    """The signed path of another object of the VOD, such as captions; as `media_paths`."""
    return _signer(tokens, vod, reader_id)(key)


def _signer(
    tokens: MediaTokens, vod: Vod, reader_id: str | None
) -> Callable[[str | None], str | None]:
    """From a key to its signed path."""
    audience = AUDIENCE_PUBLIC if vod.is_public else reader_id
    if audience is None or vod.deleted_at is not None:
        return lambda _key: None
    prefix = f"vods/{vod.channel_id}/{vod.stream_id}/"
    token = tokens.issue(
        vod_id=vod.id,
        prefix=prefix,
        duration_seconds=(vod.duration_ms or 0) / 1000,
        audience=audience,
    )

    def path(key: str | None) -> str | None:
        if key is None or not key.startswith(prefix):
            return None
        return f"/media/{token}/{key.removeprefix(prefix)}"

    return path


def dashboards_url(settings: Settings) -> str:
    """Where the dashboards are: the service's host with the dashboards' port."""
    public = urlsplit(settings.effective_public_url)
    host = public.hostname or "localhost"
    if ":" in host:
        host = f"[{host}]"
    return f"{public.scheme}://{host}:{settings.dashboards_port}"
