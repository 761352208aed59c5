"""Publishers in processes of their own, racing and killed; any order and repetition of events."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aethex.lake import Lake
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.landing import land
from aethex.lake.publish import publish
from aethex.lake.windows import last_published, published_windows
from tests.lake.events import (
    RECEIVED,
    landed,
    published_minutes,
    published_rows,
    snapshot,
    snapshots,
)
from tests.lake.publisher import POINTS, publisher
from tests.soak import some_now


@pytest.mark.parametrize(
    "point", some_now(POINTS, "before cutting", "files written", "committed", "before the marker")
)
def test_a_publisher_killed_at_any_point_leaves_rows_that_the_next_one_completes(
    lake: Lake, point: str
) -> None:
    land(lake, snapshots(range(60)))
    publish(lake)
    land(lake, snapshots(range(40, 100)))
    with publisher(lake.settings, point) as killed:
        killed.wait_for(point)
    # what readers see in between is all of the window or nothing of it
    assert len(published_minutes(lake)) in (60, 100)
    land(lake, snapshots(range(90, 120)))
    publish(lake)
    assert published_minutes(lake) == list(range(120))
    windows_of_rows = {n for (n,) in published_rows(lake, "landing_window")}
    numbers = [1, 2] if point == "before cutting" else [1, 2, 3]
    assert sorted(windows_of_rows) == numbers
    assert [marker.n for marker in published_windows(lake)] == numbers


@pytest.mark.parametrize(
    "point",
    some_now(
        ["before cutting", "committing", "files written", "before the marker"],
        *("before cutting", "files written"),
    ),
)
def test_two_publishers_that_meet_at_any_point_bring_the_rows_once(lake: Lake, point: str) -> None:
    land(lake, snapshots(range(60)))
    with publisher(lake.settings, point) as one, publisher(lake.settings, point) as other:
        one.wait_for(point)
        other.wait_for(point)
        one.go_on()
        other.finish()
        one.finish()
    assert published_minutes(lake) == list(range(60))
    assert last_published(lake.store) == 1


def test_a_publisher_that_wakes_up_windows_later_changes_nothing(lake: Lake) -> None:
    land(lake, snapshots(range(60)))
    with publisher(lake.settings, "files written") as stale:
        stale.wait_for("files written")
        publish(lake)
        land(lake, snapshots(range(40, 100)))
        publish(lake)
        before = published_rows(lake, *VIEWER_SNAPSHOTS.column_names)
        stale.finish()
    assert published_rows(lake, *VIEWER_SNAPSHOTS.column_names) == before
    assert published_minutes(lake) == list(range(100))


def test_a_publisher_killed_again_and_again_ends_with_each_row_once(lake: Lake) -> None:
    chance = random.Random(7)
    for turn in range(6):
        land(lake, snapshots(range(turn * 20, turn * 20 + 30)))
        point = chance.choice(POINTS)
        with publisher(lake.settings, point) as killed:
            killed.wait_for(point)
    publish(lake)
    assert published_minutes(lake) == list(range(130))


events_sent = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=8
)  # minute of the event, seconds after which it was received
cut_into_windows = st.lists(st.lists(events_sent, min_size=1, max_size=3), min_size=1, max_size=3)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sent=cut_into_windows)
def test_any_order_repetition_and_cutting_publishes_each_event_once(
    lake: Lake, sent: list[list[list[tuple[int, int]]]]
) -> None:
    """The lake stays the same between examples: each example has a stream of its own."""
    stream_id = f"st_{last_published(lake.store)}"
    expected: dict[int, tuple[int, int]] = {}  # minute -> window, viewers
    for number, window in enumerate(sent):
        copies: dict[int, list[tuple[int, int]]] = {}
        for position, batch in enumerate(window):
            land_batch(lake, stream_id, batch, position)
            for index, (minute, delay) in enumerate(batch):
                copies.setdefault(minute, []).append((delay, position * 100 + index))
        for minute, found in copies.items():
            expected.setdefault(minute, (number, min(found)[1]))
        publish(lake)
    rows = published_rows(lake, "stream_id", "occurred_at", "viewers")
    mine = sorted((at, viewers) for stream, at, viewers in rows if stream == stream_id)
    assert mine == sorted(
        (snapshot(minute)["occurred_at"], viewers) for minute, (_, viewers) in expected.items()
    )


def land_batch(lake: Lake, stream_id: str, batch: list[tuple[int, int]], position: int) -> None:
    """One object; an event's viewers say where it stood, so that the kept copy can be told."""
    land(
        lake,
        landed(
            snapshot(
                minute,
                viewers=position * 100 + index,
                stream_id=stream_id,
                received_at=RECEIVED + timedelta(seconds=delay),
            )
            for index, (minute, delay) in enumerate(batch)
        ),
    )
