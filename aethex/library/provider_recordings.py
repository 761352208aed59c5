"""Queries about recordings that providers made, and whose they are.

What belongs here: their rows, and finding the stream of each by its time. What does not: reading
webhooks (`aethex.providers`), copying the recordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from aethex.library import inputs
from aethex.library.ids import new_id
from aethex.library.live import stream_at
from aethex.library.models import ProviderRecording, Stream

SLACK = timedelta(minutes=5)
"""How far from a stream a recording's start may lie and still be its: encoders start late, and some
servers only say when a recording was finished."""

_AROUND = timedelta(days=8)  # providers end a recording after seven days


def put(
    s: Session,
    provider: str,
    external_id: str,
    input_id: str | None,
    values: Mapping[str, Any],
) -> ProviderRecording:
    """The recording as `values` have it, made when it is missing; then its stream is looked for."""
    if input_id is not None:
        inputs.locked(s, input_id)
    key = {"provider": provider, "external_id": external_id}
    changed = {**values, "input_id": input_id}
    made = (
        insert(ProviderRecording)
        .values(id=new_id("prec"), **key, **changed)
        .on_conflict_do_update(index_elements=[*key], set_=changed)
        .returning(ProviderRecording)
        .execution_options(populate_existing=True)
    )
    recording = s.scalars(made).one()
    _link(s, recording)
    s.flush()
    return recording


def link(s: Session, input_id: str, around: datetime) -> None:
    """Look again for the streams of an input's recordings, now that one around then has changed.
    The input is locked by whoever changed it.
    """
    query = select(ProviderRecording).where(
        ProviderRecording.input_id == input_id,
        ProviderRecording.started_at.between(around - _AROUND, around + _AROUND),
    )
    for recording in s.scalars(query):
        _link(s, recording)
    s.flush()


def get(s: Session, provider: str, external_id: str) -> ProviderRecording | None:
    """The recording that the provider has under that id."""
    return s.scalars(
        select(ProviderRecording).where(
            ProviderRecording.provider == provider, ProviderRecording.external_id == external_id
        )
    ).one_or_none()


def of_stream(s: Session, stream_id: str) -> Sequence[ProviderRecording]:
    """A stream's recordings, the earliest first; a stream may have several, one after another."""
    query = (
        select(ProviderRecording)
        .where(ProviderRecording.stream_id == stream_id)
        .order_by(ProviderRecording.started_at, ProviderRecording.id)
    )
    return s.scalars(query).all()


def ready(s: Session, limit: int = 100) -> Sequence[ProviderRecording]:
    """Recordings that can be fetched and whose stream is known, the oldest first."""
    query = (
        select(ProviderRecording)
        .where(ProviderRecording.state == "ready", ProviderRecording.stream_id.is_not(None))
        .order_by(ProviderRecording.id)
        .limit(limit)
    )
    return s.scalars(query).all()


def _link(s: Session, recording: ProviderRecording) -> None:
    if recording.input_id is None or recording.started_at is None:
        return
    if recording.stream_id is not None:
        found = s.get(Stream, recording.stream_id)
        if found is not None and found.input_id is None:
            return  # that stream's input was removed: another one of its id has other streams
    stream = stream_at(s, recording.input_id, recording.started_at, SLACK)
    recording.stream_id = stream.id if stream is not None else None
