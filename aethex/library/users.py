"""Queries about users and whom they follow."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library import outbox
from aethex.library.ids import new_id
from aethex.library.models import Channel, Follow, User
from aethex.library.values import valid_text, valid_username


def get(s: Session, user_id: str) -> User | None:
    """The user of this id, if there is one."""
    return s.get(User, user_id)


def by_username(s: Session, username: str) -> User | None:
    """The user of this username, if there is one."""
    return s.scalars(select(User).where(User.username == username)).one_or_none()


def ensure_user(s: Session, username: str, display_name: str | None = None) -> User:
    """The user of this username, made when missing. Two callers at once get the same one.

    Raises InvalidValue for a name that cannot be one.
    """
    values = {
        "id": new_id("usr"),
        "username": valid_username(username),
        "display_name": valid_text(display_name or username, "display name"),
    }
    if (found := by_username(s, username)) is None:
        s.execute(insert(User).values(values).on_conflict_do_nothing(index_elements=["username"]))
        found = s.scalars(select(User).where(User.username == username)).one()
    return found


def follow(s: Session, user_id: str, channel_id: str, stream_id: str | None = None) -> bool:
    """Let the user follow the channel; whether that is new. The lake learns of a new one.

    `stream_id`: the live stream during which it happened, if any.
    """
    values = {"user_id": user_id, "channel_id": channel_id}
    made = insert(Follow).values(values).on_conflict_do_nothing().returning(Follow.user_id)
    is_new = s.scalar(made) is not None
    if is_new:
        _record(s, user_id, channel_id, stream_id, "follow")
    return is_new


def unfollow(s: Session, user_id: str, channel_id: str, stream_id: str | None = None) -> bool:
    """End that; whether the user had followed. The lake learns of it."""
    gone = (
        delete(Follow)
        .where(Follow.user_id == user_id, Follow.channel_id == channel_id)
        .returning(Follow.user_id)
    )
    was_there = s.scalar(gone) is not None
    if was_there:
        _record(s, user_id, channel_id, stream_id, "unfollow")
    return was_there


def followed_channels(s: Session, user_id: str) -> Sequence[Channel]:
    """The channels that the user follows, the latest first."""
    query = (
        select(Channel)
        .join(Follow, Follow.channel_id == Channel.id)
        .where(Follow.user_id == user_id)
        .order_by(Follow.created_at.desc(), Channel.id.desc())
    )
    return s.scalars(query).all()


def is_following(s: Session, user_id: str, channel_id: str) -> bool:
    """Whether the user follows the channel."""
    query = select(Follow.user_id).where(Follow.user_id == user_id, Follow.channel_id == channel_id)
    return s.scalar(query) is not None


def follows_any(s: Session, user_id: str) -> bool:
    """Whether the user follows any channel."""
    query = select(Follow.user_id).where(Follow.user_id == user_id).limit(1)
    return s.scalar(query) is not None


def _record(s: Session, user_id: str, channel_id: str, stream_id: str | None, action: str) -> None:
    outbox.record(
        s,
        "follow",
        channel_id=channel_id,
        stream_id=stream_id,
        viewer_id=user_id,
        payload={"action": action},
    )
