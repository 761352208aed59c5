"""Packages a video: HLS fMP4 segments, playlist, poster and MP4 in one folder.

What belongs here: the order of the steps, and that a failure leaves nothing. What does not: the
steps themselves (`scan.py`, `decide.py`, `transcode.py`, `pack.py`).
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aethex.media import decide, transcode
from aethex.media.captions import read_tracks
from aethex.media.errors import DISK_FULL, MediaDiskFull, MediaError, UnreadableMedia
from aethex.media.playlist import PlaylistRun, PlaylistSegment, media_playlist
from aethex.media.probe import TIMELINE_NAME, Probe, VideoStream, scan
from aethex.media.sandbox import Limits, run_task
from aethex.media.sources import single_file
from aethex.media.vod import (
    INIT_NAME,
    MP4_NAME,
    PLAYLIST_NAME,
    POSTER_NAME,
    PackagedFile,
    PackagedSegment,
    PackagedVod,
    segment_name,
)

if TYPE_CHECKING:
    from aethex.settings import Settings

_FILE_NAMES = (INIT_NAME, POSTER_NAME, MP4_NAME)

ProgressCallback = Callable[[float, str], None]


def package(
    source: Path, out_dir: Path, *, settings: Settings, on_progress: ProgressCallback | None = None
) -> PackagedVod:
    """Package a video file, or a local HLS playlist, into `out_dir`.

    Writes `init.mp4`, `000000.m4s` …, `index.m3u8`, `poster.jpg` and `video.mp4`. `out_dir` appears
    when all of it is there (it may exist before, if it is empty); a failure leaves nothing. Packets
    are copied unless browsers cannot play them. `on_progress` gets a fraction (0 to 1, never
    falling) and the stage: `reading`, `encoding`, `packaging`.

    Raises MediaError, whose message says what is wrong with the file and what to do;
    FileExistsError when `out_dir` holds something.
    """
    if out_dir.exists() and any(out_dir.iterdir()):
        raise FileExistsError(f"{out_dir} is not empty")
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}-", dir=out_dir.parent)).resolve()
    try:
        job = _Job(source, work, settings, on_progress or _ignore)
        packaged = job.run()
        (work / "vod").chmod(0o755)
        (work / "vod").replace(out_dir)
        return replace(packaged, out_dir=out_dir)
    except OSError as error:
        if isinstance(error, FileExistsError):
            raise
        if error.errno in (errno.EFBIG, errno.ENOSPC, errno.EDQUOT):
            raise MediaDiskFull(f"{source.name}: {DISK_FULL}") from None
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _ignore(_fraction: float, _stage: str) -> None:
    return None


class _Job:
    """One file on its way: `work/scratch` holds what is needed in between, `work/vod` becomes the
    package.
    """

    def __init__(
        self, source: Path, work: Path, settings: Settings, on_progress: ProgressCallback
    ) -> None:
        self.source = source
        self.subject = source.name
        self.settings = settings
        self.limits = Limits.of(settings)
        self.work = work
        self.scratch = work / "scratch"
        self.vod = work / "vod"
        self.scratch.mkdir()
        self.vod.mkdir()
        self._on_progress = on_progress
        self._fraction = 0.0

    def run(self) -> PackagedVod:
        file = single_file(self.source, self.scratch, self.settings)
        self._report(0.0, "reading")
        probe = scan(file, self.scratch, subject=self.subject, limits=self.limits)
        plan = decide.plan(probe, self.subject)
        packed_probe, answer = self._pack(file, probe, plan)
        assert packed_probe.video is not None
        result = self._result(packed_probe.video, plan, answer)
        assert probe.video is not None
        captions, notes = read_tracks(
            file,
            probe,
            result.duration_ms,
            scratch=self.scratch,
            subject=self.subject,
            limits=self.limits,
        )
        self._report(1.0, "packaging")
        return replace(
            result,
            notes=(*result.notes, *notes),
            origin_seconds=probe.video.origin_seconds,
            captions=tuple(captions),
        )

    def _pack(self, file: Path, probe: Probe, plan: decide.Plan) -> tuple[Probe, dict[str, Any]]:
        """Encode what the plan says, then package; the probe of the picture that was packaged."""
        folder = self.scratch
        audio, audio_file, audio_folder = plan.audio, file, folder
        if plan.encode_video:
            encoder = self._encoder(file, probe, 0.8)
            file = transcode.encode_video(encoder, plan)
            probe, audio = self._scan_encoded(file, "picture")
            audio_file = file
            folder = audio_folder = self.scratch / "picture"
        elif plan.encode_audio and plan.audio is not None:
            audio_file = transcode.encode_audio(self._encoder(file, probe, 0.5), plan.audio)
            _, audio = self._scan_encoded(audio_file, "sound")
            audio_folder = self.scratch / "sound"
        assert probe.video is not None
        request = {
            "out_dir": str(self.vod),
            "video": _track(file, probe.video.index, folder),
            "audio": None if audio is None else _track(audio_file, audio.index, audio_folder),
        }
        answer = run_task(
            "pack",
            request,
            subject=self.subject,
            scratch=self.work,
            readable=[file, audio_file],
            limits=self.limits,
            on_progress=self._stage(self._fraction, 1.0, "packaging"),
        )
        return probe, answer

    def _encoder(self, file: Path, probe: Probe, until: float) -> transcode.Encoder:
        report = self._stage(0.1, until, "encoding")
        return transcode.Encoder(file, probe, self.scratch, self.subject, self.limits, report)

    def _scan_encoded(self, file: Path, name: str) -> tuple[Probe, Any]:
        folder = self.scratch / name
        folder.mkdir()
        probe = scan(file, folder, subject=self.subject, limits=self.limits)
        return probe, next(iter(probe.audio), None)

    def _result(self, video: VideoStream, plan: decide.Plan, answer: dict[str, Any]) -> PackagedVod:
        segments = tuple(
            PackagedSegment(
                s["name"], s["start_ms"], s["end_ms"] - s["start_ms"], s["bytes"], s["sha256"]
            )
            for s in answer["segments"]
        )
        init, poster, mp4 = (
            PackagedFile(f["name"], f["bytes"], f["sha256"]) for f in answer["files"]
        )
        names = [file.name for file in (init, poster, mp4, *segments)]
        if names != [*_FILE_NAMES, *map(segment_name, range(len(segments)))]:
            # A child that a file took over may say anything; what it names is uploaded.
            raise UnreadableMedia(f"{self.subject}: the program that reads it lied.")
        run = PlaylistRun(INIT_NAME, [PlaylistSegment(s.name, s.duration_ms) for s in segments])
        (self.vod / PLAYLIST_NAME).write_text(media_playlist([run]))
        return PackagedVod(
            out_dir=self.vod,
            duration_ms=segments[-1].start_ms + segments[-1].duration_ms,
            width=answer["width"],
            height=answer["height"],
            frame_rate=video.frame_rate,
            is_variable_frame_rate=video.is_variable_frame_rate,
            video_codec="h264",
            audio_codec="aac" if answer["has_audio"] else None,
            codecs=answer["codecs"],
            was_video_transcoded=plan.encode_video,
            was_audio_transcoded=plan.encode_audio,
            why=plan.why,
            notes=plan.notes,
            pts_origin=0,
            init=init,
            segments=segments,
            poster=poster,
            mp4=mp4,
        )

    def _stage(self, start: float, end: float, name: str) -> Callable[[float], None]:
        return lambda part: self._report(start + (end - start) * part, name)

    def _report(self, fraction: float, stage: str) -> None:
        self._fraction = max(self._fraction, min(1.0, fraction))
        self._on_progress(self._fraction, stage)


def _track(file: Path, stream: int, folder: Path) -> dict[str, Any]:
    return {"path": str(file), "stream": stream, "timeline": str(folder / TIMELINE_NAME)}


__all__ = ["MediaError", "PackagedVod", "ProgressCallback", "package"]
