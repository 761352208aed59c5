"""People who watch the demo's videos: a simulated audience, sent to the service as a backend would.

What belongs here: who watches which film when, and sending it. What does not: what an audience does
(aethex/simulation), viewers of the live streams (`audience`).

The service runs inside this process for it, so that the demo can be made while the platform does
not run. Events and their ids follow from the streams' titles and times: sent again after an
interruption, none counts twice.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx

from aethex.demo.content import CHANNELS
from aethex.demo.missing import VIEWING_KEY
from aethex.library import Library, channels, streams, vods
from aethex.service.app import create_app
from aethex.settings import Settings
from aethex.simulation.crowd import Plan, gather
from aethex.simulation.network import Request, travel
from aethex.simulation.player import Content
from aethex.simulation.send import send_all
from aethex.simulation.stage import ms_of, platform_token
from aethex.store import open_store

_SHARE_WHO_WATCH = 0.25
"""Of a stream's viewers, those who watch its video."""

_BEFORE_FIRST_START = timedelta(minutes=45)
"""The last ones leave so long before the day of the first start: their requests are late by up to
half an hour, and none may come from the future."""


def send_viewing(settings: Settings, progress: Callable[[float], None]) -> None:
    """Send what the audience of all the demo's videos did; `progress` hears the share that is done.

    Raises NotTaken and what the library raises.
    """
    with Library.open(settings) as library:
        requests = [request for plan in _plans(library) for request in travel(gather(plan))]
        requests.sort(key=lambda request: request.received_ms)
        with platform_token(library) as token:
            asyncio.run(_send(settings, token, requests, progress))
    note = {"sent_at": datetime.now(UTC).isoformat(), "requests": len(requests)}
    open_store(settings).put(VIEWING_KEY, json.dumps(note).encode())


async def _send(
    settings: Settings, token: str, requests: list[Request], progress: Callable[[float], None]
) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await send_all(
            "http://demo",
            token,
            requests,
            speed=None,
            progress=lambda done: progress(done / len(requests)),
            transport=httpx.ASGITransport(app),
        )


def _plans(library: Library) -> Iterator[Plan]:
    """An audience for each film's VOD that is there, from the stream's end on."""
    with library.session() as s:
        for made in CHANNELS:
            channel = channels.by_username(s, made.username)
            if channel is None:
                continue
            listed = vods.list_channel_vods(s, channel.id, 1, 100).items
            by_stream = {vod.stream_id: vod for vod in listed}
            found = streams.list_channel_streams(s, channel.id, per_page=100).items
            by_title = {stream.title: stream for stream in found}
            for stream in made.streams:
                there = by_title.get(stream.title)
                vod = by_stream.get(there.id) if there else None
                if there is None or there.started_at is None or vod is None:
                    continue
                first_start = stream.anchor_of(there.started_at)
                ended_at = there.started_at + timedelta(minutes=stream.minutes)
                yield Plan(
                    seed=zlib.crc32(stream.title.encode()),
                    viewers=int(stream.viewers * _SHARE_WHO_WATCH),
                    began_ms=ms_of(ended_at),
                    ended_ms=ms_of(first_start - _BEFORE_FIRST_START),
                    channel_id=channel.id,
                    stream=None,
                    vods=(Content(vod.id, "vod", vod.duration_ms, 0),),
                    owner_id=channel.owner_id,
                )
