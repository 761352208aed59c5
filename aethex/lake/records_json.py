"""JSON arrays and NDJSON, read block by block.

What belongs here: where each record begins and ends, and its fields' texts. What does not: what the
values mean (`import_values`).

A JSON array is cut at the commas between its elements, found over a whole block at once: the few
bytes that matter (quotes, brackets, commas, line ends) are looked up, quotes are paired within
their line (no JSON string goes over a line's end), and the depth is a running sum. So memory is
bounded by the block, and a broken element spoils itself only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aethex.lake.core import open_duckdb
from aethex.lake.records import (
    BLOCK_BYTES,
    RECORD_MAX_BYTES,
    Broken,
    ImportFileError,
    RawBatch,
    shortened,
)

FIELDS_FROM_RECORDS = 1000
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_BETWEEN_OBJECTS = re.compile(rb"(?<=\})\s*,\s*(?=\{)")
_QUOTE, _COMMA, _NEWLINE, _BRACKET, _SPACE = (ord(char) for char in '",\n] ')
_STEP = np.zeros(256, np.int8)
_STEP[[ord("["), ord("{")]] = 1
_STEP[[ord("]"), ord("}")]] = -1
_IS_BLANK = np.zeros(256, np.bool_)
_IS_BLANK[[ord(char) for char in " \t\r\n"]] = True
_IS_TOKEN = np.zeros(256, np.bool_)
_IS_TOKEN[[ord(char) for char in '"[]{},\n']] = True

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """Records of a block: record i is `data[offsets[i]:offsets[i + 1]]`; `rest` begins the next
    one."""

    data: bytes
    offsets: Offsets
    rest: bytes
    is_end: bool = False


class JsonFile:
    """A file of JSON objects, in an array or one a line."""

    def __init__(self, path: Path, *, is_array: bool) -> None:
        self.path = path
        self.format = "JSON" if is_array else "NDJSON"
        self.place_word = "row" if is_array else "line"
        self.size_bytes = path.stat().st_size
        self._is_array = is_array
        self.fields = self._find_fields()

    def batches(self, wanted: Sequence[str | None]) -> Iterator[RawBatch]:
        """The records from the start, as `RecordFile` says. Raises ImportFileError."""
        with open_duckdb() as connection:
            for places, texts, bytes_read in self._records(BLOCK_BYTES):
                yield _extract(connection, places, texts, wanted, bytes_read)

    def _find_fields(self) -> list[str]:
        """The names in the first records, in the order in which they first occur."""
        fields: dict[str, None] = {}
        for _, texts, _ in self._records(256 * 1024):
            for text in texts.slice(0, FIELDS_FROM_RECORDS).to_pylist():
                fields.update(dict.fromkeys(as_object(text)))
            if fields:
                break
        return list(fields)

    def _records(self, block_bytes: int) -> Iterator[tuple[Offsets, Any, int]]:
        """Places from 1, texts, and bytes read so far, a block at a time; blank ones are left
        out."""
        rest, place, bytes_read, is_end = b"", 0, 0, False
        with self.path.open("rb") as file:
            if self._is_array:
                bytes_read = _skip_to_first_element(file.read(4096))
                file.seek(bytes_read)
            while True:
                read = file.read(block_bytes)
                bytes_read += len(read)
                cut = self._cut(_as_utf8(rest + read, is_last=not read), not read, is_end)
                rest, is_end = cut.rest, cut.is_end
                if cut.offsets.size > 1:
                    yield (*_without_blanks(cut, place + 1), bytes_read)
                    # a line is a place even when it is blank; a blank between commas is none
                    place += cut.offsets.size - 1
                if not read:
                    return

    def _cut(self, block: bytes, is_last: bool, is_end: bool) -> Cut:
        if is_end:
            return _cut_after_the_end(block, is_last=is_last)
        if not self._is_array:
            cut = _cut_lines(block, is_last=is_last)
        else:
            cut = cut_array(block, is_last=is_last)
        if len(cut.rest) > RECORD_MAX_BYTES:
            raise ImportFileError(
                self.path,
                f"has a record longer than {RECORD_MAX_BYTES} bytes: a bracket or a quote is not "
                "closed there; correct the file",
            )
        return cut


def as_object(text: bytes | str) -> dict[str, Any]:
    """The JSON object in a text; empty when it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


# --- cutting blocks into records ------------------------------------------------------------------


def _skip_to_first_element(head: bytes) -> int:
    """Where an array's first element begins: behind byte order mark, blanks and the bracket."""
    return head.index(b"[") + 1


def _as_utf8(block: bytes, *, is_last: bool) -> bytes:
    """The block with what is no UTF-8 replaced; a character cut at its end stays as it is."""
    try:
        block.decode()
    except UnicodeDecodeError as error:
        if not is_last and error.start >= len(block) - 3:
            return block
        tail = b"" if is_last else block[-3:]
        return block[: len(block) - len(tail)].decode(errors="replace").encode() + tail
    return block


def _cut_lines(block: bytes, *, is_last: bool) -> Cut:
    if is_last and block:
        block += b"\n"
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == _NEWLINE) + 1
    offsets = np.concatenate(([0], ends)).astype(np.int64)
    return Cut(block, offsets, block[int(offsets[-1]) :])


def cut_array(block: bytes, *, is_last: bool) -> Cut:
    """Cut the inside of an array at the commas between its elements; they become blanks.

    `is_end` when the array's closing bracket is in the block. Broken nesting makes it cut wherever
    one object follows another.
    """
    # an escaped character is no quote; the replacement keeps every position
    plain = _ESCAPED.sub(b"__", block) if b"\\" in block else block
    positions, tokens = _outside_strings(plain)
    depth = np.cumsum(_STEP[tokens], dtype=np.int64)
    below = np.flatnonzero(depth < 0)
    if below.size and tokens[below[0]] != _BRACKET:
        return _cut_between_objects(block, is_last=is_last)
    end = int(positions[below[0]]) if below.size else None
    cuts = positions[(tokens == _COMMA) & (depth == 0)]
    if end is not None:
        cuts = np.append(cuts[cuts < end], end)
    data = np.frombuffer(block, np.uint8).copy()
    data[cuts] = _SPACE
    offsets = np.concatenate(([0], cuts + 1)).astype(np.int64)
    rest = block[int(offsets[-1]) :]
    if end is None and is_last and rest.strip():
        return _cut_between_objects(block, is_last=True)
    if end is None and len(rest) > RECORD_MAX_BYTES // 2:
        return _cut_between_objects(block, is_last=False)
    return Cut(data.tobytes(), offsets, rest, is_end=end is not None)


def _outside_strings(block: bytes) -> tuple[Offsets, npt.NDArray[np.uint8]]:
    """Positions and bytes of the brackets and commas that are not inside a string."""
    raw = np.frombuffer(block, np.uint8)
    positions = np.flatnonzero(_IS_TOKEN[raw])
    tokens = raw[positions]
    quotes = np.cumsum(tokens == _QUOTE, dtype=np.int64)
    in_this_line = quotes - np.maximum.accumulate(np.where(tokens == _NEWLINE, quotes, 0))
    is_outside = (in_this_line & 1 == 0) & (tokens != _QUOTE) & (tokens != _NEWLINE)
    return positions[is_outside], tokens[is_outside]


def _cut_between_objects(block: bytes, *, is_last: bool) -> Cut:
    """The slow way through broken nesting: a record ends where another object follows."""
    pieces = _BETWEEN_OBJECTS.split(block)
    rest = b"" if is_last else pieces.pop()
    if is_last and pieces:
        pieces[-1] = pieces[-1].rstrip().removesuffix(b"]")
    sizes = [len(piece) + 1 for piece in pieces]
    offsets = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))).astype(np.int64)
    return Cut(b"".join(piece + b"\n" for piece in pieces), offsets, rest)


def _cut_after_the_end(block: bytes, *, is_last: bool) -> Cut:
    """Whatever stands behind an array is one record, and none of ours: its beginning is kept."""
    block = block.lstrip()[:1000]
    offsets = [0, len(block)] if is_last and block else [0]
    return Cut(block, np.array(offsets, np.int64), b"" if is_last else block, is_end=True)


def _without_blanks(cut: Cut, first_place: int) -> tuple[Offsets, Any]:
    count = cut.offsets.size - 1
    texts = pa.LargeStringArray.from_buffers(
        count, pa.py_buffer(cut.offsets), pa.py_buffer(cut.data)
    )
    places = np.arange(first_place, first_place + count, dtype=np.int64)
    raw = np.frombuffer(cut.data, np.uint8)
    keep = np.logical_or.reduceat(~_IS_BLANK[raw], cut.offsets[:-1])
    return (places, texts) if keep.all() else (places[keep], texts.filter(pa.array(keep)))


# --- taking fields out of records -----------------------------------------------------------------


def _extract(
    connection: DuckDBPyConnection,
    places: Offsets,
    texts: Any,
    wanted: Sequence[str | None],
    bytes_read: int,
) -> RawBatch:
    """The wanted fields of each record as text, and the records that are no JSON object."""
    connection.register("records", pa.table({"place": pa.array(places), "record": texts}))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE kinds AS SELECT place, record, "
        "CASE WHEN json_valid(record) THEN json_type(record) = 'OBJECT' END AS is_object "
        "FROM records"
    )
    names = [name for name in wanted if name is not None]
    position = {name: index for index, name in enumerate(names, start=1)}
    chosen = [f"taken[{position[n]}]" if n else "NULL::VARCHAR" for n in wanted]
    columns = ", ".join(f"{value} AS f{index}" for index, value in enumerate(chosen))
    table = connection.execute(
        f"SELECT place, {columns} FROM (SELECT place, "
        "CASE WHEN is_object THEN json_extract_string(record, $pointers) END AS taken "
        "FROM kinds WHERE is_object) ORDER BY place",
        {"pointers": [_pointer(name) for name in names]},
    ).to_arrow_table()
    broken = connection.execute(
        "SELECT place, is_object IS NULL, record[:200] FROM kinds "
        "WHERE is_object IS NOT TRUE ORDER BY place"
    ).fetchall()
    return RawBatch(
        table,
        [
            Broken(place, "not valid JSON" if is_invalid else "not a JSON object", shortened(text))
            for place, is_invalid, text in broken
        ],
        bytes_read,
    )


def _pointer(name: str) -> str:
    """The JSON pointer of a field."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
