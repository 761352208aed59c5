"""The marts' current build, kept open, and answers from it, cached by build.

What belongs here: noticing a new build within seconds, handing each request one build that stays
the same until it is answered, and remembering answers. What does not: the questions
(`aethex.lake.analytics`).

A build never changes, so an answer that was once computed from it stays right for as long as the
build is current. Requests in flight keep the build that they began with: its connection closes when
the last of them lets go of it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar, cast

import duckdb

from aethex.lake.build_records import CURRENT_KEY, Build, current_build
from aethex.lake.connections import open_build
from aethex.service.problems import Problem
from aethex.settings import Settings
from aethex.store import NotFound, Store

POLL_SECONDS = 1.0
"""The current build is looked up at most this often."""

_CACHED_BYTES = 64 * 1024**2
_SMALL_ANSWER_BYTES = 16 * 1024
_Answer = TypeVar("_Answer")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenBuild:
    """A build with its connection and the answers computed from it."""

    build: Build
    connection: duckdb.DuckDBPyConnection
    _answers: OrderedDict[Hashable, object] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def etag(self) -> str:
        """Entity tag of every answer from this build (weak: they are sent compressed or not)."""
        fresh = f"{self.fresh_until:%Y%m%dT%H%M%S}" if self.fresh_until else ""
        return f'W/"{self.build.id}-{fresh}"'

    @property
    def fresh_until(self) -> datetime | None:
        """Everything received before this is in the build; None before the first window."""
        at = self.build.fresh_until
        return None if at is None else at.replace(tzinfo=UTC)

    def answer(
        self, key: Hashable, question: Callable[[duckdb.DuckDBPyConnection], _Answer]
    ) -> _Answer:
        """What `question` answers, or answered before under `key`.

        Questions run side by side in several threads; each must open a cursor of its own, as those
        of `aethex.lake.analytics` do.
        """
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return cast(_Answer, self._answers[key])
        given = question(self.connection)
        with self._lock:
            self._answers[key] = given
            self._answers.move_to_end(key)
            kept = sum(_cost_bytes(answer) for answer in self._answers.values())
            while kept > _CACHED_BYTES:
                kept -= _cost_bytes(self._answers.popitem(last=False)[1])
        return given


class Marts:
    """Reader of `marts/current.json`. Opens nothing until it is asked."""

    def __init__(
        self, settings: Settings, store: Store, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._open: OpenBuild | None = None
        self._etag: str | None = None
        self._looked_at: float | None = None
        self._refreshing = threading.Lock()

    def current(self) -> OpenBuild:
        """The current build. Raises a 503 Problem while there is none, StoreError when unreadable.

        With a build open already, a store that fails meanwhile only delays the next one.
        """
        found = self.current_or_none()
        if found is None:
            raise no_build_problem()
        return found

    def current_or_none(self) -> OpenBuild | None:
        """Like `current`, with None while no build was ever published."""
        if self._is_fresh():
            return self._open
        # One request looks for a new build; the others go on with the one that is open. Only when
        # none is open do they wait for the first to open it.
        if not self._refreshing.acquire(blocking=self._open is None):
            return self._open
        try:
            if not self._is_fresh():
                self._refresh()
            return self._open
        finally:
            self._refreshing.release()

    def check(self) -> Build | None:
        """The current build read from the store now. Raises StoreError when it cannot be read."""
        return current_build(self._store)

    def warm(self) -> None:
        """Open the current build before the first request asks. Failures wait for that request."""
        try:
            if self.current_or_none() is None:
                self._looked_at = None  # the first build is not to wait for the next look
        except Exception as error:
            _log.warning("The marts could not be opened yet: %s", error)

    def close(self) -> None:
        """Forget the open build; its connection closes with its last request."""
        self._open = None

    def _is_fresh(self) -> bool:
        return self._looked_at is not None and self._clock() - self._looked_at < POLL_SECONDS

    def _refresh(self) -> None:
        try:
            self._look()
        except Exception:  # whatever is wrong with the next build, the open one is still right
            if self._open is None:
                raise
            _log.warning(
                "The next build could not be opened; still answering from %s",
                self._open.build.id,
                exc_info=True,
            )
        self._looked_at = self._clock()

    def _look(self) -> None:
        try:
            etag = self._store.head(CURRENT_KEY).etag
        except NotFound:
            self._open, self._etag = None, None
            return
        if etag == self._etag:
            return
        build = current_build(self._store)
        if build is None:
            self._open, self._etag = None, None
        elif self._open is not None and self._open.build.id == build.id:
            # the same numbers, now known to be fresh until later
            self._open, self._etag = OpenBuild(build, self._open.connection), etag
        else:
            connection = open_build(self._store, self._settings, build)
            self._open, self._etag = OpenBuild(build, connection), etag
            _log.info("Answering from build %s", build.id)


def _cost_bytes(answer: object) -> int:
    """What an answer weighs in the cache; those that are no bytes are small by their questions."""
    return len(answer) if isinstance(answer, bytes) else _SMALL_ANSWER_BYTES


def no_build_problem() -> Problem:
    """503 while nothing was ever computed."""
    return Problem(
        503,
        "There are no numbers yet: no build was published. Run `aethex pipeline refresh`.",
        kind="no-build-yet",
        title="No build yet",
        part="build",
        headers={"Retry-After": "60"},
    )
