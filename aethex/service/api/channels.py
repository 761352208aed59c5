"""`/api/channels…`: channels and their VODs."""

from __future__ import annotations

from fastapi import APIRouter, Request

from aethex.library import Channel, channels, listings, vods
from aethex.library.ids import is_id
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
from aethex.service.problems import documented_problems, not_found
from aethex.service.resources import resources_of
from aethex.service.totals import totals_of

router = APIRouter(prefix="/channels", tags=["channels"])


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
    request: Request, channel_id: ChannelId, page: PageNumber = 1, per_page: PerPage = 20
) -> Page[VodOut]:
    """The channel's public VODs that can be played, newest first."""
    resources = resources_of(request)
    with resources.library.session() as session:
        if not is_id("ch", channel_id) or channels.get(session, channel_id) is None:
            raise not_found("channel", channel_id)
        found, total = vods.list_channel_vods(session, channel_id, page, per_page)
    totals = totals_of(resources.marts, found)
    items = [vod_out(vod, totals.get(vod.id), resources) for vod in found]
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
