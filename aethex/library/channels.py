"""Queries about channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library import audit
from aethex.library.audit import Actor
from aethex.library.errors import InvalidValue, NotInLibrary
from aethex.library.ids import new_id
from aethex.library.models import Channel, User
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


def owned_by(s: Session, user_id: str) -> Sequence[Channel]:
    """The user's own channels, in the order of their usernames."""
    query = select(Channel).where(Channel.owner_id == user_id).order_by(Channel.username)
    return s.scalars(query).all()


def create(s: Session, actor: Actor, owner_id: str, username: str, title: str) -> Channel:
    """The first channel of a user, who owns it.

    Raises InvalidValue for names that cannot be or are taken, and for who has a channel already;
    NotInLibrary without such a user.
    """
    values = {
        "id": new_id("ch"),
        "owner_id": owner_id,
        "username": valid_username(username),
        "title": valid_text(title or username, "channel's title"),
    }
    # the lock keeps two requests at once from making two
    if s.get(User, owner_id, with_for_update=True) is None:
        raise NotInLibrary(f"There is no user {owner_id}: check the id.")
    if owned_by(s, owner_id):
        raise InvalidValue("You have a channel already: an account makes one.")
    made = insert(Channel).values(values).on_conflict_do_nothing(index_elements=["username"])
    channel = s.scalars(made.returning(Channel)).one_or_none()
    if channel is None:
        raise InvalidValue(f"The channel name {username} is taken: choose another one.")
    audit.record(s, actor, "channel.create", channel.id, username=username, title=channel.title)
    return channel


def claim(s: Session, actor: Actor, channel_id: str, owner_id: str | None) -> Channel:
    """Give the channel this owner, in place of whoever it had (None: nobody).

    Raises NotInLibrary for a channel or user that is not there.
    """
    channel = s.get(Channel, channel_id, with_for_update=True)
    if channel is None:
        raise NotInLibrary(f"There is no channel {channel_id}: check the id.")
    if owner_id is not None and s.get(User, owner_id) is None:
        raise NotInLibrary(f"There is no user {owner_id}: check the id.")
    if channel.owner_id != owner_id:
        changed = [channel.owner_id, owner_id]
        audit.record(s, actor, "channel.set_owner", channel_id, owner_id=changed)
        channel.owner_id = owner_id
        s.flush()
    return channel
