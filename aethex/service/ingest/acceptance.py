"""Which events of a batch are good, and the rows that they land as.

What belongs here: the rules that need to know who sends, when, and whose the content is. What does
not: the shapes of events (`events`), durability (`buffer`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from msgspec import Struct

from aethex.service.ingest.batches import Item, Unreadable
from aethex.service.ingest.directory import Directory
from aethex.service.ingest.events import (
    KINDS,
    PAYLOADS,
    Chat,
    Engagement,
    Event,
    Follow,
    Health,
    Playback,
)
from aethex.service.ingest.senders import Sender, crawler_of

OLDEST = timedelta(days=7)
FURTHEST_AHEAD = timedelta(minutes=5)
PLAYER_ACTIONS = ("share", "embed_load", "page_visit")

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9998, 12, 31, tzinfo=UTC)

Row = tuple[
    str, str, str, str | None, str | None, str | None, str | None, str | None, datetime, bytes
]
"""kind, event_id, channel_id, stream_id, vod_id, clip_id, viewer_id, session_id, client_at,
payload."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What holds for all events of one request. Times are aware UTC.

    received_at: when the platform took it in; sent_at: by the sender's clock, None where its times
    are taken as they are.
    """

    sender: Sender
    received_at: datetime
    sent_at: datetime | None

    @property
    def correction(self) -> timedelta:
        """What makes the sender's times right: the error of its clock, plus the time under way."""
        return timedelta() if self.sent_at is None else self.received_at - self.sent_at


class Refusal(Struct, frozen=True):
    """Why an event is not taken. field: the one that is wrong, where it is one."""

    field: str | None
    reason: str


class Outcome(Struct, omit_defaults=True, gc=False):
    """What became of one part of a batch, as the answer says it."""

    event_id: str | None
    status: Literal["accepted", "duplicate", "rejected"]
    field: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """rows: of the events that are taken; outcomes: of all, in order."""

    rows: list[Row]
    outcomes: list[Outcome]

    @property
    def rejected(self) -> int:
        """How many parts were refused."""
        return sum(outcome.status == "rejected" for outcome in self.outcomes)


class Acceptance:
    """Judges batches, with the channels of content from a directory."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def unknown_content(self, items: Iterable[Item]) -> set[str]:
        """Ids in the batch of which it is not known yet whose they are."""
        ids = {
            one
            for item in items
            if not isinstance(item, Unreadable)
            for one in (item.stream_id, item.vod_id, item.clip_id, item.channel_id)
            if one is not None
        }
        return self._directory.unknown(ids)

    def judge(self, batch: Batch, items: Iterable[Item]) -> Judgement:
        """What becomes of each part, in order. The first of several with one id counts."""
        seen: set[str] = set()
        limits = _times(batch)
        rows: list[Row] = []
        outcomes: list[Outcome] = []
        for item in items:
            event_id = item.event_id
            if isinstance(item, Unreadable):
                outcomes.append(Outcome(event_id, "rejected", item.field, item.reason))
                continue
            found = self._row(batch, limits, item)
            if isinstance(found, Refusal):
                outcomes.append(Outcome(event_id, "rejected", found.field, found.reason))
            elif event_id in seen:
                outcomes.append(Outcome(event_id, "duplicate"))
            else:
                seen.add(item.event_id)
                rows.append(found)
                outcomes.append(Outcome(event_id, "accepted"))
        return Judgement(rows, outcomes)

    def _row(self, batch: Batch, limits: tuple[datetime, datetime], event: Event) -> Row | Refusal:
        sender = batch.sender
        if not limits[0] <= event.client_at <= limits[1]:
            return _outside(batch, event.client_at)
        if refusal := (_of_server(event) if sender.is_server else _of_player(event)):
            return refusal
        channel_id = self._channel(event)
        if isinstance(channel_id, Refusal):
            return channel_id
        if sender.channel_id is not None and channel_id != sender.channel_id:
            return Refusal("channel_id", f"The token is for channel {sender.channel_id} alone.")
        kind = type(event)
        crawler = sender.crawler
        if isinstance(event, (Playback, Engagement)):
            if event.crawler is not None and not sender.is_platform:
                return Refusal("crawler", "Only a relay with a platform token may name it.")
            if sender.is_server:
                crawler = event.crawler or crawler_of(event.user_agent)
        return (
            KINDS[kind],
            event.event_id,
            channel_id,
            event.stream_id,
            event.vod_id,
            event.clip_id,
            event.viewer_id if sender.is_server else sender.viewer_id,
            event.session_id,
            event.client_at,
            PAYLOADS[kind].of(event, crawler),
        )

    def _channel(self, event: Event) -> str | Refusal:
        """The channel that the event belongs to; all that it names must be of the same."""
        found: str | None = None
        for name, one in (
            ("stream_id", event.stream_id),
            ("vod_id", event.vod_id),
            ("clip_id", event.clip_id),
            ("channel_id", event.channel_id),
        ):
            if one is None:
                continue
            channel_id = self._directory.channel_of(one)
            if channel_id is None:
                return Refusal(name, f"There is no {name.removesuffix('_id')} {one[:64]!r}.")
            if found is not None and channel_id != found:
                return Refusal(name, f"{one} is not of channel {found}.")
            found = channel_id
        if found is None:
            return Refusal("channel_id", "It names no stream, VOD, clip or channel: add one.")
        return found


def _of_server(event: Event) -> Refusal | None:
    """What is wrong with an event from a backend, apart from its content."""
    if isinstance(event, Playback):
        return _of_playback(event)
    if isinstance(event, Follow) and event.viewer_id is None:
        return Refusal("viewer_id", "It is missing: say who followed.")
    if isinstance(event, (Chat, Health)) and event.stream_id is None:
        return Refusal("stream_id", "It is missing: say which stream it belongs to.")
    if isinstance(event, Engagement) and event.action in ("like", "unlike"):
        if event.viewer_id is None:
            return Refusal("viewer_id", "It is missing: say who likes it.")
        if event.vod_id is None and event.clip_id is None:
            return Refusal("vod_id", "It is missing: say which VOD or clip is liked.")
    return None


def _of_player(event: Event) -> Refusal | None:
    """What is wrong with an event from a player, apart from its content."""
    if event.viewer_id is not None:
        return Refusal("viewer_id", "A player's viewer is in its cookie: leave the field out.")
    if isinstance(event, Playback):
        if event.user_agent is not None:
            return Refusal("user_agent", "A player's is in its request: leave the field out.")
        return _of_playback(event)
    if isinstance(event, Engagement):
        if event.user_agent is not None:
            return Refusal("user_agent", "A player's is in its request: leave the field out.")
        if event.action in PLAYER_ACTIONS:
            return None
        return Refusal("action", f"Only a server token may send {event.action!r}.")
    return Refusal("kind", f"Only a server token may send {KINDS[type(event)]} events.")


def _of_playback(event: Playback) -> Refusal | None:
    if event.session_id is None:
        return Refusal("session_id", "It is missing: every player has one.")
    has_stream, has_vod = event.stream_id is not None, event.vod_id is not None
    if has_stream + has_vod + (event.clip_id is not None) != 1:
        return Refusal("stream_id", "Give exactly one of stream_id, vod_id and clip_id.")
    if event.from_position_ms is not None and event.type != "seek":
        return Refusal("from_position_ms", "Only a seek has one: leave it out.")
    if event.type == "seek" and event.from_position_ms is None:
        return Refusal("from_position_ms", "It is missing: say where the seek began.")
    return None


def _times(batch: Batch) -> tuple[datetime, datetime]:
    """Between which times of the sender's clock an event may have happened."""
    correction = batch.correction
    begin, end = batch.received_at - OLDEST, batch.received_at + FURTHEST_AHEAD
    try:
        return max(begin - correction, _FIRST), min(end - correction, _LAST)
    except OverflowError:
        return _LAST, _FIRST  # a clock beyond the calendar: nothing fits


def _outside(batch: Batch, client_at: datetime) -> Refusal:
    try:
        occurred_at = client_at + batch.correction
    except OverflowError:
        occurred_at = client_at
    is_old = occurred_at < batch.received_at
    return Refusal(
        "client_at",
        f"With the sender's clock corrected it happened at {occurred_at:%Y-%m-%dT%H:%M:%SZ}, "
        f"{'more than 7 days ago' if is_old else 'more than 5 minutes ahead'}.",
    )
