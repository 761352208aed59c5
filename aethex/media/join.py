"""Puts a picture and its sound, which came as two files, into one.

What belongs here: copying packets, in the sandbox. What does not: fetching either.

FFmpeg reads whatever a provider's files are. It shares nothing with `progressive.py`, which writes
an index over our own segments without copying a packet.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aethex.media.ffmpeg import find_ffmpeg
from aethex.media.sandbox import Limits, ending_error, run_program
from aethex.media.whitelist import ffmpeg_input_options

if TYPE_CHECKING:
    from aethex.settings import Settings


def join_sound(
    picture: Path, sound: Path, target: Path, *, settings: Settings, subject: str
) -> Path:
    """Write `target` (Matroska) with the picture of one file and the sound of the other.

    Both keep their times: they were cut from one timeline. Raises MediaError.
    """
    limits = Limits.of(settings)
    target.parent.mkdir(parents=True, exist_ok=True)
    binary = find_ffmpeg()
    ended = run_program(
        [
            *(str(binary), "-nostdin", "-hide_banner", "-v", "error", "-nostats", "-y", "-copyts"),
            *(*ffmpeg_input_options(), "-i", f"file:{picture}"),
            *(*ffmpeg_input_options(), "-i", f"file:{sound}"),
            *("-map", "0:v:0", "-map", "1:a:0", "-c", "copy", "-map_metadata", "-1"),
            *("-sn", "-dn", "-f", "matroska", f"file:{target}"),
        ],
        subject=subject,
        scratch=target.parent,
        readable=[picture, sound, binary],
        limits=limits,
        on_line=lambda _line: None,
    )
    if ended.returncode != 0:
        raise ending_error(ended, subject, limits)
    return target
