"""Capture: what the recorder took down of a stream, and what is missing.

Revision: 0008, after 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Captures, what broke them, and whether a segment can be played by itself."""
    op.create_table(
        "captures",
        sa.Column("vod_id", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["vod_id"], ["vods.id"], name=op.f("fk_captures_vod_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["stream_id"], ["streams.id"], name=op.f("fk_captures_stream_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("vod_id", name=op.f("pk_captures")),
        sa.UniqueConstraint("stream_id", name=op.f("uq_captures_stream_id")),
    )
    op.create_index(
        "ix_captures_open",
        "captures",
        ["vod_id"],
        postgresql_where=sa.text("finished_at is null"),
    )
    op.create_table(
        "capture_breaks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("stream_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "cause in ('late_start', 'encoder_reconnect', 'network', 'recorder_down', 'store',"
            " 'dropped', 'unknown')",
            name=op.f("ck_capture_breaks_cause_known"),
        ),
        sa.ForeignKeyConstraint(
            ["stream_id"],
            ["streams.id"],
            name=op.f("fk_capture_breaks_stream_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_capture_breaks")),
    )
    op.create_index(op.f("ix_capture_breaks_stream_id_at"), "capture_breaks", ["stream_id", "at"])
    op.add_column(
        "vod_segments",
        sa.Column("is_independent", sa.Boolean(), server_default=sa.true(), nullable=False),
    )


def downgrade() -> None:
    """Without them."""
    op.drop_column("vod_segments", "is_independent")
    op.drop_table("capture_breaks")
    op.drop_table("captures")
