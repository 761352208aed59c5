"""`/api/channels…`: channels and their VODs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from aethex.library import Channel, channels, listings
from aethex.library.finding import MAX_QUERY_LENGTH, Wanted
from aethex.library.ids import is_id
from aethex.service.api.moments import From, To
from aethex.service.api.schemas import (
    ChannelId,
    ChannelOut,
    Page,
    PageNumber,
    PerPage,
    VodOut,
    page_of,
)
from aethex.service.api.vods import vod_out
from aethex.service.identity import owns, visitor_of
from aethex.service.problems import bad_field, documented_problems, not_found
from aethex.service.resources import resources_of
from aethex.service.totals import totals_of
from aethex.service.vod_lists import VODS_A_PAGE, Sort, list_vods

router = APIRouter(prefix="/channels", tags=["channels"])

Words = Annotated[
    str,
    Query(
        max_length=MAX_QUERY_LENGTH,
        description="Words of the title or description, of any language, accents or not. The last "
        'one may be its begin only; "or", -word and "two words" work.',
        examples=["automata"],
    ),
]
Order = Annotated[
    Sort | None,
    Query(
        description="`newest`, `best_match` (for words), `most_watched` (watched seconds), or "
        "`trending`, where something is measured for it. Default: best match for words, else the "
        "newest.",
    ),
]


@router.get("", summary="All channels", responses=documented_problems(422, 503))
def list_channels(
    request: Request, page: PageNumber = 1, per_page: PerPage = 20
) -> Page[ChannelOut]:
    """Channels by name, each with how many VODs can be watched."""
    with resources_of(request).library.session() as session:
        found, total = channels.list(session, page=page, per_page=per_page)
        counts = listings.count_vods(session, [channel.id for channel in found])
    items = [channel_out(channel, counts.get(channel.id, 0)) for channel in found]
    return page_of(items, page=page, per_page=per_page, total=total)


@router.get("/{channel_id}", summary="One channel", responses=documented_problems(404, 422, 503))
def read_channel(request: Request, channel_id: ChannelId) -> ChannelOut:
    """One channel, with how many VODs can be watched."""
    with resources_of(request).library.session() as session:
        channel = channels.get(session, channel_id) if is_id("ch", channel_id) else None
        if channel is None:
            raise not_found("channel", channel_id)
        counts = listings.count_vods(session, [channel.id])
    return channel_out(channel, counts.get(channel.id, 0))


@router.get(
    "/{channel_id}/vods", summary="A channel's VODs", responses=documented_problems(404, 422, 503)
)
def list_channel_vods(
    request: Request,
    channel_id: ChannelId,
    q: Words = "",
    sort: Order = None,
    from_at: From = None,
    to_at: To = None,
    page: PageNumber = 1,
    per_page: PerPage = VODS_A_PAGE,
) -> Page[VodOut]:
    """The channel's VODs that can be played: those that are public; its owner also gets private
    ones, and those that were deleted less than 30 days ago.
    """
    resources, visitor = resources_of(request), visitor_of(request)
    if from_at and to_at and from_at >= to_at:
        raise bad_field("from", "It is not before to.", "Give a from earlier than to.")
    with resources.library.session() as session:
        channel = channels.get(session, channel_id) if is_id("ch", channel_id) else None
        if channel is None:
            raise not_found("channel", channel_id)
        found, total = list_vods(
            session,
            resources.marts,
            channel_id,
            Wanted(q, from_at, to_at, owns(visitor, channel)),
            sort=sort,
            page=page,
            per_page=per_page,
        )
    totals = totals_of(resources.marts, found)
    items = [vod_out(vod, totals.get(vod.id), resources, visitor) for vod in found]
    return page_of(items, page=page, per_page=per_page, total=total)


def channel_out(channel: Channel, vods_count: int) -> ChannelOut:
    """A library row as the API answers it."""
    return ChannelOut(
        id=channel.id,
        username=channel.username,
        title=channel.title,
        description=channel.description,
        vods=vods_count,
        created_at=channel.created_at,
    )
