"""The demo's videos are watched once: a simulated audience goes the way of all events."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aethex.demo import viewing
from aethex.demo.content import CHANNELS
from aethex.demo.load import watch_videos
from aethex.demo.missing import VIEWING_KEY, needs_viewing
from aethex.demo.viewing import send_viewing
from aethex.lake import Lake
from aethex.lake.connections import open_build
from aethex.lake.players import ContentTotals, content_totals
from aethex.library import Library, tokens
from aethex.settings import Settings
from aethex.simulation.send import NotTaken
from aethex.store import open_store
from tests.service.content import MadeVod, add_vod
from tests.service.measured import build

FIRST_START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def watched_vod(settings: Settings, library: Library, monkeypatch: pytest.MonkeyPatch) -> MadeVod:
    """One stream of the demo with its VOD, and a small audience."""
    channel = CHANNELS[0]
    stream = replace(channel.streams[0], viewers=160)
    monkeypatch.setattr(viewing, "CHANNELS", (replace(channel, streams=(stream,)),))
    return add_vod(
        library,
        open_store(settings),
        username=channel.username,
        stream=stream.title,
        started_at=stream.starts_at(FIRST_START),
    )


def totals(lake: Lake, library: Library, made: MadeVod) -> ContentTotals:
    """What the next build says of the VOD."""
    connection = open_build(lake.store, lake.settings, build(lake, library))
    return content_totals(connection, [made.id])[made.id]


def test_the_videos_are_watched_once_and_an_interruption_doubles_nothing(
    settings: Settings, library: Library, lake: Lake, watched_vod: MadeVod
) -> None:
    assert needs_viewing(settings)
    shares: list[float] = []
    watch_videos(settings, lambda key, _, share: shares.append(share) if key == "viewing" else None)
    assert not needs_viewing(settings)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    first = totals(lake, library, watched_vod)
    assert 10 <= first.views <= 40
    assert not list(lake.store.list("quarantine"))
    assert first.likes > 0
    assert first.watched_seconds > 0

    lake.store.delete([VIEWING_KEY])  # as if it had been killed before the note was written
    watch_videos(settings, lambda *_: None)
    assert totals(lake, library, watched_vod) == first


def test_what_was_not_taken_is_sent_at_the_next_start(
    settings: Settings,
    library: Library,
    watched_vod: MadeVod,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise NotTaken("the service did not take it")

    monkeypatch.setattr(viewing, "send_all", refuse)
    with pytest.raises(NotTaken):
        send_viewing(settings, lambda _: None)
    assert needs_viewing(settings)
    with library.session() as s:
        assert all(token.revoked_at for token in tokens.list_all(s)), "no token is left behind"
    assert watched_vod


def test_all_films_are_over_long_before_the_first_start() -> None:
    """Requests come late by up to half an hour, and none may come from the future."""
    for channel in CHANNELS:
        for stream in channel.streams:
            ended_at = stream.starts_at(FIRST_START) + timedelta(minutes=stream.minutes)
            if stream.film is not None:
                assert FIRST_START - ended_at > viewing._BEFORE_FIRST_START + timedelta(minutes=30)
