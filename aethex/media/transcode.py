"""Encodes what browsers cannot play, with the ffmpeg binary in the sandbox.

What belongs here: ffmpeg's arguments and running it. What does not: deciding what to encode
(`decide.py`), making segments of the result (`pack.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aethex.media.decide import Plan
from aethex.media.errors import UnreadableMedia
from aethex.media.ffmpeg import find_ffmpeg
from aethex.media.probe import AudioStream, Probe, VideoStream
from aethex.media.sandbox import Limits, ending_error, run_program
from aethex.media.whitelist import ffmpeg_input_options

KEYFRAME_SECONDS = 2
VIDEO_NAME = "encoded.mp4"
AUDIO_NAME = "sound.mp4"
_CLOCK = 90_000
_AAC_RATES = (32_000, 44_100, 48_000)


def encode_video(
    source: Path,
    probe: Probe,
    plan: Plan,
    scratch: Path,
    *,
    subject: str,
    limits: Limits,
    on_progress: Callable[[float], None],
) -> Path:
    """The picture as H.264 (upright, 8-bit 4:2:0, an IDR frame every 2 s) with the chosen sound, as
    MP4.

    The sound is copied unless the plan says otherwise. Timestamps stay, also varying ones, unless
    they are what is wrong.
    """
    assert probe.video is not None
    target = scratch / VIDEO_NAME
    arguments = ["-map", f"0:{probe.video.index}", *video_arguments(probe.video)]
    if plan.audio is not None:
        arguments += ["-map", f"0:{plan.audio.index}"]
        if plan.encode_audio or probe.video.timestamp_fault:
            arguments += [*_aac(plan.audio), "-af", "aresample=async=1:min_hard_comp=0.03"]
        else:
            arguments += ["-c:a", "copy"]
    arguments += [
        "-movie_timescale",
        str(_CLOCK),
        "-video_track_timescale",
        str(_CLOCK),
        "-f",
        "mp4",
    ]
    _run(source, [], arguments, target, probe.duration_ms, scratch, subject, limits, on_progress)
    return target


def encode_audio(
    source: Path,
    probe: Probe,
    track: AudioStream,
    scratch: Path,
    *,
    subject: str,
    limits: Limits,
    on_progress: Callable[[float], None],
) -> Path:
    """The sound alone as AAC in MP4, whose 0 is the first frame's time, as long as the picture.

    Missing stretches become silence.
    """
    assert probe.video is not None
    target = scratch / AUDIO_NAME
    rate = _aac_rate(track)
    first = round(probe.video.origin_seconds * rate)
    end = probe.video.duration_ms / 1000
    filters = (
        f"aresample={rate}:async=1:min_hard_comp=0.03:first_pts={first},asetpts=PTS-STARTPTS,"
        f"apad,atrim=end={end:.3f}"
    )
    arguments = ["-map", f"0:{track.index}", "-vn", *_aac(track), "-af", filters, "-f", "mp4"]
    _run(
        source,
        ["-copyts"],
        arguments,
        target,
        probe.duration_ms,
        scratch,
        subject,
        limits,
        on_progress,
    )
    return target


def video_arguments(video: VideoStream) -> list[str]:
    """ffmpeg's arguments for the picture; it turns a rotated one upright by itself."""
    filters = ["bwdif=mode=send_frame:deint=interlaced"] if video.is_interlaced else []
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


def _run(
    source: Path,
    input_arguments: list[str],
    arguments: list[str],
    target: Path,
    duration_ms: int,
    scratch: Path,
    subject: str,
    limits: Limits,
    on_progress: Callable[[float], None],
) -> None:
    def receive(line: bytes) -> None:
        key, _, value = line.decode(errors="replace").partition("=")
        if key == "out_time_us" and value.strip().isdigit() and duration_ms > 0:
            on_progress(min(1.0, int(value) / 1000 / duration_ms))

    binary = find_ffmpeg()
    ended = run_program(
        [
            *(
                str(binary),
                "-nostdin",
                "-hide_banner",
                "-v",
                "error",
                "-nostats",
                "-progress",
                "pipe:1",
                "-y",
            ),
            *(*ffmpeg_input_options(), *input_arguments, "-i", f"file:{source}"),
            *("-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"),
            *(*arguments, f"file:{target}"),
        ],
        subject=subject,
        scratch=scratch,
        readable=[source, binary],
        limits=limits,
        on_line=receive,
    )
    if ended.returncode != 0:
        raise ending_error(ended, subject, limits)
    if not target.is_file() or target.stat().st_size == 0:
        raise UnreadableMedia(f"{subject}: nothing of it could be decoded; it is damaged.")
