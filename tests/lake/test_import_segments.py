from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from aethex.lake.importers import ImportFileError, SegmentRow, read_segments
from tests.lake.viewer_files import FORMATS, write


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2020-01-05T{text}")


@pytest.mark.parametrize("form", FORMATS)
def test_segments_are_read_in_the_order_of_their_starts(tmp_path: Path, form: str) -> None:
    path = write(
        tmp_path,
        form,
        [
            {"name": "B", "category": "", "start_time": "2020-01-05T14:00:00", "duration": "30:00"},
            {
                "name": "A",
                "category": "Any%",
                "start_time": "2020-01-05T13:00:00",
                "duration": "600",
            },
        ],
    )
    report = read_segments(path)
    assert report.segments == [
        SegmentRow("A", "Any%", at("13:00"), at("13:10")),
        SegmentRow("B", None, at("14:00"), at("14:30")),
    ]
    assert report.fields["start"] == "start_time"


def test_real_schedules_are_read_whole(shared_data: Path) -> None:
    agdq = read_segments(shared_data / "gdq" / "agdq2020_schedule.json")
    assert (agdq.rows_read, len(agdq.segments), agdq.rejected) == (139, 139, {})
    assert agdq.segments[0] == SegmentRow(
        "A Hat in Time", "Any% Race — PC", at("17:04:00"), at("17:46:33")
    )
    sgdq = read_segments(shared_data / "gdq" / "sgdq2017_schedule.json")
    assert len(sgdq.segments) == 142
    assert sgdq.fields["category"] is None


def test_bad_rows_are_rejected_with_reasons_beside_good_ones(tmp_path: Path) -> None:
    good = {"name": "A", "start": "2020-01-05T13:00:00", "duration": "10:00"}
    rows = [
        good,
        {**good, "name": " "},
        {**good, "start": "soon"},
        {**good, "duration": "long"},
        {**good, "duration": "0"},
        good,
    ]
    report = read_segments(write(tmp_path, "json", rows))
    assert report.segments == [SegmentRow("A", None, at("13:00"), at("13:10"))]
    assert report.duplicates == 1
    assert {reason: one.count for reason, one in report.rejected.items()} == {
        "name is missing": 1,
        "time is not understood": 1,
        "duration is not understood": 2,
    }
    assert report.rejected["time is not understood"].examples[0].place == "row 3"
    assert report.rows_read == len(report.segments) + report.duplicates + report.rejected_count


def test_other_field_names_are_given(tmp_path: Path) -> None:
    rows = [{"game": "A", "kind": "K", "begin": 1578229200, "took": "PT1H"}]
    report = read_segments(
        write(tmp_path, "ndjson", rows),
        name_field="game",
        category_field="kind",
        start_field="begin",
        duration_field="took",
    )
    assert report.segments == [SegmentRow("A", "K", at("13:00"), at("14:00"))]
    assert report.as_dict()["segments"] == 1


def test_a_file_without_a_duration_names_the_option(tmp_path: Path) -> None:
    path = write(tmp_path, "json", [{"name": "A", "start": "2020-01-05T13:00:00"}])
    with pytest.raises(ImportFileError, match=r"no field for the duration.*--duration-field"):
        read_segments(path)
