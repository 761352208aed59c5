"""Queries about workers: who is alive and takes jobs. Told by heartbeats, by the database's clock.

What belongs here: their rows. What does not: jobs (`jobs`), and running them (`aethex.workers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library.models import Worker

DEAD_AFTER_SECONDS = 20.0
"""A worker that did not tell that it lives for so long is taken for dead; they tell every 5 s."""

_now = func.clock_timestamp


def beat(
    s: Session,
    worker_id: str,
    kind: str,
    *,
    doing: str = "",
    is_taking: bool = True,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Say that the worker lives and what it does; its row is made when it is missing."""
    values: dict[str, Any] = {"heartbeat_at": _now(), "doing": doing, "is_taking": is_taking}
    first = {"id": worker_id, "kind": kind, "details": dict(details or {})}
    new = insert(Worker).values(first | values)
    s.execute(new.on_conflict_do_update(index_elements=[Worker.id], set_=values))


def remove(s: Session, worker_id: str) -> None:
    """The worker has ended well: its row goes."""
    s.execute(delete(Worker).where(Worker.id == worker_id))


def is_alive(
    s: Session, kind: str, *, within_seconds: float = DEAD_AFTER_SECONDS, is_taking: bool = True
) -> bool:
    """Whether a worker of this kind lives; with `is_taking` only one that still takes jobs."""
    query = exists().where(Worker.kind == kind, ~_is_silent(within_seconds))
    if is_taking:
        query = query.where(Worker.is_taking)
    return bool(s.scalar(select(query)))


def silent(
    s: Session, kind: str, *, within_seconds: float = DEAD_AFTER_SECONDS
) -> Sequence[Worker]:
    """Workers of this kind that died without a word, the longest dead first."""
    query = select(Worker).where(Worker.kind == kind, _is_silent(within_seconds))
    return s.scalars(query.order_by(Worker.heartbeat_at)).all()


def listed(s: Session) -> Sequence[Worker]:
    """All workers, the newest first."""
    return s.scalars(select(Worker).order_by(Worker.started_at.desc())).all()


def _is_silent(seconds: float) -> ColumnElement[bool]:
    return Worker.heartbeat_at < _now() - timedelta(seconds=seconds)
