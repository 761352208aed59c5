"""Folders for what a process needs for a while: DuckDB's spilling, copies of landing objects.

What belongs here: making them, and removing those of processes that are gone. What does not: copies
that are kept (`cache`).

Each user gets a folder of its own: DuckDB names its spill files the same in every connection, and
two that spill into one folder crash. All folders of a process lie in one that holds a lock for as
long as the process lives, so that what a killed one left, maybe with viewers' ids in it, is known
to be nobody's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from itertools import count
from pathlib import Path
from uuid import uuid4

_FOLDER = "scratch"
_LOCK_SUFFIX = ".lock"

_own: dict[tuple[int, Path], Path] = {}
_numbers = count()
_making = threading.Lock()


def new_folder(cache_dir: Path) -> Path:
    """A path for a folder that nobody else uses; it is not made yet, but the one above it is."""
    return _of_this_process(cache_dir) / str(next(_numbers))


def sweep(cache_dir: Path) -> int:
    """Remove the folders of processes that are gone; how many there were."""
    swept = 0
    for lock in (cache_dir / _FOLDER).glob(f"*{_LOCK_SUFFIX}"):
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:  # another process sweeps too
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
            swept += 1
        finally:
            os.close(descriptor)
    return swept


def _of_this_process(cache_dir: Path) -> Path:
    """This process's folder, made and locked at its first use; a forked child makes its own."""
    key = (os.getpid(), cache_dir)
    with _making:
        if key not in _own:
            _own[key] = _make(cache_dir / _FOLDER)
        _own[key].mkdir(parents=True, exist_ok=True)
        return _own[key]


def _make(base: Path) -> Path:
    base.mkdir(parents=True, exist_ok=True)
    while True:
        folder = base / f"{os.getpid()}-{uuid4().hex[:12]}"
        lock = folder.with_name(f"{folder.name}{_LOCK_SUFFIX}")
        # open until the process ends, which is what gives the lock back
        descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if lock.exists():  # else a sweep came between its making and its locking
            return folder
        os.close(descriptor)
