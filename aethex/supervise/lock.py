"""One `aethex up` a data folder: a kernel lock that supervisord shares, so that it is held while
either lives.

What belongs here: taking the lock, and who has it. What does not: starting or stopping anything.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from aethex.settings import Settings

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Holder:
    """The `aethex up` that holds the lock."""

    pid: int
    is_alive: bool


class UpLock:
    """An open lock file; held or not. The kernel frees it when the last process that has it open
    ends.
    """

    def __init__(self, settings: Settings) -> None:
        settings.run_dir.mkdir(parents=True, exist_ok=True)
        self._path = settings.run_dir / "up.lock"
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, timeout_seconds: float = 0.0) -> bool:
        """Whether this process has the lock now; waits so long for one that is just ending."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_POLL_SECONDS)
                continue
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, json.dumps({"pid": os.getpid()}).encode(), 0)
            return True

    def holder(self) -> Holder | None:
        """Who wrote itself into the file last; call it when `take` said no."""
        try:
            pid = int(json.loads(os.pread(self.descriptor, 200, 0))["pid"])
        except (ValueError, KeyError, TypeError):
            return None
        return Holder(pid, _is_alive(pid))

    def close(self) -> None:
        """Let go; the lock stays held while a child has it."""
        os.close(self.descriptor)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True
