"""Long work by leases: the run that does it, the sensor that keeps one alive, and the one that
clears away what died.

What belongs here: when a drain run starts and ends. What does not: claiming and doing jobs
(`aethex.workers`), and asking for them (who needs them).

A drain run is a worker that stays for a while: it claims a job within milliseconds, where a run of
its own would take seconds to start. It lives for twenty minutes, then ends what it has, while its
successor already takes jobs. Whether one is alive is told by its heartbeat, never by its run: a
killed process leaves a run that says STARTED for ever.
"""

import time

import dagster as dg
from dagster import DagsterRunStatus as Status

from aethex.fetch import Fetcher
from aethex.library import Library, archives, jobs, leases, vods, workers
from aethex.settings import Settings
from aethex.store import open_store
from aethex.workers.archive import Archiver
from aethex.workers.derive import Deriver
from aethex.workers.lease import Handler
from aethex.workers.worker import Pace, work

WORKER = "drain"
"""The kind of these workers."""
KINDS = (archives.KIND, vods.DERIVE_KIND)
"""The kinds of jobs that they do."""

JOBS_AT_ONCE = 2
PACE = Pace(life_seconds=1200.0, idle_seconds=60.0)
_RUN_ID = "run_id"
_STARTS_WITHIN_SECONDS = 60.0
"""So long a new run may take until its first heartbeat."""
_DEAD_AFTER_SECONDS = 60.0
_TAGS = {
    "aethex/work": WORKER,
    "dagster/max_runtime": str(24 * 3600),
    # a successor is the sensor's to start
    "dagster/max_retries": "0",
}


def handlers(settings: Settings, library: Library, fetch: Fetcher) -> dict[str, Handler]:
    """Who does which kind of job."""
    return {
        archives.KIND: Archiver(settings, library, fetch),
        vods.DERIVE_KIND: Deriver(settings, library, open_store(settings)),
    }


@dg.op(required_resource_keys={"settings", "library"})
def drain(context: dg.OpExecutionContext) -> dict[str, int]:
    """Take jobs for twenty minutes, or until there was none for a minute; how many ended how."""
    settings: Settings = context.resources.settings
    library: Library = context.resources.library
    with Fetcher(settings) as fetch:
        report = work(
            library,
            settings,
            handlers(settings, library, fetch),
            name=WORKER,
            at_once=JOBS_AT_ONCE,
            pace=PACE,
            details={_RUN_ID: context.run_id},
            tell=context.log.info,
        )
    counts = dict(report.counts)
    context.add_output_metadata({"worker": report.worker_id, "seconds": report.seconds, **counts})
    return counts


@dg.job(
    tags=_TAGS,
    description="Do what waits in the table of jobs: copies of providers' recordings, and what "
    "is made from recorded VODs.",
)
def archive_job() -> None:
    drain()


@dg.sensor(
    job=archive_job,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def archive_sensor(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> dg.RunRequest | dg.SkipReason:
    """Asks for copies of recordings that are ready, and starts a drain run when jobs wait and no
    worker that takes any is alive."""
    with Library.open(settings) as library:
        with library.session() as s:
            archives.enqueue_ready(s)
        with library.session() as s:
            if not jobs.is_work_waiting(s, KINDS):
                return dg.SkipReason("no job waits")
            if workers.is_alive(s, WORKER):
                return dg.SkipReason("a worker is alive and takes jobs")
    if starting := _starting(context.instance):
        return dg.SkipReason(f"run {starting} is about to take jobs")
    return dg.RunRequest()


def _starting(instance: dg.DagsterInstance) -> str | None:
    """A run that was asked for and could not give a sign of life yet."""
    waiting = [Status.NOT_STARTED, Status.QUEUED, Status.STARTING]
    for record in _records(instance, [*waiting, Status.STARTED]):
        age = time.time() - (record.start_time or 0)
        if record.dagster_run.status in waiting or age < _STARTS_WITHIN_SECONDS:
            return record.dagster_run.run_id
    return None


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def dead_runs_sensor(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> dg.SkipReason:
    """Fails runs whose worker gives no sign of life, so that they hold no place in the queue, and
    gives their jobs to others."""
    with Library.open(settings) as library:
        with library.session() as s:
            silent = workers.silent(s, WORKER, within_seconds=_DEAD_AFTER_SECONDS)
            for worker in silent:
                leases.release_worker(s, worker.id)
                workers.remove(s, worker.id)
        with library.session() as s:
            alive = {str(worker.details.get(_RUN_ID)) for worker in workers.listed(s)}
    dead = {str(worker.details.get(_RUN_ID)) for worker in silent}
    failed = [
        _fail(context.instance, record)
        for record in _records(context.instance, [Status.STARTED])
        if record.dagster_run.run_id not in alive
        and (record.dagster_run.run_id in dead or _is_silent(context.instance, record))
    ]
    return dg.SkipReason(f"{len(silent)} dead workers, {len(failed)} of their runs failed")


def _is_silent(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether a run that has no worker has said nothing for long: it died before it had one, or
    after."""
    found = instance.get_records_for_run(record.dagster_run.run_id, limit=1, ascending=False)
    told_at = max((entry.event_log_entry.timestamp for entry in found.records), default=0.0)
    return time.time() - told_at > 2 * _DEAD_AFTER_SECONDS


def _fail(instance: dg.DagsterInstance, record: dg.RunRecord) -> str:
    message = "Its worker gave no sign of life: the process was killed. Others have its jobs."
    instance.report_run_failed(record.dagster_run, message)
    return record.dagster_run.run_id


def _records(
    instance: dg.DagsterInstance, statuses: list[dg.DagsterRunStatus]
) -> list[dg.RunRecord]:
    filters = dg.RunsFilter(job_name=archive_job.name, statuses=statuses)
    return list(instance.get_run_records(filters, limit=20))
