"""Landed rows against published rows, counted again from both sides, object by object.

What belongs here: counting one window without believing what its publisher said. What does not:
publishing; and what is done about a window that does not add up (the asset's check, the landing's
clean-up).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aethex.lake.core import Lake
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.publish import (
    LandingGoneError,
    files_of_times,
    hours_of,
    local_objects,
    open_landed,
)
from aethex.lake.tables import Table
from aethex.lake.windows import PublishedObject, PublishedWindow, read_window

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_LIMIT = "384MB"


@dataclass(frozen=True)
class ObjectCount:
    """One landing object: its rows, and those of them that it brought into the tables.

    events: different event ids in it; once: those of them that a table has exactly once, whichever
    object brought them. marked: rows that the publisher's marker says it brought.
    """

    key: str
    rows: int
    brought: int
    events: int
    once: int
    marked: int | None

    @property
    def duplicates(self) -> int:
        """Rows of events that were there already, or stand in it or its window twice."""
        return self.rows - self.brought

    @property
    def adds_up(self) -> bool:
        """Every event of it is in a table once, and the marker counts what was counted here."""
        return self.once == self.events and self.marked in (None, self.brought)


@dataclass(frozen=True)
class WindowCount:
    """One window, counted. objects: empty when `is_gone`, as landing was cleaned up since.

    landed_rows: rows of its objects; table_rows: rows that the tables have of it.
    """

    n: int
    table_rows: int
    objects: tuple[ObjectCount, ...]
    is_gone: bool

    @property
    def landed_rows(self) -> int:
        return sum(item.rows for item in self.objects)

    @property
    def duplicates(self) -> int:
        return sum(item.duplicates for item in self.objects)

    @property
    def adds_up(self) -> bool:
        """Each object adds up, and together they brought what the tables have of the window."""
        if self.is_gone:
            return True
        brought = sum(item.brought for item in self.objects)
        return brought == self.table_rows and all(item.adds_up for item in self.objects)


def count_window(lake: Lake, marker: PublishedWindow) -> WindowCount:
    """Count one published window from its landing objects and from the event tables."""
    table_rows = sum(
        lake.table(table).scan(row_filter=f"landing_window == {marker.n}").count()
        for table in EVENT_TABLES.values()
    )
    window = read_window(lake.store, marker.n)
    assert window is not None  # a window is never removed
    try:
        with (
            lake.duckdb(memory_limit=MEMORY_LIMIT, threads=2) as connection,
            local_objects(lake, window) as keys,
        ):
            objects = _count_objects(lake, connection, keys, marker)
    except LandingGoneError:
        return WindowCount(marker.n, table_rows, (), is_gone=True)
    return WindowCount(marker.n, table_rows, objects, is_gone=False)


def _count_objects(
    lake: Lake, connection: DuckDBPyConnection, keys: dict[str, str], marker: PublishedWindow
) -> tuple[ObjectCount, ...]:
    open_landed(connection, keys)
    connection.execute(
        "CREATE TEMP TABLE landed_ids AS "
        "SELECT file, kind, event_id, received_at, file_row_number, client_at FROM landed"
    )
    connection.execute(
        "CREATE TEMP TABLE found (kind VARCHAR, event_id VARCHAR, landing_window INT)"
    )
    for kind, table in EVENT_TABLES.items():
        _find_events(lake, connection, kind, table)
    rows = connection.execute(
        """
        WITH copies AS (
            SELECT file, kind, event_id, row_number() OVER (
                PARTITION BY kind, event_id ORDER BY received_at, file, file_row_number
            ) AS place
            FROM landed_ids
        ),
        tables AS (
            SELECT kind, event_id, count(*) AS copies, min(landing_window) AS landing_window
            FROM found GROUP BY kind, event_id
        ),
        events AS (
            SELECT c.file, c.kind, c.event_id, count(*) AS rows, min(c.place) AS place
            FROM copies AS c GROUP BY c.file, c.kind, c.event_id
        )
        SELECT e.file, sum(e.rows)::BIGINT,
               count(*) FILTER (WHERE e.place = 1 AND t.landing_window = $n),
               count(*), count(*) FILTER (WHERE t.copies = 1)
        FROM events AS e LEFT JOIN tables AS t USING (kind, event_id)
        GROUP BY e.file ORDER BY e.file
        """,
        {"n": marker.n},
    ).fetchall()
    marked = {item.key: item for item in marker.objects}
    return tuple(_object_count(keys[row[0]], row[1:], marked) for row in rows)


def _find_events(lake: Lake, connection: DuckDBPyConnection, kind: str, table: Table) -> None:
    """Add the table's rows of the landed events to `found`."""
    relation = f"(FROM landed_ids WHERE kind = '{kind}')"
    files = files_of_times(lake.table(table), hours_of(connection, relation))
    if files:
        connection.execute(
            "INSERT INTO found SELECT $kind, event_id, landing_window FROM read_parquet($files) "
            f"WHERE event_id IN (SELECT event_id FROM {relation})",
            {"kind": kind, "files": files},
        )


def _object_count(
    key: str, row: tuple[int, ...], marked: dict[str, PublishedObject]
) -> ObjectCount:
    rows, brought, events, once = row
    said = marked.get(key)
    return ObjectCount(key, rows, brought, events, once, said.rows_out if said else None)
