"""Forgetting a viewer everywhere: lake, landing, quarantine and library, with the proof at the end.

What belongs here: the order of lake and library. What does not: each of their steps
(`lake.forget`, `library.forgetting`), arguments and reports (`commands.forgetting`).

It holds the lake's turn from the first look to the proof. First the journal's row, which fixes the
new id; then the library, so that nothing new comes out of its outbox under the old id; then what a
search of the whole store finds, and again, until a search finds nothing. Killed anywhere, the same
command again goes on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from aethex.lake import Lake, scratch
from aethex.lake.core import utc_now
from aethex.lake.forget import (
    ForgetFailed,
    LakeForgotten,
    forget_found,
    require_known,
    require_own_files,
)
from aethex.lake.forget_measures import Measures, measure
from aethex.lake.forget_search import Search, search
from aethex.lake.turn import lake_turn
from aethex.lake.viewer_swap import Swap
from aethex.library import Library, forgetting
from aethex.settings import Settings

ROUNDS = 5
"""So often is looked and cleaned: events of the viewer may still come in meanwhile."""

Progress = Callable[[str, float | None], None]


@dataclass(frozen=True)
class ForgetReport:
    """What a forgetting did and proved; nothing of it tells an id.

    is_found: whether the id was anywhere; is_resumed: whether one that was interrupted was
    finished; objects_searched: in which the id is not, at the end, beside `media_objects`, of which
    only the keys were searched; table_rows and numbers: same before and after, as are digests of
    all rows; others_unfinished: forgettings of other viewers that were interrupted.
    """

    is_found: bool
    is_resumed: bool
    rows: dict[str, int] = field(default_factory=dict[str, int])
    landed_events: int = 0
    refused_events: int = 0
    library_rows: dict[str, int] = field(default_factory=dict[str, int])
    snapshots_expired: int = 0
    files_deleted: int = 0
    objects_searched: int = 0
    media_objects: int = 0
    table_rows: dict[str, int] = field(default_factory=dict[str, int])
    numbers: dict[str, int] = field(default_factory=dict[str, int])
    others_unfinished: int = 0
    seconds: float = 0.0

    def counts(self) -> dict[str, Any]:
        """What the journal keeps."""
        kept = asdict(self)
        for name in ("is_found", "is_resumed", "table_rows", "numbers", "others_unfinished"):
            del kept[name]
        return kept


def forget_viewer(
    settings: Settings, viewer_id: str, progress: Progress = lambda _text, _share: None
) -> ForgetReport:
    """Replace the viewer's id by a random one everywhere, drop every past state with it, empty the
    library's rows, and prove it. Safe at any time; others that write to the lake wait.

    Raises InvalidValue for what is no id, ForgetFailed when something is left or differs,
    DatabaseUnreachable, StoreError.
    """
    forgetting.valid_viewer_id(viewer_id)

    def waiting() -> None:
        progress("Waiting for another run that writes to the lake", None)

    with (
        lake_turn(settings, waiting),
        Lake.open(settings) as lake,
        Library.open(settings) as library,
    ):
        return _Run(lake, library, viewer_id, progress).run()


class _Run:
    """One run, with the lake's turn."""

    def __init__(self, lake: Lake, library: Library, viewer_id: str, progress: Progress) -> None:
        self._lake = lake
        self._library = library
        self._old = viewer_id
        self._tell = progress
        self._began_at = utc_now()
        self._started = time.monotonic()

    def run(self) -> ForgetReport:
        require_own_files(self._lake)
        scratch.sweep(self._lake.settings.cache_dir)  # killed processes leave rows there
        with self._library.session() as s:
            row = forgetting.unfinished(s, self._old)
            others = forgetting.count_unfinished(s) - (row is not None)
        is_resumed = row is not None
        nobody = Swap(self._old, self._old)
        found = self._search(nobody)
        require_known(self._lake, found)
        if row is None and found.is_clean and not self._left_in_library(nobody):
            return ForgetReport(False, False, others_unfinished=others, seconds=self._seconds())
        if row is None:
            with self._library.session() as s:
                row = forgetting.begin(s, self._old)
        swap = Swap(self._old, forgetting.new_id_of(row, self._old))
        before = measure(self._lake, swap, self._tell)
        with self._library.session() as s:
            library_rows = forgetting.empty(s, self._old, swap.new)
        done, found = self._clean(swap, found)
        self._prove(swap, found, before)
        report = ForgetReport(
            is_found=True,
            is_resumed=is_resumed,
            rows={name: rows for name, rows in done.rows.items() if rows},
            landed_events=done.landed,
            refused_events=done.refused,
            library_rows={name: rows for name, rows in library_rows.items() if rows},
            snapshots_expired=done.snapshots,
            files_deleted=done.files,
            objects_searched=found.searched,
            media_objects=found.media,
            table_rows={name: int(one["rows"]) for name, one in before.tables.items()},
            numbers=before.numbers,
            others_unfinished=others,
            seconds=self._seconds(),
        )
        with self._library.session() as s:
            forgetting.finish(s, row.id, report.counts(), datetime.now(UTC))
        return report

    def _clean(self, swap: Swap, found: Search) -> tuple[LakeForgotten, Search]:
        """Clean what was found and look again, until nothing is found: at least once, as the outbox
        may have landed since the first look. What is returned was found after the last change.
        """
        done = LakeForgotten(Counter())
        for n in range(ROUNDS):
            if n and found.is_clean:
                break
            done += forget_found(self._lake, swap, found, self._began_at, self._tell)
            found = self._search(swap)
        return done, found

    def _prove(self, swap: Swap, found: Search, before: Measures) -> None:
        """Raises ForgetFailed when the id is still somewhere, or a number is another one."""
        if not found.is_clean:
            first = next(iter(found.rows))
            raise ForgetFailed(
                f"the id is still in {len(found.rows)} objects (first: {first}). If the viewer's "
                "player still runs, end it; then run this again"
            )
        if left := self._left_in_library(swap):
            table, rows = next(iter(left.items()))
            raise ForgetFailed(
                f"the id is still in {rows} rows of the database's table {table}: look at them "
                "(Dagster's are runs that its UI can delete), remove it, and run this again"
            )
        if differences := before.differences(measure(self._lake, swap, self._tell)):
            raise ForgetFailed(
                f"the id is gone, but {len(differences)} numbers are not what they were (first: "
                f"{differences[0]}). Did something else write to the lake?"
            )

    def _search(self, swap: Swap) -> Search:
        return search(self._lake, swap, self._tell)

    def _left_in_library(self, swap: Swap) -> dict[str, int]:
        with self._library.session() as s:
            return forgetting.search(s, swap.old, is_unmistakable=swap.is_unmistakable)

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)
