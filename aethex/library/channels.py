"""Queries about channels."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library.ids import new_id
from aethex.library.models import Channel
from aethex.library.pages import Page, offset_of
from aethex.library.values import valid_text, valid_username


def get(s: Session, channel_id: str) -> Channel | None:
    """The channel of this id, if there is one."""
    return s.get(Channel, channel_id)


def by_username(s: Session, username: str) -> Channel | None:
    """The channel of this username, if there is one."""
    return s.scalars(select(Channel).where(Channel.username == username)).one_or_none()


def by_ids(s: Session, channel_ids: Iterable[str]) -> dict[str, Channel]:
    """The channels of these ids that exist, by id."""
    found = s.scalars(select(Channel).where(Channel.id.in_([*channel_ids])))
    return {channel.id: channel for channel in found}


def list(s: Session, page: int = 1, per_page: int = 100) -> Page[Channel]:
    """All channels in the order of their usernames. Raises InvalidValue for a page out of
    bounds.
    """
    query = (
        select(Channel).order_by(Channel.username).offset(offset_of(page, per_page)).limit(per_page)
    )
    total = s.scalar(select(func.count()).select_from(Channel)) or 0
    return Page(s.scalars(query).all(), total)


def ensure_channel(s: Session, username: str, title: str | None = None) -> Channel:
    """The channel of this username, made when it is missing (titled by its username, or `title`).

    Two callers at once get the same channel. Raises InvalidValue for a name that cannot be one.
    """
    values = {
        "id": new_id("ch"),
        "username": valid_username(username),
        "title": username if title is None else valid_text(title, "channel's title"),
    }
    if (found := by_username(s, username)) is None:
        # Waits for another caller's transaction, and then does nothing when that one made it.
        s.execute(
            insert(Channel).values(values).on_conflict_do_nothing(index_elements=["username"])
        )
        found = s.scalars(select(Channel).where(Channel.username == username)).one()
    return found
