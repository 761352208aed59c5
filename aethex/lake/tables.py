"""The lake's tables: columns with units and meanings, partitions, sort order.

What belongs here: schemas as data, and their Arrow and Iceberg forms. What does not: opening or
changing a table (`catalog`), and the schemas of mart tables, which stand in their `model.yaml`.

Times are naive UTC with microseconds: DuckDB truncates them four times faster than times with a
zone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import pyarrow as pa
from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import DayTransform, IdentityTransform, MonthTransform
from pyiceberg.transforms import Transform as PartitionTransform
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestampType,
)

ColumnType = Literal["string", "long", "int", "double", "boolean", "timestamp", "date"]
Transform = Literal["identity", "day", "month"]

_ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "long": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
}
_ICEBERG_TYPES: dict[ColumnType, IcebergType] = {
    "string": StringType(),
    "long": LongType(),
    "int": IntegerType(),
    "double": DoubleType(),
    "boolean": BooleanType(),
    "timestamp": TimestampType(),
    "date": DateType(),
}
_DUCKDB_TYPES: dict[ColumnType, str] = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "int": "INTEGER",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
}
_TRANSFORMS: dict[Transform, PartitionTransform[Any, Any]] = {
    "identity": IdentityTransform(),
    "day": DayTransform(),
    "month": MonthTransform(),
}


@dataclass(frozen=True)
class Column:
    """One column. `unit` is empty where there is nothing to measure; `doc` is shown to people."""

    name: str
    type: ColumnType
    unit: str = ""
    doc: str = ""
    required: bool = False

    def __post_init__(self) -> None:
        if self.type not in get_args(ColumnType):
            raise ValueError(f"column {self.name}: unknown type {self.type!r}")

    @property
    def duckdb_type(self) -> str:
        """The type's name in DuckDB SQL."""
        return _DUCKDB_TYPES[self.type]


@dataclass(frozen=True)
class Partition:
    """One partition field: a column and how its value becomes the partition's."""

    column: str
    transform: Transform = "identity"

    @property
    def name(self) -> str:
        return self.column if self.transform == "identity" else f"{self.column}_{self.transform}"


@dataclass(frozen=True)
class Table:
    """A table of the lake as data: what its columns mean, how its files are cut and sorted."""

    name: str
    doc: str
    columns: tuple[Column, ...]
    partition: tuple[Partition, ...] = ()
    sort: tuple[str, ...] = ()
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        by_name = {column.name: column for column in self.columns}
        if len(by_name) != len(self.columns):
            raise ValueError(f"table {self.name}: a column name occurs twice")
        for used in (*self.sort, *(part.column for part in self.partition)):
            if used not in by_name:
                raise ValueError(f"table {self.name}: no column {used!r} to partition or sort by")
        object.__setattr__(self, "_by_name", by_name)

    def column(self, name: str) -> Column:
        """The column of that name; KeyError when there is none."""
        return self._by_name[name]

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(self._by_name)

    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema; a required column is not nullable there, as Iceberg's check demands."""
        return pa.schema(
            [
                pa.field(column.name, _ARROW_TYPES[column.type], nullable=not column.required)
                for column in self.columns
            ]
        )

    def iceberg_schema(self) -> Schema:
        """The Iceberg schema for a new table; field ids follow the order of the columns."""
        return Schema(
            *(
                NestedField(
                    field_id=position,
                    name=column.name,
                    field_type=_ICEBERG_TYPES[column.type],
                    required=column.required,
                    doc=_documentation(column),
                )
                for position, column in enumerate(self.columns, start=1)
            )
        )

    def partition_spec(self) -> PartitionSpec:
        """The Iceberg partition spec that goes with `iceberg_schema`."""
        return PartitionSpec(
            *(
                PartitionField(
                    source_id=self._field_id(part.column),
                    field_id=PARTITION_FIELD_ID_START + position,
                    transform=_TRANSFORMS[part.transform],
                    name=part.name,
                )
                for position, part in enumerate(self.partition)
            )
        )

    def sort_order(self) -> SortOrder:
        """The Iceberg sort order that goes with `iceberg_schema`; writers sort before they
        write."""
        return SortOrder(
            *(
                SortField(source_id=self._field_id(name), transform=IdentityTransform())
                for name in self.sort
            )
        )

    def _field_id(self, name: str) -> int:
        return self.column_names.index(name) + 1


def _documentation(column: Column) -> str:
    return f"{column.doc} [{column.unit}]" if column.unit else column.doc


# --- events ---------------------------------------------------------------------------------------

EVENT_COLUMNS = (
    Column(
        "event_id",
        "string",
        doc="UUID that its client gave the event; the same event sent again has the same id. "
        "Imported rows get one from their stream, time and source.",
        required=True,
    ),
    Column("channel_id", "string", doc="Channel that the event belongs to.", required=True),
    Column("stream_id", "string", doc="Live stream that the event belongs to, where it has one."),
    Column("vod_id", "string", doc="VOD that the event belongs to, where it has one."),
    Column("clip_id", "string", doc="Clip that the event belongs to, where it has one."),
    Column(
        "viewer_id",
        "string",
        doc="Signed-in user, else the player's first-party id; null: no viewer.",
    ),
    Column("session_id", "string", doc="One player on one page; null where no player is involved."),
    Column(
        "client_at",
        "timestamp",
        unit="UTC",
        doc="Time on the client's own clock, never corrected.",
        required=True,
    ),
    Column(
        "occurred_at",
        "timestamp",
        unit="UTC",
        doc="When it happened, the client's clock error taken out: "
        "client_at + (received_at - sent_at).",
        required=True,
    ),
    Column(
        "received_at",
        "timestamp",
        unit="UTC",
        doc="When the platform took it in; of two copies of an event the earlier one counts.",
        required=True,
    ),
    Column(
        "landing_window",
        "long",
        doc="Number of the publish window that brought the row into the table.",
        required=True,
    ),
)
"""What every event has, whatever its kind."""

VIEWER_SNAPSHOTS = Table(
    name="viewer_snapshots",
    doc="How many people were watching a stream at one instant, as a provider or an imported file "
    "says; one row an instant, usually one a minute.",
    columns=(
        *EVENT_COLUMNS,
        Column(
            "source",
            "string",
            doc="Who counted: `import` for files, else the provider that was polled.",
            required=True,
        ),
        Column(
            "viewers",
            "long",
            unit="viewers",
            doc="Concurrent viewers at occurred_at. Null: the poll failed, the count is not known.",
        ),
        Column(
            "messages",
            "long",
            unit="messages",
            doc="Chat messages in the minute that starts at occurred_at. Null: not measured.",
        ),
    ),
    partition=(Partition("occurred_at", "day"),),
    sort=("channel_id", "stream_id", "occurred_at"),
)

EVENT_TABLES: dict[str, Table] = {"viewer_snapshot": VIEWER_SNAPSHOTS}
"""The event table of each kind of landed event."""


def payload_columns(table: Table) -> tuple[Column, ...]:
    """The columns that a landed event carries in its payload: all but the common ones."""
    common = {column.name for column in EVENT_COLUMNS}
    return tuple(column for column in table.columns if column.name not in common)


def payload_struct(table: Table) -> str:
    """SQL that reads a landed event's `payload` as a struct of those columns, null where it lacks
    one; a payload that is no JSON fails."""
    structure = {column.name: column.duckdb_type for column in payload_columns(table)}
    return f"from_json(payload, '{json.dumps(structure)}')"


# --- dimensions -----------------------------------------------------------------------------------

VALIDITY_COLUMNS = (
    Column(
        "valid_from",
        "timestamp",
        unit="UTC",
        doc="When this version of the row was first seen by a snapshot of the library.",
        required=True,
    ),
    Column(
        "valid_to",
        "timestamp",
        unit="UTC",
        doc="When a later version replaced it, or its row disappeared. Null: it is current.",
    ),
)
"""What every dimension has: which version of the row held when."""

DIM_CHANNELS = Table(
    name="dim_channels",
    doc="Channels of the library, one row a version.",
    columns=(
        Column("channel_id", "string", doc="The channel.", required=True),
        Column("username", "string", doc="Unique name in addresses, lower case.", required=True),
        Column("title", "string", doc="Name shown to people."),
        Column(
            "created_at", "timestamp", unit="UTC", doc="When the channel was made.", required=True
        ),
        *VALIDITY_COLUMNS,
    ),
    sort=("channel_id", "valid_from"),
)

DIM_STREAMS = Table(
    name="dim_streams",
    doc="Live streams of the library, one row a version.",
    columns=(
        Column("stream_id", "string", doc="The stream.", required=True),
        Column("channel_id", "string", doc="Channel that streamed.", required=True),
        Column("title", "string", doc="Title of the stream.", required=True),
        Column("category_id", "string", doc="Category of the whole stream, where it has one."),
        Column("status", "string", doc="`scheduled`, `live` or `ended`.", required=True),
        Column(
            "started_at", "timestamp", unit="UTC", doc="Start of the stream; null: not started."
        ),
        Column(
            "ended_at",
            "timestamp",
            unit="UTC",
            doc="End of the stream, exclusive; null: not ended.",
        ),
        Column(
            "stream_day",
            "date",
            unit="UTC day",
            doc="Day on which the stream started; the key of all numbers about it.",
        ),
        *VALIDITY_COLUMNS,
    ),
    sort=("channel_id", "stream_id", "valid_from"),
)

DIM_STREAM_SEGMENTS = Table(
    name="dim_stream_segments",
    doc="Stretches of a stream with one title and category, one row a version.",
    columns=(
        Column("segment_id", "string", doc="The segment.", required=True),
        Column("stream_id", "string", doc="Stream that it is a part of.", required=True),
        Column("channel_id", "string", doc="Channel that streamed.", required=True),
        Column("position", "int", doc="Place in the stream's order, from 0.", required=True),
        Column("title", "string", doc="Title of the segment.", required=True),
        Column("category_id", "string", doc="Category of the segment, where it has one."),
        Column("category_name", "string", doc="Name of that category."),
        Column("started_at", "timestamp", unit="UTC", doc="Start, inclusive.", required=True),
        Column("ended_at", "timestamp", unit="UTC", doc="End, exclusive.", required=True),
        Column("stream_day", "date", unit="UTC day", doc="Day on which its stream started."),
        *VALIDITY_COLUMNS,
    ),
    sort=("stream_id", "position", "valid_from"),
)

DIM_CATEGORIES = Table(
    name="dim_categories",
    doc="Categories of the library, one row a version.",
    columns=(
        Column("category_id", "string", doc="The category.", required=True),
        Column("name", "string", doc="Name shown to people.", required=True),
        *VALIDITY_COLUMNS,
    ),
    sort=("category_id", "valid_from"),
)

DIM_VODS = Table(
    name="dim_vods",
    doc="VODs of the library, one row a version.",
    columns=(
        Column("vod_id", "string", doc="The VOD.", required=True),
        Column("stream_id", "string", doc="Stream that it records.", required=True),
        Column("channel_id", "string", doc="Channel that it belongs to.", required=True),
        Column("title", "string", doc="Title of the VOD.", required=True),
        Column("duration_ms", "long", unit="ms", doc="Length of the video."),
        Column("size_bytes", "long", unit="bytes", doc="Size of all its objects in the store."),
        Column("width", "int", unit="pixels", doc="Width of the picture."),
        Column("height", "int", unit="pixels", doc="Height of the picture."),
        Column("is_public", "boolean", doc="Whether everybody may watch it.", required=True),
        Column("created_at", "timestamp", unit="UTC", doc="When the VOD was made.", required=True),
        Column("deleted_at", "timestamp", unit="UTC", doc="When it was deleted; null: it is not."),
        *VALIDITY_COLUMNS,
    ),
    sort=("channel_id", "vod_id", "valid_from"),
)

DIM_TABLES: dict[str, Table] = {
    table.name: table
    for table in (DIM_CHANNELS, DIM_STREAMS, DIM_STREAM_SEGMENTS, DIM_CATEGORIES, DIM_VODS)
}
"""The dimension tables by name."""
