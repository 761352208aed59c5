"""Pictures at given moments of a VOD, decoded inside the sandbox from a batch of its segments.

What belongs here: from moments to decoded, scaled pictures in files. What does not: which moments
(`storyboard.py`), what becomes of the pictures (`derivation.py`).

Each segment begins with an IDR frame, so a moment needs nothing but its own segment. Only what is
needed is decoded: the keyframe at or before a moment, and frames behind it only where the request
says that the keyframe is too early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.video.frame import VideoFrame

from aethex.media import container, derive
from aethex.media.batch import Segment, Wanted
from aethex.media.storyboard import fit


def write_stills(
    segments: Sequence[Segment],
    wanted: Sequence[Wanted],
    out_dir: Path,
    on_progress: Callable[[float], None],
) -> list[dict[str, Any]]:
    """Write each still that lies in one of the segments as raw RGB into `out_dir`; which, as JSON.

    Answers `name`, `width`, `height` and `at_ms`, the time on the VOD of the frame that it is. A
    still of a segment without any frame that can be decoded is left out.
    """
    made: list[dict[str, Any]] = []
    for number, segment in enumerate(segments):
        here = [one for one in wanted if segment.position_ms <= one.wanted_ms < segment.end_ms]
        if here:
            made += _of_segment(segment, here, out_dir)
        on_progress((number + 1) / len(segments))
    return made


def _of_segment(segment: Segment, wanted: Sequence[Wanted], out: Path) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    with derive.open_joined([segment.init, segment.path]) as opened:
        reader = _Reader(opened, segment.position_ms)
        for one in wanted:
            found = reader.frame(one)
            if found is None:
                continue
            frame, at_ms = found
            width, height = fit(frame.width, frame.height, reader.aspect, one.box)
            still = frame.reformat(width, height, "rgb24", interpolation="AREA")
            (out / one.name).write_bytes(still.to_ndarray().tobytes())
            made.append({"name": one.name, "width": width, "height": height, "at_ms": at_ms})
    return made


class _Reader:
    """One segment's packets, and a decoder that can start at any keyframe of them."""

    def __init__(self, opened: Any, position_ms: int) -> None:
        stream: Any = opened.streams.video[0]
        container.arm_decoder(stream)
        stream.codec_context.thread_count = 1  # more threads would hold frames back
        self._stream = stream
        self._position_ms = position_ms
        self._base = container.time_base(stream)
        self._packets = [one for one in container.packets(opened, stream) if one.pts is not None]
        self._first_pts = min((one.pts or 0 for one in self._packets), default=0)
        self.aspect = stream.sample_aspect_ratio or Fraction(1)

    def frame(self, wanted: Wanted) -> tuple[VideoFrame, int] | None:
        """The frame and its time on the VOD in milliseconds; None when none can be decoded."""
        last: tuple[VideoFrame, int] | None = None
        start = self._keyframe_before(wanted.wanted_ms)
        is_early = self._at_ms(self._packets[start].pts) < wanted.from_ms if self._packets else True
        # The keyframe alone, pushed out by the end of input; or all that follows it.
        feed = self._packets[start:] if is_early else self._packets[start : start + 1]
        self._stream.codec_context.flush_buffers()
        for packet in (*feed, None):
            for frame in container.decode(self._stream, packet):
                last = frame, self._at_ms(frame.pts)
                if last[1] >= wanted.from_ms:
                    return last
        return last

    def _keyframe_before(self, wanted_ms: int) -> int:
        keys = [index for index, packet in enumerate(self._packets) if packet.is_keyframe]
        before = [key for key in keys if self._at_ms(self._packets[key].pts) <= wanted_ms]
        return before[-1] if before else 0

    def _at_ms(self, pts: int | None) -> int:
        seconds = ((pts or 0) - self._first_pts) * self._base
        return self._position_ms + round(seconds * 1000)
