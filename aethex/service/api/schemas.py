"""Shapes of the library's answers: channels, VODs and lists.

What belongs here: pydantic models with a description and an example for every field, and making
them from library rows. What does not: shapes of numbers (`measures.py`), queries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

Item = TypeVar("Item")


def utc_text(moment: datetime) -> str:
    """`moment` as ISO 8601 in UTC with Z; fractions of a second only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


UtcTime = Annotated[datetime, PlainSerializer(utc_text, return_type=str, when_used="json")]

PageNumber = Annotated[int, Query(ge=1, le=1_000_000, description="Which page, from 1.")]
PerPage = Annotated[int, Query(ge=1, le=100, description="Items a page.")]
ChannelId = Annotated[
    str,
    Path(
        max_length=64, description="Id of the channel.", examples=["ch_01JH2V5Q8ZK3M4N5P6Q7R8S9TC"]
    ),
]
VodId = Annotated[
    str,
    Path(max_length=64, description="Id of the VOD.", examples=["vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA"]),
]
StreamId = Annotated[
    str,
    Path(
        max_length=64, description="Id of the stream.", examples=["st_01JH2V5Q8ZK3M4N5P6Q7R8S9TB"]
    ),
]


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    # said again: a docstring does not reach the models made for each kind of item
    model_config = ConfigDict(json_schema_extra={"description": "One page of a list."})

    items: list[Item] = Field(description="The items of this page; empty behind the last page.")
    page: int = Field(description="This page's number, from 1.", examples=[1])
    pages: int = Field(
        description="How many pages there are; 0 when there is nothing.", examples=[18]
    )
    total: int = Field(description="How many items there are on all pages.", examples=[214])


def page_of(items: Sequence[Item], *, page: int, per_page: int, total: int) -> Page[Item]:
    """One page of `total` items."""
    return Page(items=list(items), page=page, pages=math.ceil(total / per_page), total=total)


class ChannelOut(BaseModel):
    """A channel."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "ch_01JH2V5Q8ZK3M4N5P6Q7R8S9TC",
                    "username": "gdq",
                    "title": "Games Done Quick",
                    "description": "",
                    "vods": 214,
                    "created_at": "2020-01-05T16:25:00Z",
                }
            ]
        }
    )

    id: str = Field(description="Id, with the prefix `ch_`.")
    username: str = Field(description="Name in addresses, lowercase.")
    title: str = Field(description="Name that people see.")
    description: str = Field(description="What the channel is about; may be empty.")
    vods: int = Field(description="Public VODs that can be played.")
    created_at: UtcTime = Field(description="When the channel was made.")


class CaptionsOut(BaseModel):
    """Captions of a VOD in one language."""

    language: str = Field(description="Language (BCP 47).", examples=["en"])
    label: str = Field(description="What viewers choose them by.", examples=["English"])
    kind: Literal["captions", "subtitles"] = Field(
        description="`captions` also tell what is heard, `subtitles` only what is said.",
        examples=["captions"],
    )
    source: Literal["file", "provider", "owner"] = Field(
        description="Who brought them: the imported file, the provider's recording, or the owner.",
        examples=["owner"],
    )
    url: str | None = Field(
        description="WebVTT, on the VOD's time.",
        examples=["https://live.example/media/MXxw…/vod_01JH…/captions-en-01JH….vtt"],
    )
    cues: int = Field(description="How many cues there are.", examples=[812])
    created_at: UtcTime = Field(
        description="When they were brought.", examples=["2020-01-06T09:00:00Z"]
    )


_VOD_EXAMPLE: dict[str, Any] = {
    "id": "vod_01JH2V5Q8ZK3M4N5P6Q7R8S9TA",
    "stream_id": "st_01JH2V5Q8ZK3M4N5P6Q7R8S9TB",
    "channel_id": "ch_01JH2V5Q8ZK3M4N5P6Q7R8S9TC",
    "title": "AGDQ 2020, day one",
    "description": "",
    "poster_url": "https://live.example/media/MXxw…/run_01JH…/poster.jpg",
    "hls_url": "https://live.example/media/MXxw…/vod_01JH…/index.m3u8",
    "mp4_url": "https://live.example/media/MXxw…/run_01JH…/video.mp4",
    "storyboard_url": "https://live.example/media/MXxw…/vod_01JH…/storyboard.vtt",
    "preview_url": "https://live.example/media/MXxw…/vod_01JH…/preview.webp",
    "loudness_url": "https://live.example/media/MXxw…/vod_01JH…/loudness.json",
    "duration_seconds": 6185.2,
    "size_bytes": 4831838208,
    "width": 1920,
    "height": 1080,
    "views": 18204,
    "likes": 913,
    "clips": None,
    "is_public": True,
    "deleted_at": None,
    "created_at": "2020-01-05T18:08:05Z",
}


class VodOut(BaseModel):
    """A VOD. `views`, `likes` and `clips` are null while they are not measured."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VOD_EXAMPLE]})

    id: str = Field(description="Id, with the prefix `vod_`.")
    stream_id: str = Field(description="The stream that it records.")
    channel_id: str = Field(description="The channel that it belongs to.")
    title: str = Field(description="Title.")
    description: str = Field(description="Description; may be empty.")
    poster_url: str | None = Field(
        description="Still picture. Like all media addresses good for hours, not for ever."
    )
    hls_url: str | None = Field(description="HLS playlist (fMP4 segments).")
    mp4_url: str | None = Field(
        description="The whole video as MP4; add `?download=1` to save it under its title."
    )
    storyboard_url: str | None = Field(
        description="WebVTT with a tile for every 10 s: each cue names a sheet and, as `#xywh=`, a "
        "place on it. null, like the next two, while it is not made yet."
    )
    preview_url: str | None = Field(description="Short animation of the VOD (WebP, 320 px).")
    loudness_url: str | None = Field(
        description="Loudness per second in LUFS (EBU R 128) as JSON: `integrated`, and lists "
        "`momentary` and `short_term` with null where it is silent."
    )
    duration_seconds: float | None = Field(description="Length in seconds.")
    size_bytes: int | None = Field(description="Bytes of all its objects.")
    width: int | None = Field(description="Width of the picture in pixels.")
    height: int | None = Field(description="Height of the picture in pixels.")
    views: int | None = Field(description="Views, without bots; null: not measured yet.")
    likes: int | None = Field(description="Likes; null: not measured yet.")
    clips: int | None = Field(description="Clips made from it; null: not measured.")
    is_public: bool = Field(description="Whether everybody may see it.")
    deleted_at: UtcTime | None = Field(description="When it was deleted; null: it was not.")
    created_at: UtcTime = Field(description="When the VOD was made.")


class VodDetailOut(VodOut):
    """A VOD with its captions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_VOD_EXAMPLE,
                    "captions": [
                        {
                            "language": "en",
                            "label": "English",
                            "kind": "captions",
                            "source": "owner",
                            "url": "https://live.example/media/MXxw…/vod_01JH…/captions-en-01JH….vtt",
                            "cues": 812,
                            "created_at": "2020-01-06T09:00:00Z",
                        }
                    ],
                }
            ]
        }
    )

    captions: list[CaptionsOut] = Field(description="Its captions by their label.")
