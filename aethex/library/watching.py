"""Queries about watching: how far a user came in each VOD, the history, and what to watch next.

What belongs here: saving beats of progress, the rules of docs/metrics.md ("Watch progress"), lists
of what one user began. What does not: what everybody watched (the lake).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library.models import Follow, User, Vod, WatchProgress
from aethex.library.pages import Page, offset_of
from aethex.library.vods import is_listed, is_visible_to

RESUME_FROM_MS = 10_000
"""Of "5 % or 10 s" the earlier one, which is 10 s from 200 s of length on; shorter content has 10 s
too."""

WATCHED_PERCENT = 95
UNDO_FOR = timedelta(hours=1)
"""How long what was removed from a history can come back; then its rows go."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A VOD that a user watched, and how far."""

    vod: Vod
    position_ms: int
    client_at: datetime


def resume_ms(position_ms: int, duration_ms: int | None) -> int | None:
    """Where to go on, in milliseconds; None where it is offered from the beginning: hardly begun,
    watched, or of unknown length.
    """
    if duration_ms is None or position_ms < RESUME_FROM_MS or is_watched(position_ms, duration_ms):
        return None
    return position_ms


def is_watched(position_ms: int, duration_ms: int | None) -> bool:
    """Whether that far counts as watched to the end."""
    return bool(duration_ms) and position_ms * 100 >= (duration_ms or 0) * WATCHED_PERCENT


# --- beats ----------------------------------------------------------------------------------------


def save(
    s: Session, user_id: str, vod: Vod, position_ms: int, client_at: datetime, now: datetime
) -> WatchProgress:
    """Note where a user's player is, and return where the user is now.

    The beat with the newest `client_at` wins, of two at one moment the one further on; an older
    one that arrives late changes nothing. So any order and any repetition ends in the same state,
    in one statement. A `client_at` later than `now` becomes `now`: a clock that is ahead wins
    against what came before, but never against what comes after. What was removed from the history
    comes back with a beat after the removal.

    `position_ms` is cut to the VOD's length.
    """
    at_most = position_ms if vod.duration_ms is None else min(position_ms, vod.duration_ms)
    beat = insert(WatchProgress).values(
        user_id=user_id,
        vod_id=vod.id,
        position_ms=max(0, at_most),
        client_at=min(client_at, now),
        updated_at=now,
    )
    old, new = WatchProgress, beat.excluded
    is_back = or_(old.removed_at.is_(None), new.client_at > old.removed_at)
    wins = tuple_(new.client_at, new.position_ms) > tuple_(old.client_at, old.position_ms)
    s.execute(
        beat.on_conflict_do_update(
            index_elements=["user_id", "vod_id"],
            set_={
                "position_ms": new.position_ms,
                "client_at": new.client_at,
                "updated_at": new.updated_at,
                "removed_at": None,
            },
            where=and_(is_back, wins),
        )
    )
    return s.get_one(WatchProgress, (user_id, vod.id), populate_existing=True)


def positions(s: Session, user_id: str, vod_ids: Collection[str]) -> dict[str, int]:
    """How far the user came in each of these VODs, in milliseconds; those never watched, or removed
    from the history, are left out.
    """
    query = select(WatchProgress.vod_id, WatchProgress.position_ms).where(
        WatchProgress.user_id == user_id,
        WatchProgress.vod_id.in_([*vod_ids]),
        WatchProgress.removed_at.is_(None),
    )
    return dict(s.execute(query).all())


# --- lists ----------------------------------------------------------------------------------------


def history(
    s: Session, user: User, page: int = 1, per_page: int = 24, *, vod_id: str | None = None
) -> Page[Watched]:
    """What the user watched, the latest first, as far as they may see it; all, or one VOD.

    Raises InvalidValue for a page out of bounds.
    """
    query = _watched(user)
    if vod_id is not None:
        query = query.where(WatchProgress.vod_id == vod_id)
    counted = query.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)
    total = s.scalar(counted) or 0
    rows = s.execute(query.offset(offset_of(page, per_page)).limit(per_page))
    return Page([Watched(*row) for row in rows], total)


def continue_watching(s: Session, user: User, limit: int) -> Sequence[Watched]:
    """What the user began and did not finish, the latest first."""
    began = WatchProgress.position_ms >= RESUME_FROM_MS
    unfinished = WatchProgress.position_ms * 100 < Vod.duration_ms * WATCHED_PERCENT
    rows = s.execute(_watched(user).where(began, unfinished).limit(limit))
    return [Watched(*row) for row in rows]


def recommended(s: Session, user_id: str, limit: int) -> Sequence[Vod]:
    """The newest VODs of the channels that the user follows, without those that the user began."""
    began = select(WatchProgress.vod_id).where(
        WatchProgress.user_id == user_id,
        WatchProgress.vod_id == Vod.id,
        WatchProgress.removed_at.is_(None),
        WatchProgress.position_ms >= RESUME_FROM_MS,
    )
    query = (
        select(Vod)
        .join(Follow, Follow.channel_id == Vod.channel_id)
        .where(Follow.user_id == user_id, is_listed(), ~began.exists())
        .order_by(Vod.created_at.desc(), Vod.id.desc())
        .limit(limit)
    )
    return s.scalars(query).all()


def _watched(user: User) -> Select[Vod, int, datetime]:
    is_theirs = (WatchProgress.user_id == user.id, WatchProgress.removed_at.is_(None))
    return (
        select(Vod, WatchProgress.position_ms, WatchProgress.client_at)
        .join(Vod, Vod.id == WatchProgress.vod_id)
        .where(*is_theirs, is_visible_to(user))
        .order_by(WatchProgress.client_at.desc(), WatchProgress.vod_id.desc())
    )


# --- removing -------------------------------------------------------------------------------------


def remove(s: Session, user_id: str, vod_id: str, at: datetime) -> int:
    """Take one VOD out of the user's history; how many were taken out: 1, or 0 when it was not
    there.
    """
    return _remove(s, and_(WatchProgress.user_id == user_id, WatchProgress.vod_id == vod_id), at)


def clear(s: Session, user_id: str, at: datetime) -> int:
    """Empty the user's history; how many VODs were in it."""
    return _remove(s, WatchProgress.user_id == user_id, at)


def restore(s: Session, user_id: str, removed_at: datetime, now: datetime) -> int:
    """Bring back what the user removed at that moment, if that is not longer ago than `UNDO_FOR`;
    how many VODs that are. Repeating it brings back nothing more.
    """
    if removed_at < now - UNDO_FOR:
        return 0
    query = (
        update(WatchProgress)
        .where(WatchProgress.user_id == user_id, WatchProgress.removed_at == removed_at)
        .values(removed_at=None)
        .returning(WatchProgress.vod_id)
    )
    return len(s.scalars(query).all())


def forget_removed(s: Session, now: datetime) -> None:
    """Let go for good what anybody removed longer than `UNDO_FOR` ago."""
    s.execute(delete(WatchProgress).where(WatchProgress.removed_at < now - UNDO_FOR))


def _remove(s: Session, which: ColumnElement[bool], at: datetime) -> int:
    forget_removed(s, at)  # whoever removes cleans up
    query = (
        update(WatchProgress)
        .where(which, WatchProgress.removed_at.is_(None))
        .values(removed_at=at)
        .returning(WatchProgress.vod_id)
    )
    return len(s.scalars(query).all())
