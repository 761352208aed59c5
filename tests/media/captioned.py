"""Videos with subtitles, for tests: tracks of text and of pictures, and captions in the picture's
own packets (CEA-608), which no encoder here writes.

What belongs here: making files. What does not: what becomes of them.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import av

from aethex.media import h264
from aethex.media.ffmpeg import find_ffmpeg

SRT = """1
00:00:01,000 --> 00:00:02,500
Hello <i>there</i>

2
00:00:03,000 --> 00:00:04,000
Two
lines & more
"""


def with_subtitles(
    video: Path, target: Path, codec: str, languages: Sequence[str], srt: str = SRT
) -> Path:
    """The video with a track of these subtitles for each language; its packets are copied."""
    text = target.with_suffix(".srt")
    text.write_text(srt)
    return _muxed(video, target, [(text, codec)] * len(languages), languages)


def with_picture_subtitles(video: Path, target: Path) -> Path:
    """The video with a track of text, and one of Blu-ray's subtitles, which are pictures."""
    text, pictures = target.with_suffix(".srt"), target.with_suffix(".sup")
    text.write_text(SRT)
    end = b"".join(struct.pack(">2sIIBH", b"PG", 90_000 * n, 0, 0x80, 0) for n in (1, 2))
    pictures.write_bytes(end)
    return _muxed(video, target, [(text, "srt"), (pictures, "copy")], ["eng", "ger"])


def _muxed(
    video: Path, target: Path, tracks: Sequence[tuple[Path, str]], languages: Sequence[str]
) -> Path:
    command = [str(find_ffmpeg()), "-v", "error", "-y", "-i", str(video)]
    for path, _ in tracks:
        command += ["-i", str(path)]
    command += ["-map", "0", "-c", "copy"]
    for n, (_, codec) in enumerate(tracks):
        command += ["-map", str(n + 1), f"-c:s:{n}", codec]
        command += [f"-metadata:s:s:{n}", f"language={languages[n]}"]
    subprocess.run([*command, str(target)], check=True)
    return target


# --- CEA-608 (ANSI/CTA-608-E), carried as ATSC A/53 user data in SEI messages ---------------------

_RESUME_LOADING, _ERASE_HIDDEN, _SHOW, _ERASE = 0x1420, 0x142E, 0x142F, 0x142C
_ROW_15 = 0x1470


def with_cea_608(video: Path, target: Path, said: Sequence[tuple[float, float, str]]) -> Path:
    """The H.264 video with captions of channel CC1 in its packets: (from, until, text) in seconds.

    A pair of bytes goes with each frame, in the order of the frames as shown; the video has to be
    without B-frames, so that this is the order of the packets.
    """
    with av.open(video) as source, av.open(target, "w") as out:
        (stream,) = source.streams.video
        prefix = h264.length_prefix_bytes(bytes(stream.codec_context.extradata or b""))
        copied = out.add_stream_from_template(stream)
        rate = float(stream.average_rate or 30)
        pairs = _pairs(said, rate)
        for packet in source.demux(stream):
            if packet.pts is None or packet.time_base is None:
                continue
            number = round(float(packet.pts * packet.time_base) * rate)
            unit = _sei(pairs.get(number, 0x8080))
            data = len(unit).to_bytes(prefix, "big") + unit + bytes(packet)
            fresh = av.Packet(data)
            fresh.pts, fresh.dts, fresh.time_base = packet.pts, packet.dts, packet.time_base
            fresh.duration, fresh.is_keyframe = packet.duration, packet.is_keyframe
            fresh.stream = copied
            out.mux(fresh)
    return target


def _pairs(said: Sequence[tuple[float, float, str]], rate: float) -> dict[int, int]:
    """What each frame carries: a caption is loaded unseen, ends with the frame that it is shown
    from, and is erased at its end."""
    pairs: dict[int, int] = {}
    for begin, end, text in said:
        codes = [*_twice(_RESUME_LOADING), *_twice(_ERASE_HIDDEN), *_twice(_ROW_15)]
        padded = text + " " * (len(text) % 2)
        codes += [ord(a) << 8 | ord(b) for a, b in zip(padded[::2], padded[1::2], strict=True)]
        shown = round(begin * rate)
        for n, code in enumerate(reversed(codes)):
            pairs[shown - 1 - n] = _with_parity(code)
        for n in range(2):
            pairs[shown + n] = _with_parity(_SHOW)
            pairs[round(end * rate) + n] = _with_parity(_ERASE)
    return pairs


def _twice(code: int) -> Iterator[int]:
    yield from (code, code)


def _with_parity(code: int) -> int:
    high, low = (byte | (0 if byte.bit_count() % 2 else 0x80) for byte in divmod(code, 256))
    return high << 8 | low


def _sei(pair: int) -> bytes:
    """A SEI message of type 4 (registered user data) with one pair of bytes of field 1."""
    triplet = bytes([0xFC]) + pair.to_bytes(2, "big")
    payload = b"\xb5\x00\x31GA94\x03" + bytes([0xC1, 0xFF]) + triplet + b"\xff"
    # nothing in it looks like a start code, so nothing is to be escaped
    return bytes([6, 4, len(payload)]) + payload + b"\x80"
