"""A publisher in a process of its own, which stops where the test wants it: killed or raced."""

from __future__ import annotations

from contextlib import AbstractContextManager

from aethex.lake import Lake, publish, windows
from aethex.settings import Settings
from tests.lake.processes import Reach, Worker, stopping, worker

POINTS = [
    "before cutting",
    "reading",
    "committing",
    "files written",
    "table has the rows",
    "committed",
    "before the marker",
    "marker written",
]


def publisher(settings: Settings, *stop_at: str) -> AbstractContextManager[Worker]:
    """Such a process; it is dead afterwards in any case."""
    return worker(_publish, settings, *stop_at)


def _publish(settings: Settings, reach: Reach) -> None:
    with Lake.open(settings) as lake:
        lake.catalog.commit_table = stopping(
            lake.catalog.commit_table, reach, "files written", "table has the rows"
        )
        publish.mark_published = stopping(
            windows.mark_published, reach, "before the marker", "marker written"
        )
        reach("before cutting")
        publish.publish(lake, progress=lambda step: reach(step.stage))
