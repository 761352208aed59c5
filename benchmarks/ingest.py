"""How many events are taken in a second, how long an answer takes, and what an event costs.

Starts the real service with 1 and with 2 workers, on a folder store that syncs each object to the
disk, and sends playback events over HTTP in batches of 1, 20 and 100 from another process, which
needs CPU too: on two cores the service has about one. So the CPU that the service spends on an
event stands beside the rate. At the end all landed rows are counted: each acknowledged event is
there.

    .venv/bin/python -m benchmarks.ingest [--seconds 10] [--batches 1 20 100] [--workers 1 2]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pyarrow.parquet as pq

from aethex.library import Library, channels, streams, tokens, upgrade
from aethex.postgres import start_embedded
from aethex.settings import PROJECT_DIR, Settings

BODIES = 200
"""Different batches that are sent in turn. Their ids repeat, which ingest does not mind."""

CONNECTIONS = {1: 1024, 20: 512, 100: 384}
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """What the senders saw: events acknowledged, seconds, times of acknowledgement in ms."""

    events: int
    seconds: float
    p50_ms: float
    p99_ms: float
    not_taken: int


def main() -> None:
    parser = argparse.ArgumentParser(description="Ingest, measured through the real service.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 20, 100])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, shared by the service and who sends; {options.seconds:g} s each"
    )
    print("workers  batch   events/s   ack p50   ack p99   CPU us/event   objects  rows an object")
    for workers in options.workers:
        for batch in options.batches:
            with tempfile.TemporaryDirectory() as folder:
                measure(Path(folder), workers, batch, options.seconds)


def measure(folder: Path, workers: int, batch: int, seconds: float) -> None:
    """One line: a service of its own under load."""
    settings = Settings(data_dir=folder / "data", database_url=None, store_url=None)
    with start_embedded(settings):
        upgrade(settings)
        with Library.open(settings) as library, library.session() as session:
            channel = channels.ensure_channel(session, "bench")
            stream = streams.ensure_stream(session, channel, "A stream")
            _, token = tokens.create(session, "bench", None)
        with serving(settings, workers) as (port, pid):
            requests = list(make_requests(batch, stream.id, token))
            send(port, requests, batch, 2.0)  # warm
            before, rows_before = cpu_seconds(pid), landed(settings)[0]
            load = send(port, requests, batch, seconds)
            cpu = cpu_seconds(pid) - before
        rows, objects = landed(settings)
        assert rows - rows_before >= load.events, f"{rows - rows_before} rows of {load.events}"
    assert load.not_taken == 0, f"{load.not_taken} requests were not taken"
    print(
        f"{workers:7} {batch:6} {load.events / load.seconds:10,.0f} {load.p50_ms:6.0f} ms "
        f"{load.p99_ms:6.0f} ms {cpu / load.events * 1e6:14.1f} {objects:9} "
        f"{rows / objects:14,.0f}",
        flush=True,
    )


@contextmanager
def serving(settings: Settings, workers: int) -> Iterator[tuple[int, int]]:
    """The service as a process; its port and pid."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "uvicorn", "--factory", "aethex.service.app:create"),
            *("--port", str(port), "--workers", str(workers), "--log-level", "warning"),
            "--no-access-log",
        ],
        cwd=PROJECT_DIR,
        env={**os.environ, "AETHEX_DATA_DIR": str(settings.data_dir)},
    )
    try:
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/healthz").is_success:
                    break
            except httpx.TransportError:
                assert process.poll() is None, "the service ended"
                time.sleep(0.1)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def make_requests(batch: int, stream_id: str, token: str) -> Iterator[bytes]:
    """Whole HTTP requests, ready to be sent."""
    at = datetime.now(UTC)
    for number in range(BODIES):
        events = [
            {
                "kind": "playback",
                "event_id": str(uuid4()),
                "client_at": (at + timedelta(milliseconds=number * batch + n)).isoformat(),
                "stream_id": stream_id,
                "viewer_id": f"vw_{number:06}{n:04}",
                "session_id": uuid4().hex,
                "type": "beat",
                "sequence": n,
                "elapsed_ms": n * 15_000,
                "position_ms": n * 15_000,
                "is_paused": False,
                "stalls": 0,
                "frames": n * 900,
                "dropped_frames": n % 3,
            }
            for n in range(batch)
        ]
        body = json.dumps(events, separators=(",", ":")).encode()
        head = (
            "POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


def send(port: int, requests: list[bytes], batch: int, seconds: float) -> Load:
    """Send from a process of its own for that long."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_send, (port, requests, batch, seconds))


def _send(port: int, requests: list[bytes], batch: int, seconds: float) -> Load:
    return asyncio.run(_send_all(port, requests, batch, seconds))


async def _send_all(port: int, requests: list[bytes], batch: int, seconds: float) -> Load:
    taken_ms: list[float] = []
    refused: list[bytes] = []
    started = time.perf_counter()
    until = started + seconds

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (now := time.perf_counter()) < until:
            number += CONNECTIONS.get(batch, 64)
            writer.write(requests[number % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
            await reader.readexactly(int(length))
            if head.startswith(b"HTTP/1.1 200"):
                taken_ms.append((time.perf_counter() - now) * 1000)
            else:
                refused.append(head)
        writer.close()

    await asyncio.gather(*(one(number) for number in range(CONNECTIONS.get(batch, 64))))
    cuts: Any = statistics.quantiles(taken_ms or [0.0, 0.0], n=100)
    return Load(
        len(taken_ms) * batch, time.perf_counter() - started, cuts[49], cuts[98], len(refused)
    )


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children, in seconds."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0
    for one in (str(pid), *children):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def landed(settings: Settings) -> tuple[int, int]:
    """Rows and objects in landing."""
    files = list((settings.data_dir / "store" / "landing").rglob("*.parquet"))
    return sum(pq.read_metadata(file).num_rows for file in files), len(files)


if __name__ == "__main__":
    main()
