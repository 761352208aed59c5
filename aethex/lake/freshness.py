"""How far behind the event tables are.

What belongs here: the age of the watermark, and whether something waits for longer than it should.
What does not: who is told (assets, pipelines).

An old watermark alone is no news: where nothing arrived since, the tables have everything, as after
a night in which the machine was off. They are late when something waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from aethex.lake.windows import first_waiting, watermark

if TYPE_CHECKING:
    from aethex.store import Store


@dataclass(frozen=True)
class Freshness:
    """watermark: what was received before it is published (naive UTC); None: nothing was yet.

    lag_seconds: its age. waits_seconds: how long the first landed object that is not published has
    waited; None: nothing waits, or the watermark is young enough. is_late: it waits for too long.
    """

    watermark: datetime | None
    lag_seconds: float | None
    waits_seconds: float | None
    is_late: bool


def freshness(store: Store, now: datetime, limit_seconds: float) -> Freshness:
    """How far behind the event tables are at `now` (naive UTC), which is late above that limit.

    A few small reads; landing is looked at only while the watermark is older than the limit.
    """
    reached = watermark(store)
    lag = (now - reached).total_seconds() if reached is not None else None
    if lag is not None and lag <= limit_seconds:
        return Freshness(reached, lag, None, is_late=False)
    first = first_waiting(store, reached)
    if first is None:
        return Freshness(reached, lag, None, is_late=False)
    waits = (now - first.modified_at.replace(tzinfo=None)).total_seconds()
    return Freshness(reached, lag, waits, is_late=waits > limit_seconds)
