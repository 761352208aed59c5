"""Tables of people, and of what they like and follow."""

from __future__ import annotations

from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from aethex.library.columns import At, CreatedAt, Id, String
from aethex.library.models.base import USERNAME_PATTERN, Base, one_of

Role = Literal["viewer", "analyst", "admin"]
"""What a user may beside their own: analysts read all numbers, admins do everything. A creator is
who owns a channel, and needs no role.
"""


class User(Base):
    """A person with an account."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(f"username ~ '{USERNAME_PATTERN}'", name="username_form"),
        one_of("role", get_args(Role)),
    )

    id: Mapped[Id]
    username: Mapped[String] = mapped_column(unique=True)
    display_name: Mapped[String]
    role: Mapped[Role] = mapped_column(Text, server_default="viewer")
    created_at: Mapped[CreatedAt]


class Follow(Base):
    """A user follows a channel, since `created_at`."""

    __tablename__ = "follows"
    __table_args__ = (Index(None, "channel_id", "created_at"),)

    user_id: Mapped[str] = mapped_column(
        Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    channel_id: Mapped[str] = mapped_column(
        Text, ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True
    )
    created_at: Mapped[CreatedAt]


class Like(Base):
    """A user likes a VOD, since `created_at`."""

    __tablename__ = "likes"
    __table_args__ = (Index(None, "vod_id", "created_at"),)

    user_id: Mapped[str] = mapped_column(
        Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    vod_id: Mapped[str] = mapped_column(
        Text, ForeignKey("vods.id", ondelete="CASCADE"), primary_key=True
    )
    created_at: Mapped[CreatedAt]


class Forgetting(Base):
    """That a viewer was forgotten, and how much of it there was. The id itself is not kept."""

    __tablename__ = "forgettings"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    forgotten_at: Mapped[CreatedAt]
    finished_at: Mapped[At | None]
    """None: it was interrupted, and has to be run again."""
    counts: Mapped[dict[str, Any]] = mapped_column(JSONB)
