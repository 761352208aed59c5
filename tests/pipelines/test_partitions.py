from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from aethex.pipelines.partitions import FIRST_DAY, days, newest_partition


def test_today_is_a_partition() -> None:
    today = datetime.now(UTC).date()
    assert days.get_last_partition_key() in {today.isoformat(), (today + timedelta(1)).isoformat()}
    assert days.get_first_partition_key() == FIRST_DAY


def test_the_newest_day_that_is_a_partition_stands_for_a_run() -> None:
    ahead = datetime.now(UTC).date() + timedelta(days=30)
    assert newest_partition([date(1999, 1, 1), date(2020, 1, 5), ahead]) == "2020-01-05"
    assert newest_partition([ahead]) == days.get_last_partition_key()
