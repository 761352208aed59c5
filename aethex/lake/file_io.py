"""How pyiceberg writes a folder store's files: on the disk before a commit can name them.

What belongs here: the durable local file. What does not: R2, whose PUT is durable when it is
answered.

Postgres makes a commit survive a power cut. The files that the commit names must survive it too, or
the table could not be opened again; pyarrow's own local files are not synced.
"""

from __future__ import annotations

import os
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any, cast

from pyiceberg.io import OutputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from aethex.store.durable import make_folders, sync_folder


class DurableFileIO(PyArrowFileIO):
    """pyarrow's file access, with local files that are synced when they are closed."""

    def new_output(self, location: str) -> PyArrowFile:
        """The file at a location, to be written."""
        plain = super().new_output(location)
        scheme, _, path = self.parse_location(location, self.properties)
        if scheme != "file":
            return plain
        return _DurableFile(location, path, cast("Any", self).fs_by_scheme(scheme, None))


class _DurableFile(PyArrowFile):
    def create(self, overwrite: bool = False) -> OutputStream:
        path = Path(self._path)
        while True:
            make_folders(path.parent)
            try:
                return cast("OutputStream", _SyncedFile(path, "wb" if overwrite else "xb"))
            except FileNotFoundError:
                # the clean-up of orphans removed the folder, empty for a moment: make it again
                continue


class _SyncedFile(BufferedWriter):
    """A file that is on the disk once it is closed."""

    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(FileIO(path, mode))
        self._path = path

    def close(self) -> None:
        if not self.closed:
            self.flush()
            os.fsync(self.fileno())
            super().close()
            sync_folder(self._path.parent)
