"""Publishing builds: all marts checked together, recorded together, and swapped in at once.

What belongs here: making the record of a build and replacing the current one. What does not: what
is due (`due`), computing it (`refresh`), opening a build (`connections`), its record
(`build_records`).

A reader sees a build whole or not at all: the record is one object, the files in it never change,
and the current build is replaced only if it is still the one that the new one was compared with. Of
two publishers at once the second finds that it lost, and looks again at what the tables hold now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

import duckdb
from ulid import ULID

from aethex.lake.build_records import (
    CURRENT_KEY,
    Build,
    BuildColumn,
    BuildFile,
    BuildTable,
    UnknownBuild,
    build_key,
    current_build,
    list_builds,
    read_build,
    read_current,
    to_json,
)
from aethex.lake.core import Lake, utc_now
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.due import Due, due
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.models import DUE_TABLES, Check, Models, load_models
from aethex.lake.runner import ModelRunError, require_none
from aethex.lake.tables import Table
from aethex.lake.views import create_view, field_ids
from aethex.store import AlreadyExists, Conflict, ObjectInfo

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable

__all__ = [
    "Build",
    "BuildFailed",
    "Due",
    "UnknownBuild",
    "current_build",
    "due",
    "list_builds",
    "publish_build",
    "read_build",
]

SWAP_ATTEMPTS = 30


class BuildFailed(RuntimeError):
    """A build was not published: a check found something, or others kept winning. Readers keep the
    old one.

    check: the check that failed, where it was one.
    """

    def __init__(self, message: str, check: Check | None = None) -> None:
        super().__init__(message)
        self.check = check


@dataclass(frozen=True)
class _Candidate:
    """What the tables hold now, beside the current build and the object it was read from."""

    tables: dict[str, BuildTable]
    events: dict[str, int | None]
    models: dict[str, str]
    dims: dict[str, int | None]
    current: Build | None
    info: ObjectInfo | None

    @property
    def is_unchanged(self) -> bool:
        return (
            self.current is not None
            and self.current.tables == self.tables
            and self.current.models == self.models
            and self.current.dims == self.dims
        )


def publish_build(
    lake: Lake, done: Due, *, now: datetime | None = None, models: Models | None = None
) -> Build:
    """Publish what the marts and dims hold as the current build, once all build checks pass.

    `done`: what `due` said before the models ran; the build claims that window and its watermark.
    Where no table changed, the current build stays, under its id, with the later watermark. A build
    never goes back behind a window that the current one has. Raises BuildFailed.
    """
    known = models or load_models()
    checked: dict[str, BuildTable] | None = None
    for _ in range(SWAP_ATTEMPTS):
        candidate = _look(lake, known)
        if not candidate.is_unchanged and candidate.tables != checked:
            _check(lake, candidate.tables, done, known)
            checked = candidate.tables
        build = _record(candidate, done, now or utc_now())
        if build == candidate.current:
            return build
        if not candidate.is_unchanged:
            lake.store.create(build_key(build.id), to_json(build), content_type="application/json")
        try:
            return _swap(lake, candidate, build)
        except (Conflict, AlreadyExists):
            if not candidate.is_unchanged:
                # nobody has ever seen the id of a build that did not become current
                lake.store.delete([build_key(build.id)])
    raise BuildFailed(
        f"the current build changed {SWAP_ATTEMPTS} times while this one was swapped in"
    )


def _record(candidate: _Candidate, done: Due, now: datetime) -> Build:
    """The build to publish: the current one under its id where no table changed."""
    current = candidate.current
    window, fresh_until = done.window, done.fresh_until
    if current is not None and current.window >= window:
        window = current.window
        known = [at for at in (current.fresh_until, fresh_until) if at is not None]
        fresh_until = max(known, default=None)
    if current is not None and candidate.is_unchanged:
        return replace(current, window=window, fresh_until=fresh_until, events=candidate.events)
    return Build(
        id=f"build_{ULID()}",
        created_at=now,
        window=window,
        fresh_until=fresh_until,
        tables=candidate.tables,
        events=candidate.events,
        models=candidate.models,
        dims=candidate.dims,
    )


def _swap(lake: Lake, candidate: _Candidate, build: Build) -> Build:
    """Make it the current build. Raises Conflict or AlreadyExists when another came first."""
    data = to_json(build)
    if candidate.info is None:
        lake.store.create(CURRENT_KEY, data, content_type="application/json")
    else:
        lake.store.replace(
            CURRENT_KEY, data, if_match=candidate.info.etag, content_type="application/json"
        )
    return build


def _look(lake: Lake, models: Models) -> _Candidate:
    """The state of all tables; the current build is read first, so that a swap is noticed."""
    current, info = read_current(lake.store)
    known = current.tables if current else {}
    fingerprints = {model.name: model.fingerprint for model in models}
    tables = {
        name: _state(lake, table, fingerprints.get(name, ""), known.get(name))
        for name, table in {**models.tables, **DIM_TABLES}.items()
        if table.is_published
    }
    unheld = {model.name: model.fingerprint for model in models if model.name not in tables}
    dims = {
        name: _snapshot_id(lake.table(table))
        for name, table in DIM_TABLES.items()
        if not table.is_published
    }
    events = {table.name: _snapshot_id(lake.table(table)) for table in EVENT_TABLES.values()}
    return _Candidate(tables, events, unheld, dims, current, info)


def _state(lake: Lake, table: Table, fingerprint: str, known: BuildTable | None) -> BuildTable:
    """One table now; a snapshot that the current build has is not planned again."""
    opened = lake.table(table)
    snapshot_id = _snapshot_id(opened)
    is_known = known is not None and known.snapshot_id == snapshot_id
    ids = field_ids(opened)
    return BuildTable(
        doc=table.doc,
        snapshot_id=snapshot_id,
        fingerprint=fingerprint,
        columns=tuple(BuildColumn(ids[column.name], column) for column in table.columns),
        files=known.files if known is not None and is_known else _files(lake, opened),
    )


def _snapshot_id(opened: IcebergTable) -> int | None:
    snapshot = opened.current_snapshot()
    return snapshot.snapshot_id if snapshot else None


def _files(lake: Lake, opened: IcebergTable) -> tuple[BuildFile, ...]:
    if opened.current_snapshot() is None:
        return ()
    files: list[BuildFile] = []
    for task in opened.scan().plan_files():
        if task.delete_files:
            raise BuildFailed(f"table {opened.name()[-1]} has delete files: compact it first")
        path = task.file.file_path
        files.append(
            BuildFile(_key(lake, path), task.file.file_size_in_bytes, task.file.record_count)
        )
    return tuple(sorted(files, key=lambda file: file.key))


def _key(lake: Lake, path: str) -> str:
    """The store's key of a data file. Raises BuildFailed for one that is elsewhere."""
    key = lake.key(path)
    if key is None:
        raise BuildFailed(
            f"{path} is not in the store {lake.store.url}, so readers could not fetch it"
        )
    return key


# --- checks ---------------------------------------------------------------------------------------


def _check(lake: Lake, tables: dict[str, BuildTable], done: Due, models: Models) -> None:
    """Run every build check on these tables. Raises BuildFailed for the first to find any."""
    with lake.duckdb() as con:
        for name, table in tables.items():
            uris = [lake.store.uri(file.key) for file in table.files]
            create_view(con, table.definition(name), table.field_ids, uris)
        _create_due_table(con, "stream_day", done.stream_days)
        _create_due_table(con, "day", done.days)
        for model in models:
            for check in model.checks:
                if check.when == "build":
                    try:
                        require_none(con, model.name, check)
                    except ModelRunError as error:
                        raise BuildFailed(str(error), error.check) from error


def _create_due_table(con: duckdb.DuckDBPyConnection, column: str, days: tuple[date, ...]) -> None:
    con.execute(
        f"CREATE TEMP TABLE {DUE_TABLES[column]} AS SELECT unnest($days::DATE[]) AS {column}",
        {"days": list(days)},
    )
