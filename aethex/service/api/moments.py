"""Moments and ranges as parameters and in bodies.

What belongs here: reading ISO 8601 times, and the pair `from` and `to`. What does not: what they
select.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator

_ZONE_AFTER_SPACE = re.compile(r"(?<=\d) (?=\d\d:?\d\d$)", re.ASCII)


def _with_plus(value: object) -> object:
    """A `+` that was not escaped in an address arrives as a space: put it back before the zone."""
    if isinstance(value, str) and ":" in value.rpartition(" ")[0]:
        return _ZONE_AFTER_SPACE.sub("+", value)
    return value


def _utc(moment: datetime) -> datetime:
    """In UTC; ValueError outside the years that all parts can hold."""
    if not 1970 <= moment.year <= 9998:
        raise ValueError("the year must be 1970 to 9998")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


UtcMoment = Annotated[datetime, BeforeValidator(_with_plus), AfterValidator(_utc)]

From = Annotated[
    UtcMoment | None,
    Query(
        alias="from",
        description="Begin of the range, ISO 8601; without a zone: UTC. Default: the begin.",
        examples=["2020-01-12T02:40:00Z"],
    ),
]
To = Annotated[
    UtcMoment | None,
    Query(
        alias="to",
        description="End of the range, not in it, ISO 8601; without a zone: UTC. Default: the end.",
        examples=["2020-01-12T02:42:00Z"],
    ),
]
