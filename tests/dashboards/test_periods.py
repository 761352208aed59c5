from datetime import UTC, datetime

import pytest

from aethex.dashboards import periods

FIRST = datetime(2017, 7, 1, 23, 49, tzinfo=UTC)
LAST = datetime(2020, 1, 12, 15, 43, tzinfo=UTC)


def test_a_period_ends_with_the_last_day_that_has_data() -> None:
    period = periods.resolve("7d", FIRST, LAST)
    assert (period.from_at, period.to_at) == (
        datetime(2020, 1, 6, tzinfo=UTC),
        datetime(2020, 1, 13, tzinfo=UTC),
    )


def test_a_stream_that_ended_at_midnight_adds_no_empty_day() -> None:
    period = periods.resolve("7d", FIRST, datetime(2020, 1, 12, tzinfo=UTC))
    assert period.to_at == datetime(2020, 1, 12, tzinfo=UTC)


def test_a_period_is_compared_with_the_equally_long_one_before() -> None:
    period = periods.resolve("28d", FIRST, LAST)
    assert period.before == (
        datetime(2019, 11, 18, tzinfo=UTC),
        datetime(2019, 12, 16, tzinfo=UTC),
    )


def test_all_time_reaches_from_the_first_day_and_compares_with_nothing() -> None:
    period = periods.resolve("all", FIRST, LAST)
    assert period.from_at == datetime(2017, 7, 1, tzinfo=UTC)
    assert period.before is None


def test_dates_are_both_included() -> None:
    period = periods.resolve("2020-01-05..2020-01-12", FIRST, LAST)
    assert (period.to_at - period.from_at).days == 8


@pytest.mark.parametrize("key", ["", "8d", "2020-01-05..", "2020-01-12..2020-01-05", "x..y"])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(ValueError):
        periods.resolve(key, FIRST, LAST)
