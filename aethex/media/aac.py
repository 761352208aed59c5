"""AAC bytes: ADTS headers and the AudioSpecificConfig.

What belongs here: pure functions over bytes. What does not: files, packets, timestamps.
Source: ISO/IEC 14496-3 (AudioSpecificConfig 1.6.2.1, ADTS 1.A.2.2).
"""

from __future__ import annotations

import struct

# Audio object types that browsers play: LC, HE-AAC (SBR), HE-AAC v2 (PS).
PLAYABLE_OBJECT_TYPES = (2, 5, 29)


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


def codec_string(config: bytes) -> str:
    """RFC 6381, e.g. `mp4a.40.2`."""
    return f"mp4a.40.{object_type(config) or 2}"
