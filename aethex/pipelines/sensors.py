"""What follows from what, and what is watched: the models run after each publish, and the check of
freshness is evaluated every minute.
"""

import dagster as dg

from aethex.assets.freshness import freshness_evaluation
from aethex.assets.mart_tables import ONLY_DUE_TAG
from aethex.assets.marts import MARTS
from aethex.lake import Lake
from aethex.lake.core import utc_now
from aethex.lake.due import due
from aethex.pipelines.jobs import models_job, publish_job
from aethex.pipelines.partitions import newest_partition
from aethex.pipelines.work import archive_sensor, dead_runs_sensor
from aethex.settings import Settings
from aethex.store import open_store


def request_models(lake: Lake, run_key: str | None = None) -> dg.RunRequest:
    """The run of `models_job` that brings the marts up to date.

    When nothing is due it only says anew how fresh the build is.
    """
    found = due(lake)
    if found.is_empty:
        return dg.RunRequest(run_key=run_key, asset_selection=[dg.AssetKey(MARTS)])
    newest = newest_partition([*found.stream_days, *found.days] or found.days_of_hours)
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


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def freshness_sensor(settings: dg.ResourceParam[Settings]) -> dg.SensorResult:
    """Every minute: is what was received a while ago published? Reports the check
    `watermark_is_fresh` without a run, so that it turns red also when no run starts any more."""
    evaluation = freshness_evaluation(open_store(settings), settings, utc_now())
    return dg.SensorResult(asset_events=[evaluation])


SENSORS = [events_published_sensor, freshness_sensor, archive_sensor, dead_runs_sensor]
