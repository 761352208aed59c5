"""When a refresh starts by itself."""

from __future__ import annotations

import dagster as dg

from aethex.pipelines.jobs import publish_job

refresh_schedule = dg.ScheduleDefinition(
    name="refresh_schedule",
    job=publish_job,
    cron_schedule="0 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour: publish what has landed. The models follow when that is done "
    "(`events_published_sensor`).",
)

SCHEDULES = [refresh_schedule]
