"""Queries about streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import case, func, null, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from aethex.library.errors import InvalidValue, LibraryError, NotInLibrary
from aethex.library.ids import is_id, new_id
from aethex.library.models import Channel, Stream
from aethex.library.pages import Page, offset_of
from aethex.library.values import valid_text

_LOCK_TITLE = text("select pg_advisory_xact_lock(hashtextextended(:channel_id || :title, 0))")


def get(s: Session, stream_id: str) -> Stream | None:
    """The stream of this id, if there is one."""
    return s.get(Stream, stream_id)


def by_ids(s: Session, stream_ids: Iterable[str]) -> dict[str, Stream]:
    """The streams of these ids that exist, by id."""
    found = s.scalars(select(Stream).where(Stream.id.in_([*stream_ids])))
    return {stream.id: stream for stream in found}


def live_of(s: Session, channel_ids: Iterable[str]) -> dict[str, Stream]:
    """The stream that is live now of each of these channels, the latest where there are several;
    by the channel's id. Channels that are not live are left out.
    """
    query = (
        select(Stream)
        .ext(distinct_on(Stream.channel_id))
        .where(Stream.channel_id.in_([*channel_ids]), Stream.status == "live")
        .order_by(Stream.channel_id, Stream.started_at.desc(), Stream.id.desc())
    )
    return {stream.channel_id: stream for stream in s.scalars(query)}


def live_now(s: Session, limit: int) -> Sequence[Stream]:
    """Streams that are live, of all channels, the latest start first."""
    query = select(Stream).where(Stream.status == "live")
    return s.scalars(query.order_by(Stream.started_at.desc(), Stream.id.desc()).limit(limit)).all()


def list_channel_streams(
    s: Session, channel_id: str, page: int = 1, per_page: int = 50
) -> Page[Stream]:
    """A channel's streams, the latest start first; those that have not started come before them.

    Raises InvalidValue for a page out of bounds.
    """
    query = (
        select(Stream)
        .where(Stream.channel_id == channel_id)
        .order_by(Stream.started_at.desc(), Stream.id.desc())  # nulls come first in this order
        .offset(offset_of(page, per_page))
        .limit(per_page)
    )
    count = select(func.count()).select_from(Stream).where(Stream.channel_id == channel_id)
    return Page(s.scalars(query).all(), s.scalar(count) or 0)


def ensure_stream(s: Session, channel: Channel, title: str) -> Stream:
    """The channel's stream of this title, made as `scheduled` when it is missing.

    Instead of a title, an id (`st_…`) names an existing stream, for a channel that uses a title
    twice. Two callers at once get the same stream. Raises InvalidValue for a title that cannot be
    one, LibraryError when several streams have it, NotInLibrary for an id that is not of this
    channel.
    """
    if is_id("st", title):
        return _of_channel(s, channel, title)
    title = valid_text(title, "stream's title")
    # Titles are no key (a channel may use one twice), so a lock on channel and title stands for it.
    s.execute(_LOCK_TITLE, {"channel_id": channel.id, "title": title})
    query = select(Stream).where(Stream.channel_id == channel.id, Stream.title == title)
    found = s.scalars(query.order_by(Stream.id)).all()
    if len(found) > 1:
        ids = ", ".join(stream.id for stream in found)
        raise LibraryError(
            f"Channel {channel.username} has {len(found)} streams titled {title!r}: "
            f"name one by its id ({ids})."
        )
    if found:
        return found[0]
    stream = Stream(id=new_id("st"), channel_id=channel.id, title=title, status="scheduled")
    s.add(stream)
    s.flush()
    return stream


def schedule_stream(
    s: Session, channel: Channel, title: str, scheduled_at: datetime, input_id: str | None = None
) -> Stream:
    """A new stream that is planned for that time, on one of the channel's inputs or on any (None).

    It becomes the live one when something connects near that time (`live`). Raises InvalidValue for
    a title that cannot be one.
    """
    stream = Stream(
        id=new_id("st"),
        channel_id=channel.id,
        title=valid_text(title, "stream's title"),
        status="scheduled",
        scheduled_at=scheduled_at,
        input_id=input_id,
    )
    s.add(stream)
    s.flush()
    return stream


def set_stream_bounds(
    s: Session, stream_id: str, first_at: datetime, last_end_at: datetime
) -> Stream:
    """Widen a stream to contain `[first_at, last_end_at)`; it never shrinks.

    A scheduled stream has then ended. One that is live keeps an open end. Safe to race.
    Raises InvalidValue when the end lies before the start, NotInLibrary without such a stream.
    """
    if last_end_at < first_at:
        raise InvalidValue(
            f"A stream cannot end ({last_end_at.isoformat()}) before it starts "
            f"({first_at.isoformat()}): check the times' zones."
        )
    is_live = Stream.status == "live"
    widened = (
        update(Stream)
        .where(Stream.id == stream_id)
        .values(
            # least and greatest pass over nulls, which stand for "not known yet"
            started_at=func.least(Stream.started_at, first_at),
            ended_at=case((is_live, null()), else_=func.greatest(Stream.ended_at, last_end_at)),
            status=case((is_live, "live"), else_="ended"),
        )
        .returning(Stream)
        .execution_options(populate_existing=True)
    )
    stream = s.scalars(widened).one_or_none()
    if stream is None:
        raise NotInLibrary(f"There is no stream {stream_id}: check the id.")
    return stream


def _of_channel(s: Session, channel: Channel, stream_id: str) -> Stream:
    stream = get(s, stream_id)
    if stream is None or stream.channel_id != channel.id:
        raise NotInLibrary(
            f"Channel {channel.username} has no stream {stream_id}: check the id, or give a title."
        )
    return stream
