"""`/api/vods/{id}` and the shape of a VOD."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from aethex.lake.players import ContentTotals
from aethex.library import Vod, vods
from aethex.library.ids import is_id
from aethex.service.addresses import media_paths
from aethex.service.api.schemas import VodId, VodOut
from aethex.service.identity import NOBODY, Visitor, visitor_of
from aethex.service.problems import documented_problems, not_found
from aethex.service.resources import Resources, resources_of
from aethex.service.totals import totals_of

router = APIRouter(tags=["vods"])


@router.get("/vods/{vod_id}", summary="One VOD", responses=documented_problems(404, 422, 503))
def read_vod(request: Request, response: Response, vod_id: VodId) -> VodOut:
    """A public VOD that can be played, or a private one of who is signed in. Others are as if they
    were not there.
    """
    resources, visitor = resources_of(request), visitor_of(request)
    with resources.library.session() as session:
        vod = vods.get_visible(session, vod_id, visitor.user) if is_id("vod", vod_id) else None
    if vod is None:
        raise not_found("VOD", vod_id)
    response.headers["Vary"] = "Cookie"
    if not vod.is_public:
        response.headers["Cache-Control"] = "private, no-store"
    totals = totals_of(resources.marts, [vod]).get(vod.id)
    return vod_out(vod, totals, resources, visitor)


def vod_out(
    vod: Vod, totals: ContentTotals | None, resources: Resources, visitor: Visitor = NOBODY
) -> VodOut:
    """A library row as the API answers it to the visitor, with absolute addresses. No totals: not
    measured.
    """
    base = resources.settings.effective_public_url
    paths = media_paths(resources.tokens, vod, visitor.user_id)

    def absolute(path: str | None) -> str | None:
        return f"{base}{path}" if path else None

    return VodOut(
        id=vod.id,
        stream_id=vod.stream_id,
        channel_id=vod.channel_id,
        title=vod.title,
        description=vod.description,
        poster_url=absolute(paths.poster),
        hls_url=absolute(paths.hls),
        mp4_url=absolute(paths.mp4),
        storyboard_url=absolute(paths.storyboard),
        preview_url=absolute(paths.preview),
        loudness_url=absolute(paths.loudness),
        duration_seconds=None if vod.duration_ms is None else vod.duration_ms / 1000,
        size_bytes=vod.size_bytes,
        width=vod.width,
        height=vod.height,
        views=totals.views if totals else None,
        likes=totals.likes if totals else None,
        clips=None,
        is_public=vod.is_public,
        deleted_at=vod.deleted_at,
        created_at=vod.created_at,
    )
