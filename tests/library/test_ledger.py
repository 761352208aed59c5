"""How much of a stream is in its VOD: the sums, and whose gaps they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.library import GapCause, Library, NotInLibrary, Stream, captures, vods
from aethex.library.ledger import SHORTEST_END_MS, SHORTEST_GAP_MS, Gap, ledger, measure
from tests.library.conftest import START, VodParts

times = st.integers(-2_000, 40_000)
pieces = st.lists(st.tuples(times, times).map(sorted).map(tuple), max_size=8)


@given(st.integers(0, 30_000), pieces)
def test_what_was_captured_and_what_is_missing_make_up_the_whole(
    expected_ms: int, covered: list[tuple[int, int]]
):
    found = measure(expected_ms, covered)
    assert found.captured_ms + sum(gap.duration_ms for gap in found.gaps) == expected_ms
    assert 0 <= found.captured_ratio <= 1
    # against millisecond by millisecond, in which a hole shorter than a frame does not count
    here = bytearray(expected_ms)
    for start, end in covered:
        start, end = max(0, start), min(end, expected_ms)
        if end > start:
            here[start:end] = b"\1" * (end - start)
    holes = [(gap.from_ms, gap.to_ms) for gap in found.gaps if any(here[gap.from_ms : gap.to_ms])]
    assert holes == []
    missing = expected_ms - sum(here)
    listed = sum(gap.duration_ms for gap in found.gaps)
    assert 0 <= missing - listed <= SHORTEST_GAP_MS * len(covered) + SHORTEST_END_MS


def test_a_gap_has_the_strongest_cause_near_it():
    covered = [(500, 10_000), (14_000, 20_000), (26_000, 30_000)]
    found = measure(
        40_000,
        covered,
        [(13_000, "encoder_reconnect"), (12_000, "recorder_down"), (24_000, "network")],
    )
    assert found.gaps == (
        Gap(0, 500, "late_start"),
        Gap(10_000, 14_000, "recorder_down"),
        Gap(20_000, 26_000, "network"),
        Gap(30_000, 40_000, "unknown"),
    )
    assert found.captured_ratio == 19_500 / 40_000


@pytest.mark.parametrize(
    ("covered", "breaks", "gaps"),
    [
        ([(1_900, 60_000)], [], ()),  # an encoder that looks ahead before its first frame
        ([(0, 55_000)], [], ()),  # its clock is slower than ours
        ([(5_001, 60_000)], [], (Gap(0, 5_001, "late_start"),)),
        ([(0, 54_999)], [], (Gap(54_999, 60_000, "unknown"),)),
        ([(1_900, 60_000)], [(1_900, "late_start")], (Gap(0, 1_900, "late_start"),)),
        ([(0, 58_000)], [(59_000, "network")], (Gap(58_000, 60_000, "network"),)),
        ([(0, 20_000), (21_000, 60_000)], [], (Gap(20_000, 21_000, "unknown"),)),
    ],
)
def test_an_edge_without_a_cause_is_the_encoders_own_up_to_a_bound(
    covered: list[tuple[int, int]],
    breaks: list[tuple[int, GapCause]],
    gaps: tuple[Gap, ...],
):
    assert measure(60_000, covered, breaks, edge_ms=5_000).gaps == gaps


def test_a_stream_of_no_time_is_whole():
    assert measure(0, []).captured_ratio == 1


def test_the_ledger_of_a_vod_comes_from_its_runs(
    library: Library, stream: Stream, vod_parts: Callable[..., VodParts]
):
    """Two runs of twelve seconds in six hours, the second ten minutes after the first."""
    vod, runs, segments = vod_parts()
    with library.session() as s:
        vods.add_vod(s, vod, runs, segments)
        captures.note_break(s, stream.id, START + timedelta(minutes=5), "recorder_down")
        found = ledger(s, vod.id)
    hours = 6 * 3_600_000
    assert (found.expected_ms, found.captured_ms) == (hours, 24_000)
    assert [(gap.from_ms, gap.to_ms, gap.cause) for gap in found.gaps] == [
        (12_000, 600_000, "recorder_down"),
        (612_000, hours, "unknown"),
    ]


def test_there_is_no_ledger_of_nothing(library: Library):
    with library.session() as s, pytest.raises(NotInLibrary):
        ledger(s, "vod_x")
