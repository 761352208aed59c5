"""How far behind the event tables are.

What belongs here: the age of the watermark, and whether it is too old. What does not: who is told
(assets, pipelines).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aethex.lake.landing import PREFIX
from aethex.lake.windows import watermark

if TYPE_CHECKING:
    from aethex.store import Store


@dataclass(frozen=True)
class Freshness:
    """watermark: what was received before it is published (naive UTC); None: nothing was yet.

    lag_seconds: its age; before the first publish, that of what has landed first; None: nothing
    has landed.
    """

    watermark: datetime | None
    lag_seconds: float | None

    def is_late(self, limit_seconds: float) -> bool:
        """Whether what waits is older than that."""
        return self.lag_seconds is not None and self.lag_seconds > limit_seconds


def freshness(store: Store, now: datetime) -> Freshness:
    """How far behind the event tables are at `now` (naive UTC). A few small reads."""
    reached = watermark(store)
    waits_since = reached or _first_landed_at(store)
    return Freshness(reached, (now - waits_since).total_seconds() if waits_since else None)


def _first_landed_at(store: Store) -> datetime | None:
    first = next(store.list(PREFIX), None)
    return first.modified_at.astimezone(UTC).replace(tzinfo=None) if first else None
