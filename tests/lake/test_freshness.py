"""How far behind the event tables are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aethex.lake import Lake
from aethex.lake.core import utc_now
from aethex.lake.freshness import Freshness, freshness
from aethex.lake.landing import land
from aethex.lake.publish import publish
from aethex.lake.windows import next_window, watermark
from aethex.settings import Settings
from tests.lake.events import snapshots

HOUR = timedelta(hours=1)


def in_an_hour(lake: Lake) -> Freshness:
    """As an hour from now would find it, were half an hour the limit."""
    return freshness(lake.store, utc_now() + HOUR, 1800)


def test_nothing_that_ever_arrived_is_not_late(lake: Lake) -> None:
    assert freshness(lake.store, utc_now(), 0) == Freshness(None, None, None, is_late=False)
    publish(lake)
    found = in_an_hour(lake)
    assert found.lag_seconds is not None
    assert found.lag_seconds >= 3600
    assert (found.waits_seconds, found.is_late) == (None, False)


def test_what_landed_before_the_first_publish_is_late(lake: Lake) -> None:
    land(lake, snapshots([1]))
    assert not freshness(lake.store, utc_now(), 1800).is_late
    found = in_an_hour(lake)
    assert found.is_late
    assert (found.watermark, found.lag_seconds) == (None, None)


def test_all_that_landed_is_published_so_an_old_watermark_is_not_late(lake: Lake) -> None:
    land(lake, snapshots([1]))
    publish(lake)
    found = in_an_hour(lake)
    assert (found.watermark, found.is_late) == (watermark(lake.store), False)


def test_the_limit_counts_from_the_landing(lake: Lake) -> None:
    land(lake, snapshots([1]))
    publish(lake)
    key = land(lake, snapshots([2]))
    landed_at = lake.store.head(key).modified_at.replace(tzinfo=None)
    at = landed_at + HOUR
    assert freshness(lake.store, at, 3599).is_late
    assert freshness(lake.store, at, 3599).waits_seconds == pytest.approx(3600, abs=0.01)
    assert not freshness(lake.store, at, 3600.01).is_late
    publish(lake)
    assert not in_an_hour(lake).is_late


def test_a_window_that_is_cut_and_not_published_waits(lake: Lake) -> None:
    land(lake, snapshots([1]))
    publish(lake)
    land(lake, snapshots([2]))
    assert next_window(lake) is not None
    assert in_an_hour(lake).is_late


def test_a_young_watermark_needs_no_look_at_landing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake)
    land(lake, snapshots([1]))

    def listing(*_: object, **__: object) -> None:
        raise AssertionError("landing was listed")

    monkeypatch.setattr(lake.store, "list", listing)
    assert not freshness(lake.store, utc_now(), 1800).is_late


@pytest.mark.r2
def test_freshness_on_r2(r2_settings: Settings) -> None:
    with Lake.open(r2_settings) as lake:
        publish(lake)
        assert not in_an_hour(lake).is_late
        land(lake, snapshots([1]))
        assert in_an_hour(lake).is_late
        publish(lake)
        assert not in_an_hour(lake).is_late
