"""What the templates show, made from library rows: plain values, already worded.

What belongs here: frozen dataclasses and making them. What does not: queries (`aethex.library`),
HTML.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC

from aethex.lake.players import ContentTotals
from aethex.library import Channel, Stream, Vod, watching
from aethex.service.addresses import media_paths
from aethex.service.api.schemas import utc_text
from aethex.service.media_tokens import MediaTokens
from aethex.service.pages.owner_notes import OwnerNotes
from aethex.service.pages.wording import (
    count_text,
    date_text,
    duration_text,
    exact_date_text,
    picture_text,
    size_text,
    tint_of,
)


@dataclass(frozen=True, slots=True)
class LiveView:
    """A stream that is live."""

    title: str
    since_text: str
    since_iso: str
    since_exact: str


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel on a page."""

    id: str
    username: str
    title: str
    description: str
    path: str
    letter: str
    tint: int
    vods_text: str
    live: LiveView | None = None


@dataclass(frozen=True, slots=True)
class SeenView:
    """How far the visitor came in a VOD."""

    percent: int
    text: str
    resume_seconds: float | None


@dataclass(frozen=True, slots=True)
class VodView:
    """A VOD on a page. Texts that are None are not known and not shown."""

    id: str
    title: str
    description: str
    path: str
    channel: ChannelView
    poster_path: str | None
    hls_path: str | None
    mp4_path: str | None
    storyboard_path: str | None
    preview_path: str | None
    width: int | None
    height: int | None
    frame_rate: float | None
    duration_text: str | None
    picture_text: str | None
    size_text: str | None
    mp4_size_text: str | None
    date_text: str
    date_exact: str
    date_iso: str
    views_text: str | None
    likes_text: str | None
    likes_count: str | None
    facts_text: str
    summary_text: str
    is_public: bool
    is_deleted: bool
    is_playable: bool
    seen: SeenView | None
    is_liked: bool
    notes: OwnerNotes | None
    """What only its owner is told; None: for everybody else."""


def live_view(stream: Stream) -> LiveView | None:
    """The stream, if it is live."""
    if stream.status != "live" or stream.started_at is None:
        return None
    return LiveView(
        title=stream.title,
        since_text=f"since {stream.started_at.astimezone(UTC):%H:%M} UTC",
        since_iso=utc_text(stream.started_at),
        since_exact=exact_date_text(stream.started_at),
    )


def channel_view(channel: Channel, vods: int = 0, live: Stream | None = None) -> ChannelView:
    """A channel with how many public VODs it has, and its stream that is live. Its colour follows
    from its name.
    """
    title = channel.title or channel.username
    letters = [character for character in title if character.isalnum()]
    return ChannelView(
        id=channel.id,
        username=channel.username,
        title=title,
        description=channel.description,
        path=f"/channel/{channel.username}/vods",
        letter=(letters or [channel.username])[0],
        tint=tint_of(channel.username),
        vods_text=count_text(vods, "VOD", "VODs"),
        live=live_view(live) if live else None,
    )


def vod_view(
    vod: Vod,
    stream: Stream | None,
    channel: ChannelView,
    totals: ContentTotals | None,
    tokens: MediaTokens,
    reader_id: str | None = None,
    *,
    position_ms: int | None = None,
    is_liked: bool = False,
    notes: OwnerNotes | None = None,
) -> VodView:
    """A VOD, as the user `reader_id` sees it (None: everybody).

    Its date is the stream's start, or when the VOD was made where that is unknown.
    """
    paths = media_paths(tokens, vod, reader_id)
    at = (stream.started_at if stream else None) or vod.created_at
    length, picture = (
        duration_text(vod.duration_ms),
        picture_text(vod.width, vod.height, vod.frame_rate),
    )
    facts = " · ".join(filter(None, (date_text(at), length)))
    return VodView(
        id=vod.id,
        title=vod.title,
        description=vod.description,
        path=f"/vods/{vod.id}",
        channel=channel,
        poster_path=paths.poster,
        hls_path=paths.hls,
        mp4_path=paths.mp4,
        storyboard_path=paths.storyboard,
        preview_path=paths.preview,
        width=vod.width,
        height=vod.height,
        frame_rate=vod.frame_rate,
        duration_text=length,
        picture_text=picture,
        size_text=size_text(vod.size_bytes),
        mp4_size_text=size_text(vod.mp4_bytes),
        date_text=date_text(at),
        date_exact=exact_date_text(at),
        date_iso=utc_text(at),
        views_text=count_text(totals.views, "view", "views") if totals else None,
        likes_text=count_text(totals.likes, "like", "likes") if totals else None,
        likes_count=f"{totals.likes:,}" if totals and totals.likes > 0 else None,
        facts_text=facts,
        summary_text=vod.description or f"{channel.title} · {facts}",
        is_public=vod.is_public,
        is_deleted=vod.deleted_at is not None,
        is_playable=bool(paths.hls or paths.mp4),
        seen=None if position_ms is None else seen_view(position_ms, vod.duration_ms),
        is_liked=is_liked,
        notes=notes,
    )


def seen_view(position_ms: int, duration_ms: int | None) -> SeenView | None:
    """How far somebody came; None where nothing of it is worth showing."""
    if not duration_ms or position_ms < watching.RESUME_FROM_MS:
        return None
    is_watched = watching.is_watched(position_ms, duration_ms)
    resume = watching.resume_ms(position_ms, duration_ms)
    return SeenView(
        percent=100 if is_watched else max(1, position_ms * 100 // duration_ms),
        text="Watched"
        if is_watched
        # a place is in the second that runs, a length is rounded
        else f"Watched {duration_text(position_ms // 1000 * 1000)} of {duration_text(duration_ms)}",
        resume_seconds=None if resume is None else resume / 1000,
    )
