"""Queries about leases: what a worker does with a job, from its claim to its end.

What belongs here: claiming, renewing, ending, and ending the leases of the dead. What does not:
asking for work (`jobs`), the loop that claims it (`aethex.workers.worker`).

A job's effect is there exactly once, whatever dies: who claims a job gets a fence, a number that is
higher than every one before it. Each statement of its worker names that fence and changes nothing
once another worker has a newer one. A worker that was slow, stopped or cut off finds out when it
wants to end the job, which it does in the transaction that holds the job's result, and then nothing
of that transaction stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select, update
from sqlalchemy.orm import Session

from aethex.library.errors import LibraryError
from aethex.library.jobs import ended, notify, now, silent
from aethex.library.models import Job, job_fences

_MOST_CHARACTERS = 2000  # of an error
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 5.0, 3600.0


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


# --- claiming -------------------------------------------------------------------------------------


def claim(s: Session, worker_id: str, kinds: Collection[str], lease_seconds: float) -> Claim | None:
    """Take the most urgent job of these kinds that waits, for `lease_seconds`; None without one.

    No two get the same, and nobody waits for another. Jobs whose lease is over are taken as well.
    Commit at once: the job is this worker's from then on.
    """
    reap(s, kinds)
    waiting = (
        select(Job.id)
        .where(Job.kind.in_(kinds), Job.state == "queued", Job.run_after <= now())
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
            lease_until=now() + timedelta(seconds=lease_seconds),
            started_at=now(),
        )
    )
    row = s.execute(
        silent(query).returning(
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
    over = select(Job.id).where(Job.state == "running", Job.lease_until < now())
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
            ended("failed")
            | {"error": func.concat(died, " in the last of ", Job.attempts, " attempts")}
        )
    )
    again = (
        update(Job)
        .where(which, Job.attempts < Job.max_attempts)
        .values(ended("queued") | {"error": died, "run_after": now()})
    )
    count_failed = len(s.scalars(silent(failed).returning(Job.id)).all())
    kinds = s.scalars(silent(again).returning(Job.kind)).all()
    for kind in sorted(set(kinds)):
        notify(s, kind)
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
    values: dict[str, Any] = {"lease_until": now() + timedelta(seconds=lease_seconds)}
    if progress is not None:
        values["progress"] = dict(progress)
    query = update(Job).where(Job.id.in_(free.scalar_subquery())).values(values)
    if s.scalar(silent(query).returning(Job.id)) is None and not is_held(s, claim):
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
    _change_ours(s, claim, ended("done") | {"error": None, "progress": {"share": 1.0}})


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
        values = ended("queued") | {"run_after": now() + timedelta(seconds=wait)}
    else:
        values = ended("failed")
    _change_ours(s, claim, values | {"error": _one_line(error)})
    return will_retry


def release(s: Session, claim: Claim) -> None:
    """Give the job back unended, as a worker does that is told to stop: it is queued again at once,
    and the attempt is not counted. Raises LeaseLost.
    """
    values = ended("queued") | {"run_after": now(), "attempts": Job.attempts - 1}
    _change_ours(s, claim, values)
    notify(s, claim.kind)


def wait_after(attempts: int) -> float:
    """Seconds until the next attempt, after so many: 5, 20, 80 …, an hour at most."""
    return min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 4.0 ** min(attempts - 1, 10))


# --- parts ----------------------------------------------------------------------------------------


def _is_ours(claim: Claim) -> ColumnElement[bool]:
    return and_(Job.id == claim.id, Job.fence == claim.fence, Job.state == "running")


def _change_ours(s: Session, claim: Claim, values: dict[str, Any]) -> None:
    query = update(Job).where(_is_ours(claim)).values(values)
    if s.scalar(silent(query).returning(Job.id)) is None:
        raise _lost(claim)


def _one_line(error: str) -> str:
    """As the database takes it: without what is no text (a NUL, half a surrogate)."""
    words = "".join(c if c.isprintable() else " " for c in error).split()
    return " ".join(words)[:_MOST_CHARACTERS] or "no reason given"


def _lost(claim: Claim) -> LeaseLost:
    return LeaseLost(
        f"Job {claim.id} ({claim.kind} of {claim.subject_id}) is no more this worker's: it was "
        "claimed by another one, or has ended."
    )
