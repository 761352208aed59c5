"""Each job's effect is there exactly once, whoever dies and whenever."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest
from sqlalchemy import text

from aethex.library import Library, jobs, leases, workers
from aethex.library.leases import LeaseLost
from aethex.library.models import Job
from aethex.settings import Settings
from aethex.workers.lease import CannotSucceed, Handler, Lease
from aethex.workers.worker import Pace, Report, work
from tests.workers.processes import (
    KIND,
    effects,
    make_effects,
    worker_process,
    write_effect,
)

QUICK = Pace(lease_seconds=30.0, poll_seconds=0.1, idle_seconds=0.0, grace_seconds=5.0)
WAITING = 20.0  # more than any of these takes: an event that does not come fails the test


@pytest.fixture(autouse=True)
def effects_table(library: Library) -> None:
    make_effects(library)


def ask(library: Library, *subjects: str, **options) -> None:
    with library.session() as s:
        for subject in subjects:
            jobs.enqueue(s, KIND, subject, **options)


def last(library: Library, subject: str) -> Job:
    with library.session() as s:
        job = jobs.last_job(s, KIND, subject)
    assert job is not None
    return job


def run(
    library: Library, settings: Settings, handler: Handler, pace: Pace = QUICK, **options
) -> Report:
    return work(library, settings, {KIND: handler}, name="tests", pace=pace, **options)


@contextmanager
def running(
    library: Library, settings: Settings, handler: Handler, **options
) -> Generator[Callable[[], Report]]:
    """A worker beside the test; what is yielded stops it and gives its report."""
    stop = threading.Event()
    pace = Pace(lease_seconds=30.0, poll_seconds=30.0, grace_seconds=options.pop("grace", 5.0))
    with ThreadPoolExecutor(1) as pool:
        report = pool.submit(run, library, settings, handler, pace, stop=stop, **options)

        def end() -> Report:
            stop.set()
            return report.result(WAITING)

        try:
            yield end
        finally:
            stop.set()


def test_jobs_are_done_and_their_results_are_there(library, settings):
    ask(library, "a", "b", "c")
    said: list[str] = []
    report = run(library, settings, lambda lease: write_effect(library, lease), tell=said.append)
    assert effects(library) == ["a", "b", "c"]
    assert dict(report.counts) == {"done": 3}
    assert said[:2] == ["chaos of a (attempt 1): begins", "chaos of a (attempt 1): done"]
    with library.session() as s:
        assert workers.listed(s) == []


def test_a_handler_that_has_nothing_to_write_need_not_end_its_job(library, settings):
    ask(library, "a")
    assert dict(run(library, settings, lambda _: None).counts) == {"done": 1}
    assert last(library, "a").state == "done"


def test_a_job_is_taken_up_when_it_is_asked_for_and_not_at_the_next_look(library, settings):
    with running(library, settings, lambda _: None) as end:
        for subject in ("a", "b", "c"):
            time.sleep(0.1)  # it has looked, and looks again in 30 s if nobody wakes it
            ask(library, subject)
            _until(partial(_is_done, library, subject))
        assert end().counts["done"] == 3


def test_several_jobs_are_done_at_once(library, settings):
    ask(library, "a", "b", "c")
    together = threading.Barrier(3, timeout=WAITING)
    report = run(library, settings, lambda _: _meet(together), at_once=3)
    assert dict(report.counts) == {"done": 3}


def test_errors_are_tried_again_but_not_those_that_stay(library, settings):
    ask(library, "away", "broken")

    def handle(lease: Lease) -> None:
        raise CannotSucceed("no video") if lease.subject_id == "broken" else OSError("is away")

    report = run(library, settings, handle)
    assert dict(report.counts) == {"retried": 1, "failed": 1}
    away, broken = last(library, "away"), last(library, "broken")
    assert (away.state, away.error) == ("queued", "OSError: is away")
    assert (broken.state, broken.error) == ("failed", "no video")


def test_progress_is_seen_while_the_work_runs(library, settings):
    ask(library, "a")
    seen = threading.Event()

    def handle(lease: Lease) -> None:
        lease.progress(0.25, "copying", bytes=7)
        assert seen.wait(WAITING)

    with running(library, settings, handle) as end:
        _until(lambda: last(library, "a").progress != {})
        assert last(library, "a").progress == {"share": 0.25, "stage": "copying", "bytes": 7}
        seen.set()
        _until(lambda: last(library, "a").state == "done")
        end()


def test_a_long_job_keeps_its_lease(library, settings):
    ask(library, "a")
    pace = Pace(lease_seconds=0.3, poll_seconds=0.05, idle_seconds=0.0)

    def handle(lease: Lease) -> None:
        first = last(library, "a").lease_until
        assert first is not None
        _until(lambda: (last(library, "a").lease_until or first) > first)
        write_effect(library, lease)

    assert dict(run(library, settings, handle, pace, at_once=2).counts) == {"done": 1}
    assert effects(library) == ["a"]


def test_a_handler_learns_that_another_has_its_job_and_ends_nothing(library, settings):
    ask(library, "a")
    killed = threading.Event()

    def handle(lease: Lease) -> None:
        lease.on_end(killed.set)
        with library.session() as s:
            leases.release_worker(s, _worker_of(library, "a"))
        with library.session() as s:
            assert leases.claim(s, "wrk_other", [KIND], 3600) is not None
        lease.progress(0.5, "halfway")
        assert killed.wait(WAITING)
        with pytest.raises(LeaseLost):
            lease.check()
        with pytest.raises(LeaseLost):
            write_effect(library, lease)
        raise OSError("what a killed child process says")

    assert dict(run(library, settings, handle).counts) == {"lost": 1}
    assert effects(library) == []
    job = last(library, "a")
    assert (job.state, job.worker_id) == ("running", "wrk_other")


def test_a_stopped_worker_gives_its_job_back_at_once_and_no_attempt_is_lost(library, settings):
    ask(library, "a")
    begun = threading.Event()

    def handle(lease: Lease) -> None:
        begun.set()
        while True:
            lease.check()
            time.sleep(0.01)

    with running(library, settings, handle) as end:
        assert begun.wait(WAITING)
        assert dict(end().counts) == {"released": 1}
    job = last(library, "a")
    assert (job.state, job.attempts) == ("queued", 0)


def test_a_handler_that_does_not_end_is_left_behind_without_its_job(library, settings):
    ask(library, "a")
    begun, go_on, refused = threading.Event(), threading.Event(), threading.Event()

    def handle(lease: Lease) -> None:
        begun.set()
        assert go_on.wait(WAITING)
        try:
            write_effect(library, lease)
        except LeaseLost:
            refused.set()
            raise

    with running(library, settings, handle, grace=0.0) as end:
        assert begun.wait(WAITING)
        end()
        assert last(library, "a").state == "queued"
        go_on.set()
        assert refused.wait(WAITING)
    assert effects(library) == []


def test_a_worker_whose_time_is_over_ends_what_it_has_and_takes_no_more(library, settings):
    ask(library, "a", "b")
    pace = Pace(poll_seconds=0.05, life_seconds=0.0)
    assert dict(run(library, settings, lambda _: None, pace).counts) == {}
    pace = Pace(poll_seconds=0.05, life_seconds=1.0)

    def handle(lease: Lease) -> None:
        time.sleep(1.2)  # outlives the worker
        write_effect(library, lease)

    assert dict(run(library, settings, handle, pace).counts) == {"done": 1}
    assert effects(library) == ["a"]


def test_an_interrupt_gives_the_jobs_back(library, settings):
    ask(library, "a")
    # whoever starts the tests in the background has interrupts ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def tell(line: str) -> None:
        if line.endswith("begins"):
            signal.raise_signal(signal.SIGINT)  # comes in the main thread, which is the test's

    def handle(lease: Lease) -> None:
        while True:
            lease.check()
            time.sleep(0.01)

    try:
        with pytest.raises(KeyboardInterrupt):
            run(library, settings, handle, tell=tell)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (last(library, "a").state, last(library, "a").attempts) == ("queued", 0)


def test_connections_that_the_server_cuts_cost_nothing(library, settings, database_url):
    ask(library, "a")
    begun, go_on = threading.Event(), threading.Event()

    def handle(lease: Lease) -> None:
        begun.set()
        assert go_on.wait(WAITING)
        write_effect(library, lease)

    with running(library, settings, handle) as end:
        assert begun.wait(WAITING)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        go_on.set()
        _until(lambda: effects(library) == ["a"])
        ask(library, "b")
        _until(lambda: effects(library) == ["a", "b"])
        assert end().counts["done"] == 2


# --- chaos ----------------------------------------------------------------------------------------


def test_workers_that_are_killed_in_the_middle_lose_and_double_nothing(library, settings):
    """Threads and processes at once; four processes die in the middle of a job."""
    subjects = [f"{n:02}" for n in range(40)]
    ask(library, *subjects, max_attempts=9)
    for _ in range(4):
        with worker_process(settings, halts=True) as process:
            process.until_in_the_middle()
            process.signal(signal.SIGKILL)
    pace = Pace(lease_seconds=1.0, poll_seconds=0.1, idle_seconds=1.5)
    with (
        worker_process(settings, halts=False),
        worker_process(settings, halts=False),
        ThreadPoolExecutor(3) as pool,
    ):
        handler = lambda lease: write_effect(library, lease)  # noqa: E731
        for done in [pool.submit(run, library, settings, handler, pace) for _ in range(3)]:
            done.result()
    assert effects(library) == subjects
    with library.session() as s:
        assert jobs.count_by_state(s) == {(KIND, "done"): 40}
        assert s.scalar(text("select sum(attempts) from jobs")) >= 44


def test_a_worker_that_was_stopped_for_long_publishes_nothing_when_it_goes_on(library, settings):
    ask(library, "a")
    with worker_process(settings, halts=True) as asleep:
        assert asleep.until_in_the_middle() == "a"
        asleep.signal(signal.SIGSTOP)
        pace = Pace(lease_seconds=30.0, poll_seconds=0.1, idle_seconds=1.5)
        report = run(library, settings, lambda lease: write_effect(library, lease), pace)
        assert report.counts["done"] == 1
        asleep.signal(signal.SIGCONT)
        assert asleep.until_lost() == "a"
        asleep.signal(signal.SIGTERM)
        assert asleep.report() == {"lost": 1}
    assert effects(library) == ["a"]


def test_sigterm_ends_a_worker_and_gives_its_job_back(library, settings):
    ask(library, "a")
    with worker_process(settings, halts=True) as process:
        process.until_in_the_middle()
        process.signal(signal.SIGTERM)
        assert process.report() == {"released": 1}
    assert (last(library, "a").state, last(library, "a").attempts) == ("queued", 0)


def _meet(others: threading.Barrier) -> None:
    others.wait()


def _worker_of(library: Library, subject: str) -> str:
    worker_id = last(library, subject).worker_id
    assert worker_id is not None
    return worker_id


def _is_done(library: Library, subject: str) -> bool:
    return last(library, subject).state == "done"


def _until(is_so: Callable[[], bool]) -> None:
    """Return when it is so. Fails after a long while."""
    deadline = time.monotonic() + WAITING
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)
