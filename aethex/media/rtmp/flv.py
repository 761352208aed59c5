"""FLV from a publisher's messages, as ffmpeg reads it from a pipe (`-f flv -i pipe:0`).

What belongs here: header and tags (Adobe, "Video File Format Specification 10.1", annex E). What
does not: looking into the payloads; what enhanced RTMP carries (HEVC, AV1, Opus) passes unchanged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from aethex.media.rtmp import amf0
from aethex.media.rtmp.events import BadRtmp, Media, MediaKind

_SET_DATA_FRAME = amf0.encode("@setDataFrame")
_CLEAR_DATA_FRAME = amf0.encode("@clearDataFrame")
_HAS_AUDIO, _HAS_VIDEO = 4, 1
_TAG = struct.Struct(">BBHHBBBH")
_AUDIO_NAMES = frozenset(
    ("audiocodecid", "audiosamplerate", "audiodatarate", "audioTrackIdInfoMap")
)
_VIDEO_NAMES = frozenset(("videocodecid", "width", "videodatarate", "videoTrackIdInfoMap"))


class FlvWriter:
    """One FLV byte stream. The header goes out with the first tag, because the publisher's metadata
    says what it will send: a reader waits long for the sound that a header promises.
    """

    def __init__(self) -> None:
        self._has_begun = False

    def write(self, messages: Iterable[Media]) -> bytes:
        """The tags of these messages; empty when there are none."""
        parts: list[bytes] = []
        for message in messages:
            payload = message.payload
            if message.kind is MediaKind.DATA:
                payload = _script(payload)
            if not payload:
                continue
            if not self._has_begun:
                self._has_begun = True
                parts.append(_header(message.kind, payload))
            size, time_ms = len(payload), message.timestamp_ms
            parts += (
                _TAG.pack(
                    *(message.kind, size >> 16, size & 0xFFFF),
                    *((time_ms >> 8) & 0xFFFF, time_ms & 0xFF, (time_ms >> 24) & 0xFF, 0, 0),
                ),
                payload,
                (size + _TAG.size).to_bytes(4, "big"),
            )
        return b"".join(parts)


def _script(payload: bytes) -> bytes:
    """A data message as a script tag: without the order to the server that it begins with."""
    if payload.startswith(_CLEAR_DATA_FRAME):
        return b""
    return payload.removeprefix(_SET_DATA_FRAME)


def _header(first: MediaKind, payload: bytes) -> bytes:
    flags = (_script_flags(payload) if first is MediaKind.DATA else 0) or _HAS_AUDIO | _HAS_VIDEO
    return b"FLV\x01" + bytes([flags]) + (9).to_bytes(4, "big") + bytes(4)


def _script_flags(payload: bytes) -> int:
    """What `onMetaData` announces; 0 when it says nothing."""
    try:
        values = amf0.decode(payload)
    except BadRtmp:
        return 0
    names = {name for value in values if isinstance(value, Mapping) for name in value}
    return _HAS_AUDIO * bool(names & _AUDIO_NAMES) | _HAS_VIDEO * bool(names & _VIDEO_NAMES)
