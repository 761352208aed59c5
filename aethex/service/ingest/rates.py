"""How many events players may send: bounds per viewer and per address.

What belongs here: counting, per process. What does not: backends with a server token; nobody counts
theirs.
"""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from aethex.service.ingest.senders import Sender
from aethex.service.problems import Problem
from aethex.settings import Settings


class Rates:
    """Counts players' events over the last minute."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._per_viewer = settings.events_per_viewer_minute
        self._per_address = settings.events_per_address_minute

    def count(self, sender: Sender, events: int) -> None:
        """Count a player's events. Raises Problem (429) when they are too many, and counts none."""
        if sender.is_server:
            return
        wanted: list[tuple[RateLimitItemPerMinute, str, str]] = []
        if sender.viewer_id is not None:
            wanted.append(
                (RateLimitItemPerMinute(self._per_viewer), f"viewer {sender.viewer_id}", "viewer")
            )
        wanted.append(
            (RateLimitItemPerMinute(self._per_address), f"address {sender.address}", "address")
        )
        for item, key, what in wanted:
            if not self._limiter.test(item, key, cost=events):
                raise self._too_many(item, key, what)
        for item, key, _ in wanted:
            self._limiter.hit(item, key, cost=events)

    def _too_many(self, item: RateLimitItemPerMinute, key: str, what: str) -> Problem:
        reset_at = self._limiter.get_window_stats(item, key).reset_time
        seconds = max(1, math.ceil(reset_at - time.time()))
        return Problem(
            429,
            f"This {what} sends more than {item.amount:,} events a minute: send them later.",
            headers={"Retry-After": str(seconds)},
        )
