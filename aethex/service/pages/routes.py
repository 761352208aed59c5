"""The pages' addresses: home, a channel's VODs, one VOD.

What belongs here: which rows a page needs. What does not: their wording (`views.py`) and HTML
(templates).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aethex.library import Vod, channels, listings, streams, vods
from aethex.library.ids import is_id
from aethex.service.headers import PLAYER_POLICY
from aethex.service.identity import visitor_of
from aethex.service.pages.audience import audience_of
from aethex.service.pages.templating import draw
from aethex.service.pages.views import ChannelView, VodView, channel_view, vod_view
from aethex.service.problems import not_found
from aethex.service.resources import Resources, resources_of
from aethex.service.totals import totals_of

router = APIRouter(include_in_schema=False)

VODS_A_PAGE = 12
_NEWEST = 13  # one large and three rows of four
_CHANNELS_ON_HOME = 24
_RELATED = 8


@router.get("/", response_class=HTMLResponse)
def home(request: Request) -> Response:
    """Channels and the newest VODs of all of them."""
    resources = resources_of(request)
    with resources.library.session() as session:
        found, channels_total = channels.list(session, page=1, per_page=_CHANNELS_ON_HOME)
        newest = listings.newest_vods(session, _NEWEST)
        counts = listings.count_vods(session, [channel.id for channel in found])
        cards = _views(session, newest, resources)
    return draw(
        request,
        "home.html",
        here="home",
        lead=cards[0] if cards else None,
        vods=cards[1:],
        channels=[
            channel_view(channel, counts.get(channel.id, 0))
            for channel in sorted(found, key=lambda channel: channel.id not in counts)
        ],
        channels_total=channels_total,
    )


@router.get("/channel/{username}")
def channel_home(username: str) -> Response:
    """A channel's address without more leads to its VODs."""
    return RedirectResponse(f"/channel/{username}/vods", status_code=307)


@router.get("/channel/{username}/vods", response_class=HTMLResponse)
def channel_vods(
    request: Request, username: str, page: Annotated[int, Query(ge=1, le=1_000_000)] = 1
) -> Response:
    """One page of a channel's VODs."""
    resources = resources_of(request)
    with resources.library.session() as session:
        channel = (
            channels.by_username(session, username.lower()) if username.isprintable() else None
        )
        if channel is None:
            raise not_found("channel", f"@{username}")
        found, total = vods.list_channel_vods(session, channel.id, page, VODS_A_PAGE)
        cards = _views(session, found, resources)
    return draw(
        request,
        "channel_vods.html",
        channel=channel_view(channel, total),
        vods=cards,
        total=total,
        page=page,
        page_count=math.ceil(total / VODS_A_PAGE),
    )


@router.get("/vods/{vod_id}", response_class=HTMLResponse)
def watch(request: Request, vod_id: str) -> Response:
    """The player of one VOD, what is known of it, and more of its channel."""
    resources, visitor = resources_of(request), visitor_of(request)
    with resources.library.session() as session:
        vod = vods.get_visible(session, vod_id, visitor.user) if is_id("vod", vod_id) else None
        if vod is None:
            raise not_found("VOD", vod_id)
        others, _ = vods.list_channel_vods(session, vod.channel_id, 1, _RELATED + 1)
        cards = _views(
            session,
            [vod, *(other for other in others if other.id != vod.id)],
            resources,
            visitor.user_id,
        )
        runs = listings.run_spans(session, vod.id)
    return draw(
        request,
        "vod.html",
        policy=PLAYER_POLICY,
        vod=cards[0],
        related=cards[1 : _RELATED + 1],
        audience=audience_of(resources.marts, vod, runs),
    )


def _views(
    session: Session, found: Sequence[Vod], resources: Resources, reader_id: str | None = None
) -> list[VodView]:
    """VODs with their streams, channels and totals, loaded in one query each; private ones can be
    played by `reader_id` alone.
    """
    of_streams = streams.by_ids(session, {vod.stream_id for vod in found})
    of_channels: dict[str, ChannelView] = {
        channel.id: channel_view(channel)
        for channel in channels.by_ids(session, [*{vod.channel_id for vod in found}]).values()
    }
    totals = totals_of(resources.marts, found)
    return [
        vod_view(
            vod,
            of_streams.get(vod.stream_id),
            of_channels[vod.channel_id],
            totals.get(vod.id),
            resources.tokens,
            reader_id,
        )
        for vod in found
    ]
