"""CSV files, read block by block.

What belongs here: where records and fields end, and which separator a file uses. What does not:
what the values mean (`import_values`).

A block without quotes goes through polars at once, its lines checked for their number of fields.
Where quotes occur, lines are put together by the csv module; a quote that is never closed spoils
its own line only.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from aethex.lake.records import (
    BLOCK_BYTES,
    RECORD_MAX_BYTES,
    Broken,
    ImportFileError,
    RawBatch,
    shortened,
    text_table,
)

SEPARATORS = (",", ";", "\t", "|")
_LINES_IN_QUOTES = 100
_NEWLINE = ord("\n")
_IS_BLANK = np.zeros(256, np.bool_)
_IS_BLANK[[_NEWLINE, ord(" ")]] = True


class CsvFile:
    """A file with one record a line, whose first line names the fields."""

    format = "CSV"
    place_word = "line"

    def __init__(self, path: Path, separator: str | None = None) -> None:
        self.path = path
        self.size_bytes = path.stat().st_size
        self._header, self._header_lines, self._body_start = self._read_header()
        self.separator = separator or choose_separator(self._header)
        first = _split(self._header, self.separator)
        self.fields = [name.strip() for name in first or [self._header]]

    def batches(self, wanted: Sequence[str | None]) -> Iterator[RawBatch]:
        """The records from the start, as `RecordFile` says. Raises ImportFileError."""
        indices = [None if name is None else self.fields.index(name) for name in wanted]
        line = self._header_lines + 1
        for block, bytes_read in self._blocks():
            reader = _read_quoted if b'"' in block else _read_plain
            yield reader(block, line, self.separator, len(self.fields), indices, bytes_read)
            line += block.count(b"\n")

    def _read_header(self) -> tuple[str, int, int]:
        """The first line that is not blank, how many lines that took, and where the next begins."""
        lines, start = 0, 0
        with self.path.open("rb") as file:
            for raw in iter(lambda: file.readline(RECORD_MAX_BYTES), b""):
                lines += 1
                start += len(raw)
                if text := raw.removeprefix(b"\xef\xbb\xbf").strip(b"\r\n"):
                    return text.decode(errors="replace"), lines, start
        raise ImportFileError(self.path, "is empty: there is nothing to import")

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        """Blocks of whole lines, each with a line end behind it, and bytes read so far."""
        rest, bytes_read = b"", self._body_start
        with self.path.open("rb") as file:
            file.seek(self._body_start)
            while read := file.read(BLOCK_BYTES):
                bytes_read += len(read)
                block = rest + read
                cut = _last_line_end(block)
                block, rest = block[:cut], block[cut:]
                if len(rest) > RECORD_MAX_BYTES:
                    raise ImportFileError(
                        self.path,
                        f"has a line longer than {RECORD_MAX_BYTES} bytes: correct the file",
                    )
                if block:
                    yield _normalised(block), bytes_read
        if rest:
            yield _normalised(rest + b"\n"), bytes_read


def choose_separator(header: str) -> str:
    """The separator that cuts the first line into the most fields; a comma when none does."""
    return max(SEPARATORS, key=lambda separator: len(_split(header, separator) or []))


def _split(line: str, separator: str) -> list[str] | None:
    """The fields of one record; None when a quote in it is not closed or it cannot be read."""
    try:
        records = list(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error:
        return None
    return records[0] if len(records) == 1 else None


def _last_line_end(block: bytes) -> int:
    """Where the block's last whole record ends, as far as its quotes tell."""
    last = block.rfind(b"\n") + 1
    is_open = block.count(b'"', 0, last) % 2 == 1
    cut = last
    for _ in range(_LINES_IN_QUOTES):
        if not is_open or not cut:
            return cut
        start = block.rfind(b"\n", 0, cut - 1) + 1
        is_open ^= block.count(b'"', start, cut) % 2 == 1
        cut = start
    return last  # so many lines in quotes are a quote that was never closed


def _normalised(block: bytes) -> bytes:
    """The block in UTF-8 with simple line ends."""
    try:
        block.decode()
    except UnicodeDecodeError:
        block = block.decode(errors="replace").encode()
    return block.replace(b"\r\n", b"\n").replace(b"\r", b" ").replace(b"\0", b" ")


def _read_plain(
    block: bytes,
    first_line: int,
    separator: str,
    width: int,
    indices: list[int | None],
    bytes_read: int,
) -> RawBatch:
    """A block without quotes: lines of another number of fields are broken, blank ones nothing."""
    raw = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(raw == _NEWLINE)
    starts = np.concatenate(([0], ends[:-1] + 1))
    found = np.searchsorted(np.flatnonzero(raw == ord(separator)), np.append(starts, len(raw)))
    fields = np.diff(found) + 1
    is_blank = ~np.logical_or.reduceat(~_IS_BLANK[raw], starts)
    is_good = (fields == width) & ~is_blank
    broken = [
        Broken(
            first_line + index,
            _wrong_width(int(fields[index]), width),
            shortened(block[starts[index] : ends[index]][:200].decode(errors="replace")),
        )
        for index in np.flatnonzero(~is_good & ~is_blank).tolist()
    ]
    if not is_good.all():
        lines = [block[starts[i] : ends[i] + 1] for i in np.flatnonzero(is_good).tolist()]
        block = b"".join(lines)
    places = np.flatnonzero(is_good) + first_line
    return RawBatch(_parse_plain(block, separator, width, indices, places), broken, bytes_read)


def _parse_plain(
    block: bytes,
    separator: str,
    width: int,
    indices: list[int | None],
    places: npt.NDArray[np.int64],
) -> pa.Table:
    used = sorted({index for index in indices if index is not None})
    if not len(places) or not used:
        return text_table(places, [[None] * len(places)] * len(indices))
    frame = pl.read_csv(
        BytesIO(block),
        has_header=False,
        separator=separator,
        quote_char=None,
        columns=used,
        schema={f"column_{index}": pl.String for index in range(width)},
        raise_if_empty=False,
    )
    columns = dict(zip(used, frame.get_columns(), strict=True))
    return text_table(
        places,
        [[None] * len(places) if index is None else columns[index].to_arrow() for index in indices],
    )


def _read_quoted(
    block: bytes,
    first_line: int,
    separator: str,
    width: int,
    indices: list[int | None],
    bytes_read: int,
) -> RawBatch:
    """A block with quotes: record by record, which is slower."""
    places: list[int] = []
    columns: list[list[str | None]] = [[] for _ in indices]
    broken: list[Broken] = []
    lines = block.decode().split("\n")[:-1]
    for place, text, fields in _records_of(lines, separator):
        if fields is None:
            broken.append(Broken(first_line + place, "quotes not closed", shortened(text)))
        elif len(fields) != width:
            reason = _wrong_width(len(fields), width)
            broken.append(Broken(first_line + place, reason, shortened(text)))
        else:
            places.append(first_line + place)
            for column, index in zip(columns, indices, strict=True):
                column.append(None if index is None else fields[index])
    return RawBatch(text_table(places, columns), broken, bytes_read)


def _records_of(lines: list[str], separator: str) -> Iterator[tuple[int, str, list[str] | None]]:
    """Index of the first line, text and fields of each record; blank lines are none."""
    index = 0
    while index < len(lines):
        line, taken = lines[index], 1
        if line.strip():
            fields = _split(line, separator)
            if fields is None:
                fields, taken = _joined(lines, index, separator)
            yield index, line, fields
        index += taken


def _joined(lines: list[str], index: int, separator: str) -> tuple[list[str] | None, int]:
    """The fields of a record over several lines, and how many; none when its quotes never close."""
    text = lines[index]
    for taken, line in enumerate(lines[index + 1 : index + _LINES_IN_QUOTES], start=2):
        text = f"{text}\n{line}"
        if '"' in line and (fields := _split(text, separator)) is not None:
            return fields, taken
    return None, 1


def _wrong_width(found: int, width: int) -> str:
    return f"has {found} fields where the first line names {width}"
