"""Tables of what is shown: channels, their streams, and VODs with their segments."""

from __future__ import annotations

from typing import Literal, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from aethex.library.columns import At, Bytes, CreatedAt, Id, Milliseconds, String
from aethex.library.models.base import SHA256_PATTERN, USERNAME_PATTERN, Base, one_of

StreamStatus = Literal["scheduled", "live", "ended"]
VodStatus = Literal["processing", "ready", "failed"]
VodDeleteReason = Literal["owner", "expired", "test"]

_LISTED = "status = 'ready' and is_public and deleted_at is null"


class Channel(Base):
    """Where streams come from. An imported one has no owner until somebody claims it."""

    __tablename__ = "channels"
    __table_args__ = (CheckConstraint(f"username ~ '{USERNAME_PATTERN}'", name="username_form"),)

    id: Mapped[Id]
    owner_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    username: Mapped[String] = mapped_column(unique=True)
    title: Mapped[String]
    description: Mapped[String] = mapped_column(server_default="")
    created_at: Mapped[CreatedAt]


class Category(Base):
    """What a stream is about: a game, or something like "Just Chatting"."""

    __tablename__ = "categories"

    id: Mapped[Id]
    name: Mapped[String] = mapped_column(unique=True)


class Stream(Base):
    """One live stream, or an imported past one. `ended_at` is its first moment that is no more
    live.
    """

    __tablename__ = "streams"
    __table_args__ = (
        one_of("status", get_args(StreamStatus)),
        CheckConstraint("ended_at >= started_at", name="ends_after_start"),
        CheckConstraint("ended_at is null or started_at is not null", name="end_has_start"),
        CheckConstraint(
            "status <> 'live' or (started_at is not null and ended_at is null)", name="live_is_open"
        ),
        CheckConstraint("status <> 'ended' or ended_at is not null", name="ended_has_end"),
        # VODs point at (stream, channel) together, so that the two cannot disagree.
        UniqueConstraint("id", "channel_id"),
        Index(None, "channel_id", "started_at"),
        Index(None, "channel_id", "title"),
        # Those that an input that connects may turn out to be.
        Index(
            "ix_streams_planned",
            "channel_id",
            "scheduled_at",
            postgresql_where=text("status = 'scheduled' and scheduled_at is not null"),
        ),
        # Those whose viewers are counted every minute.
        Index("ix_streams_live", "id", postgresql_where=text("status = 'live'")),
    )

    id: Mapped[Id]
    channel_id: Mapped[str] = mapped_column(Text, ForeignKey("channels.id", ondelete="RESTRICT"))
    title: Mapped[String]
    category_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("categories.id", ondelete="SET NULL"), index=True
    )
    input_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("channel_inputs.id", ondelete="SET NULL"), index=True
    )
    """Where it comes in; None: imported, or not known."""
    status: Mapped[StreamStatus] = mapped_column(Text)
    scheduled_at: Mapped[At | None]
    """When it was planned to start; None: nobody said. It stays when the stream has started."""
    started_at: Mapped[At | None]
    ended_at: Mapped[At | None]
    created_at: Mapped[CreatedAt]


class StreamSegment(Base):
    """A part of a stream with one title and category: half open, `[started_at, ended_at)`."""

    __tablename__ = "stream_segments"
    __table_args__ = (
        CheckConstraint("position >= 0", name="position_counts"),
        CheckConstraint("ended_at >= started_at", name="ends_after_start"),
        # Checked at commit: replacing a stream's segments moves positions past each other.
        UniqueConstraint("stream_id", "position", deferrable=True, initially="DEFERRED"),
    )

    id: Mapped[Id]
    stream_id: Mapped[str] = mapped_column(Text, ForeignKey("streams.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    title: Mapped[String]
    category_id: Mapped[str | None] = mapped_column(
        Text, ForeignKey("categories.id", ondelete="SET NULL"), index=True
    )
    started_at: Mapped[At]
    ended_at: Mapped[At | None]


class Vod(Base):
    """The recording of a stream. Keys are keys of the store; `deleted_at` hides it until it is
    purged.
    """

    __tablename__ = "vods"
    __table_args__ = (
        one_of("status", get_args(VodStatus)),
        one_of("delete_reason", get_args(VodDeleteReason)),
        CheckConstraint(
            "purge_started_at is null or deleted_at is not null", name="purged_is_deleted"
        ),
        CheckConstraint("duration_ms >= 0", name="duration_counts"),
        CheckConstraint("size_bytes >= 0", name="size_counts"),
        CheckConstraint("mp4_bytes >= 0", name="mp4_counts"),
        CheckConstraint("derived_bytes >= 0", name="derived_counts"),
        CheckConstraint("width > 0 and height > 0", name="picture_has_area"),
        CheckConstraint("frame_rate > 0", name="frames_move"),
        CheckConstraint(
            "status <> 'ready' or (duration_ms is not null and size_bytes is not null"
            " and playlist_key is not null)",
            name="ready_is_playable",
        ),
        ForeignKeyConstraint(
            ["stream_id", "channel_id"], ["streams.id", "streams.channel_id"], ondelete="RESTRICT"
        ),
        Index(None, "stream_id"),
        # A channel's page: its newest VODs that everybody may see, and how many there are.
        Index(
            "ix_vods_listed",
            "channel_id",
            text("created_at desc"),
            text("id desc"),
            postgresql_where=text(_LISTED),
        ),
        # How many there are.
        Index("ix_vods_status", "status", postgresql_where=text("deleted_at is null")),
        # What clean-up looks for: few.
        Index("ix_vods_deleted", "deleted_at", postgresql_where=text("deleted_at is not null")),
        # The front page: the newest of all channels.
        Index(
            "ix_vods_newest",
            text("created_at desc"),
            text("id desc"),
            postgresql_where=text(_LISTED),
        ),
        Index("ix_vods_search", "search_vector", postgresql_using="gin"),
    )

    id: Mapped[Id]
    stream_id: Mapped[String]
    channel_id: Mapped[String]
    title: Mapped[String]
    description: Mapped[String] = mapped_column(server_default="")
    status: Mapped[VodStatus] = mapped_column(Text)
    duration_ms: Mapped[Milliseconds | None]
    size_bytes: Mapped[Bytes | None]
    """All of the VOD's objects together, in bytes."""
    width: Mapped[int | None] = mapped_column(Integer)
    height: Mapped[int | None] = mapped_column(Integer)
    frame_rate: Mapped[float | None]
    """Frames a second."""
    video_codec: Mapped[String | None]
    audio_codec: Mapped[String | None]
    """None: the recording is silent."""
    poster_key: Mapped[String | None]
    playlist_key: Mapped[String | None]
    mp4_key: Mapped[String | None]
    mp4_bytes: Mapped[Bytes | None]
    storyboard_key: Mapped[String | None]
    """The WebVTT; the sheets that it names lie beside it."""
    preview_key: Mapped[String | None]
    loudness_key: Mapped[String | None]
    derived_bytes: Mapped[Bytes | None]
    """What `size_bytes` holds for what was made from the VOD later; None: nothing was yet."""
    is_public: Mapped[bool] = mapped_column(server_default=true())
    deleted_at: Mapped[At | None]
    delete_reason: Mapped[VodDeleteReason | None] = mapped_column(Text)
    restored_at: Mapped[At | None]
    purge_started_at: Mapped[At | None]
    """Since then its objects are being deleted, and it cannot be restored."""
    created_at: Mapped[CreatedAt]
    search_vector: Mapped[str] = mapped_column(
        TSVECTOR, Computed("vod_search_vector(title, description)", persisted=True), deferred=True
    )
    """Title (A) and description (B), as `finding` searches them. Made by the database."""


class VodRun(Base):
    """A piece of a VOD recorded without a break: one encoder, one init segment, one clock."""

    __tablename__ = "vod_runs"
    __table_args__ = (
        CheckConstraint("position >= 0", name="position_counts"),
        CheckConstraint("init_bytes > 0", name="init_has_bytes"),
        CheckConstraint(f"init_sha256 ~ '{SHA256_PATTERN}'", name="init_sha256_form"),
        UniqueConstraint("vod_id", "position"),
    )

    id: Mapped[Id]
    vod_id: Mapped[str] = mapped_column(Text, ForeignKey("vods.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    """The order in which they came here. They play in that of `started_at`: a recorder that was
    away brings late what it recorded before.
    """
    started_at: Mapped[At]
    """Wall clock of the run's media time 0."""
    start_ms: Mapped[Milliseconds]
    """Media time 0 of the run on the stream's axis; negative when it began before the stream."""
    pts_origin: Mapped[int] = mapped_column(BigInteger)
    """Presentation time that the segments carry at the run's media time 0, in 1/90000 s."""
    init_key: Mapped[String]
    init_bytes: Mapped[Bytes]
    init_sha256: Mapped[String]


class VodSegment(Base):
    """One media segment of a run: an object of the store."""

    __tablename__ = "vod_segments"
    __table_args__ = (
        CheckConstraint("sequence >= 0", name="sequence_counts"),
        CheckConstraint("start_ms >= 0", name="start_counts"),
        CheckConstraint("duration_ms >= 0", name="duration_counts"),
        CheckConstraint("bytes > 0", name="has_bytes"),
        CheckConstraint(f"sha256 ~ '{SHA256_PATTERN}'", name="sha256_form"),
    )

    run_id: Mapped[str] = mapped_column(
        Text, ForeignKey("vod_runs.id", ondelete="CASCADE"), primary_key=True
    )
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    key: Mapped[String]
    start_ms: Mapped[Milliseconds]
    """From the run's media time 0."""
    duration_ms: Mapped[Milliseconds]
    bytes: Mapped[Bytes]
    sha256: Mapped[String]
    is_independent: Mapped[bool] = mapped_column(server_default=true())
    """Whether it starts with a frame that needs none before it, as all do but those of encoders
    that send no keyframes.
    """
