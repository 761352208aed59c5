"""What changed since the current build: events by table and day, streams, segments, owners.

What belongs here: comparing published windows and dims with what the build was made from. What does
not: which models that makes due (`due`).

Everything is derived from what is stored, so a crash loses nothing, and asking twice gives the same
answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import duckdb

from aethex.lake.build_records import Build
from aethex.lake.core import Lake
from aethex.lake.dim_tables import (
    DIM_CHANNEL_OWNERS,
    DIM_STREAM_SEGMENTS,
    DIM_STREAMS,
    VALIDITY_COLUMNS,
)
from aethex.lake.event_tables import EVENT_TABLES, PLAYBACK_EVENTS, VIEWER_SNAPSHOTS
from aethex.lake.tables import Table
from aethex.lake.views import create_view, data_files, field_ids
from aethex.lake.windows import PublishedWindow

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable

DAY = timedelta(days=1)
NEXT_INSTANT = timedelta(microseconds=1)
AFTER_STREAM = timedelta(minutes=10)
"""What happens up to so long after a stream's end still counts for it (docs/metrics.md)."""

_VALIDITY = {column.name for column in VALIDITY_COLUMNS}


@dataclass(frozen=True)
class StreamRow:
    """A stream's row of dim_streams. known_end_at: where it reaches as far as samples tell."""

    stream_id: str
    channel_id: str
    stream_day: date
    started_at: datetime
    ended_at: datetime | None
    known_end_at: datetime | None

    def days(self) -> Iterator[date]:
        """The UTC days that it covers; without an end, up to what is known of it."""
        end = self.ended_at or self.known_end_at
        return day_range(self.stream_day, max(self.stream_day, last_day(end) if end else date.min))

    def reaching(self, at: datetime | None) -> StreamRow:
        """The same stream, known to reach to `at` at least."""
        if self.ended_at is not None or at is None:
            return self
        return replace(self, known_end_at=max(at, self.known_end_at or at))


class Changes:
    """Today's dims beside those of the build (as tables `now_*` and `then_*`), and the windows
    published since.
    """

    def __init__(
        self,
        lake: Lake,
        con: duckdb.DuckDBPyConnection,
        build: Build | None,
        windows: list[PublishedWindow],
    ) -> None:
        self._lake = lake
        self._con = con
        self._build = build
        self._windows = windows
        self._is_same = {
            table.name: self._open_pair(table) for table in (DIM_STREAMS, DIM_STREAM_SEGMENTS)
        }
        self._touched: dict[str, list[tuple[StreamRow, date]]] = {}
        self._open_known_ends()

    @cached_property
    def streams(self) -> list[StreamRow]:
        """Every current stream that has started."""
        return self._with_last_samples(self._streams("SELECT * FROM now_dim_streams"))

    def touched_days(self, table: str) -> set[date]:
        """Days on which the windows brought events into that table."""
        return {day for window in self._windows for day in window.days.get(table, ())}

    def touched_streams(self, table: str) -> list[tuple[StreamRow, date]]:
        """Current streams that the windows brought events of into that table, with each day that
        they have some on.
        """
        if table not in self._touched:
            self._touched[table] = self._find_touched_streams(table)
        return self._touched[table]

    def _find_touched_streams(self, table: str) -> list[tuple[StreamRow, date]]:
        numbers = [window.n for window in self._windows if window.tables.get(table)]
        if not numbers:
            return []
        definition = next(one for one in EVENT_TABLES.values() if one.name == table)
        opened = self._lake.table(definition)
        is_new = f"landing_window >= {min(numbers)} and landing_window <= {max(numbers)}"
        create_view(self._con, definition, field_ids(opened), data_files(opened, is_new))
        rows = self._con.execute(
            f"""
            SELECT {_STREAM_COLUMNS}, e.day
            FROM (
                SELECT DISTINCT stream_id, occurred_at::DATE AS day FROM {table} WHERE {is_new}
            ) AS e
            JOIN now_dim_streams AS s ON s.stream_id = e.stream_id
            LEFT JOIN known_ends AS k ON k.stream_id = s.stream_id
            WHERE {_IS_LIVE_ON_DAY}
            ORDER BY s.stream_id, e.day
            """,
            {"after": AFTER_STREAM},
        ).fetchall()
        return [(StreamRow(*row[:-1]), row[-1]) for row in rows]

    def stream_days_live_on(self, days: Iterable[date]) -> set[date]:
        """Stream days of the streams that were, or may have been, live on one of the days."""
        rows = self._con.execute(
            f"""
            SELECT DISTINCT s.stream_day
            FROM (SELECT unnest($days::DATE[]) AS day) AS e
            JOIN now_dim_streams AS s ON {_IS_LIVE_ON_DAY}
            """,
            {"days": list(days), "after": AFTER_STREAM},
        ).fetchall()
        return {row[0] for row in rows}

    def all_event_days(self, table: Table) -> set[date]:
        """Every day that the table has events of."""
        opened = self._lake.table(table)
        if opened.current_snapshot() is None:
            return set()
        days = {task.file.partition[0] for task in opened.scan().plan_files()}
        return {date(1970, 1, 1) + timedelta(days=day) for day in days}

    @cached_property
    def days_of_changed_owners(self) -> set[date]:
        """Days with playback of channels that got another owner since the build."""
        name = DIM_CHANNEL_OWNERS.name
        if self._open_pair(DIM_CHANNEL_OWNERS):
            return set()
        opened = self._lake.table(PLAYBACK_EVENTS)
        create_view(self._con, PLAYBACK_EVENTS, field_ids(opened), data_files(opened))
        rows = self._con.execute(
            f"""
            SELECT DISTINCT occurred_at::DATE FROM {PLAYBACK_EVENTS.name} WHERE channel_id IN (
                SELECT channel_id FROM (SELECT * FROM then_{name} EXCEPT SELECT * FROM now_{name})
                UNION
                SELECT channel_id FROM (SELECT * FROM now_{name} EXCEPT SELECT * FROM then_{name})
            )
            """
        ).fetchall()
        return {row[0] for row in rows}

    @cached_property
    def changed_streams(self) -> list[tuple[StreamRow | None, StreamRow | None]]:
        """Streams whose row differs: (the build's, today's), None where there is none."""
        if self._is_same[DIM_STREAMS.name]:
            return []
        before = self._streams(
            "SELECT * FROM then_dim_streams EXCEPT SELECT * FROM now_dim_streams"
        )
        after = self._streams("SELECT * FROM now_dim_streams EXCEPT SELECT * FROM then_dim_streams")
        old = {stream.stream_id: stream for stream in before}
        new = {stream.stream_id: stream for stream in self._with_last_samples(after)}
        return [(old.get(stream_id), new.get(stream_id)) for stream_id in sorted({*old, *new})]

    @cached_property
    def stream_days_of_changed_segments(self) -> set[date]:
        """Stream days with a segment that is new, gone or different."""
        name = DIM_STREAM_SEGMENTS.name
        if self._is_same[name]:
            return set()
        rows = self._con.execute(
            f"""
            (SELECT stream_day FROM (SELECT * FROM then_{name} EXCEPT SELECT * FROM now_{name}))
            UNION
            (SELECT stream_day FROM (SELECT * FROM now_{name} EXCEPT SELECT * FROM then_{name}))
            """
        ).fetchall()
        return {row[0] for row in rows if row[0] is not None}

    def _with_last_samples(self, streams: list[StreamRow]) -> list[StreamRow]:
        """The streams; those without an end reach to their newest sample."""
        still_open = [stream for stream in streams if stream.ended_at is None]
        if not still_open:
            return streams
        self._con.execute(
            "CREATE OR REPLACE TEMP TABLE still_open AS "
            "SELECT unnest($ids::VARCHAR[]) AS stream_id",
            {"ids": [stream.stream_id for stream in still_open]},
        )
        since = min(stream.started_at for stream in still_open).isoformat()
        opened = self._lake.table(VIEWER_SNAPSHOTS)
        files = data_files(opened, f"occurred_at >= '{since}'")
        create_view(self._con, VIEWER_SNAPSHOTS, field_ids(opened), files)
        rows = self._con.execute(
            f"""
            SELECT e.stream_id, max(e.occurred_at)
            FROM {VIEWER_SNAPSHOTS.name} AS e JOIN still_open AS o ON o.stream_id = e.stream_id
            GROUP BY e.stream_id
            """
        ).fetchall()
        last = {stream_id: at + NEXT_INSTANT for stream_id, at in rows}
        return [stream.reaching(last.get(stream.stream_id)) for stream in streams]

    def _streams(self, sql: str) -> list[StreamRow]:
        rows = self._con.execute(
            f"SELECT {_STREAM_COLUMNS} FROM ({sql}) AS s "
            "LEFT JOIN known_ends AS k ON k.stream_id = s.stream_id WHERE s.stream_day IS NOT NULL"
        ).fetchall()
        return [StreamRow(*row) for row in rows]

    def _open_pair(self, table: Table) -> bool:
        """Make `now_<dim>` and `then_<dim>` of the current rows; whether both are the same
        snapshot.
        """
        opened = self._lake.table(table)
        snapshot = opened.current_snapshot()
        snapshot_id = snapshot.snapshot_id if snapshot else None
        self._load("now", table, opened, data_files(opened))
        if self._build is not None and snapshot_id == self._build.snapshot_of(table.name):
            return True
        try:
            self._load("then", table, opened, self._files_then(table, opened))
        except (duckdb.IOException, duckdb.HTTPException):
            # the old snapshot was expired and its files are gone: then everything may have changed
            self._load("then", table, opened, [])
        return False

    def _files_then(self, table: Table, opened: IcebergTable) -> list[str]:
        """The table's files as the build has them, or had them where it does not hold the table."""
        if self._build is None:
            return []
        if held := self._build.tables.get(table.name):
            return [self._lake.store.uri(file.key) for file in held.files]
        snapshot_id = self._build.snapshot_of(table.name)
        if snapshot_id is None or opened.snapshot_by_id(snapshot_id) is None:
            return []
        return data_files(opened, snapshot_id=snapshot_id)

    def _load(self, prefix: str, table: Table, opened: IcebergTable, files: list[str]) -> None:
        create_view(self._con, table, field_ids(opened), files)
        columns = ", ".join(name for name in table.column_names if name not in _VALIDITY)
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE {prefix}_{table.name} AS "
            f"SELECT {columns} FROM {table.name} WHERE valid_to IS NULL"
        )

    def _open_known_ends(self) -> None:
        """The end of each stream as the build's stream_analytics has it: the only one of an open
        stream.
        """
        table = self._build.tables.get("stream_analytics") if self._build else None
        if table is None:
            self._con.execute(
                "CREATE TEMP TABLE known_ends (stream_id VARCHAR, ended_at TIMESTAMP)"
            )
            return
        uris = [self._lake.store.uri(file.key) for file in table.files]
        create_view(self._con, table.definition("stream_analytics"), table.field_ids, uris)
        self._con.execute(
            "CREATE TEMP TABLE known_ends AS SELECT stream_id, ended_at FROM stream_analytics"
        )


_STREAM_COLUMNS = (
    "s.stream_id, s.channel_id, s.stream_day, s.started_at, s.ended_at, k.ended_at AS known_end_at"
)
_IS_LIVE_ON_DAY = (
    "s.started_at < e.day + INTERVAL 1 DAY AND (s.ended_at IS NULL OR s.ended_at + $after > e.day)"
)


def last_day(end: datetime) -> date:
    """The last day that an exclusive end reaches into."""
    return (end - NEXT_INSTANT).date()


def day_range(first: date, last: date) -> Iterator[date]:
    """Every day from first to last, both in it."""
    return (first + timedelta(days=n) for n in range((last - first).days + 1))
