"""Recordings: settings of channels, what is made from a VOD, and what is missing in it.

Revision: 0006, after 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is made from a VOD."""
    for name in ("storyboard_key", "preview_key", "loudness_key"):
        op.add_column("vods", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("vods", sa.Column("derived_bytes", sa.BigInteger(), nullable=True))
    op.create_check_constraint(op.f("ck_vods_derived_counts"), "vods", "derived_bytes >= 0")


def downgrade() -> None:
    """Forgets where it lies; the objects stay."""
    op.drop_constraint(op.f("ck_vods_derived_counts"), "vods")
    for name in ("derived_bytes", "loudness_key", "preview_key", "storyboard_key"):
        op.drop_column("vods", name)
