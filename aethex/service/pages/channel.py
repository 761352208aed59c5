"""A channel's page: its VODs, found by words and dates, in an order, as a grid or a list.

What belongs here: which rows the page needs. What does not: addresses and wording of the finder
(`finder.py`), HTML.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aethex.library import Page, Vod, channels, streams, users, vods
from aethex.library.finding import MAX_QUERY_LENGTH, search_text
from aethex.service.identity import owns, visitor_of
from aethex.service.pages.finder import Asked, day_or_none, finder_view, found_text, in_order
from aethex.service.pages.loading import as_of_text, load_views
from aethex.service.pages.templating import draw
from aethex.service.pages.views import channel_view
from aethex.service.problems import not_found
from aethex.service.resources import Resources, resources_of
from aethex.service.vod_lists import SORTS, VODS_A_PAGE, Sort, list_vods, offered_sorts

router = APIRouter(include_in_schema=False)

_VIEW_COOKIE = "view"
_MAKING = 12
_YEAR_SECONDS = 365 * 24 * 3600

# What a form sends by hand or by an old link is put right rather than refused.
Text = Annotated[str, Query()]
Number = Annotated[int, Query(ge=1, le=1_000_000)]


@router.get("/channel/{username}")
def channel_home(username: str) -> Response:
    """A channel's address without more leads to its VODs."""
    return RedirectResponse(f"/channel/{username}/vods", status_code=307)


@router.get("/channel/{username}/vods", response_class=HTMLResponse)
def channel_vods(
    request: Request,
    username: str,
    q: Text = "",
    sort: Text = "",
    from_day: Annotated[str, Query(alias="from")] = "",
    to_day: Annotated[str, Query(alias="to")] = "",
    view: Text = "",
    page: Number = 1,
) -> Response:
    """One page of a channel's VODs."""
    resources, visitor = resources_of(request), visitor_of(request)
    with resources.library.session() as session:
        channel = (
            channels.by_username(session, username.lower()) if username.isprintable() else None
        )
        if channel is None:
            raise not_found("channel", f"@{username}")
        from_date, to_date = in_order(day_or_none(from_day), day_or_none(to_day))
        asked = Asked(
            f"/channel/{channel.username}/vods",
            q.strip()[:MAX_QUERY_LENGTH],
            next((known for known in SORTS if known == sort), None),
            from_date,
            to_date,
            view if view in ("grid", "list") else None,
            page,
        )
        is_owner = owns(visitor, channel)
        listed = _Listed(session, resources, channel.id, asked, is_owner=is_owner)
        making = vods.in_the_making(session, channel.id, _MAKING) if is_owner else []
        shown = [*making, *listed.page.items]
        own = {vod.id for vod in shown} if is_owner else set[str]()
        cards = load_views(session, shown, resources, visitor, own=own)
        on_air = streams.live_of(session, [channel.id]).get(channel.id)
        public_total = vods.count_listed(session, channel.id)
        user = visitor.user
        is_following = user is not None and users.is_following(session, user.id, channel.id)
    is_list = (asked.view or request.cookies.get(_VIEW_COOKIE)) == "list"
    answer = draw(
        request,
        "channel_vods.html",
        channel=channel_view(channel, public_total, on_air),
        channel_total=listed.page.total or public_total,
        find=finder_view(
            asked, listed.offered, listed.shown, datetime.now(UTC).date(), listed.notice
        ),
        found_text=found_text(listed.page.total, asked),
        is_list=is_list,
        is_owner=is_owner,
        is_following=is_following,
        making=cards[: len(making)] if page == 1 else [],
        vods=cards[len(making) :],
        total=listed.page.total,
        page=page,
        page_count=math.ceil(listed.page.total / VODS_A_PAGE),
        as_of_text=as_of_text(resources),
    )
    if asked.view:
        # remembered by the server, so that the next page is right from its first paint on
        answer.set_cookie(_VIEW_COOKIE, asked.view, max_age=_YEAR_SECONDS, samesite="lax")
    return answer


class _Listed:
    """The page's VODs, and how they came to be in that order."""

    page: Page[Vod]

    def __init__(
        self,
        session: Session,
        resources: Resources,
        channel_id: str,
        asked: Asked,
        *,
        is_owner: bool,
    ) -> None:
        wanted = asked.wanted(is_owner=is_owner)
        self.offered = offered_sorts(resources.marts, channel_id, wanted)
        usual: Sort = "best_match" if search_text(asked.q) else "newest"
        is_offered = asked.sort is not None and asked.sort in self.offered
        self.shown: Sort = asked.sort if asked.sort and is_offered else usual
        self.notice = ""
        if asked.sort in ("most_watched", "trending") and asked.sort != self.shown:
            self.notice = "That order is not measured yet, so here are the newest."
        self.page = list_vods(
            session,
            resources.marts,
            channel_id,
            wanted,
            sort=self.shown,
            page=asked.page,
            per_page=VODS_A_PAGE,
        )
