"""Jobs that operators cancel, and indexes for what they count.

Revision: 0012, after 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None

_STATE, _END = op.f("ck_jobs_state_known"), op.f("ck_jobs_end_has_time")


def upgrade() -> None:
    _set_checks("'done', 'failed', 'cancelled'")
    op.create_index("ix_jobs_state", "jobs", ["state", "kind"])
    op.create_index(
        "ix_vods_status", "vods", ["status"], postgresql_where=sa.text("deleted_at is null")
    )


def downgrade() -> None:
    op.drop_index("ix_vods_status", "vods")
    op.drop_index("ix_jobs_state", "jobs")
    op.execute(
        "update jobs set state = 'failed', error = coalesce(error, 'cancelled')"
        " where state = 'cancelled'"
    )
    _set_checks("'done', 'failed'")


def _set_checks(ends: str) -> None:
    op.drop_constraint(_STATE, "jobs")
    op.drop_constraint(_END, "jobs")
    op.create_check_constraint(_STATE, "jobs", f"state in ('queued', 'running', {ends})")
    op.create_check_constraint(_END, "jobs", f"(state in ({ends})) = (finished_at is not null)")
