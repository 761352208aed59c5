"""Viewer counts come in with channel, stream and bounds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from aethex.imports import import_viewers
from aethex.lake import Lake
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.publish import publish
from aethex.library import Library, Stream, streams
from aethex.settings import Settings


def stream_of(library: Library, stream_id: str) -> Stream:
    with library.session() as s:
        stream = streams.get(s, stream_id)
    assert stream is not None
    return stream


def test_the_stream_runs_to_the_end_of_what_its_last_sample_stands_for(
    settings: Settings, library: Library, tmp_path: Path
) -> None:
    file = tmp_path / "viewers.csv"
    file.write_text("time,viewers\n2026-01-01T10:00Z,5\n2026-01-01T10:05Z,6\n2026-01-01T10:10Z,\n")
    report = import_viewers(settings, file, channel="retro", stream="Evening")
    stream = stream_of(library, report.stream_id)
    assert stream.status == "ended"
    assert stream.started_at == datetime(2026, 1, 1, 10, 0, tzinfo=UTC)
    assert stream.ended_at == datetime(2026, 1, 1, 10, 15, tzinfo=UTC)


def test_a_single_sample_stands_for_a_minute(
    settings: Settings, library: Library, tmp_path: Path
) -> None:
    file = tmp_path / "viewers.csv"
    file.write_text("time,viewers\n2026-01-01T10:00Z,5\n")
    report = import_viewers(settings, file, channel="retro", stream="Evening")
    assert stream_of(library, report.stream_id).ended_at == datetime(2026, 1, 1, 10, 1, tzinfo=UTC)


def test_a_later_file_widens_the_stream_and_an_unpublished_row_is_still_one_event(
    settings: Settings, library: Library, lake: Lake, tmp_path: Path
) -> None:
    rows = [f"2026-01-01T10:{minute:02d}Z,{100 + minute}" for minute in range(6)]
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text("\n".join(["time,viewers", *rows[:4]]))
    second.write_text("\n".join(["time,viewers", *rows[2:]]))
    for file in (first, second):
        report = import_viewers(settings, file, channel="retro", stream="Evening")
    stream = stream_of(library, report.stream_id)
    assert stream.ended_at == datetime(2026, 1, 1, 10, 6, tzinfo=UTC)
    publish(lake)
    assert lake.table(VIEWER_SNAPSHOTS).scan().to_arrow().num_rows == 6
