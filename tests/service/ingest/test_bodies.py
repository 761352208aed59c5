"""Packed bodies: all that was packed comes out, or a refusal that says why."""

from __future__ import annotations

import gzip
import tracemalloc
from contextlib import suppress

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aethex.service.ingest import bodies as module
from aethex.service.ingest.bodies import ENCODINGS, MAX_UNPACKED_BYTES, unpack
from aethex.service.problems import Problem

each_encoding = pytest.mark.parametrize("encoding", ENCODINGS)
contents = st.binary(max_size=3000) | st.binary(min_size=1, max_size=20).map(lambda b: b * 500)


def packed(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(body)
    return pa.Codec(encoding).compress(body, asbytes=True)


def refusal(body: bytes, encoding: str) -> Problem:
    with pytest.raises(Problem) as refused:
        unpack(body, encoding)
    return refused.value


@each_encoding
@given(body=contents)
def test_what_was_packed_comes_out(encoding: str, body: bytes) -> None:
    assert unpack(packed(body, encoding), encoding) == body


@each_encoding
@given(parts=st.lists(contents, min_size=2, max_size=3))
def test_several_packed_one_after_another_come_out_together(
    encoding: str, parts: list[bytes]
) -> None:
    assert unpack(b"".join(packed(part, encoding) for part in parts), encoding) == b"".join(parts)


@each_encoding
@given(body=contents, data=st.data())
def test_cut_off_anywhere_it_is_refused(encoding: str, body: bytes, data: st.DataObject) -> None:
    whole = packed(body, encoding)
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    problem = refusal(cut, encoding)
    assert (problem.status, problem.detail) == (
        422,
        f"The body is not {encoding}: check Content-Encoding.",
    )


@each_encoding
@given(body=contents, more=st.binary(min_size=1, max_size=50))
def test_with_more_behind_it_it_is_refused(encoding: str, body: bytes, more: bytes) -> None:
    if more.startswith(packed(b"", encoding)[:2]):
        return  # the beginning of another one
    assert refusal(packed(body, encoding) + more, encoding).status == 422


@each_encoding
@given(anything=st.binary(max_size=500))
def test_anything_at_all_comes_out_or_is_refused(encoding: str, anything: bytes) -> None:
    with suppress(Problem):
        assert len(unpack(anything, encoding)) <= MAX_UNPACKED_BYTES


@each_encoding
@hypothesis_settings(max_examples=30)
@given(size=st.integers(0, 300))
def test_the_bound_is_of_what_comes_out(encoding: str, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_UNPACKED_BYTES", 150)
        body = packed(b" " * size, encoding)
        if size <= 150:
            assert len(unpack(body, encoding)) == size
        else:
            problem = refusal(body, encoding)
            assert (problem.status, "more than 150 bytes" in problem.detail) == (413, True)


@each_encoding
def test_of_a_bomb_no_more_than_the_bound_is_unpacked(encoding: str) -> None:
    bomb = packed(b"\0" * (MAX_UNPACKED_BYTES * 10), encoding)
    tracemalloc.start()
    try:
        assert refusal(bomb, encoding).status == 413
        assert tracemalloc.get_traced_memory()[1] < 2 * MAX_UNPACKED_BYTES
    finally:
        tracemalloc.stop()
