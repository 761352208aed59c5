"""Every setting of the platform, typed, with a default that needs nothing installed.

What belongs here: names, types, defaults and meanings of settings, one file a concern, and values
that follow directly from them (paths, URLs). What does not: opening connections, or reading files
other than `.env`.

Each setting is read from the environment as `AETHEX_<NAME>`, or from the project's `.env`.
"""

from __future__ import annotations

from functools import lru_cache

from pydantic import Field

from aethex.settings.events import EventSettings
from aethex.settings.lake import LakeSettings
from aethex.settings.providers import ProviderSettings
from aethex.settings.servers import ServerSettings
from aethex.settings.sign_in import SignInSettings
from aethex.settings.storage import StorageSettings
from aethex.settings.values import PROJECT_DIR
from aethex.settings.video import VideoSettings

__all__ = ["PROJECT_DIR", "Settings", "get_settings"]


class Settings(
    # pydantic takes fields from the last base to the first: upwards, so that they are listed
    # (docs/settings.md) from what everybody needs to what few do
    LakeSettings,
    ProviderSettings,
    EventSettings,
    SignInSettings,
    VideoSettings,
    ServerSettings,
    StorageSettings,
):
    """All settings. A field's description is its documentation (docs/settings.md)."""

    demo: bool = Field(
        default=True, description="Whether `make up` makes demo content at its first start."
    )


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read once. Tests call `get_settings.cache_clear()`."""
    return Settings()
