"""The storyboard of a VOD: which moment each tile shows, on which sheet it lies, and the WebVTT.

What belongs here: pure functions from a duration to tiles, names and text. What does not: decoding
(`stills.py`) and drawing sheets (`derivation.py`).

Time is the VOD's: what the player shows, runs joined. Every 10 s have one tile, the last what is
left. A tile shows the keyframe at or before the middle of its time; where keyframes are so far
apart that this one lies before its time, the first frame of its time. So what a tile shows is
always of its own 10 s, and with keyframes every 2 s at most 5 s away from where the pointer is.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

TILE_MS = 10_000
COLUMNS = 10
ROWS = 10
TILES_A_SHEET = COLUMNS * ROWS
TILE_LONG_SIDE = 160
VTT_NAME = "storyboard.vtt"


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: what it stands for, `[start_ms, end_ms)` of the VOD, and its number from 0."""

    index: int
    start_ms: int
    end_ms: int

    @property
    def wanted_ms(self) -> int:
        """The moment that it should show: its middle."""
        return (self.start_ms + self.end_ms) // 2

    @property
    def sheet(self) -> int:
        return self.index // TILES_A_SHEET

    @property
    def column(self) -> int:
        return self.index % COLUMNS

    @property
    def row(self) -> int:
        return self.index % TILES_A_SHEET // COLUMNS


def tiles(duration_ms: int) -> list[Tile]:
    """The tiles of a VOD, in order, without holes or overlaps from 0 to its end.

    Raises ValueError when the duration is not positive.
    """
    if duration_ms <= 0:
        raise ValueError(f"a storyboard needs a duration, not {duration_ms} ms")
    starts = range(0, duration_ms, TILE_MS)
    return [
        Tile(index, start, min(start + TILE_MS, duration_ms)) for index, start in enumerate(starts)
    ]


def sheet_count(duration_ms: int) -> int:
    """How many sheets the tiles of a VOD need."""
    return -(-duration_ms // (TILE_MS * TILES_A_SHEET))


def sheet_name(sheet: int) -> str:
    """`storyboard-000.webp`, `storyboard-001.webp`, …"""
    return f"storyboard-{sheet:03d}.webp"


def sheet_size(tiles_on_it: int, tile_size: tuple[int, int]) -> tuple[int, int]:
    """Pixels of a sheet; the last one ends with its last row, and a single row with its tiles."""
    columns, rows = min(tiles_on_it, COLUMNS), -(-tiles_on_it // COLUMNS)
    return columns * tile_size[0], rows * tile_size[1]


def fit(width: int, height: int, aspect: Fraction, box: tuple[int, int]) -> tuple[int, int]:
    """The largest even size within `box` of the picture's shape, not larger than it.

    `aspect` is the shape of one pixel, width by height.
    """
    shown = Fraction(width) * aspect
    factor = min(Fraction(1), box[0] / shown, Fraction(box[1], height))
    return max(2, round(shown * factor / 2) * 2), max(2, round(height * factor / 2) * 2)


def webvtt(duration_ms: int, tile_size: tuple[int, int]) -> str:
    """A cue a tile; its text is the sheet's address, relative, with `#xywh=` in pixels.

    Relative addresses inherit the token of the WebVTT's own. Times have hours always.
    """
    width, height = tile_size
    lines = ["WEBVTT", ""]
    for tile in tiles(duration_ms):
        place = f"{tile.column * width},{tile.row * height},{width},{height}"
        lines.append(f"{_clock(tile.start_ms)} --> {_clock(tile.end_ms)}")
        lines.append(f"{sheet_name(tile.sheet)}#xywh={place}")
        lines.append("")
    return "\n".join(lines)


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"
