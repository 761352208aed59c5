"""Queries about likes of VODs."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library import outbox
from aethex.library.models import Like, Vod


def like(s: Session, user_id: str, vod: Vod) -> bool:
    """Let the user like the VOD; whether that is new. The lake learns of a new one."""
    values = {"user_id": user_id, "vod_id": vod.id}
    made = insert(Like).values(values).on_conflict_do_nothing().returning(Like.user_id)
    is_new = s.scalar(made) is not None
    if is_new:
        _record(s, user_id, vod, "like")
    return is_new


def unlike(s: Session, user_id: str, vod: Vod) -> bool:
    """End that; whether the user had liked it. The lake learns of it."""
    gone = (
        delete(Like).where(Like.user_id == user_id, Like.vod_id == vod.id).returning(Like.user_id)
    )
    was_there = s.scalar(gone) is not None
    if was_there:
        _record(s, user_id, vod, "unlike")
    return was_there


def liked_of(s: Session, user_id: str, vod_ids: Collection[str]) -> set[str]:
    """Which of these VODs the user likes."""
    query = select(Like.vod_id).where(Like.user_id == user_id, Like.vod_id.in_([*vod_ids]))
    return {*s.scalars(query)}


def _record(s: Session, user_id: str, vod: Vod, action: str) -> None:
    outbox.record(
        s,
        "engagement",
        channel_id=vod.channel_id,
        vod_id=vod.id,
        viewer_id=user_id,
        payload={"action": action},
    )
