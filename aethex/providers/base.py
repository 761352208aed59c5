"""What every provider can do."""

from __future__ import annotations

from typing import ClassVar, Protocol, Self

import httpx

from aethex.settings import Settings


class ProviderError(Exception):
    """A provider did not answer, or not what it should have. One line that names it."""


class Provider(Protocol):
    """One provider, ready to be asked."""

    name: ClassVar[str]

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """The provider as the settings have it; None when they say too little."""
        ...

    async def count_viewers(self, http: httpx.AsyncClient, external_id: str) -> int:
        """Concurrent viewers of a live input now. Raises ProviderError; time limits are the
        caller's.
        """
        ...
