"""What may be imported: a local video file, or a local HLS playlist with its segments beside it.

What belongs here: checking a source before anything opens it, and making one file of a playlist.
What does not: opening video (`scan.py`, `transcode.py`).

A playlist is text from outside: the files it names are read only when they lie in its own folder.
"""

from __future__ import annotations

import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote

from aethex.media.errors import BadPlaylist, MediaTooLarge, UnreadableMedia

if TYPE_CHECKING:
    from aethex.settings import Settings

PLAYLIST_SUFFIXES = (".m3u8", ".m3u")
_MOST_PLAYLIST_BYTES = 16 * 1024**2
_MOST_NESTED_PLAYLISTS = 2
_CHUNK_BYTES = 1024**2
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of media that a playlist names: all of a file, or `length` bytes from `offset` on."""

    uri: str
    offset: int = 0
    length: int | None = None


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """Parts in playing order, an init segment first where there is one."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class SubtitleRendition:
    """Subtitles that have a playlist of their own, as the master playlist describes them."""

    uri: str
    language: str | None
    name: str | None
    is_for_deaf: bool


@dataclass(frozen=True, slots=True)
class MasterPlaylist:
    """The variant with the highest bandwidth, and whether its sound comes from another playlist."""

    best_uri: str
    has_separate_sound: bool
    sound_uri: str | None = None
    """That playlist: the default one of the variant's group, else the first."""
    subtitles: tuple[SubtitleRendition, ...] = ()
    """Of the variant's group."""


def is_playlist(path: Path) -> bool:
    return path.suffix.lower() in PLAYLIST_SUFFIXES


def checked_file(path: Path, settings: Settings) -> Path:
    """The absolute path of a regular, readable, non-empty file that is not too large.

    Raises UnreadableMedia or MediaTooLarge.
    """
    text = str(path)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):
        raise UnreadableMedia(
            f"{text}: addresses are not imported; download the video and give its path."
        )
    try:
        resolved = path.resolve(strict=True)
        status = resolved.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such file"
        raise UnreadableMedia(f"{path}: {reason}; check the path.") from None
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise UnreadableMedia(
            f"{path}: this is {what}; give a video file or an HLS playlist (.m3u8)."
        )
    if status.st_size == 0:
        raise UnreadableMedia(f"{path.name}: the file is empty; download or export it again.")
    _check_size(status.st_size, path, settings)
    try:
        with resolved.open("rb"):
            pass
    except OSError as error:
        raise UnreadableMedia(f"{path}: {error.strerror}; make the file readable.") from None
    return resolved


def single_file(path: Path, scratch: Path, settings: Settings) -> Path:
    """The file to read: the source itself, or a playlist's segments joined in `scratch`.

    Raises UnreadableMedia, MediaTooLarge or BadPlaylist.
    """
    source = checked_file(path, settings)
    if not is_playlist(path):
        return source
    playlist = _media_playlist(source, path.name)
    joined = scratch / "joined"
    total = 0
    with joined.open("wb") as out:
        for part in playlist.parts:
            file = _beside(source.parent, part.uri, path.name)
            length = part.length if part.length is not None else file.stat().st_size - part.offset
            total += max(0, length)
            _check_size(total, path, settings)
            _copy_range(file, part.offset, length, out, path.name)
    return joined


def parse_playlist(text: str, subject: str) -> MediaPlaylist | MasterPlaylist:
    """Read an HLS playlist (RFC 8216). Raises BadPlaylist for what cannot be imported."""
    lines = [line.strip() for line in text.splitlines()]
    if not lines or lines[0].lstrip("\ufeff") != "#EXTM3U":
        raise BadPlaylist(f"{subject}: this is no HLS playlist (its first line is not #EXTM3U).")
    if any(line.startswith("#EXT-X-STREAM-INF") for line in lines):
        return _parse_master(lines, subject)
    _refuse(lines, subject)
    parts: list[Part] = []
    byte_range: str | None = None
    ends: dict[str, int] = {}
    for line in lines:
        if line.startswith("#EXT-X-MAP:"):
            attributes = _attributes(line)
            part = _part(attributes.get("URI", ""), attributes.get("BYTERANGE"), ends, subject)
            if parts and part != parts[0]:
                raise BadPlaylist(
                    f"{subject}: it names several init segments (recordings in one); import each "
                    "recording on its own."
                )
            if not parts:
                parts.append(part)
        elif line.startswith("#EXT-X-BYTERANGE:"):
            byte_range = line.partition(":")[2]
        elif line and not line.startswith("#"):
            parts.append(_part(line, byte_range, ends, subject))
            byte_range = None
    if not parts:
        raise BadPlaylist(f"{subject}: it names no segments.")
    return MediaPlaylist(tuple(parts))


def _refuse(lines: list[str], subject: str) -> None:
    if any(line.startswith("#EXT-X-KEY:") and "METHOD=NONE" not in line for line in lines):
        raise BadPlaylist(f"{subject}: its segments are encrypted; import a decrypted copy.")
    if breaks := lines.count("#EXT-X-DISCONTINUITY"):
        raise BadPlaylist(
            f"{subject}: it has {breaks} discontinuities (recordings in one); import each "
            "recording on its own."
        )


def _parse_master(lines: list[str], subject: str) -> MasterPlaylist:
    variants: list[tuple[int, str, str, str]] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("#EXT-X-STREAM-INF:") and following and not following.startswith("#"):
            attributes = _attributes(line)
            bandwidth = attributes.get("BANDWIDTH", "0")
            rate = int(bandwidth) if bandwidth.isdecimal() and len(bandwidth) < 16 else 0
            groups = attributes.get("AUDIO", ""), attributes.get("SUBTITLES", "")
            variants.append((rate, following, *groups))
    if not variants:
        raise BadPlaylist(f"{subject}: it names no variant.")
    _, uri, group, subtitle_group = max(variants)
    media = [_attributes(line) for line in lines if line.startswith("#EXT-X-MEDIA:")]
    sounds = [
        one
        for one in media
        if group and one.get("TYPE") == "AUDIO" and one.get("GROUP-ID") == group and "URI" in one
    ]
    chosen = next((one for one in sounds if one.get("DEFAULT") == "YES"), None)
    sound = chosen or next(iter(sounds), None)
    subtitles = tuple(
        SubtitleRendition(
            one["URI"],
            one.get("LANGUAGE"),
            one.get("NAME"),
            "transcribes-spoken-dialog" in one.get("CHARACTERISTICS", ""),
        )
        for one in media
        if one.get("TYPE") == "SUBTITLES" and one.get("GROUP-ID") == subtitle_group and "URI" in one
    )
    return MasterPlaylist(uri, bool(sounds), sound["URI"] if sound else None, subtitles)


def _attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


def _part(uri: str, byte_range: str | None, ends: dict[str, int], subject: str) -> Part:
    if byte_range is None:
        return Part(uri)
    found = re.fullmatch(r"(\d{1,15})(?:@(\d{1,15}))?", byte_range.strip())
    if found is None:
        raise BadPlaylist(f"{subject}: it holds a byte range that cannot be read.")
    length = int(found[1])
    offset = int(found[2]) if found[2] else ends.get(uri, 0)
    ends[uri] = offset + length
    return Part(uri, offset, length)


def _media_playlist(source: Path, subject: str) -> MediaPlaylist:
    for _ in range(_MOST_NESTED_PLAYLISTS):
        playlist = parse_playlist(_playlist_text(source, subject), subject)
        if isinstance(playlist, MediaPlaylist):
            return playlist
        if playlist.has_separate_sound:
            raise BadPlaylist(
                f"{subject}: its sound is in a playlist of its own; join both into one file first."
            )
        variant = _beside(source.parent, playlist.best_uri, subject)
        if variant.parent != source.parent:
            raise BadPlaylist(
                f"{subject}: its best variant lies in another folder; give that playlist instead."
            )
        source = variant
    raise BadPlaylist(f"{subject}: its variants are lists of variants again.")


def _playlist_text(path: Path, subject: str) -> str:
    if path.stat().st_size > _MOST_PLAYLIST_BYTES:
        raise BadPlaylist(f"{subject}: a playlist of more than 16 MiB is not read.")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise BadPlaylist(f"{subject}: this is no HLS playlist (not text in UTF-8).") from None


def _beside(folder: Path, uri: str, subject: str) -> Path:
    """The file that a playlist means, which has to be a regular file inside its folder."""
    if _SCHEME.match(uri) or uri.startswith("//"):
        raise BadPlaylist(
            f"{subject}: it names an address ({uri[:80]}); only playlists with local segments are "
            "imported, so download them into its folder."
        )
    for name in dict.fromkeys((uri, unquote(uri), unquote(uri.partition("?")[0]))):
        try:
            file = (folder / name).resolve(strict=True)
            is_regular = file.is_file()
        except (OSError, ValueError):
            continue
        if not file.is_relative_to(folder):
            raise BadPlaylist(
                f"{subject}: it names a file outside its own folder ({uri[:80]}), which is not "
                "read."
            )
        if is_regular:
            return file
    raise BadPlaylist(f"{subject}: the segment {uri[:80]} is missing; put it beside the playlist.")


def _copy_range(file: Path, offset: int, length: int, out: BinaryIO, subject: str) -> None:
    with file.open("rb") as source:
        if offset == 0 and length == file.stat().st_size:
            shutil.copyfileobj(source, out, _CHUNK_BYTES)
            return
        source.seek(offset)
        while length > 0:
            chunk = source.read(min(_CHUNK_BYTES, length))
            if not chunk:
                raise BadPlaylist(f"{subject}: the segment {file.name} is shorter than stated.")
            out.write(chunk)
            length -= len(chunk)


def _check_size(size_bytes: int, path: Path, settings: Settings) -> None:
    if size_bytes > settings.media_max_bytes:
        raise MediaTooLarge(
            f"{path.name}: {size_bytes} bytes are more than AETHEX_MEDIA_MAX_BYTES "
            f"({settings.media_max_bytes}); raise it to accept this video."
        )
