"""Tables of accounts: how people sign in, where they are signed in, what was tried and what was
changed by whom.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy import Identity as Numbered
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from aethex.library.columns import At, CreatedAt, String
from aethex.library.models.base import SHA256_PATTERN, Base


class Credential(Base):
    """A user's password, as argon2 hashed it. Who signs in elsewhere has none."""

    __tablename__ = "credentials"

    user_id: Mapped[str] = mapped_column(
        Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    password_hash: Mapped[String]
    """In argon2's own form, which names its cost."""
    changed_at: Mapped[CreatedAt]


class Identity(Base):
    """Who a user is at an OIDC issuer: `subject` is the issuer's name for them, which never changes
    and is never given to somebody else.
    """

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("user_id", "issuer"),)

    issuer: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str] = mapped_column(Text, ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[CreatedAt]


class UserSession(Base):
    """A browser in which a user is signed in. Only the digest (SHA-256) of its secret is stored;
    the secret is random, so a plain digest does.
    """

    __tablename__ = "user_sessions"
    __table_args__ = (CheckConstraint(f"digest ~ '{SHA256_PATTERN}'", name="digest_form"),)

    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str] = mapped_column(
        Text, ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[CreatedAt]
    used_at: Mapped[At] = mapped_column(index=True)
    """When it was last used, to the hour."""


class Attempt(Base):
    """How often something was tried in a window of time. The key is a keyed digest: it tells
    neither the username nor the address.
    """

    __tablename__ = "attempts"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    tries: Mapped[int] = mapped_column(BigInteger)
    began_at: Mapped[At] = mapped_column(index=True)


class AuditEntry(Base):
    """That somebody wrote something. No foreign keys: the entry outlives its rows."""

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "user_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Numbered(always=True), primary_key=True)
    at: Mapped[CreatedAt]
    user_id: Mapped[String | None]
    """Who did it; None: nobody who is signed in, or the command line."""
    action: Mapped[String]
    subject_id: Mapped[String | None]
    changes: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """What became of it, without secrets."""
    address: Mapped[String | None]
    """Where the request came from; None: the command line."""
