"""The spool: what is being written stays, whoever tidies up meanwhile."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

from aethex.media.record import RunStarted, SegmentClosed
from aethex.workers.recorder.spool import RunFacts, Spool

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
