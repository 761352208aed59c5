"""Snapshots of library rows as slowly changing dimensions: every version, with the time it held.

What belongs here: the difference between the library's rows and a dim table's current ones, written
as one commit. What does not: reading the library (its `snapshot_rows`), and what a change makes due
(`due`).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    ValidationException,
)

from aethex.lake.core import Lake
from aethex.lake.dim_tables import VALIDITY_COLUMNS
from aethex.lake.tables import Table

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable

COMMIT_ATTEMPTS = 12
_CONFLICTS = (CommitFailedException, CommitStateUnknownException, ValidationException)
_VALIDITY = tuple(column.name for column in VALIDITY_COLUMNS)

Row = dict[str, Any]


@dataclass(frozen=True)
class DimChange:
    """What a snapshot changed in one dim table: keys that are new, have a new version, or are gone.

    stream_days: of all rows concerned, before and after, where the table has that column.
    """

    table: str
    added: int
    changed: int
    closed: int
    stream_days: tuple[date, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.changed or self.closed)


def snapshot_dim(
    lake: Lake, table: Table, rows: pa.Table | Sequence[Mapping[str, Any]], now: datetime
) -> DimChange:
    """Bring the dim table to the library's rows as of `now`; without a difference nothing is
    committed.

    A row that differs from the current version closes it (valid_to = now) and opens one from now; a
    row that is gone closes its version. Times may be naive UTC or aware. Raises ValueError for rows
    that do not have the table's columns, or have a key twice.
    """
    instant = _naive(now)
    wanted = _by_key(table, _conformed(table, rows))
    for attempt in range(COMMIT_ATTEMPTS):
        opened = lake.table(table)
        present = opened.scan().to_arrow().to_pylist() if opened.current_snapshot() else []
        versions, change = _difference(table, present, wanted, instant)
        if change.is_empty:
            return change
        try:
            _write(opened, table, versions)
        except _CONFLICTS:
            if attempt == COMMIT_ATTEMPTS - 1:
                raise
            time.sleep(0.05 * (attempt + 1))
            continue
        return change
    raise AssertionError("the loop returns or raises")


def key_column(table: Table) -> str:
    """The column that identifies a library row: the first of every dim table."""
    return table.columns[0].name


def _difference(
    table: Table, present: Sequence[Row], wanted: Mapping[str, Row], instant: datetime
) -> tuple[list[Row], DimChange]:
    """All versions after the snapshot, and what differs."""
    key = key_column(table)
    current = {row[key]: row for row in present if row["valid_to"] is None}
    # two snapshots may come out of order or within one clock tick: a version never ends before it
    # begins
    newest = max((row["valid_from"] for row in present), default=instant)
    at = max(instant, newest)
    versions = [row for row in present if row["valid_to"] is not None]
    touched: list[Row] = []
    counts = {"added": 0, "changed": 0, "closed": 0}
    for identity, row in current.items():
        new = wanted.get(identity)
        if new is not None and all(row[name] == value for name, value in new.items()):
            versions.append(row)
            continue
        if row["valid_from"] < at:
            versions.append({**row, "valid_to": at})
        counts["closed" if new is None else "changed"] += 1
        touched.append(row)
        if new is not None:
            touched.append(new)
            versions.append({**new, "valid_from": at, "valid_to": None})
    for identity, new in wanted.items():
        if identity not in current:
            counts["added"] += 1
            touched.append(new)
            versions.append({**new, "valid_from": at, "valid_to": None})
    days = {row["stream_day"] for row in touched if row.get("stream_day") is not None}
    return versions, DimChange(table.name, **counts, stream_days=tuple(sorted(days)))


def _write(opened: IcebergTable, table: Table, versions: list[Row]) -> None:
    order = [(name, "ascending") for name in table.sort]
    rows = pa.Table.from_pylist(versions, schema=table.arrow_schema()).sort_by(order)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Delete operation did not match")
        opened.overwrite(rows)


def _conformed(table: Table, rows: pa.Table | Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows with exactly the dim's own columns; enums as their value, times naive UTC."""
    names = [column.name for column in table.columns if column.name not in _VALIDITY]
    found: list[Row] = []
    items: Sequence[Mapping[str, Any]] = rows.to_pylist() if isinstance(rows, pa.Table) else rows
    for item in items:
        if missing := [name for name in names if name not in item]:
            raise ValueError(f"{table.name}: a row lacks {', '.join(missing)}")
        found.append({name: _plain(item[name]) for name in names})
    return found


def _by_key(table: Table, rows: Sequence[Row]) -> dict[str, Row]:
    key = key_column(table)
    keyed = {row[key]: row for row in rows}
    if len(keyed) != len(rows):
        raise ValueError(
            f"{table.name}: {len(rows) - len(keyed)} rows have a {key} that another has"
        )
    return keyed


def _plain(value: Any) -> Any:
    return _naive(value) if isinstance(value, datetime) else value


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo is not None else at
