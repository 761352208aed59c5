"""The lake's maintenance as an asset: what it did is its history."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from aethex.lake import Lake
from aethex.lake.core import utc_now
from aethex.lake.maintenance import Maintained, TableMaintained, maintain

MAINTENANCE = "maintenance"
ROWS_CHECK = "rows_stay_the_same"
LANDING_CHECK = "landing_is_proven"


@dg.asset(
    name=MAINTENANCE,
    group_name="maintenance",
    kinds={"iceberg"},
    owners=["team:platform"],
    check_specs=[
        dg.AssetCheckSpec(
            ROWS_CHECK,
            asset=MAINTENANCE,
            description="Every table has as many rows as before: maintenance exchanges files.",
        ),
        dg.AssetCheckSpec(
            LANDING_CHECK,
            asset=MAINTENANCE,
            description="No window stopped the clean-up of landing: each whose time had come was "
            "counted from both sides, and added up.",
        ),
    ],
)
def maintenance(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """What keeps the lake fast and small: small files of event tables become few and sorted, past
    states and builds expire, files that nothing names are deleted, landing and quarantine are
    cleaned up.

    Grain: one run an hour, within AETHEX_MAINTENANCE_BUDGET_SECONDS. Source: the tables' files,
    builds, landing and quarantine. Running it again finds less to do; killed anywhere, the next run
    goes on. It changes no row of any table, and deletes landed objects only once their rows are
    proven to be in the tables.
    """
    done = maintain(lake, utc_now(), progress=context.log.info)
    uri = lake.store.uri("lake")
    yield dg.MaterializeResult(metadata={"dagster/uri": uri, **_metadata(done)})
    yield dg.AssetCheckResult(
        check_name=ROWS_CHECK,
        passed=not done.changed_rows,
        metadata={f"{name}, before and after": list(n) for name, n in done.changed_rows.items()},
    )
    yield dg.AssetCheckResult(
        check_name=LANDING_CHECK,
        passed=done.landing_stopped is None,
        metadata={"why it stopped": done.landing_stopped} if done.landing_stopped else {},
    )


def _metadata(done: Maintained) -> dict[str, Any]:
    tables = done.tables.values()
    return {
        "tables": _table_of_tables(done),
        "files before": sum(one.before.files for one in tables),
        "files after": sum(one.after.files for one in tables),
        "rows": sum(one.after.rows for one in tables),
        "bytes": sum(one.after.size_bytes for one in tables),
        "groups compacted": sum(one.groups for one in tables),
        "snapshots expired": sum(one.snapshots_expired for one in tables),
        "builds expired": done.builds_expired,
        "files deleted": sum(one.files_deleted for one in tables),
        "bytes deleted": sum(one.bytes_deleted for one in tables),
        "windows cleaned": done.windows_cleaned,
        "landing objects deleted": done.landing_objects_deleted,
        "quarantine objects deleted": done.quarantine_objects_deleted,
        "is done": done.is_done,
        "seconds": round(done.seconds, 3),
    }


def _table_of_tables(done: Maintained) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [dg.TableRecord(_record(name, one)) for name, one in sorted(done.tables.items())]
    )


def _record(name: str, one: TableMaintained) -> dict[str, str | int]:
    return {
        "table": name,
        "files before": one.before.files,
        "files after": one.after.files,
        "rows": one.after.rows,
        "bytes": one.after.size_bytes,
        "manifests": one.after.manifests,
        "groups compacted": one.groups,
        "snapshots expired": one.snapshots_expired,
        "files deleted": one.files_deleted,
        "bytes deleted": one.bytes_deleted,
    }
