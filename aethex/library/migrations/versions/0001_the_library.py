"""The first tables: people and channels, streams and their segments, VODs and their objects.

Revision: 0001, after none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _people_and_channels()
    _streams()
    _vods()
    _vod_objects()


def downgrade() -> None:
    for table in (
        "vod_segments",
        "vod_runs",
        "vods",
        "stream_segments",
        "streams",
        "follows",
        "channels",
        "users",
        "categories",
    ):
        op.drop_table(table)


def _people_and_channels() -> None:
    op.create_table(
        "categories",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_categories"),
        sa.UniqueConstraint("name", name="uq_categories_name"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "username ~ '^[a-z0-9][a-z0-9_-]{1,39}$'", name=op.f("ck_users_username_form")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("username", name="uq_users_username"),
    )
    op.create_table(
        "channels",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=True),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "username ~ '^[a-z0-9][a-z0-9_-]{1,39}$'", name=op.f("ck_channels_username_form")
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name="fk_channels_owner_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_channels"),
        sa.UniqueConstraint("username", name="uq_channels_username"),
    )
    op.create_index("ix_channels_owner_id", "channels", ["owner_id"])
    op.create_table(
        "follows",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name="fk_follows_channel_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_follows_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "channel_id", name="pk_follows"),
    )
    op.create_index("ix_follows_channel_id_created_at", "follows", ["channel_id", "created_at"])


def _streams() -> None:
    op.create_table(
        "streams",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("category_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status <> 'ended' or ended_at is not null", name=op.f("ck_streams_ended_has_end")
        ),
        sa.CheckConstraint(
            "status <> 'live' or (started_at is not null and ended_at is null)",
            name=op.f("ck_streams_live_is_open"),
        ),
        sa.CheckConstraint(
            "status in ('scheduled', 'live', 'ended')", name=op.f("ck_streams_status_known")
        ),
        sa.CheckConstraint("ended_at >= started_at", name=op.f("ck_streams_ends_after_start")),
        sa.CheckConstraint(
            "ended_at is null or started_at is not null", name=op.f("ck_streams_end_has_start")
        ),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name="fk_streams_category_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name="fk_streams_channel_id", ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_streams"),
        sa.UniqueConstraint("id", "channel_id", name="uq_streams_id_channel_id"),
    )
    op.create_index("ix_streams_category_id", "streams", ["category_id"])
    op.create_index("ix_streams_channel_id_started_at", "streams", ["channel_id", "started_at"])
    op.create_index("ix_streams_channel_id_title", "streams", ["channel_id", "title"])
    op.create_table(
        "stream_segments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("category_id", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "ended_at >= started_at", name=op.f("ck_stream_segments_ends_after_start")
        ),
        sa.CheckConstraint("position >= 0", name=op.f("ck_stream_segments_position_counts")),
        sa.ForeignKeyConstraint(
            ["category_id"],
            ["categories.id"],
            name="fk_stream_segments_category_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["stream_id"], ["streams.id"], name="fk_stream_segments_stream_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_stream_segments"),
        sa.UniqueConstraint(
            "stream_id",
            "position",
            deferrable=True,
            initially="DEFERRED",
            name="uq_stream_segments_stream_id_position",
        ),
    )
    op.create_index("ix_stream_segments_category_id", "stream_segments", ["category_id"])


def _vods() -> None:
    op.create_table(
        "vods",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("frame_rate", sa.Double[float](), nullable=True),
        sa.Column("video_codec", sa.Text(), nullable=True),
        sa.Column("audio_codec", sa.Text(), nullable=True),
        sa.Column("poster_key", sa.Text(), nullable=True),
        sa.Column("playlist_key", sa.Text(), nullable=True),
        sa.Column("mp4_key", sa.Text(), nullable=True),
        sa.Column("mp4_bytes", sa.BigInteger(), nullable=True),
        sa.Column("is_public", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status <> 'ready' or (duration_ms is not null and size_bytes is not null"
            " and playlist_key is not null)",
            name=op.f("ck_vods_ready_is_playable"),
        ),
        sa.CheckConstraint(
            "status in ('processing', 'ready', 'failed')", name=op.f("ck_vods_status_known")
        ),
        sa.CheckConstraint("duration_ms >= 0", name=op.f("ck_vods_duration_counts")),
        sa.CheckConstraint("frame_rate > 0", name=op.f("ck_vods_frames_move")),
        sa.CheckConstraint("mp4_bytes >= 0", name=op.f("ck_vods_mp4_counts")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_vods_size_counts")),
        sa.CheckConstraint("width > 0 and height > 0", name=op.f("ck_vods_picture_has_area")),
        sa.ForeignKeyConstraint(
            ["stream_id", "channel_id"],
            ["streams.id", "streams.channel_id"],
            name="fk_vods_stream_id_channel_id",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_vods"),
    )
    listed = "status = 'ready' and is_public and deleted_at is null"
    op.create_index(
        "ix_vods_listed",
        "vods",
        ["channel_id", sa.literal_column("created_at desc"), sa.literal_column("id desc")],
        postgresql_where=sa.text(listed),
    )
    op.create_index(
        "ix_vods_newest",
        "vods",
        [sa.literal_column("created_at desc"), sa.literal_column("id desc")],
        postgresql_where=sa.text(listed),
    )
    op.create_index("ix_vods_stream_id", "vods", ["stream_id"])


def _vod_objects() -> None:
    op.create_table(
        "vod_runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("vod_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("pts_origin", sa.BigInteger(), nullable=False),
        sa.Column("init_key", sa.Text(), nullable=False),
        sa.Column("init_bytes", sa.BigInteger(), nullable=False),
        sa.Column("init_sha256", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "init_sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_vod_runs_init_sha256_form")
        ),
        sa.CheckConstraint("init_bytes > 0", name=op.f("ck_vod_runs_init_has_bytes")),
        sa.CheckConstraint("position >= 0", name=op.f("ck_vod_runs_position_counts")),
        sa.ForeignKeyConstraint(
            ["vod_id"], ["vods.id"], name="fk_vod_runs_vod_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_vod_runs"),
        sa.UniqueConstraint("vod_id", "position", name="uq_vod_runs_vod_id_position"),
    )
    op.create_table(
        "vod_segments",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_vod_segments_sha256_form")),
        sa.CheckConstraint("bytes > 0", name=op.f("ck_vod_segments_has_bytes")),
        sa.CheckConstraint("duration_ms >= 0", name=op.f("ck_vod_segments_duration_counts")),
        sa.CheckConstraint("sequence >= 0", name=op.f("ck_vod_segments_sequence_counts")),
        sa.CheckConstraint("start_ms >= 0", name=op.f("ck_vod_segments_start_counts")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["vod_runs.id"], name="fk_vod_segments_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "sequence", name="pk_vod_segments"),
    )
