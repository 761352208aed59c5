"""Queries about what is recorded now: inputs, their live streams, and who holds them.

What belongs here: what the library and the database know. What does not: what waits on a recorder's
disk, and the verdict (`aethex.workers.recorder.status`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from aethex.library import captures, inputs
from aethex.library.holds import Holder, holders
from aethex.library.models import Channel, ChannelInput, InputSignal, Stream
from aethex.library.recording import policies_of
from aethex.settings import Settings


@dataclass(frozen=True)
class InputNow:
    """An input, whose it is, and what is known of its live stream."""

    input: ChannelInput
    username: str
    is_wanted: bool
    """Whether its channel's streams are recorded at all."""
    holder: Holder | None
    """The recorder that records it, or tries to pull it."""
    stream: Stream | None
    """The live one. The rest is None without it."""
    connected_at: datetime | None
    """When its encoder, or its provider's word of it, came last."""
    last_end_at: datetime | None
    """Until when it is in the library."""


def inputs_now(s: Session, settings: Settings) -> list[InputNow]:
    """All inputs, the oldest first."""
    found = inputs.list_inputs(s)
    ids = [one.id for one in found]
    channel_ids = {one.channel_id for one in found}
    names = dict(
        s.execute(select(Channel.id, Channel.username).where(Channel.id.in_(channel_ids))).all()
    )
    policies = policies_of(s, channel_ids, settings)
    held = holders(s, ids)
    live = _live_streams(s)
    return [
        _now(
            s,
            one,
            names[one.channel_id],
            policies[one.channel_id].is_enabled,
            held.get(one.id),
            live.get(one.id),
        )
        for one in found
    ]


def _now(
    s: Session,
    of: ChannelInput,
    username: str,
    is_wanted: bool,
    holder: Holder | None,
    stream: Stream | None,
) -> InputNow:
    connected_at = last_end_at = None
    if stream is not None:
        connected_at = s.scalar(
            select(func.max(InputSignal.at)).where(
                InputSignal.stream_id == stream.id, InputSignal.kind == "connected"
            )
        )
        last_end_at = captures.last_end_at(s, stream.id)
    return InputNow(of, username, is_wanted, holder, stream, connected_at, last_end_at)


def _live_streams(s: Session) -> dict[str, Stream]:
    """By their inputs; of several the one that began last."""
    query = (
        select(Stream)
        .where(Stream.status == "live", Stream.input_id.is_not(None))
        .order_by(Stream.started_at, Stream.id)
    )
    return {stream.input_id: stream for stream in s.scalars(query) if stream.input_id}
