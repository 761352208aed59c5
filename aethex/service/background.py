"""Work that the service does beside answering, for as long as it runs.

What belongs here: starting and ending it. What does not: the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def in_background(work: Callable[[], Awaitable[None]], name: str) -> AsyncGenerator[None]:
    """Run `work`, which never ends by itself, while the block lasts.

    At the block's end it is cancelled where it waits; what it does in a thread just then is
    finished first, so that nothing is closed under it.
    """
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            await work()

    task = asyncio.create_task(run(), name=name)
    try:
        yield
    finally:
        # a task's own cancel() would leave its threads to themselves
        scope.cancel()
        with anyio.CancelScope(shield=True):
            await task
