"""How long a channel of 10,000 VODs takes to list, sort, search and filter, through the real app.

Makes the VODs in an embedded Postgres, has nine of ten watched, takes that the whole way into a
build, starts the real service as a process, and asks the API one request after the other. What an
order by scores costs the first time in a build (they are read once a build and channel) stands
beside the rest.

    .venv/bin/python -m benchmarks.vod_library [--vods 10000] [--requests 200]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
from sqlalchemy import insert

from aethex.lake import Lake
from aethex.lake.core import utc_now
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.dims import snapshot_dim
from aethex.lake.landing import LANDING_SCHEMA, land
from aethex.lake.publish import publish
from aethex.lake.refresh import refresh
from aethex.library import Library, Stream, Vod, channels, new_id, snapshot_rows, upgrade
from aethex.postgres import start_embedded
from aethex.settings import Settings
from benchmarks.ingest import serving

WORDS = [
    *(
        "castle",
        "race",
        "blindfold",
        "any%",
        "glitchless",
        "finals",
        "marathon",
        "warm-up",
        "relay",
    ),
    *("boss", "dungeon", "café", "über", "NieR", "Celeste", "Metroid", "Zelda", "Portal", "Tetris"),
    *("Hades", "speedrun", "charity", "commentary", "duo", "night"),
]
FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description="A large channel's VODs, through the API.")
    parser.add_argument("--vods", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder) / "data", database_url=None, store_url=None)
        with start_embedded(settings):
            channel_id = prepare(settings, options.vods)
            with serving(settings, 1) as (port, _):
                ask_all(f"http://127.0.0.1:{port}", channel_id, options.vods, options.requests)


def prepare(settings: Settings, count: int) -> str:
    """A channel with that many VODs, most of them watched and in a build; its id."""
    upgrade(settings)
    with Library.open(settings) as library, Lake.open(settings) as lake:
        with library.session() as s:
            channel_id = channels.ensure_channel(s, "bench").id
            streams, vods = rows(channel_id, count)
            s.execute(insert(Stream), streams)
            s.execute(insert(Vod), vods)
        started = time.perf_counter()
        at = utc_now()
        land(lake, pa.Table.from_pylist(watching(channel_id, vods, at), schema=LANDING_SCHEMA))
        publish(lake)
        with library.session() as s:
            dims = snapshot_rows(s)
        dims["dim_streams"] = []  # nobody watched them live; without them no day of theirs is built
        for name, table in DIM_TABLES.items():
            snapshot_dim(lake, table, dims[name], utc_now())
        refresh(lake)
        print(
            f"{os.cpu_count()} cores, shared by service, database and who asks; {count:,} VODs of "
            f"one channel, {len(vods) * 9 // 10:,} watched, in a build after "
            f"{time.perf_counter() - started:.0f} s"
        )
    return channel_id


def rows(channel_id: str, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Streams and their VODs: one every five hours."""
    chance = random.Random(1)
    streams: list[dict[str, Any]] = []
    vods: list[dict[str, Any]] = []
    for n in range(count):
        at = FIRST_DAY + timedelta(hours=5 * n)
        stream_id, vod_id = new_id("st"), new_id("vod")
        title = f"{' '.join(chance.choices(WORDS, k=5))} {n}"
        streams.append(
            {"id": stream_id, "channel_id": channel_id, "title": title, "status": "ended"}
            | {"started_at": at, "ended_at": at + timedelta(hours=4)}
        )
        vods.append(
            {
                "id": vod_id,
                "stream_id": stream_id,
                "channel_id": channel_id,
                "title": title,
                "description": " ".join(chance.choices(WORDS, k=40)),
                "status": "ready",
                "duration_ms": 14_400_000,
                "size_bytes": 1,
                "playlist_key": f"vods/{channel_id}/{stream_id}/{vod_id}/index.m3u8",
                "poster_key": f"vods/{channel_id}/{stream_id}/run/poster.jpg",
                "created_at": at,
            }
        )
    return streams, vods


def watching(channel_id: str, vods: list[dict[str, Any]], at: datetime) -> list[dict[str, Any]]:
    """A session of 5 to 80 seconds in nine VODs of ten, as events that have landed."""
    chance = random.Random(2)
    begun = at - timedelta(minutes=10)
    events: list[dict[str, Any]] = []
    for n, vod in enumerate(vods):
        if n % 10 == 0:
            continue
        for sequence, ms in enumerate((0, chance.randrange(5_000, 80_000))):
            moment = begun + timedelta(milliseconds=ms)
            payload = {
                "type": "beat" if sequence else "start",
                "sequence": sequence,
                "elapsed_ms": ms,
                "position_ms": ms,
                "rate": 1.0,
                "is_paused": False,
            }
            events.append(
                {
                    "kind": "playback",
                    "event_id": f"{n:08x}-0000-4000-8000-{sequence:012x}",
                    "channel_id": channel_id,
                    "vod_id": vod["id"],
                    "viewer_id": f"vw_{n}",
                    "session_id": f"session-{n}",
                    "client_at": moment,
                    "occurred_at": moment,
                    "received_at": at,
                    "payload": json.dumps(payload),
                }
            )
    return events


def ask_all(url: str, channel_id: str, vods: int, requests: int) -> None:
    """Print a line for each kind of request."""
    chance = random.Random(3)
    pages = vods // 12

    def words() -> str:
        return " ".join(chance.choices(WORDS, k=2))

    def days() -> dict[str, str]:
        begin = FIRST_DAY + timedelta(hours=5 * chance.randrange(vods))
        end = begin + timedelta(days=chance.choice((7, 30, 365)))
        return {"from": begin.isoformat(), "to": end.isoformat()}

    kinds: dict[str, Any] = {
        "newest, page 1": lambda: {},
        "newest, any page": lambda: {"page": chance.randrange(1, pages)},
        "most watched, page 1": lambda: {"sort": "most_watched"},
        "most watched, any page": lambda: {"sort": "most_watched", "page": chance.randrange(1, 9)},
        "search, best match": lambda: {"q": words()},
        "search while typing": lambda: {"q": chance.choice(WORDS)[:3]},
        "search, most watched": lambda: {"q": words(), "sort": "most_watched"},
        "dates": days,
        "dates and search": lambda: days() | {"q": chance.choice(WORDS)},
    }
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        print(f"{'request':26} {'first':>9} {'p50':>9} {'p95':>9}")
        for name, params in kinds.items():
            path = f"/api/channels/{channel_id}/vods"
            taken_ms = [timed(client, path, params()) for _ in range(requests + 1)]
            cuts = statistics.quantiles(taken_ms[1:], n=20)
            print(f"{name:26} {taken_ms[0]:6.1f} ms {cuts[9]:6.1f} ms {cuts[18]:6.1f} ms")
        page = [timed(client, "/channel/bench/vods", {}) for _ in range(requests + 1)]
        cuts = statistics.quantiles(page[1:], n=20)
        print(f"{'the page itself':26} {page[0]:6.1f} ms {cuts[9]:6.1f} ms {cuts[18]:6.1f} ms")


def timed(client: httpx.Client, path: str, params: dict[str, Any]) -> float:
    """Milliseconds until the whole answer is there."""
    started = time.perf_counter()
    answer = client.get(path, params=params)
    taken = (time.perf_counter() - started) * 1000
    answer.raise_for_status()
    return taken


if __name__ == "__main__":
    main()
