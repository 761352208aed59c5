"""A VOD of many hours, cheaply: a few packaged seconds again and again, each at its own time.

What belongs here: making it. What does not: what a page does with it.
"""

from __future__ import annotations

import hashlib
import struct
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import imageio_ffmpeg

from aethex.library import Library, NewRun, NewVod, NewVodSegment, channels, new_id, streams, vods
from aethex.media.hls import package
from aethex.media.playlist import PlaylistRun, PlaylistSegment, media_playlist
from aethex.media.vod import PackagedVod, segment_name
from aethex.settings import Settings
from tests.service.content import AT

SEGMENT_SECONDS = 4
_LEAD, _ROUND = 2, 2
"""The first segments, which begin at 0, and how many are repeated after them: 8 s, after which
pictures (4 s) and sound (1024 samples at 48 kHz) are in step again."""


@dataclass(frozen=True)
class _Unit:
    """The packaged seconds: an init segment and the segments' bytes."""

    packaged: PackagedVod
    init: bytes
    segments: list[bytes]

    def segment(self, sequence: int) -> bytes:
        """The segment at this place of the long VOD."""
        rounds = max(0, sequence - _LEAD) // _ROUND
        chosen = sequence if sequence < _LEAD else _LEAD + (sequence - _LEAD) % _ROUND
        later = rounds * _ROUND * SEGMENT_SECONDS
        return _moved(self.segments[chosen], sequence, later, _timescales(self.init))


def add_long_vod(settings: Settings, library: Library, folder: Path, hours: int) -> str:
    """A VOD of so many hours in segments of 4 s, with picture and sound; its id.

    Objects are written past the store, which would sync each of them to the disk.
    """
    unit = _packaged(settings, folder)
    count = hours * 3600 // SEGMENT_SECONDS
    with library.session() as s:
        stream = streams.ensure_stream(s, channels.ensure_channel(s, "marathon"), "All day")
        streams.set_stream_bounds(s, stream.id, AT, AT + timedelta(hours=hours))
        prefix, vod_id, run_id = (
            f"vods/{stream.channel_id}/{stream.id}",
            new_id("vod"),
            new_id("run"),
        )
        store = settings.data_dir / "store" / prefix
        (store / run_id).mkdir(parents=True)
        (store / vod_id).mkdir()
        (store / run_id / "init.mp4").write_bytes(unit.init)
        segments: list[NewVodSegment] = []
        for n in range(count):
            data, name = unit.segment(n), segment_name(n)
            (store / run_id / name).write_bytes(data)
            segments.append(
                NewVodSegment(
                    run_id=run_id,
                    sequence=n,
                    key=f"{prefix}/{run_id}/{name}",
                    start_ms=n * SEGMENT_SECONDS * 1000,
                    duration_ms=SEGMENT_SECONDS * 1000,
                    bytes=len(data),
                    sha256=hashlib.sha256(data).hexdigest(),
                )
            )
        listed = [
            PlaylistSegment(f"../{run_id}/{segment_name(n)}", SEGMENT_SECONDS * 1000)
            for n in range(count)
        ]
        playlist = media_playlist([PlaylistRun(f"../{run_id}/init.mp4", listed, AT)]).encode()
        (store / vod_id / "index.m3u8").write_bytes(playlist)
        new = NewVod(
            id=vod_id,
            stream_id=stream.id,
            title="All day",
            duration_ms=hours * 3_600_000,
            size_bytes=sum(segment.bytes for segment in segments) + len(unit.init) + len(playlist),
            width=unit.packaged.width,
            height=unit.packaged.height,
            frame_rate=unit.packaged.frame_rate,
            video_codec="h264",
            audio_codec="aac",
            playlist_key=f"{prefix}/{vod_id}/index.m3u8",
        )
        run = NewRun(
            id=run_id,
            started_at=AT,
            start_ms=0,
            pts_origin=unit.packaged.pts_origin,
            init_key=f"{prefix}/{run_id}/init.mp4",
            init_bytes=len(unit.init),
            init_sha256=unit.packaged.init.sha256,
        )
        vods.add_vod(s, new, [run], segments)
    return vod_id


def _packaged(settings: Settings, folder: Path) -> _Unit:
    seconds = (_LEAD + _ROUND + 1) * SEGMENT_SECONDS
    command = (
        f"{imageio_ffmpeg.get_ffmpeg_exe()} -v error -f lavfi -i testsrc2=size=128x72:rate=5 "
        f"-f lavfi -i sine=f=330:r=48000 -t {seconds} -c:v libx264 -preset ultrafast -crf 40 "
        f"-g {5 * SEGMENT_SECONDS} -pix_fmt yuv420p -c:a aac -b:a 16k"
    )
    source = folder / "unit.mp4"
    subprocess.run([*command.split(), str(source)], check=True)
    made = package(source, folder / "unit", settings=settings)
    assert [one.duration_ms for one in made.segments[:-1]] == [4000] * (_LEAD + _ROUND)
    parts = [(made.out_dir / one.name).read_bytes() for one in made.segments]
    return _Unit(made, (made.out_dir / made.init.name).read_bytes(), parts)


def _timescales(init: bytes) -> list[int]:
    """Of the tracks in order; the boxes are our own, of version 0."""
    found, at = [], init.find(b"mdhd")
    while at >= 0:
        assert init[at + 4] == 0
        found.append(struct.unpack_from(">I", init, at + 16)[0])
        at = init.find(b"mdhd", at + 1)
    return found


def _moved(segment: bytes, sequence: int, seconds: int, timescales: list[int]) -> bytes:
    """The segment as the one of that number, so many seconds later."""
    data, head = bytearray(segment), segment.index(b"mdat")
    struct.pack_into(">I", data, segment.index(b"mfhd") + 8, sequence + 1)
    at = segment.find(b"tfdt", 0, head)
    while at >= 0:
        track = struct.unpack_from(">I", segment, segment.rindex(b"tfhd", 0, at) + 8)[0]
        assert segment[at + 4] == 1, "a decode time of 64 bits"
        (time,) = struct.unpack_from(">Q", segment, at + 8)
        struct.pack_into(">Q", data, at + 8, time + seconds * timescales[track - 1])
        at = segment.find(b"tfdt", at + 1, head)
    return bytes(data)
