"""A file or playlist becomes an archived VOD: `import_video`, and `archive_video` for jobs.

What belongs here: hashing, packaging, uploading, one transaction in the library, and cleaning up.
What does not: video itself (aethex/media), tables (aethex/library).

The VOD's ids follow from the source's bytes and its stream, so the same import again finds the VOD
that is there. All objects go up first and the library learns of them last, in one transaction:
nobody ever sees half a VOD. An import that fails deletes what it uploaded; one that was killed
leaves objects that nothing refers to, under keys that the same import overwrites. A job never
deletes what it uploaded: another worker may have its keys by then, and the same bytes under them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from aethex.library import (
    Library,
    NotInLibrary,
    Vod,
    captions,
    channels,
    streams,
    vods,
)
from aethex.media.derivation import derive_package
from aethex.media.hls import package
from aethex.media.playlist import CONTENT_TYPE
from aethex.media.scratch import scratch_folder
from aethex.media.sources import checked_file
from aethex.media.vod import CONTENT_TYPES, PackagedVod
from aethex.settings import Settings
from aethex.store import Store, open_store
from aethex.workers.identity import derived_id, one_at_a_time, source_sha256
from aethex.workers.video_captions import ProvidedCaptions, caption_files
from aethex.workers.video_parts import (
    MadeVod,
    Place,
    new_run,
    new_segments,
    new_vod,
    playlist_of,
)

_UPLOADS_AT_ONCE = 4

Progress = Callable[[str, float], None]
"""Called with the stage (`reading`, `encoding`, `packaging`, `looking`, `uploading`, `waiting`) and
its share done, 0–1.
"""

InTransaction = Callable[[Session, str], None]
"""Called in the transaction that enters a VOD, with its id, before it is committed."""


@dataclass(frozen=True)
class VideoReport:
    """What an import of a video did. Sizes in bytes; `started_at` is the wall clock of the first
    frame.
    """

    vod_id: str
    stream_id: str
    channel_id: str
    title: str
    is_new: bool
    """False: this video was imported into this stream before, and that VOD is named here."""
    duration_seconds: float
    size_bytes: int
    width: int
    height: int
    video_codec: str
    audio_codec: str | None
    segments: int
    started_at: datetime
    source_sha256: str
    was_transcoded: bool = False
    changes: tuple[str, ...] = ()
    """What was changed in the video, and why; empty when every packet was copied."""
    notes: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    """Languages of the captions that it came with; of a VOD that was there, none are named."""


def import_video(
    settings: Settings,
    path: Path,
    *,
    channel: str,
    stream: str,
    starts_at: datetime | None = None,
    title: str | None = None,
    description: str = "",
    progress: Progress | None = None,
) -> VideoReport:
    """Import a local video file or HLS playlist as a VOD of a stream; both are made when missing.

    `starts_at` (aware) is the wall clock of its first frame; without it the stream's start, or, for
    a new stream, so long ago as the video lasts. The stream is widened to contain it and has then
    ended. Without `title` the VOD is called like its stream.

    Raises MediaError, StoreError, LibraryError or DatabaseUnreachable, each one line; nothing is
    then left.
    """
    tell = progress or _ignore
    checked_file(path, settings)
    sha256 = source_sha256(path, lambda done, total: tell("reading", done / max(1, total)))
    with Library.open(settings) as library:
        place = _place(library, channel, stream, sha256)
        with one_at_a_time(settings, place.vod_id, lambda: tell("waiting", 0.0)):
            if existing := _existing_report(library, place, sha256):
                return existing
            return _make(
                settings, library, place, path, sha256, starts_at, title, description, tell, None
            )


def archive_video(
    settings: Settings,
    library: Library,
    path: Path,
    *,
    stream_id: str,
    identity: str,
    starts_at: datetime | None,
    progress: Progress,
    in_transaction: InTransaction,
    provided: Sequence[ProvidedCaptions] = (),
    wants_mp4: bool = True,
) -> VideoReport:
    """As `import_video`, for a stream that is there and a source that `identity` names, which may
    come with captions. `wants_mp4`: whether its VOD has an MP4 for download.

    `in_transaction` runs in the transaction that enters the VOD, with the VOD's id: a worker proves
    there that the job still is its own. A VOD of that identity that is there, also a deleted one,
    is not made again. Raises what `progress` and `in_transaction` do as well.
    """
    with library.session() as s:
        place = _place_of(s, stream_id, identity)
    if existing := _existing_report(library, place, ""):
        with library.session() as s:
            in_transaction(s, place.vod_id)
        return existing
    return _make(
        *(settings, library, place, path, "", starts_at, None, "", progress, in_transaction),
        provided=provided,
        wants_mp4=wants_mp4,
    )


def _place_of(s: Session, stream_id: str, identity: str) -> Place:
    stream = streams.get(s, stream_id)
    if stream is None:
        raise NotInLibrary(f"There is no stream {stream_id}: check the id.")
    vod_id = derived_id("vod", stream_id, identity)
    run_id = derived_id("run", stream_id, identity)
    return Place(stream.channel_id, stream_id, stream.title, vod_id, run_id)


def _make(
    settings: Settings,
    library: Library,
    place: Place,
    path: Path,
    sha256: str,
    starts_at: datetime | None,
    title: str | None,
    description: str,
    tell: Progress,
    in_transaction: InTransaction | None,
    provided: Sequence[ProvidedCaptions] = (),
    wants_mp4: bool = True,
) -> VideoReport:
    """Package the video, make what is made from it, then store and enter it."""
    with scratch_folder(settings) as folder:
        packaged = package(
            path,
            folder / "vod",
            settings=settings,
            on_progress=lambda share, stage: tell(stage, share),
        )
        made = _derive(settings, packaged, folder, path.name, tell)
        of_captions, notes = caption_files(place, packaged, provided, folder / "captions")
        return _store(
            settings,
            library,
            place,
            replace(made, captions=tuple(of_captions), notes=tuple(notes), has_mp4=wants_mp4),
            sha256,
            starts_at,
            title,
            description,
            tell,
            in_transaction,
        )


def _derive(
    settings: Settings, packaged: PackagedVod, folder: Path, subject: str, tell: Progress
) -> MadeVod:
    out_dir, scratch = folder / "derived", folder / "child"
    out_dir.mkdir()
    scratch.mkdir()
    derived = derive_package(
        packaged,
        out_dir,
        scratch,
        settings=settings,
        subject=subject,
        on_progress=lambda share: tell("looking", share),
    )
    return MadeVod(packaged, derived, out_dir)


def _place(library: Library, channel: str, stream: str, sha256: str) -> Place:
    """The channel and stream (made when missing), and the ids of a VOD of these bytes."""
    with library.session() as s:
        its_channel = channels.ensure_channel(s, channel)
        its_stream = streams.ensure_stream(s, its_channel, stream)
        attempt = 0
        while True:
            # A deleted VOD keeps its id and objects; importing its video again makes a new one.
            vod_id = derived_id("vod", its_stream.id, sha256, str(attempt))
            existing = vods.get(s, vod_id)
            if existing is None or existing.deleted_at is None:
                break
            attempt += 1
        run_id = derived_id("run", its_stream.id, sha256, str(attempt))
        return Place(its_channel.id, its_stream.id, its_stream.title, vod_id, run_id)


def _existing_report(library: Library, place: Place, sha256: str) -> VideoReport | None:
    with library.session() as s:
        vod = vods.get(s, place.vod_id)
        if vod is None:
            return None
        runs = vods.runs_and_segments(s, vod.id)
        segments = sum(len(run.segments) for run in runs)
        return _report(place, vod, sha256, runs[0].run.started_at, segments, is_new=False)


def _store(
    settings: Settings,
    library: Library,
    place: Place,
    made: MadeVod,
    sha256: str,
    starts_at: datetime | None,
    title: str | None,
    description: str,
    tell: Progress,
    in_transaction: InTransaction | None,
) -> VideoReport:
    """Upload the package and enter it in the library; on any failure delete what was uploaded,
    unless it is a job's.
    """
    store, packaged = open_store(settings), made.packaged
    duration = timedelta(milliseconds=packaged.duration_ms)
    with library.session() as s:
        started_at = starts_at or _default_start(s, place.stream_id, duration)
    playlist = playlist_of(place, packaged, started_at)
    files = made.files(place)
    keys = [place.playlist_key, *files]
    try:
        size_bytes = len(playlist) + _upload(store, files, tell)
        store.put(place.playlist_key, playlist, content_type=CONTENT_TYPE)
        _delete_strangers(store, place, set(keys))
        with library.session() as s:
            stream = streams.set_stream_bounds(
                s, place.stream_id, started_at, started_at + duration
            )
            vod = vods.add_vod(
                s,
                new_vod(place, made, size_bytes, title, description),
                [new_run(place, packaged, stream, started_at)],
                new_segments(place, packaged),
            )
            captions.add_with_vod(s, vod.id, [one.new for one in made.captions])
            if in_transaction is not None:
                in_transaction(s, vod.id)
    except BaseException:
        if in_transaction is None:
            with suppress(Exception):
                store.delete(keys)
        raise
    report = _report(place, vod, sha256, started_at, len(packaged.segments), is_new=True)
    return replace(
        report,
        was_transcoded=packaged.was_transcoded,
        changes=packaged.why,
        notes=packaged.notes + made.notes,
        captions=tuple(one.new.language for one in made.captions),
    )


def _default_start(s: Session, stream_id: str, duration: timedelta) -> datetime:
    """The stream's start; of one without, so long ago that the video ends now."""
    stream = streams.get(s, stream_id)
    if stream is not None and stream.started_at is not None:
        return stream.started_at
    return datetime.now(UTC) - duration


def _upload(store: Store, files: dict[str, Path], tell: Progress) -> int:
    """All files; their bytes together. The first failure ends it."""
    total, done = sum(path.stat().st_size for path in files.values()), 0

    def put(key: str) -> int:
        path = files[key]
        return store.put(key, path, content_type=CONTENT_TYPES[path.suffix]).size_bytes

    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
        try:
            for uploaded in pool.map(put, files):
                done += uploaded
                tell("uploading", done / max(1, total))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return done


def _delete_strangers(store: Store, place: Place, keys: set[str]) -> None:
    """Remove what a killed import of the same video left in its folders under other names."""
    folders = (place.run_key(""), place.vod_key(""))
    found = {info.key for folder in folders for info in store.list(folder)}
    store.delete(sorted(found - keys))


def _report(
    place: Place, vod: Vod, sha256: str, started_at: datetime, segments: int, *, is_new: bool
) -> VideoReport:
    return VideoReport(
        vod_id=vod.id,
        stream_id=place.stream_id,
        channel_id=place.channel_id,
        title=vod.title,
        is_new=is_new,
        duration_seconds=(vod.duration_ms or 0) / 1000,
        size_bytes=vod.size_bytes or 0,
        width=vod.width or 0,
        height=vod.height or 0,
        video_codec=vod.video_codec or "",
        audio_codec=vod.audio_codec,
        segments=segments,
        started_at=started_at,
        source_sha256=sha256,
    )


def _ignore(stage: str, share: float) -> None:
    del stage, share
