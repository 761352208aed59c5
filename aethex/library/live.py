"""Live streams, as the signals of their inputs have it.

What belongs here: recording signals, and keeping an input's streams in step with them. What does
not: what the signals mean together (`spells`), who sends them, inputs themselves (`inputs`).

Each spell of an input is one stream, and a late signal changes the streams of the past too: one
that starts earlier keeps its id, one that goes on after all is live again. Two rules say which
stream a spell is:

- A spell keeps the stream that its signals were counted to. When a late signal joins two streams,
  one goes: the one that has no VODs or recordings, was not planned, or came later, in this order. A
  planned one goes back to being scheduled. Streams that both have VODs or recordings are never
  joined (`spells.fold` cuts the spell where the later one began). When a late `ended` splits a
  stream, its first part keeps it.
- A spell without a stream becomes the channel's scheduled stream that was planned for the nearest
  time within six hours, of no input or of this one; without such a stream, a new one. What became
  live is not taken back when a better fit is told of later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, null, select, tuple_, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from aethex.library import inputs
from aethex.library.ids import new_id
from aethex.library.models import (
    Base,
    Channel,
    ChannelInput,
    InputSignal,
    SignalKind,
    Stream,
)
from aethex.library.spells import Signal, Spell, fold

PLANNED_WITHIN = timedelta(hours=6)
"""How far from its planned time a stream may start."""

_TITLE_LENGTH = 250


def signal(
    s: Session,
    input_id: str,
    kind: SignalKind,
    at: datetime,
    key: str,
    now: datetime,
    *,
    title: str | None = None,
) -> Stream | None:
    """Record a signal of an input and bring its streams in step; the stream that it is part of.

    `key` is the same for repeats, which change nothing. `title` is a new stream's. Safe to race:
    an input's signals are recorded one after the other. None: the signal is part of no stream.
    Raises NotInLibrary without such an input.
    """
    of = inputs.locked(s, input_id)
    values = {"input_id": input_id, "kind": kind, "at": at, "key": key, "received_at": now}
    added = s.scalar(
        insert(InputSignal)
        .values(values)
        .on_conflict_do_nothing(index_elements=["input_id", "key"])
        .returning(InputSignal.id)
    )
    if added is not None:
        _reconcile(s, of, at, key, now, title)
    found = select(InputSignal.stream_id).where(
        InputSignal.input_id == input_id, InputSignal.key == key
    )
    stream_id = s.scalar(found)
    return s.get(Stream, stream_id) if stream_id else None


def has_signal(s: Session, input_id: str, key: str) -> bool:
    """Whether this signal of the input was recorded."""
    query = select(InputSignal.id).where(InputSignal.input_id == input_id, InputSignal.key == key)
    return s.scalar(query) is not None


def due(s: Session, now: datetime) -> Sequence[str]:
    """Ids of the inputs whose reconnect window is over, the longest first; an indexed query."""
    query = select(ChannelInput.id).where(ChannelInput.settles_at < now)
    return s.scalars(query.order_by(ChannelInput.settles_at)).all()


def settle(s: Session, input_id: str, now: datetime) -> list[Stream]:
    """End the input's stream if its reconnect window is over; the streams that just ended. None
    where somebody else works on the input: it waits for the next time.
    """
    of = s.scalars(
        select(ChannelInput)
        .where(ChannelInput.id == input_id, ChannelInput.settles_at < now)
        .with_for_update(skip_locked=True, key_share=True)
    ).one_or_none()
    return _reconcile(s, of, None, "", now, None) if of is not None else []


def live_stream(s: Session, input_id: str) -> Stream | None:
    """The stream that is live on this input now, also while a reconnect is awaited."""
    query = select(Stream).where(Stream.input_id == input_id, Stream.status == "live")
    return s.scalars(query.order_by(Stream.started_at.desc(), Stream.id.desc())).first()


def last_streams(s: Session, input_ids: Iterable[str]) -> dict[str, Stream]:
    """Of each of these inputs the stream that is live, or was last; by the input's id. Inputs that
    never had one are left out.
    """
    query = (
        select(Stream)
        .ext(distinct_on(Stream.input_id))
        .where(Stream.input_id.in_([*input_ids]), Stream.started_at.is_not(None))
        .order_by(Stream.input_id, Stream.started_at.desc(), Stream.id.desc())
    )
    return {stream.input_id: stream for stream in s.scalars(query) if stream.input_id is not None}


def stream_at(s: Session, input_id: str, at: datetime, slack: timedelta) -> Stream | None:
    """The stream of this input that was live at that moment; else the one nearest to it within
    `slack`, such as for a recording whose start is known a little differently.
    """
    before = (
        select(Stream)
        .where(Stream.input_id == input_id, Stream.started_at <= at)
        .order_by(Stream.started_at.desc(), Stream.id.desc())
        .limit(1)
    )
    after = (
        select(Stream)
        .where(Stream.input_id == input_id, Stream.started_at > at)
        .order_by(Stream.started_at, Stream.id)
        .limit(1)
    )
    near = [*s.scalars(before), *s.scalars(after)]
    distances = [(_distance(stream, at), stream) for stream in near]
    fitting = [(far, stream) for far, stream in distances if far <= slack]
    return min(fitting, key=lambda one: one[0])[1] if fitting else None


def _distance(stream: Stream, at: datetime) -> timedelta:
    if stream.started_at is not None and at < stream.started_at:
        return stream.started_at - at
    if stream.ended_at is not None and at >= stream.ended_at:
        return at - stream.ended_at
    return timedelta(0)


def _reconcile(
    s: Session, of: ChannelInput, at: datetime | None, key: str, now: datetime, title: str | None
) -> list[Stream]:
    """Bring the input's streams in step with its signals from (at, key) on, None: with the last.

    The input's row is locked. Returns the streams that this ended.
    """
    rows = _signals_around(s, of.id, at, key)
    known = {row.stream_id: None for row in rows if row.stream_id is not None}
    streams = {
        stream.id: stream
        for stream in s.scalars(
            select(Stream)
            .where(Stream.id.in_(known))
            .order_by(Stream.id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
    }
    kept_ids = _holding(s, streams) if len(streams) > 1 else set[str]()
    signals = [Signal(row.kind, row.at, row.key, row.stream_id) for row in rows]
    window = timedelta(seconds=of.reconnect_seconds)
    spells = fold(signals, window, now, kept_ids)
    matched = _matched(spells, streams)
    ended: list[Stream] = []
    counted: dict[str, str] = {}
    for spell, found in zip(spells, matched, strict=True):
        is_of_signal = any(one.key == key for one in spell.signals)
        stream = (
            found or _planned(s, of, spell) or _new(s, of, spell, title if is_of_signal else None)
        )
        was_ended = stream.status == "ended"
        _set_bounds(stream, of, spell)
        if stream.status == "ended" and not was_ended:
            ended.append(stream)
        counted |= {one.key: stream.id for one in spell.signals}
    for row in rows:
        row.stream_id = counted.get(row.key)
    s.flush()
    _let_go(s, [stream for stream in streams.values() if stream not in matched])
    open_ = [spell for spell in spells if spell.ended_at is None]  # the last, or none
    left_at = open_[0].left_at if open_ else None
    of.settles_at = left_at + window if left_at is not None else None
    s.flush()
    return ended


def _signals_around(
    s: Session, input_id: str, at: datetime | None, key: str
) -> Sequence[InputSignal]:
    """The signals from the start of the stream that goes before (at, key): none before them can be
    changed by it, because a stream starts where nothing was under way.
    """
    place = tuple_(InputSignal.at, InputSignal.key)
    of_input = InputSignal.input_id == input_id
    before = select(InputSignal.stream_id).where(of_input, InputSignal.stream_id.is_not(None))
    if at is not None:
        before = before.where(place < tuple_(at, key))
    last = before.order_by(InputSignal.at.desc(), InputSignal.key.desc()).limit(1)
    first = (
        select(InputSignal.at, InputSignal.key)
        .where(of_input, InputSignal.stream_id == last.scalar_subquery())
        .order_by(InputSignal.at, InputSignal.key)
        .limit(1)
    )
    floor = s.execute(first).one_or_none()
    signals = select(InputSignal).where(of_input).execution_options(populate_existing=True)
    if floor is not None:
        signals = signals.where(place >= tuple_(*floor))
    return s.scalars(signals).all()


def _holding(s: Session, stream_ids: Iterable[str]) -> set[str]:
    """Those of the streams that a row points at which must not go with them: VODs, recordings.

    These are the foreign keys that would refuse it (no cascade, no set null), so a new table of
    something that is kept needs no mention here.
    """
    ids = [*stream_ids]
    found: set[str] = set()
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            goes = key.constraint is not None and key.constraint.ondelete in ("CASCADE", "SET NULL")
            if key.column is Stream.__table__.c.id and not goes:
                found |= {*s.scalars(select(key.parent).where(key.parent.in_(ids)).distinct())}
    return found


def _matched(spells: Sequence[Spell], streams: dict[str, Stream]) -> list[Stream | None]:
    """Which of the streams each spell is; None: it has none yet."""
    taken = {spell.kept_id for spell in spells if spell.kept_id}
    matched: list[Stream | None] = []
    for spell in spells:
        ids = dict.fromkeys(one.stream_id for one in spell.signals if one.stream_id in streams)
        free = [streams[stream_id] for stream_id in ids if stream_id not in taken]
        if spell.kept_id is not None:
            matched.append(streams[spell.kept_id])
            continue
        best = min(free, key=lambda one: one.scheduled_at is None, default=None)  # ties: the first
        matched.append(best)
        if best is not None:
            taken.add(best.id)
    return matched


def _planned(s: Session, of: ChannelInput, spell: Spell) -> Stream | None:
    """The scheduled stream that this spell turns out to be."""
    far = func.abs(func.extract("epoch", Stream.scheduled_at) - spell.started_at.timestamp())
    query = (
        select(Stream)
        .where(
            Stream.channel_id == of.channel_id,
            Stream.status == "scheduled",
            Stream.scheduled_at.between(
                spell.started_at - PLANNED_WITHIN, spell.started_at + PLANNED_WITHIN
            ),
            Stream.input_id.is_(None) | (Stream.input_id == of.id),
        )
        .order_by(far, Stream.id)
        .limit(1)
        .with_for_update(
            skip_locked=True, key_share=True
        )  # another input of the channel may take it just now
    )
    return s.scalars(query).one_or_none()


def _new(s: Session, of: ChannelInput, spell: Spell, title: str | None) -> Stream:
    # a provider's title is anybody's text: without control characters, and as long as others
    title = " ".join("".join(c if c.isprintable() else " " for c in title or "").split())
    title = title[:_TITLE_LENGTH].strip()
    if not title:
        channel = s.get_one(Channel, of.channel_id)
        day = spell.started_at
        title = f"{channel.title[:_TITLE_LENGTH]}, {day.day} {day:%B %Y}, {day:%H:%M}"
    stream = Stream(id=new_id("st"), channel_id=of.channel_id, title=title, status="scheduled")
    s.add(stream)
    return stream


def _set_bounds(stream: Stream, of: ChannelInput, spell: Spell) -> None:
    stream.input_id = of.id
    stream.started_at, stream.ended_at = spell.started_at, spell.ended_at
    stream.status = "live" if spell.ended_at is None else "ended"


def _let_go(s: Session, streams: Sequence[Stream]) -> None:
    """What is part of another stream now: planned ones are scheduled again, the others go."""
    for stream in streams:
        if stream.scheduled_at is not None:
            s.execute(
                update(Stream)
                .where(Stream.id == stream.id)
                .values(status="scheduled", started_at=null(), ended_at=null())
            )
        else:
            s.execute(delete(Stream).where(Stream.id == stream.id))
