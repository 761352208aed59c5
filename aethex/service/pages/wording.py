"""Numbers and times as people read them on the pages. Pure functions.

What belongs here: durations, sizes, dates, counts, page numbers. What does not: HTML.
"""

from __future__ import annotations

import zlib
from datetime import UTC, date, datetime

_TINTS = 6
_UNITS = ("B", "KB", "MB", "GB", "TB")


def duration_text(milliseconds: int | None) -> str | None:
    """`1:43:05`, `42:33`, `0:07`; None when unknown. Rounded to whole seconds, at least one."""
    if milliseconds is None:
        return None
    seconds = max(1, (milliseconds + 500) // 1000) if milliseconds > 0 else 0
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def size_text(size_bytes: int | None) -> str | None:
    """`24.1 MB` in decimal units with three digits; None when unknown."""
    if size_bytes is None:
        return None
    value, unit = float(size_bytes), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    digits = 0 if unit == 0 or value >= 99.95 else 1
    return f"{value:.{digits}f} {_UNITS[unit]}"


def date_text(moment: datetime) -> str:
    """`12 Jan 2020`, in UTC."""
    return day_text(moment.astimezone(UTC).date())


def day_text(day: date) -> str:
    """`12 Jan 2020`."""
    return f"{day.day} {day:%b %Y}"


def exact_date_text(moment: datetime) -> str:
    """`12 Jan 2020, 02:41 UTC`."""
    return f"{date_text(moment)}, {moment.astimezone(UTC):%H:%M} UTC"


def exact_time_text(moment: datetime) -> str:
    """`16:45:04 UTC`."""
    return f"{moment.astimezone(UTC):%H:%M:%S} UTC"


def gap_text(milliseconds: int) -> str:
    """How long something short is: `0.4 s`, `12 s`, `2:05`."""
    if milliseconds < 10_000:
        return f"{max(1, round(milliseconds / 100)) / 10:.1f} s"
    if milliseconds < 59_500:
        return f"{round(milliseconds / 1000)} s"
    return duration_text(milliseconds) or ""


def count_text(count: int, one: str, many: str) -> str:
    """`1 VOD`, `1,214 VODs`, `No VODs`."""
    if count == 0:
        return f"No {many}"
    return f"{count:,} {one if count == 1 else many}"


def picture_text(width: int | None, height: int | None, frame_rate: float | None) -> str | None:
    """`1920 × 1080 · 60 fps`, which breaks at the dot alone; None when the size is unknown."""
    if not width or not height:
        return None
    size = f"{width}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{height}"
    return f"{size} · {frame_rate:.4g}\N{NO-BREAK SPACE}fps" if frame_rate else size


def page_numbers(page: int, count: int) -> list[int | None]:
    """The pages to link: first, last, and those near `page`; None marks a gap."""
    near = {1, count, *range(max(1, page - 2), min(count, page + 2) + 1)}
    numbers: list[int | None] = []
    for number in sorted(near):
        before = numbers[-1] if numbers else 0
        if before is not None and number - before == 2:
            numbers.append(number - 1)
        elif before is not None and number - before > 2:
            numbers.append(None)
        numbers.append(number)
    return numbers


def tint_of(username: str) -> int:
    """Which of the six colours a name has, from 1."""
    return zlib.crc32(username.encode()) % _TINTS + 1
