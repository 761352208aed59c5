"""Small streams for the pipeline's tests: a record in the library, and landed viewer counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa

from aethex.lake import Lake
from aethex.lake.landing import LANDING_SCHEMA, land
from aethex.library import Library
from aethex.library.channels import ensure_channel
from aethex.library.streams import ensure_stream, set_stream_bounds

STARTED_AT = datetime(2020, 1, 5, 23, 58, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def add_stream(
    library: Library,
    lake: Lake,
    viewers: Sequence[int | None],
    *,
    username: str = "gdq",
    title: str = "AGDQ",
    started_at: datetime = STARTED_AT,
) -> str:
    """A stream of one viewer count and two messages a minute, as an import makes it; its id.

    Called again with more counts, the stream grows.
    """
    with library.session() as session:
        channel = ensure_channel(session, username)
        stream = ensure_stream(session, channel, title)
        set_stream_bounds(session, stream.id, started_at, started_at + len(viewers) * MINUTE)
    events = [
        {
            "kind": "viewer_snapshot",
            "event_id": str(uuid5(NAMESPACE_URL, f"{stream.id}/{minute}")),
            "channel_id": channel.id,
            "stream_id": stream.id,
            "client_at": (started_at + minute * MINUTE).replace(tzinfo=None),
            "occurred_at": (started_at + minute * MINUTE).replace(tzinfo=None),
            "received_at": datetime(2026, 1, 1),  # noqa: DTZ001 (the lake's times are naive UTC)
            "payload": json.dumps({"source": "import", "viewers": count, "messages": 2}),
        }
        for minute, count in enumerate(viewers)
    ]
    land(lake, pa.Table.from_pylist(events, schema=LANDING_SCHEMA))
    return stream.id
