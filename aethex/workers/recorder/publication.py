"""One publication: an input's bytes, from its admission until they end, as a sink for listeners.

What belongs here: what its end means for the stream. What does not: sockets, segments (`capture`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aethex.library import GapCause, SignalKind
from aethex.media.errors import MediaError
from aethex.workers.recorder.capture import Capture
from aethex.workers.recorder.desk import Admission, Desk

logger = logging.getLogger(__name__)


class Publication:
    """FLV in, until `finish`; a `Sink`."""

    def __init__(
        self,
        admission: Admission,
        capture: Capture,
        desk: Desk,
        on_end: Callable[[Publication], None],
        lost_cause: GapCause = "encoder_reconnect",
        tells: bool = True,
    ) -> None:
        """`lost_cause`: why something is missing when it is lost. `tells`: whether its end says
        something of the stream; else the input's provider does.
        """
        self.admission = admission
        self.capture = capture
        self.is_leaving = False
        """The recorder stops: the stream stays live, and goes on with the next one."""
        self.is_taken = False
        """Another recorder has the input: nothing more is recorded here, and nothing told."""
        self._desk = desk
        self._on_end = on_end
        self._lost_cause: GapCause = lost_cause
        self._tells = tells

    @property
    def stream_id(self) -> str:
        return self.admission.stream_id

    async def write(self, data: bytes) -> None:
        """The next bytes. Raises MediaError for what cannot be recorded, and ConnectionAbortedError
        once another recorder has the input.
        """
        if self.is_taken:
            raise ConnectionAbortedError("another recorder has this input")
        try:
            await self.capture.write(data)
        except MediaError as error:
            logger.error("stream %s cannot be recorded: %s", self.stream_id, error)
            raise

    async def finish(self, is_clean: bool) -> None:
        """No byte follows. Clean: the stream ends now; else a reconnect is awaited."""
        await asyncio.shield(self._finish(is_clean))

    async def _finish(self, is_clean: bool) -> None:
        try:
            await self.capture.finish()
        except Exception as error:
            logger.error("the last segment of %s could not be kept: %s", self.stream_id, error)
        try:
            kind, cause = self._ending(is_clean)
            await asyncio.to_thread(self._desk.leave, self.admission, kind, cause)
        except Exception as error:
            # The stream is still told to be live: the next look at what nobody records finds it.
            logger.error("the end of stream %s could not be told: %s", self.stream_id, error)
        finally:
            self._on_end(self)

    def _ending(self, is_clean: bool) -> tuple[SignalKind | None, GapCause | None]:
        if self.is_taken:
            return None, None
        if self.is_leaving:
            return None, "recorder_down"
        if not self._tells:
            return None, self._lost_cause
        if is_clean:
            return "ended", None
        return "disconnected", self._lost_cause
