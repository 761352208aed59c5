"""Coastal Sprint: a road race along the sea, drawn line by line as the old machines did."""

from __future__ import annotations

import numpy as np

from aethex.demo.scenes.canvas import Bytes, Floats, ramp, rgb, ridge, to_bytes
from aethex.demo.scenes.pixels import ACROSS, DOWN, Sprite, enlarge, write

_HORIZON = 82
_LINES = DOWN - _HORIZON
_CAMERA = 64.0
_LONGEST_SECONDS = 240
_SPEED = 46.0  # metres a second

_PALETTE = {
    "k": "#17131f", "r": "#ff5a36", "R": "#b8301f", "w": "#fff4e6", "g": "#3b4252", "y": "#ffd23f",
    "t": "#8a5a3b", "T": "#5f3b28", "l": "#4cbf62", "L": "#2b8a4b", "b": "#3ba7ff", "B": "#1c5fa8",
    "p": "#ff8fb1", "s": "#9fb4c8",
}  # fmt: skip
_CAR = [
    "...........kkkkkkkkkkkkkkkk...........",
    ".........kkgggggggggggggggkkk.........",
    "........kgssgggggggggggggggggk........",
    ".......kgssggggggggggggggggggsk.......",
    "......krrrrrrrrrrrrrrrrrrrrrrrrk......",
    "....kkrrrrrrrrrrrrrrrrrrrrrrrrrrkk....",
    "...krrrrrrrrrrrrrwwwwrrrrrrrrrrrrrk...",
    "..krrrrrrrrrrrrrrwwwwrrrrrrrrrrrrrrk..",
    "..kyyyyyrrrrrrrrrwwwwrrrrrrrrryyyyyk..",
    "..kyyyyyrRRRRRRRRwwwwRRRRRRRRryyyyyk..",
    "..kRRRRRRkkkkkkkkkkkkkkkkkkkkRRRRRRk..",
    "..kRRRRRRkwwwwkkkkkkkkkkwwwwkRRRRRRk..",
    "..kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk..",
    "..kgggggk....................kgggggk..",
    "..kkkkkkk....................kkkkkkk..",
]
_PALM = [
    ".....llll......lll......",
    "..lllllllll..lllllll....",
    ".lLLLlllllllllllLLLll...",
    "lLL..LLllllllllLL..LLl..",
    "LL....lLLlllllLLll...Ll.",
    "L...llllLLtTLLLllll...L.",
    "...llLL.LtTTLL.LLlll....",
    "..lLL..LL.tTT.LL..Lll...",
    "..LL...L..ttT..L...LL...",
    "..L........tT.......L...",
    "...........ttT..........",
    "............tT..........",
    "............ttT.........",
    "............ttT.........",
    "............ttT.........",
    ".............ttT........",
    ".............ttT........",
    ".............ttT........",
    ".............ttT........",
    ".............ttT........",
    ".............ttT........",
    ".............ttT........",
    "............tttTT.......",
    "............tttTT.......",
    "...........ttttTTT......",
]
_BOARD = [
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
    "kbbbbbbbbbbbbbbbbbbbbbbbbbbbbk",
    "kbwwwbwwwbwwwbwbwbwwwbwbwbbbbk",
    "kbwbwbwbbbbwbbwbwbwbbbwbwbyybk",
    "kbwwwbwwbbbwbbwwwbwwbbbwbbyybk",
    "kbwbwbwbbbbwbbwbwbwbbbwbwbyybk",
    "kbwbwbwwwbbwbbwbwbwwwbwbwbbbbk",
    "kBBBBBBBBBBBBBBBBBBBBBBBBBBBBk",
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
    "....kk..................kk....",
    "....kk..................kk....",
    "....kk..................kk....",
    "....kk..................kk....",
]


class CoastalSprint:
    """A car overtakes others on a winding road between palms and the sea at noon."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._sky = self._draw_sky(rng)
        self._coast = self._draw_coast(rng)
        line = np.arange(_LINES, dtype=np.float32) + 1
        self._depth = _CAMERA * 1.5 / line  # metres ahead that each line shows, times 10 below
        self._distance = self._depth * 10
        self._half_road = line * 1.28
        self._bends = self._make_bends(rng)
        self._columns = np.arange(ACROSS, dtype=np.float32)[None, :]
        self._player = Sprite.drawn(_CAR, _PALETTE)
        self._others = [
            Sprite.drawn(_CAR, _PALETTE | {"r": body, "R": dark})
            for body, dark in (
                ("#3d7bff", "#2450b0"),
                ("#f2f2f7", "#a8adbd"),
                ("#ffc93c", "#b98a12"),
                ("#8d5fd3", "#5d3a9b"),
            )
        ]
        self._palm, self._board = Sprite.drawn(_PALM, _PALETTE), Sprite.drawn(_BOARD, _PALETTE)
        self._sizes: dict[tuple[int, int], Sprite] = {}
        self._picture = np.zeros((DOWN, ACROSS, 3), dtype=np.uint8)

    def draw(self, frame: Bytes, at_seconds: float) -> None:
        """The picture at a time."""
        picture = self._picture
        travelled = self._travelled(at_seconds)
        picture[:_HORIZON] = self._sky
        self._put_coast(picture, travelled)
        middles = self._middles(travelled)
        self._road(picture[_HORIZON:], travelled, middles)
        self._put_objects(picture, travelled, at_seconds, middles)
        bounce = int(at_seconds * 12) % 2
        lean = self._bend_at(travelled) * 26
        self._player.put(picture, ACROSS / 2 - 19 + lean, DOWN - 24 + bounce)
        self._put_dials(picture, at_seconds, travelled)
        enlarge(picture, frame)

    # the course

    @staticmethod
    def _travelled(at_seconds: float) -> float:
        """Metres from the start; the speed swings a little."""
        return _SPEED * at_seconds + 14 * float(np.sin(at_seconds * 0.4))

    @staticmethod
    def _make_bends(rng: np.random.Generator) -> Floats:
        """How sharply the road turns (-1 to 1), every 10 m."""
        count = int(_LONGEST_SECONDS * _SPEED / 10) + 200
        bends = (ridge(rng, count + count % 2, 0.75, peaks=count // 42) - 0.5) * 2.6
        return np.clip(bends, -1, 1).astype(np.float32)

    def _bend_at(self, metres: float) -> float:
        place = metres / 10
        return float(np.interp(place, np.arange(self._bends.size), self._bends))

    def _middles(self, travelled: float) -> Floats:
        """The road's middle on each line: bends add up from the camera to the horizon."""
        place = (travelled + self._distance) / 10
        bend = np.interp(place, np.arange(self._bends.size), self._bends)
        from_near = bend[::-1].cumsum().cumsum()[::-1]
        return (ACROSS / 2 + from_near * 0.034).astype(np.float32)

    # the picture

    @staticmethod
    def _draw_sky(rng: np.random.Generator) -> Bytes:
        sky = np.repeat(
            ramp([(0, "#2f86e0"), (0.6, "#7cc8f5"), (1, "#dff4ff")], _HORIZON)[:, None],
            ACROSS,
            axis=1,
        )
        sky = sky[(np.arange(_HORIZON) // 4 * 4)]
        y, x = np.mgrid[0:_HORIZON, 0:ACROSS]
        for _ in range(7):
            cx, cy = rng.uniform(0, ACROSS), rng.uniform(10, 46)
            for _ in range(5):
                px, py, r = cx + rng.uniform(-18, 18), cy + rng.uniform(-2, 3), rng.uniform(4, 8)
                puff = ((x - px) / 1.7) ** 2 + (y - py) ** 2 < r * r
                sky[puff & (y < cy + 4)] = rgb("#ffffff")
                sky[puff & (y >= cy + 2) & (y < cy + 4)] = rgb("#d9ecf8")
        sky[np.hypot(x - 258, y - 22) < 11] = rgb("#fff6c9")
        return to_bytes(sky)

    @staticmethod
    def _draw_coast(rng: np.random.Generator) -> Sprite:
        """Sea to the left, hills to the right, as one strip that turns with the road."""
        width, height = 960, 40
        solid = np.zeros((height, width), dtype=np.uint8)
        colours = np.zeros((height, width, 3), dtype=np.uint8)
        y = np.arange(height)[:, None]
        rise = ridge(rng, width, 0.9, peaks=7)
        x = np.arange(width)
        land = np.clip(np.sin((x - 250) / width * 2 * np.pi), 0, 1)
        for strength, colour in ((34, "#6fa7c7"), (22, "#4c9a7a"), (12, "#3b8460")):
            line = height - 3 - np.roll(rise, strength * 9) * strength * (0.15 + 0.85 * land)
            hill = (y >= line[None, :]) & (land > 0.02)[None, :]
            solid |= hill.astype(np.uint8)
            colours[hill] = rgb(colour)
        sea = (y >= height - 9) & (solid == 0)
        colours[sea] = rgb("#2f9fd0")
        colours[sea & ((y + x[None, :] // 9) % 4 == 0)] = rgb("#5fc0e6")
        solid |= sea.astype(np.uint8)
        return Sprite(
            np.concatenate([colours, colours[:, :ACROSS]], axis=1),
            np.concatenate([solid, solid[:, :ACROSS]], axis=1),
        )

    def _put_coast(self, picture: Bytes, travelled: float) -> None:
        turned = self._bends[: int(travelled / 10) + 1].sum() * 3 + 300
        start = int(turned) % 960
        columns = slice(start, start + ACROSS)
        target = picture[_HORIZON - 40 : _HORIZON]
        np.copyto(target, self._coast.colours[:, columns], where=self._coast.is_solid[:, columns])

    def _road(self, part: Bytes, travelled: float, middles: Floats) -> None:
        offset = np.abs(self._columns - middles[:, None]) / self._half_road[:, None]
        is_even = ((travelled + self._distance) // 9 % 2 == 0)[:, None]
        near = np.linspace(0.82, 1.0, _LINES)[:, None, None]
        part[...] = np.where(is_even[..., None], rgb("#e6cf8f"), rgb("#dcc27e"))
        grass = offset > 2.2
        part[grass & (self._columns > middles[:, None])] = rgb("#57b86a")
        part[grass & is_even & (self._columns > middles[:, None])] = rgb("#63c676")
        sea = (offset > 2.9) & (self._columns < middles[:, None])
        part[sea] = rgb("#2f9fd0")
        part[sea & ~is_even] = rgb("#3aa9d8")
        foam = (offset > 2.8) & (offset <= 2.95) & (self._columns < middles[:, None])
        part[foam] = rgb("#f4fbff")
        kerb = offset <= 1.12
        part[kerb & is_even] = rgb("#f4f1ea")
        part[kerb & ~is_even] = rgb("#e5483d")
        road = offset <= 1.0
        part[road & is_even] = rgb("#5a5f6e")
        part[road & ~is_even] = rgb("#555a68")
        stripe = (np.abs(offset - 0.34) < 0.018) & is_even
        part[stripe] = rgb("#f2efe6")
        part[...] = (part * near).astype(np.uint8)

    # what stands and drives beside

    def _put_objects(
        self, picture: Bytes, travelled: float, at_seconds: float, middles: Floats
    ) -> None:
        objects: list[tuple[float, float, Sprite, float]] = []
        first = int(travelled // 22) + 1
        for index in range(first + 8, first - 1, -1):
            ahead = index * 22 - travelled
            if index % 9 == 4:
                objects.append((ahead, 1.75, self._board, 0.9))
            else:
                objects.append((ahead, 1.55, self._palm, 1.6))
                objects.append((ahead + 3, -1.5, self._palm, 1.5))
        for index in range(4):
            # Others are slower: each is met again and again, a little later every time.
            ahead = 170 - (at_seconds * (9 + index) + index * 61) % 175
            objects.append((ahead, (-0.62, 0.62, -0.05, 0.6)[index], self._others[index], 0.62))
        for ahead, side, sprite, size in sorted(objects, key=lambda entry: -entry[0]):
            self._put_at(picture, ahead, side, sprite, size, middles)

    def _put_at(
        self,
        picture: Bytes,
        ahead: float,
        side: float,
        sprite: Sprite,
        size: float,
        middles: Floats,
    ) -> None:
        """Draw an object so many metres ahead, `side` road widths beside the middle."""
        if not 6.5 < ahead < 175:
            return
        line = _CAMERA * 15 / ahead - 1
        index = int(min(line, _LINES - 1))
        height = int(size * (line + 1) * 0.62)
        if height < 2 or height > 150:
            return
        key = (id(sprite), height)
        if key not in self._sizes:
            self._sizes[key] = sprite.scaled(height)
        scaled = self._sizes[key]
        half = 1.28 * (line + 1)
        x = float(middles[index]) + side * half
        scaled.put(picture, x - scaled.width / 2, _HORIZON + line - scaled.height)

    @staticmethod
    def _put_dials(picture: Bytes, at_seconds: float, travelled: float) -> None:
        speed = 3.6 * (_SPEED + 5.6 * np.cos(at_seconds * 0.4)) * 1.25
        minutes, seconds = divmod(at_seconds, 60)
        write(picture, f"LAP {int(travelled // 1800) + 1}/3", 8, 7, (255, 255, 255))
        write(picture, f"TIME {int(minutes)}:{seconds:05.2f}", 134, 7, rgb("#fff2a8"))
        write(picture, f"{int(speed):03d} KM/H", 280, 7, (255, 255, 255))
        gauge = int((speed - 150) / 110 * 44)
        picture[14:17, 268:312] = rgb("#1b3a57")
        picture[14:17, 268 : 268 + int(np.clip(gauge, 4, 44))] = rgb("#ff5a36")
