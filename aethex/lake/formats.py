"""Files that people bring: which format they are in, and which of their fields is which.

What belongs here: telling JSON arrays, NDJSON, CSV and Parquet apart by their content, and choosing
fields by name. What does not: reading one format (`records_*`), or what a value means
(`import_values`).
"""

from __future__ import annotations

from pathlib import Path

from aethex.lake.records import ImportFileError, RecordFile, shortened
from aethex.lake.records_csv import CsvFile
from aethex.lake.records_json import JsonFile, as_object
from aethex.lake.records_parquet import ParquetRecords

_HEAD_BYTES = 64 * 1024
_LINES_LOOKED_AT = 20
_FOREIGN = {
    b"\x1f\x8b": "is compressed with gzip: unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: unpack it first",
    b"PK\x03\x04": "is a ZIP or Excel file: unpack it, or save the sheet as CSV",
    b"\xff\xfe": "is UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text: save it as UTF-8",
}


def open_records(path: Path) -> RecordFile:
    """The file's records, its format told by its content and not by its name.

    Raises ImportFileError when there is no such file, or it is none of JSON array, NDJSON, CSV,
    Parquet.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise ImportFileError(
            path, f"cannot be opened ({error.strerror}): check the path"
        ) from error
    for magic, problem in _FOREIGN.items():
        if head.startswith(magic):
            raise ImportFileError(path, problem)
    if head.startswith(b"PAR1"):
        return ParquetRecords(path)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise ImportFileError(path, "is empty: there is nothing to import")
    if text.startswith(b"["):
        return JsonFile(path, is_array=True)
    if text.startswith(b"{"):
        return _open_lines(path, text)
    if head.count(b"\0") * 20 > len(head):
        raise ImportFileError(
            path, "is none of JSON, NDJSON, CSV and Parquet: convert it to one of them"
        )
    return CsvFile(path)


def choose_field(
    file: RecordFile, meaning: str, given: str | None, usual: tuple[str, ...], option: str
) -> str | None:
    """The field that holds `meaning`: the given one, else the only one with a usual name, else
    None.

    Names are compared without regard to case. Raises ImportFileError when the given one is missing,
    or several have usual names; the message names the file's fields and the option to pass.
    """
    found = ", ".join(shortened(name, 40) for name in file.fields[:30]) or "none"
    if given is not None:
        return _given_field(file, given, found, option)
    matches = [name for name in file.fields if name.strip().lower() in usual]
    if len(matches) > 1:
        raise ImportFileError(
            file.path,
            f"has several fields for {meaning} ({', '.join(matches)}): say which with {option}",
        )
    return matches[0] if matches else None


def require_field(
    file: RecordFile, meaning: str, given: str | None, usual: tuple[str, ...], option: str
) -> str:
    """Like `choose_field`, but a file without such a field is an ImportFileError too."""
    chosen = choose_field(file, meaning, given, usual, option)
    if chosen is None:
        found = ", ".join(shortened(name, 40) for name in file.fields[:30]) or "none"
        raise ImportFileError(
            file.path,
            f"has no field for {meaning}; its fields are: {found}. Say which with {option}",
        )
    return chosen


def _given_field(file: RecordFile, given: str, found: str, option: str) -> str:
    same = [name for name in file.fields if name == given]
    close = same or [name for name in file.fields if name.strip().lower() == given.strip().lower()]
    if len(close) != 1:
        problem = "several fields" if close else "no field"
        raise ImportFileError(
            file.path, f"has {problem} {given!r} (its fields are: {found}): correct {option}"
        )
    return close[0]


def _open_lines(path: Path, text: bytes) -> RecordFile:
    """NDJSON, unless it is one object over several lines."""
    lines = text.split(b"\n")[:_LINES_LOOKED_AT]
    is_ndjson = (
        any(as_object(line) for line in lines)
        or sum(line.lstrip().startswith(b"{") for line in lines) > len(lines) / 2
    )
    if not is_ndjson:
        raise ImportFileError(
            path, "is a single JSON object: what is imported is an array of objects, or one a line"
        )
    return JsonFile(path, is_array=False)
