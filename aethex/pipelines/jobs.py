"""The two jobs of a refresh, maintenance, and the clean-up of VODs.

`publish_job` takes in what has landed and what the library says; `models_job` computes what that
makes due and publishes a build; `maintenance_job` keeps the lake fast and small. These three write
to the lake, so they carry the tag of the run queue's limit: one of them at a time.
`vod_cleanup_job` deletes VODs whose time is over.
"""

from __future__ import annotations

import dagster as dg

from aethex.pipelines.work import archive_job

LAKE_WRITER_TAG = {"aethex/writes": "lake"}

publish_job = dg.define_asset_job(
    "publish_job",
    selection=dg.AssetSelection.groups("events", "dims"),
    tags=LAKE_WRITER_TAG,
    description="Publish landed events and snapshot the library.",
)

models_job = dg.define_asset_job(
    "models_job",
    selection=dg.AssetSelection.groups("models", "marts"),
    tags=LAKE_WRITER_TAG,
    description="Compute the mart tables for the days that are due (or the days of a backfill), "
    "check them, and publish a build.",
)

maintenance_job = dg.define_asset_job(
    "maintenance_job",
    selection=dg.AssetSelection.groups("maintenance"),
    tags=LAKE_WRITER_TAG,
    description="Compact the event tables, expire past states and builds, delete what nothing "
    "names, clean up landing and quarantine.",
)

vod_cleanup_job = dg.define_asset_job(
    "vod_cleanup_job",
    selection=dg.AssetSelection.assets("vod_cleanup"),
    description="Hide VODs that are older than their channel keeps them, delete those that were "
    "hidden long enough.",
)

JOBS = [publish_job, models_job, maintenance_job, vod_cleanup_job, archive_job]
