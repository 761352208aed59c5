"""Folders for what other users must reach: pytest's own are closed to them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres_server import fast_base


@contextmanager
def open_folder() -> Generator[Path]:
    """A folder with a short path that every user may enter, as an embedded Postgres needs.

    It is gone after the block.
    """
    folder = Path(tempfile.mkdtemp(prefix="aethex-", dir=fast_base()))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
