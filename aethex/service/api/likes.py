"""`/api/vods/{id}/like` and `/api/channels/{id}/follow`: what a signed-in user likes and follows.

What belongs here: one's own state, read from the library at once. What does not: counting; how many
like something is in the marts, as of their last build.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from aethex.library import channels, likes, users
from aethex.library.ids import is_id
from aethex.service.api.schemas import ChannelId, UtcTime, VodId
from aethex.service.identity import required_user, visitor_of
from aethex.service.problems import documented_problems, not_found
from aethex.service.resources import resources_of
from aethex.service.totals import fresh_until_of, totals_of
from aethex.service.vod_access import visible_vod

router = APIRouter(tags=["watching"])
_RESPONSES = documented_problems(401, 403, 404, 422, 503)


class LikeOut(BaseModel):
    """Whether the signed-in user likes a VOD, and how many do."""

    vod_id: str = Field(description="The VOD.", examples=["vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA"])
    is_liked: bool = Field(description="Whether the user likes it, now.", examples=[True])
    likes: int | None = Field(
        description="How many like it, as of the current build; null: not measured.",
        examples=[913],
    )
    as_of: UtcTime | None = Field(
        description="What was received before this is in `likes`; null: nothing is measured.",
        examples=["2020-01-05T18:10:00Z"],
    )


class FollowOut(BaseModel):
    """Whether the signed-in user follows a channel."""

    channel_id: str = Field(description="The channel.", examples=["ch_01JH2V5Q8ZK3M4N5P6Q7R8S9TC"])
    is_following: bool = Field(description="Whether the user follows it, now.", examples=[True])


@router.post("/vods/{vod_id}/like", summary="Like a VOD", responses=_RESPONSES)
def like_vod(request: Request, vod_id: VodId) -> LikeOut:
    """The signed-in user likes the VOD. Liking it again changes nothing."""
    return change_like(request, vod_id, is_liked=True)


@router.delete("/vods/{vod_id}/like", summary="Like a VOD no more", responses=_RESPONSES)
def unlike_vod(request: Request, vod_id: VodId) -> LikeOut:
    """The signed-in user likes it no more. Repeating that changes nothing."""
    return change_like(request, vod_id, is_liked=False)


@router.post("/channels/{channel_id}/follow", summary="Follow a channel", responses=_RESPONSES)
def follow_channel(request: Request, channel_id: ChannelId) -> FollowOut:
    """The signed-in user follows the channel. Following it again changes nothing."""
    return change_follow(request, channel_id, is_following=True)


@router.delete(
    "/channels/{channel_id}/follow", summary="Follow a channel no more", responses=_RESPONSES
)
def unfollow_channel(request: Request, channel_id: ChannelId) -> FollowOut:
    """The signed-in user follows it no more. Repeating that changes nothing."""
    return change_follow(request, channel_id, is_following=False)


def change_like(request: Request, vod_id: str, *, is_liked: bool) -> LikeOut:
    """Let the signed-in user like it, or no more. Raises Problem: 401, 404."""
    user, visitor, resources = required_user(request), visitor_of(request), resources_of(request)
    change = likes.like if is_liked else likes.unlike
    with resources.library.session() as session:
        vod = visible_vod(session, visitor, vod_id)
        change(session, user.id, vod)
    totals = totals_of(resources.marts, [vod]).get(vod.id)
    return LikeOut(
        vod_id=vod.id,
        is_liked=is_liked,
        likes=totals.likes if totals else None,
        as_of=fresh_until_of(resources.marts) if totals else None,
    )


def change_follow(request: Request, channel_id: str, *, is_following: bool) -> FollowOut:
    """Let the signed-in user follow it, or no more. Raises Problem: 401, 404."""
    user, resources = required_user(request), resources_of(request)
    change = users.follow if is_following else users.unfollow
    with resources.library.session() as session:
        if not is_id("ch", channel_id) or channels.get(session, channel_id) is None:
            raise not_found("channel", channel_id)
        change(session, user.id, channel_id)
    return FollowOut(channel_id=channel_id, is_following=is_following)
