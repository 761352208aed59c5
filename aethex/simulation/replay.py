"""A landed window as requests: sent again it changes nothing, sent elsewhere it brings its events.

What belongs here: from landing objects to requests with the same ids and times. What does not:
viewer counts, which come from imports and the collector and not over HTTP; they are left out.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq

from aethex.lake import Lake
from aethex.lake.publish import PublishError, local_objects
from aethex.lake.windows import read_window
from aethex.simulation.network import Event, Request
from aethex.simulation.stage import ms_of

BATCH = 1_000
_NOT_SENT = "viewer_snapshot"
_IDS = ("channel_id", "stream_id", "vod_id", "clip_id", "viewer_id", "session_id")


def requests_of_window(lake: Lake, n: int) -> Iterator[Request]:
    """Window n's events, in batches that came in at one time from one clock.

    Raises PublishError when there is no such window, LandingGoneError when its landing is gone.
    """
    window = read_window(lake.store, n)
    if window is None:
        raise PublishError(f"there is no publish window {n}")
    with local_objects(lake, window) as keys:
        for path in keys:
            yield from _requests_of_rows(pq.read_table(path).to_pylist())


def _requests_of_rows(rows: list[dict[str, Any]]) -> Iterator[Request]:
    batches: dict[tuple[datetime, datetime], list[Event]] = defaultdict(list)
    for row in rows:
        if row["kind"] != _NOT_SENT:
            batches[row["received_at"], _sent_at(row)].append(_event(row))
    for (received_at, sent_at), events in sorted(batches.items()):
        for start in range(0, len(events), BATCH):
            yield Request(
                ms_of(received_at.replace(tzinfo=UTC)),
                _iso(received_at),
                _iso(sent_at),
                tuple(events[start : start + BATCH]),
            )


def _sent_at(row: dict[str, Any]) -> datetime:
    """By the sender's clock: what makes occurred_at come out as it is."""
    return row["received_at"] - (row["occurred_at"] - row["client_at"])


def _event(row: dict[str, Any]) -> Event:
    event: Event = {
        "kind": row["kind"],
        "event_id": row["event_id"],
        "client_at": _iso(row["client_at"]),
        **{name: row[name] for name in _IDS if row[name] is not None},
    }
    return event | json.loads(row["payload"])


def _iso(at: datetime) -> str:
    return f"{at.isoformat()}Z"
