"""Group commit: events of many requests land together, and each is answered once they are durable.

What belongs here: collecting, flushing, the bound. What does not: which events are good
(`acceptance`), what an object holds (`objects`).

A flush writes one immutable Parquet object, whatever the kinds, and another one under quarantine/
when events were refused. Only then are the waiting requests answered. When the store does not take
it, they are told so and send again: their events have ids, so an object that was written after all
doubles nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import anyio
import anyio.to_thread

from aethex.service.ingest.objects import Part

FLUSHES_AT_ONCE = 4
"""So that a slow store delays a flush, and not those behind it."""

ATTEMPTS = 3
ATTEMPT_PAUSE_SECONDS = 0.25

_log = logging.getLogger(__name__)

Write = Callable[[list[Part]], None]
"""Makes all parts durable, or raises; it may be called again with the same ones."""


class BufferFull(Exception):
    """More events wait for the store than may."""


@dataclass(frozen=True, slots=True)
class BufferLimits:
    """flush_seconds: how long the first event of a flush waits for others; flush_rows: where it
    stops waiting; max_rows: events that may wait, those being written included.
    """

    flush_seconds: float
    flush_rows: int
    max_rows: int


class LandingBuffer:
    """Collects parts and has them written. All of it runs in one event loop."""

    def __init__(
        self,
        write: Write,
        limits: BufferLimits,
        on_flush: Callable[[int, float, bool], None] = lambda _rows, _seconds, _is_written: None,
    ) -> None:
        """`on_flush` hears of each flush: its rows, seconds, and whether it was written."""
        self._write = write
        self._limits = limits
        self._on_flush = on_flush
        self._waiting: deque[tuple[Part, asyncio.Future[None]]] = deque()
        self._waiting_rows = 0
        self._rows = 0
        self._wake = asyncio.Event()
        self._is_ripe = asyncio.Event()  # enough for a flush, or there will be no more
        self._is_stopping = False

    @property
    def rows(self) -> int:
        """Events that wait now, those being written included."""
        return self._rows

    async def add(self, part: Part) -> None:
        """Return once the part is durable. Raises BufferFull at once, StoreError when the store
        does not take it.
        """
        if self._is_stopping or self._rows + part.size > self._limits.max_rows:
            raise BufferFull
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((part, future))
        self._waiting_rows += part.size
        self._rows += part.size
        self._wake.set()
        if self._waiting_rows >= self._limits.flush_rows:
            self._is_ripe.set()
        await future

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Flush as long as the block lasts; what waits at its end is written before it is left."""
        task = asyncio.create_task(self._flush_for_ever(), name="landing buffer")
        try:
            yield
        finally:
            self._is_stopping = True
            self._wake.set()
            self._is_ripe.set()
            with anyio.CancelScope(shield=True):
                await task

    async def _flush_for_ever(self) -> None:
        under_way: set[asyncio.Task[None]] = set()
        free = asyncio.Semaphore(FLUSHES_AT_ONCE)
        while not (self._is_stopping and not self._waiting):
            await self._wake.wait()
            if self._waiting:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_ripe.wait(), self._limits.flush_seconds)
                await free.acquire()
                flush = asyncio.create_task(self._flush(self._take()))
                under_way.add(flush)
                flush.add_done_callback(lambda done: (under_way.discard(done), free.release()))
        await asyncio.gather(*under_way)

    def _take(self) -> list[tuple[Part, asyncio.Future[None]]]:
        """What the next flush writes: whole parts, until it is full."""
        taken: list[tuple[Part, asyncio.Future[None]]] = []
        rows = 0
        while self._waiting and rows < self._limits.flush_rows:
            taken.append(self._waiting.popleft())
            rows += taken[-1][0].size
        self._waiting_rows -= rows
        if not self._is_stopping:
            if not self._waiting:
                self._wake.clear()
            if self._waiting_rows < self._limits.flush_rows:
                self._is_ripe.clear()
        return taken

    async def _flush(self, taken: list[tuple[Part, asyncio.Future[None]]]) -> None:
        rows = sum(part.size for part, _ in taken)
        started = time.perf_counter()
        try:
            await self._write_with_patience([part for part, _ in taken])
        except Exception as error:
            self._on_flush(rows, time.perf_counter() - started, False)
            for _, future in taken:
                if not future.done():
                    future.set_exception(error)
        else:
            self._on_flush(rows, time.perf_counter() - started, True)
            for _, future in taken:
                if not future.done():
                    future.set_result(None)
        finally:
            self._rows -= rows

    async def _write_with_patience(self, parts: list[Part]) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await anyio.to_thread.run_sync(self._write, parts)
                return
            except Exception as error:
                _log.warning("A flush was not written (attempt %d): %s", attempt, error)
                if attempt == ATTEMPTS:
                    raise
            await asyncio.sleep(ATTEMPT_PAUSE_SECONDS * attempt)
