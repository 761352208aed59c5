"""A job that is held, as its handler sees it.

What belongs here: progress, the question whether the job is still one's own, and its end. What
does not: claiming and renewing (`worker`), the states of a job (`aethex.library.leases`), and what
any kind of job does (its handler).

A handler is a function of a `Lease`. It tells its progress, which also checks that the job is still
its own, and ends the job with `lease.finish(session)` in the transaction of its result. It may be
killed at any point and called again, by another process: it writes objects under keys that follow
from the job, and records only in that last transaction.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from aethex.library import leases
from aethex.library.leases import Claim


class CannotSucceed(Exception):
    """Raised by a handler whose job no attempt can do, such as a broken file. One line."""


class Stopped(Exception):
    """The worker is told to stop: the handler ends, and its job is queued again at once."""


class Lease:
    """A job that is held, for its handler. Its methods may be called from any thread."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.is_finished = False
        """Whether the handler ended it. Should that transaction fail, its error says so."""
        self.told: dict[str, Any] = {}
        """The progress as the handler last told it."""
        self.ending: Exception | None = None
        """Why `check` raises, once it does."""
        self._on_end: list[Callable[[], None]] = []
        self._ended = threading.Event()
        self._lock = threading.Lock()

    @property
    def subject_id(self) -> str:
        """What the job is about."""
        return self.claim.subject_id

    @property
    def payload(self) -> Mapping[str, Any]:
        """What was said when it was enqueued."""
        return self.claim.payload

    def progress(self, share: float, stage: str, **more: Any) -> None:
        """Tell how far it is: `share` 0–1 of the whole, and what it does. Raises as `check`."""
        self.check()
        self.told = {"share": round(min(1.0, max(0.0, share)), 4), "stage": stage, **more}

    def check(self) -> None:
        """Raises LeaseLost when somebody else has the job, Stopped when the worker is to end.

        To be called between steps, as often as one likes: it asks nobody.
        """
        if self.ending is not None:
            raise self.ending

    def wait(self, seconds: float) -> None:
        """Let time pass. Raises as `check`, as soon as it would."""
        self._ended.wait(seconds)
        self.check()

    def on_end(self, call: Callable[[], None]) -> None:
        """Call this, from another thread, once `check` would raise: to end what cannot ask, such as
        a child process."""
        with self._lock:
            is_ended = self.ending is not None
            if not is_ended:
                self._on_end.append(call)
        if is_ended:
            call()

    def finish(self, s: Session) -> None:
        """End the job in the session that holds its result. Raises LeaseLost: nothing then stays.

        Nothing slow should follow in that session.
        """
        leases.finish(s, self.claim)
        self.is_finished = True

    def end(self, reason: Exception) -> None:
        """Let `check` raise from now on; for who renews. The first reason stays."""
        with self._lock:
            if self.ending is not None:
                return
            self.ending = reason
            calls, self._on_end = self._on_end, []
        self._ended.set()
        for call in calls:
            with contextlib.suppress(Exception):
                call()


Handler = Callable[[Lease], None]
