"""A live stream while everything around it dies: the recorder, its encoder's network, the store,
and the worker that makes something of another VOD.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import select

from aethex.library import Library, Stream, Vod, captures, vods
from aethex.library.ledger import Ledger, ledger
from aethex.library.vods import RunWithSegments
from aethex.settings import Settings
from aethex.store import open_store
from tests.browser import launched_browser
from tests.service.site import listening, serving_site
from tests.service_process import free_port
from tests.workers.drain_process import drain_process
from tests.workers.recorder.encoder import Encoder
from tests.workers.recorder.live_streams import (
    Studio,
    add_live_stream,
    decoded_frames,
    end_stream,
    make_flv,
)
from tests.workers.recorder.recorder_process import RecorderProcess, add_rtmp_input

T = TypeVar("T")
KEY = "a-stream-key"
FRAMES_A_SECOND = 30
FILE_SECONDS = 20
ROUND_SECONDS = 40
VIDEO = "document.querySelector('media-controller video')"


class Watcher(threading.Thread):
    """Sees which segments close, by the names in the spool."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self.over = threading.Event()
        self.closed: set[tuple[str, int]] = set()

    def run(self) -> None:
        while not self.over.wait(0.01):
            for path in self._folder.glob("*/*/*.m4s"):
                self.closed.add((path.parent.name, int(path.name[:6])))


@contextmanager
def store_away(settings: Settings) -> Iterator[None]:
    """The store's folder cannot be used for the block."""
    folder = settings.data_dir / "store"
    aside = folder.rename(folder.with_name("store-aside"))
    folder.write_text("no folder")
    yield
    folder.unlink()
    aside.rename(folder)


def wait_for(ask: Callable[[], T | None], seconds: float = 40) -> T:
    """What `ask` answers once it is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := ask():
            return found
        time.sleep(0.05)  # another process tells nobody
    raise AssertionError("it did not happen")


def ready_vod(library: Library, other_id: str) -> Vod | None:
    """The one VOD beside the other, once all of it is there."""
    with library.session() as s:
        vod = s.scalars(select(Vod).where(Vod.id != other_id)).one_or_none()
        capture = captures.get(s, vod.id) if vod is not None else None
        return vod if capture is not None and capture.finished_at is not None else None


@pytest.fixture
def recorder(settings: Settings, tmp_path: Path) -> Iterator[RecorderProcess]:
    changes = {"rtmp_port": free_port(), "recording_min_seconds": 1}
    recorder = RecorderProcess(settings.model_copy(update=changes), tmp_path / "recorder.log")
    yield recorder
    recorder.stop()


@pytest.mark.browser
def test_what_closed_is_in_the_vod_whatever_died(
    recorder: RecorderProcess, library: Library, tmp_path: Path, pytestconfig: pytest.Config
):
    flv = make_flv(tmp_path / "live.flv", FILE_SECONDS)
    settings = recorder.settings
    earlier_id = recorded_earlier(settings, library, make_flv(tmp_path / "earlier.flv", 30))
    add_rtmp_input(library, KEY)
    recorder.start()
    watcher = Watcher(settings.recorder_dir)
    watcher.start()
    soak_seconds = float(pytestconfig.getoption("soak_seconds") or 0)
    rounds = max(1, round(soak_seconds / ROUND_SECONDS))
    with drain_process(settings, library) as worker:
        with Encoder(flv, recorder.port, KEY) as encoder:
            down_seconds = max(
                break_everything(recorder, encoder, lambda: worker.kill_in_the_middle(earlier_id))
                for _ in range(rounds)
            )
        vod = wait_for(lambda: ready_vod(library, earlier_id))
        worker.end_all()
    watcher.over.set()
    watcher.join()

    with library.session() as s:
        assert {stream.status for stream in s.scalars(select(Stream))} == {"ended"}
        runs = vods.runs_and_segments(s, vod.id)
        found = ledger(s, vod.id)
    stored = {(run.run.id, one.sequence) for run in runs for one in run.segments}
    assert watcher.closed <= stored
    assert len(watcher.closed) >= 5 * rounds
    expect_gaps(found, 2 * rounds, down_seconds)
    assert vod.duration_ms is not None
    frames = decoded_frames(settings, str(vod.playlist_key))
    # where the encoder's file begins again its sound is a frame longer than its picture
    begins_again = vod.duration_ms // (FILE_SECONDS * 1000) + 1
    assert abs(frames - vod.duration_ms * FRAMES_A_SECOND / 1000) <= len(runs) + begins_again
    assert not list(settings.recorder_dir.glob("*/*/*.m4s"))
    assert worker.kills == 2 * rounds
    for vod_id in (earlier_id, vod.id):
        expect_everything_made(settings, library, vod_id)
    expect_it_plays_to_the_end(settings, vod, runs)


def recorded_earlier(settings: Settings, library: Library, flv: Path) -> str:
    """Another stream's VOD, for the worker; its id."""
    studio = Studio(settings, library, open_store(settings))
    stream = add_live_stream(library, "Earlier")
    studio.record(stream, flv)
    end_stream(library, stream.id, timedelta(seconds=31))
    studio.finish()
    studio.close()
    with library.session() as s:
        return s.scalars(select(Vod.id)).one()


def break_everything(
    recorder: RecorderProcess, encoder: Encoder, kill_the_worker: Callable[[], None]
) -> float:
    """Forty seconds of a broadcast, and what the processes take to begin; each pause is what is to
    be recorded meanwhile. For how many seconds the recorder was away at the longest.
    """
    pause = lambda seconds: time.sleep(seconds + random.random() / 2)  # noqa: E731
    pause(8)
    down_seconds = [kill_and_start(recorder)]
    kill_the_worker()
    pause(6)
    with store_away(recorder.settings):
        pause(8)
    encoder.lose_network()
    pause(6)
    with store_away(recorder.settings):
        pause(6)
        down_seconds.append(kill_and_start(recorder))
    kill_the_worker()
    pause(6)
    return max(down_seconds)


def kill_and_start(recorder: RecorderProcess) -> float:
    """For how many seconds nobody listened."""
    killed_at = time.monotonic()
    recorder.kill()
    recorder.start()
    return time.monotonic() - killed_at


def expect_everything_made(settings: Settings, library: Library, vod_id: str) -> None:
    """What the worker makes is there, whole, and counted once."""
    store = open_store(settings)
    with library.session() as s:
        vod = s.get_one(Vod, vod_id)
    keys = [vod.storyboard_key, vod.preview_key, vod.loudness_key, vod.poster_key, vod.mp4_key]
    assert all(key is not None and store.exists(key) for key in keys)
    there = store.list(f"vods/{vod.channel_id}/{vod.stream_id}")
    assert vod.size_bytes == sum(info.size_bytes for info in there)


def expect_it_plays_to_the_end(
    settings: Settings, vod: Vod, runs: Sequence[RunWithSegments]
) -> None:
    """In a browser, as fast as the page offers: across each gap, and to the end."""
    lengths_ms = [sum(one.duration_ms for one in run.segments) for run in runs]
    *gaps_ms, end_ms = accumulate(lengths_ms)
    with (
        listening() as (held, url),
        serving_site(settings.model_copy(update={"public_url": url}), held),
        launched_browser() as browser,
        browser.new_context() as context,
    ):
        page = context.new_page()
        page.goto(f"{url}/vods/{vod.id}")
        wait_for(lambda: page.evaluate(f"{VIDEO}.readyState >= 2"))
        page.evaluate(f"{VIDEO}.muted = true, {VIDEO}.playbackRate = 2, {VIDEO}.play()")
        for gap_ms in gaps_ms:
            page.evaluate(f"{VIDEO}.currentTime = {gap_ms / 1000 - 1}")
            wait_for(lambda: page.evaluate(f"{VIDEO}.currentTime > {gap_ms / 1000 + 0.5}"))  # noqa: B023
        page.evaluate(f"{VIDEO}.currentTime = {end_ms / 1000 - 2}")
        wait_for(lambda: page.evaluate(f"{VIDEO}.ended"))
        assert page.evaluate(f"{VIDEO}.currentTime * 1000") == pytest.approx(end_ms, abs=200)


def expect_gaps(found: Ledger, kills: int, down_seconds: float) -> None:
    """Each kill and each lost network is one gap with its cause; nothing else is missing."""
    causes = [gap.cause for gap in found.gaps]
    assert causes.count("recorder_down") == kills
    assert causes.count("encoder_reconnect") == kills // 2
    assert set(causes) <= {"late_start", "recorder_down", "encoder_reconnect"}
    assert found.captured_ms + sum(gap.duration_ms for gap in found.gaps) == found.expected_ms
    # the open segment, until the encoder tries again, and until a keyframe comes
    assert all(gap.duration_ms < (down_seconds + 12) * 1000 for gap in found.gaps)
