"""What follows from what: the models run after each publish."""

import dagster as dg

from aethex.assets.mart_tables import ONLY_DUE_TAG
from aethex.assets.marts import MARTS
from aethex.lake import Lake
from aethex.lake.due import due
from aethex.pipelines.jobs import models_job, publish_job
from aethex.pipelines.partitions import newest_partition
from aethex.settings import Settings


def request_models(lake: Lake, run_key: str | None = None) -> dg.RunRequest:
    """The run of `models_job` that brings the marts up to date.

    When nothing is due it only says anew how fresh the build is.
    """
    found = due(lake)
    if found.is_empty:
        return dg.RunRequest(run_key=run_key, asset_selection=[dg.AssetKey(MARTS)])
    newest = newest_partition([*found.stream_days, *found.days])
    return dg.RunRequest(run_key=run_key, partition_key=newest, tags=ONLY_DUE_TAG)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[publish_job],
    request_job=models_job,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def events_published_sensor(
    context: dg.RunStatusSensorContext, settings: dg.ResourceParam[Settings]
) -> dg.RunRequest:
    """After each `publish_job`: compute what became due, check it, publish a build."""
    with Lake.open(settings) as lake:
        return request_models(lake, run_key=context.dagster_run.run_id)


SENSORS = [events_published_sensor]
