"""The outbox's way to the lake: what people did in the library is landed, then removed there.

What belongs here: draining. What does not: writing to the outbox (`library.outbox`).

The rows are removed in the transaction that held them locked while they landed. Whoever dies in
between leaves them: they land again, under the same ids, and count once.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio.to_thread
import pyarrow as pa

from aethex.lake.core import utc_now
from aethex.lake.landing import LANDING_SCHEMA, land_checked
from aethex.library import Library, OutboxEvent, outbox
from aethex.service.background import in_background
from aethex.service.metrics import Metrics
from aethex.store import Store

DRAIN_SECONDS = 1.0
RETRY_SECONDS = 5.0
"""How long it waits when the store or the database is away."""

BATCH = 5_000

_log = logging.getLogger(__name__)


class OutboxDrain:
    """Lands the outbox's events while `running` lasts; several processes share the work."""

    def __init__(self, library: Library, store: Store, metrics: Metrics) -> None:
        self._library = library
        self._store = store
        self._metrics = metrics

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Drain as long as the block lasts; a drain under way at its end is finished."""
        async with in_background(self._drain_for_ever, "outbox"):
            yield

    def drain(self) -> int:
        """Land the events that wait, at most BATCH of them, and remove them; how many there were.

        Raises StoreError, DatabaseUnreachable; then they still wait.
        """
        with self._library.session() as session:
            waiting = outbox.count(session)
            # said before landing: it matters most while the store takes nothing
            self._metrics.outbox_waiting.set(waiting)
            events = outbox.take(session, BATCH)
            if events:
                land_checked(self._store, _as_landed(events), utc_now())
                outbox.remove(session, [event.id for event in events])
        if events:
            self._metrics.outbox_waiting.set(max(0, waiting - len(events)))
        return len(events)

    async def _drain_for_ever(self) -> None:
        while True:
            try:
                drained = await anyio.to_thread.run_sync(self.drain)
            except Exception as error:
                _log.warning("The outbox waits: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await asyncio.sleep(0 if drained == BATCH else DRAIN_SECONDS)


def _as_landed(events: Sequence[OutboxEvent]) -> pa.Table:
    received_at = datetime.now(UTC).replace(tzinfo=None)
    rows = [
        {
            "kind": event.kind,
            "event_id": str(event.event_id),
            "channel_id": event.channel_id,
            "stream_id": event.stream_id,
            "vod_id": event.vod_id,
            "viewer_id": event.viewer_id,
            "client_at": event.occurred_at.replace(tzinfo=None),
            "occurred_at": event.occurred_at.replace(tzinfo=None),
            "received_at": received_at,
            "payload": json.dumps(event.payload),
        }
        for event in events
    ]
    return pa.Table.from_pylist(rows, schema=LANDING_SCHEMA)
