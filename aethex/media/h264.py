"""H.264 bytes: NAL units, parameter sets, the avcC record.

What belongs here: pure functions over bytes. What does not: files, packets, timestamps.
Sources: ITU-T H.264 (NAL units 7.3.1, SPS 7.3.2.1.1) and ISO/IEC 14496-15 (avcC 5.3.3.1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NON_IDR_SLICE = 1
PARTITION_SLICE = 2
IDR_SLICE = 5
SEQUENCE_PARAMETERS = 7
PICTURE_PARAMETERS = 8
ACCESS_UNIT_DELIMITER = 9

_SLICES = (NON_IDR_SLICE, PARTITION_SLICE, IDR_SLICE)
_IN_HEADER = (SEQUENCE_PARAMETERS, PICTURE_PARAMETERS, ACCESS_UNIT_DELIMITER)
_PROFILES_WITH_CHROMA = (100, 110, 122, 244)
# Table E-1; index 0 is "unspecified".
_ASPECTS = (
    *((1, 1), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11)),
    *((80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1)),
)


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """The distinct SPS and PPS of a stream, in the order they first appeared, as bare NAL units."""

    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]


def is_avcc(extradata: bytes) -> bool:
    """Whether codec extradata is an avcC record (else it is Annex B, or there is none)."""
    return len(extradata) >= 7 and extradata[0] == 1


def split_annex_b(data: bytes) -> Iterator[bytes]:
    """The NAL units between start codes; zero bytes that trail a unit are not part of it."""
    start = data.find(b"\0\0\1")
    while start >= 0:
        end = data.find(b"\0\0\1", start + 3)
        unit = data[start + 3 :] if end < 0 else data[start + 3 : end]
        unit = unit.rstrip(b"\0")
        if unit:
            yield unit
        start = end


def split_length_prefixed(data: bytes, prefix_bytes: int) -> Iterator[bytes]:
    """The NAL units of an MP4 sample. A truncated last unit is left out."""
    position = 0
    while position + prefix_bytes <= len(data):
        length = int.from_bytes(data[position : position + prefix_bytes], "big")
        position += prefix_bytes
        if length > len(data) - position:
            return
        if length:
            yield data[position : position + length]
        position += length


def join_length_prefixed(units: Sequence[bytes]) -> bytes:
    """An MP4 sample of the units, each behind its length in 4 bytes."""
    return b"".join(part for unit in units for part in (struct.pack(">I", len(unit)), unit))


def first_slice_type(units: Iterator[bytes]) -> int | None:
    """NAL type of the picture's first slice: 5 means IDR. None when there is no slice."""
    return next((unit[0] & 31 for unit in units if unit[0] & 31 in _SLICES), None)


def sample_units(units: Iterator[bytes]) -> list[bytes]:
    """Units that stay in a sample whose parameter sets are in the avcC."""
    return [unit for unit in units if unit[0] & 31 not in _IN_HEADER]


def length_prefix_bytes(avcc: bytes) -> int:
    """How long the length before each NAL unit is, in bytes (1, 2 or 4)."""
    return (avcc[4] & 3) + 1


def parse_avcc(avcc: bytes) -> ParameterSets:
    """The parameter sets in an avcC record. Raises ValueError when it is truncated."""
    sps: list[bytes] = []
    pps: list[bytes] = []
    position = 5
    for sets, mask in ((sps, 31), (pps, 255)):
        if position >= len(avcc):
            raise ValueError("avcC record is truncated")
        count = avcc[position] & mask
        position += 1
        for _ in range(count):
            length = int.from_bytes(avcc[position : position + 2], "big")
            unit = avcc[position + 2 : position + 2 + length]
            if len(unit) != length or length < 2:
                raise ValueError("avcC record is truncated")
            sets.append(unit)
            position += 2 + length
    if any(len(unit) < 4 for unit in sps):
        raise ValueError("avcC record holds a broken SPS")
    return ParameterSets(tuple(sps), tuple(pps))


def build_avcc(sets: ParameterSets) -> bytes:
    """An avcC record with 4-byte lengths. Raises ValueError without an SPS and a PPS."""
    if not 1 <= len(sets.sps) <= 31 or not 1 <= len(sets.pps) <= 255:
        raise ValueError("an avcC record needs 1 to 31 SPS and 1 to 255 PPS")
    first = sets.sps[0]
    level = max(unit[3] for unit in sets.sps)
    record = bytes([1, first[1], first[2], level, 0xFF, 0xE0 | len(sets.sps)])
    record += b"".join(struct.pack(">H", len(unit)) + unit for unit in sets.sps)
    record += bytes([len(sets.pps)])
    record += b"".join(struct.pack(">H", len(unit)) + unit for unit in sets.pps)
    if first[1] in _PROFILES_WITH_CHROMA:
        chroma, luma_depth, chroma_depth = _chroma_format(first)
        record += bytes([0xFC | chroma, 0xF8 | luma_depth, 0xF8 | chroma_depth, 0])
    return record


def codec_string(avcc: bytes) -> str:
    """RFC 6381, e.g. `avc1.64001f`."""
    return f"avc1.{avcc[1]:02x}{avcc[2]:02x}{avcc[3]:02x}"


def parameter_set_id(unit: bytes) -> int:
    """`seq_parameter_set_id` or `pic_parameter_set_id` of a bare NAL unit; -1 when it is broken."""
    try:
        bits = _Bits(unit)
        if unit[0] & 31 == SEQUENCE_PARAMETERS:
            bits.read(24)
        return bits.exp_golomb()
    except ValueError:
        return -1


@dataclass(frozen=True, slots=True)
class PictureSize:
    """Cropped size in pixels, and the sample aspect ratio as width and height."""

    width: int
    height: int
    aspect: tuple[int, int]


def picture_size(sps: bytes) -> PictureSize:
    """What an SPS (bare NAL unit) says about its pictures' size. Raises ValueError when it is
    broken.
    """
    bits = _Bits(sps)
    bits.skip_to_chroma()
    chroma = bits.read_chroma()[0] if sps[1] in _PROFILES_WITH_CHROMA else 1
    bits.exp_golomb()  # log2_max_frame_num_minus4
    bits.skip_order_count()
    bits.exp_golomb()  # max_num_ref_frames
    bits.read(1)
    width = (bits.exp_golomb() + 1) * 16
    map_units = bits.exp_golomb() + 1
    is_progressive = bits.read(1)
    if not is_progressive:
        bits.read(1)
    bits.read(1)
    height = map_units * 16 * (2 - is_progressive)
    if bits.read(1):
        step_x = 2 if chroma in (1, 2) else 1
        step_y = (2 if chroma == 1 else 1) * (2 - is_progressive)
        width -= (bits.exp_golomb() + bits.exp_golomb()) * step_x
        height -= (bits.exp_golomb() + bits.exp_golomb()) * step_y
    if not 0 < width <= 16384 or not 0 < height <= 16384:
        raise ValueError(f"an SPS of {width}x{height} pixels")
    return PictureSize(width, height, bits.read_aspect())


def _chroma_format(sps: bytes) -> tuple[int, int, int]:
    bits = _Bits(sps)
    bits.skip_to_chroma()
    chroma, luma_depth, chroma_depth = bits.read_chroma()
    return chroma & 3, luma_depth & 7, chroma_depth & 7


class _Bits:
    """Reads an SPS or PPS bit by bit, emulation prevention removed."""

    def __init__(self, unit: bytes) -> None:
        self._data = unit[1:].replace(b"\0\0\3", b"\0\0")
        self._position = 0
        self.profile = unit[1] if len(unit) > 1 else 0

    def read(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte = self._position >> 3
            if byte >= len(self._data):
                raise ValueError("parameter set is truncated")
            value = value << 1 | self._data[byte] >> (7 - (self._position & 7)) & 1
            self._position += 1
        return value

    def exp_golomb(self) -> int:
        zeros = 0
        while self.read(1) == 0:
            zeros += 1
            if zeros > 31:
                raise ValueError("parameter set is broken")
        return (1 << zeros) - 1 + self.read(zeros)

    def skip_to_chroma(self) -> None:
        self.read(24)  # profile, constraints, level
        self.exp_golomb()  # seq_parameter_set_id

    def skip_order_count(self) -> None:
        kind = self.exp_golomb()
        if kind == 0:
            self.exp_golomb()
        elif kind == 1:
            self.read(1)
            for _ in range(2):
                self.exp_golomb()
            for _ in range(min(255, self.exp_golomb())):
                self.exp_golomb()

    def read_aspect(self) -> tuple[int, int]:
        """From the VUI, which begins here; 1:1 where it says nothing."""
        if not self.read(1) or not self.read(1):
            return (1, 1)
        kind = self.read(8)
        if kind == 255:
            stated = (self.read(16), self.read(16))
            return stated if all(stated) else (1, 1)
        return _ASPECTS[kind] if kind < len(_ASPECTS) else (1, 1)

    def read_chroma(self) -> tuple[int, int, int]:
        chroma = self.exp_golomb()
        if chroma == 3:
            self.read(1)
        luma_depth, chroma_depth = self.exp_golomb(), self.exp_golomb()
        self.read(1)
        if self.read(1):
            self._skip_scaling_lists(8 if chroma != 3 else 12)
        return chroma, luma_depth, chroma_depth

    def _skip_scaling_lists(self, count: int) -> None:
        for index in range(count):
            if self.read(1):
                last = scale = 8
                for _ in range(16 if index < 6 else 64):
                    if scale:
                        code = self.exp_golomb()
                        delta = (code + 1) // 2 if code & 1 else -(code // 2)
                        scale = (last + delta) & 255
                    last = scale or last
