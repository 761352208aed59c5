"""Reading the tables of fMP4, inside the sandbox: init segments and `moof` boxes as numbers.

What belongs here: boxes to numbers. What does not: writing boxes (`boxes.py`), and what the numbers
are for (`progressive.py`). Sources: ISO/IEC 14496-12, 8.8 (movie fragments).

Media data is skipped, never read. Whatever does not fit together is UnreadableMedia.
"""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from aethex.media.errors import UnreadableMedia

SAMPLE = np.dtype(
    [("dts", "<i8"), ("duration", "<u4"), ("size", "<u4"), ("offset", "<i4"), ("sync", "?")]
)
CHUNK = np.dtype(
    [("segment", "<u4"), ("track", "u1"), ("start", "<u8"), ("bytes", "<u8"), ("samples", "<u4")]
)
KINDS = ("video", "audio")

_MAX_TABLE_BYTES = 64 * 1024**2
_NOT_SYNC = 0x10000
_DAMAGED = "the tables of its segments do not fit together; it is damaged."


@dataclass(slots=True)
class _Track:
    kind: int
    timescale: int
    edit_start: int
    stsd: bytes
    shown_size: tuple[int, int]
    defaults: tuple[int, int, int] = (0, 0, 0)


@dataclass(slots=True)
class _Found:
    samples: tuple[list[Any], list[Any]] = field(default_factory=lambda: ([], []))
    chunks: list[tuple[int, int, int, int, int]] = field(
        default_factory=list[tuple[int, int, int, int, int]]
    )


def index_task(request: dict[str, Any], on_progress: Callable[[float], None]) -> dict[str, Any]:
    """The tables of a batch: `{"inits": …}`, and arrays in the file `request["out"]`.

    `request`: `segments` ({`init`, `path`} each), `out`. The arrays are `video`, `audio` (SAMPLE,
    in decode order, times as in the segments) and `chunks` (CHUNK; `segment` counts from 0).
    `inits` has for each init file its tracks' `timescale`, `edit_start`, `stsd`, `shown_size`.
    """
    try:
        return _index(request, on_progress)
    except (struct.error, IndexError, ValueError, OverflowError):
        raise UnreadableMedia(_DAMAGED) from None


def _index(request: dict[str, Any], on_progress: Callable[[float], None]) -> dict[str, Any]:
    inits: dict[str, dict[int, _Track]] = {}
    found = _Found()
    for number, segment in enumerate(request["segments"]):
        init = segment["init"]
        if init not in inits:
            inits[init] = _tracks(Path(init).read_bytes())
        with Path(segment["path"]).open("rb") as file:
            _read_segment(file, number, inits[init], found)
        on_progress((number + 1) / len(request["segments"]))
    empty = np.empty(0, SAMPLE)
    video, audio = (np.concatenate([empty, *parts]) for parts in found.samples)
    np.savez(request["out"], video=video, audio=audio, chunks=np.array(found.chunks, CHUNK))
    return {"inits": {init: _as_json(tracks) for init, tracks in inits.items()}}


def _as_json(tracks: dict[int, _Track]) -> dict[str, Any]:
    return {
        KINDS[track.kind]: {
            "timescale": track.timescale,
            "edit_start": track.edit_start,
            "stsd": base64.b64encode(track.stsd).decode(),
            "shown_size": track.shown_size,
        }
        for track in tracks.values()
    }


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box."""
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1:
            (size,), header = struct.unpack_from(">Q", data, position + 8), 16
        if size < header or position + size > len(data):
            raise ValueError("a box ends outside")
        yield kind, data[position + header : position + size]
        position += size


def _child(data: bytes, *path: bytes) -> bytes | None:
    for wanted in path:
        inner = next((content for kind, content in _boxes(data) if kind == wanted), None)
        if inner is None:
            return None
        data = inner
    return data


def _need(data: bytes, *path: bytes) -> bytes:
    found = _child(data, *path)
    if found is None:
        raise ValueError("a box is missing")
    return found


def _tracks(init: bytes) -> dict[int, _Track]:
    """The first picture and the first sound of an init segment, by track id."""
    moov = _need(init, b"moov")
    tracks: dict[int, _Track] = {}
    for kind, trak in _boxes(moov):
        if kind != b"trak":
            continue
        handler = _need(trak, b"mdia", b"hdlr")[8:12]
        which = {b"vide": 0, b"soun": 1}.get(handler)
        if which is None or any(track.kind == which for track in tracks.values()):
            continue
        header = _need(trak, b"tkhd")
        (track_id,) = struct.unpack_from(">I", header, 20 if header[0] else 12)
        media = _need(trak, b"mdia", b"mdhd")
        (timescale,) = struct.unpack_from(">I", media, 20 if media[0] else 12)
        stsd = _need(trak, b"mdia", b"minf", b"stbl", b"stsd")
        tracks[track_id] = _Track(
            which,
            timescale,
            _edit_start(trak),
            next(_entries(stsd)),
            struct.unpack_from(">II", header, len(header) - 8),
        )
    for kind, content in _boxes(_child(moov, b"mvex") or b""):
        if kind == b"trex":
            track_id, _, duration, size, flags = struct.unpack_from(">5I", content, 4)
            if track_id in tracks:
                tracks[track_id].defaults = (duration, size, flags)
    if not any(track.kind == 0 and track.timescale for track in tracks.values()):
        raise ValueError("no picture")
    return tracks


def _entries(stsd: bytes) -> Iterator[bytes]:
    """Sample descriptions, each a whole box."""
    for kind, content in _boxes(stsd[8:]):
        yield struct.pack(">I4s", len(content) + 8, kind) + content


def _edit_start(trak: bytes) -> int:
    """Media time of the first edit that shows something; 0 without one."""
    elst = _child(trak, b"edts", b"elst")
    if elst is None:
        return 0
    (count,) = struct.unpack_from(">I", elst, 4)
    layout = ">QqI" if elst[0] else ">IiI"
    for number in range(count):
        _, start, _ = struct.unpack_from(layout, elst, 8 + number * struct.calcsize(layout))
        if start >= 0:
            return start
    return 0


def _read_segment(file: BinaryIO, number: int, tracks: dict[int, _Track], found: _Found) -> None:
    end = file.seek(0, os.SEEK_END)
    position = 0
    while position + 8 <= end:
        file.seek(position)
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        if size < 8 or position + size > end:
            raise ValueError("a box ends outside of its file")
        if kind == b"moof":
            if size > _MAX_TABLE_BYTES:
                raise ValueError("a table too large")
            moof = file.read(size - 8)
            for child, content in _boxes(moof):
                if child == b"traf":
                    _read_track(content, position, end, number, tracks, found)
        position += size


def _read_track(
    traf: bytes, moof: int, end: int, number: int, tracks: dict[int, _Track], found: _Found
) -> None:
    header = _need(traf, b"tfhd")
    flags, track_id = struct.unpack_from(">II", header)
    flags &= 0xFFFFFF
    track = tracks.get(track_id)
    if track is None:
        return
    position, base = 8, moof
    if flags & 1:
        (base,), position = struct.unpack_from(">Q", header, position), position + 8
    position += 4 if flags & 2 else 0
    defaults = list(track.defaults)
    for which, flag in enumerate((0x8, 0x10, 0x20)):
        if flags & flag:
            (defaults[which],), position = struct.unpack_from(">I", header, position), position + 4
    start = _need(traf, b"tfdt")
    (dts,) = struct.unpack_from(">Q" if start[0] else ">I", start, 4)
    data = base
    for kind, content in _boxes(traf):
        if kind != b"trun":
            continue
        samples, data_offset = _read_run(content, dts, defaults)
        data = data if data_offset is None else base + data_offset
        size = int(samples["size"].sum(dtype=np.int64))
        if data < 0 or data + size > end:
            raise ValueError("samples outside of the file")
        found.samples[track.kind].append(samples)
        found.chunks.append((number, track.kind, data, size, len(samples)))
        dts += int(samples["duration"].sum(dtype=np.int64))
        data += size


def _read_run(trun: bytes, dts: int, defaults: list[int]) -> tuple[Any, int | None]:
    flags, count = struct.unpack_from(">II", trun)
    flags &= 0xFFFFFF
    position, data_offset, first_flags = 8, None, None
    if flags & 1:
        (data_offset,), position = struct.unpack_from(">i", trun, position), position + 4
    if flags & 4:
        (first_flags,), position = struct.unpack_from(">I", trun, position), position + 4
    fields = [flag for flag in (0x100, 0x200, 0x400, 0x800) if flags & flag]
    needed = count * len(fields) * 4
    if position + needed > len(trun):
        raise ValueError("a run ends outside of its box")
    table = np.frombuffer(trun, ">u4", count * len(fields), position).reshape(count, len(fields))
    columns = {flag: table[:, place] for place, flag in enumerate(fields)}
    samples = np.zeros(count, SAMPLE)
    samples["duration"] = columns.get(0x100, defaults[0])
    samples["size"] = columns.get(0x200, defaults[1])
    of_samples = np.array(np.broadcast_to(columns.get(0x400, defaults[2]), count))
    if first_flags is not None and count:
        of_samples[0] = first_flags
    samples["sync"] = of_samples & _NOT_SYNC == 0
    if 0x800 in columns:
        samples["offset"] = columns[0x800].astype("<u4").view("<i4")
    samples["dts"] = dts + np.cumsum(samples["duration"], dtype=np.int64) - samples["duration"]
    return samples, data_offset
