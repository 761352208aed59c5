"""Records of an imported file on their way in: what every format's reader hands out.

What belongs here: the types and the error that all readers share. What does not: any format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

BLOCK_BYTES = 2 * 1024 * 1024
"""How much of a text file is read at once; a reader's memory is a small multiple of it."""

RECORD_MAX_BYTES = 16 * 1024 * 1024
"""The longest single record; what is longer is a broken file, not a record."""


class ImportFileError(Exception):
    """A file cannot be imported. One line: which file, what is wrong with it, what to do."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} {problem}")
        self.path = path


@dataclass(frozen=True)
class Broken:
    """A record that could not be read: its place (line or row, from 1), why, and how it begins."""

    place: int
    reason: str
    text: str


@dataclass(frozen=True)
class RawBatch:
    """Records in the order of the file.

    `table` has the column `place` and one column a wanted field, named `f0`, `f1`, …: text as it
    stands in the file (Parquet: the file's own types), null where it is missing. `bytes_read`
    counts from the file's start.
    """

    table: pa.Table
    broken: list[Broken] = field(default_factory=list[Broken])
    bytes_read: int = 0


class RecordFile(Protocol):
    """An open file of records."""

    path: Path
    format: str
    fields: list[str]
    place_word: str
    size_bytes: int

    def batches(self, wanted: Sequence[str | None]) -> Iterator[RawBatch]:
        """The records from the start, with the wanted fields (None: a column of nulls).

        Raises ImportFileError where the file cannot be read further.
        """
        ...


def text_table(places: Any, columns: Sequence[Any]) -> pa.Table:
    """A batch's table of text columns."""
    arrays = [pa.array(places, pa.int64()), *(pa.array(c, pa.string()) for c in columns)]
    names = ["place", *(f"f{index}" for index in range(len(columns)))]
    return pa.Table.from_arrays(arrays, names=names)


def shortened(text: str, most: int = 80) -> str:
    """Text for a message: one line, cut when long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
