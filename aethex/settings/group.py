"""What settings are read from: the environment, or the project's `.env`.

What belongs here: the prefix, the file, and what an empty value means. What does not: any setting.
"""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

from aethex.settings.values import PROJECT_DIR


class SettingsGroup(BaseSettings):
    """The settings of one concern; `Settings` is all of them together."""

    model_config = SettingsConfigDict(
        env_prefix="AETHEX_",
        env_file=PROJECT_DIR / ".env",
        env_ignore_empty=True,
        extra="ignore",
    )
