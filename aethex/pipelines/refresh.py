"""`aethex pipeline refresh`: run what is due now, and return when the marts show it.

What belongs here: both jobs of a refresh, one after the other, in this process, against the real
Dagster instance, so that the runs appear in its UI. What does not: the jobs themselves, and the
hourly refresh; Dagster's daemon starts the same two jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg

from aethex.lake import Lake
from aethex.lake.build_records import current_build
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.models import load_models
from aethex.pipelines.definitions import build_defs
from aethex.pipelines.instance import open_instance
from aethex.pipelines.jobs import models_job, publish_job
from aethex.pipelines.sensors import request_models
from aethex.settings import Settings

Progress = Callable[[str], None]

SOURCE_TAG = {"aethex/started_by": "aethex pipeline refresh"}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RefreshFailed(RuntimeError):
    """A run of the refresh failed; readers keep the build that they have. One line."""


@dataclass(frozen=True)
class RefreshReport:
    """What a refresh did. Times are naive UTC; `run_ids` are Dagster's, in order."""

    build_id: str
    window: int
    fresh_until: datetime | None
    is_new_build: bool
    windows_published: int
    rows_published: int
    duplicates: int
    records_changed: int
    days_computed: int
    rows_computed: int
    seconds: float
    run_ids: tuple[str, ...]


def refresh(settings: Settings, progress: Progress | None = None) -> RefreshReport:
    """Publish what has landed, compute what is due, check it, publish a build.

    Safe at any time and several times at once: runs take turns, and the later one finds less to do.
    Raises DatabaseUnreachable, StoreError, and RefreshFailed when a step or check failed.
    """
    started = time.monotonic()
    tell = progress or (lambda _: None)
    defs = build_defs({"settings": settings})
    with open_instance(settings) as instance:
        with Lake.open(settings) as lake:
            before = current_build(lake.store)
        tell("Publishing what has landed, and reading the library.")
        published = _run(defs, publish_job.name, instance)
        with Lake.open(settings) as lake:
            request = request_models(lake)
        is_due = request.partition_key is not None
        tell("Computing the marts for what is due." if is_due else "Nothing is due.")
        computed = _run(defs, models_job.name, instance, request)
    with Lake.open(settings) as lake:
        build = current_build(lake.store)
    if build is None:
        raise RefreshFailed("The refresh ended without a build. Look at its runs in Dagster.")
    tell(f"Build {build.id} is current.")
    events = _facts(published, VIEWER_SNAPSHOTS.name)
    return RefreshReport(
        build_id=build.id,
        window=build.window,
        fresh_until=build.fresh_until,
        is_new_build=before is None or build.id != before.id,
        windows_published=len(events["windows"]),
        rows_published=events["rows of all tables"],
        duplicates=events["duplicates"],
        records_changed=_records_changed(published),
        days_computed=len(_days(computed)),
        rows_computed=_rows_computed(computed),
        seconds=time.monotonic() - started,
        run_ids=(published.run_id, computed.run_id),
    )


def _run(
    defs: dg.Definitions,
    job_name: str,
    instance: dg.DagsterInstance,
    request: dg.RunRequest | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job here. Raises RefreshFailed with the reason of the step that failed first."""
    wanted = request or dg.RunRequest()
    result = defs.resolve_job_def(job_name).execute_in_process(
        instance=instance,
        asset_selection=wanted.asset_selection,
        partition_key=wanted.partition_key,
        tags={**SOURCE_TAG, **wanted.tags},
        run_config=_QUIET,
        raise_on_error=False,
    )
    if not result.success:
        raise RefreshFailed(f"{job_name} failed (run {result.run_id}): {_reason(result)}")
    return result


def _reason(result: dg.ExecuteInProcessResult) -> str:
    """The first failed step and what it said, in one line."""
    for event in result.get_step_failure_events():
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            return f"{event.step_key}: {_first_line(data.user_failure_data.description)}"
        error = data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return f"{event.step_key}: {_first_line(error.message)}"
    return "no step says why; look at the run in Dagster"


def _first_line(message: str) -> str:
    """Without the exception's class, which says nothing to the reader of a one-line error."""
    line = message.strip().split("\n", 1)[0]
    name, mark, rest = line.partition(": ")
    return rest if mark and "." in name and " " not in name else line


def _materializations(result: dg.ExecuteInProcessResult) -> list[dg.AssetMaterialization]:
    events = result.get_asset_materialization_events()
    return [event.step_materialization_data.materialization for event in events]


def _facts(result: dg.ExecuteInProcessResult, asset: str) -> Mapping[str, Any]:
    """What an asset reported for the whole run (days beside the run's own report themselves)."""
    for made in _materializations(result):
        if made.asset_key.to_user_string() == asset and "dagster/uri" in made.metadata:
            return {name: value.value for name, value in made.metadata.items()}
    return {}


def _days(result: dg.ExecuteInProcessResult) -> set[str]:
    """Days that a model computed."""
    made = _materializations(result)
    return {
        m.partition for m in made if m.partition and "dagster/partition_row_count" in m.metadata
    }


def _records_changed(result: dg.ExecuteInProcessResult) -> int:
    """Versions that the dims got or closed."""
    facts = [_facts(result, name) for name in DIM_TABLES]
    return sum(fact[count] for fact in facts for count in ("added", "changed", "closed"))


def _rows_computed(result: dg.ExecuteInProcessResult) -> int:
    facts = [_facts(result, model.name) for model in load_models()]
    return sum(fact.get("rows computed", 0) for fact in facts)
