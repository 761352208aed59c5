"""Tables of long work: jobs that are claimed with a lease, and the workers that are alive."""

from __future__ import annotations

from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, Sequence, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from aethex.library.columns import At, CreatedAt, Id, String
from aethex.library.models.base import Base, one_of

JobState = Literal["queued", "running", "done", "failed", "cancelled"]

KIND_PATTERN = "^[a-z][a-z0-9_]{0,39}$"
_OPEN = "state in ('queued', 'running')"

job_fences = Sequence("job_fences", metadata=Base.metadata)
"""Numbers that only rise. Each claim gets one: who holds an older one holds the job no more."""


class Job(Base):
    """Work that outlasts a request: a recording, a copy of one, a clip.

    It is open while it is queued or running; of each kind a subject has one open job at most.
    Cancelled ones were ended by an operator, and are not taken up unless one says so.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        one_of("state", get_args(JobState)),
        CheckConstraint(f"kind ~ '{KIND_PATTERN}'", name="kind_form"),
        CheckConstraint("attempts between 0 and max_attempts", name="attempts_are_bounded"),
        CheckConstraint("max_attempts > 0", name="is_tried"),
        CheckConstraint(
            "(state = 'running') = (lease_until is not null and worker_id is not null)",
            name="running_is_leased",
        ),
        CheckConstraint("state <> 'running' or fence is not null", name="running_is_fenced"),
        CheckConstraint(
            "(state in ('done', 'failed', 'cancelled')) = (finished_at is not null)",
            name="end_has_time",
        ),
        CheckConstraint("state <> 'failed' or error is not null", name="failure_has_reason"),
        Index(
            "uq_jobs_open_kind_subject_id",
            "kind",
            "subject_id",
            unique=True,
            postgresql_where=text(_OPEN),
        ),
        Index(
            "ix_jobs_queued",
            "kind",
            text("priority desc"),
            "run_after",
            "id",
            postgresql_where=text("state = 'queued'"),
        ),
        Index("ix_jobs_leased", "lease_until", postgresql_where=text("state = 'running'")),
        Index("ix_jobs_subject_id", "subject_id"),
        # How many there are, and which have failed.
        Index("ix_jobs_state", "state", "kind"),
    )

    id: Mapped[Id]
    kind: Mapped[String]
    subject_id: Mapped[String]
    """What it is about: a recording, a VOD, a clip. No foreign key: the job's row outlives it."""
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    state: Mapped[JobState] = mapped_column(Text, server_default="queued")
    priority: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """The highest is taken first."""
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """How often it was claimed, less the times that a worker gave it back by itself."""
    max_attempts: Mapped[int] = mapped_column(Integer, server_default=text("5"))
    run_after: Mapped[CreatedAt]
    lease_until: Mapped[At | None]
    worker_id: Mapped[String | None]
    fence: Mapped[int | None] = mapped_column(BigInteger)
    """The number of its last claim. It stays when the job ends."""
    progress: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """`share` (0–1) and `stage` (a word), as its worker last told."""
    error: Mapped[String | None]
    """Why it failed, or why the attempt before this one did. One line."""
    created_at: Mapped[CreatedAt]
    started_at: Mapped[At | None]
    """When it was last claimed."""
    finished_at: Mapped[At | None]


class Worker(Base):
    """A process that takes jobs, for as long as it lives. Only its heartbeat says that it does."""

    __tablename__ = "workers"
    __table_args__ = (
        CheckConstraint(f"kind ~ '{KIND_PATTERN}'", name="kind_form"),
        Index("ix_workers_kind_heartbeat_at", "kind", "heartbeat_at"),
    )

    id: Mapped[Id]
    kind: Mapped[String]
    started_at: Mapped[CreatedAt]
    heartbeat_at: Mapped[CreatedAt]
    is_taking: Mapped[bool] = mapped_column(server_default=text("true"))
    """False: it ends what it has begun and takes no more."""
    doing: Mapped[String] = mapped_column(server_default="")
    """What it does now, in words."""
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Where it runs: host, process id, the orchestrator's run."""
