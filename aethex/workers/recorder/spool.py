"""Closed segments on the local disk, from the moment they close until store and library have them.

What belongs here: folders, names, what a killed recorder left. What does not: what is in a segment,
and uploading it (`archive`).

    recorder/{instance}/lock                    held by its recorder as long as that lives
    recorder/{instance}/{run}/run.json, init.mp4
    recorder/{instance}/{run}/open              the segment that is being written
    recorder/{instance}/{run}/000003-12000-4000-120-1.m4s    closed: number, start and duration in
                                                ms, frames, is it independent

Closing is one rename, so a segment is whole or is not there. Names carry what the library has to
know, so nothing else has to survive a kill.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from io import FileIO
from pathlib import Path

from aethex.media.record import RunStarted, SegmentClosed

logger = logging.getLogger(__name__)

_SEGMENT = re.compile(r"(\d{6,})-(\d+)-(\d+)-(\d+)-([01])\.m4s")
_RUN, _INIT, _OPEN, _LOCK = "run.json", "init.mp4", "open", "lock"


@dataclass(frozen=True)
class RunFacts:
    """A run, as its folder keeps it. `started_at` is the wall clock of its media time 0."""

    run_id: str
    stream_id: str
    input_id: str | None
    started_at: datetime
    width: int
    height: int
    has_sound: bool


@dataclass(frozen=True)
class SpooledSegment:
    """A closed segment that waits. Times in ms from its run's media time 0."""

    path: Path
    run: RunFacts
    sequence: int
    start_ms: int
    duration_ms: int
    frames: int
    is_independent: bool
    bytes: int

    @property
    def init_path(self) -> Path:
        return self.path.parent / _INIT

    def remove(self) -> None:
        """It is stored and known: give its disk back."""
        self.path.unlink(missing_ok=True)


class RunSpool:
    """The folder of a run that is being written."""

    def __init__(
        self, folder: Path, facts: RunFacts, started: RunStarted, written: set[Path]
    ) -> None:
        """`written`: the folders that are being written, which this one is from before it is there
        until `end`.
        """
        self.folder = folder
        self.facts = facts
        self._written = written
        self._written.add(folder)
        self._sequence = 0
        folder.mkdir(parents=True)
        _write_through(folder / _INIT, started.init)
        values = asdict(facts) | {"started_at": facts.started_at.isoformat()}
        unfinished = folder / f".{_RUN}"
        _write_through(unfinished, json.dumps(values).encode())
        unfinished.replace(folder / _RUN)
        self._file: FileIO | None = None

    def write(self, parts: Sequence[bytes]) -> None:
        """Bytes of the open segment."""
        if self._file is None:  # not when the one before closes: a full disk must not cost that
            self._file = FileIO(self.folder / _OPEN, "wb")
        for part in parts:
            _write_all(self._file, part)

    def close_segment(self, closed: SegmentClosed) -> SpooledSegment:
        """The open segment is whole: it has its name, and is on the disk."""
        assert self._file is not None, "a segment has bytes"
        os.fsync(self._file.fileno())
        size_bytes = self._file.tell()
        self._file.close()
        self._file = None
        name = (
            f"{self._sequence:06d}-{closed.start_ms}-{closed.duration_ms}-{closed.frames}"
            f"-{int(closed.is_independent)}.m4s"
        )
        path = (self.folder / _OPEN).rename(self.folder / name)
        self._sequence += 1
        return SpooledSegment(
            path=path,
            run=self.facts,
            sequence=self._sequence - 1,
            start_ms=closed.start_ms,
            duration_ms=closed.duration_ms,
            frames=closed.frames,
            is_independent=closed.is_independent,
            bytes=size_bytes,
        )

    def end(self) -> None:
        """No more of this run: what was not closed is thrown away."""
        try:
            if self._file is not None:
                self._file.close()
            (self.folder / _OPEN).unlink(missing_ok=True)
        finally:
            self._written.discard(self.folder)


class Spool:
    """One recorder's folder, locked by the kernel as long as its process lives."""

    def __init__(self, base: Path, instance: str) -> None:
        """Make it. `instance` is a name that no other recorder uses."""
        self.base = base
        self.folder = base / instance
        self.folder.mkdir(parents=True)
        lock = _lock(self.folder)
        assert lock is not None, "a new folder is nobody else's"
        self._locks = {self.folder: lock}
        self._written: set[Path] = set()

    def run(self, facts: RunFacts, started: RunStarted) -> RunSpool:
        """A new run's folder."""
        folder = self.folder / facts.run_id
        try:
            return RunSpool(folder, facts, started, self._written)
        except BaseException:
            self._written.discard(folder)
            raise

    def adopt_left(self) -> list[SpooledSegment]:
        """Closed segments of recorders that are dead, in the order they were recorded; open ones
        are thrown away. They are this recorder's from now on.
        """
        segments: list[SpooledSegment] = []
        for folder in sorted(self.base.iterdir()):
            if folder in self._locks or not (folder / _LOCK).exists():
                continue  # without a lock its recorder is just making it
            lock = _lock(folder)
            if lock is None:
                continue
            self._locks[folder] = lock
            for run_folder in folder.iterdir():
                segments += _left_in(run_folder)
        return sorted(segments, key=lambda one: (one.run.started_at, one.run.run_id, one.sequence))

    def tidy(self) -> None:
        """Remove run folders that wait for nothing and are not being written, and those of dead
        recorders that are empty. Runs may begin and end meanwhile.
        """
        for folder in [*self._locks]:
            for run in [path for path in folder.iterdir() if path.is_dir()]:
                if run not in self._written and not any(run.glob("*.m4s")):
                    shutil.rmtree(run, ignore_errors=True)
            if folder != self.folder and not any(path.is_dir() for path in folder.iterdir()):
                self._drop(folder)

    def close(self) -> None:
        """Let go of all folders; one that holds nothing is removed."""
        self.tidy()
        for folder in [*self._locks]:
            if not any(path.is_dir() for path in folder.iterdir()):
                self._drop(folder)
            else:
                os.close(self._locks.pop(folder))

    def _drop(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(self._locks.pop(folder))


def sha256_of(path: Path) -> str:
    """The file's SHA-256 as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_through(path: Path, data: bytes) -> None:
    """A file that a loss of power leaves whole: without it its segments are worth nothing."""
    with FileIO(path, "wb") as file:
        _write_all(file, data)
        os.fsync(file.fileno())


def _write_all(file: FileIO, data: bytes) -> None:
    """Write it, or raise OSError: on a disk that gets full a write takes a part and says so."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _lock(folder: Path) -> int | None:
    """The lock of a recorder's folder, held; None: its recorder lives, or it has just gone."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def waiting_in(base: Path) -> list[SpooledSegment]:
    """Closed segments of all recorders of this machine that are not stored and known yet, whether
    these live or not. Only looks.
    """
    runs = base.glob("*/*/") if base.is_dir() else ()
    return [segment for run in runs for segment in _closed_in(run)]


def _left_in(folder: Path) -> list[SpooledSegment]:
    if (folder / _RUN).is_file():
        (folder / _OPEN).unlink(missing_ok=True)
    return _closed_in(folder)


def _closed_in(folder: Path) -> list[SpooledSegment]:
    try:
        values = json.loads((folder / _RUN).read_text())
        values["started_at"] = datetime.fromisoformat(values["started_at"])
        run = RunFacts(**values)
    except (FileNotFoundError, NotADirectoryError):
        return []  # killed before its first segment could close
    except (ValueError, TypeError, KeyError):  # the disk lost it: others must not wait for it
        logger.error("nobody knows whose segments %s holds: they stay there", folder)
        return []
    found: list[SpooledSegment] = []
    for path in folder.glob("*.m4s"):
        if match := _SEGMENT.fullmatch(path.name):
            sequence, start, duration, frames, is_independent = map(int, match.groups())
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                continue  # it was stored just now
            found.append(
                SpooledSegment(
                    path, run, sequence, start, duration, frames, bool(is_independent), size
                )
            )
    return found
