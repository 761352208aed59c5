"""Queries about whose a piece of content is: the channel of streams and VODs, many at a time.

What belongs here: the look-up for whoever takes events in. What does not: caching it (the service).
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from aethex.library.models import Channel, Stream, Vod


def channels_of(s: Session, ids: Collection[str]) -> dict[str, str]:
    """The channel of each of these ids that exists: of a stream or VOD its channel's id, of a
    channel its own. Deleted and private VODs have theirs too.
    """
    found: dict[str, str] = {}
    for prefix, query in (
        ("st_", select(Stream.id, Stream.channel_id).where(Stream.id.in_(_of("st_", ids)))),
        ("vod_", select(Vod.id, Vod.channel_id).where(Vod.id.in_(_of("vod_", ids)))),
        ("ch_", select(Channel.id, Channel.id).where(Channel.id.in_(_of("ch_", ids)))),
    ):
        if _of(prefix, ids):
            found |= {row[0]: row[1] for row in s.execute(query)}
    return found


def _of(prefix: str, ids: Collection[str]) -> list[str]:
    return [one for one in ids if one.startswith(prefix)]
