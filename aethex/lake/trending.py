"""Questions to a build about what trends.

What belongs here: reading `trending` into typed answers, always its newest list. What does not: how
scores come about (the model), views and likes (`players`).

The newest list is that of the last full hour before the build's `fresh_until`. It may be empty, and
then no older list takes its place. Every function opens a cursor of its own, so one connection
serves many threads.
"""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb


def list_hour(fresh_until: datetime) -> datetime:
    """The hour of the newest list in a build that is fresh until then, in UTC."""
    in_utc = fresh_until.astimezone(UTC) if fresh_until.tzinfo else fresh_until.replace(tzinfo=UTC)
    return in_utc.replace(minute=0, second=0, microsecond=0)


def vod_scores(
    con: duckdb.DuckDBPyConnection, channel_id: str, fresh_until: datetime
) -> dict[str, float]:
    """Scores of a channel's VODs in the newest list; VODs that too few people watched have none."""
    with con.cursor() as cursor:
        rows = cursor.execute(
            "SELECT content_id, score FROM trending WHERE day = $hour_at::DATE "
            "AND hour_at = $hour_at AND content_kind = 'vod' AND channel_id = $channel_id",
            {"hour_at": _naive_hour(fresh_until), "channel_id": channel_id},
        ).fetchall()
    return dict(rows)


def top_vods(con: duckdb.DuckDBPyConnection, fresh_until: datetime) -> list[str]:
    """Ids of the VODs in the newest list of all channels, at most 50, the first one first."""
    with con.cursor() as cursor:
        rows = cursor.execute(
            "SELECT content_id FROM trending WHERE day = $hour_at::DATE AND hour_at = $hour_at "
            "AND content_kind = 'vod' AND list_rank IS NOT NULL ORDER BY list_rank",
            {"hour_at": _naive_hour(fresh_until)},
        ).fetchall()
    return [row[0] for row in rows]


def _naive_hour(fresh_until: datetime) -> datetime:
    """As the lake writes it."""
    return list_hour(fresh_until).replace(tzinfo=None)
