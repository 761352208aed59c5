"""The end of a recording: its stream is over, and the VOD becomes playable.

What belongs here: playlist, poster, the library's rows, in an order that a kill cannot break. What
does not: when a stream is over (`aethex.library.live`), what is made of a VOD later (jobs).

No media is copied, so an eight hour stream is finished in the time that its playlist takes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from aethex.library import Library, VodSegment, captures, jobs, vods
from aethex.library.captures import CaptureToFinish, Finished
from aethex.library.recording import policy_of
from aethex.library.vods import RunWithSegments
from aethex.media.errors import MediaError
from aethex.media.playlist import CONTENT_TYPE, PlaylistRun, PlaylistSegment, media_playlist
from aethex.media.sandbox import Limits, run_task
from aethex.media.scratch import scratch_folder
from aethex.media.vod import INIT_NAME, LIVE_PLAYLIST_NAME, PLAYLIST_NAME, POSTER_NAME, segment_name
from aethex.settings import Settings
from aethex.store import NotFound, Store

logger = logging.getLogger(__name__)


def finish_capture(
    settings: Settings,
    library: Library,
    store: Store,
    capture: CaptureToFinish,
    now: Callable[[], datetime],
) -> bool:
    """Finish one VOD; whether it is done. False: a segment came meanwhile, so do it again.

    Every step may be repeated. Raises StoreError or DatabaseUnreachable; then do it again, too.
    """
    folder = f"vods/{capture.channel_id}/{capture.stream_id}"
    with library.session() as s:
        runs = [run for run in vods.runs_and_segments(s, capture.vod_id) if run.segments]
        min_ms = policy_of(s, capture.channel_id, settings).min_duration_seconds * 1000
    segments = [segment for run in runs for segment in run.segments]
    duration_ms = sum(segment.duration_ms for segment in segments)
    playlist = finished_playlist(runs)
    playlist_key = f"{folder}/{capture.vod_id}/{PLAYLIST_NAME}"
    store.put(playlist_key, playlist, content_type=CONTENT_TYPE)
    poster_key = capture.poster_key
    poster_bytes = 0
    if poster_key is None and (poster := _poster(settings, store, runs, duration_ms)) is not None:
        poster_key = f"{folder}/{capture.vod_id}/{POSTER_NAME}"
        store.put(poster_key, poster, content_type="image/jpeg")
        poster_bytes = len(poster)
    finished = Finished(
        duration_ms=duration_ms,
        media_bytes=sum(segment.bytes for segment in segments)
        + sum(run.run.init_bytes for run in runs)
        + len(playlist),
        poster_bytes=poster_bytes,
        playlist_key=playlist_key,
        poster_key=poster_key,
        is_test=duration_ms < min_ms,
    )
    with library.session() as s:
        if not captures.publish(s, capture.vod_id, finished, len(segments), now()):
            return False
    store.delete([f"{folder}/{capture.vod_id}/{LIVE_PLAYLIST_NAME}"])
    with library.session() as s:
        is_done = captures.finish(s, capture.vod_id, len(segments), now())
        if is_done and not finished.is_test:
            jobs.enqueue(s, vods.DERIVE_KIND, capture.vod_id)
        return is_done


def finished_playlist(runs: Sequence[RunWithSegments]) -> bytes:
    """The VOD's playlist over all its runs; addresses are relative to its folder beside theirs."""
    listed = [
        PlaylistRun(
            f"../{run.run.id}/{INIT_NAME}",
            [
                PlaylistSegment(
                    f"../{run.run.id}/{segment_name(segment.sequence)}", segment.duration_ms
                )
                for segment in run.segments
            ],
            run.run.started_at,
        )
        for run in runs
    ]
    is_independent = all(segment.is_independent for run in runs for segment in run.segments)
    return media_playlist(listed, is_independent=is_independent).encode()


def _poster(
    settings: Settings, store: Store, runs: Sequence[RunWithSegments], duration_ms: int
) -> bytes | None:
    """A JPEG from a quarter into the VOD; None when no picture there can be decoded, or is
    there no more.
    """
    run, segment, offset_ms = _at(runs, duration_ms // 4)
    with scratch_folder(settings, "poster") as folder:
        scratch = folder.resolve()
        parts = [scratch / INIT_NAME, scratch / "segment.m4s"]
        poster = scratch / POSTER_NAME
        try:
            for part, key in zip(parts, (run.run.init_key, segment.key), strict=True):
                part.write_bytes(store.get(key))
            run_task(
                "poster",
                {
                    "parts": [str(part) for part in parts],
                    "poster": str(poster),
                    "offset_ms": offset_ms,
                },
                subject=segment.key,
                scratch=scratch,
                readable=parts,
                limits=Limits.of(settings),
            )
        except (MediaError, NotFound) as error:
            logger.warning("no poster of %s: %s", run.run.vod_id, error)
            return None
        return poster.read_bytes()


def _at(runs: Sequence[RunWithSegments], at_ms: int) -> tuple[RunWithSegments, VodSegment, int]:
    """The segment that plays at that time of the VOD, and how far into it that is, in ms."""
    position = 0
    found = None
    for run in runs:
        for segment in run.segments:
            if found is None or position <= at_ms:
                found = run, segment, at_ms - position
            position += segment.duration_ms
    assert found is not None, "a capture has a segment"
    return found
