"""AAC bytes: ADTS headers and the AudioSpecificConfig.

What belongs here: pure functions over bytes. What does not: files, packets, timestamps.
Source: ISO/IEC 14496-3 (AudioSpecificConfig 1.6.2.1, ADTS 1.A.2.2).
"""

from __future__ import annotations

import struct

_SAMPLE_RATES = (
    *(96000, 88200, 64000, 48000, 44100, 32000, 24000),
    *(22050, 16000, 12000, 11025, 8000, 7350),
)
# One frame of silence (LC, no spectral data), by channels. It says nothing of the sample rate.
_SILENT_FRAMES = {
    1: bytes.fromhex("00c800802380"),
    2: bytes.fromhex("210049900219002380"),
}
SILENT_CONFIG = bytes.fromhex("1190")
"""The AudioSpecificConfig of silence where nothing else is known: LC, 48 kHz, two channels."""

# Audio object types that browsers play: LC, HE-AAC (SBR), HE-AAC v2 (PS).
PLAYABLE_OBJECT_TYPES = (2, 5, 29)
_HIGHEST_RATE = 96_000


def is_adts(packet: bytes) -> bool:
    """Whether a packet begins with an ADTS header (as AAC in MPEG-TS does)."""
    return len(packet) >= 7 and packet[0] == 0xFF and packet[1] & 0xF6 == 0xF0


def strip_adts(packet: bytes) -> bytes:
    """The packet's payload without its ADTS header; a packet without one is returned as it is."""
    if not is_adts(packet):
        return packet
    return packet[7 if packet[1] & 1 else 9 :]


def config_from_adts(packet: bytes) -> bytes | None:
    """The AudioSpecificConfig (2 bytes) that an ADTS header states; None when it cannot be stated.

    Channel configuration 0 (described inside the stream) has no short form.
    """
    if not is_adts(packet):
        return None
    object_type = (packet[2] >> 6) + 1
    frequency_index = packet[2] >> 2 & 15
    channels = (packet[2] & 1) << 2 | packet[3] >> 6
    if frequency_index > 12 or channels == 0:
        return None
    return struct.pack(">H", object_type << 11 | frequency_index << 7 | channels << 3)


def object_type(config: bytes) -> int | None:
    """The audio object type of an AudioSpecificConfig; None when it is too short."""
    if len(config) < 2:
        return None
    kind = config[0] >> 3
    if kind == 31:
        return 32 + ((config[0] & 7) << 3 | config[1] >> 5)
    return kind


def is_playable(config: bytes) -> bool:
    """Whether browsers play it. A rate may be written out up to 16 MHz, which no AAC has."""
    is_known = object_type(config) in PLAYABLE_OBJECT_TYPES
    return is_known and (sample_rate(config) or 0) <= _HIGHEST_RATE


def codec_string(config: bytes) -> str:
    """RFC 6381, e.g. `mp4a.40.2`."""
    return f"mp4a.40.{object_type(config) or 2}"


def sample_rate(config: bytes) -> int | None:
    """The core's samples a second (HE-AAC plays twice as many); None when it is not stated so."""
    if len(config) < 2 or config[0] >> 3 == 31:
        return None
    index = (config[0] & 7) << 1 | config[1] >> 7
    if index == 15:
        if len(config) < 5:
            return None
        return (int.from_bytes(config[1:5], "big") >> 7 & 0xFFFFFF) or None
    return _SAMPLE_RATES[index] if index < len(_SAMPLE_RATES) else None


def channels(config: bytes) -> int:
    """Channels of an AudioSpecificConfig; 2 where it describes them inside the stream."""
    if len(config) < 2:
        return 2
    position = 3 if config[0] & 7 == 7 and config[1] >> 7 else 0
    if len(config) <= position + 1:
        return 2
    count = config[position + 1] >> 3 & 15
    return {7: 8}.get(count, count) or 2


def silent_frame(config: bytes) -> bytes | None:
    """A frame of silence that fits among frames of this config; None for surround sound."""
    return _SILENT_FRAMES.get(channels(config))
