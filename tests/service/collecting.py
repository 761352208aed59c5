"""What the collector's tests share: live streams, and a clock that stands still.

What belongs here: making them, and what Postgres says. What does not: the provider
(`tests.cloudflare`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import psycopg

from aethex.lake import Lake
from aethex.lake.publish import publish
from aethex.library import Library, Stream, channels, new_id
from aethex.library.inputs import add_input
from aethex.service.collector import Collector
from aethex.service.metrics import Metrics
from aethex.settings import Settings
from aethex.store import Store
from tests.cloudflare import Cloudflare
from tests.lake.events import published_rows

PATIENCE_SECONDS = 30.0
Kind = TypeVar("Kind", bound=Collector)
AT = datetime(2026, 1, 30, 19, 4, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def add_stream(
    library: Library, input_id: str | None, *, provider: str = "cloudflare", status: Any = "live"
) -> str:
    """A channel with a stream that comes in by that input; the stream's id."""
    with library.session() as s:
        channel = channels.ensure_channel(s, f"c-{new_id('ch')[3:].lower()}")
        found = add_input(s, channel.id, provider, input_id) if input_id else None
        stream = Stream(
            id=new_id("st"),
            channel_id=channel.id,
            title="A stream",
            status=status,
            input_id=found.id if found else None,
            started_at=None if status == "scheduled" else AT - timedelta(hours=1),
            ended_at=AT - MINUTE if status == "ended" else None,
        )
        s.add(stream)
    return stream.id


def published_samples(lake: Lake) -> list[tuple[Any, ...]]:
    """(stream, minute as hh:mm:ss, source, viewers) of all samples, once they are published."""
    publish(lake)
    rows = published_rows(lake, "stream_id", "occurred_at", "source", "viewers")
    return [(stream, f"{at:%H:%M:%S}", source, viewers) for stream, at, source, viewers in rows]


@dataclass
class Clock:
    """A time that stands still, for one collector or several."""

    at: datetime = AT


class Minutes:
    """How one collector sees a clock: a minute begins when the test says so."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._wanted: asyncio.Queue[tuple[datetime, asyncio.Event]] = asyncio.Queue()
        self._next: tuple[datetime, asyncio.Event] | None = None

    def now(self) -> datetime:
        return self._clock.at

    async def wait_until(self, at: datetime) -> None:
        """What the collector calls."""
        begins = asyncio.Event()
        self._wanted.put_nowait((at, begins))
        await begins.wait()

    @property
    def is_wanted(self) -> bool:
        """Whether the collector waits for a minute that the test has not taken up yet."""
        return not self._wanted.empty()

    async def wanted(self) -> datetime:
        """The minute that the collector waits for, once it does: it leads, and is done so far."""
        self._next = await self._wanted.get()
        return self._next[0]

    def begin(self, at: datetime | None = None) -> None:
        """Let that minute begin, or a later time."""
        assert self._next is not None
        minute, begins = self._next
        self._clock.at = at or minute
        begins.set()

    async def collect(self) -> datetime:
        """Let one minute begin, and return it when the collector is done with it."""
        minute = await self.wanted()
        self.begin()
        await self.until_idle()
        return minute

    async def until_idle(self) -> None:
        """Return when the collector waits for a minute, which is still `wanted` afterwards."""
        self._wanted.put_nowait(await self._wanted.get())


@dataclass
class Collectors:
    """Makes collectors on a test's library and store, and on clocks of the test's."""

    settings: Settings
    library: Library
    store: Store
    metrics: Metrics = field(default_factory=Metrics)

    def of(
        self, asked: Cloudflare, minutes: Minutes | None = None, kind: type[Kind] = Collector
    ) -> Kind:
        """One that asks the local Cloudflare Stream."""
        clock = minutes or Minutes()
        return kind(
            self.settings.model_copy(update={"cloudflare_stream_url": asked.url}),
            self.library,
            self.store,
            self.metrics,
            wait_until=clock.wait_until,
            now=clock.now,
        )


def holders_of_the_lock(settings: Settings) -> list[int]:
    """Postgres' processes that hold the collector's lock: the leader's, or none."""
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url) as connection:
        found = connection.execute(
            "select pid from pg_locks join pg_database on pg_database.oid = pg_locks.database"
            " where locktype = 'advisory' and granted and datname = current_database()"
        )
        return [row[0] for row in found]


def tell(story: Awaitable[None]) -> None:
    """Run a story; one that hangs fails."""

    async def with_patience() -> None:
        await asyncio.wait_for(story, PATIENCE_SECONDS)

    asyncio.run(with_patience())
