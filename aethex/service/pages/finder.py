"""What is asked of a channel's page, and the addresses that ask for something else. Pure.

What belongs here: reading the query, wording it, and links that change one part of it. What does
not: finding (`vod_lists`), HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from aethex.library.finding import Wanted, search_text
from aethex.service.pages.wording import count_text, day_text
from aethex.service.vod_lists import SORTS, Sort

_SORT_TEXTS: dict[Sort, str] = {
    "newest": "Newest",
    "best_match": "Best match",
    "most_watched": "Most watched",
    "trending": "Trending",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several links."""

    text: str
    path: str
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A channel's page as its address asks for it. Days are UTC, both included."""

    path: str
    q: str = ""
    sort: Sort | None = None
    from_day: date | None = None
    to_day: date | None = None
    view: str | None = None
    page: int = 1

    def address(self) -> str:
        """The address that asks for this."""
        asked = {
            "q": self.q,
            "sort": self.sort or "",
            "from": self.from_day.isoformat() if self.from_day else "",
            "to": self.to_day.isoformat() if self.to_day else "",
            "view": self.view or "",
            "page": str(self.page) if self.page > 1 else "",
        }
        query = urlencode({name: value for name, value in asked.items() if value})
        return f"{self.path}?{query}" if query else self.path

    def wanted(self, *, is_owner: bool) -> Wanted:
        """The same for the library."""
        after = self.to_day + timedelta(days=1) if self.to_day else None
        return Wanted(self.q, _midnight(self.from_day), _midnight(after), is_owner)


@dataclass(frozen=True, slots=True)
class FinderView:
    """The finder as the page shows it."""

    asked: Asked
    q: str
    sort: str
    from_day: str
    to_day: str
    has_dates: bool
    dates_text: str
    is_narrowed: bool
    narrowed_text: str
    clear_path: str
    grid_path: str
    list_path: str
    sorts: list[Choice]
    presets: list[Choice]
    notice: str

    def page_path(self, page: int) -> str:
        """The address of another page of the same list."""
        return replace(self.asked, page=page).address()


def finder_view(
    asked: Asked, offered: Sequence[Sort], shown: Sort, today: date, notice: str = ""
) -> FinderView:
    """The finder. offered: the orders that can be had; shown: the one that is."""
    first = replace(asked, page=1)
    return FinderView(
        asked=asked,
        q=asked.q,
        sort=asked.sort or "",
        from_day=asked.from_day.isoformat() if asked.from_day else "",
        to_day=asked.to_day.isoformat() if asked.to_day else "",
        has_dates=bool(asked.from_day or asked.to_day),
        dates_text=_dates_text(asked.from_day, asked.to_day),
        is_narrowed=bool(search_text(asked.q) or asked.from_day or asked.to_day),
        narrowed_text=_narrowed_text(asked),
        clear_path=replace(first, q="", from_day=None, to_day=None, sort=None).address(),
        grid_path=replace(asked, view="grid").address(),
        list_path=replace(asked, view="list").address(),
        sorts=[
            Choice(_SORT_TEXTS[sort], replace(first, sort=sort).address(), sort == shown)
            for sort in SORTS
            if sort in offered
        ],
        presets=[
            Choice(text, replace(first, from_day=begin, to_day=None).address())
            for text, begin in (
                ("Last 7 days", today - timedelta(days=6)),
                ("Last 30 days", today - timedelta(days=29)),
                ("This year", today.replace(month=1, day=1)),
                ("Any date", None),
            )
        ],
        notice=notice,
    )


def found_text(total: int, asked: Asked) -> str:
    """`3 VODs for “boss”, since 1 Jan 2020`."""
    return count_text(total, "VOD", "VODs") + _narrowed_text(asked).replace(" “", " for “", 1)


def day_or_none(text: str) -> date | None:
    """A day as a date field sends it; None for anything else, as for an empty one."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1970 <= day.year <= 9998 else None


def in_order(begin: date | None, end: date | None) -> tuple[date | None, date | None]:
    """The days of a range, the earlier first: also where somebody gave them the other way round."""
    return (end, begin) if begin and end and end < begin else (begin, end)


def _narrowed_text(asked: Asked) -> str:
    """` “boss”, since 1 Jan 2020`; empty where nothing is asked for."""
    words = f" “{asked.q}”" if search_text(asked.q) else ""
    if asked.from_day or asked.to_day:
        dates = _dates_text(asked.from_day, asked.to_day)
        words += f", {dates[0].lower()}{dates[1:]}"
    return words


def _dates_text(begin: date | None, end: date | None) -> str:
    if begin and end:
        return day_text(begin) if begin == end else f"{day_text(begin)} – {day_text(end)}"
    if begin:
        return f"Since {day_text(begin)}"
    return f"Until {day_text(end)}" if end else "Any date"


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None
