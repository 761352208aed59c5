"""Running a job in this process against the real Dagster instance, so that it appears in its UI.

What belongs here: the run, why it failed in one line, and what it reported. What does not: which
jobs, and when (`refresh`, `maintain`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import dagster as dg

Progress = Callable[[str], None]

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailed(RuntimeError):
    """A run failed; the message says why, in one line."""


def run_job(
    defs: dg.Definitions,
    job_name: str,
    instance: dg.DagsterInstance,
    command: str,
    request: dg.RunRequest | None = None,
    *,
    progress: Progress | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job here, tagged with the command that asked for it. Raises RunFailed with the reason
    of the step that failed first.

    `progress` is called with what the job's assets log.
    """
    wanted = request or dg.RunRequest()
    run_id = str(uuid4())
    if progress is not None:
        instance.add_event_listener(run_id, lambda entry: _tell_logged(entry, progress))
    result = defs.resolve_job_def(job_name).execute_in_process(
        instance=instance,
        run_id=run_id,
        asset_selection=wanted.asset_selection,
        partition_key=wanted.partition_key,
        tags={"aethex/started_by": command, **wanted.tags},
        run_config=_QUIET,
        raise_on_error=False,
    )
    if not result.success:
        raise RunFailed(f"{job_name} failed (run {result.run_id}): {_reason(result)}")
    return result


def materializations(result: dg.ExecuteInProcessResult) -> list[dg.AssetMaterialization]:
    """Everything that a run materialized, in order."""
    events = result.get_asset_materialization_events()
    return [event.step_materialization_data.materialization for event in events]


def facts(result: dg.ExecuteInProcessResult, asset: str) -> Mapping[str, Any]:
    """What an asset reported for the whole run (days beside the run's own report themselves)."""
    for made in materializations(result):
        if made.asset_key.to_user_string() == asset and "dagster/uri" in made.metadata:
            return {name: value.value for name, value in made.metadata.items()}
    return {}


def _tell_logged(entry: dg.EventLogEntry, progress: Progress) -> None:
    """Pass on what an asset logged; Dagster's own events are no news to whoever waits."""
    if not entry.is_dagster_event and entry.user_message:
        progress(entry.user_message)


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
