"""How pyiceberg reads and writes the store's files.

What belongs here: a folder store's files, which are on the disk before a commit can name them; and
metadata files, which are fetched once. What does not: R2's writes, whose PUT is durable when it is
answered.

Postgres makes a commit survive a power cut. The files that the commit names must survive it too, or
the table could not be opened again; pyarrow's own local files are not synced.

A refresh opens a table some ten times. The catalog says each time which metadata file is current,
and such a file never changes, so it is read from the store once and then from memory: on R2 that
saves most requests of a refresh.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from io import BufferedWriter, BytesIO, FileIO
from pathlib import Path
from typing import Any, cast

from pyiceberg.io import InputStream, OutputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from aethex.store.durable import make_folders, sync_folder

REMEMBERED_BYTES = 16 * 1024**2
_METADATA = ".metadata.json"


class _Remembered:
    """The latest metadata files by their address, as many as fit; threads may share it."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    def get(self, address: str) -> bytes | None:
        with self._lock:
            if address in self._files:
                self._files.move_to_end(address)
            return self._files.get(address)

    def put(self, address: str, data: bytes) -> None:
        with self._lock:
            if address in self._files:
                return
            self._files[address] = data
            self._size_bytes += len(data)
            while self._size_bytes > self._max_bytes:
                _, dropped = self._files.popitem(last=False)
                self._size_bytes -= len(dropped)


_remembered = _Remembered(REMEMBERED_BYTES)


class DurableFileIO(PyArrowFileIO):
    """pyarrow's file access, with local files that are synced when they are closed, and metadata
    files that are remembered.
    """

    def new_input(self, location: str) -> PyArrowFile:
        """The file at a location, to be read."""
        if not location.endswith(_METADATA):
            return super().new_input(location)
        scheme, netloc, path = self.parse_location(location, self.properties)
        return _MetadataFile(location, path, cast("Any", self).fs_by_scheme(scheme, netloc))

    def new_output(self, location: str) -> PyArrowFile:
        """The file at a location, to be written."""
        plain = super().new_output(location)
        scheme, _, path = self.parse_location(location, self.properties)
        if scheme != "file":
            return plain
        return _DurableFile(location, path, cast("Any", self).fs_by_scheme(scheme, None))


class _MetadataFile(PyArrowFile):
    def open(self, seekable: bool = True) -> InputStream:
        data = _remembered.get(self.location)
        if data is None:
            with super().open(seekable) as file:
                data = bytes(file.read())
            _remembered.put(self.location, data)
        return cast("InputStream", BytesIO(data))


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
