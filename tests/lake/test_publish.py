from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aethex.lake import Lake, publish
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.landing import LANDING_SCHEMA, land
from aethex.lake.publish import (
    LandingGoneError,
    PublishError,
    PublishStep,
    hour_ranges,
    publish_window,
    republish,
)
from aethex.lake.windows import last_published, next_window, published_windows, read_window
from aethex.settings import Settings
from tests.lake.events import (
    RECEIVED,
    in_order,
    landed,
    published_minutes,
    published_rows,
    snapshot,
    snapshots,
)

publish_all = publish.publish


def test_landed_events_become_rows_of_their_table(lake: Lake) -> None:
    land(lake, landed([snapshot(1, viewers=7, messages=3), snapshot(2, viewers=None)]))
    (marker,) = publish_all(lake)
    found = published_rows(lake, "event_id", "stream_id", "viewers", "messages", "landing_window")
    assert found == in_order(
        [
            (snapshot(1)["event_id"], "st_1", 7, 3, 1),
            (snapshot(2)["event_id"], "st_1", None, None, 1),
        ]
    )
    assert (marker.rows_in, marker.rows_out, marker.duplicates) == (2, 2, 0)
    assert marker.tables == {"viewer_snapshots": 2}
    assert marker.days == {"viewer_snapshots": (date(2020, 1, 5),)}


def test_progress_tells_each_stage(lake: Lake) -> None:
    land(lake, snapshots(range(5)))
    steps: list[PublishStep] = []
    publish_all(lake, progress=steps.append)
    assert [step.stage for step in steps] == ["reading", "committing", "committed", "published"]
    assert {(step.n, step.rows) for step in steps} == {(1, 5)}


def test_publishing_with_nothing_landed_does_nothing(lake: Lake) -> None:
    assert publish_all(lake) == []


def test_publishing_twice_leaves_the_same_rows_once(lake: Lake) -> None:
    land(lake, snapshots(range(100)))
    publish_all(lake)
    before = published_rows(lake)
    assert publish_all(lake) == []
    republish(lake, 1)
    republish(lake, 1)
    assert published_rows(lake) == before
    assert published_minutes(lake) == list(range(100))


def test_events_that_land_again_are_not_published_again(lake: Lake) -> None:
    land(lake, snapshots(range(100)))
    publish_all(lake)
    before = published_rows(lake)
    land(lake, snapshots(range(50, 150), received_at=RECEIVED + timedelta(days=1)))
    (marker,) = publish_all(lake)
    assert published_minutes(lake) == list(range(150))
    assert set(before) <= set(published_rows(lake))
    assert (marker.rows_in, marker.rows_out, marker.duplicates) == (100, 50, 50)
    assert [(item.rows_in, item.rows_out) for item in marker.objects] == [(100, 50)]


def test_a_window_of_nothing_but_duplicates_is_published_with_no_rows(lake: Lake) -> None:
    for _ in range(2):
        land(lake, snapshots(range(5)))
        publish_all(lake)
    marker = published_windows(lake)[-1]
    assert (marker.n, marker.rows_out, marker.duplicates) == (2, 0, 5)
    assert marker.days == {"viewer_snapshots": ()}


def test_within_a_window_the_earliest_received_copy_counts(lake: Lake) -> None:
    for seconds, viewers in [(5, 55), (1, 11), (9, 99)]:
        at = RECEIVED + timedelta(seconds=seconds)
        land(lake, landed([snapshot(1, viewers=viewers, received_at=at)]))
    publish_all(lake)
    assert published_rows(lake, "viewers") == [(11,)]


def test_copies_received_at_the_same_time_go_by_the_landing_key(lake: Lake) -> None:
    for viewers in (1, 2, 3):
        land(lake, landed([snapshot(1, viewers=viewers), snapshot(1, viewers=viewers + 10)]))
    publish_all(lake)
    assert published_rows(lake, "viewers") == [(1,)]


def test_a_copy_that_shifted_over_midnight_is_still_a_copy(lake: Lake) -> None:
    before_midnight = 11 * 60 - 1
    event = snapshot(before_midnight)
    land(lake, landed([event]))
    publish_all(lake)
    at = event["occurred_at"] + timedelta(seconds=61)
    assert at.date() > event["occurred_at"].date()
    land(lake, landed([{**event, "occurred_at": at}]))
    publish_all(lake)
    assert published_minutes(lake) == [before_midnight]


def test_a_copy_is_found_however_far_its_corrected_time_lies_from_the_first(lake: Lake) -> None:
    """A client whose clock was set right between two tries: client_at stays, occurred_at jumps."""
    event = snapshot(0)
    land(lake, landed([{**event, "occurred_at": event["client_at"] - timedelta(days=20)}]))
    publish_all(lake)
    for days in (0, 3, 400):
        at = event["client_at"] + timedelta(days=days)
        received_at = RECEIVED + timedelta(days=days)
        land(lake, landed([{**event, "occurred_at": at, "received_at": received_at}]))
        publish_all(lake)
    assert published_minutes(lake) == [-20 * 24 * 60]


def test_a_late_object_adds_its_rows_in_the_next_window(lake: Lake) -> None:
    land(lake, snapshots(range(0, 100, 2)))
    publish_all(lake)
    land(lake, snapshots(range(1, 100, 2)), now=RECEIVED)
    (marker,) = publish_all(lake)
    assert marker.n == 2
    assert published_minutes(lake) == list(range(100))


def test_one_window_touches_many_days(lake: Lake) -> None:
    minutes = range(0, 60 * 24 * 60, 240)
    land(lake, snapshots(minutes))
    (marker,) = publish_all(lake)
    assert len(marker.days["viewer_snapshots"]) == 61
    assert published_minutes(lake) == list(minutes)


def test_a_backlog_is_published_in_several_windows(lake: Lake) -> None:
    small = Lake(lake.settings.model_copy(update={"window_max_rows": 30}), lake.store)
    for start in range(0, 100, 20):
        land(small, snapshots(range(start, start + 25)))
    markers = publish_all(small)
    assert [marker.rows_in for marker in markers] == [25] * 5
    assert published_minutes(small) == list(range(105))


def test_only_files_of_the_days_at_hand_are_read_for_duplicates(lake: Lake) -> None:
    days = 30
    land(lake, snapshots(range(0, days * 24 * 60, 60)))
    publish_all(lake)
    assert lake.table(VIEWER_SNAPSHOTS).inspect.files().num_rows == days + 1
    read: list[list[str]] = []
    find: Callable[..., list[str]] = publish.files_of_times

    def finding(*args: object) -> list[str]:
        read.append(find(*args))
        return read[-1]

    land(lake, snapshots([10 * 24 * 60]))
    with patch.object(publish, "files_of_times", finding):
        publish_all(lake)
    assert [Path(path).parent.name for path in read[0]] == ["occurred_at_day=2020-01-15"]


def test_window_n_waits_for_the_window_before_it(lake: Lake) -> None:
    land(lake, snapshots([1]))
    window = next_window(lake)
    assert window is not None
    ahead = type(window)(**{**vars(window), "n": 2})
    with pytest.raises(PublishError, match="window 2 cannot be published before window 1"):
        publish_window(lake, ahead)


def test_republishing_a_window_after_later_ones_changes_nothing(lake: Lake) -> None:
    for start in (0, 50, 100):
        land(
            lake, snapshots(range(start, start + 80), received_at=RECEIVED - timedelta(days=start))
        )
        publish_all(lake)
    before = published_rows(lake, *VIEWER_SNAPSHOTS.column_names)
    for n in (2, 1, 3):
        republish(lake, n)
    assert published_rows(lake, *VIEWER_SNAPSHOTS.column_names) == before


def test_a_stale_publisher_that_commits_after_later_windows_changes_nothing(lake: Lake) -> None:
    land(lake, snapshots(range(80)))
    publish_all(lake)
    land(lake, snapshots(range(50, 120)))
    publish_all(lake)
    before = published_rows(lake, *VIEWER_SNAPSHOTS.column_names)
    stale = read_window(lake.store, 1)
    assert stale is not None
    # it looked for the marker before the other one wrote it
    with patch.object(publish, "read_published", lambda _store, _n: None):
        publish_window(lake, stale)
    assert published_rows(lake, *VIEWER_SNAPSHOTS.column_names) == before


def test_republishing_works_when_a_file_holds_rows_of_several_windows(lake: Lake) -> None:
    for start in (0, 50, 100):
        land(lake, snapshots(range(start, start + 80)))
        publish_all(lake)
    before = published_rows(lake, *VIEWER_SNAPSHOTS.column_names)
    compact(lake)
    republish(lake, 2)
    assert published_rows(lake, *VIEWER_SNAPSHOTS.column_names) == before


def compact(lake: Lake) -> None:
    """One file a day, whatever the windows."""
    table = lake.table(VIEWER_SNAPSHOTS)
    table.overwrite(table.scan().to_arrow().cast(VIEWER_SNAPSHOTS.arrow_schema()))


def test_a_window_whose_landing_is_gone_is_refused_and_keeps_its_rows(lake: Lake) -> None:
    key = land(lake, snapshots(range(10)))
    publish_all(lake)
    lake.store.delete([key])
    with pytest.raises(LandingGoneError, match=rf"window 1 .* are gone \(first: {key}\)"):
        republish(lake, 1)
    assert published_minutes(lake) == list(range(10))


def test_a_window_that_was_never_cut_cannot_be_republished(lake: Lake) -> None:
    with pytest.raises(PublishError, match="there is no publish window 7"):
        republish(lake, 7)


def test_events_of_a_kind_without_a_table_hold_the_window_back(lake: Lake) -> None:
    rows = pa.Table.from_pylist([{**snapshot(1), "kind": "weather"}], schema=LANDING_SCHEMA)
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    lake.store.put("landing/2026/01/01/00/newer.parquet", sink.getvalue().to_pybytes())
    with pytest.raises(PublishError, match=r"kind \['weather'\].* publish with the version"):
        publish_all(lake)
    assert last_published(lake.store) == 0


@pytest.mark.r2
def test_a_publish_on_r2_brings_the_rows_once(r2_settings: Settings) -> None:
    with Lake.open(r2_settings) as lake:
        land(lake, snapshots(range(0, 5000, 2)))
        publish_all(lake)
        land(lake, snapshots(range(4000, 5000)))
        (marker,) = publish_all(lake)
        assert (marker.rows_out, marker.duplicates) == (500, 500)
        republish(lake, 1)
        assert published_minutes(lake) == [*range(0, 4000, 2), *range(4000, 5000)]
        path = lake.table(VIEWER_SNAPSHOTS).inspect.files().column("file_path")[0].as_py()
        assert path.startswith(r2_settings.store_url)


@pytest.mark.r2
def test_a_window_on_r2_whose_landing_is_gone_is_refused(r2_settings: Settings) -> None:
    with Lake.open(r2_settings) as lake:
        key = land(lake, snapshots(range(10)))
        publish_all(lake)
        lake.store.delete([key])
        with pytest.raises(LandingGoneError, match="window 1"):
            republish(lake, 1)


def test_hours_become_ranges_and_many_ranges_become_few() -> None:
    first = datetime.fromisoformat("2020-01-01")
    hours = [first + timedelta(hours=offset) for offset in (0, 1, 2, 10, 11, 14, 40)]
    assert [(a - first, b - first) for a, b in hour_ranges(hours)] == [
        (timedelta(hours=begin), timedelta(hours=end))
        for begin, end in ((0, 3), (10, 12), (14, 15), (40, 41))
    ]
    assert len(hour_ranges(hours, most=2)) == 2
    assert hour_ranges(hours, most=2)[0] == (first, first + timedelta(hours=15))
    assert hour_ranges([]) == []


def test_every_file_of_a_commit_is_on_the_disk_before_the_catalog_names_it(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[str] = set()
    sync = os.fsync

    def syncing(descriptor: int) -> None:
        synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        sync(descriptor)

    land(lake, snapshots(range(5)))
    monkeypatch.setattr(os, "fsync", syncing)
    publish_all(lake)
    folder = Path(lake.store.uri("lake/tables/viewer_snapshots"))
    files = {str(path) for path in folder.rglob("*") if path.is_file()}
    assert len([path for path in files if path.endswith(".parquet")]) == 1
    assert files <= synced
    assert {str(path) for path in folder.rglob("*") if path.is_dir()} <= synced
