"""Files that are written whole or not at all, and survive a power cut once written.

What belongs here: the folder store's writes (temporary file, fsync, lock, rename, fsync of the
folder) and its listing. What does not: keys and errors of the store; those are in `store.py`.

A reader never sees half a file. Writers of one folder exclude each other, between processes and
threads, by a lock file per shard of names, held only for the check and the rename; so "create if
absent" and "replace if unchanged" have exactly one winner. kill -9 frees the lock; what it leaves
behind in the temporary folder is swept after a day.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

RESERVED_NAME = ".aethex-store"
_STALE_AFTER_SECONDS = 24 * 3600


class DurableFolder:
    """Atomic, durable writes below `root`. Names are relative paths with `/`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._reserved = root / RESERVED_NAME
        self._is_swept = False

    def write(
        self,
        name: str,
        data: bytes | Path | Iterator[bytes],
        *,
        allow: Callable[[os.stat_result | None], None] | None = None,
    ) -> os.stat_result:
        """Write `data` (bytes, chunks, or a copy of a file) as `name`; returns the new file's stat.

        `allow` is called under the lock with the stat of what is there now (None: nothing) and
        raises to refuse the write. Raises OSError.
        """
        self._prepare()
        temporary = self._reserved / "tmp" / uuid4().hex
        try:
            stat = _fill(temporary, data)
            target = self.root / name
            with self._lock(name):
                if allow is not None:
                    allow(_stat_or_none(target))
                self._move(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return stat

    def delete(self, name: str) -> bool:
        """Remove `name` and the folders that this leaves empty; False when it was not there."""
        if not self.root.is_dir():
            return False
        self._prepare()
        target = self.root / name
        with self._lock(name):
            try:
                target.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return False
            sync_folder(target.parent)
            self._prune(target.parent)
        return True

    def files(self, folder: str, start_after: str) -> Iterator[tuple[str, os.stat_result]]:
        """(name, stat) of all files under `folder`, in the order of their whole names.

        Names up to and including `start_after` are left out, whole folders of them unread.
        """
        try:
            with os.scandir(self.root / folder) as found:
                entries = [(f"{folder}/{e.name}" if folder else e.name, e.is_dir()) for e in found]
        except (FileNotFoundError, NotADirectoryError):
            return
        # a folder sorts with its slash, as its files do
        for name in sorted(f"{name}/" if is_folder else name for name, is_folder in entries):
            if name.endswith("/"):
                if name[:-1] != RESERVED_NAME and start_after[: len(name)] <= name:
                    yield from self.files(name[:-1], start_after)
            elif name > start_after and (stat := _stat_or_none(self.root / name)):
                yield name, stat

    def _prepare(self) -> None:
        """Make the folders, and sweep what killed writers left, once per object."""
        for folder in (self._reserved / "tmp", self._reserved / "locks"):
            make_folders(folder)
        if self._is_swept:
            return
        stale_before = time.time() - _STALE_AFTER_SECONDS
        for leftover in (self._reserved / "tmp").iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process sweeps too
                if leftover.stat().st_mtime < stale_before:
                    leftover.unlink()
        self._is_swept = True

    @contextmanager
    def _lock(self, name: str) -> Generator[None]:
        shard = sha256(name.encode()).hexdigest()[:2]
        descriptor = os.open(self._reserved / "locks" / shard, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _move(self, temporary: Path, target: Path) -> None:
        while True:
            try:
                make_folders(target.parent)
                temporary.rename(target)
                break
            except FileNotFoundError:
                if not temporary.exists():
                    raise
                # a delete of the last neighbour removed the folder meanwhile: make it again
        sync_folder(target.parent)

    def _prune(self, folder: Path) -> None:
        while folder != self.root:
            try:
                folder.rmdir()
            except OSError:  # not empty
                return
            folder = folder.parent


def _fill(path: Path, data: bytes | Path | Iterator[bytes]) -> os.stat_result:
    with path.open("xb") as file:
        if isinstance(data, Path):
            with data.open("rb") as source:
                shutil.copyfileobj(source, file, 1024 * 1024)
        elif isinstance(data, bytes):
            file.write(data)
        else:
            file.writelines(data)
        file.flush()
        os.fsync(file.fileno())
        return os.fstat(file.fileno())


def _stat_or_none(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def make_folders(folder: Path) -> None:
    """mkdir -p whose new entries are durable too."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:  # made, and perhaps removed again, by another writer
        if folder.is_file():
            raise NotADirectoryError(f"{folder} is a file") from None
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make what was added to and removed from a folder survive a power cut."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:  # removed meanwhile: nothing left to make durable
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
