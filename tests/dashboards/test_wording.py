from datetime import UTC, date, datetime, timedelta

import pytest

from aethex.dashboards import wording

AT = datetime(2020, 1, 12, 2, 41, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not measured"),
        (0, "0"),
        (237_523, "237,523"),
        (999_999.4, "999,999"),
        (4_071_239, "4.07 M"),
        (19_612_000, "19.6 M"),
        (123_456_789, "123 M"),
        (2_500_000_000, "2.50 bn"),
    ],
)
def test_tiles_are_exact_below_a_million_and_short_above(value: float | None, text: str) -> None:
    assert wording.short_count(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (None, "not measured"),
        (0.0, "0 %"),
        (0.0001, "under 0.1 %"),
        (0.9539685, "95.4 %"),
        (0.99999, "99.9 %"),
        (1.0, "100 %"),
        (0.5, "50.0 %"),
    ],
)
def test_only_the_whole_reads_100_percent_and_only_nothing_reads_0(
    ratio: float | None, text: str
) -> None:
    assert wording.percent(ratio) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "not measured"),
        (8, "8 s"),
        (2553, "42 min 33 s"),
        (3600, "1 h"),
        (9780, "2 h 43 min"),
        (86_399, "1 d"),
        (614_580, "7 d 3 h"),
        (172_800, "2 d"),
    ],
)
def test_a_duration_names_its_two_largest_units(seconds: float | None, text: str) -> None:
    assert wording.duration(seconds) == text


def test_a_clock_counts_hours_beyond_a_day() -> None:
    assert wording.clock(614_580) == "170:43:00"
    assert wording.clock(None) == "not measured"


def test_times_are_said_in_utc_whatever_zone_they_come_in() -> None:
    eastern = AT.astimezone(tz=datetime.fromisoformat("2020-01-01T00:00-05:00").tzinfo)
    assert wording.moment(eastern, zone=True) == "12 Jan 2020, 02:41 UTC"
    assert wording.moment(AT.replace(tzinfo=None)) == "12 Jan 2020, 02:41"


def test_a_span_says_once_what_its_ends_share() -> None:
    assert wording.span(AT, AT + timedelta(minutes=39)) == "12 Jan 2020, 02:41–03:20"
    assert wording.span(AT, AT + timedelta(days=1)) == "12 Jan, 02:41 – 13 Jan 2020, 02:41"
    assert wording.span(AT - timedelta(days=20), AT) == "23 Dec 2019, 02:41 – 12 Jan 2020, 02:41"


def test_a_range_of_days_includes_its_last_day() -> None:
    begin = datetime(2020, 1, 5, tzinfo=UTC)
    assert wording.days(begin, begin + timedelta(days=8)) == "5–12 Jan 2020"
    assert wording.days(begin, begin + timedelta(days=1)) == "5 Jan 2020"
    assert wording.days(begin, begin + timedelta(days=40)) == "5 Jan – 13 Feb 2020"
    assert wording.days(begin - timedelta(days=10), begin) == "26 Dec 2019 – 4 Jan 2020"


@pytest.mark.parametrize(
    ("value", "before", "change"),
    [
        (None, 10, None),
        (10, None, None),
        (112.4, 100, ("▲ 12.4 %", "up")),
        (97, 100, ("▼ 3.0 %", "down")),
        (100, 100, ("no change from 100", "flat")),
        (5, 0, ("new", "up")),
        (0, 0, None),
        (1234, 10, ("▲ 123 ×", "up")),
    ],
)
def test_a_change_against_nothing_is_new_not_infinite(
    value: float | None, before: float | None, change: tuple[str, str] | None
) -> None:
    assert wording.change(value, before) == change


def test_one_is_singular() -> None:
    assert [wording.plural(n, "stream") for n in (0, 1, 2041)] == [
        "0 streams",
        "1 stream",
        "2,041 streams",
    ]


def test_a_day_needs_no_time() -> None:
    assert wording.day(date(2020, 1, 12)) == "12 Jan 2020"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "not measured"), (1204.4, "1,204"), (84.21, "84.2"), (7.306, "7.31")]
)
def test_a_rate_has_two_or_three_digits(value: float | None, text: str) -> None:
    assert wording.rate(value) == text
