"""The check that turns red when the event tables fall behind.

What belongs here: the check and its words. What does not: when it is evaluated (each publish here,
and a sensor of the pipelines, so that it turns red also when nothing publishes any more).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import dagster as dg

from aethex.assets.describe import instant
from aethex.lake.event_tables import PLAYBACK_EVENTS
from aethex.lake.freshness import freshness
from aethex.settings import Settings
from aethex.store import Store

FRESHNESS_CHECK = "watermark_is_fresh"

FRESHNESS_SPEC = dg.AssetCheckSpec(
    FRESHNESS_CHECK,
    asset=PLAYBACK_EVENTS.name,
    description="What landed AETHEX_WATERMARK_LATE_SECONDS ago is published. Evaluated by each "
    "publish, and every minute by `freshness_sensor`.",
)


def freshness_result(store: Store, settings: Settings, now: datetime) -> dg.AssetCheckResult:
    """The check at `now` (naive UTC), as a run reports it."""
    limit = settings.watermark_late_seconds
    found = freshness(store, now, limit)
    metadata: dict[str, Any] = {"late above, in seconds": limit}
    if found.watermark is not None:
        metadata["watermark"] = instant(found.watermark)
    if found.lag_seconds is not None:
        metadata["lag seconds"] = round(found.lag_seconds, 1)
    if found.waits_seconds is not None:
        metadata["waiting for seconds"] = round(found.waits_seconds, 1)
    if found.is_late:
        metadata["what to do"] = dg.MetadataValue.md(_REMEDY)
    return dg.AssetCheckResult(
        asset_key=PLAYBACK_EVENTS.name,
        check_name=FRESHNESS_CHECK,
        passed=not found.is_late,
        metadata=metadata,
    )


def freshness_evaluation(
    store: Store, settings: Settings, now: datetime
) -> dg.AssetCheckEvaluation:
    """The same, as it is reported without a run."""
    result = freshness_result(store, settings, now)
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(PLAYBACK_EVENTS.name),
        check_name=FRESHNESS_CHECK,
        passed=result.passed,
        metadata=result.metadata,
    )


_REMEDY = """Events wait that should be published by now.
1. *Runs*: does `publish_job` fail? Its first failed step says why. Does it wait behind another run
   that writes to the lake? That one may be stuck: terminate it, nothing is lost.
2. *Automation*: is `refresh_schedule` on, and does the daemon run (*Deployment*)?
3. `aethex pipeline refresh` publishes now, and says in one line what is wrong.
"""
