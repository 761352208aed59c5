"""Queries about captures: what the recorder adds to a VOD while its stream is live, and its end.

What belongs here: rows. What does not: media and objects (the recorder), sums (`ledger`).

Everything here may be repeated: a recorder that was killed between two steps does them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library.errors import NotInLibrary
from aethex.library.ids import new_id
from aethex.library.inputs import OUR_PROVIDERS
from aethex.library.models import (
    Capture,
    CaptureBreak,
    ChannelInput,
    GapCause,
    Stream,
    Vod,
    VodRun,
    VodSegment,
)
from aethex.library.vods import NewRun, NewVodSegment, count_segments, mark_deleted, restore


@dataclass(frozen=True)
class Picture:
    """What a capture's first segment says of its VOD. `frame_rate` is frames a second."""

    width: int
    height: int
    frame_rate: float
    has_sound: bool


@dataclass(frozen=True)
class CaptureToFinish:
    """A capture whose stream is over and whose VOD is not yet whole."""

    vod_id: str
    stream_id: str
    channel_id: str
    poster_key: str | None


@dataclass(frozen=True)
class Finished:
    """What a finished VOD is; see `Vod` for the units."""

    duration_ms: int
    media_bytes: int
    """Segments, init segments and playlist."""
    playlist_key: str
    poster_key: str | None
    poster_bytes: int
    """Of a poster that was made now; 0: it is there from before, or there is none."""
    is_test: bool
    """Shorter than a recording has to be."""


def of_stream(s: Session, stream_id: str) -> Capture | None:
    """The stream's capture, once it has a segment."""
    return s.scalars(select(Capture).where(Capture.stream_id == stream_id)).one_or_none()


def get(s: Session, vod_id: str) -> Capture | None:
    """The capture that this VOD is; None: it was imported, or copied from a provider."""
    return s.get(Capture, vod_id)


def add_segment(
    s: Session, stream_id: str, run: NewRun, segment: NewVodSegment, picture: Picture
) -> str:
    """Add a stored segment, with its run and the VOD where it is the first of them; the VOD's id.

    A segment that is there stays as it is. One that comes after the VOD was finished opens it
    again. Raises NotInLibrary without the stream.
    """
    vod_id = _locked_capture(s, stream_id, picture)
    position = select(func.count()).where(VodRun.vod_id == vod_id).scalar_subquery()
    new_run = insert(VodRun).values(**asdict(run), vod_id=vod_id, position=position)
    s.execute(new_run.on_conflict_do_nothing(index_elements=["id"]))
    added = s.execute(
        insert(VodSegment)
        .values(**asdict(segment))
        .on_conflict_do_nothing(index_elements=["run_id", "sequence"])
        .returning(VodSegment.sequence)
    ).first()
    if added is not None:
        s.execute(update(Capture).where(Capture.vod_id == vod_id).values(finished_at=None))
    if picture.has_sound:  # also when it came late
        silent = update(Vod).where(Vod.id == vod_id, Vod.audio_codec.is_(None))
        s.execute(silent.values(audio_codec="aac"))
    return vod_id


def _locked_capture(s: Session, stream_id: str, picture: Picture) -> str:
    """The VOD of the stream's capture, made when missing; nobody else changes it meanwhile."""
    query = select(Capture.vod_id).where(Capture.stream_id == stream_id).with_for_update()
    if (found := s.scalar(query)) is not None:
        return found
    # Two that make it at once: the stream's row decides who is first.
    stream = s.scalars(select(Stream).where(Stream.id == stream_id).with_for_update()).one_or_none()
    if stream is None:
        raise NotInLibrary(f"There is no stream {stream_id}: check the id.")
    if (found := s.scalar(query)) is not None:
        return found
    vod = Vod(
        id=new_id("vod"),
        stream_id=stream_id,
        channel_id=stream.channel_id,
        title=stream.title,
        status="processing",
        width=picture.width,
        height=picture.height,
        frame_rate=picture.frame_rate,
        video_codec="h264",
        audio_codec="aac" if picture.has_sound else None,
    )
    s.add(vod)
    s.flush()
    s.add(Capture(vod_id=vod.id, stream_id=stream_id))
    s.flush()
    return vod.id


def note_break(s: Session, stream_id: str, at: datetime, cause: GapCause) -> None:
    """Remember why there is a gap about this moment. Raises NotInLibrary without the stream."""
    if s.get(Stream, stream_id) is None:
        raise NotInLibrary(f"There is no stream {stream_id}: check the id.")
    s.add(CaptureBreak(stream_id=stream_id, at=at, cause=cause))


def to_finish(s: Session) -> Sequence[CaptureToFinish]:
    """Captures whose stream has ended and that are not finished, the oldest first."""
    query = (
        select(Vod.id, Vod.stream_id, Vod.channel_id, Vod.poster_key)
        .join(Capture, Capture.vod_id == Vod.id)
        .join(Stream, Stream.id == Vod.stream_id)
        .where(Capture.finished_at.is_(None), Stream.status == "ended")
        .order_by(Vod.id)
    )
    return [CaptureToFinish(*row) for row in s.execute(query)]


def publish(s: Session, vod_id: str, finished: Finished, segments: int, now: datetime) -> bool:
    """Make the VOD what its playlist holds: ready, or hidden when it is a test.

    False, and nothing is changed, when it no longer has exactly `segments` segments: then the
    playlist has to be written again. Runs are placed on the stream's axis anew, as its start may
    have become known only later.
    """
    if not _has_exactly(s, vod_id, segments):
        return False
    start = (
        select(Stream.started_at)
        .select_from(Vod)
        .join(Stream, Stream.id == Vod.stream_id)
        .where(Vod.id == vod_id)
        .scalar_subquery()
    )
    start_ms = func.round(func.extract("epoch", VodRun.started_at - start) * 1000)
    s.execute(
        update(VodRun)
        .where(VodRun.vod_id == vod_id, start.is_not(None))
        .values(start_ms=start_ms)
        .execution_options(synchronize_session=False)
    )
    vod = s.get_one(Vod, vod_id)
    vod.duration_ms = finished.duration_ms
    vod.playlist_key, vod.poster_key = finished.playlist_key, finished.poster_key
    derived_bytes = (vod.derived_bytes or 0) + finished.poster_bytes
    vod.derived_bytes = derived_bytes
    vod.size_bytes = finished.media_bytes + derived_bytes + (vod.mp4_bytes or 0)
    vod.status = "ready"
    if finished.is_test and vod.restored_at is None:  # else somebody wants it
        mark_deleted(s, vod_id, now, "test")
    elif vod.delete_reason == "test" and vod.purge_started_at is None:
        restore(s, vod_id, now)  # more of it came late
    s.flush()
    return True


def finish(s: Session, vod_id: str, segments: int, at: datetime) -> bool:
    """Close the capture: nothing is left to be done. False as in `publish`."""
    if not _has_exactly(s, vod_id, segments):
        return False
    s.execute(update(Capture).where(Capture.vod_id == vod_id).values(finished_at=at))
    return True


def _has_exactly(s: Session, vod_id: str, segments: int) -> bool:
    s.execute(select(Capture.vod_id).where(Capture.vod_id == vod_id).with_for_update())
    return count_segments(s, vod_id) == segments


# inputs that a recorder records


@dataclass(frozen=True)
class Pull:
    """An input that has to be pulled now. `stream_id` is its live stream, as its provider told;
    None: nobody tells, and the pull itself shows whether it is live.
    """

    input_id: str
    channel_id: str
    url: str
    stream_id: str | None


def pulls(s: Session) -> Sequence[Pull]:
    """What has to be pulled: inputs that are only pulled, always; others while they are live. Not
    what its provider records.
    """
    live = (
        select(Stream.input_id, func.max(Stream.id).label("stream_id"))
        .where(Stream.status == "live")
        .group_by(Stream.input_id)
        .subquery()
    )
    query = (
        select(
            ChannelInput.id,
            ChannelInput.channel_id,
            ChannelInput.pull_url,
            case((ChannelInput.provider != "pull", live.c.stream_id)),
        )
        .outerjoin(live, live.c.input_id == ChannelInput.id)
        .where(
            ChannelInput.pull_url.is_not(None),
            ChannelInput.is_recorded_by_provider.is_(False),
            or_(ChannelInput.provider == "pull", live.c.stream_id.is_not(None)),
        )
        .order_by(ChannelInput.id)
    )
    return [Pull(*row) for row in s.execute(query)]


def pushed_live(s: Session) -> Sequence[tuple[str, str]]:
    """Inputs that publish to a recorder, or are only pulled by one, and are told to be connected:
    (input, its live stream).
    """
    query = (
        select(ChannelInput.id, Stream.id)
        .join(Stream, Stream.input_id == ChannelInput.id)
        .where(
            Stream.status == "live",
            ChannelInput.provider.in_(OUR_PROVIDERS),
            ChannelInput.settles_at.is_(None),
        )
        .order_by(ChannelInput.id)
    )
    return [(input_id, stream_id) for input_id, stream_id in s.execute(query)]


def last_end_at(s: Session, stream_id: str) -> datetime | None:
    """Until when the stream was captured, by the clock of arrival; None: not at all yet."""
    end_ms = func.max(VodSegment.start_ms + VodSegment.duration_ms)
    query = (
        select(VodRun.started_at, end_ms)
        .join(Capture, Capture.vod_id == VodRun.vod_id)
        .join(VodSegment, VodSegment.run_id == VodRun.id)
        .where(Capture.stream_id == stream_id)
        .group_by(VodRun.id)
    )
    ends = [at + timedelta(milliseconds=length) for at, length in s.execute(query)]
    return max(ends, default=None)
