"""RTMP's chunk stream: messages out of interleaved chunks, and messages into chunks.

What belongs here: section 5.3 and 5.4.1–5.4.2 of Adobe's RTMP specification 1.0. What does not:
what a message means.

Memory is bounded: what is held is what was received, at most one message per chunk stream, and all
of them together at most one message's limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from aethex.media.rtmp.events import MAX_CHUNK_STREAMS, BadRtmp

SET_CHUNK_SIZE = 1
ABORT = 2
_HEADER_BYTES = (11, 7, 3, 0)
_EXTENDED = 0xFFFFFF
_FEWEST_REPEATS = 2
"""From this many continuation chunks on, taking them at once is faster than one by one."""


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message. `timestamp_ms` is absolute, modulo 2^32."""

    type_id: int
    stream_id: int
    timestamp_ms: int
    payload: bytes


@dataclass(slots=True)
class _ChunkStream:
    continuation: bytes
    """The basic header of a type 3 chunk of this chunk stream."""

    timestamp_ms: int = 0
    field_ms: int = 0
    """What the last header said: an absolute time (type 0) or a delta (types 1 and 2)."""

    length: int = 0
    type_id: int = 0
    stream_id: int = 0
    extended: bytes = b""
    """The extended timestamp of the message, if it has one; type 3 chunks repeat it."""

    repeats_extended: bool | None = None
    payload: bytearray = field(default_factory=bytearray)
    is_open: bool = False


class ChunkReader:
    """Takes bytes as they come, gives whole messages; Set Chunk Size and Abort it obeys itself.

    `max_message_bytes` may be raised between messages.
    """

    def __init__(self, max_message_bytes: int) -> None:
        self.max_message_bytes = max_message_bytes
        self._chunk_bytes = 128
        self._buffer = bytearray()
        self._offset = 0
        self._streams: dict[int, _ChunkStream] = {}
        self._open: _ChunkStream | None = None
        self._chunk_left = 0
        self._held_bytes = 0

    def feed(self, data: bytes) -> None:
        """Add what was received."""
        del self._buffer[: self._offset]
        self._offset = 0
        self._buffer += data

    @property
    def waiting_bytes(self) -> int:
        """Bytes that were fed and are not taken yet."""
        return len(self._buffer) - self._offset

    def next_message(self) -> Message | None:
        """The next whole message; None when more bytes are needed. Raises BadRtmp."""
        while True:
            if self._open is None and not self._read_header():
                return None
            stream = self._open
            if stream is None or not self._take_chunk(stream):
                return None
            if len(stream.payload) < stream.length:
                continue
            message = self._close(stream)
            if message.type_id == SET_CHUNK_SIZE:
                self._set_chunk_size(message.payload)
            elif message.type_id == ABORT:
                self._abort(message.payload)
            else:
                return message

    def _read_header(self) -> bool:
        """Read a chunk's header and open its chunk; False when it is not all there yet."""
        buffer, start = self._buffer, self._offset
        if start >= len(buffer):
            return False
        form, number = buffer[start] >> 6, buffer[start] & 63
        basic_bytes = 1 + (number < 2) + (number == 1)
        after = start + basic_bytes + _HEADER_BYTES[form]
        if after > len(buffer):
            return False
        if number < 2:
            number = 64 + int.from_bytes(buffer[start + 1 : start + basic_bytes], "little")
        stream = self._streams.get(number)
        if stream is None:
            stream = self._new_stream(number, form, buffer[start : start + basic_bytes])
        if stream.is_open:
            if form != 3:
                raise BadRtmp("a message begins within another one of its chunk stream")
            if not self._continue(stream, after):
                return False
        else:
            header = bytes(buffer[start + basic_bytes : after])
            if not self._begin(stream, form, header, after):
                return False
        self._open = stream
        self._chunk_left = min(self._chunk_bytes, stream.length - len(stream.payload))
        return True

    def _new_stream(self, number: int, form: int, basic: bytearray) -> _ChunkStream:
        if form > 1:  # type 1 there is wrong, but librtmp pings so
            raise BadRtmp("a chunk stream begins without a whole header")
        if len(self._streams) >= MAX_CHUNK_STREAMS:
            raise BadRtmp(f"more than {MAX_CHUNK_STREAMS} chunk streams")
        stream = self._streams[number] = _ChunkStream(bytes([basic[0] | 0xC0]) + bytes(basic[1:]))
        return stream

    def _begin(self, stream: _ChunkStream, form: int, header: bytes, after: int) -> bool:
        if form == 3:
            end = self._skip_extended(stream, after)
        else:
            field_ms = int.from_bytes(header[:3], "big")
            end = after + 4 if field_ms == _EXTENDED else after
            extended = bytes(self._buffer[after:end])
            if len(extended) == end - after:
                stream.field_ms = int.from_bytes(extended, "big") if extended else field_ms
                stream.extended, stream.repeats_extended = extended, None
        if end > len(self._buffer):
            return False
        if form < 2:
            stream.length, stream.type_id = int.from_bytes(header[3:6], "big"), header[6]
        if form == 0:
            stream.stream_id = int.from_bytes(header[7:11], "little")
            stream.timestamp_ms = stream.field_ms
        else:
            # Also of a type 3 chunk after a type 0 one: section 5.3.1.2.4.
            stream.timestamp_ms = (stream.timestamp_ms + stream.field_ms) & 0xFFFFFFFF
        if stream.length > self.max_message_bytes:
            raise BadRtmp(f"a message of more than {self.max_message_bytes} bytes")
        stream.is_open = True
        self._offset = end
        return True

    def _continue(self, stream: _ChunkStream, after: int) -> bool:
        end = self._skip_extended(stream, after)
        if end > len(self._buffer):
            return False
        self._offset = end
        return True

    def _skip_extended(self, stream: _ChunkStream, after: int) -> int:
        """Where the payload of a type 3 chunk begins; beyond the buffer when that is not known yet.

        A message with an extended timestamp repeats it in its type 3 chunks (5.3.1.3), but some
        writers leave it out: the first such chunk shows which.
        """
        if not stream.extended or stream.repeats_extended is False:
            return after
        if stream.repeats_extended is None:
            found = bytes(self._buffer[after : after + 4])
            if found == stream.extended or not stream.extended.startswith(found):
                stream.repeats_extended = found == stream.extended
                return self._skip_extended(stream, after)
        return after + 4

    def _take_chunk(self, stream: _ChunkStream) -> bool:
        """Take what is there of the open chunk and of those that continue it; False when more bytes
        are needed for the chunk.
        """
        taken = min(self._chunk_left, len(self._buffer) - self._offset)
        if taken:
            self._hold(stream, self._buffer[self._offset : self._offset + taken])
            self._offset += taken
            self._chunk_left -= taken
        if self._chunk_left:
            return False
        self._open = None
        self._take_repeats(stream)
        return True

    def _take_repeats(self, stream: _ChunkStream) -> None:
        """Take all whole continuation chunks that follow without another chunk between them.

        Their headers are equal and stand at a fixed stride, so they are compared and cut out
        by slices: with chunks of 128 bytes a message of 25 KB has two hundred.
        """
        header = stream.continuation
        if stream.extended:
            if stream.repeats_extended is None:
                return
            header += stream.extended if stream.repeats_extended else b""
        stride = len(header) + self._chunk_bytes
        count = min(
            (stream.length - len(stream.payload)) // self._chunk_bytes,
            (len(self._buffer) - self._offset) // stride,
        )
        if count < _FEWEST_REPEATS:
            return
        chunks = self._buffer[self._offset : self._offset + count * stride]
        for position in range(len(header)):
            column = chunks[position::stride]
            equal = len(column) - len(column.lstrip(header[position : position + 1]))
            count = min(count, equal)
        del chunks[count * stride :]
        self._offset += count * stride
        for removed in range(len(header)):
            del chunks[:: stride - removed]
        self._hold(stream, chunks)

    def _hold(self, stream: _ChunkStream, part: bytearray) -> None:
        self._held_bytes += len(part)
        if self._held_bytes > self.max_message_bytes:
            raise BadRtmp(f"unfinished messages of more than {self.max_message_bytes} bytes")
        stream.payload += part

    def _close(self, stream: _ChunkStream) -> Message:
        payload = bytes(stream.payload)
        self._drop(stream)
        return Message(stream.type_id, stream.stream_id, stream.timestamp_ms, payload)

    def _drop(self, stream: _ChunkStream) -> None:
        self._held_bytes -= len(stream.payload)
        stream.payload = bytearray()
        stream.is_open = False

    def _set_chunk_size(self, payload: bytes) -> None:
        # Any size: chunks are taken as their bytes come, so a large one needs no more memory.
        size = int.from_bytes(payload[:4], "big")
        if len(payload) < 4 or not 1 <= size <= 0x7FFFFFFF:
            raise BadRtmp("a chunk size that is none")
        self._chunk_bytes = size

    def _abort(self, payload: bytes) -> None:
        stream = self._streams.get(int.from_bytes(payload[:4], "big"))
        if stream is not None and stream.is_open:
            self._drop(stream)


def write_chunks(message: Message, chunk_stream: int, chunk_bytes: int) -> bytes:
    """A message as chunks of a chunk stream 2–63: a whole header, then type 3."""
    extended = b""
    field_ms = message.timestamp_ms
    if field_ms >= _EXTENDED:
        extended, field_ms = field_ms.to_bytes(4, "big"), _EXTENDED
    header = (
        bytes([chunk_stream])
        + field_ms.to_bytes(3, "big")
        + len(message.payload).to_bytes(3, "big")
        + bytes([message.type_id])
        + message.stream_id.to_bytes(4, "little")
        + extended
    )
    parts = [header, message.payload[:chunk_bytes]]
    for start in range(chunk_bytes, len(message.payload), chunk_bytes):
        parts += [bytes([0xC0 | chunk_stream]), extended]
        parts.append(message.payload[start : start + chunk_bytes])
    return b"".join(parts)
