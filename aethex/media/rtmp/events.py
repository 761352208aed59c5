"""What a publisher's bytes mean, and the one error of bytes that mean nothing.

What belongs here: events and limits of the protocol. What does not: how they are read from bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

MAX_MESSAGE_BYTES = 16 * 1024**2
"""The largest message of a publisher who was let in; RTMP's own length field ends here too."""

MAX_UNKNOWN_BYTES = 256 * 1024
"""What a client may send in all until it publishes; an encoder needs about 4 KiB."""

MAX_COMMAND_BYTES = 64 * 1024
MAX_CHUNK_STREAMS = 64
"""Encoders use three to six."""


class BadRtmp(Exception):
    """The bytes break the protocol or a limit. The message quotes nothing of what was sent."""


class MediaKind(IntEnum):
    """Both RTMP's message type and FLV's tag type."""

    AUDIO = 8
    VIDEO = 9
    DATA = 18


@dataclass(frozen=True, slots=True)
class Publish:
    """A client asks to publish. `name` is where encoders put the stream key, so neither it nor the
    app (where some people put it) shows in a `repr`.

    `address` is the client's, filled in by whoever holds the socket.
    """

    app: str = field(repr=False)
    name: str = field(repr=False)
    address: str = ""

    @property
    def stream_key(self) -> str:
        """The name without the query that some encoders add to it."""
        return self.name.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Media:
    """One audio, video or data message; the payload is what an FLV tag holds."""

    kind: MediaKind
    timestamp_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class End:
    """Nothing follows. Clean: the publisher said goodbye. Else `reason` says what went wrong."""

    is_clean: bool
    reason: str = ""


Event = Publish | Media | End
