"""Queries about accounts: people who can sign in, by a password.

What belongs here: making and changing accounts, each with its entry in the audit log. What does
not: hashing (`passwords`), sessions (`sessions`), what a role may do (whoever asks for it).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library import audit, users
from aethex.library.audit import Actor
from aethex.library.errors import InvalidValue, NotInLibrary
from aethex.library.ids import new_id
from aethex.library.models import Credential, Role, User
from aethex.library.values import valid_text, valid_username


def sign_up(s: Session, actor: Actor, username: str, display_name: str, password_hash: str) -> User:
    """A new account. Raises InvalidValue for a name that cannot be one, or that is taken."""
    values = {
        "id": new_id("usr"),
        "username": valid_username(username),
        "display_name": valid_text(display_name or username, "display name"),
    }
    made = insert(User).values(values).on_conflict_do_nothing(index_elements=["username"])
    user = s.scalars(made.returning(User)).one_or_none()
    if user is None:
        raise InvalidValue(f"The username {username} is taken: choose another one.")
    s.add(Credential(user_id=user.id, password_hash=password_hash))
    s.flush()
    audit.record(s, Actor(actor.user_id or user.id, actor.address), "user.sign_up", user.id)
    return user


def with_password(s: Session, username: str) -> tuple[User, str] | None:
    """The user of this name and the hash of their password; None for who has none."""
    query = (
        select(User, Credential.password_hash)
        .join(Credential, Credential.user_id == User.id)
        .where(User.username == username)
    )
    found = s.execute(query).one_or_none()
    return (found[0], found[1]) if found else None


def has_password(s: Session, user_id: str, password_hash: str) -> bool:
    """Whether this is still the hash of the user's password. Nobody changes it before the
    transaction ends: what is done here for who knew the password, a new one undoes.

    Raises NotInLibrary.
    """
    _existing(s, user_id)  # whoever changes it locks the user first
    query = select(Credential.password_hash).where(Credential.user_id == user_id)
    return s.scalar(query) == password_hash


def set_password(s: Session, actor: Actor, user_id: str, password_hash: str, now: datetime) -> None:
    """Give the user this password. Their sessions are the caller's to end. Raises NotInLibrary."""
    _existing(s, user_id)
    values = {"user_id": user_id, "password_hash": password_hash, "changed_at": now}
    changed = {"password_hash": password_hash, "changed_at": now}
    made = insert(Credential).values(values)
    s.execute(made.on_conflict_do_update(index_elements=["user_id"], set_=changed))
    audit.record(s, actor, "user.set_password", user_id)


def rehash(s: Session, user_id: str, old_hash: str, new_hash: str) -> None:
    """Keep the same password hashed at another cost, unless it was changed meanwhile."""
    same = (Credential.user_id == user_id, Credential.password_hash == old_hash)
    s.execute(update(Credential).where(*same).values(password_hash=new_hash))


def set_display_name(s: Session, actor: Actor, user_id: str, display_name: str) -> User:
    """Call the user so on pages. Raises InvalidValue, NotInLibrary."""
    name = valid_text(display_name, "display name")
    user = _existing(s, user_id)
    if user.display_name != name:
        audit.record(
            s, actor, "user.set_display_name", user_id, display_name=[user.display_name, name]
        )
        user.display_name = name
        s.flush()
    return user


def set_role(s: Session, actor: Actor, user_id: str, role: Role) -> User:
    """Give the user this role. Raises NotInLibrary."""
    user = _existing(s, user_id)
    if user.role != role:
        audit.record(s, actor, "user.set_role", user_id, role=[user.role, role])
        user.role = role
        s.flush()
    return user


def list_all(s: Session) -> Sequence[User]:
    """All users in the order of their usernames."""
    return s.scalars(select(User).order_by(User.username)).all()


def named(s: Session, username: str) -> User:
    """The user of this username. Raises NotInLibrary."""
    user = users.by_username(s, username)
    if user is None:
        raise NotInLibrary(f"There is no user {username!r}: `aethex users list` shows who is.")
    return user


def _existing(s: Session, user_id: str) -> User:
    user = s.get(User, user_id, with_for_update=True)
    if user is None:
        raise NotInLibrary(f"There is no user {user_id}: check the id.")
    return user
