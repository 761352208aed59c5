"""The two places that everything comes from: landed events and the library's records.

They are external assets: the platform writes them outside of Dagster, and the assets that read them
record an observation of what they found.
"""

from __future__ import annotations

import dagster as dg

LANDING = dg.AssetSpec(
    "landing",
    group_name="landing",
    kinds={"parquet"},
    owners=["team:platform"],
    description=(
        "Landed events: immutable Parquet objects `landing/<yyyy>/<mm>/<dd>/<hh>/<ulid>.parquet`, "
        "one a flush or import batch, durable when the writer was answered. Grain: one row per "
        "event as received, repeats included."
    ),
)

LIBRARY = dg.AssetSpec(
    "library",
    group_name="landing",
    kinds={"postgres"},
    owners=["team:platform"],
    description=(
        "The records in Postgres: channels, streams and their segments, categories, VODs. "
        "Grain: one row per record, as it is now."
    ),
)

SOURCES = [LANDING, LIBRARY]
