"""The dimension tables: the library's records as the models read them.

What belongs here: their schemas. What does not: reading the library (its `snapshot_rows`), and
taking snapshots (`dims`).
"""

from __future__ import annotations

from aethex.lake.tables import Column, Table

VALIDITY_COLUMNS = (
    Column(
        "valid_from",
        "timestamp",
        unit="UTC",
        doc="When this version of the row was first seen by a snapshot of the library.",
        required=True,
    ),
    Column(
        "valid_to",
        "timestamp",
        unit="UTC",
        doc="When a later version replaced it, or its row disappeared. Null: it is current.",
    ),
)
"""What every dimension has: which version of the row held when."""

DIM_CHANNELS = Table(
    name="dim_channels",
    doc="Channels of the library, one row a version.",
    columns=(
        Column("channel_id", "string", doc="The channel.", required=True),
        Column("username", "string", doc="Unique name in addresses, lower case.", required=True),
        Column("title", "string", doc="Name shown to people."),
        Column(
            "created_at", "timestamp", unit="UTC", doc="When the channel was made.", required=True
        ),
        *VALIDITY_COLUMNS,
    ),
    sort=("channel_id", "valid_from"),
)

DIM_CHANNEL_OWNERS = Table(
    name="dim_channel_owners",
    doc="Whose channels are, one row a version; channels without an owner have none.",
    columns=(
        Column("channel_id", "string", doc="The channel.", required=True),
        Column("owner_id", "string", doc="The user whose it is.", required=True),
        *VALIDITY_COLUMNS,
    ),
    sort=("channel_id", "valid_from"),
    is_published=False,
)

DIM_STREAMS = Table(
    name="dim_streams",
    doc="Live streams of the library, one row a version.",
    columns=(
        Column("stream_id", "string", doc="The stream.", required=True),
        Column("channel_id", "string", doc="Channel that streamed.", required=True),
        Column("title", "string", doc="Title of the stream.", required=True),
        Column("category_id", "string", doc="Category of the whole stream, where it has one."),
        Column("status", "string", doc="`scheduled`, `live` or `ended`.", required=True),
        Column(
            "started_at", "timestamp", unit="UTC", doc="Start of the stream; null: not started."
        ),
        Column(
            "ended_at",
            "timestamp",
            unit="UTC",
            doc="End of the stream, exclusive; null: not ended.",
        ),
        Column(
            "stream_day",
            "date",
            unit="UTC day",
            doc="Day on which the stream started; the key of all numbers about it.",
        ),
        *VALIDITY_COLUMNS,
    ),
    sort=("channel_id", "stream_id", "valid_from"),
)

DIM_STREAM_SEGMENTS = Table(
    name="dim_stream_segments",
    doc="Stretches of a stream with one title and category, one row a version.",
    columns=(
        Column("segment_id", "string", doc="The segment.", required=True),
        Column("stream_id", "string", doc="Stream that it is a part of.", required=True),
        Column("channel_id", "string", doc="Channel that streamed.", required=True),
        Column("position", "int", doc="Place in the stream's order, from 0.", required=True),
        Column("title", "string", doc="Title of the segment.", required=True),
        Column("category_id", "string", doc="Category of the segment, where it has one."),
        Column("category_name", "string", doc="Name of that category."),
        Column("started_at", "timestamp", unit="UTC", doc="Start, inclusive.", required=True),
        Column("ended_at", "timestamp", unit="UTC", doc="End, exclusive.", required=True),
        Column("stream_day", "date", unit="UTC day", doc="Day on which its stream started."),
        *VALIDITY_COLUMNS,
    ),
    sort=("stream_id", "position", "valid_from"),
)

DIM_CATEGORIES = Table(
    name="dim_categories",
    doc="Categories of the library, one row a version.",
    columns=(
        Column("category_id", "string", doc="The category.", required=True),
        Column("name", "string", doc="Name shown to people.", required=True),
        *VALIDITY_COLUMNS,
    ),
    sort=("category_id", "valid_from"),
)

DIM_VODS = Table(
    name="dim_vods",
    doc="VODs of the library, one row a version.",
    columns=(
        Column("vod_id", "string", doc="The VOD.", required=True),
        Column("stream_id", "string", doc="Stream that it records.", required=True),
        Column("channel_id", "string", doc="Channel that it belongs to.", required=True),
        Column("title", "string", doc="Title of the VOD.", required=True),
        Column("duration_ms", "long", unit="ms", doc="Length of the video."),
        Column("size_bytes", "long", unit="bytes", doc="Size of all its objects in the store."),
        Column("width", "int", unit="pixels", doc="Width of the picture."),
        Column("height", "int", unit="pixels", doc="Height of the picture."),
        Column("is_public", "boolean", doc="Whether everybody may watch it.", required=True),
        Column("created_at", "timestamp", unit="UTC", doc="When the VOD was made.", required=True),
        Column("deleted_at", "timestamp", unit="UTC", doc="When it was deleted; null: it is not."),
        *VALIDITY_COLUMNS,
    ),
    sort=("channel_id", "vod_id", "valid_from"),
)

DIM_TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        DIM_CHANNELS,
        DIM_CHANNEL_OWNERS,
        DIM_STREAMS,
        DIM_STREAM_SEGMENTS,
        DIM_CATEGORIES,
        DIM_VODS,
    )
}
"""The dimension tables by name."""
