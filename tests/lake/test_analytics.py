"""The questions asked of a build, on small made-up streams and against the reference."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aethex.lake import analytics
from aethex.lake.answers import Audience, NotInBuild
from tests.lake.model_reference import (
    SECOND,
    Expected,
    Stream,
    at,
    days_of,
    end_of,
    inputs_of,
    instants,
    measure,
    nearest,
    union,
    worlds,
)
from tests.model_runs import TABLES, Row, fill_inputs, run_all

TEN = datetime.fromisoformat("2024-05-01T10:00Z")
MINUTE = timedelta(minutes=1)
CHANNELS = [
    {"channel_id": "ch_1", "username": "ada", "title": "Ada"},
    {"channel_id": "ch_2", "username": "zoe", "title": None},
]


def build_of(inputs: dict[str, list[Row]], days: list[date]) -> duckdb.DuckDBPyConnection:
    """A connection like that of a build, with those dims and events and the marts of those days."""
    con = fill_inputs({"dim_channels": CHANNELS, **inputs})
    run_all(con, days, days)
    for name in TABLES:
        con.execute(f"CREATE VIEW {name} AS FROM all_{name}")
    return con


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """Channel ada with a stream of ten minutes, sampled at minutes 0–2 and 8, in two segments."""
    stream = {"stream_id": "st_1", "channel_id": "ch_1", "stream_day": TEN.date()}
    start = TEN.replace(tzinfo=None)
    bounds = {"started_at": start, "ended_at": start + 10 * MINUTE}
    counts: list[tuple[int, int | None, int | None]] = [
        (0, 100, 5), (1, None, 6), (2, 300, None), (8, 300, 7),
    ]  # fmt: skip
    return build_of(
        {
            "dim_streams": [{**stream, **bounds, "title": "Morning", "status": "ended",
                             "category_id": "cat_1"}],
            "dim_categories": [{"category_id": "cat_1", "name": "Games"}],
            "dim_stream_segments": [
                {**stream, "segment_id": f"sseg_{n}", "position": n, "title": title,
                 "started_at": start + low * MINUTE, "ended_at": start + high * MINUTE}
                for n, (title, low, high) in enumerate([("First", 0, 2), ("Second", 2, 10)])
            ],
            "viewer_snapshots": [
                {"stream_id": "st_1", "channel_id": "ch_1", "occurred_at": start + n * MINUTE,
                 "viewers": viewers, "messages": messages}
                for n, viewers, messages in counts
            ],
        },
        [TEN.date()],
    )  # fmt: skip


def test_a_stream_has_its_title_category_and_audience(con: duckdb.DuckDBPyConnection) -> None:
    stream = analytics.stream_summary(con, "st_1")
    assert (stream.title, stream.category_name, stream.status) == ("Morning", "Games", "ended")
    assert (stream.started_at, stream.ended_at) == (TEN, TEN + 10 * MINUTE)
    assert stream.viewer_source == "snapshot"
    assert stream.audience == Audience(
        live_seconds=600.0,
        covered_seconds=390.0,  # 120 until the next count, 150 at most, 120 to the end
        viewer_seconds=100 * 120.0 + 300 * 150 + 300 * 120,
        average_viewers=93000 / 390,
        coverage_ratio=0.65,
        peak_viewers=300,
        peak_at=TEN + 2 * MINUTE,
        messages=18,
        samples=4,
        null_samples=1,
    )


def test_segments_come_in_order_with_their_own_audience(con: duckdb.DuckDBPyConnection) -> None:
    first, second = analytics.stream_segments(con, "st_1")
    assert (first.title, second.title) == ("First", "Second")
    assert (first.audience.peak_viewers, first.audience.messages) == (100, 11)
    assert (second.audience.covered_seconds, second.audience.live_seconds) == (270.0, 480.0)
    assert second.started_at == TEN + 2 * MINUTE


def test_the_chart_has_every_sample_and_what_was_not_measured_is_none(
    con: duckdb.DuckDBPyConnection,
) -> None:
    chart = analytics.viewers_chart(con, "st_1")
    assert [(p.at, p.viewers, p.messages) for p in chart.points] == [
        (TEN, 100, 5),
        (TEN + MINUTE, None, 6),
        (TEN + 2 * MINUTE, 300, None),
        (TEN + 8 * MINUTE, 300, 7),
    ]
    assert (chart.from_at, chart.to_at, chart.bucket_seconds) == (TEN, TEN + 10 * MINUTE, None)
    assert chart.summary == analytics.stream_summary(con, "st_1").audience


def test_a_range_is_half_open_and_splits_holds(con: duckdb.DuckDBPyConnection) -> None:
    chart = analytics.viewers_chart(con, "st_1", TEN + MINUTE, TEN + 2 * MINUTE)
    assert [p.at for p in chart.points] == [TEN + MINUTE]
    assert chart.summary.peak_viewers is None
    assert chart.summary.average_viewers == 100.0
    assert chart.summary.covered_seconds == chart.summary.live_seconds == 60.0
    # a naive time means UTC, another zone's is converted
    naive = analytics.viewers_chart(
        con, "st_1", (TEN + MINUTE).replace(tzinfo=None), TEN + MINUTE * 2
    )
    assert naive == chart


def test_outside_the_stream_nothing_is_measured(con: duckdb.DuckDBPyConnection) -> None:
    chart = analytics.viewers_chart(con, "st_1", TEN + 60 * MINUTE, TEN + 61 * MINUTE)
    assert chart.points == []
    audience = chart.summary
    assert (audience.live_seconds, audience.covered_seconds, audience.samples) == (0.0, 0.0, 0)
    measures = (audience.average_viewers, audience.coverage_ratio, audience.messages)
    assert measures == (None, None, None)


def test_fewer_points_keep_each_bucket_s_peak_and_all_messages(
    con: duckdb.DuckDBPyConnection,
) -> None:
    chart = analytics.viewers_chart(con, "st_1", max_points=2)
    assert chart.bucket_seconds == 300.0
    assert [(p.at, p.viewers, p.messages) for p in chart.points] == [
        (TEN + 2 * MINUTE, 300, 11),
        (TEN + 8 * MINUTE, 300, 7),
    ]
    assert chart.summary == analytics.viewers_chart(con, "st_1").summary


@pytest.mark.parametrize(("low", "high", "points"), [(2, 2, 10), (3, 2, 10), (0, 1, 0)])
def test_a_range_that_is_empty_and_no_points_are_refused(
    con: duckdb.DuckDBPyConnection, low: int, high: int, points: int
) -> None:
    with pytest.raises(ValueError, match=r"empty|max_points"):
        analytics.viewers_chart(con, "st_1", TEN + low * MINUTE, TEN + high * MINUTE, points)


def test_what_the_build_does_not_hold_is_said(con: duckdb.DuckDBPyConnection) -> None:
    for ask in (analytics.stream_summary, analytics.stream_segments, analytics.viewers_chart):
        with pytest.raises(NotInBuild, match="stream 'st_9'"):
            ask(con, "st_9")
    with pytest.raises(NotInBuild, match="channel 'ch_9'"):
        analytics.channel_summary(con, "ch_9")
    assert analytics.channel_days(con, "ch_9") == []


def test_channels_are_listed_also_without_streams(con: duckdb.DuckDBPyConnection) -> None:
    ada, zoe = analytics.channel_list(con)
    assert (ada.username, ada.streams, ada.last_stream_at, ada.live_seconds, ada.peak_viewers) == (
        "ada", 1, TEN, 600.0, 300,
    )  # fmt: skip
    assert (zoe.username, zoe.streams, zoe.last_stream_at, zoe.peak_viewers) == (
        "zoe",
        0,
        None,
        None,
    )
    empty = analytics.channel_summary(con, "ch_2")
    assert (empty.streams, empty.stream_seconds, empty.peak_stream_id) == (0, None, None)


def test_streams_of_a_channel_are_paged_newest_first() -> None:
    start = TEN.replace(tzinfo=None)
    con = build_of(
        {
            "dim_streams": [
                {"stream_id": f"st_{n}", "channel_id": "ch_1", "stream_day": TEN.date(),
                 "started_at": start + n * 60 * MINUTE, "ended_at": start + (n * 60 + 30) * MINUTE}
                for n in range(5)
            ]
        },
        [TEN.date()],
    )  # fmt: skip

    def ids(**options: object) -> list[str]:
        found = analytics.streams_of_channel(con, "ch_1", **options)  # pyright: ignore[reportArgumentType]
        return [stream.stream_id for stream in found]

    assert ids() == ["st_4", "st_3", "st_2", "st_1", "st_0"]
    assert ids(limit=2, offset=1) == ["st_3", "st_2"]
    hour = 60 * MINUTE
    assert ids(from_at=TEN + hour, to_at=TEN + 3 * hour) == ["st_2", "st_1"]
    # live in a part of the range is live in it; one that ends where it begins is not
    assert ids(from_at=TEN + hour + 10 * MINUTE, to_at=TEN + hour + 20 * MINUTE) == ["st_1"]
    assert ids(from_at=TEN + 30 * MINUTE, to_at=TEN + hour) == []
    assert analytics.count_streams_of_channel(con, "ch_1", from_at=TEN + hour) == 4


def test_a_stream_without_an_end_or_samples_is_not_measured() -> None:
    start = TEN.replace(tzinfo=None)
    row = {"stream_id": "st_1", "channel_id": "ch_1", "stream_day": TEN.date(), "started_at": start}
    con = build_of({"dim_streams": [row]}, [TEN.date()])
    assert analytics.stream_summary(con, "st_1").ended_at is None
    for chart in (
        analytics.viewers_chart(con, "st_1"),
        analytics.viewers_chart(con, "st_1", TEN, TEN + MINUTE),
    ):
        assert (chart.points, chart.summary.live_seconds) == ([], None)
    whole = analytics.channel_summary(con, "ch_1", TEN, TEN + MINUTE)
    assert (whole.streams, whole.audience.live_seconds) == (1, None)


# --- against the reference ------------------------------------------------------------------------


def assert_is(audience: Audience, expected: Expected, *, is_live_compared: bool = True) -> None:
    def seconds(us: int | None) -> float | None:
        return None if us is None else nearest(us)

    peak_at = None if expected.peak_at is None else at(expected.peak_at).replace(tzinfo=UTC)
    assert (
        audience.covered_seconds, audience.viewer_seconds, audience.peak_viewers, audience.peak_at,
        audience.messages, audience.samples, audience.null_samples,
    ) == (
        seconds(expected.covered), seconds(expected.viewer), expected.peak, peak_at,
        expected.messages, expected.samples, expected.null_samples,
    )  # fmt: skip
    average = expected.viewer / expected.covered if expected.covered else None
    assert audience.average_viewers == (None if average is None else pytest.approx(average))
    if is_live_compared:
        assert audience.live_seconds == seconds(expected.live)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    made=worlds(),
    ends=st.lists(st.integers(0, 14 * 3600 * SECOND), min_size=2, max_size=2, unique=True),
    max_points=st.integers(1, 8),
)
def test_any_range_is_measured_as_the_reference_measures_it(
    made: list[Stream], ends: list[int], max_points: int
) -> None:
    low, high = sorted(ends)
    begin, end = at(low).replace(tzinfo=UTC), at(high).replace(tzinfo=UTC)
    with build_of(inputs_of(made), days_of(made)) as con:
        for stream in made:
            chart = analytics.viewers_chart(con, stream.id, begin, end, max_points)
            expected = measure([stream], low, high)
            assert_is(chart.summary, expected)
            assert len(chart.points) <= max_points
            counts = [p.viewers for p in chart.points if p.viewers is not None]
            assert max(counts, default=None) == expected.peak
            messages = [p.messages for p in chart.points if p.messages is not None]
            assert (sum(messages) if messages else None) == expected.messages
        for channel_id in ("ch_1", "ch_2"):
            own = [s for s in made if s.channel == channel_id and overlaps(s, low, high)]
            summary = analytics.channel_summary(con, channel_id, begin, end)
            assert summary.streams == len(own)
            expected = measure(own, low, high)
            assert_is(summary.audience, expected, is_live_compared=False)
            live = [s for s in own if end_of(s, instants(s)) is not None]
            if any(min(end_of(s, instants(s)) or 0, high) > max(s.start, low) for s in live):
                assert summary.stream_seconds == nearest(expected.live or 0)
                assert summary.audience.live_seconds == nearest(union(own, low, high))


def overlaps(stream: Stream, low: int, high: int) -> bool:
    """Whether the stream starts in the range, or is live in it."""
    end = end_of(stream, instants(stream))
    reaches = stream.start if end is None else end
    return stream.start < high and (reaches > low or stream.start >= low)
