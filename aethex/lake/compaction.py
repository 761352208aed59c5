"""Compaction: many small files of a day become few, sorted ones.

What belongs here: which files of an event table are taken together, and doing it. What does not:
the exchange itself (`rewrite`). Tables of models and dims need none: a run replaces a whole
partition, so they have one file each.

Every publish adds a file a day and table. Reading one stream then opens all of them; after
compaction it opens few, and of those only the row groups that hold the stream. A group of files is
exchanged in one commit, so a kill leaves whole groups done and the rest as it was; a publisher that
commits meanwhile wins, and what is left is planned anew.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from aethex.lake.core import Lake
from aethex.lake.rewrite import (
    CONFLICTS,
    live_files,
    merge_manifests,
    read_rows,
    replace_files,
)
from aethex.lake.tables import Table

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table as IcebergTable

TARGET_ROWS = 500_000
"""Most rows of a group: they are sorted and written at once."""

SMALL_ROWS = TARGET_ROWS // 2
"""A file with fewer rows is small. Two small ones always fit into one."""

LEAST_FILES = 2
LEAST_FILES_TODAY = 8
"""So many small files make a day worth it; today more are still to come."""

ATTEMPTS = 6
WHY = "compaction"
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Group:
    """Files of one day that become one."""

    day: date
    files: tuple[DataFile, ...]

    @property
    def rows(self) -> int:
        return sum(file.record_count for file in self.files)


@dataclass(frozen=True)
class Compacted:
    """What was done to one table. is_done: False when time ran out, or others kept winning."""

    table: str
    groups: int
    files_taken: int
    rows: int
    is_done: bool


Progress = Callable[[str, int, int], None]
"""Called with a table, its groups done, and its groups in all."""


def plan(files: Iterable[DataFile], today: date) -> list[Group]:
    """The groups of small files to exchange, those of most files first. Never one file alone."""
    by_day: defaultdict[date, list[DataFile]] = defaultdict(list)
    for file in files:
        if file.record_count < SMALL_ROWS:
            by_day[_EPOCH + timedelta(days=file.partition[0])].append(file)
    groups: list[Group] = []
    for day, small in by_day.items():
        # a day ahead of the clock is still to come too
        if len(small) >= (LEAST_FILES if day < today else LEAST_FILES_TODAY):
            groups += [Group(day, tuple(taken)) for taken in _packed(small) if len(taken) > 1]
    return sorted(groups, key=lambda group: (-len(group.files), group.day))


def compact_table(
    lake: Lake,
    table: Table,
    today: date,
    *,
    is_over: Callable[[], bool] = lambda: False,
    progress: Progress = lambda _table, _done, _of: None,
) -> Compacted:
    """Compact one event table until nothing is left to do or `is_over`, asked between groups.

    Safe at any time, beside publishers, and to kill. Raises DeleteFilesPresent.
    """
    groups = files_taken = rows = lost = 0
    is_done = False
    while not is_done and lost < ATTEMPTS and not is_over():
        opened = lake.table(table)
        planned = plan(live_files(opened), today)
        is_done = True
        for position, group in enumerate(planned):
            progress(table.name, groups, groups + len(planned) - position)
            if is_over() or not _exchange(lake, opened, table, group):
                is_done = False
                lost += 1
                time.sleep(0.05)
                break
            groups += 1
            files_taken += len(group.files)
            rows += group.rows
    if groups:
        _merge_manifests(lake, table)
    return Compacted(table.name, groups, files_taken, rows, is_done)


def _packed(small: list[DataFile]) -> Iterable[list[DataFile]]:
    """Files as lists of at most TARGET_ROWS together, the smallest first."""
    taken: list[DataFile] = []
    rows = 0
    for file in sorted(small, key=lambda file: (file.record_count, file.file_path)):
        if taken and rows + file.record_count > TARGET_ROWS:
            yield taken
            taken, rows = [], 0
        taken.append(file)
        rows += file.record_count
    if taken:
        yield taken


def _exchange(lake: Lake, opened: IcebergTable, table: Table, group: Group) -> bool:
    """Exchange one group; False when another writer came in between."""
    try:
        replace_files(opened, group.files, read_rows(lake, opened, table, group.files), WHY)
    except CONFLICTS:
        return False
    return True


def _merge_manifests(lake: Lake, table: Table) -> None:
    try:
        merge_manifests(lake.table(table))
    except CONFLICTS:
        return  # the next commit merges them
