"""Timestamps: repair, constant rates, segment cuts. Pure functions, checked on made-up clocks."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.media import timeline

CLOCK = Fraction(1, 90_000)
MILLISECOND = Fraction(1, 1000)


def ticks(*values: int) -> timeline.Ticks:
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    "rate",
    [Fraction(30), Fraction(60), Fraction(30_000, 1001), Fraction(25), Fraction(24_000, 1001)],
)
@pytest.mark.parametrize("base", [CLOCK, MILLISECOND], ids=["90 kHz", "milliseconds"])
def test_rounded_timestamps_are_put_back_on_the_grid_of_their_rate(
    rate: Fraction, base: Fraction
) -> None:
    """Three hours of them: no drift against the source."""
    count = int(3 * 3600 * rate)
    pts = np.rint(np.arange(count) / float(rate * base)).astype(np.int64) + 777
    clock = timeline.video_clock(pts, base, 0, [])
    assert clock.rate == rate
    assert set(np.diff(clock.pts)) == {int(clock.timescale / rate)}
    assert clock.end == count * clock.timescale / rate
    drift = clock.pts[-1] / clock.timescale - float((int(pts[-1]) - int(pts[0])) * base)
    assert abs(drift) <= float(base) + 0.001


def test_jittering_timestamps_are_left_alone() -> None:
    dice = random.Random(1)
    pts = np.cumsum([dice.randrange(20, 60) for _ in range(500)]).astype(np.int64)
    clock = timeline.video_clock(pts, MILLISECOND, 0, [Fraction(25)])
    assert clock.rate is None
    assert np.array_equal(clock.pts, pts - pts[0])
    assert clock.end == clock.pts[-1] + round(float(np.median(np.diff(pts))))


def test_missing_frames_keep_their_place_on_the_grid() -> None:
    kept = [n for n in range(300) if n not in (100, 101, 222)]
    clock = timeline.video_clock(ticks(*(n * 3000 for n in kept)), CLOCK, 0, [])
    assert clock.rate == 30
    assert timeline.has_holes(clock)
    assert (clock.pts * 30 // clock.timescale).tolist() == kept


def test_one_frame_is_a_video() -> None:
    clock = timeline.video_clock(ticks(500), CLOCK, 0, [Fraction(30)])
    assert (clock.pts.tolist(), clock.rate) == ([0], 30)
    assert clock.end > 0


def test_a_missing_time_goes_into_the_hole_it_left() -> None:
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    pts = ticks(*(n * 1500 for n in order))
    dts = ticks(*(n * 1500 - 3000 for n in range(10)))
    damaged = pts.copy()
    damaged[[3, 6]] = timeline.NO_PTS
    repaired, missing = timeline.fill_missing(damaged, dts)
    assert missing == 0
    assert repaired.tolist() == pts.tolist()


def test_without_reordering_a_missing_time_is_the_decode_time() -> None:
    repaired, missing = timeline.fill_missing(ticks(0, timeline.NO_PTS, 200), ticks(0, 130, 200))
    assert (repaired.tolist(), missing) == ([0, 130, 200], 0)


def test_a_missing_time_without_a_hole_stays_missing() -> None:
    _, missing = timeline.fill_missing(
        ticks(0, 200, 100, timeline.NO_PTS, 300), ticks(-9, 0, 100, 150, 300)
    )
    assert missing == 1


def test_disorder_is_named() -> None:
    idr = np.array([True, False, False, True, False])
    assert timeline.disorder(ticks(0, 2, 1, 3, 4), idr) is None
    assert "same time" in (timeline.disorder(ticks(0, 1, 1, 3, 4), idr) or "")
    assert "backwards" in (timeline.disorder(ticks(0, 2, 5, 3, 4), idr) or "")
    assert "backwards" in (timeline.disorder(ticks(10, 12, 11, 3, 4), idr) or "")


def test_decode_times_rise_and_meet_the_presentation_at_each_idr_frame() -> None:
    pts, idr = ticks(0, 3, 1, 2, 4, 7, 5, 6), np.array([1, 0, 0, 0, 1, 0, 0, 0], bool)
    decode = timeline.decode_times(pts, idr)
    assert decode.tolist() == list(range(8))
    assert np.all(decode[idr] == pts[idr])


@given(st.lists(st.floats(0.03, 15), min_size=1, max_size=60))
def test_segments_cover_all_and_are_never_longer_than_six_seconds_unless_one_gop_is(
    gops: list[float],
) -> None:
    times = [0.0, *np.cumsum(gops).tolist()]
    end = times.pop()
    starts = timeline.segment_starts(times, end)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    for start, stop in zip(starts, [*starts[1:], len(times)], strict=True):
        until = times[stop] if stop < len(times) else end
        duration, longest = until - times[start], max(gops[start:stop])
        # A long GOP may take along frames-long ones before it, which are no segments of their own.
        strays = 0.2 * (stop - start - 1)
        assert duration <= 6.0 + 1e-9 or duration - longest <= strays + 1e-9


@pytest.mark.parametrize(
    ("gop", "count", "expected"),
    [
        (2.0, 30, {4.0}),
        (1.0, 60, {4.0}),
        (0.5, 120, {4.0}),
        (1 / 60, 3600, {4.0}),
        (5.0, 12, {5.0}),
        (10.0, 6, {10.0}),
        (250 / 60, 12, {250 / 60}),
    ],
)
def test_regular_gops_are_grouped_near_four_seconds(
    gop: float, count: int, expected: set[float]
) -> None:
    times = [n * gop for n in range(count)]
    starts = timeline.segment_starts(times, count * gop)
    bounds = [times[n] for n in starts] + [count * gop]
    durations = np.diff(bounds)
    assert durations.min() >= 2
    assert np.median(durations) == pytest.approx(next(iter(expected)), abs=0.25)


def test_a_short_rest_is_joined_to_the_segment_before() -> None:
    starts = timeline.segment_starts([0, 2, 4, 6, 8, 10], 10.4)
    assert 10.4 - [0, 2, 4, 6, 8, 10][starts[-1]] >= 2


def test_sound_before_the_picture_is_left_out_and_the_rest_keeps_its_place() -> None:
    pts = np.arange(0, 500 * 1024, 1024).astype(np.int64)
    base = Fraction(1, 48_000)
    clock = timeline.audio_clock(pts, base, 48_000, 1024, Fraction(1), Fraction(5))
    assert (clock.first, clock.start) == (47, 47 * 1024 - 48_000)
    assert clock.start + (clock.count - 1) * 1024 < 5 * 48_000 <= clock.start + clock.count * 1024


def test_sound_a_moment_early_is_moved_not_dropped() -> None:
    pts = np.arange(-64, 10 * 1024, 1024).astype(np.int64)
    clock = timeline.audio_clock(pts, Fraction(1, 44_100), 44_100, 1024, Fraction(0), Fraction(1))
    assert (clock.first, clock.start) == (0, 0)


def test_sound_wholly_before_the_picture_leaves_no_packet() -> None:
    pts = np.arange(0, 10 * 1024, 1024).astype(np.int64)
    clock = timeline.audio_clock(pts, Fraction(1, 48_000), 48_000, 1024, Fraction(9), Fraction(1))
    assert clock.count == 0


def test_a_gap_in_the_sound_is_measured() -> None:
    pts = np.arange(0, 100 * 1024, 1024).astype(np.int64)
    assert timeline.audio_deviation_seconds(pts, Fraction(1, 48_000), 48_000, 1024) == 0
    pts[50:] += 48_000
    gap = timeline.audio_deviation_seconds(pts, Fraction(1, 48_000), 48_000, 1024)
    assert gap == pytest.approx(0.5)
