"""Parquet files, read batch by batch with the wanted columns only.

What belongs here: opening and reading them, with pyarrow's errors as our own. What does not: what
the values mean (`import_values`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aethex.lake.records import ImportFileError, RawBatch

BATCH_ROWS = 65_536
ROWS_PER_BYTE_MAX = 1000
"""Delta encoding comes to some thirty rows a byte where the times are evenly spaced."""


class ParquetRecords:
    """A Parquet file's top-level columns."""

    format = "Parquet"
    place_word = "row"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = path.stat().st_size
        try:
            # buffered, so that a large row group is not read into memory whole
            self._file = pq.ParquetFile(
                path,
                buffer_size=1024 * 1024,
                pre_buffer=False,
                page_checksum_verification=True,
            )
            self._schema: pa.Schema = self._file.schema_arrow
            self._rows = int(self._file.metadata.num_rows)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ImportFileError(
                path,
                f"is no readable Parquet file ({_one_line(error)}): write or download it again",
            ) from error
        self._check_row_counts()
        self.fields = list(self._schema.names)

    def batches(self, wanted: Sequence[str | None]) -> Iterator[RawBatch]:
        """The records from the start, as `RecordFile` says. Raises ImportFileError."""
        names = sorted({name for name in wanted if name is not None})
        place = 1
        try:
            for batch in self._file.iter_batches(batch_size=BATCH_ROWS, columns=names):
                if place + batch.num_rows > self._rows + 1:
                    raise ValueError("more rows than it promises")
                yield RawBatch(self._table(batch, wanted, place), [], self._bytes_until(place))
                place += batch.num_rows
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ImportFileError(
                self.path,
                f"cannot be read from row {place} on ({_one_line(error)}): write or download it "
                "again. What came before is kept, and importing it again doubles nothing",
            ) from error

    def _check_row_counts(self) -> None:
        """Refuse a damaged footer that promises rows without end."""
        metadata = self._file.metadata
        counts = [int(metadata.row_group(i).num_rows) for i in range(metadata.num_row_groups)]
        is_possible = 0 <= self._rows <= self.size_bytes * ROWS_PER_BYTE_MAX
        if sum(counts) != self._rows or min(counts, default=0) < 0 or not is_possible:
            raise ImportFileError(
                self.path,
                f"promises {self._rows} rows, which its {self.size_bytes} bytes cannot hold: "
                "write or download it again",
            )

    def _table(self, batch: Any, wanted: Sequence[str | None], place: int) -> pa.Table:
        count = batch.num_rows
        columns: list[Any] = [pa.array(range(place, place + count), pa.int64())]
        columns += [
            pa.nulls(count, pa.string()) if name is None else _simple(batch.column(name))
            for name in wanted
        ]
        names = ["place", *(f"f{index}" for index in range(len(wanted)))]
        return pa.Table.from_arrays(columns, names=names)

    def _bytes_until(self, row: int) -> int:
        return self.size_bytes * row // max(1, self._rows)


def _simple(column: Any) -> Any:
    """Dictionaries unpacked, and times as microseconds, in UTC where they have a zone."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        zone = "UTC" if column.type.tz else None
        return column.cast(pa.timestamp("us", zone), safe=False).cast(pa.timestamp("us"))
    if pa.types.is_date(column.type):
        return column.cast(pa.timestamp("us"))
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return column
    if pa.types.is_decimal(column.type):
        return column.cast(pa.float64())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column
    # anything else is no time and no number; its text says so in the report
    return pa.array([None if value is None else str(value) for value in column.to_pylist()])


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
