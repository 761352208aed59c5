"""Maintenance in processes of their own, which stop where the test wants them: killed or raced."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Any, cast

from aethex.lake import Lake, compaction, expiry, landing_cleanup
from aethex.lake.event_tables import VIEWER_SNAPSHOTS
from aethex.lake.expiry import BuildFiles, Deleted, delete_orphans, expire_snapshots
from aethex.lake.landing import land
from aethex.lake.maintenance import all_tables
from aethex.lake.publish import publish
from aethex.lake.rewrite import live_files
from aethex.settings import Settings
from aethex.store import Store
from tests.lake.events import landed, snapshot
from tests.lake.processes import Reach, Worker, stopping, worker

LATER = date(2026, 6, 1)
COMPACTING = ["planned", "rows read", "files written", "exchanged", "one done"]
EXPIRING = ["expired", "listed", "names read", "deleting", "deleted"]
CLEANING = ["proving", "proven", "writing", "written", "deleting", "first deleted", "deleted"]
FAR = datetime.fromisoformat("2100-01-01")


def publish_windows(lake: Lake, windows: int, *, rows: int = 20, streams: int = 1) -> None:
    """So many windows with rows of one day, each of all streams."""
    for n in range(windows):
        minutes = range(n * rows, (n + 1) * rows)
        land(lake, landed(snapshot(m, stream_id=f"st_{m % streams}") for m in minutes))
        publish(lake)


def file_count(lake: Lake) -> int:
    return len(live_files(lake.table(VIEWER_SNAPSHOTS)))


def compact(lake: Lake, today: date = LATER, **options: Any) -> compaction.Compacted:
    return compaction.compact_table(lake, VIEWER_SNAPSHOTS, today, **options)


def compactor(settings: Settings, *stop_at: str) -> AbstractContextManager[Worker]:
    """A compaction of the viewer snapshots; COMPACTING are its points."""
    return worker(_compact, settings, *stop_at)


def _compact(settings: Settings, reach: Reach) -> None:
    with Lake.open(settings) as lake:
        lake.catalog.commit_table = stopping(
            lake.catalog.commit_table, reach, "files written", "exchanged"
        )
        compaction.read_rows = stopping(compaction.read_rows, reach, "planned", "rows read")
        compaction.replace_files = stopping(compaction.replace_files, reach, "begun", "one done")
        compaction.compact_table(lake, VIEWER_SNAPSHOTS, LATER)


def expire_all(lake: Lake, before: datetime = FAR) -> tuple[int, Deleted]:
    """Expire every past snapshot of every table, then delete what nothing names: files older than
    `before`.
    """
    tables = all_tables().values()
    snapshots = sum(expire_snapshots(lake, table, FAR) for table in tables)
    builds = BuildFiles(lake.store)
    found = [delete_orphans(lake, table, before, builds) for table in tables]
    return snapshots, Deleted(sum(d.files for d in found), sum(d.size_bytes for d in found))


def expirer(settings: Settings, *stop_at: str) -> AbstractContextManager[Worker]:
    """`expire_all` of the viewer snapshots; EXPIRING are its points."""
    return worker(_expire, settings, *stop_at)


def _expire(settings: Settings, reach: Reach) -> None:
    def listing(*args: Any) -> Any:
        found = list(listed(*args))
        reach("listed")
        return found

    with Lake.open(settings) as lake:
        listed = lake.store.list
        cast("Any", lake.store).list = listing
        lake.store.delete = stopping(lake.store.delete, reach, "deleting", "deleted")
        expiry.named_files = stopping(expiry.named_files, reach, "reading", "names read")
        expire_snapshots(lake, VIEWER_SNAPSHOTS, FAR)
        reach("expired")
        delete_orphans(lake, VIEWER_SNAPSHOTS, FAR, BuildFiles(Store.open(lake.store.url)))


def cleaner(settings: Settings, *stop_at: str) -> AbstractContextManager[Worker]:
    """A clean-up of landing; CLEANING are its points."""
    return worker(_clean, settings, *stop_at)


def _clean(settings: Settings, reach: Reach) -> None:
    with Lake.open(settings) as lake:
        prove = landing_cleanup.count_window
        landing_cleanup.count_window = stopping(prove, reach, "proving", "proven")
        for name in ("create", "replace"):
            setattr(lake.store, name, stopping(getattr(lake.store, name), reach, *CLEANING[2:4]))
        lake.store.delete = stopping(lake.store.delete, reach, "deleting", "deleted")
        folder = lake.store._folder
        folder.delete = stopping(folder.delete, reach, "one by one", "first deleted")
        landing_cleanup.clean_landing(lake, FAR)
