"""ffmpeg as the one that fetches a live stream: RTMP, SRT or HLS in, FLV on stdout.

What belongs here: its command and its script. What does not: which addresses may be asked
(`aethex.fetch`), starting it and what becomes of its bytes (the recorder).

Nothing is converted. The address may hold a key, so it does not stand in the process list: ffmpeg
reads it from a script on stdin. Each scheme has a whitelist of its own, and none has `file`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from aethex.media.ffmpeg import find_ffmpeg
from aethex.media.whitelist import CODECS

PULL_SCHEMES = ("rtmp", "rtmps", "srt", "http", "https")
IDLE_SECONDS = 20
_HLS_PROTOCOLS = "http,https,tls,tcp,httpproxy,crypto"
_HLS_FORMATS = "hls,mpegts,mov,mp4,m4a,3gp,3g2,mj2,aac"


@dataclass(frozen=True)
class _Way:
    """What ffmpeg may open for a scheme, and the options that end a connection gone silent."""

    protocols: str
    formats: str
    options: tuple[str, ...] = ()


_MICROSECONDS = IDLE_SECONDS * 1_000_000
_WAYS = {
    "rtmp": _Way("rtmp,tcp", "flv,live_flv", (f"rw_timeout {_MICROSECONDS}",)),
    "rtmps": _Way("rtmps,tls,tcp,httpproxy", "flv,live_flv", (f"rw_timeout {_MICROSECONDS}",)),
    "srt": _Way("srt,udp", "mpegts", (f"timeout {_MICROSECONDS}", "mode caller")),
    "http": _Way(_HLS_PROTOCOLS, _HLS_FORMATS, (f"rw_timeout {_MICROSECONDS}",)),
}
_WAYS["https"] = _WAYS["http"]


def first_variant(playlist: str) -> str | None:
    """The address of a master playlist's first variant; None for a media playlist."""
    lines = [line.strip() for line in playlist.splitlines()]
    for line, following in itertools.pairwise(lines):
        if line.startswith("#EXT-X-STREAM-INF") and following and not following.startswith("#"):
            return following
    return None


def is_over(playlist: str) -> bool:
    """Whether a media playlist is whole, so that it is no live stream (any more)."""
    return any(line.strip() == "#EXT-X-ENDLIST" for line in playlist.splitlines())


def pull_command(scheme: str) -> list[str]:
    """ffmpeg pulling the address that `pull_script` tells it. Raises FfmpegMissing."""
    way = _WAYS[scheme]
    return [
        *(str(find_ffmpeg()), "-hide_banner", "-v", "warning", "-nostats"),
        *("-protocol_whitelist", f"pipe,{way.protocols}"),
        *("-format_whitelist", f"concat,{way.formats}", "-codec_whitelist", CODECS),
        *("-safe", "0", "-f", "concat", "-i", "pipe:0"),
        *("-map", "0:v:0", "-map", "0:a:0?", "-c", "copy"),
        # What an encoder changes while it runs (a new size) has to show in FLV, too.
        *(("-bsf:v", "extract_extradata") if scheme in ("srt", "http", "https") else ()),
        *("-flush_packets", "1", "-flvflags", "no_duration_filesize", "-f", "flv", "pipe:1"),
    ]


def pull_script(url: str, scheme: str) -> bytes:
    """What that ffmpeg reads from stdin. It holds the address: never log it.

    Raises ValueError for an address with a line break.
    """
    if not url.isprintable():
        raise ValueError("an address has no line breaks or control characters.")
    way = _WAYS[scheme]
    quoted = url.replace("'", "'\\''")
    lines = (
        "ffconcat version 1.0",
        f"file '{quoted}'",
        f"option protocol_whitelist {way.protocols}",
        f"option format_whitelist {way.formats}",
        f"option codec_whitelist {CODECS}",
        *(f"option {option}" for option in way.options),
    )
    return "\n".join((*lines, "")).encode()
