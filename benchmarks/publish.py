"""What publishing costs, and what rebuilding a day costs as history grows.

Lands playback events, publishes 1, 5 and 20 M of them in a process of its own (rows/s, CPU, peak
memory; the CPU beside that of a plain scan of the same landing objects). Then, on lakes of 8, 32
and 128 days that were maintained, as they are every hour, brings new events of one day, and
measures publishing them and rebuilding what they make due: that must not grow with the history.

    .venv/bin/python -m benchmarks.publish [--rows 1000000 5000000 20000000] [--days 8 32 128]

It needs about 200 bytes of disk a row in a temporary folder (`--folder`).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from aethex.lake import Lake
from aethex.lake.core import utc_now
from aethex.lake.landing import LANDING_SCHEMA, land_checked
from aethex.lake.maintenance import maintain
from aethex.lake.publish import publish
from aethex.lake.refresh import refresh
from aethex.postgres import start_embedded
from aethex.settings import Settings
from benchmarks.measure import Measured, in_a_child

OBJECT_ROWS = 20_000
"""Rows of a landing object, as a busy service flushes them."""

DAY_ROWS = 20_000
NEW_ROWS = 2_000
SESSION_EVENTS = 40
FIRST_DAY = date(2026, 1, 1)
_SECONDS_A_DAY = 24 * 3600


def main() -> None:
    parser = argparse.ArgumentParser(description="Publishing and rebuilding, measured.")
    parser.add_argument("--rows", nargs="*", type=int, default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--days", nargs="*", type=int, default=[8, 32, 128])
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    if options.rows:
        print("      rows   publish s     rows/s   CPU s  of a scan  peak MiB")
    for rows in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measure_publish(Path(folder), rows)
    if options.days:
        print(f"\n{NEW_ROWS:,} new events of one day, in a lake of {DAY_ROWS:,} events a day")
        print("days of history   publish s   rebuild s   days computed   against the least")
    least: float | None = None
    for days in options.days:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            least = measure_rebuild(Path(folder), days, least)


# --- publishing -----------------------------------------------------------------------------------


def measure_publish(folder: Path, rows: int) -> None:
    """One line: that many rows over two days, landed and published."""
    settings = Settings(data_dir=folder / "data", database_url=None, store_url=None)
    with start_embedded(settings):
        in_a_child(land_events, settings, [FIRST_DAY, FIRST_DAY + timedelta(days=1)], rows // 2, 1)
        scan = in_a_child(plain_scan, settings)
        published = in_a_child(publish_all, settings)
    assert published.answer == scan.answer == rows // 2 * 2, (published.answer, scan.answer)
    show(rows, published, scan)


def show(rows: int, published: Measured, scan: Measured) -> None:
    ratio = published.cpu_seconds / scan.cpu_seconds
    print(
        f"{rows:10,} {published.seconds:11.1f} {rows / published.seconds:10,.0f} "
        f"{published.cpu_seconds:7.1f} {ratio:9.1f}x {published.peak_mib:9.0f}",
        flush=True,
    )


def land_events(settings: Settings, days: list[date], rows_a_day: int, seed: int) -> None:
    """Land that many made-up beats of each day, as a service flushes them."""
    random = np.random.default_rng(seed)
    with Lake.open(settings) as lake:
        for day in days:
            for start in range(0, rows_a_day, OBJECT_ROWS):
                rows = beats(random, day, min(OBJECT_ROWS, rows_a_day - start))
                land_checked(lake.store, rows, datetime.combine(day, datetime.min.time()))


def beats(random: np.random.Generator, day: date, count: int) -> pa.Table:
    """Sessions of 40 beats each of one channel's VODs, spread over the day."""
    session = np.arange(count) // SESSION_EVENTS
    step = np.arange(count) % SESSION_EVENTS
    begin = random.integers(0, _SECONDS_A_DAY - 15 * SESSION_EVENTS, session[-1] + 1)
    at_us = (begin[session] + step * 15) * 1_000_000 + random.integers(0, 900_000, count)
    midnight = np.datetime64(day, "us").astype(np.int64)
    frame = pl.DataFrame(
        {
            "kind": pl.repeat("playback", count, eager=True),
            "event_id": [str(UUID(bytes=random.bytes(16), version=4)) for _ in range(count)],
            "channel_id": pl.repeat("ch_bench", count, eager=True),
            "vod": random.integers(0, 50, session[-1] + 1)[session],
            "session": random.integers(0, 2**62, session[-1] + 1)[session],
            "viewer": random.integers(0, 20_000, session[-1] + 1)[session],
            "at": pl.Series(midnight + at_us).cast(pl.Datetime("us")),
            "step": step,
        }
    )
    payload = (
        '{{"type":"beat","sequence":{},"elapsed_ms":{},"position_ms":{},"rate":1.0,'
        '"is_paused":false,"stalls":0,"stalled_ms":0,"frames":{},"dropped_frames":0}}'
    )
    ms = pl.col("step") * 15_000
    landed = frame.select(
        "kind",
        "event_id",
        "channel_id",
        pl.lit(None, pl.String).alias("stream_id"),
        pl.format("vod_bench{}", "vod").alias("vod_id"),
        pl.lit(None, pl.String).alias("clip_id"),
        pl.format("vw_{}", "viewer").alias("viewer_id"),
        pl.format("s-{}", "session").alias("session_id"),
        pl.col("at").alias("client_at"),
        pl.col("at").alias("occurred_at"),
        (pl.col("at") + pl.duration(milliseconds=300)).alias("received_at"),
        pl.format(payload, "step", ms, ms, pl.col("step") * 900).alias("payload"),
    )
    return landed.to_arrow().cast(LANDING_SCHEMA)


def plain_scan(settings: Settings) -> int:
    """What reading the landing objects costs anyway: DuckDB reads every column of every row."""
    files = str(settings.data_dir / "store" / "landing" / "**" / "*.parquet")
    with duckdb.connect(config={"threads": 2}) as con:
        row = con.execute(
            "SELECT count(*), count(DISTINCT event_id), max(payload), max(session_id), "
            "max(occurred_at) FROM read_parquet($files)",
            {"files": files},
        ).fetchone()
    assert row is not None
    return row[0]


def publish_all(settings: Settings) -> int:
    """Publish what landed; the rows that came into the table."""
    with Lake.open(settings) as lake:
        return sum(window.rows_out for window in publish(lake))


# --- rebuilding -----------------------------------------------------------------------------------


def measure_rebuild(folder: Path, days: int, least: float | None) -> float:
    """One line: new events of one day in a lake with that much history. Returns the least time."""
    settings = Settings(data_dir=folder / "data", database_url=None, store_url=None)
    history = [FIRST_DAY + timedelta(days=n) for n in range(days)]
    with start_embedded(settings):
        in_a_child(land_events, settings, history, DAY_ROWS, 1)
        in_a_child(rebuild, settings)
        in_a_child(maintain_history, settings)
        in_a_child(land_events, settings, [history[days // 2]], NEW_ROWS, 2)
        fresh: Any = in_a_child(rebuild, settings).answer
    publish_seconds, rebuild_seconds, computed = fresh
    smallest = rebuild_seconds if least is None else min(least, rebuild_seconds)
    print(
        f"{days:15} {publish_seconds:11.2f} {rebuild_seconds:11.2f} {computed:15} "
        f"{rebuild_seconds / smallest:18.2f}x",
        flush=True,
    )
    return smallest


def maintain_history(settings: Settings) -> int:
    """What the hourly maintenance has done by the time that history is old; bytes that it freed."""
    with Lake.open(settings) as lake:
        tomorrow = utc_now() + timedelta(hours=settings.snapshots_keep_hours + 1)
        done = maintain(lake, tomorrow)
        return sum(table.bytes_deleted for table in done.tables.values())


def rebuild(settings: Settings) -> tuple[float, float, int]:
    """Publish, then compute what is due: seconds of both, and how many days of models that were."""
    with Lake.open(settings) as lake:
        started = time.perf_counter()
        publish(lake)
        published = time.perf_counter()
        done = refresh(lake)
        return published - started, time.perf_counter() - published, len(done.results)


if __name__ == "__main__":
    main()
