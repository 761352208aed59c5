"""The collector's minutes: each counts once, those that were missed stay missing; and its end."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from aethex.lake import Lake
from aethex.library import Library
from aethex.postgres import DatabaseUnreachable
from aethex.service import collector as module
from aethex.service.collector import Collector
from aethex.service.metrics import Metrics
from aethex.settings import Settings
from aethex.store import Store, StoreUnreachable
from tests.cloudflare import cloudflare
from tests.service.collecting import (
    AT,
    MINUTE,
    Clock,
    Collectors,
    Minutes,
    add_stream,
    holders_of_the_lock,
    published_samples,
    tell,
)

NEXT = datetime(2026, 1, 30, 19, 5, tzinfo=UTC)


def test_two_that_poll_one_minute_publish_each_sample_once(
    collectors: Collectors, library: Library, lake: Lake
) -> None:
    one, other = add_stream(library, "abc"), add_stream(library, "def")

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("abc", 113)
            asked.count("def", 4)
            await asyncio.gather(collectors.of(asked).poll(NEXT), collectors.of(asked).poll(NEXT))

    tell(story())
    assert len(list(lake.store.list("landing"))) == 2
    once = [(one, "19:05:00", "cloudflare", 113), (other, "19:05:00", "cloudflare", 4)]
    assert published_samples(lake) == once

    async def again() -> None:
        async with cloudflare() as asked:
            asked.count("abc", 200)
            asked.count("def", 200)
            await collectors.of(asked).poll(NEXT)

    tell(again())
    assert published_samples(lake) == once


def test_minutes_in_which_the_process_was_down_are_missing(
    collectors: Collectors, library: Library, lake: Lake
) -> None:
    stream = add_stream(library, "abc")

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("abc", 10)
            before, after = Minutes(), Minutes(Clock(AT + 3 * MINUTE))
            async with collectors.of(asked, before).running():
                await before.collect()
            asked.count("abc", 20)
            async with collectors.of(asked, after).running():
                await after.collect()
                await after.collect()

    tell(story())
    assert published_samples(lake) == [
        (stream, "19:05:00", "cloudflare", 10),
        (stream, "19:08:00", "cloudflare", 20),
        (stream, "19:09:00", "cloudflare", 20),
    ]


@pytest.mark.parametrize("woken_at", [NEXT + MINUTE, NEXT + 3 * MINUTE, NEXT - timedelta(hours=1)])
def test_a_minute_that_was_slept_through_is_missing_and_the_next_is_collected(
    collectors: Collectors, library: Library, lake: Lake, woken_at: datetime
) -> None:
    """Whoever sleeps, or has its clock set, must not book now's viewers under another minute."""
    stream = add_stream(library, "abc")
    expected = f"{woken_at + MINUTE:%H:%M:%S}"

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("abc", 10)
            minutes = Minutes()
            async with collectors.of(asked, minutes).running():
                assert await minutes.wanted() == NEXT
                minutes.begin(woken_at)
                await minutes.until_idle()
                assert asked.asked == []
                await minutes.collect()

    tell(story())
    assert published_samples(lake) == [(stream, expected, "cloudflare", 10)]


@pytest.mark.parametrize(
    ("part", "method", "error"),
    [
        (Store, "put", StoreUnreachable("The store does not answer.")),
        (Library, "session", DatabaseUnreachable("Postgres does not answer.")),
    ],
    ids=["store", "database"],
)
def test_a_minute_without_store_or_database_is_missing_and_the_next_is_collected(
    collectors: Collectors,
    library: Library,
    lake: Lake,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: type,
    method: str,
    error: Exception,
) -> None:
    stream = add_stream(library, "abc")

    def fail(*_: object, **__: object) -> None:
        raise error

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("abc", 10)
            minutes = Minutes()
            async with collectors.of(asked, minutes).running():
                await minutes.collect()
                with monkeypatch.context() as away:
                    away.setattr(part, method, fail)
                    await minutes.collect()
                await minutes.collect()

    tell(story())
    assert [row[:2] for row in published_samples(lake)] == [
        (stream, "19:05:00"),
        (stream, "19:07:00"),
    ]
    assert f"The minute 2026-01-30 19:06:00+00:00 was not collected: {error}" in caplog.messages


def test_without_a_provider_nothing_runs(
    settings: Settings, library: Library, folder_store: Store
) -> None:
    async def story() -> None:
        idle = Collector(settings, library, folder_store, Metrics())
        async with idle.running():
            assert len(asyncio.all_tasks()) == 2  # the story and its patience

    tell(story())


# --- the end --------------------------------------------------------------------------------------


def test_a_stop_gives_up_polls_that_hang_and_gives_the_lock_back(
    collectors: Collectors,
    library: Library,
    settings: Settings,
    folder_store: Store,
    recwarn: pytest.WarningsRecorder,
) -> None:
    add_stream(library, "silent")

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("silent", 1, after=asyncio.Event())
            minutes = Minutes()
            async with collectors.of(asked, minutes).running():
                await minutes.wanted()
                minutes.begin()
                await asked.until_asked(1)
                assert len(holders_of_the_lock(settings)) == 1
            await asked.until_left()

            # the server sees in a moment that the connection was closed
            while await asyncio.to_thread(holders_of_the_lock, settings):
                pass

    tell(story())
    assert list(folder_store.list("landing")) == []
    # it was closed, not left to the garbage collector
    assert [one for one in recwarn if "AsyncConnection" in str(one.message)] == []


def test_a_stop_waits_for_what_is_just_landing(
    collectors: Collectors, library: Library, folder_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_stream(library, "abc")
    landing, may_land = threading.Event(), threading.Event()
    put = Store.put

    def slowly(*args, **options):
        landing.set()
        may_land.wait(10)
        return put(*args, **options)

    monkeypatch.setattr(Store, "put", slowly)

    async def story() -> None:
        async with cloudflare() as asked:
            asked.count("abc", 1)
            minutes = Minutes()
            async with collectors.of(asked, minutes).running():
                await minutes.wanted()
                minutes.begin()
                await asyncio.to_thread(landing.wait)
                asyncio.get_running_loop().call_later(0.1, may_land.set)
        assert len(list(folder_store.list("landing"))) == 1

    tell(story())


def test_sleeping_ends_at_its_time_or_when_the_clock_was_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [NEXT - timedelta(seconds=20)]
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += steps.pop(0)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    monkeypatch.setattr(module, "utc_now", lambda: clock[0])
    steps = [timedelta(seconds=19.5), timedelta(seconds=0.5)]
    asyncio.run(module.sleep_until(NEXT))
    assert slept == [20.0, 0.5]
    clock[0], steps = NEXT - timedelta(seconds=20), [timedelta(hours=-3)]
    asyncio.run(module.sleep_until(NEXT))
    assert slept == [20.0, 0.5, 20.0]
