"""The server's side of one publisher's connection: what it says, and what is answered.

What belongs here: handshake, commands, acknowledgements, when a stream has begun and ended. What
does not: chunks (`chunks.py`), sockets and clocks, and whether a key is right: the session
asks with a `Publish` event and waits for `accept` or `refuse`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, IntEnum, auto

from aethex.media.rtmp import amf0
from aethex.media.rtmp.chunks import ChunkReader, Message, write_chunks
from aethex.media.rtmp.events import (
    MAX_COMMAND_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_UNKNOWN_BYTES,
    BadRtmp,
    End,
    Event,
    Media,
    MediaKind,
    Publish,
)

HANDSHAKE_BYTES = 1536
_VERSION = 3
_OUR_CHUNK_BYTES = 4096
_WINDOW_BYTES = 2_500_000
_MAX_NAME = 1024
_MAX_STREAMS = 16
_MAX_AGGREGATED = 4096  # each becomes an object that is larger than the bytes of the smallest one
_STREAM_BEGIN, _PING_REQUEST, _PING_RESPONSE = b"\0\0", b"\0\6", b"\0\7"
_MEDIA = {int(kind): kind for kind in MediaKind}
_FOURCCS = ["avc1", "hvc1", "av01", "vp09", "mp4a", "Opus", "fLaC", "ac-3", "ec-3"]
"""What enhanced RTMP may carry: the server passes on whatever comes."""


class _Type(IntEnum):
    """Message types that carry no media."""

    SET_CHUNK_SIZE = 1
    ACKNOWLEDGEMENT = 3
    USER_CONTROL = 4
    WINDOW_SIZE = 5
    PEER_BANDWIDTH = 6
    DATA_AMF3 = 15
    COMMAND_AMF3 = 17
    COMMAND = 20
    AGGREGATE = 22


class _State(Enum):
    HELLO = auto()
    HELLO_AGAIN = auto()
    COMMANDS = auto()
    ASKING = auto()
    PUBLISHING = auto()
    OVER = auto()


class PublisherSession:
    """Bytes of one connection in (`receive`), events and bytes (`take_output`) out.

    `nonce` is 1528 random bytes for the handshake. Nothing that a client sends raises: what breaks
    the protocol or a limit ends the session with an `End` that says so.
    """

    def __init__(self, nonce: bytes) -> None:
        if len(nonce) != HANDSHAKE_BYTES - 8:
            raise ValueError(f"the nonce has {HANDSHAKE_BYTES - 8} bytes, not {len(nonce)}")
        self._nonce = nonce
        self._state = _State.HELLO
        self._hello = bytearray()
        self._chunks = ChunkReader(MAX_COMMAND_BYTES)
        self._output = bytearray()
        self._received_bytes = 0
        self._acknowledged_bytes = 0
        self._window_bytes = _WINDOW_BYTES
        self._app: str | None = None
        self._streams = 0
        self._publishing_stream = 0

    def receive(self, data: bytes) -> list[Event]:
        """What the bytes mean. After `Publish` nothing more is read from them until `accept`."""
        return list(self._receive(data))

    def _receive(self, data: bytes) -> Iterator[Event]:
        """What came before an error is handed out before the end that it brings about."""
        if self._state is _State.OVER:
            return
        self._received_bytes += len(data)
        try:
            if self._state in (_State.HELLO, _State.HELLO_AGAIN):
                data = self._shake_hands(data)
            self._chunks.feed(data)
            yield from self._read_messages()
            self._check_unknown()
            self._acknowledge()
        except BadRtmp as error:
            yield self._end(is_clean=False, reason=str(error))

    def accept(self) -> list[Event]:
        """Let the publisher in; returns what it sent ahead of the answer."""
        self._require_asking()
        self._state = _State.PUBLISHING
        self._chunks.max_message_bytes = MAX_MESSAGE_BYTES
        self._control(
            _Type.USER_CONTROL, _STREAM_BEGIN + self._publishing_stream.to_bytes(4, "big")
        )
        self._status("status", "NetStream.Publish.Start", "Publishing.")
        return self.receive(b"")

    def refuse(self, description: str = "The stream key is not known, or is in use.") -> None:
        """Tell the publisher that it may not; then send `take_output` and close."""
        self._require_asking()
        self._status("error", "NetStream.Publish.BadName", description)
        self._state = _State.OVER

    def connection_lost(self, reason: str = "the connection was lost") -> list[Event]:
        """The connection is gone: an unclean end, unless the session ended before."""
        if self._state is _State.OVER:
            return []
        return [self._end(is_clean=False, reason=reason)]

    def take_output(self) -> bytes:
        """Bytes to send to the publisher, each once."""
        output = bytes(self._output)
        self._output.clear()
        return output

    def _require_asking(self) -> None:
        if self._state is not _State.ASKING:
            raise ValueError("only a Publish that waits for an answer can be accepted or refused")

    def _end(self, *, is_clean: bool, reason: str = "") -> End:
        self._state = _State.OVER
        self._chunks = ChunkReader(0)
        return End(is_clean, reason)

    # Handshake: C0 C1 in, S0 S1 S2 out, C2 in. With S1's version 0 clients use the simple form.

    def _shake_hands(self, data: bytes) -> bytes:
        self._hello += data
        if self._hello and self._hello[0] != _VERSION:
            raise BadRtmp("not RTMP: the handshake has another version")
        if self._state is _State.HELLO:
            if len(self._hello) < 1 + HANDSHAKE_BYTES:
                return b""
            echoed = bytes(self._hello[1 : 1 + HANDSHAKE_BYTES])
            self._output += bytes([_VERSION]) + bytes(8) + self._nonce + echoed
            self._state = _State.HELLO_AGAIN
        if len(self._hello) < 1 + 2 * HANDSHAKE_BYTES:
            return b""
        rest = bytes(self._hello[1 + 2 * HANDSHAKE_BYTES :])
        self._hello.clear()
        self._state = _State.COMMANDS
        return rest

    def _check_unknown(self) -> None:
        """Who is not let in yet gets little memory and little time on the CPU."""
        if self._state in (_State.PUBLISHING, _State.OVER):
            return
        is_asking = self._state is _State.ASKING  # an encoder may send ahead of the answer
        counted = self._chunks.waiting_bytes if is_asking else self._received_bytes
        if counted > MAX_UNKNOWN_BYTES:
            raise BadRtmp(f"more than {MAX_UNKNOWN_BYTES} bytes before publishing")

    def _acknowledge(self) -> None:
        if self._received_bytes - self._acknowledged_bytes >= self._window_bytes:
            self._acknowledged_bytes = self._received_bytes
            self._control(
                _Type.ACKNOWLEDGEMENT, (self._received_bytes & 0xFFFFFFFF).to_bytes(4, "big")
            )

    # Messages.

    def _read_messages(self) -> Iterator[Event]:
        while self._state in (_State.COMMANDS, _State.PUBLISHING):
            message = self._chunks.next_message()
            if message is None:
                return
            kind = _MEDIA.get(message.type_id)
            if kind is not None:
                if self._state is _State.PUBLISHING and message.payload:
                    yield Media(kind, message.timestamp_ms, message.payload)
            else:
                yield from self._read_other(message)

    def _read_other(self, message: Message) -> Iterator[Event]:
        payload = message.payload
        match message.type_id:
            case _Type.COMMAND | _Type.COMMAND_AMF3:  # the latter: AMF0 behind one byte
                if len(payload) > MAX_COMMAND_BYTES:
                    raise BadRtmp(f"a command of more than {MAX_COMMAND_BYTES} bytes")
                is_amf3 = message.type_id == _Type.COMMAND_AMF3
                yield from self._command(amf0.decode(payload[is_amf3:]), message.stream_id)
            case _Type.DATA_AMF3:
                if self._state is _State.PUBLISHING and len(payload) > 1:
                    yield Media(MediaKind.DATA, message.timestamp_ms, payload[1:])
            case _Type.AGGREGATE:
                if self._state is _State.PUBLISHING:
                    yield from _split_aggregate(message)
            case _Type.USER_CONTROL:
                if payload[:2] == _PING_REQUEST:
                    self._control(_Type.USER_CONTROL, _PING_RESPONSE + payload[2:6])
            case _Type.WINDOW_SIZE:
                self._window_bytes = int.from_bytes(payload[:4], "big") or _WINDOW_BYTES
            case _:
                pass  # acknowledgements, shared objects: nothing follows from them

    def _command(self, values: list[amf0.Value], stream_id: int) -> Iterator[Event]:
        name = values[0] if values else None
        transaction = values[1] if len(values) > 1 else None
        transaction = transaction if isinstance(transaction, float) else 0.0
        arguments = values[2:]
        if self._app is None and name != "connect":
            raise BadRtmp("a command before connect")
        match name:
            case "connect":
                self._connect(transaction, arguments)
            case "createStream":
                self._streams = self._streams % _MAX_STREAMS + 1
                self._answer("_result", transaction, None, float(self._streams))
            case "releaseStream" | "FCPublish":
                self._answer("_result", transaction, None)
            case "publish":
                yield self._publish(arguments, stream_id)
            case "FCUnpublish" | "deleteStream" | "closeStream":
                if self._state is _State.PUBLISHING:
                    self._status("status", "NetStream.Unpublish.Success", "Ended.")
                    yield self._end(is_clean=True)
            case "play" | "play2":
                self._status("error", "NetStream.Play.Failed", "Only publishing is served here.")
                raise BadRtmp("it asked to play; only publishing is served here")
            case _:
                pass  # _checkbw, getStreamLength … : no encoder waits for an answer

    def _connect(self, transaction: float, arguments: list[amf0.Value]) -> None:
        about = arguments[0] if arguments else None
        app = about.get("app") if isinstance(about, Mapping) else None
        if self._app is not None or not isinstance(app, str) or len(app) > _MAX_NAME:
            raise BadRtmp("a connect without a usable app, or a second one")
        self._app = app.strip("/")
        self._control(_Type.WINDOW_SIZE, _WINDOW_BYTES.to_bytes(4, "big"))
        self._control(_Type.PEER_BANDWIDTH, _WINDOW_BYTES.to_bytes(4, "big") + b"\x02")
        self._control(_Type.SET_CHUNK_SIZE, _OUR_CHUNK_BYTES.to_bytes(4, "big"))
        self._answer(
            "_result",
            transaction,
            {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0},
            {
                "level": "status",
                "code": "NetConnection.Connect.Success",
                "description": "Connected.",
                "objectEncoding": 0.0,
                "fourCcList": _FOURCCS,
            },
        )

    def _publish(self, arguments: list[amf0.Value], stream_id: int) -> Publish:
        name = arguments[1] if len(arguments) > 1 else None
        if self._state is not _State.COMMANDS or self._app is None:
            raise BadRtmp("a second publish on one connection")
        self._publishing_stream = stream_id
        if not isinstance(name, str) or not name.partition("?")[0] or len(name) > _MAX_NAME:
            self._status("error", "NetStream.Publish.BadName", "No stream key was given.")
            raise BadRtmp("a publish without a stream key, or with one of more than 1024 letters")
        self._state = _State.ASKING
        return Publish(self._app, name)

    # Answers.

    def _answer(self, name: str, transaction: float, *values: amf0.Value) -> None:
        self._send(_Type.COMMAND, 0, amf0.encode(name, transaction, *values), chunk_stream=3)

    def _status(self, level: str, code: str, description: str) -> None:
        about = {"level": level, "code": code, "description": description}
        payload = amf0.encode("onStatus", 0.0, None, about)
        self._send(_Type.COMMAND, self._publishing_stream, payload, chunk_stream=5)

    def _control(self, type_id: int, payload: bytes) -> None:
        self._send(type_id, 0, payload, chunk_stream=2)

    def _send(self, type_id: int, stream_id: int, payload: bytes, *, chunk_stream: int) -> None:
        # What goes out before our Set Chunk Size is shorter than the 128 bytes that hold till then.
        message = Message(type_id, stream_id, 0, payload)
        self._output += write_chunks(message, chunk_stream, _OUR_CHUNK_BYTES)


def _split_aggregate(message: Message) -> Iterator[Media]:
    """The messages of an aggregate one, which are FLV tags; their times are relative (7.1.6)."""
    payload, offset, first_ms, count = message.payload, 0, None, 0
    while offset + 11 <= len(payload):
        count += 1
        if count > _MAX_AGGREGATED:
            raise BadRtmp(f"an aggregate of more than {_MAX_AGGREGATED} messages")
        size = int.from_bytes(payload[offset + 1 : offset + 4], "big")
        low, high = payload[offset + 4 : offset + 7], payload[offset + 7 : offset + 8]
        time_ms = int.from_bytes(high + low, "big")
        first_ms = time_ms if first_ms is None else first_ms
        body = payload[offset + 11 : offset + 11 + size]
        kind = _MEDIA.get(payload[offset])
        if len(body) != size:
            raise BadRtmp("an aggregate message breaks off")
        if kind is not None and body:
            yield Media(kind, (message.timestamp_ms + time_ms - first_ms) & 0xFFFFFFFF, body)
        offset += 11 + size + 4
