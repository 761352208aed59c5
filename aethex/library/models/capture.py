"""Tables of what the recorder takes down: a capture for each recorded stream, and what broke it."""

from __future__ import annotations

from typing import Literal, get_args

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from aethex.library.columns import At
from aethex.library.models.base import Base, one_of

GapCause = Literal[
    "late_start", "encoder_reconnect", "network", "recorder_down", "store", "dropped", "unknown"
]


class Capture(Base):
    """That a VOD is what the recorder takes down of a stream: one of each stream."""

    __tablename__ = "captures"
    __table_args__ = (
        Index("ix_captures_open", "vod_id", postgresql_where=text("finished_at is null")),
    )

    vod_id: Mapped[str] = mapped_column(
        Text, ForeignKey("vods.id", ondelete="CASCADE"), primary_key=True
    )
    stream_id: Mapped[str] = mapped_column(
        Text, ForeignKey("streams.id", ondelete="RESTRICT"), unique=True
    )
    finished_at: Mapped[At | None]
    """Since when all that was captured is in the VOD; None: more comes, or is to be finished."""


class CaptureBreak(Base):
    """A moment at which something kept a stream from being recorded.

    How long it was missing follows from runs and segments; only the reason has to be remembered.
    """

    __tablename__ = "capture_breaks"
    __table_args__ = (
        one_of("cause", get_args(GapCause)),
        Index(None, "stream_id", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    stream_id: Mapped[str] = mapped_column(Text, ForeignKey("streams.id", ondelete="CASCADE"))
    at: Mapped[At]
    cause: Mapped[GapCause] = mapped_column(Text)
