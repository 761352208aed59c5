"""Tables of the lake as DuckDB views over their Parquet files, with the documentation of their
columns.

What belongs here: turning a list of data files into a view of the declared columns. What does not:
choosing the files (`runner`, `builds`), fetching them (`cache`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import duckdb

from aethex.lake.tables import Table

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable


class DeleteFilesPresent(RuntimeError):
    """The table has merge-on-read delete files, which reading plain data files would ignore."""


def data_files(
    opened: IcebergTable,
    row_filter: str = "true",
    snapshot_id: int | None = None,
) -> list[str]:
    """Addresses of the data files that can hold rows of the filter, sorted; none for an empty
    table.

    Raises DeleteFilesPresent: only whole files are ever replaced here, so nothing of ours makes
    them.
    """
    if snapshot_id is None and opened.current_snapshot() is None:
        return []
    tasks = list(opened.scan(row_filter=row_filter, snapshot_id=snapshot_id).plan_files())
    if any(task.delete_files for task in tasks):
        raise DeleteFilesPresent(f"table {opened.name()[-1]} has delete files: compact it first")
    return sorted(task.file.file_path for task in tasks)


def field_ids(opened: IcebergTable) -> dict[str, int]:
    """Iceberg's id of each column, by name."""
    return {field.name: field.field_id for field in opened.schema().fields}


def create_view(
    con: duckdb.DuckDBPyConnection, table: Table, ids: Mapping[str, int], files: Sequence[str]
) -> None:
    """Make (or replace) the view of that table: its declared columns, in order, over the files.

    Columns are matched by `ids`, Iceberg's field ids, so that files from before a column was added
    have it as null, without opening all files to compare their names. No files: a view without
    rows.
    """
    con.execute(f"CREATE OR REPLACE VIEW {table.name} AS {_select(table, ids, files)}")


def describe_view(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Attach the table's and its columns' documentation, as `duckdb_views()` and `duckdb_columns()`
    show it.
    """
    con.execute(f"COMMENT ON VIEW {table.name} IS {quoted(table.doc)}")
    for column in table.columns:
        text = f"{column.doc} [{column.unit}]" if column.unit else column.doc
        con.execute(f"COMMENT ON COLUMN {table.name}.{column.name} IS {quoted(text)}")


def quoted(text: str) -> str:
    """A SQL string literal. For DDL only, which takes no parameters; queries bind theirs."""
    return "'" + text.replace("'", "''") + "'"


def _select(table: Table, ids: Mapping[str, int], files: Sequence[str]) -> str:
    if not files:
        columns = ", ".join(
            f"NULL::{column.duckdb_type} AS {column.name}" for column in table.columns
        )
        return f"SELECT {columns} WHERE false"
    fields = ", ".join(
        f"{ids[column.name]}: {{name: {quoted(column.name)}, type: {quoted(column.duckdb_type)}, "
        "default_value: NULL}"
        for column in table.columns
    )
    columns = ", ".join(table.column_names)
    paths = ", ".join(quoted(path) for path in files)
    # the path of an Iceberg file looks like a Hive partition, whose column the file has already
    options = f"schema = MAP {{{fields}}}, hive_partitioning = false"
    return f"SELECT {columns} FROM read_parquet([{paths}], {options})"
