"""Finding the ffmpeg binary.

What belongs here: which ffmpeg, and whether it will do. What does not: its arguments
(`transcode.py`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from aethex.media.errors import FfmpegMissing

OLDEST_VERSION = 5


@lru_cache
def find_ffmpeg() -> Path:
    """The ffmpeg on PATH if it is at least version 5, else the one of `imageio-ffmpeg`.

    Raises FfmpegMissing when there is neither.
    """
    for candidate in _candidates():
        if _major_version(candidate) >= OLDEST_VERSION:
            return candidate
    raise FfmpegMissing(
        f"no ffmpeg of version {OLDEST_VERSION} or later: install ffmpeg, or the wheel "
        "imageio-ffmpeg."
    )


@lru_cache
def has_filter(binary: Path, name: str) -> bool:
    """Whether that ffmpeg was built with a filter."""
    command = [binary, "-hide_banner", "-filters"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return any(line.split()[1:2] == [name] for line in answer.stdout.splitlines())


def _candidates() -> list[Path]:
    candidates: list[Path] = []
    on_path = shutil.which("ffmpeg")
    if on_path is not None:
        candidates.append(Path(on_path).resolve())
    try:
        import imageio_ffmpeg  # pyright: ignore[reportMissingTypeStubs]

        candidates.append(Path(str(cast("Any", imageio_ffmpeg).get_ffmpeg_exe())).resolve())
    except (ImportError, RuntimeError):
        pass
    return candidates


def _major_version(binary: Path) -> int:
    """0 when it does not run. Builds from git say `n9.0.2-…` or `N-…-g<hash>`; the latter count as
    new.
    """
    try:
        answer = subprocess.run(
            [binary, "-version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.match(r"ffmpeg version (?:n?(\d+)\.|(N-))", answer.stdout)
    if found is None:
        return 0
    return 1000 if found[2] else int(found[1])
