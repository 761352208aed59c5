"""Queries about sessions: the browsers in which users are signed in.

What belongs here: their rows, by the digest of their secret. What does not: cookies (the service),
passwords (`accounts`).
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from aethex.library.models import User, UserSession

_SECRET_BYTES = 32
_TOUCH_AFTER = timedelta(hours=1)  # a session that is in use costs one write an hour, not one each


def digest_of(secret: str) -> str:
    """What is stored of a session's secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def begin(s: Session, user_id: str, now: datetime) -> str:
    """A new session of the user; its secret, which is not stored."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    s.add(UserSession(digest=digest_of(secret), user_id=user_id, created_at=now, used_at=now))
    s.flush()
    return secret


def user_of(s: Session, secret: str, now: datetime, keep: timedelta) -> User | None:
    """Whose session this secret is, if it was used within `keep`; that it is used is noted."""
    digest = digest_of(secret)
    query = (
        select(User, UserSession.used_at)
        .join(UserSession, UserSession.user_id == User.id)
        .where(UserSession.digest == digest, UserSession.used_at > now - keep)
    )
    found = s.execute(query).one_or_none()
    if found is None:
        return None
    user, used_at = found
    if now - used_at >= _TOUCH_AFTER:
        s.execute(update(UserSession).where(UserSession.digest == digest).values(used_at=now))
    return user


def end(s: Session, secret: str) -> bool:
    """Sign this browser out; whether it was signed in."""
    gone = delete(UserSession).where(UserSession.digest == digest_of(secret))
    return s.scalar(gone.returning(UserSession.user_id)) is not None


def end_all(s: Session, user_id: str, *, but: str | None = None) -> int:
    """Sign the user out everywhere, but in the session of the secret `but`; how many ended."""
    gone = delete(UserSession).where(UserSession.user_id == user_id)
    if but is not None:
        gone = gone.where(UserSession.digest != digest_of(but))
    return len(s.scalars(gone.returning(UserSession.digest)).all())


def count(s: Session, user_id: str, now: datetime, keep: timedelta) -> int:
    """In how many browsers the user is signed in."""
    good = (UserSession.user_id == user_id, UserSession.used_at > now - keep)
    return s.scalar(select(func.count()).select_from(UserSession).where(*good)) or 0


def remove_old(s: Session, now: datetime, keep: timedelta) -> int:
    """Remove the sessions that were not used within `keep`, but none that somebody else is just
    ending: the two would wait for each other. How many.
    """
    old = select(UserSession.digest).where(UserSession.used_at <= now - keep)
    found = s.scalars(old.with_for_update(skip_locked=True)).all()
    s.execute(delete(UserSession).where(UserSession.digest.in_(found)))
    return len(found)
