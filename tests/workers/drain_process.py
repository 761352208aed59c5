"""A worker of the drain run in a process of its own, to be killed while it makes things of VODs."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from aethex.library import Library, jobs, vods
from aethex.library.models import Job
from aethex.settings import Settings
from aethex.store import open_store
from aethex.workers.derive import Deriver
from aethex.workers.worker import Pace, work

_PACE = Pace(lease_seconds=2.0, poll_seconds=0.1, idle_seconds=3600.0)
_PATIENCE_SECONDS = 60
_processes = multiprocessing.get_context("spawn")


class DrainProcess:
    """The test's handle of it."""

    def __init__(self, settings: Settings, library: Library) -> None:
        self._settings, self._library = settings, library
        self.kills = 0
        self._start()

    def _start(self) -> None:
        self._process = _processes.Process(target=_run, args=(self._settings,), daemon=True)
        self._process.start()

    def kill_in_the_middle(self, vod_id: str) -> None:
        """Have it make all of this VOD again, kill -9 it meanwhile, and start another."""
        with self._library.session() as s:
            jobs.enqueue(s, vods.DERIVE_KIND, vod_id, max_attempts=100)
        self._until_any("running")
        self.kill()
        self.kills += 1
        self._start()

    def end_all(self) -> None:
        """Wait until nothing is left to do."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            with self._library.session() as s:
                _do_not_wait(s)
                states = set(s.scalars(select(Job.state)))
            if states == {"done"}:
                return
            time.sleep(0.1)
        raise AssertionError(f"jobs are left: {states}")

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def _until_any(self, state: str) -> None:
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            with self._library.session() as s:
                _do_not_wait(s)
                if s.scalar(select(func.count()).where(Job.state == state)):
                    return
            time.sleep(0.02)
        raise AssertionError(f"no job became {state}")


@contextmanager
def drain_process(settings: Settings, library: Library) -> Generator[DrainProcess]:
    """Such a worker, gone after the block."""
    process = DrainProcess(settings, library)
    try:
        yield process
    finally:
        process.kill()


def _do_not_wait(s: Session) -> None:
    """What failed because the store was away is tried again at once."""
    s.execute(update(Job).where(Job.state == "queued").values(run_after=func.clock_timestamp()))


def _run(settings: Settings) -> None:
    with Library.open(settings) as library:
        handlers = {vods.DERIVE_KIND: Deriver(settings, library, open_store(settings))}
        work(library, settings, handlers, name="drain", pace=_PACE)
