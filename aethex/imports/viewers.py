"""`import_viewers`: a file of viewer counts becomes snapshots of a stream.

What belongs here: the order of lake and library. What does not: reading the file
(`aethex.lake.importers`).

The file is opened first, so that a wrong one makes no channel; then channel and stream; then rows
land; the stream's bounds come last. Killed in between, the same import again lands what is missing
and no row twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aethex.lake import Lake
from aethex.lake.importers import ImportProgress, land_viewers, read_viewers
from aethex.lake.importers import ViewersReport as FileReport
from aethex.library import Library, channels, streams
from aethex.settings import Settings

DEFAULT_INTERVAL_SECONDS = 60.0
"""How long the only sample of a file stands for."""


@dataclass(frozen=True)
class ViewersReport:
    """What became of a file's rows, and where they went."""

    channel_id: str
    stream_id: str
    file: FileReport

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: the ids and the file's report side by side."""
        return {"channel_id": self.channel_id, "stream_id": self.stream_id, **self.file.as_dict()}


def import_viewers(
    settings: Settings,
    path: Path,
    *,
    channel: str,
    stream: str,
    time_field: str | None = None,
    viewers_field: str | None = None,
    chat_field: str | None = None,
    progress: Callable[[ImportProgress], None] | None = None,
) -> ViewersReport:
    """Land a file's viewer counts for a stream; it and its channel are made when missing.

    The stream is widened to run from its first sample to its last one and the usual distance
    between two more. The rows are in the marts after the next refresh. Raises ImportFileError,
    LibraryError, StoreError or DatabaseUnreachable, each one line.
    """
    file = read_viewers(
        path, time_field=time_field, viewers_field=viewers_field, chat_field=chat_field
    )
    with Library.open(settings) as library, Lake.open(settings) as lake:
        with library.session() as s:
            its_channel = channels.ensure_channel(s, channel)
            its_stream = streams.ensure_stream(s, its_channel, stream)
        report = land_viewers(
            lake, file, channel_id=its_channel.id, stream_id=its_stream.id, progress=progress
        )
        if report.first_at is not None and report.last_at is not None:
            with library.session() as s:
                streams.set_stream_bounds(s, its_stream.id, *_bounds(report))
    return ViewersReport(its_channel.id, its_stream.id, report)


def _bounds(report: FileReport) -> tuple[datetime, datetime]:
    """From the first sample to the end of what the last one stands for, aware."""
    assert report.first_at is not None
    assert report.last_at is not None
    hold = timedelta(seconds=report.interval_seconds or DEFAULT_INTERVAL_SECONDS)
    return report.first_at.replace(tzinfo=UTC), report.last_at.replace(tzinfo=UTC) + hold
