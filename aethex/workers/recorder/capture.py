"""One capture: the bytes of a live stream in, closed segments on the disk out.

What belongs here: carrying out what the segmenter says, and what a full disk does to it. What does
not: where bytes come from, uploading (`archive`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from aethex.library import GapCause, new_id
from aethex.media.flv import FlvReader
from aethex.media.record import (
    Output,
    RunEnded,
    RunSeen,
    RunStarted,
    SegmentBytes,
    SegmentClosed,
    Segmenter,
)
from aethex.workers.recorder.archive import Archive
from aethex.workers.recorder.spool import RunFacts, RunSpool, Spool, SpooledSegment

logger = logging.getLogger(__name__)

_DISK = ThreadPoolExecutor(8, "disk")
"""Not asyncio's own threads: while the database is away, all of those may wait for it."""

NoteBreak = Callable[[GapCause, datetime], None]


class Capture:
    """Takes one publication of a stream, as FLV in pieces of any size, until it ends."""

    def __init__(
        self,
        stream_id: str,
        input_id: str | None,
        spool: Spool,
        archive: Archive,
        clock: Callable[[], datetime],
        note_break: NoteBreak,
    ) -> None:
        """`note_break` is told why something is missing from a moment on; it must not wait."""
        self.stream_id = stream_id
        self.segments = 0
        self._input_id = input_id
        self._spool = spool
        self._archive = archive
        self._clock = clock
        self._note_break = note_break
        self._missing_since: datetime | None = None
        """Since when nothing of it can be kept."""
        self._reader = FlvReader()
        self._segmenter = Segmenter()
        self._seen_at: datetime | None = None
        self._run: RunSpool | None = None

    def note_break(self, cause: GapCause) -> None:
        """Something will be missing from now on."""
        self._note_break(cause, self._clock())

    async def write(self, data: bytes) -> None:
        """The next bytes. Raises MediaError for what cannot be recorded."""
        for event in self._reader.feed(data):
            if outputs := list(self._segmenter.add(event)):
                await self._carry_out(outputs)

    async def finish(self) -> None:
        """No more bytes: what came is a segment."""
        await self._carry_out(list(self._segmenter.end()))
        if self._missing_since is not None:
            self._note_break("store", self._missing_since)
        if self._seen_at is None:
            logger.warning("no picture came of %s: nothing was recorded", self.stream_id)
        for codec in sorted(self._segmenter.left_out):
            logger.warning("sound of %s was left out: it is %s, not AAC", self.stream_id, codec)

    async def _carry_out(self, outputs: Sequence[Output]) -> None:
        seen = [one for one in outputs if isinstance(one, RunSeen)]
        seen_at = self._clock() if seen else None
        if any(one.is_late for one in seen):
            self.note_break("late_start")
        before = [one for one in outputs if not isinstance(one, RunSeen)]
        closed: list[SpooledSegment] = []
        try:
            if before:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(_DISK, self._write, before, closed)
        except OSError as error:
            logger.error("recording of %s cannot be written: %s", self.stream_id, error)
            self._drop()
        for segment in closed:
            if self._archive.has_room(segment.bytes):
                self._archive.offer(segment)
                self.segments += 1
                if self._missing_since is not None:  # who was told then may have been away, too
                    self._note_break("store", self._missing_since)
                    self._missing_since = None
            else:
                segment.remove()
                logger.error("no room for a segment of %s: it is dropped", self.stream_id)
                self._drop()
        if seen_at is not None:
            self._seen_at = seen_at

    def _drop(self) -> None:
        """Nothing more can be kept now; a new run begins with the next keyframe."""
        self._segmenter.drop_run()
        if self._run is not None:
            self._run.end()
            self._run = None
        if self._missing_since is None:  # not with each keyframe of an outage of hours
            self._missing_since = self._clock()
            self._note_break("store", self._missing_since)

    # in a thread

    def _write(self, outputs: Iterable[Output], closed: list[SpooledSegment]) -> None:
        """Segments that close are added to `closed`, also when what follows cannot be written."""
        for output in outputs:
            match output:
                case RunStarted():
                    self._run = self._start(output)
                case SegmentBytes():
                    if self._run is not None:
                        self._run.write(output.parts)
                case SegmentClosed():
                    if self._run is not None:
                        closed.append(self._run.close_segment(output))
                case RunEnded():
                    if self._run is not None:
                        self._run.end()
                        self._run = None
                    if output.why == "jump":
                        self.note_break("dropped")
                case RunSeen():
                    pass

    def _start(self, started: RunStarted) -> RunSpool:
        facts = RunFacts(
            run_id=new_id("run"),
            stream_id=self.stream_id,
            input_id=self._input_id,
            started_at=self._archive.place(self.stream_id, self._seen_at or self._clock()),
            width=started.width,
            height=started.height,
            has_sound=started.has_sound,
        )
        return self._spool.run(facts, started)
