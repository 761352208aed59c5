"""The mart tables: an asset for every SQL model, partitioned by day.

What belongs here: which days a run computes, in which order, and what it reports. What does not:
the models (`models/<table>/`), running one (`lake.runner`), and the partitions (pipelines).

A run with the tag `aethex/only_due` computes what is due: the days that published windows and
changed records touched since the current build, wherever they lie. Its own partition is the newest
of them; the others are reported beside it, so that a refresh costs what changed and not what lies
between. Any other run (an operator's backfill) computes the days that it names.

A day of an hourly model holds a list for each full hour. Hours are due once publishing has passed
them, so the first refresh after a full hour computes its list; a backfill of a day computes all of
the day's lists again.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from itertools import groupby
from typing import Any

import dagster as dg

from aethex.assets.describe import days_metadata, definition_metadata, links, state_metadata
from aethex.lake import Lake
from aethex.lake.as_of import could_have_rows
from aethex.lake.due import due, full_hours
from aethex.lake.models import Model, Models
from aethex.lake.runner import ModelResult, ModelRunError, run_model
from aethex.lake.windows import watermark

GROUP = "models"
ONLY_DUE_TAG = {"aethex/only_due": "true"}
DECLARED_CHECK = "rows_as_declared"
_HOURLY = ", list by list. A list is due every hour, with the first refresh after it."


def build_mart_table(
    model: Model, models: Models, partitions: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    """The asset of one model. A day of it depends on the same day of the models that it reads;
    channel models read the days before too, which ran earlier in the same run or in one before."""

    @dg.asset(
        name=model.name,
        deps=list(model.reads),
        description=f"{model.description}\n\nGrain: {model.grain}. Partitioned by "
        f"{model.partition_column}; running a day again replaces it"
        f"{_HOURLY if model.hourly else '.'}",
        group_name=GROUP,
        kinds={"duckdb", "iceberg"},
        owners=[f"team:{model.owner}"],
        tags={"keyed_by": model.partition_column},
        metadata=_definition_metadata(model),
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=dg.RetryPolicy(max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL),
        check_specs=list(_check_specs(model)),
    )
    def mart_table(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        results: list[ModelResult] = []
        for span in _spans_to_compute(context, lake, model, models):
            try:
                results.append(run_model(lake, model, span, models=models))
            except ModelRunError as error:
                yield from _check_results(model, len(results), error)
                raise dg.Failure(str(error), allow_retries=False) from error
            context.log.info(f"{model.name} {span}: {results[-1].rows} rows")
        _report_days(context, results)
        yield dg.MaterializeResult(metadata=_metadata(lake, model, results))
        yield from _check_results(model, len(results), None)

    return mart_table


def days_of_run(context: dg.AssetExecutionContext) -> set[date] | None:
    """The days that the run was asked to compute, maybe none; None: whatever is due."""
    tags = context.run.tags
    if ONLY_DUE_TAG.items() <= tags.items():
        return None
    if key := tags.get("dagster/partition"):
        return {date.fromisoformat(key)}
    if first := tags.get("dagster/asset_partition_range_start"):
        last = date.fromisoformat(tags["dagster/asset_partition_range_end"])
        begin = date.fromisoformat(first)
        return {begin + timedelta(days=n) for n in range((last - begin).days + 1)}
    return set()


def _spans_to_compute(
    context: dg.AssetExecutionContext, lake: Lake, model: Model, models: Models
) -> list[date]:
    """Days; of an hourly model hours, in a backfill those of days that can have a list at all."""
    chosen = days_of_run(context)
    if chosen is None:
        return list(due(lake).of(model))
    if model.hourly is None:
        return sorted(chosen)
    known_until = watermark(lake.store)
    days = [day for day in sorted(chosen) if could_have_rows(lake, model, day, models)]
    return [hour for day in days for hour in full_hours(day, known_until)]


def _report_days(context: dg.AssetExecutionContext, results: list[ModelResult]) -> None:
    """What each day got: on its partition's event, which days beside the run's own have to get."""
    own = set(context.partition_keys)
    for of_day in _by_day(results):
        day = of_day[0].day.isoformat()
        hours = [f"{result.hour_at:%H:%M}" for result in of_day if result.hour_at]
        metadata = {
            "dagster/partition_row_count": sum(result.rows for result in of_day),
            "is changed": any(result.is_changed for result in of_day),
            "files read": sum(result.files_read for result in of_day),
            "seconds": round(sum(result.seconds for result in of_day), 3),
            **({"hours": ", ".join(hours)} if hours else {}),
        }
        if day in own:
            context.add_asset_metadata(metadata, partition_key=day)
        else:
            made = dg.AssetMaterialization(context.asset_key, partition=day, metadata=metadata)
            context.log_event(made)


def _by_day(results: list[ModelResult]) -> list[list[ModelResult]]:
    """The results of each day together: one, or one an hour."""
    return [list(group) for _, group in groupby(results, key=lambda result: result.day)]


def _metadata(lake: Lake, model: Model, results: list[ModelResult]) -> dict[str, Any]:
    return {
        "rows computed": sum(result.rows for result in results),
        "days changed": len({result.day for result in results if result.is_changed}),
        "seconds": round(sum(result.seconds for result in results), 3),
        **days_metadata(sorted({result.day for result in results})),
        **state_metadata(lake, model.table),
        **links(lake.settings),
    }


def _definition_metadata(model: Model) -> dict[str, Any]:
    return {
        **definition_metadata(model.table),
        "grain": model.grain,
        "key": ", ".join(model.key),
        "SQL": dg.MetadataValue.md(f"```sql\n{model.sql}\n```"),
    }


def _check_specs(model: Model) -> Iterator[dg.AssetCheckSpec]:
    spec = partial(dg.AssetCheckSpec, asset=model.name, blocking=True)
    yield spec(
        DECLARED_CHECK,
        description=f"Columns and types as declared, required values present, {model.grain}.",
    )
    for check in model.checks:
        if check.when == "run":
            yield spec(check.name, description=check.description)


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
                passed=True,
                metadata={"days checked": days},
            )
        elif spec.name == (error.check.name if error.check else DECLARED_CHECK):
            yield dg.AssetCheckResult(
                check_name=spec.name,
                passed=False,
                metadata={"found": str(error), "days that passed": days},
            )
