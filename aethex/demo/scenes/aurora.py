"""Northern Window: an aurora over mountains and a still lake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from aethex.demo.scenes.canvas import (
    HEIGHT,
    WIDTH,
    Bytes,
    Floats,
    Layer,
    Sparkles,
    below,
    light,
    paint,
    ramp,
    rgb,
    ridge,
    soft_disc,
    tileable_noise,
    to_bytes,
    vertical_gradient,
)

_SHORE = 500
_ACROSS, _DOWN = 160, 100  # the aurora is soft: it is computed small and scaled up


@dataclass(frozen=True)
class _Curtain:
    """One curtain of light: rows are those of the small picture, colours run from its top down."""

    base: float
    reach: float
    strength: float
    pace: float
    phase: Floats
    colours: Floats


class NorthernWindow:
    """Three curtains of light wander over the sky; the view glides along the shore."""

    def __init__(self, rng: np.random.Generator) -> None:
        sky = vertical_gradient(
            [(0, "#03081c"), (0.5, "#07183a"), (0.85, "#123253"), (1, "#1f4a63")], _SHORE
        )
        dust = tileable_noise(rng, _SHORE, WIDTH, 1.6)
        light(sky, np.clip(dust - 0.45, 0, 1) * 0.25, rgb("#5a7fd0"))
        self._sky = to_bytes(np.minimum(sky, 95), rng)
        self._stars = Sparkles(rng, 520, (0, 0, WIDTH, 400), ["#ffffff", "#cfe4ff", "#fff0d8"])
        self._far = self._mountain_layer(rng, 230, 220, ("#33527a", "#152a4c"), snow_line=135)
        self._near = self._mountain_layer(rng, 105, 100, ("#0e1f38", "#081425"), snow_line=-100)
        self._trees = self._tree_layer(rng)
        self._cabin = self._cabin_picture()
        self._curtains = [self._curtain(rng, index) for index in range(3)]
        self._heights = np.arange(_DOWN, dtype=np.float32)[:, None]
        self._across = np.arange(_ACROSS, dtype=np.float32) / _ACROSS
        self._lake_shade = ramp([(0, "#9fb4c8"), (1, "#41566e")], HEIGHT - _SHORE).astype(np.uint16)
        self._shimmer = rng.uniform(0, 2 * np.pi, 3)

    def draw(self, frame: Bytes, at_seconds: float) -> None:
        """The picture at a time."""
        sky = frame[:_SHORE]
        glow = self._aurora(at_seconds)
        # The sky stays below 96 and the aurora below 161, so the sum fits a byte.
        np.add(self._sky[: glow.shape[0]], glow, out=sky[: glow.shape[0]])
        self._stars.draw(frame, at_seconds)
        self._far.lay(frame, at_seconds * 6)
        self._near.lay(frame, at_seconds * 15)
        self._reflect(frame, at_seconds)
        self._trees.lay(frame, at_seconds * 30)
        self._light_cabin(frame, at_seconds)

    # the aurora

    @staticmethod
    def _curtain(rng: np.random.Generator, index: int) -> _Curtain:
        colours = (
            [(0, "#0a1030"), (0.25, "#7a2bb0"), (0.6, "#24c48c"), (1, "#8dffb0")],
            [(0, "#0a1030"), (0.3, "#3a52d6"), (0.65, "#18c7b4"), (1, "#7dffd8")],
            [(0, "#180a30"), (0.35, "#c0399a"), (0.7, "#3fae7a"), (1, "#b6ffa8")],
        )[index]
        return _Curtain(
            base=(66, 82, 52)[index],
            reach=(46, 58, 36)[index],
            strength=(1.25, 1.0, 0.8)[index],
            pace=rng.uniform(0.05, 0.09),
            phase=rng.uniform(0, 2 * np.pi, 6).astype(np.float32),
            colours=ramp(colours, 64) / 255,
        )

    def _aurora(self, at_seconds: float) -> Bytes:
        """Light (_SHORE, WIDTH, 3), at most 160 a channel."""
        total = np.zeros((_DOWN, _ACROSS, 3), dtype=np.float32)
        x = self._across * 2 * np.pi
        for curtain in self._curtains:
            phase, t = curtain.phase, at_seconds * np.float32(curtain.pace)
            edge = curtain.base + 11 * np.sin(1.2 * x + 5 * t + phase[0])
            edge += 6 * np.sin(2.7 * x - 8 * t + phase[1])
            rays = 0.55 + 0.25 * np.sin(9 * x + 20 * t + phase[2]) * np.sin(
                4 * x - 11 * t + phase[3]
            )
            rays += 0.28 * np.sin(31 * x + 34 * t + phase[4]) * np.sin(2 * x + 9 * t)
            swell = 0.55 + 0.45 * np.sin(x * 0.9 - 4 * t + phase[5])
            up = (edge[None, :] - self._heights) / np.float32(curtain.reach)
            above, under = np.exp(-np.maximum(up, 0) * 2.1), np.exp(np.minimum(up, 0) * 16)
            fade = np.where(up >= 0, above, under)
            amount = fade * np.clip(rays * swell, 0, 1)[None, :] * np.float32(curtain.strength)
            shade = curtain.colours[np.clip((1 - up) * 63, 0, 63).astype(np.intp)]
            total += amount[..., None] * shade
        small = (np.clip(total, 0, 1) ** 0.85 * 160).astype(np.uint8)
        large = Image.fromarray(small).resize((WIDTH, _SHORE), Image.Resampling.BILINEAR)
        return np.minimum(np.asarray(large), 160)

    # the land

    @staticmethod
    def _mountain_layer(
        rng: np.random.Generator, height: int, rise: int, shades: tuple[str, str], *, snow_line: int
    ) -> Layer:
        """Peaks `rise` rows high; above row `snow_line` of the layer they are white."""
        width = 2 * WIDTH
        folded = 1 - np.abs(ridge(rng, width, 0.9, peaks=3) * 2 - 1)  # so that crests are sharp
        rocks = ridge(rng, width, 0.5, peaks=60)
        line = height - 14 - (folded * 0.93 + rocks * 0.07) ** 1.1 * (rise - 14)
        picture = vertical_gradient([(0, shades[0]), (1, shades[1])], height, width)
        depth = np.arange(height, dtype=np.float32)[:, None] - line[None, :]
        terrain = tileable_noise(rng, height, width, 1.55)
        relief = np.clip(
            (np.roll(terrain, -3, axis=1) - terrain + np.roll(terrain, 2, axis=0) - terrain) * 9,
            -1,
            1,
        )
        cap = np.clip((snow_line - line[None, :] - depth * 0.75 + (terrain - 0.5) * 90) / 9, 0, 1)
        paint(picture, cap * 0.85, rgb("#b3c9e2"))
        picture *= 1 + (relief * 0.42)[..., None]
        return Layer(np.clip(picture, 0, 255), below(line, height), top=_SHORE - height)

    @staticmethod
    def _tree_layer(rng: np.random.Generator) -> Layer:
        """The near bank with firs, before the lake."""
        height, width = 210, 2 * WIDTH
        ground = height - 30 - ridge(rng, width, 1.3, peaks=4) * 40
        line = ground.copy()
        groves = ridge(rng, width, 0.8, peaks=6)
        for _ in range(150):
            x, size = int(rng.integers(0, width)), int(rng.integers(30, 105))
            if groves[x] < 0.45:
                continue
            half = size // 5
            for step in range(-half, half + 1):
                branch = 7 * ((half - abs(step)) * 4 / half % 1)
                top = ground[x] - size * (1 - abs(step) / (half + 1)) + branch
                column = (x + step) % width
                line[column] = min(line[column], top)
        picture = vertical_gradient(
            [(0, "#06101f"), (0.6, "#040b16"), (1, "#02050b")], height, width
        )
        return Layer(picture, below(line, height), top=HEIGHT - height)

    @staticmethod
    def _cabin_picture() -> Floats:
        return soft_disc(46, 2.2)

    def _light_cabin(self, frame: Bytes, at_seconds: float) -> None:
        """A window with a fire behind it, on the far shore."""
        x = int(980 - at_seconds * 15) % (2 * WIDTH)
        if not 60 < x < WIDTH - 60:
            return
        flicker = 0.8 + 0.2 * np.sin(at_seconds * 7.3) * np.sin(at_seconds * 3.1)
        for y, amount in ((_SHORE - 16, 1.0), (_SHORE + 26, 0.45)):
            part = frame[y - 46 : y + 46, x - 46 : x + 46]
            glow = (
                self._cabin[..., None]
                * np.array(rgb("#ffb45e"), dtype=np.float32)
                * flicker
                * amount
            )
            part[...] = np.minimum(part + glow, 255).astype(np.uint8)
        frame[_SHORE - 20 : _SHORE - 12, x - 3 : x + 3] = rgb("#ffd9a0")

    def _reflect(self, frame: Bytes, at_seconds: float) -> None:
        """The lake mirrors what is above the shore, with ripples that grow towards us."""
        rows = np.arange(HEIGHT - _SHORE, dtype=np.float32)
        ripple = np.sin(rows * 0.55 - at_seconds * 2.2 + self._shimmer[0])
        ripple += 0.6 * np.sin(rows * 0.21 - at_seconds * 1.3 + self._shimmer[1])
        source = _SHORE - 2 - rows * 1.5 - ripple * (0.6 + rows * 0.03)
        mirrored = frame[np.clip(source, 0, _SHORE - 1).astype(np.intp)].astype(np.uint16)
        mirrored *= self._lake_shade[:, None]
        np.right_shift(mirrored, 8, out=frame[_SHORE:], casting="unsafe")
