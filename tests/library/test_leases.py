"""Leases: a job is held by one, and ended once."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from aethex.library import jobs, leases
from aethex.library.audit import COMMAND_LINE
from aethex.library.leases import Claim, LeaseLost
from aethex.library.models import Job, Worker
from tests.library.job_steps import (
    LEASE,
    act_with_a_result,
    ask,
    let_lease_end,
    now,
    take,
    take_or_none,
)

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
        first = leases.claim(one, "wrk_1", ["archive"], LEASE)
        second = leases.claim(other, "wrk_2", ["archive"], LEASE)
        assert first is not None
        assert second is not None
        assert {first.subject_id, second.subject_id} == {"a", "b"}
        assert leases.claim(other, "wrk_2", ["archive"], LEASE) is None


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
        assert leases.release_worker(s, "wrk_dead") == (1, 1)
    assert take(library).id == mine[0].id
    assert now(library, mine[1].id).state == "failed"
    assert take_or_none(library) is None


# --- holding --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        lambda s, claim: leases.finish(s, claim),
        lambda s, claim: leases.fail(s, claim, "no"),
        lambda s, claim: leases.fail(s, claim, "no", can_retry=False),
        lambda s, claim: leases.release(s, claim),
        lambda s, claim: leases.renew(s, claim, LEASE),
        lambda s, claim: leases.verify(s, claim),
    ],
    ids=["finish", "retry", "fail", "release", "renew", "verify"],
)
def test_who_lost_the_job_changes_nothing_and_publishes_nothing(library, act):
    for since in ("queued again", "claimed", "done"):
        ask(library, since)
        stale = take(library)
        let_lease_end(library, stale)
        with library.session() as s:
            leases.reap(s)
        if since != "queued again":
            claim = take(library, worker="wrk_2")
        if since == "done":
            with library.session() as s:
                leases.finish(s, claim)
        before = now(library, stale.id)
        with pytest.raises(LeaseLost, match="archive of"):
            act_with_a_result(library, act, stale)
        assert as_row(now(library, stale.id)) == as_row(before)
        with library.session() as s:
            assert s.get(Worker, "wrk_result") is None
            s.execute(text("delete from jobs"))


def test_a_lease_that_is_over_and_nobody_took_is_still_held(library):
    ask(library)
    claim = take(library)
    let_lease_end(library, claim)
    with library.session() as s:
        leases.renew(s, claim, LEASE, {"share": 0.5, "stage": "copying"})
    assert take_or_none(library) is None
    assert now(library, claim.id).progress == {"share": 0.5, "stage": "copying"}
    let_lease_end(library, claim)
    with library.session() as s:
        leases.finish(s, claim)
    assert now(library, claim.id).state == "done"


def test_renewing_does_not_wait_for_the_end_that_is_being_written(library):
    ask(library)
    claim = take(library)
    with library.session() as ending:
        leases.finish(ending, claim)
        with library.session() as renewing:
            leases.renew(renewing, claim, LEASE)
    assert now(library, claim.id).state == "done"


def test_who_writes_the_end_keeps_the_job_though_its_time_is_over(library):
    ask(library)
    claim = take(library)
    let_lease_end(library, claim)
    with library.session() as ending:
        leases.finish(ending, claim)
        assert take_or_none(library, worker="wrk_2") is None
    assert now(library, claim.id).state == "done"


# --- ending ---------------------------------------------------------------------------------------


def test_a_failed_attempt_waits_longer_each_time_and_the_last_one_is_the_end(library):
    job_id = ask(library, max_attempts=2)
    with library.session() as s:
        assert leases.fail(s, take(library), "the network\n is\x00 away\ud800")
    job = now(library, job_id)
    assert (job.state, job.error) == ("queued", "the network is away")
    assert take_or_none(library) is None
    with library.session() as s:
        s.execute(text("update jobs set run_after = now()"))
    with library.session() as s:
        assert not leases.fail(s, take(library), "")
    job = now(library, job_id)
    assert (job.state, job.error, job.finished_at is None) == ("failed", "no reason given", False)
    assert [leases.wait_after(n) for n in (1, 2, 3, 99)] == [5, 20, 80, 3600]


def test_what_cannot_succeed_is_not_tried_again(library):
    ask(library)
    with library.session() as s:
        assert not leases.fail(s, take(library), "this is no video", can_retry=False)
        assert jobs.count_by_state(s, ["archive"]) == {("archive", "failed"): 1}
        assert not jobs.is_work_waiting(s, ["archive"])


def test_a_job_given_back_is_there_at_once_and_costs_no_attempt(library):
    ask(library, max_attempts=1)
    for _ in range(3):
        with library.session() as s:
            leases.release(s, take(library))
    assert take(library).attempts == 1


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
                made = leases.claim(s, f"wrk_{n}", [kind], LEASE)
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
                leases.reap(s, [kind])
                for job_id in holder:
                    if jobs.get(s, job_id).state != "running":
                        holder[job_id] = None
            elif claims:
                claim = claims[n % len(claims)]
                is_held = holder[claim.id] is claim
                assert is_held == leases.is_held(s, claim)
                try:
                    if step == "finish":
                        leases.finish(s, claim)
                    elif step == "renew":
                        leases.renew(s, claim, LEASE)
                    elif step == "release":
                        leases.release(s, claim)
                    else:
                        leases.fail(s, claim, step, can_retry=step == "fail")
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
                if held is not None and not leases.is_held(s, held):
                    assert step == "claim"
                    holder[job_id] = None
    assert all(count == 1 for count in ends.values())


def as_row(job: Job) -> dict[str, object]:
    return {column.name: getattr(job, column.name) for column in Job.__table__.columns}
