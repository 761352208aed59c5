"""Publishing: the rows of landed objects into the event tables, exactly once.

What belongs here: which rows a window brings, and committing them. What does not: which objects a
window holds (`windows`), and what is computed from the tables (models).

Why a row is there once, whoever publishes how often: window n is published only after n-1 is in all
tables, and rows(n) = its objects' events, each event_id once, without those that a window below n
brought. A copy, however late, has the `client_at` of the first one (the platform never changes it),
so earlier copies are looked for in the files that can hold that time, whatever the history. So
rows(n) never depends on who computes it or when, and each table takes it by
`overwrite(rows, landing_window == n)`: one commit that replaces the window's rows whole. Of two
such commits at once pyiceberg lets the second fail (`serializable`); it looks again and finds the
marker, or replaces equal rows by equal rows.
"""

from __future__ import annotations

import gc
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    ValidationException,
)

from aethex.lake import scratch
from aethex.lake.core import Lake, utc_now
from aethex.lake.event_tables import EVENT_COLUMNS, EVENT_TABLES, payload_columns, payload_struct
from aethex.lake.tables import Table
from aethex.lake.views import data_files, quoted
from aethex.lake.windows import (
    PublishedObject,
    PublishedWindow,
    Window,
    mark_looked_at,
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
HOUR = timedelta(hours=1)
_MOST_RANGES = 32
_MANY_ROWS = 10_000  # below it a window leaves little, and looking for it takes longer than it did

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
    looked_at = utc_now()
    while window := next_window(lake, looked_at):
        published.append(publish_window(lake, window, progress=progress))
        if window.rows >= _MANY_ROWS:
            _give_memory_back()
        looked_at = utc_now()
    mark_looked_at(lake.store, looked_at)
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
    by_object = Counter[str]()
    with (
        lake.duckdb(memory_limit=MEMORY_LIMIT, threads=2) as connection,
        local_objects(lake, window) as keys,
    ):
        kinds = _read_landed(connection, keys, window)
        for kind, table in EVENT_TABLES.items():
            if kind not in kinds and not is_again:
                continue
            rows = _rows(lake, connection, table, kind, n)
            for path, count in _rows_by_object(connection):
                by_object[keys[path]] += count
            tell(PublishStep(n, "committing", table.name, rows.num_rows))
            if not _commit(lake, table, n, rows, is_again=is_again):
                break  # another publisher has finished this window
            tell(PublishStep(n, "committed", table.name, rows.num_rows))
            counts[table.name] = rows.num_rows
            days[table.name] = _days(rows)
    marker = mark_published(lake.store, _marker(window, counts, days, by_object))
    tell(PublishStep(n, "published", rows=marker.rows_out))
    return marker


# --- the rows of a window -------------------------------------------------------------------------


@contextmanager
def local_objects(lake: Lake, window: Window) -> Generator[dict[str, str]]:
    """The window's objects as local files: their keys by path, in the order of keys.

    Raises LandingGoneError when some are no longer in the store.
    """
    keys = sorted(item.key for item in window.objects)
    local = [path for key in keys if (path := lake.store.local_path(key))]
    if local:
        gone = [key for key, path in zip(keys, local, strict=True) if not path.exists()]
        if gone:
            raise _gone(window.n, gone)
        yield _keys_by_path(local, keys)
        return
    folder = scratch.new_folder(lake.settings.cache_dir)
    try:
        copies = [folder / f"{position:08d}.parquet" for position in range(len(keys))]
        for key, copy in zip(keys, copies, strict=True):
            try:
                lake.store.download(key, copy)
            except NotFound as error:
                raise _gone(window.n, [key]) from error
        yield _keys_by_path(copies, keys)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keys_by_path(paths: list[Path], keys: list[str]) -> dict[str, str]:
    return {str(path): key for path, key in zip(paths, keys, strict=True)}


def _gone(n: int, keys: list[str]) -> LandingGoneError:
    return LandingGoneError(
        f"window {n} cannot be published: {len(keys)} of its landing objects are gone "
        f"(first: {keys[0]}). Landing is cleaned up AETHEX_LANDING_KEEP_DAYS days after a window "
        "was published. Its rows stay as they are; import or send what is missing again."
    )


def open_landed(connection: DuckDBPyConnection, paths: Iterable[str]) -> None:
    """Make the view `landed` of landed files: their rows with `file` and `file_row_number`."""
    files = ", ".join(quoted(path) for path in paths)
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW landed AS "
        f"SELECT * FROM read_parquet([{files}], filename = 'file', file_row_number = true)"
    )


def _read_landed(connection: DuckDBPyConnection, paths: Iterable[str], window: Window) -> set[str]:
    """Open the objects as the view `landed`, in an order that never changes; the kinds in them."""
    open_landed(connection, paths)
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
        "SELECT event_id, client_at, file, file_row_number FROM landed WHERE kind = $kind "
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


def _rows_by_object(connection: DuckDBPyConnection) -> list[tuple[str, int]]:
    """How many rows of each landed file are among the rows of the table computed last."""
    return connection.execute(
        "SELECT file, count(*) FROM candidates ANTI JOIN seen USING (event_id) GROUP BY file"
    ).fetchall()


def _find_seen(lake: Lake, connection: DuckDBPyConnection, table: Table, n: int) -> None:
    """The table `seen`: ids of candidates that an earlier window brought.

    Two columns are read of the files that can hold a candidate's `client_at`: usually those of the
    last hours.
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE seen (event_id VARCHAR)")
    files = files_of_times(lake.table(table), hours_of(connection, "candidates"))
    if files:
        connection.execute(
            "INSERT INTO seen SELECT event_id FROM read_parquet($files) "
            "WHERE landing_window < $n AND event_id IN (SELECT event_id FROM candidates)",
            {"files": files, "n": n},
        )


def hours_of(connection: DuckDBPyConnection, relation: str) -> list[datetime]:
    """The hours, in order, in which the relation's `client_at` lie."""
    rows = connection.execute(
        f"SELECT DISTINCT date_trunc('hour', client_at) AS hour FROM {relation} ORDER BY hour"
    ).fetchall()
    return [row[0] for row in rows]


def files_of_times(opened: IcebergTable, hours: list[datetime]) -> list[str]:
    """Data files that can hold events with a `client_at` in those hours.

    Raises DeleteFilesPresent.
    """
    if not hours:
        return []
    wanted = " or ".join(
        f"(client_at >= '{first.isoformat()}' and client_at < '{end.isoformat()}')"
        for first, end in hour_ranges(hours)
    )
    return data_files(opened, wanted)


def hour_ranges(hours: list[datetime], most: int = _MOST_RANGES) -> list[tuple[datetime, datetime]]:
    """Sorted hours as half-open ranges, at most `most`: then the smallest gaps are read along."""
    ranges: list[tuple[datetime, datetime]] = []
    for hour in hours:
        if ranges and hour <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], hour + HOUR)
        else:
            ranges.append((hour, hour + HOUR))
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
    window: Window,
    counts: dict[str, int],
    days: dict[str, tuple[date, ...]],
    by_object: Counter[str],
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
        objects=tuple(
            PublishedObject(item.key, item.rows, by_object[item.key]) for item in window.objects
        ),
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
