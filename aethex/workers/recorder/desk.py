"""What the recorder says to the library, and asks it: whose a key is, signals, causes of gaps.

What belongs here: sessions and holds, as plain functions for threads. What does not: bytes, tasks,
and what the signals mean (`aethex.library.live`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session
from ulid import ULID

from aethex.library import (
    GapCause,
    Library,
    NotInLibrary,
    SignalKind,
    Stream,
    captures,
    inputs,
    live,
)
from aethex.library.captures import CaptureToFinish, Pull
from aethex.library.holds import Holds
from aethex.library.recording import policy_of
from aethex.library.settling import end_due
from aethex.settings import Settings

logger = logging.getLogger(__name__)

_TRIES = 5
_FIRST_WAIT_SECONDS = 0.2


@dataclass(frozen=True)
class Admission:
    """An input that is recorded from now on: held by this recorder, and told to be connected."""

    input_id: str
    stream_id: str
    last_end_at: datetime | None
    """Until when its stream has been captured already."""


class Desk:
    """The library as the recorder sees it. Methods are called in threads, and raise
    DatabaseUnreachable while it is away.
    """

    def __init__(
        self, settings: Settings, library: Library, holds: Holds, clock: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._library = library
        self._holds = holds
        self._clock = clock
        self._turn = threading.Lock()
        self._connected: set[str] = set()
        """Inputs that this recorder has told to be connected, until they are left."""

    def admit_key(self, provider: str, key: str) -> Admission | None:
        """Connect the input with this stream key; None: nobody has it, or it is not recorded."""
        with self._library.session() as s:
            found = inputs.by_stream_key(s, provider, key)
            if found is None or not self._is_recorded(s, found.channel_id):
                return None
        return self._connect(found.id)

    def admit_pull(self, pull: Pull) -> Admission | None:
        """Connect an input whose media has come; None: somebody else records it, or it is over."""
        if not self._holds.take(pull.input_id):
            return None
        if pull.stream_id is None:
            return self._connect(pull.input_id)
        with self._library.session() as s:
            stream = live.live_stream(s, pull.input_id)
            if stream is None:
                return None
            return Admission(pull.input_id, stream.id, captures.last_end_at(s, stream.id))

    def _connect(self, input_id: str) -> Admission | None:
        with self._turn:
            if not self._holds.take(input_id):
                logger.warning("input %s is recorded by another recorder", input_id)
                return None
            now = self._clock()
            with self._library.session() as s:
                stream = live.signal(s, input_id, "connected", now, self._key(), now)
                if stream is None:
                    stream = live.live_stream(s, input_id)
                if stream is None:
                    return None
                last_end_at = captures.last_end_at(s, stream.id)
            self._connected.add(input_id)
        logger.info("stream %s: input %s is connected", stream.id, input_id)
        return Admission(input_id, stream.id, last_end_at)

    def leave(self, admission: Admission, kind: SignalKind | None, cause: GapCause | None) -> None:
        """Its bytes are over: tell so (`kind`; None says nothing), and give the input back.

        Tries for some seconds while the database is away; after that the next start finds out.
        """
        at, key = self._clock(), self._key()

        def tell() -> None:
            with self._library.session() as s:
                if cause is not None and s.get(Stream, admission.stream_id) is not None:
                    captures.note_break(s, admission.stream_id, at, cause)
                if kind is not None:
                    live.signal(s, admission.input_id, kind, at, key, self._clock())
            self._holds.give(admission.input_id)

        try:
            _insist(tell)
        finally:
            self._connected.discard(admission.input_id)
        logger.info("stream %s: input %s %s", admission.stream_id, admission.input_id, kind)

    def note(self, stream_id: str, at: datetime, cause: GapCause) -> None:
        """Remember why something is missing from that moment on."""

        def tell() -> None:
            with self._library.session() as s:
                captures.note_break(s, stream_id, at, cause)

        _insist(tell)

    def take_back(self) -> int:
        """Streams that are told to be live here but that no recorder records: their recorder died,
        or this one could not tell their end.

        They are disconnected now, so that they go on when their encoder comes back within the
        window, and end when it does not. How many there were.
        """
        with self._library.session() as s:
            told = captures.pushed_live(s)
        return sum(self._take_back(input_id, stream_id) for input_id, stream_id in told)

    def _take_back(self, input_id: str, stream_id: str) -> bool:
        with self._turn:  # its encoder may come back in this moment
            if input_id in self._connected or not self._holds.take(input_id):
                return False
            now = self._clock()
            try:
                with self._library.session() as s:
                    captures.note_break(s, stream_id, now, "recorder_down")
                    live.signal(s, input_id, "disconnected", now, self._key(), now)
            except NotInLibrary:
                return False  # joined with another one, or removed, just now
            finally:
                self._holds.give(input_id)
        logger.warning("stream %s was left by its recorder", stream_id)
        return True

    def settle(self) -> None:
        """End streams whose reconnect window is over."""
        for stream in end_due(self._library, self._clock()):
            logger.info("stream %s has ended", stream.id)

    def to_finish(self) -> Sequence[CaptureToFinish]:
        """VODs that wait for being finished."""
        with self._library.session() as s:
            return captures.to_finish(s)

    def pulls(self) -> Sequence[Pull]:
        """What has to be pulled now."""
        with self._library.session() as s:
            return [pull for pull in captures.pulls(s) if self._is_recorded(s, pull.channel_id)]

    def lost_holds(self) -> set[str]:
        """Inputs that another recorder has taken, after the database was away."""
        return self._holds.lost()

    def give(self, input_id: str) -> None:
        """Give an input back without a word."""
        self._holds.give(input_id)

    def is_held(self, input_id: str) -> bool:
        """Whether this recorder may record the input: it takes it if it is free."""
        return self._holds.take(input_id)

    def _is_recorded(self, s: Session, channel_id: str) -> bool:
        return policy_of(s, channel_id, self._settings).is_enabled

    def _key(self) -> str:
        """Signals of ours never repeat: each is told once, in one transaction."""
        return f"recorder:{ULID()}"


def _insist(tell: Callable[[], None]) -> None:
    """Do it, again after a while where the database is away. NotInLibrary: there is nothing to tell
    it of any more.
    """
    for attempt in range(_TRIES):
        try:
            return tell()
        except NotInLibrary:
            return None
        except Exception:
            if attempt == _TRIES - 1:
                raise
            time.sleep(_FIRST_WAIT_SECONDS * 4**attempt)
    return None
