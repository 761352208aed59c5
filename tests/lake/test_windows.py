from __future__ import annotations

from datetime import datetime, timedelta
from unittest.mock import patch

import pytest

from aethex.lake import Lake, windows
from aethex.lake.landing import land
from aethex.lake.windows import (
    FULL_LOOK_EVERY,
    LOOK_BACK,
    PublishedWindow,
    Window,
    last_published,
    mark_published,
    next_window,
    published_windows,
    read_window,
)
from aethex.store import Store
from tests.lake.events import snapshots

NOW = datetime.fromisoformat("2026-03-04T05:06")


def mark(lake: Lake, window: Window) -> PublishedWindow:
    """The marker of a window, written without publishing anything."""
    counts = {"viewer_snapshots": window.rows}
    marker = PublishedWindow(
        window.n, NOW, window.watermark, window.rows, window.rows, 0, counts, {}
    )
    return mark_published(lake.store, marker)


def keys(window: Window | None) -> list[str]:
    assert window is not None
    return [item.key for item in window.objects]


def test_nothing_landed_makes_no_window(lake: Lake) -> None:
    assert next_window(lake) is None
    assert not list(lake.store.list("lake/windows"))


def test_a_window_lists_what_has_landed_with_sizes_and_rows(lake: Lake) -> None:
    first = land(lake, snapshots(range(3)), now=NOW)
    second = land(lake, snapshots(range(4)), now=NOW + timedelta(hours=1))
    window = next_window(lake, NOW + timedelta(hours=2))
    assert window is not None
    assert keys(window) == [first, second]
    assert [item.rows for item in window.objects] == [3, 4]
    assert [item.size_bytes for item in window.objects] == [
        lake.store.head(key).size_bytes for key in (first, second)
    ]
    assert (window.n, window.watermark) == (1, NOW + timedelta(hours=2))


def test_a_window_that_is_not_published_stays_the_next_one_as_it_is(lake: Lake) -> None:
    land(lake, snapshots(range(3)))
    window = next_window(lake)
    land(lake, snapshots(range(3)))
    assert next_window(lake) == window


def test_an_object_is_in_exactly_one_window(lake: Lake) -> None:
    seen: list[str] = []
    landed: list[str] = []
    for hour in range(5):
        landed.append(land(lake, snapshots([hour]), now=NOW + timedelta(hours=hour)))
        window = next_window(lake, NOW + timedelta(hours=hour))
        assert window is not None
        seen += keys(window)
        mark(lake, window)
    assert seen == landed
    assert next_window(lake, NOW + timedelta(hours=6)) is None


def test_a_late_object_falls_into_the_next_window(lake: Lake) -> None:
    land(lake, snapshots([1]), now=NOW)
    mark(lake, next_window(lake, NOW) or pytest.fail("no window"))
    late = land(lake, snapshots([2]), now=NOW - LOOK_BACK + timedelta(hours=1))
    window = next_window(lake, NOW)
    assert (window and window.n, keys(window)) == (2, [late])


def test_an_object_with_an_ancient_key_is_found_too(lake: Lake) -> None:
    land(lake, snapshots([1]), now=NOW)
    mark(lake, next_window(lake, NOW) or pytest.fail("no window"))
    ancient = land(lake, snapshots([2]), now=NOW - timedelta(days=400))
    assert keys(next_window(lake, NOW)) == [ancient]


def test_in_a_large_lake_an_ancient_key_waits_for_the_daily_full_look(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "CHEAP_OBJECTS", 0)
    land(lake, snapshots([1]), now=NOW)
    mark(lake, next_window(lake, NOW) or pytest.fail("no window"))
    ancient = land(lake, snapshots([2]), now=NOW - timedelta(days=40))
    assert next_window(lake, NOW + timedelta(minutes=5)) is None
    late = land(lake, snapshots([2]), now=NOW - LOOK_BACK + timedelta(hours=1))
    window = next_window(lake, NOW + timedelta(minutes=5))
    assert keys(window) == [late]
    mark(lake, window or pytest.fail("no window"))
    assert keys(next_window(lake, NOW + FULL_LOOK_EVERY)) == [ancient]


def test_windows_are_capped_by_rows_and_lose_nothing(lake: Lake) -> None:
    capped = Lake(lake.settings.model_copy(update={"window_max_rows": 10}), lake.store)
    landed = [
        land(lake, snapshots(range(rows)), now=NOW + timedelta(hours=hour))
        for hour, rows in enumerate([4, 4, 4, 25, 1, 9, 1])
    ]
    sizes: list[int] = []
    found: list[str] = []
    while window := next_window(capped, NOW + timedelta(days=1)):
        sizes.append(window.rows)
        found += keys(window)
        mark(capped, window)
    # 25 rows are one object, which cannot be cut: it is a window of its own
    assert sizes == [8, 4, 25, 10, 1]
    assert found == landed


def test_old_objects_behind_a_full_window_are_found_by_the_next_ones(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "CHEAP_OBJECTS", 0)
    capped = Lake(lake.settings.model_copy(update={"window_max_rows": 2}), lake.store)
    landed = [land(lake, snapshots(range(2)), now=NOW - timedelta(days=9 - i)) for i in range(4)]
    found: list[str] = []
    while window := next_window(capped, NOW):
        found += keys(window)
        mark(capped, window)
    assert found == landed


def test_of_two_that_cut_a_window_at_once_the_loser_takes_the_winners(lake: Lake) -> None:
    land(lake, snapshots([1]))
    winners: list[Window | None] = []
    create = Store.create

    def lose(store: Store, key: str, data: bytes, **options: str) -> object:
        with patch.object(Store, "create", create):
            land(lake, snapshots([2]))
            winners.append(next_window(lake))
        return create(store, key, data, **options)

    with patch.object(Store, "create", lose):
        window = next_window(lake)
    assert window == winners[0]
    assert len(keys(window)) == 2
    assert read_window(lake.store, 2) is None


def test_the_first_marker_of_a_window_stays(lake: Lake) -> None:
    land(lake, snapshots([1]))
    window = next_window(lake)
    assert window is not None
    first = mark(lake, window)
    again = PublishedWindow(1, NOW, NOW, 9, 9, 0, {}, {})
    assert mark_published(lake.store, again) == first


def test_markers_are_read_from_a_number_on(lake: Lake) -> None:
    for _ in range(4):
        land(lake, snapshots([1]))
        mark(lake, next_window(lake) or pytest.fail("no window"))
    assert [marker.n for marker in published_windows(lake)] == [1, 2, 3, 4]
    assert [marker.n for marker in published_windows(lake, after=2)] == [3, 4]
    assert published_windows(lake, after=4) == []


def test_the_last_published_window_is_found_without_and_with_an_old_hint(lake: Lake) -> None:
    for _ in range(12):
        land(lake, snapshots([1]))
        mark(lake, next_window(lake) or pytest.fail("no window"))
    assert last_published(lake.store) == 12
    lake.store.put("lake/windows/head.json", b'{"published": 7}')
    assert last_published(lake.store) == 12
    lake.store.delete(["lake/windows/head.json"])
    assert last_published(lake.store) == 12


def test_objects_that_are_no_parquet_are_left_alone(lake: Lake) -> None:
    lake.store.put("landing/2026/03/04/05/readme.txt", b"hello")
    assert next_window(lake) is None
