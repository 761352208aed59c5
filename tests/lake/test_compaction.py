"""Compaction: the same rows in fewer, sorted files."""

from __future__ import annotations

import warnings
from datetime import date, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyiceberg.manifest import DataFile
from pyiceberg.typedef import Record
from pyiceberg.types import LongType

from aethex.lake import Lake, compaction
from aethex.lake.compaction import LEAST_FILES_TODAY, SMALL_ROWS, TARGET_ROWS, plan
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.landing import land
from aethex.lake.publish import publish, republish
from aethex.lake.reconciliation import count_window
from aethex.lake.rewrite import count_manifests, live_files, read_rows, replace_files
from aethex.lake.windows import published_windows
from aethex.settings import Settings
from tests.lake.events import START, published_minutes, published_rows, snapshots
from tests.lake.keeper import LATER, compact, file_count, publish_windows

COLUMNS = VIEWER_SNAPSHOTS.column_names
DAY_MINUTES = 24 * 60
EPOCH = date(1970, 1, 1)


def order_of(file: str) -> list[tuple[Any, ...]]:
    rows = pq.read_table(file, columns=["channel_id", "stream_id", "occurred_at", "event_id"])
    return [tuple(row.values()) for row in rows.to_pylist()]


def test_small_files_of_a_day_become_one_with_the_same_rows_in_order(lake: Lake) -> None:
    publish_windows(lake, 6, streams=3)
    before = published_rows(lake, *COLUMNS)
    done = compact(lake)
    assert (done.groups, done.files_taken, done.rows, done.is_done) == (1, 6, 120, True)
    (file,) = live_files(lake.table(VIEWER_SNAPSHOTS))
    assert published_rows(lake, *COLUMNS) == before
    rows = order_of(file.file_path)
    assert rows == sorted(rows)


def test_days_are_never_mixed_and_each_keeps_its_own_rows(lake: Lake) -> None:
    for _ in range(2):
        for day in range(3):
            minutes = range(day * DAY_MINUTES, day * DAY_MINUTES + 5)
            land(lake, snapshots(minutes, stream_id=f"st_{_}"))
        publish(lake)
    before = published_rows(lake, *COLUMNS)
    assert compact(lake).groups == 3
    assert file_count(lake) == 3
    assert published_rows(lake, *COLUMNS) == before


def test_a_second_time_there_is_nothing_to_do(lake: Lake) -> None:
    publish_windows(lake, 3)
    compact(lake)
    snapshot_id = lake.table(VIEWER_SNAPSHOTS).metadata.current_snapshot_id
    assert compact(lake).groups == 0
    assert lake.table(VIEWER_SNAPSHOTS).metadata.current_snapshot_id == snapshot_id


def test_today_waits_until_there_are_many_files(lake: Lake) -> None:
    today = START.date()
    publish_windows(lake, LEAST_FILES_TODAY - 1)
    assert compact(lake, today).groups == 0
    land(lake, snapshots([600]))
    publish(lake)
    assert compact(lake, today).groups == 1
    assert file_count(lake) == 1


def test_an_empty_table_has_nothing_to_compact(lake: Lake) -> None:
    assert compact(lake) == compaction.Compacted("viewer_snapshots", 0, 0, 0, is_done=True)


def test_a_query_of_one_stream_opens_fewer_files_and_row_groups(
    lake: Lake,
) -> None:
    table = lake.table(VIEWER_SNAPSHOTS)
    with table.transaction() as change:
        change.set_properties({"write.parquet.row-group-limit": "50"})
    publish_windows(lake, 8, rows=80, streams=8)

    def touched() -> tuple[int, int]:
        opened = lake.table(VIEWER_SNAPSHOTS)
        wanted = "channel_id == 'ch_1' and stream_id == 'st_3'"
        paths = [file.file_path for file in live_files(opened, wanted)]
        groups = 0
        for path in paths:
            metadata = pq.read_metadata(path)
            column = metadata.schema.names.index("stream_id")
            for n in range(metadata.num_row_groups):
                found = metadata.row_group(n).column(column).statistics
                groups += found.min <= "st_3" <= found.max
        return len(paths), groups

    before = touched()
    compact(lake)
    after = touched()
    assert before == (8, 8)
    assert after == (1, 3)  # 80 rows of it, in groups of 50 that do not begin with it


def test_republishing_a_window_after_compaction_is_exact(lake: Lake) -> None:
    for start in (0, 50, 100):
        land(lake, snapshots(range(start, start + 80)))
        publish(lake)
    before = published_rows(lake, *COLUMNS)
    compact(lake)
    for n in (2, 1, 3):
        republish(lake, n)
        assert published_rows(lake, *COLUMNS) == before
    assert all(count_window(lake, marker).adds_up for marker in published_windows(lake))


def test_copies_of_compacted_events_are_still_found(lake: Lake) -> None:
    publish_windows(lake, 3)
    compact(lake)
    land(lake, snapshots(range(70), stream_id="st_0"))
    publish(lake)
    assert published_minutes(lake) == list(range(70))


def test_when_time_is_over_whole_groups_are_done_and_the_rest_is_for_the_next_time(
    lake: Lake,
) -> None:
    for window in range(2):
        for day in range(4):
            land(lake, snapshots([day * DAY_MINUTES + window]))
        publish(lake)
    before = published_rows(lake, *COLUMNS)
    asked: list[int] = []

    def is_over() -> bool:
        asked.append(1)
        return len(asked) > 3

    first = compact(lake, is_over=is_over)
    assert (first.groups, first.is_done) == (2, False)
    assert file_count(lake) == 6
    assert published_rows(lake, *COLUMNS) == before
    second = compact(lake)
    assert (second.groups, second.is_done, file_count(lake)) == (2, True, 4)
    assert published_rows(lake, *COLUMNS) == before


def test_progress_tells_groups(lake: Lake) -> None:
    for window in range(2):
        land(lake, snapshots([window, DAY_MINUTES + window]))
        publish(lake)
    told: list[tuple[str, int, int]] = []
    compact(lake, progress=lambda *step: told.append(step))
    assert told == [("viewer_snapshots", 0, 2), ("viewer_snapshots", 1, 2)]


def test_a_column_that_this_version_does_not_know_stays_as_it_is(lake: Lake) -> None:
    publish_windows(lake, 2)
    with lake.table(VIEWER_SNAPSHOTS).update_schema() as change:
        change.add_column("of_a_newer_version", LongType())
    table = lake.table(VIEWER_SNAPSHOTS)
    (_, second) = live_files(table)
    rows = read_rows(lake, table, VIEWER_SNAPSHOTS, [second])
    position = rows.schema.get_field_index("of_a_newer_version")
    marked = rows.set_column(position, "of_a_newer_version", [list(range(rows.num_rows))])
    replace_files(table, [second], marked, "a newer version")
    compact(lake)
    found = lake.table(VIEWER_SNAPSHOTS).scan().to_arrow().column("of_a_newer_version")
    assert sorted(found.to_pylist(), key=str) == sorted([*range(20), *[None] * 20], key=str)


def test_rows_that_would_be_lost_are_not_committed(lake: Lake) -> None:
    publish_windows(lake, 2)
    table = lake.table(VIEWER_SNAPSHOTS)
    files = live_files(table)
    rows = read_rows(lake, table, VIEWER_SNAPSHOTS, files)
    with pytest.raises(ValueError, match="39 rows cannot replace 40"):
        replace_files(table, files, rows.slice(1), "a mistake")
    assert published_minutes(lake) == list(range(40))


def test_manifests_stay_few_over_many_publishes_and_compactions(lake: Lake) -> None:
    publish_windows(lake, 1)
    table = lake.table(VIEWER_SNAPSHOTS)
    rows = table.scan(limit=1).to_arrow().cast(VIEWER_SNAPSHOTS.arrow_schema())
    position = rows.schema.get_field_index("landing_window")
    for n in range(2, 62):
        of_window = rows.set_column(position, rows.schema.field(position), [[n]])
        with warnings.catch_warnings(action="ignore"):
            table.overwrite(of_window, f"landing_window == {n}")  # as a publish commits
        if n % 15 == 0:
            compact(lake)
            table.refresh()
        assert count_manifests(table) <= 22, n
    assert len(published_minutes(lake)) == 80


def test_many_groups_do_not_leave_a_manifest_each(lake: Lake) -> None:
    for window in range(2):
        land(lake, snapshots(day * DAY_MINUTES + window for day in range(25)))
        publish(lake)
    assert compact(lake).groups == 25
    assert count_manifests(lake.table(VIEWER_SNAPSHOTS)) == 1
    assert len(published_minutes(lake)) == 50


# --- planning, and any order of appends -----------------------------------------------------------


def data_file(name: str, day: date, rows: int) -> DataFile:
    return DataFile.from_args(
        file_path=name, partition=Record((day - EPOCH).days), record_count=rows
    )


days = st.integers(0, 3).map(lambda n: LATER - timedelta(days=n))
files = st.lists(st.tuples(days, st.integers(1, TARGET_ROWS * 2)), max_size=40)


@given(files)
def test_a_plan_takes_small_files_of_one_day_within_the_limit_and_leaves_little(
    sizes: list[tuple[date, int]],
) -> None:
    present = [data_file(f"{n:03}", day, rows) for n, (day, rows) in enumerate(sizes)]
    groups = plan(present, LATER)
    taken = [file.file_path for group in groups for file in group.files]
    assert len(taken) == len(set(taken))
    for group in groups:
        assert len(group.files) > 1
        assert group.rows <= TARGET_ROWS
        assert {EPOCH + timedelta(days=f.partition[0]) for f in group.files} == {group.day}
        assert all(file.record_count < SMALL_ROWS for file in group.files)
    for day in {day for day, _ in sizes if day < LATER}:
        left = [
            file
            for file in present
            if file.partition[0] == (day - EPOCH).days
            and file.record_count < SMALL_ROWS
            and file.file_path not in taken
        ]
        assert len(left) <= 1


@hypothesis_settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    appends=st.lists(
        st.tuples(st.lists(st.integers(0, 4000), min_size=1, max_size=12), st.booleans()),
        min_size=1,
        max_size=4,
    ),
    target=st.integers(4, 40),
)
def test_any_appends_and_compactions_keep_exactly_the_rows(
    lake: Lake, appends: list[tuple[list[int], bool]], target: int
) -> None:
    """The lake stays the same between examples: each example has a stream of its own."""
    stream_id = f"st_{len(published_windows(lake))}"
    wanted: set[int] = set()
    others = [row for row in published_rows(lake, *COLUMNS) if row[2] != stream_id]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "TARGET_ROWS", target)
        patch.setattr(compaction, "SMALL_ROWS", target // 2)
        for minutes, is_compacted in appends:
            land(lake, snapshots(minutes, stream_id=stream_id))
            publish(lake)
            wanted |= set(minutes)
            if is_compacted:
                compact(lake)
    rows = published_rows(lake, *COLUMNS)
    assert [row for row in rows if row[2] != stream_id] == others
    mine = [row[COLUMNS.index("occurred_at")] for row in rows if row[2] == stream_id]
    assert sorted(mine) == [START + timedelta(minutes=minute) for minute in sorted(wanted)]


@pytest.mark.r2
@pytest.mark.soak
def test_compaction_on_r2_keeps_the_rows(r2_settings: Settings) -> None:
    with Lake.open(r2_settings) as lake:
        publish_windows(lake, 3, streams=2)
        before = published_rows(lake, *COLUMNS)
        assert compact(lake).groups == 1
        assert published_rows(lake, *COLUMNS) == before
        assert file_count(lake) == 1
