"""Reads a file from end to end, inside the sandbox: every packet's time, one decoded picture.

What belongs here: from packets to a `Probe` and the timeline file that `pack.py` works from. What
does not: judging timestamps (`timeline.py`), deciding what to transcode (`decide.py`).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from av.audio.stream import AudioStream as AvAudioStream
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideoStream

from aethex.media import aac, container, h264, timeline
from aethex.media.errors import UnreadableMedia
from aethex.media.probe import AudioStream, Probe, VideoStream
from aethex.media.whitelist import AUDIO_CODECS, VIDEO_CODECS

_PACKETS_TO_FIRST_FRAME = 600
_MOST_PARAMETER_SETS = 64
_HDR_TRANSFERS = (16, 18)  # PQ and HLG (ISO/IEC 23091-2)
_LONGEST_SOUND_SECONDS = 10**7
# Longer silence than this is filled, because players stall on it.
AUDIO_HOLE_SECONDS = 0.1
AUDIO_TAIL_SECONDS = 0.5
_AUDIO_JITTER_SECONDS = 0.05


def scan_task(request: dict[str, Any], on_progress: Callable[[float], None]) -> dict[str, Any]:
    """Scan `request["source"]`; times go to `request["timeline"]`, the answer is a Probe."""
    source = Path(request["source"])
    with container.open_input(source) as opened:
        reader = _Reader(opened)
        reader.read(source.stat().st_size, on_progress)
        probe, arrays = _summary(reader, source.stat().st_size)
    np.savez(request["timeline"], **arrays)
    return probe.to_json()


@dataclass(slots=True)
class _VideoPackets:
    stream: AvVideoStream
    pts: array[int] = field(default_factory=lambda: array("q"))
    dts: array[int] = field(default_factory=lambda: array("q"))
    is_idr: array[int] = field(default_factory=lambda: array("b"))
    is_key: array[int] = field(default_factory=lambda: array("b"))
    is_hidden: array[int] = field(default_factory=lambda: array("b"))
    sets: dict[bytes, None] = field(default_factory=dict[bytes, None])
    has_new_header: bool = False
    last_duration: int = 0
    first_frame: VideoFrame | None = None
    fed_packets: int = 0


@dataclass(slots=True)
class _AudioPackets:
    stream: AvAudioStream
    pts: array[int] = field(default_factory=lambda: array("q"))
    config: bytes = b""
    has_changing_config: bool = False
    is_broken: bool = False


class _Reader:
    """One pass over the packets of the chosen picture track and all sound tracks."""

    def __init__(self, opened: InputContainer) -> None:
        self.opened = opened
        videos = container.video_streams(opened)
        chosen = max(
            videos, key=lambda s: (container.is_default(s), s.width * s.height), default=None
        )
        self.video = None if chosen is None else _VideoPackets(chosen)
        self.audio = [_AudioPackets(stream) for stream in container.audio_streams(opened)]
        if chosen is not None:
            self._prepare(chosen)

    def _prepare(self, stream: AvVideoStream) -> None:
        self.codec = container.codec_name(stream)
        if self.codec not in VIDEO_CODECS:
            raise UnreadableMedia(
                f"its video codec ({self.codec}) is not accepted; convert it to H.264 and import "
                "it again."
            )
        container.arm_decoder(stream)
        header = container.extradata(stream)
        self.prefix_bytes = h264.length_prefix_bytes(header) if h264.is_avcc(header) else 0

    def read(self, size_bytes: int, on_progress: Callable[[float], None]) -> None:
        streams = [
            *([self.video.stream] if self.video else []),
            *(track.stream for track in self.audio),
        ]
        tracks = {track.stream.index: track for track in self.audio}
        for packet in container.packets(self.opened, *streams) if streams else ():
            if self.video is not None and packet.stream_index == self.video.stream.index:
                self._add_video(self.video, packet)
            else:
                _add_audio(tracks[packet.stream_index], packet)
            on_progress(min(1.0, (packet.pos or 0) / max(1, size_bytes)))
        if self.video is not None and self.video.first_frame is None and self.video.fed_packets:
            self.video.first_frame = next(iter(container.decode(self.video.stream, None)), None)

    def _add_video(self, video: _VideoPackets, packet: container.AnyPacket) -> None:
        video.pts.append(timeline.NO_PTS if packet.pts is None else packet.pts)
        video.dts.append(timeline.NO_PTS if packet.dts is None else packet.dts)
        video.is_key.append(packet.is_keyframe)
        video.is_hidden.append(packet.is_discard)
        video.last_duration = packet.duration or 0
        video.is_idr.append(packet.is_keyframe and self._is_clean_start(video, packet))
        if len(video.pts) > 1 and packet.has_sidedata("new_extradata"):
            video.has_new_header = True
        if video.first_frame is None and (video.fed_packets or packet.is_keyframe):
            if video.fed_packets >= _PACKETS_TO_FIRST_FRAME:
                return
            video.fed_packets += 1
            video.first_frame = next(iter(container.decode(video.stream, packet)), None)

    def _is_clean_start(self, video: _VideoPackets, packet: container.AnyPacket) -> bool:
        if self.codec != "h264":
            return True
        data = bytes(packet)
        units = list(
            h264.split_length_prefixed(data, self.prefix_bytes)
            if self.prefix_bytes
            else h264.split_annex_b(data)
        )
        if len(video.sets) < _MOST_PARAMETER_SETS:
            video.sets.update(
                dict.fromkeys(u for u in units if u[0] & 31 in (7, 8) and len(u) >= 4)
            )
        return h264.first_slice_type(iter(units)) == h264.IDR_SLICE


def _add_audio(track: _AudioPackets, packet: container.AnyPacket) -> None:
    track.pts.append(timeline.NO_PTS if packet.pts is None else packet.pts)
    if container.codec_name(track.stream) != "aac":
        return
    head = bytes(memoryview(packet)[:8])
    if aac.is_adts(head):
        config = aac.config_from_adts(head) or b""
        track.has_changing_config |= bool(track.config) and config != track.config
        track.config = track.config or config
        track.is_broken |= not config
    elif not track.config:
        track.config = container.extradata(track.stream)
    track.has_changing_config |= len(track.pts) > 1 and packet.has_sidedata("new_extradata")


def _summary(reader: _Reader, size_bytes: int) -> tuple[Probe, dict[str, Any]]:
    arrays: dict[str, Any] = {}
    video = None if reader.video is None else _video_summary(reader.video, reader.codec, arrays)
    if video is not None:
        origin, end = video.origin_seconds, Fraction(video.duration_ms, 1000)
        audio = [_audio_summary(track, origin, end, arrays) for track in reader.audio]
        duration_ms = video.duration_ms
    else:  # sound alone: its own time counts, all of it
        end = Fraction(_LONGEST_SOUND_SECONDS)
        audio = [_audio_summary(track, Fraction(0), end, arrays) for track in reader.audio]
        ends = (_LONGEST_SOUND_SECONDS * 1000 - track.ends_before_ms for track in audio)
        duration_ms = max(ends, default=0)
    name = reader.opened.format.name
    subtitles = tuple(container.subtitle_tracks(reader.opened))
    return Probe(name, size_bytes, duration_ms, video, tuple(audio), subtitles), arrays


def _video_summary(video: _VideoPackets, codec: str, arrays: dict[str, Any]) -> VideoStream | None:
    """The picture track, or None when it has no packet that can be shown."""
    stream, frame = video.stream, video.first_frame
    if frame is None:
        return None
    base = container.time_base(stream)
    pts, dts = np.frombuffer(video.pts, np.int64), np.frombuffer(video.dts, np.int64)
    is_idr = np.frombuffer(video.is_idr, np.bool_)
    is_hidden = np.frombuffer(video.is_hidden, np.bool_)
    keys = np.flatnonzero(np.frombuffer(video.is_key, np.bool_))
    idr = np.flatnonzero(is_idr)
    first, start_fault = _first_usable(pts, keys, idr, base)
    last = pts.size
    while last - 1 > first and is_hidden[last - 1]:
        last -= 1  # an edit list ends here
    pts, dts, is_idr, hidden = (
        pts[first:last],
        dts[first:last],
        is_idr[first:last],
        is_hidden[first:last],
    )
    repaired = int(np.count_nonzero(pts == timeline.NO_PTS))
    pts, missing = timeline.fill_missing(pts, dts)
    fault = f"{missing} frames carry no time" if missing else timeline.disorder(pts, is_idr)
    shown = pts[~hidden & (pts != timeline.NO_PTS)]
    if shown.size == 0:
        return None
    hints = [rate for rate in (stream.guessed_rate, stream.average_rate, stream.base_rate) if rate]
    clock = timeline.video_clock(shown, base, video.last_duration, hints)
    if shown.size == pts.size:
        arrays.update(pts=clock.pts, is_idr=is_idr)
    arrays.update(first=first, end=clock.end, timescale=clock.timescale)
    duration = Fraction(clock.end, clock.timescale)
    key_times = clock.pts[is_idr] / clock.timescale if shown.size == pts.size else np.zeros(1)
    gaps = np.diff(np.append(key_times, float(duration)))
    before = video.pts[0] if first and video.pts[0] != timeline.NO_PTS else int(shown.min())
    degrees, is_mirrored = _orientation(frame)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    varies = clock.rate is None or timeline.has_holes(clock)
    sets = _parameter_sets(video, container.extradata(stream)) if codec == "h264" else None
    if sets is not None:
        arrays["avcc"] = np.frombuffer(sets.avcc, np.uint8)
    return VideoStream(
        index=stream.index,
        codec="av1" if codec == "libdav1d" else codec,
        profile=stream.profile,
        level=stream.codec_context.level,
        pixel_format=frame.format.name,
        width=frame.width,
        height=frame.height,
        aspect=(aspect.numerator, aspect.denominator) if aspect > 0 else (1, 1),
        rotation_degrees=degrees,
        is_mirrored=is_mirrored,
        is_interlaced=bool(frame.interlaced_frame),
        is_hdr=frame.color_trc in _HDR_TRANSFERS,
        frames=int(shown.size),
        frame_rate=_frame_rate(clock, varies, hints if fault else []),
        is_variable_frame_rate=varies,
        duration_ms=round(duration * 1000),
        keyframes_ms=tuple(round(float(time) * 1000) for time in key_times),
        longest_gop_ms=round(float(gaps.max()) * 1000),
        leading_frames=first,
        leading_ms=max(0, round((int(shown.min()) - before) * base * 1000)),
        hidden_frames=int(np.count_nonzero(hidden)),
        repaired_timestamps=repaired - missing,
        timestamp_fault=fault,
        start_fault=start_fault,
        has_changing_parameters=video.has_new_header or (sets is not None and sets.has_conflicts),
        codec_string=None if sets is None else h264.codec_string(sets.avcc),
        origin_seconds=clock.origin_seconds,
    )


def _frame_rate(clock: timeline.VideoClock, varies: bool, claimed: Sequence[Fraction]) -> float:
    """Frames a second; what the container claims where the timestamps are not to be trusted."""
    if claimed:
        return float(next((rate for rate in claimed if 1 <= rate <= 120), Fraction(30)))
    if clock.rate is not None and not varies:
        return float(clock.rate)
    return clock.pts.size * clock.timescale / clock.end


def _first_usable(
    pts: timeline.Ticks, keys: timeline.Ticks, idr: timeline.Ticks, base: Fraction
) -> tuple[int, str | None]:
    """The packet that the video can start from, and what forbids to copy from there on.

    Packets before the first IDR frame are left out, unless another kind of keyframe makes more than
    half a second of them decodable.
    """
    if idr.size == 0:
        return int(keys[0]), "no frame is an IDR frame, from which a player can start"
    if keys[0] < idr[0] and (int(pts[idr[0]]) - int(pts[keys[0]])) * base > Fraction(1, 2):
        return int(keys[0]), "it begins with a keyframe that is no IDR frame"
    return int(idr[0]), None


@dataclass(frozen=True, slots=True)
class _Header:
    avcc: bytes
    has_conflicts: bool


def _parameter_sets(video: _VideoPackets, header: bytes) -> _Header | None:
    """The avcC to package with; conflicts mean that one id stands for different parameters over
    time.
    """
    try:
        stated = h264.parse_avcc(header) if h264.is_avcc(header) else None
    except ValueError:
        stated = None
    units = dict.fromkeys((*stated.sps, *stated.pps) if stated else ())
    units.update(video.sets)
    sps = tuple(unit for unit in units if unit[0] & 31 == h264.SEQUENCE_PARAMETERS)
    pps = tuple(unit for unit in units if unit[0] & 31 == h264.PICTURE_PARAMETERS)
    ids = [(unit[0] & 31, h264.parameter_set_id(unit)) for unit in units]
    try:
        is_same = stated is not None and len(units) == len(stated.sps) + len(stated.pps)
        avcc = header if is_same else h264.build_avcc(h264.ParameterSets(sps, pps))
        return _Header(avcc, len(set(ids)) != len(ids))
    except ValueError:
        return None


def _orientation(frame: VideoFrame) -> tuple[int, bool]:
    """Degrees to turn the picture clockwise to be upright, and whether it is mirrored."""
    for item in frame.side_data:
        if getattr(item, "type", None) == SideDataType.DISPLAYMATRIX:
            a, b, _, c, d, *_ = struct.unpack("<9i", bytes(cast("Any", item))[:36])
            return -frame.rotation % 360, a * d - b * c < 0
    return 0, False


def _audio_summary(
    track: _AudioPackets, origin: Fraction, end: Fraction, arrays: dict[str, Any]
) -> AudioStream:
    stream = track.stream
    base, rate, codec = container.time_base(stream), stream.rate or 0, container.codec_name(stream)
    pts = np.frombuffer(track.pts, np.int64)
    samples = _packet_samples(pts, base, rate)
    starts_after = ends_before = 0.0
    fault = _codec_fault(track, codec, rate, len(pts))
    known = pts[pts != timeline.NO_PTS]
    if known.size and rate > 0:
        last = (float(samples) / rate) if codec == "aac" else 0.02
        starts_after = float(int(known[0]) * base - origin)
        ends_before = float(end) - (float(int(known.max()) * base - origin) + last)
    if fault is None:
        off = timeline.audio_deviation_seconds(pts, base, rate, samples)
        if off > _AUDIO_JITTER_SECONDS:
            fault = f"its timestamps are off by up to {off:.2f} s"
        elif starts_after > AUDIO_HOLE_SECONDS:
            fault = f"it begins {starts_after:.2f} s after the picture"
        elif ends_before > AUDIO_TAIL_SECONDS:
            fault = f"it ends {ends_before:.2f} s before the picture"
        clock = timeline.audio_clock(pts, base, rate, samples, origin, end)
        arrays[f"audio_{stream.index}"] = np.array(
            [clock.first, clock.start, clock.count, clock.packet_samples, rate, stream.channels],
            np.int64,
        )
        arrays[f"config_{stream.index}"] = np.frombuffer(track.config, np.uint8)
    return AudioStream(
        index=stream.index,
        codec=codec,
        profile=stream.profile,
        sample_rate=rate,
        channels=stream.channels,
        language=stream.language,
        is_default=container.is_default(stream),
        packets=len(pts),
        starts_after_ms=round(starts_after * 1000),
        ends_before_ms=round(ends_before * 1000),
        fault=fault,
    )


def _packet_samples(pts: timeline.Ticks, base: Fraction, rate: int) -> int:
    """How many samples an AAC packet holds: 1024, or 2048 where SBR doubles them, rarely 960 or
    1920.
    """
    known = pts[pts != timeline.NO_PTS]
    if known.size < 2:
        return 1024
    exact = float(np.median(np.diff(known))) * float(base) * rate
    return min((1024, 2048, 960, 1920), key=lambda samples: abs(samples - exact))


def _codec_fault(track: _AudioPackets, codec: str, rate: int, packets: int) -> str | None:
    if codec not in AUDIO_CODECS or rate <= 0 or packets == 0:
        return "it cannot be decoded"
    if codec != "aac":
        return f"it is {codec}, not AAC"
    if track.has_changing_config:
        return "its format changes midway"
    if track.is_broken or aac.object_type(track.config) not in aac.PLAYABLE_OBJECT_TYPES:
        return "it is a kind of AAC that browsers do not play"
    return None
