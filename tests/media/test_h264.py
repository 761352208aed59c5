"""H.264 and AAC bytes, on what real encoders wrote."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aethex.media import aac, h264
from tests.media.test_hls import THIRTY, Footage


def extradata(path: Path, kind: str = "video") -> bytes:
    with av.open(path) as opened:
        return bytes(opened.streams.get({kind: 0})[0].codec_context.extradata or b"")


def test_an_avcc_record_is_rebuilt_from_its_parameter_sets(footage: Footage) -> None:
    record = extradata(footage("b-frames.mp4", THIRTY))
    assert h264.is_avcc(record)
    sets = h264.parse_avcc(record)
    assert h264.build_avcc(sets) == record
    assert [h264.parameter_set_id(unit) for unit in (*sets.sps, *sets.pps)] == [0, 0]
    assert h264.codec_string(record).startswith("avc1.")


def test_a_transport_stream_carries_the_same_parameter_sets(footage: Footage) -> None:
    in_stream = list(h264.split_annex_b(extradata(footage("transport.ts", THIRTY))))
    header = h264.parse_avcc(extradata(footage("b-frames.mp4", THIRTY)))
    assert set(header.sps + header.pps) <= set(in_stream)


@given(st.binary(max_size=60))
def test_broken_records_are_refused_not_misread(data: bytes) -> None:
    try:
        sets = h264.parse_avcc(b"\1" + data)
    except ValueError:
        return
    assert all(len(unit) >= 2 for unit in sets.sps + sets.pps)


@given(
    st.lists(
        st.binary(min_size=1, max_size=30).filter(lambda u: b"\0\0" not in u and u[-1] and u[0])
    )
)
def test_units_survive_both_ways_of_wrapping(units: list[bytes]) -> None:
    annex_b = b"".join(b"\0\0\0\1" + unit for unit in units)
    assert list(h264.split_annex_b(annex_b)) == units
    assert list(h264.split_length_prefixed(h264.join_length_prefixed(units), 4)) == units


def test_a_truncated_unit_is_left_out() -> None:
    whole = h264.join_length_prefixed([b"abc", b"defg"])
    assert list(h264.split_length_prefixed(whole[:-1], 4)) == [b"abc"]


def test_the_first_slice_tells_an_idr_frame() -> None:
    assert h264.first_slice_type(iter([b"\x09\xf0", b"\x67x", b"\x65x"])) == h264.IDR_SLICE
    assert h264.first_slice_type(iter([b"\x09\xf0", b"\x41x"])) == h264.NON_IDR_SLICE
    assert h264.first_slice_type(iter([b"\x06x"])) is None


def test_an_adts_header_says_what_the_config_says(footage: Footage) -> None:
    with av.open(footage("transport.ts", THIRTY)) as opened:
        packet = next(bytes(p) for p in opened.demux(audio=0) if p.size)
    assert aac.is_adts(packet)
    stated = extradata(footage("b-frames.mp4", THIRTY), "audio")
    assert aac.config_from_adts(packet) == stated[:2]
    assert aac.object_type(stated) == 2
    assert aac.strip_adts(packet) == packet[7:]
    assert aac.strip_adts(b"raw") == b"raw"


@pytest.mark.parametrize("config", [b"", b"\x12"])
def test_a_short_config_has_no_type(config: bytes) -> None:
    assert aac.object_type(config) is None
