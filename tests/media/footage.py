"""Footage that proves what happened to it: every frame shows its number, every second beeps.

The number is a row of 24 black or white blocks at the top; on the first frame of each second a
square flashes below it, and a beep begins with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

WIDTH, HEIGHT = 320, 180
BITS = 24
BLOCK = 12
SAMPLE_RATE = 48_000
BEEP_SECONDS = 0.1


@dataclass(frozen=True)
class Recipe:
    """What to make. `frame_times` (ms) makes the rate vary; x264 options as in `ffmpeg
    -x264-params`.
    """

    seconds: int = 12
    rate: Fraction = Fraction(30)
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: str = "preset=ultrafast;crf=23;g=60;bf=2"
    size: tuple[int, int] = (WIDTH, HEIGHT)
    audio_codec: str | None = "aac"
    audio_from: float = 0.0
    audio_hole: tuple[float, float] | None = None
    frame_times: tuple[int, ...] | None = None
    rotation: int = 0
    movflags: str | None = None


def make(path: Path, recipe: Recipe) -> Path:
    """Write the footage; the container follows from the name."""
    with av.open(
        path, "w", options={"movflags": recipe.movflags} if recipe.movflags else {}
    ) as out:
        video: Any = out.add_stream(recipe.codec, rate=recipe.rate)
        video.width, video.height = recipe.size
        video.pix_fmt = recipe.pixel_format
        video.options = dict(item.split("=", 1) for item in recipe.options.split(";"))
        base = Fraction(1, 1000) if recipe.frame_times else 1 / recipe.rate
        video.codec_context.time_base = base
        if recipe.rotation:
            video.set_display_rotation(recipe.rotation)
        sound: Any = None
        if recipe.audio_codec:
            sound = out.add_stream(recipe.audio_codec, rate=SAMPLE_RATE)
            sound.layout = "stereo"
        times = recipe.frame_times or tuple(range(int(recipe.seconds * recipe.rate)))
        beeps = iter(_beeps(recipe) if sound else ())
        pending = next(beeps, None)
        for number, time in enumerate(times):
            while pending is not None and pending[0] <= time * base:
                _mux_sound(out, sound, *pending)
                pending = next(beeps, None)
            frame = av.VideoFrame.from_ndarray(_picture(number, recipe, times, base), "yuv420p")
            if recipe.pixel_format != "yuv420p":
                frame = frame.reformat(format=recipe.pixel_format)
            frame.pts, frame.time_base = time, base
            out.mux(video.encode(frame))
        while pending is not None:
            _mux_sound(out, sound, *pending)
            pending = next(beeps, None)
        for stream in (video, sound):
            if stream is not None:
                out.mux(stream.encode(None))
    return path


def _mux_sound(out: Any, stream: Any, start: Fraction, samples: Any) -> None:
    frame = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
    frame.sample_rate = SAMPLE_RATE
    frame.time_base = Fraction(1, SAMPLE_RATE)
    frame.pts = int(start * SAMPLE_RATE)
    if stream.codec_context.name == "aac":
        out.mux(stream.encode(frame))
        return
    resampler = av.AudioResampler(stream.codec_context.format, "stereo", SAMPLE_RATE)
    for converted in resampler.resample(frame):
        out.mux(stream.encode(converted))


def _beeps(recipe: Recipe) -> list[tuple[Fraction, Any]]:
    """A second of sound each, with its start; holes are left out."""
    pieces: list[tuple[Fraction, Any]] = []
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    beep = 0.6 * np.sin(2 * np.pi * 1000 * time) * (time < BEEP_SECONDS)
    wave = (0.02 * np.sin(2 * np.pi * 220 * time) + beep).astype(np.float32)
    for second in range(recipe.seconds):
        hole = recipe.audio_hole
        is_missing = second < recipe.audio_from or (hole and hole[0] <= second < hole[1])
        if not is_missing:
            pieces.append((Fraction(second), np.stack([wave, wave])))
    return pieces


def _picture(number: int, recipe: Recipe, times: Sequence[int], base: Fraction) -> Any:
    width, height = recipe.size
    picture = np.full((height * 3 // 2, width), 128, np.uint8)
    picture[:height] = np.linspace(40, 200, width, dtype=np.uint8)
    picture[height // 2 + number % (height // 3) :: 16, :][: height // 4] = 90
    for bit in range(BITS):
        left = 8 + bit * BLOCK
        picture[8:24, left : left + BLOCK] = 235 if number >> (BITS - 1 - bit) & 1 else 16
    before = times[number - 1] if number else -1
    is_flash = int(times[number] * base) != int(before * base) or number == 0
    picture[40:72, 8:40] = 235 if is_flash else 16
    return picture


@dataclass(frozen=True)
class Seen:
    """What is in a file: frame numbers and times (seconds) in showing order, and by how many
    seconds each beep is later than its flash.
    """

    numbers: list[int]
    times: list[float]
    beep_lag: list[float]
    sound_end: float


def look(path: Path) -> Seen:
    """Decode a file and read the numbers and beeps back."""
    numbers: list[int] = []
    times: list[float] = []
    flashes: list[float] = []
    pieces: list[tuple[float, Any]] = []
    with av.open(path) as source:
        for stream in source.streams.video:
            stream.thread_type = "AUTO"
        for packet in source.demux():
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    luma = _luma(frame)
                    time = float((frame.pts or 0) * (frame.time_base or 0))
                    numbers.append(read_number(luma))
                    times.append(time)
                    if luma[48:64, 16:32].mean() > 125:
                        flashes.append(time)
                elif isinstance(frame, av.AudioFrame):
                    start = float((frame.pts or 0) * (frame.time_base or 0))
                    pieces.append(
                        (start, np.abs(frame.to_ndarray().astype(np.float64)).max(axis=0))
                    )
                    rate = frame.sample_rate
    onsets = _onsets(pieces, rate) if pieces else []
    lags = [min((on - flash for on in onsets), key=abs) for flash in flashes] if onsets else []
    end = pieces[-1][0] + len(pieces[-1][1]) / rate if pieces else 0.0
    return Seen(numbers, times, [float(lag) for lag in lags if abs(lag) < 0.4], end)


def _luma(frame: av.VideoFrame) -> Any:
    if frame.format.name in ("yuv420p", "yuvj420p"):
        plane = frame.planes[0]
        rows = np.frombuffer(memoryview(cast(Any, plane)), np.uint8).reshape(-1, plane.line_size)
        return rows[: frame.height, : frame.width]
    return frame.reformat(format="gray").to_ndarray()


def read_number(luma: Any) -> int:
    number = 0
    for bit in range(BITS):
        left = 8 + bit * BLOCK
        number = number << 1 | int(luma[12:20, left + 3 : left + BLOCK - 3].mean() > 125)
    return number


def _onsets(pieces: list[tuple[float, Any]], rate: int) -> list[float]:
    """Where loud begins after quiet, in seconds, to the millisecond."""
    scale = 32768.0 if max(piece.max() for _, piece in pieces) > 2 else 1.0
    loud: list[float] = []
    last_loud = -1.0
    for start, piece in pieces:
        for index in np.flatnonzero(piece / scale > 0.25):
            at = start + index / rate
            if at - last_loud > 0.5:
                loud.append(at)
            last_loud = at
    return loud
