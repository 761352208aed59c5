"""An HLS recording becomes files in a folder, many at a time, and goes on where it stopped.

What belongs here: which files a playlist needs, fetching those that are not there yet, and joining
picture and sound. What does not: where the playlist is (providers), what becomes of the files.

Each file is fetched whole, then gets its name, and beside it its digest. A copy that was killed
leaves both; the next one reads what is there and fetches the rest. A playlist that has become
another one begins anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from aethex.fetch import Fetcher, FetchError, FetchFailed
from aethex.media.errors import BadPlaylist, MediaTooLarge
from aethex.media.join import join_sound
from aethex.media.sources import (
    MasterPlaylist,
    MediaPlaylist,
    Part,
    SubtitleRendition,
    parse_playlist,
    single_file,
)
from aethex.settings import Settings

FILES_AT_ONCE = 6
_TRIES = 4
_MOST_PLAYLIST_BYTES = 16 * 1024**2
_MOST_FILES = 200_000
_CHUNK_BYTES = 1024**2
_KEPT_SECONDS = 7 * 24 * 3600.0  # since the last attempt began, which opened the lock anew
_INDEX = "index.m3u8"

T = TypeVar("T")
OnShare = Callable[[float], None]
"""Called with the share that is there, 0–1. What it raises ends the copy."""
Wait = Callable[[float], None]
"""Lets so many seconds pass. What it raises ends the copy."""


@dataclass(frozen=True)
class CopiedHls:
    """A recording that was copied, and the captions that its master playlist (at `url`) names."""

    path: Path
    """Something that can be packaged: a local playlist, or one file where the sound came apart."""
    url: str
    subtitles: Sequence[SubtitleRendition] = ()


@dataclass(frozen=True)
class Copier:
    """Copies into `folder`, which is this copy's own."""

    fetch: Fetcher
    folder: Path
    settings: Settings
    subject: str
    """What it is, for messages."""
    wait: Wait

    def hls(self, url: str, on_share: OnShare) -> CopiedHls:
        """The best rendition of a playlist, without its captions.

        Raises FetchError, BadPlaylist, MediaTooLarge and other MediaErrors, OSError.
        """
        url, found = self.playlist(url)
        if isinstance(found, MediaPlaylist):
            return CopiedHls(self._files(url, found, self.folder / "picture", on_share), url)
        return CopiedHls(self._best(url, found, on_share), url, found.subtitles)

    def _best(self, url: str, master: MasterPlaylist, on_share: OnShare) -> Path:
        """The best rendition, with its sound when that is apart."""
        picture_url, picture = self._media(urljoin(url, master.best_uri))
        if master.sound_uri is None:
            return self._files(picture_url, picture, self.folder / "picture", on_share)
        sound_url, sound = self._media(urljoin(url, master.sound_uri))
        one = self._files(
            picture_url, picture, self.folder / "picture", lambda share: on_share(share * 0.9)
        )
        other = self._files(
            sound_url, sound, self.folder / "sound", lambda share: on_share(0.9 + share * 0.1)
        )
        return self._joined(one, other)

    def mp4(self, url: str, on_share: OnShare) -> Path:
        """A recording that is one file. Raises FetchError or OSError."""
        path = self.folder / "recording.mp4"

        def on_bytes(done: int, total: int | None) -> None:
            on_share(done / total if total else 0.0)

        most = self.settings.media_max_bytes
        self.retried(
            lambda: (
                path.exists() or self.fetch.download(url, path, max_bytes=most, on_bytes=on_bytes)
            )
        )
        return path

    # --- playlists ----------------------------------------------------------------------------

    def _media(self, url: str) -> tuple[str, MediaPlaylist]:
        url, found = self.playlist(url)
        if isinstance(found, MasterPlaylist):
            raise BadPlaylist(f"{self.subject}: its variants are lists of variants again.")
        return url, found

    def playlist(self, url: str) -> tuple[str, MediaPlaylist | MasterPlaylist]:
        """A playlist and where it was found in the end. Raises FetchError, BadPlaylist."""
        got = self.retried(lambda: self.fetch.get(url, max_bytes=_MOST_PLAYLIST_BYTES))
        try:
            text = got.body.decode("utf-8")
        except UnicodeDecodeError:
            raise BadPlaylist(f"{self.subject}: this is no HLS playlist (not UTF-8).") from None
        if "#EXT-X-STREAM-INF" not in text and "#EXT-X-ENDLIST" not in text:
            raise FetchFailed(f"{self.subject}: its playlist has no end yet.")
        return got.url, parse_playlist(text, self.subject)

    # --- files --------------------------------------------------------------------------------

    def _files(self, url: str, playlist: MediaPlaylist, folder: Path, on_share: OnShare) -> Path:
        """All files of a playlist, and a playlist of them."""
        names = {
            uri: f"{n:06}{_suffix(uri)}"
            for n, uri in enumerate(dict.fromkeys(part.uri for part in playlist.parts))
        }
        if len(names) > _MOST_FILES:
            raise MediaTooLarge(f"{self.subject}: a recording of {len(names)} files is not copied.")
        _begin(folder, _plan(playlist.parts, names))
        there = {uri: folder / name for uri, name in names.items() if _is_there(folder / name)}
        missing = {uri: folder / name for uri, name in names.items() if uri not in there}
        done, done_bytes = len(there), sum(path.stat().st_size for path in there.values())
        on_share(done / len(names))
        with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
            futures = [
                pool.submit(self._file, urljoin(url, uri), path) for uri, path in missing.items()
            ]
            try:
                for future in as_completed(futures):
                    done_bytes, done = done_bytes + future.result(), done + 1
                    self._check_size(done_bytes)
                    on_share(done / len(names))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        index = folder / _INDEX
        index.write_text(_local_playlist(playlist.parts, names))
        return index

    def _file(self, url: str, path: Path) -> int:
        """Fetch one file; its bytes."""
        most = self.settings.media_max_bytes
        got = self.retried(lambda: self.fetch.download(url, path, max_bytes=most))
        _digest_file(path).write_text(got.sha256)
        return got.bytes

    def retried(self, ask: Callable[[], T]) -> T:
        """The answer, asked for a few times: one that breaks off is no reason to begin anew."""
        for attempt in range(1, _TRIES + 1):
            self.wait(0)
            try:
                return ask()
            except FetchFailed as error:
                if not error.can_retry or attempt == _TRIES:
                    raise
                self.wait(0.25 * 4 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self.settings.media_max_bytes:
            raise MediaTooLarge(
                f"{self.subject}: more than AETHEX_MEDIA_MAX_BYTES "
                f"({self.settings.media_max_bytes}); raise it to copy this recording."
            )

    def _joined(self, picture: Path, sound: Path) -> Path:
        scratch = self.folder / "join"
        shutil.rmtree(scratch, ignore_errors=True)
        files: list[Path] = []
        for name, playlist in (("picture", picture), ("sound", sound)):
            (scratch / name).mkdir(parents=True)
            files.append(single_file(playlist, scratch / name, self.settings))
        target = scratch / "joined.mkv"
        join_sound(files[0], files[1], target, settings=self.settings, subject=self.subject)
        for file in files:
            file.unlink()
        return target


@contextmanager
def own_folder(base: Path, name: str) -> Generator[Path]:
    """The folder `name` in `base`, which stays after the block for the next one to go on with.

    While another process has it (one that was stopped, and will learn that its job is gone), a
    second one beside it. Folders that nobody has gone on with for a week are removed first: their
    copies failed for good.
    """
    base.mkdir(parents=True, exist_ok=True)
    _remove_given_up(base, name)
    for n in range(100):
        folder = base / (name if n == 0 else f"{name}-{n}")
        with (base / f"{folder.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            folder.mkdir(exist_ok=True)
            yield folder
            return
    raise FetchError(f"100 processes copy {name} already.")


def _remove_given_up(base: Path, wanted: str) -> None:
    for path in base.glob("*.lock"):
        with suppress(OSError):
            is_old = time.time() - path.stat().st_mtime > _KEPT_SECONDS
            if not is_old or path.stem == wanted:
                continue
            with path.open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                drop_folder(path.with_suffix(""))


def drop_folder(folder: Path) -> None:
    """The copy is done: nobody goes on with it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)


def _begin(folder: Path, plan: str) -> None:
    """Keep what is there if it is of this plan; else begin anew."""
    file = folder / "plan"
    if not file.exists() or file.read_text() != plan:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        file.write_text(plan)


def _plan(parts: Sequence[Part], names: dict[str, str]) -> str:
    """The same for two playlists of the same files: their addresses hold tokens, which change."""
    digest = hashlib.sha256()
    for part in parts:
        last = PurePosixPath(urlsplit(part.uri).path).name
        digest.update(f"{names[part.uri]} {last} {part.offset} {part.length}\n".encode())
    return digest.hexdigest()


def _is_there(path: Path) -> bool:
    """Whether the file is there and is what was fetched."""
    try:
        wanted = _digest_file(path).read_text()
        digest = hashlib.sha256()
        with path.open("rb") as opened:
            while chunk := opened.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError:
        return False
    return digest.hexdigest() == wanted


def _digest_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _suffix(uri: str) -> str:
    """The file's suffix where it is a usual one: names from outside are not used."""
    suffix = PurePosixPath(urlsplit(uri).path).suffix.lower()
    return suffix if suffix in (".ts", ".m4s", ".mp4", ".aac", ".m4a", ".m4v") else ".bin"


def _local_playlist(parts: Sequence[Part], names: dict[str, str]) -> str:
    """A playlist of the files, in order; durations are read from the video itself."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:1"]
    for part in parts:
        if part.length is not None:
            lines.append(f"#EXT-X-BYTERANGE:{part.length}@{part.offset}")
        lines += ["#EXTINF:1,", names[part.uri]]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])
