"""Queries about attempts: how often something was tried within a window of time.

What belongs here: counting, in rows that all processes share. What does not: how many are too many
(the service).

An attempt is counted before it is judged, by one statement that locks its row: however many
processes and requests try at once, each sees a number of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library.models import Attempt

_REMOVED_AT_ONCE = 100


def count(s: Session, key: str, now: datetime, window: timedelta) -> tuple[int, datetime]:
    """Count one attempt; how many there were in its window with it, and when the window ends.

    Call it for several keys in one order, or two callers could each wait for the other's row.
    """
    is_over = Attempt.began_at <= now - window
    counted = (
        insert(Attempt)
        .values(key=key, tries=1, began_at=now)
        .on_conflict_do_update(
            index_elements=["key"],
            set_={
                "tries": case((is_over, 1), else_=Attempt.tries + 1),
                "began_at": case((is_over, now), else_=Attempt.began_at),
            },
        )
        .returning(Attempt.tries, Attempt.began_at)
    )
    tries, began_at = s.execute(counted).one()
    return tries, began_at + window


def take_back(s: Session, keys: Collection[str]) -> None:
    """Uncount one attempt of each key: it turned out to be good."""
    for key in sorted(keys):
        s.execute(
            update(Attempt)
            .where(Attempt.key == key, Attempt.tries > 0)
            .values(tries=Attempt.tries - 1)
        )


def remove_old(s: Session, now: datetime, window: timedelta) -> None:
    """Remove some of the rows whose window is over, but none that somebody counts on just now."""
    old = (
        select(Attempt.key)
        .where(Attempt.began_at <= now - window)
        .limit(_REMOVED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    s.execute(delete(Attempt).where(Attempt.key.in_(s.scalars(old).all())))
