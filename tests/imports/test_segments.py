"""Segments of a schedule fit together as a stream's must."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import hypothesis
from hypothesis import given
from hypothesis import strategies as st

from aethex.imports import import_segments
from aethex.imports.segments import without_overlaps
from aethex.lake.import_segments import SegmentRow
from aethex.library import Library, streams
from aethex.library.segments import of_stream
from aethex.settings import Settings

NOON = datetime(2026, 1, 1, 12)  # noqa: DTZ001 (as the lake reads files: naive UTC)


def row(title: str, start: int, minutes: int) -> SegmentRow:
    begins = NOON + timedelta(minutes=start)
    return SegmentRow(title, None, begins, begins + timedelta(minutes=minutes))


def test_a_segment_ends_where_the_next_begins() -> None:
    segments, shortened = without_overlaps([row("b", 50, 30), row("a", 0, 60)])
    assert [segment.title for segment in segments] == ["a", "b"]
    assert segments[0].ended_at == segments[1].started_at
    assert segments[1].ended_at == (NOON + timedelta(minutes=80)).replace(tzinfo=UTC)
    assert shortened == 1


@hypothesis.settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 90)), max_size=12))
def test_no_two_segments_overlap_and_none_is_lost(spans: list[tuple[int, int]]) -> None:
    rows = [row(str(index), start, minutes) for index, (start, minutes) in enumerate(spans)]
    segments, _ = without_overlaps(rows)
    assert sorted(segment.title for segment in segments) == sorted(one.title for one in rows)
    for one, following in pairwise(segments):
        assert one.ended_at is not None
        assert one.started_at <= one.ended_at <= following.started_at


def test_a_file_without_a_usable_row_replaces_nothing(
    settings: Settings, library: Library, tmp_path: Path
) -> None:
    file = tmp_path / "parts.csv"
    file.write_text("name,start,duration\nOpening,2026-01-01T12:00Z,600\n")
    first = import_segments(settings, file, channel="retro", stream="Evening")
    file.write_text("name,start,duration\nOpening,soon,600\n")
    second = import_segments(settings, file, channel="retro", stream="Evening")
    assert second.file.rejected_count == 1
    with library.session() as s:
        assert len(of_stream(s, first.stream_id)) == 1
        stream = streams.get(s, first.stream_id)
    assert stream is not None
    assert stream.status == "scheduled", "a plan says nothing about when the stream was live"
