"""The check of freshness as Dagster shows it: evaluated by the daemon, without any run."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.sensor import execute_sensor_iteration

from aethex.assets.freshness import FRESHNESS_CHECK
from aethex.lake import Lake
from aethex.lake.event_tables import PLAYBACK_EVENTS
from aethex.lake.landing import land
from aethex.lake.publish import publish
from aethex.pipelines.instance import LOCATION, MODULE, open_instance, prepare_storage
from aethex.settings import Settings
from tests.lake.events import snapshots

CHECK = dg.AssetCheckKey(dg.AssetKey(PLAYBACK_EVENTS.name), FRESHNESS_CHECK)
HOUR = timedelta(hours=1)


@contextmanager
def daemon(settings: Settings, instance: dg.DagsterInstance) -> Iterator[WorkspaceProcessContext]:
    """What Dagster's daemon works with: the instance, and a code server of its own."""
    target = ModuleTarget(
        module_name=MODULE, attribute=None, working_directory=None, location_name=LOCATION
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AETHEX_DATABASE_URL", settings.database_url or "")
        with create_test_daemon_workspace_context(target, instance) as context:
            yield context


def minutes_pass(context: WorkspaceProcessContext, minutes: int) -> None:
    """Have the daemon evaluate all sensors that are due so many minutes from now."""
    with freeze_time(datetime.now(UTC) + timedelta(minutes=minutes)):
        log = logging.getLogger("tests.daemon")
        for _ in execute_sensor_iteration(context, log, None, None):
            pass


def evaluations(instance: dg.DagsterInstance) -> list[bool]:
    """What the instance has of the check, in order: True is green, False is red."""
    records = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=10)
    events = [record.event for record in reversed(records) if record.event is not None]
    found = [event.dagster_event for event in events if event.dagster_event is not None]
    return [event.asset_check_evaluation_data.passed for event in found]


def land_an_hour_ago(lake: Lake) -> None:
    path = lake.store.local_path(land(lake, snapshots([1])))
    assert path is not None
    then = (datetime.now(UTC) - HOUR).timestamp()
    os.utime(path, (then, then))


def test_it_turns_red_when_events_wait_and_green_when_they_are_published(
    settings: Settings, lake: Lake
) -> None:
    prepare_storage(settings)
    with open_instance(settings) as instance, daemon(settings, instance) as context:
        minutes_pass(context, 0)
        assert evaluations(instance) == [True]  # nothing ever arrived
        land_an_hour_ago(lake)
        minutes_pass(context, 2)
        assert evaluations(instance) == [True, False]
        publish(lake)
        minutes_pass(context, 4)
        assert evaluations(instance) == [True, False, True]
        assert instance.get_runs_count() == 0  # no run has to start for it
