"""The event tables, which publishing fills from landing: all of them in one step."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from aethex.assets.describe import (
    days_metadata,
    definition_metadata,
    instant,
    state_metadata,
)
from aethex.assets.freshness import FRESHNESS_SPEC, freshness_result
from aethex.assets.sources import LANDING
from aethex.lake import Lake
from aethex.lake.build_records import current_build
from aethex.lake.core import utc_now
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.publish import PublishStep, publish
from aethex.lake.reconciliation import WindowCount, count_window
from aethex.lake.tables import Table
from aethex.lake.windows import PublishedWindow, published_windows, watermark

CHECK = "counts_in_equal_counts_out"
_SHOWN_OBJECTS = 20


def _spec(table: Table) -> dg.AssetSpec:
    return dg.AssetSpec(
        table.name,
        deps=[LANDING],
        group_name="events",
        kinds={"iceberg"},
        owners=["team:platform"],
        metadata=definition_metadata(table),
        description=f"{table.doc}\n\nGrain: one row per event. Source: landing, cut into windows "
        "of immutable objects. Running it publishes what has landed since; running it again, or "
        "twice at once, changes nothing.",
    )


@dg.multi_asset(
    name="event_tables",
    specs=[_spec(table) for table in EVENT_TABLES.values()],
    retry_policy=dg.RetryPolicy(max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL),
    check_specs=[
        dg.AssetCheckSpec(
            CHECK,
            asset=table.name,
            blocking=True,
            description="For each landing object since the current build: its rows = rows that it "
            "brought + events that were there already, and each of its events is in a table "
            "exactly once. Counted anew from both sides.",
        )
        for table in EVENT_TABLES.values()
    ]
    + [FRESHNESS_SPEC],
)
def event_tables(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Publish what has landed into the event tables."""

    def tell(step: PublishStep) -> None:
        context.log.info(f"window {step.n}: {step.stage} {step.table or ''} {step.rows} rows")

    published = publish(lake, progress=tell)
    context.log_event(_landing_seen(published))
    for table in EVENT_TABLES.values():
        metadata = {**_metadata(lake, published, table), **state_metadata(lake, table)}
        yield dg.MaterializeResult(asset_key=table.name, metadata=metadata)
    yield freshness_result(lake.store, lake.settings, utc_now())
    yield from _checks(lake)


def _checks(lake: Lake) -> Iterator[dg.AssetCheckResult]:
    """The check of every table: all pass, or all fail, as an object's rows go to several."""
    build = current_build(lake.store)
    counts = [count_window(lake, m) for m in published_windows(lake, build.window if build else 0)]
    metadata = _counted(counts)
    for table in EVENT_TABLES.values():
        yield dg.AssetCheckResult(
            asset_key=table.name,
            check_name=CHECK,
            passed=all(count.adds_up for count in counts),
            metadata=metadata,
        )


def _counted(counts: Sequence[WindowCount]) -> dict[str, Any]:
    wrong = [count for count in counts if not count.adds_up]
    objects = [vars(item) for count in wrong for item in count.objects if not item.adds_up]
    return {
        "windows": [count.n for count in counts],
        "objects": sum(len(count.objects) for count in counts),
        "landed rows": sum(count.landed_rows for count in counts),
        "table rows": sum(count.table_rows for count in counts),
        "duplicates": sum(count.duplicates for count in counts),
        "windows that do not add up": [count.n for count in wrong],
        "objects that do not add up": objects[:_SHOWN_OBJECTS],
    }


def _landing_seen(published: Sequence[PublishedWindow]) -> dg.AssetObservation:
    windows = [marker.n for marker in published]
    rows = sum(marker.rows_in for marker in published)
    return dg.AssetObservation(LANDING.key, metadata={"windows cut": windows, "rows taken": rows})


def _metadata(lake: Lake, published: Sequence[PublishedWindow], table: Table) -> dict[str, Any]:
    """What a run brought into one table; what concerns the windows as a whole stands at each."""
    days = {day for marker in published for day in marker.days.get(table.name, ())}
    metadata: dict[str, Any] = {
        "windows": [marker.n for marker in published],
        "rows": sum(marker.tables.get(table.name, 0) for marker in published),
        "rows of all tables": sum(marker.rows_out for marker in published),
        "rows in": sum(marker.rows_in for marker in published),
        "duplicates": sum(marker.duplicates for marker in published),
        **days_metadata(sorted(days)),
    }
    if reached := watermark(lake.store):
        metadata["watermark"] = instant(reached)
    return metadata
