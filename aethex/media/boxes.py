"""MP4 boxes of an fMP4 init segment, of media segments, and of an MP4 with its index in front.

What belongs here: pure functions from numbers and bytes to boxes. What does not: packets, files.
Sources: ISO/IEC 14496-12 (boxes), 14496-14 (esds), 14496-15 (avcC).

Written by ourselves because the timeline must be exact: every segment's decode time is the
presentation time of its first frame, and an edit list in the init segment takes off the delay that
B-frames need, so that the first frame is at 0 and not frames late against the sound. (Signed
composition offsets without an edit list would be simpler, but FFmpeg 9 then shows pictures late by
the largest negative one.)
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

VIDEO_TRACK = 1
AUDIO_TRACK = 2
MOVIE_TIMESCALE = 1000

_SYNC_SAMPLE = 0x02000000  # depends on no other
_OTHER_SAMPLE = 0x01010000  # depends on others, is no sync sample
_UNDETERMINED = 0x55C4  # language
_IDENTITY = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """H.264 as a track: sizes in pixels, sample aspect ratio as width and height, timescale in Hz.

    `reorder_delay`, in ticks, is what every sample's composition offset is too large by, so that
    none is negative; an edit list takes it off again. `color` is (primaries, transfer, matrix,
    is_full_range) of ISO/IEC 23091-2, or None.
    """

    avcc: bytes
    width: int
    height: int
    aspect: tuple[int, int]
    timescale: int
    reorder_delay: int
    color: tuple[int, int, int, bool] | None


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """AAC as a track. `timescale` is the sample rate that timestamps count in."""

    config: bytes
    channels: int
    timescale: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One packet. Times in the track's timescale; `offset` is presentation - decode."""

    data: bytes
    duration: int
    offset: int
    is_sync: bool


@dataclass(frozen=True, slots=True)
class TrackFragment:
    """Samples of one track, from decode time `decode_time` on."""

    track: int
    decode_time: int
    samples: Sequence[Sample]


def box(kind: bytes, *parts: bytes) -> bytes:
    size = 8 + sum(map(len, parts))
    return struct.pack(">I4s", size, kind) + b"".join(parts)


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def init_segment(video: VideoFormat, audio: AudioFormat | None) -> bytes:
    """ftyp and moov of a run: what EXT-X-MAP names."""
    tracks = [_video_track(video)]
    extends = [_track_extends(VIDEO_TRACK)]
    if audio is not None:
        tracks.append(_audio_track(audio))
        extends.append(_track_extends(AUDIO_TRACK))
    header = full_box(
        b"mvhd",
        0,
        0,
        struct.pack(">IIIIIH10x", 0, 0, MOVIE_TIMESCALE, 0, 0x10000, 0x100),
        _IDENTITY,
        struct.pack(">24xI", AUDIO_TRACK + 1),
    )
    brands = box(b"ftyp", b"iso6", struct.pack(">I", 0), b"iso5", b"iso6", b"mp41")
    return brands + box(b"moov", header, *tracks, box(b"mvex", *extends))


def movie(duration_ms: int, tracks: Sequence[bytes]) -> bytes:
    """moov of an MP4 whose samples lie in it as a whole; `tracks` are from `movie_track`."""
    header = full_box(
        b"mvhd",
        1,
        0,
        struct.pack(">QQIQIH10x", 0, 0, MOVIE_TIMESCALE, duration_ms, 0x10000, 0x100),
        _IDENTITY,
        struct.pack(">24xI", AUDIO_TRACK + 1),
    )
    return box(b"moov", header, *tracks)


def movie_track(
    track: int,
    *,
    is_video: bool,
    shown_size: tuple[int, int],
    timescale: int,
    media_duration: int,
    duration_ms: int,
    edits: Sequence[tuple[int, int]],
    tables: Sequence[bytes],
) -> bytes:
    """trak of an MP4: `tables` are the boxes of its stbl, `shown_size` 16.16 fixed point pixels.

    `edits` are (duration in ms, media time in the timescale; -1: nothing is shown).
    """
    volume = 0 if is_video else 0x100
    shown = struct.pack(">QQIIQ8xHHHH", 0, 0, track, 0, duration_ms, 0, 0, volume, 0)
    header = full_box(b"tkhd", 1, 3, shown, _IDENTITY, struct.pack(">II", *shown_size))
    listed = b"".join(struct.pack(">QqHH", *edit, 1, 0) for edit in edits)
    edit_list = box(b"edts", full_box(b"elst", 1, 0, struct.pack(">I", len(edits)), listed))
    media = struct.pack(">QQIQHH", 0, 0, timescale, media_duration, _UNDETERMINED, 0)
    kind, name = (b"vide", b"VideoHandler") if is_video else (b"soun", b"SoundHandler")
    special = full_box(b"vmhd", 0, 1, bytes(8)) if is_video else full_box(b"smhd", 0, 0, bytes(4))
    information = box(b"minf", special, _own_data(), box(b"stbl", *tables))
    inside = box(b"mdia", full_box(b"mdhd", 1, 0, media), _handler(kind, name), information)
    return box(b"trak", header, edit_list, inside)


def segment_start() -> bytes:
    """styp, the first box of each media segment."""
    return box(b"styp", b"msdh", struct.pack(">I", 0), b"msdh")


def fragment(sequence: int, tracks: Sequence[TrackFragment]) -> list[bytes]:
    """moof and mdat (in parts, to be written one after the other). `sequence` counts from 1."""
    filled = [track for track in tracks if track.samples]
    # Sizes do not depend on the offsets, so the first pass measures and the second one states them.
    moof = _movie_fragment(sequence, filled, [0] * len(filled))
    offsets: list[int] = []
    position = len(moof) + 8
    for track in filled:
        offsets.append(position)
        position += sum(len(sample.data) for sample in track.samples)
    if position - len(moof) > 0xFFFFFFFF:
        raise ValueError("a fragment may not exceed 4 GiB")
    moof = _movie_fragment(sequence, filled, offsets)
    mdat = struct.pack(">I4s", position - len(moof), b"mdat")
    return [moof, mdat, *(sample.data for track in filled for sample in track.samples)]


def _movie_fragment(
    sequence: int, tracks: Sequence[TrackFragment], offsets: Sequence[int]
) -> bytes:
    header = full_box(b"mfhd", 0, 0, struct.pack(">I", sequence))
    runs = (_track_fragment(track, offset) for track, offset in zip(tracks, offsets, strict=True))
    return box(b"moof", header, *runs)


def _track_fragment(track: TrackFragment, data_offset: int) -> bytes:
    default_base_is_moof = 0x020000
    header = full_box(b"tfhd", 0, default_base_is_moof, struct.pack(">I", track.track))
    decode_time = full_box(b"tfdt", 1, 0, struct.pack(">Q", track.decode_time))
    # data offset, then per sample: duration, size, flags, composition offset (signed: version 1)
    run = full_box(
        b"trun",
        1,
        0x000F01,
        struct.pack(">Ii", len(track.samples), data_offset),
        b"".join(
            struct.pack(
                ">IIIi",
                sample.duration,
                len(sample.data),
                _SYNC_SAMPLE if sample.is_sync else _OTHER_SAMPLE,
                sample.offset,
            )
            for sample in track.samples
        ),
    )
    return box(b"traf", header, decode_time, run)


def _track_extends(track: int) -> bytes:
    return full_box(b"trex", 0, 0, struct.pack(">IIIII", track, 1, 0, 0, 0))


def _video_track(video: VideoFormat) -> bytes:
    shown_width = video.width * video.aspect[0] / video.aspect[1]
    header = _track_header(VIDEO_TRACK, 0, round(shown_width * 65536), video.height << 16)
    entry = box(
        b"avc1",
        struct.pack(
            ">6xH16xHHIIIH32xHh", 1, video.width, video.height, 0x480000, 0x480000, 0, 1, 24, -1
        ),
        box(b"avcC", video.avcc),
        *_color_box(video),
        box(b"pasp", struct.pack(">II", *video.aspect)),
    )
    media_header = full_box(b"vmhd", 0, 1, bytes(8))
    media = _media(b"vide", b"VideoHandler", video.timescale, media_header, entry)
    return box(b"trak", header, *_edit(video.reorder_delay), media)


def _edit(media_time: int) -> list[bytes]:
    """The whole media, from `media_time` on (duration 0: what the fragments hold)."""
    if media_time == 0:
        return []
    return [box(b"edts", full_box(b"elst", 1, 0, struct.pack(">IQqhh", 1, 0, media_time, 1, 0)))]


def _color_box(video: VideoFormat) -> list[bytes]:
    if video.color is None:
        return []
    primaries, transfer, matrix, is_full_range = video.color
    return [
        box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, is_full_range << 7))
    ]


def _audio_track(audio: AudioFormat) -> bytes:
    header = _track_header(AUDIO_TRACK, 0x100, 0, 0)
    rate = audio.timescale << 16 if audio.timescale < 65536 else 0
    entry = box(
        b"mp4a",
        struct.pack(">6xH8xHHHHI", 1, audio.channels, 16, 0, 0, rate),
        _elementary_stream(audio.config),
    )
    media = _media(
        b"soun", b"SoundHandler", audio.timescale, full_box(b"smhd", 0, 0, bytes(4)), entry
    )
    return box(b"trak", header, media)


def _elementary_stream(config: bytes) -> bytes:
    specific = _descriptor(5, config)
    decoder = _descriptor(4, struct.pack(">BBBHII", 0x40, 0x15, 0, 0, 0, 0), specific)
    stream = _descriptor(3, struct.pack(">HB", AUDIO_TRACK, 0), decoder, _descriptor(6, b"\x02"))
    return full_box(b"esds", 0, 0, stream)


def _descriptor(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    return (
        bytes(
            [
                tag,
                0x80 | size >> 21 & 127,
                0x80 | size >> 14 & 127,
                0x80 | size >> 7 & 127,
                size & 127,
            ]
        )
        + body
    )


def _track_header(track: int, volume: int, width: int, height: int) -> bytes:
    enabled_in_movie = 3
    return full_box(
        b"tkhd",
        0,
        enabled_in_movie,
        struct.pack(">IIIII8xHHHH", 0, 0, track, 0, 0, 0, 0, volume, 0),
        _IDENTITY,
        struct.pack(">II", width, height),
    )


def _media(kind: bytes, name: bytes, timescale: int, media_header: bytes, entry: bytes) -> bytes:
    header = full_box(b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, timescale, 0, _UNDETERMINED, 0))
    samples = box(
        b"stbl",
        full_box(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        full_box(b"stts", 0, 0, bytes(4)),
        full_box(b"stsc", 0, 0, bytes(4)),
        full_box(b"stsz", 0, 0, bytes(8)),
        full_box(b"stco", 0, 0, bytes(4)),
    )
    information = box(b"minf", media_header, _own_data(), samples)
    return box(b"mdia", header, _handler(kind, name), information)


def _handler(kind: bytes, name: bytes) -> bytes:
    return full_box(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, kind), name + b"\0")


def _own_data() -> bytes:
    """Samples lie in the same file."""
    here = full_box(b"url ", 0, 1)
    return box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), here))
