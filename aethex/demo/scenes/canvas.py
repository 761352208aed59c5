"""What the scenes draw with: gradients, noise, silhouettes, soft shapes, blending.

What belongs here: drawing that several scenes share. What does not: any scene's own things.

A frame is an array (HEIGHT, WIDTH, 3) of bytes, RGB. Layers are made once, before the first frame;
a frame is put together from them with few passes over the pixels, so that a core draws about 100
frames a second.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 1280, 720
FRAMES_PER_SECOND = 30

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating]
Colour = tuple[int, int, int]
Point = tuple[float, float]

_SMOOTH = 3  # shapes are drawn this much larger and scaled down, for soft edges


def rgb(hexadecimal: str) -> Colour:
    """`#ff8040` as three bytes."""
    value = int(hexadecimal.lstrip("#"), 16)
    return value >> 16, value >> 8 & 255, value & 255


def ramp(stops: Sequence[tuple[float, str]], length: int) -> Floats:
    """Colours (length, 3) along a line, between stops of (position 0–1, colour); floats 0–255."""
    at = np.linspace(0, 1, length)
    places = [place for place, _ in stops]
    colours = np.array([rgb(colour) for _, colour in stops], dtype=np.float64)
    channels = [np.interp(at, places, colours[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).astype(np.float32)


def vertical_gradient(
    stops: Sequence[tuple[float, str]], height: int, width: int = WIDTH
) -> Floats:
    """A picture (height, width, 3) whose rows run through the stops from top to bottom."""
    return np.repeat(ramp(stops, height)[:, None, :], width, axis=1)


def to_bytes(picture: Floats, rng: np.random.Generator | None = None) -> Bytes:
    """Floats 0–255 as bytes; with `rng` dithered, so that slow gradients show no bands."""
    if rng is not None:
        picture = picture + rng.random(picture.shape, dtype=np.float32) - 0.5
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def tileable_noise(rng: np.random.Generator, height: int, width: int, roughness: float) -> Floats:
    """Cloud-like noise 0–1 that continues at its borders; roughness 1 is fine, 3 large clouds."""
    size = max(height, width)
    rows = np.fft.fftfreq(height)[:, None] * size
    columns = np.fft.rfftfreq(width)[None, :] * size
    distance = np.hypot(rows, columns)
    distance[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / distance**roughness
    spectrum[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, s=(height, width))
    low, high = np.percentile(noise[::4, ::4], (0.5, 99.5))
    return np.clip((noise - low) / (high - low), 0, 1).astype(np.float32)


def ridge(rng: np.random.Generator, width: int, roughness: float, peaks: int = 0) -> Floats:
    """A line of hills (width,) between 0 and 1 whose end meets its start."""
    frequency = np.arange(1, width // 2)
    weight = frequency.astype(np.float64) ** -roughness
    if peaks:
        weight *= np.exp(-((np.log(frequency / peaks)) ** 2) / 3)
    phase = rng.random(frequency.size) * 2 * np.pi
    spectrum = np.zeros(width // 2 + 1, dtype=complex)
    spectrum[1 : width // 2] = weight * np.exp(1j * phase)
    line = np.fft.irfft(spectrum, n=width)
    return ((line - line.min()) / (line.max() - line.min())).astype(np.float32)


def below(line: Floats, height: int) -> Floats:
    """Coverage 0–1 (height, width) of what is below `line` (rows, per column), with soft edges."""
    rows = np.arange(height, dtype=np.float32)[:, None]
    return np.clip(rows - line[None, :] + 0.5, 0, 1)


def polygon_mask(points: Sequence[Point], height: int, width: int) -> Bytes:
    """Coverage 0–255 (height, width) of a polygon given in pixels, with soft edges."""
    large = Image.new("L", (width * _SMOOTH, height * _SMOOTH), 0)
    ImageDraw.Draw(large).polygon([(x * _SMOOTH, y * _SMOOTH) for x, y in points], fill=255)
    return np.asarray(large.resize((width, height), Image.Resampling.BOX))


def line_mask(points: Sequence[Point], thickness: float, height: int, width: int) -> Bytes:
    """Coverage 0–255 (height, width) of a line through the points, with soft edges."""
    large = Image.new("L", (width * _SMOOTH, height * _SMOOTH), 0)
    scaled = [(x * _SMOOTH, y * _SMOOTH) for x, y in points]
    ImageDraw.Draw(large).line(scaled, fill=255, width=round(thickness * _SMOOTH), joint="curve")
    return np.asarray(large.resize((width, height), Image.Resampling.BOX))


def blurred(mask: Bytes, radius: float) -> Bytes:
    """The mask with a Gaussian blur of `radius` pixels: glow around a shape."""
    return np.asarray(Image.fromarray(mask).filter(ImageFilter.GaussianBlur(radius)))


def soft_disc(radius: int, power: float = 2.0) -> Floats:
    """A glow (2r, 2r): 1 in the middle, falling to 0 at the radius."""
    axis = (np.arange(2 * radius, dtype=np.float32) - radius + 0.5) / radius
    distance = np.hypot(axis[:, None], axis[None, :])
    return np.clip(1 - distance, 0, 1) ** power


def paint(picture: Floats, coverage: Floats | Bytes, colour: Floats | Colour) -> None:
    """Lay a colour (or a picture) over `picture`, in place, where `coverage` (0–1, or bytes) says
    so.
    """
    amount = coverage.astype(np.float32)
    if coverage.dtype == np.uint8:
        amount = amount / 255
    amount = amount[..., None]
    picture *= 1 - amount
    picture += amount * np.asarray(colour, dtype=np.float32)


def light(picture: Floats, amount: Floats | Bytes, colour: Colour) -> None:
    """Add light of a colour to `picture`, in place."""
    weight = amount.astype(np.float32)
    if amount.dtype == np.uint8:
        weight = weight / 255
    picture += weight[..., None] * np.asarray(colour, dtype=np.float32)


class Overlay:
    """A picture with soft edges, kept so that laying it over a frame costs three passes over its
    bytes.
    """

    def __init__(self, picture: Floats, coverage: Floats) -> None:
        """`picture` (h, w, 3) 0–255, `coverage` (h, w) 0–1."""
        self._light = to_bytes(picture * coverage[..., None])
        # 256 steps, so that a shift divides: 256 is fully see-through
        keep = np.rint((1 - coverage) * 256).astype(np.uint16)
        self._keep = np.repeat(keep[..., None], 3, axis=2)
        solid = np.flatnonzero(keep.any(axis=1))
        self._soft_rows = int(solid[-1]) + 1 if solid.size else 0
        self.height, self.width = coverage.shape

    def lay(self, frame: Bytes, left: int, top: int, first_column: int = 0) -> None:
        """Lay it with its `first_column` at `left`; what lies outside the frame is cut off."""
        source_left = first_column + max(0, -left)
        source_top = max(0, -top)
        left, top = max(0, left), max(0, top)
        width = min(self.width - source_left, WIDTH - left)
        bottom = min(self.height, source_top + HEIGHT - top)
        if width <= 0 or bottom <= source_top:
            return
        columns = slice(source_left, source_left + width)
        target = frame[top : top + bottom - source_top, left : left + width]
        soft = max(source_top, min(self._soft_rows, bottom))
        if soft > source_top:
            rows = slice(source_top, soft)
            part = target[: soft - source_top]
            mixed = part * self._keep[rows, columns]
            mixed >>= 8
            np.add(mixed, self._light[rows, columns], out=part, casting="unsafe")
        target[soft - source_top :] = self._light[soft:bottom, columns]


class Layer:
    """A strip as wide as one likes that passes behind the frame's borders and starts again:
    parallax.
    """

    def __init__(self, picture: Floats, coverage: Floats, *, top: int) -> None:
        """`picture` (h, w, 3) 0–255 and `coverage` (h, w) 0–1 loop; `top` is the frame's row of the
        first.
        """
        self._loop_width = picture.shape[1]
        self._top = top
        self._strip = Overlay(
            np.concatenate([picture, picture[:, :WIDTH]], axis=1),
            np.concatenate([coverage, coverage[:, :WIDTH]], axis=1),
        )

    def lay(self, frame: Bytes, offset: float = 0.0) -> None:
        """Lay the strip over the frame, its column `offset` at the left border."""
        self._strip.lay(frame, 0, self._top, int(offset) % self._loop_width)


class Sparkles:
    """Points that twinkle, each at its own pace: stars, windows, fireflies."""

    def __init__(
        self,
        rng: np.random.Generator,
        count: int,
        box: tuple[int, int, int, int],
        colours: Sequence[str],
    ) -> None:
        """`box` is (left, top, right, bottom) in pixels."""
        left, top, right, bottom = box
        self._x = rng.integers(left, right, count)
        self._y = rng.integers(top, bottom, count)
        palette = np.array([rgb(colour) for colour in colours], dtype=np.float32)
        strength = rng.random(count).astype(np.float32) ** 3 * 0.85 + 0.15
        self._colour = palette[rng.integers(0, len(colours), count)] * strength[:, None]
        self._pace = rng.uniform(0.6, 2.6, count)
        self._phase = rng.uniform(0, 2 * np.pi, count)

    def draw(self, frame: Bytes, at_seconds: float, dx: int = 0) -> None:
        """Light the points where they are brighter than what is there."""
        bright = 0.72 + 0.28 * np.sin(self._pace * at_seconds + self._phase)
        colours = (self._colour * bright[:, None]).astype(np.uint8)
        x = (self._x - dx) % WIDTH
        frame[self._y, x] = np.maximum(frame[self._y, x], colours)
