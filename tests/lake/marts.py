"""A small world for tests of builds and what reads them: streams, counts, refreshes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa
import pytest

from aethex.lake import Lake
from aethex.lake.dim_tables import DIM_CHANNELS, DIM_STREAM_SEGMENTS, DIM_STREAMS
from aethex.lake.dims import DimChange, snapshot_dim
from aethex.lake.landing import LANDING_SCHEMA, land
from aethex.lake.publish import publish
from aethex.lake.refresh import Refreshed, refresh
from aethex.settings import Settings
from tests.postgres_server import PostgresForTests
from tests.saved import Saved, saved

NOON = datetime.fromisoformat("2024-05-01T12:00")
MINUTE = timedelta(minutes=1)
NOW = datetime.fromisoformat("2024-06-01")

Row = dict[str, Any]


@dataclass
class World:
    """The library's rows as a test sets them; `snapshot` brings them into the lake's dims."""

    lake: Lake
    streams: dict[str, Row] = field(default_factory=dict[str, Row])
    segments: dict[str, Row] = field(default_factory=dict[str, Row])
    channels: dict[str, Row] = field(default_factory=dict[str, Row])
    snapshots: int = 0

    @property
    def settings(self) -> Settings:
        return self.lake.settings

    def stream(
        self,
        stream_id: str,
        started_at: datetime,
        ended_at: datetime | None,
        *,
        channel_id: str = "ch_1",
        title: str = "A stream",
    ) -> None:
        """Add a stream, or put another row in its place."""
        self.channels[channel_id] = {
            "channel_id": channel_id,
            "username": channel_id.replace("_", ""),
            "title": None,
            "created_at": NOON,
        }
        self.streams[stream_id] = {
            "stream_id": stream_id,
            "channel_id": channel_id,
            "title": title,
            "category_id": None,
            "status": "live" if ended_at is None else "ended",
            "started_at": started_at,
            "ended_at": ended_at,
            "stream_day": started_at.date(),
        }

    def segment(self, stream_id: str, position: int, begin: datetime, end: datetime) -> None:
        """Add a segment of a stream that is there."""
        stream = self.streams[stream_id]
        self.segments[f"{stream_id}/{position}"] = {
            "segment_id": f"sseg_{stream_id}_{position}",
            "stream_id": stream_id,
            "channel_id": stream["channel_id"],
            "position": position,
            "title": f"Part {position}",
            "category_id": None,
            "category_name": None,
            "started_at": begin,
            "ended_at": end,
            "stream_day": stream["stream_day"],
        }

    def snapshot(self) -> list[DimChange]:
        """Bring the rows into the dims; each snapshot is a minute later than the one before."""
        self.snapshots += 1
        now = NOW + self.snapshots * MINUTE
        return [
            snapshot_dim(self.lake, DIM_CHANNELS, list(self.channels.values()), now),
            snapshot_dim(self.lake, DIM_STREAMS, list(self.streams.values()), now),
            snapshot_dim(self.lake, DIM_STREAM_SEGMENTS, list(self.segments.values()), now),
        ]

    def land(
        self, stream_id: str, first_at: datetime, viewers: Sequence[int | None], **options: Any
    ) -> None:
        """Land one count a minute from `first_at` on."""
        land(self.lake, landed(stream_id, first_at, viewers, **options))

    def count(
        self, stream_id: str, first_at: datetime, viewers: Sequence[int | None], **options: Any
    ) -> None:
        """Land one count a minute from `first_at` on, and publish them."""
        self.land(stream_id, first_at, viewers, **options)
        publish(self.lake)

    def refresh(self) -> Refreshed:
        """Snapshot and refresh."""
        self.snapshot()
        return refresh(self.lake)


def grow(world: World) -> None:
    """A stream that grew twice, each time published and built: three builds, and many past states
    of tables.
    """
    world.stream("st_1", NOON, NOON + 10 * MINUTE)
    for n in range(3):
        world.count("st_1", NOON + n * MINUTE, [10 * (n + 1)])
        world.refresh()


SavedWorld = Saved[dict[str, Any]]


def saved_world(
    postgres: PostgresForTests, folder: Path, fill: Callable[[World], object]
) -> AbstractContextManager[SavedWorld]:
    """A world that is filled once, for `world_again`."""

    def make(settings: Settings) -> dict[str, Any]:
        with Lake.open(settings) as lake:
            world = World(lake)
            fill(world)
        return {name: value for name, value in vars(world).items() if name != "lake"}

    return saved(postgres, folder, make)


@contextmanager
def world_again(state: SavedWorld) -> Iterator[World]:
    """The world as it was filled, for one test."""
    with state.again() as (settings, rows), Lake.open(settings) as lake:
        yield World(lake, **rows)


def worlds(fill: Callable[[World], object]) -> tuple[Any, Any]:
    """Two fixtures for a module of tests: `built, world = worlds(fill)`. One fills a world once,
    the other is that world anew for each test.
    """

    @pytest.fixture(scope="module")
    def built(
        postgres: PostgresForTests, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[SavedWorld]:
        with saved_world(postgres, tmp_path_factory.mktemp("built"), fill) as state:
            yield state

    @pytest.fixture
    def world(built: SavedWorld) -> Iterator[World]:
        with world_again(built) as world:
            yield world

    return built, world


def landed(
    stream_id: str,
    first_at: datetime,
    viewers: Iterable[int | None],
    *,
    messages: int | None = 1,
    **options: str,
) -> pa.Table:
    """Viewer counts, one a minute, as they land."""
    counts = [(first_at + n * MINUTE, count, messages) for n, count in enumerate(viewers)]
    return landed_counts(stream_id, counts, **options)


def landed_counts(
    stream_id: str,
    counts: Iterable[tuple[datetime, int | None, int | None]],
    *,
    source: str = "test",
    channel_id: str = "ch_1",
) -> pa.Table:
    """Counts given as (instant, viewers, messages), as they land."""
    events = [
        {
            "kind": "viewer_snapshot",
            "event_id": str(uuid5(NAMESPACE_URL, f"{stream_id}/{at}/{source}")),
            "channel_id": channel_id,
            "stream_id": stream_id,
            "client_at": at,
            "occurred_at": at,
            "received_at": NOW,
            "payload": json.dumps({"source": source, "viewers": viewers, "messages": messages}),
        }
        for at, viewers, messages in counts
    ]
    return pa.Table.from_pylist(events, schema=LANDING_SCHEMA)


def days(*texts: str) -> tuple[date, ...]:
    """Dates by their ISO text."""
    return tuple(date.fromisoformat(text) for text in texts)
