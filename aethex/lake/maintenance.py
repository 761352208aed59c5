"""Maintenance: everything that keeps the lake fast and small, in order, within a time budget.

What belongs here: the order, the shares of the budget, and the report. What does not: each step
(`compaction`, `expiry`, `landing_cleanup`), and when it runs (pipelines).

Every step is safe to kill and stops between two units of work when its share of the time is over;
what is left is done by the next maintenance.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aethex.lake import scratch
from aethex.lake.compaction import compact_table
from aethex.lake.core import Lake
from aethex.lake.dim_tables import DIM_TABLES
from aethex.lake.event_tables import EVENT_TABLES
from aethex.lake.expiry import BuildFiles, Deleted, delete_orphans, expire_builds, expire_snapshots
from aethex.lake.landing_cleanup import LandingNotProven, clean_landing, clean_quarantine
from aethex.lake.models import load_models
from aethex.lake.orphan_looks import Look, due_tables, read_looks, write_looks
from aethex.lake.rewrite import count_manifests, live_files
from aethex.lake.tables import Table

if TYPE_CHECKING:
    from aethex.settings import Settings

COMPACTION_UNTIL = 0.5
EXPIRY_UNTIL = 0.8
"""Shares of the budget: a backlog of one step must not keep the next ones from ever running."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class TableState:
    """A table's present state: data files, their rows and bytes, and manifests."""

    files: int
    rows: int
    size_bytes: int
    manifests: int


@dataclass(frozen=True)
class TableMaintained:
    """What was done to one table. groups: of files that became one file each."""

    before: TableState
    after: TableState
    groups: int = 0
    snapshots_expired: int = 0
    files_deleted: int = 0
    bytes_deleted: int = 0


@dataclass(frozen=True)
class Maintained:
    """What a maintenance did. landing_stopped: why landing's clean-up stopped at a window.

    is_done: False when the time was over before everything was done.
    """

    tables: dict[str, TableMaintained]
    builds_expired: int
    windows_cleaned: int
    landing_objects_deleted: int
    quarantine_objects_deleted: int
    landing_stopped: str | None
    is_done: bool
    seconds: float

    @property
    def changed_rows(self) -> dict[str, tuple[int, int]]:
        """Tables that do not have as many rows as before: none, unless somebody else wrote."""
        rows = {name: (one.before.rows, one.after.rows) for name, one in self.tables.items()}
        return {name: (before, after) for name, (before, after) in rows.items() if before != after}


def all_tables() -> dict[str, Table]:
    """Every table of the lake by name: of events, dims and models."""
    events = {table.name: table for table in EVENT_TABLES.values()}
    return {**events, **DIM_TABLES, **load_models().tables}


def table_state(lake: Lake, table: Table) -> TableState:
    """The table as its current snapshot has it. Raises DeleteFilesPresent."""
    opened = lake.table(table)
    files = live_files(opened)
    return TableState(
        files=len(files),
        rows=sum(file.record_count for file in files),
        size_bytes=sum(file.file_size_in_bytes for file in files),
        manifests=count_manifests(opened),
    )


def maintain(lake: Lake, now: datetime, *, progress: Progress = lambda _: None) -> Maintained:
    """Compact, expire and clean up, as of `now` (naive UTC), within the settings' budget.

    A window that cannot be proven stops the clean-up of landing alone, and is in the report. Raises
    DeleteFilesPresent, StoreError, DatabaseUnreachable.
    """
    return _Maintenance(lake, now, progress).run()


class _Maintenance:
    """One run: the budget, and what was done so far."""

    def __init__(self, lake: Lake, now: datetime, progress: Progress) -> None:
        self._lake = lake
        self._settings: Settings = lake.settings
        self._now = now
        self._tell = progress
        self._started = time.monotonic()
        self._tables = all_tables()
        self._is_done = True

    def run(self) -> Maintained:
        scratch.sweep(self._settings.cache_dir)
        self._tell("Looking at the tables.")
        before = {name: table_state(self._lake, table) for name, table in self._tables.items()}
        self._done = {name: TableMaintained(state, state) for name, state in before.items()}
        self._compact()
        builds = self._expire()
        self._delete_orphans()
        quarantined = self._clean_quarantine()
        windows, objects, stopped = self._clean_landing()
        after = {name: table_state(self._lake, table) for name, table in self._tables.items()}
        return Maintained(
            tables={name: replace(one, after=after[name]) for name, one in self._done.items()},
            builds_expired=builds,
            windows_cleaned=windows,
            landing_objects_deleted=objects,
            quarantine_objects_deleted=quarantined,
            landing_stopped=stopped,
            is_done=self._is_done,
            seconds=time.monotonic() - self._started,
        )

    def _is_over(self, share: float = 1.0) -> bool:
        """Whether that share of the budget is used up; what is skipped then is left undone."""
        used = time.monotonic() - self._started
        is_over = used >= share * self._settings.maintenance_budget_seconds
        self._is_done = self._is_done and not is_over
        return is_over

    def _compact(self) -> None:
        for table in EVENT_TABLES.values():
            done = compact_table(
                self._lake,
                table,
                self._now.date(),
                is_over=lambda: self._is_over(COMPACTION_UNTIL),
                progress=lambda name, n, of: self._tell(f"Compacting {name}: {n} of {of} groups."),
            )
            self._is_done = self._is_done and done.is_done
            self._note(table, groups=done.groups)

    def _expire(self) -> int:
        """Snapshots and builds; how many builds."""
        self._tell("Expiring past states of tables, and past builds.")
        before = self._now - timedelta(hours=self._settings.snapshots_keep_hours)
        for table in self._tables.values():
            if self._is_over(EXPIRY_UNTIL):
                break
            self._note(table, snapshots_expired=expire_snapshots(self._lake, table, before))
        before = self._now - timedelta(days=self._settings.builds_keep_days)
        return len(expire_builds(self._lake.store, before))

    def _delete_orphans(self) -> None:
        before = self._now - timedelta(hours=self._settings.orphans_grace_hours)
        builds = BuildFiles(self._lake.store)
        looks = read_looks(self._lake.store)
        for table in due_tables(self._tables.values(), looks, self._now):
            if self._is_over(EXPIRY_UNTIL):
                break
            self._tell(f"Looking for files that nothing names: {table.name}.")
            began = time.monotonic()
            found = delete_orphans(
                self._lake, table, before, builds, is_over=lambda: self._is_over(EXPIRY_UNTIL)
            )
            self._note_deleted(table, found)
            # the builds are read once; each table would need them
            seconds = time.monotonic() - began + (builds.seconds if table.is_published else 0)
            looks[table.name] = Look(self._now.isoformat(), round(seconds, 3))
            write_looks(self._lake.store, looks)

    def _note_deleted(self, table: Table, found: Deleted) -> None:
        self._note(table, files_deleted=found.files, bytes_deleted=found.size_bytes)

    def _clean_quarantine(self) -> int:
        before = self._now - timedelta(days=self._settings.quarantine_keep_days)
        return clean_quarantine(self._lake.store, before, is_over=self._is_over)

    def _clean_landing(self) -> tuple[int, int, str | None]:
        """Windows, objects, and why it stopped, if it did."""
        before = self._now - timedelta(days=self._settings.landing_keep_days)
        try:
            done = clean_landing(
                self._lake,
                before,
                is_over=self._is_over,
                progress=lambda n, of: self._tell(f"Cleaning up landing: window {n} of {of}."),
            )
        except LandingNotProven as error:
            return len(error.done.windows), error.done.objects, str(error)
        return len(done.windows), done.objects, None

    def _note(self, table: Table, **values: int) -> None:
        self._done[table.name] = replace(self._done[table.name], **values)
