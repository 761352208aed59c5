from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.lake import records_csv, records_json
from aethex.lake.formats import choose_field, open_records, require_field
from aethex.lake.records import ImportFileError
from aethex.lake.records_json import cut_array
from tests.lake.viewer_files import FORMATS, write


def read(path: Path, *wanted: str | None) -> tuple[list[tuple[Any, ...]], list[tuple[int, str]]]:
    """Place and wanted values of each record, and place and reason of each broken one."""
    good: list[tuple[Any, ...]] = []
    broken: list[tuple[int, str]] = []
    for batch in open_records(path).batches(wanted):
        good += [tuple(row.values()) for row in batch.table.to_pylist()]
        broken += [(one.place, one.reason) for one in batch.broken]
    return good, broken


def saved(folder: Path, content: bytes | str) -> Path:
    path = folder / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("form", FORMATS)
def test_the_format_is_told_by_content_and_the_values_are_the_same(
    tmp_path: Path, form: str
) -> None:
    path = write(tmp_path, form, [{"a": "x", "b": 1}, {"a": "y", "b": 2}])
    file = open_records(path)
    assert file.format.lower() == form
    assert file.fields == ["a", "b"]
    good, broken = read(path, "b", None, "a")
    assert [tuple(map(str, row[1:])) for row in good] == [("1", "None", "x"), ("2", "None", "y")]
    assert broken == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n\t ", "is empty"),
        (b"\x1f\x8b\x08abc", "compressed with gzip: unpack"),
        (b"PK\x03\x04abc", "ZIP or Excel"),
        ("time,v\n".encode("utf-16"), "UTF-16 text: save it as UTF-8"),
        (b"\x00\x01\x02\x03", "none of JSON, NDJSON, CSV and Parquet"),
        (b"PAR1 but not really PAR1", "no readable Parquet file"),
        (b'{\n  "time": 1\n}', "single JSON object"),
    ],
)
def test_what_is_no_such_file_says_which_file_and_what_to_do(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = saved(tmp_path, content)
    with pytest.raises(ImportFileError, match=problem) as raised:
        open_records(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match="No such file"):
        open_records(tmp_path / "nothing.json")
    with pytest.raises(ImportFileError, match="cannot be opened"):
        open_records(tmp_path)


# --- JSON -----------------------------------------------------------------------------------------


def test_an_array_keeps_its_good_elements_beside_broken_ones(tmp_path: Path) -> None:
    text = """ [
        {"a": 1}, {"a": "x, ]} \\" y"}, 7,
        {"a": }, {"a": {"b": [1, 2]}}, null, {"b": 1}
    ]"""
    good, broken = read(saved(tmp_path, text), "a")
    assert good == [(1, "1"), (2, 'x, ]} " y'), (5, '{"b":[1,2]}'), (7, None)]
    assert broken == [
        (3, "not a JSON object"),
        (4, "not valid JSON"),
        (6, "not a JSON object"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1}, {"a": "lost, {"a": 2}, {"a": 3}]',
        '[{"a": 1}, {"a": {"b": 1}, {"a": 2}, {"a": 3}]',
        '[{"a": 1}, {"a": 0}}, {"a": 2}, {"a": 3}]',
        '[{"a": 1},\n{"a": "lost},\n{"a": 2},\n{"a": 3}]',
    ],
)
def test_an_element_with_an_open_quote_or_bracket_spoils_itself_only(
    tmp_path: Path, text: str
) -> None:
    good, broken = read(saved(tmp_path, text), "a")
    assert {value for _, value in good} >= {"1", "3"}
    assert broken


def test_a_file_that_was_cut_off_keeps_what_is_whole(tmp_path: Path) -> None:
    good, broken = read(saved(tmp_path, '[{"a": 1}, {"a": 2}, {"a'), "a")
    assert good == [(1, "1"), (2, "2")]
    assert broken == [(3, "not valid JSON")]


def test_text_behind_an_array_is_one_broken_record(tmp_path: Path) -> None:
    good, broken = read(saved(tmp_path, '[{"a": 1}]\n{"a": 2}, {"a": 3}'), "a")
    assert good == [(1, "1")]
    assert [reason for _, reason in broken] == ["not valid JSON"]


def test_a_line_of_ndjson_that_is_broken_spoils_itself_only(tmp_path: Path) -> None:
    good, broken = read(saved(tmp_path, '{"a": 1}\n\n{"a": \n{"a": "ü"}\n[]\n{"a": NaN}'), "a")
    assert good == [(1, "1"), (4, "ü"), (6, "NaN")]
    assert broken == [(3, "not valid JSON"), (5, "not a JSON object")]


def test_bytes_that_are_no_utf8_do_not_stop_a_file(tmp_path: Path) -> None:
    good, _ = read(saved(tmp_path, b'[{"a": "\xff\xfe"}, {"a": 2}]'), "a")
    assert good == [(1, "��"), (2, "2")]


def test_field_names_with_odd_characters_are_found(tmp_path: Path) -> None:
    name = "a/b~c \"d' $.e"
    path = saved(tmp_path, json.dumps([{name: 1}]))
    assert open_records(path).fields == [name]
    assert read(path, name)[0] == [(1, "1")]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
json_objects = st.dictionaries(st.text(max_size=4), json_values, max_size=4)


@given(
    elements=st.lists(json_objects, max_size=8),
    indent=st.sampled_from([None, 0, 2]),
    is_ascii=st.booleans(),
    block_bytes=st.integers(1, 40),
)
def test_any_array_is_cut_into_its_elements_wherever_blocks_end(
    elements: list[dict[str, Any]], indent: int | None, is_ascii: bool, block_bytes: int
) -> None:
    inside = json.dumps(elements, indent=indent, ensure_ascii=is_ascii).encode()[1:]
    found: list[Any] = []
    rest = b""
    for start in range(0, len(inside), block_bytes):
        cut = cut_array(rest + inside[start : start + block_bytes], is_last=False)
        ends = zip(cut.offsets, cut.offsets[1:], strict=False)
        found += [cut.data[a:b] for a, b in ends if cut.data[a:b].strip()]
        rest = cut.rest
        if cut.is_end:
            break
    assert [json.loads(text) for text in found] == elements
    assert not rest.strip()


def test_records_across_blocks_are_read_whole(tmp_path: Path) -> None:
    rows = [{"a": f"value {i} ü"} for i in range(500)]
    for form in ("json", "ndjson", "csv"):
        path = write(tmp_path, form, rows)
        with (
            patch.object(records_json, "BLOCK_BYTES", 1000),
            patch.object(records_csv, "BLOCK_BYTES", 1000),
        ):
            good, broken = read(path, "a")
        first = 2 if form == "csv" else 1
        assert good == [(i + first, row["a"]) for i, row in enumerate(rows)]
        assert broken == []


def test_an_array_that_never_closes_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    path = saved(tmp_path, '[{"a": ["' + "x" * 5000 + '"')
    with (
        patch.object(records_json, "RECORD_MAX_BYTES", 1000),
        patch.object(records_json, "BLOCK_BYTES", 500),
        pytest.raises(ImportFileError, match="a bracket or a quote is not closed"),
    ):
        read(path, "a")


# --- CSV ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_separators_line_ends_and_quotes_are_found_out(
    tmp_path: Path, separator: str, line_end: str
) -> None:
    lines = [["a", "b"], ["1", "2"], [f'"x{separator}""y"""', "3"], ["", "4"]]
    text = line_end.join(separator.join(line) for line in lines)
    good, broken = read(saved(tmp_path, "\ufeff" + text), "a", "b")
    assert [tuple(value or "" for value in row[1:]) for row in good] == [
        ("1", "2"),
        (f'x{separator}"y"', "3"),
        ("", "4"),
    ]
    assert broken == []


def test_lines_of_another_width_are_broken_and_blank_lines_nothing(tmp_path: Path) -> None:
    good, broken = read(saved(tmp_path, "a,b\n1,2\n\n3\n   \n4,5,6\n7,8\n"), "a", "b")
    assert good == [(2, "1", "2"), (7, "7", "8")]
    assert broken == [
        (4, "has 1 fields where the first line names 2"),
        (6, "has 3 fields where the first line names 2"),
    ]


def test_values_over_several_lines_are_one_record(tmp_path: Path) -> None:
    good, _ = read(saved(tmp_path, 'a,b\n"one\ntwo",1\nthree,2\n'), "a", "b")
    assert good == [(2, "one\ntwo", "1"), (4, "three", "2")]


def test_a_quote_that_never_closes_spoils_its_own_line_only(tmp_path: Path) -> None:
    good, broken = read(saved(tmp_path, 'a,b\n1,"2\n3,4\n5" tv,6\n'), "a", "b")
    assert good == [(3, "3", "4"), (4, '5" tv', "6")]
    assert broken == [(2, "quotes not closed")]


def test_values_over_several_lines_survive_the_end_of_a_block(tmp_path: Path) -> None:
    rows = [{"a": f"{i}\nline", "b": str(i)} for i in range(100)]
    path = write(tmp_path, "csv", rows)
    for size in (97, 100, 101, 256):
        with patch.object(records_csv, "BLOCK_BYTES", size):
            good, broken = read(path, "a", "b")
        assert [(a.replace("\r\n", "\n"), b) for _, a, b in good] == [
            (row["a"], row["b"]) for row in rows
        ]
        assert broken == []


# --- Parquet --------------------------------------------------------------------------------------


def test_parquet_is_read_in_bounded_batches_of_the_wanted_columns(tmp_path: Path) -> None:
    path = tmp_path / "file"
    pq.write_table(pa.table({"a": range(200_000), "b": ["x"] * 200_000}), path)
    batches = list(open_records(path).batches(["a"]))
    assert max(batch.table.num_rows for batch in batches) <= 65_536
    assert batches[-1].table.column_names == ["place", "f0"]
    last = batches[-1].table.column("place")[-1].as_py()
    assert last == 200_000


def test_a_parquet_file_that_breaks_off_says_from_which_row_on(tmp_path: Path) -> None:
    path = tmp_path / "file"
    pq.write_table(pa.table({"a": range(300_000)}), path, row_group_size=50_000, compression="zstd")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 50_000] = b"\xff" * 50_000
    path.write_bytes(content)
    with pytest.raises(ImportFileError, match=r"cannot be read from row \d+ on"):
        read(path, "a")


# --- fields ---------------------------------------------------------------------------------------


def test_a_field_is_guessed_from_usual_names_in_any_case(tmp_path: Path) -> None:
    file = open_records(saved(tmp_path, "When, Viewers \n1,2\n"))
    assert choose_field(file, "viewers", None, ("viewers", "v"), "--viewers-field") == "Viewers"
    assert choose_field(file, "chat", None, ("chat",), "--chat-field") is None


def test_an_ambiguous_or_missing_field_names_the_fields_and_the_option(tmp_path: Path) -> None:
    file = open_records(saved(tmp_path, "time,v,viewers\n1,2,3\n"))
    with pytest.raises(ImportFileError, match=r"several fields .*\(v, viewers\).* --viewers-field"):
        choose_field(file, "viewers", None, ("viewers", "v"), "--viewers-field")
    with pytest.raises(ImportFileError, match=r"fields are: time, v, viewers\. .* --chat-field"):
        require_field(file, "chat messages", None, ("chat",), "--chat-field")
    with pytest.raises(ImportFileError, match=r"no field 'x' .*time, v, viewers.* --time-field"):
        choose_field(file, "the time", "x", ("time",), "--time-field")
