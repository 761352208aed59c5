"""Tables of how streams are recorded."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Integer, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from aethex.library.models.base import Base


class RecordingSettings(Base):
    """What a channel wants otherwise than the platform; None: as the platform has it."""

    __tablename__ = "recording_settings"
    __table_args__ = (
        CheckConstraint("min_duration_seconds >= 0", name="min_duration_counts"),
        CheckConstraint("delete_after_days >= 0", name="delete_after_counts"),
    )

    channel_id: Mapped[str] = mapped_column(
        Text, ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True
    )
    is_enabled: Mapped[bool | None] = mapped_column(Boolean)
    min_duration_seconds: Mapped[int | None] = mapped_column(Integer)
    delete_after_days: Mapped[int | None] = mapped_column(Integer)
    """0: never."""
    is_user_delete_allowed: Mapped[bool | None] = mapped_column(Boolean)
    formats: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
