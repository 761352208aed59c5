"""Narrow, typed ways into PyAV, all with the whitelists applied.

What belongs here: opening a file, its streams, its packets, a decoder. What does not: any decision.
Used inside sandboxed children only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias, cast

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from aethex.media.errors import UnreadableMedia
from aethex.media.probe import SubtitleTrack
from aethex.media.whitelist import MAX_PIXELS, decoder_options, libav_options

AnyPacket: TypeAlias = "Packet[Any]"


def open_input(path: Path) -> InputContainer:
    """Open an outside file. Raises UnreadableMedia when it is not what is accepted."""
    try:
        return av.open(f"file:{path}", "r", options=libav_options())
    except (av.error.InvalidDataError, av.error.EOFError, ValueError):
        raise UnreadableMedia(
            "this is no video in a container that is accepted (MP4, MOV, MKV, WebM, MPEG-TS, FLV), "
            "or it is damaged; convert or export it again."
        ) from None


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Picture tracks; cover art and thumbnails are none."""
    return [stream for stream in container.streams.video if not is_still(stream)]


def audio_streams(container: InputContainer) -> list[AudioStream]:
    return list(container.streams.audio)


def subtitle_tracks(container: InputContainer) -> list[SubtitleTrack]:
    for_deaf = Disposition.hearing_impaired | Disposition.captions
    return [
        SubtitleTrack(
            index=stream.index,
            codec=codec_name(stream),
            language=stream.metadata.get("language"),
            title=stream.metadata.get("title"),
            is_forced=bool(stream.disposition & Disposition.forced),
            is_for_deaf=bool(stream.disposition & for_deaf),
        )
        for stream in container.streams.subtitles
    ]


def is_still(stream: Stream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.still_image))


def is_default(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.default)


def time_base(stream: Stream) -> Fraction:
    return stream.time_base or Fraction(1, 90_000)


def codec_name(stream: Stream) -> str:
    """ffmpeg's name of the decoder; `unknown` when libav has none or the lists refuse it."""
    context = cast("Any", stream.codec_context)
    return "unknown" if context is None else str(context.name)


def extradata(stream: Stream) -> bytes:
    context = cast("Any", stream.codec_context)
    return b"" if context is None else bytes(context.extradata or b"")


def packets(container: InputContainer, *streams: Stream) -> Iterator[AnyPacket]:
    """Packets with data, in the file's order. Damage at the end of a file ends it."""
    try:
        for packet in container.demux(*streams):
            if packet.size:
                yield packet
    except (av.error.InvalidDataError, av.error.EOFError):
        return


def arm_decoder(stream: VideoStream) -> None:
    """Apply the lists to the stream's decoder, before its first packet.

    Raises UnreadableMedia when the picture is larger than what is decoded.
    """
    context = stream.codec_context
    if context.width * context.height > MAX_PIXELS:
        raise UnreadableMedia(
            f"a picture of {context.width}x{context.height} is larger than what is accepted "
            "(8192x4320); export it smaller."
        )
    context.options = decoder_options()
    context.thread_count = 2


def decode(stream: VideoStream, packet: AnyPacket | None) -> list[VideoFrame]:
    """Frames that a packet completes (None: flush); none when it is damaged."""
    return decoded(lambda: cast("Any", stream).decode(packet))


def decoded(decode: Callable[[], list[Any]]) -> list[Any]:
    """What a decoder makes of a packet; nothing when it is damaged, which decoders say with errors
    of any kind. Raises MemoryError, which says something else.
    """
    try:
        return decode()
    except MemoryError:
        raise
    except av.error.FFmpegError:
        return []
