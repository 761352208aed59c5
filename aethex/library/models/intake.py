"""Tables of what comes in, and of what goes on to the lake."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from aethex.library.columns import At, CreatedAt, Id, String
from aethex.library.models.base import PROVIDER_PATTERN, SHA256_PATTERN, Base


class ChannelInput(Base):
    """Which live input, path or stream key of a provider is whose."""

    __tablename__ = "channel_inputs"
    __table_args__ = (
        UniqueConstraint("provider", "external_id"),
        CheckConstraint(f"provider ~ '{PROVIDER_PATTERN}'", name="provider_form"),
        CheckConstraint(f"key_digest ~ '{SHA256_PATTERN}'", name="key_digest_form"),
        CheckConstraint("reconnect_seconds >= 0", name="reconnect_counts"),
        # Whose stream key is this?
        Index(
            "ix_channel_inputs_key",
            "provider",
            "key_digest",
            unique=True,
            postgresql_where=text("key_digest is not null"),
        ),
        # Which streams are over, asked every second.
        Index(
            "ix_channel_inputs_settles_at",
            "settles_at",
            postgresql_where=text("settles_at is not null"),
        ),
    )

    id: Mapped[Id]
    provider: Mapped[String]
    external_id: Mapped[String]
    channel_id: Mapped[str] = mapped_column(
        Text, ForeignKey("channels.id", ondelete="RESTRICT"), index=True
    )
    name: Mapped[String] = mapped_column(server_default="")
    key_digest: Mapped[String | None]
    """SHA-256 of its stream key, which is random and shown once. None: it has none of ours."""
    pull_url: Mapped[String | None]
    """Where the recorder pulls from. None: it does not."""
    is_recorded_by_provider: Mapped[bool] = mapped_column(server_default=false())
    reconnect_seconds: Mapped[int] = mapped_column(Integer, server_default="60")
    """How long after a disconnect a connect continues the stream."""
    settles_at: Mapped[At | None]
    """When its live stream is over unless it connects again. None: no reconnect is awaited."""
    created_at: Mapped[CreatedAt]


class OutboxEvent(Base):
    """Something that people did here and that the lake has to learn of, until it has landed.

    Written in the transaction of what it tells. No foreign keys: the event outlives its rows.
    """

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(Uuid, server_default=func.gen_random_uuid())
    kind: Mapped[String]
    channel_id: Mapped[String]
    stream_id: Mapped[String | None]
    vod_id: Mapped[String | None]
    viewer_id: Mapped[String]
    occurred_at: Mapped[CreatedAt]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)


class ServerToken(Base):
    """What lets a backend send events, for one channel or (None) for the whole platform.

    Only digests (SHA-256) of its secrets are stored; they are random, so a plain digest does.
    """

    __tablename__ = "server_tokens"
    __table_args__ = (
        CheckConstraint(f"digest ~ '{SHA256_PATTERN}'", name="digest_form"),
        CheckConstraint(f"previous_digest ~ '{SHA256_PATTERN}'", name="previous_digest_form"),
        CheckConstraint(
            "(previous_digest is null) = (previous_until is null)", name="previous_has_end"
        ),
    )

    id: Mapped[Id]
    name: Mapped[String]
    channel_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("channels.id", ondelete="CASCADE"), index=True
    )
    digest: Mapped[String]
    previous_digest: Mapped[String | None]
    """The secret before the last rotation, which is still good until `previous_until`."""
    previous_until: Mapped[At | None]
    created_at: Mapped[CreatedAt]
    rotated_at: Mapped[At | None]
    revoked_at: Mapped[At | None]
