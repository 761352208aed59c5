"""Made-up landed events for the lake's tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa

from aethex.lake import Lake
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.landing import LANDING_SCHEMA

START = datetime.fromisoformat("2020-01-05T13:00")
RECEIVED = datetime.fromisoformat("2026-01-01")


def snapshot(
    minute: int,
    *,
    viewers: int | None = 100,
    messages: int | None = None,
    stream_id: str = "st_1",
    received_at: datetime = RECEIVED,
    source: str = "test",
) -> dict[str, Any]:
    """One viewer count, `minute` minutes after START; its id follows from stream and minute."""
    at = START + timedelta(minutes=minute)
    return {
        "kind": "viewer_snapshot",
        "event_id": str(uuid5(NAMESPACE_URL, f"{stream_id}/{minute}")),
        "channel_id": "ch_1",
        "stream_id": stream_id,
        "client_at": at,
        "occurred_at": at,
        "received_at": received_at,
        "payload": json.dumps({"source": source, "viewers": viewers, "messages": messages}),
    }


def landed(events: Iterable[dict[str, Any]]) -> pa.Table:
    """Events as a table that can be landed."""
    return pa.Table.from_pylist(list(events), schema=LANDING_SCHEMA)


def snapshots(minutes: Iterable[int], **options: Any) -> pa.Table:
    """Viewer counts of those minutes; each one's count is its minute."""
    return landed(snapshot(minute, viewers=minute, **options) for minute in minutes)


def published_rows(lake: Lake, *columns: str) -> list[tuple[Any, ...]]:
    """What readers of the viewer snapshots see, sorted: by default all but the window's number."""
    table = lake.table(VIEWER_SNAPSHOTS).scan().to_arrow()
    wanted = columns or tuple(n for n in VIEWER_SNAPSHOTS.column_names if n != "landing_window")
    rows = [tuple(row[name] for name in wanted) for row in table.to_pylist()]
    return in_order(rows)


def in_order(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows sorted, null last."""
    return sorted(rows, key=lambda row: [(value is None, value or 0) for value in row])


def published_minutes(lake: Lake) -> list[int]:
    """The minutes after START of all published viewer counts, sorted, with repetitions."""
    rows = published_rows(lake, "occurred_at")
    return sorted(int((at - START) / timedelta(minutes=1)) for (at,) in rows)
