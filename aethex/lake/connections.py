"""Builds as DuckDB connections: a view per table over local files, read-only and closed to the
outside.

What belongs here: opening a build for the service, dashboards and notebooks. What does not: the
questions that they ask (`analytics`), the models' own connections (`runner`).

A connection is in memory and of its own; nothing is shared but immutable files. It reads the files
of its build, and nothing else on the machine or the network.
"""

from __future__ import annotations

import weakref
from pathlib import Path

import duckdb

from aethex.lake.build_records import (
    Build,
    BuildColumn,
    BuildTable,
    current_build,
    read_build,
)
from aethex.lake.cache import FileCache, Pin
from aethex.lake.core import Lake
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.models import load_models
from aethex.lake.tables import Table
from aethex.lake.views import create_view, data_files, describe_view, field_ids
from aethex.settings import Settings, get_settings
from aethex.store import Store

MEMORY_LIMIT = "1GB"
HELD_ROWS = 50_000
"""Tables of at most so many rows are read once, when a build is opened (schema `held`)."""


def connect(
    settings: Settings | None = None, build: Build | str | None = None, *, with_events: bool = True
) -> duckdb.DuckDBPyConnection:
    """A connection for people: the build's tables, and the lake's event tables as of that build.
    Tables that know viewers are in no build, and are there as they are now.

    Without a build yet, all tables are there and empty. `SELECT * FROM duckdb_columns()` shows what
    each column means. `with_events=False` leaves the event tables out, and so needs no database.
    Raises UnknownBuild, StoreUnreachable, DatabaseUnreachable.
    """
    chosen = settings or get_settings()
    lake = Lake.open(chosen)
    try:
        record = _record(lake.store, build)
        return _open(lake, chosen, record, with_events=with_events)
    finally:
        lake.close()


def open_build(
    source: Lake | Store, settings: Settings, build: Build | str | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection with the tables of a build: the current one, or that one (a record, or its id).

    Before the first build all tables are there and empty. Its files stay in the cache until the
    connection is dropped. Use a cursor per thread. Raises UnknownBuild, StoreUnreachable.
    """
    store = source.store if isinstance(source, Lake) else source
    lake = source if isinstance(source, Lake) else Lake(settings, store)
    return _open(lake, settings, _record(store, build), with_events=False)


def empty_build_tables() -> dict[str, BuildTable]:
    """What a build before the first one would hold: every table, without files."""
    return {
        name: BuildTable(
            doc=table.doc,
            snapshot_id=None,
            fingerprint="",
            columns=tuple(
                BuildColumn(n, column) for n, column in enumerate(table.columns, start=1)
            ),
            files=(),
        )
        for name, table in {**load_models().tables, **DIM_TABLES}.items()
        if table.is_published
    }


def _record(store: Store, build: Build | str | None) -> Build | None:
    if isinstance(build, str):
        return read_build(store, build)
    return build or current_build(store)


def _open(
    lake: Lake, settings: Settings, build: Build | None, *, with_events: bool
) -> duckdb.DuckDBPyConnection:
    con = lake.duckdb(memory_limit=MEMORY_LIMIT)
    pin: Pin | None = None
    try:
        con.execute("SET parquet_metadata_cache = true")
        pin, allowed = _create_build_views(lake, settings, con, build)
        allowed += _create_event_views(lake, con, build) if with_events else []
        _close_to_the_outside(con, allowed)
    except BaseException:
        con.close()
        if pin is not None:
            pin.release()
        raise
    weakref.finalize(con, pin.release)
    return con


def _create_build_views(
    lake: Lake, settings: Settings, con: duckdb.DuckDBPyConnection, build: Build | None
) -> tuple[Pin, list[str]]:
    tables = {**empty_build_tables(), **(build.tables if build else {})}
    files = [file for table in tables.values() for file in table.files]
    cache = FileCache(lake.store, settings.cache_dir, settings.cache_max_bytes)
    pin, paths = cache.pin(files)
    local = dict(zip([file.key for file in files], paths, strict=True))
    declared = {**load_models().tables, **DIM_TABLES}
    con.execute("CREATE SCHEMA held")
    for name, table in tables.items():
        _create_view(
            con, declared.get(name), name, table, [local[file.key] for file in table.files]
        )
    return pin, [str(path) for path in paths]


def _create_view(
    con: duckdb.DuckDBPyConnection,
    declared: Table | None,
    name: str,
    table: BuildTable,
    files: list[Path],
) -> None:
    """The view of one table: the build's columns, and as null those that were added since."""
    then = table.definition(name)
    added = [c for c in declared.columns if c.name not in table.field_ids] if declared else []
    shape = Table(name, then.doc, (*then.columns, *added))
    free = max(table.field_ids.values(), default=0) + 1
    ids = {**table.field_ids, **{column.name: free + n for n, column in enumerate(added)}}
    create_view(con, shape, ids, [str(path) for path in files])
    if files and table.rows <= HELD_ROWS:
        # a file per day: opening them for every question would cost more than the question
        con.execute(f"CREATE TABLE held.{name} AS FROM {name}")
        con.execute(f"CREATE OR REPLACE VIEW {name} AS FROM held.{name}")
    describe_view(con, shape)


def _create_event_views(
    lake: Lake, con: duckdb.DuckDBPyConnection, build: Build | None
) -> list[str]:
    """Views of the event tables as of the build, or as they are now where that snapshot was
    expired.

    They are read in place, as they are large and rarely read whole.
    """
    allowed: list[str] = []
    for table in EVENT_TABLES.values():
        opened = lake.table(table)
        snapshot_id = build.events.get(table.name) if build else None
        is_kept = snapshot_id is None or opened.snapshot_by_id(snapshot_id) is not None
        files = data_files(opened, snapshot_id=snapshot_id if is_kept else None)
        create_view(con, table, field_ids(opened), files if build is None or snapshot_id else [])
        describe_view(con, table)
        allowed += files
    for table in {**load_models().tables, **DIM_TABLES}.values():
        if not table.is_published:
            opened = lake.table(table)
            files = data_files(opened)
            create_view(con, table, field_ids(opened), files)
            describe_view(con, table)
            allowed += files
    return allowed


def _close_to_the_outside(con: duckdb.DuckDBPyConnection, allowed: list[str]) -> None:
    """Leave it these files to read: no others, no addresses, extensions or settings."""
    con.execute("SET allowed_paths = $paths", {"paths": allowed})
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
