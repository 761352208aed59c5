"""Queries about the outbox: events of the library on their way to the lake.

What belongs here: writing one in the transaction of what it tells, and taking those that wait. What
does not: landing them (the service's `outbox`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from aethex.library.models import OutboxEvent


def record(
    s: Session,
    kind: str,
    *,
    channel_id: str,
    viewer_id: str,
    payload: dict[str, Any],
    stream_id: str | None = None,
    vod_id: str | None = None,
) -> None:
    """Add an event; it is there if and only if the caller's transaction commits.

    `payload` holds the columns that the kind's table has beside the common ones.
    """
    s.add(
        OutboxEvent(
            kind=kind,
            channel_id=channel_id,
            stream_id=stream_id,
            vod_id=vod_id,
            viewer_id=viewer_id,
            payload=payload,
        )
    )


def take(s: Session, limit: int) -> Sequence[OutboxEvent]:
    """The oldest waiting events that nobody else is taking now, locked until the session ends."""
    query = (
        select(OutboxEvent).order_by(OutboxEvent.id).limit(limit).with_for_update(skip_locked=True)
    )
    return s.scalars(query).all()


def remove(s: Session, ids: Iterable[int]) -> None:
    """Remove events that have landed."""
    s.execute(delete(OutboxEvent).where(OutboxEvent.id.in_([*ids])))


def count(s: Session) -> int:
    """How many events wait."""
    return s.scalar(select(func.count()).select_from(OutboxEvent)) or 0
