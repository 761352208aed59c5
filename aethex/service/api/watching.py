"""`/api/watch-progress` and `/api/watch-history…`: how far the signed-in user came.

What belongs here: reading beats of progress, and the user's own history. What does not: the rules
(`library.watching`), what everybody watched (the marts).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from aethex.library import Vod, watching
from aethex.library.ids import is_id
from aethex.library.watching import Watched
from aethex.service.api.moments import UtcMoment
from aethex.service.api.schemas import Page, PageNumber, PerPage, UtcTime, VodId, VodOut, page_of
from aethex.service.api.vods import vod_out
from aethex.service.identity import Visitor, required_user, visitor_of
from aethex.service.problems import bad_field, documented_problems
from aethex.service.resources import Resources, resources_of
from aethex.service.totals import totals_of
from aethex.service.vod_access import visible_vod

router = APIRouter(tags=["watching"])
_RESPONSES = documented_problems(401, 403, 404, 422, 503)
_WITH_BODY = documented_problems(401, 403, 404, 413, 422, 503)
_MOST_SECONDS = 10 * 365 * 24 * 3600
_UNDER_WAY = timedelta(seconds=30)
"""So long a beat may take from the player to here."""


class ProgressIn(BaseModel):
    """Where a player is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "vod_id": "vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA",
                    "position_seconds": 754.2,
                    "client_at": "2020-01-05T18:10:00.120Z",
                }
            ]
        }
    )

    vod_id: str = Field(max_length=64, description="The VOD.")
    position_seconds: float = Field(
        ge=0, le=_MOST_SECONDS, allow_inf_nan=False, description="Where it is in the VOD, seconds."
    )
    client_at: UtcMoment = Field(description="When it was there, by the player's clock.")
    sent_at: UtcMoment | None = Field(
        default=None,
        description="The player's clock when it sends this: a wrong clock then does no harm.",
    )


class ProgressOut(BaseModel):
    """How far a user came in a VOD, by the newest beat of all devices."""

    vod_id: str = Field(description="The VOD.", examples=["vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA"])
    position_seconds: float = Field(description="Where the user is, seconds.", examples=[754.2])
    progress_ratio: float | None = Field(
        description="Share of the VOD, 0-1; null: its length is not known.", examples=[0.122]
    )
    resume_seconds: float | None = Field(
        description="Where to go on; null: from the beginning (hardly begun, or watched).",
        examples=[754.2],
    )
    is_watched: bool = Field(description="From 95 % on it is watched.", examples=[False])
    client_at: UtcTime = Field(
        description="When the player was there.", examples=["2020-01-05T18:10:00.120Z"]
    )


class HistoryItemOut(ProgressOut):
    """A VOD in a user's history."""

    vod: VodOut = Field(description="The VOD.")


class RemovedOut(BaseModel):
    """What was taken out of a history."""

    removed: int = Field(description="How many VODs.", examples=[1])
    removed_at: UtcTime = Field(
        description="Names this removal: give it to `/api/watch-history/restore` to undo it.",
        examples=["2020-01-05T18:10:00.120450Z"],
    )


class RestoreIn(BaseModel):
    """Which removal to undo."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"removed_at": "2020-01-05T18:10:00.120450Z"}]}
    )

    removed_at: UtcMoment = Field(description="The `removed_at` of the removal.")


class RestoredOut(BaseModel):
    """What came back into a history."""

    restored: int = Field(description="How many VODs.", examples=[1])


@router.post("/watch-progress", summary="Tell how far a VOD is watched", responses=_WITH_BODY)
def save_progress(request: Request, beat: ProgressIn) -> ProgressOut:
    """Notes where the signed-in user is, and answers what is known now: the newest `client_at` of
    all devices wins, so an older beat that comes late, or one that comes twice, changes nothing.
    """
    user, visitor, now = required_user(request), visitor_of(request), datetime.now(UTC)
    was_there_at = _by_our_clock(beat, now)
    with resources_of(request).library.session() as session:
        vod = visible_vod(session, visitor, beat.vod_id)
        position_ms = round(beat.position_seconds * 1000)
        kept = watching.save(session, user.id, vod, position_ms, was_there_at, now)
    return progress_out(vod, kept.position_ms, kept.client_at)


@router.get("/watch-progress", summary="How far VODs are watched", responses=_RESPONSES)
def read_progress(
    request: Request,
    vod_id: Annotated[
        str | None,
        Query(max_length=64, description="Only this VOD.", examples=["vod_01JH2V5Q8ZK3M4N5P6Q7R8"]),
    ] = None,
    page: PageNumber = 1,
    per_page: PerPage = 20,
) -> Page[ProgressOut]:
    """How far the signed-in user came in each VOD, the latest first."""
    user = required_user(request)
    if vod_id is not None and not is_id("vod", vod_id):
        return page_of([], page=page, per_page=per_page, total=0)
    with resources_of(request).library.session() as session:
        found, total = watching.history(session, user, page, per_page, vod_id=vod_id)
    items = [progress_out(one.vod, one.position_ms, one.client_at) for one in found]
    return page_of(items, page=page, per_page=per_page, total=total)


@router.get("/watch-history", summary="What was watched", responses=_RESPONSES)
def read_history(
    request: Request, page: PageNumber = 1, per_page: PerPage = 20
) -> Page[HistoryItemOut]:
    """The VODs that the signed-in user watched, the latest first."""
    user, resources = required_user(request), resources_of(request)
    with resources.library.session() as session:
        found, total = watching.history(session, user, page, per_page)
    items = _history_items(found, resources, visitor_of(request))
    return page_of(items, page=page, per_page=per_page, total=total)


@router.delete(
    "/watch-history/{vod_id}", summary="Take a VOD out of the history", responses=_RESPONSES
)
def remove_from_history(request: Request, vod_id: VodId) -> RemovedOut:
    """It is gone from the history and from "continue watching", and cannot be had back after an
    hour. It comes back when it is watched again. Repeating it removes nothing more.
    """
    user, now = required_user(request), datetime.now(UTC)
    with resources_of(request).library.session() as session:
        removed = watching.remove(session, user.id, vod_id, now) if is_id("vod", vod_id) else 0
    return RemovedOut(removed=removed, removed_at=now)


@router.post("/watch-history/clear", summary="Empty the history", responses=_RESPONSES)
def clear_history(request: Request) -> RemovedOut:
    """Takes out all of it, as if each VOD were taken out."""
    user, now = required_user(request), datetime.now(UTC)
    with resources_of(request).library.session() as session:
        removed = watching.clear(session, user.id, now)
    return RemovedOut(removed=removed, removed_at=now)


@router.post("/watch-history/restore", summary="Undo a removal", responses=_WITH_BODY)
def restore_history(request: Request, which: RestoreIn) -> RestoredOut:
    """Brings back what was removed from the history at that moment, for an hour after it."""
    user = required_user(request)
    with resources_of(request).library.session() as session:
        restored = watching.restore(session, user.id, which.removed_at, datetime.now(UTC))
    return RestoredOut(restored=restored)


def progress_out(vod: Vod, position_ms: int, client_at: datetime) -> ProgressOut:
    """Progress as the API answers it."""
    resume = watching.resume_ms(position_ms, vod.duration_ms)
    return ProgressOut(
        vod_id=vod.id,
        position_seconds=position_ms / 1000,
        progress_ratio=round(position_ms / vod.duration_ms, 4) if vod.duration_ms else None,
        resume_seconds=None if resume is None else resume / 1000,
        is_watched=watching.is_watched(position_ms, vod.duration_ms),
        client_at=client_at,
    )


def _by_our_clock(beat: ProgressIn, now: datetime) -> datetime:
    """When the player was there. Raises Problem (422) where that cannot be a time.

    A clock that is ahead shows; one that is behind looks the same as a beat that was under way. So
    up to `_UNDER_WAY` nothing is put right: else a beat that arrives late would count as new.
    """
    if beat.sent_at is None:
        return beat.client_at
    ahead = beat.sent_at - now
    wrong = ahead if ahead > timedelta(0) else min(timedelta(0), ahead + _UNDER_WAY)
    try:
        return beat.client_at - wrong
    except OverflowError:
        raise bad_field(
            "client_at", "It is ages away from sent_at.", "Read both from the same clock."
        ) from None


def _history_items(
    found: Sequence[Watched], resources: Resources, visitor: Visitor
) -> list[HistoryItemOut]:
    totals = totals_of(resources.marts, [one.vod for one in found])
    return [
        HistoryItemOut(
            **progress_out(one.vod, one.position_ms, one.client_at).model_dump(),
            vod=vod_out(one.vod, totals.get(one.vod.id), resources, visitor),
        )
        for one in found
    ]
