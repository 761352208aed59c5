"""Passwords are hashed a few at a time, whoever asks."""

from __future__ import annotations

import threading

import anyio
import pytest

from aethex.library.passwords import Passwords
from aethex.service.hashing import AT_ONCE, WAITING, BoundedPasswords
from aethex.service.problems import Problem


class Slow(Passwords):
    """Hashes only when it may, and knows how many it was asked for at once."""

    def __init__(self) -> None:
        super().__init__(8 * 1024)
        self.may_go = threading.Event()
        self.now = self.most = 0
        self._lock = threading.Lock()

    def hash(self, password: str) -> str:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.may_go.wait(60)
        with self._lock:
            self.now -= 1
        return password


def test_a_flood_is_hashed_a_few_at_a_time_and_what_is_too_much_is_refused() -> None:
    slow, refused, done = Slow(), [], []

    async def flood() -> None:
        passwords = BoundedPasswords(slow)

        async def one() -> None:
            done.append(await passwords.hash("a password"))

        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE + WAITING):
                group.start_soon(one)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(Problem) as problem:
                await passwords.hash("one more")
            refused.append(problem.value)
            slow.may_go.set()
        await passwords.hash("there is room again")

    anyio.run(flood)
    assert (refused[0].status, refused[0].headers["Retry-After"]) == (503, "10")
    assert slow.most == AT_ONCE
    assert len(done) == AT_ONCE + WAITING
