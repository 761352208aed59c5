"""Loading what a page shows of many VODs: streams, channels, totals, and what the visitor likes and
has seen, in one query each.

What belongs here: which rows cards need. What does not: their wording (`views.py`), which VODs a
page has.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from aethex.library import Vod, channels, likes, streams, watching
from aethex.service.identity import Visitor
from aethex.service.pages.owner_notes import notes_of
from aethex.service.pages.views import ChannelView, VodView, channel_view, vod_view
from aethex.service.pages.wording import exact_date_text
from aethex.service.resources import Resources
from aethex.service.totals import fresh_until_of, totals_of


def load_views(
    session: Session,
    found: Sequence[Vod],
    resources: Resources,
    visitor: Visitor,
    *,
    own: Collection[str] = (),
) -> list[VodView]:
    """These VODs as the visitor sees them. Of those in `own` (ids) the visitor is the owner, who is
    told more.
    """
    ids = [vod.id for vod in found]
    of_streams = streams.by_ids(session, {vod.stream_id for vod in found})
    of_channels: dict[str, ChannelView] = {
        channel.id: channel_view(channel)
        for channel in channels.by_ids(session, [*{vod.channel_id for vod in found}]).values()
    }
    liked: set[str] = set()
    positions: dict[str, int] = {}
    if visitor.user is not None and ids:
        liked = likes.liked_of(session, visitor.user.id, ids)
        positions = watching.positions(session, visitor.user.id, ids)
    owned = [(vod, of_streams.get(vod.stream_id)) for vod in found if vod.id in own]
    notes = notes_of(session, resources.settings, owned, datetime.now(UTC))
    totals = totals_of(resources.marts, found)
    return [
        vod_view(
            vod,
            of_streams.get(vod.stream_id),
            of_channels[vod.channel_id],
            totals.get(vod.id),
            resources.tokens,
            visitor.user_id,
            position_ms=positions.get(vod.id),
            is_liked=vod.id in liked,
            notes=notes.get(vod.id),
        )
        for vod in found
    ]


def as_of_text(resources: Resources) -> str | None:
    """How fresh views and likes are; None where nothing is measured."""
    fresh_until = fresh_until_of(resources.marts)
    return exact_date_text(fresh_until) if fresh_until else None
