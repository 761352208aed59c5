"""How soon a stream is a VOD, and that a hundred become VODs in one run with none lost.

Streams are pushed over RTMP to a real recorder, twenty at a time; half of the last twenty lose
their network instead of saying goodbye. Then a provider's recordings, from a local stand-in for its
servers, are copied by archive jobs in two workers with two jobs each, as a drain run does them. A
VOD counts as playable when the library shows it to everybody and its playlist and a segment can be
read from the store.

    .venv/bin/python -m benchmarks.vod_archive [--streams 100] [--recordings 100]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, update

from aethex.fetch import Fetcher
from aethex.library import ChannelInput, Library, Vod, archives, channels, new_id
from aethex.library.ledger import ledger
from aethex.library.models import Job, ProviderRecording, Stream
from aethex.library.vods import is_listed, runs_and_segments
from aethex.settings import Settings
from aethex.store import Store, open_store
from aethex.workers.archive import Archiver
from aethex.workers.worker import Pace, work
from benchmarks.recorder import complaints
from tests.conftest import own_settings
from tests.postgres_server import shared_postgres
from tests.service_process import free_port
from tests.workers.provider_server import make_hls, provider_server
from tests.workers.recorder.live_streams import make_flv
from tests.workers.recorder.recorder_process import RecorderProcess, add_rtmp_input, push

AT_ONCE = 20
STREAM_SECONDS = 8
WORKERS, JOBS_AT_ONCE = 2, 2
WINDOW_SECONDS = 5
"""So long a lost encoder may stay away; an input's own setting."""
_WAIT_SECONDS = 120
_ARCHIVE_SECONDS = 1200
_START = datetime(2026, 1, 31, 18, 30, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description="From streams and recordings to VODs.")
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--recordings", type=int, default=100)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, shared by encoders, recorder, workers and database")
    with (
        shared_postgres() as postgres,
        postgres.fresh_database() as url,
        tempfile.TemporaryDirectory() as name,
    ):
        changes = {
            "rtmp_port": free_port(),
            "recording_min_seconds": 1,
            "fetch_allow": ("127.0.0.1",),
        }
        settings = own_settings(Path(name), url).model_copy(update=changes)
        with Library.open(settings) as library:
            if options.streams:
                record(settings, library, Path(name), options.streams)
            if options.recordings:
                archive(settings, library, Path(name), options.recordings)


# --- streams --------------------------------------------------------------------------------------


def record(settings: Settings, library: Library, folder: Path, count: int) -> None:
    """Push them all, and print how soon each was a VOD."""
    flv = make_flv(folder / "live.flv", STREAM_SECONDS)
    channel_ids = [
        add_rtmp_input(library, f"key-{n}", f"channel-{n}").channel_id for n in range(count)
    ]
    with library.session() as s:
        s.execute(update(ChannelInput).values(reconnect_seconds=WINDOW_SECONDS))
    recorder = RecorderProcess(settings, folder / "log")
    recorder.start()
    clean: dict[str, float] = {}
    lost: dict[str, float] = {}
    started = time.monotonic()
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        is_last = first + AT_ONCE >= count
        losing = set(numbers[::2]) if is_last and count > 1 else set[int]()
        ended = push_all(flv, recorder.port, numbers, losing)
        ready = when_playable(library, open_store(settings), {channel_ids[n]: n for n in ended})
        clean |= {channel_ids[n]: ready[n] - ended[n] for n in ready if n not in losing}
        lost |= {channel_ids[n]: ready[n] - ended[n] for n in ready if n in losing}
    took = time.monotonic() - started
    recorder.stop()
    print(f"\n{count} streams of {STREAM_SECONDS} s by RTMP, {AT_ONCE} at a time, in {took:.0f} s")
    print(f"{'from the end to playable':34} {'VODs':>5} {'p50':>8} {'p95':>8} {'longest':>8}")
    line("the encoder says goodbye", [*clean.values()])
    line("its network is lost", [*lost.values()])
    line(
        f"  after the {WINDOW_SECONDS} s to reconnect", [s - WINDOW_SECONDS for s in lost.values()]
    )
    with library.session() as s:
        vod_ids = s.scalars(select(Vod.id)).all()
        gaps = [gap for vod_id in vod_ids for gap in ledger(s, vod_id).gaps]
    print(*complaints(recorder.log), sep="\n")
    causes = Counter(gap.cause for gap in gaps)
    print(f"VODs missing: {count - len(clean) - len(lost)}; gaps by cause: {dict(causes)}")


def push_all(flv: Path, port: int, numbers: range, losing: set[int]) -> dict[int, float]:
    """When each stream was over, by its number."""
    encoders = {n: push(flv, port, f"key-{n}") for n in numbers}
    kill_at = time.monotonic() + STREAM_SECONDS * 0.75
    ended: dict[int, float] = {}
    while len(ended) < len(encoders):
        now = time.monotonic()
        for n, encoder in encoders.items():
            if n in losing and n not in ended and now > kill_at:
                encoder.kill()
            if n not in ended and encoder.poll() is not None:
                ended[n] = now
        time.sleep(0.01)
    return ended


def when_playable(library: Library, store: Store, channels: dict[str, int]) -> dict[int, float]:
    """When the VOD of each channel could be played first, by the channel's number."""
    ready: dict[int, float] = {}
    deadline = time.monotonic() + _WAIT_SECONDS
    while len(ready) < len(channels) and time.monotonic() < deadline:
        with library.session() as s:
            listed = s.scalars(select(Vod).where(is_listed(), Vod.channel_id.in_(channels))).all()
            for vod in listed:
                if channels[vod.channel_id] not in ready:
                    (first, *_) = runs_and_segments(s, vod.id)[0].segments
                    assert store.get(str(vod.playlist_key))
                    assert store.get(first.key)
                    ready[channels[vod.channel_id]] = time.monotonic()
        time.sleep(0.05)
    return ready


def line(name: str, seconds: list[float]) -> None:
    """A line of the table."""
    if not seconds:
        return
    cuts = statistics.quantiles(seconds, n=20) if len(seconds) > 1 else seconds * 19
    p50, p95, longest = cuts[9], min(cuts[18], max(seconds)), max(seconds)
    print(f"{name:34} {len(seconds):5} {p50:6.2f} s {p95:6.2f} s {longest:6.2f} s")


# --- recordings -----------------------------------------------------------------------------------


def archive(settings: Settings, library: Library, folder: Path, count: int) -> None:
    """Copy a provider's recordings, and print how long each took."""
    hls = folder / "hls"
    make_hls(hls)
    with provider_server(hls) as server:
        with library.session() as s:
            channel = channels.ensure_channel(s, "provider")
            for n in range(count):
                s.add_all(recording(channel.id, n, f"{server.url}/media/{n}/master.m3u8"))
                s.flush()
            archives.enqueue_ready(s)
        started = time.monotonic()
        with drain_workers(settings):
            deadline = started + _ARCHIVE_SECONDS
            while jobs_left(library) and time.monotonic() < deadline:
                time.sleep(0.1)
        took = time.monotonic() - started
        sent = server.files_sent(".ts")
    with library.session() as s:
        ready = s.scalar(
            select(func.count()).where(is_listed(), Vod.channel_id == channel.id).select_from(Vod)
        )
        jobs = s.scalars(select(Job).where(Job.kind == archives.KIND)).all()
    attempts = sum(job.attempts for job in jobs)
    print(f"\n{count} recordings of 6 s, {WORKERS} workers with {JOBS_AT_ONCE} jobs each")
    print(f"{'VODs ready':>12} {'missing':>9} {'s in all':>9} {'s a VOD':>9} {'attempts':>9}")
    print(f"{ready:12} {count - (ready or 0):9} {took:9.1f} {took / count:9.2f} {attempts:9}")
    print(f"files fetched: {sent}, of {count * len([*hls.glob('video-*.ts')])}")


def recording(channel_id: str, n: int, hls_url: str) -> list[Stream | ProviderRecording]:
    """A stream, and its recording as a webhook tells of it."""
    at = _START + timedelta(hours=n)
    stream = Stream(
        id=new_id("st"),
        channel_id=channel_id,
        title=f"Evening {n}",
        status="ended",
        started_at=at,
        ended_at=at + timedelta(minutes=1),
    )
    told = ProviderRecording(
        id=new_id("prec"),
        provider="owncast",
        external_id=f"asset-{n}",
        stream_id=stream.id,
        state="ready",
        started_at=at,
        hls_url=hls_url,
        details={},
        told_at=at,
    )
    return [stream, told]


def jobs_left(library: Library) -> int:
    """Archive jobs that wait or run."""
    with library.session() as s:
        left = Job.kind == archives.KIND, Job.state.in_(("queued", "running"))
        return s.scalar(select(func.count()).where(*left).select_from(Job)) or 0


@contextmanager
def drain_workers(settings: Settings) -> Iterator[None]:
    """Processes that do archive jobs, ended after the block."""
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=drain, args=(settings,)) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def drain(settings: Settings) -> None:
    """A worker, until it is told to end."""
    pace = Pace(idle_seconds=3600.0, poll_seconds=1.0)
    with Library.open(settings) as library, Fetcher(settings) as fetch:
        handlers = {archives.KIND: Archiver(settings, library, fetch)}
        work(library, settings, handlers, name="drain", at_once=JOBS_AT_ONCE, pace=pace)


if __name__ == "__main__":
    main()
