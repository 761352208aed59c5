"""The event table that publishing fills from landing."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from aethex.assets.describe import days_metadata, definition_metadata, instant, state_metadata
from aethex.assets.reconciliation import count_window
from aethex.assets.sources import LANDING
from aethex.lake import Lake
from aethex.lake.build_records import current_build
from aethex.lake.core import utc_now
from aethex.lake.publish import PublishStep, publish
from aethex.lake.tables import VIEWER_SNAPSHOTS
from aethex.lake.windows import PublishedWindow, last_published, published_windows

LAST_WINDOW = "last window"
LOOKED_AT = "landing looked at"
CHECK = "rows_in_equal_rows_out_and_duplicates"


@dg.asset(
    name=VIEWER_SNAPSHOTS.name,
    deps=[LANDING],
    group_name="events",
    kinds={"iceberg"},
    owners=["team:platform"],
    metadata=definition_metadata(VIEWER_SNAPSHOTS),
    retry_policy=dg.RetryPolicy(max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL),
    check_specs=[
        dg.AssetCheckSpec(
            CHECK,
            asset=VIEWER_SNAPSHOTS.name,
            blocking=True,
            description="For each window since the current build: rows of its landing objects = "
            "rows in the event tables + events that were there already.",
        )
    ],
)
def viewer_snapshots(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """How many people watched a stream at one instant, as providers and imported files say.

    Grain: one row per event. Source: landing, cut into windows of immutable objects. Running it
    publishes what has landed since; running it again, or twice at once, changes nothing.
    """

    def tell(step: PublishStep) -> None:
        context.log.info(f"window {step.n}: {step.stage} {step.table or ''} {step.rows} rows")

    looked_at = utc_now()
    published = publish(lake, progress=tell)
    context.log_event(_landing_seen(published))
    looked = {LAST_WINDOW: last_published(lake.store), LOOKED_AT: instant(looked_at)}
    yield dg.MaterializeResult(metadata={**_metadata(lake, published), **looked})
    yield _check(lake)


def _check(lake: Lake) -> dg.AssetCheckResult:
    build = current_build(lake.store)
    counts = [count_window(lake, m) for m in published_windows(lake, build.window if build else 0)]
    wrong = [count for count in counts if not count.adds_up]
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not wrong,
        metadata={
            "windows": [count.n for count in counts],
            "landed rows": sum(count.landed_rows or 0 for count in counts),
            "table rows": sum(count.table_rows for count in counts),
            "duplicates": sum(count.duplicates for count in counts),
            "windows that do not add up": [vars(count) for count in wrong],
        },
    )


def looked_at(instance: dg.DagsterInstance) -> tuple[int, datetime] | None:
    """Up to which window everything was published at which time (naive UTC), by the last run.

    It says how fresh the marts are when nothing new has landed since.
    """
    event = instance.get_latest_materialization_event(dg.AssetKey(VIEWER_SNAPSHOTS.name))
    made = event.asset_materialization if event else None
    if made is None or LAST_WINDOW not in made.metadata:
        return None
    window, seconds = made.metadata[LAST_WINDOW].value, made.metadata[LOOKED_AT].value
    if not isinstance(window, int) or not isinstance(seconds, float):
        return None
    return window, datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _landing_seen(published: Sequence[PublishedWindow]) -> dg.AssetObservation:
    windows = [marker.n for marker in published]
    rows = sum(marker.rows_in for marker in published)
    return dg.AssetObservation(LANDING.key, metadata={"windows cut": windows, "rows taken": rows})


def _metadata(lake: Lake, published: Sequence[PublishedWindow]) -> dict[str, Any]:
    days = {day for marker in published for touched in marker.days.values() for day in touched}
    metadata = {
        "windows": [marker.n for marker in published],
        "rows in": sum(marker.rows_in for marker in published),
        "rows out": sum(marker.rows_out for marker in published),
        "duplicates": sum(marker.duplicates for marker in published),
        **days_metadata(sorted(days)),
        **state_metadata(lake, VIEWER_SNAPSHOTS),
    }
    if published:
        metadata["watermark"] = instant(published[-1].watermark)
    return metadata
