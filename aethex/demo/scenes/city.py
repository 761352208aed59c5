"""Rain Over Line 9: a city at night in the rain, an elevated train, and its mirror in the wet
street.
"""

from __future__ import annotations

import numpy as np

from aethex.demo.scenes.canvas import (
    HEIGHT,
    WIDTH,
    Bytes,
    Floats,
    Layer,
    Overlay,
    blurred,
    light,
    paint,
    polygon_mask,
    ramp,
    rgb,
    soft_disc,
    to_bytes,
    vertical_gradient,
)

_STREET = 560
_LOOP = 2 * WIDTH
_TRACK = 408
_WINDOWS = ["#ffd28a", "#ffb561", "#fff1c9", "#9fd8ff", "#ff9fb8"]
_SIGNS = ["#ff3d7f", "#35e0ff", "#ffb02e", "#7dff6a", "#b57bff"]


class RainCity:
    """The view glides past three depths of buildings; a train crosses; rain falls before and
    behind.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        sky = vertical_gradient(
            [
                (0, "#080a22"),
                (0.3, "#1d1648"),
                (0.55, "#552766"),
                (0.75, "#a3446e"),
                (1, "#c7606a"),
            ],
            _STREET,
        )
        moon = np.zeros((_STREET, WIDTH), dtype=np.float32)
        disc = soft_disc(230, 2.4)
        moon[0:340, 860 : 860 + 420] = disc[120:460, :420]
        light(sky, moon * 0.5, rgb("#8fa6e8"))
        self._sky = to_bytes(sky, rng)
        self._far = self._buildings(rng, 400, (120, 370), (36, 90), "#1d2148", "#2b2a58", 0.3, 3)
        self._middle = self._buildings(
            rng, 440, (120, 400), (70, 150), "#141735", "#1a1d42", 0.42, 4
        )
        self._near = self._buildings(
            rng, 300, (70, 200), (110, 240), "#080a18", "#0b0e20", 0.3, 6, signs=26
        )
        self._train = self._draw_train()
        self._track = self._draw_track()
        self._rain = [self._rain_sheet(rng, *kind) for kind in ((900, 14, 60), (420, 30, 105))]
        self._street_shade = (
            ramp([(0, "#8a86a8"), (1, "#3a3a52")], HEIGHT - _STREET) * 1.1
        ).astype(np.uint16)
        self._rings = rng.uniform(0, 1, (42, 3))

    def draw(self, frame: Bytes, at_seconds: float) -> None:
        """The picture at a time."""
        frame[:_STREET] = self._sky
        self._far.lay(frame, at_seconds * 10)
        self._middle.lay(frame, at_seconds * 24)
        self._pass_train(frame, at_seconds)
        self._near.lay(frame, at_seconds * 60)
        self._mirror(frame, at_seconds)
        self._fall(frame, at_seconds)

    # buildings

    @staticmethod
    def _buildings(
        rng: np.random.Generator,
        height: int,
        tall: tuple[int, int],
        wide: tuple[int, int],
        dark: str,
        bright: str,
        lit: float,
        cell: int,
        signs: int = 0,
    ) -> Layer:
        """A row of houses that loops: heights, widths and window size in pixels, `lit` of the
        windows on.
        """
        picture = np.zeros((height, _LOOP, 3), dtype=np.float32)
        coverage = np.zeros((height, _LOOP), dtype=np.float32)
        glow = np.zeros((height, _LOOP, 3), dtype=np.float32)
        roofs: list[tuple[int, int, int]] = []
        x = 0
        while x < _LOOP:
            width = min(int(rng.integers(*wide)), _LOOP - x)
            top = height - int(rng.integers(*tall))
            roofs.append((x, top, width))
            coverage[top:, x : x + width] = 1
            shade = np.linspace(1.15, 0.75, width, dtype=np.float32)[None, :, None]
            wall = vertical_gradient([(0, bright), (1, dark)], height - top, width) * shade
            picture[top:, x : x + width] = wall
            RainCity._light_windows(rng, picture, glow, (x, top, width), lit, cell)
            if width > 40 and rng.random() < 0.4:
                mast = x + width // 2
                coverage[max(0, top - 34) : top, mast : mast + 2] = 1
                picture[max(0, top - 34) : top, mast : mast + 2] = rgb(dark)
                picture[max(0, top - 34) : max(0, top - 34) + 3, mast : mast + 2] = rgb("#ff4040")
            x += width
        for index in rng.choice(len(roofs), min(signs, len(roofs)), replace=False):
            RainCity._hang_sign(rng, picture, glow, roofs[index])
        picture += glow
        return Layer(np.clip(picture, 0, 255), coverage, top=_STREET - height)

    @staticmethod
    def _light_windows(
        rng: np.random.Generator,
        picture: Floats,
        glow: Floats,
        house: tuple[int, int, int],
        lit: float,
        cell: int,
    ) -> None:
        x, top, width = house
        step_x, step_y = cell * 2 + int(rng.integers(0, 3)), cell * 3 + int(rng.integers(0, 4))
        tint = rgb(_WINDOWS[int(rng.integers(0, len(_WINDOWS)))])
        share = lit * rng.uniform(0.4, 1.3)
        for row in range(top + cell * 2, picture.shape[0] - cell * 2, step_y):
            for column in range(x + cell, x + width - cell * 2, step_x):
                if rng.random() < share:
                    strength = rng.uniform(0.35, 1.0)
                    colour = np.array(tint, dtype=np.float32) * strength
                    picture[row : row + cell + 1, column : column + cell] = colour
                    glow[row - 2 : row + cell + 3, column - 2 : column + cell + 2] += colour * 0.09

    @staticmethod
    def _hang_sign(
        rng: np.random.Generator, picture: Floats, glow: Floats, house: tuple[int, int, int]
    ) -> None:
        """A neon sign: bars and a frame in one colour, with its glow on the wall."""
        x, top, width = house
        if width < 70:
            return
        colour = rgb(_SIGNS[int(rng.integers(0, len(_SIGNS)))])
        w, h = int(rng.integers(24, 40)), int(rng.integers(70, 120))
        left, upper = (
            x + int(rng.integers(12, width - w - 10)),
            min(top + 26, picture.shape[0] - h - 8),
        )
        mask = np.zeros((h, w), dtype=np.uint8)
        mask[:3], mask[-3:], mask[:, :3], mask[:, -3:] = 255, 255, 255, 255
        for row in range(11, h - 10, 15):
            kind = int(rng.integers(0, 3))
            mask[row : row + 3, 8:-8] = 255
            if kind:
                mask[row : row + 9, w // 2 - 1 : w // 2 + 2] = 255
            if kind == 2:
                mask[row + 6 : row + 9, 8:-8] = 255
        around = 26
        wide = np.pad(mask, around)
        rows = slice(max(0, upper - around), upper + h + around)
        columns = slice(max(0, left - around), left + w + around)
        part = glow[rows, columns]
        halo = blurred(wide, 9)[wide.shape[0] - part.shape[0] :, wide.shape[1] - part.shape[1] :]
        halo = halo[:, : part.shape[1]]
        light(part, halo, colour)
        light(glow[upper : upper + h, left : left + w], mask, colour)

    # the train

    @staticmethod
    def _draw_track() -> Layer:
        height = 190
        picture = np.zeros((height, 320, 3), dtype=np.float32)
        coverage = np.zeros((height, 320), dtype=np.float32)
        picture[:] = rgb("#0c0e1f")
        picture[0:3] = rgb("#32345c")
        coverage[0:20] = 1
        coverage[20:, 140:168] = 1
        coverage[20:34, 120:188] = 1
        tiled = np.tile(picture, (1, 8, 1))
        return Layer(tiled, np.tile(coverage, (1, 8)), top=_TRACK)

    @staticmethod
    def _draw_train() -> Overlay:
        height, width, cars = 74, 1500, 5
        picture = np.zeros((height, width, 3), dtype=np.float32)
        coverage = np.zeros((height, width), dtype=np.float32)
        for car in range(cars):
            left = car * 298.0
            body = polygon_mask(
                [
                    *((left + 6, 10), (left + 288, 10), (left + 294, 20)),
                    *((left + 294, 62), (left, 62), (left, 20)),
                ],
                height, width,
            )  # fmt: skip
            np.maximum(coverage, body / np.float32(255), out=coverage)
            paint(picture, body, rgb("#232a4d"))
            picture[48:52, int(left) : int(left) + 294] = rgb("#ff3d7f")
            for window in range(7):
                start = int(left) + 16 + window * 39
                picture[20:42, start : start + 30] = rgb("#ffe2a8")
                picture[30:42, start + 6 + window % 3 * 5 : start + 14 + window % 3 * 5] = rgb(
                    "#6b4a3a"
                )
        coverage[62:70, 20:-40] = 0.9
        glow = blurred((coverage * 255).astype(np.uint8), 5) / np.float32(255)
        light(picture, glow * 0.12, rgb("#ffd9a0"))
        return Overlay(np.clip(picture, 0, 255), coverage)

    def _pass_train(self, frame: Bytes, at_seconds: float) -> None:
        """Every 24 s a train crosses from right to left."""
        self._track.lay(frame, at_seconds * 40)
        along = (at_seconds + 17) % 24
        self._train.lay(frame, round(WIDTH + 400 - along * 330), _TRACK - 70)

    # rain

    @staticmethod
    def _rain_sheet(rng: np.random.Generator, drops: int, length: int, bright: int) -> Bytes:
        """Streaks (2 * HEIGHT, WIDTH, 1) that slant a little; the sheet loops downwards."""
        sheet = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        x, y = rng.integers(0, WIDTH, drops), rng.integers(0, HEIGHT, drops)
        strength = rng.uniform(0.3, 1.0, drops)
        for step in range(length):
            value = (bright * strength * (step + 1) / length).astype(np.uint8)
            row, column = (y + step) % HEIGHT, (x - step // 6) % WIDTH
            sheet[row, column] = np.maximum(sheet[row, column], value)
        return np.repeat(np.concatenate([sheet, sheet])[..., None], 3, axis=2)

    def _fall(self, frame: Bytes, at_seconds: float) -> None:
        for sheet, speed in zip(self._rain, (780, 1230), strict=True):
            start = HEIGHT - int(at_seconds * speed) % HEIGHT
            np.maximum(frame, sheet[start : start + HEIGHT], out=frame)

    # the street

    def _mirror(self, frame: Bytes, at_seconds: float) -> None:
        rows = np.arange(HEIGHT - _STREET, dtype=np.float32)
        wave = np.sin(rows * 0.9 - at_seconds * 5) + 0.7 * np.sin(rows * 0.37 + at_seconds * 3.1)
        source = _STREET - 3 - rows * 1.9 + wave * (0.8 + rows * 0.035)
        mirrored = frame[np.clip(source, 0, _STREET - 1).astype(np.intp)].astype(np.uint16)
        mirrored *= self._street_shade[:, None]
        np.right_shift(mirrored, 8, out=frame[_STREET:], casting="unsafe")
        frame[_STREET : _STREET + 3] = rgb("#2c2b4a")
        self._ripples(frame, at_seconds)

    def _ripples(self, frame: Bytes, at_seconds: float) -> None:
        """Rings where drops hit the street."""
        angle = np.linspace(0, 2 * np.pi, 46)
        for x, y, phase in self._rings:
            age = (at_seconds * 1.6 + phase) % 1
            turn = int(at_seconds * 1.6 + phase)
            middle_x = (x * WIDTH + turn * 397) % (WIDTH - 80) + 40
            middle_y = _STREET + 24 + (y * 128 + turn * 53) % 120
            radius = 3 + age * 20 * (middle_y - _STREET) / 90
            column = (middle_x + radius * np.cos(angle)).astype(np.intp)
            row = np.clip(middle_y + radius * 0.3 * np.sin(angle), _STREET, HEIGHT - 1).astype(
                np.intp
            )
            column = np.clip(column, 0, WIDTH - 1)
            lifted = frame[row, column].astype(np.uint16) + int(60 * (1 - age))
            frame[row, column] = np.minimum(lifted, 255)
