"""What the issuer said, kept for a while.

What belongs here: when it is asked again. What does not: what it is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from aethex.service.oidc.errors import IssuerUnreachable

FRESH_SECONDS = 600.0
"""A key that the issuer took away works so much longer at most, while the issuer answers."""
GOOD_SECONDS = 24 * 3600.0
"""How long what was said holds while the issuer does not answer."""
PAUSE_SECONDS = 10.0
"""Between two questions, whoever asks: forged tokens cannot make us ask without end."""
_WAITING_AT_MOST = 8

T = TypeVar("T")


class Kept(Generic[T]):
    """A value that `ask` gives. Threads may share it: one asks, and few of the others wait.

    ask: raises IssuerUnreachable. clock: seconds that only go on.
    """

    def __init__(self, ask: Callable[[], T], clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_WAITING_AT_MOST)
        self._value: tuple[T, float] | None = None
        self._asked_at = float("-inf")
        self._failure = "it was not asked yet"

    def get(self) -> T:
        """The value. An old one is asked for anew; while nobody answers, it goes on for a day.

        Raises IssuerUnreachable when there is none.
        """
        value = self._younger_than(FRESH_SECONDS)
        if value is not None:
            return value
        value = self._younger_than(GOOD_SECONDS)
        if value is None:
            return self.renewed()
        if self._lock.acquire(blocking=False):  # the others go on with the old one meanwhile
            try:
                self._renew()
            finally:
                self._lock.release()
        newer = self._younger_than(GOOD_SECONDS)
        return value if newer is None else newer

    def fresh(self) -> T:
        """The value, as long as the issuer answers. Raises IssuerUnreachable when it does not."""
        value = self._younger_than(FRESH_SECONDS)
        if value is None:
            self.renewed()
            value = self._younger_than(FRESH_SECONDS)
        if value is None:
            raise IssuerUnreachable(self._failure)
        return value

    def renewed(self) -> T:
        """The value, asked for anew unless it just was. Raises IssuerUnreachable as `get` does."""
        if not self._places.acquire(blocking=False):
            raise IssuerUnreachable("Too many wait for the issuer's answer: try again soon.")
        try:
            with self._lock:
                self._renew()
        finally:
            self._places.release()
        value = self._younger_than(GOOD_SECONDS)
        if value is None:
            raise IssuerUnreachable(self._failure)
        return value

    def _younger_than(self, seconds: float) -> T | None:
        known = self._value
        return known[0] if known and self._clock() - known[1] < seconds else None

    def _renew(self) -> None:
        if self._clock() - self._asked_at < PAUSE_SECONDS:
            return
        self._asked_at = self._clock()
        try:
            self._value = (self._ask(), self._asked_at)
        except IssuerUnreachable as error:
            self._failure = str(error)
