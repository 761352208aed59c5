"""The questions that the API, the dashboards and the notebooks ask of a build, as SQL with bound
parameters.

What belongs here: reading a build's tables (a connection from `open_build` or `connect`) into the
answers of `answers`. What does not: computing marts (aethex/assets/models), caching answers,
formatting them.

The definitions are those of docs/metrics.md. Every function opens a cursor of its own, so one
connection serves many threads. Times may be passed naive (meaning UTC) or aware; ranges are
half-open `[from_at, to_at)`.
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
from aethex.lake.ranges import BUCKETS, CHANNEL_RANGE, LIVE_IN_RANGE, POINTS, STREAM_RANGE

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

MAXPOINTS = 20_000

_MEASURES = """
    {0}.live_seconds, {0}.covered_seconds, {0}.viewer_seconds, {0}.average_viewers,
    {0}.coverage_ratio, {0}.peak_viewers, {0}.peak_at, {0}.messages, {0}.samples, {0}.null_samples
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
            SELECT channel_id, sum(live_seconds) AS live_seconds FROM channel_daily GROUP BY
            channel_id
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
    """The channel's streams that were live in the range, newest first; each with its whole
    audience.

    An unknown channel has none. A page of them: `limit` and `offset`, with
    `count_streams_of_channel`.
    """
    rows = _query(
        con,
        f"""
        SELECT {_STREAM_COLUMNS} FROM {_STREAM_TABLES}
        WHERE a.channel_id = $channel_id AND {LIVE_IN_RANGE}
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
        f"""
        SELECT count(*) FROM {_STREAM_TABLES}
        WHERE a.channel_id = $channel_id AND {LIVE_IN_RANGE}
        """,
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
    max_points: int = MAXPOINTS,
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
        raise ValueError(
            f"the range is empty: from {_known(begin).isoformat()} to {_known(end).isoformat()}"
        )
    scope = {"stream_id": stream_id, "stream_day": stream_day, "from_at": begin, "to_at": end}
    summary = _audience(_query(con, STREAM_RANGE, scope)[0])
    bucket_seconds = None
    if summary.samples <= max_points:
        rows = _query(con, POINTS, scope)
    else:
        bucket = -(-((end - begin) // timedelta(microseconds=1)) // max_points)
        bucket_seconds = bucket / 1e6
        rows = _query(con, BUCKETS, {**scope, "bucket": bucket})
    points = [
        ChartPoint(at.replace(tzinfo=UTC), viewers, messages) for at, viewers, messages in rows
    ]
    return ViewersChart(stream_id, _known(begin), _known(end), bucket_seconds, points, summary)


def channel_days(
    con: duckdb.DuckDBPyConnection,
    channel_id: str,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
) -> list[ChannelDay]:
    """The channel's UTC days with a stream live that begin in the range, in order."""
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
    """The channel over the range, by default all of it. Intervals that cross its borders are split
    there.

    Raises NotInBuild for an unknown channel, ValueError for an empty range.
    """
    channel = _query(
        con,
        """
        SELECT username, title FROM dim_channels
        WHERE channel_id = $channel_id AND valid_to IS NULL
        """,
        {"channel_id": channel_id},
    )
    if not channel:
        raise NotInBuild("channel", channel_id)
    scope = _range(from_at, to_at)
    begin, end = scope["from_at"], scope["to_at"]
    if begin is not None and end is not None and begin >= end:
        raise ValueError(
            f"the range is empty: from {_known(begin).isoformat()} to {_known(end).isoformat()}"
        )
    row = _query(con, CHANNEL_RANGE, {"channel_id": channel_id, **scope})[0]
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


def _query(
    con: duckdb.DuckDBPyConnection, sql: str, values: dict[str, Any]
) -> list[tuple[Any, ...]]:
    with con.cursor() as cursor:
        return cursor.execute(sql, values).fetchall()


def _stream_bounds(
    con: duckdb.DuckDBPyConnection, stream_id: str
) -> tuple[Any, datetime, datetime | None]:
    """(stream_day, started_at, ended_at), naive UTC. Raises NotInBuild."""
    rows = _query(
        con,
        """
        SELECT stream_day, started_at, ended_at FROM stream_analytics WHERE stream_id = $stream_id
        """,
        {"stream_id": stream_id},
    )
    if not rows:
        raise NotInBuild("stream", stream_id)
    return rows[0][0], rows[0][1], rows[0][2]


def _range(from_at: datetime | None, to_at: datetime | None) -> dict[str, datetime | None]:
    return {"from_at": _naive(from_at), "to_at": _naive(to_at)}


def _naive(at: datetime | None) -> datetime | None:
    """The lake's form of a time: UTC without a zone."""
    return (
        at.astimezone(UTC).replace(tzinfo=None) if at is not None and at.tzinfo is not None else at
    )


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
