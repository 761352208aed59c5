"""`import_segments`: a file becomes the segments of a stream: its title and category over time.

What belongs here: the order of lake and library, and what happens to segments that overlap. What
does not: reading the file (`aethex.lake.import_segments`).

A schedule says when things were planned, and real ones overlap by minutes: a segment then ends
where the next one begins. The stream's bounds stay as they are: they come from samples and video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import pairwise
from pathlib import Path
from typing import Any

from aethex.lake.import_segments import SegmentRow, read_segments
from aethex.lake.import_segments import SegmentsReport as FileReport
from aethex.library import Library, NewSegment, channels, streams
from aethex.library.segments import replace_segments
from aethex.settings import Settings


@dataclass(frozen=True)
class SegmentsReport:
    """What became of a file's rows, and of the stream's segments."""

    channel_id: str
    stream_id: str
    file: FileReport
    added: int
    changed: int
    removed: int
    """Segments that the stream had and the file does not."""
    shortened: int
    """Segments that reached into the next one, and now end where it begins."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: the ids, the file's report and the changes side by side."""
        changes = {
            "added": self.added,
            "changed": self.changed,
            "removed": self.removed,
            "shortened": self.shortened,
        }
        return {
            "channel_id": self.channel_id,
            "stream_id": self.stream_id,
            **self.file.as_dict(),
            **changes,
        }


def import_segments(
    settings: Settings,
    path: Path,
    *,
    channel: str,
    stream: str,
    name_field: str | None = None,
    category_field: str | None = None,
    start_field: str | None = None,
    duration_field: str | None = None,
) -> SegmentsReport:
    """Make a file's rows the segments of a stream; it and its channel are made when missing.

    They replace the stream's segments; the same file again changes nothing. A file without any
    usable row replaces nothing. Raises ImportFileError, LibraryError or DatabaseUnreachable, each
    one line.
    """
    file = read_segments(
        path,
        name_field=name_field,
        category_field=category_field,
        start_field=start_field,
        duration_field=duration_field,
    )
    rows, shortened = without_overlaps(file.segments)
    with Library.open(settings) as library, library.session() as s:
        its_channel = channels.ensure_channel(s, channel)
        its_stream = streams.ensure_stream(s, its_channel, stream)
        if not rows:
            return SegmentsReport(its_channel.id, its_stream.id, file, 0, 0, 0, 0)
        done = replace_segments(s, its_stream.id, rows)
    return SegmentsReport(
        its_channel.id, its_stream.id, file, done.added, done.changed, done.removed, shortened
    )


def without_overlaps(rows: Sequence[SegmentRow]) -> tuple[list[NewSegment], int]:
    """Rows in the order of their starts as the library takes them, and how many were shortened."""
    ordered = sorted(rows, key=lambda row: row.started_at)
    ends = [min(row.ended_at, following.started_at) for row, following in pairwise(ordered)] + [
        row.ended_at for row in ordered[-1:]
    ]
    segments = [
        NewSegment(
            row.title,
            row.started_at.replace(tzinfo=UTC),
            end.replace(tzinfo=UTC),
            row.category,
        )
        for row, end in zip(ordered, ends, strict=True)
    ]
    shortened = sum(end < row.ended_at for row, end in zip(ordered, ends, strict=True))
    return segments, shortened
