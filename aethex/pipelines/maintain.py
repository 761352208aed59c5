"""`aethex pipeline maintain`: run the maintenance now, and say what it did.

What belongs here: the job, in this process, against the real Dagster instance, so that the run
appears in its UI. What does not: the maintenance itself (`aethex.lake.maintenance`), and its
schedule.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from aethex.assets.maintenance import LANDING_CHECK, MAINTENANCE
from aethex.pipelines.definitions import build_defs
from aethex.pipelines.instance import open_instance
from aethex.pipelines.jobs import maintenance_job
from aethex.pipelines.runs import Progress, facts, run_job
from aethex.settings import Settings

COMMAND = "aethex pipeline maintain"


@dataclass(frozen=True)
class MaintenanceReport:
    """What a maintenance did. tables: one record a table; landing_stopped: why the clean-up of
    landing stopped at a window; is_done: False when time ran out before everything was done.
    """

    files_before: int
    files_after: int
    rows: int
    groups_compacted: int
    snapshots_expired: int
    builds_expired: int
    files_deleted: int
    bytes_deleted: int
    windows_cleaned: int
    landing_objects_deleted: int
    quarantine_objects_deleted: int
    landing_stopped: str | None
    is_done: bool
    tables: list[dict[str, Any]]
    failed_checks: tuple[str, ...]
    seconds: float
    run_id: str


def maintain(settings: Settings, progress: Progress | None = None) -> MaintenanceReport:
    """Compact, expire and clean up, within the budget of the settings.

    Safe at any time: runs take turns. Raises DatabaseUnreachable, StoreError, and RunFailed when
    the run failed.
    """
    started = time.monotonic()
    tell = progress or (lambda _: None)
    with open_instance(settings) as instance:
        defs = build_defs({"settings": settings})
        result = run_job(defs, maintenance_job.name, instance, COMMAND, progress=tell)
    said = facts(result, MAINTENANCE)
    failed = {check.check_name: check for check in _failed(result)}
    stopped = failed.get(LANDING_CHECK)
    return MaintenanceReport(
        files_before=said["files before"],
        files_after=said["files after"],
        rows=said["rows"],
        groups_compacted=said["groups compacted"],
        snapshots_expired=said["snapshots expired"],
        builds_expired=said["builds expired"],
        files_deleted=said["files deleted"],
        bytes_deleted=said["bytes deleted"],
        windows_cleaned=said["windows cleaned"],
        landing_objects_deleted=said["landing objects deleted"],
        quarantine_objects_deleted=said["quarantine objects deleted"],
        landing_stopped=str(stopped.metadata["why it stopped"].value) if stopped else None,
        is_done=said["is done"],
        tables=[_in_snake_case(record.data) for record in said["tables"].records],
        failed_checks=tuple(sorted(failed)),
        seconds=time.monotonic() - started,
        run_id=result.run_id,
    )


def _in_snake_case(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace(" ", "_"): value for name, value in record.items()}


def _failed(result: dg.ExecuteInProcessResult) -> list[dg.AssetCheckEvaluation]:
    return [check for check in result.get_asset_check_evaluations() if not check.passed]
