"""Recording settings of channels, and the steps of a VOD's deletion.

Revision: 0009, after 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recording_settings",
        sa.Column("channel_id", sa.Text(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=True),
        sa.Column("min_duration_seconds", sa.Integer(), nullable=True),
        sa.Column("delete_after_days", sa.Integer(), nullable=True),
        sa.Column("is_user_delete_allowed", sa.Boolean(), nullable=True),
        sa.Column("formats", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.CheckConstraint(
            "min_duration_seconds >= 0", name=op.f("ck_recording_settings_min_duration_counts")
        ),
        sa.CheckConstraint(
            "delete_after_days >= 0", name=op.f("ck_recording_settings_delete_after_counts")
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_recording_settings_channel_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("channel_id", name=op.f("pk_recording_settings")),
    )
    op.add_column("vods", sa.Column("delete_reason", sa.Text(), nullable=True))
    for name in ("restored_at", "purge_started_at"):
        op.add_column("vods", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_vods_delete_reason_known"),
        "vods",
        "delete_reason in ('owner', 'expired', 'test')",
    )
    op.create_check_constraint(
        op.f("ck_vods_purged_is_deleted"),
        "vods",
        "purge_started_at is null or deleted_at is not null",
    )
    op.create_index(
        "ix_vods_deleted",
        "vods",
        ["deleted_at"],
        postgresql_where=sa.text("deleted_at is not null"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_vods_deleted",
        table_name="vods",
        postgresql_where=sa.text("deleted_at is not null"),
    )
    for name in ("purged_is_deleted", "delete_reason_known"):
        op.drop_constraint(op.f(f"ck_vods_{name}"), "vods", type_="check")
    for name in ("purge_started_at", "restored_at", "delete_reason"):
        op.drop_column("vods", name)
    op.drop_table("recording_settings")
