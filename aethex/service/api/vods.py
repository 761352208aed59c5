"""`/api/vods/{id}`: reading and changing a VOD, and the shape of one."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from aethex.lake.players import ContentTotals
from aethex.library import Vod, captions
from aethex.library.values import MAX_PROSE_LENGTH, MAX_TEXT_LENGTH
from aethex.service import vod_changes
from aethex.service.addresses import media_path, media_paths
from aethex.service.api.schemas import CaptionsOut, VodDetailOut, VodId, VodOut
from aethex.service.identity import NOBODY, Visitor, visitor_of
from aethex.service.problems import documented_problems
from aethex.service.resources import Resources, resources_of
from aethex.service.totals import totals_of
from aethex.service.vod_access import visible_vod

router = APIRouter(tags=["vods"])
_CHANGES = documented_problems(401, 403, 404, 422, 503)


class VodChanges(BaseModel):
    """What to change of a VOD; what is left out stays as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"title": "AGDQ 2020, day one"}]}
    )

    title: str | None = Field(default=None, max_length=MAX_TEXT_LENGTH, description="Title.")
    description: str | None = Field(
        default=None, max_length=MAX_PROSE_LENGTH, description="Description; may be empty."
    )
    is_public: bool | None = Field(default=None, description="Whether everybody may see it.")


@router.get("/vods/{vod_id}", summary="One VOD", responses=documented_problems(404, 422, 503))
def read_vod(request: Request, vod_id: VodId) -> VodDetailOut:
    """A public VOD that can be played. Its channel's owner also reads it while it is private or
    deleted; for others it is as if it were not there.
    """
    resources, visitor = resources_of(request), visitor_of(request)
    with resources.library.session() as session:
        vod = visible_vod(session, visitor, vod_id)
    return answer_vod(request, vod)


@router.put(
    "/vods/{vod_id}",
    summary="Change a VOD",
    responses=documented_problems(401, 403, 404, 413, 422, 503),
)
def change_vod(request: Request, vod_id: VodId, changes: VodChanges) -> VodDetailOut:
    """Its title, description, and whether everybody may see it. Only its channel's owner can."""
    vod = vod_changes.edit_vod(request, vod_id, **changes.model_dump())
    return answer_vod(request, vod)


@router.delete("/vods/{vod_id}", summary="Delete a VOD", responses=_CHANGES)
def delete_vod(request: Request, vod_id: VodId) -> VodDetailOut:
    """Hides it from everybody at once. For 30 days it can be restored; then its objects go. Only
    its channel's owner can. Deleting it again changes nothing.
    """
    return answer_vod(request, vod_changes.delete_vod(request, vod_id))


@router.post(
    "/vods/{vod_id}/restore",
    summary="Bring a deleted VOD back",
    responses=documented_problems(401, 403, 404, 409, 422, 503),
)
def restore_vod(request: Request, vod_id: VodId) -> VodDetailOut:
    """A deleted VOD is there again, as it was, until its objects go. Only its channel's owner can.
    One that is not deleted stays as it is.
    """
    return answer_vod(request, vod_changes.restore_vod(request, vod_id))


def answer_vod(request: Request, vod: Vod) -> VodDetailOut:
    """The VOD as the visitor may see it, with its captions."""
    resources, visitor = resources_of(request), visitor_of(request)
    totals = totals_of(resources.marts, [vod]).get(vod.id)
    with resources.library.session() as session:
        found = captions.of_vod(session, vod.id)
    base = resources.settings.effective_public_url
    paths = [media_path(resources.tokens, vod, one.key, visitor.user_id) for one in found]
    listed = [
        CaptionsOut(
            language=one.language,
            label=one.label,
            kind=one.kind,
            source=one.source,
            url=f"{base}{path}" if path else None,
            cues=one.cues,
            created_at=one.created_at,
        )
        for one, path in zip(found, paths, strict=True)
    ]
    shown = vod_out(vod, totals, resources, visitor)
    return VodDetailOut(**shown.model_dump(), captions=listed)


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
