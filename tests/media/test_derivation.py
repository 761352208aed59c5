"""Stills and loudness, proven on footage that shows and says what time it is."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from aethex.media import derivation, loudness
from aethex.media.batch import Segment
from aethex.media.derivation import PREVIEW_MAX_BYTES, Derivation, Derived
from aethex.media.errors import UnreadableMedia
from aethex.media.flv import FlvReader
from aethex.media.record import RunStarted, SegmentBytes, SegmentClosed, Segmenter
from aethex.media.vod import PackagedVod
from aethex.settings import Settings
from tests.media.conftest import Packager
from tests.media.footage import BLOCK, Recipe, read_number

Footage = Callable[[str, Recipe], Path]

RATE = 30
NEAR_KEYFRAMES = Recipe(seconds=34, options="preset=ultrafast;crf=33;g=60;bf=2")
FAR_KEYFRAMES = Recipe(seconds=34, options="preset=ultrafast;crf=33;g=900;bf=2;sc_threshold=0")
SILENT = Recipe(seconds=5, audio_codec=None)


def segments_of(vod: PackagedVod, from_ms: int = 0) -> list[Segment]:
    init = vod.out_dir / vod.init.name
    return [
        Segment(init, vod.out_dir / one.name, from_ms + one.start_ms, one.duration_ms)
        for one in vod.segments
    ]


def derive(
    segments: list[Segment], folder: Path, settings: Settings, batch: int = 100
) -> tuple[Derived, Path]:
    out, scratch = folder / "out", folder / "scratch"
    out.mkdir(parents=True)
    scratch.mkdir()
    derivation = Derivation(
        out, scratch, duration_ms=segments[-1].end_ms, settings=settings, subject="film"
    )
    released: list[Path] = []
    for start in range(0, len(segments), batch):
        released += derivation.feed(segments[start : start + batch])
    assert len(released) == len(set(released))
    assert len(segments) - len(released) <= 3
    return derivation.finish(), out


def number_in(picture: Image.Image, box: tuple[int, int, int, int] | None = None) -> int:
    """The frame number that a tile or poster shows, whatever its size."""
    shown = (picture.crop(box) if box else picture).convert("L").resize((320, 180))
    return read_number(np.asarray(shown))


def test_each_tile_shows_the_keyframe_before_the_middle_of_its_time(
    footage: Footage, packaged: Packager, settings: Settings, tmp_path: Path
) -> None:
    vod = packaged(footage("near.mp4", NEAR_KEYFRAMES))
    made, out = derive(segments_of(vod), tmp_path, settings, batch=3)
    sheet = Image.open(out / made.sheets[0])
    assert sheet.size == (4 * 160, 90)
    shown = [_coarse(sheet.crop((160 * n, 0, 160 * (n + 1), 90))) for n in range(4)]
    assert shown == [_coarse_of(frame) for frame in (4 * RATE, 14 * RATE, 24 * RATE, 32 * RATE)]


def test_where_keyframes_are_far_apart_a_tile_still_shows_its_own_time(
    footage: Footage, packaged: Packager, settings: Settings, tmp_path: Path
) -> None:
    vod = packaged(footage("far.mp4", FAR_KEYFRAMES))
    made, out = derive(segments_of(vod), tmp_path, settings)
    sheet = Image.open(out / made.sheets[0])
    shown = [_coarse(sheet.crop((160 * n, 0, 160 * (n + 1), 90))) for n in range(4)]
    assert shown == [_coarse_of(frame) for frame in (0, 10 * RATE, 20 * RATE, 30 * RATE)]


def _coarse(tile: Image.Image) -> list[bool]:
    """The blocks of the frame number, as far as a small picture keeps them apart."""
    luma = np.asarray(tile.convert("L").resize((320, 180)))
    lefts = range(8, 8 + 24 * BLOCK, BLOCK)
    return [bool(luma[12:20, left + 3 : left + BLOCK - 3].mean() > 125) for left in lefts]


def _coarse_of(number: int) -> list[bool]:
    return [bool(number >> (23 - bit) & 1) for bit in range(24)]


def test_the_poster_is_the_frame_at_a_quarter(
    footage: Footage, packaged: Packager, settings: Settings, tmp_path: Path
) -> None:
    vod = packaged(footage("near.mp4", NEAR_KEYFRAMES))
    made, out = derive(segments_of(vod), tmp_path, settings, batch=3)
    assert made.poster is not None
    for path in (out / made.poster, vod.out_dir / vod.poster.name):
        assert number_in(Image.open(path)) == 34 * RATE // 4


def test_the_preview_is_a_short_small_loop_over_all_of_the_vod(
    footage: Footage, packaged: Packager, settings: Settings, tmp_path: Path
) -> None:
    vod = packaged(footage("near.mp4", NEAR_KEYFRAMES))
    made, out = derive(segments_of(vod), tmp_path, settings)
    with Image.open(out / made.preview) as preview:
        assert (preview.width, getattr(preview, "n_frames", 1), preview.info["loop"]) == (
            320,
            10,
            0,
        )
        shown: list[int] = []
        for number in range(10):
            preview.seek(number)
            shown.append(number_in(preview.copy()))
    assert shown == sorted(shown)
    assert shown[0] < 3 * RATE
    assert shown[-1] >= 31 * RATE
    assert (out / made.preview).stat().st_size < PREVIEW_MAX_BYTES


def test_loudness_is_what_ffmpeg_measures_of_the_whole_however_it_is_cut(
    shared_data: Path, packaged: Packager, settings: Settings, tmp_path: Path
) -> None:
    vod = packaged(shared_data / "video" / "timecode_42s.mp4")
    whole, pieces = (
        json.loads((out / made.loudness).read_text())
        for made, out in (
            derive(segments_of(vod), tmp_path / f"{batch}", settings, batch) for batch in (100, 2)
        )
    )
    assert whole == pieces
    assert whole["integrated"] == pytest.approx(_measured(vod.out_dir / vod.mp4.name), abs=0.11)
    assert len(whole["momentary"]) == len(whole["short_term"]) == -(-vod.duration_ms // 1000)


def _measured(path: Path) -> float:
    """The integrated loudness by the ffmpeg program."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostats", "-i", str(path)]
    said = subprocess.run(
        [*command, "-vn", "-af", "ebur128=framelog=quiet", "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    return float(said.rpartition("I:")[2].split()[0])


def test_a_second_without_sound_is_null_and_a_silent_vod_has_no_loudness(
    footage: Footage, packaged: Packager, settings: Settings, tmp_path: Path
) -> None:
    with_hole = packaged(footage("hole.mp4", Recipe(seconds=12, audio_hole=(4.0, 9.0))))
    made, out = derive(segments_of(with_hole), tmp_path / "hole", settings)
    found = json.loads((out / made.loudness).read_text())
    assert [value is None for value in found["momentary"]] == [5 <= s < 9 for s in range(12)]
    silent = packaged(footage("silent.mp4", SILENT))
    made, out = derive(segments_of(silent), tmp_path / "silent", settings)
    found = json.loads((out / made.loudness).read_text())
    assert found["integrated"] is None
    assert found["momentary"] == found["short_term"] == [None] * 5


def test_the_integrated_loudness_leaves_out_silence_and_what_is_far_below_the_rest() -> None:
    assert loudness.integrated([]) is None
    assert loudness.integrated([-90.0] * 50) is None
    assert loudness.integrated([-23.0] * 50) == -23.0
    assert loudness.integrated([-23.0] * 50 + [-80.0] * 500) == -23.0
    assert loudness.integrated([-20.0] * 50 + [-50.0] * 50) == -20.0
    assert loudness.integrated([-20.0] * 50 + [-26.0] * 50) == pytest.approx(-22.0, abs=0.1)


def test_runs_of_different_shapes_share_one_storyboard(
    footage: Footage, packaged: Packager, settings: Settings, tmp_path: Path
) -> None:
    wide = packaged(footage("near.mp4", NEAR_KEYFRAMES))
    tall = packaged(footage("tall.mp4", Recipe(seconds=8, size=(320, 400))))
    segments = [*segments_of(wide), *segments_of(tall, wide.duration_ms)]
    made, out = derive(segments, tmp_path, settings, batch=4)
    sheet = np.asarray(Image.open(out / made.sheets[0]).convert("L"), np.int64)
    assert sheet.shape == (90, 5 * 160)
    last = sheet[:, 4 * 160 :]
    assert last[:, :30].max() < 30  # beside the tall picture
    assert last[:, 60:100].max() > 100
    assert len(json.loads((out / made.loudness).read_text())["momentary"]) == 42


def recorded(flv: Path, folder: Path) -> list[Segment]:
    """What a recorder makes of a stream: one run."""
    folder.mkdir()
    reader, segmenter = FlvReader(), Segmenter()
    found = [out for event in reader.feed(flv.read_bytes()) for out in segmenter.add(event)]
    segments: list[Segment] = []
    data = b""
    for output in (*found, *segmenter.end()):
        match output:
            case RunStarted():
                (folder / "init.mp4").write_bytes(output.init)
            case SegmentBytes():
                data += b"".join(output.parts)
            case SegmentClosed():
                path = folder / f"{len(segments)}.m4s"
                path.write_bytes(data)
                data = b""
                start, length = output.start_ms, output.duration_ms
                segments.append(Segment(folder / "init.mp4", path, start, length))
            case _:
                pass
    return segments


def test_a_stream_whose_keyframes_are_minutes_apart_has_what_can_be_made_of_it(
    footage: Footage, settings: Settings, tmp_path: Path
) -> None:
    """Most of its segments cannot be decoded alone, the one at a quarter among them."""
    recipe = Recipe(
        seconds=125, rate=Fraction(5), options="preset=ultrafast;crf=33;g=2000;bf=0;sc_threshold=0"
    )
    segments = recorded(footage("rare.flv", recipe), tmp_path / "recorded")
    assert [one.duration_ms for one in segments[:4]] == [30_000] * 4
    made, out = derive(segments, tmp_path, settings)
    assert made.poster is not None
    assert number_in(Image.open(out / made.poster)) == 149  # the last one before
    found = json.loads((out / made.loudness).read_text())
    assert None not in found["momentary"]
    sheet = np.asarray(Image.open(out / made.sheets[0]).convert("L"), np.int64)
    assert [sheet[10:80, 160 * n : 160 * (n + 1)].max() > 100 for n in range(4)] == [1, 1, 1, 0]


def test_damage_costs_no_more_than_what_is_damaged(
    footage: Footage, packaged: Packager, settings: Settings, tmp_path: Path
) -> None:
    """As a network without repeats leaves it: decoders answer with errors of many kinds."""
    vod = packaged(footage("near.mp4", NEAR_KEYFRAMES))
    rng = random.Random(3)
    segments = segments_of(vod)
    for number in (2, 3):
        data = segments[number].path.read_bytes()
        start = data.index(b"mdat") + 4
        path = tmp_path / f"{number}.m4s"
        path.write_bytes(data[:start] + rng.randbytes(len(data) - start))
        segments[number] = replace(segments[number], path=path)
    made, out = derive(segments, tmp_path, settings)
    assert made.poster is not None
    found = json.loads((out / made.loudness).read_text())
    assert len(found["momentary"]) == 34
    assert None not in [*found["momentary"][:7], *found["momentary"][17:]]


def test_a_child_that_lies_reaches_no_file_of_its_parents(
    footage: Footage, packaged: Packager, settings: Settings, tmp_path: Path, monkeypatch
) -> None:
    """What a file has taken over may answer anything."""
    other = tmp_path / "other"
    other.write_bytes(bytes(3))
    vod = packaged(footage("silent.mp4", SILENT))
    for name, width in (("../other", 1), (str(other), 1), ("tile-0", 100_000)):
        still = {"name": name, "width": width, "height": 1, "at_ms": 0}
        lie = {"stills": [still], "has_poster": False, "loudness": []}
        monkeypatch.setattr(derivation, "run_task", lambda *_, lie=lie, **__: lie)
        with pytest.raises(UnreadableMedia, match="lied"):
            derive(segments_of(vod), tmp_path / f"{width}{len(name)}", settings)
    assert other.exists()
