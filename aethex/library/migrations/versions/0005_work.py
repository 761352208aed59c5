"""Work: jobs that are claimed with a lease, and what became of copied recordings.

Revision: 0005, after 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KIND = "kind ~ '^[a-z][a-z0-9_]{0,39}$'"


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("job_fences")))
    _jobs()
    _indexes_of_jobs()
    _workers()
    _copies()


def downgrade() -> None:
    op.drop_index(op.f("ix_provider_recordings_vod_id"), table_name="provider_recordings")
    op.drop_column("provider_recordings", "archived_at")
    op.drop_column("provider_recordings", "vod_id")
    op.drop_table("workers")
    op.drop_table("jobs")
    op.execute(sa.schema.DropSequence(sa.Sequence("job_fences")))


def _moment(name: str, *, is_now: bool = False) -> sa.Column[object]:
    default = sa.text("now()") if is_now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not is_now)


def _object(name: str) -> sa.Column[object]:
    return sa.Column(
        name,
        postgresql.JSONB(astext_type=sa.Text()),
        server_default=sa.text("'{}'::jsonb"),
        nullable=False,
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        _object("payload"),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_attempts", sa.Integer(), server_default=sa.text("5"), nullable=False),
        _moment("run_after", is_now=True),
        _moment("lease_until"),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=True),
        _object("progress"),
        sa.Column("error", sa.Text(), nullable=True),
        _moment("created_at", is_now=True),
        _moment("started_at"),
        _moment("finished_at"),
        sa.CheckConstraint(
            "state in ('queued', 'running', 'done', 'failed')", name=op.f("ck_jobs_state_known")
        ),
        sa.CheckConstraint(_KIND, name=op.f("ck_jobs_kind_form")),
        sa.CheckConstraint(
            "attempts between 0 and max_attempts", name=op.f("ck_jobs_attempts_are_bounded")
        ),
        sa.CheckConstraint("max_attempts > 0", name=op.f("ck_jobs_is_tried")),
        sa.CheckConstraint(
            "(state = 'running') = (lease_until is not null and worker_id is not null)",
            name=op.f("ck_jobs_running_is_leased"),
        ),
        sa.CheckConstraint(
            "state <> 'running' or fence is not null", name=op.f("ck_jobs_running_is_fenced")
        ),
        sa.CheckConstraint(
            "(state in ('done', 'failed')) = (finished_at is not null)",
            name=op.f("ck_jobs_end_has_time"),
        ),
        sa.CheckConstraint(
            "state <> 'failed' or error is not null", name=op.f("ck_jobs_failure_has_reason")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )


def _indexes_of_jobs() -> None:
    op.create_index(
        "uq_jobs_open_kind_subject_id",
        "jobs",
        ["kind", "subject_id"],
        unique=True,
        postgresql_where=sa.text("state in ('queued', 'running')"),
    )
    op.create_index(
        "ix_jobs_queued",
        "jobs",
        ["kind", sa.literal_column("priority desc"), "run_after", "id"],
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_jobs_leased",
        "jobs",
        ["lease_until"],
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index("ix_jobs_subject_id", "jobs", ["subject_id"])


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        _moment("started_at", is_now=True),
        _moment("heartbeat_at", is_now=True),
        sa.Column("is_taking", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("doing", sa.Text(), server_default="", nullable=False),
        _object("details"),
        sa.CheckConstraint(_KIND, name=op.f("ck_workers_kind_form")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_index("ix_workers_kind_heartbeat_at", "workers", ["kind", "heartbeat_at"])


def _copies() -> None:
    op.add_column(
        "provider_recordings",
        sa.Column(
            "vod_id",
            sa.Text(),
            sa.ForeignKey(
                "vods.id", name=op.f("fk_provider_recordings_vod_id"), ondelete="SET NULL"
            ),
            nullable=True,
        ),
    )
    op.add_column("provider_recordings", _moment("archived_at"))
    op.create_index(op.f("ix_provider_recordings_vod_id"), "provider_recordings", ["vod_id"])
