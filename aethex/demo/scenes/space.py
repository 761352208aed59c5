"""Long Way to Kepler: a flight between stars, past a ringed planet."""

from __future__ import annotations

import numpy as np

from aethex.demo.scenes.canvas import (
    HEIGHT,
    WIDTH,
    Bytes,
    Floats,
    Overlay,
    blurred,
    light,
    paint,
    polygon_mask,
    ramp,
    rgb,
    soft_disc,
    tileable_noise,
    to_bytes,
)

_STARS = 1500
_PLANET_X, _PLANET_Y, _PLANET_RADIUS = 905, 300, 178


class DeepSpace:
    """Stars fly by, a planet turns in its rings, a nebula drifts behind; instruments glow below."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._nebula = self._draw_nebula(rng)
        self._position = rng.uniform(-1, 1, (_STARS, 2)) * np.array([2.2, 1.3])
        self._depth = rng.uniform(0, 1, _STARS)
        tint = np.array(
            [rgb(c) for c in ("#ffffff", "#bcd4ff", "#ffe2bd", "#ffc9c0")], dtype=np.float32
        )
        self._tint = tint[rng.choice(4, _STARS, p=[0.55, 0.25, 0.15, 0.05])]
        self._planet_parts(rng)
        colours, coverage, is_before = self._draw_ring(rng)
        self._ring_before = Overlay(colours, coverage * is_before)
        self._ring_behind = Overlay(colours, coverage * (1 - is_before))
        self._hull = self._draw_hull()

    def draw(self, frame: Bytes, at_seconds: float) -> None:
        """The picture at a time."""
        left = int(at_seconds * 8)
        frame[...] = self._nebula[:, left % WIDTH : left % WIDTH + WIDTH]
        self._fly(frame, at_seconds)
        self._planet(frame, at_seconds)
        self._cockpit(frame, at_seconds)

    @staticmethod
    def _draw_nebula(rng: np.random.Generator) -> Bytes:
        picture = np.zeros((HEIGHT, WIDTH, 3), dtype=np.float32)
        picture += np.array(rgb("#05060f"), dtype=np.float32)
        for colour, strength, floor in (
            ("#3b2a8c", 0.95, 0.38),
            ("#0f6f8f", 0.75, 0.5),
            ("#b0346e", 0.7, 0.58),
        ):
            cloud = tileable_noise(rng, HEIGHT, WIDTH, 1.75) * (
                0.6 + 0.4 * tileable_noise(rng, HEIGHT, WIDTH, 1.2)
            )
            light(picture, np.clip(cloud - floor * 0.8, 0, 1) ** 1.4 * 2.4 * strength, rgb(colour))
        dust = np.clip(tileable_noise(rng, HEIGHT, WIDTH, 1.5) - 0.35, 0, 1)
        picture *= (1 - 0.75 * dust)[..., None]
        count = 900
        y, x = rng.integers(0, HEIGHT, count), rng.integers(0, WIDTH, count)
        picture[y, x] += (rng.random(count) ** 4 * 190)[:, None]
        still = to_bytes(picture, rng)
        return np.concatenate([still, still], axis=1)

    def _fly(self, frame: Bytes, at_seconds: float) -> None:
        """Stars as streaks from where they were a moment ago."""
        speed = 0.10 + 0.06 * np.sin(at_seconds * 0.22)
        for step in range(4):
            depth = 1 - (self._depth + at_seconds * 0.10 + step * speed * 0.03) % 1
            scale = 330 / (depth * 2.2 + 0.08)
            x = WIDTH / 2 + self._position[:, 0] * scale
            y = HEIGHT / 2 - 40 + self._position[:, 1] * scale
            seen = (x >= 1) & (x < WIDTH - 1) & (y >= 1) & (y < HEIGHT - 1)
            column, row = x[seen].astype(np.intp), y[seen].astype(np.intp)
            near = (1 - depth[seen]) ** 1.6 * (0.4 + 0.2 * step)
            colour = (self._tint[seen] * near[:, None]).astype(np.uint8)
            frame[row, column] = np.maximum(frame[row, column], colour)
            close = near > 0.45
            frame[row[close], column[close] + 1] = np.maximum(
                frame[row[close], column[close] + 1], colour[close]
            )

    # the planet

    def _planet_parts(self, rng: np.random.Generator) -> None:
        size = 2 * _PLANET_RADIUS
        axis = (np.arange(size, dtype=np.float32) - _PLANET_RADIUS + 0.5) / _PLANET_RADIUS
        x, y = np.meshgrid(axis, axis)
        squared = x**2 + y**2
        self._planet_cover = (squared <= 1)[..., None]
        z = np.sqrt(np.clip(1 - squared, 0, 1))
        tilt = 0.35
        north = y * np.cos(tilt) - z * np.sin(tilt)
        front = y * np.sin(tilt) + z * np.cos(tilt)
        latitude = np.clip((north * 0.5 + 0.5) * 255, 0, 255).astype(np.intp)
        longitude = ((np.arctan2(x, front) / (2 * np.pi) + 0.5) * 1024).astype(np.intp) % 1024
        self._place = latitude * 2048 + longitude  # rows of the surface are twice as long as a turn
        sun = np.clip(x * -0.72 + y * -0.45 + z * 0.52, 0, 1) ** 0.8
        self._daylight = ((0.04 + sun) * 246)[..., None].astype(np.uint16)
        rim = (np.clip(squared, 0, 1) ** 5 * np.clip(x * -0.7 + y * -0.4 + 0.55, 0, 1))[..., None]
        self._rim = (rim * np.array(rgb("#86d4ff"), dtype=np.float32) * 0.9).astype(np.uint16)
        self._surface = to_bytes(self._draw_surface(rng)).reshape(-1, 3)
        air = soft_disc(_PLANET_RADIUS + 70, 2.6)
        colour = np.broadcast_to(np.array(rgb("#6d8fd0"), dtype=np.float32), (*air.shape, 3))
        self._air = Overlay(colour, air * 0.8)

    @staticmethod
    def _draw_surface(rng: np.random.Generator) -> Floats:
        """Bands of clouds torn by the wind (256, 2048, 3): one turn twice, so that none is cut."""
        swirl = tileable_noise(rng, 256, 1024, 1.7) - 0.5
        fine = tileable_noise(rng, 256, 1024, 1.0) - 0.5
        rows = np.arange(256)[:, None] / 256 + swirl * 0.11 + fine * 0.02
        bands = 0.5 + 0.32 * np.sin(rows * 31) + 0.18 * np.sin(rows * 67 + 1.3)
        palette = ramp([(0, "#5b2f3d"), (0.35, "#b96f52"), (0.65, "#e6b98a"), (1, "#fff0d4")], 256)
        turn = palette[np.clip(bands * 255, 0, 255).astype(np.intp)]
        return np.concatenate([turn, turn], axis=1)

    @staticmethod
    def _draw_ring(rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        """Colours and coverage of the ring, and which of it lies before the planet."""
        height, width = 260, 900
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        x, y = x - width / 2, y - height / 2
        turn = -0.2
        along = x * np.cos(turn) + y * np.sin(turn)
        across = (-x * np.sin(turn) + y * np.cos(turn)) / 0.2
        radius = np.hypot(along, across) / _PLANET_RADIUS
        grain = ridge_profile(rng)
        place = np.clip((radius - 1.25) / 1.15, 0, 1)
        density = grain[(place * 511).astype(np.intp)]
        inside = (radius > 1.25) & (radius < 2.4)
        # The sun stands left, before us: the planet's shadow falls on the ring's far right.
        shade = np.clip((np.abs(across + along * 0.55) - _PLANET_RADIUS * 0.9) / 30, 0, 1)
        shadow = np.where((along > 0) & (across < 0), 0.18 + 0.82 * shade, 1.0)
        coverage = np.where(inside, density, 0).astype(np.float32)
        colours = ramp([(0, "#8c7a70"), (0.5, "#e8d3b4"), (1, "#b59c86")], 512)[
            (place * 511).astype(np.intp)
        ]
        return (
            colours * shadow[..., None].astype(np.float32),
            coverage,
            (across > 0).astype(np.float32),
        )

    def _planet(self, frame: Bytes, at_seconds: float) -> None:
        y = _PLANET_Y + round(5 * np.sin(at_seconds * 0.2))
        self._air.lay(frame, _PLANET_X - self._air.width // 2, y - self._air.height // 2)
        ring_left = _PLANET_X - self._ring_behind.width // 2
        ring_top = y - self._ring_behind.height // 2
        self._ring_behind.lay(frame, ring_left, ring_top)
        ball = frame[
            y - _PLANET_RADIUS : y + _PLANET_RADIUS,
            _PLANET_X - _PLANET_RADIUS : _PLANET_X + _PLANET_RADIUS,
        ]
        start = int(at_seconds * 14) % 1024
        colours = np.take(self._surface, self._place + start, axis=0).astype(np.uint16)
        colours *= self._daylight
        colours >>= 8
        colours += self._rim
        np.minimum(colours, 255, out=colours)
        np.copyto(ball, colours, where=self._planet_cover, casting="unsafe")
        self._ring_before.lay(frame, ring_left, ring_top)

    # the cockpit

    @staticmethod
    def _draw_hull() -> tuple[Bytes, Bytes]:
        """The window's frame: what remains of the picture (0–255), and the hull's own light."""
        points = [
            *((0, 560), (180, 604), (430, 628), (850, 628)),
            *((1100, 604), (1280, 560), (1280, 720), (0, 720)),
        ]
        mask = polygon_mask([(float(x), float(y)) for x, y in points], HEIGHT, WIDTH)
        hull = np.zeros((HEIGHT, WIDTH, 3), dtype=np.float32)
        paint(hull, mask, rgb("#0a0d16"))
        edge = np.abs(mask.astype(np.float32) - np.roll(mask, 3, axis=0).astype(np.float32))
        light(hull, blurred(edge.astype(np.uint8), 2), rgb("#3f6fa8"))
        for x, y, w, h in ((470, 646, 340, 60), (250, 640, 170, 62), (860, 640, 170, 62)):
            screen = polygon_mask(
                [(x, y), (x + w, y), (x + w - 14, y + h), (x + 14, y + h)], HEIGHT, WIDTH
            )
            paint(hull, screen, rgb("#06222c"))
            light(hull, (blurred(screen, 9) * 0.35).astype(np.uint8), rgb("#1fb7c9"))
        return 255 - mask, to_bytes(hull)

    def _cockpit(self, frame: Bytes, at_seconds: float) -> None:
        keep, hull = self._hull
        rows = slice(540, HEIGHT)
        part = frame[rows].astype(np.uint16)
        part *= keep[rows][..., None]
        part >>= 8
        part += hull[rows]
        np.minimum(part, 255, out=part)
        frame[rows] = part
        self._instruments(frame, at_seconds)

    @staticmethod
    def _instruments(frame: Bytes, at_seconds: float) -> None:
        x = np.arange(300)
        wave = 676 + 17 * np.sin(x * 0.09 + at_seconds * 4) * np.sin(x * 0.021 - at_seconds)
        row = wave.astype(np.intp)
        for thick in (0, 1):
            frame[row + thick, x + 490] = rgb("#6ff3ff")
        for index in range(12):
            level = int(8 + 38 * (0.5 + 0.5 * np.sin(at_seconds * (1.1 + index * 0.17) + index)))
            colour = rgb("#ff9d5c") if level > 38 else rgb("#5be0a8")
            left = 274 + index * 11
            frame[694 - level : 694, left : left + 7] = colour
        sweep = at_seconds * 1.7
        for step in range(90):
            angle = sweep - step * 0.012
            radius = np.arange(2, 24, 0.5)
            rows = (671 - radius * np.sin(angle)).astype(np.intp)
            columns = (945 + radius * 2.4 * np.cos(angle)).astype(np.intp)
            frame[rows, columns] = np.maximum(
                frame[rows, columns], np.array([20, 235 - step * 2, 150 - step], dtype=np.uint8)
            )


def ridge_profile(rng: np.random.Generator) -> Floats:
    """Density 0–1 of a ring from its inner to its outer border, with gaps."""
    place = np.linspace(0, 1, 512)
    noise = np.convolve(rng.random(512), np.ones(7) / 7, mode="same")
    density = 0.35 + 0.6 * noise
    for gap, wide in ((0.36, 0.02), (0.62, 0.035), (0.83, 0.012)):
        density *= 1 - 0.92 * np.exp(-(((place - gap) / wide) ** 2))
    density *= np.clip(place * 14, 0, 1) * np.clip((1 - place) * 9, 0, 1)
    return density.astype(np.float32)
