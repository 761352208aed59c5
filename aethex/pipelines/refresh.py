"""`aethex pipeline refresh`: run what is due now, and return when the marts show it.

What belongs here: both jobs of a refresh, one after the other, in this process, against the real
Dagster instance, so that the runs appear in its UI. What does not: the jobs themselves, and the
refresh of every 5 minutes; Dagster's daemon starts the same two jobs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from aethex.lake import Lake
from aethex.lake.build_records import current_build
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.models import load_models
from aethex.pipelines.definitions import build_defs
from aethex.pipelines.instance import open_instance
from aethex.pipelines.jobs import models_job, publish_job
from aethex.pipelines.runs import Progress, RunFailed, facts, materializations, run_job
from aethex.pipelines.sensors import request_models
from aethex.settings import Settings

COMMAND = "aethex pipeline refresh"


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
    Raises DatabaseUnreachable, StoreError, and RunFailed when a step or check failed; readers keep
    the build that they have then.
    """
    started = time.monotonic()
    tell = progress or (lambda _: None)
    defs = build_defs({"settings": settings})
    with open_instance(settings) as instance:
        with Lake.open(settings) as lake:
            before = current_build(lake.store)
        tell("Publishing what has landed, and reading the library.")
        published = run_job(defs, publish_job.name, instance, COMMAND)
        with Lake.open(settings) as lake:
            request = request_models(lake)
        is_due = request.partition_key is not None
        tell("Computing the marts for what is due." if is_due else "Nothing is due.")
        computed = run_job(defs, models_job.name, instance, COMMAND, request)
    with Lake.open(settings) as lake:
        build = current_build(lake.store)
    if build is None:
        raise RunFailed("The refresh ended without a build. Look at its runs in Dagster.")
    tell(f"Build {build.id} is current.")
    events = facts(published, VIEWER_SNAPSHOTS.name)
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


def _days(result: dg.ExecuteInProcessResult) -> set[str]:
    """Days that a model computed; those with lists of single hours are none."""
    return {
        made.partition
        for made in materializations(result)
        if made.partition
        and "dagster/partition_row_count" in made.metadata
        and "hours" not in made.metadata
    }


def _records_changed(result: dg.ExecuteInProcessResult) -> int:
    """Versions that the dims got or closed."""
    found = [facts(result, name) for name in DIM_TABLES]
    return sum(fact[count] for fact in found for count in ("added", "changed", "closed"))


def _rows_computed(result: dg.ExecuteInProcessResult) -> int:
    found = [facts(result, model.name) for model in load_models()]
    return sum(fact.get("rows computed", 0) for fact in found)
