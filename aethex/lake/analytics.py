"""The questions that the API, the dashboards and the notebooks ask of a build, as SQL with bound parameters.

What belongs here: reading a build's tables (a connection from `open_build` or `connect`) into the answers of
`answers`. What does not: computing marts (aethex/assets/models), caching answers, formatting them.

The definitions are those of docs/metrics.md. Every function opens a cursor of its own, so one connection
serves many threads. Times may be passed naive (meaning UTC) or aware; ranges are half-open `[from_at, to_at)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from aethex.lake.answers import (
    Audience,
    ChannelDay,
    ChannelListItem,
    ChannelSummary,
    ChartPoint,
    NotInBuild,
    SegmentSummary,
    StreamSummary,
    ViewersChart,
)

__all__ = [
    "Audience",
    "ChannelDay",
    "ChannelListItem",
    "ChannelSummary",
    "ChartPoint",
    "NotInBuild",
    "SegmentSummary",
    "StreamSummary",
    "ViewersChart",
    "channel_days",
    "channel_list",
    "channel_summary",
    "count_streams_of_channel",
    "stream_segments",
    "stream_summary",
    "streams_of_channel",
    "viewers_chart",
]

MAX_POINTS = 20_000

_MEASURES = """
    {0}.live_seconds, {0}.covered_seconds, {0}.viewer_seconds, {0}.average_viewers, {0}.coverage_ratio,
    {0}.peak_viewers, {0}.peak_at, {0}.messages, {0}.samples, {0}.null_samples
"""
_STREAM_COLUMNS = f"""
    a.stream_id, a.channel_id, d.title, d.category_id, c.name, d.status, a.started_at, a.ended_at,
    a.is_final, a.viewer_source, {_MEASURES.format("a")}
"""
_STREAM_TABLES = """
    stream_analytics AS a
    JOIN dim_streams AS d ON d.stream_id = a.stream_id AND d.valid_to IS NULL
    LEFT JOIN dim_categories AS c ON c.category_id = d.category_id AND c.valid_to IS NULL
"""


def channel_list(con: duckdb.DuckDBPyConnection) -> list[ChannelListItem]:
    """Every channel of the build, by username; channels without streams included."""
    rows = _query(
        con,
        """
        SELECT c.channel_id, c.username, c.title, count(a.stream_id), max(a.started_at),
               max(d.live_seconds), max(a.peak_viewers)
        FROM dim_channels AS c
        LEFT JOIN stream_analytics AS a ON a.channel_id = c.channel_id
        LEFT JOIN (
            SELECT channel_id, sum(live_seconds) AS live_seconds FROM channel_daily GROUP BY channel_id
        ) AS d ON d.channel_id = c.channel_id
        WHERE c.valid_to IS NULL
        GROUP BY c.channel_id, c.username, c.title
        ORDER BY c.username, c.channel_id
        """,
        {},
    )
    return [
        ChannelListItem(
            channel_id=row[0],
            username=row[1],
            title=row[2],
            streams=row[3],
            last_stream_at=_aware(row[4]),
            live_seconds=row[5],
            peak_viewers=row[6],
        )
        for row in rows
    ]


def streams_of_channel(
    con: duckdb.DuckDBPyConnection,
    channel_id: str,
    *,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[StreamSummary]:
    """The channel's streams that were live in the range, newest first; each with its whole audience.

    An unknown channel has none. A page of them: `limit` and `offset`, with `count_streams_of_channel`.
    """
    rows = _query(
        con,
        f"""
        SELECT {_STREAM_COLUMNS} FROM {_STREAM_TABLES}
        WHERE a.channel_id = $channel_id AND {_LIVE_IN_RANGE}
        ORDER BY a.started_at DESC, a.stream_id DESC
        LIMIT $limit OFFSET $offset
        """,
        {
            "channel_id": channel_id,
            **_range(from_at, to_at),
            "limit": limit if limit is not None else 2**62,
            "offset": offset,
        },
    )
    return [_stream(row) for row in rows]


def count_streams_of_channel(
    con: duckdb.DuckDBPyConnection,
    channel_id: str,
    *,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
) -> int:
    """How many streams `streams_of_channel` has for the same range, without a limit."""
    rows = _query(
        con,
        f"SELECT count(*) FROM {_STREAM_TABLES} WHERE a.channel_id = $channel_id AND {_LIVE_IN_RANGE}",
        {"channel_id": channel_id, **_range(from_at, to_at)},
    )
    return int(rows[0][0])


def stream_summary(con: duckdb.DuckDBPyConnection, stream_id: str) -> StreamSummary:
    """One stream with its whole audience. Raises NotInBuild."""
    rows = _query(
        con,
        f"SELECT {_STREAM_COLUMNS} FROM {_STREAM_TABLES} WHERE a.stream_id = $stream_id",
        {"stream_id": stream_id},
    )
    if not rows:
        raise NotInBuild("stream", stream_id)
    return _stream(rows[0])


def stream_segments(con: duckdb.DuckDBPyConnection, stream_id: str) -> list[SegmentSummary]:
    """The stream's segments by position, each with its audience; none where no segments were given.

    Raises NotInBuild when the stream itself is unknown.
    """
    _stream_bounds(con, stream_id)
    rows = _query(
        con,
        f"""
        SELECT s.segment_id, s.stream_id, s.position, s.title, s.category_id, s.category_name,
               s.started_at, s.ended_at, {_MEASURES.format("s")}
        FROM segment_analytics AS s
        WHERE s.stream_id = $stream_id
        ORDER BY s.position, s.started_at, s.segment_id
        """,
        {"stream_id": stream_id},
    )
    return [
        SegmentSummary(
            segment_id=row[0],
            stream_id=row[1],
            position=row[2],
            title=row[3],
            category_id=row[4],
            category_name=row[5],
            started_at=_known(row[6]),
            ended_at=_aware(row[7]),
            audience=_audience(row[8:]),
        )
        for row in rows
    ]


def viewers_chart(
    con: duckdb.DuckDBPyConnection,
    stream_id: str,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
    max_points: int = MAX_POINTS,
) -> ViewersChart:
    """Viewers and chat of one stream over `[from_at, to_at)`, by default the whole stream.

    Raises NotInBuild for an unknown stream, ValueError for an empty range or `max_points` < 1.
    """
    if max_points < 1:
        raise ValueError(f"max_points must be 1 or more, not {max_points}")
    stream_day, started_at, ended_at = _stream_bounds(con, stream_id)
    begin = _naive(from_at) or started_at
    end = _naive(to_at) or max(ended_at or begin, begin)
    if begin > end or (begin == end and (from_at is not None or to_at is not None)):
        raise ValueError(f"the range is empty: from {_known(begin).isoformat()} to {_known(end).isoformat()}")
    scope = {"stream_id": stream_id, "stream_day": stream_day, "from_at": begin, "to_at": end}
    summary = _audience(_query(con, _STREAM_RANGE, scope)[0])
    bucket_seconds = None
    if summary.samples <= max_points:
        rows = _query(con, _POINTS, scope)
    else:
        bucket = -(-((end - begin) // timedelta(microseconds=1)) // max_points)
        bucket_seconds = bucket / 1e6
        rows = _query(con, _BUCKETS, {**scope, "bucket": bucket})
    points = [ChartPoint(at.replace(tzinfo=UTC), viewers, messages) for at, viewers, messages in rows]
    return ViewersChart(stream_id, _known(begin), _known(end), bucket_seconds, points, summary)


def channel_days(
    con: duckdb.DuckDBPyConnection,
    channel_id: str,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
) -> list[ChannelDay]:
    """The channel's UTC days that had a stream live, in order: every day that begins in the range."""
    rows = _query(
        con,
        f"""
        SELECT d.day, d.streams, d.streams_started, {_MEASURES.format("d")}
        FROM channel_daily AS d
        WHERE d.channel_id = $channel_id
          AND ($from_at::TIMESTAMP IS NULL OR d.day >= $from_at::TIMESTAMP)
          AND ($to_at::TIMESTAMP IS NULL OR d.day < $to_at::TIMESTAMP)
        ORDER BY d.day
        """,
        {"channel_id": channel_id, **_range(from_at, to_at)},
    )
    return [
        ChannelDay(day=row[0], streams=row[1], streams_started=row[2], audience=_audience(row[3:]))
        for row in rows
    ]


def channel_summary(
    con: duckdb.DuckDBPyConnection,
    channel_id: str,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
) -> ChannelSummary:
    """The channel over the range, by default all of it. Intervals that cross its borders are split there.

    Raises NotInBuild for an unknown channel, ValueError for an empty range.
    """
    channel = _query(
        con,
        "SELECT username, title FROM dim_channels WHERE channel_id = $channel_id AND valid_to IS NULL",
        {"channel_id": channel_id},
    )
    if not channel:
        raise NotInBuild("channel", channel_id)
    scope = _range(from_at, to_at)
    begin, end = scope["from_at"], scope["to_at"]
    if begin is not None and end is not None and begin >= end:
        raise ValueError(f"the range is empty: from {_known(begin).isoformat()} to {_known(end).isoformat()}")
    row = _query(con, _CHANNEL_RANGE, {"channel_id": channel_id, **scope})[0]
    return ChannelSummary(
        channel_id=channel_id,
        username=channel[0][0],
        title=channel[0][1],
        from_at=_aware(begin),
        to_at=_aware(end),
        streams=row[0],
        stream_seconds=row[1],
        peak_stream_id=row[2],
        audience=_audience(row[3:]),
    )


_LIVE_IN_RANGE = """
    ($to_at::TIMESTAMP IS NULL OR a.started_at < $to_at::TIMESTAMP)
    AND ($from_at::TIMESTAMP IS NULL OR coalesce(a.ended_at, a.started_at) > $from_at::TIMESTAMP
         OR a.started_at >= $from_at::TIMESTAMP)
"""

# Holds clipped to a range, in whole microseconds: sums are exact, the division comes last.
_CLIPPED_HOLD = """
    greatest(0, epoch_us(least(s.hold_until, {to_at})) - epoch_us(greatest(s.sampled_at, {from_at})))
"""

_STREAM_RANGE = f"""
WITH holds AS (
    SELECT s.viewers,
           {_CLIPPED_HOLD.format(from_at="$from_at::TIMESTAMP", to_at="$to_at::TIMESTAMP")} AS hold_us,
           s.sampled_at >= $from_at::TIMESTAMP AND s.sampled_at < $to_at::TIMESTAMP AS is_inside,
           s.sampled_at,
           s.messages
    FROM stream_samples AS s
    WHERE s.stream_day = $stream_day AND s.stream_id = $stream_id
      AND s.sampled_at < $to_at::TIMESTAMP
      AND (s.sampled_at >= $from_at::TIMESTAMP OR s.hold_until > $from_at::TIMESTAMP)
),
sums AS (
    SELECT sum(hold_us)::BIGINT AS covered_us,
           sum(viewers * hold_us)::HUGEINT AS viewer_us,
           max(viewers) FILTER (WHERE is_inside) AS peak_viewers,
           sum(messages) FILTER (WHERE is_inside)::BIGINT AS messages,
           count(*) FILTER (WHERE is_inside) AS samples,
           count(*) FILTER (WHERE is_inside AND viewers IS NULL) AS null_samples
    FROM holds
),
live AS (
    SELECT greatest(0, epoch_us(least(ended_at, $to_at::TIMESTAMP))
                       - epoch_us(greatest(started_at, $from_at::TIMESTAMP))) AS live_us
    FROM stream_analytics
    WHERE stream_day = $stream_day AND stream_id = $stream_id
)
SELECT live_us / 1e6, coalesce(covered_us, 0) / 1e6, coalesce(viewer_us, 0) / 1e6,
       viewer_us / nullif(covered_us, 0), coalesce(covered_us, 0) / nullif(live_us, 0),
       peak_viewers,
       (SELECT min(sampled_at) FROM holds WHERE is_inside AND viewers = sums.peak_viewers),
       messages, samples, null_samples
FROM sums CROSS JOIN live
"""

_POINTS = """
SELECT sampled_at, viewers, messages
FROM stream_samples
WHERE stream_day = $stream_day AND stream_id = $stream_id
  AND sampled_at >= $from_at::TIMESTAMP AND sampled_at < $to_at::TIMESTAMP
ORDER BY sampled_at
"""

_BUCKETS = """
WITH points AS (
    SELECT sampled_at, viewers, messages,
           (epoch_us(sampled_at) - epoch_us($from_at::TIMESTAMP)) // $bucket AS bucket
    FROM stream_samples
    WHERE stream_day = $stream_day AND stream_id = $stream_id
      AND sampled_at >= $from_at::TIMESTAMP AND sampled_at < $to_at::TIMESTAMP
)
SELECT coalesce(arg_max(sampled_at, (viewers, -epoch_us(sampled_at))) FILTER (WHERE viewers IS NOT NULL),
                min(sampled_at)),
       max(viewers), sum(messages)::BIGINT
FROM points
GROUP BY bucket
ORDER BY bucket
"""

_CHANNEL_RANGE = f"""
WITH streams AS (
    SELECT a.stream_id,
           greatest(a.started_at, coalesce($from_at::TIMESTAMP, a.started_at)) AS from_at,
           least(a.ended_at, coalesce($to_at::TIMESTAMP, a.ended_at)) AS to_at
    FROM stream_analytics AS a
    WHERE a.channel_id = $channel_id AND {_LIVE_IN_RANGE}
),
reached AS (
    SELECT from_at, to_at,
           max(to_at) OVER (ORDER BY from_at, to_at, stream_id
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_at
    FROM streams
    WHERE to_at > from_at
),
live AS (
    -- a moment in which several streams are live counts once
    SELECT sum(epoch_us(to_at) - epoch_us(from_at)) AS stream_us,
           sum(greatest(0, epoch_us(to_at) - epoch_us(greatest(from_at, coalesce(before_at, from_at)))))
               AS live_us
    FROM reached
),
holds AS (
    SELECT s.stream_id, s.viewers, s.messages, s.sampled_at,
           {_CLIPPED_HOLD.format(from_at="t.from_at", to_at="t.to_at")} AS hold_us,
           s.sampled_at >= t.from_at AND s.sampled_at < t.to_at AS is_inside
    FROM stream_samples AS s
    JOIN streams AS t ON t.stream_id = s.stream_id
    WHERE s.channel_id = $channel_id
),
sums AS (
    SELECT sum(hold_us)::BIGINT AS covered_us,
           sum(viewers * hold_us)::HUGEINT AS viewer_us,
           sum(messages) FILTER (WHERE is_inside)::BIGINT AS messages,
           count(*) FILTER (WHERE is_inside) AS samples,
           count(*) FILTER (WHERE is_inside AND viewers IS NULL) AS null_samples
    FROM holds
),
peaks AS (
    SELECT stream_id, viewers, sampled_at,
           row_number() OVER (ORDER BY viewers DESC, sampled_at, stream_id) AS place
    FROM holds
    WHERE is_inside AND viewers IS NOT NULL
)
SELECT (SELECT count(*) FROM streams), live.stream_us / 1e6, peaks.stream_id,
       live.live_us / 1e6, coalesce(covered_us, 0) / 1e6, coalesce(viewer_us, 0) / 1e6,
       viewer_us / nullif(covered_us, 0), coalesce(covered_us, 0) / nullif(live.stream_us, 0),
       peaks.viewers, peaks.sampled_at, messages, samples, null_samples
FROM sums
CROSS JOIN live
LEFT JOIN peaks ON peaks.place = 1
"""


def _query(con: duckdb.DuckDBPyConnection, sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with con.cursor() as cursor:
        return cursor.execute(sql, values).fetchall()


def _stream_bounds(con: duckdb.DuckDBPyConnection, stream_id: str) -> tuple[Any, datetime, datetime | None]:
    """(stream_day, started_at, ended_at), naive UTC. Raises NotInBuild."""
    rows = _query(
        con,
        "SELECT stream_day, started_at, ended_at FROM stream_analytics WHERE stream_id = $stream_id",
        {"stream_id": stream_id},
    )
    if not rows:
        raise NotInBuild("stream", stream_id)
    return rows[0][0], rows[0][1], rows[0][2]


def _range(from_at: datetime | None, to_at: datetime | None) -> dict[str, datetime | None]:
    return {"from_at": _naive(from_at), "to_at": _naive(to_at)}


def _naive(at: datetime | None) -> datetime | None:
    """The lake's form of a time: UTC without a zone."""
    return at.astimezone(UTC).replace(tzinfo=None) if at is not None and at.tzinfo is not None else at


def _aware(at: datetime | None) -> datetime | None:
    return None if at is None else _known(at)


def _known(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)


def _stream(row: Sequence[Any]) -> StreamSummary:
    return StreamSummary(
        stream_id=row[0],
        channel_id=row[1],
        title=row[2],
        category_id=row[3],
        category_name=row[4],
        status=row[5],
        started_at=_known(row[6]),
        ended_at=_aware(row[7]),
        is_final=row[8],
        viewer_source=row[9],
        audience=_audience(row[10:]),
    )


def _audience(row: Sequence[Any]) -> Audience:
    return Audience(
        live_seconds=row[0],
        covered_seconds=row[1],
        viewer_seconds=row[2],
        average_viewers=row[3],
        coverage_ratio=row[4],
        peak_viewers=row[5],
        peak_at=_aware(row[6]),
        messages=row[7],
        samples=row[8],
        null_samples=row[9],
    )
