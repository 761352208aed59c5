"""The worker: claims jobs, keeps their leases while handlers run, ends each once.

What belongs here: threads, heartbeats, signals, waiting. What does not: a lease as its handler sees
it (`lease`), the states of a job (`aethex.library.leases`).

A thread beside the handlers renews all leases. A database that is away ends none: nobody else can
claim meanwhile, so only its word, that another one has the job, does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import psycopg
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from aethex.library import Library, jobs, leases, new_id, workers
from aethex.library.leases import LeaseLost
from aethex.postgres import DatabaseUnreachable, database_url
from aethex.settings import Settings
from aethex.workers.lease import CannotSucceed, Handler, Lease, Stopped

_TICK_SECONDS = 0.5  # of the thread that renews: so often progress is written at most
_BEAT_SECONDS = 5.0
_AWAY = (DatabaseUnreachable, OperationalError, InterfaceError, PoolTimeout)
"""What a database that is away or was restarted raises."""


Tell = Callable[[str], None]


@dataclass(frozen=True)
class Pace:
    """How a worker waits and how long it lives, in seconds."""

    lease_seconds: float = 30.0
    """So long after its last sign a worker's job is given to another one."""
    poll_seconds: float = 5.0
    """So often it looks without being woken: for what was to run later, and for leases that are
    over."""
    life_seconds: float = float("inf")
    """After that it takes no more jobs, and ends with those that it has."""
    idle_seconds: float = float("inf")
    """It ends after having nothing to do for so long."""
    grace_seconds: float = 10.0
    """So long a handler may take to end when the worker is told to stop. Then its job is given
    back, and what the handler still does is void."""


@dataclass
class Report:
    """What a worker did, by the outcome: done, retried, failed, released, lost."""

    worker_id: str
    counts: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0


def work(
    library: Library,
    settings: Settings,
    handlers: Mapping[str, Handler],
    *,
    name: str,
    at_once: int = 1,
    pace: Pace | None = None,
    stop: threading.Event | None = None,
    details: Mapping[str, Any] | None = None,
    tell: Tell = lambda _line: None,
) -> Report:
    """Claim jobs of the handlers' kinds and do them, `at_once` of them at a time, each in a thread.

    Returns when its life or patience is over and the last job has ended, or soon after `stop` is
    set or SIGTERM came (when called in the main thread); jobs are given back then. `name` is the
    worker's kind in the table of workers. An exception in this thread, such as an interrupt, gives
    jobs back as well.
    """
    return _Worker(
        library, settings, handlers, name, at_once, pace or Pace(), stop, details, tell
    ).run()


class _Worker:
    """One call of `work`."""

    def __init__(
        self,
        library: Library,
        settings: Settings,
        handlers: Mapping[str, Handler],
        name: str,
        at_once: int,
        pace: Pace,
        stop: threading.Event | None,
        details: Mapping[str, Any] | None,
        tell: Tell,
    ) -> None:
        self._library = library
        self._settings = settings
        self._handlers = handlers
        self._kinds = sorted(handlers)
        self._name = name
        self._at_once = at_once
        self._pace = pace
        self._stop = stop or threading.Event()
        self._details = {"host": socket.gethostname(), "pid": os.getpid(), **(details or {})}
        self._tell = tell
        self._id = new_id("wrk")
        self._report = Report(self._id)
        self._wake = threading.Event()
        self._over = threading.Event()
        self._is_taking = True
        self._running: dict[threading.Thread, Lease] = {}
        self._renewed: dict[str, tuple[float, dict[str, Any]]] = {}
        """When each lease was last renewed, and the progress that was written then."""
        self._lock = threading.Lock()
        self._is_terminated = False

    def run(self) -> Report:
        started = time.monotonic()
        self._beat()
        beside = [
            threading.Thread(target=self._keep, name="leases", daemon=True),
            threading.Thread(target=self._listen, name="listen", daemon=True),
        ]
        for thread in beside:
            thread.start()
        try:
            with self._sigterm():
                self._loop(started)
        except BaseException:
            self._stop.set()
            raise
        finally:
            self._is_taking = False
            self._wind_up()
            self._over.set()
            for thread in beside:
                thread.join(timeout=2)
            with contextlib.suppress(*_AWAY), self._library.session() as s:
                workers.remove(s, self._id)
            self._report.seconds = round(time.monotonic() - started, 3)
        return self._report

    # --- the loop -----------------------------------------------------------------------------

    def _loop(self, started: float) -> None:
        busy_at = started
        while not self._stop.is_set():
            # Before looking: what is told from here on is not slept over.
            self._wake.clear()
            running = self._count_running()
            self._is_taking = time.monotonic() - started < self._pace.life_seconds
            if self._is_taking and running < self._at_once and self._take():
                busy_at = time.monotonic()
                continue
            now = time.monotonic()
            busy_at = now if running else busy_at
            if not running and (not self._is_taking or now - busy_at >= self._pace.idle_seconds):
                return
            left = [self._pace.poll_seconds]
            if not running:
                left.append(busy_at + self._pace.idle_seconds - now)
            if self._is_taking:
                left.append(started + self._pace.life_seconds - now)
            self._wake.wait(max(0.0, min(left)))

    def _take(self) -> bool:
        """Claim a job and start its handler; whether there was one."""
        try:
            with self._library.session() as s:
                claim = leases.claim(s, self._id, self._kinds, self._pace.lease_seconds)
        except _AWAY as error:
            self._tell(f"cannot claim: {_line(error)}")
            return False
        if claim is None:
            return False
        lease = Lease(claim)
        thread = threading.Thread(
            target=self._do, args=(lease,), name=f"job {claim.id}", daemon=True
        )
        self._renewed[claim.id] = (time.monotonic(), lease.told)
        with self._lock:
            self._running[thread] = lease
        thread.start()
        return True

    def _count_running(self) -> int:
        with self._lock:
            return len(self._running)

    # --- a job --------------------------------------------------------------------------------

    def _do(self, lease: Lease) -> None:
        """Run the handler and write down how it ended."""
        claim = lease.claim
        subject = f"{claim.kind} of {claim.subject_id} (attempt {claim.attempts})"
        self._tell(f"{subject}: begins")
        outcome = "lost"
        try:
            outcome, why = self._outcome(lease)
            self._tell(f"{subject}: {outcome}{f' ({why})' if why else ''}")
        finally:
            with self._lock:
                self._report.counts[outcome] += 1
                self._running.pop(threading.current_thread(), None)
            self._wake.set()

    def _outcome(self, lease: Lease) -> tuple[str, str]:
        """How it ended, in a word, and why."""
        try:
            self._handlers[lease.claim.kind](lease)
        except BaseException as error:
            # What a handler raises after it was told to end is only how it ended.
            return self._outcome_of(lease, lease.ending or error)
        if lease.is_finished:
            return "done", ""
        return self._write_end("done", lambda s: leases.finish(s, lease.claim)), ""

    def _outcome_of(self, lease: Lease, error: BaseException) -> tuple[str, str]:
        if isinstance(error, LeaseLost):
            return "lost", ""
        if isinstance(error, Stopped):
            return self._write_end("released", lambda s: leases.release(s, lease.claim)), ""
        why = _line(error)
        return self._fail(lease, why, can_retry=not isinstance(error, CannotSucceed)), why

    def _fail(self, lease: Lease, why: str, *, can_retry: bool) -> str:
        outcome = ["failed"]

        def write(s: Session) -> None:
            if leases.fail(s, lease.claim, why, can_retry=can_retry):
                outcome[0] = "retried"

        written = self._write_end("written", write)
        return outcome[0] if written == "written" else written

    def _write_end(self, outcome: str, write: Callable[[Session], object]) -> str:
        """Write how it ended. While the database is away, until it is back: the lease is kept."""
        while True:
            try:
                with self._library.session() as s:
                    write(s)
                return outcome
            except LeaseLost:
                return "lost"
            except _AWAY as error:
                if self._over.wait(_TICK_SECONDS):
                    self._tell(f"cannot write the end of a job: {_line(error)}")
                    return "lost"

    # --- beside them --------------------------------------------------------------------------

    def _keep(self) -> None:
        """Renew leases, write progress, tell that the worker lives; until it does not."""
        try:
            beat_at = time.monotonic()
            while not self._over.wait(min(_TICK_SECONDS, self._pace.lease_seconds / 3)):
                if self._is_terminated:
                    self._stop.set()
                if self._stop.is_set():
                    self._wake.set()
                with self._lock:
                    held = list(self._running.values())
                for lease in held:
                    self._renew_if_due(lease)
                if time.monotonic() - beat_at >= _BEAT_SECONDS:
                    self._beat()
                    beat_at = time.monotonic()
        except BaseException:
            self._stop.set()  # without renewals its jobs would be done twice over
            self._wake.set()
            raise

    def _renew_if_due(self, lease: Lease) -> None:
        """When a third of its time is over, or there is progress to write."""
        renewed_at, written = self._renewed[lease.claim.id]
        told, now = lease.told, time.monotonic()
        is_due = now - renewed_at >= self._pace.lease_seconds / 3 or told is not written
        if lease.is_finished or not is_due:
            return
        try:
            with self._library.session() as s:
                leases.renew(s, lease.claim, self._pace.lease_seconds, told or None)
            self._renewed[lease.claim.id] = (now, told)
        except LeaseLost as lost:
            lease.end(lost)
        except _AWAY:
            return  # at the next tick

    def _beat(self) -> None:
        with self._lock:
            doing = ", ".join(
                f"{lease.claim.kind} {lease.subject_id}" for lease in self._running.values()
            )
        with contextlib.suppress(*_AWAY), self._library.session() as s:
            workers.beat(
                s,
                self._id,
                self._name,
                doing=doing,
                is_taking=self._is_taking,
                details=self._details,
            )

    def _listen(self) -> None:
        """Wake the loop when a job of its kinds was enqueued. Without it, polling finds them."""
        url = database_url(self._settings, driver="")
        while not self._over.is_set():
            try:
                with psycopg.connect(
                    url, autocommit=True, application_name="aethex worker"
                ) as connection:
                    connection.execute(f"listen {jobs.CHANNEL}".encode())
                    self._wake.set()  # what came before this is not told
                    while not self._over.is_set():
                        for told in connection.notifies(timeout=0.5):
                            if told.payload in self._handlers:
                                self._wake.set()
            except psycopg.Error:
                self._over.wait(_TICK_SECONDS)

    @contextmanager
    def _sigterm(self) -> Generator[None]:
        """SIGTERM stops the worker while the block runs, if this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(_number: int, _frame: FrameType | None) -> None:
            # No more: it interrupts this very thread, which may hold the lock of an event.
            self._is_terminated = True

        before = signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    # --- the end ------------------------------------------------------------------------------

    def _wind_up(self) -> None:
        """Let handlers end, and give back the jobs of those that do not."""
        with self._lock:
            held = dict(self._running)
        for lease in held.values():
            lease.end(Stopped("The worker was told to stop."))
        deadline = time.monotonic() + self._pace.grace_seconds
        for thread, lease in held.items():
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                with contextlib.suppress(LeaseLost, *_AWAY), self._library.session() as s:
                    leases.release(s, lease.claim)


def _line(error: BaseException) -> str:
    """The error in one line, with its kind where the text alone says too little."""
    words = " ".join(str(error).split())
    is_ours = type(error).__module__.startswith("aethex.")
    return words if words and is_ours else f"{type(error).__name__}: {words}".rstrip(": ")
