"""What starts by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test
from dagster._utils.schedules import cron_string_iterator

from aethex.assets.marts import MARTS
from aethex.lake import Lake
from aethex.library import Library
from aethex.pipelines.instance import LOCATION, open_instance, prepare_storage
from aethex.pipelines.schedules import maintenance_schedule, refresh_schedule
from aethex.pipelines.sensors import events_published_sensor
from aethex.settings import Settings
from tests.pipelines.runs import Pipeline
from tests.pipelines.streams import add_stream

AT = datetime(2026, 1, 1, 13, 0, tzinfo=UTC)


@pytest.fixture
def stored(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance in Postgres: a schedule opens it by its address."""
    prepare_storage(settings)
    with open_instance(settings) as instance:
        yield instance


def enqueue(instance: dg.DagsterInstance, job: str) -> None:
    """A run that waits in the queue."""
    place = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), "__repository__")
    create_run_for_test(
        instance,
        job_name=job,
        status=dg.DagsterRunStatus.QUEUED,
        remote_job_origin=RemoteJobOrigin(place, job),
    )


def runs_asked_for(instance: dg.DagsterInstance, schedule: dg.ScheduleDefinition) -> int:
    context = dg.build_schedule_context(instance, scheduled_execution_time=AT)
    return len(schedule.evaluate_tick(context).run_requests or [])


def requested(
    pipeline: Pipeline, after: dg.ExecuteInProcessResult
) -> tuple[dg.RunRequest, dg.ExecuteInProcessResult]:
    """What the sensor asks for after that run of publish_job, and how its run ends."""
    context = dg.build_run_status_sensor_context(
        sensor_name=events_published_sensor.name,
        dagster_event=after.get_run_success_event(),
        dagster_instance=pipeline.instance,
        dagster_run=after.dagster_run,
    )
    request = events_published_sensor(context, settings=pipeline.settings)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == after.run_id
    options = {
        "partition_key": request.partition_key,
        "asset_selection": request.asset_selection,
        "tags": request.tags,
    }
    return request, pipeline.models(**options)


def test_after_a_publish_the_due_days_are_computed(
    pipeline: Pipeline, library: Library, lake: Lake
) -> None:
    add_stream(library, lake, [1, 2, 3])
    request, result = requested(pipeline, pipeline.publish())
    assert (request.partition_key, request.asset_selection) == ("2020-01-06", None)
    assert result.success


def test_after_a_publish_of_nothing_only_the_build_gets_fresher(
    pipeline: Pipeline, library: Library, lake: Lake
) -> None:
    add_stream(library, lake, [1, 2, 3])
    requested(pipeline, pipeline.publish())
    request, result = requested(pipeline, pipeline.publish())
    assert (request.partition_key, request.asset_selection) == (None, [dg.AssetKey(MARTS)])
    assert result.success


@pytest.mark.parametrize(
    ("schedule", "job", "minutes"),
    [
        (refresh_schedule, "publish_job", list(range(0, 60, 5))),
        (maintenance_schedule, "maintenance_job", [17]),
    ],
)
def test_a_schedule_asks_for_its_job_at_these_minutes(
    stored: dg.DagsterInstance, schedule: dg.ScheduleDefinition, job: str, minutes: list[int]
) -> None:
    ticks = cron_string_iterator(AT.timestamp(), str(schedule.cron_schedule), "UTC")
    found = list(takewhile(lambda tick: tick < AT + timedelta(hours=1), ticks))
    assert [tick.minute for tick in found] == minutes
    assert runs_asked_for(stored, schedule) == 1
    assert schedule.job_name == job


@pytest.mark.parametrize("schedule", [refresh_schedule, maintenance_schedule])
def test_a_schedule_asks_for_no_second_run_while_one_waits(
    stored: dg.DagsterInstance, schedule: dg.ScheduleDefinition
) -> None:
    for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS):
        create_run_for_test(stored, job_name=schedule.job_name, status=status)
    enqueue(stored, "models_job")
    assert runs_asked_for(stored, schedule) == 1
    enqueue(stored, schedule.job_name)
    assert runs_asked_for(stored, schedule) == 0
