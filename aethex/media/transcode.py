"""Encodes what browsers cannot play, with the ffmpeg binary in the sandbox.

What belongs here: ffmpeg's arguments and running it. What does not: deciding what to encode
(`decide.py`), making segments of the result (`pack.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aethex.media.decide import Plan
from aethex.media.errors import UnreadableMedia
from aethex.media.ffmpeg import find_ffmpeg, has_filter
from aethex.media.probe import AudioStream, Probe, VideoStream
from aethex.media.sandbox import Limits, ending_error, run_program
from aethex.media.whitelist import ffmpeg_input_options

KEYFRAME_SECONDS = 2
VIDEO_NAME = "encoded.mp4"
AUDIO_NAME = "sound.mp4"
_CLOCK = 90_000
# PQ or HLG to linear light, down to what a common screen shows, and to BT.709.
_HDR_TO_BT709 = (
    "zscale=t=linear:npl=100",
    "format=gbrpf32le",
    "zscale=p=bt709",
    "tonemap=hable:desat=0",
    "zscale=t=bt709:m=bt709:r=tv",
)
_AAC_RATES = (32_000, 44_100, 48_000)


@dataclass(frozen=True, slots=True)
class Encoder:
    """A file to encode from, what is known of it, and where and how to run ffmpeg."""

    source: Path
    probe: Probe
    scratch: Path
    subject: str
    limits: Limits
    on_progress: Callable[[float], None]

    @property
    def video(self) -> VideoStream:
        assert self.probe.video is not None
        return self.probe.video


def encode_video(encoder: Encoder, plan: Plan) -> Path:
    """The picture as H.264 (upright, 8-bit 4:2:0, an IDR frame every 2 s) with the chosen sound.

    The result is an MP4. The sound is copied unless the plan says otherwise. Timestamps stay, also
    varying ones, unless they are what is wrong.
    """
    video = encoder.video
    can_map_tones = not video.is_hdr or has_filter(find_ffmpeg(), "zscale")
    arguments = ["-map", f"0:{video.index}", *video_arguments(video, can_map_tones=can_map_tones)]
    if plan.audio is not None:
        arguments += ["-map", f"0:{plan.audio.index}"]
        if plan.encode_audio or video.timestamp_fault:
            arguments += [*_aac(plan.audio), "-af", "aresample=async=1:min_hard_comp=0.03"]
        else:
            arguments += ["-c:a", "copy"]
    arguments += ["-movie_timescale", str(_CLOCK), "-video_track_timescale", str(_CLOCK)]
    return _run(encoder, [], arguments, encoder.scratch / VIDEO_NAME)


def encode_audio(encoder: Encoder, track: AudioStream) -> Path:
    """The sound alone as AAC in MP4, whose 0 is the first frame's time, as long as the picture.

    Missing stretches become silence.
    """
    rate = _aac_rate(track)
    first = round(encoder.video.origin_seconds * rate)
    end = encoder.video.duration_ms / 1000
    filters = (
        f"aresample={rate}:async=1:min_hard_comp=0.03:first_pts={first},asetpts=PTS-STARTPTS,"
        f"apad,atrim=end={end:.3f}"
    )
    arguments = ["-map", f"0:{track.index}", "-vn", *_aac(track), "-af", filters]
    return _run(encoder, ["-copyts"], arguments, encoder.scratch / AUDIO_NAME)


def video_arguments(video: VideoStream, *, can_map_tones: bool) -> list[str]:
    """ffmpeg's arguments for the picture; it turns a rotated one upright by itself."""
    filters = ["bwdif=mode=send_frame:deint=interlaced"] if video.is_interlaced else []
    if video.is_hdr and can_map_tones:
        filters += _HDR_TO_BT709
    if video.timestamp_fault:
        filters.append(f"fps={min(60.0, max(1.0, video.frame_rate)):.6f}")
    # x264 wants even sizes; a pixel more than the source would be made up.
    filters += ["crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0", "format=yuv420p", f"settb=1/{_CLOCK}"]
    return [
        *("-vf", ",".join(filters), "-enc_time_base", f"1:{_CLOCK}"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-profile:v", "high"),
        *("-force_key_frames", f"expr:gte(t,n_forced*{KEYFRAME_SECONDS})"),
        *("-x264-params", "open-gop=0:keyint=600"),
    ]


def _aac(track: AudioStream) -> list[str]:
    channels = track.channels if track.channels in (1, 2, 6) else 2
    bit_rate = {1: 96, 2: 160, 6: 384}[channels]
    return [
        "-c:a",
        "aac",
        "-b:a",
        f"{bit_rate}k",
        "-ac",
        str(channels),
        "-ar",
        str(_aac_rate(track)),
    ]


def _aac_rate(track: AudioStream) -> int:
    return track.sample_rate if track.sample_rate in _AAC_RATES else 48_000


def _run(encoder: Encoder, input_arguments: list[str], arguments: list[str], target: Path) -> Path:
    duration_ms, subject = encoder.probe.duration_ms, encoder.subject

    def receive(line: bytes) -> None:
        key, _, value = line.decode(errors="replace").partition("=")
        if key == "out_time_us" and value.strip().isdigit() and duration_ms > 0:
            encoder.on_progress(min(1.0, int(value) / 1000 / duration_ms))

    binary = find_ffmpeg()
    ended = run_program(
        [
            *(str(binary), "-nostdin", "-hide_banner", "-v", "error"),
            *("-nostats", "-progress", "pipe:1", "-y"),
            *(*ffmpeg_input_options(), *input_arguments, "-i", f"file:{encoder.source}"),
            *("-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"),
            *(*arguments, "-f", "mp4", f"file:{target}"),
        ],
        subject=subject,
        scratch=encoder.scratch,
        readable=[encoder.source, binary],
        limits=encoder.limits,
        on_line=receive,
    )
    if ended.returncode != 0:
        raise ending_error(ended, subject, encoder.limits)
    if not target.is_file() or target.stat().st_size == 0:
        raise UnreadableMedia(f"{subject}: nothing of it could be decoded; it is damaged.")
    return target
