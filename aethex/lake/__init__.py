"""What happened: event tables, landing, publishing, SQL models and builds. No Dagster, no FastAPI.

The names that other rooms need first are exported here; the rest is imported from its module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aethex.lake.core import Lake

if TYPE_CHECKING:
    from aethex.lake.connections import connect

__all__ = ["Lake", "connect"]


def __getattr__(name: str) -> Any:
    """`connect` is loaded at its first use: publishing and landing do not need the reading side."""
    if name == "connect":
        from aethex.lake.connections import connect

        return connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
