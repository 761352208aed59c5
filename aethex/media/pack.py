"""Writes the package, inside the sandbox: init and media segments, poster, download.

What belongs here: copying packets into fMP4 segments on the clock that `scan.py` left. What does
not: choosing where from (`decide.py`), boxes (`boxes.py`), pictures and the MP4 (`derive.py`).

Packets are copied as they are; only how NAL units and AAC frames are wrapped changes (Annex B and
ADTS become what MP4 wants).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.container import InputContainer

from aethex.media import aac, boxes, container, derive, h264, timeline
from aethex.media.boxes import AudioFormat, Sample, TrackFragment, VideoFormat
from aethex.media.errors import UnreadableMedia
from aethex.media.vod import INIT_NAME, MP4_NAME, POSTER_NAME, segment_name

# A fragment is held in memory; a long GOP of a fat stream becomes several.
_FRAGMENT_BYTES = 16 * 1024**2


def pack_task(request: dict[str, Any], on_progress: Callable[[float], None]) -> dict[str, Any]:
    """Package as `request` says into `request["out_dir"]`; what was written, as JSON.

    `request`: `video` and `audio` (or null), each {`path`, `stream`, `timeline`}; `out_dir`.
    """
    out = Path(request["out_dir"])
    video = _load_video(request["video"])
    audio = None if request["audio"] is None else _load_audio(request["audio"])
    if audio is not None and audio.clock.count == 0:
        # None of it falls into the picture's time, and players wait for a track without packets.
        audio = None
    files = [
        _write(out / INIT_NAME, [boxes.init_segment(video.format, audio.format if audio else None)])
    ]
    segments = _write_segments(out, video, audio, lambda part: on_progress(part * 0.7))
    parts = [out / INIT_NAME, *(out / segment_name(index) for index in range(len(segments)))]
    quarter_ms = segments[-1]["end_ms"] // 4
    starts = [segment["start_ms"] for segment in segments]
    placed = list(zip(parts[1:], starts, strict=True))
    derive.write_poster_at(parts[0], placed, quarter_ms, out / POSTER_NAME)
    frames = derive.write_mp4(parts, out / MP4_NAME, lambda part: on_progress(0.7 + part * 0.3))
    if frames != video.pts.size:
        raise UnreadableMedia(
            f"{frames} of {video.pts.size} frames arrived in the package; it is damaged."
        )
    files += [_digest(out / POSTER_NAME), _digest(out / MP4_NAME)]
    codecs = [h264.codec_string(video.format.avcc)]
    if audio is not None:
        codecs.append(aac.codec_string(audio.format.config))
    return {
        "files": files,
        "segments": segments,
        "codecs": ",".join(codecs),
        "width": video.format.width,
        "height": video.format.height,
        "frames": int(video.pts.size),
        "has_audio": audio is not None,
    }


@dataclass(slots=True)
class _Video:
    path: Path
    stream: int
    format: VideoFormat
    first: int
    pts: timeline.Ticks
    dts: timeline.Ticks
    is_idr: np.ndarray[Any, np.dtype[np.bool_]]
    end: int
    length_prefix: int

    def seconds(self, ticks: int) -> Fraction:
        return Fraction(ticks, self.format.timescale)


@dataclass(slots=True)
class _Audio:
    path: Path
    stream: int
    format: AudioFormat
    clock: timeline.AudioClock


def _load_video(request: dict[str, Any]) -> _Video:
    with np.load(request["timeline"], allow_pickle=False) as saved:
        arrays = {name: saved[name] for name in saved.files}
    path, avcc = Path(request["path"]), arrays["avcc"].tobytes()
    pts, is_idr = arrays["pts"], arrays["is_idr"]
    dts = timeline.decode_times(pts, is_idr)
    with container.open_input(path) as opened:
        stream: Any = opened.streams[int(request["stream"])]
        context = stream.codec_context
        aspect = stream.sample_aspect_ratio or Fraction(1)
        color = (
            context.color_primaries,
            context.color_trc,
            context.colorspace,
            context.color_range == 2,
        )
        header = container.extradata(stream)
        shape = VideoFormat(
            avcc=_with_long_lengths(avcc),
            width=context.width,
            height=context.height,
            aspect=(aspect.numerator, aspect.denominator) if aspect > 0 else (1, 1),
            timescale=int(arrays["timescale"]),
            reorder_delay=int((dts - pts).max()),
            color=None if 2 in color[:3] else color,
        )
    return _Video(
        path=path,
        stream=request["stream"],
        format=shape,
        first=int(arrays["first"]),
        pts=pts,
        dts=dts,
        is_idr=is_idr,
        end=int(arrays["end"]),
        length_prefix=h264.length_prefix_bytes(header) if h264.is_avcc(header) else 0,
    )


def _with_long_lengths(avcc: bytes) -> bytes:
    return avcc[:4] + bytes([avcc[4] | 3]) + avcc[5:]


def _load_audio(request: dict[str, Any]) -> _Audio:
    with np.load(request["timeline"], allow_pickle=False) as saved:
        first, start, count, samples, rate, channels = saved[f"audio_{request['stream']}"].tolist()
        config = saved[f"config_{request['stream']}"].tobytes()
    return _Audio(
        Path(request["path"]),
        request["stream"],
        AudioFormat(config, channels, rate),
        timeline.AudioClock(first, start, count, samples),
    )


def _write_segments(
    out: Path, video: _Video, audio: _Audio | None, on_progress: Callable[[float], None]
) -> list[dict[str, Any]]:
    idr = np.flatnonzero(video.is_idr)
    times = [float(video.seconds(int(video.pts[index]))) for index in idr]
    chosen = timeline.segment_starts(times, float(video.seconds(video.end)))
    bounds = [int(idr[position]) for position in chosen] + [video.pts.size]
    ends = [int(video.pts[index]) for index in bounds[1:-1]] + [video.end]
    segments: list[dict[str, Any]] = []
    with (
        container.open_input(video.path) as picture,
        container.open_input((audio or video).path) as sound,
    ):
        video_samples = _video_samples(video, picture)
        audio_samples = _Lookahead(_audio_samples(audio, sound) if audio else iter(()))
        fragments = 0
        for index, (start, stop) in enumerate(itertools.pairwise(bounds)):
            is_last = index == len(bounds) - 2
            until = (
                None
                if is_last or audio is None
                else video.seconds(ends[index]) * audio.format.timescale
            )
            writer = _SegmentWriter(out / segment_name(index), fragments)
            writer.add_video(video_samples, range(start, stop), int(video.dts[start]))
            writer.add_audio(audio_samples.take(until))
            segments.append(_segment(writer.close(), video, int(video.pts[start]), ends[index]))
            fragments = writer.fragments
            on_progress(stop / video.pts.size)
    return segments


def _segment(file: dict[str, Any], video: _Video, start: int, end: int) -> dict[str, Any]:
    start_ms, end_ms = round(video.seconds(start) * 1000), round(video.seconds(end) * 1000)
    return {**file, "start_ms": start_ms, "end_ms": max(end_ms, start_ms + 1)}


def _video_samples(video: _Video, opened: InputContainer) -> Iterator[Sample]:
    """The frames from the first IDR frame on, in decode order."""
    following = np.append(video.dts[1:], video.end)
    durations = (following - video.dts).tolist()
    offsets = (video.pts - video.dts + video.format.reorder_delay).tolist()
    packets = container.packets(opened, opened.streams[video.stream])
    for index, packet in enumerate(packets):
        position = index - video.first
        if position < 0:
            continue
        if position >= video.pts.size:
            return
        data = bytes(packet)
        if video.length_prefix == 0:
            data = h264.join_length_prefixed(h264.sample_units(h264.split_annex_b(data)))
        elif video.length_prefix != 4:
            units = list(h264.split_length_prefixed(data, video.length_prefix))
            data = h264.join_length_prefixed(units)
        yield Sample(data, durations[position], offsets[position], bool(video.is_idr[position]))


def _audio_samples(audio: _Audio, opened: InputContainer) -> Iterator[tuple[int, Sample]]:
    """Packets with their start in samples on the package's timeline."""
    clock = audio.clock
    for index, packet in enumerate(container.packets(opened, opened.streams[audio.stream])):
        position = index - clock.first
        if position < 0:
            continue
        if position >= clock.count:
            return
        data = aac.strip_adts(bytes(packet))
        yield (
            clock.start + position * clock.packet_samples,
            Sample(data, clock.packet_samples, 0, True),
        )


class _Lookahead:
    """Hands out audio packets up to a time, keeping the one that was read too far."""

    def __init__(self, samples: Iterator[tuple[int, Sample]]) -> None:
        self._samples = samples
        self._next = next(samples, None)

    def take(self, until: Fraction | None) -> Iterator[tuple[int, Sample]]:
        while self._next is not None and (until is None or self._next[0] < until):
            yield self._next
            self._next = next(self._samples, None)


class _SegmentWriter:
    """One `.m4s`: a fragment, or several where one would be too large for memory."""

    def __init__(self, path: Path, fragments: int) -> None:
        self._path = path
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self._bytes = 0
        self.fragments = fragments
        self._pending: list[TrackFragment] = []
        self._put([boxes.segment_start()])

    def add_video(self, samples: Iterator[Sample], positions: range, decode_time: int) -> None:
        taken: list[Sample] = []
        size = 0
        for position in positions:
            sample = next(samples, None)
            if sample is None:
                raise UnreadableMedia(
                    f"it ends after {position} frames, earlier than when it was read first."
                )
            taken.append(sample)
            size += len(sample.data)
            if size >= _FRAGMENT_BYTES:
                self._fragment([TrackFragment(boxes.VIDEO_TRACK, decode_time, taken)])
                decode_time += sum(item.duration for item in taken)
                taken, size = [], 0
        self._pending.append(TrackFragment(boxes.VIDEO_TRACK, decode_time, taken))

    def add_audio(self, samples: Iterator[tuple[int, Sample]]) -> None:
        taken = list(samples)
        if taken:
            packets = [sample for _, sample in taken]
            self._pending.append(TrackFragment(boxes.AUDIO_TRACK, taken[0][0], packets))

    def close(self) -> dict[str, Any]:
        self._fragment(self._pending)
        self._file.close()
        return {"name": self._path.name, "bytes": self._bytes, "sha256": self._digest.hexdigest()}

    def _fragment(self, tracks: Sequence[TrackFragment]) -> None:
        if any(track.samples for track in tracks):
            self.fragments += 1
            self._put(boxes.fragment(self.fragments, tracks))

    def _put(self, parts: Sequence[bytes]) -> None:
        for part in parts:
            self._file.write(part)
            self._digest.update(part)
            self._bytes += len(part)


def _write(path: Path, parts: Sequence[bytes]) -> dict[str, Any]:
    path.write_bytes(b"".join(parts))
    return _digest(path)


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}
