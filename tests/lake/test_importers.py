from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aethex.lake import Lake
from aethex.lake.event_ids import event_id
from aethex.lake.importers import (
    ImportFileError,
    ImportProgress,
    land_viewers,
    read_viewers,
)
from aethex.lake.publish import publish
from aethex.settings import Settings
from tests.lake.events import published_rows
from tests.lake.viewer_files import FORMATS, START, assert_adds_up, bring, minutes, write


def test_both_marathons_are_read_whole(lake: Lake, shared_data: Path) -> None:
    agdq = bring(lake, shared_data / "gdq" / "agdq2020_latest.json", "st_a")
    assert (agdq.rows_read, agdq.imported, agdq.null_viewers) == (10_242, 10_242, 473)
    assert (agdq.rejected, agdq.duplicates, agdq.already_present) == ({}, 0, 0)
    assert (agdq.first_at, agdq.interval_seconds) == (START, 60.0)
    assert agdq.fields == {"time": "time", "viewers": "v", "chat": "c"}
    sgdq = bring(lake, shared_data / "gdq" / "sgdq2017_latest.json", "st_s")
    assert (sgdq.imported, sgdq.null_viewers) == (10_764, 219)
    publish(lake)
    rows = published_rows(lake, "stream_id", "viewers", "messages")
    viewers = [viewers for stream, viewers, _ in rows if stream == "st_a"]
    assert (len(viewers), max(filter(None, viewers))) == (10_242, 237_523)
    assert sum(messages for stream, _, messages in rows if stream == "st_a") == 863_623


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_brings_the_same_rows(lake: Lake, tmp_path: Path, form: str) -> None:
    rows = minutes(50)
    rows[3]["v"] = None
    report = bring(lake, write(tmp_path, form, rows))
    assert (report.rows_read, report.imported, report.null_viewers) == (50, 50, 1)
    publish(lake)
    found = published_rows(lake, "occurred_at", "client_at", "viewers", "messages", "source")
    assert found == [
        (
            START + timedelta(minutes=i),
            START + timedelta(minutes=i),
            row["v"],
            row["c"],
            "import",
        )
        for i, row in enumerate(rows)
    ]
    ids = published_rows(lake, "event_id")
    assert (event_id("st_1", START, "import"),) in ids
    assert len(set(ids)) == 50


def test_the_same_file_again_brings_nothing(lake: Lake, tmp_path: Path) -> None:
    path = write(tmp_path, "json", minutes(50))
    first = bring(lake, path)
    publish(lake)
    before = published_rows(lake)
    again = bring(lake, path)
    assert (again.imported, again.already_present) == (0, 50)
    assert (again.first_at, again.last_at) == (first.first_at, first.last_at)
    assert publish(lake) == []
    assert published_rows(lake) == before


def test_an_overlapping_file_in_another_format_brings_what_is_new(
    lake: Lake, tmp_path: Path
) -> None:
    bring(lake, write(tmp_path, "json", minutes(50)))
    publish(lake)
    report = bring(lake, write(tmp_path, "parquet", minutes(50, first=30)))
    assert (report.imported, report.already_present) == (20 + 10, 20)
    publish(lake)
    assert len(published_rows(lake)) == 80
    assert_adds_up(report)


def test_a_file_that_landed_twice_before_publishing_is_there_once(
    lake: Lake, tmp_path: Path
) -> None:
    path = write(tmp_path, "csv", minutes(50))
    assert bring(lake, path).imported == bring(lake, path).imported == 50
    publish(lake)
    assert len(published_rows(lake)) == 50


def test_the_same_instants_of_another_stream_are_other_rows(lake: Lake, tmp_path: Path) -> None:
    path = write(tmp_path, "json", minutes(50))
    bring(lake, path, "st_1")
    publish(lake)
    assert bring(lake, path, "st_2").imported == 50
    publish(lake)
    assert Counter(published_rows(lake, "stream_id")) == {("st_1",): 50, ("st_2",): 50}


def test_of_two_rows_of_one_instant_the_first_counts(lake: Lake, tmp_path: Path) -> None:
    rows = [*minutes(3), {**minutes(1)[0], "v": 7}, {**minutes(1)[0], "time": "1578229200"}]
    report = bring(lake, write(tmp_path, "json", rows))
    assert (report.imported, report.duplicates) == (3, 2)
    publish(lake)
    assert published_rows(lake, "viewers") == [(100,), (101,), (102,)]


def test_bad_rows_are_rejected_with_reason_and_place_beside_good_ones(
    lake: Lake, tmp_path: Path
) -> None:
    good = minutes(1)[0]
    rows = [
        good,
        {**good, "time": "soon"},
        {**good, "v": -1},
        {**good, "v": "many"},
        {**good, "c": 1.5},
        {"v": 1},
        {**good, "v": -2},
    ]
    report = bring(lake, write(tmp_path, "ndjson", rows))
    assert report.imported == 1
    assert {reason: one.count for reason, one in report.rejected.items()} == {
        "time is not understood": 1,
        "viewers: negative": 2,
        "viewers: not a number": 1,
        "messages: not a whole number": 1,
        "time is missing": 1,
    }
    negative = report.rejected["viewers: negative"].examples
    assert [(one.place, one.value) for one in negative] == [("line 3", "-1"), ("line 7", "-2")]
    assert_adds_up(report)
    assert json.dumps(report.as_dict())


def test_a_file_of_nothing_but_bad_rows_lands_nothing(lake: Lake, tmp_path: Path) -> None:
    report = bring(lake, write(tmp_path, "json", [{"time": "x", "v": 1}] * 9))
    assert (report.imported, report.rejected_count) == (0, 9)
    assert (report.first_at, report.interval_seconds) == (None, None)
    assert not list(lake.store.list("landing"))


def test_fields_are_given_where_names_are_unusual(lake: Lake, tmp_path: Path) -> None:
    path = write(tmp_path, "csv", [{"when": "2020-01-05T13:00", "watching": 5, "lines": 2}])
    with pytest.raises(
        ImportFileError, match=r"no field for the time.*when, watching, lines.*--time"
    ):
        read_viewers(path)
    report = bring(lake, path, time_field="when", viewers_field="watching", chat_field="lines")
    assert report.imported == 1
    with pytest.raises(ImportFileError, match="one field for two things"):
        read_viewers(path, time_field="when", viewers_field="when")


def test_chat_may_be_missing(lake: Lake, tmp_path: Path) -> None:
    report = bring(lake, write(tmp_path, "json", [{"ts": 1578229200, "viewer_count": 5}]))
    assert report.fields == {"time": "ts", "viewers": "viewer_count", "chat": None}
    publish(lake)
    assert published_rows(lake, "viewers", "messages") == [(5, None)]


def test_rows_in_any_order_have_the_same_bounds_and_interval(lake: Lake, tmp_path: Path) -> None:
    rows = minutes(100)
    shuffled = [rows[(i * 37) % 100] for i in range(100)]
    report = bring(lake, write(tmp_path, "json", shuffled))
    assert (report.first_at, report.last_at) == (START, START + timedelta(minutes=99))
    assert report.interval_seconds == 60.0


def test_a_large_file_lands_in_several_objects_and_tells_its_progress(
    lake: Lake, tmp_path: Path
) -> None:
    small = Lake(lake.settings.model_copy(update={"landing_rows_per_object": 1000}), lake.store)
    path = tmp_path / "many"
    pq.write_table(pa.Table.from_pylist(minutes(70_000)), path)
    told: list[ImportProgress] = []
    report = land_viewers(
        small, read_viewers(path), channel_id="ch_1", stream_id="st_1", progress=told.append
    )
    assert report.imported == 70_000
    assert len(list(lake.store.list("landing"))) == 70
    assert [one.rows for one in told] == [65_536, 70_000]
    assert told[-1].bytes_total == path.stat().st_size


def test_times_of_parquet_with_and_without_zone(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for zone, unit in [(None, "ms"), ("UTC", "us"), ("America/New_York", "ns"), ("+02:00", "s")]:
        times = (
            pl.Series([START])
            .dt.replace_time_zone("UTC")
            .to_arrow()
            .cast(pa.timestamp("us", "UTC"))
        )
        typed = times.cast(pa.timestamp(unit, zone)) if zone else times.cast(pa.timestamp(unit))
        pq.write_table(pa.table({"time": typed, "v": [1.0]}), path)
        assert bring(lake, path).first_at == START


def test_event_ids_are_the_uuids_of_stream_instant_and_source(lake: Lake, tmp_path: Path) -> None:
    rows = [{"time": f"2020-01-05T13:00:00.{i:06d}Z", "v": i} for i in range(500)]
    bring(lake, write(tmp_path, "csv", rows), "st_ü'x")
    publish(lake)
    found = published_rows(lake, "event_id", "occurred_at", "stream_id")
    assert all(name == event_id(stream, at, "import") for name, at, stream in found)
    assert len(found) == 500


@pytest.mark.r2
def test_importing_again_on_r2_brings_nothing(r2_settings: Settings, tmp_path: Path) -> None:
    path = write(tmp_path, "csv", minutes(500))
    with Lake.open(r2_settings) as lake:
        assert bring(lake, path).imported == 500
        publish(lake)
        assert bring(lake, path).already_present == 500
        assert publish(lake) == []


# --- killed and repeated ------------------------------------------------------------------------


def _import_until_told(settings: Settings, path: Path, pipe: Any) -> None:
    with Lake.open(settings) as lake:

        def stop(_: ImportProgress) -> None:
            pipe.send("some rows have landed")
            pipe.recv()

        land_viewers(lake, read_viewers(path), channel_id="ch_1", stream_id="st_1", progress=stop)


def test_an_import_that_is_killed_and_repeated_brings_each_row_once(
    lake: Lake, tmp_path: Path
) -> None:
    path = tmp_path / "many"
    pq.write_table(pa.Table.from_pylist(minutes(70_000)), path)
    small = lake.settings.model_copy(update={"landing_rows_per_object": 10_000})
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    child = context.Process(target=_import_until_told, args=(small, path, theirs))
    child.start()
    theirs.close()
    assert ours.recv() == "some rows have landed"
    child.kill()
    child.join()
    assert len(list(lake.store.list("landing"))) == 6
    publish(lake)
    report = bring(lake, path)
    assert (report.imported, report.already_present) == (10_000, 60_000)
    publish(lake)
    assert len(set(published_rows(lake, "occurred_at"))) == len(published_rows(lake)) == 70_000
