"""A stream's segments from files: what was on, from when, for how long.

What belongs here: reading such a file and the report about it. What does not: writing segments into
the library, and viewer counts (`importers`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aethex.lake.core import open_duckdb
from aethex.lake.formats import choose_field, open_records, require_field
from aethex.lake.import_values import (
    Rejected,
    Tally,
    moment_reason_sql,
    moment_sql,
    parse_duration,
)
from aethex.lake.records import ImportFileError, RawBatch, RecordFile

NAME_FIELDS = ("name", "title")
CATEGORY_FIELDS = ("category",)
START_FIELDS = ("start_time", "start", "started_at", "starts_at")
DURATION_FIELDS = ("duration", "length", "duration_seconds")


@dataclass(frozen=True)
class SegmentRow:
    """One segment; times are naive UTC, the end is exclusive."""

    title: str
    category: str | None
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True)
class SegmentsReport:
    """A file's segments in the order of their starts, and what became of its rows.

    rows_read = len(segments) + duplicates + rejected; a duplicate is equal to another row in every
    field.
    """

    path: str
    format: str
    fields: dict[str, str | None]
    rows_read: int
    segments: list[SegmentRow]
    duplicates: int
    rejected: dict[str, Rejected]

    @property
    def rejected_count(self) -> int:
        return sum(rejected.count for rejected in self.rejected.values())

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON has it, with the number of segments instead of the segments."""
        return {**asdict(self), "segments": len(self.segments)}


def read_segments(
    path: Path,
    *,
    name_field: str | None = None,
    category_field: str | None = None,
    start_field: str | None = None,
    duration_field: str | None = None,
) -> SegmentsReport:
    """Read a file of segments (JSON array, NDJSON, CSV, Parquet); a category may be missing.

    Times are read as `import_values` says; durations as `HH:MM:SS`, `MM:SS`, ISO 8601 or seconds.
    Fields that are not given are guessed from common names. Raises ImportFileError when the file is
    in no known format, breaks off, or a field is missing or ambiguous.
    """
    file = open_records(path)
    if not file.fields:
        raise ImportFileError(path, "has no record with fields: there is nothing to import")
    given = (name_field, category_field, start_field, duration_field)
    fields = _choose_fields(file, *given)
    tally = Tally(file.place_word)
    rows: list[SegmentRow] = []
    rows_read = 0
    for batch in file.batches(list(fields.values())):
        rows_read += batch.table.num_rows + len(batch.broken)
        tally.add_broken(batch.broken)
        rows += _segments(batch, tally)
    distinct = sorted(
        set(rows), key=lambda row: (row.started_at, row.ended_at, row.title, str(row))
    )
    return SegmentsReport(
        path=str(path),
        format=file.format,
        fields=fields,
        rows_read=rows_read,
        segments=distinct,
        duplicates=len(rows) - len(distinct),
        rejected=tally.by_reason,
    )


def _choose_fields(
    file: RecordFile,
    name_field: str | None,
    category_field: str | None,
    start_field: str | None,
    duration_field: str | None,
) -> dict[str, str | None]:
    return {
        "name": require_field(file, "the name", name_field, NAME_FIELDS, "--name-field"),
        "category": choose_field(
            file, "the category", category_field, CATEGORY_FIELDS, "--category-field"
        ),
        "start": require_field(file, "the start", start_field, START_FIELDS, "--start-field"),
        "duration": require_field(
            file, "the duration", duration_field, DURATION_FIELDS, "--duration-field"
        ),
    }


def _segments(batch: RawBatch, tally: Tally) -> list[SegmentRow]:
    """The good rows of a batch; the others are tallied."""
    if not batch.table.num_rows:
        return []
    moment = moment_sql("f2", batch.table.schema.field("f2").type)
    with open_duckdb() as connection:
        connection.register("raw", batch.table)
        rows = connection.execute(
            f"SELECT place, f0::VARCHAR, f1::VARCHAR, f2::VARCHAR, f3::VARCHAR, moment, "
            f"{moment_reason_sql('f2', 'moment')} FROM (SELECT *, {moment} AS moment FROM raw) "
            "ORDER BY place"
        ).fetchall()
    found: list[SegmentRow] = []
    for place, name, category, start, length, started_at, reason in rows:
        duration = parse_duration(length)
        if not (name or "").strip():
            tally.add("name is missing", place, name or "")
        elif reason is not None:
            tally.add(reason, place, start or "")
        elif duration is None:
            tally.add("duration is not understood", place, length or "")
        else:
            found.append(_segment(name, category, started_at, duration))
    return found


def _segment(
    name: str, category: str | None, started_at: datetime, duration: timedelta
) -> SegmentRow:
    kept = (category or "").strip() or None
    return SegmentRow(name.strip(), kept, started_at, started_at + duration)
