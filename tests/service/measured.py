"""Numbers for the service's tests: viewer counts that went the whole way into a build.

What belongs here: landing, publishing, snapshots of the library and a refresh, as the pipeline does
them. What does not: fixtures (`conftest.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa

from aethex.lake import Lake
from aethex.lake.build_records import Build
from aethex.lake.core import utc_now
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.dims import snapshot_dim
from aethex.lake.landing import LANDING_SCHEMA, land
from aethex.lake.publish import publish
from aethex.lake.refresh import refresh
from aethex.library import Library
from aethex.library.snapshot import snapshot_rows
from tests.service.content import AT, MadeVod

Count = tuple[float, int | None, int | None]
"""Seconds after the stream's start, viewers, chat messages."""


def land_counts(lake: Lake, made: MadeVod, counts: Iterable[Count], at: datetime = AT) -> None:
    """Viewer counts of one stream, as an import lands them."""
    events = []
    for seconds, viewers, messages in counts:
        moment = (at + timedelta(seconds=seconds)).replace(tzinfo=None)
        payload = {"source": "test", "viewers": viewers, "messages": messages}
        events.append(
            {
                "kind": "viewer_snapshot",
                "event_id": str(uuid5(NAMESPACE_URL, f"{made.stream_id}/{moment}")),
                "channel_id": made.channel_id,
                "stream_id": made.stream_id,
                "client_at": moment,
                "occurred_at": moment,
                "received_at": utc_now(),
                "payload": json.dumps(payload),
            }
        )
    land(lake, pa.Table.from_pylist(events, schema=LANDING_SCHEMA))


def build(lake: Lake, library: Library) -> Build:
    """All that has landed and all that the library holds, as the current build."""
    publish(lake)
    with library.session() as session:
        rows = snapshot_rows(session)
    for name, table in DIM_TABLES.items():
        snapshot_dim(lake, table, rows[name], utc_now())
    return refresh(lake).build
