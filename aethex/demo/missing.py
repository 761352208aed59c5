"""What of the demo is not there yet, and when its streams were.

What belongs here: comparing the content with the library. What does not: making anything (`load`).
It is asked at every start, so it imports nothing large.

The library says what is there, and the store whether its videos were watched: so an interrupted
first start is continued by the next one, a video that was deleted does not come back, and nothing
is ever doubled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from aethex.demo.content import CHANNELS, DemoChannel, DemoStream
from aethex.library import Library, channels, segments, streams, vods
from aethex.settings import Settings
from aethex.store import open_store

_BUILD_KEY = "marts/current.json"
VIEWING_KEY = "demo/viewing.json"
"""Written when the videos' audience has been sent."""


@dataclass(frozen=True)
class Missing:
    """What of one stream is not in the library yet."""

    channel: DemoChannel
    stream: DemoStream
    started_at: datetime
    needs_viewers: bool
    needs_segments: bool
    needs_film: bool


def find_missing(settings: Settings, now: datetime) -> list[Missing]:
    """The parts that are missing, with the times that they get. Empty: the demo is complete."""
    with Library.open(settings) as library, library.session() as s:
        known = {
            (channel.username, stream.title): stream
            for channel in CHANNELS
            if (found := channels.by_username(s, channel.username)) is not None
            for stream in streams.list_channel_streams(s, found.id, per_page=100).items
        }
        anchor = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        for channel, stream in _all():
            there = known.get((channel.username, stream.title))
            if there is not None and there.started_at is not None:
                anchor = stream.anchor_of(there.started_at)
                break
        missing: list[Missing] = []
        for channel, stream in _all():
            there = known.get((channel.username, stream.title))
            found = Missing(
                channel,
                stream,
                stream.starts_at(anchor),
                needs_viewers=there is None or there.started_at is None,
                needs_segments=there is None or not segments.of_stream(s, there.id),
                needs_film=stream.film is not None
                and (there is None or not vods.exists_for_stream(s, there.id)),
            )
            if found.needs_viewers or found.needs_segments or found.needs_film:
                missing.append(found)
        return missing


def needs_refresh(settings: Settings) -> bool:
    """Whether no build was ever published."""
    return not open_store(settings).exists(_BUILD_KEY)


def needs_viewing(settings: Settings) -> bool:
    """Whether nobody watched the demo's videos yet."""
    return not open_store(settings).exists(VIEWING_KEY)


def _all() -> Iterator[tuple[DemoChannel, DemoStream]]:
    for channel in CHANNELS:
        for stream in channel.streams:
            yield channel, stream
