"""Hashing passwords without letting a flood of them take the machine.

What belongs here: how many are worked on at once, and how many may wait. What does not: the hash
(`library.passwords`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from aethex.library.passwords import Passwords
from aethex.service.problems import Problem

AT_ONCE = 2
"""Passwords that one process hashes at once: each takes a core and tens of megabytes."""
WAITING = 40
"""Requests of one process that may wait for that."""
_WAIT_SECONDS = 10

T = TypeVar("T")


class BoundedPasswords:
    """`Passwords` for coroutines. Each call raises Problem (503) where too many wait already."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._pending = 0

    async def hash(self, password: str) -> str:
        """What is stored of the password."""
        return await self._run(lambda: self._passwords.hash(password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether it is that password; takes as long for one that nobody has (None)."""
        return await self._run(lambda: self._passwords.matches(stored, password))

    def is_outdated(self, stored: str) -> bool:
        """Whether it was hashed at another cost than is set now."""
        return self._passwords.is_outdated(stored)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= AT_ONCE + WAITING:
            raise Problem(
                503,
                "Too many people sign in at this moment: try again in a few seconds.",
                kind="busy",
                headers={"Retry-After": str(_WAIT_SECONDS)},
            )
        self._pending += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._pending -= 1
