"""Jobs that wait get a worker, one that died is noticed, and its run does not stay for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator

import dagster as dg
import pytest
from sqlalchemy import text

from aethex.library import Library, archives, jobs, leases, workers
from aethex.library.channels import ensure_channel
from aethex.library.models import ProviderRecording
from aethex.library.streams import ensure_stream
from aethex.pipelines import work
from aethex.pipelines.instance import open_instance, prepare_storage
from aethex.settings import Settings
from aethex.workers.lease import Lease
from aethex.workers.worker import Pace
from tests.pipelines.streams import STARTED_AT
from tests.pipelines.test_sensors import enqueue


@pytest.fixture
def stored(settings: Settings) -> Iterator[dg.DagsterInstance]:
    prepare_storage(settings)
    with open_instance(settings) as instance:
        yield instance


def look(instance: dg.DagsterInstance, settings: Settings) -> dg.RunRequest | dg.SkipReason:
    context = dg.build_sensor_context(instance, resources={"settings": settings})
    return work.archive_sensor(context)  # pyright: ignore[reportReturnType]


def clear(instance: dg.DagsterInstance, settings: Settings) -> str | None:
    context = dg.build_sensor_context(instance, resources={"settings": settings})
    skipped = work.dead_runs_sensor(context)
    assert isinstance(skipped, dg.SkipReason)
    return skipped.skip_message


def add_recording(library: Library) -> None:
    with library.session() as s:
        stream = ensure_stream(s, ensure_channel(s, "retro"), "Evening")
        s.add(
            ProviderRecording(
                id="prec_1",
                provider="srs",
                external_id="x",
                stream_id=stream.id,
                state="ready",
                told_at=STARTED_AT,
            )
        )


def started_run(instance: dg.DagsterInstance, started_at: float) -> dg.DagsterRun:
    """A run of archive_job that says that it runs."""
    run = instance.create_run_for_job(work.archive_job)
    instance.report_engine_event("it begins", run)
    instance.handle_new_event(_event(run, started_at))
    return instance.get_run_by_id(run.run_id)  # pyright: ignore[reportReturnType]


def _event(run: dg.DagsterRun, at: float) -> dg.EventLogEntry:
    from dagster._core.events import DagsterEvent, DagsterEventType

    event = DagsterEvent(DagsterEventType.PIPELINE_START.value, run.job_name, message="start")
    return dg.EventLogEntry(
        error_info=None,
        level=10,
        user_message="",
        run_id=run.run_id,
        timestamp=at,
        job_name=run.job_name,
        dagster_event=event,
    )


def test_a_recording_that_is_ready_gets_a_job_and_a_run_once(stored, settings, library):
    assert isinstance(look(stored, settings), dg.SkipReason)
    add_recording(library)
    assert isinstance(look(stored, settings), dg.RunRequest)
    with library.session() as s:
        assert jobs.count_by_state(s) == {(archives.KIND, "queued"): 1}
    enqueue(stored, work.archive_job.name)
    assert "about to take jobs" in str(look(stored, settings))


def test_no_run_is_started_beside_a_worker_that_takes_jobs(stored, settings, library):
    add_recording(library)
    with library.session() as s:
        workers.beat(s, "wrk_1", work.WORKER)
    assert "alive" in str(look(stored, settings))
    with library.session() as s:
        workers.beat(s, "wrk_1", work.WORKER, is_taking=False)
    assert isinstance(look(stored, settings), dg.RunRequest)


def test_a_run_that_only_says_that_it_runs_holds_up_nothing(stored, settings, library):
    """After kill -9: the run is STARTED, its worker is silent."""
    add_recording(library)
    run = started_run(stored, time.time())
    assert "about to take jobs" in str(look(stored, settings))  # it may yet give a sign of life
    with library.session() as s:
        jobs.enqueue(s, archives.KIND, "prec_1")
        workers.beat(s, "wrk_1", work.WORKER, details={"run_id": run.run_id})
    with library.session() as s:
        claim = leases.claim(s, "wrk_1", work.KINDS, 3600)
    assert claim is not None
    clear(stored, settings)
    assert stored.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED
    with library.session() as s:
        s.execute(text("update workers set heartbeat_at = now() - interval '90 s'"))
    assert clear(stored, settings) == "1 dead workers, 1 of their runs failed"
    assert stored.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    with library.session() as s:
        assert jobs.get(s, claim.id).state == "queued"
        assert workers.listed(s) == []
    assert isinstance(look(stored, settings), dg.RunRequest)
    assert clear(stored, settings) == "0 dead workers, 0 of their runs failed"


def test_a_run_does_what_waits_and_says_how_it_went(settings, library, monkeypatch):
    with library.session() as s:
        for subject in ("a", "b"):
            jobs.enqueue(s, archives.KIND, subject)
    monkeypatch.setattr(work, "PACE", Pace(poll_seconds=0.1, idle_seconds=0.0))
    seen: list[str] = []

    def handle(lease: Lease) -> None:
        seen.append(lease.subject_id)

    monkeypatch.setattr(work, "handlers", lambda *_: {archives.KIND: handle})
    with dg.DagsterInstance.ephemeral() as instance:
        done = work.archive_job.execute_in_process(
            instance=instance,
            resources={"settings": settings, "library": library},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    assert sorted(seen) == ["a", "b"]
    assert done.output_for_node("drain") == {"done": 2}
