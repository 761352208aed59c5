"""Events from a request to landing: recognised, judged, made durable, answered.

What belongs here: the order of these steps. What does not: each of them, and HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import anyio.to_thread

from aethex.lake.core import utc_now
from aethex.lake.landing import land_checked
from aethex.lake.quarantine import quarantine
from aethex.library import Library
from aethex.service.ingest.acceptance import Acceptance, Batch, Judgement, Outcome
from aethex.service.ingest.batches import Item, Unreadable, raws_of, read_batch
from aethex.service.ingest.buffer import BufferFull, BufferLimits, LandingBuffer
from aethex.service.ingest.directory import Directory
from aethex.service.ingest.events import FIELDS
from aethex.service.ingest.objects import Part, Rejected, landing_table, quarantine_table
from aethex.service.ingest.rates import Rates
from aethex.service.ingest.senders import Sender
from aethex.service.metrics import Metrics
from aethex.service.problems import Problem
from aethex.settings import Settings
from aethex.store import Store

BUSY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch, once all of it is durable. outcomes: in the batch's order."""

    received_at: datetime
    part: Part
    outcomes: Sequence[Outcome]


class Ingest:
    """Takes batches. `running` has to last as long as it does."""

    def __init__(
        self, settings: Settings, store: Store, library: Library, metrics: Metrics
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._directory = Directory(library)
        self._acceptance = Acceptance(self._directory)
        self._rates = Rates(settings)
        self._buffer = LandingBuffer(
            self._write,
            BufferLimits(
                flush_seconds=settings.events_flush_ms / 1000,
                flush_rows=settings.events_flush_rows,
                max_rows=settings.events_buffer_rows,
            ),
            self._flushed,
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Flush as long as the block lasts, and what waits at its end."""
        async with self._buffer.running():
            yield

    async def take(
        self, body: bytes, sender: Sender, received_at: datetime, sent_at: datetime | None
    ) -> Taken:
        """Judge a body's events and return once those that are good are durable in landing and the
        others in quarantine.

        Times are aware UTC. Raises Problem (422 for a body that holds no events, 429 for too many),
        StoreError, DatabaseUnreachable; then nothing of it was acknowledged.
        """
        items = read_batch(body)
        self._rates.count(sender, len(items))
        if unknown := self._acceptance.unknown_content(items):
            await anyio.to_thread.run_sync(self._directory.look_up, unknown)
        batch = Batch(sender, received_at, sent_at)
        judged = self._acceptance.judge(batch, items)
        part = Part(
            received_at=received_at,
            correction=batch.correction,
            rows=judged.rows,
            rejected=_rejected(judged, items, body),
            sent_at=sent_at,
            sender=sender.name,
            viewer_id=sender.viewer_id,
        )
        if part.size:
            await self._make_durable(part)
        self._count(part, len(items))
        return Taken(received_at, part, judged.outcomes)

    async def _make_durable(self, part: Part) -> None:
        # counted while it waits, not afterwards: it matters most while the store takes nothing
        self._metrics.buffered.inc(part.size)
        try:
            await self._buffer.add(part)
        except BufferFull:
            raise _busy() from None
        finally:
            self._metrics.buffered.dec(part.size)

    def _write(self, parts: list[Part]) -> None:
        """Make all parts durable: the refused ones first, as landed events are what is counted."""
        now = utc_now()
        refused = quarantine_table(parts)
        if refused is not None:
            quarantine(self._store, refused, now)
        rows = landing_table(parts)
        if rows is not None:
            land_checked(self._store, rows, now)

    def _flushed(self, rows: int, seconds: float, is_written: bool) -> None:
        result = "written" if is_written else "failed"
        self._metrics.flush_seconds.labels(result).observe(seconds)
        self._metrics.flush_events.observe(rows)

    def _count(self, part: Part, total: int) -> None:
        for kind in {row[0] for row in part.rows}:
            count = sum(row[0] == kind for row in part.rows)
            self._metrics.accepted.labels(kind).inc(count)
        for one in part.rejected:
            field = one.field if one.field in FIELDS else "other"  # a sender may invent any name
            self._metrics.rejected.labels(field).inc()
        if total > part.size:
            self._metrics.duplicates.inc(total - part.size)


def _rejected(judged: Judgement, items: Sequence[Item], body: bytes) -> list[Rejected]:
    """The refused events, whole."""
    if not judged.rejected:
        return []
    return [
        Rejected(
            outcome.event_id,
            outcome.field,
            outcome.reason or "",
            item.raw if isinstance(item, Unreadable) else raw,
        )
        for outcome, item, raw in zip(judged.outcomes, items, raws_of(body), strict=True)
        if outcome.status == "rejected"
    ]


def _busy() -> Problem:
    return Problem(
        429,
        "More events wait for the store than may: send these again in a moment.",
        headers={"Retry-After": str(BUSY_SECONDS)},
    )
