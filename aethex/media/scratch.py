"""Folders for what work on a video needs in between, on the data folder's disk.

What belongs here: making them, and removing those that a killed process left. What does not: what
is written there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from aethex.settings import Settings


@contextmanager
def scratch_folder(settings: Settings, purpose: str = "import") -> Generator[Path]:
    """An empty folder that is gone after the block; those of killed processes are removed.

    `purpose`, a word, is in its name.
    """
    base = settings.data_dir / "tmp"
    base.mkdir(parents=True, exist_ok=True)
    for left in base.glob(f"{purpose}-*"):
        pid = left.name.split("-")[1]
        if pid.isdigit() and not _is_alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{purpose}-{os.getpid()}-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
