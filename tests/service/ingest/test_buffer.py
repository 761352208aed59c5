"""Group commit: who is answered when, what waits, and what a failure costs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aethex.service.ingest import buffer as module
from aethex.service.ingest.buffer import BufferFull, BufferLimits, LandingBuffer
from aethex.service.ingest.objects import Part, Rejected
from aethex.store import StoreUnreachable

NOW = datetime(2026, 1, 30, tzinfo=UTC)
AT_ONCE = BufferLimits(flush_seconds=0, flush_rows=100, max_rows=1000)
LATE = BufferLimits(flush_seconds=3600, flush_rows=100, max_rows=1000)


def part(rows: int) -> Part:
    row: Any = ("chat", "id", "ch_1", None, None, None, None, None, NOW, b"{}")
    return Part(NOW, timedelta(), [row] * rows)


class Disk:
    """Remembers what was written; can hold writes up, or fail them."""

    def __init__(self) -> None:
        self.written: list[list[Part]] = []
        self.fails = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def write(self, parts: list[Part]) -> None:
        self.may_go_on.wait()
        if self.fails:
            self.fails -= 1
            raise StoreUnreachable("away")
        self.written.append(parts)

    @property
    def rows(self) -> int:
        return sum(one.size for parts in self.written for one in parts)


def run(
    limits: BufferLimits, disk: Disk, story: Callable[[LandingBuffer], Awaitable[None]]
) -> None:
    async def live() -> None:
        buffer = LandingBuffer(disk.write, limits)
        async with buffer.running():
            await story(buffer)

    asyncio.run(live())


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until that holds."""
    while not condition():
        await asyncio.sleep(0)


def test_a_part_is_answered_once_it_is_written() -> None:
    disk = Disk()

    async def story(buffer: LandingBuffer) -> None:
        disk.may_go_on.clear()
        waiting = asyncio.create_task(buffer.add(part(3)))
        await until(lambda: buffer.rows == 3)
        assert not waiting.done()
        disk.may_go_on.set()
        await waiting
        assert disk.rows == 3
        await until(lambda: buffer.rows == 0)

    run(AT_ONCE, disk, story)


def test_parts_that_come_together_are_written_together() -> None:
    disk = Disk()

    async def story(buffer: LandingBuffer) -> None:
        await asyncio.gather(*(buffer.add(part(10)) for _ in range(10)))
        assert [len(parts) for parts in disk.written] == [10]

    run(LATE, disk, story)


def test_a_flush_stops_waiting_when_it_is_full_and_takes_whole_parts() -> None:
    disk = Disk()

    async def story(buffer: LandingBuffer) -> None:
        tasks = [asyncio.create_task(buffer.add(part(60))) for _ in range(4)]
        await asyncio.gather(*tasks)

    run(LATE, disk, story)
    assert [[one.size for one in parts] for parts in disk.written] == [[60, 60], [60, 60]]


def test_what_waits_at_the_end_is_written_and_nothing_more_is_taken() -> None:
    disk = Disk()
    answered: list[str] = []

    async def live() -> None:
        buffer = LandingBuffer(disk.write, LATE)

        async def add() -> None:
            await buffer.add(part(5))
            answered.append("yes")

        async with buffer.running():
            tasks = [asyncio.create_task(add()) for _ in range(3)]
            await until(lambda: buffer.rows == 15)
        await asyncio.gather(*tasks)
        with pytest.raises(BufferFull):
            await buffer.add(part(1))

    asyncio.run(live())
    assert (disk.rows, answered) == (15, ["yes"] * 3)


def test_beyond_its_bound_it_is_full_until_something_was_written() -> None:
    disk = Disk()

    async def story(buffer: LandingBuffer) -> None:
        disk.may_go_on.clear()
        tasks = [asyncio.create_task(buffer.add(part(500))) for _ in range(2)]
        await until(lambda: buffer.rows == 1000)
        with pytest.raises(BufferFull):
            await buffer.add(part(1))
        disk.may_go_on.set()
        await asyncio.gather(*tasks)
        await buffer.add(part(1000))

    run(AT_ONCE, disk, story)
    assert disk.rows == 2000


def test_a_store_that_fails_for_a_moment_costs_nobody_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ATTEMPT_PAUSE_SECONDS", 0)
    disk = Disk()
    disk.fails = module.ATTEMPTS - 1
    run(AT_ONCE, disk, lambda buffer: buffer.add(part(2)))
    assert disk.rows == 2


def test_a_store_that_stays_away_is_told_to_those_of_that_flush_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ATTEMPT_PAUSE_SECONDS", 0)
    disk = Disk()
    disk.fails = module.ATTEMPTS
    heard: list[tuple[int, bool]] = []

    async def live() -> None:
        buffer = LandingBuffer(
            disk.write, AT_ONCE, lambda rows, _, is_written: heard.append((rows, is_written))
        )
        async with buffer.running():
            with pytest.raises(StoreUnreachable):
                await buffer.add(part(2))
            assert buffer.rows == 0
            await buffer.add(part(3))

    asyncio.run(live())
    assert disk.rows == 3
    assert heard == [(2, False), (3, True)]


def test_who_went_away_meanwhile_holds_up_nobody() -> None:
    disk = Disk()

    async def story(buffer: LandingBuffer) -> None:
        disk.may_go_on.clear()
        gone = asyncio.create_task(buffer.add(part(1)))
        stays = asyncio.create_task(buffer.add(part(2)))
        await until(lambda: buffer.rows == 3)
        gone.cancel()
        disk.may_go_on.set()
        await stays
        await until(lambda: buffer.rows == 0)

    run(AT_ONCE, disk, story)


def test_a_slow_flush_does_not_hold_up_the_next_one() -> None:
    disk = Disk()
    slow = threading.Event()
    first: list[Part] = []

    def write(parts: list[Part]) -> None:
        if not first:
            first.extend(parts)
            slow.wait()
        disk.write(parts)

    async def live() -> None:
        buffer = LandingBuffer(write, AT_ONCE)
        async with buffer.running():
            stuck = asyncio.create_task(buffer.add(part(1)))
            await until(lambda: bool(first))
            await buffer.add(part(2))
            assert not stuck.done()
            slow.set()
            await stuck

    asyncio.run(live())
    assert disk.rows == 3


def test_refused_events_count_as_rows() -> None:
    refused = Part(NOW, timedelta(), [], [Rejected(None, None, "bad", b"x")] * 3)
    assert refused.size == 3
