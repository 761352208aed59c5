"""Closed segments go from the spool into the store and the library, each stream's in order.

What belongs here: uploading, indexing, the live playlist, trying again. What does not: where
segments come from (`capture`), the VOD's end (`finish`).

The store is asked first and the library told last, so that what the library names is there. Any
step may be repeated, so a segment that was on its way when a recorder was killed simply goes again.
While the store or the database is away, segments wait on the disk, as many as
AETHEX_RECORDER_DISK_MAX_BYTES allows.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aethex.library import (
    Library,
    NewRun,
    NewVodSegment,
    NotInLibrary,
    Stream,
    captures,
    live,
    streams,
    vods,
)
from aethex.library.captures import Picture
from aethex.media.playlist import CONTENT_TYPE, PlaylistRun, PlaylistSegment, media_playlist
from aethex.media.vod import INIT_NAME, LIVE_PLAYLIST_NAME, segment_name
from aethex.store import Store
from aethex.workers.recorder.spool import SpooledSegment, sha256_of

logger = logging.getLogger(__name__)

_UPLOADS_AT_ONCE = 8
_JOINED_WITHIN = timedelta(minutes=1)
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 15.0


@dataclass
class _Line:
    """What waits of one stream, and what is known of its VOD."""

    waiting: deque[SpooledSegment] = field(default_factory=deque[SpooledSegment])
    task: asyncio.Task[None] | None = None
    runs: dict[str, _ListedRun] | None = None
    stored_inits: set[str] = field(default_factory=set[str])


@dataclass
class _ListedRun:
    """A run in the live playlist."""

    started_at: datetime
    segments: list[PlaylistSegment]
    is_independent: bool = True


class Archive:
    """The way into store and library. Its methods are called from the event loop."""

    def __init__(
        self,
        library: Library,
        store: Callable[[], Store],
        max_bytes: int,
        on_idle: Callable[[], None],
    ) -> None:
        """`store` is opened when it is needed, as it may be away at the start. `on_idle` is called
        whenever a stream has nothing left that waits."""
        self._library = library
        self._store = store
        self._max_bytes = max_bytes
        self._on_idle = on_idle
        self._lines: dict[str, _Line] = {}
        self._ends: dict[str, datetime] = {}
        self._threads = ThreadPoolExecutor(_UPLOADS_AT_ONCE, "upload")
        self.waiting_bytes = 0

    def has_room(self, size_bytes: int) -> bool:
        """Whether so much more may wait on the disk."""
        return self.waiting_bytes + size_bytes <= self._max_bytes

    def place(self, stream_id: str, at: datetime) -> datetime:
        """When a run that is seen first at that moment starts: not before the last one's end."""
        return max(at, self._ends.get(stream_id, at))

    def knows_end(self, stream_id: str, at: datetime) -> None:
        """Something of the stream was recorded until then."""
        self._ends[stream_id] = max(at, self._ends.get(stream_id, at))

    def offer(self, segment: SpooledSegment) -> None:
        """Take a closed segment; it goes up after those of its stream that were taken before."""
        stream_id = segment.run.stream_id
        end_ms = segment.start_ms + segment.duration_ms
        self.knows_end(stream_id, segment.run.started_at + timedelta(milliseconds=end_ms))
        self.waiting_bytes += segment.bytes
        line = self._lines.setdefault(stream_id, _Line())
        line.waiting.append(segment)
        if line.task is None:
            line.task = asyncio.get_running_loop().create_task(self._work(stream_id, line))

    def is_idle(self, stream_id: str) -> bool:
        """Whether nothing of this stream waits."""
        line = self._lines.get(stream_id)
        return line is None or line.task is None

    def forget(self, stream_id: str) -> None:
        """The stream is finished: keep nothing about it in memory."""
        if self.is_idle(stream_id):
            self._lines.pop(stream_id, None)
            self._ends.pop(stream_id, None)

    async def drain(self, timeout_seconds: float) -> bool:
        """Whether everything went up within that time; what did not stays on the disk."""
        tasks = [line.task for line in self._lines.values() if line.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            return not late
        return True

    def close(self) -> None:
        """Wait for uploads that are under way, and take no more."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _work(self, stream_id: str, line: _Line) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while line.waiting:
            segment = line.waiting[0]
            try:
                await loop.run_in_executor(self._threads, self._take_up, line, segment)
            except NotInLibrary:
                logger.warning("stream %s is gone; a segment of it is dropped", stream_id)
            except Exception as error:
                failures += 1
                if failures == 1:
                    logger.warning("segments of %s wait on the disk: %s", stream_id, error)
                wait = _FIRST_WAIT_SECONDS * 2 ** min(failures - 1, 10)
                await asyncio.sleep(min(_LONGEST_WAIT_SECONDS, wait))
                continue
            if failures:
                logger.info("segments of %s go up again", stream_id)
            failures = 0
            line.waiting.popleft()
            self.waiting_bytes -= segment.bytes
            segment.remove()
        line.task = None
        self._on_idle()

    # in a thread

    def _take_up(self, line: _Line, segment: SpooledSegment) -> None:
        run = segment.run
        stream = self._stream_of(segment)
        store = self._store()
        folder = f"vods/{stream.channel_id}/{stream.id}"
        init_key = f"{folder}/{run.run_id}/{INIT_NAME}"
        key = f"{folder}/{run.run_id}/{segment_name(segment.sequence)}"
        if run.run_id not in line.stored_inits:
            store.put(init_key, segment.init_path, content_type="video/mp4")
            line.stored_inits.add(run.run_id)
        store.put(key, segment.path, content_type="video/iso.segment")
        start = stream.started_at or run.started_at
        new_run = NewRun(
            id=run.run_id,
            started_at=run.started_at,
            start_ms=round((run.started_at - start) / timedelta(milliseconds=1)),
            pts_origin=0,
            init_key=init_key,
            init_bytes=segment.init_path.stat().st_size,
            init_sha256=sha256_of(segment.init_path),
        )
        with self._library.session() as s:
            vod_id = captures.add_segment(
                s, stream.id, new_run, _new_segment(segment, key), _picture(segment)
            )
        playlist = self._live_playlist(line, vod_id, segment)
        store.put(f"{folder}/{vod_id}/{LIVE_PLAYLIST_NAME}", playlist, content_type=CONTENT_TYPE)

    def _stream_of(self, segment: SpooledSegment) -> Stream:
        """The segment's stream, or what became of it: a late signal may have joined it with another
        one of its input. Raises NotInLibrary when it was removed.
        """
        run = segment.run
        with self._library.session() as s:
            found = streams.get(s, run.stream_id)
            if found is None and run.input_id is not None:
                found = live.stream_at(s, run.input_id, run.started_at, _JOINED_WITHIN)
        if found is None:
            raise NotInLibrary(f"There is no stream {run.stream_id}: it was removed.")
        return found

    def _live_playlist(self, line: _Line, vod_id: str, segment: SpooledSegment) -> bytes:
        """The recording so far. After the first time it is kept in step in memory."""
        if line.runs is None:
            with self._library.session() as s:
                line.runs = {
                    one.run.id: _ListedRun(
                        one.run.started_at,
                        [
                            PlaylistSegment(segment_name(known.sequence), known.duration_ms)
                            for known in one.segments
                        ],
                        all(known.is_independent for known in one.segments),
                    )
                    for one in vods.runs_and_segments(s, vod_id)
                }
        else:
            run = segment.run
            listed = line.runs.setdefault(run.run_id, _ListedRun(run.started_at, []))
            if len(listed.segments) <= segment.sequence:
                name = segment_name(segment.sequence)
                listed.segments.append(PlaylistSegment(name, segment.duration_ms))
                listed.is_independent &= segment.is_independent
        return live_playlist(line.runs)


def live_playlist(runs: dict[str, _ListedRun]) -> bytes:
    """A playlist that grows, its addresses relative to the VOD's folder beside the runs'."""
    listed = [
        PlaylistRun(
            f"../{run_id}/{INIT_NAME}",
            [PlaylistSegment(f"../{run_id}/{one.uri}", one.duration_ms) for one in run.segments],
            run.started_at,
        )
        for run_id, run in runs.items()
    ]
    is_independent = all(run.is_independent for run in runs.values())
    return media_playlist(listed, is_live=True, is_independent=is_independent).encode()


def _new_segment(segment: SpooledSegment, key: str) -> NewVodSegment:
    return NewVodSegment(
        run_id=segment.run.run_id,
        sequence=segment.sequence,
        key=key,
        start_ms=segment.start_ms,
        duration_ms=segment.duration_ms,
        bytes=segment.bytes,
        sha256=sha256_of(segment.path),
        is_independent=segment.is_independent,
    )


def _picture(segment: SpooledSegment) -> Picture:
    run = segment.run
    rate = round(segment.frames * 1000 / segment.duration_ms, 3)
    return Picture(run.width, run.height, rate, run.has_sound)
