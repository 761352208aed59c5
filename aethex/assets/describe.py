"""Lake tables as Dagster shows them: columns in the definition, state and links after a run.

What belongs here: turning schemas, snapshots and days into metadata. What does not: schemas
themselves, and reading rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from aethex.lake import Lake
from aethex.lake.tables import Column, Table

if TYPE_CHECKING:
    from aethex.settings import Settings

NAMESPACE = "lake"


def definition_metadata(table: Table) -> dict[str, Any]:
    """What is known of a table before any run: columns, name, partitions, sort order."""
    metadata: dict[str, Any] = {
        "dagster/column_schema": dg.TableSchema(columns=[_column(c) for c in table.columns]),
        "dagster/table_name": f"{NAMESPACE}.{table.name}",
    }
    if table.partition:
        metadata["partitioned by"] = ", ".join(part.name for part in table.partition)
    if table.sort:
        metadata["sorted by"] = ", ".join(table.sort)
    return metadata


def state_metadata(lake: Lake, table: Table) -> dict[str, Any]:
    """A table's present state: rows, bytes and files of its current snapshot, and where it is."""
    opened = lake.table(table)
    metadata: dict[str, Any] = {"dagster/uri": opened.location()}
    snapshot = opened.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return {**metadata, "dagster/row_count": 0}
    return {
        **metadata,
        "snapshot id": str(snapshot.snapshot_id),  # too large for JavaScript's numbers
        "dagster/row_count": int(snapshot.summary["total-records"] or 0),
        "bytes": int(snapshot.summary["total-files-size"] or 0),
        "files": int(snapshot.summary["total-data-files"] or 0),
    }


def links(settings: Settings) -> dict[str, Any]:
    """Where people look at the numbers."""
    host = "localhost" if settings.host in ("127.0.0.1", "0.0.0.0", "::") else settings.host
    return {
        "dashboards": dg.MetadataValue.url(f"http://{host}:{settings.dashboards_port}"),
        "API": dg.MetadataValue.url(f"{settings.effective_public_url}/docs"),
    }


def days_metadata(days: Sequence[date]) -> dict[str, Any]:
    """How many days, and from when to when."""
    if not days:
        return {"days": 0}
    return {"days": len(days), "first day": str(min(days)), "last day": str(max(days))}


def instant(at: datetime) -> dg.MetadataValue:
    """A time of the lake (naive UTC)."""
    return dg.MetadataValue.timestamp(at.replace(tzinfo=UTC))


def _column(column: Column) -> dg.TableColumn:
    return dg.TableColumn(
        column.name,
        column.type,
        description=f"{column.doc} [{column.unit}]" if column.unit else column.doc,
        constraints=dg.TableColumnConstraints(nullable=not column.required),
    )
