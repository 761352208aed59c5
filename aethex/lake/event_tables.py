"""The event tables: what happened, one row an event.

What belongs here: their schemas, and which kind of landed event goes into which. What does not:
landing and publishing.
"""

from __future__ import annotations

import json

from aethex.lake.tables import Column, Partition, Table

EVENT_COLUMNS = (
    Column(
        "event_id",
        "string",
        doc="UUID that its client gave the event; the same event sent again has the same id. "
        "Imported rows get one from their stream, time and source.",
        required=True,
    ),
    Column("channel_id", "string", doc="Channel that the event belongs to.", required=True),
    Column("stream_id", "string", doc="Live stream that the event belongs to, where it has one."),
    Column("vod_id", "string", doc="VOD that the event belongs to, where it has one."),
    Column("clip_id", "string", doc="Clip that the event belongs to, where it has one."),
    Column(
        "viewer_id",
        "string",
        doc="Signed-in user, else the player's first-party id; null: no viewer.",
    ),
    Column("session_id", "string", doc="One player on one page; null where no player is involved."),
    Column(
        "client_at",
        "timestamp",
        unit="UTC",
        doc="Time on the client's own clock, never corrected.",
        required=True,
    ),
    Column(
        "occurred_at",
        "timestamp",
        unit="UTC",
        doc="When it happened, the client's clock error taken out: "
        "client_at + (received_at - sent_at).",
        required=True,
    ),
    Column(
        "received_at",
        "timestamp",
        unit="UTC",
        doc="When the platform took it in; of two copies of an event the earlier one counts.",
        required=True,
    ),
    Column(
        "landing_window",
        "long",
        doc="Number of the publish window that brought the row into the table.",
        required=True,
    ),
)
"""What every event has, whatever its kind."""

_BY_DAY = (Partition("occurred_at", "day"),)
_BY_STREAM = ("channel_id", "stream_id", "occurred_at")

VIEWER_SNAPSHOTS = Table(
    name="viewer_snapshots",
    doc="How many people were watching a stream at one instant, as a provider or an imported file "
    "says; one row an instant, usually one a minute.",
    columns=(
        *EVENT_COLUMNS,
        Column(
            "source",
            "string",
            doc="Who counted: `import` for files, else the provider that was polled.",
            required=True,
        ),
        Column(
            "viewers",
            "long",
            unit="viewers",
            doc="Concurrent viewers at occurred_at. Null: the poll failed, the count is not known.",
        ),
        Column(
            "messages",
            "long",
            unit="messages",
            doc="Chat messages in the minute that starts at occurred_at. Null: not measured.",
        ),
    ),
    partition=_BY_DAY,
    sort=_BY_STREAM,
)

_CRAWLER = Column(
    "crawler",
    "string",
    doc="Name of the known crawler whose user agent sent it; null: none. The user agent itself is "
    "not kept.",
)

PLAYBACK_EVENTS = Table(
    name="playback_events",
    doc="What a player did: a beat every 15 s, and what happened in between. Its content is the "
    "one of stream_id, vod_id and clip_id that is set.",
    columns=(
        *EVENT_COLUMNS,
        Column(
            "type",
            "string",
            doc="`start`, `beat`, `play`, `pause`, `seek`, `rate`, `error`, `hide` or `end`.",
            required=True,
        ),
        Column(
            "sequence",
            "long",
            doc="Number of the event within its session, from 0.",
            required=True,
        ),
        Column(
            "elapsed_ms",
            "long",
            unit="ms",
            doc="Since the session began, by a clock that never jumps.",
            required=True,
        ),
        Column(
            "position_ms",
            "long",
            unit="ms",
            doc="Playhead after the event, on the content's own time axis.",
            required=True,
        ),
        Column(
            "from_position_ms",
            "long",
            unit="ms",
            doc="Playhead before a `seek`; null for all others, where it is the same.",
        ),
        Column("rate", "double", unit="times", doc="Playback speed, 1 is usual.", required=True),
        Column("is_paused", "boolean", doc="Whether it was paused after the event.", required=True),
        Column(
            "stalls", "long", unit="stalls", doc="How often playback has waited for data so far."
        ),
        Column("stalled_ms", "long", unit="ms", doc="How long it has waited so far."),
        Column("frames", "long", unit="frames", doc="Frames that were due for display so far."),
        Column(
            "dropped_frames", "long", unit="frames", doc="Those of them that were not displayed."
        ),
        Column("error", "string", doc="What an `error` was, in the player's words."),
        _CRAWLER,
    ),
    partition=_BY_DAY,
    sort=_BY_STREAM,
)

CHAT_MESSAGES = Table(
    name="chat_messages",
    doc="Chat messages, one row a message; what it said is not kept.",
    columns=(
        *EVENT_COLUMNS,
        Column("characters", "long", unit="characters", doc="Length of the message."),
        Column("emotes", "long", unit="emotes", doc="Emotes in the message."),
    ),
    partition=_BY_DAY,
    sort=_BY_STREAM,
)

FOLLOW_EVENTS = Table(
    name="follow_events",
    doc="Follows that began or ended. stream_id: the stream during which it happened, if any.",
    columns=(
        *EVENT_COLUMNS,
        Column("action", "string", doc="`follow` or `unfollow`.", required=True),
    ),
    partition=_BY_DAY,
    sort=_BY_STREAM,
)

ENGAGEMENT_EVENTS = Table(
    name="engagement_events",
    doc="Likes, shares, embeds that loaded, and visits to pages.",
    columns=(
        *EVENT_COLUMNS,
        Column(
            "action",
            "string",
            doc="`like`, `unlike`, `share`, `embed_load` or `page_visit`.",
            required=True,
        ),
        Column("network", "string", doc="Where a `share` went, such as `discord` or `link`."),
        Column(
            "page",
            "string",
            doc="What a `page_visit` saw: `channel`, `vod`, `clip`, `live` or `home`.",
        ),
        Column("ref", "string", doc="Token of the shared clip that led to the visit."),
        _CRAWLER,
    ),
    partition=_BY_DAY,
    sort=_BY_STREAM,
)

HEALTH_SAMPLES = Table(
    name="health_samples",
    doc="Signals of a live stream's encoder and ingest at one instant; null: not measured.",
    columns=(
        *EVENT_COLUMNS,
        Column("bitrate_kbps", "double", unit="kbit/s", doc="Of video and audio together."),
        Column("target_bitrate_kbps", "double", unit="kbit/s", doc="What the encoder aims at."),
        Column("frame_rate", "double", unit="frames/s", doc="Frames encoded a second."),
        Column("target_frame_rate", "double", unit="frames/s", doc="What the encoder aims at."),
        Column("frames", "long", unit="frames", doc="Frames encoded since the stream began."),
        Column("dropped_frames", "long", unit="frames", doc="Those of them that were dropped."),
        Column(
            "keyframe_interval_seconds", "double", unit="s", doc="Between the last two keyframes."
        ),
        Column("packet_loss_ratio", "double", unit="ratio 0-1", doc="Packets lost on the way in."),
        Column("latency_ms", "double", unit="ms", doc="From the encoder to the edge."),
        Column(
            "clock_drift_ms",
            "double",
            unit="ms",
            doc="Of the stream's clock against its 30 s mean.",
        ),
        Column("width", "int", unit="pixels", doc="Width of the picture."),
        Column("height", "int", unit="pixels", doc="Height of the picture."),
    ),
    partition=_BY_DAY,
    sort=_BY_STREAM,
)

EVENT_TABLES: dict[str, Table] = {
    "viewer_snapshot": VIEWER_SNAPSHOTS,
    "playback": PLAYBACK_EVENTS,
    "chat": CHAT_MESSAGES,
    "follow": FOLLOW_EVENTS,
    "engagement": ENGAGEMENT_EVENTS,
    "health": HEALTH_SAMPLES,
}
"""The event table of each kind of landed event."""


def payload_columns(table: Table) -> tuple[Column, ...]:
    """The columns that a landed event carries in its payload: all but the common ones."""
    common = {column.name for column in EVENT_COLUMNS}
    return tuple(column for column in table.columns if column.name not in common)


def payload_struct(table: Table) -> str:
    """SQL that reads a landed event's `payload` as a struct of those columns, null where it lacks
    one; a payload that is no JSON fails."""
    structure = {column.name: column.duckdb_type for column in payload_columns(table)}
    return f"from_json(payload, '{json.dumps(structure)}')"
