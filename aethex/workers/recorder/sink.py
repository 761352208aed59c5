"""Where a publisher's bytes go: what recording must offer to those who accept publishers.

What belongs here: the protocol between the two. What does not: either side of it.
"""

from __future__ import annotations

from typing import Protocol


class Sink(Protocol):
    """One publication: `write` any number of times, then `finish` exactly once."""

    async def write(self, data: bytes) -> None:
        """Take the next bytes of the stream (FLV from RTMP, MPEG-TS from SRT).

        While this waits, nothing is read from the publisher. What it raises ends the publication.
        """
        ...

    async def finish(self, is_clean: bool) -> None:
        """No byte follows. Clean: the publisher ended the stream; else it was lost, and may come
        back.
        """
        ...
