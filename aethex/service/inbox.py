"""The inbox: webhooks become signals of inputs and recordings of providers.

What belongs here: keeping what was verified, doing what it says, once or again, and the same in the
background for what had to wait. What does not: HTTP (`webhooks`), verifying and reading
(`aethex.providers`), what signals mean (`library.live`).

An event is kept first, in a transaction of its own, and that is when its sender is answered. Doing
what it says is another transaction: where that fails, the event waits and is tried again. Doing it
twice is as once, in whatever order, so the whole inbox can be replayed.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import anyio.to_thread
from sqlalchemy.exc import DataError, StatementError
from sqlalchemy.orm import Session

from aethex.library import Library, WebhookEvent, inbox, inputs, live, provider_recordings
from aethex.library.settling import end_due
from aethex.library.values import MAX_TEXT_LENGTH
from aethex.providers import (
    WEBHOOKS,
    Notice,
    Sent,
    Unreadable,
    WebhookSource,
)
from aethex.service.background import in_background
from aethex.service.told_recordings import folded, of_one_video

SETTLE_SECONDS = 1.0
WAITING_SECONDS = 5.0
"""How often what waits is tried again."""

RETRY_SECONDS = 5.0
BATCH = 100

REFUSED_SECONDS = 60.0
"""Of an input one refused publisher is kept in this time, and of each kind of event that says
nothing here one where a publisher can cause it: who guesses keys must not fill the disk.
"""

FORGET_SECONDS = 60.0
MOST_NAMES = 10_000
MOST_OF_A_NAME = 10_000
"""Of what waits for inputs that nobody has added, as many are kept of a provider whose publishers
choose the names, and of each kind of event.
"""

_MOST_ID_BYTES = 2_000  # an index takes 2,704 bytes a row

_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Now, aware UTC."""
    return datetime.now(UTC)


class KeyRefused(Exception):
    """A publisher gave a stream key that is not its input's, or what cannot be read."""


def read(source: WebhookSource, sent: Sent) -> tuple[dict[str, Any], list[Notice]]:
    """The body without secrets, and what it tells. Never raises: what cannot be read is an unknown
    event of so many bytes.
    """
    try:
        fields = source.fields(sent)
    except Unreadable:
        return {"unreadable_bytes": len(sent.body)}, [Notice("unknown", None, note="not readable")]
    body = source.redacted(fields)
    return body, _notices(source, body)


def check_stream_key(s: Session, source: WebhookSource, sent: Sent) -> None:
    """Raises KeyRefused when the provider asks whether a publisher may publish, and it may not: its
    input has a stream key, and another was given. What nobody has added may: it waits. What cannot
    be read may not: a publisher writes a part of it, and would be let in without a key.
    """
    try:
        notices = source.read(source.fields(sent))
    except Unreadable as error:
        if source.lets_publishers_in:
            raise KeyRefused(str(error)) from error
        return
    for notice in notices:
        if not notice.is_publish_request or notice.input_id is None:
            continue
        of = inputs.by_external_id(s, source.name, notice.input_id)
        if of is None or of.key_digest is None:
            continue
        if not inputs.is_key_of(of, notice.stream_key or ""):
            raise KeyRefused(f"The stream key is not that of {notice.input_id}.")


@dataclass(frozen=True)
class Kept:
    """What is new of a webhook: ids of events that wait to be applied, and how many are ignored."""

    waiting: list[str]
    ignored: int


def keep(
    s: Session,
    source: WebhookSource,
    body: dict[str, Any],
    notices: Sequence[Notice],
    now: datetime,
    ignored_because: str | None = None,
) -> Kept:
    """Put notices into the inbox; repeats change nothing.

    `ignored_because`: why a publisher was not let in.
    """
    new: list[WebhookEvent] = []
    for notice in notices:
        key, repeat_seconds = notice.key, notice.repeat_seconds
        if ignored_because is not None:
            key, repeat_seconds = f"refused {notice.input_id}", REFUSED_SECONDS
        elif _is_unknown(notice) and source.is_named_by_publishers:
            key, repeat_seconds = f"unknown {notice.note[:100]}", REFUSED_SECONDS
        ignored = ignored_because or (notice.note or "not known" if _is_unknown(notice) else None)
        event = inbox.add(
            s,
            inbox.NewEvent(
                provider=source.name,
                key=key,
                kind=notice.label,
                at=min(notice.at or now, now),  # a source whose clock is ahead cannot know better
                received_at=now,
                body=body,
                external_id=notice.input_id,
                recording_id=notice.recording.external_id if notice.recording else None,
                repeat_seconds=repeat_seconds,
                ignored_because=ignored,
            ),
        )
        if event is not None:
            new.append(event)
    waiting = [event.id for event in new if event.state == "waiting"]
    return Kept(waiting, len(new) - len(waiting))


def apply(library: Library, event_id: str, now: datetime, *, again: bool = False) -> str:
    """Do what an event says, in one transaction; the state that it has then.

    `again`: also when it was done before. A failure leaves it waiting with a note, for later; one
    that would come again each time, ignored. Raises only when the database does not take the note
    either.
    """
    try:
        with library.session() as s:
            event = inbox.claim(s, event_id)
            if event.state == "waiting" or again:
                _apply(s, event, now)
            return event.state
    except Exception as error:
        _log.warning("Webhook %s failed: %s", event_id, type(error).__name__, exc_info=error)
        note = f"{type(error).__name__}: {error}".splitlines()[0]
        with library.session() as s:
            return inbox.note_failure(s, event_id, note, now, is_for_good=_is_for_good(error))


def apply_waiting(library: Library, now: Callable[[], datetime], limit: int = BATCH) -> int:
    """Apply what waited for its input, or failed; how many were applied."""
    with library.session() as s:
        ids = inbox.due(s, limit)
    return sum(apply(library, event_id, now()) != "waiting" for event_id in ids)


def apply_for_input(
    library: Library, provider: str, external_id: str, now: Callable[[], datetime]
) -> int:
    """Apply what waited for an input that is there now, and look again at recordings that were told
    of by its id; how many were applied.
    """
    with library.session() as s:
        ids = inbox.of_input(s, provider, external_id)
    return sum(apply(library, event_id, now(), again=True) == "applied" for event_id in ids)


def forget_unmapped(library: Library) -> int:
    """Keep no more than the newest of what waits for inputs that publishers made up; how many
    events went.
    """
    names = [name for name, kind in WEBHOOKS.items() if kind.is_named_by_publishers]
    gone = 0
    for name in names:
        with library.session() as s:
            gone += inbox.forget_unmapped(s, name, MOST_NAMES, MOST_OF_A_NAME)
    return gone


def _is_for_good(error: Exception) -> bool:
    """Whether it is what was told that cannot be applied, so that trying again would be in vain."""
    cause = error.orig if isinstance(error, StatementError) else error
    is_too_long = str(getattr(cause, "sqlstate", "")).startswith("54")  # for an index
    return is_too_long or isinstance(error, DataError) or isinstance(cause, _OF_VALUES)


_OF_VALUES = (ValueError, ArithmeticError)


def _is_unknown(notice: Notice) -> bool:
    return notice.kind == "unknown" or (notice.recording is None and notice.input_id is None)


def _apply(s: Session, event: WebhookEvent, now: datetime) -> None:
    source = WEBHOOKS[event.provider]
    notice = _notice_of(source, event)
    was_applied = event.state == "applied" and event.external_id == notice.input_id
    event.kind, event.external_id = notice.label, notice.input_id
    event.recording_id = notice.recording.external_id if notice.recording else None
    if event.state == "ignored" and event.note.startswith(_REFUSED):
        return  # a publisher that was not let in was never live
    if _is_unknown(notice):
        inbox.finish(event, "ignored", notice.note or "not known", now)
    elif notice.recording is not None:
        _apply_recording(s, event, notice.recording.external_id, now)
    else:
        _apply_signal(s, event, notice, now, was_applied=was_applied)


_REFUSED = "refused: "


def refused_note(error: KeyRefused) -> str:
    """The note of an event whose publisher was not let in."""
    return f"{_REFUSED}{error}"


def _notices(source: WebhookSource | type[WebhookSource], body: Mapping[str, Any]) -> list[Notice]:
    return [_fitted(notice) for notice in source.read(body)]


def _fitted(notice: Notice) -> Notice:
    """What can be kept: an input that anybody could add has a shorter id, and no index holds much
    longer ones.
    """
    note = None
    if len(notice.input_id or "") > MAX_TEXT_LENGTH:
        note = f"An input's id has {MAX_TEXT_LENGTH} characters at most."
    elif notice.recording and len(notice.recording.external_id.encode()) > _MOST_ID_BYTES:
        note = f"A recording's id or path has {_MOST_ID_BYTES} bytes at most."
    if note is not None:
        key = f"too long {notice.kind}"
        return Notice("unknown", key, notice.at, repeat_seconds=REFUSED_SECONDS, note=note)
    if notice.key is None or len(notice.key.encode()) <= _MOST_ID_BYTES:
        return notice
    return replace(notice, key=hashlib.sha256(notice.key.encode()).hexdigest())


def _notice_of(source: type[WebhookSource], event: WebhookEvent) -> Notice:
    """What the event says as it is read now; a body tells one thing, or several under keys."""
    notices = _notices(source, event.body)
    same = [one for one in notices if one.key is not None and event.key.startswith(one.key)]
    return [*same, *notices, Notice("unknown", None, note=event.note)][0]


def _apply_signal(
    s: Session, event: WebhookEvent, notice: Notice, now: datetime, *, was_applied: bool
) -> None:
    of = inputs.by_external_id(s, event.provider, notice.input_id or "")
    if was_applied and (of is None or not live.has_signal(s, of.id, event.key)):
        return  # to an input that was removed since: its streams stay, and are not another one's
    if of is None:
        inbox.finish(event, "waiting", _unmapped(event), now)
        return
    kind = notice.kind
    if kind not in ("connected", "disconnected", "ended"):
        inbox.finish(event, "ignored", notice.note, now)
        return
    if notice.reconnect_seconds is not None:
        inputs.widen_reconnect(s, of.id, notice.reconnect_seconds)
    stream = live.signal(s, of.id, kind, event.at, event.key, now, title=notice.title)
    provider_recordings.link(s, of.id, event.at)
    said = f"stream {stream.id}" if stream is not None else "no stream was under way"
    inbox.finish(event, "applied", said, now)


def _apply_recording(s: Session, event: WebhookEvent, recording_id: str, now: datetime) -> None:
    told = [
        (row, _notice_of(WEBHOOKS[row.provider], row))
        for row in inbox.of_recording(s, event.provider, recording_id)
    ]
    told.sort(key=lambda one: (one[0].at, one[0].key))
    recordings = [(row, one.recording) for row, one in told if one.recording is not None]
    # Cloudflare may name a live input where it means its video
    names = [one.input_id for _, one in reversed(told) if one.input_id] or [recording_id]
    of = inputs.by_external_id(s, event.provider, names[0])
    if of is not None and of.external_id == recording_id:
        recordings, recording_id = of_one_video(recordings, event, recording_id)
    known = provider_recordings.get(s, event.provider, recording_id)
    is_linked = known is not None and known.stream_id is not None  # its input may be removed since
    if of is None and names[0] != event.recording_id and not is_linked:
        event.external_id = names[0]  # also where only another event names it: it waits for that
        inbox.finish(event, "waiting", _unmapped(event), now)
        return
    values = folded(recordings)
    made = provider_recordings.put(s, event.provider, recording_id, of.id if of else None, values)
    whose = f"of stream {made.stream_id}" if made.stream_id else "of no stream yet"
    inbox.finish(event, "applied", f"recording {made.id}, {made.state}, {whose}", now)


def _unmapped(event: WebhookEvent) -> str:
    return (
        f"nobody has added input {event.external_id} of {event.provider}: "
        "it is applied after `aethex inputs add`"
    )


class Inbox:
    """Ends streams whose reconnect window is over, applies what waits and forgets what is too much
    of it, while `running` lasts.

    Each process of the service does so: rows are locked, and what another one has is passed over,
    so no leader is needed and the streams end on time whichever process dies.
    """

    def __init__(self, library: Library, now: Callable[[], datetime] = utc_now) -> None:
        self._library = library
        self._now = now

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Settle and apply as long as the block lasts."""
        async with (
            in_background(self._settle_for_ever, "settle"),
            in_background(self._apply_for_ever, "inbox"),
            in_background(self._forget_for_ever, "forget"),
        ):
            yield

    def settle(self) -> int:
        """End the streams whose window is over; how many. Raises DatabaseUnreachable."""
        return len(end_due(self._library, self._now()))

    async def _settle_for_ever(self) -> None:
        await _for_ever(self.settle, SETTLE_SECONDS, "Streams are not ended")

    async def _apply_for_ever(self) -> None:
        def apply() -> int:
            return apply_waiting(self._library, self._now)

        await _for_ever(apply, WAITING_SECONDS, "Webhooks wait")

    async def _forget_for_ever(self) -> None:
        def forget() -> int:
            return forget_unmapped(self._library)

        await _for_ever(forget, FORGET_SECONDS, "Webhooks of unknown inputs are not forgotten")


async def _for_ever(work: Callable[[], int], every_seconds: float, failure: str) -> None:
    while True:
        try:
            await anyio.to_thread.run_sync(work)
        except Exception as error:
            _log.warning("%s: %s", failure, error)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            await asyncio.sleep(every_seconds)
