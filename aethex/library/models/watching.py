"""Tables of watching: how far each user came in each VOD."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from aethex.library.columns import At, CreatedAt, Milliseconds
from aethex.library.models.base import Base


class WatchProgress(Base):
    """Where a user is in a VOD, by the newest beat of any of the user's devices."""

    __tablename__ = "watch_progress"
    __table_args__ = (
        CheckConstraint("position_ms >= 0", name="position_counts"),
        # A user's history, the latest first.
        Index(
            "ix_watch_progress_history",
            "user_id",
            text("client_at desc"),
            text("vod_id desc"),
            postgresql_where=text("removed_at is null"),
        ),
        # Those that were removed and are to go for good.
        Index(
            "ix_watch_progress_removed",
            "removed_at",
            postgresql_where=text("removed_at is not null"),
        ),
        Index(None, "vod_id"),
    )

    user_id: Mapped[str] = mapped_column(
        Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    vod_id: Mapped[str] = mapped_column(
        Text, ForeignKey("vods.id", ondelete="CASCADE"), primary_key=True
    )
    position_ms: Mapped[Milliseconds]
    """On the VOD's own time, from 0."""
    client_at: Mapped[At]
    """When the player was there, by its clock, but never later than it was told here."""
    removed_at: Mapped[At | None]
    """When the user took it out of the history; it comes back with the next beat after that."""
    updated_at: Mapped[CreatedAt]
