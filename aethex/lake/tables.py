"""What a table of the lake is: columns with units and meanings, partitions, sort order.

What belongs here: schemas as data, and their Arrow and Iceberg forms. What does not: the tables
themselves (`event_tables`, `dim_tables`; those of marts stand in their `model.yaml`), opening or
changing one (`catalog`).

Times are naive UTC with microseconds: DuckDB truncates them four times faster than times with a
zone.
"""

from __future__ import annotations

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
_COLUMN_TYPES: dict[IcebergType, ColumnType] = {kind: name for name, kind in _ICEBERG_TYPES.items()}
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
    """A table of the lake as data: what its columns mean, how its files are cut and sorted.

    is_published: whether builds hold it. Tables that know viewers are not: a build's files are kept
    and copied, and a viewer could not be forgotten in them.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    partition: tuple[Partition, ...] = ()
    sort: tuple[str, ...] = ()
    is_published: bool = True
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


def stored_table(table: Table, schema: Schema) -> Table:
    """The table with the columns of an Iceberg schema, in its order: all that its files may hold,
    also what a newer version of this program added.
    """
    columns = tuple(
        Column(field.name, _COLUMN_TYPES[field.field_type], required=field.required)
        for field in schema.fields
    )
    return Table(table.name, table.doc, columns, table.partition, table.sort, table.is_published)


def _documentation(column: Column) -> str:
    return f"{column.doc} [{column.unit}]" if column.unit else column.doc
