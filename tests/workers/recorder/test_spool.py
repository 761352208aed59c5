"""The spool: what is being written stays, whoever tidies up meanwhile."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aethex.media.record import RunStarted, SegmentClosed
from aethex.workers.recorder.spool import RunFacts, Spool, waiting_in

STARTED = RunStarted(b"init", 320, 180, True, "avc1.42c01e,mp4a.40.2")
CLOSED = SegmentClosed(start_ms=0, duration_ms=4000, frames=120, is_independent=True)


def facts(run_id: str) -> RunFacts:
    at = datetime(2026, 5, 3, 18, 0, tzinfo=UTC)
    return RunFacts(run_id, "st_1", "inp_1", at, 320, 180, has_sound=True)


def test_a_run_without_a_closed_segment_stays_until_it_ends(tmp_path: Path):
    spool = Spool(tmp_path, "one")
    run = spool.run(facts("run_1"), STARTED)
    spool.tidy()
    run.write([b"frames"])
    segment = run.close_segment(CLOSED)
    assert segment.path.read_bytes() == b"frames"
    assert segment.init_path.read_bytes() == b"init"
    run.end()
    spool.tidy()  # the segment waits
    assert segment.path.exists()
    segment.remove()
    spool.tidy()
    assert not run.folder.exists()
    spool.close()


def test_runs_that_begin_while_somebody_tidies_lose_nothing(tmp_path: Path):
    spool = Spool(tmp_path, "one")
    is_over = threading.Event()

    def tidy_for_ever() -> None:
        while not is_over.is_set():
            spool.tidy()

    tidying = threading.Thread(target=tidy_for_ever)
    tidying.start()
    try:
        for n in range(300):
            run = spool.run(facts(f"run_{n}"), STARTED)
            run.write([b"frames"])
            segment = run.close_segment(CLOSED)
            run.end()
            assert segment.path.read_bytes() == b"frames"
            assert segment.init_path.read_bytes() == b"init"
            segment.remove()
    finally:
        is_over.set()
        tidying.join()
    spool.tidy()
    assert not any(path.is_dir() for path in spool.folder.iterdir())
    spool.close()


def test_a_folder_that_a_lost_power_left_damaged_keeps_no_recorder_from_starting(tmp_path: Path):
    dead = Spool(tmp_path, "dead")
    for run_id in ("run_1", "run_2"):
        run = dead.run(facts(run_id), STARTED)
        run.write([b"frames"])
        run.close_segment(CLOSED)
    (dead.folder / "run_1" / "run.json").write_bytes(b"")
    dead.close()
    spool = Spool(tmp_path, "next")
    assert [one.run.run_id for one in spool.adopt_left()] == ["run_2"]
    assert [one.run.run_id for one in waiting_in(tmp_path)] == ["run_2"]
    spool.tidy()
    assert any((dead.folder / "run_1").glob("*.m4s"))  # somebody may want to look at it
    spool.close()


def test_a_disk_that_takes_half_of_a_write_closes_no_half_segment(tmp_path: Path):
    spool = Spool(tmp_path, "one")
    run = spool.run(facts("run_1"), STARTED)
    with room_for(1000), pytest.raises(OSError, match="too large"):
        run.write([b"f" * 1500])
    run.end()
    spool.close()


def test_a_segment_that_closes_on_a_full_disk_is_not_lost(tmp_path: Path):
    spool = Spool(tmp_path, "one")
    run = spool.run(facts("run_1"), STARTED)
    run.write([b"frames"])
    segment = run.close_segment(CLOSED)
    assert not (run.folder / "open").exists()  # nothing that could fail comes after its name
    assert segment.path.read_bytes() == b"frames"
    run.end()
    spool.close()


def test_a_run_of_more_than_a_million_segments_is_found_again(tmp_path: Path):
    dead = Spool(tmp_path, "dead")
    run = dead.run(facts("run_1"), STARTED)
    run._sequence = 1_000_000
    run.write([b"frames"])
    run.close_segment(CLOSED)
    dead.close()
    spool = Spool(tmp_path, "next")
    assert [one.sequence for one in spool.adopt_left()] == [1_000_000]
    spool.close()


@contextmanager
def room_for(size_bytes: int) -> Iterator[None]:
    """Files may grow up to that size; as on a full disk, the write that crosses it takes a part."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
