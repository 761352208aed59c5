"""Queries about the inbox: what providers' webhooks told, and what became of it.

What belongs here: the rows of `webhook_events`. What does not: verifying and reading webhooks
(`aethex.providers`), and doing what they say (the service's `inbox`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library.errors import NotInLibrary
from aethex.library.ids import new_id
from aethex.library.models import ChannelInput, WebhookEvent, WebhookState

_MOST_NOTE = 500
_AT_ONCE = 50_000  # are forgotten within a query's time limit; the rest the next time
MOST_ATTEMPTS = 1000
"""After so many failures an event is given up: more than an hour, in which most can be mended."""

_LOCK_RECORDING = text(
    "select pg_advisory_xact_lock(hashtextextended(:provider || ' ' || :recording_id, 1))"
)


@dataclass(frozen=True)
class NewEvent:
    """What comes into the inbox. `repeat_seconds`: how long its key means the same; None: always.
    `key` None: it is never a repeat.
    """

    provider: str
    key: str | None
    kind: str
    at: datetime
    received_at: datetime
    body: dict[str, Any]
    external_id: str | None = None
    recording_id: str | None = None
    repeat_seconds: float | None = None
    ignored_because: str | None = None


def add(s: Session, event: NewEvent) -> WebhookEvent | None:
    """The event's new row, waiting or ignored at once; None when it is there already."""
    event_id = new_id("hook")
    key = event.key if event.key is not None else event_id
    if event.repeat_seconds is not None:
        found = _new_key(s, event.provider, key, event.received_at, event.repeat_seconds)
        if found is None:
            return None
        key = found
    state: WebhookState = "waiting" if event.ignored_because is None else "ignored"
    made = (
        insert(WebhookEvent)
        .values(
            id=event_id,
            provider=event.provider,
            key=key,
            kind=event.kind,
            external_id=event.external_id,
            recording_id=event.recording_id,
            at=event.at,
            received_at=event.received_at,
            body=event.body,
            state=state,
            note=event.ignored_because or "",
            applied_at=event.received_at if state == "ignored" else None,
        )
        .on_conflict_do_nothing(index_elements=["provider", "key"])
        .returning(WebhookEvent)
    )
    return s.scalars(made).one_or_none()


def claim(s: Session, event_id: str) -> WebhookEvent:
    """The event, locked until the session ends. Raises NotInLibrary."""
    found = s.scalars(
        select(WebhookEvent).where(WebhookEvent.id == event_id).with_for_update()
    ).one_or_none()
    if found is None:
        raise NotInLibrary(f"There is no webhook {event_id}: `aethex webhooks list` shows them.")
    return found


def finish(event: WebhookEvent, state: WebhookState, note: str, now: datetime) -> None:
    """Say what became of a claimed event; one that still waits has no time of being applied."""
    event.state = state
    event.note = note[:_MOST_NOTE]
    event.applied_at = None if state == "waiting" else now


def note_failure(
    s: Session, event_id: str, note: str, now: datetime, *, is_for_good: bool
) -> WebhookState:
    """Say why an event could not be applied; the state that it has then. It waits to be tried
    again, but not where that is `is_for_good` or was tried too often: then it is ignored.

    Raises NotInLibrary.
    """
    event = claim(s, event_id)
    event.attempts += 1
    is_given_up = is_for_good or event.attempts >= MOST_ATTEMPTS
    if is_given_up:
        finish(event, "ignored", f"given up: {note}", now)
    else:
        finish(event, "waiting", note, now)
    return event.state


def due(s: Session, limit: int) -> Sequence[str]:
    """Ids of waiting events that could be applied: their input is there now, or they name none.
    Those that failed least come first.
    """
    is_mapped = exists().where(
        ChannelInput.provider == WebhookEvent.provider,
        ChannelInput.external_id == WebhookEvent.external_id,
    )
    query = (
        select(WebhookEvent.id)
        .where(WebhookEvent.state == "waiting", or_(WebhookEvent.external_id.is_(None), is_mapped))
        .order_by(WebhookEvent.attempts, WebhookEvent.id)
        .limit(limit)
    )
    return s.scalars(query).all()


def forget_unmapped(s: Session, provider: str, most_names: int, most_each: int) -> int:
    """Remove what waits for inputs that nobody has added, but for the names that were heard of
    last, and of each the newest of every kind; how many events went, 50,000 at once.
    """
    is_mapped = exists().where(
        ChannelInput.provider == provider, ChannelInput.external_id == WebhookEvent.external_id
    )
    name, newer = WebhookEvent.external_id, WebhookEvent.id.desc()
    nth = func.row_number().over(partition_by=[name, WebhookEvent.kind], order_by=newer)
    newest = func.max(WebhookEvent.id).over(partition_by=name)
    waiting = (
        select(WebhookEvent.id, newest.label("newest"), nth.label("nth"))
        .where(
            WebhookEvent.provider == provider,
            WebhookEvent.state == "waiting",
            WebhookEvent.external_id.is_not(None),
            ~is_mapped,
        )
        .subquery()
    )
    place = func.dense_rank().over(order_by=waiting.c.newest.desc()).label("place")
    placed = select(waiting.c.id, waiting.c.nth, place).subquery()
    too_many = select(placed.c.id).where(or_(placed.c.nth > most_each, placed.c.place > most_names))
    free = (  # another process may forget the same, or apply it
        select(WebhookEvent.id)
        .where(WebhookEvent.id.in_(too_many), WebhookEvent.state == "waiting")
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    gone = delete(WebhookEvent).where(WebhookEvent.id.in_(free)).returning(WebhookEvent.id)
    return len(s.scalars(gone).all())


def of_input(s: Session, provider: str, external_id: str) -> Sequence[str]:
    """Ids of what waits for an input, and of recordings that are told of by its id, in the order in
    which they came in.
    """
    waits = (WebhookEvent.state == "waiting") & (WebhookEvent.external_id == external_id)
    query = (
        select(WebhookEvent.id)
        .where(
            WebhookEvent.provider == provider, waits | (WebhookEvent.recording_id == external_id)
        )
        .order_by(WebhookEvent.id)
    )
    return s.scalars(query).all()


def of_recording(s: Session, provider: str, recording_id: str) -> Sequence[WebhookEvent]:
    """All that was told of one recording, whatever became of it. Nobody else gets it until the
    session ends: who read less would write what it says over what is newer.
    """
    s.execute(_LOCK_RECORDING, {"provider": provider, "recording_id": recording_id})
    query = select(WebhookEvent).where(
        WebhookEvent.provider == provider, WebhookEvent.recording_id == recording_id
    )
    return s.scalars(query).all()


def select_ids(
    s: Session,
    *,
    provider: str | None = None,
    since: datetime | None = None,
    state: WebhookState | None = None,
    limit: int | None = None,
    newest_first: bool = False,
) -> Sequence[str]:
    """Ids of the events that came in since then, in the order in which they came in."""
    order = WebhookEvent.id.desc() if newest_first else WebhookEvent.id
    query = select(WebhookEvent.id).order_by(order)
    if provider is not None:
        query = query.where(WebhookEvent.provider == provider)
    if since is not None:
        query = query.where(WebhookEvent.received_at >= since)
    if state is not None:
        query = query.where(WebhookEvent.state == state)
    return s.scalars(query.limit(limit)).all()


def by_ids(s: Session, event_ids: Sequence[str]) -> Sequence[WebhookEvent]:
    """These events, in the order in which they came in."""
    query = select(WebhookEvent).where(WebhookEvent.id.in_(event_ids)).order_by(WebhookEvent.id)
    return s.scalars(query).all()


def get(s: Session, event_id: str) -> WebhookEvent:
    """The event of this id. Raises NotInLibrary."""
    found = s.get(WebhookEvent, event_id)
    if found is None:
        raise NotInLibrary(f"There is no webhook {event_id}: `aethex webhooks list` shows them.")
    return found


def count(s: Session) -> dict[str, int]:
    """How many events there are, by state."""
    query = select(WebhookEvent.state, func.count()).group_by(WebhookEvent.state)
    return {row[0]: row[1] for row in s.execute(query)}


def _new_key(
    s: Session, provider: str, key: str, received_at: datetime, repeat_seconds: float
) -> str | None:
    """The key, made new where it is an old one that means something new; None: it is a repeat."""
    n = int(received_at.timestamp() // repeat_seconds)
    keys = [key, f"{key}@{n - 1}", f"{key}@{n}"]
    query = select(WebhookEvent.key, WebhookEvent.received_at).where(
        WebhookEvent.provider == provider, WebhookEvent.key.in_(keys)
    )
    known = {row.key: row.received_at for row in s.execute(query)}
    since = received_at - timedelta(seconds=repeat_seconds)
    if any(at > since for at in known.values()):
        return None
    return keys[-1] if key in known else key
