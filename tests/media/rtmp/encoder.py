"""A publisher's side of RTMP, written apart from the code under test: what an encoder sends.

What belongs here: chunks with all header forms, commands as OBS and ffmpeg send them, publications.
What does not: sockets, and what should become of it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

HELLO = b"\x03" + bytes(1536)
HELLO_AGAIN = bytes(1536)
AUDIO, VIDEO, DATA, COMMAND = 8, 9, 18, 20
NONCE = bytes(range(191)) * 8


@dataclass(frozen=True)
class Sent:
    """A message as the encoder has it."""

    chunk_stream: int
    type_id: int
    time_ms: int
    payload: bytes
    stream_id: int = 1


@dataclass
class Chunker:
    """Cuts messages into chunks. `form` picks a header's form among the allowed ones (0–3; the
    default is the shortest); `repeats_extended` as the specification wants it.
    """

    chunk_bytes: int = 128
    repeats_extended: bool = True
    form: Callable[[Sequence[int]], int] = max
    last: dict[int, tuple[Sent, int]] = field(default_factory=dict)

    def chunks(self, message: Sent) -> list[bytes]:
        form = self.form(self._allowed(message))
        previous, previous_field = self.last.get(message.chunk_stream, (message, 0))
        value = {0: message.time_ms, 3: previous_field}.get(
            form, message.time_ms - previous.time_ms
        )
        self.last[message.chunk_stream] = (message, value)
        extended = struct.pack(">I", value) if value >= 0xFFFFFF else b""
        size = struct.pack(">I", len(message.payload))[1:] + bytes([message.type_id])
        header = b"".join(
            (
                struct.pack(">I", min(value, 0xFFFFFF))[1:] if form < 3 else b"",
                size if form < 2 else b"",
                struct.pack("<I", message.stream_id) if form == 0 else b"",
                extended if form < 3 or self.repeats_extended else b"",
            )
        )
        again = basic(3, message.chunk_stream) + (extended if self.repeats_extended else b"")
        step, payload = self.chunk_bytes, message.payload
        rest = [again + payload[at : at + step] for at in range(step, len(payload), step)]
        return [basic(form, message.chunk_stream) + header + payload[:step], *rest]

    def bytes_of(self, messages: Iterable[Sent]) -> bytes:
        return b"".join(chunk for message in messages for chunk in self.chunks(message))

    def set_chunk_bytes(self, size: int) -> bytes:
        sent = self.bytes_of([Sent(2, 1, 0, struct.pack(">I", size), 0)])
        self.chunk_bytes = size
        return sent

    def _allowed(self, message: Sent) -> list[int]:
        if message.chunk_stream not in self.last:
            return [0]
        previous, value = self.last[message.chunk_stream]
        delta = message.time_ms - previous.time_ms
        if delta < 0 or message.stream_id != previous.stream_id:
            return [0]
        if (len(message.payload), message.type_id) != (len(previous.payload), previous.type_id):
            return [0, 1]
        return [0, 1, 2, 3] if delta == value else [0, 1, 2]


def basic(form: int, chunk_stream: int) -> bytes:
    if chunk_stream < 64:
        return bytes([form << 6 | chunk_stream])
    if chunk_stream < 320:
        return bytes([form << 6, chunk_stream - 64])
    return bytes([form << 6 | 1, (chunk_stream - 64) & 255, (chunk_stream - 64) >> 8])


def amf(*values: object) -> bytes:
    """Numbers, strings, None, booleans, and dicts as objects."""
    return b"".join(_amf(value) for value in values)


def _amf(value: object) -> bytes:
    match value:
        case None:
            return b"\x05"
        case bool():
            return bytes([1, value])
        case int() | float():
            return b"\x00" + struct.pack(">d", value)
        case str():
            return b"\x02" + struct.pack(">H", len(value.encode())) + value.encode()
        case dict():
            items = [
                struct.pack(">H", len(name)) + name.encode() + _amf(item)
                for name, item in value.items()
            ]
            return b"\x03" + b"".join(items) + b"\0\0\x09"
        case _:
            raise TypeError(type(value))


def command(*values: object, stream_id: int = 0) -> Sent:
    return Sent(3, COMMAND, 0, amf(*values), stream_id)


def opening(key: str = "key", app: str = "live") -> list[Sent]:
    """The commands of OBS up to publish."""
    about = {"app": app, "type": "nonprivate", "flashVer": "FMLE/3.0", "tcUrl": "rtmp://host/live"}
    return [
        command("connect", 1, about),
        command("releaseStream", 2, None, key),
        command("FCPublish", 3, None, key),
        command("createStream", 4, None),
        command("publish", 5, None, key, "live", stream_id=1),
    ]


def closing(key: str = "key") -> list[Sent]:
    return [command("FCUnpublish", 6, None, key), command("deleteStream", 7, None, 1)]


METADATA = Sent(
    4, DATA, 0, amf("@setDataFrame", "onMetaData", {"videocodecid": 7, "audiocodecid": 10})
)


def frames(count: int, *, first_ms: int = 0, size: int = 5000) -> list[Sent]:
    """METADATA, then video and audio in turn, each payload different."""
    messages = [METADATA]
    for number in range(count):
        time_ms = first_ms + number * 33
        picture = bytes([number % 251]) * (size + number % 7)
        messages += [
            Sent(6, VIDEO, time_ms, b"\x17\x01" + picture),
            Sent(4, AUDIO, time_ms + 5, b"\xaf\x01" + bytes([number % 13]) * 300),
        ]
    return messages
