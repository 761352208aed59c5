"""Recordings: settings of channels, what is made from a VOD, and what is missing in it.

Revision: 0006, after 0005.
"""

from __future__ import annotations

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
