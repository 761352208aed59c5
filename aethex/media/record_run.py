"""A run that is recorded: its clocks, and its frames between coming in and being written.

What belongs here: media times of what came, and its picture as a fragment. What does not: when a
run or a segment begins and ends (`record.py`), its sound (`record_sound.py`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from aethex.media import boxes, h264
from aethex.media.boxes import Sample, TrackFragment
from aethex.media.flv import VideoFrame
from aethex.media.record_sound import RunSound

TICKS_PER_MS = 90
_LAST_FRAME_MS = 33  # of a run of one frame


@dataclass(slots=True)
class Run:
    """What is open of a run: its clocks, its sound, and frames that wait to be written."""

    avcc: bytes
    prefix_bytes: int
    first_dts: int
    first_pts: int
    sound: RunSound
    is_announced: bool = False
    fragments: int = 0
    next_decode_ticks: int = 0
    last_dts: int = 0
    last_delta: int = _LAST_FRAME_MS
    latest_pts: int = 0
    frames: list[VideoFrame] = field(default_factory=list[VideoFrame])
    frames_bytes: int = 0
    # the open segment
    start_ms: int = 0
    written_frames: int = 0
    segment_bytes: int = 0
    """Of its pictures, those that wait included."""
    is_independent: bool = True

    @property
    def delay_ms(self) -> int:
        """What B-frames need between decoding and showing."""
        return max(0, self.first_pts - self.first_dts)

    def shown_ms(self, pts_ms: int) -> int:
        return pts_ms - self.first_pts

    def samples_at(self, shown_ms: int) -> int:
        """A media time as the sound counts it."""
        return shown_ms * self.sound.rate // 1000

    def decode_ticks(self, dts_ms: int) -> int:
        """When to decode what the encoder decodes at that time: never before media time 0, where
        the first frame is shown, and never at the same time as the frame before.

        So the frames that B-frames make the encoder decode ahead are squeezed together at the
        start. Else the run would be that much later in files than on the clock, and whatever takes
        that off (edit lists, negative offsets) is read differently by hls.js, Chromium and FFmpeg:
        pictures late against the sound, and a hole between two runs.
        """
        return max(self.next_decode_ticks, (dts_ms - self.first_pts) * TICKS_PER_MS)

    def is_idr(self, frame: VideoFrame) -> bool:
        """Whether the frame needs none before it."""
        units = h264.split_length_prefixed(frame.data, self.prefix_bytes)
        return h264.first_slice_type(units) == h264.IDR_SLICE

    def append(self, frame: VideoFrame) -> None:
        """A frame that waits to be written."""
        if frame.dts_ms > self.last_dts:
            self.last_delta = frame.dts_ms - self.last_dts
        self.last_dts = frame.dts_ms
        self.latest_pts = max(self.latest_pts, frame.pts_ms)
        self.frames.append(frame)
        self.frames_bytes += len(frame.data)
        self.segment_bytes += len(frame.data)

    def take_picture(self, end_dts: int) -> TrackFragment:
        """The frames that wait, as a fragment whose last one lasts until `end_dts`."""
        starts: list[int] = []
        for dts_ms in (*(frame.dts_ms for frame in self.frames), end_dts):
            starts.append(self.decode_ticks(dts_ms))
            self.next_decode_ticks = starts[-1] + 1
        self.next_decode_ticks = starts[-1]
        samples: list[Sample] = []
        for frame, (start, following) in zip(self.frames, itertools.pairwise(starts), strict=True):
            data = frame.data
            if self.prefix_bytes != 4:
                units = list(h264.split_length_prefixed(data, self.prefix_bytes))
                data = h264.join_length_prefixed(units)
            offset = self.shown_ms(frame.pts_ms) * TICKS_PER_MS - start
            samples.append(Sample(data, following - start, offset, frame.is_key))
        self.written_frames += len(self.frames)
        self.frames, self.frames_bytes = [], 0
        return TrackFragment(boxes.VIDEO_TRACK, starts[0], samples)
