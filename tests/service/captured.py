"""Streams that were, or are, recorded here, for tests of what their owner is told.

What belongs here: rows of captures, without video. What does not: VODs that play (`content.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from aethex.library import (
    Capture,
    GapCause,
    Library,
    NewRun,
    NewVodSegment,
    Stream,
    VodRun,
    VodSegment,
    captures,
    channels,
    inputs,
    live,
    new_id,
)
from tests.service.content import MadeVod

SHA256 = "0123456789abcdef" * 4


def go_live(
    library: Library, username: str, at: datetime, title: str = "On air", provider: str = "rtmp"
) -> Stream:
    """A stream of the channel that is live since then, on an input of its own."""
    with library.session() as s:
        channel = channels.ensure_channel(s, username)
        of = inputs.add_input(s, channel.id, provider, None if provider == "rtmp" else title)
        stream = live.signal(s, of.id, "connected", at, f"{title} connects", at, title=title)
        assert stream is not None
        return stream


def begin_vod(library: Library, stream: Stream) -> str:
    """The VOD that the recorder makes of it, with four seconds in it; its id."""
    assert stream.started_at is not None
    run = NewRun(new_id("run"), stream.started_at, 0, 0, "vods/x/init.mp4", 800, SHA256)
    segment = NewVodSegment(run.id, 0, "vods/x/0.m4s", 0, 4000, 3000, SHA256)
    with library.session() as s:
        picture = captures.Picture(1280, 720, 30, has_sound=True)
        return captures.add_segment(s, stream.id, run, segment, picture)


def make_captured(
    library: Library,
    made: MadeVod,
    *,
    lasted: timedelta,
    holes: Sequence[tuple[float, float, GapCause]] = (),
) -> None:
    """Have the VOD be one that was recorded here: its stream was live for so long, and these
    seconds of it (from, to, why) are missing.
    """
    with library.session() as s:
        stream = s.get_one(Stream, made.stream_id)
        assert stream.started_at is not None
        stream.ended_at = stream.started_at + lasted
        s.add(Capture(vod_id=made.id, stream_id=stream.id, finished_at=stream.ended_at))
        begins = [0.0, *(end for _, end, _ in holes)]
        ends = [*(begin for begin, _, _ in holes), lasted.total_seconds()]
        first = s.get_one(VodSegment, (made.run_id, 1))
        first.duration_ms = round(ends[0] * 1000) - first.start_ms
        for n, (begin, end) in enumerate(zip(begins[1:], ends[1:], strict=True), 1):
            _add_run(s, made, n, stream.started_at + timedelta(seconds=begin), end - begin)
        for begin, _, cause in holes:
            captures.note_break(s, stream.id, stream.started_at + timedelta(seconds=begin), cause)


def _add_run(s: Session, made: MadeVod, position: int, at: datetime, seconds: float) -> None:
    run_id = new_id("run")
    s.add(
        VodRun(
            id=run_id,
            vod_id=made.id,
            position=position,
            started_at=at,
            start_ms=0,
            pts_origin=0,
            init_key="vods/x/init.mp4",
            init_bytes=800,
            init_sha256=SHA256,
        )
    )
    s.flush()
    segment = VodSegment(run_id=run_id, sequence=0, key="vods/x/0.m4s", start_ms=0, bytes=3000)
    segment.duration_ms, segment.sha256 = round(seconds * 1000), SHA256
    s.add(segment)
