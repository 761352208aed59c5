"""Which days the marts must be computed for: what changed since the current build.

What belongs here: comparing published windows, dims and models with what the current build was made
from. What does not: computing (`runner`), in which order (`refresh`).

Everything is derived from what is stored: the windows published after the build's, the dim tables'
rows against those of the build's own files, each model's text against the build's. So a crash loses
nothing, and asking twice gives the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb

from aethex.lake.build_records import Build, current_build
from aethex.lake.core import Lake
from aethex.lake.dim_tables import DIM_STREAM_SEGMENTS, DIM_STREAMS, VALIDITY_COLUMNS
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.models import Models, load_models
from aethex.lake.tables import Table
from aethex.lake.views import create_view, data_files, field_ids
from aethex.lake.windows import PublishedWindow, published_windows, watermark

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable

DAY = timedelta(days=1)
NEXT_INSTANT = timedelta(microseconds=1)
_VALIDITY = {column.name for column in VALIDITY_COLUMNS}


@dataclass(frozen=True)
class Due:
    """What to compute. stream_days: for models keyed by stream_day; days: for those keyed by day.

    window, fresh_until: up to where publishing had come when this was asked: what the build may
    claim once these days are computed.
    """

    stream_days: tuple[date, ...]
    days: tuple[date, ...]
    window: int
    fresh_until: datetime | None

    @property
    def is_empty(self) -> bool:
        return not (self.stream_days or self.days)


@dataclass(frozen=True)
class _Stream:
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
        return _day_range(
            self.stream_day, max(self.stream_day, _last_day(end) if end else date.min)
        )

    def reaching(self, at: datetime | None) -> _Stream:
        """The same stream, known to reach to `at` at least."""
        if self.ended_at is not None or at is None:
            return self
        return replace(self, known_end_at=max(at, self.known_end_at or at))


def due(lake: Lake, models: Models | None = None) -> Due:
    """What published windows, dims and changed models make due since the current build."""
    known = models or load_models()
    # asked first: what is published meanwhile is in the windows, and not claimed by this time
    fresh_until = watermark(lake.store)
    build = current_build(lake.store)
    windows = published_windows(lake, after=build.window if build else 0)
    window = windows[-1].n if windows else (build.window if build else 0)
    with lake.duckdb() as con:
        comparison = _Comparison(lake, con, build)
        found = _DueDays()
        found.add_touched(comparison.streams_with_new_samples(windows))
        found.add_changed(comparison.changed_streams())
        found.stream_days |= comparison.stream_days_of_changed_segments()
        if build is None or _are_models_changed(build, known):
            found.add_all(comparison.streams())
    return Due(tuple(sorted(found.stream_days)), tuple(sorted(found.days)), window, fresh_until)


class _DueDays:
    """The days found so far."""

    def __init__(self) -> None:
        self.stream_days: set[date] = set()
        self.days: set[date] = set()

    def add_touched(self, touched: Iterable[tuple[_Stream, date]]) -> None:
        """Streams that got samples on a day: that day, and the days that its holds or its end
        reach.
        """
        for stream, day in touched:
            covered = set(stream.reaching(_end_of_day(day)).days())
            # a hold that crosses midnight ends where the next day's first sample is, and the other
            # way round
            self.days |= covered & {day - DAY, day, day + DAY}
            self.stream_days.add(stream.stream_day)
            if stream.ended_at is None:
                # its end moves with its newest sample, and so do the live seconds up to there
                reached = (
                    _last_day(stream.known_end_at) if stream.known_end_at else stream.stream_day
                )
                self.days |= set(_day_range(reached, day))

    def add_changed(self, changed: Iterable[tuple[_Stream | None, _Stream | None]]) -> None:
        """Streams whose row is new, gone or different: (before, after)."""
        for before, after in changed:
            versions = [stream for stream in (before, after) if stream is not None]
            self.stream_days |= {stream.stream_day for stream in versions}
            if before and after and _bounds(before) == _bounds(after):
                continue  # a title or a category
            covered = [set(stream.days()) for stream in versions]
            if before and after and _start(before) == _start(after):
                # only the end moved: the days on both sides of it
                first = min(max(days) for days in covered)
                self.days |= {day for days in covered for day in days if day >= first}
            else:
                self.days |= set().union(*covered)

    def add_all(self, streams: Iterable[_Stream]) -> None:
        """Every day of every stream."""
        for stream in streams:
            self.stream_days.add(stream.stream_day)
            self.days |= set(stream.days())


class _Comparison:
    """Today's dims beside those of the build, as views `now_*` and `then_*`."""

    def __init__(self, lake: Lake, con: duckdb.DuckDBPyConnection, build: Build | None) -> None:
        self._lake = lake
        self._con = con
        self._build = build
        self._is_same = {
            table.name: self._open_pair(table) for table in (DIM_STREAMS, DIM_STREAM_SEGMENTS)
        }
        self._open_known_ends()

    def streams(self) -> list[_Stream]:
        """Every current stream that has started."""
        return self._with_last_samples(self._streams("SELECT * FROM now_dim_streams"))

    def streams_with_new_samples(
        self, windows: list[PublishedWindow]
    ) -> list[tuple[_Stream, date]]:
        """Current streams that those windows brought samples of, with each day that they have some
        on.
        """
        found: list[tuple[_Stream, date]] = []
        for table in EVENT_TABLES.values():
            numbers = [window.n for window in windows if window.tables.get(table.name)]
            if not numbers:
                continue
            opened = self._lake.table(table)
            is_new = f"landing_window >= {min(numbers)} and landing_window <= {max(numbers)}"
            create_view(self._con, table, field_ids(opened), data_files(opened, is_new))
            rows = self._con.execute(
                f"""
                SELECT {_STREAM_COLUMNS}, e.day
                FROM (
                    SELECT DISTINCT stream_id, occurred_at::DATE AS day FROM {table.name} WHERE
                    {is_new}
                ) AS e
                JOIN now_dim_streams AS s ON s.stream_id = e.stream_id
                LEFT JOIN known_ends AS k ON k.stream_id = s.stream_id
                WHERE s.started_at < e.day + INTERVAL 1 DAY
                  AND (s.ended_at IS NULL OR s.ended_at > e.day)
                ORDER BY s.stream_id, e.day
                """
            ).fetchall()
            found += [(_Stream(*row[:-1]), row[-1]) for row in rows]
        return found

    def changed_streams(self) -> list[tuple[_Stream | None, _Stream | None]]:
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

    def _with_last_samples(self, streams: list[_Stream]) -> list[_Stream]:
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
        last: dict[str, datetime] = {}
        for table in EVENT_TABLES.values():
            opened = self._lake.table(table)
            files = data_files(opened, f"occurred_at >= '{since}'")
            create_view(self._con, table, field_ids(opened), files)
            rows = self._con.execute(
                f"""
                SELECT e.stream_id, max(e.occurred_at)
                FROM {table.name} AS e JOIN still_open AS o ON o.stream_id = e.stream_id
                GROUP BY e.stream_id
                """
            ).fetchall()
            last |= {
                stream_id: max(at, last.get(stream_id, at)) + NEXT_INSTANT for stream_id, at in rows
            }
        return [stream.reaching(last.get(stream.stream_id)) for stream in streams]

    def _streams(self, sql: str) -> list[_Stream]:
        rows = self._con.execute(
            f"SELECT {_STREAM_COLUMNS} FROM ({sql}) AS s "
            "LEFT JOIN known_ends AS k ON k.stream_id = s.stream_id WHERE s.stream_day IS NOT NULL"
        ).fetchall()
        return [_Stream(*row) for row in rows]

    def _open_pair(self, table: Table) -> bool:
        """Make `now_<dim>` and `then_<dim>` of the current rows; whether both are the same
        snapshot.
        """
        opened = self._lake.table(table)
        snapshot = opened.current_snapshot()
        snapshot_id = snapshot.snapshot_id if snapshot else None
        self._load("now", table, opened, data_files(opened))
        then = self._build.tables.get(table.name) if self._build else None
        if then is not None and then.snapshot_id == snapshot_id:
            return True
        uris = [self._lake.store.uri(file.key) for file in then.files] if then else []
        try:
            self._load("then", table, opened, uris)
        except (duckdb.IOException, duckdb.HTTPException):
            # the old snapshot was expired and its files are gone: then everything may have changed
            self._load("then", table, opened, [])
        return False

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


def _are_models_changed(build: Build, models: Models) -> bool:
    return any(
        model.name not in build.tables or build.tables[model.name].fingerprint != model.fingerprint
        for model in models
    )


def _start(stream: _Stream) -> tuple[str, datetime]:
    return stream.channel_id, stream.started_at


def _bounds(stream: _Stream) -> tuple[str, datetime, datetime | None]:
    return stream.channel_id, stream.started_at, stream.ended_at


def _end_of_day(day: date) -> datetime:
    return datetime.combine(day + DAY, datetime.min.time())


def _last_day(end: datetime) -> date:
    """The last day that an exclusive end reaches into."""
    return (end - NEXT_INSTANT).date()


def _day_range(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))
