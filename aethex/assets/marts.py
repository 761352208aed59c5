"""The build: all mart tables together, as readers get them."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from aethex.assets.describe import instant, links
from aethex.assets.mart_tables import days_of_run
from aethex.lake import Lake
from aethex.lake.build_records import CURRENT_KEY, Build, current_build
from aethex.lake.builds import BuildFailed, publish_build
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.due import Due, due
from aethex.lake.models import Check, Model, Models

MARTS = "marts"


def build_marts(models: Models) -> dg.AssetsDefinition:
    """The asset that publishes a build of these models' tables and the dims."""

    @dg.asset(
        name=MARTS,
        deps=[*(model.name for model in models), *DIM_TABLES],
        group_name=MARTS,
        kinds={"parquet"},
        owners=["team:platform"],
        check_specs=[_check_spec(model, check) for model, check in _build_checks(models)],
        retry_policy=dg.RetryPolicy(max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL),
    )
    def marts(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """The current build: snapshot and files of every mart and dim table, consistent together.

        Grain: one record per build, `marts/current.json`. It is published only when all checks
        pass; otherwise readers keep the one before. Running it again without a change keeps the
        build and says anew how fresh it is.
        """
        before = current_build(lake.store)
        found = due(lake, models)
        if left := _left_to_compute(context, found, models):
            raise dg.Failure(f"not published: {left} {_REMEDY}", allow_retries=False)
        try:
            build = publish_build(lake, found, models=models)
        except BuildFailed as error:
            yield from _check_results(models, error)
            raise dg.Failure(str(error), allow_retries=False) from error
        yield dg.MaterializeResult(metadata=_metadata(lake, before, build))
        yield from _check_results(models, None)

    return marts


_REMEDY = "due days are not computed by this run; a refresh computes them and publishes"


def _left_to_compute(context: dg.AssetExecutionContext, found: Due, models: Models) -> int:
    """How many due days this run did not compute: a build must not claim to have them."""
    selected = context.run.asset_selection
    has_all_models = not selected or {dg.AssetKey(m.name) for m in models} <= selected
    computed = days_of_run(context) if has_all_models else set[date]()
    if computed is None:
        return 0
    days = sum(len(set(one.days) - computed) for one in found.models)
    return days + len(set(found.days_of_hours) - computed)


def _build_checks(models: Models) -> Iterator[tuple[Model, Check]]:
    return ((model, check) for model in models for check in model.checks if check.when == "build")


def _check_name(model: Model, check: Check) -> str:
    return f"{model.name}_{check.name}"


def _check_spec(model: Model, check: Check) -> dg.AssetCheckSpec:
    name = _check_name(model, check)
    return dg.AssetCheckSpec(name, asset=MARTS, blocking=True, description=check.description)


def _check_results(models: Models, error: BuildFailed | None) -> Iterator[dg.AssetCheckResult]:
    """All checks of the build; after an error only the one that failed, if it was a check."""
    for model, check in _build_checks(models):
        is_failed = error is not None and error.check is check
        if error is None or is_failed:
            yield dg.AssetCheckResult(
                check_name=_check_name(model, check),
                passed=not is_failed,
                metadata={"found": str(error)} if is_failed else {},
            )


def _metadata(lake: Lake, before: Build | None, build: Build) -> dict[str, Any]:
    files = {file for table in build.tables.values() for file in table.files}
    known = {file for table in before.tables.values() for file in table.files} if before else set()
    metadata: dict[str, Any] = {
        "build": build.id,
        "is new": before is None or before.id != build.id,
        "window": build.window,
        "tables": _table_of_tables(build),
        "dagster/row_count": build.rows,
        "files": len(files),
        "bytes": sum(file.size_bytes for file in files),
        "new bytes for readers": sum(file.size_bytes for file in files - known),
        "dagster/uri": lake.store.uri(CURRENT_KEY),
        **links(lake.settings),
    }
    if build.fresh_until:
        metadata["fresh until"] = instant(build.fresh_until)
    return metadata


def _table_of_tables(build: Build) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "table": name,
                    "rows": table.rows,
                    "files": len(table.files),
                    "bytes": sum(file.size_bytes for file in table.files),
                    "snapshot": str(table.snapshot_id or "none"),
                }
            )
            for name, table in sorted(build.tables.items())
        ]
    )
