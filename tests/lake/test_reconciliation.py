"""Counting a window from both sides: what publishing does adds up, tampering does not."""

from __future__ import annotations

from dataclasses import replace

from aethex.lake import Lake
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.landing import land
from aethex.lake.publish import publish
from aethex.lake.reconciliation import WindowCount, count_window
from aethex.lake.windows import published_windows
from tests.lake.events import landed, snapshot, snapshots


def counts(lake: Lake) -> list[WindowCount]:
    return [count_window(lake, marker) for marker in published_windows(lake)]


def test_objects_that_overlap_and_repeat_add_up_one_by_one(lake: Lake) -> None:
    land(lake, snapshots(range(10)))
    land(lake, snapshots(range(5, 20)))
    publish(lake)
    land(lake, landed([snapshot(19), snapshot(20), snapshot(20)]))
    publish(lake)
    first, second = counts(lake)
    assert first.adds_up
    assert [(item.rows, item.brought, item.duplicates) for item in first.objects] == [
        (10, 10, 0),
        (15, 10, 5),
    ]
    assert second.adds_up
    assert [(item.rows, item.brought, item.events) for item in second.objects] == [(3, 1, 2)]


def test_a_row_that_is_gone_is_found_in_the_window_that_brought_it(lake: Lake) -> None:
    land(lake, snapshots(range(10)))
    publish(lake)
    land(lake, snapshots(range(10, 20)))
    publish(lake)
    lake.table(VIEWER_SNAPSHOTS).delete("viewers == 3")
    assert [count.adds_up for count in counts(lake)] == [False, True]


def test_a_row_that_is_there_twice_is_found(lake: Lake) -> None:
    land(lake, snapshots(range(10)))
    publish(lake)
    table = lake.table(VIEWER_SNAPSHOTS)
    table.append(table.scan(row_filter="viewers == 3").to_arrow().cast(table.schema().as_arrow()))
    (count,) = counts(lake)
    assert not count.adds_up
    assert [(item.events, item.once) for item in count.objects] == [(10, 9)]


def test_a_marker_that_says_otherwise_is_found(lake: Lake) -> None:
    land(lake, snapshots(range(10)))
    publish(lake)
    (marker,) = published_windows(lake)
    wrong = tuple(replace(item, rows_out=9) for item in marker.objects)
    assert count_window(lake, marker).adds_up
    assert not count_window(lake, replace(marker, objects=wrong)).adds_up


def test_a_window_whose_landing_was_cleaned_up_cannot_be_judged(lake: Lake) -> None:
    key = land(lake, snapshots(range(10)))
    publish(lake)
    lake.store.delete([key])
    (count,) = counts(lake)
    assert count.is_gone
    assert count.adds_up
