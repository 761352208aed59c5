"""Queries about jobs: long work that is enqueued once, claimed with a lease, and ended once.

What belongs here: asking for work, looking at it, and what operators do with it. What does not:
what a worker does with a job (`leases`), doing the work (`aethex.workers`).

All times are the database's, so clocks of workers do not matter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, exists, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from aethex.library import audit
from aethex.library.audit import Actor
from aethex.library.errors import InvalidValue, NotInLibrary
from aethex.library.ids import new_id
from aethex.library.models import Job, JobState

CHANNEL = "aethex_jobs"
"""Where NOTIFY tells of a job that may be claimed; the payload is its kind."""

_ENDED_BADLY: tuple[JobState, ...] = ("failed", "cancelled")
_OPEN = text("state in ('queued', 'running')")  # the very condition of the unique index
now = func.clock_timestamp
"""The database's clock. Not its now(), which stands still within a transaction."""


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
        "run_after": now() + timedelta(seconds=delay_seconds),
    }
    new = insert(Job).on_conflict_do_nothing(
        index_elements=[Job.kind, Job.subject_id], index_where=_OPEN
    )
    while True:
        made = s.scalar(new.values(id=new_id("job"), **values).returning(Job.id))
        if made is not None:
            notify(s, kind)
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
    query = update(Job).where(Job.id == job_id, _OPEN).values(ended("cancelled"))
    was = s.scalar(select(Job.state).where(Job.id == job_id))
    found = s.scalar(silent(query).returning(Job.id))
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
    values: dict[str, Any] = {"attempts": 0, "progress": {}, "run_after": now()}
    query = update(Job).where(Job.id == job.id).values(ended("queued") | values)
    try:
        with s.begin_nested():
            s.execute(silent(query))
    except IntegrityError:  # of each kind a subject has one open job
        return False
    notify(s, job.kind)
    return True


# --- parts ----------------------------------------------------------------------------------------


def ended(state: str) -> dict[str, Any]:
    """The columns that change whenever a lease ends."""
    at = now() if state in ("done", "failed", "cancelled") else None
    return {"state": state, "lease_until": None, "worker_id": None, "finished_at": at}


def _is_waiting() -> ColumnElement[bool]:
    queued = and_(Job.state == "queued", Job.run_after <= now())
    return queued | and_(Job.state == "running", Job.lease_until < now())


def _unknown(job_id: str) -> NotInLibrary:
    return NotInLibrary(f"There is no job {job_id}: `aethex jobs list` shows them.")


def silent(query: Update) -> Update:
    """Without looking for objects of the session that it changes: nobody holds any."""
    return query.execution_options(synchronize_session=False)


def _fresh() -> Any:
    """A query that does not answer with what the session has seen before."""
    return select(Job).execution_options(populate_existing=True)


def notify(s: Session, kind: str) -> None:
    """Wake workers when the session commits; the same kind twice is one message."""
    s.execute(select(func.pg_notify(CHANNEL, kind)))
