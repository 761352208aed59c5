"""What libav may open when the file comes from outside: protocols, containers, decoders, sizes.

What belongs here: the lists, in ffmpeg's names, for both ways in (PyAV and the ffmpeg binary). What
does not: process limits (`sandbox.py`).

An `.mp4` can be an HLS playlist or an ffconcat script that names other files; a codec nobody needs
is one more parser for a hostile file. So everything not named here is refused.
"""

from __future__ import annotations

PROTOCOLS = "file"
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,flv"
VIDEO_CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg2video", "mpeg4")
AUDIO_CODECS = (
    *("aac", "aac_latm", "opus", "vorbis", "mp3float", "mp3", "mp2float", "mp2"),
    *("ac3", "eac3", "flac", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_f32le"),
)
CODECS = ",".join((*VIDEO_CODECS, *AUDIO_CODECS))
TEXT_CODECS = ("mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text")
"""Subtitles that are text; others are pictures. Only `captions.py` opens them."""
MAX_PIXELS = 8192 * 4320
MAX_STREAMS = 16


def libav_options() -> dict[str, str]:
    """Options of `av.open`: the container's part of the lists, and the probe's codecs.

    Decoders opened later take `decoder_options`.
    """
    return {
        "protocol_whitelist": PROTOCOLS,
        "format_whitelist": FORMATS,
        "codec_whitelist": CODECS,
        "max_streams": str(MAX_STREAMS),
        "probesize": "20000000",
        "analyzeduration": "10000000",
    }


def decoder_options() -> dict[str, str]:
    """Options of each decoder that PyAV opens."""
    return {"codec_whitelist": CODECS, "max_pixels": str(MAX_PIXELS)}


def ffmpeg_input_options(codecs: str = CODECS) -> list[str]:
    """Arguments of the ffmpeg binary that stand before `-i`."""
    return [
        *("-protocol_whitelist", PROTOCOLS),
        *("-format_whitelist", FORMATS),
        *("-codec_whitelist", codecs),
        *("-max_pixels", str(MAX_PIXELS)),
        *("-max_streams", str(MAX_STREAMS)),
    ]
