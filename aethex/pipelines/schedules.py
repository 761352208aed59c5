"""What starts by itself, and when."""

from __future__ import annotations

import dagster as dg

from aethex.pipelines.jobs import maintenance_job, publish_job

refresh_schedule = dg.ScheduleDefinition(
    name="refresh_schedule",
    job=publish_job,
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every 5 minutes: publish what has landed. The models follow when that is done "
    "(`events_published_sensor`).",
)

maintenance_schedule = dg.ScheduleDefinition(
    name="maintenance_schedule",
    job=maintenance_job,
    cron_schedule="17 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour, at minute 17: compact, expire, clean up.",
)

SCHEDULES = [refresh_schedule, maintenance_schedule]
