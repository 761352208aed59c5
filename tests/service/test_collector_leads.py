"""Of several collectors one leads: by a lock of a real Postgres, which goes with its connection."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import psycopg
import pytest

from aethex.lake import Lake
from aethex.library import Library
from aethex.service import collector as module
from aethex.service.collector import Collector
from aethex.settings import Settings
from tests.cloudflare import cloudflare
from tests.service.collecting import (
    Clock,
    Collectors,
    Minutes,
    add_stream,
    holders_of_the_lock,
    published_samples,
    tell,
)


class Watched(Collector):
    """A collector that says how often it has tried to lead, and whether it ended to."""

    tries = 0

    async def _lead(self) -> None:
        try:
            await super()._lead()
        finally:
            self.tries += 1

    async def tried(self, more: int, since: int | None = None) -> None:
        """Return when it has ended that many tries more than now (or than `since`)."""
        enough = (self.tries if since is None else since) + more
        while self.tries < enough:
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLLOWER_SECONDS", 0.01)


def end_connection_of_the_leader(settings: Settings) -> None:
    (pid,) = holders_of_the_lock(settings)
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute("select pg_terminate_backend(%s, 5000)", [pid])


def test_one_leads_and_the_other_does_not_poll(
    collectors: Collectors, library: Library, lake: Lake
) -> None:
    stream = add_stream(library, "abc")

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("abc", 5)
            clock = Clock()
            mine, theirs = Minutes(clock), Minutes(clock)
            other = collectors.of(asked, theirs, Watched)
            async with collectors.of(asked, mine).running():
                await mine.until_idle()
                async with other.running():
                    await other.tried(3)
                    await mine.collect()
                    await mine.collect()
                    await other.tried(3)
                    assert not theirs.is_wanted
                    assert asked.asked == ["abc"] * 2

    tell(story())
    assert published_samples(lake) == [
        (stream, "19:05:00", "cloudflare", 5),
        (stream, "19:06:00", "cloudflare", 5),
    ]


def test_when_the_leaders_connection_is_lost_the_other_polls_and_the_old_leader_does_not(
    collectors: Collectors, library: Library, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    add_stream(library, "abc")

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("abc", 5)
            clock = Clock()
            mine, theirs = Minutes(clock), Minutes(clock)
            old, new = collectors.of(asked, mine, Watched), collectors.of(asked, theirs, Watched)
            async with old.running():
                minute = await mine.wanted()
                async with new.running():
                    await asyncio.to_thread(end_connection_of_the_leader, settings)
                    # now both believe to lead, and wait for the same minute
                    assert await theirs.wanted() == minute
                    mine.begin()
                    await old.tried(1, since=0)
                    assert asked.asked == []
                    theirs.begin()
                    await theirs.until_idle()
                    assert asked.asked == ["abc"]
                    # the old one follows
                    await old.tried(3)
                    assert not mine.is_wanted
                    assert len(holders_of_the_lock(settings)) == 1
                # and leads again when the other has stopped
                await mine.collect()
                assert asked.asked == ["abc"] * 2

    tell(story())
    assert "The collector was interrupted and tries again" in caplog.text


def test_when_the_leader_stops_the_other_goes_on_with_the_next_minute(
    collectors: Collectors, library: Library, lake: Lake
) -> None:
    stream = add_stream(library, "abc")

    async def story() -> None:
        async with cloudflare() as asked, AsyncExitStack() as until_the_end:
            asked.count("abc", 5)
            clock = Clock()
            mine, theirs = Minutes(clock), Minutes(clock)
            other = collectors.of(asked, theirs, Watched)
            async with collectors.of(asked, mine).running():
                await mine.until_idle()
                await until_the_end.enter_async_context(other.running())
                await other.tried(1)
                await mine.collect()
                assert not theirs.is_wanted
            await theirs.collect()

    tell(story())
    assert published_samples(lake) == [
        (stream, "19:05:00", "cloudflare", 5),
        (stream, "19:06:00", "cloudflare", 5),
    ]


def test_a_database_that_is_away_at_first_is_tried_again_and_named_in_one_line(
    collectors: Collectors, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    away = settings.model_copy(
        update={"database_url": "postgresql://me:hunter2@127.0.0.1:1/nothing"}
    )

    async def story() -> None:
        async with cloudflare() as asked:
            minutes = Minutes()
            collector = collectors.of(asked, minutes, Watched)
            collector._settings = away
            async with collector.running():
                await collector.tried(2)
                collector._settings = settings
                await minutes.wanted()

    tell(story())
    said = caplog.messages[0]
    assert "Postgres does not answer at postgresql://me:***@127.0.0.1:1/nothing" in said
    assert "\n" not in said
