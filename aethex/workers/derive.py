"""`derive_vod`: what is made from a VOD that is stored: storyboard, preview, loudness, poster, MP4.

What belongs here: from segments in the store to objects in the store, and entering them. What does
not: making them (aethex/media), when and how often (jobs).

Keys follow from the VOD alone, and the library learns of all of it in one transaction at the end. A
run that was killed leaves objects that nothing refers to and that the next run overwrites; running
again makes the same.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from aethex.library import InvalidValue, Library, NotInLibrary, jobs, recording, vods
from aethex.library.vods import DerivedObjects
from aethex.media.derivation import Derivation, Derived
from aethex.media.errors import MediaDiskFull, MediaError, MediaLimitExceeded
from aethex.media.progressive import Mp4Plan, ProgressiveMp4
from aethex.media.scratch import scratch_folder
from aethex.media.vod import CONTENT_TYPES, MP4_NAME
from aethex.settings import Settings
from aethex.store import Store
from aethex.workers.lease import CannotSucceed, Lease
from aethex.workers.mp4 import store_mp4
from aethex.workers.segment_files import SegmentFiles, StoredSegment, stored_segments

_UPLOADS_AT_ONCE = 4
_MP4_SHARE = 0.4

Progress = Callable[[str, float], None]
"""Called with the stage (`looking`, `uploading`, `joining`) and the share of all work done, 0–1.
Whatever it raises ends the work, which leaves nothing entered.
"""


@dataclass(frozen=True)
class _Source:
    """The VOD as it is before."""

    vod_id: str
    title: str
    folder: str
    segments: list[StoredSegment]
    needs_poster: bool
    needs_mp4: bool

    @property
    def duration_ms(self) -> int:
        return self.segments[-1].position_ms + self.segments[-1].duration_ms


def derive_vod(
    settings: Settings,
    library: Library,
    store: Store,
    vod_id: str,
    progress: Progress | None = None,
    *,
    in_transaction: Callable[[Session], None] | None = None,
) -> DerivedObjects:
    """Make all that is made from a VOD, store it under `vods/{channel}/{stream}/{vod}/`, enter it.

    A poster is made where the VOD has none, and an MP4 where its channel wants one; both again
    where they were made here before.
    Should segments have come meanwhile, a job is asked for that makes it of these, too.
    `in_transaction` runs in the transaction that enters the objects, before it is committed: a
    worker proves there that the job still is its own.

    Raises NotInLibrary, InvalidValue for a VOD without segments, MediaError, StoreError.
    """
    tell = progress or _ignore
    source = _source(settings, library, vod_id)
    with scratch_folder(settings, "derive") as folder:
        made, plan = _look(settings, store, source, folder, tell)
        sizes = _upload(store, source, made, folder / "made")
    mp4_bytes = None
    if plan is not None:
        mp4_bytes = store_mp4(
            store,
            source.segments,
            plan,
            f"{source.folder}/{MP4_NAME}",
            lambda share: tell("joining", 0.99 - _MP4_SHARE * (1 - share)),
        )
    objects = DerivedObjects(
        storyboard_key=f"{source.folder}/{made.storyboard}",
        preview_key=f"{source.folder}/{made.preview}",
        loudness_key=f"{source.folder}/{made.loudness}",
        derived_bytes=sum(sizes.values()),
        poster_key=f"{source.folder}/{made.poster}" if made.poster else None,
        mp4_key=f"{source.folder}/{MP4_NAME}" if mp4_bytes is not None else None,
        mp4_bytes=mp4_bytes,
    )
    with library.session() as s:
        vods.set_derived(s, vod_id, objects)
        if in_transaction is not None:
            in_transaction(s)
        if vods.count_segments(s, vod_id) != len(source.segments):
            jobs.enqueue(s, vods.DERIVE_KIND, vod_id)  # more of it came meanwhile
    tell("joining", 1.0)
    return objects


class Deriver:
    """The handler of derive jobs."""

    def __init__(self, settings: Settings, library: Library, store: Store) -> None:
        self._settings = settings
        self._library = library
        self._store = store

    def __call__(self, lease: Lease) -> None:
        """Make all of it. Raises CannotSucceed for what no attempt can do."""
        try:
            derive_vod(
                self._settings,
                self._library,
                self._store,
                lease.subject_id,
                lambda stage, share: lease.progress(share, stage),
                in_transaction=lease.finish,
            )
        except (MediaDiskFull, MediaLimitExceeded):
            raise  # there may be room, and time, later
        except (InvalidValue, MediaError, NotInLibrary) as error:
            raise CannotSucceed(str(error)) from error


def _source(settings: Settings, library: Library, vod_id: str) -> _Source:
    with library.session() as s:
        vod = vods.get(s, vod_id)
        if vod is None:
            raise NotInLibrary(f"There is no VOD {vod_id}: check the id.")
        segments = stored_segments(vods.runs_and_segments(s, vod_id))
        if not segments:
            raise InvalidValue(f"VOD {vod_id} has no segments, so nothing can be made from it.")
        folder = f"vods/{vod.channel_id}/{vod.stream_id}/{vod.id}"
        wants_mp4 = "mp4" in recording.policy_of(s, vod.channel_id, settings).formats
        return _Source(
            vod_id=vod.id,
            title=vod.title,
            folder=folder,
            segments=segments,
            needs_poster=vod.poster_key is None or vod.poster_key.startswith(f"{folder}/"),
            needs_mp4=wants_mp4 if vod.mp4_key is None else vod.mp4_key.startswith(f"{folder}/"),
        )


def _look(
    settings: Settings, store: Store, source: _Source, folder: Path, tell: Progress
) -> tuple[Derived, Mp4Plan | None]:
    """All segments once, in order; the results are in `folder/made`."""
    for name in ("made", "child", "segments"):
        (folder / name).mkdir()
    derivation = Derivation(
        folder / "made",
        folder / "child",
        duration_ms=source.duration_ms,
        settings=settings,
        subject=source.title,
        wants_poster=source.needs_poster,
    )
    mp4 = None
    if source.needs_mp4:
        mp4 = ProgressiveMp4(folder / "child", settings=settings, subject=source.title)
    files = SegmentFiles(store, folder / "segments")
    share = 0.98 - (_MP4_SHARE if mp4 else 0)
    for batch in files.batches(source.segments):
        if mp4 is not None:
            mp4.feed(batch)
        files.release(derivation.feed(batch))
        tell("looking", share * batch[-1].end_ms / source.duration_ms)
    return derivation.finish(), mp4.finish() if mp4 else None


def _upload(store: Store, source: _Source, made: Derived, folder: Path) -> dict[str, int]:
    """Put what was made; its bytes by name. The WebVTT goes after the sheets that it names."""

    def put(name: str) -> int:
        path = folder / name
        key = f"{source.folder}/{name}"
        return store.put(key, path, content_type=CONTENT_TYPES[path.suffix]).size_bytes

    first = [name for name in made.names if name != made.storyboard]
    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
        sizes = dict(zip(first, pool.map(put, first), strict=True))
    return {**sizes, made.storyboard: put(made.storyboard)}


def _ignore(stage: str, share: float) -> None:
    del stage, share
