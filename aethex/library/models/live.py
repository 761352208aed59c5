"""Tables of what providers told: the inbox of webhooks, inputs' signals, recordings they made."""

from __future__ import annotations

from typing import Any, Literal, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from aethex.library.columns import At, Bytes, CreatedAt, Id, String
from aethex.library.models.base import PROVIDER_PATTERN, Base, one_of

SignalKind = Literal["connected", "disconnected", "ended"]
WebhookState = Literal["waiting", "applied", "ignored"]
RecordingState = Literal["pending", "ready", "failed"]


class InputSignal(Base):
    """One thing that was told of an input. They are kept: streams follow from them.

    `ended`: the broadcaster stopped on purpose, and no reconnect is awaited.
    """

    __tablename__ = "input_signals"
    __table_args__ = (
        one_of("kind", get_args(SignalKind)),
        UniqueConstraint("input_id", "key"),
        Index(None, "input_id", "at", "key"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    input_id: Mapped[str] = mapped_column(Text, ForeignKey("channel_inputs.id", ondelete="CASCADE"))
    kind: Mapped[SignalKind] = mapped_column(Text)
    at: Mapped[At]
    """When it happened, by its source's clock."""
    key: Mapped[str] = mapped_column(Text(collation="C"))
    """What repeats of it have in common. It orders signals of the same moment, byte by byte."""
    stream_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("streams.id", ondelete="SET NULL"), index=True
    )
    """The stream that it is part of; None: of none, such as a second disconnect."""
    received_at: Mapped[At]


class WebhookEvent(Base):
    """The inbox: everything from a provider that could be verified, without its secrets."""

    __tablename__ = "webhook_events"
    __table_args__ = (
        one_of("state", get_args(WebhookState)),
        CheckConstraint(f"provider ~ '{PROVIDER_PATTERN}'", name="provider_form"),
        CheckConstraint("(state = 'waiting') = (applied_at is null)", name="applied_once"),
        UniqueConstraint("provider", "key"),
        # What is tried again, and what a new input has waited for.
        Index(
            "ix_webhook_events_waiting",
            "provider",
            "external_id",
            "id",
            postgresql_where=text("state = 'waiting'"),
        ),
        # All that was told of one recording.
        Index(
            "ix_webhook_events_recording",
            "provider",
            "recording_id",
            postgresql_where=text("recording_id is not null"),
        ),
    )

    id: Mapped[Id]
    provider: Mapped[String]
    key: Mapped[String]
    """The provider's id of the event, or a digest of its body."""
    kind: Mapped[String]
    external_id: Mapped[String | None]
    """The provider's id of the input."""
    recording_id: Mapped[String | None]
    """The provider's id of the recording that it tells of."""
    at: Mapped[At]
    """When it happened, by the provider's clock where it says, else when it was received."""
    received_at: Mapped[At]
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """What was sent, with stream keys, tokens and passwords taken out."""
    state: Mapped[WebhookState] = mapped_column(Text)
    note: Mapped[String] = mapped_column(server_default="")
    """Why it waits or was ignored, or what it did."""
    attempts: Mapped[int] = mapped_column(server_default="0")
    """How often applying it failed."""
    applied_at: Mapped[At | None]


class ProviderRecording(Base):
    """A recording that a provider made, and what is needed to fetch it. Never a token."""

    __tablename__ = "provider_recordings"
    __table_args__ = (
        one_of("state", get_args(RecordingState)),
        CheckConstraint("duration_seconds >= 0", name="duration_counts"),
        CheckConstraint("size_bytes >= 0", name="size_counts"),
        UniqueConstraint("provider", "external_id"),
        Index("ix_provider_recordings_state", "state", "id"),
    )

    id: Mapped[Id]
    provider: Mapped[String]
    external_id: Mapped[String]
    """The provider's id: Cloudflare's uid, Mux' asset id, a server's path of the file."""
    input_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("channel_inputs.id", ondelete="SET NULL"), index=True
    )
    stream_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("streams.id", ondelete="SET NULL"), index=True
    )
    """Found by time among the input's streams; None: not found yet, or no live stream's."""
    state: Mapped[RecordingState] = mapped_column(Text)
    """`pending`: more is to come, as of a Mux asset that is ready while its stream is live."""
    is_to_look_up: Mapped[bool] = mapped_column(server_default=false())
    """Cloudflare may send a live input's id as a video's: ask for that input's videos."""
    hls_url: Mapped[String | None]
    mp4_url: Mapped[String | None]
    path: Mapped[String | None]
    """On the disk of a server of one's own."""
    is_signed: Mapped[bool] = mapped_column(server_default=false())
    """Whether its addresses need a signed token at the time of fetching."""
    duration_seconds: Mapped[float | None]
    size_bytes: Mapped[Bytes | None]
    started_at: Mapped[At | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    """The rest that its provider says: playback ids, files, recording times, errors."""
    told_at: Mapped[At]
    """When the newest of what is known of it happened."""
    created_at: Mapped[CreatedAt]
    vod_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("vods.id", ondelete="SET NULL"), index=True
    )
    """The VOD that it was copied to."""
    archived_at: Mapped[At | None]
    """When its copy was there; what its provider tells later changes nothing of that."""
