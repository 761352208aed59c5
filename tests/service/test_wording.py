"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from aethex.service.api.schemas import utc_text
from aethex.service.pages.wording import (
    count_text,
    date_text,
    duration_text,
    exact_date_text,
    page_numbers,
    picture_text,
    size_text,
)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, None),
        (0, "0:00"),
        (1, "0:01"),
        (1_499, "0:01"),
        (1_500, "0:02"),
        (59_600, "1:00"),
        (2_553_000, "42:33"),
        (3_599_500, "1:00:00"),
        (6_185_000, "1:43:05"),
        (360_000_000, "100:00:00"),
    ],
)
def test_durations(milliseconds: int | None, text: str | None) -> None:
    assert duration_text(milliseconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (None, None),
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 KB"),
        (24_130_000, "24.1 MB"),
        (155_000_000, "155 MB"),
        (999_600_000, "1.0 GB"),
        (4_831_838_208, "4.8 GB"),
        (10**16, "10000 TB"),
    ],
)
def test_sizes(size_bytes: int | None, text: str | None) -> None:
    assert size_text(size_bytes) == text


def test_dates_are_utc() -> None:
    moment = datetime(2020, 1, 12, 1, 41, tzinfo=timezone(timedelta(hours=2)))
    assert date_text(moment) == "11 Jan 2020"
    assert exact_date_text(moment) == "11 Jan 2020, 23:41 UTC"
    assert utc_text(moment) == "2020-01-11T23:41:00Z"
    assert utc_text(datetime(2020, 1, 1, 0, 0, 0, 5, UTC)) == "2020-01-01T00:00:00.000005Z"


def test_counts() -> None:
    assert [count_text(n, "VOD", "VODs") for n in (0, 1, 2, 1214)] == [
        "No VODs",
        "1 VOD",
        "2 VODs",
        "1,214 VODs",
    ]


def test_pictures() -> None:
    assert picture_text(1920, 1080, 60.0) == "1920\xa0×\xa01080 · 60\xa0fps"
    assert picture_text(1920, 1080, 30000 / 1001) == "1920\xa0×\xa01080 · 29.97\xa0fps"
    assert picture_text(1920, 1080, None) == "1920\xa0×\xa01080"
    assert picture_text(None, None, 30) is None


@pytest.mark.parametrize(
    ("page", "count", "numbers"),
    [
        (1, 1, [1]),
        (1, 2, [1, 2]),
        (1, 9, [1, 2, 3, None, 9]),
        (4, 9, [1, 2, 3, 4, 5, 6, None, 9]),
        (5, 9, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (50, 99, [1, None, 48, 49, 50, 51, 52, None, 99]),
        (99, 99, [1, None, 97, 98, 99]),
    ],
)
def test_page_numbers_never_leave_out_a_single_page(
    page: int, count: int, numbers: list[int | None]
) -> None:
    assert page_numbers(page, count) == numbers
