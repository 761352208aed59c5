"""Content for the service's tests: channels and VODs with small objects, without any real video.

What belongs here: rows and bytes. What does not: fixtures (`conftest.py`) and real video.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aethex.library import Library, channels, new_id, streams, vods
from aethex.library.vods import NewRun, NewVod, NewVodSegment
from aethex.store import Store

AT = datetime(2026, 1, 5, 16, 25, tzinfo=UTC)
PLAYLIST = b"#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-ENDLIST\n"
MP4 = bytes(index % 251 for index in range(10_000))
POSTER = b"\xff\xd8 a picture"


@dataclass(frozen=True)
class MadeVod:
    """A VOD that a test made."""

    id: str
    run_id: str
    stream_id: str
    channel_id: str
    prefix: str


def add_vod(
    library: Library,
    store: Store,
    *,
    username: str = "gdq",
    title: str = "Day one",
    description: str = "",
    channel_title: str | None = None,
    stream: str | None = None,
    is_public: bool = True,
    has_poster: bool = True,
    started_at: datetime = AT,
    created_at: datetime | None = None,
) -> MadeVod:
    """One VOD of 8 seconds in two segments, with its objects in the store."""
    with library.session() as session:
        channel = channels.ensure_channel(session, username, channel_title or username)
        of_stream = streams.ensure_stream(session, channel, stream or title)
        streams.set_stream_bounds(
            session, of_stream.id, started_at, started_at + timedelta(seconds=8)
        )
        made = MadeVod(
            id=new_id("vod"),
            run_id=new_id("run"),
            stream_id=of_stream.id,
            channel_id=channel.id,
            prefix=f"vods/{channel.id}/{of_stream.id}/",
        )
        run = f"{made.prefix}{made.run_id}/"
        objects = {
            f"{run}init.mp4": b"init",
            f"{run}000000.m4s": b"first segment",
            f"{run}000001.m4s": b"second segment",
            f"{run}video.mp4": MP4,
            f"{made.prefix}{made.id}/index.m3u8": PLAYLIST,
        }
        if has_poster:
            objects[f"{run}poster.jpg"] = POSTER
        for key, data in objects.items():
            store.put(key, data)
        vods.add_vod(
            session,
            NewVod(
                id=made.id,
                stream_id=of_stream.id,
                title=title,
                description=description,
                duration_ms=8_000,
                size_bytes=sum(map(len, objects.values())),
                width=1280,
                height=720,
                frame_rate=30,
                video_codec="h264",
                audio_codec="aac",
                playlist_key=f"{made.prefix}{made.id}/index.m3u8",
                poster_key=f"{run}poster.jpg" if has_poster else None,
                mp4_key=f"{run}video.mp4",
                mp4_bytes=len(MP4),
                is_public=is_public,
                created_at=created_at,
            ),
            [_run(made, objects[f"{run}init.mp4"], started_at)],
            [_segment(made, n, objects[f"{run}{n:06d}.m4s"]) for n in range(2)],
        )
    return made


def _run(made: MadeVod, init: bytes, started_at: datetime) -> NewRun:
    return NewRun(
        id=made.run_id,
        started_at=started_at,
        start_ms=0,
        pts_origin=0,
        init_key=f"{made.prefix}{made.run_id}/init.mp4",
        init_bytes=len(init),
        init_sha256=hashlib.sha256(init).hexdigest(),
    )


def _segment(made: MadeVod, sequence: int, data: bytes) -> NewVodSegment:
    return NewVodSegment(
        run_id=made.run_id,
        sequence=sequence,
        key=f"{made.prefix}{made.run_id}/{sequence:06d}.m4s",
        start_ms=4_000 * sequence,
        duration_ms=4_000,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
