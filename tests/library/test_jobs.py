"""Jobs: asked for once, held by one, ended once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from aethex.library import InvalidValue, Library, NotInLibrary, audit, jobs
from aethex.library.audit import COMMAND_LINE, Actor
from aethex.library.jobs import Claim, LeaseLost
from aethex.library.models import Job, Worker

LEASE = 3600.0


def ask(library: Library, subject: str = "rec_1", kind: str = "archive", **options) -> str:
    with library.session() as s:
        return jobs.enqueue(s, kind, subject, **options)


def take(library: Library, *kinds: str, worker: str = "wrk_1", lease: float = LEASE) -> Claim:
    claim = take_or_none(library, *kinds, worker=worker, lease=lease)
    assert claim is not None
    return claim


def take_or_none(library: Library, *kinds: str, worker="wrk_1", lease=LEASE) -> Claim | None:
    with library.session() as s:
        return jobs.claim(s, worker, kinds or ("archive",), lease)


def now(library: Library, job_id: str) -> Job:
    with library.session() as s:
        return jobs.get(s, job_id)


def let_lease_end(library: Library, claim: Claim) -> None:
    with library.session() as s:
        s.execute(
            text("update jobs set lease_until = now() - interval '1 s' where id = :id"),
            {"id": claim.id},
        )


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
        jobs.finish(s, claim := take(library))
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


# --- claiming -------------------------------------------------------------------------------------


def test_the_most_urgent_is_taken_first_then_the_oldest(library):
    ask(library, "old")
    ask(library, "new")
    ask(library, "urgent", priority=5)
    ask(library, "of another kind", kind="clip")
    ask(library, "later", priority=9, delay_seconds=3600)
    assert [take(library).subject_id for _ in range(3)] == ["urgent", "old", "new"]
    assert take_or_none(library) is None
    assert take(library, "archive", "clip").subject_id == "of another kind"


def test_nobody_waits_for_who_is_about_to_claim(library):
    ask(library, "a")
    ask(library, "b")
    with library.session() as one, library.session() as other:
        first = jobs.claim(one, "wrk_1", ["archive"], LEASE)
        second = jobs.claim(other, "wrk_2", ["archive"], LEASE)
        assert first is not None
        assert second is not None
        assert {first.subject_id, second.subject_id} == {"a", "b"}
        assert jobs.claim(other, "wrk_2", ["archive"], LEASE) is None


def test_a_lease_that_is_over_is_given_to_another_with_a_higher_fence(library):
    ask(library)
    dead = take(library, worker="wrk_dead")
    assert take_or_none(library) is None
    let_lease_end(library, dead)
    with library.session() as s:
        assert jobs.is_work_waiting(s, ["archive"])
    alive = take(library, worker="wrk_alive")
    assert alive.id == dead.id
    assert (alive.fence > dead.fence, alive.attempts) == (True, 2)
    assert now(library, dead.id).error == "its worker wrk_dead died or was cut off"


def test_whose_workers_die_too_often_fails_and_says_so(library):
    job_id = ask(library, max_attempts=2)
    for _ in range(2):
        let_lease_end(library, take(library, worker="wrk_9"))
    assert take_or_none(library) is None
    job = now(library, job_id)
    assert job.state == "failed"
    assert job.error == "its worker wrk_9 died or was cut off in the last of 2 attempts"
    with library.session() as s:
        jobs.retry(s, COMMAND_LINE, job_id)
    assert take(library).attempts == 1


def test_a_dead_workers_jobs_need_not_wait_for_their_time(library):
    ask(library, "a")
    ask(library, "b", max_attempts=1)
    ask(library, "c")
    mine = [take(library, worker="wrk_dead") for _ in range(2)]
    take(library, worker="wrk_other")
    with library.session() as s:
        assert jobs.release_worker(s, "wrk_dead") == (1, 1)
    assert take(library).id == mine[0].id
    assert now(library, mine[1].id).state == "failed"
    assert take_or_none(library) is None


# --- holding --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        lambda s, claim: jobs.finish(s, claim),
        lambda s, claim: jobs.fail(s, claim, "no"),
        lambda s, claim: jobs.fail(s, claim, "no", can_retry=False),
        lambda s, claim: jobs.release(s, claim),
        lambda s, claim: jobs.renew(s, claim, LEASE),
        lambda s, claim: jobs.verify(s, claim),
    ],
    ids=["finish", "retry", "fail", "release", "renew", "verify"],
)
def test_who_lost_the_job_changes_nothing_and_publishes_nothing(library, act):
    for since in ("queued again", "claimed", "done"):
        ask(library, since)
        stale = take(library)
        let_lease_end(library, stale)
        with library.session() as s:
            jobs.reap(s)
        if since != "queued again":
            claim = take(library, worker="wrk_2")
        if since == "done":
            with library.session() as s:
                jobs.finish(s, claim)
        before = now(library, stale.id)
        with pytest.raises(LeaseLost, match="archive of"):
            act_with_a_result(library, act, stale)
        assert as_row(now(library, stale.id)) == as_row(before)
        with library.session() as s:
            assert s.get(Worker, "wrk_result") is None
            s.execute(text("delete from jobs"))


def act_with_a_result(library: Library, act, claim: Claim) -> None:
    with library.session() as s:
        s.add(Worker(id="wrk_result", kind="result"))
        s.flush()
        act(s, claim)


def test_a_lease_that_is_over_and_nobody_took_is_still_held(library):
    ask(library)
    claim = take(library)
    let_lease_end(library, claim)
    with library.session() as s:
        jobs.renew(s, claim, LEASE, {"share": 0.5, "stage": "copying"})
    assert take_or_none(library) is None
    assert now(library, claim.id).progress == {"share": 0.5, "stage": "copying"}
    let_lease_end(library, claim)
    with library.session() as s:
        jobs.finish(s, claim)
    assert now(library, claim.id).state == "done"


def test_renewing_does_not_wait_for_the_end_that_is_being_written(library):
    ask(library)
    claim = take(library)
    with library.session() as ending:
        jobs.finish(ending, claim)
        with library.session() as renewing:
            jobs.renew(renewing, claim, LEASE)
    assert now(library, claim.id).state == "done"


def test_who_writes_the_end_keeps_the_job_though_its_time_is_over(library):
    ask(library)
    claim = take(library)
    let_lease_end(library, claim)
    with library.session() as ending:
        jobs.finish(ending, claim)
        assert take_or_none(library, worker="wrk_2") is None
    assert now(library, claim.id).state == "done"


# --- ending ---------------------------------------------------------------------------------------


def test_a_failed_attempt_waits_longer_each_time_and_the_last_one_is_the_end(library):
    job_id = ask(library, max_attempts=2)
    with library.session() as s:
        assert jobs.fail(s, take(library), "the network\n is\x00 away\ud800")
    job = now(library, job_id)
    assert (job.state, job.error) == ("queued", "the network is away")
    assert take_or_none(library) is None
    with library.session() as s:
        s.execute(text("update jobs set run_after = now()"))
    with library.session() as s:
        assert not jobs.fail(s, take(library), "")
    job = now(library, job_id)
    assert (job.state, job.error, job.finished_at is None) == ("failed", "no reason given", False)
    assert [jobs.wait_after(n) for n in (1, 2, 3, 99)] == [5, 20, 80, 3600]


def test_what_cannot_succeed_is_not_tried_again(library):
    ask(library)
    with library.session() as s:
        assert not jobs.fail(s, take(library), "this is no video", can_retry=False)
        assert jobs.count_by_state(s, ["archive"]) == {("archive", "failed"): 1}
        assert not jobs.is_work_waiting(s, ["archive"])


def test_a_job_given_back_is_there_at_once_and_costs_no_attempt(library):
    ask(library, max_attempts=1)
    for _ in range(3):
        with library.session() as s:
            jobs.release(s, take(library))
    assert take(library).attempts == 1


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
        jobs.fail(s, claim, "the disk is full", can_retry=False)
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
        jobs.finish(s, old)
    with library.session() as s:
        jobs.finish(s, new)
    assert noted(library) == [("job.retry", old.id)]


def test_only_what_failed_or_was_cancelled_is_tried_again(library):
    job_id = ask(library)
    with pytest.raises(InvalidValue, match=f"{job_id} is queued: only one that failed"):
        retry(library, job_id)
    claim = take(library)
    with pytest.raises(InvalidValue, match="is running"):
        retry(library, job_id)
    with library.session() as s:
        jobs.finish(s, claim)
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
    for act in (jobs.finish, jobs.verify, jobs.release):
        with pytest.raises(LeaseLost):
            act_with_a_result(library, act, claim)
    with pytest.raises(LeaseLost), library.session() as s:
        jobs.renew(s, claim, LEASE)
    with library.session() as s:
        assert s.get(Worker, "wrk_result") is None
        assert jobs.reap(s) == (0, 0)
    assert now(library, claim.id).state == "cancelled"


def test_a_job_whose_end_is_being_written_has_ended(library):
    ask(library)
    claim = take(library)
    with ThreadPoolExecutor(1) as pool, library.session() as ending:
        jobs.finish(ending, claim)
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


def until_somebody_waits_for_a_lock(library: Library) -> None:
    deadline = time.monotonic() + 20
    query = text(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    while True:
        with library.session() as s:
            if s.scalar(query):
                return
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.02)


# --- any order of events --------------------------------------------------------------------------

STEPS = ["ask", "claim", "finish", "fail", "give up", "release", "renew", "time passes", "reap"]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5)), min_size=8, max_size=30))
def test_whatever_happens_each_job_ends_once_and_only_by_who_holds_it(library, steps):
    """The model: per job the claim that holds it; every other one must be refused."""
    kind = f"k{uuid4().hex[:12]}"
    claims: list[Claim] = []
    holder: dict[str, Claim | None] = {}
    ends: dict[str, int] = {}
    for step, n in steps:
        with library.session() as s:
            if step == "ask":
                holder.setdefault(jobs.enqueue(s, kind, f"s{n}", max_attempts=3), None)
            elif step == "claim":
                made = jobs.claim(s, f"wrk_{n}", [kind], LEASE)
                if made is not None:
                    assert all(made.fence > other.fence for other in claims)
                    assert made.attempts <= 3
                    claims.append(made)
                    holder[made.id] = made
            elif step == "time passes":
                s.execute(
                    text(
                        "update jobs set lease_until = now() - interval '1 s' "
                        "where kind = :k and state = 'running'"
                    ),
                    {"k": kind},
                )
                s.execute(text("update jobs set run_after = now() where kind = :k"), {"k": kind})
            elif step == "reap":
                jobs.reap(s, [kind])
                for job_id in holder:
                    if jobs.get(s, job_id).state != "running":
                        holder[job_id] = None
            elif claims:
                claim = claims[n % len(claims)]
                is_held = holder[claim.id] is claim
                assert is_held == jobs.is_held(s, claim)
                try:
                    if step == "finish":
                        jobs.finish(s, claim)
                    elif step == "renew":
                        jobs.renew(s, claim, LEASE)
                    elif step == "release":
                        jobs.release(s, claim)
                    else:
                        jobs.fail(s, claim, step, can_retry=step == "fail")
                    assert is_held
                except LeaseLost:
                    assert not is_held
                    continue
                if step != "renew":
                    holder[claim.id] = None
                if step == "finish":
                    ends[claim.id] = ends.get(claim.id, 0) + 1
        with library.session() as s:  # claiming reaps as well
            for job_id, held in holder.items():
                if held is not None and not jobs.is_held(s, held):
                    assert step == "claim"
                    holder[job_id] = None
    assert all(count == 1 for count in ends.values())


def as_row(job: Job) -> dict[str, object]:
    return {column.name: getattr(job, column.name) for column in Job.__table__.columns}
