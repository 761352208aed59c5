"""Publishing: the rows of landed objects into the event tables, exactly once.

What belongs here: which rows a window brings, and committing them. What does not: which objects a
window holds (`windows`), and what is computed from the tables (models).

Why a row is there once, whoever publishes how often: window n is published only after n-1 is in all
tables, and rows(n) = its objects' events, each event_id once, without those that a window below n
brought. So rows(n) never depends on who computes it or when, and each table takes it by
`overwrite(rows, landing_window == n)`: one commit that replaces the window's rows whole. Of two
such commits at once pyiceberg lets the second fail (`serializable`); it looks again and finds the
marker, or replaces equal rows by equal rows.
"""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    ValidationException,
)

from aethex.lake.core import Lake, utc_now
from aethex.lake.tables import EVENT_COLUMNS, EVENT_TABLES, Table, payload_columns, payload_struct
from aethex.lake.windows import (
    PublishedWindow,
    Window,
    mark_published,
    next_window,
    read_published,
    read_window,
)
from aethex.store import NotFound

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyiceberg.table import Table as IcebergTable

COMMIT_ATTEMPTS = 30
MEMORY_LIMIT = "384MB"
DUPLICATE_MARGIN = timedelta(hours=1)
"""A repeated event's `occurred_at` can differ a little from the first one's, so copies are looked
for in the neighbouring day too when an event is this close to midnight."""
_MOST_RANGES = 32

Stage = Literal["reading", "committing", "committed", "published"]


class PublishError(Exception):
    """A window cannot be published. The message says which, why, and what to do."""


class LandingGoneError(PublishError):
    """Landing objects of the window are no longer in the store, so its rows cannot be computed."""


@dataclass(frozen=True)
class PublishStep:
    """Progress: window n is at a stage; `table` and `rows` where the stage is about one table."""

    n: int
    stage: Stage
    table: str | None = None
    rows: int = 0


Progress = Callable[[PublishStep], None]


def publish(lake: Lake, *, progress: Progress | None = None) -> list[PublishedWindow]:
    """Publish all that has landed, window by window, and return the markers of the windows done
    here.

    Safe to run at any time, in several processes at once, and again after being killed. Raises
    PublishError (LandingGoneError when landing was cleaned up too early).
    """
    published: list[PublishedWindow] = []
    while window := next_window(lake):
        published.append(publish_window(lake, window, progress=progress))
        _give_memory_back()
    return published


def republish(lake: Lake, n: int, *, progress: Progress | None = None) -> PublishedWindow:
    """Compute window n again from its landing objects and replace its rows, for repairs.

    Its marker stays as it is. Raises PublishError when the window was never cut or an earlier one
    is not published yet, LandingGoneError when its objects were cleaned up.
    """
    window = read_window(lake.store, n)
    if window is None:
        raise PublishError(f"there is no publish window {n}")
    return publish_window(lake, window, progress=progress, is_again=True)


def publish_window(
    lake: Lake, window: Window, *, progress: Progress | None = None, is_again: bool = False
) -> PublishedWindow:
    """Bring one window's rows into all event tables, then write its marker.

    A window that is published already is left alone unless `is_again`. Raises as `publish` does.
    """
    tell = progress or _tell_nobody
    n = window.n
    if n > 1 and read_published(lake.store, n - 1) is None:
        raise PublishError(f"window {n} cannot be published before window {n - 1} is")
    if not is_again and (done := read_published(lake.store, n)):
        return done
    tell(PublishStep(n, "reading", rows=window.rows))
    counts: dict[str, int] = {}
    days: dict[str, tuple[date, ...]] = {}
    with (
        lake.duckdb(memory_limit=MEMORY_LIMIT, threads=2) as connection,
        _local_objects(lake, window) as paths,
    ):
        kinds = _read_landed(connection, paths, window)
        for kind, table in EVENT_TABLES.items():
            if kind not in kinds and not is_again:
                continue
            rows = _rows(lake, connection, table, kind, n)
            tell(PublishStep(n, "committing", table.name, rows.num_rows))
            if not _commit(lake, table, n, rows, is_again=is_again):
                break  # another publisher has finished this window
            tell(PublishStep(n, "committed", table.name, rows.num_rows))
            counts[table.name] = rows.num_rows
            days[table.name] = _days(rows)
    marker = mark_published(lake.store, _marker(window, counts, days))
    tell(PublishStep(n, "published", rows=marker.rows_out))
    return marker


# --- the rows of a window -------------------------------------------------------------------------


@contextmanager
def _local_objects(lake: Lake, window: Window) -> Generator[list[Path]]:
    """The window's objects as local files, in the order of their keys."""
    keys = sorted(item.key for item in window.objects)
    local = [path for key in keys if (path := lake.store.local_path(key))]
    if local:
        gone = [key for key, path in zip(keys, local, strict=True) if not path.exists()]
        if gone:
            raise _gone(window.n, gone)
        yield local
        return
    lake.settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="publish-", dir=lake.settings.cache_dir) as folder:
        copies = [Path(folder) / f"{position:08d}.parquet" for position in range(len(keys))]
        for key, copy in zip(keys, copies, strict=True):
            try:
                lake.store.download(key, copy)
            except NotFound as error:
                raise _gone(window.n, [key]) from error
        yield copies


def _gone(n: int, keys: list[str]) -> LandingGoneError:
    return LandingGoneError(
        f"window {n} cannot be published: {len(keys)} of its landing objects are gone "
        f"(first: {keys[0]}). Its rows stay as they are; import or send what is missing again."
    )


def _read_landed(connection: DuckDBPyConnection, paths: list[Path], window: Window) -> set[str]:
    """Open the objects as the view `landed`, in an order that never changes; the kinds in them."""
    files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW landed AS "
        f"SELECT * FROM read_parquet([{files}], filename = 'file', file_row_number = true)"
    )
    kinds = {row[0] for row in connection.execute("SELECT DISTINCT kind FROM landed").fetchall()}
    if unknown := kinds - EVENT_TABLES.keys():
        raise PublishError(
            f"window {window.n} holds events of kind {sorted(unknown)}, which this version has no "
            "table for; publish with the version that landed them"
        )
    return kinds


def _rows(lake: Lake, connection: DuckDBPyConnection, table: Table, kind: str, n: int) -> pa.Table:
    """rows(n) of one table: each event once, without those of earlier windows, sorted as the table
    is."""
    # what decides which copies stay is narrow; the rows themselves are read again for those
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE candidates AS "
        "SELECT event_id, occurred_at, file, file_row_number FROM landed WHERE kind = $kind "
        "QUALIFY row_number() OVER "
        "(PARTITION BY event_id ORDER BY received_at, file, file_row_number) = 1",
        {"kind": kind},
    )
    _find_seen(lake, connection, table, n)
    order = ", ".join(["occurred_at::DATE", *table.sort, "event_id"])
    result = connection.execute(
        f"SELECT {_select_list(table, n)} FROM "
        f"(SELECT *, {payload_struct(table)} AS carried FROM landed SEMI JOIN "
        "(SELECT file, file_row_number FROM candidates ANTI JOIN seen USING (event_id)) "
        f"USING (file, file_row_number)) ORDER BY {order}"
    )
    return result.to_arrow_table().cast(table.arrow_schema())


def _select_list(table: Table, n: int) -> str:
    """The table's columns from an event: the common ones as they are, the rest from its payload."""
    common = [
        f"{n}::BIGINT AS landing_window" if c.name == "landing_window" else c.name
        for c in EVENT_COLUMNS
    ]
    carried = [f"carried.{column.name}" for column in payload_columns(table)]
    return ", ".join([*common, *carried])


def _find_seen(lake: Lake, connection: DuckDBPyConnection, table: Table, n: int) -> None:
    """The table `seen`: ids of candidates that an earlier window brought.

    Only two columns of the files of the days around the candidates are read, whatever the history.
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE seen (event_id VARCHAR)")
    found = connection.execute(
        "SELECT DISTINCT unnest([(occurred_at - $margin)::DATE, (occurred_at + $margin)::DATE]) "
        "FROM candidates",
        {"margin": DUPLICATE_MARGIN},
    ).fetchall()
    files = _files_of_days(lake.table(table), sorted(row[0] for row in found))
    if files:
        connection.execute(
            "INSERT INTO seen SELECT event_id FROM read_parquet($files) "
            "WHERE landing_window < $n AND event_id IN (SELECT event_id FROM candidates)",
            {"files": files, "n": n},
        )


def _files_of_days(opened: IcebergTable, days: list[date]) -> list[str]:
    """Data files that can hold rows of those days."""
    if not days or opened.current_snapshot() is None:
        return []
    wanted = " or ".join(
        f"(occurred_at >= '{first}T00:00:00' and occurred_at < '{end}T00:00:00')"
        for first, end in _half_open(day_ranges(days))
    )
    tasks = list(opened.scan(row_filter=wanted).plan_files())
    if any(task.delete_files for task in tasks):
        raise PublishError(
            f"table {opened.name()} has merge-on-read delete files, which publishing cannot read; "
            "compact it first"
        )
    return [task.file.file_path for task in tasks]


def _half_open(ranges: list[tuple[date, date]]) -> list[tuple[date, date]]:
    return [(first, last + timedelta(days=1)) for first, last in ranges]


def day_ranges(days: list[date], most: int = _MOST_RANGES) -> list[tuple[date, date]]:
    """Sorted days as inclusive ranges, at most `most`: then the smallest gaps are read along."""
    ranges: list[tuple[date, date]] = []
    for day in days:
        if ranges and day - ranges[-1][1] <= timedelta(days=1):
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    while len(ranges) > most:
        gaps = [after[0] - before[1] for before, after in pairwise(ranges)]
        closest = gaps.index(min(gaps))
        ranges[closest : closest + 2] = [(ranges[closest][0], ranges[closest + 1][1])]
    return ranges


# --- committing -----------------------------------------------------------------------------------


def _commit(lake: Lake, table: Table, n: int, rows: pa.Table, *, is_again: bool) -> bool:
    """Replace the window's rows in one commit; False when another publisher finished the window.

    A publisher that lost a race comes here again: its rows are still right, so it may repeat.
    """
    if rows.num_rows == 0 and not is_again:
        return True  # nobody who computes this window finds rows, so there are none to replace
    for attempt in range(COMMIT_ATTEMPTS):
        if not is_again and read_published(lake.store, n):
            return False
        try:
            with warnings.catch_warnings():
                # the usual case: the window has no rows yet
                warnings.filterwarnings("ignore", message="Delete operation did not match")
                lake.table(table).overwrite(
                    rows,
                    overwrite_filter=f"landing_window == {n}",
                    snapshot_properties={"aethex.landing-window": str(n)},
                )
            return True
        except (CommitFailedException, CommitStateUnknownException, ValidationException) as error:
            if attempt == COMMIT_ATTEMPTS - 1:
                raise PublishError(
                    f"window {n} could not be committed to {table.name} in {COMMIT_ATTEMPTS} "
                    f"attempts: {error}"
                ) from error
            time.sleep(0.05 * min(attempt + 1, 20))
    raise AssertionError("unreachable")


def _marker(
    window: Window, counts: dict[str, int], days: dict[str, tuple[date, ...]]
) -> PublishedWindow:
    rows_out = sum(counts.values())
    return PublishedWindow(
        n=window.n,
        published_at=utc_now(),
        watermark=window.watermark,
        rows_in=window.rows,
        rows_out=rows_out,
        duplicates=window.rows - rows_out,
        tables=counts,
        days=days,
    )


def _give_memory_back() -> None:
    """Without this each window of a long backlog leaves some hundred MB with the allocators."""
    gc.collect()  # pyiceberg's transactions are cycles that hold a window's rows
    pa.default_memory_pool().release_unused()


def _tell_nobody(step: PublishStep) -> None:
    """The progress of a caller who does not ask."""


def _days(rows: pa.Table) -> tuple[date, ...]:
    column = rows.column("occurred_at").cast(pa.date32())
    return tuple(sorted(pc.unique(column).to_pylist()))
