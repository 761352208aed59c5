"""The collector: each minute, how many people watch each live stream, as its provider counts.

What belongs here: leading, the minute, and landing what was counted. What does not: asking one
provider (`aethex.providers`), and which streams are live (`library.inputs`).

One service process leads, the one that holds an advisory lock of the database; it gives the lock
back by dying. A sample's id follows from stream, minute and provider, so even two that believe to
lead for a moment count nothing twice. A minute in which nobody polled is missing, and a poll that
failed is a sample without a count: neither is ever zero.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
import anyio.to_thread
import httpx
import psycopg
import pyarrow as pa

from aethex.lake.event_ids import event_id
from aethex.lake.landing import LANDING_SCHEMA, land_checked
from aethex.library import Library
from aethex.library.inputs import LiveInput, live_inputs
from aethex.postgres import database_url
from aethex.providers import Provider, ProviderError, configured_providers
from aethex.service.metrics import Metrics
from aethex.settings import Settings
from aethex.store import Store

MINUTE = timedelta(minutes=1)
POLL_SECONDS = 10.0
"""How long one poll may take."""

POLLS_AT_ONCE = 32
FOLLOWER_SECONDS = 5.0
"""How often a process that does not lead tries to."""

_LOCK = "select pg_try_advisory_lock(hashtext('aethex collector'))"
_log = logging.getLogger(__name__)


async def sleep_until(at: datetime) -> None:
    """Return at that time (aware UTC), not before."""
    while (left := (at - datetime.now(UTC)).total_seconds()) > 0:
        await asyncio.sleep(left)


@dataclass(frozen=True, slots=True)
class Polled:
    """One poll: the stream's input, and its viewers, None where the poll failed."""

    of: LiveInput
    viewers: int | None


class Collector:
    """Polls while `running` lasts and this process leads."""

    def __init__(
        self,
        settings: Settings,
        library: Library,
        store: Store,
        metrics: Metrics,
        *,
        providers: Mapping[str, Provider] | None = None,
        wait_until: Callable[[datetime], Awaitable[None]] = sleep_until,
    ) -> None:
        self._settings = settings
        self._library = library
        self._store = store
        self._metrics = metrics
        self._providers = configured_providers(settings) if providers is None else providers
        self._wait_until = wait_until

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Collect as long as the block lasts; nothing is done where no provider is configured."""
        if not self._providers:
            yield
            return
        task = asyncio.create_task(self._collect_for_ever(), name="collector")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def poll(self, minute: datetime) -> list[Polled]:
        """Poll every live stream at once and land what was counted; `minute` is aware UTC.

        Raises DatabaseUnreachable, StoreError; then the minute is missing.
        """
        inputs = [
            one
            for one in await anyio.to_thread.run_sync(self._live_inputs)
            if one.provider in self._providers
        ]
        if not inputs:
            return []
        several = asyncio.Semaphore(POLLS_AT_ONCE)
        async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as http:
            polled = await asyncio.gather(*(self._poll_one(http, several, one) for one in inputs))
        await anyio.to_thread.run_sync(self._land, minute, polled)
        return polled

    async def _collect_for_ever(self) -> None:
        while True:
            try:
                await self._lead()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                _log.warning("The collector was interrupted and tries again: %s", error)
            await asyncio.sleep(FOLLOWER_SECONDS)

    async def _lead(self) -> None:
        """Poll every minute for as long as the lock is held; return when another has it."""
        url = database_url(self._settings, driver="")
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, application_name="aethex collector"
        )
        async with connection:
            row = await (await connection.execute(_LOCK)).fetchone()
            if row is None or not row[0]:
                return
            minute = _minute_of(datetime.now(UTC))
            while True:
                minute = max(minute + MINUTE, _minute_of(datetime.now(UTC)))
                await self._wait_until(minute)
                # a connection that was lost has lost the lock too
                await connection.execute("select 1")
                try:
                    await self.poll(minute)
                except Exception as error:
                    _log.warning("The minute %s was not collected: %s", minute, error)

    async def _poll_one(
        self, http: httpx.AsyncClient, several: asyncio.Semaphore, one: LiveInput
    ) -> Polled:
        counted = self._metrics.polls
        try:
            async with several:
                with anyio.fail_after(POLL_SECONDS):
                    viewers = await self._providers[one.provider].count_viewers(
                        http, one.external_id
                    )
        except (ProviderError, TimeoutError) as error:
            _log.warning("Viewers of %s are not known: %s", one.stream_id, error or "timed out")
            counted.labels(one.provider, "failed").inc()
            return Polled(one, None)
        counted.labels(one.provider, "counted").inc()
        return Polled(one, viewers)

    def _live_inputs(self) -> Sequence[LiveInput]:
        with self._library.session() as session:
            return live_inputs(session)

    def _land(self, minute: datetime, polled: Sequence[Polled]) -> None:
        at = minute.replace(tzinfo=None)
        rows = [
            {
                "kind": "viewer_snapshot",
                "event_id": event_id(one.of.stream_id, at, one.of.provider),
                "channel_id": one.of.channel_id,
                "stream_id": one.of.stream_id,
                "client_at": at,
                "occurred_at": at,
                "received_at": datetime.now(UTC).replace(tzinfo=None),
                "payload": json.dumps({"source": one.of.provider, "viewers": one.viewers}),
            }
            for one in polled
        ]
        land_checked(self._store, pa.Table.from_pylist(rows, schema=LANDING_SCHEMA), at)


def _minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
