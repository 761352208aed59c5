"""What is made from a VOD beside its segments: storyboard, animated preview, loudness, poster.

What belongs here: taking a VOD's segments batch by batch, and drawing what came out of them. What
does not: decoding (`survey.py`, in the sandbox), where segments come from and files go to.

Batches are fed in order and may be deleted as soon as they are done with, so a VOD of any length
passes through without ever being on the disk as a whole. Only pixels that a sandboxed child decoded
are drawn here, never a file from outside.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from aethex.media import storyboard
from aethex.media.batch import Segment, Wanted
from aethex.media.errors import UnreadableMedia
from aethex.media.loudness import LEAD_IN_MS, Loudness
from aethex.media.sandbox import Limits, run_task
from aethex.media.vod import POSTER_NAME, PackagedVod

if TYPE_CHECKING:
    from aethex.settings import Settings

PREVIEW_NAME = "preview.webp"
PREVIEW_WIDTH = 320
PREVIEW_FRAMES = 10
PREVIEW_FRAME_MS = 300
PREVIEW_MAX_BYTES = 300_000
LOUDNESS_NAME = "loudness.json"
_BATCH_SEGMENTS = 200
_SHEET_QUALITY = 72
_PREVIEW_QUALITIES = (70, 55, 40, 25, 10)
_DARK = (13, 14, 18)

Picture = Image.Image


@dataclass(frozen=True, slots=True)
class Derived:
    """What was made: names of files in the folder that was given."""

    storyboard: str
    sheets: tuple[str, ...]
    preview: str
    loudness: str
    poster: str | None
    """None where none was asked for."""

    @property
    def names(self) -> tuple[str, ...]:
        """All files; the storyboard's WebVTT behind the sheets that it names."""
        made = (*self.sheets, self.storyboard, self.preview, self.loudness, self.poster)
        return tuple(name for name in made if name is not None)


class Derivation:
    """Makes all of it from segments that are fed in order, into `out_dir`.

    `duration_ms` is the VOD's: the durations of all its segments together. `subject` names the VOD
    in errors.
    """

    def __init__(
        self,
        out_dir: Path,
        scratch: Path,
        *,
        duration_ms: int,
        settings: Settings,
        subject: str,
        wants_poster: bool = True,
    ) -> None:
        self._out = out_dir.resolve()
        self._scratch = scratch.resolve()
        self._duration_ms = duration_ms
        self._limits = Limits.of(settings)
        self._subject = subject
        self._poster_at_ms = duration_ms // 4 if wants_poster else None
        self._has_poster = False
        self._loudness = Loudness()
        self._lead_in: list[Segment] = []
        self._sheets = _Sheets(self._out, duration_ms)
        self._preview: dict[int, Picture] = {}
        self._preview_at = _preview_moments(duration_ms)

    def feed(
        self, batch: Sequence[Segment], on_progress: Callable[[float], None] | None = None
    ) -> list[Path]:
        """Take the next segments; returns files that are not needed any more, also of batches
        before.

        Raises MediaError when they cannot be read.
        """
        lead_in = [one for one in self._lead_in if one.init == batch[0].init]
        segments = [*lead_in, *batch]
        wanted = self._wanted(batch)
        request = {
            "segments": [one.as_json() for one in segments],
            "lead_in": len(lead_in),
            "stills": [asdict(one) for one in wanted],
            "poster": self._poster_request(batch),
            "out_dir": str(self._scratch),
        }
        files = [one.path for one in segments] + [*{one.init for one in segments}]
        answer = run_task(
            "survey",
            request,
            subject=self._subject,
            scratch=self._scratch,
            readable=files,
            limits=self._limits,
            on_progress=on_progress,
        )
        self._take(answer, {one.name: one.box for one in wanted})
        return self._forget(segments)

    def finish(self) -> Derived:
        """Write what is left. All segments have been fed."""
        sheets = self._sheets.finish()
        tile_size = self._sheets.tile_size
        vtt = storyboard.webvtt(self._duration_ms, tile_size)
        (self._out / storyboard.VTT_NAME).write_text(vtt)
        (self._out / PREVIEW_NAME).write_bytes(_animation(self._preview))
        document = self._loudness.document(self._duration_ms)
        (self._out / LOUDNESS_NAME).write_text(json.dumps(document, separators=(",", ":")))
        poster = POSTER_NAME if self._has_poster else None
        return Derived(storyboard.VTT_NAME, sheets, PREVIEW_NAME, LOUDNESS_NAME, poster)

    def _wanted(self, batch: Sequence[Segment]) -> list[Wanted]:
        start, end = batch[0].position_ms, batch[-1].end_ms
        box = (storyboard.TILE_LONG_SIDE, storyboard.TILE_LONG_SIDE)
        tiles = [
            Wanted(f"tile-{tile.index}", tile.start_ms, tile.wanted_ms, box)
            for tile in storyboard.tiles(self._duration_ms)
        ]
        preview = [
            Wanted(f"preview-{number}", 0, at_ms, (PREVIEW_WIDTH, PREVIEW_WIDTH))
            for number, at_ms in enumerate(self._preview_at)
        ]
        return [one for one in (*tiles, *preview) if start <= one.wanted_ms < end]

    def _poster_request(self, batch: Sequence[Segment]) -> dict[str, Any] | None:
        at_ms = self._poster_at_ms
        if at_ms is None or not batch[0].position_ms <= at_ms < batch[-1].end_ms:
            return None
        return {"at_ms": at_ms, "path": str(self._scratch / POSTER_NAME)}

    def _take(self, answer: dict[str, Any], asked: dict[str, tuple[int, int]]) -> None:
        """`asked`: the stills' names and boxes. A child that a file took over may say anything."""
        self._loudness.add(answer["loudness"])
        for still in answer["stills"]:
            name, size = str(still["name"]), (int(still["width"]), int(still["height"]))
            box = asked.get(name, (0, 0))
            if size[0] > box[0] or size[1] > box[1]:
                raise UnreadableMedia(f"{self._subject}: the program that reads it lied.")
            kind, _, number = name.partition("-")
            file = self._scratch / name
            picture = Image.frombytes("RGB", size, file.read_bytes())
            file.unlink()
            if kind == "tile":
                self._sheets.add(int(number), picture)
            else:
                self._preview[int(number)] = picture
        if answer["has_poster"]:
            (self._scratch / POSTER_NAME).rename(self._out / POSTER_NAME)
            self._has_poster = True

    def _forget(self, segments: Sequence[Segment]) -> list[Path]:
        """Keep the end of the run for the next batch's loudness; the rest is done with."""
        kept: list[Segment] = []
        kept_ms = 0
        for segment in reversed(segments):
            if kept_ms >= LEAD_IN_MS or segment.init != segments[-1].init:
                break
            kept.insert(0, segment)
            kept_ms += segment.duration_ms
        before, self._lead_in = self._lead_in, kept
        still_needed = {one.path for one in kept}
        done = dict.fromkeys(one.path for one in (*before, *segments))
        return [path for path in done if path not in still_needed]


def derive_package(
    packaged: PackagedVod,
    out_dir: Path,
    scratch: Path,
    *,
    settings: Settings,
    subject: str,
    on_progress: Callable[[float], None],
) -> Derived:
    """All but the poster, which a package has, from the segments in a package's folder.

    Writes into `out_dir`, an empty folder; `scratch` is another one. Raises MediaError.
    """
    derivation = Derivation(
        out_dir,
        scratch,
        duration_ms=packaged.duration_ms,
        settings=settings,
        subject=subject,
        wants_poster=False,
    )
    folder = packaged.out_dir
    init = folder / packaged.init.name
    segments = [
        Segment(init, folder / one.name, one.start_ms, one.duration_ms) for one in packaged.segments
    ]
    for start in range(0, len(segments), _BATCH_SEGMENTS):
        batch = segments[start : start + _BATCH_SEGMENTS]
        derivation.feed(batch)
        on_progress(batch[-1].end_ms / packaged.duration_ms)
    return derivation.finish()


class _Sheets:
    """Tiles on sheets; a sheet is written when the first tile behind it comes."""

    def __init__(self, out: Path, duration_ms: int) -> None:
        self._out = out
        self._count = len(storyboard.tiles(duration_ms))
        self._sheet_count = storyboard.sheet_count(duration_ms)
        self._sheet: Picture | None = None
        self._next = 0
        self.tile_size = (storyboard.TILE_LONG_SIDE, storyboard.TILE_LONG_SIDE * 9 // 16)

    def add(self, index: int, picture: Picture) -> None:
        """The first picture decides on the size of all tiles; others are fitted into it."""
        if self._sheet is None and self._next == 0:
            self.tile_size = picture.size
        while index // storyboard.TILES_A_SHEET > self._next:
            self._write()
        sheet = self._current()
        tile = picture if picture.size == self.tile_size else _fitted(picture, self.tile_size)
        column, row = index % storyboard.COLUMNS, index % storyboard.TILES_A_SHEET
        width, height = self.tile_size
        sheet.paste(tile, (column * width, row // storyboard.COLUMNS * height))

    def finish(self) -> tuple[str, ...]:
        while self._next < self._sheet_count:
            self._write()
        return tuple(storyboard.sheet_name(number) for number in range(self._sheet_count))

    def _current(self) -> Picture:
        if self._sheet is None:
            on_it = min(
                storyboard.TILES_A_SHEET, self._count - self._next * storyboard.TILES_A_SHEET
            )
            self._sheet = Image.new("RGB", storyboard.sheet_size(on_it, self.tile_size), _DARK)
        return self._sheet

    def _write(self) -> None:
        path = self._out / storyboard.sheet_name(self._next)
        self._current().save(path, "WEBP", quality=_SHEET_QUALITY, method=4)
        self._sheet = None
        self._next += 1


def _fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    """Of another shape than the first: whole, on dark."""
    canvas = Image.new("RGB", size, _DARK)
    small = picture.copy()
    small.thumbnail(size)
    canvas.paste(small, ((size[0] - small.width) // 2, (size[1] - small.height) // 2))
    return canvas


def _preview_moments(duration_ms: int) -> list[int]:
    """Moments spread over the VOD, each in the middle of its share."""
    count = PREVIEW_FRAMES
    return sorted({duration_ms * (2 * number + 1) // (2 * count) for number in range(count)})


def _animation(pictures: dict[int, Picture]) -> bytes:
    """The pictures as an endless loop, in order; of the best quality that stays small."""
    found = [pictures[number] for number in sorted(pictures)]
    if not found:
        found = [Image.new("RGB", (PREVIEW_WIDTH, PREVIEW_WIDTH * 9 // 16), _DARK)]
    frames = [one if one.size == found[0].size else _fitted(one, found[0].size) for one in found]
    made = b""
    for quality in _PREVIEW_QUALITIES:
        file = BytesIO()
        frames[0].save(
            file,
            "WEBP",
            save_all=True,
            append_images=frames[1:],
            duration=PREVIEW_FRAME_MS,
            loop=0,
            quality=quality,
            method=4,
        )
        made = file.getvalue()
        if len(made) <= PREVIEW_MAX_BYTES:
            break
    return made
