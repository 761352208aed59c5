"""Data files of a remote store on local disk: what a build's readers open.

What belongs here: bringing immutable objects to local files, and keeping those within the disk that
they may take. What does not: which files a build has (`build_records`). A folder store is read in
place, without a copy.

The cache is one folder that all processes share. A file appears under its name only when it is
whole. The least recently used go first; files of builds that some process has open are pinned by
that process's pin file, which holds a lock for as long as the process lives, so a killed process
pins nothing.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from uuid import uuid4

from aethex.lake.build_records import BuildFile
from aethex.store import Store

DOWNLOADS = 8
"""Downloads at a time, of one process."""


@dataclass(frozen=True)
class CacheUse:
    """What the cache holds. pinned: files that must stay; size_bytes: of all files."""

    files: int
    size_bytes: int
    pinned: int


class FileCache:
    """Local copies of one store's objects, under `folder`, at most `max_bytes` but for pinned
    files.
    """

    def __init__(self, store: Store, folder: Path, max_bytes: int) -> None:
        self._store = store
        self._files = folder / "files"
        self._pins = folder / "pins"
        self._lock_path = folder / "lock"
        self._max_bytes = max_bytes

    @contextmanager
    def pinned(self, files: Sequence[BuildFile]) -> Generator[list[Path]]:
        """Local paths of the files, in order; they stay until the block is left."""
        pin, paths = self.pin(files)
        try:
            yield paths
        finally:
            pin.release()

    def pin(self, files: Sequence[BuildFile]) -> tuple[Pin, list[Path]]:
        """Bring the files here and keep them until the pin is released or this process ends.

        Raises NotFound for an object that is gone, StoreError when the store does not answer; then
        nothing stays pinned.
        """
        local = [self._store.local_path(file.key) for file in files]
        if self._store.is_local:
            return Pin(None, None), [path for path in local if path is not None]
        paths = [self._path(file.key) for file in files]
        # pinned before they are looked at, so that no other process takes one away in between
        pin = self._write_pin(paths)
        try:
            self._fetch(list(zip(files, paths, strict=True)))
        except BaseException:
            pin.release()
            raise
        self.evict()
        return pin, paths

    def evict(self) -> CacheUse:
        """Delete least recently used, unpinned files until the rest fits; what is left."""
        with self._exclusively():
            pinned = self._pinned_names()
            entries = sorted(self._entries(), key=lambda entry: entry[1].st_mtime_ns)
            total = sum(stat.st_size for _, stat in entries)
            left = len(entries)
            for path, stat in entries:
                if total <= self._max_bytes:
                    break
                if str(path.relative_to(self._files)) in pinned:
                    continue
                path.unlink(missing_ok=True)
                total -= stat.st_size
                left -= 1
            return CacheUse(left, total, len(pinned))

    def _path(self, key: str) -> Path:
        return self._files / key

    def _fetch(self, wanted: list[tuple[BuildFile, Path]]) -> None:
        missing = [(file, path) for file, path in wanted if not _is_here(file, path)]
        if not missing:
            return
        with ThreadPoolExecutor(DOWNLOADS, thread_name_prefix="cache") as pool:
            # the first error ends the list; downloads that run finish, and are whole files
            for done in [pool.submit(self._download, file, path) for file, path in missing]:
                done.result()

    def _download(self, file: BuildFile, path: Path) -> None:
        self._store.download(file.key, path)

    def _write_pin(self, paths: Iterable[Path]) -> Pin:
        self._pins.mkdir(parents=True, exist_ok=True)
        name = self._pins / f"{os.getpid()}-{uuid4().hex}"
        with self._exclusively():
            descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            text = "\n".join(str(path.relative_to(self._files)) for path in paths)
            os.write(descriptor, text.encode())
        return Pin(name, descriptor)

    def _pinned_names(self) -> set[str]:
        """Names in the pin files of living processes; those of dead ones are removed."""
        names: set[str] = set()
        for pin in self._pins.glob("*"):
            with suppress(FileNotFoundError), pin.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    names.update(file.read().decode().split("\n"))
                else:
                    pin.unlink(missing_ok=True)
        return names

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Whole files and their stats; downloads under way have a name that starts with a dot."""
        for path in self._files.rglob("*"):
            with suppress(FileNotFoundError):
                if not path.name.startswith(".") and path.is_file():
                    yield path, path.stat()

    @contextmanager
    def _exclusively(self) -> Generator[None]:
        """One process at a time decides what is pinned and what goes."""
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock_path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class Pin:
    """Keeps files in the cache until it is released."""

    def __init__(self, path: Path | None, descriptor: int | None) -> None:
        self._path = path
        self._descriptor = descriptor
        self._lock = Lock()

    def release(self) -> None:
        """Let the files go when space is needed. May be called more than once."""
        with self._lock:
            if self._path is not None and self._descriptor is not None:
                self._path.unlink(missing_ok=True)
                os.close(self._descriptor)
            self._path = self._descriptor = None


def _is_here(file: BuildFile, path: Path) -> bool:
    """Whether the whole file is there; then it counts as used now."""
    try:
        if path.stat().st_size != file.size_bytes:
            return False
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
