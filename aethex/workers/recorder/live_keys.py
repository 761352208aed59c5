"""Which publisher has a stream key: one at a time, and who takes over.

What belongs here: the rule. What does not: sockets, and whether a key is good.

An encoder that lost its network reconnects while the server still waits for the dead connection.
So a newcomer waits for the holder: if that is heard from, it is alive and the newcomer is refused;
if it stays silent, it gives way, and its stream ends as lost before the new one begins.
"""

from __future__ import annotations

from typing import Protocol


class Holder(Protocol):
    """A publisher, seen by another one that wants its key."""

    async def falls_silent(self, seconds: float) -> bool: ...

    async def give_way(self) -> None: ...


class LiveKeys:
    """Stream keys and who has them. Keys stay in memory only."""

    def __init__(self, takeover_after_seconds: float) -> None:
        self._takeover_after_seconds = takeover_after_seconds
        self._holders: dict[str, Holder] = {}

    async def claim(self, key: str, newcomer: Holder) -> bool:
        """Whether the newcomer has the key now; waits for the holder, if there is one."""
        while (holder := self._holders.get(key)) is not None:
            if not await holder.falls_silent(self._takeover_after_seconds):
                return False
            await holder.give_way()
            if self._holders.get(key) is holder:
                del self._holders[key]
        self._holders[key] = newcomer
        return True

    def release(self, holder: Holder) -> None:
        """Give back what it has; nothing when it was taken over."""
        for key in [key for key, other in self._holders.items() if other is holder]:
            del self._holders[key]
