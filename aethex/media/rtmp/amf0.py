"""AMF0, the values of RTMP's commands and of FLV's metadata: decoding with bounds, encoding.

What belongs here: the format (Adobe, "Action Message Format AMF 0", 2007). What does not: what the
values mean. A decoded value is never larger than the bytes that it was read from: there are no
references, and depth and number of values are bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TypeAlias

from aethex.media.rtmp.events import BadRtmp

MAX_DEPTH = 16
MAX_VALUES = 4096
MAX_STRING_BYTES = 64 * 1024

Value: TypeAlias = "bool | float | str | bytes | Mapping[str, Value] | Sequence[Value] | None"

_DOUBLE = struct.Struct(">d")


class _Marker(IntEnum):
    NUMBER = 0
    BOOLEAN = 1
    STRING = 2
    OBJECT = 3
    NULL = 5
    UNDEFINED = 6
    ECMA_ARRAY = 8
    OBJECT_END = 9
    STRICT_ARRAY = 10
    DATE = 11
    LONG_STRING = 12
    UNSUPPORTED = 13
    XML = 15
    TYPED_OBJECT = 16


def decode(data: bytes) -> list[Value]:
    """All values that stand one after the other. Raises BadRtmp when they break off or are not
    AMF0, nest more than MAX_DEPTH deep, are more than MAX_VALUES or hold a longer string than
    MAX_STRING_BYTES.
    """
    reader = _Reader(data)
    values: list[Value] = []
    while not reader.is_at_end:
        values.append(reader.value(0))
    return values


def encode(*values: Value) -> bytes:
    """The values one after the other. Mappings become objects, other sequences strict arrays."""
    return b"".join(_encode(value) for value in values)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0
        self._values = 0

    @property
    def is_at_end(self) -> bool:
        return self._offset >= len(self._data)

    def value(self, depth: int) -> Value:
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            raise BadRtmp("a command nests too deep or holds too many values")
        marker = self._take(1)[0]
        if marker in (
            _Marker.OBJECT,
            _Marker.ECMA_ARRAY,
            _Marker.STRICT_ARRAY,
            _Marker.TYPED_OBJECT,
        ):
            return self._collection(marker, depth)
        return self._scalar(marker)

    def _scalar(self, marker: int) -> Value:
        match marker:
            case _Marker.NUMBER:
                return float(_DOUBLE.unpack(self._take(8))[0])
            case _Marker.BOOLEAN:
                return self._take(1) != b"\0"
            case _Marker.STRING:
                return self._string(2)
            case _Marker.NULL | _Marker.UNDEFINED | _Marker.UNSUPPORTED:
                return None
            case _Marker.DATE:
                moment = float(_DOUBLE.unpack(self._take(8))[0])
                self._take(2)  # a time zone that is never set
                return moment
            case _Marker.LONG_STRING | _Marker.XML:
                return self._string(4)
            case _:
                raise BadRtmp("a command holds a value of no known kind")

    def _collection(self, marker: int, depth: int) -> Value:
        if marker == _Marker.STRICT_ARRAY:
            count = int.from_bytes(self._take(4), "big")
            if count > MAX_VALUES:
                raise BadRtmp("a command nests too deep or holds too many values")
            return [self.value(depth + 1) for _ in range(count)]
        if marker == _Marker.ECMA_ARRAY:
            self._take(4)  # a count that writers get wrong; the end marker is what counts
        elif marker == _Marker.TYPED_OBJECT:
            self._string(2)
        return self._properties(depth)

    def _properties(self, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while True:
            name = self._string(2)
            if not name and self._data[self._offset : self._offset + 1] == bytes(
                [_Marker.OBJECT_END]
            ):
                self._offset += 1
                return found
            found[name] = self.value(depth + 1)

    def _string(self, length_bytes: int) -> str:
        length = int.from_bytes(self._take(length_bytes), "big")
        if length > MAX_STRING_BYTES:
            raise BadRtmp("a command holds a string that is too long")
        return self._take(length).decode("utf-8", errors="replace")

    def _take(self, count: int) -> bytes:
        taken = self._data[self._offset : self._offset + count]
        if len(taken) != count:
            raise BadRtmp("a command breaks off")
        self._offset += count
        return taken


def _encode(value: Value) -> bytes:
    if value is None:
        return bytes([_Marker.NULL])
    if isinstance(value, bool):
        return bytes([_Marker.BOOLEAN, value])
    if isinstance(value, int | float):
        return bytes([_Marker.NUMBER]) + _DOUBLE.pack(value)
    if isinstance(value, str | bytes):
        return _encode_string(value.encode() if isinstance(value, str) else value)
    if isinstance(value, Mapping):
        parts = [_name(name) + _encode(item) for name, item in value.items()]
        return bytes([_Marker.OBJECT]) + b"".join(parts) + b"\0\0" + bytes([_Marker.OBJECT_END])
    items = b"".join(_encode(item) for item in value)
    return bytes([_Marker.STRICT_ARRAY]) + len(value).to_bytes(4, "big") + items


def _encode_string(text: bytes) -> bytes:
    if len(text) > 0xFFFF:
        return bytes([_Marker.LONG_STRING]) + len(text).to_bytes(4, "big") + text
    return bytes([_Marker.STRING]) + len(text).to_bytes(2, "big") + text


def _name(name: str) -> bytes:
    text = name.encode()
    return len(text).to_bytes(2, "big") + text
