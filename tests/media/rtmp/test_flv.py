"""FLV from messages: the bytes of the format, and that libav reads them."""

from __future__ import annotations

from aethex.media.rtmp import FlvWriter, Media
from aethex.media.rtmp.events import MediaKind
from tests.media.rtmp.encoder import amf

START = b"FLV\x01%c\0\0\0\x09\0\0\0\0"


def test_a_tag_holds_size_time_and_payload() -> None:
    written = FlvWriter().write([Media(MediaKind.VIDEO, 0x01020304, b"picture")])
    tag = b"\x09\0\0\x07\x02\x03\x04\x01\0\0\0picture" + (18).to_bytes(4, "big")
    assert written == START % 5 + tag


def test_metadata_loses_the_order_to_the_server_and_says_what_the_header_promises() -> None:
    about = amf("onMetaData", {"videocodecid": 7, "width": 1280})
    writer = FlvWriter()
    written = writer.write([Media(MediaKind.DATA, 0, amf("@setDataFrame") + about)])
    assert written.startswith(START % 1 + b"\x12")
    assert about in written
    assert b"@setDataFrame" not in written
    assert not writer.write([Media(MediaKind.AUDIO, 0, b"x")]).startswith(b"FLV")


def test_nothing_to_write_is_no_byte() -> None:
    writer = FlvWriter()
    assert writer.write([]) == b""
    assert writer.write([Media(MediaKind.DATA, 0, amf("@clearDataFrame", "onMetaData"))]) == b""


def test_metadata_that_cannot_be_read_passes_unchanged() -> None:
    written = FlvWriter().write([Media(MediaKind.DATA, 0, b"\x03\xff")])
    assert written.startswith(START % 5)
    assert b"\x03\xff" in written
