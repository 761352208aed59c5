"""Music for the demo's videos: chords, bass, arpeggios and drums, computed from a style and a seed.

What belongs here: sound from numbers. What does not: pictures, encoding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 48_000
_TABLE = 4096

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Style:
    """What a piece is made of. Chords are semitones above the root, one a bar of four beats."""

    beats_per_minute: float
    root_hz: float
    chords: tuple[tuple[int, ...], ...]
    pad: float = 0.5
    arpeggio: float = 0.5
    bass: float = 0.5
    drums: float = 0.0
    is_chip: bool = False
    """Square waves and dry, as old machines sound."""
    ambience: str = ""
    """`rain`, `wind`, `engine`, `hum` or nothing."""


MINOR_DREAM = ((0, 3, 7, 12), (-4, 0, 3, 8), (3, 7, 10, 15), (-2, 2, 5, 10))
SLOW_NORTH = ((0, 7, 12, 15), (-4, 3, 8, 12), (-7, 0, 5, 8), (-2, 5, 10, 14))
OPEN_SPACE = ((0, 7, 14, 16), (-3, 4, 12, 16), (-5, 2, 11, 14), (-7, 0, 9, 16))
LATE_TRAIN = ((0, 3, 7, 10), (5, 8, 12, 15), (-2, 2, 5, 8), (3, 7, 10, 14))
BRIGHT_RUN = ((0, 4, 7, 12), (-5, -1, 2, 7), (-3, 0, 4, 9), (-7, -3, 0, 5))

STYLES = {
    "neon": Style(120, 110.0, MINOR_DREAM, pad=0.4, arpeggio=0.5, bass=0.75, drums=0.9),
    "aurora": Style(62, 98.0, SLOW_NORTH, pad=0.9, arpeggio=0.28, bass=0.25, ambience="wind"),
    "space": Style(76, 87.31, OPEN_SPACE, pad=0.8, arpeggio=0.45, bass=0.35, ambience="hum"),
    "city": Style(
        82, 116.54, LATE_TRAIN, pad=0.55, arpeggio=0.4, bass=0.55, drums=0.45, ambience="rain"
    ),
    "runner": Style(
        138, 130.81, BRIGHT_RUN, pad=0.0, arpeggio=0.6, bass=0.6, drums=0.5, is_chip=True
    ),
    "racer": Style(
        150,
        123.47,
        BRIGHT_RUN,
        pad=0.12,
        arpeggio=0.5,
        bass=0.7,
        drums=0.7,
        is_chip=True,
        ambience="engine",
    ),
}


def compose(style: Style, seconds: float, rng: np.random.Generator) -> Floats:
    """Stereo sound (2, samples) at SAMPLE_RATE, peaks at 0.9, faded in and out."""
    samples = round(seconds * SAMPLE_RATE)
    beat = 60 / style.beats_per_minute
    dry = np.zeros((2, samples), dtype=np.float32)
    wet = np.zeros((2, samples), dtype=np.float32)
    saw, soft = _wave([1 / n for n in range(1, 14)]), _wave([1, 0.35, 0.18, 0.06])
    square = _wave([1 / n if n % 2 else 0 for n in range(1, 16)])
    bars = int(np.ceil(seconds / (4 * beat)))
    for bar in range(bars):
        chord, start = style.chords[bar % len(style.chords)], bar * 4 * beat
        if style.pad:
            _pad(wet, saw, style, chord, start, 4 * beat)
        if style.bass and bar >= min(2, bars - 1):
            _bass(dry, square if style.is_chip else saw, style, chord, start, beat)
        if style.arpeggio and bar >= 1:
            _arpeggio(
                dry if style.is_chip else wet,
                square if style.is_chip else soft,
                style,
                chord,
                start,
                beat,
                rng,
            )
        if style.drums and bar >= min(4, bars // 4):
            _drums(dry, style, start, beat, rng)
    if not style.is_chip:
        dry += 0.85 * wet + 0.42 * _reverberate(wet, rng)
    dry += _ambience(style.ambience, samples, rng)
    return _mastered(dry)


def _wave(harmonics: list[float]) -> Floats:
    """One turn of a wave from the strengths of its harmonics."""
    turn = np.arange(_TABLE) * 2 * np.pi / _TABLE
    wave = sum(strength * np.sin(n * turn) for n, strength in enumerate(harmonics, start=1))
    return (wave / np.abs(wave).max()).astype(np.float32)


def _tone(wave: Floats, hertz: float, samples: int, phase: float = 0.0) -> Floats:
    place = np.arange(samples, dtype=np.float64) * (hertz * _TABLE / SAMPLE_RATE) + phase * _TABLE
    return wave[place.astype(np.int64) % _TABLE]


def _pitch(style: Style, semitones: float) -> float:
    return style.root_hz * 2 ** (semitones / 12)


def _add(target: Floats, sound: Floats, start_seconds: float, left: float, right: float) -> None:
    begin = round(start_seconds * SAMPLE_RATE)
    length = min(sound.size, target.shape[1] - begin)
    if length > 0:
        target[0, begin : begin + length] += sound[:length] * np.float32(left)
        target[1, begin : begin + length] += sound[:length] * np.float32(right)


def _pad(
    out: Floats, wave: Floats, style: Style, chord: tuple[int, ...], start: float, length: float
) -> None:
    """The chord, swelling, each note twice and slightly apart; it rings into the next bar."""
    samples = round(length * 1.25 * SAMPLE_RATE)
    at = np.linspace(0, 1.25, samples, dtype=np.float32)
    swell = np.clip(at / 0.3, 0, 1) * np.clip((1.25 - at) / 0.35, 0, 1)
    for index, note in enumerate(chord):
        for side, apart in ((0, 0.9972), (1, 1.0028)):
            tone = _tone(
                wave, _pitch(style, note) * apart, samples, phase=index * 0.23 + side * 0.41
            )
            softened = np.convolve(tone, np.full(24, 1 / 24, dtype=np.float32), mode="same")
            sound = softened.astype(np.float32) * swell * np.float32(0.1 * style.pad)
            _add(out, sound, start, 0.9 - 0.5 * side, 0.4 + 0.5 * side)


def _bass(
    out: Floats, wave: Floats, style: Style, chord: tuple[int, ...], start: float, beat: float
) -> None:
    samples = round(beat * 0.5 * SAMPLE_RATE)
    fall = np.exp(-np.linspace(0, 3.2, samples, dtype=np.float32))
    fall *= np.clip(np.linspace(1, 0, samples) * 40, 0, 1).astype(np.float32)
    steps = 8 if style.drums > 0.4 else 2
    for step in range(steps):
        octave = 12 if steps == 8 and step % 8 in (3, 7) else 0
        tone = _tone(wave, _pitch(style, chord[0] - 12 + octave), samples)
        low = np.convolve(tone, np.full(36, 1 / 36, dtype=np.float32), mode="same").astype(
            np.float32
        )
        _add(
            out,
            low * fall * np.float32(0.34 * style.bass),
            start + step * 4 * beat / steps,
            0.7,
            0.7,
        )


def _arpeggio(
    out: Floats,
    wave: Floats,
    style: Style,
    chord: tuple[int, ...],
    start: float,
    beat: float,
    rng: np.random.Generator,
) -> None:
    """The chord's notes one after the other, wandering between left and right."""
    step_beats = 0.25 if style.beats_per_minute > 100 else 0.5
    samples = round(beat * (0.45 if style.is_chip else 2.2) * SAMPLE_RATE)
    fall = np.exp(-np.linspace(0, 3 if style.is_chip else 6.5, samples, dtype=np.float32))
    fall *= np.clip(np.linspace(0, 1, samples) * 300, 0, 1).astype(np.float32)
    order = rng.permutation(len(chord))
    for step in range(round(4 / step_beats)):
        if rng.random() < 0.14:
            continue
        note = chord[order[step % len(chord)]] + 12 * (1 + int(rng.random() < 0.3))
        tone = _tone(wave, _pitch(style, note), samples)
        pan = 0.5 + 0.38 * np.sin(step * 1.7)
        loud = 0.15 * style.arpeggio * (1.0 if step % 4 == 0 else 0.72)
        _add(out, tone * fall * np.float32(loud), start + step * step_beats * beat, 1 - pan, pan)


def _drums(out: Floats, style: Style, start: float, beat: float, rng: np.random.Generator) -> None:
    long, short = round(0.24 * SAMPLE_RATE), round(0.05 * SAMPLE_RATE)
    at = np.arange(long, dtype=np.float32) / SAMPLE_RATE
    kick = np.sin(2 * np.pi * (46 * at + 7 * (1 - np.exp(-at * 34)))) * np.exp(-at * 15)
    noise = rng.standard_normal(long).astype(np.float32)
    snare = noise * np.exp(-at * 24) * 0.5 + np.sin(2 * np.pi * 186 * at) * np.exp(-at * 30) * 0.4
    hat = np.diff(noise[: short + 1]) * np.exp(-at[:short] * 90)
    loud = np.float32(style.drums)
    for step in range(4):
        _add(out, kick * loud * 0.62, start + step * beat, 0.7, 0.7)
        if step % 2:
            _add(out, snare.astype(np.float32) * loud * 0.3, start + step * beat, 0.66, 0.74)
        _add(out, hat.astype(np.float32) * loud * 0.1, start + (step + 0.5) * beat, 0.5, 0.9)


def _reverberate(dry: Floats, rng: np.random.Generator) -> Floats:
    """A hall: convolution with fading noise of 2.2 s, in blocks (overlap-add)."""
    length = round(2.2 * SAMPLE_RATE)
    fade = np.exp(-np.linspace(0, 6.5, length))
    hall = (rng.standard_normal((2, length)) * fade).astype(np.float32)
    hall /= np.sqrt((hall**2).sum(axis=1, keepdims=True))
    block = 1 << 18
    size = block * 2
    spectrum = np.fft.rfft(hall, size)
    out = np.zeros((2, dry.shape[1] + size), dtype=np.float32)
    for begin in range(0, dry.shape[1], block):
        part = np.fft.rfft(dry[:, begin : begin + block], size)
        out[:, begin : begin + size] += np.fft.irfft(part * spectrum, size).astype(np.float32)
    return out[:, : dry.shape[1]]


def _ambience(kind: str, samples: int, rng: np.random.Generator) -> Floats:
    """What the place itself sounds like: filtered noise, slowly swelling."""
    out = np.zeros((2, samples), dtype=np.float32)
    if not kind:
        return out
    at = np.arange(samples, dtype=np.float32) / SAMPLE_RATE
    swell = (0.75 + 0.25 * np.sin(at * 0.6)).astype(np.float32)
    if kind == "engine":
        turns = np.cumsum(86 + 10 * np.sin(at * 0.4)) / SAMPLE_RATE
        hum = (
            np.sin(2 * np.pi * turns)
            + 0.5 * np.sin(4 * np.pi * turns)
            + 0.3 * np.sin(6 * np.pi * turns)
        )
        out += (hum * 0.035).astype(np.float32)
        return out
    width, loud = {"rain": (2, 0.028), "wind": (160, 0.22), "hum": (420, 0.3)}[kind]
    for channel in range(2):
        noise = rng.standard_normal(samples).astype(np.float32)
        sums = np.cumsum(noise, dtype=np.float64)
        smooth = np.zeros(samples, dtype=np.float32)
        smooth[width:] = (sums[width:] - sums[:-width]) / width
        out[channel] = smooth * swell * np.float32(loud)
    return out


def _mastered(sound: Floats) -> Floats:
    """Even loudness, soft peaks, one second of fade at both ends."""
    loudness = float(np.sqrt(np.mean(sound**2))) or 1.0
    shaped = np.tanh(sound * np.float32(0.16 / loudness))
    shaped *= np.float32(0.9 / max(0.9, float(np.abs(shaped).max())))
    fade = min(SAMPLE_RATE, sound.shape[1] // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    shaped[:, :fade] *= ramp
    shaped[:, -fade:] *= ramp[::-1]
    return shaped
