"""The dimension tables: the library's records as the models read them."""

from collections.abc import Iterator

import dagster as dg

from aethex.assets.describe import days_metadata, definition_metadata, state_metadata
from aethex.assets.sources import LIBRARY
from aethex.lake import Lake
from aethex.lake.core import utc_now
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.dims import snapshot_dim
from aethex.lake.tables import Table
from aethex.library import Library
from aethex.library.snapshot import snapshot_rows


def _spec(table: Table) -> dg.AssetSpec:
    return dg.AssetSpec(
        table.name,
        deps=[LIBRARY],
        group_name="dims",
        kinds={"iceberg"},
        owners=["team:platform"],
        metadata=definition_metadata(table),
        description=f"{table.doc}\n\nGrain: one row per version of a record, with the time it held "
        "([valid_from, valid_to), null: current). Source: the library, read in one transaction. "
        "Running it again without a change in the library writes nothing.",
    )


@dg.multi_asset(
    name="dims",
    specs=[_spec(table) for table in DIM_TABLES.values()],
    can_subset=True,
    retry_policy=dg.RetryPolicy(max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL),
)
def dims(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    library: dg.ResourceParam[Library],
) -> Iterator[dg.MaterializeResult]:
    """Snapshot the library's channels, streams, stream segments, categories and VODs."""
    with library.session() as session:
        now = utc_now()
        rows = snapshot_rows(session)
    counts = {f"rows of {name}": len(found) for name, found in rows.items()}
    context.log_event(dg.AssetObservation(LIBRARY.key, metadata=counts))
    for name, table in DIM_TABLES.items():
        if dg.AssetKey(name) not in context.selected_asset_keys:
            continue
        change = snapshot_dim(lake, table, rows[name], now)
        yield dg.MaterializeResult(
            asset_key=name,
            metadata={
                "added": change.added,
                "changed": change.changed,
                "closed": change.closed,
                **{f"stream {key}": v for key, v in days_metadata(change.stream_days).items()},
                **state_metadata(lake, table),
            },
        )
