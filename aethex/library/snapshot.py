"""The library as rows for the lake's `dim_*` tables.

What belongs here: which columns each of them gets. What does not: comparing with earlier snapshots,
and writing (the lake). Times are naive UTC, as everywhere in the lake.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping, Select, select
from sqlalchemy.orm import Session

from aethex.library.models import Category, Channel, Stream, StreamSegment, Vod

Row = dict[str, Any]


def snapshot_rows(s: Session) -> dict[str, list[Row]]:
    """All rows of `dim_channels`, `dim_channel_owners`, `dim_streams`, `dim_stream_segments`,
    `dim_categories`, `dim_vods`.

    A segment that still runs is left out until it has an end, a VOD until it is ready; deleted VODs
    stay. `stream_day` is the UTC day on which the stream started, None before it does.
    """
    # Children first: whatever they point at is then found in the later, newer reads.
    queries = {
        "dim_vods": _vods(),
        "dim_stream_segments": _stream_segments(),
        "dim_streams": _streams(),
        "dim_categories": select(Category.id.label("category_id"), Category.name),
        "dim_channel_owners": select(Channel.id.label("channel_id"), Channel.owner_id).where(
            Channel.owner_id.is_not(None)
        ),
        "dim_channels": select(
            Channel.id.label("channel_id"), Channel.username, Channel.title, Channel.created_at
        ),
    }
    return {
        table: [_lake_row(row) for row in s.execute(query).mappings()]
        for table, query in queries.items()
    }


def _streams() -> Select[*tuple[Any, ...]]:
    return select(
        Stream.id.label("stream_id"),
        Stream.channel_id,
        Stream.title,
        Stream.category_id,
        Stream.status,
        Stream.started_at,
        Stream.ended_at,
        Stream.started_at.label("stream_day"),
    )


def _stream_segments() -> Select[*tuple[Any, ...]]:
    return (
        select(
            StreamSegment.id.label("segment_id"),
            StreamSegment.stream_id,
            Stream.channel_id,
            StreamSegment.position,
            StreamSegment.title,
            StreamSegment.category_id,
            Category.name.label("category_name"),
            StreamSegment.started_at,
            StreamSegment.ended_at,
            Stream.started_at.label("stream_day"),
        )
        .join(Stream, Stream.id == StreamSegment.stream_id)
        .outerjoin(Category, Category.id == StreamSegment.category_id)
        .where(StreamSegment.ended_at.is_not(None))
    )


def _vods() -> Select[*tuple[Any, ...]]:
    return select(
        Vod.id.label("vod_id"),
        Vod.stream_id,
        Vod.channel_id,
        Vod.title,
        Vod.duration_ms,
        Vod.size_bytes,
        Vod.width,
        Vod.height,
        Vod.is_public,
        Vod.created_at,
        Vod.deleted_at,
    ).where(Vod.status == "ready")


def _lake_row(row: RowMapping) -> Row:
    return {name: _lake_value(name, value) for name, value in row.items()}


def _lake_value(name: str, value: object) -> object:
    if not isinstance(value, datetime):
        return value
    at = value.astimezone(UTC).replace(tzinfo=None)
    return at.date() if name == "stream_day" else at
