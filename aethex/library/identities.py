"""Queries about identities: who users are at an OIDC issuer.

What belongs here: finding, making, linking and unlinking, each with its entry in the audit log.
What does not: what an issuer says and whether it is true (the service), passwords (`accounts`).

A user is found by issuer and subject alone. A name or an e-mail address never leads to an account:
at some issuers people choose them as they like.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from ulid import ULID

from aethex.library import accounts, audit
from aethex.library.audit import Actor
from aethex.library.errors import InvalidValue, NotInLibrary
from aethex.library.ids import new_id
from aethex.library.models import USERNAME_PATTERN, Identity, User
from aethex.library.values import valid_text

_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:issuer || chr(10) || :subject, 0))")
_NAMESAKES = 20
"""So many people of one name get a number; the next get random characters."""
_USERNAME_CHARACTERS = 40


def user_of(s: Session, issuer: str, subject: str) -> User | None:
    """Whose identity this is, if it is known."""
    query = (
        select(User)
        .join(Identity, Identity.user_id == User.id)
        .where(Identity.issuer == issuer, Identity.subject == subject)
    )
    return s.scalars(query).one_or_none()


def ensure_user(
    s: Session, actor: Actor, issuer: str, subject: str, *, username: str, display_name: str
) -> User:
    """Whose identity this is; an account is made for a new one. Two callers at once get the same.

    `username` and `display_name` are wishes: what cannot be a name is made one, and what is taken
    gets a number.
    """
    if (found := user_of(s, issuer, subject)) is not None:
        return found
    s.execute(_LOCK, {"issuer": issuer, "subject": subject})
    if (found := user_of(s, issuer, subject)) is not None:
        return found
    user = _make_user(s, username, display_name)
    s.add(Identity(issuer=issuer, subject=subject, user_id=user.id))
    s.flush()
    who = Actor(actor.user_id or user.id, actor.address)
    audit.record(s, who, "user.sign_up", user.id, issuer=issuer)
    return user


def of_user(s: Session, user_id: str, issuer: str) -> Identity | None:
    """Who the user is at this issuer, if that is known."""
    query = select(Identity).where(Identity.user_id == user_id, Identity.issuer == issuer)
    return s.scalars(query).one_or_none()


def link(s: Session, actor: Actor, user_id: str, issuer: str, subject: str) -> None:
    """Let this identity sign in as the user from now on.

    Raises InvalidValue when it is somebody else's, or the user has another one there.
    """
    _lock_user(s, user_id)
    owner = user_of(s, issuer, subject)
    if owner is not None and owner.id == user_id:
        return
    if owner is not None:
        raise InvalidValue(
            "That account signs in as another user here: unlink it there first, or sign in as them."
        )
    made = insert(Identity).values(issuer=issuer, subject=subject, user_id=user_id)
    if s.scalar(made.on_conflict_do_nothing().returning(Identity.user_id)) is None:
        raise InvalidValue("Another account is linked already: unlink it first.")
    audit.record(s, actor, "user.link_identity", user_id, issuer=issuer)


def unlink(s: Session, actor: Actor, user_id: str, issuer: str) -> None:
    """Let the user's identity at this issuer no longer sign in. Works also when there is none.

    Raises InvalidValue where it is the last way in.
    """
    user = _lock_user(s, user_id)
    if of_user(s, user_id, issuer) is None:
        return
    if accounts.with_password(s, user.username) is None:
        raise InvalidValue("This is your only way to sign in: without it you could not come back.")
    s.execute(delete(Identity).where(Identity.user_id == user_id, Identity.issuer == issuer))
    audit.record(s, actor, "user.unlink_identity", user_id, issuer=issuer)


def username_from(wish: str) -> str:
    """A valid username that is near to the wish; `user` where nothing is left of it. Of an e-mail
    address the part before the @: usernames are public.
    """
    plain = unicodedata.normalize("NFKD", wish[:400].partition("@")[0])
    candidate = re.sub(r"[^a-z0-9_-]+", "_", plain.encode("ascii", "ignore").decode().lower())
    candidate = candidate.strip("_-")[:_USERNAME_CHARACTERS]
    return candidate if re.fullmatch(USERNAME_PATTERN, candidate) else "user"


def _usernames(wish: str) -> Iterator[str]:
    name = username_from(wish)
    yield name
    for number in range(2, _NAMESAKES + 1):
        yield f"{name[: _USERNAME_CHARACTERS - 3]}-{number}"
    yield f"{name[:13]}-{str(ULID()).lower()}"


def _make_user(s: Session, wish: str, display_name: str) -> User:
    for username in _usernames(wish):
        try:
            name = valid_text(display_name, "display name")
        except InvalidValue:
            name = username
        values = {"id": new_id("usr"), "username": username, "display_name": name}
        made = insert(User).values(values).on_conflict_do_nothing(index_elements=["username"])
        if (user := s.scalars(made.returning(User)).one_or_none()) is not None:
            return user
    raise RuntimeError("a random username was taken")


def _lock_user(s: Session, user_id: str) -> User:
    user = s.get(User, user_id, with_for_update=True)
    if user is None:
        raise NotInLibrary(f"There is no user {user_id}: check the id.")
    return user
