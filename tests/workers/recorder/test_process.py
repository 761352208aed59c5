"""The recorder as a whole: what goes on while something else does not."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aethex.library import Library, Stream, channels, inputs, live, vods
from aethex.media.record import RunStarted, SegmentClosed
from aethex.settings import Settings
from aethex.store import Store
from aethex.workers.recorder.process import Pace, Recorder
from aethex.workers.recorder.spool import RunFacts, Spool
from tests.workers.recorder.live_streams import (
    START,
    Studio,
    add_live_stream,
    end_stream,
    make_flv,
)


class Silent:
    """A store that takes a request and does not answer until it is let go."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_asked, self.answers = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        self.is_asked.set()
        assert self.answers.wait(60)
        return getattr(self._store, name)


def test_streams_end_while_a_vod_waits_for_a_store_that_does_not_answer(
    settings: Settings, library: Library, folder_store: Store, tmp_path: Path
):
    quick = settings.model_copy(update={"recording_min_seconds": 1, "rtmp_port": 0})
    studio = Studio(quick, library, folder_store)
    recorded = add_live_stream(library)
    studio.record(recorded, make_flv(tmp_path / "four.flv", 4))
    studio.close()
    end_stream(library, recorded.id, timedelta(seconds=4))
    silent = Silent(folder_store)

    def leave_another() -> str:
        """One whose encoder was lost a while ago."""
        at = datetime.now(UTC) - timedelta(hours=1)
        with library.session() as s:
            of = inputs.add_input(s, channels.ensure_channel(s, "gdq").id, "rtmp", key="key")
            stream = live.signal(s, of.id, "connected", at, "came", at)
            live.signal(s, of.id, "disconnected", at, "went", at)
            assert stream is not None
            return stream.id

    def status(stream_id: str) -> str:
        with library.session() as s:
            return s.get_one(Stream, stream_id).status

    async def run() -> None:
        recorder = Recorder(quick, library, Pace(busy_seconds=0.1, idle_seconds=0.1))
        recorder._store = lambda: silent  # pyright: ignore[reportAttributeAccessIssue]
        running = asyncio.create_task(recorder.run())
        try:
            assert await asyncio.to_thread(silent.is_asked.wait, 30)
            other = await asyncio.to_thread(leave_another)
            async with asyncio.timeout(10):
                while await asyncio.to_thread(status, other) != "ended":
                    await asyncio.sleep(0.05)
        finally:
            silent.answers.set()
            recorder.stop.set()
            await running

    asyncio.run(run())
    with library.session() as s:
        assert len(vods.list_stream_vods(s, recorded.id)) == 1  # what was begun is done at a stop


def test_what_a_recorder_left_that_died_while_this_one_runs_goes_up(
    settings: Settings, library: Library, folder_store: Store
):
    """A second one on this machine, which nobody starts again."""
    quick = settings.model_copy(update={"rtmp_port": 0})
    stream = add_live_stream(library)
    pace = Pace(busy_seconds=0.1, idle_seconds=0.1, take_back_seconds=0.1)

    def leave(spool: Spool) -> Path:
        run = spool.run(
            RunFacts("run_left", stream.id, None, START, 320, 180, has_sound=True),
            RunStarted(b"init", 320, 180, True, "avc1.42c01e,mp4a.40.2"),
        )
        run.write([b"frames"])
        return run.close_segment(SegmentClosed(0, 4000, 120, is_independent=True)).path

    async def run() -> None:
        recorder = Recorder(quick, library, pace)
        running = asyncio.create_task(recorder.run())
        try:
            async with asyncio.timeout(10):
                while recorder._looked_back_at < 0:  # it has looked at its start
                    await asyncio.sleep(0.02)
            second = Spool(quick.recorder_dir, "second")
            path = leave(second)
            for lock in second._locks.values():  # what the kernel does when it is killed
                os.close(lock)
            async with asyncio.timeout(10):
                while path.exists():
                    await asyncio.sleep(0.05)
        finally:
            recorder.stop.set()
            await running

    asyncio.run(run())
    (vod_key,) = (one.key for one in folder_store.list("vods") if one.key.endswith("000000.m4s"))
    assert "run_left" in vod_key
