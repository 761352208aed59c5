"""How the service takes events in.

What belongs here: its processes, flushes, buffer and limits. What does not: what becomes of landed
events (`lake.py`).
"""

from __future__ import annotations

from pydantic import Field

from aethex.settings.group import SettingsGroup
from aethex.settings.values import Listed


class EventSettings(SettingsGroup):
    """The service's processes, and the limits of what players send."""

    service_workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes of the service, each with its own buffer, and its own count of what "
        "players send.",
    )
    cors_origins: Listed = Field(
        default=(),
        description="Other origins whose pages may send events, such as https://aethex.live, "
        "separated by commas.",
    )
    events_flush_ms: int = Field(
        default=250,
        ge=0,
        le=10_000,
        description="How long the first event of a flush waits for others, in milliseconds.",
    )
    events_flush_rows: int = Field(
        default=20_000, gt=0, description="Events at which a flush waits no longer."
    )
    events_buffer_rows: int = Field(
        default=100_000,
        gt=0,
        description="Events that may wait for the store; beyond that the answer is 429.",
    )
    events_per_viewer_minute: int = Field(
        default=600, gt=0, description="Events that one viewer's players may send in a minute."
    )
    events_per_address_minute: int = Field(
        default=12_000,
        gt=0,
        description="Events that players may send from one address (of IPv6: one /64) in a minute.",
    )
