"""Recorded VODs for the workers' tests: real segments in a store, as a recorder leaves them.

What belongs here: from packaged footage to objects and rows, also of several runs with a gap. What
does not: fixtures, and what is made from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aethex.library import Library, NewRun, NewVod, NewVodSegment, channels, new_id, streams, vods
from aethex.media.playlist import PlaylistRun, PlaylistSegment, media_playlist
from aethex.media.vod import PackagedVod
from aethex.store import Store

GAP = timedelta(seconds=30)


@dataclass(frozen=True)
class Recording:
    """A VOD that is stored and entered, with nothing made from it yet."""

    vod_id: str
    folder: str
    size_bytes: int


def record(
    library: Library, store: Store, runs: Sequence[PackagedVod], started_at: datetime
) -> Recording:
    """A VOD whose runs are these packages, half a minute lost between them; no poster, no MP4."""
    duration_ms = sum(run.duration_ms for run in runs)
    lost = GAP * (len(runs) - 1)
    with library.session() as s:
        stream = streams.ensure_stream(s, channels.ensure_channel(s, "rec"), "Recorded")
        end = started_at + timedelta(milliseconds=duration_ms) + lost
        streams.set_stream_bounds(s, stream.id, started_at, end)
        folder, vod_id = f"vods/{stream.channel_id}/{stream.id}", new_id("vod")
        new_runs: list[NewRun] = []
        segments: list[NewVodSegment] = []
        played: list[PlaylistRun] = []
        at = started_at
        for run in runs:
            run_id = new_id("run")
            played.append(_store_run(store, folder, run_id, run, at))
            new_runs.append(_new_run(run_id, folder, run, at, at - started_at))
            segments += _new_segments(run_id, folder, run)
            at += timedelta(milliseconds=run.duration_ms) + GAP
        playlist_key = f"{folder}/{vod_id}/index.m3u8"
        store.put(playlist_key, media_playlist(played).encode())
        size_bytes = sum(info.size_bytes for info in store.list(folder))
        new = NewVod(
            id=vod_id,
            stream_id=stream.id,
            title="Recorded",
            duration_ms=duration_ms,
            size_bytes=size_bytes,
            width=runs[0].width,
            height=runs[0].height,
            frame_rate=runs[0].frame_rate,
            video_codec="h264",
            audio_codec=runs[0].audio_codec,
            playlist_key=playlist_key,
        )
        vods.add_vod(s, new, new_runs, segments)
    return Recording(vod_id, f"{folder}/{vod_id}", size_bytes)


def _store_run(
    store: Store, folder: str, run_id: str, run: PackagedVod, at: datetime
) -> PlaylistRun:
    for name in (run.init.name, *(segment.name for segment in run.segments)):
        store.put(f"{folder}/{run_id}/{name}", run.out_dir / name)
    listed = [PlaylistSegment(f"../{run_id}/{one.name}", one.duration_ms) for one in run.segments]
    return PlaylistRun(f"../{run_id}/{run.init.name}", listed, at)


def _new_run(
    run_id: str, folder: str, run: PackagedVod, at: datetime, since_start: timedelta
) -> NewRun:
    return NewRun(
        id=run_id,
        started_at=at,
        start_ms=since_start // timedelta(milliseconds=1),
        pts_origin=run.pts_origin,
        init_key=f"{folder}/{run_id}/{run.init.name}",
        init_bytes=run.init.bytes,
        init_sha256=run.init.sha256,
    )


def _new_segments(run_id: str, folder: str, run: PackagedVod) -> list[NewVodSegment]:
    return [
        NewVodSegment(
            run_id=run_id,
            sequence=number,
            key=f"{folder}/{run_id}/{segment.name}",
            start_ms=segment.start_ms,
            duration_ms=segment.duration_ms,
            bytes=segment.bytes,
            sha256=segment.sha256,
        )
        for number, segment in enumerate(run.segments)
    ]
