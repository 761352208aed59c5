"""Queries about VODs, their runs and their media segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, insert, or_, select
from sqlalchemy.orm import Session

from aethex.library import jobs
from aethex.library.errors import InvalidValue, NotInLibrary
from aethex.library.models import Channel, Stream, User, Vod, VodDeleteReason, VodRun, VodSegment
from aethex.library.pages import Page, offset_of
from aethex.library.values import valid_prose, valid_text

DERIVE_KIND = "derive"
"""Of jobs that make storyboard, preview, loudness and MP4; their subject is the VOD's id."""


@dataclass(frozen=True)
class NewVod:
    """A VOD whose objects are stored. Its id is made before, because its keys hold it."""

    id: str
    stream_id: str
    title: str
    duration_ms: int
    size_bytes: int
    """All of its objects together."""
    width: int
    height: int
    frame_rate: float
    """Frames a second."""
    video_codec: str
    audio_codec: str | None
    playlist_key: str
    poster_key: str | None = None
    mp4_key: str | None = None
    mp4_bytes: int | None = None
    storyboard_key: str | None = None
    preview_key: str | None = None
    loudness_key: str | None = None
    derived_bytes: int | None = None
    """Of `size_bytes`: storyboard, preview and loudness, and a poster made with them."""
    description: str = ""
    is_public: bool = True
    created_at: datetime | None = None
    """None: now, by the database's clock."""


@dataclass(frozen=True)
class NewRun:
    """A run of a new VOD; see `VodRun` for the units."""

    id: str
    started_at: datetime
    start_ms: int
    pts_origin: int
    init_key: str
    init_bytes: int
    init_sha256: str


@dataclass(frozen=True)
class NewVodSegment:
    """A media segment of a new VOD; see `VodSegment` for the units."""

    run_id: str
    sequence: int
    key: str
    start_ms: int
    duration_ms: int
    bytes: int
    sha256: str
    is_independent: bool = True


@dataclass(frozen=True)
class DerivedObjects:
    """What was made from a VOD and is stored: keys, and the bytes of all of it together.

    `poster_key` and `mp4_key` are None where the VOD keeps what it has.
    """

    storyboard_key: str
    preview_key: str
    loudness_key: str
    derived_bytes: int
    poster_key: str | None = None
    mp4_key: str | None = None
    mp4_bytes: int | None = None
    """Not part of `derived_bytes`."""


@dataclass(frozen=True)
class RunWithSegments:
    """A run and its media segments in order."""

    run: VodRun
    segments: Sequence[VodSegment]


@dataclass(frozen=True)
class MediaAccess:
    """What decides whether a VOD's objects may be sent."""

    vod_id: str
    title: str
    is_public: bool
    deleted_at: datetime | None
    owner_id: str | None
    """Of its channel; None: nobody owns it."""
    run_ids: frozenset[str]


def get(s: Session, vod_id: str) -> Vod | None:
    """The VOD of this id, whatever its state."""
    return s.get(Vod, vod_id)


def get_listed(s: Session, vod_id: str) -> Vod | None:
    """The VOD of this id if everybody may see it: ready, public and not deleted."""
    return s.scalars(select(Vod).where(Vod.id == vod_id, is_listed())).one_or_none()


def list_channel_vods(s: Session, channel_id: str, page: int = 1, per_page: int = 24) -> Page[Vod]:
    """A channel's VODs that everybody may see, the newest first.

    Raises InvalidValue for a page out of bounds.
    """
    query = newest_first(channel_id).offset(offset_of(page, per_page)).limit(per_page)
    return Page(s.scalars(query).all(), count_listed(s, channel_id))


def count_listed(s: Session, channel_id: str) -> int:
    """How many VODs of the channel everybody may see."""
    count = select(func.count()).select_from(Vod)
    return s.scalar(count.where(Vod.channel_id == channel_id, is_listed())) or 0


def newest_first(channel_id: str) -> Select[Vod]:
    """The query behind `list_channel_vods`, before paging."""
    listed = select(Vod).where(Vod.channel_id == channel_id, is_listed())
    return listed.order_by(Vod.created_at.desc(), Vod.id.desc())


def list_stream_vods(s: Session, stream_id: str) -> Sequence[Vod]:
    """A stream's VODs that everybody may see, the newest first."""
    query = select(Vod).where(Vod.stream_id == stream_id, is_listed())
    return s.scalars(query.order_by(Vod.created_at.desc(), Vod.id.desc())).all()


def in_the_making(s: Session, channel_id: str, limit: int) -> Sequence[Vod]:
    """A channel's VODs that are not ready yet, or never will be, the newest first."""
    query = (
        select(Vod)
        .where(Vod.channel_id == channel_id, Vod.status != "ready", Vod.deleted_at.is_(None))
        .order_by(Vod.id.desc())
        .limit(limit)
    )
    return s.scalars(query).all()


def exists_for_stream(s: Session, stream_id: str) -> bool:
    """Whether a stream has or had a VOD, in any state: also one that is private or deleted."""
    return s.scalar(select(Vod.id).where(Vod.stream_id == stream_id).limit(1)) is not None


def media_access(s: Session, vod_id: str) -> MediaAccess | None:
    """What `/media` checks on each request, in one query; None without such a VOD."""
    query = (
        select(Vod.title, Vod.is_public, Vod.deleted_at, Channel.owner_id, VodRun.id)
        .join(VodRun, VodRun.vod_id == Vod.id)
        .join(Channel, Channel.id == Vod.channel_id)
        .where(Vod.id == vod_id)
    )
    rows = s.execute(query).all()
    if not rows:
        return None
    title, is_public, deleted_at, owner_id, _ = rows[0]
    run_ids = frozenset(row[4] for row in rows)
    return MediaAccess(vod_id, title, is_public, deleted_at, owner_id, run_ids)


def runs_and_segments(s: Session, vod_id: str) -> Sequence[RunWithSegments]:
    """A VOD's runs as they were recorded one after the other, each with its media segments."""
    of_vod = select(VodRun).where(VodRun.vod_id == vod_id)
    runs = s.scalars(of_vod.order_by(VodRun.started_at, VodRun.position)).all()
    by_run: dict[str, list[VodSegment]] = {run.id: [] for run in runs}
    query = select(VodSegment).where(VodSegment.run_id.in_(by_run.keys()))
    for segment in s.scalars(query.order_by(VodSegment.run_id, VodSegment.sequence)):
        by_run[segment.run_id].append(segment)
    return [RunWithSegments(run, by_run[run.id]) for run in runs]


def count_segments(s: Session, vod_id: str) -> int:
    """How many media segments a VOD has."""
    of_vod = (
        select(func.count()).select_from(VodSegment).join(VodRun, VodRun.id == VodSegment.run_id)
    )
    return s.scalar(of_vod.where(VodRun.vod_id == vod_id)) or 0


def add_vod(
    s: Session, new: NewVod, runs: Sequence[NewRun], segments: Sequence[NewVodSegment]
) -> Vod:
    """Add a VOD that is ready, with its runs (in order) and all their media segments.

    All or nothing with the session's transaction. Raises InvalidValue when the parts do not fit
    together, NotInLibrary without its stream.
    """
    _check_parts(new, runs, segments)
    channel_id = s.scalar(select(Stream.channel_id).where(Stream.id == new.stream_id))
    if channel_id is None:
        raise NotInLibrary(f"There is no stream {new.stream_id}: add it before its VOD.")
    values: dict[str, Any] = asdict(new)
    if new.created_at is None:
        del values["created_at"]
    values |= {"channel_id": channel_id, "title": valid_text(new.title, "VOD's title")}
    vod = Vod(status="ready", **values)
    s.add(vod)
    s.flush()  # before its parts, which point at it
    rows = [asdict(run) | {"vod_id": new.id, "position": i} for i, run in enumerate(runs)]
    s.execute(insert(VodRun), rows)
    s.execute(insert(VodSegment), [asdict(segment) for segment in segments])
    return vod


def set_derived(s: Session, vod_id: str, made: DerivedObjects) -> Vod:
    """Enter what was made from a VOD. Again: it replaces what was entered before.

    `size_bytes` stays the size of all of its objects. Raises NotInLibrary.
    """
    vod = _locked(s, vod_id)
    grown = made.derived_bytes - (vod.derived_bytes or 0)
    if made.mp4_key is not None:
        grown += (made.mp4_bytes or 0) - (vod.mp4_bytes or 0)
        vod.mp4_key, vod.mp4_bytes = made.mp4_key, made.mp4_bytes
    vod.size_bytes = (vod.size_bytes or 0) + grown
    vod.derived_bytes = made.derived_bytes
    vod.poster_key = made.poster_key or vod.poster_key
    vod.storyboard_key, vod.preview_key = made.storyboard_key, made.preview_key
    vod.loudness_key = made.loudness_key
    s.flush()
    return vod


def set_public(s: Session, vod_id: str, is_public: bool) -> Vod:
    """Let everybody see a VOD, or only its channel's owner. Raises NotInLibrary."""
    vod = _existing(s, vod_id)
    vod.is_public = is_public
    s.flush()
    return vod


def edit(
    s: Session,
    vod_id: str,
    *,
    title: str | None = None,
    description: str | None = None,
    is_public: bool | None = None,
) -> Vod:
    """Change what is given. Raises NotInLibrary, InvalidValue for a text that cannot be one."""
    vod = _existing(s, vod_id)
    if title is not None:
        vod.title = valid_text(title, "title")
    if description is not None:
        vod.description = valid_prose(description, "description")
    if is_public is not None:
        vod.is_public = is_public
    s.flush()
    return vod


def mark_deleted(s: Session, vod_id: str, at: datetime, reason: VodDeleteReason = "owner") -> Vod:
    """Hide a VOD from everybody since `at`; its objects stay. Repeating it keeps the first time.

    `reason`: `owner`, `expired` or `test`. Raises NotInLibrary.
    """
    vod = _locked(s, vod_id)
    if vod.deleted_at is None:
        vod.deleted_at, vod.delete_reason = at, reason
        s.flush()
    return vod


def restore(s: Session, vod_id: str, now: datetime) -> Vod:
    """Show a deleted VOD again; an expired one stays as long again as a new one.

    Raises NotInLibrary, and InvalidValue when its objects are being deleted already.
    """
    vod = _locked(s, vod_id)
    if vod.purge_started_at is not None:
        raise InvalidValue(f"VOD {vod_id} can no more be restored: its video is being deleted.")
    if vod.deleted_at is not None:
        if vod.delete_reason == "test" and vod.storyboard_key is None:
            jobs.enqueue(s, DERIVE_KIND, vod_id)  # of tests nothing is made
        vod.deleted_at, vod.delete_reason, vod.restored_at = None, None, now
        s.flush()
    return vod


def _existing(s: Session, vod_id: str) -> Vod:
    vod = get(s, vod_id)
    if vod is None:
        raise NotInLibrary(f"There is no VOD {vod_id}: check the id.")
    return vod


def _locked(s: Session, vod_id: str) -> Vod:
    """The VOD as it is now, also where it was loaded before somebody else changed it."""
    query = select(Vod).where(Vod.id == vod_id).with_for_update()
    vod = s.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if vod is None:
        raise NotInLibrary(f"There is no VOD {vod_id}: check the id.")
    return vod


def is_listed() -> ColumnElement[bool]:
    """Whether everybody may see a VOD: the very condition of the `ix_vods_…` indexes.

    `is_public` stands alone because Postgres does not match `is_public is true` with the indexes.
    """
    return and_(Vod.status == "ready", Vod.is_public, Vod.deleted_at.is_(None))


def is_visible_to(user: User | None) -> ColumnElement[bool]:
    """Whether this user (None: nobody signed in) may see a VOD: beside what everybody sees, owners
    see their private VODs, and admins all.
    """
    if user is None:
        return is_listed()
    is_there = and_(Vod.status == "ready", Vod.deleted_at.is_(None))
    if user.role == "admin":
        return is_there
    own = select(Channel.id).where(Channel.owner_id == user.id)
    return and_(is_there, or_(Vod.is_public, Vod.channel_id.in_(own)))


def is_listed_row(vod: Vod) -> bool:
    """What `is_listed` says, of a row that is loaded."""
    return vod.status == "ready" and vod.is_public and vod.deleted_at is None


def _check_parts(new: NewVod, runs: Sequence[NewRun], segments: Sequence[NewVodSegment]) -> None:
    by_run: dict[str, list[NewVodSegment]] = {run.id: [] for run in runs}
    if not runs or len(by_run) != len(runs):
        raise InvalidValue(f"VOD {new.id} needs one run or more, each with an id of its own.")
    for segment in segments:
        if segment.run_id not in by_run:
            raise InvalidValue(
                f"Segment {segment.key} is of run {segment.run_id}, not of the VOD's."
            )
        by_run[segment.run_id].append(segment)
    for run_id, of_run in by_run.items():
        if [segment.sequence for segment in of_run] != [*range(len(of_run))] or not of_run:
            raise InvalidValue(f"Run {run_id} needs segments numbered 0, 1, 2 … in order.")
        starts = [segment.start_ms for segment in of_run]
        if starts != sorted(starts):
            raise InvalidValue(f"Run {run_id} has a segment that starts before the one before it.")
