"""FLV as it comes in: bytes in pieces of any size become configurations and frames.

What belongs here: the container of RTMP, read tag by tag. What does not: what the bytes of a frame
mean (`h264.py`, `aac.py`), making segments (`record.py`).
Sources: Adobe Flash Video File Format 10.1 (tags E.4), Enhanced RTMP v2 (ex headers).

It is read by ourselves and not by ffmpeg, because what a recorder must see does not pass through
ffmpeg's muxers: a new sequence header, sound that comes late, a clock that jumps. Python reads it
without trusting any length, so it needs no sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aethex.media.errors import UnplayableCodec, UnreadableMedia

HEADER_BYTES = 13
_TAG_HEADER_BYTES = 11
_AUDIO, _VIDEO, _SCRIPT = 8, 9, 18
_AVC, _AAC = 7, 10
_KEYFRAME = 1
_IS_EX_HEADER = 0x80
_EX_SEQUENCE_START, _EX_FRAMES, _EX_FRAMES_WITHOUT_OFFSET = 0, 1, 3
_VIDEO_CODECS = {2: "Sorenson H.263", 3: "Screen video", 4: "VP6", 12: "HEVC"}
_EX_CODECS = {b"hvc1": "HEVC", b"av01": "AV1", b"vp09": "VP9", b"vp08": "VP8"}
_AUDIO_CODECS = {2: "MP3", 11: "Speex", 14: "MP3", 9: "multitrack or enhanced sound"}


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """The avcC record that the frames after it need."""

    avcc: bytes


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One H.264 picture, its NAL units behind their lengths. Times in ms, of the encoder's
    clock.
    """

    dts_ms: int
    pts_ms: int
    is_key: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """The AudioSpecificConfig that the frames after it need."""

    config: bytes


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """One AAC frame without a header. Time in ms, of the encoder's clock."""

    pts_ms: int
    data: bytes


@dataclass(frozen=True, slots=True)
class OtherSound:
    """A frame of sound that is not AAC; `codec` is its name for people."""

    codec: str


Event = VideoConfig | VideoFrame | AudioConfig | AudioFrame | OtherSound


class FlvReader:
    """Takes FLV in pieces and hands out what is complete."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._has_header = False
        self._at_ms = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that this piece completes, in order.

        Raises UnreadableMedia where it is no FLV, UnplayableCodec for a picture that is not H.264.
        """
        self._pending += data
        if not self._has_header and not self._take_header():
            return
        position = 0
        try:
            while (end := self._tag_end(position)) is not None:
                start = position + _TAG_HEADER_BYTES
                body = bytes(self._pending[start : end - 4])
                kind, at_ms = self._pending[position], self._timestamp(position)
                position = end
                event = _event(kind, at_ms, body)
                if event is not None:
                    yield event
        finally:
            del self._pending[:position]

    def _take_header(self) -> bool:
        if len(self._pending) < HEADER_BYTES:
            return False
        if not self._pending.startswith(b"FLV\x01"):
            raise UnreadableMedia("what came is no FLV.")
        del self._pending[:HEADER_BYTES]
        self._has_header = True
        return True

    def _tag_end(self, position: int) -> int | None:
        """Where the tag at this position ends, its trailing size included; None: not all is
        here.
        """
        if len(self._pending) < position + _TAG_HEADER_BYTES:
            return None
        if self._pending[position] & 31 not in (_AUDIO, _VIDEO, _SCRIPT):
            raise UnreadableMedia("the FLV is damaged: a tag of no known kind.")
        size = int.from_bytes(self._pending[position + 1 : position + 4], "big")
        end = position + _TAG_HEADER_BYTES + size + 4
        return end if end <= len(self._pending) else None

    def _timestamp(self, position: int) -> int:
        """The tag's time in ms. It has 32 bits, and begins anew after 49.7 days: of what they can
        mean, it is the time next to that of the tag before.
        """
        low = int.from_bytes(self._pending[position + 4 : position + 7], "big")
        since_ms = (self._pending[position + 7] << 24 | low) - self._at_ms
        self._at_ms += (since_ms + 2**31) % 2**32 - 2**31
        return self._at_ms


def _event(kind: int, at_ms: int, body: bytes) -> Event | None:
    if kind & 31 == _VIDEO:
        return _video(at_ms, body)
    if kind & 31 == _AUDIO:
        return _audio(at_ms, body)
    return None  # script data: nothing that the frames do not say better


def _video(at_ms: int, body: bytes) -> VideoConfig | VideoFrame | None:
    if len(body) < 5:
        return None
    if body[0] & _IS_EX_HEADER:
        return _ex_video(at_ms, body)
    codec, frame_type = body[0] & 15, body[0] >> 4
    if frame_type == 5:  # a command, no picture
        return None
    if codec != _AVC:
        raise _unplayable(_VIDEO_CODECS.get(codec, f"video codec {codec}"))
    packet, offset = body[1], _signed_24(body[2:5])
    if packet == 0:
        return VideoConfig(body[5:])
    if packet != 1 or len(body) == 5:
        return None
    return VideoFrame(at_ms, at_ms + offset, frame_type == _KEYFRAME, body[5:])


def _ex_video(at_ms: int, body: bytes) -> VideoConfig | VideoFrame | None:
    packet, codec = body[0] & 15, body[1:5]
    if packet > 5:  # modifiers and multitrack, which no H.264 encoder sends
        return None
    if codec != b"avc1":
        raise _unplayable(_EX_CODECS.get(codec, repr(codec)))
    is_key = body[0] >> 4 & 7 == _KEYFRAME
    if packet == _EX_SEQUENCE_START:
        return VideoConfig(body[5:])
    if packet == _EX_FRAMES and len(body) > 8:
        return VideoFrame(at_ms, at_ms + _signed_24(body[5:8]), is_key, body[8:])
    if packet == _EX_FRAMES_WITHOUT_OFFSET and len(body) > 5:
        return VideoFrame(at_ms, at_ms, is_key, body[5:])
    return None


def _audio(at_ms: int, body: bytes) -> AudioConfig | AudioFrame | OtherSound | None:
    if not body:
        return None
    codec = body[0] >> 4
    if codec == 9 and body[1:5] == b"mp4a":  # Enhanced RTMP
        packet, data = body[0] & 15, body[5:]
    elif codec == _AAC and len(body) > 1:
        packet, data = body[1], body[2:]
    elif codec == _AAC:
        return None
    else:
        return OtherSound(_AUDIO_CODECS.get(codec, f"sound codec {codec}"))
    if not data:
        return None
    return AudioConfig(data) if packet == 0 else AudioFrame(at_ms, data) if packet == 1 else None


def _signed_24(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _unplayable(codec: str) -> UnplayableCodec:
    return UnplayableCodec(
        f"its picture is {codec}, which browsers do not all play, and a recorder does not convert; "
        "set the encoder to H.264."
    )
