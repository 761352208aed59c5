"""What is in a video file.

What belongs here: the shape of the answer, and asking a sandboxed child for it. What does not:
reading packets (`scan.py`, inside the child), deciding what to do about it (`decide.py`).
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aethex.media.sandbox import Limits, run_task

if TYPE_CHECKING:
    from aethex.settings import Settings

TIMELINE_NAME = "timeline.npz"


@dataclass(frozen=True, slots=True)
class VideoStream:
    """The picture. Times are seconds in the file's own time unless a name says otherwise.

    `width` and `height` are as stored, before `rotation_degrees` (clockwise, to be shown upright)
    and `is_mirrored` are applied; `aspect` is the shape of a pixel. `frames` counts the usable
    ones, from the first IDR frame on; `leading_frames` the ones before it, which no decoder can
    show. `codec_string` is RFC 6381, only for H.264. `origin_seconds` is the time of the first
    usable frame, as a fraction.
    """

    index: int
    codec: str
    profile: str | None
    level: int
    pixel_format: str
    width: int
    height: int
    aspect: tuple[int, int]
    rotation_degrees: int
    is_mirrored: bool
    is_interlaced: bool
    is_hdr: bool
    frames: int
    frame_rate: float
    is_variable_frame_rate: bool
    duration_ms: int
    keyframes_ms: tuple[int, ...]
    longest_gop_ms: int
    leading_frames: int
    leading_ms: int
    hidden_frames: int
    repaired_timestamps: int
    timestamp_fault: str | None
    start_fault: str | None
    has_changing_parameters: bool
    codec_string: str | None
    origin_seconds: Fraction


@dataclass(frozen=True, slots=True)
class AudioStream:
    """One audio track. `starts_after_ms` and `ends_before_ms` compare it with the picture
    (negative: it begins before, or ends after it). `fault` says why its packets cannot be copied,
    or is None.
    """

    index: int
    codec: str
    profile: str | None
    sample_rate: int
    channels: int
    language: str | None
    is_default: bool
    packets: int
    starts_after_ms: int
    ends_before_ms: int
    fault: str | None


@dataclass(frozen=True, slots=True)
class SubtitleTrack:
    """A track of subtitles, as the container describes it. `codec` is ffmpeg's name."""

    index: int
    codec: str
    language: str | None
    title: str | None
    is_forced: bool
    is_for_deaf: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """A file that was read from end to end. `duration_ms` is the picture's, or the sound's without
    one.
    """

    container: str
    size_bytes: int
    duration_ms: int
    video: VideoStream | None
    audio: tuple[AudioStream, ...]
    subtitles: tuple[SubtitleTrack, ...] = ()

    @classmethod
    def from_json(cls, answer: dict[str, Any]) -> Probe:
        video = None if answer["video"] is None else dict[str, Any](answer["video"])
        if video is not None:
            video["aspect"] = tuple(video["aspect"])
            video["keyframes_ms"] = tuple(video["keyframes_ms"])
            video["origin_seconds"] = Fraction(video["origin_seconds"])
        audio = tuple(AudioStream(**track) for track in answer["audio"])
        return cls(
            answer["container"],
            answer["size_bytes"],
            answer["duration_ms"],
            None if video is None else VideoStream(**video),
            audio,
            tuple(SubtitleTrack(**track) for track in answer["subtitles"]),
        )

    def to_json(self) -> dict[str, Any]:
        answer = dataclasses.asdict(self)
        if self.video is not None:
            answer["video"]["origin_seconds"] = str(self.video.origin_seconds)
        return answer


def probe(path: Path, settings: Settings) -> Probe:
    """Read a video file from end to end (packets, not pictures) and say what is in it.

    Raises MediaError: UnreadableMedia when it is no accepted container or cannot be parsed,
    MediaTooLarge, MediaLimitExceeded.
    """
    from aethex.media.sources import checked_file

    source = checked_file(path, settings)
    scratch = Path(tempfile.mkdtemp(prefix="aethex-probe-"))
    try:
        return scan(source, scratch, subject=path.name, limits=Limits.of(settings))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def scan(source: Path, scratch: Path, *, subject: str, limits: Limits) -> Probe:
    """`probe`, for a file that was checked; leaves the timestamps in `scratch` (TIMELINE_NAME)."""
    answer = run_task(
        "scan",
        {"source": str(source), "timeline": str(scratch / TIMELINE_NAME)},
        subject=subject,
        scratch=scratch,
        readable=[source],
        limits=limits,
    )
    return Probe.from_json(answer)
