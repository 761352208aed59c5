"""A VOD's segments as local files, one batch after the other, fetched ahead.

What belongs here: reading segments out of the store in the VOD's order, with bounded room on the
disk. What does not: what is done with them.

Of a folder store the objects are read where they lie; of R2 they are copied, and deleted when the
caller says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aethex.library.vods import RunWithSegments
from aethex.media.batch import Segment
from aethex.store import Store

_FETCHES_AT_ONCE = 4
BATCH_SEGMENTS = 48
BATCH_BYTES = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment of a VOD: its keys, and where the VOD's time it stands on."""

    init_key: str
    key: str
    position_ms: int
    duration_ms: int
    bytes: int


def stored_segments(runs: Sequence[RunWithSegments]) -> list[StoredSegment]:
    """All segments in the order in which they play, on the time that a player shows: runs joined,
    whatever is missing between them.
    """
    found: list[StoredSegment] = []
    position_ms = 0
    for run in runs:
        for segment in run.segments:
            found.append(
                StoredSegment(
                    run.run.init_key,
                    segment.key,
                    position_ms,
                    segment.duration_ms,
                    segment.bytes,
                )
            )
            position_ms += segment.duration_ms
    return found


def batches(segments: Sequence[StoredSegment]) -> Iterator[list[StoredSegment]]:
    """Parts of them that fit into the room that one batch is given; at least one segment each."""
    batch: list[StoredSegment] = []
    size = 0
    for segment in segments:
        if batch and (len(batch) == BATCH_SEGMENTS or size + segment.bytes > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(segment)
        size += segment.bytes
    if batch:
        yield batch


class SegmentFiles:
    """Hands out batches of local files; while one is worked on, the next one is fetched.

    `folder` holds at most two batches and what the caller has not released.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._inits: dict[str, Path] = {}

    def batches(self, segments: Sequence[StoredSegment]) -> Iterator[list[Segment]]:
        """The segments as files, in order. Raises StoreError: NotFound when one is missing."""
        ahead: deque[tuple[list[StoredSegment], list[Future[Path]]]] = deque()
        with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
            try:
                for batch in batches(segments):
                    for init_key in dict.fromkeys(segment.init_key for segment in batch):
                        if init_key not in self._inits:
                            self._inits[init_key] = self._fetch(init_key)
                    futures = [pool.submit(self._fetch, segment.key) for segment in batch]
                    ahead.append((batch, futures))
                    if len(ahead) == 2:
                        yield self._files(*ahead.popleft())
                while ahead:
                    yield self._files(*ahead.popleft())
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def release(self, files: Sequence[Path]) -> None:
        """These are not needed any more."""
        for path in files:
            if path.is_relative_to(self._folder):
                path.unlink(missing_ok=True)

    def _files(
        self, batch: Sequence[StoredSegment], futures: Sequence[Future[Path]]
    ) -> list[Segment]:
        return [
            Segment(
                self._inits[segment.init_key],
                future.result(),
                segment.position_ms,
                segment.duration_ms,
            )
            for segment, future in zip(batch, futures, strict=True)
        ]

    def _fetch(self, key: str) -> Path:
        local = self._store.local_path(key)
        if local is not None:
            self._store.head(key)  # raises NotFound with the key's name
            return local.resolve()
        path = self._folder / key.replace("/", "_")
        self._store.download(key, path)
        return path
