"""Pixel art for the game scenes: a small picture that is shown four times as large, sprites,
letters.

What belongs here: what both games draw with. What does not: the games.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from aethex.demo.scenes.canvas import Bytes, Colour, rgb

SCALE = 4
ACROSS, DOWN = 320, 180

_FONT = {
    "0": "111101101101111", "1": "010110010010111", "2": "111001111100111", "3": "111001111001111",
    "4": "101101111001001", "5": "111100111001111", "6": "111100111101111", "7": "111001010010010",
    "8": "111101111101111", "9": "111101111001111", "A": "111101111101101", "B": "110101110101110",
    "C": "111100100100111", "D": "110101101101110", "E": "111100110100111", "G": "111100101101111",
    "H": "101101111101101", "I": "111010010010111", "K": "101101110101101", "L": "100100100100111",
    "M": "101111111101101", "N": "110101101101101", "O": "111101101101111", "P": "111101111100100",
    "R": "110101110101101", "S": "111100111001111", "T": "111010010010010", "U": "101101101101111",
    "V": "101101101101010", "W": "101101111111101", "X": "101101010101101", "Y": "101101010010010",
    ":": "000010000010000", ".": "000000000000010", "/": "001001010100100", " ": "000000000000000",
}  # fmt: skip


class Sprite:
    """A small picture with holes."""

    def __init__(self, colours: Bytes, is_solid: Bytes) -> None:
        self.colours = colours
        self.is_solid = is_solid.astype(bool)[..., None]
        self.height, self.width = is_solid.shape

    @classmethod
    def drawn(cls, rows: Sequence[str], palette: Mapping[str, str]) -> Sprite:
        """From rows of letters: each names a colour of the palette, `.` is a hole."""
        colours = np.zeros((len(rows), len(rows[0]), 3), dtype=np.uint8)
        is_solid = np.zeros(colours.shape[:2], dtype=np.uint8)
        for y, row in enumerate(rows):
            for x, letter in enumerate(row):
                if letter != ".":
                    colours[y, x] = rgb(palette[letter])
                    is_solid[y, x] = 1
        return cls(colours, is_solid)

    def scaled(self, height: int) -> Sprite:
        """The same at another height, by repeating or leaving out pixels."""
        width = max(1, round(self.width * height / self.height))
        rows = np.arange(height) * self.height // height
        columns = np.arange(width) * self.width // width
        solid = self.is_solid[..., 0]
        return Sprite(self.colours[rows][:, columns], solid[rows][:, columns].astype(np.uint8))

    def mirrored(self) -> Sprite:
        """The same, facing the other way."""
        return Sprite(self.colours[:, ::-1], self.is_solid[:, ::-1, 0].astype(np.uint8))

    def put(self, picture: Bytes, left: float, top: float) -> None:
        """Draw it with its upper left corner there; what lies outside is cut off."""
        x, y = round(left), round(top)
        rows = slice(max(0, y), min(picture.shape[0], y + self.height))
        columns = slice(max(0, x), min(picture.shape[1], x + self.width))
        if rows.stop <= rows.start or columns.stop <= columns.start:
            return
        source = (slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x))
        np.copyto(picture[rows, columns], self.colours[source], where=self.is_solid[source])


def write(picture: Bytes, text: str, left: int, top: int, colour: Colour) -> None:
    """Capitals and digits of 3 by 5 pixels with a shadow."""
    for shift, ink in ((1, (20, 14, 32)), (0, colour)):
        x = left + shift
        for letter in text:
            dots = np.frombuffer(_FONT[letter].encode(), dtype=np.uint8).reshape(5, 3) == ord("1")
            part = picture[top + shift : top + shift + 5, x : x + 3]
            part[dots] = ink
            x += 4


def enlarge(picture: Bytes, frame: Bytes) -> None:
    """Show the small picture on the whole frame, each pixel as a square."""
    wide = np.repeat(picture, SCALE, axis=1)
    frame.reshape(DOWN, SCALE, -1)[:] = wide.reshape(DOWN, 1, -1)
