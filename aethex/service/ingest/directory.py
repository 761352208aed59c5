"""Whose a stream, VOD or channel is, remembered, so that a batch seldom asks the database.

What belongs here: the cache. What does not: the query (`library.content`).

Content never changes its channel, so what is known stays right while the database is away. What is
not there is asked for again after a few seconds: it may have been made meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection

from aethex.library import Library
from aethex.library.content import channels_of
from aethex.library.ids import PREFIXES, is_id

KNOWN_AT_MOST = 200_000
MISSING_SECONDS = 5.0
_MISSING_AT_MOST = 20_000


class Directory:
    """The channel of content, by the content's id. Safe to use from several threads."""

    def __init__(self, library: Library, clock: Callable[[], float] = time.monotonic) -> None:
        self._library = library
        self._clock = clock
        self._known: OrderedDict[str, str] = OrderedDict()
        self._missing: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def channel_of(self, content_id: str) -> str | None:
        """The channel of a stream or VOD (of a channel: itself), as far as it is known here."""
        return self._known.get(content_id)

    def unknown(self, ids: Collection[str]) -> set[str]:
        """Those of the ids that have to be asked for."""
        now = self._clock()
        unknown: set[str] = set()
        with self._lock:
            for one in ids:
                if one in self._known:
                    # what a batch is about must not be forgotten before the batch is judged
                    self._known.move_to_end(one)
                elif now - self._missing.get(one, float("-inf")) >= MISSING_SECONDS:
                    unknown.add(one)
        return unknown

    def look_up(self, ids: Collection[str]) -> None:
        """Ask the library for these ids. Raises DatabaseUnreachable."""
        possible = [one for one in ids if any(is_id(prefix, one) for prefix in PREFIXES)]
        found: dict[str, str] = {}
        if possible:
            with self._library.session() as session:
                found = channels_of(session, possible)
        with self._lock:
            now = self._clock()
            for one in ids:
                if one in found:
                    self._known[one] = found[one]
                    self._missing.pop(one, None)
                else:
                    self._missing[one] = now
                    self._missing.move_to_end(one)
            while len(self._known) > KNOWN_AT_MOST:
                self._known.popitem(last=False)
            while len(self._missing) > _MISSING_AT_MOST:
                self._missing.popitem(last=False)
