"""Forgetting a viewer in the lake: its id goes out of everything that a search has found.

What belongs here: objects of landing and quarantine, files of tables, their past states. What does
not: looking (`forget_search`), numbers before and after (`forget_measures`), the library, and the
order of it all (`pipelines.forget`).

Nothing is remembered between steps: what is to be done follows from what a search finds, so a run
that was killed anywhere is finished by the next one. It needs the lake's turn (`turn`): then every
file of a table that nothing names is nobody's, and goes at once when it holds the id.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from aethex.lake.build_records import CURRENT_KEY, read_current, to_json
from aethex.lake.compaction import TARGET_ROWS
from aethex.lake.core import Lake
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.expiry import named_files
from aethex.lake.forget_search import Search
from aethex.lake.landing import PARQUET_TYPE, to_parquet
from aethex.lake.landing import PREFIX as LANDING
from aethex.lake.maintenance import all_tables
from aethex.lake.quarantine import PREFIX as QUARANTINE
from aethex.lake.rewrite import (
    CONFLICTS,
    MAINTENANCE,
    append_nothing,
    live_files,
    read_rows,
    replace_files,
)
from aethex.lake.tables import Table, stored_table
from aethex.lake.viewer_swap import Swap
from aethex.store import Conflict

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table as IcebergTable

WHY = "forget"
ATTEMPTS = 30

Progress = Callable[[str, float | None], None]


class ForgetFailed(RuntimeError):
    """Something could not be forgotten, or nobody could prove it. The message says what and where,
    never the id.
    """


@dataclass(frozen=True)
class LakeForgotten:
    """What was done. rows: that held the id, by table; landed and refused: events of landing and
    quarantine; snapshots: past states of tables that went; files: of tables that were deleted.
    """

    rows: Counter[str]
    landed: int = 0
    refused: int = 0
    snapshots: int = 0
    files: int = 0

    def __add__(self, other: LakeForgotten) -> LakeForgotten:
        return LakeForgotten(
            self.rows + other.rows,
            self.landed + other.landed,
            self.refused + other.refused,
            self.snapshots + other.snapshots,
            self.files + other.files,
        )


def tables_with_viewers() -> dict[str, Table]:
    """The tables that may hold a viewer's id: those of events, and those that no build holds."""
    events = {table.name for table in EVENT_TABLES.values()}
    tables = all_tables().items()
    return {name: table for name, table in tables if name in events or not table.is_published}


def forget_found(
    lake: Lake,
    swap: Swap,
    found: Search,
    began_at: datetime,
    progress: Progress = lambda _text, _share: None,
) -> LakeForgotten:
    """Take the id out of all that was found. `began_at` (naive UTC): when the lake's turn began.

    Landing comes first, so that nothing brings the id back into a table. Raises ForgetFailed for an
    object that nothing here can rewrite.
    """
    require_known(lake, found)
    landed, refused = found.below(LANDING), found.below(QUARANTINE)
    objects = {**landed, **refused}
    for n, key in enumerate(objects, start=1):
        progress(f"Rewriting landed objects: {n:,} of {len(objects):,}", n / len(objects))
        _rewrite_object(lake, swap, key)
    done = LakeForgotten(Counter(), sum(landed.values()), sum(refused.values()))
    for table in tables_with_viewers().values():
        hits = found.below(_prefix(lake, table))
        if hits:
            done += _forget_in_table(lake, table, swap, hits, began_at, progress)
    return done


def require_own_files(lake: Lake) -> None:
    """Raises ForgetFailed where a search of the store says nothing of the tables."""
    if lake.settings.catalog_url is not None:
        raise ForgetFailed(
            "the tables' files are kept by a REST catalog (AETHEX_CATALOG_URL), so nobody could "
            "prove here that they are gone: nothing was changed"
        )


def require_known(lake: Lake, found: Search) -> None:
    """Raises ForgetFailed when something was found where nothing here could take it out, or a table
    lies where nothing was looked for.
    """
    known = (LANDING, QUARANTINE, *(_prefix(lake, t) for t in tables_with_viewers().values()))
    if lost := sorted(key for key in found.rows if not key.startswith(known)):
        raise ForgetFailed(
            f"the id is in {len(lost)} objects that hold no viewers (first: {lost[0]}), so it was "
            "put there by somebody: look at them, and remove it by hand"
        )


def _prefix(lake: Lake, table: Table) -> str:
    """The folder of the table's files in the store."""
    location = lake.table(table).location()
    if (key := lake.key(location)) is None:
        raise ForgetFailed(
            f"the files of table {table.name} are at {location}, outside of the store "
            f"{lake.store.url}, so nobody could prove that they are gone: nothing was changed"
        )
    return f"{key}/"


def _rewrite_object(lake: Lake, swap: Swap, key: str) -> None:
    """Put the object again under its key, with as many rows in the same order."""
    rows = pq.read_table(BytesIO(lake.store.get(key)))
    changed = swap.landed(rows) if key.startswith(LANDING) else swap.refused(rows)
    lake.store.put(key, to_parquet(changed), content_type=PARQUET_TYPE)


# --- tables ---------------------------------------------------------------------------------------


def _forget_in_table(
    lake: Lake,
    table: Table,
    swap: Swap,
    hits: dict[str, int],
    began_at: datetime,
    progress: Progress,
) -> LakeForgotten:
    """Exchange the present files with the id, then drop every past state and what only it had."""
    rows = _exchange(lake, table, swap, hits, progress)
    progress(f"Deleting past states of {table.name}", None)
    _make_last_snapshot(lake, table)
    _move_build_on(lake, table)
    snapshots, files = _drop_the_past(lake, table)
    files += _delete_unnamed(lake, table, hits, began_at)
    return LakeForgotten(Counter({table.name: rows}), snapshots=snapshots, files=files)


def _exchange(
    lake: Lake, table: Table, swap: Swap, hits: dict[str, int], progress: Progress
) -> int:
    """Exchange present files that hold the id, as many at once as fit; rows that held it."""
    changed = lost = 0
    while lost < ATTEMPTS:
        opened = lake.table(table)
        files = [file for file in live_files(opened) if lake.key(file.file_path) in hits]
        if not files:
            return changed
        progress(f"Rewriting {table.name}: {len(files):,} files to go", None)
        for batch in _batches(files):
            try:
                _exchange_batch(lake, opened, table, swap, batch)
            except CONFLICTS:
                lost += 1
                time.sleep(0.05)
                break
            changed += sum(hits[lake.key(file.file_path) or ""] for file in batch)
            opened = lake.table(table)
    raise ForgetFailed(f"others kept writing to {table.name}: stop them, and run it again")


def _batches(files: list[DataFile]) -> Iterator[list[DataFile]]:
    batch: list[DataFile] = []
    for file in files:
        if batch and sum(f.record_count for f in batch) + file.record_count > TARGET_ROWS:
            yield batch
            batch = []
        batch.append(file)
    yield batch


def _exchange_batch(
    lake: Lake, opened: IcebergTable, table: Table, swap: Swap, batch: list[DataFile]
) -> None:
    instead = swap.columns(stored_table(table, opened.schema()))
    rows = read_rows(lake, opened, table, batch, instead=instead, values=swap.values)
    replace_files(opened, batch, rows, WHY)


def _make_last_snapshot(lake: Lake, table: Table) -> None:
    """A snapshot whose manifests say nothing of the files that are gone: not even the bounds of
    their ids.
    """
    for _ in range(ATTEMPTS):
        try:
            append_nothing(lake.table(table))
        except CONFLICTS:
            time.sleep(0.05)
            continue
        return
    raise ForgetFailed(f"others kept writing to {table.name}: stop them, and run it again")


def _move_build_on(lake: Lake, table: Table) -> None:
    """Let the current build name the present snapshot, where it names one with the same rows: what
    it was made of is not changed by other ids, so nothing is due because of them.
    """
    opened = lake.table(table)
    head = opened.current_snapshot()
    for _ in range(ATTEMPTS):
        build, info = read_current(lake.store)
        if build is None or info is None or head is None:
            return
        same = _snapshots_of_equal_rows(opened)
        events = {n: head.snapshot_id if s in same else s for n, s in build.events.items()}
        dims = {n: head.snapshot_id if s in same else s for n, s in build.dims.items()}
        moved = replace(build, events=events, dims=dims)
        if moved == build:
            return
        data, kind = to_json(moved), "application/json"
        try:
            lake.store.replace(CURRENT_KEY, data, if_match=info.etag, content_type=kind)
        except Conflict:
            continue
        return
    raise ForgetFailed("others kept publishing builds: stop them, and run it again")


def _snapshots_of_equal_rows(opened: IcebergTable) -> set[int]:
    """The snapshots before the present one that differ from it by maintenance alone."""
    found: set[int] = set()
    snapshot = opened.current_snapshot()
    while (
        snapshot is not None
        and snapshot.summary is not None
        and MAINTENANCE in snapshot.summary.additional_properties
        and snapshot.parent_snapshot_id is not None
    ):
        found.add(snapshot.parent_snapshot_id)
        snapshot = opened.snapshot_by_id(snapshot.parent_snapshot_id)
    return found


def _drop_the_past(lake: Lake, table: Table) -> tuple[int, int]:
    """Expire every snapshot but the present one, and delete what only they named: how many of
    both.

    Data files go last: as long as one is there, a next run looks at this table again.
    """
    for _ in range(ATTEMPTS):
        opened = lake.table(table)
        heads = {ref.snapshot_id for ref in opened.metadata.refs.values()}
        past = [s.snapshot_id for s in opened.metadata.snapshots if s.snapshot_id not in heads]
        named = named_files(opened)
        if past:
            try:
                opened.maintenance.expire_snapshots().by_ids(past).commit()
            except (*CONFLICTS, ValueError):
                time.sleep(0.05)
                continue
        unnamed = named - named_files(lake.table(table))
        gone = {key for address in unnamed if (key := lake.key(address))}
        lake.store.delete(sorted(key for key in gone if not key.endswith(".parquet")))
        lake.store.delete(sorted(key for key in gone if key.endswith(".parquet")))
        return len(past), len(gone)
    raise ForgetFailed(f"others kept writing to {table.name}: stop them, and run it again")


def _delete_unnamed(lake: Lake, table: Table, hits: dict[str, int], began_at: datetime) -> int:
    """Delete files with the id that no snapshot names: killed writers left them, or compaction.

    One that is younger than our turn stays: somebody without a turn may be about to name it.
    """
    named = {lake.key(address) for address in named_files(lake.table(table))}
    limit = began_at.replace(tzinfo=UTC)
    infos = (info for info in lake.store.list(_prefix(lake, table)) if info.key in hits)
    old = [info.key for info in infos if info.key not in named and info.modified_at < limit]
    return lake.store.delete(old)
