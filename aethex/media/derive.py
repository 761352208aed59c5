"""What is made from finished segments, inside the sandbox: the poster and the MP4 for download.

What belongs here: reading our own fMP4 and making one file of it. What does not: making segments
(`pack.py`).
"""

from __future__ import annotations

import bisect
import contextlib
import io
import itertools
from array import array
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame

from aethex.media import container, timeline
from aethex.media.errors import NoVideo
from aethex.media.storyboard import fit

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

POSTER_MAX_WIDTH = 1280
POSTER_MAX_HEIGHT = 720
_JPEG_QUALITY = "3"


class JoinedFiles(io.RawIOBase):
    """Several files read as one: an init segment and its media segments are an fMP4 file."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        sizes = [path.stat().st_size for path in paths]
        self._starts = [0, *itertools.accumulate(sizes)]
        self._position: int = 0
        self._open_index: int = -1
        self._file: io.BufferedReader | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        if self._position >= self._starts[-1] or not len(view):
            return 0
        index = bisect.bisect_right(self._starts, self._position) - 1
        if index != self._open_index or self._file is None:
            self._close_part()
            self._file = self._paths[index].open("rb")
            self._open_index = index
        self._file.seek(self._position - self._starts[index])
        count = self._file.readinto(view[: self._starts[index + 1] - self._position])
        self._position += count
        return count

    def close(self) -> None:
        self._close_part()
        super().close()

    def _close_part(self) -> None:
        if self._file is not None:
            self._file.close()


def open_joined(parts: Sequence[Path]) -> Any:
    """Our own init and media segments as one input."""
    return av.open(cast("Any", JoinedFiles(parts)), "r", format="mp4", buffer_size=1 << 20)


def open_output(path: Path, kind: str, options: dict[str, str]) -> Any:
    """A file to write; untyped, because PyAV's stubs leave most of an output's types open."""
    return av.open(path, "w", format=kind, options=options)


def write_poster(parts: Sequence[Path], path: Path, offset_ms: int = 0) -> None:
    """A frame of a segment as JPEG, within 1280x720, pixels square: the first one that is shown
    `offset_ms` or more after the segment's first, else its last.

    `parts` is the init segment and the media segment. Raises NoVideo when no frame can be decoded.
    """
    with open_joined(parts) as opened:
        stream = opened.streams.video[0]
        container.arm_decoder(stream)
        frame = _frame_at(opened, stream, offset_ms)
        aspect = stream.sample_aspect_ratio or Fraction(1)
    width, height = fit(frame.width, frame.height, aspect, (POSTER_MAX_WIDTH, POSTER_MAX_HEIGHT))
    with open_output(path, "image2", {"update": "1"}) as out:
        picture = out.add_stream(
            "mjpeg", rate=1, options={"qmin": _JPEG_QUALITY, "qmax": _JPEG_QUALITY}
        )
        picture.width, picture.height, picture.pix_fmt = width, height, "yuvj420p"
        still = frame.reformat(width, height, "yuvj420p", interpolation="BICUBIC")
        still.pts, still.time_base = 0, Fraction(1)
        out.mux(picture.encode(still))
        out.mux(picture.encode(None))


def write_poster_at(
    init: Path, segments: Sequence[tuple[Path, int]], at_ms: int, path: Path
) -> None:
    """`write_poster` of the segment that is shown at that time of the VOD; of the ones before it,
    the nearest first, where no frame of it can be decoded: it is damaged, or of a stream whose
    keyframes are further apart than segments may be long.

    `segments` are files and their times on the VOD in ms, in order. Raises NoVideo.
    """
    for part, position_ms in reversed([one for one in segments if one[1] <= at_ms]):
        with contextlib.suppress(NoVideo):
            return write_poster([init, part], path, at_ms - position_ms)
    raise NoVideo("no picture in it can be decoded; export it again.")


def poster_task(request: dict[str, Any], on_progress: Callable[[float], None]) -> dict[str, Any]:
    """The poster of `request["parts"]` (init and media segment) at `request["poster"]`: the frame
    `request["offset_ms"]` after the segment's first.
    """
    parts = [Path(part) for part in request["parts"]]
    write_poster(parts, Path(request["poster"]), int(request["offset_ms"]))
    on_progress(1.0)
    return {}


def _frame_at(opened: Any, stream: Any, offset_ms: int) -> VideoFrame:
    first: float | None = None
    frame: VideoFrame | None = None
    for packet in itertools.chain(container.packets(opened, stream), (None,)):
        for frame in container.decode(stream, packet):
            time = float(frame.time or 0)
            first = time if first is None else first
            if (time - first) * 1000 >= offset_ms - 0.5:
                return frame
    if frame is None:
        raise NoVideo("no picture in it can be decoded; export it again.")
    return frame


def write_mp4(parts: Sequence[Path], path: Path, on_progress: Callable[[float], None]) -> int:
    """All segments as one MP4 with its index in front, packets copied; how many frames it holds.

    `parts` is the init segment and then the media segments, in order.
    """
    total = sum(part.stat().st_size for part in parts)
    decode_times = _decode_times(parts)
    frames = 0
    with (
        open_joined(parts) as source,
        open_output(path, "mp4", {"movflags": "+faststart"}) as out,
    ):
        tracks = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for stream in source.streams:
            tracks[stream.index].time_base = stream.time_base
        video = source.streams.video[0].index
        for packet in container.packets(source, *source.streams):
            copy = Packet(bytes(packet))
            copy.stream, copy.time_base = tracks[packet.stream_index], packet.time_base
            copy.pts, copy.duration = packet.pts, packet.duration
            copy.is_keyframe = packet.is_keyframe
            if packet.stream_index == video:
                copy.dts = decode_times[frames]
                frames += 1
            else:
                copy.dts = packet.pts
            out.mux_one(copy)
            on_progress(min(1.0, (packet.pos or 0) / total))
    return frames


def _decode_times(parts: Sequence[Path]) -> list[int]:
    """Decode times for an MP4, early enough that no frame is shown before it is decoded."""
    pts, is_key = array("q"), array("b")
    with open_joined(parts) as source:
        for packet in container.packets(source, source.streams.video[0]):
            pts.append(packet.pts or 0)
            is_key.append(packet.is_keyframe)
    shown = np.frombuffer(pts, np.int64)
    decode = timeline.decode_times(shown, np.frombuffer(is_key, np.bool_))
    return (decode - (decode - shown).max()).tolist()


__all__ = [
    "JoinedFiles",
    "open_joined",
    "poster_task",
    "write_mp4",
    "write_poster",
    "write_poster_at",
]
