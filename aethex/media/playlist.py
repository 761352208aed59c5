"""The HLS media playlist of a VOD, written by ourselves.

What belongs here: text out of runs and segments. What does not: reading playlists (`sources.py`),
making segments (`pack.py`), knowing where they are stored.

ffmpeg's own playlists are not used: after a restart it wrote one EXT-X-MAP for all runs. Here each
run names its own init file, and a discontinuity stands between runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

CONTENT_TYPE = "application/vnd.apple.mpegurl"


@dataclass(frozen=True, slots=True)
class PlaylistSegment:
    """One media segment: its address (relative or absolute) and its duration in milliseconds."""

    uri: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class PlaylistRun:
    """Segments that share an init file and a time base.

    `started_at` is the wall clock of the run's first frame (aware), or None where it is not known.
    """

    init_uri: str
    segments: Sequence[PlaylistSegment]
    started_at: datetime | None = None


def media_playlist(
    runs: Sequence[PlaylistRun], *, is_live: bool = False, is_independent: bool = True
) -> str:
    """The playlist of a finished VOD (`#EXT-X-PLAYLIST-TYPE:VOD`, ends with `#EXT-X-ENDLIST`), or
    of one that still grows (`EVENT`, without an end).

    `is_independent`: every segment starts with a frame that needs none before it.

    Durations are written with millisecond precision, so they add up to the VOD's duration. Runs
    without segments are left out. Raises ValueError when no segment is left, when a duration is not
    positive, when an address holds a line break, or when a wall clock has no zone.
    """
    filled = [run for run in runs if run.segments]
    if not filled:
        raise ValueError("a playlist needs at least one segment")
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{target_duration_seconds(filled)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        f"#EXT-X-PLAYLIST-TYPE:{'EVENT' if is_live else 'VOD'}",
    ]
    if is_independent:
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    for position, run in enumerate(filled):
        if position:
            lines.append("#EXT-X-DISCONTINUITY")
        lines.append(f'#EXT-X-MAP:URI="{_quotable(run.init_uri)}"')
        if run.started_at is not None:
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_date_time(run.started_at)}")
        for segment in run.segments:
            lines.append(f"#EXTINF:{_seconds(segment.duration_ms)},")
            lines.append(_one_line(segment.uri))
    if not is_live:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def target_duration_seconds(runs: Sequence[PlaylistRun]) -> int:
    """EXT-X-TARGETDURATION: no segment's duration, rounded to the nearest second, may exceed it
    (RFC 8216).
    """
    longest_ms = max(segment.duration_ms for run in runs for segment in run.segments)
    return max(1, (longest_ms + 500) // 1000)


def _seconds(duration_ms: int) -> str:
    if duration_ms <= 0:
        raise ValueError(f"a segment's duration must be positive, not {duration_ms} ms")
    return f"{duration_ms // 1000}.{duration_ms % 1000:03d}"


def _date_time(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError("a run's wall clock needs a time zone")
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(uri: str) -> str:
    if not uri or "\n" in uri or "\r" in uri or uri.startswith("#"):
        raise ValueError(f"not an address that a playlist can hold: {uri!r}")
    return uri


def _quotable(uri: str) -> str:
    if '"' in uri:
        raise ValueError(f"not an address that a playlist can quote: {uri!r}")
    return _one_line(uri)
