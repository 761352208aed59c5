"""Addresses of our own servers.

What belongs here: host, ports, and the address that people use. What does not: the recorder's
ports (`video.py`).
"""

from __future__ import annotations

from pydantic import Field

from aethex.settings.group import SettingsGroup


class ServerSettings(SettingsGroup):
    """What our servers listen on, and under which address people reach them."""

    host: str = Field(default="127.0.0.1", description="Address that the servers listen on.")
    service_port: int = Field(default=8000, ge=1, le=65535, description="Port of the service.")
    dagster_port: int = Field(default=3000, ge=1, le=65535, description="Port of Dagster's UI.")
    dashboards_port: int = Field(
        default=8501, ge=1, le=65535, description="Port of the dashboards."
    )
    public_url: str | None = Field(
        default=None,
        description="Address under which people reach the service, without a slash at the end. "
        "Empty: http://localhost:<service port>.",
    )

    @property
    def effective_public_url(self) -> str:
        return (self.public_url or f"http://localhost:{self.service_port}").rstrip("/")
