"""Events come in: inputs of channels, likes, the outbox, server tokens, forgettings.

Revision: 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _inputs()
    _likes()
    _outbox()
    _server_tokens()
    _forgettings()


def downgrade() -> None:
    op.drop_constraint(op.f("fk_streams_input_id"), "streams", type_="foreignkey")
    op.drop_index(
        "ix_streams_live", table_name="streams", postgresql_where=sa.text("status = 'live'")
    )
    op.drop_index(op.f("ix_streams_input_id"), table_name="streams")
    op.drop_column("streams", "input_id")
    op.drop_index(op.f("ix_likes_vod_id_created_at"), table_name="likes")
    op.drop_table("likes")
    op.drop_index(op.f("ix_server_tokens_channel_id"), table_name="server_tokens")
    op.drop_table("server_tokens")
    op.drop_index(op.f("ix_channel_inputs_channel_id"), table_name="channel_inputs")
    op.drop_table("channel_inputs")
    op.drop_table("outbox")
    op.drop_table("forgettings")


def _inputs() -> None:
    op.create_table(
        "channel_inputs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "provider ~ '^[a-z0-9_]{1,40}$'", name=op.f("ck_channel_inputs_provider_form")
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_channel_inputs_channel_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_inputs")),
        sa.UniqueConstraint(
            "provider", "external_id", name=op.f("uq_channel_inputs_provider_external_id")
        ),
    )
    op.create_index(
        op.f("ix_channel_inputs_channel_id"), "channel_inputs", ["channel_id"], unique=False
    )
    op.add_column("streams", sa.Column("input_id", sa.Text(), nullable=True))
    op.create_index(op.f("ix_streams_input_id"), "streams", ["input_id"], unique=False)
    op.create_index(
        "ix_streams_live",
        "streams",
        ["id"],
        unique=False,
        postgresql_where=sa.text("status = 'live'"),
    )
    op.create_foreign_key(
        op.f("fk_streams_input_id"),
        "streams",
        "channel_inputs",
        ["input_id"],
        ["id"],
        ondelete="SET NULL",
    )


def _likes() -> None:
    op.create_table(
        "likes",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("vod_id", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_likes_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["vod_id"], ["vods.id"], name=op.f("fk_likes_vod_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "vod_id", name=op.f("pk_likes")),
    )
    op.create_index(
        op.f("ix_likes_vod_id_created_at"), "likes", ["vod_id", "created_at"], unique=False
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "event_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.Text(), nullable=True),
        sa.Column("vod_id", sa.Text(), nullable=True),
        sa.Column("viewer_id", sa.Text(), nullable=False),
        sa.Column(
            "occurred_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )


def _server_tokens() -> None:
    op.create_table(
        "server_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.Text(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("previous_digest", sa.Text(), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_server_tokens_digest_form")),
        sa.CheckConstraint(
            "previous_digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_server_tokens_previous_digest_form")
        ),
        sa.CheckConstraint(
            "(previous_digest is null) = (previous_until is null)",
            name=op.f("ck_server_tokens_previous_has_end"),
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_server_tokens_channel_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_tokens")),
    )
    op.create_index(
        op.f("ix_server_tokens_channel_id"), "server_tokens", ["channel_id"], unique=False
    )


def _forgettings() -> None:
    op.create_table(
        "forgettings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "forgotten_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forgettings")),
    )
