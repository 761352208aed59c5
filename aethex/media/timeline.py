"""Timestamps of a video: what is wrong with them, what they should be, where segments are cut.

What belongs here: pure functions over arrays of timestamps. What does not: packets, files.

Timestamps are integers in ticks of a time base; `NO_PTS` marks a missing one. "Decode order" is the
order of the packets in the file.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Ticks = NDArray[np.int64]

NO_PTS = -(2**63)
SHORTEST_SEGMENT_SECONDS = 2.0
LONGEST_SEGMENT_SECONDS = 6.0
_TARGET_SECONDS = 4.0
# Recorders round timestamps to milliseconds (RTMP, FLV, Matroska): half a tick, at both ends.
_ROUNDING_SECONDS = Fraction(75, 100_000)
_VARIABLE_TIMESCALE = 90_000
_RATES = [
    *(Fraction(base * 1000, 1001) for base in (15, 24, 30, 48, 60, 90, 120, 240)),
    *(Fraction(rate) for rate in (1, 2, 5, 6, 8, 10, 12, 15, 18, 20, 24, 25, 30, 48, 50, 60, 72)),
    *(Fraction(rate) for rate in (75, 90, 100, 120, 144, 165, 200, 240)),
    Fraction(25, 2),
]


@dataclass(frozen=True, slots=True)
class VideoClock:
    """Timestamps of a video as they are packaged: 0 is the first frame.

    `pts` in decode order and `end` are in ticks of 1/`timescale` s. `origin_seconds` is the
    source's time of the first frame. `rate` is frames a second where every frame lies on one grid
    (then timestamps are that grid), None where the rate varies.
    """

    pts: Ticks
    end: int
    timescale: int
    origin_seconds: Fraction
    rate: Fraction | None


def fill_missing(pts: Ticks, dts: Ticks) -> tuple[Ticks, int]:
    """Presentation times with missing ones put where the others leave a hole; and how many are
    still missing.

    A missing time goes to the hole near its neighbours in decode order. Streams that never
    reorder frames (every known time equals its decode time) take the decode time.
    """
    missing = np.flatnonzero(pts == NO_PTS)
    if missing.size == 0:
        return pts, 0
    known = pts[pts != NO_PTS]
    if known.size < 2:
        return pts, int(missing.size)
    filled = pts.copy()
    both = (pts != NO_PTS) & (dts != NO_PTS)
    if np.array_equal(pts[both], dts[both]):
        filled[missing] = dts[missing]
        return filled, int(np.count_nonzero(filled == NO_PTS))
    ordered = np.unique(known)
    step = int(np.median(np.diff(ordered))) or 1
    holes = _holes(ordered, step)
    for index, hole in _pairs(missing, holes, pts):
        around = pts[max(0, index - 4) : index + 5]
        around = around[around != NO_PTS]
        if around.size and abs(hole - float(around.mean())) <= 8 * step:
            filled[index] = hole
    return filled, int(np.count_nonzero(filled == NO_PTS))


def _pairs(missing: Ticks, holes: Sequence[int], pts: Ticks) -> list[tuple[int, int]]:
    """Which missing time (position) belongs to which hole.

    In order where there are as many holes; else each takes the one nearest to the last time known
    before it. Nothing is paired where two neighbours are missing: B-frames could be swapped.
    """
    if missing.size > 1 and int(np.diff(missing).min()) < 3:
        return []
    positions = [int(index) for index in missing]
    if len(holes) == len(positions):
        return list(zip(positions, holes, strict=True))
    pairs: list[tuple[int, int]] = []
    left = list(holes)
    for index in positions:
        before = pts[:index][pts[:index] != NO_PTS]
        if not left or not before.size:
            break
        best = min(left, key=lambda hole: abs(hole - int(before[-1])))
        left.remove(best)
        pairs.append((index, best))
    return pairs


def _holes(ordered: Ticks, step: int) -> list[int]:
    holes: list[int] = []
    gaps = np.diff(ordered)
    for index in np.flatnonzero(gaps * 2 > step * 3):
        parts = min(round(float(gaps[index]) / step), 1000)
        holes += [int(ordered[index] + gaps[index] * part // parts) for part in range(1, parts)]
    return holes


def disorder(pts: Ticks, is_idr: NDArray[np.bool_]) -> str | None:
    """What forbids to use these presentation times (decode order, none missing), in words; or None.

    Two frames may not be shown at once, and no frame may be shown on the other side of an IDR frame
    than it is decoded.
    """
    if pts.size > 1 and np.unique(pts).size != pts.size:
        return "several frames carry the same time"
    latest = np.maximum.accumulate(pts)
    earliest = np.minimum.accumulate(pts[::-1])[::-1]
    idr = np.flatnonzero(is_idr)
    after = idr[idr > 0]
    if np.any(latest[after - 1] > pts[after]) or np.any(earliest[idr] < pts[idr]):
        return "timestamps jump backwards"
    return None


def decode_times(pts: Ticks, is_idr: NDArray[np.bool_]) -> Ticks:
    """A decode time for each frame: the presentation times of its GOP, sorted.

    So decode times rise, an IDR frame's equals its presentation time, and the source's own are not
    needed.
    """
    bounds = [*np.flatnonzero(is_idr).tolist(), pts.size]
    decode = pts.copy()
    for start, end in itertools.pairwise(bounds):
        decode[start:end].sort()
    return decode


def video_clock(
    pts: Ticks, time_base: Fraction, last_duration: int, hints: Sequence[Fraction]
) -> VideoClock:
    """The timestamps to package for presentation times in decode order.

    `last_duration` is the last frame's, in ticks (0: unknown), `hints` are frame rates that the
    container claims.
    """
    ordered = np.sort(pts)
    first = int(ordered[0])
    median = _median_step(ordered)
    rate, shift = _constant_rate(ordered, time_base, median, hints)
    if rate is not None:
        timescale, ticks = rate.numerator, rate.denominator
        while timescale < 10_000:
            timescale, ticks = timescale * 2, ticks * 2
        per_tick = float(time_base * rate)
        frames = np.rint((pts - first) * per_tick).astype(np.int64)
        end = (int(frames.max()) + 1) * ticks
        return VideoClock(frames * ticks, end, timescale, first * time_base + shift, rate)
    timescale = _timescale(time_base)
    scaled = _rescale(pts - first, time_base * timescale)
    last = last_duration if 0 < last_duration * time_base < 10 else median
    end = int(scaled.max()) + max(1, round(last * time_base * timescale))
    return VideoClock(scaled, end, timescale, first * time_base, None)


def _median_step(ordered: Ticks) -> int:
    return int(np.median(np.diff(ordered))) if ordered.size > 1 else 0


def _timescale(time_base: Fraction) -> int:
    if time_base.numerator == 1 and 1000 <= time_base.denominator <= 10_000_000:
        return time_base.denominator
    return _VARIABLE_TIMESCALE


def _rescale(ticks: Ticks, factor: Fraction) -> Ticks:
    if factor == 1:
        return ticks
    return (ticks * factor.numerator * 2 + factor.denominator) // (factor.denominator * 2)


def _constant_rate(
    ordered: Ticks, time_base: Fraction, median: int, hints: Sequence[Fraction]
) -> tuple[Fraction | None, Fraction]:
    """The rate whose grid holds all frames within rounding, and the grid's shift in seconds."""
    if ordered.size == 1:
        # One picture: its duration is unknown, any sane rate will do.
        return next((hint for hint in hints if 1 <= hint <= 240), Fraction(25)), Fraction(0)
    if median <= 0:
        return None, Fraction(0)
    seconds = (ordered - ordered[0]) * float(time_base)
    step = median * float(time_base)
    tolerance = float(max(_ROUNDING_SECONDS, time_base))
    best: tuple[float, Fraction, Fraction] | None = None
    for rate in {*_RATES, *(hint.limit_denominator(1001) for hint in hints)}:
        if (
            rate <= 0
            or abs(1 / float(rate) - step) > 2 * tolerance
            or tolerance * float(rate) > 0.2
        ):
            continue
        frames = np.rint(seconds * float(rate))
        off = seconds - frames / float(rate)
        spread = round(float(np.ptp(off)), 7)
        if spread > 2 * tolerance or np.any(np.diff(frames) < 1):
            continue
        if best is None or (spread, rate) < best[:2]:
            shift = Fraction(float(off.max() + off.min()) / 2).limit_denominator(1_000_000)
            best = spread, rate, shift if abs(shift) > time_base else Fraction(0)
    return (None, Fraction(0)) if best is None else best[1:]


def has_holes(clock: VideoClock) -> bool:
    """Whether frames are missing on the grid of a constant rate."""
    if clock.rate is None:
        return False
    frames_on_grid = clock.end * clock.rate / clock.timescale
    return frames_on_grid != clock.pts.size


def segment_starts(idr_seconds: Sequence[float], end_seconds: float) -> list[int]:
    """Which IDR frames (positions in `idr_seconds`) begin a segment.

    Segments are 2 to 6 seconds, near 4, wherever IDR frames allow; a longer GOP is a segment of its
    own. The cheapest partition by dynamic programming over the IDR frames.
    """
    kept = _thinned(idr_seconds, end_seconds)
    times = [idr_seconds[position] for position in kept] + [end_seconds]
    best = [0.0] + [float("inf")] * (len(times) - 1)
    came_from = [0] * len(times)
    for end in range(1, len(times)):
        for start in range(end - 1, -1, -1):
            duration = times[end] - times[start]
            if duration > LONGEST_SEGMENT_SECONDS and start != end - 1:
                break
            cost = best[start] + _cost(duration)
            if cost < best[end]:
                best[end], came_from[end] = cost, start
    starts: list[int] = []
    position = len(times) - 1
    while position > 0:
        position = came_from[position]
        starts.append(kept[position])
    return starts[::-1]


def _thinned(idr_seconds: Sequence[float], end_seconds: float) -> list[int]:
    """Leave out IDR frames that follow another within 0.2 s, unless a long GOP begins there."""
    kept = [0]
    for position in range(1, len(idr_seconds)):
        following = idr_seconds[position + 1] if position + 1 < len(idr_seconds) else end_seconds
        is_close = idr_seconds[position] - idr_seconds[kept[-1]] < 0.2
        if not is_close or following - idr_seconds[position] > SHORTEST_SEGMENT_SECONDS:
            kept.append(position)
    return kept


def _cost(duration: float) -> float:
    if duration < SHORTEST_SEGMENT_SECONDS:
        return 100.0 + 100.0 * (SHORTEST_SEGMENT_SECONDS - duration)
    if duration > LONGEST_SEGMENT_SECONDS:
        return 100.0
    return (duration - _TARGET_SECONDS) ** 2


@dataclass(frozen=True, slots=True)
class AudioClock:
    """Timestamps of an AAC track as they are packaged: packet `first` begins at `start` samples,
    packets follow without a gap, each `packet_samples` long; `count` packets are used.
    """

    first: int
    start: int
    count: int
    packet_samples: int


def audio_deviation_seconds(
    pts: Ticks, time_base: Fraction, rate: int, packet_samples: int
) -> float:
    """How far packets lie off a gapless row, at most, in seconds; missing times are not judged."""
    known = np.flatnonzero(pts != NO_PTS)
    if known.size == 0:
        return 0.0
    off = pts[known] * float(time_base) - known * (packet_samples / rate)
    return float(np.ptp(off)) / 2


def audio_clock(
    pts: Ticks,
    time_base: Fraction,
    rate: int,
    packet_samples: int,
    origin_seconds: Fraction,
    end_seconds: Fraction,
) -> AudioClock:
    """Place a gapless row of packets on the video's timeline, of which `origin_seconds` is 0.

    Packets before the first frame and after `end_seconds` are left out. A packet that begins up to
    2 ms early is kept and moved to 0, which nobody hears.
    """
    known = np.flatnonzero(pts != NO_PTS)
    if known.size == 0:
        return AudioClock(0, 0, 0, packet_samples)
    rows = (pts[known] - pts[known[0]]) * float(time_base) * rate - known * packet_samples
    base = (int(pts[known[0]]) * time_base - origin_seconds) * rate + Fraction(
        float(np.median(rows))
    )
    tolerance = rate // 500
    first = max(0, -((int(base) + tolerance) // packet_samples)) if base < -tolerance else 0
    start = max(0, round(base + first * packet_samples))
    count = max(0, min(pts.size - first, -(-(int(end_seconds * rate) - start) // packet_samples)))
    return AudioClock(first, start, count, packet_samples)
