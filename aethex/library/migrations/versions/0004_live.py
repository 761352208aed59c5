"""Live: what providers told, and the streams that follow from it.

Revision: 0004, after 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_AT = sa.DateTime(timezone=True)
_NOW = sa.text("now()")


def upgrade() -> None:
    _inputs()
    _streams()
    _signals()
    _webhook_events()
    _provider_recordings()


def downgrade() -> None:
    op.drop_table("provider_recordings")
    op.drop_table("webhook_events")
    op.drop_table("input_signals")
    op.drop_index("ix_streams_planned", table_name="streams")
    op.drop_column("streams", "scheduled_at")
    op.drop_index("ix_channel_inputs_settles_at", table_name="channel_inputs")
    op.drop_index("ix_channel_inputs_key", table_name="channel_inputs")
    op.drop_constraint(op.f("ck_channel_inputs_reconnect_counts"), "channel_inputs")
    op.drop_constraint(op.f("ck_channel_inputs_key_digest_form"), "channel_inputs")
    for column in (
        "settles_at",
        "reconnect_seconds",
        "is_recorded_by_provider",
        "pull_url",
        "key_digest",
        "name",
    ):
        op.drop_column("channel_inputs", column)


def _inputs() -> None:
    for column in (
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("key_digest", sa.Text(), nullable=True),
        sa.Column("pull_url", sa.Text(), nullable=True),
        sa.Column(
            "is_recorded_by_provider", sa.Boolean(), server_default=sa.false(), nullable=False
        ),
        sa.Column("reconnect_seconds", sa.Integer(), server_default="60", nullable=False),
        sa.Column("settles_at", _AT, nullable=True),
    ):
        op.add_column("channel_inputs", column)
    op.create_check_constraint(
        op.f("ck_channel_inputs_key_digest_form"), "channel_inputs", "key_digest ~ '^[0-9a-f]{64}$'"
    )
    op.create_check_constraint(
        op.f("ck_channel_inputs_reconnect_counts"), "channel_inputs", "reconnect_seconds >= 0"
    )
    op.create_index(
        "ix_channel_inputs_key",
        "channel_inputs",
        ["provider", "key_digest"],
        unique=True,
        postgresql_where=sa.text("key_digest is not null"),
    )
    op.create_index(
        "ix_channel_inputs_settles_at",
        "channel_inputs",
        ["settles_at"],
        postgresql_where=sa.text("settles_at is not null"),
    )


def _streams() -> None:
    op.add_column("streams", sa.Column("scheduled_at", _AT, nullable=True))
    op.create_index(
        "ix_streams_planned",
        "streams",
        ["channel_id", "scheduled_at"],
        postgresql_where=sa.text("status = 'scheduled' and scheduled_at is not null"),
    )


def _signals() -> None:
    op.create_table(
        "input_signals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("input_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("stream_id", sa.Text(), nullable=True),
        sa.Column("received_at", _AT, nullable=False),
        sa.CheckConstraint(
            "kind in ('connected', 'disconnected', 'ended')",
            name=op.f("ck_input_signals_kind_known"),
        ),
        sa.ForeignKeyConstraint(
            ["input_id"],
            ["channel_inputs.id"],
            name=op.f("fk_input_signals_input_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["stream_id"],
            ["streams.id"],
            name=op.f("fk_input_signals_stream_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_input_signals")),
        sa.UniqueConstraint("input_id", "key", name=op.f("uq_input_signals_input_id_key")),
    )
    op.create_index(
        op.f("ix_input_signals_input_id_at_key"), "input_signals", ["input_id", "at", "key"]
    )
    op.create_index(op.f("ix_input_signals_stream_id"), "input_signals", ["stream_id"])


def _webhook_events() -> None:
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("recording_id", sa.Text(), nullable=True),
        sa.Column("at", _AT, nullable=False),
        sa.Column("received_at", _AT, nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("applied_at", _AT, nullable=True),
        sa.CheckConstraint(
            "state in ('waiting', 'applied', 'ignored')",
            name=op.f("ck_webhook_events_state_known"),
        ),
        sa.CheckConstraint(
            "provider ~ '^[a-z0-9_]{1,40}$'", name=op.f("ck_webhook_events_provider_form")
        ),
        sa.CheckConstraint(
            "(state = 'waiting') = (applied_at is null)",
            name=op.f("ck_webhook_events_applied_once"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
        sa.UniqueConstraint("provider", "key", name=op.f("uq_webhook_events_provider_key")),
    )
    op.create_index(
        "ix_webhook_events_waiting",
        "webhook_events",
        ["provider", "external_id", "id"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_webhook_events_recording",
        "webhook_events",
        ["provider", "recording_id"],
        postgresql_where=sa.text("recording_id is not null"),
    )


def _provider_recordings() -> None:
    op.create_table(
        "provider_recordings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("input_id", sa.Text(), nullable=True),
        sa.Column("stream_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("is_to_look_up", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("hls_url", sa.Text(), nullable=True),
        sa.Column("mp4_url", sa.Text(), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("is_signed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("duration_seconds", sa.Float(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("started_at", _AT, nullable=True),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
        sa.Column("told_at", _AT, nullable=False),
        sa.Column("created_at", _AT, server_default=_NOW, nullable=False),
        sa.CheckConstraint(
            "state in ('pending', 'ready', 'failed')",
            name=op.f("ck_provider_recordings_state_known"),
        ),
        sa.CheckConstraint(
            "duration_seconds >= 0", name=op.f("ck_provider_recordings_duration_counts")
        ),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_provider_recordings_size_counts")),
        sa.ForeignKeyConstraint(
            ["input_id"],
            ["channel_inputs.id"],
            name=op.f("fk_provider_recordings_input_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["stream_id"],
            ["streams.id"],
            name=op.f("fk_provider_recordings_stream_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_recordings")),
        sa.UniqueConstraint(
            "provider", "external_id", name=op.f("uq_provider_recordings_provider_external_id")
        ),
    )
    op.create_index(op.f("ix_provider_recordings_input_id"), "provider_recordings", ["input_id"])
    op.create_index(op.f("ix_provider_recordings_stream_id"), "provider_recordings", ["stream_id"])
    op.create_index("ix_provider_recordings_state", "provider_recordings", ["state", "id"])
