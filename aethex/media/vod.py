"""What a packaged video is: the files in its folder and what is known about them.

What belongs here: the shape of the result. What does not: making it (`hls.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from aethex.media.webvtt import Cue

PLAYLIST_NAME = "index.m3u8"
LIVE_PLAYLIST_NAME = "live.m3u8"
"""Of a recording that still grows; it goes when `index.m3u8` is there."""
INIT_NAME = "init.mp4"
POSTER_NAME = "poster.jpg"
MP4_NAME = "video.mp4"
CONTENT_TYPES = {
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".vtt": "text/vtt; charset=utf-8",
    ".json": "application/json",
}
"""Of what is stored beside a playlist, by suffix."""


def segment_name(sequence: int) -> str:
    """`000000.m4s`, `000001.m4s`, …"""
    return f"{sequence:06d}.m4s"


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file of the package: name in its folder, size, SHA-256 as hex."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PackagedSegment:
    """A media segment. Times are on the package's timeline, whose 0 is the first frame shown.

    `start_ms` of the next segment is exactly `start_ms + duration_ms`; all durations add up to the
    package's `duration_ms`.
    """

    name: str
    start_ms: int
    duration_ms: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CaptionTrack:
    """Captions in one language: `language` is BCP 47, `is_for_deaf` whether they say more than what
    is spoken. Cues are on the VOD's time.
    """

    language: str
    label: str
    is_for_deaf: bool
    cues: tuple[Cue, ...]


@dataclass(frozen=True, slots=True)
class PackagedVod:
    """A video as HLS fMP4 with poster and download, in `out_dir`.

    `pts_origin` is the presentation time, in units of 1/90000 s, that the segments carry at media
    time 0. `frame_rate` is frames a second (the mean where `is_variable_frame_rate`). `codecs` is
    the RFC 6381 string; `video_codec` and `audio_codec` are ffmpeg's names. `why` says what was
    changed and why, in sentences for people; empty when every packet was copied. `notes` says what
    else was noticed (audio track chosen, frames dropped before the first keyframe, …).
    """

    out_dir: Path
    duration_ms: int
    width: int
    height: int
    frame_rate: float
    is_variable_frame_rate: bool
    video_codec: str
    audio_codec: str | None
    codecs: str
    was_video_transcoded: bool
    was_audio_transcoded: bool
    why: tuple[str, ...]
    notes: tuple[str, ...]
    pts_origin: int
    init: PackagedFile
    segments: tuple[PackagedSegment, ...]
    poster: PackagedFile
    mp4: PackagedFile
    playlist_name: str = PLAYLIST_NAME
    origin_seconds: Fraction = Fraction(0)
    """What the source's own clock shows at media time 0."""
    captions: tuple[CaptionTrack, ...] = ()
    """Its text subtitles, at most one track a language."""

    @property
    def has_audio(self) -> bool:
        return self.audio_codec is not None

    @property
    def was_transcoded(self) -> bool:
        return self.was_video_transcoded or self.was_audio_transcoded
