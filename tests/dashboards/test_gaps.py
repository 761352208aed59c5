from datetime import UTC, datetime, timedelta

from aethex.dashboards.gaps import Gap, clipped, gaps_between, largest

START = datetime(2026, 3, 2, 18, tzinfo=UTC)


def minute(n: float) -> datetime:
    return START + timedelta(minutes=n)


def test_samples_a_minute_apart_leave_no_gap() -> None:
    assert gaps_between(START, minute(10), [minute(n) for n in range(10)]) == []


def test_a_sample_holds_150_seconds_and_then_the_gap_begins() -> None:
    measured = [minute(n) for n in (0, 1, 2, 10, 11)]
    assert gaps_between(START, minute(12), measured) == [Gap(minute(4.5), minute(10))]


def test_two_samples_150_seconds_apart_touch() -> None:
    assert gaps_between(START, minute(5), [START, minute(2.5)]) == []


def test_the_time_before_the_first_and_after_the_last_sample_is_a_gap() -> None:
    assert gaps_between(START, minute(10), [minute(3)]) == [
        Gap(START, minute(3)),
        Gap(minute(5.5), minute(10)),
    ]


def test_without_samples_everything_is_a_gap() -> None:
    assert gaps_between(START, minute(10), []) == [Gap(START, minute(10))]


def test_clipping_keeps_the_parts_inside() -> None:
    gaps = [Gap(minute(0), minute(2)), Gap(minute(4), minute(8)), Gap(minute(9), minute(10))]
    assert clipped(gaps, minute(2), minute(6)) == [Gap(minute(4), minute(6))]


def test_the_longest_gaps_are_listed_in_time_order() -> None:
    gaps = [Gap(minute(0), minute(3)), Gap(minute(4), minute(5)), Gap(minute(6), minute(10))]
    assert largest(gaps, 2) == [gaps[0], gaps[2]]
