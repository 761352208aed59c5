"""Copies of providers' recordings: a job of kind `archive` becomes its stream's VOD.

What belongs here: the order of the steps, and which failures are worth another attempt. What does
not: addresses (providers), fetching (`copying`), making the VOD (`video`), the lease (`lease`).

The HLS of the best rendition is copied; it becomes segments, poster and MP4 as an imported video
does. A recording whose HLS cannot be one VOD (several encoder sessions, encrypted) is copied from
the provider's MP4 instead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy.orm import Session

from aethex.fetch import Fetcher, FetchFailed, FetchRefused, FetchTooLarge
from aethex.library import (
    Library,
    NotInLibrary,
    ProviderRecording,
    archives,
    recording,
    streams,
    vods,
)
from aethex.library.recording import RecordingPolicy
from aethex.media.errors import BadPlaylist, MediaDiskFull, MediaError, MediaLimitExceeded
from aethex.providers.cloudflare_recordings import CloudflareRecordings
from aethex.providers.mux_recordings import MuxRecordings
from aethex.providers.recordings import (
    PlainSource,
    RecordingAsked,
    RecordingNotReady,
    RecordingSource,
    RecordingUnavailable,
)
from aethex.settings import Settings
from aethex.workers.copied_captions import copy_captions
from aethex.workers.copying import CopiedHls, Copier, drop_folder, own_folder
from aethex.workers.lease import CannotSucceed, Lease
from aethex.workers.video import archive_video
from aethex.workers.video_captions import ProvidedCaptions

_COPIED, _PACKAGED = 0.6, 0.85  # shares of the whole
_ASK_AGAIN_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 1800.0
_FORBIDDEN = (401, 403, 410)
T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Task:
    """A recording that is to be copied, and where its VOD belongs."""

    recording_id: str
    provider: str
    asked: RecordingAsked
    stream_id: str
    starts_at: datetime | None
    policy: RecordingPolicy
    """How its channel has its streams recorded."""


def default_sources(settings: Settings) -> dict[str, RecordingSource]:
    """Who knows where recordings are, by provider."""
    return {
        CloudflareRecordings.name: CloudflareRecordings.from_settings(settings),
        MuxRecordings.name: MuxRecordings.from_settings(settings),
    }


class Archiver:
    """The handler of archive jobs."""

    def __init__(
        self,
        settings: Settings,
        library: Library,
        fetch: Fetcher,
        sources: Mapping[str, RecordingSource] | None = None,
    ) -> None:
        self._settings = settings
        self._library = library
        self._fetch = fetch
        self._sources = default_sources(settings) if sources is None else sources

    def __call__(self, lease: Lease) -> None:
        """Copy the recording. Raises CannotSucceed for what no attempt can do."""
        try:
            task = self._task(lease)
            if task is not None:
                self._archive(lease, task)
        except (MediaDiskFull, MediaLimitExceeded):
            raise  # there may be room, and time, later
        except FetchFailed as error:
            if error.status in _FORBIDDEN:
                raise CannotSucceed(str(error)) from error
            raise
        except (
            FetchRefused,
            FetchTooLarge,
            MediaError,
            NotInLibrary,
            RecordingUnavailable,
        ) as error:
            raise CannotSucceed(str(error)) from error

    def _task(self, lease: Lease) -> _Task | None:
        """What there is to do; None when there is nothing, and the job has ended."""
        with self._library.session() as s:
            row = archives.get(s, lease.subject_id)
            policy = self._policy(s, row)
            if row.archived_at is not None or not policy.is_enabled:
                lease.finish(s)
                return None
            if row.state != "ready":
                raise CannotSucceed(f"Recording {row.id} is {row.state} at {row.provider}.")
            if row.stream_id is None:
                raise CannotSucceed(f"Recording {row.id} is of no stream that is known.")
            starts_at = _start(s, row, row.stream_id)
            return _Task(row.id, row.provider, _asked(row), row.stream_id, starts_at, policy)

    def _policy(self, s: Session, row: ProviderRecording) -> RecordingPolicy:
        """Its channel's; of a recording whose channel is not known yet, the platform's."""
        channel_id = archives.channel_of(s, row)
        if channel_id is None:
            return recording.platform_policy(self._settings)
        return recording.policy_of(s, channel_id, self._settings)

    def _archive(self, lease: Lease, task: _Task) -> None:
        base = self._settings.data_dir / "tmp" / "archive"

        def tell(stage: str, share: float) -> None:
            if stage == "uploading":
                lease.progress(_PACKAGED + (1 - _PACKAGED) * share, stage)
            else:
                lease.progress(_COPIED + (_PACKAGED - _COPIED) * share, stage)

        def enter(s: Session, vod_id: str) -> None:
            archives.mark_archived(s, task.recording_id, vod_id)
            if _is_test(s, task, vod_id):
                vods.mark_deleted(s, vod_id, datetime.now(UTC), "test")
            lease.finish(s)

        with own_folder(base, task.recording_id) as folder:
            copier = Copier(
                self._fetch, folder, self._settings, f"recording {task.recording_id}", lease.wait
            )
            path, provided = self._copy(lease, task, copier)
            report = archive_video(
                self._settings,
                self._library,
                path,
                stream_id=task.stream_id,
                identity=f"{task.provider}:{task.asked.external_id}",
                starts_at=task.starts_at,
                progress=tell,
                in_transaction=enter,
                provided=provided,
                wants_mp4="mp4" in task.policy.formats,
            )
            _tell_of(task, report.notes)
            drop_folder(folder)

    def _copy(
        self, lease: Lease, task: _Task, copier: Copier
    ) -> tuple[Path, Sequence[ProvidedCaptions]]:
        source = self._sources.get(task.provider, PlainSource())

        def on_share(share: float) -> None:
            lease.progress(_COPIED * share, "copying")

        now = datetime.now(UTC)
        media = _when_ready(lease, lambda: source.media(self._fetch, task.asked, now))
        if media.hls_url is not None:
            try:
                copied = copier.hls(media.hls_url, on_share)
                return copied.path, self._captions(lease, task, copier, copied)
            except BadPlaylist as bad:
                lease.progress(0.0, "waiting for the MP4", reason=str(bad))
                try:
                    url = media.mp4_url or _when_ready(
                        lease, lambda: source.mp4(self._fetch, task.asked, now)
                    )
                except RecordingUnavailable as error:
                    raise RecordingUnavailable(f"{bad} And: {error}") from error
                return copier.mp4(url, on_share), ()
        if media.mp4_url is None:
            raise RecordingUnavailable(f"Recording {task.recording_id} has no address.")
        return copier.mp4(media.mp4_url, on_share), ()

    def _captions(
        self, lease: Lease, task: _Task, copier: Copier, copied: CopiedHls
    ) -> Sequence[ProvidedCaptions]:
        lease.progress(_COPIED, "copying captions")
        is_last = lease.claim.attempts >= lease.claim.max_attempts
        found, notes = copy_captions(copier, copied, is_last_attempt=is_last)
        _tell_of(task, notes)
        return found


def _is_test(s: Session, task: _Task, vod_id: str) -> bool:
    """Whether the recording is shorter than it has to be, and is not a piece of a longer stream:
    some providers begin a new one with each reconnect.
    """
    shortest = timedelta(seconds=task.policy.min_duration_seconds)
    vod, stream = vods.get(s, vod_id), streams.get(s, task.stream_id)
    if vod is None or stream is None or stream.started_at is None or stream.ended_at is None:
        return False
    length = max(timedelta(milliseconds=vod.duration_ms or 0), stream.ended_at - stream.started_at)
    return length < shortest


def _tell_of(task: _Task, notes: Sequence[str]) -> None:
    for note in notes:
        _log.info("Recording %s: %s", task.recording_id, note)


def _when_ready(lease: Lease, ask: Callable[[], T]) -> T:
    """The answer, once the provider has it. Raises RecordingNotReady after half an hour."""
    waited = 0.0
    while True:
        try:
            return ask()
        except RecordingNotReady:
            if waited >= _LONGEST_WAIT_SECONDS:
                raise
            lease.wait(_ASK_AGAIN_SECONDS)
            waited += _ASK_AGAIN_SECONDS


def _asked(row: ProviderRecording) -> RecordingAsked:
    return RecordingAsked(
        external_id=row.external_id,
        hls_url=row.hls_url,
        mp4_url=row.mp4_url,
        is_signed=row.is_signed,
        is_to_look_up=row.is_to_look_up,
        started_at=row.started_at,
        details=row.details,
    )


def _start(s: Session, row: ProviderRecording, stream_id: str) -> datetime | None:
    """The wall clock of its first frame: as told, but not before its stream, whose time begins
    there; without a word of it, the stream's start.
    """
    stream = streams.get(s, stream_id)
    begins_at = stream.started_at if stream is not None else None
    if row.started_at is None or begins_at is None:
        return row.started_at or begins_at
    return max(row.started_at, begins_at)
