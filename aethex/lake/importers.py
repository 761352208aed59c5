"""Viewer counts from files into landing.

What belongs here: reading a file of viewer counts batch by batch, leaving out what is there
already, landing the rest, and the report about it. What does not: formats (`formats`, `records_*`),
the meaning of values (`import_values`), a stream's segments (`import_segments`), and the library's
channels and streams.

A row's `event_id` is the UUIDv5 of its stream, instant and source, so the same row of another file,
or of an import that was killed and repeated, is the same event: publishing keeps one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from aethex.lake.core import Lake, utc_now
from aethex.lake.event_ids import digest_sql, uuids_of_digests
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.formats import choose_field, open_records, require_field
from aethex.lake.import_segments import SegmentRow, SegmentsReport, read_segments
from aethex.lake.import_values import (
    EXAMPLES_PER_REASON,
    Rejected,
    Tally,
    count_reason_sql,
    count_sql,
    moment_reason_sql,
    moment_sql,
    number_sql,
)
from aethex.lake.landing import LANDING_SCHEMA, land
from aethex.lake.records import ImportFileError, RawBatch, RecordFile

__all__ = [
    "ImportFileError",
    "ImportProgress",
    "SegmentRow",
    "SegmentsReport",
    "ViewersFile",
    "ViewersReport",
    "land_viewers",
    "read_segments",
    "read_viewers",
]

SOURCE = "import"
TIME_FIELDS = ("time", "timestamp", "at", "ts")
VIEWERS_FIELDS = ("viewers", "v", "viewer_count", "concurrent")
CHAT_FIELDS = ("chat", "c", "messages", "chat_messages")


@dataclass(frozen=True)
class ImportProgress:
    """How far an import is."""

    rows: int
    bytes_read: int
    bytes_total: int


@dataclass(frozen=True)
class ViewersFile:
    """A file of viewer counts, opened, with the fields that will be read (`chat` may be None)."""

    records: RecordFile
    time: str
    viewers: str
    chat: str | None

    @property
    def path(self) -> Path:
        return self.records.path


@dataclass(frozen=True)
class ViewersReport:
    """What became of a file's rows: rows_read = imported + duplicates + already_present + rejected.

    `imported`: landed now. `duplicates`: of an instant that an earlier row of the file has.
    `already_present`: of an instant that the stream has in the lake. `rejected`: by reason.
    `null_viewers`: rows without a viewer count that were not rejected (the poll failed).
    `first_at`, `last_at` (naive UTC) and `interval_seconds` (median between neighbouring instants)
    cover all rows that were not rejected; None when there are none, or just one.
    """

    path: str
    format: str
    fields: dict[str, str | None]
    rows_read: int
    imported: int
    null_viewers: int
    duplicates: int
    already_present: int
    rejected: dict[str, Rejected]
    first_at: datetime | None
    last_at: datetime | None
    interval_seconds: float | None

    @property
    def rejected_count(self) -> int:
        return sum(rejected.count for rejected in self.rejected.values())

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON has it: times as ISO 8601 with Z."""
        times = {
            name: None if at is None else f"{at.isoformat()}Z"
            for name, at in (("first_at", self.first_at), ("last_at", self.last_at))
        }
        return {**asdict(self), **times}


def read_viewers(
    path: Path,
    *,
    time_field: str | None = None,
    viewers_field: str | None = None,
    chat_field: str | None = None,
) -> ViewersFile:
    """Open a file of viewer counts (JSON array, NDJSON, CSV, Parquet) and settle its fields.

    Fields that are not given are guessed from common names. Raises ImportFileError when the file is
    in no known format, or a field is missing or ambiguous; the message names the fields found and
    the option.
    """
    file = open_records(path)
    if not file.fields:
        raise ImportFileError(path, "has no record with fields: there is nothing to import")
    chosen = ViewersFile(
        records=file,
        time=require_field(file, "the time", time_field, TIME_FIELDS, "--time-field"),
        viewers=require_field(file, "viewers", viewers_field, VIEWERS_FIELDS, "--viewers-field"),
        chat=choose_field(file, "chat messages", chat_field, CHAT_FIELDS, "--chat-field"),
    )
    used = [name for name in (chosen.time, chosen.viewers, chosen.chat) if name is not None]
    if len(set(used)) < len(used):
        raise ImportFileError(
            path,
            "would use one field for two things: correct --time-field, --viewers-field or "
            "--chat-field",
        )
    return chosen


def land_viewers(
    lake: Lake,
    file: ViewersFile,
    *,
    channel_id: str,
    stream_id: str,
    progress: Callable[[ImportProgress], None] | None = None,
    now: datetime | None = None,
) -> ViewersReport:
    """Land a file's viewer counts as snapshots of a stream; they are in the lake once published.

    Rows are landed as they are read, `settings.landing_rows_per_object` at a time, in memory that
    does not grow with the file. Safe to repeat after being killed. `now` (naive UTC) is the time at
    which the rows were received. Raises ImportFileError when the file breaks off; what came before
    stays landed.
    """
    with _working_tables(lake) as connection:
        importing = _Import(lake, connection, file, channel_id, stream_id, now or utc_now())
        for batch in file.records.batches((file.time, file.viewers, file.chat)):
            importing.take(batch)
            if progress:
                size = file.records.size_bytes
                progress(ImportProgress(importing.rows_read, batch.bytes_read, size))
        importing.flush()
        return importing.report()


@contextmanager
def _working_tables(lake: Lake) -> Generator[duckdb.DuckDBPyConnection]:
    """A connection that spills to disk, with the instants of the file and of the stream so far."""
    with lake.duckdb(memory_limit="256MB", threads=2) as connection:
        connection.execute("SET preserve_insertion_order = true")
        connection.execute("CREATE TEMP TABLE seen (moment TIMESTAMP)")
        connection.execute("CREATE TEMP TABLE present (moment TIMESTAMP)")
        yield connection


class _Import:
    """One import under way: what was counted so far, and rows that wait to be landed."""

    def __init__(
        self,
        lake: Lake,
        connection: duckdb.DuckDBPyConnection,
        file: ViewersFile,
        channel_id: str,
        stream_id: str,
        now: datetime,
    ) -> None:
        self._lake = lake
        self._connection = connection
        self._file = file
        self._channel_id = channel_id
        self._stream_id = stream_id
        self._now = now
        self._tally = Tally(file.records.place_word)
        self._waiting: list[pa.Table] = []
        self._months: set[str] = set()
        self.rows_read = 0
        self._imported = self._null_viewers = self._duplicates = self._already_present = 0
        self._first_at: datetime | None = None
        self._last_at: datetime | None = None
        self._is_increasing = True

    def take(self, batch: RawBatch) -> None:
        """Count a batch's rows, and keep those that are new to be landed."""
        self.rows_read += batch.table.num_rows + len(batch.broken)
        self._tally.add_broken(batch.broken)
        if batch.table.num_rows:
            self._parse(batch.table)
            self._take_parsed()

    def _parse(self, raw: pa.Table) -> None:
        """The temporary table `parsed`: place, moment, viewers, messages; refused rows are
        tallied."""
        types = [raw.schema.field(name).type for name in ("f0", "f1", "f2")]
        reason = ", ".join(
            [
                moment_reason_sql("f0", "moment"),
                count_reason_sql("viewers", "f1", "viewers"),
                count_reason_sql("messages", "f2", "messages"),
            ]
        )
        self._connection.register("raw", raw)
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE parsed AS SELECT *, coalesce({reason}) AS reason FROM ("
            f"SELECT *, {moment_sql('f0', types[0])} AS moment, "
            f"{number_sql('f1', types[1])} AS viewers, "
            f"{number_sql('f2', types[2])} AS messages FROM raw)"
        )
        self._connection.unregister("raw")
        refused = self._connection.execute(
            "SELECT reason, count(*), list((place, CASE WHEN reason LIKE 'time%' THEN f0::VARCHAR "
            "WHEN reason LIKE 'viewers%' THEN f1::VARCHAR ELSE f2::VARCHAR END) ORDER BY place)"
            f"[:{EXAMPLES_PER_REASON}] FROM parsed WHERE reason IS NOT NULL GROUP BY reason "
            "ORDER BY min(place)"
        ).fetchall()
        for name, count, first in refused:
            self._tally.add_grouped(name, count, first)

    def _take_parsed(self) -> None:
        good, null_viewers, first_at, last_at = self._one_row(
            f"SELECT count(*), count(*) FILTER ({count_sql('viewers')} IS NULL), "
            "min(moment), max(moment) FROM parsed WHERE reason IS NULL"
        )
        if not good:
            return
        self._null_viewers += null_viewers
        self._is_increasing &= self._last_at is None or first_at > self._last_at
        self._first_at = first_at if self._first_at is None else min(self._first_at, first_at)
        self._last_at = last_at if self._last_at is None else max(self._last_at, last_at)
        distinct = self._drop_duplicates(first_at, last_at)
        self._duplicates += good - distinct
        self._find_present()
        rows = self._new_rows(first_at, last_at)
        self._already_present += distinct - rows.num_rows
        self._imported += rows.num_rows
        self._waiting.append(rows)
        self._land_full_objects()

    def _drop_duplicates(self, first_at: datetime, last_at: datetime) -> int:
        """The temporary table `fresh`: rows of instants that no earlier row of the file has."""
        self._connection.execute(
            "CREATE OR REPLACE TEMP TABLE fresh AS SELECT place, moment, "
            f"{count_sql('viewers')} AS viewers, {count_sql('messages')} AS messages FROM parsed "
            "ANTI JOIN (SELECT moment FROM seen WHERE moment BETWEEN $first AND $last) "
            "USING (moment) WHERE reason IS NULL "
            "QUALIFY row_number() OVER (PARTITION BY moment ORDER BY place) = 1 ORDER BY moment",
            {"first": first_at, "last": last_at},
        )
        self._connection.execute("INSERT INTO seen SELECT moment FROM fresh")
        return self._one_row("SELECT count(*) FROM fresh")[0]

    def _find_present(self) -> None:
        """Add to `present` the instants that the stream has in these months, each month once."""
        months = self._connection.execute(
            "SELECT DISTINCT date_trunc('month', moment)::DATE FROM fresh ORDER BY 1"
        ).fetchall()
        missing = [month for (month,) in months if str(month) not in self._months]
        self._months.update(str(month) for month in missing)
        table = self._lake.table(VIEWER_SNAPSHOTS)
        if not missing or table.current_snapshot() is None:
            return
        ends = self._one_row("SELECT ($last::DATE + INTERVAL 1 MONTH)::DATE", {"last": missing[-1]})
        files = table.scan(
            row_filter=f"stream_id == '{self._stream_id}' and "
            f"occurred_at >= '{missing[0]}T00:00:00' and occurred_at < '{ends[0]}T00:00:00'"
        ).plan_files()
        if paths := [task.file.file_path for task in files]:
            self._connection.execute(
                "INSERT INTO present SELECT occurred_at FROM read_parquet($paths) WHERE "
                "stream_id = $stream_id AND source = $source AND "
                "date_trunc('month', occurred_at)::DATE IN (SELECT unnest($months::DATE[]))",
                {
                    "paths": paths,
                    "stream_id": self._stream_id,
                    "source": SOURCE,
                    "months": missing,
                },
            )

    def _new_rows(self, first_at: datetime, last_at: datetime) -> pa.Table:
        """The fresh rows that the stream does not have, as they land."""
        found = self._connection.execute(
            f"SELECT moment, {digest_sql('$stream_id', 'moment', SOURCE)} AS digest, "
            f"""'{{"source": "{SOURCE}", "viewers": ' || coalesce(viewers::VARCHAR, 'null') || """
            """', "messages": ' || coalesce(messages::VARCHAR, 'null') || '}' AS payload """
            "FROM fresh "
            "ANTI JOIN (SELECT moment FROM present WHERE moment BETWEEN $first AND $last) "
            "USING (moment) ORDER BY moment",
            {"stream_id": self._stream_id, "first": first_at, "last": last_at},
        ).to_arrow_table()
        return self._as_landed(found)

    def _as_landed(self, found: pa.Table) -> pa.Table:
        count = found.num_rows
        moments = found.column("moment").combine_chunks()
        columns: dict[str, Any] = {
            "kind": pa.repeat("viewer_snapshot", count),
            "event_id": uuids_of_digests(found.column("digest").combine_chunks()),
            "channel_id": pa.repeat(self._channel_id, count),
            "stream_id": pa.repeat(self._stream_id, count),
            "client_at": moments,
            "occurred_at": moments,
            "received_at": pa.repeat(pa.scalar(self._now, pa.timestamp("us")), count),
            "payload": found.column("payload").combine_chunks(),
        }
        arrays = [
            columns.get(field.name, pa.nulls(count, field.type)).cast(field.type)
            for field in LANDING_SCHEMA
        ]
        return pa.Table.from_arrays(arrays, schema=LANDING_SCHEMA)

    def _land_full_objects(self) -> None:
        size = self._lake.settings.landing_rows_per_object
        while sum(table.num_rows for table in self._waiting) >= size:
            rows = pa.concat_tables(self._waiting)
            land(self._lake, rows.slice(0, size), now=self._now)
            self._waiting = [rows.slice(size)]

    def flush(self) -> None:
        """Land what still waits."""
        self._land_full_objects()
        rows = pa.concat_tables(self._waiting) if self._waiting else None
        self._waiting = []
        if rows is not None and rows.num_rows:
            land(self._lake, rows, now=self._now)

    def report(self) -> ViewersReport:
        file = self._file
        return ViewersReport(
            path=str(file.path),
            format=file.records.format,
            fields={"time": file.time, "viewers": file.viewers, "chat": file.chat},
            rows_read=self.rows_read,
            imported=self._imported,
            null_viewers=self._null_viewers,
            duplicates=self._duplicates,
            already_present=self._already_present,
            rejected=self._tally.by_reason,
            first_at=self._first_at,
            last_at=self._last_at,
            interval_seconds=self._interval_seconds(),
        )

    def _interval_seconds(self) -> float | None:
        """The median distance between neighbouring instants of the file."""
        if not self._is_increasing:
            self._connection.execute(
                "CREATE OR REPLACE TEMP TABLE seen AS SELECT moment FROM seen ORDER BY moment"
            )
        (median,) = self._one_row(
            "SELECT median(gap) FROM "
            "(SELECT epoch_us(moment) - epoch_us(lag(moment) OVER ()) AS gap FROM seen)"
        )
        return None if median is None else median / 1e6

    def _one_row(self, query: str, parameters: dict[str, Any] | None = None) -> tuple[Any, ...]:
        row = self._connection.execute(query, parameters or {}).fetchone()
        assert row is not None
        return row
