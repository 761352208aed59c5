from __future__ import annotations

import re
from datetime import datetime

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aethex.lake import Lake
from aethex.lake.landing import LANDING_SCHEMA, LandingObjectError, count_rows, land
from aethex.settings import Settings
from aethex.store import NotFound
from tests.lake.events import landed, snapshot, snapshots


def test_landed_rows_are_one_parquet_object_under_the_hour_that_it_landed(lake: Lake) -> None:
    rows = snapshots(range(3))
    key = land(lake, rows, now=datetime.fromisoformat("2026-03-04T05:06"))
    assert re.fullmatch(r"landing/2026/03/04/05/[0-9A-Z]{26}\.parquet", key)
    path = lake.store.local_path(key)
    assert path is not None
    assert pq.read_table(path).equals(rows)
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


def test_a_polars_frame_lands_as_the_same_rows(lake: Lake) -> None:
    rows = snapshots(range(3))
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    path = lake.store.local_path(land(lake, frame))
    assert path is not None
    assert pq.read_table(path).equals(rows)


def test_each_landing_is_an_object_of_its_own(lake: Lake) -> None:
    keys = {land(lake, snapshots([1])) for _ in range(20)}
    assert len(keys) == 20


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (landed([]), "no rows"),
        (snapshots([1]).drop_columns(["payload"]), r"without the columns \['payload'\]"),
        (landed([{**snapshot(1), "kind": "weather"}]), r"kind \['weather'\]"),
        (landed([{**snapshot(1), "payload": "not json"}]), "no JSON object"),
        (landed([{**snapshot(1), "payload": "[1]"}]), "no JSON object"),
        (landed([{**snapshot(1), "payload": '{"viewers": 1}'}]), r"with \['source'\]"),
    ],
)
def test_rows_that_could_not_be_published_later_do_not_land(
    lake: Lake, rows: pa.Table, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        land(lake, rows)
    assert not list(lake.store.list("landing/"))


def test_a_missing_required_value_does_not_land(lake: Lake) -> None:
    nullable = pa.schema([field.with_nullable(True) for field in LANDING_SCHEMA])
    rows = pa.Table.from_pylist([{**snapshot(1), "event_id": None}], schema=nullable)
    with pytest.raises(ValueError, match="event_id is null"):
        land(lake, rows)


def test_row_counts_come_from_the_footer(lake: Lake) -> None:
    info = lake.store.head(land(lake, snapshots(range(1234))))
    assert count_rows(lake.store, info.key, info.size_bytes) == 1234


def test_an_object_that_is_no_parquet_file_is_named(lake: Lake) -> None:
    info = lake.store.put("landing/2026/01/01/00/foreign.parquet", b"hello")
    with pytest.raises(LandingObjectError, match=r"foreign\.parquet .* remove it"):
        count_rows(lake.store, info.key, info.size_bytes)
    with pytest.raises(NotFound):
        count_rows(lake.store, "landing/2026/01/01/00/gone.parquet", 100)


@pytest.mark.r2
def test_row_counts_come_from_the_footer_on_r2_too(r2_settings: Settings) -> None:
    lake = Lake.open(r2_settings)
    small = lake.store.head(land(lake, snapshots(range(3))))
    assert count_rows(lake.store, small.key, small.size_bytes) == 3
    # a footer that is longer than the first look at the object's end
    wide = pa.table({f"column_{i}": [1, 2] for i in range(2000)})
    sink = pa.BufferOutputStream()
    pq.write_table(wide, sink)
    info = lake.store.put("landing/wide.parquet", sink.getvalue().to_pybytes())
    assert count_rows(lake.store, info.key, info.size_bytes) == 2
