"""Expiry: what anybody can still ask for stays, the rest goes, wherever it is interrupted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ulid import ULID

from aethex.lake import Lake
from aethex.lake.build_records import (
    UnknownBuild,
    build_key,
    current_build,
    list_builds,
    read_build,
    to_json,
)
from aethex.lake.connections import connect, open_build
from aethex.lake.core import utc_now
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.expiry import (
    BuildFiles,
    delete_orphans,
    expire_builds,
    expire_snapshots,
    named_files,
)
from aethex.lake.landing import land
from aethex.lake.maintenance import all_tables
from aethex.lake.orphan_looks import Look, due_tables
from aethex.lake.publish import publish
from aethex.settings import Settings
from tests.lake.events import published_minutes, published_rows, snapshots
from tests.lake.keeper import (
    COMPACTING,
    EXPIRING,
    FAR,
    compact,
    compactor,
    expire_all,
    expirer,
    publish_windows,
)
from tests.lake.marts import MINUTE, NOON, World, grow, worlds
from tests.soak import some_now

COLUMNS = VIEWER_SNAPSHOTS.column_names


built, world = worlds(grow)


def files_of(lake: Lake, folder: str = "lake/tables/viewer_snapshots") -> set[str]:
    return {info.key for info in lake.store.list(folder)}


def everything(lake: Lake, build_id: str) -> dict[str, list[Any]]:
    """All rows of all tables of a build."""
    with open_build(lake, lake.settings, build_id) as con:
        tables = read_build(lake.store, build_id).tables
        return {name: con.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in tables}


# --- what stays -----------------------------------------------------------------------------------


def test_every_kept_build_can_be_opened_and_read_whole(world: World) -> None:
    lake = world.lake
    builds = list_builds(lake.store)
    before = {build: everything(lake, build) for build in builds}
    expired, deleted = expire_all(lake)
    assert expired > 10
    assert deleted.files > 10
    assert len(builds) == 3
    for build in builds:
        assert everything(lake, build) == before[build]


def test_the_present_rows_stay_and_the_lake_goes_on(world: World) -> None:
    rows = published_rows(world.lake, *COLUMNS)
    expire_all(world.lake)
    assert published_rows(world.lake, *COLUMNS) == rows
    world.count("st_1", NOON + 5 * MINUTE, [50])
    build = world.refresh().build
    assert build.tables["stream_samples"].rows == 4
    assert expire_all(world.lake)[0] > 0


def test_kept_snapshots_can_be_read_whole(lake: Lake) -> None:
    publish_windows(lake, 2)
    since = utc_now()
    for n in range(2, 5):
        land(lake, snapshots(range(n * 20, n * 20 + 20)))
        publish(lake)
    compact(lake)
    expire_snapshots(lake, VIEWER_SNAPSHOTS, since)
    delete_orphans(lake, VIEWER_SNAPSHOTS, FAR, BuildFiles(lake.store))
    table = lake.table(VIEWER_SNAPSHOTS)
    rows = [
        table.scan(snapshot_id=one.snapshot_id).to_arrow().num_rows for one in table.snapshots()
    ]
    # that of 40 rows was the table's state at that time, though it was made before
    assert rows == [40, 60, 80, 100, 100]


def test_the_current_build_s_snapshots_stay_readable(world: World) -> None:
    build = current_build(world.lake.store)
    assert build is not None
    world.count("st_1", NOON + 3 * MINUTE, [40])
    expire_all(world.lake)
    as_of = connect(world.settings, build)
    assert as_of.execute("SELECT count(*) FROM viewer_snapshots").fetchall() == [(3,)]


def test_a_snapshot_that_somebody_tagged_stays(lake: Lake) -> None:
    publish_windows(lake, 3)
    table = lake.table(VIEWER_SNAPSHOTS)
    first = table.snapshots()[0].snapshot_id
    table.manage_snapshots().create_tag(first, "kept").commit()
    expire_all(lake)
    opened = lake.table(VIEWER_SNAPSHOTS)
    assert len(opened.snapshots()) == 2
    assert opened.scan(snapshot_id=first).to_arrow().num_rows == 20


def test_young_files_are_spared(lake: Lake) -> None:
    publish_windows(lake, 2)
    with compactor(lake.settings, "files written") as killed:
        killed.wait_for("files written")
    before = files_of(lake)
    an_hour_ago = utc_now() - timedelta(hours=1)
    assert expire_all(lake, before=an_hour_ago)[1].files == 0
    assert before <= files_of(lake)
    assert expire_all(lake)[1].files > 0


def test_a_catalog_that_deletes_its_files_itself_is_left_alone(lake: Lake) -> None:
    publish_windows(lake, 2)
    settings = lake.settings.model_copy(update={"catalog_url": "https://catalog.test"})
    elsewhere = Lake(settings, lake.store, lake.catalog)
    assert expire_snapshots(elsewhere, VIEWER_SNAPSHOTS, FAR) == 1
    before = files_of(lake)
    assert delete_orphans(elsewhere, VIEWER_SNAPSHOTS, FAR, BuildFiles(lake.store)).files == 0
    assert files_of(lake) == before


def test_a_build_that_cannot_be_read_keeps_everything(world: World) -> None:
    build_id = list_builds(world.lake.store)[0]
    world.lake.store.put(build_key(build_id), b"{}")
    with pytest.raises(KeyError):
        expire_all(world.lake)


# --- what goes ------------------------------------------------------------------------------------


def test_afterwards_only_named_files_are_there(lake: Lake) -> None:
    publish_windows(lake, 4)
    compact(lake)
    expire_all(lake)
    named = {lake.key(address) for address in named_files(lake.table(VIEWER_SNAPSHOTS))}
    assert files_of(lake) == named & files_of(lake)
    data = [key for key in files_of(lake) if key.endswith(".parquet")]
    assert len(data) == 1


@pytest.mark.parametrize("point", some_now(COMPACTING, "files written", "exchanged"))
def test_what_a_killed_compaction_wrote_is_removed(lake: Lake, point: str) -> None:
    publish_windows(lake, 3)
    rows = published_rows(lake, *COLUMNS)
    with compactor(lake.settings, point) as killed:
        killed.wait_for(point)
    expire_all(lake)
    assert len([key for key in files_of(lake) if key.endswith(".parquet")]) in (1, 3)
    named = {lake.key(address) for address in named_files(lake.table(VIEWER_SNAPSHOTS))}
    assert files_of(lake) <= named
    assert published_rows(lake, *COLUMNS) == rows


def test_past_builds_go_by_age_and_their_files_with_them(world: World) -> None:
    lake = world.lake
    first, second, current = list_builds(lake.store)
    old = read_build(lake.store, first)
    aged = f"build_{ULID.from_datetime(datetime(2020, 1, 1, tzinfo=UTC))}"
    lake.store.put(build_key(aged), to_json(old))
    lake.store.delete([build_key(first)])
    assert expire_builds(lake.store, datetime(2020, 1, 2)) == [aged]  # noqa: DTZ001
    assert list_builds(lake.store) == [second, current]
    expire_all(lake)
    gone = [f for f in old.tables["stream_samples"].files if not lake.store.exists(f.key)]
    assert gone == list(old.tables["stream_samples"].files)
    assert everything(lake, second)["stream_samples"]


def test_the_current_build_never_expires(world: World) -> None:
    current = list_builds(world.lake.store)[-1]
    assert len(expire_builds(world.lake.store, FAR)) == 2
    assert list_builds(world.lake.store) == [current]
    expire_all(world.lake)
    assert everything(world.lake, current)["stream_samples"]
    with pytest.raises(UnknownBuild):
        read_build(world.lake.store, "build_gone")


def test_no_folder_is_left_of_what_is_gone(lake: Lake) -> None:
    publish_windows(lake, 1)
    root = Path(lake.store.uri("lake/tables/viewer_snapshots"))
    left = root / "data" / "occurred_at_day=1999-01-01" / "left.parquet"
    left.parent.mkdir()
    left.write_bytes(b"PAR1")
    assert expire_all(lake)[1].files == 1
    assert not left.parent.exists()


# --- interrupted, and beside others ---------------------------------------------------------------


@pytest.mark.parametrize("point", some_now(EXPIRING, "expired", "deleting"))
def test_an_expiry_killed_at_any_point_leaves_a_good_table(lake: Lake, point: str) -> None:
    publish_windows(lake, 3)
    compact(lake)
    rows = published_rows(lake, *COLUMNS)
    with expirer(lake.settings, point) as killed:
        killed.wait_for(point)
    assert published_rows(lake, *COLUMNS) == rows
    expire_all(lake)
    assert published_rows(lake, *COLUMNS) == rows
    assert len([key for key in files_of(lake) if key.endswith(".parquet")]) == 1


@pytest.mark.parametrize(
    "point", some_now(["expired", "listed", "names read", "deleting"], "listed")
)
def test_what_is_published_in_the_middle_of_it_stays(lake: Lake, point: str) -> None:
    publish_windows(lake, 2)
    with expirer(lake.settings, point) as expiring:
        expiring.wait_for(point)
        land(lake, snapshots(range(40, 60), stream_id="st_0"))
        publish(lake)
        compact(lake)
        expiring.finish()
    assert published_minutes(lake) == list(range(60))
    expire_all(lake)
    assert published_minutes(lake) == list(range(60))


def test_when_time_is_over_the_rest_stays_for_the_next_time(lake: Lake) -> None:
    publish_windows(lake, 2)
    expire_snapshots(lake, VIEWER_SNAPSHOTS, FAR)
    builds = BuildFiles(lake.store)
    done = delete_orphans(lake, VIEWER_SNAPSHOTS, FAR, builds, is_over=lambda: True)
    assert (done.files, done.is_all) == (0, False)
    assert delete_orphans(lake, VIEWER_SNAPSHOTS, FAR, builds).files > 0


def test_a_table_rests_a_hundred_times_as_long_as_a_look_at_it_took() -> None:
    now = datetime.fromisoformat("2026-01-01T12:00")
    tables = list(all_tables().values())[:4]
    looks = {
        tables[0].name: Look("2026-01-01T11:00:00", 60.0),
        tables[1].name: Look("2026-01-01T11:00:00", 30.0),
        tables[2].name: Look("2026-01-01T10:00:00", 70.0),
    }
    due = [table.name for table in due_tables(tables, looks, now)]
    assert due == [tables[3].name, tables[2].name, tables[1].name]
    from_ahead = {tables[0].name: Look("2027-01-01T00:00:00", 60.0)}
    assert tables[0] in due_tables(tables, from_ahead, now)


@pytest.mark.r2
@pytest.mark.soak
def test_expiry_on_r2_keeps_what_is_named_and_deletes_the_rest(r2_settings: Settings) -> None:
    with Lake.open(r2_settings) as lake:
        publish_windows(lake, 3)
        compact(lake)
        rows = published_rows(lake, *COLUMNS)
        expired, deleted = expire_all(lake)
        assert expired >= 3
        assert deleted.files > 3
        assert published_rows(lake, *COLUMNS) == rows
        assert len([key for key in files_of(lake) if key.endswith(".parquet")]) == 1
