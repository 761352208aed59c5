"""Jobs: asked for once, looked at, tried again, cancelled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from aethex.library import InvalidValue, Library, NotInLibrary, audit, jobs, leases
from aethex.library.audit import Actor
from aethex.library.leases import Claim, LeaseLost
from aethex.library.models import Job, Worker
from tests.library.conftest import until_somebody_waits_for_a_lock
from tests.library.job_steps import LEASE, act_with_a_result, ask, now, take, take_or_none

# --- asking ---------------------------------------------------------------------------------------


def test_asking_twice_is_once_while_the_job_is_open(library):
    first = ask(library, payload={"n": 1})
    assert ask(library, payload={"n": 2}) == first
    claim = take(library)
    assert ask(library) == first
    assert claim.payload == {"n": 1}
    assert ask(library, kind="derive") != first
    assert ask(library, "rec_2") != first


def test_a_subject_whose_job_has_ended_gets_a_new_one(library):
    first = ask(library)
    with library.session() as s:
        leases.finish(s, claim := take(library))
    second = ask(library)
    assert claim.id == first != second
    with library.session() as s:
        assert [job.id for job in (jobs.last_job(s, "archive", "rec_1"),) if job] == [second]


def test_many_who_ask_at_once_get_the_same_job(library):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: ask(library), range(24)))) == 1


def test_what_is_asked_in_a_session_that_fails_is_not_there(library):
    with suppress(ZeroDivisionError), library.session() as s:
        jobs.enqueue(s, "archive", "rec_1")
        raise ZeroDivisionError
    assert take_or_none(library) is None


def test_a_job_that_is_no_more_there_is_named(library):
    with library.session() as s, pytest.raises(NotInLibrary, match="job_x"):
        jobs.get(s, "job_x")


def test_the_table_refuses_what_no_job_can_be(library):
    ask(library)
    for change, name in {
        "state = 'lost'": "state_known",
        "kind = 'An Archive'": "kind_form",
        "attempts = 6": "attempts_are_bounded",
        "state = 'running', fence = 1": "running_is_leased",
        "state = 'running', lease_until = now(), worker_id = 'w'": "running_is_fenced",
        "state = 'done'": "end_has_time",
        "state = 'failed', finished_at = now()": "failure_has_reason",
    }.items():
        with pytest.raises(IntegrityError, match=name), library.session() as s:
            s.execute(text(f"update jobs set {change}"))


# --- what operators do ----------------------------------------------------------------------------

OPERATOR = Actor(None, "192.0.2.7")


def failed_job(library: Library, subject: str = "rec_1", kind: str = "archive") -> Claim:
    ask(library, subject, kind)
    claim = take(library, kind)
    with library.session() as s:
        leases.fail(s, claim, "the disk is full", can_retry=False)
    return claim


def retry(library: Library, job_id: str) -> Job:
    with library.session() as s:
        return jobs.retry(s, OPERATOR, job_id)


def cancel(library: Library, job_id: str) -> Job:
    with library.session() as s:
        return jobs.cancel(s, OPERATOR, job_id)


def noted(library: Library) -> list[tuple[str, str | None]]:
    with library.session() as s:
        return [(e.action, e.subject_id) for e in reversed(audit.latest(s, 99))]


def test_a_failed_job_is_tried_again_with_all_of_its_attempts(library):
    old = failed_job(library)
    job = retry(library, old.id)
    assert (job.state, job.attempts, job.finished_at, job.error) == (
        *("queued", 0, None),
        "the disk is full",
    )
    new = take(library)
    assert (new.id, new.attempts, new.fence > old.fence) == (old.id, 1, True)
    with pytest.raises(LeaseLost), library.session() as s:
        leases.finish(s, old)
    with library.session() as s:
        leases.finish(s, new)
    assert noted(library) == [("job.retry", old.id)]


def test_only_what_failed_or_was_cancelled_is_tried_again(library):
    job_id = ask(library)
    with pytest.raises(InvalidValue, match=f"{job_id} is queued: only one that failed"):
        retry(library, job_id)
    claim = take(library)
    with pytest.raises(InvalidValue, match="is running"):
        retry(library, job_id)
    with library.session() as s:
        leases.finish(s, claim)
    with pytest.raises(InvalidValue, match="is done"):
        retry(library, job_id)
    with pytest.raises(NotInLibrary, match="aethex jobs list"):
        retry(library, "job_none")
    assert noted(library) == []


def test_of_a_subject_only_the_newest_job_is_tried_again(library):
    old = failed_job(library)
    newer = failed_job(library)
    with pytest.raises(InvalidValue, match=f"followed by {newer.id} about the same, which is fail"):
        retry(library, old.id)
    failed_job(library, kind="derive")
    with library.session() as s:
        assert jobs.retry_failed(s, OPERATOR, "archive") == [newer.id]
    assert now(library, old.id).state == "failed"
    with library.session() as s:
        assert jobs.count_by_state(s)["derive", "failed"] == 1
        assert len(jobs.retry_failed(s, OPERATOR)) == 1


def test_what_is_asked_for_while_it_is_tried_again_is_one_job(library):
    """Who asks has not committed yet, so the newer job is seen only when it is in the way."""
    failed = failed_job(library)
    with ThreadPoolExecutor(1) as pool, library.session() as asking:
        new = jobs.enqueue(asking, "archive", "rec_1")
        again = pool.submit(retry, library, failed.id)
        until_somebody_waits_for_a_lock(library)
        asking.commit()
        with pytest.raises(InvalidValue, match="archive of rec_1 was asked for anew just now"):
            again.result(20)
    assert (now(library, failed.id).state, now(library, new).state) == ("failed", "queued")


def test_a_cancelled_job_is_taken_by_nobody_until_it_is_tried_again(library):
    job_id = ask(library)
    assert cancel(library, job_id).state == "cancelled"
    assert take_or_none(library) is None
    with library.session() as s:
        assert jobs.retry_failed(s, OPERATOR) == []
    retry(library, job_id)
    assert take(library).id == job_id
    assert noted(library) == [("job.cancel", job_id), ("job.retry", job_id)]


def test_the_worker_of_a_cancelled_job_ends_nothing(library):
    ask(library)
    claim = take(library)
    cancel(library, claim.id)
    for act in (leases.finish, leases.verify, leases.release):
        with pytest.raises(LeaseLost):
            act_with_a_result(library, act, claim)
    with pytest.raises(LeaseLost), library.session() as s:
        leases.renew(s, claim, LEASE)
    with library.session() as s:
        assert s.get(Worker, "wrk_result") is None
        assert leases.reap(s) == (0, 0)
    assert now(library, claim.id).state == "cancelled"


def test_a_job_whose_end_is_being_written_has_ended(library):
    ask(library)
    claim = take(library)
    with ThreadPoolExecutor(1) as pool, library.session() as ending:
        leases.finish(ending, claim)
        cancelling = pool.submit(cancel, library, claim.id)
        until_somebody_waits_for_a_lock(library)
        ending.commit()
        with pytest.raises(InvalidValue, match="is done: only an open one can be cancelled"):
            cancelling.result(20)
    assert noted(library) == []


def test_the_newest_jobs_are_listed_first(library):
    ids = [ask(library, f"rec_{n}") for n in range(3)]
    other = failed_job(library, kind="derive").id
    with library.session() as s:
        assert [job.id for job in jobs.listed(s)] == [other, *reversed(ids)]
        assert [job.id for job in jobs.listed(s, kind="archive", limit=2)] == [ids[2], ids[1]]
        assert [job.id for job in jobs.listed(s, state="failed")] == [other]
