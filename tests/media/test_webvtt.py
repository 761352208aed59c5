"""Captions from anywhere become clean WebVTT, or an error that names the line."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aethex.media.errors import BadCaptions
from aethex.media.languages import NAMES, canonical_language, language_name, unused_tag
from aethex.media.webvtt import (
    MAX_BYTES,
    MAX_CUES,
    Cue,
    parse_captions,
    parse_webvtt_part,
    placed,
    write_webvtt,
)

KNOWN_TAG = re.compile(
    r"</?(?:c|i|b|u|ruby|rt)(?:\.[\w.-]*)?>|<v(?:\.[\w.-]*)? [^<>]+>|</v>"
    r"|<lang(?:\.[\w.-]*)? [A-Za-z0-9-]+>|</lang>|<\d\d+:\d\d:\d\d\.\d{3}>"
)


def vtt(text: str, timing: str = "00:01.000 --> 00:09.000") -> bytes:
    return f"WEBVTT\n\n{timing}\n{text}\n".encode()


def text_of(text: str) -> str:
    (cue,) = parse_captions(vtt(text)).cues
    return cue.text


def test_webvtt_is_read_with_what_it_may_hold() -> None:
    read = parse_captions(
        b"\xef\xbb\xbfWEBVTT - a talk\r\nKind: captions\r\n\r\nNOTE by hand\r\n\r\n"
        b"one\r\n00:01.000 --> 00:02.500 align:start line:10% region:r nonsense\r\n"
        b"<v Bob>Hello\r\nthere\r\n\r\n1:00:00.000 --> 1:00:01.000\r\nno\r\n"[:-35]
    )
    assert read.cues == (Cue(1000, 2500, "<v Bob>Hello\nthere</v>", ("align:start", "line:10%")),)
    assert read.left_out == ()


def test_subrip_is_read_and_its_own_markup_goes() -> None:
    read = parse_captions(
        b"2\n00:00:04,000 --> 00:00:05,250 X1:10 X2:20\n<i>later</i>\n\n"
        b'1\n0:0:1,5 --> 0:00:2.75\n{\\an8}<font color="red">first</font>\n\n'
    )
    assert read.cues == (Cue(1500, 2750, "first"), Cue(4000, 5250, "<i>later</i>"))


def test_blocks_that_style_or_place_are_left_out_and_counted() -> None:
    style = (
        b"WEBVTT\n\nSTYLE\n::cue { background: url(https://evil.example/x) }\n\nREGION\nid:r\n\n"
    )
    read = parse_captions(style + b"00:01.000 --> 00:01.000\nx\n\n00:01.000 --> 00:02.000\nHi\n")
    assert read.left_out == ("2 STYLE or REGION blocks", "1 cue of no length")
    assert b"evil" not in write_webvtt(read.cues)


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("I <3 you &amp; me", "I &lt;3 you &amp; me"),
        ("<script>alert(1)</script>", "alert(1)"),
        ("<b>bold <i>both</b> after", "<b>bold <i>both</i></b> after"),
        ("</i>x", "x"),
        ("<c.yellow.bg_blue>x</c>", "<c.yellow.bg_blue>x</c>"),
        ("<v.loud Ann & Bob>x", "<v.loud Ann &amp; Bob>x</v>"),
        ("<v>x</v>", "x"),
        ("<v a--\n>x", "<v a>x</v>"),
        ("<c.a--\n>x", "<c.a>x</c>"),
        ("<lang en_gb>x</lang><lang nonsense!>y</lang>", "<lang en-GB>x</lang>y"),
        ("<ruby>字<rt>ji</rt></ruby><rt>y</rt>", "<ruby>字<rt>ji</rt></ruby>y"),
        ("now <00:02.000>then <00:30.000>never", "now <00:00:02.000>then never"),
        ("&#10;&#10;00:00:01.000 --&gt; 00:00:02.000", "00:00:01.000 --&gt; 00:00:02.000"),
        ("<font>\nx\n</font>", "x"),
        ("x\u2028y", "x y"),
    ],
)
def test_only_the_standards_tags_stay_in_a_cue(given: str, cleaned: str) -> None:
    assert text_of(given) == cleaned


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no cue with text"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\n<i></i>\n", "no cue with text"),
        (b"<html>\n<p>\n", "Line 1: this is neither WebVTT"),
        (vtt("x", "00:01 --> 00:02"), "Line 3: '00:01 --> 00:02' is no time: write 00:00:01.000"),
        (vtt("x", "00:01.000 -> 00:02.000"), "Line 3: text without a time"),
        (vtt("x", "00:05.000 --> 00:02.000"), "Line 3: the cue ends at 00:00:02.000, before"),
        (vtt("x\n00:02.000 --> 00:03.000\ny"), "Line 5: a second time in one cue"),
        (vtt("x\n\nmore text"), "Line 6: text without a time"),
        (vtt("x" * 3_000), "Line 3: the cue has 3,000 characters"),
        (b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9\n", "Line 3: this is not UTF-8"),
        (b"WEBVTT\n\n" + b"00:01.000 --> 00:02.000\nx\n\n" * (MAX_CUES + 1), "more than 20,000"),
        (b"WEBVTT" + b" " * MAX_BYTES, "bytes, 2,097,152 is the most"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(data: bytes, said: str) -> None:
    with pytest.raises(BadCaptions, match=re.escape(said)):
        parse_captions(data)


def test_a_piece_of_hls_says_which_moment_it_is_about() -> None:
    piece = parse_webvtt_part(
        b"WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:10.000,MPEGTS:900000\n\n00:11.000 --> 00:12.000\nx\n"
    )
    assert piece.timestamp_map is not None
    assert (piece.timestamp_map.local_ms, piece.timestamp_map.mpeg_ticks) == (10_000, 900_000)
    assert parse_webvtt_part(b"WEBVTT\n").cues == ()


def test_cues_are_moved_and_cut_to_the_video() -> None:
    cues = [
        Cue(0, 900, "gone"),
        Cue(500, 2000, "<00:00:01.500>a<00:00:00.600>b"),
        Cue(9000, 20_000, "end"),
        Cue(11_000, 12_000, "after"),
    ]
    assert placed(cues, offset_ms=-1000, duration_ms=10_000) == [
        Cue(0, 1000, "<00:00:00.500>ab"),
        Cue(8000, 10_000, "end"),
    ]


@given(
    st.text(alphabet=st.sampled_from("<>/&;-#x1. \n:cvbirutylang\u2028\u00a0é{}\\"), max_size=60)
)
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_cue_no_markup_but_the_standards_comes_out(text: str) -> None:
    lines = "\n".join(line for line in text.split("\n") if line.strip() and "-->" not in line)
    try:
        read = parse_captions(vtt(f"x{lines}"))
    except BadCaptions:
        return
    written = write_webvtt(read.cues)
    assert parse_captions(written).cues == read.cues
    (cue,) = read.cues
    assert "-->" not in cue.text
    assert "" not in cue.text.split("\n")
    assert not re.search(r"[<>]", KNOWN_TAG.sub("", cue.text))


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    *("WEBVTT", "", "STYLE", "NOTE", "1", "-->", "00:00:01.000 --> 00:00:02.000"),
                    *("00:01,000 --> 00:02,000", "00:00:03,000 --> 00:00:04,000", "<b>x", "\r"),
                    "X-TIMESTAMP-MAP=MPEGTS:1,LOCAL:00:00.000",
                ]
            ),
            st.binary(max_size=8).map(lambda data: data.decode("latin-1")),
        ),
        max_size=12,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(lines: list[str]) -> None:
    data = "\n".join(lines).encode("latin-1")
    for start in (b"", b"WEBVTT\n\n"):
        with suppress(BadCaptions):
            read = parse_captions(start + data)
            assert parse_captions(write_webvtt(read.cues)).cues == read.cues


@pytest.mark.parametrize(
    ("given", "tag"),
    [
        *(("eng", "en"), ("ger", "de"), ("deu", "de"), ("pt_br", "pt-BR"), ("ZH-hant", "zh-Hant")),
        *(("sgn", "sgn"), ("en-x-SDH", "en-x-sdh"), ("und", "und"), ("es-419", "es-419")),
        *(("english", None), ("", None), ("e", None), ("en/../x", None), ("en-", None)),
    ],
)
def test_languages_are_written_as_bcp_47_does(given: str, tag: str | None) -> None:
    assert canonical_language(given) == tag


def test_languages_have_names_of_their_own() -> None:
    assert language_name("de") == "Deutsch"
    assert language_name("de-AT") == "Deutsch (de-AT)"
    assert language_name("tlh") == "tlh"
    assert all(canonical_language(tag) == tag for tag in NAMES)


def test_a_second_of_a_language_has_a_tag_of_its_own() -> None:
    assert unused_tag("en", {"de"}) == "en"
    assert unused_tag("en", {"en", "en-x-2"}) == "en-x-3"
    assert canonical_language(unused_tag("en-x-a", {"en-x-a"})) == "en-x-a-2"
