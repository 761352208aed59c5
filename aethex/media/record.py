"""A live stream becomes runs of fMP4 segments, while it comes in and without decoding it.

What belongs here: where a run and a segment begin and end. What does not: what is open of a run
(`record_run.py`, `record_sound.py`), the container it came in (`flv.py`), boxes (`boxes.py`), files
and wall clocks (the recorder).

A run has one init segment and one clock, whose 0 is its first frame shown. A new one begins, at a
keyframe, when the picture's or the sound's format changes, when sound comes late, and when the
timestamps jump. Inside a run every frame that came is kept: small irregularities of an encoder's
clock are smoothed, never cut out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from aethex.media import aac, boxes, h264
from aethex.media.boxes import AudioFormat, TrackFragment, VideoFormat
from aethex.media.errors import UnreadableMedia
from aethex.media.flv import AudioConfig, AudioFrame, Event, OtherSound, VideoConfig, VideoFrame
from aethex.media.record_run import TICKS_PER_MS, Run
from aethex.media.record_sound import RunSound

TARGET_MS = 4_000
_EARLIEST_CUT_MS = 3_500  # a GOP of two seconds, whose keyframes come a frame early
_OPEN_GOP_CUT_MS = 12_000  # a keyframe that is no IDR frame is used when none comes
_FORCED_CUT_MS = 30_000  # no keyframe at all: a kill should not cost more than this
_JUMP_FORWARD_MS = 10_000
_JUMP_BACK_MS = 1_000
_LATEST_SHOWN_MS = 10_000  # after its decoding; sixteen pictures at most wait to be shown
_FRAGMENT_BYTES = 16 * 1024**2
_MOST_SEGMENT_BYTES = 512 * 1024**2  # what is open is not part of what may wait on the disk

RunEnd = Literal["format", "jump", "end"]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The init segment of a new run, and what is in it. It comes with the run's first bytes, when
    its tracks are known; its first frame came `RunSeen` earlier.
    """

    init: bytes
    width: int
    height: int
    has_sound: bool
    """False: the sound is silence that was put in."""
    codecs: str
    """RFC 6381."""


@dataclass(frozen=True, slots=True)
class RunSeen:
    """The first frame of a new run is here: media time 0 is now."""

    is_late: bool
    """It is the first run, and frames came before it that cannot be decoded without a keyframe."""


@dataclass(frozen=True, slots=True)
class SegmentBytes:
    """Bytes of the open segment, to be written one after the other."""

    parts: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class SegmentClosed:
    """The open segment is whole. Times in ms from the run's first frame; a run's segments follow
    each other without a hole.
    """

    start_ms: int
    duration_ms: int
    frames: int
    is_independent: bool
    """Whether it starts with a frame that needs none before it (an IDR frame)."""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """No more of this run. `format`: its tracks changed; `jump`: the timestamps did."""

    why: RunEnd


Output = RunSeen | RunStarted | SegmentBytes | SegmentClosed | RunEnded


class Segmenter:
    """Takes a stream's events in the order they came and says what to write.

    `add` and `end` hand out what each event brings about; all of it has to be carried out in order.
    """

    def __init__(self, target_ms: int = TARGET_MS) -> None:
        self._earliest_cut_ms = min(_EARLIEST_CUT_MS, round(target_ms * 0.875))
        self._avcc: bytes | None = None
        self._sound_config: bytes | None = None
        self._is_sound_heard = False
        self._run: Run | None = None
        self._is_first = True
        self._is_late = False
        self.left_out: set[str] = set()
        """Codecs of sound that was left out."""

    def add(self, event: Event) -> Iterator[Output]:
        """What this event brings about. Raises UnreadableMedia for parameters that are broken, and
        for a clock that stands still.
        """
        match event:
            case VideoConfig():
                self._avcc = event.avcc
            case AudioConfig():
                if aac.is_playable(event.config):
                    self._sound_config = event.config
                else:
                    self.left_out.add("a kind of AAC that browsers do not play")
                    self._sound_config = None
            case OtherSound():
                self.left_out.add(event.codec)
            case AudioFrame():
                self._add_sound(event)
            case VideoFrame():
                yield from self._add_picture(event)

    def end(self) -> Iterator[Output]:
        """The stream is over: close what is open."""
        yield from self._end_run("end")

    def drop_run(self) -> None:
        """Forget what is open; a new run begins with the next keyframe."""
        self._run = None

    # sound

    def _add_sound(self, frame: AudioFrame) -> None:
        if self._sound_config is None:
            return
        self._is_sound_heard = True
        run = self._run
        if run is None:
            return
        if not run.is_announced and not run.sound.is_heard:
            run.sound = RunSound.begin(self._sound_config)
        if not run.sound.is_heard or run.sound.config != self._sound_config:
            return  # a new run begins with the next keyframe
        at_ms = run.shown_ms(frame.pts_ms)
        if at_ms >= 0 and abs(frame.pts_ms - run.latest_pts) <= _JUMP_FORWARD_MS:
            run.sound.add(run.samples_at(at_ms), frame.data)

    def _wanted_sound(self) -> bytes | None:
        return self._sound_config if self._is_sound_heard else None

    # picture

    def _add_picture(self, frame: VideoFrame) -> Iterator[Output]:
        run = self._run
        if abs(frame.pts_ms - frame.dts_ms) > _LATEST_SHOWN_MS:  # damaged: hours would be filled
            frame = VideoFrame(frame.dts_ms, frame.dts_ms, frame.is_key, frame.data)
        if run is not None:
            delta = frame.dts_ms - run.last_dts
            if delta > _JUMP_FORWARD_MS or delta < -_JUMP_BACK_MS:
                yield from self._end_run("jump")
                run = None
            elif delta <= 0:
                frame = VideoFrame(run.last_dts + 1, frame.pts_ms, frame.is_key, frame.data)
        if run is not None and frame.is_key and self._is_changed(run):
            yield from self._end_run("format", frame.dts_ms)
            run = None
        if run is None:
            if not frame.is_key or self._avcc is None:
                self._is_late = self._is_first
                return
            yield RunSeen(self._is_late)
            self._is_first = self._is_late = False
            self._run = run = self._begin_run(self._avcc, frame)
            run.append(frame)
            return
        is_idr = frame.is_key and run.is_idr(frame)
        if self._is_cut(run, frame, is_idr):
            end_ms = run.shown_ms(frame.pts_ms if frame.is_key else frame.dts_ms + run.delay_ms)
            if end_ms > run.start_ms:
                yield from self._close(run, frame.dts_ms, end_ms)
                run.is_independent = is_idr
        elif run.frames_bytes >= _FRAGMENT_BYTES:
            yield from self._write(run, frame.dts_ms, run.shown_ms(run.latest_pts))
        run.append(frame)
        if run.segment_bytes > _MOST_SEGMENT_BYTES:
            raise UnreadableMedia(
                "its clock stands still, or it sends too many bits: a segment is too large."
            )

    def _begin_run(self, avcc: bytes, frame: VideoFrame) -> Run:
        if not h264.is_avcc(avcc):
            raise UnreadableMedia("the picture's parameters are broken.")
        run = Run(
            avcc=avcc,
            prefix_bytes=h264.length_prefix_bytes(avcc),
            first_dts=frame.dts_ms,
            first_pts=frame.pts_ms,
            sound=RunSound.begin(self._wanted_sound()),
            last_dts=frame.dts_ms,
            latest_pts=frame.pts_ms,
        )
        run.is_independent = run.is_idr(frame)
        return run

    def _is_changed(self, run: Run) -> bool:
        wanted = self._wanted_sound()
        has = run.sound.config if run.sound.is_heard else None
        return self._avcc != run.avcc or (wanted is not None and has != wanted)

    def _is_cut(self, run: Run, frame: VideoFrame, is_idr: bool) -> bool:
        open_ms = run.shown_ms(frame.pts_ms) - run.start_ms
        if frame.is_key:
            return open_ms >= (self._earliest_cut_ms if is_idr else _OPEN_GOP_CUT_MS)
        return open_ms >= _FORCED_CUT_MS

    # writing

    def _end_run(self, why: RunEnd, next_dts: int | None = None) -> Iterator[Output]:
        run, self._run = self._run, None
        if run is None:
            return
        if run.frames or run.written_frames:
            last_ms = min(run.last_delta, 1_000)
            end_dts = run.last_dts + last_ms if next_dts is None else next_dts
            end_ms = max(run.start_ms + 1, run.shown_ms(run.latest_pts) + last_ms)
            run.sound.end(run.samples_at(end_ms))
            yield from self._close(run, end_dts, end_ms)
        yield RunEnded(why)

    def _close(self, run: Run, end_dts: int, end_ms: int) -> Iterator[Output]:
        yield from self._write(run, end_dts, end_ms)
        yield SegmentClosed(
            run.start_ms, end_ms - run.start_ms, run.written_frames, run.is_independent
        )
        run.start_ms, run.written_frames, run.segment_bytes = end_ms, 0, 0

    def _write(self, run: Run, end_dts: int, end_ms: int) -> Iterator[Output]:
        """All that waits, as one fragment of the open segment."""
        if not run.is_announced:
            run.is_announced = True
            yield _announcement(run)
        parts: list[bytes] = [] if run.written_frames else [boxes.segment_start()]
        tracks = [run.take_picture(end_dts)]
        if taken := run.sound.take(run.samples_at(end_ms)):
            samples = [sample for _, sample in taken]
            tracks.append(TrackFragment(boxes.AUDIO_TRACK, taken[0][0], samples))
        run.fragments += 1
        parts += boxes.fragment(run.fragments, tracks)
        yield SegmentBytes(parts)


def _announcement(run: Run) -> RunStarted:
    try:
        size = h264.picture_size(h264.parse_avcc(run.avcc).sps[0])
    except (ValueError, IndexError):
        raise UnreadableMedia("the picture's parameters are broken.") from None
    video = VideoFormat(
        avcc=run.avcc[:4] + bytes([run.avcc[4] | 3]) + run.avcc[5:],
        width=size.width,
        height=size.height,
        aspect=size.aspect,
        timescale=1000 * TICKS_PER_MS,
        reorder_delay=0,
        color=None,
    )
    sound = run.sound
    audio = AudioFormat(sound.config, aac.channels(sound.config), sound.rate)
    return RunStarted(
        init=boxes.init_segment(video, audio),
        width=size.width,
        height=size.height,
        has_sound=sound.is_heard,
        codecs=f"{h264.codec_string(run.avcc)},{aac.codec_string(sound.config)}",
    )
