"""What starts by itself, and when.

A tick is skipped while a run of its job waits in the queue: that run takes all that is there when
it starts, and a long run of another writer leaves no queue of runs with nothing to do.
"""

from __future__ import annotations

import dagster as dg

from aethex.pipelines.jobs import maintenance_job, publish_job, vod_cleanup_job

_WAITING = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED]


def _request(context: dg.ScheduleEvaluationContext, job_name: str) -> dg.RunRequest | dg.SkipReason:
    """A run of the job, unless one waits already."""
    waiting = dg.RunsFilter(job_name=job_name, statuses=_WAITING)
    if runs := context.instance.get_runs(waiting, limit=1):
        return dg.SkipReason(f"run {runs[0].run_id} of {job_name} has not begun yet")
    return dg.RunRequest()


@dg.schedule(
    job=publish_job,
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def refresh_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Every 5 minutes: publish what has landed. The models follow when that is done
    (`events_published_sensor`)."""
    return _request(context, publish_job.name)


@dg.schedule(
    job=maintenance_job,
    cron_schedule="17 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def maintenance_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Every hour, at minute 17: compact, expire, clean up."""
    return _request(context, maintenance_job.name)


@dg.schedule(
    job=vod_cleanup_job,
    cron_schedule="41 4 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def vod_cleanup_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Every day at 04:41 UTC: hide expired VODs, delete those that were hidden long enough."""
    return _request(context, vod_cleanup_job.name)


SCHEDULES = [refresh_schedule, maintenance_schedule, vod_cleanup_schedule]
