"""What a simulated audience watches: a stream made for it, and the channel's VODs.

What belongs here: from the library to a plan, and the token that the simulation sends with. What
does not: the audience.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from aethex.library import Channel, Library, channels, streams, tokens, vods
from aethex.simulation.crowd import Plan
from aethex.simulation.player import Content

VODS = 20


def make_plan(
    library: Library,
    *,
    channel: str,
    stream: str | None,
    viewers: int,
    seed: int,
    began_at: datetime,
    length: timedelta,
) -> Plan:
    """A plan for the channel (made when it is missing): a stream of that title and time (None:
    none), and its newest VODs. Raises InvalidValue for a name that cannot be one.
    """
    began_ms = ms_of(began_at)
    with library.session() as s:
        owner: Channel = channels.ensure_channel(s, channel)
        live: Content | None = None
        if stream is not None:
            found = streams.ensure_stream(s, owner, stream)
            streams.set_stream_bounds(s, found.id, began_at, began_at + length)
            live = Content(found.id, "stream", None, began_ms)
        listed = vods.list_channel_vods(s, owner.id, 1, VODS).items
    return Plan(
        seed=seed,
        viewers=viewers,
        began_ms=began_ms,
        ended_ms=began_ms + length // timedelta(milliseconds=1),
        channel_id=owner.id,
        stream=live,
        vods=tuple(Content(vod.id, "vod", vod.duration_ms, 0) for vod in listed if vod.duration_ms),
        owner_id=owner.owner_id,
    )


@contextmanager
def platform_token(library: Library) -> Iterator[str]:
    """A platform token for as long as the block lasts."""
    with library.session() as s:
        token, text = tokens.create(s, "simulation", None)
    try:
        yield text
    finally:
        with library.session() as s:
            tokens.revoke(s, token.id, datetime.now(UTC))


def ms_of(at: datetime) -> int:
    """A moment in ms since 1970."""
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
