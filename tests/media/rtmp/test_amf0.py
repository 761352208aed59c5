"""AMF0: values round trip, everything that encoders send is read, nothing hostile hurts."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from aethex.media.rtmp import amf0
from aethex.media.rtmp.events import BadRtmp

SCALARS = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=40)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@examples(max_examples=60)
@given(st.lists(VALUES, max_size=4))
def test_values_come_back_as_they_were(values: list[amf0.Value]) -> None:
    assert amf0.decode(amf0.encode(*values)) == values


def test_a_long_string_comes_back() -> None:
    assert amf0.decode(amf0.encode("x" * 65_536)) == ["x" * 65_536]


def test_what_encoders_send_besides_is_read() -> None:
    array = b"\x08\xff\xff\xff\xff\x00\x01a\x00" + struct.pack(">d", 2) + b"\0\0\x09"
    typed = b"\x10\x00\x03Foo\x00\x01b\x01\x01\0\0\x09"
    date = b"\x0b" + struct.pack(">d", 5000) + b"\0\0"
    xml = b"\x0f\0\0\0\x03<a>"
    data = array + typed + date + xml + b"\x06\x0d"
    assert amf0.decode(data) == [{"a": 2.0}, {"b": True}, 5000.0, "<a>", None, None]


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\0\0\0\x01" * 40 + b"\x05",
        b"\x0a\xff\xff\xff\xff",
        b"\x0a\x00\x00\x0f\xff" + b"\x05" * 4095 + b"\x05" * 4096,
        b"\x0c\xff\xff\xff\xff",
        b"\x0c\x00\x01\x00\x01" + bytes(65_537),
        b"\x00\x00",
        b"\x03\x00\x01a",
        b"\x07\x00\x00",
        b"\x11\x00",
    ],
    ids=(
        *("deep", "many claimed", "many", "long claimed", "long", "number cut", "object cut"),
        *("reference", "AMF3"),
    ),
)
def test_what_is_no_value_or_too_large_is_refused(data: bytes) -> None:
    with pytest.raises(BadRtmp):
        amf0.decode(data)


@examples(max_examples=200)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(BadRtmp):
        amf0.decode(data)
