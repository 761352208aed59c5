"""Queries about jobs: long work that is enqueued once, claimed with a lease, and ended once.

What belongs here: every change of a job's state. What does not: doing the work, and the loop that
claims it (`aethex.workers.worker`).

A job's effect is there exactly once, whatever dies: who claims a job gets a fence, a number that is
higher than every one before it. Each statement of its worker names that fence and changes nothing
once another worker has a newer one. A worker that was slow, stopped or cut off finds out when it
wants to end the job, which it does in the transaction that holds the job's result, and then nothing
of that transaction stays.

All times are the database's, so clocks of workers do not matter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, exists, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from aethex.library import audit
from aethex.library.audit import Actor
from aethex.library.errors import InvalidValue, LibraryError, NotInLibrary
from aethex.library.ids import new_id
from aethex.library.models import Job, JobState, job_fences

CHANNEL = "aethex_jobs"
"""Where NOTIFY tells of a job that may be claimed; the payload is its kind."""

_MOST_CHARACTERS = 2000  # of an error
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 5.0, 3600.0
_ENDED_BADLY: tuple[JobState, ...] = ("failed", "cancelled")
_OPEN = text("state in ('queued', 'running')")  # the very condition of the unique index
# Not now(), which stands still within a transaction.
_now = func.clock_timestamp


class LeaseLost(LibraryError):
    """Another worker has the job, or it has ended: what this one did must not be published."""


@dataclass(frozen=True)
class Claim:
    """A job that was claimed, and the fence that proves it."""

    id: str
    kind: str
    subject_id: str
    payload: Mapping[str, Any]
    attempts: int
    """This one included."""
    max_attempts: int
    fence: int


# --- asking for work ------------------------------------------------------------------------------


def enqueue(
    s: Session,
    kind: str,
    subject_id: str,
    payload: Mapping[str, Any] | None = None,
    *,
    priority: int = 0,
    max_attempts: int = 5,
    delay_seconds: float = 0,
) -> str:
    """Ask for work on a subject, and wake a worker when the session commits; the job's id.

    While such a job is queued or running, this changes nothing and names that one.
    """
    values: dict[str, Any] = {
        "kind": kind,
        "subject_id": subject_id,
        "payload": dict(payload or {}),
        "priority": priority,
        "max_attempts": max_attempts,
        "run_after": _now() + timedelta(seconds=delay_seconds),
    }
    new = insert(Job).on_conflict_do_nothing(
        index_elements=[Job.kind, Job.subject_id], index_where=_OPEN
    )
    while True:
        made = s.scalar(new.values(id=new_id("job"), **values).returning(Job.id))
        if made is not None:
            _notify(s, kind)
            return made
        # The one that is in the way may end between the two statements: then there is room.
        if (found := open_job(s, kind, subject_id)) is not None:
            return found.id


def open_job(s: Session, kind: str, subject_id: str) -> Job | None:
    """The job of this kind about this subject that waits or runs."""
    return s.scalar(_fresh().where(Job.kind == kind, Job.subject_id == subject_id, _OPEN))


def last_states(s: Session, kind: str, subject_ids: Collection[str]) -> dict[str, JobState]:
    """The state of the newest job of this kind about each of these subjects, by the subject;
    subjects without a job are left out.
    """
    query = (
        select(Job.subject_id, Job.state)
        .ext(distinct_on(Job.subject_id))
        .where(Job.kind == kind, Job.subject_id.in_([*subject_ids]))
        .order_by(Job.subject_id, Job.created_at.desc(), Job.id.desc())
    )
    return dict(s.execute(query).all())


def last_job(s: Session, kind: str, subject_id: str) -> Job | None:
    """The newest job of this kind about this subject, whatever its state."""
    query = _fresh().where(Job.kind == kind, Job.subject_id == subject_id)
    return s.scalar(query.order_by(Job.created_at.desc(), Job.id.desc()).limit(1))


def get(s: Session, job_id: str) -> Job:
    """The job as it is now. Raises NotInLibrary."""
    job = s.scalar(_fresh().where(Job.id == job_id))
    if job is None:
        raise _unknown(job_id)
    return job


def is_work_waiting(s: Session, kinds: Collection[str]) -> bool:
    """Whether a worker of these kinds would find something to do now."""
    return bool(s.scalar(select(exists().where(Job.kind.in_(kinds), _is_waiting()))))


def count_by_state(s: Session, kinds: Collection[str] | None = None) -> dict[tuple[str, str], int]:
    """How many jobs there are, by (kind, state)."""
    query = select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)
    if kinds is not None:
        query = query.where(Job.kind.in_(kinds))
    return {(kind, state): count for kind, state, count in s.execute(query)}


# --- what operators do ----------------------------------------------------------------------------


def listed(
    s: Session, *, kind: str | None = None, state: JobState | None = None, limit: int = 50
) -> Sequence[Job]:
    """The newest jobs of this kind and state, the newest first."""
    query = _fresh().order_by(Job.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(Job.kind == kind)
    if state is not None:
        query = query.where(Job.state == state)
    return s.scalars(query).all()


def retry(s: Session, actor: Actor, job_id: str) -> Job:
    """Queue a job that failed or was cancelled once more, with all of its attempts.

    Whoever held it before has an older fence than the next claim gets, and ends nothing. Raises
    NotInLibrary, and InvalidValue for one that is open or done, or that a newer one has followed.
    """
    job = s.scalar(_fresh().where(Job.id == job_id).with_for_update())
    if job is None:
        raise _unknown(job_id)
    if job.state not in _ENDED_BADLY:
        raise InvalidValue(
            f"Job {job_id} is {job.state}: only one that failed or was cancelled is tried again."
        )
    newest = last_job(s, job.kind, job.subject_id)
    if newest is not None and newest.id != job_id:
        raise InvalidValue(
            f"Job {job_id} was followed by {newest.id} about the same, which is {newest.state}: "
            "look at that one."
        )
    if not _queue_again(s, job):
        raise InvalidValue(f"{job.kind} of {job.subject_id} was asked for anew just now.")
    audit.record(s, actor, "job.retry", job_id, kind=job.kind, subject=job.subject_id)
    return get(s, job_id)


def retry_failed(s: Session, actor: Actor, kind: str | None = None) -> list[str]:
    """Queue all jobs of this kind once more that failed and that no newer one has followed; their
    ids. Cancelled ones stay. What somebody else works on just now is left to them.
    """
    later = aliased(Job)
    is_followed = exists().where(
        later.kind == Job.kind,
        later.subject_id == Job.subject_id,
        tuple_(later.created_at, later.id) > tuple_(Job.created_at, Job.id),
    )
    query = _fresh().where(Job.state == "failed", ~is_followed).order_by(Job.id)
    if kind is not None:
        query = query.where(Job.kind == kind)
    done: list[str] = []
    for job in s.scalars(query.with_for_update(skip_locked=True, of=Job)).all():
        if _queue_again(s, job):
            audit.record(s, actor, "job.retry", job.id, kind=job.kind, subject=job.subject_id)
            done.append(job.id)
    return done


def cancel(s: Session, actor: Actor, job_id: str) -> Job:
    """End a job that is queued or running. Its worker finds out when it renews its lease or wants
    to end the job, and nothing of its result stays. A job whose end is being written has ended.

    Raises NotInLibrary, and InvalidValue for a job that has ended.
    """
    query = update(Job).where(Job.id == job_id, _OPEN).values(_ended("cancelled"))
    was = s.scalar(select(Job.state).where(Job.id == job_id))
    found = s.scalar(_silent(query).returning(Job.id))
    job = get(s, job_id)
    if found is None:
        raise InvalidValue(f"Job {job_id} is {job.state}: only an open one can be cancelled.")
    audit.record(
        s,
        actor,
        "job.cancel",
        job_id,
        kind=job.kind,
        subject=job.subject_id,
        state=[was, "cancelled"],
    )
    return job


def _queue_again(s: Session, job: Job) -> bool:
    """Whether it is queued; not where the same was asked for in the same moment."""
    values: dict[str, Any] = {"attempts": 0, "progress": {}, "run_after": _now()}
    query = update(Job).where(Job.id == job.id).values(_ended("queued") | values)
    try:
        with s.begin_nested():
            s.execute(_silent(query))
    except IntegrityError:  # of each kind a subject has one open job
        return False
    _notify(s, job.kind)
    return True


# --- claiming -------------------------------------------------------------------------------------


def claim(s: Session, worker_id: str, kinds: Collection[str], lease_seconds: float) -> Claim | None:
    """Take the most urgent job of these kinds that waits, for `lease_seconds`; None without one.

    No two get the same, and nobody waits for another. Jobs whose lease is over are taken as well.
    Commit at once: the job is this worker's from then on.
    """
    reap(s, kinds)
    waiting = (
        select(Job.id)
        .where(Job.kind.in_(kinds), Job.state == "queued", Job.run_after <= _now())
        .order_by(Job.priority.desc(), Job.run_after, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    query = (
        update(Job)
        .where(Job.id.in_(waiting.scalar_subquery()))
        .values(
            state="running",
            attempts=Job.attempts + 1,
            fence=job_fences.next_value(),
            worker_id=worker_id,
            lease_until=_now() + timedelta(seconds=lease_seconds),
            started_at=_now(),
        )
    )
    row = s.execute(
        _silent(query).returning(
            Job.id,
            Job.kind,
            Job.subject_id,
            Job.payload,
            Job.attempts,
            Job.max_attempts,
            Job.fence,
        )
    ).one_or_none()
    return None if row is None else Claim(*row)  # pyright: ignore[reportArgumentType]


def reap(s: Session, kinds: Collection[str] | None = None) -> tuple[int, int]:
    """End leases that are over: how many jobs are queued again, and how many have failed by that,
    because it was their last attempt. Who is about to end such a job is left to it.
    """
    over = select(Job.id).where(Job.state == "running", Job.lease_until < _now())
    if kinds is not None:
        over = over.where(Job.kind.in_(kinds))
    ids = s.scalars(over.with_for_update(skip_locked=True)).all()
    if not ids:
        return 0, 0
    return _end_leases(s, Job.id.in_(ids))


def release_worker(s: Session, worker_id: str) -> tuple[int, int]:
    """End all leases of a worker that is known to be dead, without waiting for their time.

    As `reap` counts it: the attempt was one. Its fences are void when somebody else claims.
    """
    return _end_leases(s, and_(Job.state == "running", Job.worker_id == worker_id))


def _end_leases(s: Session, which: ColumnElement[bool]) -> tuple[int, int]:
    died = func.concat("its worker ", Job.worker_id, " died or was cut off")
    failed = (
        update(Job)
        .where(which, Job.attempts >= Job.max_attempts)
        .values(
            _ended("failed")
            | {"error": func.concat(died, " in the last of ", Job.attempts, " attempts")}
        )
    )
    again = (
        update(Job)
        .where(which, Job.attempts < Job.max_attempts)
        .values(_ended("queued") | {"error": died, "run_after": _now()})
    )
    count_failed = len(s.scalars(_silent(failed).returning(Job.id)).all())
    kinds = s.scalars(_silent(again).returning(Job.kind)).all()
    for kind in sorted(set(kinds)):
        _notify(s, kind)
    return len(kinds), count_failed


# --- what only the holder of the fence can do -----------------------------------------------------


def renew(
    s: Session, claim: Claim, lease_seconds: float, progress: Mapping[str, Any] | None = None
) -> None:
    """Hold the job for `lease_seconds` from now on, and keep its progress where one is given.

    A lease that is over is renewed as long as nobody else has claimed the job. It never waits: a
    job that is locked (its end is being written) is left alone. Raises LeaseLost.
    """
    free = select(Job.id).where(_is_ours(claim)).with_for_update(skip_locked=True)
    values: dict[str, Any] = {"lease_until": _now() + timedelta(seconds=lease_seconds)}
    if progress is not None:
        values["progress"] = dict(progress)
    query = update(Job).where(Job.id.in_(free.scalar_subquery())).values(values)
    if s.scalar(_silent(query).returning(Job.id)) is None and not is_held(s, claim):
        raise _lost(claim)


def is_held(s: Session, claim: Claim) -> bool:
    """Whether the job still is this claim's."""
    return bool(s.scalar(select(exists().where(_is_ours(claim)))))


def verify(s: Session, claim: Claim) -> None:
    """Make sure that the job is this claim's until the session ends: it stays locked.

    For a result that is written in steps, before the last one. Raises LeaseLost.
    """
    if s.scalar(select(Job.id).where(_is_ours(claim)).with_for_update()) is None:
        raise _lost(claim)


def finish(s: Session, claim: Claim) -> None:
    """End the job well, in the transaction that holds its result.

    Raises LeaseLost when the job is no more this claim's: let it pass through `Library.session()`,
    so that nothing of the result stays.
    """
    _change_ours(s, claim, _ended("done") | {"error": None, "progress": {"share": 1.0}})


def fail(
    s: Session,
    claim: Claim,
    error: str,
    *,
    can_retry: bool = True,
    wait_seconds: float | None = None,
) -> bool:
    """End the attempt: the job is queued again after a wait, or has failed for good.

    For good when it is not to be retried or this was the last attempt. The wait grows with the
    attempts (`wait_after`) unless it is given. Whether it is queued again. Raises LeaseLost.
    """
    will_retry = can_retry and claim.attempts < claim.max_attempts
    if will_retry:
        wait = wait_after(claim.attempts) if wait_seconds is None else wait_seconds
        values = _ended("queued") | {"run_after": _now() + timedelta(seconds=wait)}
    else:
        values = _ended("failed")
    _change_ours(s, claim, values | {"error": _one_line(error)})
    return will_retry


def release(s: Session, claim: Claim) -> None:
    """Give the job back unended, as a worker does that is told to stop: it is queued again at once,
    and the attempt is not counted. Raises LeaseLost.
    """
    values = _ended("queued") | {"run_after": _now(), "attempts": Job.attempts - 1}
    _change_ours(s, claim, values)
    _notify(s, claim.kind)


def wait_after(attempts: int) -> float:
    """Seconds until the next attempt, after so many: 5, 20, 80 …, an hour at most."""
    return min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 4.0 ** min(attempts - 1, 10))


# --- parts ----------------------------------------------------------------------------------------


def _ended(state: str) -> dict[str, Any]:
    """The columns that change whenever a lease ends."""
    at = _now() if state in ("done", "failed", "cancelled") else None
    return {"state": state, "lease_until": None, "worker_id": None, "finished_at": at}


def _is_ours(claim: Claim) -> ColumnElement[bool]:
    return and_(Job.id == claim.id, Job.fence == claim.fence, Job.state == "running")


def _is_waiting() -> ColumnElement[bool]:
    queued = and_(Job.state == "queued", Job.run_after <= _now())
    return queued | and_(Job.state == "running", Job.lease_until < _now())


def _change_ours(s: Session, claim: Claim, values: dict[str, Any]) -> None:
    query = update(Job).where(_is_ours(claim)).values(values)
    if s.scalar(_silent(query).returning(Job.id)) is None:
        raise _lost(claim)


def _one_line(error: str) -> str:
    """As the database takes it: without what is no text (a NUL, half a surrogate)."""
    words = "".join(c if c.isprintable() else " " for c in error).split()
    return " ".join(words)[:_MOST_CHARACTERS] or "no reason given"


def _unknown(job_id: str) -> NotInLibrary:
    return NotInLibrary(f"There is no job {job_id}: `aethex jobs list` shows them.")


def _lost(claim: Claim) -> LeaseLost:
    return LeaseLost(
        f"Job {claim.id} ({claim.kind} of {claim.subject_id}) is no more this worker's: it was "
        "claimed by another one, or has ended."
    )


def _silent(query: Update) -> Update:
    """Without looking for objects of the session that it changes: nobody holds any."""
    return query.execution_options(synchronize_session=False)


def _fresh() -> Any:
    """A query that does not answer with what the session has seen before."""
    return select(Job).execution_options(populate_existing=True)


def _notify(s: Session, kind: str) -> None:
    """Wake workers when the session commits; the same kind twice is one message."""
    s.execute(select(func.pg_notify(CHANNEL, kind)))
