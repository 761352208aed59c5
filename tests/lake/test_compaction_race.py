"""Compaction beside publishers, republishing and itself, and killed at every point."""

from __future__ import annotations

import pytest

from aethex.lake import Lake
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.landing import land
from aethex.lake.publish import publish, republish
from aethex.lake.reconciliation import count_window
from aethex.lake.windows import published_windows
from tests.lake.events import published_minutes, published_rows, snapshots
from tests.lake.keeper import COMPACTING, compact, compactor, file_count, publish_windows
from tests.lake.publisher import publisher
from tests.soak import some_now

COLUMNS = VIEWER_SNAPSHOTS.column_names


@pytest.mark.parametrize("point", some_now(["planned", "files written"], "files written"))
def test_a_publish_that_lands_in_the_middle_is_kept_and_both_get_done(
    lake: Lake, point: str
) -> None:
    publish_windows(lake, 4)
    with compactor(lake.settings, point) as compacting:
        compacting.wait_for(point)
        land(lake, snapshots(range(80, 100), stream_id="st_0"))
        publish(lake)
        compacting.finish()
    assert published_minutes(lake) == list(range(100))
    assert file_count(lake) == 1


@pytest.mark.parametrize(
    "theirs", some_now(["committing", "files written", "before the marker"], "files written")
)
@pytest.mark.parametrize(
    "ours", some_now(["planned", "files written", "exchanged"], "files written")
)
def test_a_publisher_and_a_compaction_that_meet_at_any_point_both_land(
    lake: Lake, ours: str, theirs: str
) -> None:
    publish_windows(lake, 3)
    land(lake, snapshots(range(60, 100), stream_id="st_0"))
    with compactor(lake.settings, ours) as one, publisher(lake.settings, theirs) as other:
        one.wait_for(ours)
        other.wait_for(theirs)
        one.finish()
        other.finish()
    assert published_minutes(lake) == list(range(100))
    assert all(count_window(lake, marker).adds_up for marker in published_windows(lake))


def test_a_republish_that_waits_while_its_rows_are_compacted_is_exact(lake: Lake) -> None:
    publish_windows(lake, 3)
    before = published_rows(lake, *COLUMNS)
    with compactor(lake.settings, "files written") as compacting:
        compacting.wait_for("files written")
        republish(lake, 2)
        compacting.finish()
    assert published_rows(lake, *COLUMNS) == before


def test_two_compactions_at_once_keep_each_row_once(lake: Lake) -> None:
    publish_windows(lake, 4)
    with (
        compactor(lake.settings, "files written") as one,
        compactor(lake.settings, "files written") as other,
    ):
        one.wait_for("files written")
        other.wait_for("files written")
        one.finish()
        other.finish()
    assert published_minutes(lake) == list(range(80))
    assert file_count(lake) == 1


@pytest.mark.parametrize("point", some_now(COMPACTING, "files written", "exchanged"))
def test_a_compaction_killed_at_any_point_leaves_a_good_table(lake: Lake, point: str) -> None:
    publish_windows(lake, 4)
    before = published_rows(lake, *COLUMNS)
    with compactor(lake.settings, point) as killed:
        killed.wait_for(point)
    assert published_rows(lake, *COLUMNS) == before
    assert file_count(lake) == (1 if point in ("exchanged", "one done") else 4)
    compact(lake)
    land(lake, snapshots(range(80, 90), stream_id="st_0"))
    publish(lake)
    assert published_minutes(lake) == list(range(90))
