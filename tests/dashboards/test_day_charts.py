from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import altair as alt
import pytest

from aethex.dashboards.day_charts import bars_of, days_chart, step_of, unmeasured_seconds
from aethex.lake.analytics import Audience, ChannelDay

SOON = datetime(2026, 3, 2, 20, tzinfo=UTC)


def day(
    when: date, *, viewers: float = 100, hours: float = 2, peak: int | None = 150
) -> ChannelDay:
    """A day with `hours` live of which half are covered."""
    covered = hours * 1800
    audience = Audience(
        live_seconds=hours * 3600,
        covered_seconds=covered,
        viewer_seconds=viewers * covered,
        average_viewers=viewers,
        coverage_ratio=0.5,
        peak_viewers=peak,
        peak_at=None if peak is None else datetime(when.year, when.month, when.day, 19, tzinfo=UTC),
        messages=10,
        samples=60,
        null_samples=0,
    )
    return ChannelDay(when, 1, 1, audience)


def test_a_long_period_is_drawn_in_weeks_and_a_longer_one_in_months() -> None:
    assert [step_of(SOON - timedelta(days=n), SOON) for n in (28, 90, 365, 900)] == [
        "day",
        "day",
        "week",
        "month",
    ]


def test_a_week_weighs_its_days_by_what_was_measured() -> None:
    monday, friday, next_monday = date(2026, 3, 2), date(2026, 3, 6), date(2026, 3, 9)
    days = [
        day(monday, viewers=100, hours=1),
        day(friday, viewers=400, hours=3, peak=900),
        day(next_monday),
    ]
    week, after = bars_of(days, "week")
    assert week.average_viewers == pytest.approx((100 * 1 + 400 * 3) / 4)
    assert (week.peak_viewers, week.messages, week.live_seconds) == (900, 20, 4 * 3600)
    assert week.coverage_ratio == pytest.approx(0.5)
    assert (week.from_at.date(), week.to_at.date()) == (monday, next_monday)
    assert after.from_at.date() == next_monday


def test_what_was_not_measured_counts_each_stream_also_where_two_were_live_at_once() -> None:
    # two streams of two hours at once: live for two hours, of whose four one hour is covered
    both = day(date(2026, 3, 1))
    assert unmeasured_seconds(both) == 3600
    overlapping = replace(both, audience=replace(both.audience, coverage_ratio=0.25))
    assert unmeasured_seconds(overlapping) == 3 * 3600


def test_months_are_as_long_as_they_are() -> None:
    (february,) = bars_of([day(date(2026, 2, 14))], "month")
    assert (february.from_at.date(), february.to_at.date()) == (date(2026, 2, 1), date(2026, 3, 1))


def test_a_day_that_still_runs_says_so() -> None:
    yesterday, today = date(2026, 3, 1), date(2026, 3, 2)
    spec = chart([day(yesterday), day(today)], SOON)
    rows = spec["datasets"]["days"].to_dicts()
    assert [row["is_running"] for row in rows] == [False, True]
    assert rows[1]["when"] == "Mon 2 Mar 2026, so far"


def test_a_day_without_a_count_has_no_bar_instead_of_a_zero() -> None:
    nothing = dict.fromkeys(Audience.__slots__)
    unmeasured = Audience(**{**nothing, "live_seconds": 3600.0, "samples": 0, "null_samples": 0})  # pyright: ignore[reportArgumentType]
    spec = chart([ChannelDay(date(2026, 3, 1), 1, 1, unmeasured)], SOON)
    (row,) = spec["datasets"]["days"].to_dicts()
    assert row["average"] is None
    assert row["average_text"] == "not measured"
    assert "top" not in spec["datasets"]


@pytest.mark.parametrize("length", [7, 28, 300, 1000])
def test_the_specification_is_valid_vega_lite(length: int) -> None:
    days = [day(date(2026, 3, 1) - timedelta(days=n)) for n in range(length, 0, -9)]
    spec = days_chart(days, SOON - timedelta(days=length), SOON, None, "dark")
    spec.pop("datasets")
    alt.LayerChart.from_dict(spec)  # validates


def chart(days: list[ChannelDay], data_until: datetime) -> dict[str, Any]:
    begin, end = datetime(2026, 2, 3, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)
    return days_chart(days, begin, end, data_until, "light")
