"""`/api/trending/…`: what trends, as of the last full hour.

What belongs here: the list of the current build, without what is no longer listed. What does not:
scores (`aethex/assets/models/trending`), orders of one channel's VODs (`vod_lists`).
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import Field

from aethex.lake.trending import list_hour, top_vods
from aethex.library import listings
from aethex.service.api.schemas import Page, UtcTime, VodOut
from aethex.service.api.vods import vod_out
from aethex.service.marts import no_build_problem
from aethex.service.problems import documented_problems
from aethex.service.resources import resources_of
from aethex.service.totals import totals_of

router = APIRouter(prefix="/trending", tags=["trending"])


class TrendingVodsOut(Page[VodOut]):
    """What trends: at most 50 VODs on one page, at most three of a channel."""

    as_of: UtcTime = Field(
        description="Full hour of the list: what was received before it counts.",
        examples=["2026-01-30T19:00:00Z"],
    )


@router.get("/vods", summary="Trending VODs", responses=documented_problems(503))
def list_trending_vods(request: Request) -> TrendingVodsOut:
    """The VODs that trend, the first one first. A VOD that was hidden or deleted since then is left
    out.
    """
    resources = resources_of(request)
    opened = resources.marts.current()
    fresh_until = opened.fresh_until
    if fresh_until is None:
        raise no_build_problem()
    ids = opened.answer(("trending", "vods"), lambda con: top_vods(con, fresh_until))
    with resources.library.session() as session:
        found = listings.listed_vods(session, ids)
    totals = totals_of(resources.marts, found)
    items = [vod_out(vod, totals.get(vod.id), resources) for vod in found]
    return TrendingVodsOut(
        as_of=list_hour(fresh_until),
        items=items,
        page=1,
        pages=1 if items else 0,
        total=len(items),
    )
