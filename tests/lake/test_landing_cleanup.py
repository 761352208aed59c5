"""Landing's clean-up: proof first, then deletion, whenever it is interrupted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from aethex.lake import Lake
from aethex.lake.core import utc_now
from aethex.lake.due import due
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.landing import land
from aethex.lake.landing_cleanup import (
    CLEANUP_KEY,
    Cleaned,
    Cleanup,
    LandingNotProven,
    clean_landing,
    clean_quarantine,
    read_cleanup,
)
from aethex.lake.publish import LandingGoneError, publish, republish
from aethex.lake.quarantine import QUARANTINE_SCHEMA, quarantine
from aethex.lake.reconciliation import count_window
from aethex.lake.windows import last_published, next_window, published_windows, read_window
from aethex.settings import Settings
from aethex.store import Conflict
from tests.lake.events import published_minutes, snapshots
from tests.lake.keeper import CLEANING, FAR, cleaner
from tests.lake.marts import MINUTE, NOON, World
from tests.saved import lakes
from tests.soak import some_now


def fill(lake: Lake) -> None:
    """Three published windows of two objects each; each window repeats some rows of the one
    before.
    """
    for n in range(3):
        land(lake, snapshots(range(n * 20, n * 20 + 15)))
        land(lake, snapshots(range(n * 20 + 10, n * 20 + 25)))
        publish(lake)


kept, filled = lakes(fill)


MINUTES = list(range(65))


def landed_keys(lake: Lake) -> list[str]:
    return [info.key for info in lake.store.list("landing")]


def keys_of(lake: Lake, n: int) -> list[str]:
    window = read_window(lake.store, n)
    assert window is not None
    return [item.key for item in window.objects]


def test_windows_that_add_up_lose_their_objects_and_the_tables_no_row(filled: Lake) -> None:
    assert clean_landing(filled, FAR) == Cleaned((1, 2, 3), 6)
    assert landed_keys(filled) == []
    assert published_minutes(filled) == MINUTES
    assert read_cleanup(filled.store)[0] == Cleanup(proven=3, deleted=3)
    assert clean_landing(filled, FAR) == Cleaned((), 0)


def test_young_windows_keep_their_objects(filled: Lake) -> None:
    second = published_windows(filled)[1]
    assert clean_landing(filled, second.published_at).windows == (1,)
    assert landed_keys(filled) == sorted([*keys_of(filled, 2), *keys_of(filled, 3)])


def test_what_has_landed_and_is_not_published_stays(filled: Lake) -> None:
    key = land(filled, snapshots([100]))
    clean_landing(filled, FAR)
    assert next_window(filled) is not None  # cut, and not published
    clean_landing(filled, FAR)
    assert landed_keys(filled) == [key]
    publish(filled)
    assert published_minutes(filled) == [*MINUTES, 100]


def test_a_window_that_does_not_add_up_stops_it_and_is_named(filled: Lake) -> None:
    filled.table(VIEWER_SNAPSHOTS).delete("viewers == 27")  # a row of the second window
    with pytest.raises(LandingNotProven, match="window 2 does not add up: 1 of 2 objects") as stop:
        clean_landing(filled, FAR)
    assert stop.value.done == Cleaned((1,), 2)
    assert landed_keys(filled) == sorted([*keys_of(filled, 2), *keys_of(filled, 3)])
    republish(filled, 2)
    assert clean_landing(filled, FAR).windows == (2, 3)
    assert published_minutes(filled) == MINUTES


def test_a_marker_that_was_tampered_with_stops_it(filled: Lake) -> None:
    marker = "lake/windows/0000000001.published.json"
    said = json.loads(filled.store.get(marker))
    said["objects"][1]["rows_out"] += 1
    filled.store.put(marker, json.dumps(said).encode())
    with pytest.raises(LandingNotProven, match="window 1"):
        clean_landing(filled, FAR)
    assert len(landed_keys(filled)) == 6


def test_a_window_that_lost_some_objects_is_not_guessed_at(filled: Lake) -> None:
    first, second = keys_of(filled, 1)
    filled.store.delete([first])
    with pytest.raises(LandingNotProven, match=rf"window 1 has lost 1 of its 2 .*{second}"):
        clean_landing(filled, FAR)
    filled.store.delete([second])  # what the message asks for
    assert clean_landing(filled, FAR).windows == (1, 2, 3)


def test_republishing_a_cleaned_window_is_refused_with_the_reason(filled: Lake) -> None:
    clean_landing(filled, FAR)
    with pytest.raises(LandingGoneError, match="AETHEX_LANDING_KEEP_DAYS"):
        republish(filled, 2)
    assert published_minutes(filled) == MINUTES


def test_publishing_goes_on_and_late_objects_of_old_hours_survive(filled: Lake) -> None:
    old_hour = datetime.fromisoformat("2020-01-05T13:30")
    late = land(filled, snapshots([200]), now=old_hour)
    clean_landing(filled, FAR)
    assert landed_keys(filled) == [late]
    (marker,) = publish(filled)
    assert (marker.n, marker.rows_out) == (4, 1)
    land(filled, snapshots([30, 201]))  # a copy of an event whose landing is gone
    (marker,) = publish(filled)
    assert (marker.rows_out, marker.duplicates) == (1, 1)
    assert published_minutes(filled) == [*MINUTES, 200, 201]
    assert [count_window(filled, m).is_gone for m in published_windows(filled)] == [
        *[True] * 3,
        *[False] * 2,
    ]
    assert all(count_window(filled, m).adds_up for m in published_windows(filled))
    assert clean_landing(filled, FAR).windows == (4, 5)
    assert last_published(filled.store) == 5


def test_what_is_due_does_not_need_landing(lake: Lake) -> None:
    world = World(lake)
    world.stream("st_1", NOON, NOON + 10 * MINUTE)
    world.count("st_1", NOON, [1, 2, 3])
    clean_landing(lake, FAR)
    first = world.refresh()
    assert first.build.tables["stream_samples"].rows == 3
    assert due(lake).is_empty


def test_when_time_is_over_it_stops_between_two_windows(filled: Lake) -> None:
    asked: list[int] = []

    def is_over() -> bool:
        asked.append(1)
        return len(asked) > 2

    told: list[tuple[int, int]] = []
    done = clean_landing(filled, FAR, is_over=is_over, progress=lambda *step: told.append(step))
    assert done == Cleaned((1, 2), 4)
    assert told == [(1, 3), (2, 3)]
    assert clean_landing(filled, FAR).windows == (3,)


@pytest.mark.parametrize("point", some_now(CLEANING, "proven", "first deleted"))
def test_a_clean_up_killed_at_any_point_is_finished_by_the_next(filled: Lake, point: str) -> None:
    with cleaner(filled.settings, point) as killed:
        killed.wait_for(point)
    assert published_minutes(filled) == MINUTES
    state = read_cleanup(filled.store)[0]
    assert state.deleted <= state.proven <= state.deleted + 1
    # the proof of a window that was proven is not asked for again: it may be half deleted
    clean_landing(filled, FAR)
    assert landed_keys(filled) == []
    assert read_cleanup(filled.store)[0] == Cleanup(3, 3)


def test_a_proven_window_whose_objects_are_half_gone_is_deleted_without_a_new_proof(
    filled: Lake,
) -> None:
    filled.store.put(CLEANUP_KEY, b'{"proven": 1, "deleted": 0}')
    filled.store.delete(keys_of(filled, 1)[:1])
    assert clean_landing(filled, FAR).windows == (1, 2, 3)
    assert landed_keys(filled) == []


def test_of_two_clean_ups_at_once_one_stops_and_nothing_is_lost(filled: Lake) -> None:
    with cleaner(filled.settings, "proven") as one:
        one.wait_for("proven")
        clean_landing(filled, FAR)
        with pytest.raises(AssertionError):
            one.finish()  # it ends with Conflict
    assert read_cleanup(filled.store)[0] == Cleanup(3, 3)
    assert published_minutes(filled) == MINUTES
    with pytest.raises(Conflict):
        filled.store.replace(CLEANUP_KEY, b"{}", if_match="stale")


def refused(lake: Lake, at: datetime) -> str:
    row = {
        "received_at": at.replace(tzinfo=UTC),
        "sender": "player",
        "reason": "no",
        "event": "{}",
    }
    return quarantine(lake.store, pa.Table.from_pylist([row], schema=QUARANTINE_SCHEMA), at)


def test_quarantine_goes_by_its_hour(lake: Lake) -> None:
    now = utc_now()
    keys = [refused(lake, now - timedelta(days=days)) for days in (40, 31, 30, 2, 0)]
    assert clean_quarantine(lake.store, now - timedelta(days=30)) == 2
    assert [info.key for info in lake.store.list("quarantine")] == sorted(keys[2:])
    assert clean_quarantine(lake.store, now - timedelta(days=30)) == 0
    assert clean_quarantine(lake.store, FAR, is_over=lambda: True) == 0


@pytest.mark.r2
@pytest.mark.soak
def test_cleaning_up_on_r2(r2_settings: Settings) -> None:
    with Lake.open(r2_settings) as lake:
        for n in range(2):
            land(lake, snapshots(range(n * 10, n * 10 + 15)))
            publish(lake)
        refused(lake, datetime.fromisoformat("2020-01-01"))
        assert clean_landing(lake, FAR) == Cleaned((1, 2), 2)
        assert clean_quarantine(lake.store, FAR) == 1
        assert landed_keys(lake) == []
        assert published_minutes(lake) == list(range(25))
