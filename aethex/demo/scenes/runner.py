"""Cloud Runner: a side-scroller that plays itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aethex.demo.scenes.canvas import FRAMES_PER_SECOND, Bytes, ramp, rgb, ridge, to_bytes
from aethex.demo.scenes.pixels import ACROSS, DOWN, Sprite, enlarge, write

_TILE = 16
_SPEED = 92.0  # pixels a second
_GRAVITY, _JUMP = 620.0, 232.0
_HERO_X = 92
_LONGEST_SECONDS = 240

_PALETTE = {
    "k": "#1a1228", "r": "#2fc4ae", "R": "#1b8a86", "s": "#ffcf9e", "w": "#ffffff", "b": "#5b4a8c",
    "B": "#2f2757", "y": "#ffd94a", "Y": "#e39b1f", "g": "#5fd06a", "G": "#2f8f4e", "p": "#8d5fd3",
    "P": "#5d3a9b", "t": "#7a4a32", "o": "#ff9a3d",
}  # fmt: skip
_HERO_HEAD = [
    "....kkkkkk......",
    "...krrrrrrkk....",
    "..krrrrrrrrrk...",
    "..kkkkkkkkkkkk..",
    "..ksskssksk.....",
    ".ksskssksssk....",
    ".kssssssssk.....",
    "..kkssssskk.....",
]
_HERO_BODY = [
    "oo.kbbbbbk......",
    "oookbbbbbbk.....",
    ".okbbybbbbskk...",
    "..kbbbbbbksk....",
    "..kBBBBBBkk.....",
]
_HERO_LEGS = (
    ["..kBBkkBBk......", ".kBBk..kBBk.....", "kkkk....kkkk...."],
    ["...kBBBBk.......", "...kBkBBk.......", "...kkkkkk......."],
    ["..kBBkkBBkk.....", ".kkkk..kkkk.....", "................"],
)
_SLIME = [
    "....kkkk....",
    "..kkppppkk..",
    ".kpppppwwpk.",
    ".kppppwkwpk.",
    "kpppppppppPk",
    "kPPPPPPPPPPk",
    ".kkkkkkkkkk.",
]
_COIN = (
    [
        "..yyyy..",
        ".yYYYYy.",
        "yYwyyYYy",
        "yYwyyYYy",
        "yYyyyYYy",
        "yYyyyYYy",
        ".yYYYYy.",
        "..yyyy..",
    ],
    [
        "...yy...",
        "..yYYy..",
        "..ywYy..",
        "..ywYy..",
        "..yyYy..",
        "..yyYy..",
        "..yYYy..",
        "...yy...",
    ],
    [
        "...yy...",
        "...yY...",
        "...wY...",
        "...wY...",
        "...yY...",
        "...yY...",
        "...yY...",
        "...yy...",
    ],
)


@dataclass
class _Run:
    """The whole game, played once before the first frame."""

    feet: list[float] = field(default_factory=list)  # height above the bottom, a frame
    is_flying: list[bool] = field(default_factory=list)
    coins: list[tuple[float, float, float]] = field(default_factory=list)  # x, height, taken at


class CloudRunner:
    """A hero runs through floating islands at sunset, takes coins and never falls."""

    def __init__(self, rng: np.random.Generator) -> None:
        sky = np.repeat(
            ramp([(0, "#3a2d7d"), (0.4, "#b0538e"), (0.7, "#ff9a76"), (1, "#ffe1a1")], DOWN)[
                :, None
            ],
            ACROSS,
            axis=1,
        )
        bands = (np.arange(DOWN) // 5 * 5).clip(0, DOWN - 1)
        self._sky = to_bytes(sky[bands])
        self._draw_sun()
        self._hills = [
            (self._hill(rng, 84, 1.2, "#8c4a8e"), 9.0),
            (self._hill(rng, 62, 1.0, "#63397a"), 20.0),
            (self._hill(rng, 40, 0.9, "#402a60"), 38.0),
        ]
        self._clouds = [
            (rng.uniform(0, 500), rng.uniform(8, 76), rng.uniform(4, 15)) for _ in range(9)
        ]
        self._cloud = self._draw_cloud()
        self._heights, self._slimes = self._level(rng)
        self._ground = self._draw_ground(rng)
        self._run = self._play()
        self._hero = [Sprite.drawn(_HERO_HEAD + _HERO_BODY + legs, _PALETTE) for legs in _HERO_LEGS]
        self._slime = Sprite.drawn(_SLIME, _PALETTE)
        self._flat_slime = self._slime.scaled(6)
        turns = [Sprite.drawn(rows, _PALETTE) for rows in _COIN]
        self._coin = [turns[0], turns[1], turns[2], turns[1].mirrored()]
        self._picture = np.zeros((DOWN, ACROSS, 3), dtype=np.uint8)

    def draw(self, frame: Bytes, at_seconds: float) -> None:
        """The picture at a time."""
        picture = self._picture
        picture[...] = self._sky
        for x, y, pace in self._clouds:
            self._cloud.put(picture, (x - at_seconds * pace) % 500 - 90, y)
        for hill, pace in self._hills:
            self._put_hill(picture, hill, at_seconds * pace)
        camera = at_seconds * _SPEED
        start = int(camera)
        part = self._ground[:, start % self._loop : start % self._loop + ACROSS]
        np.copyto(picture, part, where=part.any(axis=2, keepdims=True))
        self._put_things(picture, camera, at_seconds)
        self._put_hero(picture, at_seconds)
        self._put_score(picture, at_seconds)
        enlarge(picture, frame)

    # the level

    def _level(self, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """Ground height in tiles per column (0 = a gap), and the columns where a slime waits."""
        heights: list[int] = [3] * 14
        slimes: list[int] = []
        level = 3
        while len(heights) * _TILE < _LONGEST_SECONDS * _SPEED + 2 * ACROSS:
            if rng.random() < 0.5:
                heights += [0] * int(rng.integers(2, 4))
            level = int(np.clip(level + rng.integers(-1, 2), 2, 4))
            length = int(rng.integers(7, 14))
            if length >= 10 and rng.random() < 0.7:
                slimes.append(len(heights) + length // 2)
            heights += [level] * length
        self._loop = len(heights) * _TILE
        return heights, slimes

    def _height_at(self, x: float) -> int:
        return self._heights[int(x // _TILE) % len(self._heights)] * _TILE

    def _play(self) -> _Run:
        """Run the level: jump before gaps, steps and slimes, so that the jump clears them."""
        run = _Run()
        feet, speed, is_flying = 3.0 * _TILE, 0.0, False
        for index in range(_LONGEST_SECONDS * FRAMES_PER_SECOND):
            at = index / FRAMES_PER_SECOND
            x = at * _SPEED + _HERO_X + 8
            here = self._height_at(x)
            if not is_flying:
                ahead = self._height_at(x + 16)
                meets_slime = any(8 < slime * _TILE + 8 - x < 26 for slime in self._slimes)
                if ahead == 0 or ahead > here or meets_slime:
                    is_flying, speed = True, _JUMP
                    run.coins += self._arc(x, feet, at, index)
                elif here < feet:
                    is_flying, speed = True, 0.0
            if is_flying:
                speed -= _GRAVITY / FRAMES_PER_SECOND
                feet += speed / FRAMES_PER_SECOND
                if here and speed < 0 and feet <= here:
                    feet, is_flying = float(here), False
                feet = max(feet, float(min(here, _TILE * 2)))
            elif index % 11 == 0 and index % 66 < 44:
                run.coins.append((x + 4, feet + 12, at))
            run.feet.append(feet)
            run.is_flying.append(is_flying)
        return run

    @staticmethod
    def _arc(x: float, feet: float, at: float, index: int) -> list[tuple[float, float, float]]:
        """Coins along the jump that starts here."""
        if index % 3 == 0:
            return []
        times = (0.18, 0.32, 0.46, 0.6)
        return [
            (x + t * _SPEED, feet + 14 + _JUMP * t - _GRAVITY * t * t / 2, at + t) for t in times
        ]

    # the pictures

    def _draw_sun(self) -> None:
        y, x = np.mgrid[0:DOWN, 0:ACROSS]
        distance = np.hypot(x - 232, y - 84)
        self._sky[distance < 40] = np.minimum(self._sky[distance < 40].astype(int) + 18, 255)
        self._sky[distance < 30] = rgb("#fff0c2")

    @staticmethod
    def _draw_cloud() -> Sprite:
        y, x = np.mgrid[0:22, 0:64]
        solid = np.zeros((22, 64), dtype=np.uint8)
        for cx, cy, r in ((14, 15, 8), (28, 11, 11), (42, 12, 9), (52, 16, 6)):
            solid |= ((x - cx) ** 2 + (y - cy) ** 2 < r * r).astype(np.uint8)
        solid[18:] = 0
        colours = np.zeros((22, 64, 3), dtype=np.uint8)
        colours[:] = rgb("#ffe9dc")
        colours[13:] = rgb("#f6b9b5")
        return Sprite(colours, solid)

    @staticmethod
    def _hill(rng: np.random.Generator, rise: int, roughness: float, colour: str) -> Sprite:
        line = (12 + ridge(rng, 640, roughness, peaks=5) * rise).astype(int)
        y = np.arange(DOWN)[:, None]
        solid = (y >= DOWN - 18 - line[None, :]).astype(np.uint8)
        colours = np.zeros((DOWN, 640, 3), dtype=np.uint8)
        colours[:] = rgb(colour)
        top = (y >= DOWN - 18 - line[None, :]) & (y < DOWN - 16 - line[None, :])
        colours[top] = np.minimum(np.array(rgb(colour)) + 26, 255)
        wide = np.concatenate([colours, colours[:, :ACROSS]], axis=1)
        return Sprite(wide, np.concatenate([solid, solid[:, :ACROSS]], axis=1))

    @staticmethod
    def _put_hill(picture: Bytes, hill: Sprite, offset: float) -> None:
        start = int(offset) % 640
        columns = slice(start, start + ACROSS)
        np.copyto(picture, hill.colours[:, columns], where=hill.is_solid[:, columns])

    def _draw_ground(self, rng: np.random.Generator) -> Bytes:
        """The islands; black (0, 0, 0) is a hole."""
        ground = np.zeros((DOWN, self._loop + ACROSS, 3), dtype=np.uint8)
        grain = rng.integers(-9, 10, (DOWN, self._loop + ACROSS, 1))
        soil = np.repeat(ramp([(0, "#6d3f4f"), (1, "#33203f")], 96)[:, None], _TILE, axis=1)
        for column, tiles in enumerate(self._heights):
            if not tiles:
                continue
            x, top = column * _TILE, DOWN - tiles * _TILE
            part = ground[top:, x : x + _TILE]
            part[:] = soil[: part.shape[0]].astype(np.uint8)
            blades = rng.integers(4, 8, _TILE)
            for blade, deep in enumerate(blades):
                part[:deep, blade] = rgb("#4fae63")
                part[0:2, blade] = rgb("#a5e878")
        shaded = np.clip(ground.astype(int) + grain, 1, 255).astype(np.uint8)
        ground = np.where(ground.any(axis=2, keepdims=True), shaded, 0).astype(np.uint8)
        ground[:, self._loop :] = ground[:, :ACROSS]
        return ground

    # what moves

    def _put_things(self, picture: Bytes, camera: float, at_seconds: float) -> None:
        for slime in self._slimes:
            x = slime * _TILE - camera
            if -20 < x < ACROSS:
                sprite = self._slime if int(at_seconds * 3) % 2 else self._flat_slime
                sprite.put(picture, x, DOWN - self._heights[slime] * _TILE - sprite.height)
        turn = self._coin[int(at_seconds * 8) % 4]
        for x, height, taken_at in self._run.coins:
            left = x - camera
            if not -10 < left < ACROSS:
                continue
            since = at_seconds - taken_at
            if since < 0:
                turn.put(picture, left, DOWN - height - 8 + 2 * np.sin(at_seconds * 4 + x))
            elif since < 0.4:
                self._spark(picture, left + 4, DOWN - height - 4, since)

    @staticmethod
    def _spark(picture: Bytes, x: float, y: float, since: float) -> None:
        for angle in np.arange(0, 2 * np.pi, np.pi / 4):
            row, column = int(y + np.sin(angle) * since * 36), int(x + np.cos(angle) * since * 36)
            if 0 <= row < DOWN and 0 <= column < ACROSS:
                picture[row, column] = rgb("#fff6b0")

    def _put_hero(self, picture: Bytes, at_seconds: float) -> None:
        index = min(int(at_seconds * FRAMES_PER_SECOND), len(self._run.feet) - 1)
        pose = 2 if self._run.is_flying[index] else int(at_seconds * 9) % 2
        hero = self._hero[pose]
        hero.put(picture, _HERO_X, DOWN - self._run.feet[index] - hero.height)

    def _put_score(self, picture: Bytes, at_seconds: float) -> None:
        coins = sum(taken_at <= at_seconds for _, _, taken_at in self._run.coins)
        metres = int(at_seconds * _SPEED / _TILE)
        write(picture, f"SCORE {coins * 100 + metres * 10:06d}", 8, 7, (255, 255, 255))
        self._coin[0].put(picture, 134, 5)
        write(picture, f"X {coins:03d}", 145, 7, rgb("#ffe27a"))
        minutes, seconds = divmod(at_seconds, 60)
        write(picture, f"TIME {int(minutes)}:{seconds:05.2f}", 258, 7, (255, 255, 255))
