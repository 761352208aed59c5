"""The library's rows as the lake's dims, as the dims asset takes them."""

from __future__ import annotations

from aethex.lake import Lake
from aethex.lake.core import utc_now
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.dims import snapshot_dim
from aethex.library import Library, snapshot_rows


def snapshot_library(lake: Lake, library: Library) -> None:
    """Bring all dims up to date."""
    with library.session() as session:
        rows = snapshot_rows(session)
    for name, table in DIM_TABLES.items():
        snapshot_dim(lake, table, rows[name], utc_now())
