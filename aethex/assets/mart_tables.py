"""The mart tables: an asset for every SQL model, partitioned by day.

What belongs here: which days a run computes, in which order, and what it reports. What does not:
the models (`models/<table>/`), running one (`lake.runner`), and the partitions (pipelines).

A run with partitions (an operator's backfill) computes every selected day. A run without computes
what is due: the days that published windows and changed records touched since the current build; it
reports those days as partitions, so that a refresh costs what changed and not what lies between.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any

import dagster as dg

from aethex.assets.describe import days_metadata, definition_metadata, links, state_metadata
from aethex.lake import Lake
from aethex.lake.due import due
from aethex.lake.models import Model, Models
from aethex.lake.runner import ModelResult, ModelRunError, run_model

GROUP = "models"
ONLY_DUE_TAG = "aethex/only_due"
DECLARED_CHECK = "rows_as_declared"


def build_mart_tables(models: Models, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """One step that computes all models in the order of what they read.

    It is one step because they must be computed together: a build takes all of them as they are
    after it.
    """

    @dg.multi_asset(
        name="mart_tables",
        specs=[_spec(model, partitions) for model in models],
        check_specs=[spec for model in models for spec in _check_specs(model)],
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=dg.RetryPolicy(max_retries=1, delay=5),
    )
    def mart_tables(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """Compute all models for the chosen days, or for those that are due."""
        days_of = _days_to_compute(context, lake)
        for model in models:
            results: list[ModelResult] = []
            for day in days_of[model.partition_column]:
                try:
                    results.append(run_model(lake, model, day, models=models))
                except ModelRunError as error:
                    yield from _check_results(model, len(results), error)
                    raise dg.Failure(str(error), allow_retries=False) from error
                context.log.info(f"{model.name} {day}: {results[-1].rows} rows")
            _report_days(context, model, results)
            yield dg.MaterializeResult(
                asset_key=model.name, metadata=_metadata(lake, model, results)
            )
            yield from _check_results(model, len(results), None)

    return mart_tables


def days_of_run(context: dg.AssetExecutionContext) -> set[date] | None:
    """The days that the run was asked to compute; None: whatever is due."""
    tags = context.run.tags
    if tags.get(ONLY_DUE_TAG) == "true":
        return None
    if key := tags.get("dagster/partition"):
        return {date.fromisoformat(key)}
    if first := tags.get("dagster/asset_partition_range_start"):
        last = date.fromisoformat(tags["dagster/asset_partition_range_end"])
        begin = date.fromisoformat(first)
        return {begin + timedelta(days=n) for n in range((last - begin).days + 1)}
    return None


def _days_to_compute(context: dg.AssetExecutionContext, lake: Lake) -> dict[str, list[date]]:
    """The days by partition column: all that the run asks for, else those that are due."""
    chosen = days_of_run(context)
    if chosen is not None:
        return {"stream_day": sorted(chosen), "day": sorted(chosen)}
    found = due(lake)
    return {"stream_day": list(found.stream_days), "day": list(found.days)}


def _report_days(
    context: dg.AssetExecutionContext, model: Model, results: list[ModelResult]
) -> None:
    """What each day got: on its partition's event, which a run without partitions has to make."""
    key = dg.AssetKey(model.name)
    for result in results:
        metadata = {
            "dagster/partition_row_count": result.rows,
            "is changed": result.is_changed,
            "files read": result.files_read,
            "seconds": round(result.seconds, 3),
        }
        day = result.day.isoformat()
        if context.has_partition_key or context.has_partition_key_range:
            context.add_asset_metadata(metadata, asset_key=key, partition_key=day)
        else:
            context.log_event(dg.AssetMaterialization(key, partition=day, metadata=metadata))


def _metadata(lake: Lake, model: Model, results: list[ModelResult]) -> dict[str, Any]:
    return {
        "rows computed": sum(result.rows for result in results),
        "days changed": sum(result.is_changed for result in results),
        "seconds": round(sum(result.seconds for result in results), 3),
        **days_metadata([result.day for result in results]),
        **state_metadata(lake, model.table),
        **links(lake.settings),
    }


def _spec(model: Model, partitions: dg.PartitionsDefinition) -> dg.AssetSpec:
    return dg.AssetSpec(
        model.name,
        deps=list(model.reads),
        group_name=GROUP,
        kinds={"duckdb", "iceberg"},
        owners=[f"team:{model.owner}"],
        tags={"keyed_by": model.partition_column},
        partitions_def=partitions,
        metadata={
            **definition_metadata(model.table),
            "grain": model.grain,
            "key": ", ".join(model.key),
            "SQL": dg.MetadataValue.md(f"```sql\n{model.sql}\n```"),
        },
        description=f"{model.description}\n\nGrain: {model.grain}. Partitioned by "
        f"{model.partition_column}; running a day again replaces it.",
    )


def _check_specs(model: Model) -> Iterator[dg.AssetCheckSpec]:
    spec = partial(dg.AssetCheckSpec, asset=model.name, blocking=True)
    yield spec(
        DECLARED_CHECK,
        description=f"Columns and types as declared, required values present, {model.grain}.",
    )
    for check in model.checks:
        if check.when == "run":
            yield spec(check.name, description=check.description)


def _failed_check(model: Model, error: ModelRunError) -> str:
    names = [check.name for check in model.checks if f"check {check.name} failed" in str(error)]
    return names[0] if names else DECLARED_CHECK


def _check_results(
    model: Model, days: int, error: ModelRunError | None
) -> Iterator[dg.AssetCheckResult]:
    """Each check of the model, run on every computed day; after an error only the one that failed.

    A run stops at the first day with wrong rows, and nothing of that day is kept.
    """
    for spec in _check_specs(model):
        if error is None:
            yield dg.AssetCheckResult(
                check_name=spec.name,
                asset_key=model.name,
                passed=True,
                metadata={"days checked": days},
            )
        elif spec.name == _failed_check(model, error):
            yield dg.AssetCheckResult(
                check_name=spec.name,
                asset_key=model.name,
                passed=False,
                metadata={"found": str(error), "days that passed": days},
            )
