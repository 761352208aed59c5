"""The MP4 for download, planned from tables alone: what it holds, and what hostile tables do."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import imageio_ffmpeg
import pytest

from aethex.media.batch import Segment
from aethex.media.errors import MediaError
from aethex.media.fragments import index_task
from aethex.media.progressive import Mp4Plan, ProgressiveMp4
from aethex.settings import Settings
from tests.media.conftest import Packager
from tests.media.footage import Recipe, look
from tests.media.test_derivation import segments_of

Footage = Callable[[str, Recipe], Path]

FILM = Recipe(seconds=9)


def plan_of(segments: list[Segment], settings: Settings, scratch: Path, batch: int) -> Mp4Plan:
    scratch.mkdir()
    mp4 = ProgressiveMp4(scratch, settings=settings, subject="film")
    for start in range(0, len(segments), batch):
        mp4.feed(segments[start : start + batch])
    return mp4.finish()


def written(plan: Mp4Plan, segments: list[Segment], path: Path) -> Path:
    data = bytearray(plan.header)
    for segment, parts in zip(segments, plan.parts, strict=True):
        content = segment.path.read_bytes()
        for start, end in parts:
            data += content[start:end]
    assert len(data) == plan.size_bytes
    path.write_bytes(data)
    return path


def packets(path: Path) -> list[tuple[str, float, bytes]]:
    with av.open(path) as source:
        return sorted(
            (packet.stream.type, round(float(packet.pts * packet.time_base), 3), bytes(packet))
            for packet in source.demux()
            if packet.size and packet.pts is not None and packet.time_base is not None
        )


def test_it_holds_the_same_packets_at_the_same_times_as_the_one_made_of_whole_files(
    footage: Footage, packaged: Packager, settings: Settings, tmp_path: Path
) -> None:
    vod = packaged(footage("b-frames.mp4", FILM))
    segments = segments_of(vod)
    plan = plan_of(segments, settings, tmp_path / "scratch", 2)
    made = written(plan, segments, tmp_path / "made.mp4")
    ours, whole = packets(made), packets(vod.out_dir / vod.mp4.name)
    assert [(kind, data) for kind, _, data in ours] == [(kind, data) for kind, _, data in whole]
    assert [at for _, at, _ in ours] == pytest.approx([at for _, at, _ in whole], abs=0.002)
    seen = look(made)
    assert seen.numbers == list(range(9 * 30))
    assert max(map(abs, seen.beep_lag)) < 0.035


def test_how_it_was_cut_into_batches_makes_no_difference(
    footage: Footage, packaged: Packager, settings: Settings, tmp_path: Path
) -> None:
    segments = segments_of(packaged(footage("b-frames.mp4", FILM)))
    plans = [plan_of(segments, settings, tmp_path / f"{batch}", batch) for batch in (1, 100)]
    assert plans[0] == plans[1]


@pytest.mark.parametrize("flags", ["", "+negative_cts_offsets"])
def test_segments_of_ffmpegs_own_muxer_become_the_same_film(
    footage: Footage, settings: Settings, tmp_path: Path, flags: str
) -> None:
    source = footage("b-frames.mp4", FILM)
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(source), "-c", "copy"]
    options = "-hls_segment_type fmp4 -hls_time 2 -hls_list_size 0"
    more = f" -hls_segment_options movflags={flags}" if flags else ""
    command = [*program, *(options + more).split()]
    subprocess.run([*command, str(tmp_path / "index.m3u8")], check=True)
    found = re.findall(r"EXTINF:([\d.]+),\n(\S+)", (tmp_path / "index.m3u8").read_text())
    segments: list[Segment] = []
    for seconds, name in found:
        at = segments[-1].end_ms if segments else 0
        length_ms = round(float(seconds) * 1000)
        segments.append(Segment(tmp_path / "init.mp4", tmp_path / name, at, length_ms))
    plan = plan_of(segments, settings, tmp_path / "scratch", 2)
    seen = look(written(plan, segments, tmp_path / "made.mp4"))
    assert seen.numbers == list(range(9 * 30))
    assert seen.times == pytest.approx([n / 30 for n in range(9 * 30)], abs=0.002)
    assert max(map(abs, seen.beep_lag)) < 0.035


def test_broken_tables_are_refused_or_stay_inside_their_file(
    footage: Footage, packaged: Packager, tmp_path: Path
) -> None:
    vod = packaged(footage("b-frames.mp4", FILM))
    init, path = tmp_path / "init.mp4", tmp_path / "segment.m4s"
    sources = {
        init: (vod.out_dir / vod.init.name).read_bytes(),
        path: (vod.out_dir / vod.segments[0].name).read_bytes()[:9_000],
    }
    rng = random.Random(7)
    refused = 0
    for _ in range(400):
        for file, data in sources.items():
            broken = bytearray(data)
            for _ in range(rng.choice((0, 1, 3))):
                broken[rng.randrange(min(len(broken), 3_000))] = rng.choice((0, 1, 127, 255))
            file.write_bytes(broken[: rng.choice((len(broken), rng.randrange(len(broken))))])
        request = {
            "segments": [{"init": str(init), "path": str(path)}],
            "out": str(tmp_path / "index.npz"),
        }
        try:
            index_task(request, lambda _: None)
        except MediaError:
            refused += 1
    assert refused > 200
