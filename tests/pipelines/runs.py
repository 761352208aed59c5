"""Running jobs of the pipeline in a test: real parts, an instance of the test's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from aethex.lake import Lake
from aethex.pipelines.definitions import build_defs
from aethex.pipelines.sensors import request_models
from aethex.settings import Settings

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Pipeline:
    """The jobs on one settings' lake and library."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings = settings
        self.instance = instance
        self.defs = build_defs({"settings": settings})

    def publish(self) -> dg.ExecuteInProcessResult:
        return self._run("publish_job")

    def maintain(self) -> dg.ExecuteInProcessResult:
        return self._run("maintenance_job")

    def models(self, **options: Any) -> dg.ExecuteInProcessResult:
        """`models_job` as a refresh asks for it, or with these options of execute_in_process."""
        if not options:
            with Lake.open(self.settings) as lake:
                request = request_models(lake)
            options = {
                "partition_key": request.partition_key,
                "asset_selection": request.asset_selection,
                "tags": request.tags,
            }
        return self._run("models_job", **options)

    def range_of_models(self, first: str, last: str) -> dg.ExecuteInProcessResult:
        """`models_job` as a backfill of those days runs it."""
        tags = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }
        return self._run("models_job", tags=tags)

    def _run(self, name: str, **options: Any) -> dg.ExecuteInProcessResult:
        job = self.defs.resolve_job_def(name)
        return job.execute_in_process(
            instance=self.instance, run_config=QUIET, raise_on_error=False, **options
        )


def metadata(
    result: dg.ExecuteInProcessResult, asset: str, partition: str | None = None
) -> Mapping[str, Any]:
    """What the last materialization of an asset (and day, where one is given) said."""
    found: Mapping[str, Any] = {}
    for event in result.get_asset_materialization_events():
        made = event.step_materialization_data.materialization
        if made.asset_key.to_user_string() == asset and partition in (None, made.partition):
            found = {name: value.value for name, value in made.metadata.items()}
    return found


def materialized(result: dg.ExecuteInProcessResult) -> set[tuple[str, str | None]]:
    """(asset, partition) of everything that a run materialized."""
    events = result.get_asset_materialization_events()
    made = [event.step_materialization_data.materialization for event in events]
    return {(m.asset_key.to_user_string(), m.partition) for m in made}


def failed_checks(result: dg.ExecuteInProcessResult) -> list[str]:
    """Names of the asset checks that did not pass."""
    return [c.check_name for c in result.get_asset_check_evaluations() if not c.passed]


def passed_checks(result: dg.ExecuteInProcessResult) -> set[str]:
    """Names of the asset checks that passed."""
    return {c.check_name for c in result.get_asset_check_evaluations() if c.passed}
