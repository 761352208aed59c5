"""Where a stream was live but nothing was measured.

What belongs here: finding gaps between samples. What does not: reading samples, or drawing gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from aethex.lake.answers import SAMPLE_HOLD


@dataclass(frozen=True, slots=True)
class Gap:
    """Time without a measurement, `[from_at, to_at)`."""

    from_at: datetime
    to_at: datetime

    @property
    def seconds(self) -> float:
        return (self.to_at - self.from_at).total_seconds()


def gaps_between(from_at: datetime, to_at: datetime, measured: Iterable[datetime]) -> list[Gap]:
    """The parts of `[from_at, to_at)` in which no sample, given by instants in order, held."""
    found: list[Gap] = []
    covered_until = from_at
    for at in measured:
        if at > covered_until:
            found.append(Gap(covered_until, min(at, to_at)))
        covered_until = max(covered_until, at + SAMPLE_HOLD)
    if covered_until < to_at:
        found.append(Gap(covered_until, to_at))
    return found


def clipped(gaps: Sequence[Gap], from_at: datetime, to_at: datetime) -> list[Gap]:
    """The gaps' parts inside `[from_at, to_at)`."""
    parts = (Gap(max(gap.from_at, from_at), min(gap.to_at, to_at)) for gap in gaps)
    return [part for part in parts if part.from_at < part.to_at]


def largest(gaps: Sequence[Gap], number: int) -> list[Gap]:
    """The `number` longest gaps, in time order."""
    longest = sorted(gaps, key=lambda gap: gap.seconds, reverse=True)[:number]
    return sorted(longest, key=lambda gap: gap.from_at)
