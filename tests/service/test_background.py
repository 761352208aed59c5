"""Work beside answering: it ends with its block, and what a thread is doing is finished first."""

from __future__ import annotations

import asyncio
import threading

import anyio.to_thread
import pytest

from aethex.service.background import in_background
from tests.service.collecting import tell


def test_at_the_end_of_the_block_it_is_cancelled_where_it_waits() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            seen.append("began")
            await asyncio.Event().wait()
        finally:
            seen.append("cleaned up")

    async def story() -> None:
        async with in_background(work, "work"):
            while not seen:
                await asyncio.sleep(0)
        assert seen == ["began", "cleaned up"]

    tell(story())


def test_a_block_that_ends_before_it_has_begun_ends_it_too() -> None:
    async def story() -> None:
        async with in_background(asyncio.Event().wait, "work"):  # pyright: ignore[reportArgumentType]
            pass
        assert len(asyncio.all_tasks()) == 2  # the story and its patience

    tell(story())


def test_what_a_thread_is_doing_is_finished_and_nothing_after_it_is_begun() -> None:
    began, may_end = threading.Event(), threading.Event()
    done: list[int] = []

    def step() -> None:
        began.set()
        may_end.wait(10)
        done.append(1)

    async def work() -> None:
        while True:
            await anyio.to_thread.run_sync(step)

    async def story() -> None:
        async with in_background(work, "work"):
            await asyncio.to_thread(began.wait)
            asyncio.get_running_loop().call_later(0.05, may_end.set)
        assert done == [1]

    tell(story())


def test_an_error_of_the_block_stays_itself() -> None:
    async def story() -> None:
        async with in_background(asyncio.Event().wait, "work"):  # pyright: ignore[reportArgumentType]
            raise KeyError("of the block")

    with pytest.raises(KeyError, match="of the block"):
        tell(story())
