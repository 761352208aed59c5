"""A small lake made by the real parts: library rows, landed counts, publish, models, build."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import pyarrow as pa

from aethex.lake import Lake
from aethex.lake.landing import LANDING_SCHEMA, land
from aethex.library import Library
from aethex.library.channels import ensure_channel
from aethex.library.segments import NewSegment, replace_segments
from aethex.library.streams import ensure_stream, set_stream_bounds
from aethex.settings import Settings
from tests.service.measured import build

Watched = tuple[str | None, datetime, int, str | None]
"""Viewer, when the session began, its minutes, the crawler that it is of."""

Count = tuple[datetime, int | None, int | None]
"""When, viewers, chat messages."""

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class MadeStream:
    """A stream to make: its counts, one a minute, and its segments."""

    title: str
    counts: Sequence[Count]
    segments: Sequence[NewSegment] = ()
    bounds: tuple[datetime, datetime] | None = None
    is_live: bool = False
    sessions: Sequence[Watched] = ()
    chatters: Sequence[tuple[str, datetime]] = ()


@dataclass(frozen=True)
class World:
    """Where it was made, and the ids by title."""

    settings: Settings
    channel_ids: dict[str, str]
    stream_ids: dict[str, str]
    build_id: str


def make_world(settings: Settings, channels: dict[tuple[str, str], Sequence[MadeStream]]) -> World:
    """Make channels, given as (username, title), and their streams, and publish a build."""
    channel_ids: dict[str, str] = {}
    stream_ids: dict[str, str] = {}
    with Library.open(settings) as library, Lake.open(settings) as lake:
        with library.session() as s:
            for (username, title), streams in channels.items():
                channel = ensure_channel(s, username, title)
                channel_ids[username] = channel.id
                for made in streams:
                    stream = ensure_stream(s, channel, made.title)
                    stream_ids[made.title] = stream.id
                    begin, end = made.bounds or (made.counts[0][0], made.counts[-1][0] + MINUTE)
                    set_stream_bounds(s, stream.id, begin, end)
                    if made.is_live:
                        stream.status, stream.ended_at = "live", None
                    if made.segments:
                        replace_segments(s, stream.id, made.segments)
        for (username, _), streams in channels.items():
            for made in streams:
                if made.counts:
                    land(lake, _landed(channel_ids[username], stream_ids[made.title], made.counts))
                if made.sessions or made.chatters:
                    land(lake, _told(channel_ids[username], stream_ids[made.title], made))
        build_id = build(lake, library).id
    return World(settings, channel_ids, stream_ids, build_id)


def _told(channel_id: str, stream_id: str, made: MadeStream) -> pa.Table:
    """Sessions, as players tell them with a beat a minute, and chat."""
    rows: list[dict[str, Any]] = []

    def add(kind: str, viewer_id: str | None, at: datetime, payload: dict[str, Any]) -> None:
        moment = at.astimezone(UTC).replace(tzinfo=None)
        rows.append(
            {
                "kind": kind,
                "event_id": str(uuid4()),
                "channel_id": channel_id,
                "stream_id": stream_id,
                "viewer_id": viewer_id,
                "session_id": payload.pop("session_id", None),
                "client_at": moment,
                "occurred_at": moment,
                "received_at": datetime.now(UTC).replace(tzinfo=None),
                "payload": json.dumps(payload),
            }
        )

    for viewer_id, began_at, minutes, crawler in made.sessions:
        session_id = str(uuid4())
        for n in range(minutes + 1):
            beat = {"session_id": session_id, "type": "beat" if n else "start", "sequence": n}
            place = {"elapsed_ms": n * 60_000, "position_ms": n * 60_000}
            state = {"rate": 1.0, "is_paused": False, "crawler": crawler}
            add("playback", viewer_id, began_at + n * MINUTE, beat | place | state)
    for viewer_id, at in made.chatters:
        add("chat", viewer_id, at, {"characters": 5})
    return pa.Table.from_pylist(rows, schema=LANDING_SCHEMA)


def _landed(channel_id: str, stream_id: str, counts: Sequence[Count]) -> pa.Table:
    received_at = datetime.now(UTC).replace(tzinfo=None)
    return pa.Table.from_pylist(
        [
            {
                "kind": "viewer_snapshot",
                "event_id": str(uuid5(NAMESPACE_URL, f"{stream_id}/{at.isoformat()}")),
                "channel_id": channel_id,
                "stream_id": stream_id,
                "client_at": at.astimezone(UTC).replace(tzinfo=None),
                "occurred_at": at.astimezone(UTC).replace(tzinfo=None),
                "received_at": received_at,
                "payload": json.dumps({"source": "test", "viewers": viewers, "messages": messages}),
            }
            for at, viewers, messages in counts
        ],
        schema=LANDING_SCHEMA,
    )
