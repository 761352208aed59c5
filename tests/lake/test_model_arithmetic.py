"""The models against the reference, on made-up streams."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.lake.model_reference import (
    MINUTE,
    ORIGIN,
    SECOND,
    Expected,
    Stream,
    at,
    days_of,
    end_of,
    inputs_of,
    instants,
    is_on,
    measure,
    micros,
    nearest,
    union,
    worlds,
)
from tests.model_runs import Row, fill_inputs, rows_of, run_all


def computed(made: list[Stream]) -> dict[str, list[Row]]:
    con = fill_inputs(inputs_of(made))
    with con:
        run_all(con, sorted({at(s.start).date() for s in made}), days_of(made), TABLES)
        return {name: rows_of(con, name) for name in TABLES}


TABLES = (
    "stream_samples",
    "stream_minutes",
    "stream_analytics",
    "segment_analytics",
    "channel_daily",
)
MANY = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(worlds())
def test_every_measure_is_the_reference_s_and_partials_add_up(made: list[Stream]) -> None:
    """All of it of one computation: that is what costs."""
    tables = computed(made)
    assert_every_measure_is_the_reference_s(made, tables)
    assert_days_split_at_midnight_and_count_overlapping_streams_once(made, tables)
    assert_partials_add_up_exactly(tables)


def assert_every_measure_is_the_reference_s(
    made: list[Stream], tables: dict[str, list[Row]]
) -> None:
    by_id = {stream.id: stream for stream in made}

    assert {row["stream_id"] for row in tables["stream_analytics"]} == set(by_id)
    for row in tables["stream_analytics"]:
        assert_says(row, measure([by_id[row["stream_id"]]], None, None))

    for row in tables["stream_minutes"]:
        begin = (row["minute_at"] - ORIGIN) // timedelta(microseconds=1)
        expected = measure([by_id[row["stream_id"]]], begin, begin + MINUTE)
        assert_says(row, expected, live_name=None)

    assert len(tables["segment_analytics"]) == sum(len(s.segments) for s in made)
    for row in tables["segment_analytics"]:
        stream = by_id[row["stream_id"]]
        low, high = stream.segments[row["position"]]
        assert_says(row, measure([stream], low, high))


def assert_days_split_at_midnight_and_count_overlapping_streams_once(
    made: list[Stream], tables: dict[str, list[Row]]
) -> None:
    rows = tables["channel_daily"]
    for row in rows:
        begin = (datetime.combine(row["day"], datetime.min.time()) - ORIGIN) // timedelta(
            microseconds=1
        )
        end = begin + 24 * 3600 * SECOND
        own = [s for s in made if s.channel == row["channel_id"]]
        touching = [s for s in own if is_on(s, row["day"], begin, end)]
        assert row["streams"] == len(touching)
        expected = measure(touching, begin, end)
        assert_says(row, expected, live_name="stream_seconds")
        known = any(end_of(s, instants(s)) is not None for s in touching)
        assert row["live_seconds"] == (nearest(union(touching, begin, end)) if known else None)
    expected_days = {
        (s.channel, day)
        for s in made
        for day in days_of(made)
        if is_on(s, day, micros(day), micros(day) + 24 * 3600 * SECOND)
    }
    assert {(row["channel_id"], row["day"]) for row in rows} == expected_days


def assert_partials_add_up_exactly(tables: dict[str, list[Row]]) -> None:
    streams_by_id = {row["stream_id"]: row for row in tables["stream_analytics"]}
    for stream_id, row in streams_by_id.items():
        minutes = [m for m in tables["stream_minutes"] if m["stream_id"] == stream_id]
        samples = [s for s in tables["stream_samples"] if s["stream_id"] == stream_id]
        for name in ("covered_seconds", "viewer_seconds"):
            assert micros_sum(m[name] for m in minutes) == micros_sum([row[name]])
        assert sum(m["samples"] for m in minutes) == row["samples"] == len(samples)
        assert micros_sum(s["hold_seconds"] for s in samples) == micros_sum(
            [row["covered_seconds"]]
        )
    for channel in {row["channel_id"] for row in streams_by_id.values()}:
        own = [row for row in streams_by_id.values() if row["channel_id"] == channel]
        days = [row for row in tables["channel_daily"] if row["channel_id"] == channel]
        for name in ("covered_seconds", "viewer_seconds", "samples", "null_samples"):
            assert micros_sum(d[name] for d in days) == micros_sum(row[name] for row in own)
        assert micros_sum(d["stream_seconds"] for d in days) == micros_sum(
            row["live_seconds"] for row in own
        )
        assert sum(d["streams_started"] for d in days) == len(own)


def micros_sum(values: Iterable[Any]) -> int:
    """A sum of seconds as the whole microseconds that each stands for."""
    return sum(round(Fraction(value or 0) * SECOND) for value in values)


def assert_says(row: Row, expected: Expected, *, live_name: str | None = "live_seconds") -> None:
    """Every measure of the row is exactly the expected one; seconds are the nearest double."""
    actual = {
        "covered": row["covered_seconds"],
        "viewer": row["viewer_seconds"],
        "peak": row["peak_viewers"],
        "messages": row["messages"],
        "samples": row["samples"],
        "null_samples": row["null_samples"],
    }
    assert actual == {
        "covered": nearest(expected.covered),
        "viewer": nearest(expected.viewer),
        "peak": expected.peak,
        "messages": expected.messages,
        "samples": expected.samples,
        "null_samples": expected.null_samples,
    }
    if "peak_at" in row:
        assert row["peak_at"] == (None if expected.peak_at is None else at(expected.peak_at))
    if live_name:
        assert row[live_name] == (None if expected.live is None else nearest(expected.live))
        ratio = Fraction(expected.covered, expected.live) if expected.live else None
        assert row["coverage_ratio"] == (None if ratio is None else pytest.approx(float(ratio)))
    average = Fraction(expected.viewer, expected.covered) if expected.covered else None
    assert row["average_viewers"] == (None if average is None else pytest.approx(float(average)))
