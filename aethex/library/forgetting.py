"""Queries that forget a viewer in the library, and the record that this was done.

What belongs here: the journal, the new id, emptying rows, and the search for what is left. What
does not: the lake, and the order of both (`pipelines.forget`).

While a forgetting runs, its row keeps a random key. The new id follows from the key and the old id,
so that a run that was killed goes on with the same one, though the two never stand side by side.
The key is erased at the end; from then on nothing leads from the old id to the new one.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, case, cast, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from ulid import ULID

from aethex.library.errors import InvalidValue
from aethex.library.models import (
    AuditEntry,
    Base,
    Channel,
    Credential,
    Follow,
    Forgetting,
    Identity,
    Like,
    OutboxEvent,
    User,
    UserSession,
    WatchProgress,
)

FORGOTTEN_NAME = "Forgotten viewer"
MOST_CHARACTERS = 64
"""Of a viewer's id, as events may carry it."""

_KEY, _MARK = "key", "mark"
_PEOPLE = ("user_id", "owner_id", "viewer_id", "subject_id")
_WITH_ULID = re.compile(r"([a-z]{1,16}_)[0-9A-HJKMNP-TV-Z]{26}")


def valid_viewer_id(viewer_id: str) -> str:
    """The id itself. Raises InvalidValue for what no event could have carried."""
    if re.fullmatch(rf"[ -~]{{1,{MOST_CHARACTERS}}}", viewer_id) is None or not viewer_id.strip():
        raise InvalidValue(
            f"That is no viewer's id: it has 1 to {MOST_CHARACTERS} printable ASCII characters."
        )
    return viewer_id


# --- the journal ----------------------------------------------------------------------------------


def unfinished(s: Session, viewer_id: str) -> Forgetting | None:
    """The forgetting of this viewer that was begun and did not end, if there is one."""
    for row in _all_unfinished(s):
        mark = _digest(bytes.fromhex(row.counts[_KEY]), "mark", viewer_id).hex()
        if hmac.compare_digest(mark, row.counts[_MARK]):
            return row
    return None


def count_unfinished(s: Session) -> int:
    """How many forgettings were begun and did not end."""
    return len(_all_unfinished(s))


def begin(s: Session, viewer_id: str) -> Forgetting:
    """A new row of the journal: it recognises the id, and does not tell it."""
    key = secrets.token_bytes(32)
    mark = _digest(key, "mark", viewer_id).hex()
    row = Forgetting(counts={_KEY: key.hex(), _MARK: mark})
    s.add(row)
    s.flush()
    return row


def new_id_of(row: Forgetting, viewer_id: str) -> str:
    """The id that takes the place of the old one: random, of the same form, the same each time that
    the row is asked until it is finished.
    """
    value = _digest(bytes.fromhex(row.counts[_KEY]), "id", viewer_id)[:16]
    if form := _WITH_ULID.fullmatch(viewer_id):
        return f"{form[1]}{ULID(value)}"
    try:
        if str(UUID(viewer_id)) == viewer_id:
            return str(UUID(bytes=value, version=4))
    except ValueError:
        pass
    return f"vw_{ULID(value)}"


def finish(s: Session, forgetting_id: int, counts: Mapping[str, Any], now: datetime) -> None:
    """Note that it is done, and how much there was; the key is erased."""
    row = s.get_one(Forgetting, forgetting_id)
    row.counts, row.finished_at = dict(counts), now


def _all_unfinished(s: Session) -> list[Forgetting]:
    query = select(Forgetting).where(Forgetting.finished_at.is_(None)).order_by(Forgetting.id)
    return list(s.scalars(query))


def _digest(key: bytes, purpose: str, viewer_id: str) -> bytes:
    return hmac.digest(key, f"{purpose}:{viewer_id}".encode(), "sha256")


# --- rows -----------------------------------------------------------------------------------------


def empty(s: Session, viewer_id: str, new_id: str) -> dict[str, int]:
    """Take the viewer out of all rows; how many there were, by table.

    A user's row goes, with both names, its password, identities and sessions, and how far it
    watched. Its likes, follows and channels pass to a row without names, so that what everybody
    sees counted stays the same. What the audit log tells of the user becomes that somebody did
    something. Events that wait in the outbox land under the new id. A drain that is at work with
    them is waited for: then they have landed.
    """
    # whoever adds a row for the user waits for this lock, and then finds no user
    user = s.scalar(select(User).where(User.id == viewer_id).with_for_update())
    found = {"users": int(user is not None)}
    if user is not None:
        found |= _sign_out_for_ever(s, viewer_id)
        watched = delete(WatchProgress).where(WatchProgress.user_id == viewer_id)
        found["watch_progress"] = len(s.scalars(watched.returning(WatchProgress.vod_id)).all())
        before = _counts(s, viewer_id)
        _pass_on(s, viewer_id, new_id)
        if _counts(s, new_id) != before:
            raise RuntimeError("rows were lost while a user was emptied; nothing was changed")
        found |= before
    username = user.username if user else None
    if audit := _empty_audit_log(s, viewer_id, new_id, username):
        found["audit_log"] = audit
    query = (
        update(OutboxEvent)
        .where(OutboxEvent.viewer_id == viewer_id)
        .values(viewer_id=new_id)
        .returning(OutboxEvent.id)
    )
    return {**found, "outbox": len(s.scalars(query).all())}


def search(s: Session, viewer_id: str, *, is_unmistakable: bool) -> dict[str, int]:
    """Rows in which the id stands, by table: anywhere in any table of the database, Dagster's too;
    or, for an id that may be part of other texts, as the whole value of a column of people's ids.
    """
    s.execute(text("set local statement_timeout = 0"))  # Dagster's log may be long
    if is_unmistakable:
        wheres = dict.fromkeys(_all_tables(s), "position(:id in t::text) > 0")
    else:
        columns = {
            table.name: [
                c.name for c in table.columns if c.name in _PEOPLE or table.name == "users"
            ]
            for table in Base.metadata.sorted_tables
        }
        wheres = {
            f'"{name}"': " or ".join(f"{column}::text = :id" for column in found)
            for name, found in columns.items()
            if found
        }
    found: dict[str, int] = {}
    for name, where in wheres.items():
        query = text(f"select count(*) from {name} as t where {where}")
        if rows := s.scalar(query, {"id": viewer_id}):
            found[name.replace('"', "").removeprefix("public.")] = rows
    return found


def _all_tables(s: Session) -> list[str]:
    query = text(
        "select format('%I.%I', schemaname, tablename) from pg_tables"
        " where schemaname <> all (array['pg_catalog', 'information_schema'])"
        " order by schemaname, tablename"
    )
    return [*s.scalars(query)]


def _pass_on(s: Session, viewer_id: str, new_id: str) -> None:
    username = f"forgotten-{str(ULID()).lower()}"
    values = {"id": new_id, "username": username, "display_name": FORGOTTEN_NAME}
    s.execute(insert(User).values(values))
    s.execute(update(Channel).where(Channel.owner_id == viewer_id).values(owner_id=new_id))
    s.execute(update(Follow).where(Follow.user_id == viewer_id).values(user_id=new_id))
    s.execute(update(Like).where(Like.user_id == viewer_id).values(user_id=new_id))
    s.execute(delete(User).where(User.id == viewer_id))


def _counts(s: Session, user_id: str) -> dict[str, int]:
    """Rows of the user, by table."""
    columns = {"channels": Channel.owner_id, "follows": Follow.user_id, "likes": Like.user_id}
    return {
        name: s.scalar(select(func.count()).where(column == user_id)) or 0
        for name, column in columns.items()
    }


def _sign_out_for_ever(s: Session, user_id: str) -> dict[str, int]:
    """End the user's sessions and remove all ways to sign in; rows by table, if any."""
    gone = {
        "credentials": delete(Credential).where(Credential.user_id == user_id),
        "identities": delete(Identity).where(Identity.user_id == user_id),
        "user_sessions": delete(UserSession).where(UserSession.user_id == user_id),
    }
    rows = {
        table: len(s.execute(query.returning(text("1"))).all()) for table, query in gone.items()
    }
    return {table: count for table, count in rows.items() if count}


def _empty_audit_log(s: Session, viewer_id: str, new_id: str, username: str | None) -> int:
    """Take the user out of the log: names, values and addresses go, that it happened stays."""
    told = [AuditEntry.user_id == viewer_id, AuditEntry.subject_id == viewer_id]
    if _WITH_ULID.fullmatch(viewer_id):  # another form could be a part of other texts
        told.append(cast(AuditEntry.changes, Text).contains(viewer_id, autoescape=True))
    if username is not None:
        told.append(AuditEntry.changes["username_tried"].astext == username)
    is_of_somebody_else = AuditEntry.user_id.is_not(None) & (AuditEntry.user_id != viewer_id)
    query = (
        update(AuditEntry)
        .where(or_(*told))
        .values(
            user_id=case((AuditEntry.user_id == viewer_id, new_id), else_=AuditEntry.user_id),
            subject_id=case(
                (AuditEntry.subject_id == viewer_id, new_id), else_=AuditEntry.subject_id
            ),
            changes={},
            address=case((is_of_somebody_else, AuditEntry.address), else_=None),
        )
        .returning(AuditEntry.id)
    )
    return len(s.scalars(query).all())
