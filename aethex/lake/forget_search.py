"""Where in the store a viewer's id is: every object opened, every value looked at.

What belongs here: looking. What does not: what is done about it (`forget`).

Parquet is searched decoded, as its values may be in dictionaries or packed, and as it is, for its
statistics; manifests decoded; everything else as it is. It goes by what is in the store, not by
what the catalog names, so it finds what a killed process left too. Media is not opened: bytes of
video hold no ids, and its keys are searched like all others.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.avro.file import AvroFile
from pyiceberg.io.pyarrow import PyArrowFileIO

from aethex.lake import scratch
from aethex.lake.core import Lake
from aethex.lake.viewer_swap import Swap
from aethex.store import NotFound, ObjectInfo

MEDIA = ("vods/", "clips/")
TABLES = "lake/tables/"
_READERS = 4

Progress = Callable[[str, float | None], None]
"""Called with what happens now, and its share done, where one is known."""


class Unsearchable(RuntimeError):
    """An object cannot be read, so nobody can say what is in it. The message names it."""


@dataclass(frozen=True)
class Search:
    """What a search found. rows: that hold the id, by key of their object (an object that is no
    table counts as one); searched: objects opened; media: objects whose keys alone were looked at.

    Files of tables that a killed writer left half written are among the rows, with 0 of them:
    nobody can say what is in them.
    """

    rows: dict[str, int]
    searched: int
    media: int

    @property
    def is_clean(self) -> bool:
        return not self.rows

    def below(self, prefix: str) -> dict[str, int]:
        """What was found in objects below a folder."""
        return {key: rows for key, rows in self.rows.items() if key.startswith(prefix)}


def search(lake: Lake, swap: Swap, progress: Progress = lambda _text, _share: None) -> Search:
    """Look for the old id in all objects of the store. Raises StoreError, Unsearchable."""
    infos = list(lake.store.list())
    media = [info for info in infos if info.key.startswith(MEDIA)]
    opened = [info for info in infos if not info.key.startswith(MEDIA)]
    rows: dict[str, int] = {}
    with _copies(lake) as folder, ThreadPoolExecutor(_READERS) as pool:
        counts = pool.map(partial(_count, lake, swap, folder), opened)
        for n, (info, count) in enumerate(zip(opened, counts, strict=True), start=1):
            if count or count is None:
                rows[info.key] = count or 0
            if n % 50 == 0 or n == len(opened):
                progress(f"Searching: {n:,} of {len(opened):,} objects", n / len(opened))
    if swap.is_unmistakable:
        rows |= {info.key: 1 for info in media if swap.old in info.key}
    return Search(rows, len(opened), len(media))


@contextmanager
def _copies(lake: Lake) -> Generator[Path]:
    """A folder for copies of objects that are not local."""
    folder = scratch.new_folder(lake.settings.cache_dir)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _count(lake: Lake, swap: Swap, folder: Path, info: ObjectInfo) -> int | None:
    """Rows of one object that hold the id: 0 for one that is gone meanwhile, None for a file of a
    table that cannot be read.
    """
    local = lake.store.local_path(info.key)
    path = local or folder / uuid4().hex
    try:
        if local is None:
            lake.store.download(info.key, path)
        return _count_in_file(swap, info.key, path)
    except (NotFound, FileNotFoundError):
        return 0
    finally:
        if local is None:
            path.unlink(missing_ok=True)


def _count_in_file(swap: Swap, key: str, path: Path) -> int | None:
    found = 0
    if swap.is_unmistakable:
        found = int(swap.old in key or _is_in_bytes(path, swap.old.encode()))
    try:
        if key.endswith(".parquet"):
            return _count_in_parquet(swap, path) or found
        if key.endswith(".avro") and swap.is_unmistakable:
            return _count_in_avro(swap, path) or found
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        if key.startswith(TABLES):
            return None
        raise Unsearchable(
            f"{key} cannot be read, so nobody can say what is in it: remove it, and run this again"
        ) from error
    return found


def _count_in_parquet(swap: Swap, path: Path) -> int:
    file = pq.ParquetFile(path)
    texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
    batches = file.iter_batches(columns=texts) if texts else ()
    return sum(swap.count(batch) for batch in batches)


def _count_in_avro(swap: Swap, path: Path) -> int:
    opened = cast("Any", AvroFile)(PyArrowFileIO().new_input(str(path)))
    with opened as records:
        return sum(swap.old in repr(record) for record in records)


def _is_in_bytes(path: Path, wanted: bytes) -> bool:
    """Whether a file holds those bytes; it is read in parts, so it may be large."""
    tail = b""
    with path.open("rb") as file:
        while part := file.read(1 << 22):
            if wanted in tail + part:
                return True
            tail = part[-len(wanted) :]
    return False
