"""Text subtitles of a video file, as captions on the VOD's time.

What belongs here: which tracks are taken, and reading them by ffmpeg in the sandbox. What does not:
WebVTT itself (`webvtt.py`), captions of playlists (workers) and of people (service).

A video whose subtitles cannot be read is a video all the same: what is left out is said, and no
error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from aethex.media.errors import BadCaptions, MediaDiskFull, MediaError
from aethex.media.ffmpeg import find_ffmpeg
from aethex.media.languages import UNKNOWN, canonical_language, language_name, unused_tag
from aethex.media.probe import Probe, SubtitleTrack
from aethex.media.sandbox import Limits, ending_error, run_program
from aethex.media.vod import CaptionTrack
from aethex.media.webvtt import Cue, parse_captions, placed
from aethex.media.whitelist import CODECS, TEXT_CODECS, ffmpeg_input_options

MAX_LABEL_CHARACTERS = 100
_FOR_DEAF = re.compile(r"\b(?:sdh|cc|closed captions?|hearing[- ]impaired)\b", re.IGNORECASE)


def read_tracks(
    file: Path,
    probe: Probe,
    duration_ms: int,
    *,
    scratch: Path,
    subject: str,
    limits: Limits,
) -> tuple[list[CaptionTrack], list[str]]:
    """The text tracks of a file that was probed, and in sentences what was taken or left out.

    Raises MediaDiskFull only: that concerns the video too.
    """
    texts = [track for track in probe.subtitles if track.codec in TEXT_CODECS]
    notes = [
        f"The subtitles in track {track.index} ({_said(track)}) are pictures, not text, and were "
        "left out."
        for track in probe.subtitles
        if track.codec not in TEXT_CODECS
    ]
    if not texts or probe.video is None:
        return [], notes
    try:
        files = _extract(file, texts, scratch, subject, limits)
    except MediaDiskFull:
        raise
    except MediaError:
        return [], [*notes, "Its subtitles cannot be read, so they were left out."]
    tracks: list[CaptionTrack] = []
    offset_ms = -round(probe.video.origin_seconds * 1000)
    for track, written in zip(texts, files, strict=True):
        try:
            cues = placed(_cues(written), offset_ms=offset_ms, duration_ms=duration_ms)
        except BadCaptions as error:
            notes.append(f"The subtitles in track {track.index} were left out. {error}")
            continue
        if not cues:
            notes.append(f"The subtitles in track {track.index} hold no text; left out.")
            continue
        tracks.append(_track(track, cues, [one.language for one in tracks]))
        notes.append(f"Its subtitles in {tracks[-1].label} became captions ({len(cues):,} cues).")
    return tracks, notes


def captions_label(language: str, told: str | None = None) -> str:
    """What viewers choose the captions by: what was told, cut to what fits, else the language."""
    clean = "".join(c if c.isprintable() else " " for c in told or "")
    return " ".join(clean.split())[:MAX_LABEL_CHARACTERS].strip() or language_name(language)


def _track(track: SubtitleTrack, cues: Sequence[Cue], used: Sequence[str]) -> CaptionTrack:
    language = canonical_language(track.language or "") or UNKNOWN
    label = captions_label(language, track.title)
    if track.is_forced and not track.title:
        label += " (forced)"
    is_for_deaf = track.is_for_deaf or _FOR_DEAF.search(label) is not None
    return CaptionTrack(unused_tag(language, used), label, is_for_deaf, tuple(cues))


def _said(track: SubtitleTrack) -> str:
    return ", ".join(filter(None, (track.language, track.codec)))


def _cues(written: Path) -> Sequence[Cue]:
    if not written.is_file() or written.stat().st_size == 0:
        return ()
    data = written.read_bytes()
    return parse_captions(data).cues if b"-->" in data else ()


def _extract(
    file: Path, tracks: Sequence[SubtitleTrack], scratch: Path, subject: str, limits: Limits
) -> list[Path]:
    """Each track as a file of WebVTT, on the source's own clock. Raises MediaError."""
    files = [scratch / f"subtitles-{track.index}.vtt" for track in tracks]
    outputs: list[str] = []
    for track, target in zip(tracks, files, strict=True):
        outputs += [*("-map", f"0:{track.index}", "-c:s", "webvtt", "-f", "webvtt")]
        outputs.append(f"file:{target}")
    binary = find_ffmpeg()
    ended = run_program(
        [
            *(str(binary), "-nostdin", "-hide_banner", "-v", "error", "-nostats", "-y", "-copyts"),
            *ffmpeg_input_options(f"{CODECS},{','.join(TEXT_CODECS)}"),
            *("-i", f"file:{file}", "-map_metadata", "-1", *outputs),
        ],
        subject=subject,
        scratch=scratch,
        readable=[file, binary],
        limits=limits,
        on_line=lambda _line: None,
    )
    if ended.returncode != 0:
        raise ending_error(ended, subject, limits)
    return files
