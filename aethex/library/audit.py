"""The audit log: who wrote what, when and from where.

What belongs here: the one helper that writes an entry, and reading them. What does not: deciding
what is worth one; each query that writes for somebody calls `record` in its own transaction, so
that there is never the one without the other.

Actions are `<noun>.<verb>`, such as `channel.create`. `changes` holds field names with the new
value, or with [old, new]; never a password, key or token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from aethex.library.models import AuditEntry


@dataclass(frozen=True, slots=True)
class Actor:
    """Who writes: a user (None: nobody signed in, or the command line), and from which address."""

    user_id: str | None = None
    address: str | None = None


COMMAND_LINE = Actor()


def record(
    s: Session, actor: Actor, action: str, subject_id: str | None = None, **changes: Any
) -> None:
    """Note that the actor did this to the subject (the id of a row), within the transaction."""
    entry = AuditEntry(
        user_id=actor.user_id,
        action=action,
        subject_id=subject_id,
        changes=changes,
        address=actor.address,
    )
    s.add(entry)
    s.flush()


def latest(s: Session, limit: int, *, about: str | None = None) -> Sequence[AuditEntry]:
    """The latest entries, the latest first; `about`: of what this user did, and of this id."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if about is not None:
        query = query.where(or_(AuditEntry.user_id == about, AuditEntry.subject_id == about))
    return s.scalars(query).all()
