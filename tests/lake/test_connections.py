import gc
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from aethex import lake as lake_package
from aethex.lake import Lake, connections
from aethex.lake.build_records import UnknownBuild, current_build
from aethex.lake.connections import connect, open_build
from aethex.lake.models import load_models
from aethex.settings import Settings
from tests.lake.marts import MINUTE, NOON, World, worlds


def fill(world: World) -> None:
    """One stream with three counts, built."""
    world.stream("st_1", NOON, NOON + 10 * MINUTE)
    world.count("st_1", NOON, [1, 2, 3])
    world.refresh()


built, world = worlds(fill)


def peak(con: duckdb.DuckDBPyConnection) -> int:
    rows = con.execute("SELECT max(peak_viewers) FROM stream_analytics").fetchall()
    return rows[0][0]


def test_a_connection_has_the_build_s_tables_and_the_events(world: World) -> None:
    con = lake_package.connect(world.settings)
    names = {row[0] for row in con.execute("SHOW TABLES").fetchall()}
    assert names >= {*load_models().tables, "dim_streams", "dim_channels", "viewer_snapshots"}
    assert peak(con) == 3
    assert con.execute("SELECT count(*) FROM viewer_snapshots").fetchall() == [(3,)]


def test_without_a_build_every_table_is_there_and_empty(lake: Lake, settings: Settings) -> None:
    for con in (connect(settings), open_build(lake.store, settings)):
        assert con.execute("SELECT * FROM stream_samples").fetchall() == []
        assert con.execute("SELECT viewers + 1 FROM stream_samples").description[0][1] == "BIGINT"


def test_a_build_stays_what_it_was(world: World) -> None:
    before = current_build(world.lake.store)
    assert before is not None
    old = open_build(world.lake, world.settings)
    world.count("st_1", NOON + 3 * MINUTE, [40])
    world.refresh()
    assert peak(open_build(world.lake, world.settings)) == 40
    assert peak(old) == 3
    assert peak(open_build(world.lake.store, world.settings, before.id)) == 3
    as_of = connect(world.settings, before)
    assert as_of.execute("SELECT max(viewers) FROM viewer_snapshots").fetchall() == [(3,)]
    with pytest.raises(UnknownBuild):
        open_build(world.lake, world.settings, "build_unknown")


def test_columns_say_what_they_mean(world: World) -> None:
    con = open_build(world.lake, world.settings)
    rows = con.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE schema_name = 'main' AND NOT internal"
    ).fetchall()
    assert rows
    assert [row for row in rows if not row[2]] == []
    meanings = {(table, column): comment for table, column, comment in rows}
    assert "[seconds]" in meanings["stream_analytics", "covered_seconds"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('s3://bucket/key')",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.duckdb'",
        "INSTALL spatial",
        "LOAD spatial",
        "SET enable_external_access = true",
        "INSERT INTO stream_analytics SELECT * FROM stream_analytics",
    ],
)
def test_nothing_but_the_build_s_files_can_be_reached(
    world: World, tmp_path: Path, statement: str
) -> None:
    con = open_build(world.lake, world.settings)
    with pytest.raises(duckdb.Error):
        con.execute(statement.format(folder=tmp_path))
    assert peak(con) == 3


def test_a_column_added_since_is_null_in_an_old_build(world: World) -> None:
    build = current_build(world.lake.store)
    assert build is not None
    table = build.tables["stream_analytics"]
    older = replace(table, columns=tuple(c for c in table.columns if c.column.name != "messages"))
    old = replace(build, tables={**build.tables, "stream_analytics": older})
    con = open_build(world.lake, world.settings, old)
    rows = con.execute("SELECT peak_viewers, messages FROM stream_analytics").fetchall()
    assert rows == [(3, None)]


@pytest.mark.r2
def test_on_r2_models_run_and_a_build_is_read_through_the_cache(r2_settings: Settings) -> None:
    with Lake.open(r2_settings) as lake:
        world = World(lake)
        world.stream("st_1", NOON, NOON + timedelta(days=1))
        world.count("st_1", NOON, [1, 2, None, 4])
        first = world.refresh()
        assert [result.rows for result in first.results if result.model == "stream_samples"] == [4]
        con = open_build(lake, r2_settings)
        assert peak(con) == 4
        cached = set(r2_settings.cache_dir.rglob("*.parquet"))
        assert len(cached) == sum(len(table.files) for table in first.build.tables.values())

        world.count("st_1", NOON + 5 * MINUTE, [50])
        second = world.refresh()
        assert second.build.id != first.build.id
        assert peak(open_build(lake, r2_settings)) == 50
        assert peak(con) == 4
        assert connect(r2_settings).execute(
            "SELECT sum(viewers) FROM viewer_snapshots"
        ).fetchall() == [(57,)]
        # what both builds hold was fetched once
        assert all(path.exists() for path in cached)
        del con
        gc.collect()


def test_a_table_too_large_to_hold_is_read_from_its_files(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = open_build(world.lake, world.settings)
    monkeypatch.setattr(connections, "HELD_ROWS", 0)
    streamed = open_build(world.lake, world.settings)
    question = "SELECT * FROM stream_samples ORDER BY stream_id, sampled_at"
    assert held.execute(question).fetchall() == streamed.execute(question).fetchall()
    tables = "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'held'"
    assert held.execute(tables).fetchone() == (6,)  # four marts with rows, streams and channels
    assert streamed.execute(tables).fetchone() == (0,)
