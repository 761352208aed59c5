"""The span of days that the channel page shows, and the one before it.

What belongs here: choosing and resolving periods, as pure functions. What does not: drawing the
choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

DAYS = {"7d": 7, "28d": 28, "90d": 90, "12m": 365}
LABELS = {"7d": "7 days", "28d": "28 days", "90d": "90 days", "12m": "12 months", "all": "All time"}
DEFAULT = "28d"


@dataclass(frozen=True, slots=True)
class Period:
    """Whole UTC days `[from_at, to_at)`. before: the equally long period compared with."""

    key: str
    from_at: datetime
    to_at: datetime
    before: tuple[datetime, datetime] | None


def resolve(key: str, first_at: datetime, last_at: datetime) -> Period:
    """The period of that key for a channel whose data reaches from `first_at` to `last_at`.

    It ends with the last day that has data, so that an archive and a running channel both show
    their newest days. `YYYY-MM-DD..YYYY-MM-DD` (both days included) is a period too. Raises
    ValueError for others.
    """
    last_moment = max(first_at, last_at - timedelta(microseconds=1)).astimezone(UTC)
    end = midnight(last_moment.date() + timedelta(days=1))
    if key == "all":
        return Period(key, midnight(first_at.astimezone(UTC).date()), end, None)
    if key in DAYS:
        length = timedelta(days=DAYS[key])
        return Period(key, end - length, end, (end - 2 * length, end - length))
    first, _, last = key.partition("..")
    from_at = midnight(date.fromisoformat(first))
    to_at = midnight(date.fromisoformat(last) + timedelta(days=1))
    if to_at <= from_at:
        raise ValueError(f"the period {key} ends before it begins")
    return Period(key, from_at, to_at, (from_at - (to_at - from_at), from_at))


def midnight(day: date) -> datetime:
    """The instant at which a UTC day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
