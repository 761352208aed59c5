"""Queries about server tokens: made, rotated, revoked, and recognised by their secret.

What belongs here: their rows and the form of a token, `aethex_<ULID>_<secret>`. What does not: what
a token allows (the service), caching.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from aethex.library import audit
from aethex.library.audit import COMMAND_LINE, Actor
from aethex.library.errors import InvalidValue, NotInLibrary
from aethex.library.ids import new_id
from aethex.library.models import ServerToken
from aethex.library.values import valid_text

_FORM = re.compile(r"aethex_([0-9A-Z]{26})_([A-Za-z0-9_-]{43})")
_SECRET_BYTES = 32


def create(
    s: Session, name: str, channel_id: str | None, actor: Actor = COMMAND_LINE
) -> tuple[ServerToken, str]:
    """A new token for a channel, or for the platform (None), and its text: shown once, not stored.

    Raises InvalidValue for an empty name.
    """
    token_id, secret = new_id("tok"), secrets.token_urlsafe(_SECRET_BYTES)
    token = ServerToken(
        id=token_id,
        name=valid_text(name, "token's name"),
        channel_id=channel_id,
        digest=_digest(secret),
    )
    s.add(token)
    s.flush()
    audit.record(s, actor, "token.create", token_id, name=token.name, channel_id=channel_id)
    return token, _text(token_id, secret)


def rotate(
    s: Session, token_id: str, now: datetime, overlap: timedelta, actor: Actor = COMMAND_LINE
) -> tuple[ServerToken, str]:
    """Give the token a new secret; the old one stays good for `overlap`. Returns its new text.

    Raises NotInLibrary for an unknown id, InvalidValue for a revoked one.
    """
    token = _get(s, token_id)
    if token.revoked_at is not None:
        raise InvalidValue(f"Token {token_id} was revoked: create a new one.")
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    token.previous_digest, token.previous_until = token.digest, now + overlap
    token.digest, token.rotated_at = _digest(secret), now
    audit.record(s, actor, "token.rotate", token_id, overlap_seconds=overlap.total_seconds())
    return token, _text(token_id, secret)


def revoke(s: Session, token_id: str, now: datetime, actor: Actor = COMMAND_LINE) -> ServerToken:
    """Make the token useless, for ever. Repeating it changes nothing. Raises NotInLibrary."""
    token = _get(s, token_id)
    if token.revoked_at is None:
        token.revoked_at = now
        audit.record(s, actor, "token.revoke", token_id)
    return token


def list_all(s: Session) -> Sequence[ServerToken]:
    """All tokens, the oldest first."""
    return s.scalars(select(ServerToken).order_by(ServerToken.id)).all()


def recognise(s: Session, text: str, now: datetime) -> ServerToken | None:
    """The token of this text, if it is one that is good now."""
    form = _FORM.fullmatch(text)
    token = s.get(ServerToken, f"tok_{form[1]}") if form else None
    if form is None or token is None or token.revoked_at is not None:
        return None
    digest = _digest(form[2])
    is_previous = token.previous_digest is not None and hmac.compare_digest(
        digest, token.previous_digest
    )
    if is_previous and token.previous_until is not None and now < token.previous_until:
        return token
    return token if hmac.compare_digest(digest, token.digest) else None


def _get(s: Session, token_id: str) -> ServerToken:
    token = s.get(ServerToken, token_id, with_for_update=True)
    if token is None:
        raise NotInLibrary(f"There is no token {token_id}: `aethex token list` shows them.")
    return token


def _text(token_id: str, secret: str) -> str:
    return f"aethex_{token_id.removeprefix('tok_')}_{secret}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
