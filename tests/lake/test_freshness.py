"""How far behind the event tables are."""

from __future__ import annotations

from datetime import timedelta

from aethex.lake import Lake
from aethex.lake.core import utc_now
from aethex.lake.freshness import freshness
from aethex.lake.landing import land
from aethex.lake.publish import publish
from aethex.lake.windows import watermark
from tests.lake.events import snapshots

HOUR = timedelta(hours=1)


def test_the_lag_is_the_watermark_s_age(lake: Lake) -> None:
    land(lake, snapshots([1]))
    publish(lake)
    reached = watermark(lake.store)
    assert reached is not None
    found = freshness(lake.store, reached + HOUR)
    assert (found.watermark, found.lag_seconds) == (reached, 3600.0)
    assert found.is_late(3599)
    assert not found.is_late(3600)


def test_publishing_nothing_keeps_it_fresh(lake: Lake) -> None:
    publish(lake)
    lag = freshness(lake.store, utc_now()).lag_seconds
    assert lag is not None
    assert lag < 60


def test_before_the_first_publish_what_landed_first_counts(lake: Lake) -> None:
    nothing = freshness(lake.store, utc_now())
    assert (nothing.watermark, nothing.lag_seconds) == (None, None)
    assert not nothing.is_late(0)
    land(lake, snapshots([1]))
    found = freshness(lake.store, utc_now() + HOUR)
    assert found.watermark is None
    assert found.is_late(3599)
