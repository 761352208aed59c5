"""Queries about stream segments: the title and category of a stream over its time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from operator import attrgetter

from sqlalchemy import select
from sqlalchemy.orm import Session

from aethex.library.categories import ensure_categories
from aethex.library.errors import InvalidValue, NotInLibrary
from aethex.library.ids import new_id
from aethex.library.models import Stream, StreamSegment
from aethex.library.values import valid_text


@dataclass(frozen=True)
class NewSegment:
    """A segment as it is given: half open, `[started_at, ended_at)`; no end: it still runs."""

    title: str
    started_at: datetime
    ended_at: datetime | None
    category: str | None = None
    """Name of the category; it is made when it is missing."""


@dataclass(frozen=True)
class ReplacedSegments:
    """A stream's segments after `replace_segments`, in order, and how many rows it touched."""

    segments: Sequence[StreamSegment]
    added: int
    changed: int
    removed: int


def of_stream(s: Session, stream_id: str) -> Sequence[StreamSegment]:
    """A stream's segments in order."""
    query = select(StreamSegment).where(StreamSegment.stream_id == stream_id)
    return s.scalars(query.order_by(StreamSegment.position)).all()


def replace_segments(s: Session, stream_id: str, rows: Sequence[NewSegment]) -> ReplacedSegments:
    """Make these the stream's segments, in the order of their starts.

    The same rows again change nothing: a segment keeps its id, also when its title, its category or
    its start was corrected (`same_segments`). Safe to race: one caller after the other. Raises
    InvalidValue for a segment that cannot be stored, NotInLibrary without such a stream.
    """
    new = [_checked(row) for row in sorted(rows, key=attrgetter("started_at"))]
    _refuse_overlaps(new)
    if s.scalar(select(Stream.id).where(Stream.id == stream_id).with_for_update()) is None:
        raise NotInLibrary(f"There is no stream {stream_id}: check the id.")
    categories = ensure_categories(s, {row.category for row in new if row.category is not None})
    old = of_stream(s, stream_id)
    kept = same_segments(old, new)

    segments: list[StreamSegment] = []
    changed = 0
    for position, row in enumerate(new):
        segment = kept.get(position)
        if segment is None:
            segment = StreamSegment(id=new_id("sseg"), stream_id=stream_id)
            s.add(segment)
        category_id = categories[row.category].id if row.category is not None else None
        values = {
            "position": position,
            "title": row.title,
            "category_id": category_id,
            "started_at": row.started_at,
            "ended_at": row.ended_at,
        }
        is_changed = _assign(segment, values)
        changed += is_changed and position in kept
        segments.append(segment)
    kept_ids = {segment.id for segment in kept.values()}
    gone = [segment for segment in old if segment.id not in kept_ids]
    for segment in gone:
        s.delete(segment)
    s.flush()
    return ReplacedSegments(segments, len(new) - len(kept), changed, len(gone))


def same_segments(
    old: Sequence[StreamSegment], new: Sequence[NewSegment]
) -> dict[int, StreamSegment]:
    """Which old segment each new one is, by the new one's position; each old one at most once.

    First those with the same start and title, then with the same start (the title was corrected),
    then with the same title (the start was), each in order.
    """
    matched: dict[int, StreamSegment] = {}
    left_old = list(old)
    keys: tuple[Callable[[StreamSegment | NewSegment], Hashable], ...] = (
        lambda segment: (segment.started_at, segment.title),
        lambda segment: segment.started_at,
        lambda segment: segment.title,
    )
    for key in keys:
        waiting: dict[Hashable, list[StreamSegment]] = {}
        for segment in left_old:
            waiting.setdefault(key(segment), []).append(segment)
        for position, row in enumerate(new):
            same = waiting.get(key(row))
            if position not in matched and same:
                matched[position] = same.pop(0)
        taken = {segment.id for segment in matched.values()}
        left_old = [segment for segment in left_old if segment.id not in taken]
    return matched


def _checked(row: NewSegment) -> NewSegment:
    title = valid_text(row.title, "segment's title")
    if row.ended_at is not None and row.ended_at < row.started_at:
        raise InvalidValue(
            f"Segment {title!r} ends ({row.ended_at.isoformat()}) before it starts "
            f"({row.started_at.isoformat()}): correct one of them."
        )
    return NewSegment(title, row.started_at, row.ended_at, row.category)


def _refuse_overlaps(rows: Sequence[NewSegment]) -> None:
    for one, next_one in pairwise(rows):
        if one.ended_at is None or one.ended_at > next_one.started_at:
            end = one.ended_at.isoformat() if one.ended_at else "no end"
            raise InvalidValue(
                f"Segment {one.title!r} ({end}) reaches into {next_one.title!r} "
                f"({next_one.started_at.isoformat()}): shorten the first."
            )


def _assign(segment: StreamSegment, values: Mapping[str, object]) -> bool:
    """Set what differs; whether anything did."""
    different = {
        name: value for name, value in values.items() if getattr(segment, name, None) != value
    }
    for name, value in different.items():
        setattr(segment, name, value)
    return bool(different)
