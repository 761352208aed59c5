"""Tables of captions: which a VOD has, and where they are stored."""

from __future__ import annotations

from typing import Literal, get_args

from sqlalchemy import CheckConstraint, ForeignKey, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from aethex.library.columns import Bytes, CreatedAt, String
from aethex.library.models.base import Base, one_of

LANGUAGE_PATTERN = "^[a-z]{2,3}(-[A-Za-z0-9]{1,8})*$"

CaptionsKind = Literal["captions", "subtitles"]
"""`captions` also tell what is heard but not said; `subtitles` only what is said."""

CaptionsSource = Literal["file", "provider", "owner"]
"""Who brought them: the imported file, the provider's recording, or the channel's owner."""


class VodCaptions(Base):
    """A VOD's captions in one language: a WebVTT object beside its playlist, on the VOD's time."""

    __tablename__ = "vod_captions"
    __table_args__ = (
        one_of("kind", get_args(CaptionsKind)),
        one_of("source", get_args(CaptionsSource)),
        CheckConstraint(f"language ~ '{LANGUAGE_PATTERN}'", name="language_form"),
        CheckConstraint("bytes > 0", name="has_bytes"),
        CheckConstraint("cues > 0", name="has_cues"),
    )

    vod_id: Mapped[str] = mapped_column(
        Text, ForeignKey("vods.id", ondelete="CASCADE"), primary_key=True
    )
    language: Mapped[str] = mapped_column(Text, primary_key=True)
    """BCP 47."""
    label: Mapped[String]
    """What viewers choose them by."""
    kind: Mapped[CaptionsKind] = mapped_column(Text)
    source: Mapped[CaptionsSource] = mapped_column(Text)
    key: Mapped[String]
    bytes: Mapped[Bytes]
    """Part of the VOD's `size_bytes`."""
    cues: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[CreatedAt]
    """When these were brought; others of the language may have been there before."""
