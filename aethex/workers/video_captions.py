"""Captions that come with a video: of its file and of its provider, as files to be stored.

What belongs here: bringing both together, each on the VOD's time and in a language of its own. What
does not: reading them (`aethex.media.captions`, `copied_captions`), storing and entering (`video`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from aethex.library import NewCaptions
from aethex.library.captions import MOST_LANGUAGES
from aethex.library.models import CaptionsSource
from aethex.media.languages import unused_tag
from aethex.media.vod import CaptionTrack, PackagedVod
from aethex.media.webvtt import MPEG_TICKS, Cue, placed, write_webvtt
from aethex.workers.video_parts import CaptionFile, Place

_WRAP_MS = 2**33 * 1000 // MPEG_TICKS
"""After so long the clock of MPEG-TS begins anew: 26.5 hours."""

_EARLY_MS = 3_600_000
"""So much before the video a cue may be. What is earlier is after the clock began anew."""


@dataclass(frozen=True)
class ProvidedCaptions:
    """Captions of a provider's recording, as `CaptionTrack`.

    The cues are on the clock of the recording's media where `is_on_media_clock`, else they count
    from its first moment.
    """

    language: str
    label: str
    is_for_deaf: bool
    cues: tuple[Cue, ...]
    is_on_media_clock: bool


def caption_files(
    place: Place, packaged: PackagedVod, provided: Sequence[ProvidedCaptions], folder: Path
) -> tuple[list[CaptionFile], list[str]]:
    """Write the captions of a packaged video to `folder`; and sentences about what was left out."""
    tracks: list[tuple[CaptionsSource, CaptionTrack]] = [("file", one) for one in packaged.captions]
    notes: list[str] = []
    for captions in provided:
        track = _on_vod_time(captions, packaged, [track.language for _, track in tracks])
        if track.cues:
            tracks.append(("provider", track))
        else:
            notes.append(f"The captions in {captions.label} hold nothing for this video; left out.")
    if len(tracks) > MOST_LANGUAGES:
        notes.append(f"Of {len(tracks)} captions the first {MOST_LANGUAGES} were taken.")
    folder.mkdir()
    return [_file(place, folder, *one) for one in tracks[:MOST_LANGUAGES]], notes


def _on_vod_time(
    captions: ProvidedCaptions, packaged: PackagedVod, used: Collection[str]
) -> CaptionTrack:
    cues: Sequence[Cue] = captions.cues
    if captions.is_on_media_clock:
        origin_ms = round(packaged.origin_seconds * 1000)
        cues = [cue for one in cues for cue in placed([one], **_shift(one, origin_ms, packaged))]
    else:
        cues = placed(cues, offset_ms=0, duration_ms=packaged.duration_ms)
    language = unused_tag(captions.language, used)
    return CaptionTrack(language, captions.label, captions.is_for_deaf, tuple(cues))


def _shift(cue: Cue, origin_ms: int, packaged: PackagedVod) -> dict[str, int]:
    """How far a cue is to be moved, whichever turn of the clock either of both was written in."""
    at_ms = (cue.start_ms - origin_ms + _EARLY_MS) % _WRAP_MS - _EARLY_MS
    return {"offset_ms": at_ms - cue.start_ms, "duration_ms": packaged.duration_ms}


def _file(place: Place, folder: Path, source: CaptionsSource, track: CaptionTrack) -> CaptionFile:
    name = f"captions-{track.language}.vtt"
    path = folder / name
    written = path.write_bytes(write_webvtt(track.cues))
    new = NewCaptions(
        language=track.language,
        label=track.label,
        kind="captions" if track.is_for_deaf else "subtitles",
        source=source,
        key=place.vod_key(name),
        bytes=written,
        cues=len(track.cues),
    )
    return CaptionFile(new, path)
