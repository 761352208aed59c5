"""Folders for what work on a video needs in between, on the data folder's disk.

What belongs here: making them, and removing those that a killed process left. What does not: what
is written there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from aethex.settings import Settings


@contextmanager
def scratch_folder(settings: Settings, purpose: str = "import") -> Generator[Path]:
    """An empty folder that is gone after the block; those of killed processes are removed.

    `purpose`, a word, is in its name. A folder is locked by the kernel as long as its process
    lives; process ids would not say it, as a container's are the same after each start.
    """
    base = settings.data_dir / "tmp"
    base.mkdir(parents=True, exist_ok=True)
    with _locked(base):  # so that no folder is seen before it is locked
        for left in base.glob(f"{purpose}-*"):
            with suppress(OSError), _locked(left, fcntl.LOCK_NB):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{purpose}-{os.getpid()}-", dir=base))
        lock = ExitStack()
        lock.enter_context(_locked(folder))
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, flags: int = 0) -> Generator[None]:
    """Raises BlockingIOError with LOCK_NB when somebody has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
        yield
    finally:
        os.close(descriptor)
