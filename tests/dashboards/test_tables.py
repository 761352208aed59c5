from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

from aethex.dashboards import tables
from aethex.lake.analytics import Audience, ChartPoint, SegmentSummary, StreamSummary

AT = datetime(2026, 3, 2, 18, tzinfo=UTC)
NOTHING: dict[str, Any] = {**dict.fromkeys(Audience.__slots__), "samples": 0, "null_samples": 0}


def stream(title: str = "Monday night", **values: Any) -> StreamSummary:
    return StreamSummary(
        stream_id="st_1",
        channel_id="ch_1",
        title=title,
        category_id=None,
        category_name=None,
        status="ended",
        started_at=AT,
        ended_at=AT + timedelta(hours=2),
        is_final=True,
        viewer_source="snapshot",
        audience=Audience(**{**NOTHING, **values}),
    )


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_exact_numbers_and_times_with_z() -> None:
    made = stream(average_viewers=108.86699507389163, peak_viewers=1000, peak_at=AT)
    (row,) = read(tables.streams_csv([made]))
    assert row["average_viewers"] == "108.86699507389163"
    assert (row["peak_at"], row["started_at"]) == ("2026-03-02T18:00:00Z", "2026-03-02T18:00:00Z")


def test_csv_leaves_empty_what_was_not_measured() -> None:
    (row,) = read(tables.streams_csv([stream()]))
    assert (row["peak_viewers"], row["messages"], row["samples"]) == ("", "", "0")


def test_a_title_never_becomes_a_formula_in_a_spreadsheet() -> None:
    (row,) = read(tables.streams_csv([stream('=HYPERLINK("http://x","y")')]))
    assert row["title"] == '\'=HYPERLINK("http://x","y")'


def test_samples_keep_their_failed_counts() -> None:
    points = [ChartPoint(AT, 100, 1), ChartPoint(AT + timedelta(minutes=1), None, 2)]
    assert [row["viewers"] for row in read(tables.samples_csv(points))] == ["100", ""]


def test_rows_sort_by_number_and_what_is_missing_sorts_last() -> None:
    _, (measured, missing) = tables.stream_rows(
        "racer", [stream(peak_viewers=1000, live_seconds=7200.0, messages=60), stream()]
    )
    assert [cell.sort for cell in measured.cells][3] == 1000
    assert (missing.cells[3].text, missing.cells[3].sort) == ("—", None)
    assert measured.cells[6].text == "0.50"


def test_a_row_links_to_its_stream_and_a_segment_into_it() -> None:
    _, (row,) = tables.stream_rows("the racer", [stream()])
    assert row.href == "?channel=the+racer&stream=st_1"
    segment = SegmentSummary("sseg_1", "st_1", 1, "Main", None, None, AT, None, Audience(**NOTHING))
    _, (row,) = tables.segment_rows("racer", [segment])
    assert row.href == "?channel=racer&stream=st_1&segment=sseg_1"
    assert row.cells[2].note == "open"
