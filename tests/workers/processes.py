"""A worker in a process of its own, to be killed, stopped and told to end.

Its handler writes one row of `effects` a job, in the transaction that ends the job, and tells when
it is in the middle of one, for as long as the test keeps it there.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from sqlalchemy import text

from aethex.library import Library
from aethex.library.leases import LeaseLost
from aethex.settings import Settings
from aethex.workers.lease import Lease
from aethex.workers.worker import Pace, work

KIND = "chaos"
_PACE = Pace(lease_seconds=1.0, poll_seconds=0.1, idle_seconds=60.0, grace_seconds=5.0)

# a fork of a process that has the imports behind it starts in no time; pytest's own has threads
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


def make_effects(library: Library) -> None:
    """The table of what jobs did: nothing in it stops a job from being done twice."""
    with library.session() as s:
        s.execute(text("create table effects (subject_id text, fence bigint)"))


def effects(library: Library) -> list[str]:
    """The subjects of what was done, as often as it was done."""
    with library.session() as s:
        return list(s.scalars(text("select subject_id from effects order by subject_id")))


def write_effect(library: Library, lease: Lease) -> None:
    """The result and the end of the job, in one transaction."""
    with library.session() as s:
        s.execute(
            text("insert into effects values (:subject, :fence)"),
            {"subject": lease.subject_id, "fence": lease.claim.fence},
        )
        lease.finish(s)


class WorkerProcess:
    """The test's handle of it."""

    def __init__(self, settings: Settings, *, halts: bool) -> None:
        self._pipe, theirs = _processes.Pipe()
        self._process = _processes.Process(target=_run, args=(settings, halts, theirs))
        self._process.start()
        theirs.close()

    def until_in_the_middle(self) -> str:
        """The subject of the job that it is in the middle of. Raises EOFError when it has died."""
        return self._until("in the middle")

    def until_lost(self) -> str:
        """The subject of the job whose loss its handler has noticed."""
        return self._until("lost")

    def report(self) -> dict[str, int]:
        """How its jobs ended, once it has ended well."""
        counts = self._until("ended")
        self._process.join()
        assert self._process.exitcode == 0
        return counts

    def signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _until(self, word: str):
        while (told := self._pipe.recv())[0] != word:
            pass
        return told[1]


@contextmanager
def worker_process(settings: Settings, *, halts: bool) -> Generator[WorkerProcess]:
    """Such a worker; `halts`: it stays in the middle of each job that it takes."""
    process = WorkerProcess(settings, halts=halts)
    try:
        yield process
    finally:
        process.kill()


def _run(settings: Settings, halts: bool, pipe: Connection) -> None:
    started = time.time()
    # This machine's clock is a day slow, and runs backwards.
    time.time = lambda: 2 * started - time.monotonic() - 86_400

    with Library.open(settings) as library:

        def handle(lease: Lease) -> None:
            lease.progress(0.5, "halfway")
            pipe.send(("in the middle", lease.subject_id))
            try:
                while halts:
                    lease.check()
                    time.sleep(0.01)
                write_effect(library, lease)
            except LeaseLost:
                pipe.send(("lost", lease.subject_id))
                raise

        report = work(library, settings, {KIND: handle}, name="chaos", pace=_PACE)
        pipe.send(("ended", dict(report.counts)))
