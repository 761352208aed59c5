"""Ranges and conditions of HTTP, as pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.service.ranges import (
    ByteRange,
    NotSatisfiable,
    entity_tag,
    http_date,
    is_not_modified,
    parse_range,
    wanted_range,
)

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
TAG = '"abc"'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=0-99", ByteRange(0, 100)),
        ("bytes=0-1000000", ByteRange(0, 100)),
        ("bytes=10-", ByteRange(10, 100)),
        ("bytes=-10", ByteRange(90, 100)),
        ("bytes=-1000", ByteRange(0, 100)),
        ("Bytes=5-6", ByteRange(5, 7)),
        (" bytes= 5 - 6 ", ByteRange(5, 7)),
    ],
)
def test_one_range_is_understood(value: str, expected: ByteRange) -> None:
    assert parse_range(value, 100) == expected


@pytest.mark.parametrize("value", ["bytes=100-", "bytes=100-200", "bytes=-0", f"bytes={10**18}-"])
def test_a_range_outside_the_object_cannot_be_satisfied(value: str) -> None:
    with pytest.raises(NotSatisfiable):
        parse_range(value, 100)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-4",
        "bytes=a-b",
        "items=0-5",
        "bytes=0-1,3-4",
        "bytes=0x1-2",
        f"bytes={'9' * 40}-",
    ],
)
def test_what_is_no_single_range_is_ignored(value: str | None) -> None:
    assert parse_range(value, 100) is None


def test_every_range_of_an_empty_object_is_outside_it() -> None:
    with pytest.raises(NotSatisfiable):
        parse_range("bytes=0-", 0)


@given(value=st.text(), size=st.integers(0, 2**63))
def test_no_header_makes_it_fail_or_reach_outside(value: str, size: int) -> None:
    for text in (value, f"bytes={value}"):
        try:
            found = parse_range(text, size)
        except NotSatisfiable:
            continue
        assert found is None or 0 <= found.start < found.end <= size


@given(first=st.integers(0, 500), last=st.integers(0, 500), size=st.integers(1, 400))
def test_a_range_gives_the_bytes_that_a_slice_gives(first: int, last: int, size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    try:
        found = parse_range(f"bytes={first}-{last}", size)
    except NotSatisfiable:
        assert content[first:] == b""
        return
    expected = content if last < first else content[first : last + 1]
    assert content[found.start : found.end] == expected if found else expected == content


def test_the_content_range_names_the_last_byte() -> None:
    assert ByteRange(10, 20).content_range(100) == "bytes 10-19/100"


@pytest.mark.parametrize(
    ("given_tags", "is_same"),
    [
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ("*", True),
        ('"x"', False),
        ("abc", False),
        ("", False),
    ],
)
def test_if_none_match_compares_weakly(given_tags: str, is_same: bool) -> None:
    assert is_not_modified({"if-none-match": given_tags}, TAG, AT) is is_same


def test_if_none_match_outranks_the_date() -> None:
    headers = {"if-none-match": '"other"', "if-modified-since": http_date(AT)}
    assert not is_not_modified(headers, TAG, AT)


def test_the_date_counts_in_whole_seconds() -> None:
    assert is_not_modified({"if-modified-since": http_date(AT)}, TAG, AT)
    assert not is_not_modified({"if-modified-since": http_date(AT - timedelta(seconds=1))}, TAG, AT)
    assert not is_not_modified({"if-modified-since": "yesterday"}, TAG, AT)


@pytest.mark.parametrize(
    ("if_range", "is_used"),
    [
        (TAG, True),
        ('W/"abc"', False),
        ('"other"', False),
        (http_date(AT), True),
        ("nonsense", False),
    ],
)
def test_a_range_of_another_version_is_ignored(if_range: str, is_used: bool) -> None:
    found = wanted_range({"range": "bytes=0-9", "if-range": if_range}, 100, TAG, AT)
    assert found == (ByteRange(0, 10) if is_used else None)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [("abc", '"abc"'), ('"abc"', '"abc"'), ('W/"abc"', '"abc"'), ('a"b\r\nc', '"abc"')],
)
def test_a_stores_etag_becomes_a_strong_tag(stored: str, expected: str) -> None:
    assert entity_tag(stored) == expected
