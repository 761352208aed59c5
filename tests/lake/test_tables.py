from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from pyiceberg.types import LongType

from aethex.lake import Lake
from aethex.lake.catalog import ensure_table, open_catalog
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.event_tables import EVENT_COLUMNS, EVENT_TABLES, VIEWER_SNAPSHOTS, payload_columns
from aethex.lake.tables import Column, Partition, Table
from aethex.postgres import DatabaseUnreachable
from aethex.settings import Settings

ALL_TABLES = [*EVENT_TABLES.values(), *DIM_TABLES.values()]


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.name)
def test_every_column_says_what_it_means_and_every_time_its_unit(table: Table) -> None:
    assert table.doc.endswith(".")
    for column in table.columns:
        assert column.doc.endswith("."), column.name
        if column.type in ("timestamp", "date"):
            assert column.unit, column.name
        if column.name.endswith(("_bytes", "_ms")):
            assert column.unit == column.name.rpartition("_")[2]


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.name)
def test_arrow_and_iceberg_schemas_agree_with_the_definition(table: Table) -> None:
    arrow, iceberg = table.arrow_schema(), table.iceberg_schema()
    assert tuple(arrow.names) == tuple(iceberg.column_names) == table.column_names
    assert [not field.nullable for field in arrow] == [f.required for f in iceberg.fields]
    assert iceberg.as_arrow().types == [
        pa.large_string() if t == pa.string() else t for t in arrow.types
    ]


@pytest.mark.parametrize("table", list(EVENT_TABLES.values()), ids=lambda table: table.name)
def test_event_tables_begin_with_the_common_columns_and_are_cut_by_day(table: Table) -> None:
    assert table.columns[: len(EVENT_COLUMNS)] == EVENT_COLUMNS
    assert table.partition == (Partition("occurred_at", "day"),)
    assert table.sort == ("channel_id", "stream_id", "occurred_at")


def test_the_payload_of_a_viewer_snapshot_carries_source_viewers_and_messages() -> None:
    names = [column.name for column in payload_columns(VIEWER_SNAPSHOTS)]
    assert names == ["source", "viewers", "messages"]


def test_a_definition_that_contradicts_itself_is_refused() -> None:
    column = Column("a", "string", doc="A.")
    with pytest.raises(ValueError, match="occurs twice"):
        Table("t", "T.", (column, column))
    with pytest.raises(ValueError, match="no column 'b'"):
        Table("t", "T.", (column,), sort=("b",))
    with pytest.raises(ValueError, match="unknown type"):
        Column("a", "text")  # pyright: ignore[reportArgumentType]


def test_a_new_table_has_partitions_sort_order_docs_and_properties(lake: Lake) -> None:
    opened = lake.table(VIEWER_SNAPSHOTS)
    assert [field.name for field in opened.spec().fields] == ["occurred_at_day"]
    assert len(opened.sort_order().fields) == 3
    doc = opened.schema().find_field("viewers").doc or ""
    assert doc.startswith("Concurrent viewers at occurred_at.")
    assert doc.endswith("[viewers]")
    assert opened.properties["commit.manifest-merge.enabled"] == "true"
    assert opened.properties["write.update.isolation-level"] == "serializable"
    assert opened.location() == lake.store.uri("lake/tables/viewer_snapshots")


def test_a_table_gets_the_columns_that_its_definition_gained(lake: Lake) -> None:
    first = Table("growing", "Grows.", (Column("a", "string", doc="A.", required=True),))
    second = Table(
        "growing",
        "Grows.",
        (*first.columns, Column("b", "long", unit="things", doc="B.", required=True)),
    )
    ensure_table(lake.catalog, first).append(pa.table({"a": ["x"]}, schema=first.arrow_schema()))
    evolved = ensure_table(lake.catalog, second)
    assert evolved.schema().find_field("b").field_type == LongType()
    assert evolved.scan().to_arrow().to_pylist() == [{"a": "x", "b": None}]
    assert ensure_table(lake.catalog, first).schema().column_names == ["a", "b"]


def test_a_column_that_changed_its_type_is_refused(lake: Lake) -> None:
    ensure_table(lake.catalog, Table("fixed", "F.", (Column("a", "string", doc="A."),)))
    with pytest.raises(ValueError, match="column a is string in the lake and long"):
        ensure_table(lake.catalog, Table("fixed", "F.", (Column("a", "long", doc="A."),)))


def test_processes_that_start_at_once_make_one_catalog(settings: Settings) -> None:
    def start(_: int) -> str:
        with Lake.open(settings) as lake:
            return str(lake.table(VIEWER_SNAPSHOTS).metadata.table_uuid)

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(start, range(6)))) == 1


def test_a_database_that_does_not_answer_is_named(settings: Settings) -> None:
    wrong = settings.model_copy(update={"database_url": "postgresql://me:secret@127.0.0.1:1/x"})
    with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1:1/x") as raised:
        _ = Lake.open(wrong).catalog
    assert "secret" not in str(raised.value)


def test_the_catalog_lives_in_its_own_schema_and_opens_twice(lake: Lake) -> None:
    lake.table(VIEWER_SNAPSHOTS)
    again = open_catalog(lake.settings, lake.store)
    assert again.list_tables("lake") == [("lake", "viewer_snapshots")]
    again.close()
