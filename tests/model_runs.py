"""Models run on rows that a test gives, in memory: no store, no catalog.

What belongs here: filling inputs and running the models in order. What does not: expectations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.models import Model, load_models
from aethex.lake.runner import compute
from aethex.lake.tables import Column

LONG_AGO = datetime.fromisoformat("2000-01-01")
TABLES = {
    **{table.name: table for table in EVENT_TABLES.values()},
    **DIM_TABLES,
    **load_models().tables,
}
_DEFAULTS: dict[str, Any] = {"string": "-", "long": 0, "int": 0, "double": 0.0, "boolean": True}

Row = dict[str, Any]


def fill_inputs(inputs: Mapping[str, Iterable[Mapping[str, Any]]]) -> duckdb.DuckDBPyConnection:
    """A connection with those tables; all others of the lake are there and empty.

    Required columns that a row leaves out get a filler.
    """
    con = duckdb.connect(config={"threads": 1})
    for name, table in TABLES.items():
        columns = ", ".join(f"{column.name} {column.duckdb_type}" for column in table.columns)
        con.execute(f"CREATE TABLE all_{name} ({columns})")
        rows = [
            {c.name: _value(c, row, n) for c in table.columns}
            for n, row in enumerate(inputs.get(name, []))
        ]
        if rows:
            _insert(con, name, pa.Table.from_pylist(rows, schema=table.arrow_schema()))
    return con


def run(con: duckdb.DuckDBPyConnection, model: Model, day: date) -> list[Row]:
    """The model's rows of that day, or hour of an hourly one; its table has them from then on, in
    place of older ones.

    Of a table the model sees what its selection names, as in the lake.
    """
    near = "occurred_at::DATE BETWEEN DATE '{}' AND DATE '{}'"
    one = timedelta(days=1)
    seen = {
        "same_partition": f"{model.partition_column} = DATE '{day}'",
        "same_day": near.format(day, day),
        "days_around": near.format(day - one, day + one),
    }
    for name, selection in model.reads.items():
        is_seen = seen.get(selection, "true")
        con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM all_{name} WHERE {is_seen}")
    rows = compute(con, model, day)
    con.execute(f"DROP TABLE {model.name}")
    replaced = model.hourly.column if model.hourly else model.partition_column
    con.execute(f"DELETE FROM all_{model.name} WHERE {replaced} = $day", {"day": day})
    _insert(con, model.name, rows)
    for name in model.reads:
        con.execute(f"DROP VIEW {name}")
    return rows.to_pylist()


def run_all(
    con: duckdb.DuckDBPyConnection,
    stream_days: Iterable[date],
    days: Iterable[date],
    names: Collection[str] = load_models().tables,
) -> None:
    """Every model of days (of those names) in order, for those days."""
    wanted = {"stream_day": list(stream_days), "day": list(days)}
    for model in load_models():
        if model.name not in names:
            continue
        for day in wanted[model.partition_column] if model.hourly is None else ():
            run(con, model, day)


def rows_of(con: duckdb.DuckDBPyConnection, table: str) -> list[Row]:
    """All rows of a table, by its sort order."""
    order = ", ".join(TABLES[table].sort)
    return con.execute(f"SELECT * FROM all_{table} ORDER BY {order}").to_arrow_table().to_pylist()


def _insert(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    con.register("fresh", rows)
    con.execute(f"INSERT INTO all_{name} SELECT * FROM fresh")
    con.unregister("fresh")


def _value(column: Column, row: Mapping[str, Any], number: int) -> Any:
    if column.name in row or not column.required:
        return row.get(column.name)
    if column.name == "event_id":
        return f"event-{number:06}"
    if column.name in ("client_at", "received_at") and "occurred_at" in row:
        return row["occurred_at"]
    return LONG_AGO if column.type == "timestamp" else _DEFAULTS[column.type]
