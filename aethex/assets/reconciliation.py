"""Landed rows against published rows, counted independently of the publisher's own marker.

What belongs here: counting one window on both sides. What does not: publishing.
"""

from __future__ import annotations

from dataclasses import dataclass

from aethex.lake import Lake
from aethex.lake.landing import count_rows
from aethex.lake.tables import EVENT_TABLES
from aethex.lake.windows import PublishedWindow, read_window
from aethex.store import NotFound


@dataclass(frozen=True)
class WindowCount:
    """One window: rows in its landing objects, rows in the event tables, duplicates left out.

    `landed_rows` is None when its landing objects have been cleaned up since.
    """

    n: int
    landed_rows: int | None
    table_rows: int
    duplicates: int

    @property
    def adds_up(self) -> bool:
        """Rows in = rows out + duplicates; a window whose landing is gone cannot be judged."""
        return self.landed_rows is None or self.landed_rows == self.table_rows + self.duplicates


def count_window(lake: Lake, marker: PublishedWindow) -> WindowCount:
    """Count one published window from its landing objects' rows and the tables' rows."""
    table_rows = sum(
        lake.table(table).scan(row_filter=f"landing_window == {marker.n}").count()
        for table in EVENT_TABLES.values()
    )
    return WindowCount(marker.n, _landed_rows(lake, marker.n), table_rows, marker.duplicates)


def _landed_rows(lake: Lake, n: int) -> int | None:
    window = read_window(lake.store, n)
    if window is None:
        return None
    try:
        return sum(count_rows(lake.store, item.key, item.size_bytes) for item in window.objects)
    except NotFound:
        return None
