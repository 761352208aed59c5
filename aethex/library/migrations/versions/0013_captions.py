"""Captions of VODs.

Revision: 0013, after 0012.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_CHECKS = {
    "kind_known": "kind in ('captions', 'subtitles')",
    "source_known": "source in ('file', 'provider', 'owner')",
    "language_form": "language ~ '^[a-z]{2,3}(-[A-Za-z0-9]{1,8})*$'",
    "has_bytes": "bytes > 0",
    "has_cues": "cues > 0",
}


def upgrade() -> None:
    texts = ("vod_id", "language", "label", "kind", "source", "key")
    op.create_table(
        "vod_captions",
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("cues", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        *(
            sa.CheckConstraint(rule, name=op.f(f"ck_vod_captions_{name}"))
            for name, rule in _CHECKS.items()
        ),
        sa.ForeignKeyConstraint(
            ["vod_id"], ["vods.id"], name=op.f("fk_vod_captions_vod_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("vod_id", "language", name=op.f("pk_vod_captions")),
    )


def downgrade() -> None:
    op.drop_table("vod_captions")
