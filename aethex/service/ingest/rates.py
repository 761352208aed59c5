"""How many events players may send: bounds per viewer and per address.

What belongs here: counting, per process and in its event loop. What does not: backends with a
server token; nobody counts theirs.

A bound holds for any 60 seconds, near enough: what counts is this minute's events, and those of the
minute before in proportion to how much of it lies less than 60 seconds back. Of older minutes
nothing is kept, and minutes are dropped whole, so that a hundred thousand viewers cost no more an
event than one.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from functools import lru_cache

from aethex.service.ingest.senders import Sender
from aethex.service.problems import Problem
from aethex.settings import Settings

MINUTE_SECONDS = 60.0


class Rates:
    """Counts players' events over the last minute."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._viewers = _Window("viewer", settings.events_per_viewer_minute, clock)
        self._addresses = _Window("address", settings.events_per_address_minute, clock)

    def count(self, sender: Sender, events: int) -> None:
        """Count a player's events.

        Raises Problem when they are too many, and counts none: 429 where they may be sent later,
        413 where not even a whole minute has room for them.
        """
        if sender.is_server:
            return
        bounds = [(self._addresses, network_of(sender.address))]
        if sender.viewer_id is not None:
            bounds.insert(0, (self._viewers, sender.viewer_id))
        for window, key in bounds:
            window.check(key, events)
        for window, key in bounds:
            window.add(key, events)


class _Window:
    """One bound: how many events each key may have in a minute."""

    def __init__(self, what: str, most: int, clock: Callable[[], float]) -> None:
        self._what = what
        self._most = most
        self._clock = clock
        self._minute = 0
        self._counts: dict[str, int] = {}
        self._counts_before: dict[str, int] = {}

    def check(self, key: str, events: int) -> None:
        """Raises Problem when the key may not have so many more now."""
        if events > self._most:
            raise Problem(
                413,
                f"This {self._what} may send {self._most:,} events a minute, and these are "
                f"{events:,}: send fewer at once.",
            )
        seconds = self._wait_seconds(key, events)
        if seconds > 0:
            raise Problem(
                429,
                f"This {self._what} sends more than {self._most:,} events a minute: send them "
                "later.",
                headers={"Retry-After": str(int(seconds) + 1)},
            )

    def add(self, key: str, events: int) -> None:
        """Count them."""
        self._turn()
        self._counts[key] = self._counts.get(key, 0) + events

    def _wait_seconds(self, key: str, events: int) -> float:
        """How long until the key may have so many more; 0: it may now."""
        passed = self._turn()
        now, before = self._counts.get(key, 0), self._counts_before.get(key, 0)
        room = self._most - events
        if now <= room:
            return max(0.0, _seconds_until(before, room - now) - passed)
        return MINUTE_SECONDS - passed + _seconds_until(now, room)

    def _turn(self) -> float:
        """Begin a new minute when it is time; the seconds that have passed of it."""
        minute, passed = divmod(self._clock(), MINUTE_SECONDS)
        if minute != self._minute:
            self._counts_before = self._counts if minute == self._minute + 1 else {}
            self._counts = {}
            self._minute = int(minute)
        return passed


def _seconds_until(before: int, room: int) -> float:
    """Seconds of a minute after which the minute before it counts no more than `room`."""
    return MINUTE_SECONDS * (before - room) / before if before > room else 0.0


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What counts as one sender's address: of IPv6 the first half, as each home has a whole /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:  # how a server that listens on both sees IPv4
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
