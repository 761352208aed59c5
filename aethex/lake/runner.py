"""Running a model for one day: its inputs' files in, the day's partition of its mart table out.

An hourly model runs for one full hour: that hour's rows in the day's partition are replaced, those
of its other hours stay as they are.

What belongs here: running the query, checking its rows, replacing the partition. What does not:
which files a run reads (`inputs`), which days are due and in which order models run (`refresh`,
pipelines).

A run reads files where they are: a folder's in place, R2's through httpfs, which fetches only the
columns and row groups that the query needs. Inputs are read once, so downloading them first would
be slower; the local cache (`cache`) is for readers of builds. Rows are sorted by the model's key
and the query has no ties, so the same inputs give the same rows, and a run that changes nothing
commits nothing.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    ValidationException,
)

from aethex.lake.core import Lake
from aethex.lake.inputs import open_inputs
from aethex.lake.models import Check, Model, Models, load_models
from aethex.lake.tables import Table
from aethex.lake.views import create_view, data_files, field_ids

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable

MEMORY_LIMIT = "2GB"
COMMIT_ATTEMPTS = 12
_CONFLICTS = (CommitFailedException, CommitStateUnknownException, ValidationException)
_SHOWN_ROWS = 5


class ModelRunError(RuntimeError):
    """Rows are not what the model declares, or a check found some. Nothing was committed.

    check: the check that failed, where it was one of the model's own.
    """

    def __init__(self, message: str, check: Check | None = None) -> None:
        super().__init__(message)
        self.check = check


@dataclass(frozen=True)
class ModelResult:
    """One run. rows: of the day, or of the hour of an hourly model; is_changed: whether a commit
    was needed; snapshot_id: of the table after it.

    files_read: data files that the query could read; seconds: wall time of the run.
    """

    model: str
    day: date
    rows: int
    is_changed: bool
    snapshot_id: int | None
    files_read: int
    seconds: float
    hour_at: datetime | None = None


def run_model(lake: Lake, model: Model, span: date, *, models: Models | None = None) -> ModelResult:
    """Compute the model for one day and replace that day's partition of its table; an hourly one
    for a full hour (a naive datetime, UTC), whose rows alone are replaced.

    A conflict with another writer computes the day again, from what the tables hold then. Raises
    ModelRunError, and then the table is as it was.
    """
    known = models or load_models()
    day, hour_at = _day_and_hour(model, span)
    started = time.perf_counter()
    for attempt in range(COMMIT_ATTEMPTS):
        # the target is opened before the inputs are: whoever commits in between makes this commit
        # fail
        target = lake.table(model.table)
        with lake.duckdb(memory_limit=MEMORY_LIMIT) as con:
            files_read = open_inputs(lake, con, model, span, known)
            computed = compute(con, model, span)
            present = _present_rows(con, target, model, day)
            rows = _beside_other_hours(model, hour_at, computed, present)
            is_changed = not _are_equal(rows, present)
        try:
            if is_changed:
                _replace(target, model, day, rows)
        except _CONFLICTS as error:
            if attempt == COMMIT_ATTEMPTS - 1:
                raise ModelRunError(
                    f"{model.name} {span}: lost {COMMIT_ATTEMPTS} races: {error}"
                ) from error
            time.sleep(0.05 * (attempt + 1))
            continue
        snapshot = target.current_snapshot()
        return ModelResult(
            model=model.name,
            day=day,
            rows=computed.num_rows,
            is_changed=is_changed,
            snapshot_id=snapshot.snapshot_id if snapshot else None,
            files_read=files_read,
            seconds=time.perf_counter() - started,
            hour_at=hour_at,
        )
    raise AssertionError("the loop returns or raises")


def compute(con: duckdb.DuckDBPyConnection, model: Model, span: date) -> pa.Table:
    """Run the query on a connection that has its inputs as tables or views, and check the rows.

    Returns the day's or hour's rows with the declared columns, sorted by the model's key. Raises
    ModelRunError.
    """
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {model.name} AS {model.sql}",
        {model.parameter: span},
    )
    order = ", ".join(model.key)
    rows = con.execute(f"SELECT * FROM {model.name} ORDER BY {order}").to_arrow_table()
    rows = _declared_rows(model, span, rows)
    for check in model.checks:
        if check.when == "run":
            require_none(con, model.name, check)
    return rows


def _day_and_hour(model: Model, span: date) -> tuple[date, datetime | None]:
    """The day of the partition, and of an hourly model the hour. Raises ValueError for what the
    model does not run for.
    """
    hour_at = span if isinstance(span, datetime) else None
    if model.hourly is None and hour_at is None:
        return span, None
    if (
        model.hourly is None
        or hour_at is None
        or hour_at != hour_at.replace(minute=0, second=0, microsecond=0, tzinfo=None)
    ):
        wanted = "a full hour (naive UTC)" if model.hourly else "a day"
        raise ValueError(f"{model.name} runs for {wanted}, not for {span!r}")
    return hour_at.date(), hour_at


def require_none(con: duckdb.DuckDBPyConnection, model_name: str, check: Check) -> None:
    """Run a check; raise ModelRunError with the first rows that it finds."""
    result = con.execute(check.sql)
    found = result.fetchmany(_SHOWN_ROWS)
    if found:
        names = [column[0] for column in result.description]
        shown = "; ".join(
            ", ".join(f"{n}={v}" for n, v in zip(names, row, strict=True)) for row in found
        )
        raise ModelRunError(
            f"{model_name}: check {check.name} failed ({check.description}) at {shown}", check
        )


def _declared_rows(model: Model, span: date, rows: pa.Table) -> pa.Table:
    """The rows as the declared schema, or ModelRunError saying which column differs and how."""
    problems = [*_column_problems(model.table, rows), *_row_problems(model, span, rows)]
    if problems:
        where = model.folder / "model.yaml"
        raise ModelRunError(f"{model.name} {span}: {'; '.join(problems)} (declared in {where})")
    return rows.cast(model.table.arrow_schema()).combine_chunks()


def _column_problems(table: Table, rows: pa.Table) -> list[str]:
    declared = {field.name: field.type for field in table.arrow_schema()}
    actual = {field.name: field.type for field in rows.schema}
    problems = [f"the query has no column {name!r}" for name in declared if name not in actual]
    problems += [f"column {name!r} is not declared" for name in actual if name not in declared]
    problems += [
        f"column {name!r} is {actual[name]}, declared {declared[name]}"
        for name in declared
        if name in actual and actual[name] != declared[name]
    ]
    if not problems and list(actual) != list(declared):
        problems.append(f"the query's columns come in another order: {', '.join(actual)}")
    return problems


def _row_problems(model: Model, span: date, rows: pa.Table) -> list[str]:
    """Nulls where none are allowed, rows of another day or hour, a key that occurs twice."""
    names = set(rows.schema.names)
    if not names.issuperset((*model.key, model.partition_column)):
        return []  # reported by column already
    problems = [
        f"column {column.name!r} is required and has {rows.column(column.name).null_count} nulls"
        for column in model.table.columns
        if column.required and column.name in names and rows.column(column.name).null_count
    ]
    day, hour_at = _day_and_hour(model, span)
    wanted: dict[str, date] = {model.partition_column: day}
    if model.hourly is not None and hour_at is not None:
        wanted[model.hourly.column] = hour_at
    for name, value in wanted.items():
        outside = pc.sum(pc.not_equal(rows.column(name), pa.scalar(value))).as_py() or 0
        if outside:
            problems.append(f"{outside} rows are of another {name}")
    distinct = rows.select(list(model.key)).group_by(list(model.key)).aggregate([]).num_rows
    if distinct != rows.num_rows:
        problems.append(
            f"the key ({', '.join(model.key)}) occurs twice in {rows.num_rows - distinct} rows"
        )
    return problems


def _present_rows(
    con: duckdb.DuckDBPyConnection, target: IcebergTable, model: Model, day: date
) -> pa.Table:
    """The rows that the table has for that day, as a run would return them."""
    con.execute(f"DROP TABLE IF EXISTS {model.name}")
    files = data_files(target, _is_day(model, day))
    create_view(con, model.table, field_ids(target), files)
    order = ", ".join(model.key)
    return con.execute(f"SELECT * FROM {model.name} ORDER BY {order}").to_arrow_table()


def _beside_other_hours(
    model: Model, hour_at: datetime | None, computed: pa.Table, present: pa.Table
) -> pa.Table:
    """What the partition is to hold: the computed rows, and those that it has of other hours."""
    if model.hourly is None or hour_at is None:
        return computed
    hours = present.column(model.hourly.column)
    others = present.filter(pc.not_equal(hours, pa.scalar(hour_at, hours.type)))
    rows = pa.concat_tables([computed, others.cast(computed.schema)])
    return rows.sort_by([(name, "ascending") for name in model.key]).combine_chunks()


def _are_equal(rows: pa.Table, present: pa.Table) -> bool:
    """Whether both hold the same; what DuckDB returns never says that a column is required."""
    nullable = pa.schema([field.with_nullable(True) for field in rows.schema])
    return rows.cast(nullable).equals(present.cast(nullable))


def _replace(target: IcebergTable, model: Model, day: date, rows: pa.Table) -> None:
    """Replace the day's partition by the rows in one commit; no rows delete it."""
    properties = {"aethex.partition": day.isoformat()}
    with warnings.catch_warnings():
        # the usual case: the day has no rows yet
        warnings.filterwarnings("ignore", message="Delete operation did not match")
        if rows.num_rows:
            target.overwrite(
                rows, overwrite_filter=_is_day(model, day), snapshot_properties=properties
            )
        else:
            target.delete(_is_day(model, day), snapshot_properties=properties)


def _is_day(model: Model, day: date) -> str:
    """The day's partition as an Iceberg filter."""
    return f"{model.partition_column} == '{day}'"
