"""Data files of a table in exchange for others with as many rows, in one commit.

What belongs here: reading given files whole and sorted, and the commit. What does not: which files,
and why (`compaction`, `forget`).

A reader sees either the old files or the new ones. The commit fails when one of the old files is no
longer there, or another writer added rows meanwhile; then nothing has changed, and whoever asked
looks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pyarrow as pa
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    ValidationException,
)
from pyiceberg.io.pyarrow import (
    _dataframe_to_data_files,  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType]
)

from aethex.lake.core import Lake
from aethex.lake.tables import Table, stored_table
from aethex.lake.views import DeleteFilesPresent, create_view, field_ids

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table import Transaction

CONFLICTS = (CommitFailedException, CommitStateUnknownException, ValidationException)
"""What `replace_files` raises when another writer came in between."""

MAINTENANCE = "aethex.maintenance"
"""Property of snapshots that exchange files and change no row: why."""

MEMORY_LIMIT = "512MB"
MOST_MANIFESTS = 20
"""From so many on, an append merges them (`catalog.TABLE_PROPERTIES`)."""


def live_files(opened: IcebergTable, row_filter: str = "true") -> list[DataFile]:
    """The data files that hold the table's present rows, in the order of their addresses; of a
    filter, those that can hold such rows.

    Raises DeleteFilesPresent.
    """
    if opened.current_snapshot() is None:
        return []
    tasks = list(opened.scan(row_filter=row_filter).plan_files())
    if any(task.delete_files for task in tasks):
        raise DeleteFilesPresent(f"table {opened.name()[-1]} has delete files: compact it first")
    return sorted((task.file for task in tasks), key=lambda file: file.file_path)


def read_rows(
    lake: Lake,
    opened: IcebergTable,
    table: Table,
    files: Sequence[DataFile],
    *,
    instead: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
) -> pa.Table:
    """All rows of those files, sorted as the table is; every column that the catalog knows.

    `instead`: SQL for the values of columns that are to change, with its parameters in `values`.
    """
    stored = stored_table(table, opened.schema())
    changed = instead or {}
    columns = ", ".join(
        f"{changed[name]} AS {name}" if name in changed else name for name in stored.column_names
    )
    order = ", ".join(f"{table.name}.{name}" for name in sort_columns(stored))
    with lake.duckdb(memory_limit=MEMORY_LIMIT, threads=2) as con:
        create_view(con, stored, field_ids(opened), [file.file_path for file in files])
        found = con.execute(f"SELECT {columns} FROM {table.name} ORDER BY {order}", values or {})
        return found.to_arrow_table().cast(stored.arrow_schema())


def sort_columns(table: Table) -> tuple[str, ...]:
    """What the rows of a file are sorted by: the table's columns, then what makes events unique."""
    return (*table.sort, *(name for name in ("event_id",) if name in table.column_names))


def replace_files(
    opened: IcebergTable, files: Sequence[DataFile], rows: pa.Table, why: str
) -> None:
    """Put the rows in the place of the files in one commit, which is marked with `why`.

    Raises one of CONFLICTS when another writer came in between, ValueError when there are not as
    many rows as the files have.
    """
    expected = sum(file.record_count for file in files)
    if rows.num_rows != expected:
        raise ValueError(
            f"{opened.name()[-1]}: {rows.num_rows} rows cannot replace {expected} ({why})"
        )
    properties = {MAINTENANCE: why}
    with (
        opened.transaction() as transaction,
        transaction.update_snapshot(snapshot_properties=properties).overwrite() as overwrite,
    ):
        for file in files:
            overwrite.delete_data_file(file)
        for file in _write(transaction, rows, opened, overwrite.commit_uuid):
            overwrite.append_data_file(file)


def merge_manifests(opened: IcebergTable) -> bool:
    """Merge the table's manifests when there are many; whether a commit was needed.

    Exchanging files only adds manifests, also such as list what is gone. An append merges them,
    also one of nothing.
    """
    if count_manifests(opened) < MOST_MANIFESTS:
        return False
    append_nothing(opened)
    return True


def append_nothing(opened: IcebergTable) -> None:
    """A snapshot with the same rows whose manifests tell nothing of files that are gone.

    Raises CommitFailedException.
    """
    nothing = opened.schema().as_arrow().empty_table()
    opened.append(nothing, snapshot_properties={MAINTENANCE: "manifests"})


def count_manifests(opened: IcebergTable) -> int:
    """Manifests that a query of the table's present state has to read."""
    snapshot = opened.current_snapshot()
    return len(snapshot.manifests(opened.io)) if snapshot else 0


def _write(
    transaction: Transaction, rows: pa.Table, opened: IcebergTable, commit_uuid: UUID
) -> Iterable[DataFile]:
    """Write the rows as new data files of the table.

    The one use of pyiceberg's internals: its public writes append, or replace what a filter
    matches; none takes the place of given files. `Transaction.overwrite` is made of the same parts.
    """
    write = cast("Any", _dataframe_to_data_files)
    return write(
        table_metadata=transaction.table_metadata, df=rows, io=opened.io, write_uuid=commit_uuid
    )
