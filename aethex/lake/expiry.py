"""Expiry: past states of tables and past builds, and the files that nothing names any more.

What belongs here: deciding what is still needed, and deleting the rest. What does not: landing
(`landing_cleanup`), and when it runs (`maintenance`).

First names go (snapshots, builds), then files. A file is deleted when no kept snapshot, manifest,
metadata file or build names it, and it is older than any commit takes: what a running commit wrote
is not named yet. Files are listed before what is named is read, so one that a commit names in
between is seen. Killed anywhere, this leaves at most more files for the next time.

A REST catalog (R2 Data Catalog) deletes its tables' files by itself; nothing here touches them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING

from ulid import ULID

from aethex.lake.build_records import (
    CURRENT_KEY,
    Build,
    build_key,
    current_build,
    from_json,
    list_builds,
)
from aethex.lake.core import Lake
from aethex.lake.rewrite import CONFLICTS
from aethex.lake.tables import Table
from aethex.store import NotFound

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

    from aethex.store import Store

ATTEMPTS = 12
_READERS = 16
_DELETED_AT_ONCE = 1_000


@dataclass(frozen=True)
class Deleted:
    """Files that were deleted. is_all: False when time ran out before the last."""

    files: int = 0
    size_bytes: int = 0
    is_all: bool = True


class BuildFiles:
    """Keys of the data files that any kept build names; they are read at the first use.

    seconds: how long that took; 0 before.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seconds = 0.0

    @cached_property
    def keys(self) -> frozenset[str]:
        """Raises ValueError for a record that cannot be read: then nobody knows what it needs."""
        began = time.monotonic()
        records = [CURRENT_KEY, *(build_key(build_id) for build_id in list_builds(self._store))]
        with ThreadPoolExecutor(_READERS) as pool:
            found = frozenset[str]().union(*pool.map(self._of_record, records))
        self.seconds = time.monotonic() - began
        return found

    def _of_record(self, key: str) -> frozenset[str]:
        try:
            build = from_json(self._store.get(key))
        except NotFound:  # there is no current one yet, or it was expired meanwhile
            return frozenset()
        return frozenset(file.key for table in build.tables.values() for file in table.files)


def expire_snapshots(lake: Lake, table: Table, before: datetime) -> int:
    """Expire the snapshots that were replaced before that time (naive UTC); how many.

    The current one stays, and those that the current build compares with. Others are kept for as
    long as they were the table's state, not for as long as they exist.
    """
    for _ in range(ATTEMPTS):
        opened = lake.table(table)
        kept = _needed_snapshots(current_build(lake.store))
        old = sorted(_replaced_before(opened.metadata, before) - kept)
        if not old:
            return 0
        try:
            opened.maintenance.expire_snapshots().by_ids(old).commit()
        except (*CONFLICTS, ValueError):  # ValueError: somebody else expired one of them
            continue
        return len(old)
    return 0


def expire_builds(store: Store, before: datetime) -> list[str]:
    """Delete the records of builds made before that time (naive UTC), but for the current one;
    their ids.
    """
    current = current_build(store)
    old = [
        build_id
        for build_id in list_builds(store)
        if _made_at(build_id) < before and (current is None or build_id != current.id)
    ]
    store.delete([build_key(build_id) for build_id in old])
    return old


def delete_orphans(
    lake: Lake,
    table: Table,
    before: datetime,
    builds: BuildFiles,
    *,
    is_over: Callable[[], bool] = lambda: False,
) -> Deleted:
    """Delete files below the table's location that nothing names and that are older than `before`
    (naive UTC).

    Does nothing where the catalog does it by itself, or where the table lies outside of the store.
    """
    prefix = lake.key(lake.table(table).location())
    if lake.settings.catalog_url is not None or prefix is None:
        return Deleted()
    limit = before.replace(tzinfo=UTC)
    old = [info for info in lake.store.list(prefix) if info.modified_at < limit]
    if not old:
        return Deleted()
    # opened anew, after the listing
    named = {lake.key(address) for address in named_files(lake.table(table))}
    if table.is_published:
        named |= builds.keys
    orphans = [info for info in old if info.key not in named]
    files = size_bytes = 0
    for start in range(0, len(orphans), _DELETED_AT_ONCE):
        batch = orphans[start : start + _DELETED_AT_ONCE]
        if is_over():
            return Deleted(files, size_bytes, is_all=False)
        lake.store.delete([info.key for info in batch])
        files += len(batch)
        size_bytes += sum(info.size_bytes for info in batch)
    return Deleted(files, size_bytes)


def named_files(opened: IcebergTable) -> set[str]:
    """Addresses of all files that a reader of any of the table's snapshots may need."""
    metadata = opened.metadata
    named = {opened.metadata_location, *(entry.metadata_file for entry in metadata.metadata_log)}
    named |= {file.statistics_path for file in metadata.statistics}
    named |= {snapshot.manifest_list for snapshot in metadata.snapshots}
    with ThreadPoolExecutor(_READERS) as pool:
        lists = pool.map(partial(_manifests_of, opened.io), metadata.snapshots)
        manifests = {manifest.manifest_path: manifest for found in lists for manifest in found}
        named |= manifests.keys()
        return named.union(*pool.map(partial(_live_in, opened.io), manifests.values()))


def _manifests_of(io: FileIO, snapshot: Snapshot) -> list[ManifestFile]:
    return snapshot.manifests(io)


def _live_in(io: FileIO, manifest: ManifestFile) -> set[str]:
    entries = manifest.fetch_manifest_entry(io, discard_deleted=True)
    return {entry.data_file.file_path for entry in entries}


def _replaced_before(metadata: TableMetadata, before: datetime) -> set[int]:
    """Snapshots whose successor was made before that time; never one that a branch or tag names."""
    limit_ms = before.replace(tzinfo=UTC).timestamp() * 1000
    heads = {ref.snapshot_id for ref in metadata.refs.values()}
    in_order = sorted(metadata.snapshots, key=lambda one: one.sequence_number or 0)
    replaced = (one for one, after in pairwise(in_order) if after.timestamp_ms < limit_ms)
    return {one.snapshot_id for one in replaced} - heads


def _needed_snapshots(build: Build | None) -> set[int | None]:
    """What the next `due` and readers of event tables as of the current build look at."""
    if build is None:
        return set()
    held = {table.snapshot_id for table in build.tables.values()}
    return held | set(build.events.values()) | set(build.dims.values())


def _made_at(build_id: str) -> datetime:
    return ULID.from_str(build_id.removeprefix("build_")).datetime.replace(tzinfo=None)
