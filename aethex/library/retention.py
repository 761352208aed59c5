"""Queries about VODs that have to go: expired ones, deleted ones whose time to undo is over, tests.

What belongs here: which they are, and the three steps of a deletion: hidden (`deleted_at`, which
can be undone), claimed (`purge_started_at`, which cannot), gone. What does not: objects of the
store (`workers.vod_cleanup`), and a channel's wishes (`recording`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Integer,
    Interval,
    and_,
    case,
    delete,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session

from aethex.library.models import RecordingSettings, Stream, Vod, VodRun

UNDO_DAYS = 30
"""How long a deleted or expired VOD can be had back."""

TEST_DAYS = 1
"""How long a test recording stays, so that a wrong minimum can still be noticed."""

# greatest() passes over nulls
_AGE_FROM = func.greatest(Stream.ended_at, Vod.created_at, Vod.restored_at)


@dataclass(frozen=True)
class Condemned:
    """A VOD that has to go, and the folders of the store that hold its objects."""

    vod_id: str
    channel_id: str
    title: str
    reason: str
    since: datetime
    folders: tuple[str, ...]


def expires_at(
    vod: Vod, stream_ended_at: datetime | None, delete_after_days: int
) -> datetime | None:
    """When a VOD is hidden because it is old; None: never.

    Its age counts from its stream's end, or from when it came here or was restored, if that is
    later: the video of an old stream that was imported today stays as long as any other.
    """
    if not delete_after_days:
        return None
    known = [at for at in (stream_ended_at, vod.created_at, vod.restored_at) if at is not None]
    return max(known) + timedelta(days=delete_after_days)


def expired(s: Session, now: datetime, default_days: int, limit: int) -> Sequence[Vod]:
    """VODs that are older than their channel keeps them and still shown, the oldest first.

    A stream that is live keeps its VODs, however long it goes on.
    """
    days = func.coalesce(RecordingSettings.delete_after_days, default_days)
    query = (
        select(Vod)
        .join(Stream, Stream.id == Vod.stream_id)
        .outerjoin(RecordingSettings, RecordingSettings.channel_id == Vod.channel_id)
        .where(_is_expired(days, now))
        .order_by(_AGE_FROM, Vod.id)
        .limit(limit)
    )
    return s.scalars(query).all()


def count_expired(s: Session, channel_id: str, now: datetime, days: int) -> int:
    """How many VODs of a channel go with the next clean-up when they stay that many days."""
    query = (
        select(func.count())
        .select_from(Vod)
        .join(Stream, Stream.id == Vod.stream_id)
        .where(Vod.channel_id == channel_id, _is_expired(literal(days, Integer), now))
    )
    return s.scalar(query) or 0


def _is_expired(days: ColumnElement[int], now: datetime) -> ColumnElement[bool]:
    """Whether a VOD that its channel keeps for so many days is older, and is still shown."""
    return and_(
        Vod.status == "ready",
        Vod.deleted_at.is_(None),
        Stream.status != "live",
        days > 0,
        _AGE_FROM + func.make_interval(0, 0, 0, days, type_=Interval) <= now,
    )


def undo_until(vod: Vod) -> datetime | None:
    """Until when a deleted VOD can be had back; None: it is not deleted."""
    if vod.deleted_at is None:
        return None
    days = TEST_DAYS if vod.delete_reason == "test" else UNDO_DAYS
    return vod.deleted_at + timedelta(days=days)


def due_for_purge(s: Session, now: datetime, limit: int) -> list[Condemned]:
    """Deleted VODs that can no more be had back, and those whose purge was begun, oldest first."""
    days = case((Vod.delete_reason == "test", TEST_DAYS), else_=UNDO_DAYS)
    over = Vod.deleted_at + func.make_interval(0, 0, 0, days, type_=Interval) <= now
    query = (
        select(Vod)
        .where(Vod.deleted_at.is_not(None), or_(over, Vod.purge_started_at.is_not(None)))
        .order_by(Vod.deleted_at, Vod.id)
        .limit(limit)
    )
    return [_condemned(s, vod) for vod in s.scalars(query)]


def begin_purge(s: Session, vod_id: str, since: datetime, now: datetime) -> bool:
    """Claim a VOD that is deleted `since` then for good, if nobody has restored it meanwhile. One
    that was restored and deleted again can be had back as long as any other.
    """
    vod = s.scalars(select(Vod).where(Vod.id == vod_id).with_for_update()).one_or_none()
    if vod is None or vod.deleted_at != since:
        return False
    vod.purge_started_at = vod.purge_started_at or now
    return True


def finish_purge(s: Session, vod_id: str) -> None:
    """Remove the rows of a VOD whose objects are gone: its runs, segments and likes go along."""
    s.execute(delete(Vod).where(Vod.id == vod_id, Vod.purge_started_at.is_not(None)))


def _condemned(s: Session, vod: Vod) -> Condemned:
    assert vod.deleted_at is not None
    of_stream = f"vods/{vod.channel_id}/{vod.stream_id}"
    runs = s.scalars(select(VodRun.id).where(VodRun.vod_id == vod.id).order_by(VodRun.position))
    return Condemned(
        vod_id=vod.id,
        channel_id=vod.channel_id,
        title=vod.title,
        reason=vod.delete_reason or "owner",
        since=vod.deleted_at,
        folders=tuple(f"{of_stream}/{name}" for name in (*runs, vod.id)),
    )
