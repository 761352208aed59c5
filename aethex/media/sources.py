"""What may be imported: a local video file, or a local HLS playlist with its segments beside it.

What belongs here: checking a source before anything opens it, and making one file of a playlist. What
does not: opening video (`scan.py`, `transcode.py`).
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from aethex.media.errors import BadPlaylist, MediaTooLarge, UnreadableMedia

if TYPE_CHECKING:
    from aethex.settings import Settings

PLAYLIST_SUFFIXES = (".m3u8", ".m3u")


def is_playlist(path: Path) -> bool:
    return path.suffix.lower() in PLAYLIST_SUFFIXES


def checked_file(path: Path, settings: Settings) -> Path:
    """The absolute path of a regular, readable, non-empty file that is not too large.

    Raises UnreadableMedia or MediaTooLarge.
    """
    text = str(path)
    if "://" in text or text.startswith(("http:/", "https:/")):
        raise UnreadableMedia(
            f"{text}: addresses are not imported; download the video and give its path."
        )
    try:
        resolved = path.resolve(strict=True)
        status = resolved.stat()
    except OSError as error:
        raise UnreadableMedia(
            f"{path}: {error.strerror or 'cannot be opened'}; check the path."
        ) from None
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise UnreadableMedia(
            f"{path}: this is {what}; give a video file or an HLS playlist (.m3u8)."
        )
    if status.st_size == 0:
        raise UnreadableMedia(f"{path.name}: the file is empty; download or export it again.")
    if status.st_size > settings.media_max_bytes:
        raise MediaTooLarge(
            f"{path.name}: {status.st_size} bytes are more than AETHEX_MEDIA_MAX_BYTES "
            f"({settings.media_max_bytes}); raise it to accept this file."
        )
    try:
        with resolved.open("rb"):
            pass
    except OSError as error:
        raise UnreadableMedia(f"{path}: {error.strerror}; make the file readable.") from None
    return resolved


def single_file(path: Path, scratch: Path, settings: Settings) -> Path:
    """The file to read: the source itself, or a playlist's segments joined in `scratch`."""
    source = checked_file(path, settings)
    if not is_playlist(path):
        return source
    raise BadPlaylist(f"{path.name}: playlists are not read yet.")
