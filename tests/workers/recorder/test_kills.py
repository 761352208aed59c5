"""A recorder that dies between any two steps, and one that has no room: what the next one finds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from aethex.library import Library, Stream, captures, vods
from aethex.library.ledger import ledger
from aethex.library.models import CaptureBreak
from aethex.settings import Settings
from aethex.store import Store, StoreError
from aethex.workers.recorder.finish import finish_capture
from aethex.workers.recorder.spool import Spool
from tests.workers.recorder.live_streams import (
    START,
    Studio,
    add_live_stream,
    decoded_frames,
    end_stream,
    make_flv,
    pieces_of,
)


@pytest.fixture(scope="module")
def flv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen seconds: three segments of four, and two seconds that only an end closes."""
    return make_flv(tmp_path_factory.mktemp("flv") / "fourteen.flv", 14, size="192x108")


@pytest.fixture
def quick(settings: Settings) -> Settings:
    return settings.model_copy(update={"recording_min_seconds": 5})


@pytest.fixture
def stream(library: Library) -> Stream:
    return add_live_stream(library)


class Away:
    """A store that cannot be reached."""

    def put(self, *_: object, **__: object) -> None:
        raise StoreError("the store is away")


class Killed(BaseException):
    """kill -9, as far as the code that it hits can tell."""


def die(studio: Studio) -> None:
    """What the kernel does when a process is killed: its locks are free, its files stay."""
    for descriptor in studio.spool._locks.values():
        os.close(descriptor)


def left_by_a_killed_recorder(
    settings: Settings, library: Library, stream: Stream, flv: Path
) -> None:
    """All of the stream has come, nothing went up, and then it was killed."""
    studio = Studio(settings, library, Away())  # pyright: ignore[reportArgumentType]

    async def run() -> None:
        await studio.feed(studio.capture(stream), pieces_of(flv))
        assert not await studio.archive.drain(0.1)

    asyncio.run(run())
    die(studio)


def test_the_next_recorder_uploads_what_had_closed(
    quick: Settings, library: Library, stream: Stream, folder_store: Store, flv: Path
):
    left_by_a_killed_recorder(quick, library, stream, flv)
    studio = Studio(quick, library, folder_store, instance="two")

    async def run() -> None:
        for segment in studio.spool.adopt_left():
            studio.archive.offer(segment)
        assert await studio.archive.drain(30)

    asyncio.run(run())
    studio.spool.tidy()
    assert [path.name for path in quick.recorder_dir.iterdir()] == ["two"]
    end_stream(library, stream.id, timedelta(seconds=14))
    studio.finish()
    with library.session() as s:
        (vod,) = vods.list_stream_vods(s, stream.id)
    assert vod.duration_ms == 12_000
    assert decoded_frames(quick, str(vod.playlist_key)) == 360
    studio.close()


def test_a_living_recorders_segments_are_its_own(
    quick: Settings, library: Library, stream: Stream, folder_store: Store, flv: Path
):
    studio = Studio(quick, library, folder_store)

    async def run() -> None:
        await studio.feed(studio.capture(stream), pieces_of(flv))
        assert Spool(quick.recorder_dir, "another").adopt_left() == []
        assert await studio.archive.drain(30)

    asyncio.run(run())
    studio.close()


def test_a_segment_that_was_on_its_way_goes_again(
    quick: Settings, library: Library, stream: Stream, folder_store: Store, flv: Path
):
    """Killed before each of its steps: init, segment, library, playlist."""
    left_by_a_killed_recorder(quick, library, stream, flv)
    for step in range(30):
        studio = Studio(quick, library, folder_store, instance=f"number {step}")
        segments = studio.spool.adopt_left()
        if not segments:
            break
        with dying_at(step % 7, studio):
            studio.archive._take_up(_line(), segments[0])
            segments[0].remove()
        die(studio)
    with library.session() as s:
        capture = captures.of_stream(s, stream.id)
        assert capture is not None
        (run,) = vods.runs_and_segments(s, capture.vod_id)
    assert [one.sequence for one in run.segments] == [0, 1, 2]


def test_finishing_can_be_killed_at_any_step(
    quick: Settings, library: Library, stream: Stream, folder_store: Store, flv: Path
):
    studio = Studio(quick, library, folder_store)
    studio.record(stream, flv)
    end_stream(library, stream.id, timedelta(seconds=14))
    steps = 0
    while True:
        with library.session() as s:
            (waiting,) = captures.to_finish(s)
        with dying_at(steps, studio) as died:
            assert finish_capture(quick, library, folder_store, waiting, lambda: START)
        with library.session() as s:
            listed = vods.list_stream_vods(s, stream.id)
        if listed:  # then it plays
            assert decoded_frames(quick, str(listed[0].playlist_key)) == 420
        if not died:
            break
        steps += 1
    assert steps >= 5
    with library.session() as s:
        assert captures.to_finish(s) == []
    names = {info.key.rpartition("/")[2] for info in folder_store.list("vods")}
    assert "live.m3u8" not in names
    assert {"index.m3u8", "poster.jpg", "init.mp4"} <= names
    studio.close()


def test_without_room_new_segments_are_dropped_and_the_gap_says_so(
    quick: Settings, library: Library, stream: Stream, folder_store: Store, flv: Path
):
    """The store is away, and the disk may hold about one segment."""
    one_segment = flv.stat().st_size // 3
    small = quick.model_copy(update={"recorder_disk_max_bytes": one_segment * 5 // 4})
    studio = Studio(small, library, folder_store)
    working, studio.store = studio.store, Away()  # pyright: ignore[reportAttributeAccessIssue]

    async def run() -> None:
        capture = studio.capture(stream)
        for piece in pieces_of(flv, flv.stat().st_size // 28):
            studio.now += timedelta(seconds=0.5)
            await capture.write(piece)
        studio.store = working
        await capture.finish()
        assert await studio.archive.drain(30)

    asyncio.run(run())
    assert set(studio.breaks) == {"store"}
    end_stream(library, stream.id, timedelta(seconds=14))
    studio.finish()
    with library.session() as s:
        capture = captures.of_stream(s, stream.id)
        assert capture is not None
        found = ledger(s, capture.vod_id)
    assert [gap.cause for gap in found.gaps if gap.duration_ms > 2_000] == ["store"]
    studio.close()


def test_an_outage_is_noted_when_it_begins_and_when_it_is_over_however_long_it_is(
    quick: Settings, library: Library, stream: Stream, folder_store: Store, flv: Path
):
    studio = Studio(quick.model_copy(update={"recorder_disk_max_bytes": 1}), library, folder_store)

    async def run() -> None:
        capture = studio.capture(stream)
        await studio.feed(capture, pieces_of(flv, 4_000))
        assert len(studio.breaks) == 1
        await capture.finish()

    asyncio.run(run())
    assert studio.breaks == ["store", "store"]
    with library.session() as s:
        assert {*s.scalars(select(CaptureBreak.at))} == {START}
    studio.close()


def _line() -> Any:
    from aethex.workers.recorder.archive import _Line

    return _Line()


@contextmanager
def dying_at(step: int, studio: Studio) -> Iterator[list[int]]:
    """Kill the block right before the step of this number: a write to the store, or a commit."""
    left = [step]
    died: list[int] = []

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **more: Any) -> Any:
            if left[0] == 0:
                died.append(step)
                raise Killed
            left[0] -= 1
            return call(*arguments, **more)

        return counting

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studio.store, "put", counted(studio.store.put))
        patch.setattr(studio.store, "delete", counted(studio.store.delete))
        commit = counted(lambda _: None)
        event.listen(Session, "before_commit", commit)
        try:
            with suppress(Killed):
                yield died
        finally:
            event.remove(Session, "before_commit", commit)
