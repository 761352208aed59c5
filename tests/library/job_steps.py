"""Asking for jobs and taking them, as tests of jobs and leases do."""

from __future__ import annotations

from sqlalchemy import text

from aethex.library import Library, jobs, leases
from aethex.library.leases import Claim
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
        return leases.claim(s, worker, kinds or ("archive",), lease)


def now(library: Library, job_id: str) -> Job:
    with library.session() as s:
        return jobs.get(s, job_id)


def let_lease_end(library: Library, claim: Claim) -> None:
    with library.session() as s:
        s.execute(
            text("update jobs set lease_until = now() - interval '1 s' where id = :id"),
            {"id": claim.id},
        )


def act_with_a_result(library: Library, act, claim: Claim) -> None:
    with library.session() as s:
        s.add(Worker(id="wrk_result", kind="result"))
        s.flush()
        act(s, claim)
