"""Neon Drive: a synthwave sunset over a moving grid."""

from __future__ import annotations

import numpy as np

from aethex.demo.scenes.canvas import (
    HEIGHT,
    WIDTH,
    Bytes,
    Floats,
    Sparkles,
    blurred,
    light,
    line_mask,
    paint,
    polygon_mask,
    ramp,
    rgb,
    ridge,
    to_bytes,
    vertical_gradient,
)

_HORIZON = 430
_SUN_X, _SUN_Y, _SUN_RADIUS = 640, 315, 185
_GRID_DEPTH = 900.0
_CELLS_PER_SECOND = 2.0


class NeonDrive:
    """A car drives into the sun; the grid comes towards us on the beat of 120 a minute."""

    def __init__(self, rng: np.random.Generator) -> None:
        sky = vertical_gradient(
            [(0, "#0b0524"), (0.35, "#2a0b52"), (0.7, "#8a1a78"), (0.9, "#e8457a"), (1, "#ff8a5c")],
            _HORIZON,
        )
        self._halo(sky)
        with_sun = sky.copy()
        coverage = self._sun(with_sun)
        for picture in (sky, with_sun):
            self._mountains(picture, np.random.default_rng(7))
        self._sky = to_bytes(sky, rng)
        self._with_sun = to_bytes(with_sun, rng)
        self._sun_rows = np.flatnonzero(coverage.any(axis=1))
        self._stars = Sparkles(rng, 260, (0, 0, WIDTH, 230), ["#ffffff", "#ffd6f5", "#bcd7ff"])
        self._floor_parts(rng)
        self._car = self._draw_car()

    def draw(self, frame: Bytes, at_seconds: float) -> None:
        """The picture at a time."""
        frame[:_HORIZON] = self._with_sun
        self._stars.draw(frame, at_seconds)
        self._slits(frame, at_seconds)
        self._floor(frame[_HORIZON:], at_seconds)
        self._drive(frame, at_seconds)

    # the sky

    @staticmethod
    def _halo(sky: Floats) -> None:
        y, x = np.mgrid[0:_HORIZON, 0:WIDTH].astype(np.float32)
        distance = np.hypot(x - _SUN_X, (y - _SUN_Y) * 1.1)
        light(sky, np.exp(-np.maximum(distance - _SUN_RADIUS, 0) / 110) * 0.55, rgb("#ff5f9e"))

    @staticmethod
    def _sun(picture: Floats) -> Floats:
        y, x = np.mgrid[0:_HORIZON, 0:WIDTH].astype(np.float32)
        coverage = np.clip(_SUN_RADIUS - np.hypot(x - _SUN_X, y - _SUN_Y) + 0.5, 0, 1)
        colours = ramp(
            [(0, "#fff3a6"), (0.4, "#ffc15e"), (0.75, "#ff6a88"), (1, "#ff3d9a")], 2 * _SUN_RADIUS
        )
        rows = np.clip(np.arange(_HORIZON) - (_SUN_Y - _SUN_RADIUS), 0, 2 * _SUN_RADIUS - 1)
        paint(picture, coverage, np.repeat(colours[rows][:, None], WIDTH, axis=1))
        return coverage

    @staticmethod
    def _mountains(picture: Floats, rng: np.random.Generator) -> None:
        x = np.arange(WIDTH)
        away = np.abs(x - _SUN_X) / (WIDTH / 2)
        for scale, colour, edge in ((150, "#35114f", "#d33fd3"), (95, "#180a33", "#35e0ff")):
            line = (
                _HORIZON
                - 4
                - ridge(rng, WIDTH, 1.1, peaks=6) * scale * np.clip(away * 1.5 - 0.28, 0, 1)
            )
            points = [(float(a), float(b)) for a, b in zip(x[::4], line[::4], strict=True)]
            mask = polygon_mask([(0, _HORIZON), *points, (WIDTH, _HORIZON)], _HORIZON, WIDTH)
            paint(picture, mask, rgb(colour))
            outline = line_mask(points, 2.0, _HORIZON, WIDTH)
            light(picture, blurred(outline, 6), rgb(edge))
            paint(picture, (outline * 0.8).astype(np.uint8), rgb(edge))

    def _slits(self, frame: Bytes, at_seconds: float) -> None:
        """Bands of sky sink through the sun's lower half, thicker towards the horizon."""
        rows = self._sun_rows
        down = (rows - _SUN_Y + 40) / (_SUN_RADIUS + 40)
        position = (rows - at_seconds * 11) % 30
        thickness = np.clip(down, 0, 1) * 17
        amount = np.clip(thickness - np.abs(position - 15) * 2, 0, 1)
        cut = rows[amount > 0]
        cut = cut[cut < _HORIZON]
        part = amount[np.isin(rows, cut)][:, None, None].astype(np.float32)
        left, right = _SUN_X - _SUN_RADIUS - 2, _SUN_X + _SUN_RADIUS + 2
        sun = self._with_sun[cut, left:right]
        frame[cut, left:right] = (sun * (1 - part) + self._sky[cut, left:right] * part).astype(
            np.uint8
        )

    # the floor

    def _floor_parts(self, rng: np.random.Generator) -> None:
        height = HEIGHT - _HORIZON
        down = np.arange(height, dtype=np.float32) + 1
        self._down = down
        fog = np.clip(down / 70, 0, 1)
        spacing = down[:, None] * 0.62 + 2
        x = np.arange(WIDTH, dtype=np.float32)[None, :] - WIDTH / 2
        distance = np.abs(x / spacing - np.rint(x / spacing)) * spacing
        thick = 0.7 + down[:, None] / 240
        lines = np.clip(1.3 - distance / thick, 0, 1) + 0.42 * np.exp(
            -distance / (4 + down[:, None] / 30)
        )
        self._verticals = (lines * fog[:, None] * 108).astype(np.uint8)
        self._fog = fog
        shades = ramp([(0, "#150634"), (0.45, "#c22bd0"), (0.75, "#ff74f0"), (1, "#ffe3ff")], 256)
        self._shades = shades.astype(np.uint8)
        glow = (
            np.exp(-np.abs(np.arange(WIDTH) - _SUN_X) / 190.0)[None, :]
            * np.exp(-down / 120)[:, None]
        )
        reflection = np.zeros((height, WIDTH, 3), dtype=np.float32)
        light(reflection, glow * 0.42, rgb("#ff6a9a"))
        self._reflection = to_bytes(reflection, rng)

    def _floor(self, floor: Bytes, at_seconds: float) -> None:
        depth = _GRID_DEPTH / self._down
        cell = depth * 0.14 + at_seconds * _CELLS_PER_SECOND
        pixels_per_cell = self._down**2 / (_GRID_DEPTH * 0.14)
        distance = np.abs(cell - np.rint(cell)) * pixels_per_cell
        rows = np.clip(1.4 - distance / (0.8 + self._down / 160), 0, 1) + 0.4 * np.exp(
            -distance / 7
        )
        across = (rows * self._fog * 72).astype(np.uint8)
        index = self._verticals + across[:, None]
        np.take(self._shades, index, axis=0, out=floor, mode="clip")
        # Light never overflows: where the lines are bright, the reflection only lifts what is
        # darker.
        np.maximum(floor, self._reflection, out=floor)

    # the car

    @staticmethod
    def _draw_car() -> tuple[Floats, Floats]:
        """Colours (h, w, 3) and coverage (h, w) of the car from behind."""
        height, width = 130, 260
        picture = np.zeros((height, width, 3), dtype=np.float32)
        coverage = np.zeros((height, width), dtype=np.float32)

        def shape(points: list[tuple[float, float]], colour: str) -> None:
            mask = polygon_mask(points, height, width)
            paint(picture, mask, rgb(colour))
            np.maximum(coverage, mask / np.float32(255), out=coverage)

        shape([(30, 108), (62, 108), (62, 124), (34, 124)], "#05030c")
        shape([(198, 108), (230, 108), (226, 124), (198, 124)], "#05030c")
        shape([(22, 66), (40, 54), (220, 54), (238, 66), (236, 110), (24, 110)], "#120a26")
        shape([(58, 56), (82, 20), (178, 20), (202, 56)], "#1b0f38")
        shape([(72, 52), (90, 26), (170, 26), (188, 52)], "#6a2a86")
        shape([(72, 52), (80, 40), (180, 40), (188, 52)], "#3a1a5e")
        shape([(34, 44), (226, 44), (226, 49), (34, 49)], "#0a0618")
        shape([(30, 72), (92, 72), (92, 84), (32, 84)], "#ff2d6f")
        shape([(168, 72), (230, 72), (228, 84), (168, 84)], "#ff2d6f")
        shape([(104, 88), (156, 88), (156, 100), (104, 100)], "#d9d3ff")
        for left in (30, 168):
            lamp = polygon_mask(
                [(left, 72), (left + 62, 72), (left + 62, 84), (left, 84)], height, width
            )
            light(picture, blurred(lamp, 7), rgb("#ff3d7f"))
        return np.clip(picture, 0, 255), coverage

    def _drive(self, frame: Bytes, at_seconds: float) -> None:
        colours, coverage = self._car
        height, width = coverage.shape
        left = round(WIDTH / 2 - width / 2 + 120 * np.sin(at_seconds * 0.31))
        top = round(HEIGHT - height - 34 + 1.6 * np.sin(at_seconds * 9.1))
        part = frame[top : top + height, left : left + width]
        keep = 1 - coverage[..., None]
        part[...] = (part * keep + colours * coverage[..., None]).astype(np.uint8)
        for lamp in (61, 199):
            self._trail(frame, left + lamp, top + 122)

    @staticmethod
    def _trail(frame: Bytes, x: int, top: int) -> None:
        """Red light of a lamp on the road."""
        rows = frame[top:, x - 40 : x + 40].astype(np.uint16)
        fall = np.linspace(1, 0.2, rows.shape[0])[:, None]
        spread = np.exp(-(((np.arange(80) - 40) / 18.0) ** 2))[None, :]
        rows[..., 0] += (fall * spread * 120).astype(np.uint16)
        frame[top:, x - 40 : x + 40] = np.minimum(rows, 255)
