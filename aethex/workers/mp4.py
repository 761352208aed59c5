"""The MP4 for download of a stored VOD, written straight into the store.

What belongs here: copying the samples of all segments behind the index that was made of their
tables. What does not: the index (`aethex.media.progressive`).

A VOD of hours passes through in pieces: nothing but the index and a few segments is in memory, and
nothing on the disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

from aethex.media.errors import UnreadableMedia
from aethex.media.progressive import Mp4Plan
from aethex.media.vod import CONTENT_TYPES
from aethex.store import Store
from aethex.workers.segment_files import StoredSegment

_READS_AHEAD = 4


def store_mp4(
    store: Store,
    segments: Sequence[StoredSegment],
    plan: Mp4Plan,
    key: str,
    on_progress: Callable[[float], None],
) -> int:
    """Write the MP4 that `plan` says as `key`; its bytes. An object that is there is replaced.

    Raises StoreError, UnreadableMedia when a segment is not the one that was looked at.
    """
    data = _samples(store, segments, plan, on_progress)
    chunks = chain([plan.header], data)
    put = store.put_stream(key, chunks, plan.size_bytes, content_type=CONTENT_TYPES[".mp4"])
    return put.size_bytes


def _samples(
    store: Store,
    segments: Sequence[StoredSegment],
    plan: Mp4Plan,
    on_progress: Callable[[float], None],
) -> Iterator[bytes]:
    with ThreadPoolExecutor(_READS_AHEAD) as pool:
        ahead: deque[Future[bytes]] = deque()
        try:
            rest = iter(segments)
            for number, segment in enumerate(segments):
                while len(ahead) < _READS_AHEAD and (following := next(rest, None)) is not None:
                    ahead.append(pool.submit(store.get, following.key))
                data = ahead.popleft().result()
                for start, end in plan.parts[number]:
                    if end > len(data):
                        raise UnreadableMedia(f"{segment.key}: it is shorter than it was before.")
                    yield data[start:end]
                on_progress((number + 1) / len(segments))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
