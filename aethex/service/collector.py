"""The collector: each minute, how many people watch each live stream, as its provider counts.

What belongs here: leading, the minute, and landing what was counted. What does not: asking one
provider (`aethex.providers`), and which streams are live (`library.inputs`).

One service process leads, the one that holds an advisory lock of the database; it gives the lock
back by dying. A sample's id follows from stream, minute and provider, so even two that believe to
lead for a moment count nothing twice. A minute in which nobody polled is missing, and a poll that
failed is a sample without a count: neither is ever zero, and neither is made up later.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.to_thread
import httpx
import psycopg
import pyarrow as pa

from aethex.lake.event_ids import event_id
from aethex.lake.landing import LANDING_SCHEMA, land_checked
from aethex.library import Library
from aethex.library.inputs import LiveInput, live_inputs
from aethex.postgres import database_url, unreachable
from aethex.providers import Provider, ProviderError, configured_providers
from aethex.service.background import in_background
from aethex.service.metrics import Metrics
from aethex.settings import Settings
from aethex.store import Store

MINUTE = timedelta(minutes=1)
POLL_SECONDS = 10.0
"""How long one poll may take."""

ROUND_SECONDS = 45.0
"""How long all polls of a minute may take together: those that have not answered by then failed, so
that one provider's bad minute costs no other minute."""

POLLS_AT_ONCE = 32
FOLLOWER_SECONDS = 5.0
"""How often a process that does not lead tries to."""

_LOCK = "select pg_try_advisory_lock(hashtext('aethex collector'))"
# The lock is given back when the server sees that the connection is gone, and its holder has to
# see it too: within half a minute, also where a machine died or a network swallows packets.
_SERVER_NOTICES = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "idle_session_timeout": "0",  # between two minutes it is idle, and has to stay
}
_WE_NOTICE: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Now, aware UTC."""
    return datetime.now(UTC)


async def sleep_until(at: datetime) -> None:
    """Return at that time (aware UTC), which is at most a minute away; not before, unless the clock
    was set back.
    """
    while 0 < (left := (at - utc_now()).total_seconds()) <= MINUTE.total_seconds():
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
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._settings = settings
        self._library = library
        self._store = store
        self._metrics = metrics
        self._providers = configured_providers(settings) if providers is None else providers
        self._wait_until = wait_until
        self._now = now

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Collect as long as the block lasts; nothing is done where no provider is configured."""
        if not self._providers:
            yield
            return
        async with in_background(self._collect_for_ever, "collector"):
            yield

    async def poll(self, minute: datetime) -> list[Polled]:
        """Poll every live stream at once and land what was counted; `minute` is aware UTC.

        Raises DatabaseUnreachable, StoreError; then the minute is missing.
        """
        deadline = anyio.current_time() + ROUND_SECONDS
        inputs = [
            one
            for one in await anyio.to_thread.run_sync(self._live_inputs)
            if one.provider in self._providers
        ]
        if not inputs:
            return []
        several = asyncio.Semaphore(POLLS_AT_ONCE)
        polled: list[Polled] = []

        async def poll_one(http: httpx.AsyncClient, one: LiveInput) -> None:
            polled.append(await self._poll_one(http, several, deadline, one))

        async with (
            httpx.AsyncClient(timeout=None, follow_redirects=False, trust_env=False) as http,
            anyio.create_task_group() as tasks,
        ):
            for one in inputs:
                tasks.start_soon(poll_one, http, one)
        await anyio.to_thread.run_sync(self._land, minute, polled)
        return polled

    async def _collect_for_ever(self) -> None:
        while True:
            try:
                await self._lead()
            except Exception as error:
                _log.warning("The collector was interrupted and tries again: %s", error)
            await asyncio.sleep(FOLLOWER_SECONDS)

    async def _lead(self) -> None:
        """Poll every minute for as long as the lock is held; return when another has it."""
        connection = await self._connect()
        try:
            row = await (await connection.execute(_LOCK)).fetchone()
            if row is None or not row[0]:
                return
            _log.info("This process collects viewer counts now.")
            while True:
                minute = _minute_of(self._now()) + MINUTE
                await self._wait_until(minute)
                # a connection that was lost has lost the lock too
                await connection.execute("select 1")
                if not minute <= self._now() < minute + MINUTE:
                    continue  # the machine slept, or its clock was set: that minute is missing
                try:
                    await self.poll(minute)
                except Exception as error:
                    _log.warning("The minute %s was not collected: %s", minute, error)
        finally:
            await connection.close()

    async def _connect(self) -> psycopg.AsyncConnection:
        url = database_url(self._settings, driver="", server_settings=_SERVER_NOTICES)
        try:
            return await psycopg.AsyncConnection.connect(
                url, autocommit=True, application_name="aethex collector", **_WE_NOTICE
            )
        except psycopg.OperationalError as error:
            raise unreachable(url, error) from error

    async def _poll_one(
        self,
        http: httpx.AsyncClient,
        several: asyncio.Semaphore,
        deadline: float,
        one: LiveInput,
    ) -> Polled:
        """Ask the input's provider; whatever goes wrong, the others are not concerned."""
        counted = self._metrics.polls
        try:
            with anyio.fail_after(deadline - anyio.current_time()):
                async with several:
                    with anyio.fail_after(POLL_SECONDS):
                        viewers = await self._providers[one.provider].count_viewers(
                            http, one.external_id
                        )
        except Exception as error:
            is_expected = isinstance(error, (ProviderError, TimeoutError))
            _log.warning(
                "Viewers of %s are not known: %s",
                one.stream_id,
                str(error) or f"{one.provider} did not answer in time.",
                exc_info=not is_expected,
            )
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
                "received_at": self._now().replace(tzinfo=None),
                "payload": json.dumps({"source": one.of.provider, "viewers": one.viewers}),
            }
            for one in polled
        ]
        land_checked(self._store, pa.Table.from_pylist(rows, schema=LANDING_SCHEMA), at)


def _minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
