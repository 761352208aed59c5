"""Questions to a build about what players told: a stream's audience, and the views of VODs.

What belongs here: reading `stream_audience` and `content_daily` into typed answers. What does not:
viewers counted by samples (`analytics`), computing marts.

Every function opens a cursor of its own, so one connection serves many threads.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb


@dataclass(frozen=True, slots=True)
class PlayerMeasures:
    """A stream's sessions in numbers; all are None where no player was measured.

    unique_viewers: exactly; present_seconds: while it was live.
    """

    sessions: int | None
    views: int | None
    unique_viewers: int | None
    watched_seconds: float | None
    present_seconds: float | None
    peak_concurrent: int | None
    average_concurrent: float | None


@dataclass(frozen=True, slots=True)
class StreamPlayers:
    """A stream's audience as its players told it. filtered leaves marked sessions out.

    chat_messages, chatters: None where chat is not sent as events.
    """

    filtered: PlayerMeasures
    raw: PlayerMeasures
    peak_concurrent_at: datetime | None
    chat_messages: int | None
    chatters: int | None
    new_followers: int


@dataclass(frozen=True, slots=True)
class ContentTotals:
    """A VOD over all days, marked sessions left out. likes: without those that were taken back."""

    views: int
    likes: int
    watched_seconds: float


NOTHING_YET = ContentTotals(views=0, likes=0, watched_seconds=0.0)

_MEASURES = (
    "sessions{0}, views{0}, unique_viewers{0}, watched_seconds{0}, present_seconds{0}, "
    "peak_concurrent{0}, average_concurrent{0}"
)


def stream_players(con: duckdb.DuckDBPyConnection, stream_id: str) -> StreamPlayers | None:
    """What players told of a stream; None where nothing was."""
    with con.cursor() as cursor:
        row = cursor.execute(
            f"""
            SELECT {_MEASURES.format("")}, {_MEASURES.format("_raw")},
                   peak_concurrent_at, chat_messages, chatters, new_followers
            FROM stream_audience WHERE stream_id = $stream_id
            """,
            {"stream_id": stream_id},
        ).fetchone()
    if row is None:
        return None
    return StreamPlayers(
        filtered=PlayerMeasures(*row[:7]),
        raw=PlayerMeasures(*row[7:14]),
        peak_concurrent_at=row[14].replace(tzinfo=UTC) if row[14] else None,
        chat_messages=row[15],
        chatters=row[16],
        new_followers=row[17],
    )


def vod_watched_seconds(con: duckdb.DuckDBPyConnection, channel_id: str) -> dict[str, float]:
    """For how long each VOD of the channel was watched, over all days, marked sessions left out;
    those that were not are missing.
    """
    with con.cursor() as cursor:
        rows = cursor.execute(
            """
            SELECT content_id, round(sum(watched_seconds), 3) AS seconds
            FROM content_daily
            WHERE channel_id = $channel_id AND content_kind = 'vod'
            GROUP BY content_id
            HAVING seconds > 0
            ORDER BY seconds DESC, content_id
            """,
            {"channel_id": channel_id},
        ).fetchall()
    return dict(rows)


def content_totals(
    con: duckdb.DuckDBPyConnection, content_ids: Collection[str]
) -> dict[str, ContentTotals]:
    """Totals of each of these that was ever watched or liked."""
    with con.cursor() as cursor:
        rows = cursor.execute(
            """
            SELECT content_id, sum(views)::BIGINT, (sum(likes) - sum(unlikes))::BIGINT,
                   round(sum(watched_seconds), 3)
            FROM content_daily
            WHERE content_id IN (SELECT unnest($ids::VARCHAR[]))
            GROUP BY content_id
            """,
            {"ids": list(content_ids)},
        ).fetchall()
    return {row[0]: ContentTotals(*row[1:]) for row in rows}
