"""The whole maintenance: in order, within its time, and nothing that anybody needs is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aethex.lake import Lake, scratch
from aethex.lake.analytics import stream_summary
from aethex.lake.build_records import list_builds
from aethex.lake.connections import open_build
from aethex.lake.core import utc_now
from aethex.lake.due import due
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.landing import land
from aethex.lake.maintenance import Maintained, all_tables, maintain, table_state
from aethex.lake.orphan_looks import read_looks
from aethex.lake.publish import publish
from aethex.lake.windows import published_windows
from aethex.settings import Settings
from tests.lake.events import published_minutes, published_rows, snapshots
from tests.lake.marts import (
    MINUTE,
    NOON,
    World,
    grow,
    landed,
    worlds,
)

COLUMNS = VIEWER_SNAPSHOTS.column_names
DAYS = timedelta(days=1)
NAME = VIEWER_SNAPSHOTS.name


built, world = worlds(grow)


def later(lake: Lake, **after: float) -> Maintained:
    """A maintenance so much later."""
    return maintain(lake, utc_now() + timedelta(**after))


def peak(lake: Lake, build: str | None = None) -> int | None:
    with open_build(lake, lake.settings, build) as con:
        return stream_summary(con, "st_1").audience.peak_viewers


def test_young_things_are_left_alone_but_for_small_files(world: World) -> None:
    rows = published_rows(world.lake, *COLUMNS)
    done = later(world.lake)
    assert (done.is_done, done.landing_stopped, done.changed_rows) == (True, None, {})
    table = done.tables[NAME]
    assert (table.before.files, table.after.files, table.groups) == (3, 1, 1)
    assert (table.before.rows, table.after.rows) == (3, 3)
    assert sum(one.files_deleted for one in done.tables.values()) == 0
    assert sum(one.snapshots_expired for one in done.tables.values()) == 0
    assert (done.windows_cleaned, done.builds_expired) == (0, 0)
    assert published_rows(world.lake, *COLUMNS) == rows
    assert set(done.tables) == set(all_tables())


def test_after_a_day_past_states_and_their_files_are_gone(world: World) -> None:
    builds = list_builds(world.lake.store)
    done = later(world.lake, days=3)
    # of three publishes and the compaction, the current build's state and the present one stay
    assert done.tables[NAME].snapshots_expired == 2
    assert len(world.lake.table(VIEWER_SNAPSHOTS).snapshots()) == 2
    assert done.tables[NAME].files_deleted == 2  # lists of manifests; both states share the rest
    assert (done.builds_expired, done.windows_cleaned) == (0, 0)
    assert [peak(world.lake, build) for build in builds] == [10, 20, 30]


def test_after_months_only_the_present_is_left_and_it_goes_on(
    world: World,
) -> None:
    done = later(world.lake, days=90)
    assert (done.builds_expired, done.windows_cleaned, done.landing_objects_deleted) == (2, 3, 3)
    assert len(list_builds(world.lake.store)) == 1
    assert peak(world.lake) == 30
    assert due(world.lake).is_empty
    assert later(world.lake, days=90).builds_expired == 0
    world.count("st_1", NOON + 3 * MINUTE, [70])
    world.refresh()
    assert peak(world.lake) == 70
    assert [marker.n for marker in published_windows(world.lake)] == [1, 2, 3, 4]


def test_a_window_that_is_not_proven_is_reported_and_the_rest_is_done(world: World) -> None:
    world.lake.table(VIEWER_SNAPSHOTS).delete("viewers == 20")
    done = later(world.lake, days=90)
    assert done.landing_stopped is not None
    assert "window 2 does not add up" in done.landing_stopped
    assert (done.windows_cleaned, done.builds_expired) == (1, 2)


def test_without_time_nothing_is_done_and_it_says_so(world: World) -> None:
    hurried = Lake(
        world.lake.settings.model_copy(update={"maintenance_budget_seconds": 1e-6}),
        world.lake.store,
        world.lake.catalog,
    )
    before = table_state(world.lake, VIEWER_SNAPSHOTS)
    done = later(hurried, days=90)
    assert not done.is_done
    assert (done.windows_cleaned, done.tables[NAME].groups) == (0, 0)
    assert table_state(world.lake, VIEWER_SNAPSHOTS) == before


def test_progress_tells_the_steps(world: World) -> None:
    told: list[str] = []
    maintain(world.lake, utc_now() + 90 * DAYS, progress=told.append)
    starts = ["Looking at the tables", "Compacting viewer_snapshots: 0 of 1", "Expiring past"]
    starts += ["Looking for files that nothing names: chat", "Cleaning up landing: window 1 of 3"]
    for start in starts:
        assert any(text.startswith(start) for text in told), start


def test_tables_that_were_just_looked_at_rest(world: World) -> None:
    now = utc_now() + 90 * DAYS
    maintain(world.lake, now)
    looks = read_looks(world.lake.store)
    assert set(looks) == set(all_tables())
    at = looks[NAME].looked_at
    maintain(world.lake, now + timedelta(milliseconds=1))
    assert read_looks(world.lake.store)[NAME].looked_at == at
    maintain(world.lake, now + DAYS)
    assert read_looks(world.lake.store)[NAME].looked_at > at


def test_what_killed_processes_left_on_this_machine_is_swept(world: World) -> None:
    left = world.lake.settings.cache_dir / "scratch" / "1-gone"
    left.mkdir(parents=True)
    left.with_name("1-gone.lock").touch()
    later(world.lake)
    assert not left.exists()
    assert scratch.new_folder(world.lake.settings.cache_dir).parent.is_dir()


@pytest.mark.r2
def test_a_whole_maintenance_on_r2(r2_settings: Settings) -> None:
    with Lake.open(r2_settings) as lake:
        world = World(lake)
        world.stream("st_1", NOON, NOON + 10 * MINUTE)
        for n in range(2):
            land(lake, landed("st_1", NOON + n * MINUTE, [10 * (n + 1)]))
            publish(lake)
            world.refresh()
        done = later(lake, days=90)
        assert (done.is_done, done.changed_rows, done.landing_stopped) == (True, {}, None)
        assert (done.windows_cleaned, done.builds_expired) == (2, 1)
        assert done.tables[NAME].after.files == 1
        assert sum(one.files_deleted for one in done.tables.values()) > 10
        assert list(lake.store.list("landing")) == []
        assert peak(lake) == 20
        land(lake, snapshots([5]))
        publish(lake)
        assert len(published_minutes(lake)) == 3
