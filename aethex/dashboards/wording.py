"""Numbers, times and periods as people read them.

What belongs here: pure functions from values to text. What does not: where a text stands on a page.

All times are shown in UTC, thousands with a comma, units after a space; `None` reads "not
measured".
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

NOT_MEASURED = "not measured"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def utc(at: datetime) -> datetime:
    """The instant as an aware UTC time; naive times of the lake are UTC already."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def count(value: float | None) -> str:
    """A whole number with thousands separated: `237,523`."""
    return NOT_MEASURED if value is None else f"{round(value):,}"


def short_count(value: float | None) -> str:
    """A tile's number: exact below a million, then three digits and a unit: `19.6 M`."""
    if value is None:
        return NOT_MEASURED
    for limit, unit in ((1e9, "bn"), (1e6, "M")):
        if abs(value) >= limit:
            scaled = value / limit
            digits = 0 if abs(scaled) >= 99.95 else 1 if abs(scaled) >= 9.995 else 2
            return f"{scaled:,.{digits}f} {unit}"
    return count(value)


def percent(ratio: float | None) -> str:
    """`95.4 %`; only what is whole reads 100 %, and only nothing reads 0 %."""
    if ratio is None:
        return NOT_MEASURED
    shown = round(ratio * 100, 1)
    if shown >= 100 > ratio * 100:
        shown = 99.9
    if shown <= 0 < ratio:
        return "under 0.1 %"
    return f"{shown:.0f} %" if shown in (0, 100) else f"{shown:.1f} %"


def rate(value: float | None) -> str:
    """A rate with two or three digits: `84.2`, `7.31`, `1,204`."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def duration(seconds: float | None) -> str:
    """A length in its two largest units: `7 d 2 h`, `2 h 43 min`, `42 min 33 s`, `8 s`."""
    if seconds is None:
        return NOT_MEASURED
    total = _rounded(seconds)
    if total >= _DAY:
        hours = _rounded(total / _HOUR)
        return _two(hours // 24, "d", hours % 24, "h")
    if total >= _HOUR:
        minutes = _rounded(total / _MINUTE)
        return _two(minutes // 60, "h", minutes % 60, "min") if minutes < 24 * 60 else "1 d"
    if total >= _MINUTE:
        return _two(total // 60, "min", total % 60, "s")
    return f"{total} s"


def clock(seconds: float | None) -> str:
    """A length as `h:mm:ss`, as on a player."""
    if seconds is None:
        return NOT_MEASURED
    total = round(seconds)
    return f"{total // _HOUR}:{total % _HOUR // _MINUTE:02d}:{total % _MINUTE:02d}"


def hours(seconds: float | None) -> str:
    """A length in hours with a digit below 100: `170.7 h`, `42.5 h`."""
    if seconds is None:
        return NOT_MEASURED
    value = seconds / _HOUR
    return f"{value:,.0f} h" if value >= 1000 else f"{value:.1f} h"


def _rounded(value: float) -> int:
    """The nearest whole number, halves up (`round` takes them to the even one)."""
    return int(value + 0.5)


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"


def time(at: datetime) -> str:
    """`02:41`."""
    return f"{utc(at):%H:%M}"


def day(value: date, *, year: bool = True) -> str:
    """`12 Jan 2020`."""
    return f"{value.day} {value:%b %Y}" if year else f"{value.day} {value:%b}"


def moment(at: datetime | None, *, year: bool = True, zone: bool = False) -> str:
    """`12 Jan 2020, 02:41`, with ` UTC` where asked."""
    if at is None:
        return NOT_MEASURED
    return f"{day(utc(at), year=year)}, {time(at)}{' UTC' if zone else ''}"


def span(from_at: datetime, to_at: datetime) -> str:
    """A range with what its ends share said once: `12 Jan 2020, 02:41–03:20`."""
    start, end = utc(from_at), utc(to_at)
    if start.date() == end.date():
        return f"{moment(start)}–{time(end)}"
    return f"{moment(start, year=start.year != end.year)} – {moment(end)}"


def days(from_at: datetime, to_at: datetime) -> str:
    """A range of whole days `[from, to)`, last day included: `5–12 Jan 2020`."""
    first = utc(from_at).date()
    last = (utc(to_at) - timedelta(microseconds=1)).date()
    if first >= last:
        return day(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{day(last)}"
    return f"{day(first, year=first.year != last.year)} – {day(last)}"


def ago(at: datetime, now: datetime) -> str:
    """How long before `now`: `just now`, `3 days ago`; whole units, rounded down."""
    seconds = (utc(now) - utc(at)).total_seconds()
    for size, unit in ((365 * _DAY, "year"), (_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= size:
            return plural(int(seconds // size), unit) + " ago"
    return "just now"


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """`1 stream`, `2,041 streams`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def change(value: float | None, before: float | None) -> tuple[str, str] | None:
    """Change as (text, `up` | `down` | `flat`) against before; None where nothing compares.

    Growth as in docs/metrics.md: the number itself stands beside it; against zero it is "new".
    """
    if value is None or before is None:
        return None
    if before == 0:
        return ("new", "up") if value > 0 else None
    ratio = value / before - 1
    if abs(ratio) < 0.0005:
        return f"no change from {short_count(before)}", "flat"
    sign, way = ("▲", "up") if ratio > 0 else ("▼", "down")
    if ratio >= 9:
        return f"{sign} {value / before:,.0f} ×", way
    return f"{sign} {abs(ratio) * 100:,.1f} %", way
