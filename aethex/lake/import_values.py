"""What the values of imported files mean: times, counts, durations, and why a value is refused.

What belongs here: SQL that turns raw columns (text, or a Parquet file's own types) into moments and
counts, and a tally of what was refused. What does not: reading files (`records_*`), or where rows
go (`importers`).

Times are ISO 8601 (no zone means UTC) or numbers since 1970-01-01 UTC, whose unit follows from
their size: below 10^11 seconds, below 10^14 milliseconds, below 10^17 microseconds, else
nanoseconds. Counts are whole numbers from 0, written as such or as floats; empty, `null`, `none`,
`nan`, `na`, `n/a` and `-` mean that there is no value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyarrow as pa

from aethex.lake.records import Broken, shortened

EARLIEST = "1990-01-01"
LATEST = "2100-01-01"
"""Times outside are refused: they are misread numbers, not moments of a stream."""

COUNT_MAX = 2**53
EXAMPLES_PER_REASON = 5
_NO_VALUE = "('', 'null', 'none', 'nan', 'na', 'n/a', '-')"


@dataclass(frozen=True)
class Example:
    """One refused record: where it stands (`line 17`, `row 3`) and the value that was refused."""

    place: str
    value: str


@dataclass
class Rejected:
    """How many records were refused for one reason, and the first of them."""

    count: int = 0
    examples: list[Example] = field(default_factory=list[Example])


class Tally:
    """Refused records by reason."""

    def __init__(self, place_word: str) -> None:
        self.by_reason: dict[str, Rejected] = {}
        self._place_word = place_word

    @property
    def count(self) -> int:
        return sum(rejected.count for rejected in self.by_reason.values())

    def add(self, reason: str, place: int, value: str, count: int = 1) -> None:
        """`count` more records for that reason, of which this is one."""
        rejected = self.by_reason.setdefault(reason, Rejected())
        if count and len(rejected.examples) < EXAMPLES_PER_REASON:
            rejected.examples.append(Example(f"{self._place_word} {place}", shortened(value)))
        rejected.count += count

    def add_broken(self, broken: Iterable[Broken]) -> None:
        """Records that could not even be read."""
        for one in broken:
            self.add(one.reason, one.place, one.text)

    def add_grouped(self, reason: str, count: int, first: Sequence[tuple[int, str | None]]) -> None:
        """`count` records for one reason, `first` being the places and values of some of them."""
        for place, value in first:
            self.add(reason, place, value or "", 1)
        self.by_reason.setdefault(reason, Rejected()).count += count - len(first)


def moment_sql(column: str, arrow_type: pa.DataType) -> str:
    """SQL for the moment (TIMESTAMP, UTC) in a raw column; null where there is none to be
    understood."""
    if pa.types.is_timestamp(arrow_type):
        return column
    if pa.types.is_integer(arrow_type) or pa.types.is_floating(arrow_type):
        return _epoch_sql(f"{column}::DOUBLE")
    number = f"TRY_CAST({column} AS DOUBLE)"
    text = f"trim({column})"
    # what DuckDB does not read by itself: basic format, hours and minutes with a zone, a small z
    repaired = (
        f"regexp_replace(regexp_replace(upper({text}), "
        r"'^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})', '\1-\2-\3T\4:\5:\6'), "
        r"'([T ]\d{2}:\d{2})(Z|[+-]\d{2}(:?\d{2})?)$', '\1:00\2')"
    )
    # the usual spelling first; no number is one. In microseconds, a zone costs no calendar.
    return (
        f"coalesce(make_timestamp(epoch_us(TRY_CAST({text} AS TIMESTAMPTZ))), "
        f"{_epoch_sql(number)}, make_timestamp(epoch_us(TRY_CAST({repaired} AS TIMESTAMPTZ))))"
    )


def _epoch_sql(number: str) -> str:
    return (
        f"CASE WHEN NOT isfinite({number}) OR abs({number}) >= 4e18 THEN NULL "
        f"WHEN abs({number}) < 1e11 THEN make_timestamp(round({number} * 1e6)::BIGINT) "
        f"WHEN abs({number}) < 1e14 THEN make_timestamp(round({number} * 1e3)::BIGINT) "
        f"WHEN abs({number}) < 1e17 THEN make_timestamp(round({number})::BIGINT) "
        f"ELSE make_timestamp(round({number} / 1e3)::BIGINT) END"
    )


def moment_reason_sql(column: str, moment: str) -> str:
    """SQL for why a time is refused; null when it is not."""
    return (
        f"CASE WHEN {column} IS NULL OR trim({column}::VARCHAR) = '' THEN 'time is missing' "
        f"WHEN {moment} IS NULL THEN 'time is not understood' "
        f"WHEN NOT ({moment} >= TIMESTAMP '{EARLIEST}' AND {moment} < TIMESTAMP '{LATEST}') "
        f"THEN 'time is not between {EARLIEST[:4]} and {LATEST[:4]}' END"
    )


def number_sql(column: str, arrow_type: pa.DataType) -> str:
    """SQL for the number (DOUBLE) in a raw column; null where there is none."""
    if pa.types.is_timestamp(arrow_type):
        return "NULL::DOUBLE"
    return f"TRY_CAST({column} AS DOUBLE)"


def count_reason_sql(name: str, column: str, number: str) -> str:
    """SQL for why a count is refused; null when it is not, which includes that there is none."""
    return (
        f"CASE WHEN {column} IS NULL THEN NULL "
        f"WHEN {number} IS NULL THEN CASE WHEN lower(trim({column}::VARCHAR)) NOT IN {_NO_VALUE} "
        f"THEN '{name}: not a number' END "
        f"WHEN isnan({number}) THEN NULL "
        f"WHEN {number} < 0 THEN '{name}: negative' "
        f"WHEN {number} > {COUNT_MAX} THEN '{name}: too large' "
        f"WHEN {number} <> floor({number}) THEN '{name}: not a whole number' END"
    )


def count_sql(number: str) -> str:
    """SQL for the count (BIGINT) of a number that was not refused."""
    return f"CASE WHEN isfinite({number}) THEN TRY_CAST({number} AS BIGINT) END"


# --- durations ------------------------------------------------------------------------------------

_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)")
_ISO = re.compile(
    r"P(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?",
    re.I,
)
_LONGEST = timedelta(days=366)


def parse_duration(value: Any) -> timedelta | None:
    """A duration as `HH:MM:SS`, `MM:SS`, ISO 8601 (`PT1H2M3S`) or seconds; None when it is none.

    Zero, negative and absurd ones (more than a year) are none too.
    """
    text = str(value).strip()
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        if minutes >= 60 or seconds >= 60:
            return None
        total = hours * 3600 + minutes * 60 + seconds
    elif (match := _ISO.fullmatch(text)) and any(match.groups()):
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        total = days * 86400 + hours * 3600 + minutes * 60 + seconds
    else:
        try:
            total = float(text)
        except ValueError:
            return None
    return timedelta(seconds=total) if 0 < total <= _LONGEST.total_seconds() else None
