"""The recorder's process: what listens, what is pulled, what waits, and a look at it all.

What belongs here: putting the parts together, starting, stopping. What does not: the parts.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from ulid import ULID

from aethex.library import GapCause, Library
from aethex.library.captures import CaptureToFinish, Pull
from aethex.library.holds import Holds
from aethex.media.rtmp import Publish
from aethex.settings import Settings
from aethex.store import open_store
from aethex.workers.recorder.archive import Archive
from aethex.workers.recorder.capture import Capture
from aethex.workers.recorder.desk import Admission, Desk
from aethex.workers.recorder.finish import finish_capture
from aethex.workers.recorder.publication import Publication
from aethex.workers.recorder.pulls import Pulls
from aethex.workers.recorder.rtmp_server import serve_rtmp
from aethex.workers.recorder.sink import Sink
from aethex.workers.recorder.spool import Spool
from aethex.workers.recorder.srt import SrtInput, parsed_inputs, serve_srt

logger = logging.getLogger(__name__)

_FINISHED_AT_ONCE = 3


@dataclass(frozen=True)
class Pace:
    """How often the recorder looks, in seconds."""

    busy_seconds: float = 1.0
    """While it records, or something waits for being finished."""
    idle_seconds: float = 5.0
    take_back_seconds: float = 30.0
    """For what other recorders left when they died: streams, and on this machine segments."""
    drain_seconds: float = 8.0
    """So long it uploads when it is told to stop. What is left waits for the next start."""


class Recorder:
    """All parts of one recorder. `start`, then `run` until `stop` is set."""

    def __init__(
        self,
        settings: Settings,
        library: Library,
        pace: Pace | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self.stop = asyncio.Event()
        self.rtmp_port: int | None = None
        self._library = library
        self._pace = pace or Pace()
        self._clock = clock
        secret = settings.srt_inputs
        self._srt_inputs = parsed_inputs(secret.get_secret_value(), settings.host) if secret else []
        self._store = cache(lambda: open_store(settings))
        self._holds = Holds(settings)
        self._desk = Desk(settings, library, self._holds, clock)
        settings.recorder_dir.mkdir(parents=True, exist_ok=True)
        self._spool = Spool(settings.recorder_dir, str(ULID()))
        self._wake = asyncio.Event()
        self._archive = Archive(
            library, self._store, settings.recorder_disk_max_bytes, self._wake.set
        )
        self._pulls = Pulls(settings, self._desk, self._begin_pull)
        self._publications: set[Publication] = set()
        self._finishing = asyncio.Semaphore(_FINISHED_AT_ONCE)
        self._finishes: dict[str, asyncio.Task[None]] = {}
        """What is being finished, by the VOD."""
        self._looked_back_at = float("-inf")
        self._was_away = False
        self._notes = ThreadPoolExecutor(1, "notes")

    async def run(self) -> None:
        """Record until `stop` is set; then close segments, upload, and end."""
        async with AsyncExitStack() as stack:
            stack.callback(self._holds.close)
            stack.callback(self._spool.close)
            stack.callback(self._archive.close)
            stack.callback(self._notes.shutdown)
            stack.push_async_callback(self._drain)
            await self._adopt_left()
            await self._look()  # first, so that encoders that come back find their streams
            if self.settings.rtmp_port:
                server = await serve_rtmp(
                    self.settings.host, self.settings.rtmp_port, self._on_publish
                )
                self.rtmp_port = server.port
                logger.info("RTMP on %s:%d", self.settings.host, server.port)
                stack.push_async_callback(server.stop)
            for srt_input in self._srt_inputs:
                stack.push_async_callback(_end, asyncio.create_task(self._listen_srt(srt_input)))
            stack.push_async_callback(self._pulls.stop)
            stack.callback(self._leave)
            await self._loop()

    def _leave(self) -> None:
        """What ends from now on ends because this process does."""
        for publication in self._publications:
            publication.is_leaving = True

    async def _drain(self) -> None:
        await self._archive.drain(self._pace.drain_seconds)
        if self._finishes:
            await asyncio.wait(self._finishes.values(), timeout=self._pace.drain_seconds)

    async def _loop(self) -> None:
        stopped = asyncio.create_task(self.stop.wait())
        try:
            while not self.stop.is_set():
                is_busy = bool(self._publications) or self._archive.waiting_bytes or self._was_away
                seconds = self._pace.busy_seconds if is_busy else self._pace.idle_seconds
                woken = asyncio.create_task(self._wake.wait())
                await asyncio.wait(
                    [stopped, woken], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
                )
                woken.cancel()
                self._wake.clear()
                await self._look()
        finally:
            stopped.cancel()

    # a look at everything

    async def _adopt_left(self) -> None:
        """Upload what a dead recorder of this machine left."""
        left = await asyncio.to_thread(self._spool.adopt_left)
        for segment in left:
            self._archive.offer(segment)
        if left:
            size_bytes = sum(segment.bytes for segment in left)
            logger.info("%d bytes of a dead recorder go up", size_bytes)

    async def _look(self) -> None:
        try:
            await asyncio.to_thread(self._desk.settle)
            await self._check_holds()
            await self._take_back()
            await self._pulls.sync(await asyncio.to_thread(self._desk.pulls))
            self._was_away = False
            for capture in await asyncio.to_thread(self._desk.to_finish):
                self._begin_finish(capture)
        except Exception as error:
            if not self._was_away:
                logger.warning("cannot look after streams now: %s", error)
            self._was_away = True
        await asyncio.to_thread(self._spool.tidy)

    async def _check_holds(self) -> None:
        lost = await asyncio.to_thread(self._desk.lost_holds)
        for publication in self._publications:
            if publication.admission.input_id in lost:
                publication.is_taken = True

    async def _take_back(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._looked_back_at < self._pace.take_back_seconds:
            return
        await self._adopt_left()
        await asyncio.to_thread(self._desk.take_back)
        self._looked_back_at = now

    def _begin_finish(self, capture: CaptureToFinish) -> None:
        """Finish it beside all else, which must not wait for a store that does not answer."""
        if capture.vod_id in self._finishes:
            return
        task = asyncio.create_task(self._finish(capture))
        self._finishes[capture.vod_id] = task
        task.add_done_callback(lambda _: self._finishes.pop(capture.vod_id))

    async def _finish(self, capture: CaptureToFinish) -> None:
        is_recorded = any(one.stream_id == capture.stream_id for one in self._publications)
        if is_recorded or not self._archive.is_idle(capture.stream_id):
            return

        def finish() -> bool:
            return finish_capture(self.settings, self._library, self._store(), capture, self._clock)

        try:
            async with self._finishing:
                is_done = await asyncio.to_thread(finish)
        except Exception as error:
            logger.warning("VOD %s cannot be finished now: %s", capture.vod_id, error)
            self._was_away = True
            return
        if is_done:
            self._archive.forget(capture.stream_id)
            logger.info("stream %s: VOD %s is finished", capture.stream_id, capture.vod_id)
        else:
            self._wake.set()

    # what comes in

    async def _on_publish(self, publish: Publish) -> Sink | None:
        if self.stop.is_set():
            return None
        admission = await asyncio.to_thread(self._desk.admit_key, "rtmp", publish.stream_key)
        return None if admission is None else self._publication(admission)

    async def _listen_srt(self, srt_input: SrtInput) -> None:
        async def on_connect() -> Sink | None:
            key = srt_input.passphrase
            admission = await asyncio.to_thread(self._desk.admit_key, "srt", key)
            return None if admission is None else self._publication(admission)

        logger.info("SRT on %s:%d", srt_input.host, srt_input.port)
        await serve_srt(srt_input, on_connect)

    def _begin_pull(self, admission: Admission, pull: Pull) -> Publication:
        tells = pull.stream_id is None
        publication = self._publication(admission, lost_cause="network", tells=tells)
        if not tells and admission.last_end_at is None:
            publication.capture.note_break("late_start")  # its provider said before that it is live
        return publication

    def _publication(
        self,
        admission: Admission,
        lost_cause: GapCause = "encoder_reconnect",
        tells: bool = True,
    ) -> Publication:
        stream_id = admission.stream_id
        if admission.last_end_at is not None:
            self._archive.knows_end(stream_id, admission.last_end_at)

        def note(cause: GapCause, at: datetime) -> None:
            # beside the recording, which must not wait for a database that is away
            self._notes.submit(self._note, stream_id, at, cause)

        capture = Capture(
            stream_id, admission.input_id, self._spool, self._archive, self._clock, note
        )
        publication = Publication(
            admission, capture, self._desk, self._over, lost_cause=lost_cause, tells=tells
        )
        self._publications.add(publication)
        self._wake.set()
        return publication

    def _note(self, stream_id: str, at: datetime, cause: GapCause) -> None:
        with suppress(Exception):  # the gap is there without its cause, too
            self._desk.note(stream_id, at, cause)

    def _over(self, publication: Publication) -> None:
        self._publications.discard(publication)
        self._wake.set()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def record(settings: Settings) -> None:
    """Be the recorder until SIGTERM or SIGINT."""
    with Library.open(settings) as library:
        recorder = Recorder(settings, library)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, recorder.stop.set)
        await recorder.run()
