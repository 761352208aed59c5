"""How many events players may send: bounds per viewer and per address.

What belongs here: counting, per process and in its event loop. What does not: backends with a
server token; nobody counts theirs.

A bound holds for any 60 seconds, near enough: what counts is this minute's events, and those of the
minute before in proportion to how much of it lies less than 60 seconds back (the sliding window
counter of `limits`).
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from aethex.service.ingest.senders import Sender
from aethex.service.problems import Problem
from aethex.settings import Settings

MINUTE_SECONDS = 60.0


class Rates:
    """Counts players' events over the last minute."""

    def __init__(self, settings: Settings) -> None:
        self.storage = MinuteStorage()
        self._limiter = SlidingWindowCounterRateLimiter(self.storage)
        self._per_viewer = RateLimitItemPerMinute(settings.events_per_viewer_minute)
        self._per_address = RateLimitItemPerMinute(settings.events_per_address_minute)

    def count(self, sender: Sender, events: int) -> None:
        """Count a player's events.

        Raises Problem when they are too many, and counts none: 429 where they may be sent later,
        413 where not even a whole minute has room for them.
        """
        if sender.is_server:
            return
        bounds = [(self._per_address, "address", network_of(sender.address))]
        if sender.viewer_id is not None:
            bounds.insert(0, (self._per_viewer, "viewer", sender.viewer_id))
        for bound, what, key in bounds:
            self._check(bound, what, key, events)
        for bound, what, key in bounds:
            self._limiter.hit(bound, what, key, cost=events)

    def _check(self, bound: RateLimitItem, what: str, key: str, events: int) -> None:
        if events > bound.amount:
            raise Problem(
                413,
                f"This {what} may send {bound.amount:,} events a minute, and these are "
                f"{events:,}: send fewer at once.",
            )
        if not self._limiter.test(bound, what, key, cost=events):
            seconds = self._wait_seconds(bound.key_for(what, key), bound.amount - events)
            raise Problem(
                429,
                f"This {what} sends more than {bound.amount:,} events a minute: send them later.",
                headers={"Retry-After": str(int(seconds) + 1)},
            )

    def _wait_seconds(self, key: str, room: int) -> float:
        """How long until what the key has sent counts no more than `room`. (`limits` tells when
        there is room for one event more, and a batch would come again too early.)"""
        before, before_left, now, now_left = self.storage.get_sliding_window(
            key, int(MINUTE_SECONDS)
        )
        if now <= room:
            return max(0.0, before_left - MINUTE_SECONDS * (room - now) / before)
        return now_left - MINUTE_SECONDS * room / now


class MinuteStorage(MemoryStorage):
    """The memory storage of `limits`, which looks through all its keys after hits (64 % of a core
    with 50,000 viewers), but minutes are dropped whole: an event costs the same, however many send.
    """

    def __init__(self) -> None:
        super().__init__()
        self.minutes: dict[int, dict[str, int]] = {}

    def get(self, key: str) -> int:
        """What was counted under the key, which ends with the number of its minute."""
        return self.minutes.get(_minute_of(key), {}).get(key, 0)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:  # noqa: ARG002  the key has it
        """Count under the key, as long as its minute and the next."""
        minute = _minute_of(key)
        if minute not in self.minutes:
            before = self.minutes.get(minute - 1, {})
            self.minutes = {minute - 1: before, minute: {}}
        counts = self.minutes[minute]
        counts[key] = counts.get(key, 0) + amount
        return counts[key]


def _minute_of(key: str) -> int:
    return int(key.rpartition("/")[2])


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
