"""Importers on any rows and any bytes: good rows survive, and the report adds up."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aethex.lake import Lake
from aethex.lake.importers import (
    ImportFileError,
)
from aethex.lake.publish import publish
from tests.lake.viewer_files import START, Rows, assert_adds_up, bring, minutes, write

relaxed = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
times = st.one_of(
    st.integers(0, 30).map(lambda i: (START + timedelta(minutes=i)).isoformat()),
    st.sampled_from(
        ["", "soon", "1578229200", "2020-01-05T13:00:00Z", None, 1578229200000, True, {}]
    ),
    st.text(max_size=6),
)
counts = st.one_of(
    st.integers(-2, 50),
    st.floats(),
    st.sampled_from(["", "7", "7.5", None, True, [1], "n/a"]),
    st.text(max_size=4),
)
any_rows = st.lists(
    st.fixed_dictionaries({"time": times, "v": counts, "c": counts}), min_size=1, max_size=20
)


@settings(relaxed, max_examples=10)
@given(rows=any_rows, form=st.sampled_from(["json", "ndjson", "csv"]))
def test_whatever_the_rows_the_report_adds_up(
    lake: Lake, tmp_path: Path, rows: Rows, form: str
) -> None:
    path = write(tmp_path, form, rows)
    report = bring(lake, path)
    assert_adds_up(report)
    publish(lake)
    again = bring(lake, path)
    assert_adds_up(again)
    assert again.imported == 0


GOOD = minutes(2, first=1000)


@relaxed
@given(junk=st.lists(st.binary(max_size=30).filter(lambda b: b"\n" not in b), max_size=5))
@example(junk=[b"[", b"{", b'"', b"{}", b"null", b"\xff", b"\0"])
def test_good_lines_of_ndjson_survive_any_junk_between_them(
    lake: Lake, tmp_path: Path, junk: list[bytes]
) -> None:
    lines = [json.dumps(row).encode() for row in GOOD]
    content = b"\n".join([lines[0], *junk, lines[1]])
    (tmp_path / "file").write_bytes(content)
    report = bring(lake, tmp_path / "file", f"st_{hash(content)}")
    assert report.imported == 2
    assert_adds_up(report)


@relaxed
@given(junk=st.lists(st.binary(max_size=30).filter(lambda b: b"\n" not in b), max_size=5))
@example(junk=[b'"', b'"x', b",,,,", b"\xff,\xfe,1", b"\0", b"'"])
def test_good_lines_of_csv_survive_any_junk_between_them(
    lake: Lake, tmp_path: Path, junk: list[bytes]
) -> None:
    lines = [f"{row['time']},{row['v']},{row['c']}".encode() for row in GOOD]
    # a quote that is opened and closed lines later takes what is between them along
    quotes = sum(line.count(b'"') for line in junk)
    content = b"\n".join([b"time,v,c", lines[0], *junk, lines[1]])
    (tmp_path / "file").write_bytes(content)
    report = bring(lake, tmp_path / "file", f"st_{hash(content)}")
    assert report.imported == 2 or (quotes and report.imported >= 1)
    assert_adds_up(report)


@relaxed
@given(content=st.binary(max_size=300))
@example(content=b"[")
@example(content=b"{")
@example(content=b'{"time":')
@example(content=b"[[[[[[[[")
@example(content=b"time,v\n\xff\xfe\n")
@example(content=b"PAR1")
def test_random_bytes_are_a_report_or_an_import_error(
    lake: Lake, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert_reported_or_refused(lake, tmp_path / "file", content)


def assert_reported_or_refused(lake: Lake, path: Path, content: bytes) -> None:
    """The importer's own error is the only one that may come, in one line that names the file."""
    refusal = None
    try:
        assert_adds_up(bring(lake, path, f"st_{hash(content)}"))
    except ImportFileError as error:
        refusal = str(error)
    if refusal is not None:
        assert refusal.startswith(str(path))
        assert "\n" not in refusal


def _mutated(content: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    changed = bytearray(content)
    for position, piece in changes:
        start = position % (len(changed) + 1)
        changed[start : start + len(piece)] = piece
    return bytes(changed)


def _parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(minutes(200)), sink)
    return sink.getvalue()


ORIGINALS = {
    "json": json.dumps(minutes(20)).encode(),
    "pretty": json.dumps(minutes(20), indent=1).encode(),
    "ndjson": "\n".join(json.dumps(row) for row in minutes(20)).encode(),
    "csv": b"time,v,c\n"
    + b"".join(f"{r['time']},{r['v']},{r['c']}\n".encode() for r in minutes(20)),
    "parquet": _parquet(),
}


@relaxed
@given(
    form=st.sampled_from(sorted(ORIGINALS)),
    changes=st.lists(
        st.tuples(
            st.integers(0, 5000),
            st.one_of(
                st.binary(min_size=1, max_size=4), st.sampled_from([b'"', b"{", b"}", b"]", b"\n"])
            ),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_a_damaged_file_is_a_report_or_an_import_error(
    lake: Lake, tmp_path: Path, form: str, changes: list[tuple[int, bytes]]
) -> None:
    content = _mutated(ORIGINALS[form], changes)
    (tmp_path / "file").write_bytes(content)
    assert_reported_or_refused(lake, tmp_path / "file", content)
