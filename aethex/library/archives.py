"""Queries about copies of providers' recordings: which are to be made, and which are there.

What belongs here: the way from a recording to its job and its VOD. What does not: recordings as
their providers tell of them, jobs (`jobs`), and copying (`aethex.workers.archive`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from aethex.library import jobs
from aethex.library.errors import NotInLibrary
from aethex.library.models import Job, ProviderRecording, Stream

KIND = "archive"
"""Of jobs that copy a recording; their subject is its id."""


def enqueue_ready(s: Session) -> Sequence[str]:
    """Ask for a copy of each recording that is ready, whose stream is known, and that never had a
    job; their ids. A copy that has failed is asked for again only by hand.
    """
    asked = select(Job.id).where(Job.kind == KIND, Job.subject_id == ProviderRecording.id)
    query = select(ProviderRecording.id).where(
        ProviderRecording.state == "ready",
        ProviderRecording.stream_id.is_not(None),
        ProviderRecording.archived_at.is_(None),
        ~asked.exists(),
    )
    found = s.scalars(query.order_by(ProviderRecording.id)).all()
    for recording_id in found:
        jobs.enqueue(s, KIND, recording_id)
    return found


def get(s: Session, recording_id: str) -> ProviderRecording:
    """The recording of this id. Raises NotInLibrary."""
    recording = s.get(ProviderRecording, recording_id)
    if recording is None:
        raise NotInLibrary(f"There is no recording {recording_id}: check the id.")
    return recording


def channel_of(s: Session, recording: ProviderRecording) -> str | None:
    """The channel of the stream that it is of."""
    return s.scalar(select(Stream.channel_id).where(Stream.id == recording.stream_id))


def mark_archived(s: Session, recording_id: str, vod_id: str) -> None:
    """The recording is copied, as this VOD. What its provider tells of it later changes nothing."""
    s.execute(
        update(ProviderRecording)
        .where(ProviderRecording.id == recording_id)
        .values(vod_id=vod_id, archived_at=func.now())
    )
