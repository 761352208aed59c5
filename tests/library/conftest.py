"""Rows that the library's tests start from."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from aethex.library import Channel, Library, Stream, new_id
from aethex.library.channels import ensure_channel
from aethex.library.streams import ensure_stream, set_stream_bounds
from aethex.library.vods import NewRun, NewVod, NewVodSegment

START = datetime(2020, 1, 5, 16, 0, tzinfo=UTC)
SHA256 = "0123456789abcdef" * 4

VodParts = tuple[NewVod, list[NewRun], list[NewVodSegment]]


@pytest.fixture
def channel(library: Library) -> Channel:
    with library.session() as s:
        return ensure_channel(s, "gdq", "Games Done Quick")


@pytest.fixture
def stream(library: Library, channel: Channel) -> Stream:
    """A stream of six hours on 5 January 2020."""
    with library.session() as s:
        made = ensure_stream(s, channel, "AGDQ 2020")
        return set_stream_bounds(s, made.id, START, START + timedelta(hours=6))


@pytest.fixture
def vod_parts(stream: Stream) -> Callable[..., VodParts]:
    """Makes a VOD of two runs with three segments each, as an import would hand it over."""

    def make(title: str = "Day one", **changes: object) -> VodParts:
        vod_id = new_id("vod")
        runs = [
            NewRun(
                id=new_id("run"),
                started_at=START + timedelta(minutes=minutes),
                start_ms=minutes * 60_000,
                pts_origin=0,
                init_key=f"vods/x/{minutes}/init.mp4",
                init_bytes=800,
                init_sha256=SHA256,
            )
            for minutes in (0, 10)
        ]
        segments = [
            NewVodSegment(
                run.id, n, f"vods/x/{run.id}/{n:06}.m4s", n * 4000, 4000, 3_000_000_000, SHA256
            )
            for run in runs
            for n in range(3)
        ]
        values: dict[str, object] = {
            "id": vod_id,
            "stream_id": stream.id,
            "title": title,
            "duration_ms": 24_000,
            "size_bytes": 18_000_001_600,
            "width": 1920,
            "height": 1080,
            "frame_rate": 59.94,
            "video_codec": "h264",
            "audio_codec": "aac",
            "playlist_key": f"vods/x/{vod_id}/index.m3u8",
        }
        return NewVod(**(values | changes)), runs, segments  # pyright: ignore[reportArgumentType]

    return make


def until_somebody_waits_for_a_lock(library: Library) -> None:
    """Returns when a transaction waits for another one."""
    deadline = time.monotonic() + 20
    query = text(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    while True:
        with library.session() as s:
            if s.scalar(query):
                return
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.02)
