"""How many streams one recorder takes: `python -m benchmarks.recorder [streams] [seconds]`.

What belongs here: encoders that push copies of one file over RTMP to a real recorder, its CPU, and
what is missing in the VODs. What does not: expectations; it prints.

Runs a recorder of its own on an embedded Postgres and a folder store, and bounds itself.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from aethex.library import Library, Vod, VodSegment
from aethex.library.ledger import ledger
from tests.conftest import own_settings
from tests.postgres_server import shared_postgres
from tests.service_process import free_port
from tests.workers.recorder.live_streams import make_flv
from tests.workers.recorder.recorder_process import RecorderProcess, add_rtmp_input, push

_WAIT_SECONDS = 60


def main(streams: int, seconds: int) -> None:
    """Push, measure, print."""
    with (
        shared_postgres() as postgres,
        postgres.fresh_database() as url,
        tempfile.TemporaryDirectory() as name,
    ):
        folder = Path(name)
        changes = {"rtmp_port": free_port(), "recording_min_seconds": 1}
        settings = own_settings(folder, url).model_copy(update=changes)
        flv = make_flv(folder / "live.flv", seconds, size="1280x720")
        kbps = flv.stat().st_size * 8 / seconds / 1000
        recorder = RecorderProcess(settings, folder / "log")
        with Library.open(settings) as library:
            for n in range(streams):
                add_rtmp_input(library, f"key-{n}", f"channel-{n}")
            recorder.start()
            assert recorder.process is not None
            pid = recorder.process.pid
            idle_seconds = cpu_seconds(pid)
            time.sleep(5)
            idle = (cpu_seconds(pid) - idle_seconds) / 5
            before, began = cpu_seconds(pid), time.monotonic()
            encoders = [push(flv, recorder.port, f"key-{n}") for n in range(streams)]
            for encoder in encoders:
                encoder.wait(seconds * 4 + _WAIT_SECONDS)
            took = time.monotonic() - began
            used = cpu_seconds(pid) - before
            ended = time.monotonic()
            wait_until(lambda: ready(library) == streams)
            print(
                f"{streams} streams of {kbps:.0f} kbit/s for {seconds} s on {os.cpu_count()} cores"
            )
            print(f"recorder idle: {idle:.1%} of a core, memory {peak_mb(pid):.0f} MB at most")
            print(f"recorder: {used / took:.0%} of a core, {used / took / streams:.2%} a stream")
            print(f"all VODs ready {time.monotonic() - ended:.1f} s after the last stream's end")
            print(*complaints(recorder.log), sep="\n")
            report_lost(library, flv_seconds=seconds, streams=streams)
        recorder.stop()


def report_lost(library: Library, flv_seconds: int, streams: int) -> None:
    """What is missing of what was pushed."""
    with library.session() as s:
        vods = s.scalars(select(Vod).order_by(Vod.id)).all()
        segments = s.scalar(select(func.count()).select_from(VodSegment)) or 0
        recorded_ms = sum(vod.duration_ms or 0 for vod in vods)
        gaps = [gap for vod in vods for gap in ledger(s, vod.id).gaps if gap.cause != "late_start"]
    missing = timedelta(milliseconds=streams * flv_seconds * 1000 - recorded_ms)
    print(
        f"{segments} segments in {len(vods)} VODs; missing {missing.total_seconds():.2f} s of all"
    )
    print(f"gaps but for late starts: {len(gaps)}")


def complaints(log: Path) -> list[str]:
    """What the recorder warned of."""
    return [line for line in log.read_text().splitlines() if " INFO " not in line]


def ready(library: Library) -> int:
    """How many VODs are ready."""
    with library.session() as s:
        return s.scalar(select(func.count()).where(Vod.status == "ready")) or 0


def wait_until(ask: Callable[[], bool]) -> None:
    """Until it is so, or _WAIT_SECONDS are over."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not ask() and time.monotonic() < deadline:
        time.sleep(0.1)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, its ended children included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """The most memory that the process had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    arguments = [int(text) for text in sys.argv[1:]]
    main(*(arguments + [20, 30][len(arguments) :]))
